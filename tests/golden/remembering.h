/* remembering: a controller in C, made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Step it at 100 Hz. Inputs and outputs:
 *
 *   obs[0]   angle: rad, world, -3 to 3, on_nan 0
 *   obs[1]   speed: rad/s, world, -8 to 8, on_nan 0
 *   act[0]   torque: N m, -1 to 1, safe 0
 *
 * A non-finite observation is replaced by its on_nan value and sets REMEMBERING_REJECTED in the status; all others are
 * clamped to their range. Nothing here allocates, blocks, or keeps state outside `struct remembering`.
 */
#ifndef REMEMBERING_H
#define REMEMBERING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REMEMBERING_N_OBS 2
#define REMEMBERING_N_ACT 1
#define REMEMBERING_RATE_HZ 100.0f
#define REMEMBERING_LATENCY_S 0.0f /* the delay assumed in training */
#define REMEMBERING_STATE_BYTES 24 /* the leading bytes of the struct */
#define REMEMBERING_REJECTED 1u /* status bit: an observation was not finite */
#define REMEMBERING_CONTRACT_HASH "51573ac28b0bade8abb874b594f9a9dd19c1a13debf768287bd8796ce6572bc3"
#define REMEMBERING_GRAPH_HASH "872d7d5f1d9a0b7316253153ca766f644c479729a1069016dd31af3d94e85819"
/* For a firmware to print: tools find it in the finished image. */
#define REMEMBERING_IDENTITY "tinyctl unit remembering 2 1 " REMEMBERING_CONTRACT_HASH " " REMEMBERING_GRAPH_HASH

struct remembering {
    float applied[1]; /* the action last applied */
    float past_ring[3];
    float past_newest[1];
    float past_steps[1];
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
 * default. REMEMBERING_PROBES=1 keeps the latest in remembering_probes, 2 calls remembering_probe, which you write; or define
 * TINYCTL_PROBE(id, value) yourself. Integers are told as they are: exact as float.
 *   0: screen, 2
 *   1: past, 5
 *   2: a, 1
 *   3: clip, 1
 */
#ifndef REMEMBERING_PROBES
#define REMEMBERING_PROBES 0
#endif
#if REMEMBERING_PROBES == 1
#define REMEMBERING_PROBE_ROOM 16u /* a whole step */
struct remembering_probe {
    uint32_t id;
    float value;
};
struct remembering_probe_ring {
    uint32_t count; /* of all values so far; the next one goes to entry count % REMEMBERING_PROBE_ROOM */
    struct remembering_probe entry[REMEMBERING_PROBE_ROOM];
};
extern struct remembering_probe_ring remembering_probes;
#elif REMEMBERING_PROBES == 2
void remembering_probe(uint32_t id, float value);
#endif

/* Before the first step. */
void remembering_init(struct remembering *s);

/* Back to the initial state, for a new flight or a hand-over. */
void remembering_reset(struct remembering *s);

/* One step; returns a status word, 0 when all is well. */
uint32_t remembering_step(struct remembering *s, const float obs[2], float act[1]);

/* Tell the controller that something other than its last returned action was applied. */
void remembering_set_applied(struct remembering *s, const float act[1]);

/* In remembering_selftest.c: replays stored steps and compares all bits. 0 when all agree, else bits: 1 actions,
   2 status, 4 the compiler contracts a * b + c. */
uint32_t remembering_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
