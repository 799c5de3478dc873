/* The link of a board: a USART of the STM32F4, received by interrupt, sent by waiting. RM0090 chapters 8 and 30. */
#include "firmware.h"
#include "stm32f4.h"
#include "tinyctl_board.h"

#define SR_RECEIVED (1u << 5)
#define SR_OVERRUN (1u << 3)
#define SR_EMPTY (1u << 7)
#define CR1_ENABLE (1u << 13 | 1u << 5 | 1u << 3 | 1u << 2) /* USART, interrupt on reception, sender, receiver */
#define RING 4096u /* a power of two; more than a frame of most controllers */

static uint8_t ring[RING];
static volatile uint32_t head, tail; /* written by the interrupt; by the reader */

void tinyctl_usart_received(void)
{
    if (USART_SR(TINYCTL_USART) & (SR_RECEIVED | SR_OVERRUN)) {
        const uint8_t byte = (uint8_t)USART_DR(TINYCTL_USART); /* clears both flags */
        if (head - tail < RING) { /* when full, the byte is lost and the frame's CRC says so */
            ring[head % RING] = byte;
            head++;
        }
    }
}

static void connect_pin(uint32_t port, uint32_t pin)
{
    RCC_AHB1ENR |= 1u << port;
    GPIO_PUPDR(port) = (GPIO_PUPDR(port) & ~(3u << 2u * pin)) | 1u << 2u * pin; /* a line that hangs free reads as idle */
    GPIO_AFR(port, pin) = (GPIO_AFR(port, pin) & ~(15u << 4u * (pin % 8u))) | TINYCTL_USART_FUNCTION << 4u * (pin % 8u);
    GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << 2u * pin)) | 2u << 2u * pin;
}

void tinyctl_link_start(void)
{
    connect_pin(TINYCTL_USART_TX_PORT, TINYCTL_USART_TX_PIN);
    connect_pin(TINYCTL_USART_RX_PORT, TINYCTL_USART_RX_PIN);
    TINYCTL_USART_ENABLE_REGISTER |= 1u << TINYCTL_USART_ENABLE_BIT;
    USART_BRR(TINYCTL_USART) = (TINYCTL_USART_CLOCK_HZ + TINYCTL_USART_BAUD / 2u) / TINYCTL_USART_BAUD;
    USART_CR1(TINYCTL_USART) = CR1_ENABLE;
    NVIC_ISER(TINYCTL_USART_INTERRUPT / 32u) = 1u << TINYCTL_USART_INTERRUPT % 32u;
}

uint32_t tinyctl_link_read(uint8_t *to, uint32_t limit)
{
    mask_interrupts();
    while (head == tail) { /* masked, a byte between the comparison and WFI stays pending and wakes the core */
        wait_for_interrupt();
        unmask_interrupts();
        tinyctl_watchdog_feed();
        mask_interrupts();
    }
    unmask_interrupts();
    uint32_t count = 0u;
    while (count < limit && head != tail) {
        to[count++] = ring[tail % RING];
        tail++;
    }
    return count;
}

void tinyctl_link_write(const uint8_t *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        while (!(USART_SR(TINYCTL_USART) & SR_EMPTY)) {
        }
        USART_DR(TINYCTL_USART) = from[i];
    }
}

void tinyctl_link_end(void)
{
}
