/* The control loop: self-test, then one step each period of the contract, from sensors to actuators. */
#include "firmware.h"
#include "registers.h"

int main(void)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;

    tinyctl_clock_start();
    tinyctl_counter_start(0); /* SysTick is the period */
    d->calls.init(d->self);
    if (d->calls.selftest() != 0u) {
        tinyctl_loop.phase = TINYCTL_SELFTEST_FAILED;
        return 1;
    }
    const struct tinyctl_period *const period = &tinyctl_periods[tinyctl_clock.source != TINYCTL_CLOCK_RESET];
    tinyctl_timer_start(period);
    tinyctl_watchdog_start();
    tinyctl_loop.phase = TINYCTL_RUNNING;

    uint32_t due = tinyctl_ticks;
    for (;;) {
        /* Masked, a tick between the comparison and WFI stays pending and wakes the core (ARM DDI 0403, B1.5.19). */
        mask_interrupts();
        while (tinyctl_ticks - due < period->ticks_per_step) {
            wait_for_interrupt();
            unmask_interrupts();
            tinyctl_watchdog_feed();
            mask_interrupts();
        }
        unmask_interrupts();
        due += period->ticks_per_step;
        tinyctl_sensors_read(d->observation);
        const uint32_t begin = tinyctl_counter_read();
        tinyctl_loop.status = d->calls.step(d->self, d->observation, d->action);
        tinyctl_loop.count = tinyctl_counter_since(begin);
        tinyctl_actuators_apply(d->action);
        tinyctl_loop.steps++;
        while (tinyctl_ticks - due >= period->ticks_per_step) { /* whole periods were missed: the last action held */
            due += period->ticks_per_step;
            tinyctl_loop.missed++;
        }
    }
}
