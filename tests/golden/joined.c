/* joined: see joined.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "joined.h"

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
#define JOINED_NOINLINE __attribute__((noinline))
#define JOINED_ALIGNED __attribute__((aligned(16)))
#define JOINED_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define JOINED_NOINLINE __attribute__((noinline, noclone))
#define JOINED_ALIGNED __attribute__((aligned(16)))
#define JOINED_UNUSED __attribute__((unused))
#else
#define JOINED_NOINLINE
#define JOINED_ALIGNED
#define JOINED_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef JOINED_CONSTANTS
#define JOINED_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef JOINED_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define JOINED_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define JOINED_ASSEMBLY 0
#endif
#endif
#if JOINED_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define JOINED_DSP 1
#else
#define JOINED_DSP 0
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union joined_word {
    float f;
    uint32_t u;
};

static inline uint32_t joined_bits(float f)
{
    union joined_word word;
    word.f = f;
    return word.u;
}

static inline float joined_float(uint32_t u)
{
    union joined_word word;
    word.u = u;
    return word.f;
}

static inline float joined_select(uint32_t mask, float yes, float no)
{
    return joined_float((joined_bits(yes) & mask) | (joined_bits(no) & ~mask));
}

static inline float joined_clamp(float x, float low, float high)
{
    const float raised = joined_select(0u - (uint32_t)(x < low), low, x);
    return joined_select(0u - (uint32_t)(x > high), high, raised);
}

static inline JOINED_UNUSED int16_t joined_saturate(int32_t q)
{
#if JOINED_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline int16_t joined_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return joined_saturate(whole - (int32_t)(joined_bits(z - (float)whole) >> 31));
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline JOINED_UNUSED int16_t joined_requantize(int32_t sum, int32_t multiplier)
{
#if JOINED_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return joined_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return joined_saturate((int32_t)(product >> 32));
#endif
}

/* Choice by a mask of ones or zeros, as for floats: no branch. */
static inline JOINED_UNUSED int32_t joined_choose(uint32_t mask, int32_t yes, int32_t no)
{
    return (int32_t)(((uint32_t)yes & mask) | ((uint32_t)no & ~mask));
}

static inline JOINED_UNUSED int32_t joined_between(int32_t x, int32_t low, int32_t high)
{
    const int32_t raised = joined_choose(0u - (uint32_t)(x < low), low, x);
    return joined_choose(0u - (uint32_t)(x > high), high, raised);
}

/* floor(a * multiplier / 2^32 + 1/2) */
static inline JOINED_UNUSED int32_t joined_high(int32_t a, int32_t multiplier)
{
    return (int32_t)(((int64_t)a * multiplier + 0x80000000) >> 32);
}

/* screen: screen, 2 -> 2, f32 */
static const uint32_t joined_screen_node_limits[6] JOINED_CONSTANTS = {
    3225419776u, 1077936128u, 0u, 3238002688u, 1090519040u, 0u,
};
/* The bits of the screened value. Positive floats are ordered as signed integers, negative ones as unsigned, reversed;
   `high` is at least 0 and `low` below 0 in the quick form. */
static inline uint32_t joined_screen_node_value(uint32_t bits, const uint32_t *limits, uint32_t *status)
{
#if JOINED_ASSEMBLY
    uint32_t doubled;
    __asm__(
        "lsls %[doubled], %[bits], #1\n\t"
        "cmp %[doubled], #0xff000000\n\t"
        "itt hs\n\t"
        "orrhs %[status], %[status], #1\n\t"
        "movhs %[bits], %[on_nan]"
        : [bits] "+r"(bits), [status] "+r"(*status), [doubled] "=&r"(doubled) : [on_nan] "r"(limits[2]) : "cc");
    __asm__(
        "cmp %[bits], %[high]\n\t"
        "it gt\n\t"
        "movgt %[bits], %[high]\n\t"
        "cmp %[bits], %[low]\n\t"
        "it hi\n\t"
        "movhi %[bits], %[low]"
        : [bits] "+r"(bits) : [low] "r"(limits[0]), [high] "r"(limits[1]) : "cc");
    return bits;
#else
    const uint32_t bad = 0u - (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
    const float clamped = joined_clamp(joined_float(bits), joined_float(limits[0]), joined_float(limits[1]));
    *status |= bad & JOINED_REJECTED;
    return (limits[2] & bad) | (joined_bits(clamped) & ~bad);
#endif
}

static JOINED_NOINLINE uint32_t joined_screen_node(const float *obs, const float *applied, float *y)
{
    const uint32_t *limits = joined_screen_node_limits; /* the bits of low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = joined_float(joined_screen_node_value(joined_bits(obs[i]), limits, &status));
    }
    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w16a16 */
static const float joined_screen_encode_node_affine[4] JOINED_CONSTANTS = {
    10922.333f, 0.0f, 4095.875f, 0.0f,
};
static JOINED_NOINLINE void joined_screen_encode_node(const float *x, int16_t *y)
{
    const float *affine = joined_screen_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 2; i++, affine += 2) {
        y[i] = joined_encode(x[i] * affine[0] + affine[1]);
    }
}

/* a: integer_dense, 2 -> 2, w16a16 */
static const int16_t joined_a_node_weight[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    9813, -32767, 9048, -32767,
};
static const int32_t joined_a_node_bias[2] JOINED_CONSTANTS = {
    -6723359, -14414490,
};
static const int32_t joined_a_node_multiplier[2] JOINED_CONSTANTS = {
    100385, 22302,
};
static JOINED_NOINLINE void joined_a_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = joined_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 2; i++) {
        int32_t sum = joined_a_node_bias[i];
        for (j = 0; j < 2; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = joined_requantize(sum, joined_a_node_multiplier[i]);
    }
}

