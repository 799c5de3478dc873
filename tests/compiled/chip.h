/* An STM32F4 as far as clock and counters go, for the host: every access to a register first lets the chip react. */
#ifndef CHIP_H
#define CHIP_H
#include <stdint.h>

volatile uint32_t *chip_register(uint32_t address);
#define REGISTER(address) (*chip_register(address))

#endif
