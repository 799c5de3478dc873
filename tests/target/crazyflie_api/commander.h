#ifndef COMMANDER_H
#define COMMANDER_H
#include <stdint.h>

uint32_t commanderGetInactivityTime(void); /* ms */

#endif
