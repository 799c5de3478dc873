/* Registers of the STM32F4 that this firmware uses. RM0090: memory map in section 2.3, each peripheral in its chapter. */
#ifndef TINYCTL_STM32F4_H
#define TINYCTL_STM32F4_H
#include "registers.h"

#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u) /* bit n: GPIO port n */
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define APB1_TIM2 (1u << 0)
#define APB1_PWR (1u << 28)

#define FLASH_ACR REGISTER(0x40023C00u)
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CSR REGISTER(0x40007004u)

#define TIM2_CR1 REGISTER(0x40000000u)
#define TIM2_EGR REGISTER(0x40000014u)
#define TIM2_CNT REGISTER(0x40000024u)
#define TIM2_PSC REGISTER(0x40000028u)
#define TIM2_ARR REGISTER(0x4000002Cu)

#define IWDG_KR REGISTER(0x40003000u)
#define IWDG_PR REGISTER(0x40003004u)
#define IWDG_RLR REGISTER(0x40003008u)

#define GPIO_MODER(port) REGISTER(0x40020000u + 0x400u * (port))
#define GPIO_PUPDR(port) REGISTER(0x4002000Cu + 0x400u * (port))
#define GPIO_AFR(port, pin) REGISTER(0x40020020u + 0x400u * (port) + 4u * ((pin) / 8u))

#define USART_SR(base) REGISTER((base) + 0x00u)
#define USART_DR(base) REGISTER((base) + 0x04u)
#define USART_BRR(base) REGISTER((base) + 0x08u)
#define USART_CR1(base) REGISTER((base) + 0x0Cu)

#endif
