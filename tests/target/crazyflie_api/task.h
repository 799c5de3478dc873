#ifndef TASK_H
#define TASK_H
#include "FreeRTOS.h"

void vTaskDelay(uint32_t ticks);

#endif
