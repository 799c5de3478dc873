/* Vector table and reset handler of a Cortex-M. Sources: ARM DDI 0403 (ARMv7-M), B1.5.3 and B3.2.2. */
#include "firmware.h"
#include "registers.h"
#include "tinyctl_board.h"

#define CPACR_FPU_FULL_ACCESS 0x00F00000u /* coprocessors 10 and 11 */

#define N_SYSTEM_VECTORS 16
#define N_INTERRUPTS 82 /* STM32F405: RM0090, table 61 */

/* Set by the linker script. Arrays, because a compiler may take two objects to have different addresses, and the
 * sections between these can be empty. */
extern uint32_t tinyctl_stack_top[];
extern uint32_t tinyctl_data_begin[], tinyctl_data_end[];
extern const uint32_t tinyctl_data_source[];
extern uint32_t tinyctl_constants_begin[], tinyctl_constants_end[];
extern const uint32_t tinyctl_constants_source[];
extern uint32_t tinyctl_bss_begin[], tinyctl_bss_end[];

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

static void copy(volatile uint32_t *to, const volatile uint32_t *end, const volatile uint32_t *from)
{
    while (to < end) {
        *to++ = *from++;
    }
}

void tinyctl_reset(void)
{
#ifdef TINYCTL_FPU
    SCB_CPACR |= CPACR_FPU_FULL_ACCESS;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    copy(tinyctl_data_begin, tinyctl_data_end, tinyctl_data_source);
    copy(tinyctl_constants_begin, tinyctl_constants_end, tinyctl_constants_source);
    for (volatile uint32_t *to = tinyctl_bss_begin; to < tinyctl_bss_end; to++) {
        *to = 0u;
    }
    (void)main();
    tinyctl_halt();
}
