/* narrow_weights: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 100 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3 to 3, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets NARROW_WEIGHTS_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct narrow_weights`.
 */
#ifndef NARROW_WEIGHTS_H
#define NARROW_WEIGHTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NARROW_WEIGHTS_N_OBS 2
#define NARROW_WEIGHTS_N_ACT 1
#define NARROW_WEIGHTS_RATE_HZ 100.0f
#define NARROW_WEIGHTS_LATENCY_S 0.0f /* the delay assumed in training */
#define NARROW_WEIGHTS_STATE_BYTES 4 /* the leading bytes of the struct */
#define NARROW_WEIGHTS_REJECTED 1u /* status bit: an observation was not finite */
#define NARROW_WEIGHTS_CONTRACT_HASH "51573ac28b0bade8abb874b594f9a9dd19c1a13debf768287bd8796ce6572bc3"
#define NARROW_WEIGHTS_GRAPH_HASH "956f33671f390bd74c7989a49de348fdf7824c62099953d1371642cbe4455636"
/* For a firmware to print: tools find it in the finished image. */
#define NARROW_WEIGHTS_IDENTITY "tinyctl unit narrow_weights 2 1 " NARROW_WEIGHTS_CONTRACT_HASH " " NARROW_WEIGHTS_GRAPH_HASH

struct narrow_weights {
    float applied[1]; /* the action last applied */
    union {
        uint32_t word[4];
        float f32[4];
        int16_t i16[8];
    } work0;
    union {
        uint32_t word[4];
        int16_t i16[8];
    } work1;
};

/* Probes: every value that a node returns, after the node has run: TINYCTL_PROBE(number of the node, value). Nothing by
 * default. NARROW_WEIGHTS_PROBES=1 keeps the latest in narrow_weights_probes, 2 calls narrow_weights_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 2
 *   1: screen_encode, 2
 *   2: a, 5
 *   3: fold, 5
 *   4: b, 1
 *   5: b_decode, 1
 *   6: clip, 1
 */
#ifndef NARROW_WEIGHTS_PROBES
#define NARROW_WEIGHTS_PROBES 0
#endif
#if NARROW_WEIGHTS_PROBES == 1
#define NARROW_WEIGHTS_PROBE_ROOM 32u /* a whole step */
struct narrow_weights_probe {
    uint32_t id;
    float value;
};
struct narrow_weights_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % NARROW_WEIGHTS_PROBE_ROOM */
    struct narrow_weights_probe entry[NARROW_WEIGHTS_PROBE_ROOM];
};
extern struct narrow_weights_probe_ring narrow_weights_probes;
#elif NARROW_WEIGHTS_PROBES == 2
void narrow_weights_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void narrow_weights_init(struct narrow_weights *s);

/* Back to the initial state, for a new flight or a hand-over. */
void narrow_weights_reset(struct narrow_weights *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t narrow_weights_step(struct narrow_weights *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void narrow_weights_set_applied(struct narrow_weights *s, const float act[1]);

/* The integer entry: the same controller without any float arithmetic, where the compiler has no FPU, or where
   NARROW_WEIGHTS_STEP_Q is defined as 1. An observation x in its signal's unit is given as

       obs_q[i] = x * OBS_Q_GAIN[i] + OBS_Q_OFFSET[i], rounded and held above INVALID_Q, within int16_t,

   so a sensor whose count c means x = c * LSB needs one product of c with the constant LSB * OBS_Q_GAIN[i]. An action is
   act_q[i] * ACT_Q_SCALE[i] in its signal's unit. NARROW_WEIGHTS_INVALID_Q says that there is no measurement, as a NaN does. The
   last action of each entry is its own: step a controller by one of the two. */
#ifndef NARROW_WEIGHTS_STEP_Q
#if (defined(__arm__) && !defined(__ARM_FP)) || (defined(__riscv) && !defined(__riscv_flen))
#define NARROW_WEIGHTS_STEP_Q 1
#else
#define NARROW_WEIGHTS_STEP_Q 0
#endif
#endif
#if NARROW_WEIGHTS_STEP_Q
#define NARROW_WEIGHTS_OBS_Q_GAIN { 10922.333f, 4095.875f }
#define NARROW_WEIGHTS_OBS_Q_OFFSET { 0.0f, 0.0f }
#define NARROW_WEIGHTS_ACT_Q_SCALE { 6.7113695e-05f }
#define NARROW_WEIGHTS_INVALID_Q (-32768)
uint32_t narrow_weights_step_q(struct narrow_weights *s, const int16_t obs_q[2], int16_t act_q[1]);
#endif

/* In narrow_weights_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c, 8 the integer entry's actions or status. */
uint32_t narrow_weights_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
