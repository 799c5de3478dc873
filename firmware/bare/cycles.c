/* What counts a step: the core's cycle counter (ARM DDI 0403, C1.8), else TIM2, else SysTick when it is free.
 *
 * A counter is believed when it moves. Emulators have the registers of DWT without its counter, and the ARMv6-M has DWT
 * without one by definition.
 */
#include "firmware.h"
#include "registers.h"
#include "tinyctl_board.h"
#ifdef TINYCTL_STM32F4
#include "stm32f4.h"
#endif

#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRACE (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)
#define LAR_KEY 0xC5ACCE55u /* the Cortex-M7 keeps DWT locked: CoreSight's access register, ARM IHI 0029 */

#define SYSTICK_MASK 0xFFFFFFu
#define CSR_CORE_CLOCK_ENABLE 5u

uint32_t tinyctl_counter, tinyctl_counter_hz, tinyctl_counter_overhead;

uint32_t tinyctl_counter_read(void)
{
    switch (tinyctl_counter) {
    case TINYCTL_DWT: return DWT_CYCCNT;
#ifdef TINYCTL_STM32F4
    case TINYCTL_TIM2: return TIM2_CNT;
#endif
    case TINYCTL_SYSTICK: return ~SYST_CVR & SYSTICK_MASK; /* it counts down */
    default: return 0u;
    }
}

uint32_t tinyctl_counter_since(uint32_t begin)
{
    const uint32_t count = tinyctl_counter_read() - begin;
    return (tinyctl_counter == TINYCTL_SYSTICK ? count & SYSTICK_MASK : count) - tinyctl_counter_overhead;
}

static int moves(uint32_t counter, uint32_t hz)
{
    tinyctl_counter = counter;
    tinyctl_counter_hz = hz;
    const uint32_t begin = tinyctl_counter_read();
    for (volatile uint32_t i = 0; i < 64u; i++) {
    }
    return tinyctl_counter_read() != begin;
}

static int has_counter(int may_use_systick)
{
#if __ARM_ARCH >= 7
    DEMCR |= DEMCR_TRACE;
    DWT_LAR = LAR_KEY;
    DWT_CYCCNT = 0u;
    DWT_CTRL |= 1u;
    if (moves(TINYCTL_DWT, tinyctl_clock.hz)) {
        return 1;
    }
#endif
#ifdef TINYCTL_STM32F4
    RCC_APB1ENR |= APB1_TIM2;
    TIM2_PSC = 0u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = 1u;
    TIM2_CR1 = 1u;
    /* Where the bus is divided, timers run at twice its clock: RM0090 section 7.2. */
    const uint32_t twice = tinyctl_clock.apb1_hz == tinyctl_clock.hz ? 1u : 2u;
    if (moves(TINYCTL_TIM2, tinyctl_clock.apb1_hz * twice)) {
        return 1;
    }
#endif
    if (may_use_systick) {
        SYST_RVR = SYSTICK_MASK;
        SYST_CVR = 0u;
        SYST_CSR = CSR_CORE_CLOCK_ENABLE;
        return moves(TINYCTL_SYSTICK, tinyctl_clock.hz);
    }
    return 0;
}

void tinyctl_counter_start(int may_use_systick)
{
    tinyctl_counter_overhead = 0u;
    if (!has_counter(may_use_systick)) {
        tinyctl_counter = TINYCTL_NO_COUNTER;
        tinyctl_counter_hz = 0u;
        return;
    }
    for (uint32_t i = 0; i < 2u; i++) { /* the second time from a warm cache */
        tinyctl_counter_overhead = 0u;
        tinyctl_counter_overhead = tinyctl_counter_since(tinyctl_counter_read());
    }
}
