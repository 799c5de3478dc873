/* Frames in, frames out: a request is answered once, and a repeated one with the same reply. */
#include "serve.h"
#include "firmware.h"
#include "tinyctl_board.h"

static uint8_t received[TINYCTL_FRAME_BYTES(TINYCTL_MAX_BODY)];
static uint8_t body[TINYCTL_MAX_BODY];
static uint8_t wire[TINYCTL_WIRE_BYTES(TINYCTL_MAX_BODY)];
static uint8_t greeting[TINYCTL_HELLO_BYTES]; /* both hashes as bytes */
static int greeted;
static int serving; /* the link is up: a fault can be told */

static void send(uint8_t kind, uint32_t sequence, const uint8_t *from, uint32_t length)
{
    const struct tinyctl_frame frame = {kind, (uint16_t)length, sequence, from};
    tinyctl_link_write(wire, tinyctl_encode(&frame, wire));
}

static void send_error(enum tinyctl_reason reason, uint32_t sequence)
{
    const uint8_t error[4] = {(uint8_t)reason};
    send(TINYCTL_ERROR, sequence, error, sizeof error);
}

void tinyctl_report_fault(void)
{
    const volatile struct tinyctl_fault_record *const f = &tinyctl_fault_record;
    const uint32_t words[6] = {f->exception, f->pc, f->lr, f->cfsr, f->hfsr, f->address};
    uint8_t told[4u + sizeof words] = {TINYCTL_FAILED};
    for (uint32_t i = 0; i < 6u; i++) {
        tinyctl_put_u32(told + 4u + 4u * i, words[i]);
    }
    if (serving) {
        static const uint8_t end = 0u; /* whatever was being sent is over */
        tinyctl_link_write(&end, 1u);
        send(TINYCTL_ERROR, 0u, told, sizeof told);
    }
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void put_hash(uint8_t *to, const char *hexadecimal)
{
    for (uint32_t i = 0; i < 32u; i++) {
        to[i] = (uint8_t)(digit(hexadecimal[2u * i]) << 4 | digit(hexadecimal[2u * i + 1u]));
    }
}

static uint32_t hello(const struct tinyctl_service *service, const struct tinyctl_frame *request)
{
    if (request->length != TINYCTL_HELLO_BYTES) {
        return TINYCTL_REFUSED + TINYCTL_BAD_LENGTH;
    }
    greeted = 1;
    for (uint32_t i = 0; i < TINYCTL_HELLO_BYTES; i++) {
        greeted &= request->body[i] == greeting[i];
        body[i] = greeting[i];
    }
    tinyctl_put_u32(body + 64, service->n_obs | (uint32_t)service->n_act << 16);
    tinyctl_put_u32(body + 68, tinyctl_clock.hz);
    tinyctl_put_u32(body + 72, tinyctl_counter_hz);
    tinyctl_put_u32(body + 76, tinyctl_counter | tinyctl_clock.source << 8 | tinyctl_loop.phase << 16);
    return TINYCTL_HELLO_REPLY_BYTES;
}

static uint32_t answer(const struct tinyctl_service *service, const struct tinyctl_frame *request)
{
    if (request->kind == TINYCTL_HELLO) {
        return hello(service, request);
    }
    return tinyctl_loop.phase == TINYCTL_RUNNING ? service->answer(request, body) : TINYCTL_REFUSED + TINYCTL_FAILED;
}

static void take(const struct tinyctl_service *service, const struct tinyctl_frame *request)
{
    static uint32_t last, length;
    static uint8_t kind;

    if (!greeted && request->kind != TINYCTL_HELLO) { /* also after a restart, which the host has to notice */
        send_error(TINYCTL_MISMATCH, request->sequence);
        return;
    }
    if (request->kind == TINYCTL_HELLO || request->sequence == last + 1u) {
        kind = request->kind;
        last = request->sequence;
        length = answer(service, request);
    } else if (request->sequence != last || request->kind != kind) {
        send_error(TINYCTL_BAD_SEQUENCE, request->sequence);
        return;
    }
    if (length >= TINYCTL_REFUSED) {
        send_error((enum tinyctl_reason)(length - TINYCTL_REFUSED), last);
    } else {
        send(kind | TINYCTL_REPLY, last, body, length);
    }
}

void tinyctl_serve(const struct tinyctl_service *service)
{
    struct tinyctl_decoder decoder;
    struct tinyctl_frame frame = {0};
    uint8_t chunk[64];
    uint32_t count;

    put_hash(greeting, service->contract_hash);
    put_hash(greeting + 32, service->graph_hash);
    tinyctl_decoder_start(&decoder, received, sizeof received);
    tinyctl_link_start();
    serving = 1;
    while ((count = tinyctl_link_read(chunk, sizeof chunk)) > 0u) {
        for (uint32_t i = 0; i < count; i++) {
            switch (tinyctl_decode(&decoder, chunk[i], &frame)) {
            case TINYCTL_GOOD: take(service, &frame); break;
            case TINYCTL_BAD: send_error(TINYCTL_BAD_FRAME, 0u); break;
            default: break;
            }
        }
    }
    tinyctl_link_end();
}
