/* What the parts of the bare firmware offer each other; each group is the file named above it. */
#ifndef TINYCTL_FIRMWARE_H
#define TINYCTL_FIRMWARE_H
#include "tinyctl_image.h"

/* fault.c: stop the actuators, keep what is known of the fault, report it, and wait for the watchdog. */
struct tinyctl_fault_record {
    uint32_t exception; /* number: ARM DDI 0403, B1.5.2 */
    uint32_t pc;        /* where it happened; 0 where the stack could not be read */
    uint32_t lr;
    uint32_t cfsr; /* which rule was broken: ARM DDI 0403, B3.2.15; these three are 0 on ARMv6-M */
    uint32_t hfsr;
    uint32_t address; /* of a bus fault whose address is known */
};
extern volatile struct tinyctl_fault_record tinyctl_fault_record;
void tinyctl_fault(void);
void tinyctl_halt(void) __attribute__((noreturn));

/* hooks.c: the hardware around the controller. These do nothing; your own definitions take their place. */
void tinyctl_sensors_read(float *observation);
void tinyctl_actuators_apply(const float *action);
void tinyctl_actuators_stop(void); /* called with a fault, from its handler: touch registers, wait for nothing */
void tinyctl_report_fault(void);   /* after that, where there is a link to tell */

/* clock_reset.c, clock_stm32f4.c: bring the core to its clock. Every wait has an end; `source` says what came of it. */
enum tinyctl_clock_source { TINYCTL_CLOCK_RESET = 0, TINYCTL_CLOCK_CRYSTAL = 1, TINYCTL_CLOCK_INTERNAL = 2 };
struct tinyctl_clock {
    uint32_t source;
    uint32_t hz;
    uint32_t apb1_hz, apb2_hz; /* of the peripherals; 0 where unknown */
};
extern struct tinyctl_clock tinyctl_clock;
void tinyctl_clock_start(void);

/* timer.c: SysTick, one tick or more a control period. */
extern volatile uint32_t tinyctl_ticks;
void tinyctl_tick(void);
void tinyctl_timer_start(const struct tinyctl_period *period);

/* cycles.c: what counts a step. A difference of two readings, less the overhead, is the count. */
enum tinyctl_counter { TINYCTL_NO_COUNTER = 0, TINYCTL_DWT = 1, TINYCTL_TIM2 = 2, TINYCTL_SYSTICK = 3 };
extern uint32_t tinyctl_counter, tinyctl_counter_hz, tinyctl_counter_overhead;
void tinyctl_counter_start(int may_use_systick);
uint32_t tinyctl_counter_read(void);
uint32_t tinyctl_counter_since(uint32_t begin);

/* watchdog_stm32f4.c: resets the chip when not fed in time. */
#ifdef TINYCTL_STM32F4
void tinyctl_watchdog_start(void);
void tinyctl_watchdog_feed(void);
#else
static inline void tinyctl_watchdog_start(void) {}
static inline void tinyctl_watchdog_feed(void) {}
#endif

/* link_semihosting.c, link_usart.c: bytes to and from the host. */
void tinyctl_link_start(void);
uint32_t tinyctl_link_read(uint8_t *to, uint32_t limit); /* at least one byte; 0: the host has gone */
void tinyctl_link_write(const uint8_t *from, uint32_t count);
void tinyctl_link_end(void); /* after the host has gone */
void tinyctl_usart_received(void);

#endif
