/* Hardware in the loop: the controller behind the link, stepped when the host says so. */
#include "firmware.h"
#include "registers.h"
#include "serve.h"

/* Bodies are copied to and from words: a float in a frame stands at any address. */
union bits {
    uint32_t word;
    float value;
};

static void get_floats(float *to, const uint8_t *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = (union bits){.word = tinyctl_get_u32(from + 4u * i)}.value;
    }
}

static void put_floats(uint8_t *to, const float *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        tinyctl_put_u32(to + 4u * i, (union bits){.value = from[i]}.word);
    }
}

static uint32_t step(uint8_t *body)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;

    tinyctl_watchdog_feed();
    mask_interrupts();
    const uint32_t begin = tinyctl_counter_read();
    const uint32_t status = d->calls.step(d->self, d->observation, d->action);
    const uint32_t count = tinyctl_counter_since(begin);
    unmask_interrupts();
    tinyctl_loop.steps++;
    tinyctl_put_u32(body, status);
    tinyctl_put_u32(body + 4, count);
    put_floats(body + 8, d->action, d->n_act);
    return 8u + 4u * d->n_act;
}

static uint32_t answer(const struct tinyctl_frame *request, uint8_t *body)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;
    const uint32_t floats = request->kind == TINYCTL_STEP      ? d->n_obs
                            : request->kind == TINYCTL_APPLIED ? d->n_act
                                                               : 0u;
    if (request->length != 4u * floats) {
        return TINYCTL_REFUSED + TINYCTL_BAD_LENGTH;
    }
    switch (request->kind) {
    case TINYCTL_RESET: d->calls.init(d->self); return 0u;
    case TINYCTL_STEP: get_floats(d->observation, request->body, d->n_obs); return step(body);
    case TINYCTL_APPLIED:
        get_floats(d->action, request->body, d->n_act);
        d->calls.set_applied(d->self, d->action);
        return 0u;
    default: return TINYCTL_REFUSED + TINYCTL_UNKNOWN_KIND;
    }
}

int main(void)
{
    const struct tinyctl_descriptor *const d = &tinyctl_descriptor;
    const struct tinyctl_service service = {d->contract_hash, d->graph_hash, (uint16_t)d->n_obs, (uint16_t)d->n_act,
                                            answer};
    tinyctl_clock_start();
    tinyctl_counter_start(1);
    d->calls.init(d->self);
    tinyctl_loop.phase = d->calls.selftest() == 0u ? TINYCTL_RUNNING : TINYCTL_SELFTEST_FAILED;
    if (tinyctl_counter != TINYCTL_SYSTICK) { /* its ticks wake the wait for bytes, which feeds the watchdog */
        tinyctl_timer_start(&tinyctl_periods[tinyctl_clock.source != TINYCTL_CLOCK_RESET]);
        tinyctl_watchdog_start();
    }
    tinyctl_serve(&service);
    return 0;
}
