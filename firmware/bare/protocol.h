/* The link's protocol, the same code on the host and on the board. docs/protocol.md has the byte tables.
 *
 * On the wire a frame is the COBS code of its bytes, closed by a zero: zero is nowhere else, so a receiver that lost its
 * place finds it again at the next one. Its bytes are
 *
 *     version u8, kind u8, length of the body u16, sequence u32, body, CRC-16 of all that u16
 *
 * little-endian, whatever the machine. A body is copied to where it can be read as words: casting a pointer into a frame
 * would be an unaligned access, on which VLDR faults.
 */
#ifndef TINYCTL_PROTOCOL_H
#define TINYCTL_PROTOCOL_H
#include <stdint.h>

#define TINYCTL_PROTOCOL_VERSION 1u
#define TINYCTL_HEADER_BYTES 8u
#define TINYCTL_CRC_BYTES 2u
#define TINYCTL_FRAME_BYTES(body) (TINYCTL_HEADER_BYTES + (body) + TINYCTL_CRC_BYTES)
/* COBS (Cheshire and Baker 1999) adds a byte for every 254 begun, and the zero closes the frame. */
#define TINYCTL_WIRE_BYTES(body) (TINYCTL_FRAME_BYTES(body) + TINYCTL_FRAME_BYTES(body) / 254u + 2u)

/* Kinds of frames. A reply has the kind of its request and bit 7. */
enum tinyctl_kind {
    TINYCTL_HELLO = 1,   /* contract hash, graph hash: both sides name what they expect */
    TINYCTL_RESET = 2,   /* the controller back to its start */
    TINYCTL_STEP = 3,    /* observation: action, status word, count of the step */
    TINYCTL_APPLIED = 4, /* the action that was applied instead of the one returned */
    TINYCTL_MEASURE = 5, /* number of a micro-benchmark: its counts */
    TINYCTL_REPLY = 0x80,
    TINYCTL_ERROR = 0xFF /* a reason; from the board only */
};

enum tinyctl_reason {
    TINYCTL_BAD_FRAME = 1,    /* code, CRC, version or length of a frame: send it again */
    TINYCTL_BAD_LENGTH = 2,   /* a body that does not fit its kind */
    TINYCTL_UNKNOWN_KIND = 3,
    TINYCTL_BAD_SEQUENCE = 4, /* neither the frame after the last one nor the last one again */
    TINYCTL_MISMATCH = 5,     /* no greeting yet, or one with other hashes */
    TINYCTL_FAILED = 6        /* self-test failed, or a fault: the body goes on with what is known of it */
};

/* CRC-16/IBM-3740, also called CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, nothing reflected, no final exclusive
 * or; 0x29B1 for the ASCII digits 1 to 9. */
uint16_t tinyctl_crc16(uint16_t crc, uint8_t byte);

struct tinyctl_frame {
    uint8_t kind;
    uint16_t length;
    uint32_t sequence;
    const uint8_t *body;
};

/* Write a frame to `wire`, which holds TINYCTL_WIRE_BYTES(length) bytes; returns how many were written. */
uint32_t tinyctl_encode(const struct tinyctl_frame *frame, uint8_t *wire);

/* Takes frames from a stream of bytes. `bytes` holds `size` of a frame without its code. */
struct tinyctl_decoder {
    uint8_t *bytes;
    uint32_t size;
    uint32_t count;
    uint8_t left;   /* bytes until the next code byte */
    uint8_t begun;  /* a code byte has been read */
    uint8_t zero;   /* a zero stands before the next block */
    uint8_t broken; /* longer than `size` */
};

enum tinyctl_found { TINYCTL_NOTHING = 0, TINYCTL_GOOD = 1, TINYCTL_BAD = 2 };

void tinyctl_decoder_start(struct tinyctl_decoder *d, uint8_t *bytes, uint32_t size);

/* Take one byte. TINYCTL_GOOD: `frame` is complete, its body in the decoder's bytes until the next call. TINYCTL_BAD: a
 * frame ended that is to be ignored. Zeros between frames are nothing. */
enum tinyctl_found tinyctl_decode(struct tinyctl_decoder *d, uint8_t byte, struct tinyctl_frame *frame);

uint32_t tinyctl_get_u32(const uint8_t *from);
void tinyctl_put_u32(uint8_t *to, uint32_t value);

#endif
