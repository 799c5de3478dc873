/* tiny_f32: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 50 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3.5 to 3.5, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0.5
 *   (state)  torque: N m, -1 to 1, last applied, at first 0.25
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets TINY_F32_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct tiny_f32`.
 */
#ifndef TINY_F32_H
#define TINY_F32_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_F32_N_OBS 2
#define TINY_F32_N_ACT 1
#define TINY_F32_RATE_HZ 50.0f
#define TINY_F32_LATENCY_S 0.0f /* the delay assumed in training */
#define TINY_F32_STATE_BYTES 12 /* the leading bytes of the struct */
#define TINY_F32_REJECTED 1u /* status bit: an observation was not finite */
#define TINY_F32_CONTRACT_HASH "85f40afb4f79a782e480eabdef785fdc62cf7116e5ec29f230d2e000d204067f"
#define TINY_F32_GRAPH_HASH "0ea843e253a4b577eb1ebc90a4d09f322e3587bf158ac83d25cbdb9708d9965c"
/* For a firmware to print: tools find it in the finished image. */
#define TINY_F32_IDENTITY "tinyctl unit tiny_f32 2 1 " TINY_F32_CONTRACT_HASH " " TINY_F32_GRAPH_HASH

struct tiny_f32 {
    float applied[1]; /* the action last applied */
    float lag_y[1];
    float integral_s[1];
    union {
        uint32_t word[8];
        float f32[8];
    } work0;
    union {
        uint32_t word[4];
        float f32[4];
    } work1;
};

/* Probes: every value that a node returns, after the node has run: TINYCTL_PROBE(number of the node, value). Nothing by
 * default. TINY_F32_PROBES=1 keeps the latest in tiny_f32_probes, 2 calls tiny_f32_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 3
 *   1: lag, 4
 *   2: integral, 5
 *   3: scale, 5
 *   4: hidden, 4
 *   5: tanh, 4
 *   6: out, 1
 *   7: clip, 1
 */
#ifndef TINY_F32_PROBES
#define TINY_F32_PROBES 0
#endif
#if TINY_F32_PROBES == 1
#define TINY_F32_PROBE_ROOM 32u /* a whole step */
struct tiny_f32_probe {
    uint32_t id;
    float value;
};
struct tiny_f32_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % TINY_F32_PROBE_ROOM */
    struct tiny_f32_probe entry[TINY_F32_PROBE_ROOM];
};
extern struct tiny_f32_probe_ring tiny_f32_probes;
#elif TINY_F32_PROBES == 2
void tiny_f32_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void tiny_f32_init(struct tiny_f32 *s);

/* Back to the initial state, for a new flight or a hand-over. */
void tiny_f32_reset(struct tiny_f32 *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t tiny_f32_step(struct tiny_f32 *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void tiny_f32_set_applied(struct tiny_f32 *s, const float act[1]);

/* In tiny_f32_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c. */
uint32_t tiny_f32_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
