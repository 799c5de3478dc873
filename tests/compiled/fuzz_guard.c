/* Sequences of observations with one fault each, and garbage after it, through a guarded controller: every action stays in
 * its box, and the fault leaves its reason. `fuzz_guard.h` is made by the test: UNIT, MACRO, and tables of the groups.
 * Arguments: how many sequences, seed. Prints how many of each fault were tried; anything wrong ends it with status 1. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_guard.h"

enum { NOT_A_NUMBER, STUCK, JUMP, OUT_OF_RANGE, FLIP, LATE, FAULTS };
enum { BEFORE = 2, AFTER = 3 };

static uint64_t state;
static struct UNIT_STRUCT controller;

static uint32_t draw(void) /* splitmix64 */
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static float within(float most) /* uniform */
{
    return most * ((float)(draw() >> 8) / 8388608.0f - 1.0f);
}

static float anything(void) /* any bits at all */
{
    const uint32_t bits = draw();
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static float hovering(int i, int t) /* never the same twice in a row */
{
    return calm[i][0] + (t % 2 ? 0.5f : -0.5f) * calm[i][1] + within(0.4f * calm[i][1]);
}

static uint32_t step(const float *obs)
{
    float act[N_ACT];
    const uint32_t status = UNIT(step)(&controller, obs, act);
    int i;

    for (i = 0; i < N_ACT; i++) {
        if (!(act[i] >= box[i][0] && act[i] <= box[i][1])) {
            printf("action %d is %g\n", i, (double)act[i]);
            exit(1);
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    const uint32_t sequences = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000u;
    uint32_t tried[FAULTS] = { 0 }, k, fault;
    float obs[N_OBS], ages[N_GROUPS];
    int i, t;

    state = argc > 2 ? (uint64_t)strtoul(argv[2], NULL, 10) : 0u;
    for (k = 0; k < sequences; k++) {
        const uint32_t g = draw() % N_GROUPS;
        uint32_t status = 0, reason = 0;

        fault = draw() % FAULTS;
        UNIT(init)(&controller);
        for (t = 0; t < BEFORE; t++) {
            for (i = 0; i < N_OBS; i++) {
                obs[i] = hovering(i, t);
            }
            status |= step(obs);
        }
        if (status != 0u) {
            printf("sequence %" PRIu32 ": status %" PRIx32 " before any fault\n", k, status);
            return 1;
        }
        for (i = 0; i < N_OBS && fault != STUCK; i++) {
            obs[i] = hovering(i, BEFORE);
        }
        for (i = group[g].judged; i < group[g].end; i++) {
            if (fault == FLIP) {
                obs[i] = -obs[i];
            } else if (fault == JUMP) {
                obs[i] += (draw() & 1u ? 1.0f : -1.0f) * (group[g].limit + 0.5f * (group[g].reach - group[g].limit) * ((float)(draw() >> 8) / 16777216.0f));
            } else if (fault == OUT_OF_RANGE) {
                obs[i] = (draw() & 1u ? 2.0f : -2.0f) * group[g].reach * (1.0f + (float)(draw() >> 16));
            }
        }
        if (fault == NOT_A_NUMBER) {
            obs[group[g].judged + (int)(draw() % (uint32_t)(group[g].end - group[g].judged))] = draw() & 1u ? not_a_number() : infinity_of(draw() & 1u);
        }
        for (i = 0; i < N_GROUPS; i++) {
            ages[i] = fault == LATE && i == (int)g ? 1e3f : 0.0f;
        }
        UNIT(set_ages)(&controller, ages);
        reason = fault == NOT_A_NUMBER ? MACRO(REJECTED) : fault == STUCK ? MACRO(STUCK) : fault == LATE ? MACRO(LATE)
               : fault == OUT_OF_RANGE ? MACRO(OUT_OF_RANGE) : MACRO(JUMP) | MACRO(OUT_OF_RANGE);
        status = step(obs);
        if ((status & reason) == 0u || (status & MACRO(GROUP) << g) == 0u) {
            printf("sequence %" PRIu32 ": fault %" PRIu32 " of group %" PRIu32 " leaves %" PRIx32 "\n", k, fault, g, status);
            return 1;
        }
        tried[fault]++;
        for (t = 0; t < AFTER; t++) {
            for (i = 0; i < N_OBS; i++) {
                obs[i] = draw() & 1u ? anything() : within(calm[i][0] + 1.0f);
            }
            for (i = 0; i < N_GROUPS; i++) {
                ages[i] = anything();
            }
            UNIT(set_ages)(&controller, ages);
            (void)step(obs);
        }
    }
    for (fault = 0; fault < FAULTS; fault++) {
        printf("%" PRIu32 " ", tried[fault]);
    }
    printf("\n");
    return 0;
}
