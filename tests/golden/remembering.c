/* remembering: see remembering.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "remembering.h"

#ifdef __FAST_MATH__
#error "compile without -ffast-math: it changes results"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "float arithmetic must be evaluated in float (on x86-32: -msse2 -mfpmath=sse)"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) /* the SLP vectoriser of gcc 12 makes vfmaddsub whatever fp-contract says */
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-slp-vectorize")
#endif
#if defined(__clang__)
#define REMEMBERING_NOINLINE __attribute__((noinline))
#define REMEMBERING_ALIGNED __attribute__((aligned(16)))
#define REMEMBERING_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define REMEMBERING_NOINLINE __attribute__((noinline, noclone))
#define REMEMBERING_ALIGNED __attribute__((aligned(16)))
#define REMEMBERING_UNUSED __attribute__((unused))
#else
#define REMEMBERING_NOINLINE
#define REMEMBERING_ALIGNED
#define REMEMBERING_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef REMEMBERING_CONSTANTS
#define REMEMBERING_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef REMEMBERING_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define REMEMBERING_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define REMEMBERING_ASSEMBLY 0
#endif
#endif
#if REMEMBERING_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define REMEMBERING_DSP 1
#else
#define REMEMBERING_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define REMEMBERING_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif REMEMBERING_PROBES == 1
struct remembering_probe_ring remembering_probes;
static REMEMBERING_NOINLINE void remembering_probe_keep(uint32_t id, float value)
{
    struct remembering_probe *entry = &remembering_probes.entry[remembering_probes.count++ % REMEMBERING_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define REMEMBERING_PROBE(id, value) remembering_probe_keep(id, value)
#elif REMEMBERING_PROBES == 2
#define REMEMBERING_PROBE(id, value) remembering_probe(id, value)
#endif
#if defined(REMEMBERING_PROBE)
#define REMEMBERING_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { REMEMBERING_PROBE(id, (float)(values)[i]); }
#else
#define REMEMBERING_PROBE_NODE(id, values, n)
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union remembering_word {
    float f;
    uint32_t u;
};

static inline REMEMBERING_UNUSED uint32_t remembering_bits(float f)
{
    union remembering_word word;
    word.f = f;
    return word.u;
}

static inline REMEMBERING_UNUSED float remembering_float(uint32_t u)
{
    union remembering_word word;
    word.u = u;
    return word.f;
}

static inline REMEMBERING_UNUSED float remembering_select(uint32_t mask, float yes, float no)
{
    return remembering_float((remembering_bits(yes) & mask) | (remembering_bits(no) & ~mask));
}

static inline REMEMBERING_UNUSED float remembering_clamp(float x, float low, float high)
{
    const float raised = remembering_select(0u - (uint32_t)(x < low), low, x);
    return remembering_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static REMEMBERING_NOINLINE REMEMBERING_UNUSED uint32_t remembering_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((remembering_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = remembering_clamp(*x, remembering_float(runs[1]), remembering_float(runs[2]));
            status |= bad & REMEMBERING_REJECTED;
            *y = remembering_select(bad, remembering_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static REMEMBERING_NOINLINE uint32_t remembering_screen(const float *x, float *y, const uint32_t *runs)
{
#if REMEMBERING_DSP
    uint32_t status = 0, first, second;
    /* With ~high, sign bit off, added, what was above high saturates; taken off again with the sign bit, the same is done
       to negative numbers with ~low. The values of a run come in pairs, an odd one first. */
    __asm__ volatile(
        "b 5f\n"
        ".balign 4\n"
        "1:\n"
        "ldm %[runs]!, {r5, r6, r8}\n"
        "mvn r9, r6\n"
        "eor r6, r9, #0x80000000\n"
        "mvn r5, r5\n"
        "eor r10, r5, #0x80000000\n"
        "tst r4, #1\n"
        "beq 2f\n"
        "ldr %[second], [%[x]], #4\n"
        "b 3f\n"
        ".balign 4\n"
        "2:\n"
        "ldr %[first], [%[x]], #4\n"
        "cmn %[carry], %[first], lsl #1\n"
        "itt hs\n"
        "orrhs %[status], %[status], #1\n"
        "movhs %[first], r8\n"
        "qadd %[first], %[first], r6\n"
        "sub %[first], %[first], r9\n"
        "qadd %[first], %[first], r5\n"
        "sub %[first], %[first], r10\n"
        "ldr %[second], [%[x]], #4\n"
        "str %[first], [%[y]], #4\n"
        "3:\n"
        "cmn %[carry], %[second], lsl #1\n"
        "itt hs\n"
        "orrhs %[status], %[status], #1\n"
        "movhs %[second], r8\n"
        "qadd %[second], %[second], r6\n"
        "sub %[second], %[second], r9\n"
        "qadd %[second], %[second], r5\n"
        "sub %[second], %[second], r10\n"
        "str %[second], [%[y]], #4\n"
        "subs.w r4, r4, #2\n"
        "bgt 2b\n"
        "5:\n"
        "ldr r4, [%[runs]], #4\n"
        "cmp r4, #0\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [runs] "+r"(runs), [status] "+r"(status), [first] "=&r"(first), [second] "=&r"(second)
        : [carry] "r"(0x01000000) /* with twice the bits of an infinity or more it makes a carry */
        : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
    return status;
#else
    return remembering_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static REMEMBERING_NOINLINE void remembering_clip(const float *x, float *y, const uint32_t *runs)
{
#if REMEMBERING_DSP
    uint32_t first, second;
    /* With ~high, sign bit off, added, what was above high saturates; taken off again with the sign bit, the same is done
       to negative numbers with ~low. The values of a run come in pairs, an odd one first. */
    __asm__ volatile(
        "b 5f\n"
        ".balign 4\n"
        "1:\n"
        "ldm %[runs]!, {r5, r6, r8}\n"
        "mvn r9, r6\n"
        "eor r6, r9, #0x80000000\n"
        "mvn r5, r5\n"
        "eor r10, r5, #0x80000000\n"
        "tst r4, #1\n"
        "beq 2f\n"
        "ldr %[second], [%[x]], #4\n"
        "b 3f\n"
        ".balign 4\n"
        "2:\n"
        "ldr %[first], [%[x]], #4\n"
        "qadd %[first], %[first], r6\n"
        "sub %[first], %[first], r9\n"
        "qadd %[first], %[first], r5\n"
        "sub %[first], %[first], r10\n"
        "ldr %[second], [%[x]], #4\n"
        "str %[first], [%[y]], #4\n"
        "3:\n"
        "qadd %[second], %[second], r6\n"
        "sub %[second], %[second], r9\n"
        "qadd %[second], %[second], r5\n"
        "sub %[second], %[second], r10\n"
        "str %[second], [%[y]], #4\n"
        "subs.w r4, r4, #2\n"
        "bgt 2b\n"
        "5:\n"
        "ldr r4, [%[runs]], #4\n"
        "cmp r4, #0\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [runs] "+r"(runs), [first] "=&r"(first), [second] "=&r"(second)
        :
        : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
    (void)remembering_screen_any(x, y, runs);
#endif
}

/* screen: screen, 2 -> 2, f32 */
static const uint32_t remembering_screen_node_limits[9] REMEMBERING_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u, 0u,
};
static REMEMBERING_NOINLINE uint32_t remembering_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = remembering_screen(obs, y, remembering_screen_node_limits);

    (void)applied;
    return status;
}

/* past: history, 2 -> 5, f32 */
static const uint16_t remembering_past_node_column[1] REMEMBERING_CONSTANTS = {
    1,
};
static const float remembering_past_node_share[2] REMEMBERING_CONSTANTS = {
    1.0f, 0.5f,
};
static REMEMBERING_NOINLINE void remembering_past_node(float *ring, float *newest, float *steps, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & REMEMBERING_REJECTED);
    const uint32_t opens = 0u - (uint32_t)(*steps >= 2.0f);
    const uint32_t wraps = 0u - (uint32_t)(*newest >= 2.0f);
    const float slot = remembering_select(opens, remembering_select(wraps, 0.0f, *newest + 1.0f), *newest);
    const float count = remembering_select(opens, 1.0f, *steps + 1.0f);
    const float share = remembering_past_node_share[(int32_t)count - 1];
    float *mean = ring + 1 * (int32_t)slot;
    int32_t at, i, k;

    for (i = 0; i < 1; i++) {
        const float value = x[remembering_past_node_column[i]];
        const float moved = mean[i] + (value - mean[i]) * share;
        mean[i] = remembering_select(keep, mean[i], remembering_select(opens, value, moved));
    }
    *newest = remembering_select(keep, *newest, slot);
    *steps = remembering_select(keep, *steps, count);
    at = (int32_t)*newest;
    for (k = 0; k < 3; k++) {
        at = (at + 1) & -(int32_t)(at < 2);
        for (i = 0; i < 1; i++) {
            y[2 + 1 * k + i] = ring[1 * at + i];
        }
    }
}

/* a: dense, 5 -> 1, f32 */
static const float remembering_a_node_weight[5] REMEMBERING_ALIGNED REMEMBERING_CONSTANTS = {
    -0.29148987f, -0.078135945f, 0.74404f, 0.29477984f, -0.73405516f,
};
static const float remembering_a_node_bias[1] REMEMBERING_CONSTANTS = {
    -0.0010406529f,
};
static REMEMBERING_NOINLINE void remembering_a_node(const float *x, float *y)
{
    const float *w = remembering_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        float sum = remembering_a_node_bias[i];
        for (j = 0; j < 5; j++, w++) {
            sum = sum + *w * x[j];
        }
        y[i] = sum;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t remembering_clip_node_limits[5] REMEMBERING_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static REMEMBERING_NOINLINE void remembering_clip_node(const float *x, float *y)
{
    (void)remembering_clip(x, y, remembering_clip_node_limits);
}

void remembering_reset(struct remembering *s)
{
    s->applied[0] = 0.0f;
    s->past_ring[0] = 0.0f;
    s->past_ring[1] = 0.0f;
    s->past_ring[2] = 0.0f;
    s->past_newest[0] = 0.0f;
    s->past_steps[0] = 2.0f;
}

void remembering_init(struct remembering *s)
{
    uint32_t i;

    for (i = 0; i < 8; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    remembering_reset(s);
}

uint32_t remembering_step(struct remembering *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = remembering_screen_node(obs, s->applied, s->work0.f32);
    REMEMBERING_PROBE_NODE(0, s->work0.f32, 2);
    remembering_past_node(s->past_ring, s->past_newest, s->past_steps, status, s->work0.f32, s->work0.f32);
    REMEMBERING_PROBE_NODE(1, s->work0.f32, 5);
    remembering_a_node(s->work0.f32, s->work1.f32);
    REMEMBERING_PROBE_NODE(2, s->work1.f32, 1);
    remembering_clip_node(s->work1.f32, s->applied);
    REMEMBERING_PROBE_NODE(3, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
    }
    return status;
}

void remembering_set_applied(struct remembering *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
