/* Self-test, then the control loop: one step each period, from the observation buffer to the action buffer. */
#include "tinyctl_image.h"

/* ARM DDI 0403 (ARMv7-M), B3.3: the system timer. */
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_CSR_CORE_CLOCK_INTERRUPT_ENABLE 7u

void tinyctl_tick(void);

static volatile uint32_t ticks;

void tinyctl_tick(void)
{
    ticks++;
}

int main(void)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;

    d->calls.init(d->self);
    if (d->calls.selftest() != 0u) {
        tinyctl_loop.phase = TINYCTL_SELFTEST_FAILED;
        return 1;
    }
    SYST_RVR = tinyctl_tick_reload;
    SYST_CVR = 0u;
    SYST_CSR = SYST_CSR_CORE_CLOCK_INTERRUPT_ENABLE;
    tinyctl_loop.phase = TINYCTL_RUNNING;

    uint32_t due = ticks;
    for (;;) {
        /* Masked, a tick between the comparison and WFI stays pending and wakes the core (ARM DDI 0403, B1.5.19). */
        __asm volatile("cpsid i" ::: "memory");
        while (ticks - due < tinyctl_ticks_per_step) {
            __asm volatile("wfi\n\tcpsie i\n\tisb\n\tcpsid i" ::: "memory");
        }
        __asm volatile("cpsie i" ::: "memory");
        due += tinyctl_ticks_per_step;
        tinyctl_loop.status = d->calls.step(d->self, d->observation, d->action);
        tinyctl_loop.steps++;
    }
}
