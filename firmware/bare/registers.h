/* Registers that every Cortex-M has, and the few instructions that C has no words for. Sources: ARM DDI 0403 (ARMv7-M)
 * B3, ARM DDI 0419 (ARMv6-M) B3. */
#ifndef TINYCTL_REGISTERS_H
#define TINYCTL_REGISTERS_H
#include <stdint.h>

#ifndef REGISTER /* the tests bring their own */
#define REGISTER(address) (*(volatile uint32_t *)(address))
#endif

#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define NVIC_ISER(n) REGISTER(0xE000E100u + 4u * (n))
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_HFSR REGISTER(0xE000ED2Cu)
#define SCB_BFAR REGISTER(0xE000ED38u)
#define SCB_CPACR REGISTER(0xE000ED88u)

static inline void mask_interrupts(void) { __asm volatile("cpsid i" ::: "memory"); }
static inline void unmask_interrupts(void) { __asm volatile("cpsie i\n\tisb" ::: "memory"); }
static inline void wait_for_interrupt(void) { __asm volatile("wfi" ::: "memory"); }

#endif
