/* The period of control: SysTick interrupts. ARM DDI 0403 (ARMv7-M), B3.3. */
#include "firmware.h"
#include "registers.h"

#define CSR_CORE_CLOCK_INTERRUPT_ENABLE 7u

volatile uint32_t tinyctl_ticks;

void tinyctl_tick(void)
{
    tinyctl_ticks++;
}

void tinyctl_timer_start(const struct tinyctl_period *period)
{
    SYST_RVR = period->tick_reload;
    SYST_CVR = 0u;
    SYST_CSR = CSR_CORE_CLOCK_INTERRUPT_ENABLE;
}
