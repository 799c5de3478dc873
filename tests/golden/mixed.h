/* mixed: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 100 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3 to 3, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets MIXED_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct mixed`.
 */
#ifndef MIXED_H
#define MIXED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIXED_N_OBS 2
#define MIXED_N_ACT 1
#define MIXED_RATE_HZ 100.0f
#define MIXED_LATENCY_S 0.0f /* the delay assumed in training */
#define MIXED_STATE_BYTES 4 /* the leading bytes of the struct */
#define MIXED_REJECTED 1u /* status bit: an observation was not finite */
#define MIXED_CONTRACT_HASH "51573ac28b0bade8abb874b594f9a9dd19c1a13debf768287bd8796ce6572bc3"
#define MIXED_GRAPH_HASH "4b2dce1c1d4cd3d28205da155da7285d0ff0b285703f3a6a39d37c91d36d70ed"
/* For a firmware to print: tools find it in the finished image. */
#define MIXED_IDENTITY "tinyctl unit mixed 2 1 " MIXED_CONTRACT_HASH " " MIXED_GRAPH_HASH

struct mixed {
    float applied[1]; /* the action last applied */
    union {
        uint32_t word[4];
        float f32[4];
        int16_t i16[8];
        int8_t i8[16];
    } work0;
    union {
        uint32_t word[4];
        float f32[4];
        int16_t i16[8];
        int8_t i8[16];
    } work1;
};

/* Probes: every value that a node returns, after the node has run: TINYCTL_PROBE(number of the node, value). Nothing by
 * default. MIXED_PROBES=1 keeps the latest in mixed_probes, 2 calls mixed_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 2
 *   1: screen_encode, 2
 *   2: a, 3
 *   3: a_requantize, 3
 *   4: b, 3
 *   5: b_decode, 3
 *   6: c, 1
 *   7: clip, 1
 */
#ifndef MIXED_PROBES
#define MIXED_PROBES 0
#endif
#if MIXED_PROBES == 1
#define MIXED_PROBE_ROOM 32u /* a whole step */
struct mixed_probe {
    uint32_t id;
    float value;
};
struct mixed_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % MIXED_PROBE_ROOM */
    struct mixed_probe entry[MIXED_PROBE_ROOM];
};
extern struct mixed_probe_ring mixed_probes;
#elif MIXED_PROBES == 2
void mixed_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void mixed_init(struct mixed *s);

/* Back to the initial state, for a new flight or a hand-over. */
void mixed_reset(struct mixed *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t mixed_step(struct mixed *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void mixed_set_applied(struct mixed *s, const float act[1]);

/* In mixed_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c. */
uint32_t mixed_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
