/* The link of the virtual board: two files of the emulator's host, by semihosting (ARM's specification, release 2.0).
 *
 * Its breakpoint is a fault on a chip without a debugger, so no image with this file is ever flashed.
 */
#include "firmware.h"

#define SYS_OPEN 0x01u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_EXIT_EXTENDED 0x20u
#define OPEN_READ 1u  /* "rb" */
#define OPEN_WRITE 5u /* "wb" */
#define STOPPED_BY_EXIT 0x20026u

static uint32_t from_host, to_host;

static uint32_t call(uint32_t operation, const uint32_t *parameters)
{
    register uint32_t r0 __asm("r0") = operation;
    register const uint32_t *r1 __asm("r1") = parameters;
    __asm volatile("bkpt #0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t open_file(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t parameters[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return call(SYS_OPEN, parameters);
}

void tinyctl_link_start(void)
{
    from_host = open_file("to_board", 8u, OPEN_READ);
    to_host = open_file("from_board", 10u, OPEN_WRITE);
}

uint32_t tinyctl_link_read(uint8_t *to, uint32_t limit)
{
    const uint32_t parameters[3] = {from_host, (uint32_t)(uintptr_t)to, limit};
    const uint32_t left = call(SYS_READ, parameters);
    return left > limit ? 0u : limit - left;
}

void tinyctl_link_write(const uint8_t *from, uint32_t count)
{
    while (count > 0u) {
        const uint32_t parameters[3] = {to_host, (uint32_t)(uintptr_t)from, count};
        const uint32_t left = call(SYS_WRITE, parameters);
        if (left >= count) { /* nobody reads any more */
            tinyctl_link_end();
        }
        from += count - left;
        count = left;
    }
}

void tinyctl_link_end(void)
{
    const uint32_t parameters[2] = {STOPPED_BY_EXIT, 0u};
    (void)call(SYS_EXIT_EXTENDED, parameters);
}
