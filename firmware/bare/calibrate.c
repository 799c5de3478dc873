/* Calibration: no controller, but micro-benchmarks behind the link, each counted cold and warm. */
#include "calibrate.h"
#include "firmware.h"
#include "registers.h"
#include "serve.h"

#define RUNS 8u

static const char no_contract[] = "0000000000000000000000000000000000000000000000000000000000000000";

static uint32_t measure(uint32_t number, uint8_t *body)
{
    static uint32_t ram[16] __attribute__((aligned(64)));
    uint32_t least = 0xFFFFFFFFu;

    mask_interrupts();
    for (uint32_t i = 0; i < RUNS; i++) {
        const uint32_t begin = tinyctl_counter_read();
        tinyctl_benchmarks[number](ram, tinyctl_mb_table);
        const uint32_t count = tinyctl_counter_since(begin);
        least = count < least ? count : least;
        if (i == 0u) {
            tinyctl_put_u32(body, count);
        }
    }
    unmask_interrupts();
    tinyctl_put_u32(body + 4, least);
    return 8u;
}

static uint32_t answer(const struct tinyctl_frame *request, uint8_t *body)
{
    if (request->kind != TINYCTL_MEASURE) {
        return TINYCTL_REFUSED + TINYCTL_UNKNOWN_KIND;
    }
    if (request->length != 4u || tinyctl_get_u32(request->body) >= tinyctl_n_benchmarks) {
        return TINYCTL_REFUSED + TINYCTL_BAD_LENGTH;
    }
    return measure(tinyctl_get_u32(request->body), body);
}

int main(void)
{
    const struct tinyctl_service service = {no_contract, tinyctl_benchmarks_hash, 0u, 0u, answer};

    tinyctl_clock_start();
    tinyctl_counter_start(1);
    tinyctl_loop.phase = TINYCTL_RUNNING;
    tinyctl_serve(&service);
    return 0;
}
