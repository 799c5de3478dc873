/* integer_entry: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 50 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3.5 to 3.5, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0.5
 *   (state)  torque: N m, -1 to 1, last applied, at first 0.25
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets INTEGER_ENTRY_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct integer_entry`.
 */
#ifndef INTEGER_ENTRY_H
#define INTEGER_ENTRY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INTEGER_ENTRY_N_OBS 2
#define INTEGER_ENTRY_N_ACT 1
#define INTEGER_ENTRY_RATE_HZ 50.0f
#define INTEGER_ENTRY_LATENCY_S 0.0f /* the delay assumed in training */
#define INTEGER_ENTRY_STATE_BYTES 16 /* the leading bytes of the struct */
#define INTEGER_ENTRY_REJECTED 1u /* status bit: an observation was not finite */
#define INTEGER_ENTRY_CONTRACT_HASH "85f40afb4f79a782e480eabdef785fdc62cf7116e5ec29f230d2e000d204067f"
#define INTEGER_ENTRY_GRAPH_HASH "4d7f4d0cdd930a68f4654b6c27d8c0558e217d42a394dc8bb92dc351b371cc12"
/* For a firmware to print: tools find it in the finished image. */
#define INTEGER_ENTRY_IDENTITY "tinyctl unit integer_entry 2 1 " INTEGER_ENTRY_CONTRACT_HASH " " INTEGER_ENTRY_GRAPH_HASH

struct integer_entry {
    float applied[1]; /* the action last applied */
    int32_t applied_q[1]; /* the same of the integer entry */
    int32_t lag_y[1];
    int32_t sum_s[1];
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
 * default. INTEGER_ENTRY_PROBES=1 keeps the latest in integer_entry_probes, 2 calls integer_entry_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 3
 *   1: screen_encode, 3
 *   2: lag, 4
 *   3: sum, 5
 *   4: a, 3
 *   5: fold, 3
 *   6: b, 1
 *   7: b_decode, 1
 *   8: clip, 1
 */
#ifndef INTEGER_ENTRY_PROBES
#define INTEGER_ENTRY_PROBES 0
#endif
#if INTEGER_ENTRY_PROBES == 1
#define INTEGER_ENTRY_PROBE_ROOM 32u /* a whole step */
struct integer_entry_probe {
    uint32_t id;
    float value;
};
struct integer_entry_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % INTEGER_ENTRY_PROBE_ROOM */
    struct integer_entry_probe entry[INTEGER_ENTRY_PROBE_ROOM];
};
extern struct integer_entry_probe_ring integer_entry_probes;
#elif INTEGER_ENTRY_PROBES == 2
void integer_entry_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void integer_entry_init(struct integer_entry *s);

/* Back to the initial state, for a new flight or a hand-over. */
void integer_entry_reset(struct integer_entry *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t integer_entry_step(struct integer_entry *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void integer_entry_set_applied(struct integer_entry *s, const float act[1]);

/* The integer entry: the same controller without any float arithmetic, where the compiler has no FPU, or where
   INTEGER_ENTRY_STEP_Q is defined as 1. An observation x in its signal's unit is given as

       obs_q[i] = x * OBS_Q_GAIN[i] + OBS_Q_OFFSET[i], rounded and held above INVALID_Q, within int16_t,

   so a sensor whose count c means x = c * LSB needs one product of c with the constant LSB * OBS_Q_GAIN[i]. An action is
   act_q[i] * ACT_Q_SCALE[i] in its signal's unit. INTEGER_ENTRY_INVALID_Q says that there is no measurement, as a NaN does. The
   last action of each entry is its own: step a controller by one of the two. */
#ifndef INTEGER_ENTRY_STEP_Q
#if (defined(__arm__) && !defined(__ARM_FP)) || (defined(__riscv) && !defined(__riscv_flen))
#define INTEGER_ENTRY_STEP_Q 1
#else
#define INTEGER_ENTRY_STEP_Q 0
#endif
#endif
#if INTEGER_ENTRY_STEP_Q
#define INTEGER_ENTRY_OBS_Q_GAIN { 9362.0f, 4095.875f }
#define INTEGER_ENTRY_OBS_Q_OFFSET { 0.0f, 0.0f }
#define INTEGER_ENTRY_ACT_Q_SCALE { 0.00016559345f }
#define INTEGER_ENTRY_INVALID_Q (-32768)
uint32_t integer_entry_step_q(struct integer_entry *s, const int16_t obs_q[2], int16_t act_q[1]);
void integer_entry_set_applied_q(struct integer_entry *s, const int16_t act_q[1]);
#endif

/* In integer_entry_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c, 8 the integer entry's actions or status. */
uint32_t integer_entry_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
