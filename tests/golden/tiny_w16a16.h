/* tiny: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 50 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3.5 to 3.5, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0.5
 *   (state)  torque: N m, -1 to 1, last applied, at first 0.25
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets TINY_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct tiny`.
 */
#ifndef TINY_H
#define TINY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_N_OBS 2
#define TINY_N_ACT 1
#define TINY_RATE_HZ 50.0f
#define TINY_LATENCY_S 0.0f /* the delay assumed in training */
#define TINY_STATE_BYTES 12 /* the leading bytes of the struct */
#define TINY_REJECTED 1u /* status bit: an observation was not finite */
#define TINY_CONTRACT_HASH "85f40afb4f79a782e480eabdef785fdc62cf7116e5ec29f230d2e000d204067f"
#define TINY_GRAPH_HASH "a5941e1bcc9e3b93f92097e21ab85a9f2456c3a6a72e42609831fc421ae44bf4"

struct tiny {
    float applied[1]; /* the action last applied */
    float lag_y[1];
    float integral_s[1];
    union {
        uint32_t word[5];
        float f32[5];
        int16_t i16[4];
    } work0;
    union {
        uint32_t word[3];
        int16_t i16[6];
    } work1;
};

/* Before the first step. */
void tiny_init(struct tiny *s);

/* Back to the initial state, for a new flight or a hand-over. */
void tiny_reset(struct tiny *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t tiny_step(struct tiny *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void tiny_set_applied(struct tiny *s, const float act[1]);

/* In tiny_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c. */
uint32_t tiny_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
