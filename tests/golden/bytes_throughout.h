/* bytes_throughout: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 100 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3 to 3, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets BYTES_THROUGHOUT_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct bytes_throughout`.
 */
#ifndef BYTES_THROUGHOUT_H
#define BYTES_THROUGHOUT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BYTES_THROUGHOUT_N_OBS 2
#define BYTES_THROUGHOUT_N_ACT 1
#define BYTES_THROUGHOUT_RATE_HZ 100.0f
#define BYTES_THROUGHOUT_LATENCY_S 0.0f /* the delay assumed in training */
#define BYTES_THROUGHOUT_STATE_BYTES 4 /* the leading bytes of the struct */
#define BYTES_THROUGHOUT_REJECTED 1u /* status bit: an observation was not finite */
#define BYTES_THROUGHOUT_CONTRACT_HASH "51573ac28b0bade8abb874b594f9a9dd19c1a13debf768287bd8796ce6572bc3"
#define BYTES_THROUGHOUT_GRAPH_HASH "feb526e6a60f3100d633bb26a3bce48acee1d98bc1d2c220a7056f1673a81321"
/* For a firmware to print: tools find it in the finished image. */
#define BYTES_THROUGHOUT_IDENTITY "tinyctl unit bytes_throughout 2 1 " BYTES_THROUGHOUT_CONTRACT_HASH " " BYTES_THROUGHOUT_GRAPH_HASH

struct bytes_throughout {
    float applied[1]; /* the action last applied */
    union {
        uint32_t word[4];
        float f32[4];
        int8_t i8[16];
    } work0;
    union {
        uint32_t word[4];
        int8_t i8[16];
    } work1;
};

/* Probes: every value that a node returns, after the node has run: TINYCTL_PROBE(number of the node, value). Nothing by
 * default. BYTES_THROUGHOUT_PROBES=1 keeps the latest in bytes_throughout_probes, 2 calls bytes_throughout_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 2
 *   1: screen_encode, 2
 *   2: a, 4
 *   3: bend, 4
 *   4: b, 1
 *   5: b_decode, 1
 *   6: clip, 1
 */
#ifndef BYTES_THROUGHOUT_PROBES
#define BYTES_THROUGHOUT_PROBES 0
#endif
#if BYTES_THROUGHOUT_PROBES == 1
#define BYTES_THROUGHOUT_PROBE_ROOM 16u /* a whole step */
struct bytes_throughout_probe {
    uint32_t id;
    float value;
};
struct bytes_throughout_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % BYTES_THROUGHOUT_PROBE_ROOM */
    struct bytes_throughout_probe entry[BYTES_THROUGHOUT_PROBE_ROOM];
};
extern struct bytes_throughout_probe_ring bytes_throughout_probes;
#elif BYTES_THROUGHOUT_PROBES == 2
void bytes_throughout_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void bytes_throughout_init(struct bytes_throughout *s);

/* Back to the initial state, for a new flight or a hand-over. */
void bytes_throughout_reset(struct bytes_throughout *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t bytes_throughout_step(struct bytes_throughout *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void bytes_throughout_set_applied(struct bytes_throughout *s, const float act[1]);

/* The integer entry: the same controller without any float arithmetic, where the compiler has no FPU, or where
   BYTES_THROUGHOUT_STEP_Q is defined as 1. An observation x in its signal's unit is given as

       obs_q[i] = x * OBS_Q_GAIN[i] + OBS_Q_OFFSET[i], rounded and held above INVALID_Q, within int8_t,

   so a sensor whose count c means x = c * LSB needs one product of c with the constant LSB * OBS_Q_GAIN[i]. An action is
   act_q[i] * ACT_Q_SCALE[i] in its signal's unit. BYTES_THROUGHOUT_INVALID_Q says that there is no measurement, as a NaN does. The
   last action of each entry is its own: step a controller by one of the two. */
#ifndef BYTES_THROUGHOUT_STEP_Q
#if (defined(__arm__) && !defined(__ARM_FP)) || (defined(__riscv) && !defined(__riscv_flen))
#define BYTES_THROUGHOUT_STEP_Q 1
#else
#define BYTES_THROUGHOUT_STEP_Q 0
#endif
#endif
#if BYTES_THROUGHOUT_STEP_Q
#define BYTES_THROUGHOUT_OBS_Q_GAIN { 42.333332f, 33.666683f }
#define BYTES_THROUGHOUT_OBS_Q_OFFSET { 0.0f, 0.0f }
#define BYTES_THROUGHOUT_ACT_Q_SCALE { 0.0032610318f }
#define BYTES_THROUGHOUT_INVALID_Q (-128)
uint32_t bytes_throughout_step_q(struct bytes_throughout *s, const int8_t obs_q[2], int8_t act_q[1]);
#endif

/* In bytes_throughout_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c, 8 the integer entry's actions or status. */
uint32_t bytes_throughout_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
