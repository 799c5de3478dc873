/* Faults: stop the actuators, keep and report what is known, wait for the watchdog. ARM DDI 0403, B1.5.6, B3.2. */
#include "firmware.h"
#include "registers.h"

extern uint32_t tinyctl_stack_top[];
extern uint32_t tinyctl_data_begin[];

void tinyctl_fault_at(const uint32_t *frame) __attribute__((noreturn, used));

volatile struct tinyctl_fault_record tinyctl_fault_record;

/* The stack may be what broke: look at its pointer, then begin a new one. */
__attribute__((naked)) void tinyctl_fault(void)
{
    __asm volatile("mrs r0, msp\n\t"
                   "ldr r1, =tinyctl_stack_top\n\t"
                   "msr msp, r1\n\t"
                   "ldr r1, =tinyctl_fault_at\n\t"
                   "bx r1\n\t"
                   ".ltorg");
}

void tinyctl_fault_at(const uint32_t *frame)
{
    tinyctl_actuators_stop();
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    tinyctl_fault_record.exception = exception;
    /* The core has stored r0 to r3, r12, lr, pc, xpsr; on a stack outside of the memory there is nothing to read. */
    if (frame >= tinyctl_data_begin && frame + 8 <= tinyctl_stack_top) {
        tinyctl_fault_record.lr = frame[5];
        tinyctl_fault_record.pc = frame[6];
    }
#if __ARM_ARCH >= 7
    tinyctl_fault_record.cfsr = SCB_CFSR;
    tinyctl_fault_record.hfsr = SCB_HFSR;
    tinyctl_fault_record.address = SCB_BFAR;
#endif
    tinyctl_loop.phase = TINYCTL_FAULT;
    tinyctl_report_fault();
    tinyctl_halt();
}

void tinyctl_halt(void)
{
    tinyctl_actuators_stop();
    mask_interrupts();
    for (;;) {
        wait_for_interrupt();
    }
}
