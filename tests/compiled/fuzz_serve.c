/* A board behind the link, fed with any bytes and with well-formed frames of any content: it answers in good frames, and
 * serves nothing before a greeting with its own hashes. */
#include "firmware.h"
#include "serve.h"
#include "tinyctl_board.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tinyctl_clock tinyctl_clock;
volatile struct tinyctl_loop tinyctl_loop;
volatile struct tinyctl_fault_record tinyctl_fault_record;
uint32_t tinyctl_counter, tinyctl_counter_hz, tinyctl_counter_overhead;

static uint8_t stream[1 << 16];
static uint32_t stream_length, stream_at;
static uint32_t greetings;
static uint8_t held[TINYCTL_FRAME_BYTES(TINYCTL_MAX_BODY)];
static struct tinyctl_decoder replies;

void tinyctl_link_start(void) {}
void tinyctl_link_end(void) {}

uint32_t tinyctl_link_read(uint8_t *to, uint32_t limit)
{
    const uint32_t left = stream_length - stream_at, count = left < limit ? left : limit;
    memcpy(to, stream + stream_at, count);
    stream_at += count;
    return count;
}

void tinyctl_link_write(const uint8_t *from, uint32_t count)
{
    struct tinyctl_frame frame = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (tinyctl_decode(&replies, from[i], &frame) == TINYCTL_BAD) {
            abort();
        }
    }
    if (count == 0u || from[count - 1u] != 0u || !(frame.kind & TINYCTL_REPLY)) {
        abort();
    }
}

static uint32_t answer(const struct tinyctl_frame *request, uint8_t *body)
{
    if (greetings == 0u) { /* no greeting has been in the stream at all */
        abort();
    }
    memset(body, 0x5a, TINYCTL_MAX_BODY);
    return request->length % 3u == 2u ? TINYCTL_REFUSED + TINYCTL_BAD_LENGTH : request->length % TINYCTL_MAX_BODY;
}

/* Records of the input: a choice, then raw bytes, or the parts of a frame. */
static void fill(const uint8_t *data, size_t size)
{
    static const uint8_t other_hashes[TINYCTL_HELLO_BYTES];
    const struct tinyctl_frame stranger = {TINYCTL_HELLO, sizeof other_hashes, 0u, other_hashes};
    uint32_t sequence = 0u;
    stream_at = greetings = 0u;
    stream_length = tinyctl_encode(&stranger, stream); /* whoever was greeted in the run before is forgotten */
    while (size >= 4u && stream_length < sizeof stream / 2u) {
        const uint8_t choice = data[0] & 3u, length = data[1] < size - 4u ? data[1] : (uint8_t)(size - 4u);
        uint8_t hashes[TINYCTL_HELLO_BYTES];
        struct tinyctl_frame frame = {data[2], length, sequence += data[3], data + 4};
        for (uint32_t i = 0; i < sizeof hashes; i++) {
            hashes[i] = (uint8_t)(0x11u * (i % 16u));
        }
        if (choice == 0u) {
            memcpy(stream + stream_length, data + 4, length);
            stream_length += length;
        } else if (choice == 1u) {
            frame.kind = TINYCTL_HELLO;
            frame.length = sizeof hashes;
            frame.body = hashes;
            greetings++;
            stream_length += tinyctl_encode(&frame, stream + stream_length);
        } else {
            stream_length += tinyctl_encode(&frame, stream + stream_length);
        }
        data += 4u + length;
        size -= 4u + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tinyctl_service service = {HASH, HASH, 3u, 1u, answer};
    tinyctl_loop.phase = TINYCTL_RUNNING;
    fill(data, size);
    tinyctl_decoder_start(&replies, held, sizeof held);
    tinyctl_serve(&service);
    return 0;
}