/* fold: integer_leaky_relu, 2 -> 2, w16a16 */
static JOINED_NOINLINE void joined_fold_node(const int16_t *x, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 2; i++) {
        const int32_t less = x[i] - (((int32_t)x[i] * 3277 + 16384) >> 15); /* at most 0 where x is negative */
        y[i] = (int16_t)(x[i] - (less & (less >> 31)));
    }
}

/* skip: integer_add, 4 -> 2, w16a16 */
static const int16_t joined_skip_node_weight[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    28510, 4531, 28510, 12083,
};
static const int8_t joined_skip_node_shift[2] JOINED_CONSTANTS = {
    15, 15,
};
static JOINED_NOINLINE void joined_skip_node(const int16_t *a, const int16_t *b, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 2; i++) {
        const int32_t sum = (int32_t)a[i] * joined_skip_node_weight[2 * i] + (int32_t)b[i] * joined_skip_node_weight[2 * i + 1];
        y[i] = joined_saturate((sum + (1 << (joined_skip_node_shift[i] - 1))) >> joined_skip_node_shift[i]);
    }
}

/* wide: concat, 4 -> 4, w16a16 */
static JOINED_NOINLINE void joined_wide_node(const int16_t *x0, const int16_t *x1, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 2; i++) {
        y[0 + i] = x0[i];
    }
    for (i = 0; i < 2; i++) {
        y[2 + i] = x1[i];
    }
}

/* b: integer_dense, 4 -> 1, w16a16 */
static const int16_t joined_b_node_weight[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    -22436, -2576, -8361, 32114,
};
static const int32_t joined_b_node_bias[1] JOINED_CONSTANTS = {
    1515032,
};
static const int32_t joined_b_node_multiplier[1] JOINED_CONSTANTS = {
    130914,
};
static JOINED_NOINLINE void joined_b_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = joined_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = joined_b_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = joined_requantize(sum, joined_b_node_multiplier[i]);
    }
}

/* b_decode: decode, 1 -> 1, w16a16 */
static JOINED_NOINLINE void joined_b_decode_node(const int16_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        y[i] = (float)x[i] * 0.0009778688f;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float joined_clip_node_limits[2] JOINED_CONSTANTS = {
    -1.0f, 1.0f,
};
static JOINED_NOINLINE void joined_clip_node(const float *x, float *y)
{
    const float *limits = joined_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = joined_clamp(x[i], limits[0], limits[1]);
    }
}

void joined_reset(struct joined *s)
{
    s->applied[0] = 0.0f;
}

void joined_init(struct joined *s)
{
    uint32_t i;

    for (i = 0; i < 2; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 1; i++) {
        s->work1.word[i] = 0;
    }
    for (i = 0; i < 2; i++) {
        s->work2.word[i] = 0;
    }
    joined_reset(s);
}

uint32_t joined_step(struct joined *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = joined_screen_node(obs, s->applied, s->work0.f32);
    joined_screen_encode_node(s->work0.f32, s->work1.i16);
    joined_a_node(s->work1.i16, s->work0.i16);
    joined_fold_node(s->work0.i16, s->work0.i16);
    joined_skip_node(s->work0.i16, s->work1.i16, s->work1.i16);
    joined_wide_node(s->work1.i16, s->work0.i16, s->work2.i16);
    joined_b_node(s->work2.i16, s->work0.i16);
    joined_b_decode_node(s->work0.i16, s->work1.f32);
    joined_clip_node(s->work1.f32, s->work1.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work1.f32[i];
    }
    return status;
}

#if JOINED_STEP_Q
static const int16_t joined_obs_q_limits[6] JOINED_CONSTANTS = {
    -32767, 32767, 0, -32767, 32767, 0,
};
static const int16_t joined_act_q_limits[2] JOINED_CONSTANTS = {
    -1022, 1022,
};

/* Low, high and what replaces JOINED_INVALID_Q: the contract's numbers as integers. */
static JOINED_NOINLINE uint32_t joined_screen_q(const int16_t *obs_q, const int32_t *applied_q, int16_t *y)
{
    const int16_t *limits = joined_obs_q_limits;
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        const uint32_t bad = 0u - (uint32_t)(obs_q[i] == JOINED_INVALID_Q);
        status |= bad & JOINED_REJECTED;
        y[i] = (int16_t)joined_choose(bad, limits[2], joined_between(obs_q[i], limits[0], limits[1]));
    }
    (void)applied_q;
    return status;
}

uint32_t joined_step_q(struct joined *s, const int16_t obs_q[2], int16_t act_q[1])
{
    const uint32_t status = joined_screen_q(obs_q, 0, s->work1.i16);
    int32_t i;

    joined_a_node(s->work1.i16, s->work0.i16);
    joined_fold_node(s->work0.i16, s->work0.i16);
    joined_skip_node(s->work0.i16, s->work1.i16, s->work1.i16);
    joined_wide_node(s->work1.i16, s->work0.i16, s->work2.i16);
    joined_b_node(s->work2.i16, s->work0.i16);
    for (i = 0; i < 1; i++) {
        act_q[i] = (int16_t)joined_between(s->work0.i16[i], joined_act_q_limits[2 * i], joined_act_q_limits[2 * i + 1]);
    }
    return status;
}
#endif

void joined_set_applied(struct joined *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
