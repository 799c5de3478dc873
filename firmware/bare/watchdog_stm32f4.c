/* The independent watchdog: a clock of its own, and no way to stop it. RM0090 chapter 21. */
#include "firmware.h"
#include "stm32f4.h"
#include "tinyctl_board.h"

#define KEY_ACCESS 0x5555u
#define KEY_FEED 0xAAAAu
#define KEY_START 0xCCCCu
#define PRESCALER_64 4u /* the oscillator of about 32 kHz (17 to 47): half a thousand counts a second */

void tinyctl_watchdog_start(void)
{
    IWDG_KR = KEY_START;
    IWDG_KR = KEY_ACCESS;
    IWDG_PR = PRESCALER_64;
    IWDG_RLR = TINYCTL_WATCHDOG_COUNTS;
    IWDG_KR = KEY_FEED;
}

void tinyctl_watchdog_feed(void)
{
    IWDG_KR = KEY_FEED;
}
