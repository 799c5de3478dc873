/* Vector table and reset handler of a Cortex-M. Sources: ARM DDI 0403 (ARMv7-M), B1.5.3 and B3.2.2. */
#include "firmware.h"
#include "memory.h"
#include "registers.h"
#include "tinyctl_board.h"

#define CPACR_FPU_FULL_ACCESS 0x00F00000u /* coprocessors 10 and 11 */

#define N_SYSTEM_VECTORS 16
#define N_INTERRUPTS 82 /* STM32F405: RM0090, table 61 */

extern uint32_t tinyctl_stack_top[]; /* set by the linker script */

void tinyctl_reset(void);

volatile struct tinyctl_loop tinyctl_loop;

struct vector_table {
    uint32_t *stack_top;
    void (*handlers[N_SYSTEM_VECTORS - 1 + N_INTERRUPTS])(void);
};

extern const struct vector_table tinyctl_vectors;

/* Every exception without an entry of its own is a fault: nothing but these is enabled. */
__attribute__((section(".vectors"), used)) const struct vector_table tinyctl_vectors = {
    .stack_top = tinyctl_stack_top,
    .handlers = {tinyctl_reset, tinyctl_fault, tinyctl_fault, tinyctl_fault, tinyctl_fault, tinyctl_fault,
                 0, 0, 0, 0, tinyctl_fault, tinyctl_fault, 0, tinyctl_fault, tinyctl_tick,
#ifdef TINYCTL_USART_INTERRUPT
                 [N_SYSTEM_VECTORS - 1 + TINYCTL_USART_INTERRUPT] = tinyctl_usart_received
#endif
    }};

void tinyctl_reset(void)
{
    SCB_VTOR = (uint32_t)(uintptr_t)&tinyctl_vectors; /* a boot loader may have left its own */
#ifdef TINYCTL_FPU
    SCB_CPACR |= CPACR_FPU_FULL_ACCESS;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    tinyctl_fill_memory();
    (void)main();
    tinyctl_halt();
}
