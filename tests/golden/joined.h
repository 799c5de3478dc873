/* joined: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 100 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3 to 3, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets JOINED_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct joined`.
 */
#ifndef JOINED_H
#define JOINED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOINED_N_OBS 2
#define JOINED_N_ACT 1
#define JOINED_RATE_HZ 100.0f
#define JOINED_LATENCY_S 0.0f /* the delay assumed in training */
#define JOINED_STATE_BYTES 4 /* the leading bytes of the struct */
#define JOINED_REJECTED 1u /* status bit: an observation was not finite */
#define JOINED_CONTRACT_HASH "51573ac28b0bade8abb874b594f9a9dd19c1a13debf768287bd8796ce6572bc3"
#define JOINED_GRAPH_HASH "990bf9f8a2fe55a3d710ace32dec54930e400305b44a7ae7fddf4e4cfe6e3810"
/* For a firmware to print: tools find it in the finished image. */
#define JOINED_IDENTITY "tinyctl unit joined 2 1 " JOINED_CONTRACT_HASH " " JOINED_GRAPH_HASH

struct joined {
    float applied[1]; /* the action last applied */
    union {
        uint32_t word[4];
        float f32[4];
        int16_t i16[8];
    } work0;
    union {
        uint32_t word[4];
        float f32[4];
        int16_t i16[8];
    } work1;
    union {
        uint32_t word[4];
        int16_t i16[8];
    } work2;
};

/* Probes: every value that a node returns, after the node has run: TINYCTL_PROBE(number of the node, value). Nothing by
 * default. JOINED_PROBES=1 keeps the latest in joined_probes, 2 calls joined_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 2
 *   1: screen_encode, 2
 *   2: a, 2
 *   3: fold, 2
 *   4: skip, 2
 *   5: wide, 4
 *   6: b, 1
 *   7: b_decode, 1
 *   8: clip, 1
 */
#ifndef JOINED_PROBES
#define JOINED_PROBES 0
#endif
#if JOINED_PROBES == 1
#define JOINED_PROBE_ROOM 32u /* a whole step */
struct joined_probe {
    uint32_t id;
    float value;
};
struct joined_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % JOINED_PROBE_ROOM */
    struct joined_probe entry[JOINED_PROBE_ROOM];
};
extern struct joined_probe_ring joined_probes;
#elif JOINED_PROBES == 2
void joined_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void joined_init(struct joined *s);

/* Back to the initial state, for a new flight or a hand-over. */
void joined_reset(struct joined *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t joined_step(struct joined *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void joined_set_applied(struct joined *s, const float act[1]);

/* The integer entry: the same controller without any float arithmetic, where the compiler has no FPU, or where
   JOINED_STEP_Q is defined as 1. An observation x in its signal's unit is given as

       obs_q[i] = x * OBS_Q_GAIN[i] + OBS_Q_OFFSET[i], rounded and held above INVALID_Q, within int16_t,

   so a sensor whose count c means x = c * LSB needs one product of c with the constant LSB * OBS_Q_GAIN[i]. An action is
   act_q[i] * ACT_Q_SCALE[i] in its signal's unit. JOINED_INVALID_Q says that there is no measurement, as a NaN does. The
   last action of each entry is its own: step a controller by one of the two. */
#ifndef JOINED_STEP_Q
#if (defined(__arm__) && !defined(__ARM_FP)) || (defined(__riscv) && !defined(__riscv_flen))
#define JOINED_STEP_Q 1
#else
#define JOINED_STEP_Q 0
#endif
#endif
#if JOINED_STEP_Q
#define JOINED_OBS_Q_GAIN { 10922.333f, 4095.875f }
#define JOINED_OBS_Q_OFFSET { 0.0f, 0.0f }
#define JOINED_ACT_Q_SCALE { 0.0009778688f }
#define JOINED_INVALID_Q (-32768)
uint32_t joined_step_q(struct joined *s, const int16_t obs_q[2], int16_t act_q[1]);
#endif

/* In joined_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c, 8 the integer entry's actions or status. */
uint32_t joined_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
