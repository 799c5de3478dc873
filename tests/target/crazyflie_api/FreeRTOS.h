#ifndef FREERTOS_H
#define FREERTOS_H
#include <stdint.h>

#define M2T(X) ((unsigned int)(X)) /* a tick is a millisecond */

#endif
