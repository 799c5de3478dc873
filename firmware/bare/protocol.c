/* Frames of the link: CRC, COBS, and the check of all that a frame says of itself. */
#include "protocol.h"

/* Eight steps of the shift register at once, for polynomial 0x1021: x^16 = x^12 + x^5 + 1 applied to the byte shifted
 * out, whose upper half meets itself again in bits 12 to 15. */
uint16_t tinyctl_crc16(uint16_t crc, uint8_t byte)
{
    uint32_t out = (uint32_t)(crc >> 8) ^ byte;
    out ^= out >> 4;
    return (uint16_t)(((uint32_t)crc << 8) ^ (out << 12) ^ (out << 5) ^ out);
}

uint32_t tinyctl_get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

void tinyctl_put_u32(uint8_t *to, uint32_t value)
{
    for (uint32_t i = 0; i < 4u; i++) {
        to[i] = (uint8_t)(value >> 8u * i);
    }
}

struct encoder {
    uint8_t *wire;
    uint32_t count;
    uint32_t code_at; /* where the length of the current block belongs */
    uint16_t crc;
};

static void close_block(struct encoder *e)
{
    e->wire[e->code_at] = (uint8_t)(e->count - e->code_at);
    e->code_at = e->count++;
}

static void put_byte(struct encoder *e, uint8_t byte)
{
    e->crc = tinyctl_crc16(e->crc, byte);
    if (e->count - e->code_at == 255u) { /* a full block: no zero stands behind it */
        close_block(e);
    }
    if (byte == 0u) {
        close_block(e);
    } else {
        e->wire[e->count++] = byte;
    }
}

uint32_t tinyctl_encode(const struct tinyctl_frame *frame, uint8_t *wire)
{
    uint8_t header[TINYCTL_HEADER_BYTES] = {TINYCTL_PROTOCOL_VERSION, frame->kind, (uint8_t)(frame->length & 0xFFu),
                                            (uint8_t)(frame->length >> 8)};
    tinyctl_put_u32(header + 4, frame->sequence);

    struct encoder e = {wire, 1u, 0u, 0xFFFFu};
    for (uint32_t i = 0; i < TINYCTL_HEADER_BYTES; i++) {
        put_byte(&e, header[i]);
    }
    for (uint32_t i = 0; i < frame->length; i++) {
        put_byte(&e, frame->body[i]);
    }
    const uint16_t crc = e.crc;
    put_byte(&e, (uint8_t)(crc & 0xFFu));
    put_byte(&e, (uint8_t)(crc >> 8));
    wire[e.code_at] = (uint8_t)(e.count - e.code_at);
    wire[e.count++] = 0u;
    return e.count;
}

void tinyctl_decoder_start(struct tinyctl_decoder *d, uint8_t *bytes, uint32_t size)
{
    d->bytes = bytes;
    d->size = size;
    d->count = 0u;
    d->left = 0u;
    d->begun = 0u;
    d->zero = 0u;
    d->broken = 0u;
}

static void append(struct tinyctl_decoder *d, uint8_t byte)
{
    if (d->count == d->size) {
        d->broken = 1u;
    } else {
        d->bytes[d->count++] = byte;
    }
}

static int is_good(const struct tinyctl_decoder *d)
{
    if (d->broken || d->left != 0u || d->count < TINYCTL_FRAME_BYTES(0u)) {
        return 0;
    }
    uint16_t crc = 0xFFFFu;
    for (uint32_t i = 0; i < d->count - TINYCTL_CRC_BYTES; i++) {
        crc = tinyctl_crc16(crc, d->bytes[i]);
    }
    const uint8_t *const end = d->bytes + d->count - TINYCTL_CRC_BYTES;
    const uint32_t length = d->bytes[2] | (uint32_t)d->bytes[3] << 8;
    return end[0] == (crc & 0xFFu) && end[1] == crc >> 8 && d->bytes[0] == TINYCTL_PROTOCOL_VERSION &&
           TINYCTL_FRAME_BYTES(length) == d->count;
}

enum tinyctl_found tinyctl_decode(struct tinyctl_decoder *d, uint8_t byte, struct tinyctl_frame *frame)
{
    if (byte != 0u) {
        if (d->left != 0u) {
            append(d, byte);
            d->left--;
            return TINYCTL_NOTHING;
        }
        if (d->zero) {
            append(d, 0u);
        }
        d->begun = 1u;
        d->left = (uint8_t)(byte - 1u);
        d->zero = byte != 255u;
        return TINYCTL_NOTHING;
    }
    const int begun = d->begun, good = is_good(d);
    if (good) {
        frame->kind = d->bytes[1];
        frame->length = (uint16_t)(d->bytes[2] | (uint32_t)d->bytes[3] << 8);
        frame->sequence = tinyctl_get_u32(d->bytes + 4);
        frame->body = d->bytes + TINYCTL_HEADER_BYTES;
    }
    tinyctl_decoder_start(d, d->bytes, d->size);
    return good ? TINYCTL_GOOD : begun ? TINYCTL_BAD : TINYCTL_NOTHING;
}
