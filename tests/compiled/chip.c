/* What the chip does by itself: oscillators that get ready, a clock that switches, counters that count. */
#include "chip.h"
#include "firmware.h"
#include "stm32f4.h"

enum { CRYSTAL = 1, INTERNAL = 2, PLL = 4, FLASH = 8, OVER_DRIVE = 16, DWT_COUNTS = 32, TIM2_COUNTS = 64, SYSTICK_COUNTS = 128 };

uint32_t chip_works, chip_broken_rules, chip_wait_states_needed;
static struct {
    uint32_t address;
    volatile uint32_t value;
} cells[64];

volatile uint32_t *chip_cell(uint32_t address);
void chip_power_on(uint32_t works, uint32_t wait_states_needed);
uint32_t chip_hash(void);

volatile uint32_t *chip_cell(uint32_t address)
{
    uint32_t i = 0;
    while (cells[i].address != address && cells[i].address != 0u) {
        i++;
    }
    cells[i].address = address;
    return &cells[i].value;
}

void chip_power_on(uint32_t works, uint32_t wait_states_needed)
{
    for (uint32_t i = 0; i < 64u; i++) {
        cells[i].address = 0u;
        cells[i].value = 0u;
    }
    chip_works = works;
    chip_wait_states_needed = wait_states_needed;
    chip_broken_rules = 0u;
    *chip_cell(0x40023800u) = works & INTERNAL ? 3u : 0u; /* RCC_CR after reset */
}

static void follow(uint32_t address, uint32_t on, uint32_t ready, int works)
{
    volatile uint32_t *const cell = chip_cell(address);
    *cell = works && (*cell & on) ? *cell | ready : *cell & ~ready;
}

volatile uint32_t *chip_register(uint32_t address)
{
    static uint32_t latency;
    volatile uint32_t *const cr = chip_cell(0x40023800u), *const cfgr = chip_cell(0x40023808u);
    volatile uint32_t *const acr = chip_cell(0x40023C00u);

    follow(0x40023800u, 1u << 16, 1u << 17, chip_works & CRYSTAL);
    follow(0x40023800u, 1u << 0, 1u << 1, chip_works & INTERNAL);
    follow(0x40023800u, 1u << 24, 1u << 25, chip_works & PLL);
    follow(0x40007000u, 1u << 16, 0u, 1);
    *chip_cell(0x40007004u) = chip_works & OVER_DRIVE ? *chip_cell(0x40007000u) & 3u << 16 : 0u;
    if (!(chip_works & FLASH)) {
        *acr = 0u;
    }
    latency = *acr & 15u;
    if ((*cfgr & 3u) == 2u) {
        /* The switch waits for the PLL; with too few wait states the next instruction would be read wrong. */
        chip_broken_rules |= latency < chip_wait_states_needed ? 1u : 0u;
        *cfgr = *cr & 1u << 25 ? (*cfgr & ~12u) | 8u : *cfgr;
    } else {
        *cfgr &= ~12u;
    }
    *chip_cell(0xE0001004u) += chip_works & DWT_COUNTS && *chip_cell(0xE0001000u) & 1u ? 3u : 0u;
    *chip_cell(0x40000024u) += chip_works & TIM2_COUNTS && *chip_cell(0x40000000u) & 1u ? 2u : 0u;
    *chip_cell(0xE000E018u) -= chip_works & SYSTICK_COUNTS && *chip_cell(0xE000E010u) & 1u ? 5u : 0u;
    *chip_cell(0xE000E018u) &= 0xFFFFFFu;
    if (!(chip_works & DWT_COUNTS)) {
        *chip_cell(0xE0001004u) = 0u;
    }
    return chip_cell(address);
}
