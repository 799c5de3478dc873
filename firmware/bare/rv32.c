/* Start-up, faults and control loop of a 32-bit RISC-V core in machine mode. Source: The RISC-V Instruction Set Manual,
 * Volume II, 3.1. What chips add to that (interrupt controllers, timers) differs, so the loop's period is counted in
 * mcycle; the ESP32-C3 does not have even that, and starts through its boot ROM: there the emitted C goes into ESP-IDF. */
#include "firmware.h"
#include "memory.h"

#define CSR(instruction) ".option push\n\t.option arch, +zicsr\n\t" instruction "\n\t.option pop\n\t"

extern uint32_t tinyctl_stack_top[];

void tinyctl_reset(void);
void tinyctl_start(void) __attribute__((used));

volatile struct tinyctl_loop tinyctl_loop;
volatile struct tinyctl_fault_record tinyctl_fault_record;

/* The image begins here. */
__attribute__((naked, used, section(".vectors"))) void tinyctl_reset(void)
{
    __asm volatile("la sp, tinyctl_stack_top\n\t"
                   "la t0, tinyctl_fault\n\t" CSR("csrw mtvec, t0")
                   "j tinyctl_start");
}

void tinyctl_start(void)
{
    tinyctl_fill_memory();
    (void)main();
    tinyctl_halt();
}

/* No interrupt is enabled: every trap is a fault. mtvec wants an address that is a multiple of four. */
__attribute__((aligned(4))) void tinyctl_fault(void)
{
    uint32_t cause, pc, value;
    __asm volatile(CSR("csrr %0, mcause\n\tcsrr %1, mepc\n\tcsrr %2, mtval") : "=r"(cause), "=r"(pc), "=r"(value));
    tinyctl_fault_record.exception = cause;
    tinyctl_fault_record.pc = pc;
    tinyctl_fault_record.address = value;
    tinyctl_actuators_stop();
    tinyctl_loop.phase = TINYCTL_FAULT;
    tinyctl_report_fault();
    tinyctl_halt();
}

void tinyctl_halt(void)
{
    tinyctl_actuators_stop();
    for (;;) {
        __asm volatile("wfi");
    }
}

static uint32_t cycles(void)
{
    uint32_t count;
    __asm volatile(CSR("csrr %0, mcycle") : "=r"(count));
    return count;
}

int main(void)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;
    const uint32_t period = (tinyctl_periods[0].tick_reload + 1u) * tinyctl_periods[0].ticks_per_step;

    d->calls.init(d->self);
    if (d->calls.selftest() != 0u) {
        tinyctl_loop.phase = TINYCTL_SELFTEST_FAILED;
        return 1;
    }
    tinyctl_loop.phase = TINYCTL_RUNNING;
    for (uint32_t due = cycles();;) {
        while (cycles() - due < period) {
        }
        due += period;
        tinyctl_sensors_read(d->observation);
        const uint32_t begin = cycles();
        tinyctl_loop.status = d->calls.step(d->self, d->observation, d->action);
        tinyctl_loop.count = cycles() - begin;
        tinyctl_actuators_apply(d->action);
        tinyctl_loop.steps++;
        while (cycles() - due >= period) { /* whole periods were missed: the last action held */
            due += period;
            tinyctl_loop.missed++;
        }
    }
}
