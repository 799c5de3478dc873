/* Any stream of bytes into the decoder; a frame that it accepts is encoded, decoded and compared. */
#include "protocol.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* On the heap and of the exact size, so that one byte too many is seen. */
    uint8_t *const held = malloc(SIZE), *const again = malloc(SIZE), *const wire = malloc(TINYCTL_WIRE_BYTES(SIZE));
    struct tinyctl_decoder d, second;
    struct tinyctl_frame frame = {0}, copy = {0};
    if (!held || !again || !wire) {
        abort();
    }
    tinyctl_decoder_start(&d, held, SIZE);
    for (size_t i = 0; i < size; i++) {
        if (tinyctl_decode(&d, data[i], &frame) != TINYCTL_GOOD) {
            continue;
        }
        const uint32_t count = tinyctl_encode(&frame, wire);
        if (count > TINYCTL_WIRE_BYTES(frame.length) || wire[count - 1u] != 0u || memchr(wire, 0, count - 1u)) {
            abort();
        }
        enum tinyctl_found found = TINYCTL_NOTHING;
        tinyctl_decoder_start(&second, again, SIZE);
        for (uint32_t k = 0; k < count; k++) {
            found = tinyctl_decode(&second, wire[k], &copy);
        }
        if (found != TINYCTL_GOOD || copy.kind != frame.kind || copy.length != frame.length ||
            copy.sequence != frame.sequence || memcmp(copy.body, frame.body, frame.length) != 0) {
            abort();
        }
    }
    free(held);
    free(again);
    free(wire);
    return 0;
}
