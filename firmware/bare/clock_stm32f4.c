/* Clock of the STM32F4: oscillator, PLL, flash wait states, bus prescalers. RM0090 sections 3.9.1, 5.4 and 7.3.
 *
 * A step that does not come true in time (a missing crystal, an emulator without these registers) ends the attempt: from
 * the crystal to the internal oscillator, from there to the clock after reset.
 */
#include "firmware.h"
#include "stm32f4.h"
#include "tinyctl_board.h"

#define TRIES 20000u /* of six cycles or more: a crystal starts in 2 ms, DS8626 section 5.3.8 */

#define HSI_ON 0u
#define HSE_ON 16u
#define PLL_ON 24u
#define READY(on) ((on) + 1u) /* each oscillator's ready flag stands above its switch */
#define HSE_BYPASS (1u << 18)

#define PLL_FROM_CRYSTAL (1u << 22)
#define PLL_R (2u << 28)  /* of the STM32F446; reserved, and ignored, elsewhere */
#define PLL_Q (15u << 24) /* USB and SDIO are not used: as slow as it goes */

#define CFGR_RESET 0u /* from the internal oscillator, nothing divided */
#define CFGR_SWITCH_PLL 2u
#define CFGR_BUSES (5u << 10 | 4u << 13) /* APB1 a quarter, APB2 half of the core's clock */

#define ACR_CACHES (7u << 8) /* prefetch, instruction cache, data cache */
#define ACR_LATENCY 0xFu

#define PWR_SCALE_1 (1u << 14) /* bit 15, where there is one, is set after reset */
#define PWR_OVER_DRIVE (1u << 16)
#define PWR_OVER_DRIVE_SWITCH (1u << 17)

struct tinyctl_clock tinyctl_clock = {TINYCTL_CLOCK_RESET, TINYCTL_RESET_CLOCK_HZ, TINYCTL_RESET_CLOCK_HZ,
                                      TINYCTL_RESET_CLOCK_HZ};

static int becomes(volatile uint32_t *reg, uint32_t mask, uint32_t value)
{
    for (uint32_t i = 0; i < TRIES; i++) {
        if ((*reg & mask) == value) {
            return 1;
        }
    }
    return 0;
}

static int switch_on(uint32_t on)
{
    RCC_CR |= 1u << on;
    return becomes(&RCC_CR, 1u << READY(on), 1u << READY(on));
}

static int over_drive(void)
{
#ifdef TINYCTL_OVER_DRIVE
    PWR_CR |= PWR_OVER_DRIVE;
    if (!becomes(&PWR_CSR, PWR_OVER_DRIVE, PWR_OVER_DRIVE)) {
        return 0;
    }
    PWR_CR |= PWR_OVER_DRIVE_SWITCH;
    return becomes(&PWR_CSR, PWR_OVER_DRIVE_SWITCH, PWR_OVER_DRIVE_SWITCH);
#else
    return 1;
#endif
}

/* Run from the PLL, fed through the divider `m` by the crystal or the internal oscillator. */
static int run_from_pll(uint32_t source, uint32_t m)
{
    RCC_CFGR = CFGR_RESET;
    RCC_CR &= ~(1u << PLL_ON);
    if (!becomes(&RCC_CR, 1u << READY(PLL_ON), 0u)) {
        return 0;
    }
    RCC_PLLCFGR = m | TINYCTL_PLL_N << 6 | (TINYCTL_PLL_P / 2u - 1u) << 16 | source | PLL_Q | PLL_R;
    if (!switch_on(PLL_ON) || !over_drive()) {
        return 0;
    }
    FLASH_ACR = ACR_CACHES | TINYCTL_FLASH_WAIT_STATES; /* before the clock rises */
    if (!becomes(&FLASH_ACR, ACR_LATENCY, TINYCTL_FLASH_WAIT_STATES)) {
        return 0;
    }
    RCC_CFGR = CFGR_BUSES | CFGR_SWITCH_PLL;
    return becomes(&RCC_CFGR, 3u << 2, CFGR_SWITCH_PLL << 2);
}

void tinyctl_clock_start(void)
{
    RCC_APB1ENR |= APB1_PWR;
    PWR_CR |= PWR_SCALE_1;
#if TINYCTL_CRYSTAL_HZ > 0
    RCC_CR |= TINYCTL_CRYSTAL_BYPASS ? HSE_BYPASS : 0u;
    if (switch_on(HSE_ON) && run_from_pll(PLL_FROM_CRYSTAL, TINYCTL_PLL_M_CRYSTAL)) {
        tinyctl_clock.source = TINYCTL_CLOCK_CRYSTAL;
    } else
#endif
        if (switch_on(HSI_ON) && run_from_pll(0u, TINYCTL_PLL_M_INTERNAL)) {
        tinyctl_clock.source = TINYCTL_CLOCK_INTERNAL;
    }
    if (tinyctl_clock.source == TINYCTL_CLOCK_RESET) {
        RCC_CFGR = CFGR_RESET;
    } else {
        tinyctl_clock.hz = TINYCTL_CLOCK_HZ;
        tinyctl_clock.apb1_hz = TINYCTL_CLOCK_HZ / 4u;
        tinyctl_clock.apb2_hz = TINYCTL_CLOCK_HZ / 2u;
    }
}
