/* What must be in RAM before C runs, as the linker script says: data, the unit's constants where they have a place of
 * their own, and zeros. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

/* Arrays, because a compiler may take two objects to have different addresses, and the sections between these can be
 * empty. */
extern uint32_t tinyctl_data_begin[], tinyctl_data_end[];
extern const uint32_t tinyctl_data_source[];
extern uint32_t tinyctl_constants_begin[], tinyctl_constants_end[];
extern const uint32_t tinyctl_constants_source[];
extern uint32_t tinyctl_bss_begin[], tinyctl_bss_end[];

static inline void tinyctl_copy(volatile uint32_t *to, const volatile uint32_t *end, const volatile uint32_t *from)
{
    while (to < end) {
        *to++ = *from++;
    }
}

static inline void tinyctl_fill_memory(void)
{
    tinyctl_copy(tinyctl_data_begin, tinyctl_data_end, tinyctl_data_source);
    tinyctl_copy(tinyctl_constants_begin, tinyctl_constants_end, tinyctl_constants_source);
    for (volatile uint32_t *to = tinyctl_bss_begin; to < tinyctl_bss_end; to++) {
        *to = 0u;
    }
}

#endif
