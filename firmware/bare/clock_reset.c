/* Boards whose clock tree this firmware does not know: they keep the clock after reset. */
#include "firmware.h"
#include "tinyctl_board.h"

struct tinyctl_clock tinyctl_clock = {TINYCTL_CLOCK_RESET, TINYCTL_RESET_CLOCK_HZ, 0u, 0u};

void tinyctl_clock_start(void)
{
}
