/* mixed: see mixed.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "mixed.h"

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
#define MIXED_NOINLINE __attribute__((noinline))
#define MIXED_ALIGNED __attribute__((aligned(16)))
#define MIXED_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define MIXED_NOINLINE __attribute__((noinline, noclone))
#define MIXED_ALIGNED __attribute__((aligned(16)))
#define MIXED_UNUSED __attribute__((unused))
#else
#define MIXED_NOINLINE
#define MIXED_ALIGNED
#define MIXED_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef MIXED_CONSTANTS
#define MIXED_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef MIXED_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define MIXED_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define MIXED_ASSEMBLY 0
#endif
#endif
#if MIXED_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define MIXED_DSP 1
#else
#define MIXED_DSP 0
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union mixed_word {
    float f;
    uint32_t u;
};

static inline uint32_t mixed_bits(float f)
{
    union mixed_word word;
    word.f = f;
    return word.u;
}

static inline float mixed_float(uint32_t u)
{
    union mixed_word word;
    word.u = u;
    return word.f;
}

static inline float mixed_select(uint32_t mask, float yes, float no)
{
    return mixed_float((mixed_bits(yes) & mask) | (mixed_bits(no) & ~mask));
}

static inline float mixed_clamp(float x, float low, float high)
{
    const float raised = mixed_select(0u - (uint32_t)(x < low), low, x);
    return mixed_select(0u - (uint32_t)(x > high), high, raised);
}

static inline MIXED_UNUSED int16_t mixed_saturate(int32_t q)
{
#if MIXED_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline int16_t mixed_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return mixed_saturate(whole - (int32_t)(mixed_bits(z - (float)whole) >> 31));
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline MIXED_UNUSED int16_t mixed_requantize(int32_t sum, int32_t multiplier)
{
#if MIXED_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return mixed_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return mixed_saturate((int32_t)(product >> 32));
#endif
}

static inline MIXED_UNUSED int8_t mixed_saturate8(int32_t q)
{
#if MIXED_DSP
    int32_t saturated;
    __asm__("ssat %0, #8, %1" : "=r"(saturated) : "r"(q));
    return (int8_t)saturated;
#else
    return (int8_t)(q > 127 ? 127 : q < -128 ? -128 : q);
#endif
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 8 bits. */
static inline MIXED_UNUSED int8_t mixed_requantize8(int32_t sum, int32_t multiplier)
{
#if MIXED_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return mixed_saturate8(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return mixed_saturate8((int32_t)(product >> 32));
#endif
}

/* screen: screen, 2 -> 2, f32 */
static const uint32_t mixed_screen_node_limits[6] MIXED_CONSTANTS = {
    3225419776u, 1077936128u, 0u, 3238002688u, 1090519040u, 0u,
};
/* The bits of the screened value. Positive floats are ordered as signed integers, negative ones as unsigned, reversed;
   `high` is at least 0 and `low` below 0 in the quick form. */
static inline uint32_t mixed_screen_node_value(uint32_t bits, const uint32_t *limits, uint32_t *status)
{
#if MIXED_ASSEMBLY
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
    const float clamped = mixed_clamp(mixed_float(bits), mixed_float(limits[0]), mixed_float(limits[1]));
    *status |= bad & MIXED_REJECTED;
    return (limits[2] & bad) | (mixed_bits(clamped) & ~bad);
#endif
}

static MIXED_NOINLINE uint32_t mixed_screen_node(const float *obs, const float *applied, float *y)
{
    const uint32_t *limits = mixed_screen_node_limits; /* the bits of low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = mixed_float(mixed_screen_node_value(mixed_bits(obs[i]), limits, &status));
    }
    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w16a16 */
static const float mixed_screen_encode_node_affine[4] MIXED_CONSTANTS = {
    10922.333f, 0.0f, 4095.875f, 0.0f,
};
static MIXED_NOINLINE void mixed_screen_encode_node(const float *x, int16_t *y)
{
    const float *affine = mixed_screen_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 2; i++, affine += 2) {
        y[i] = mixed_encode(x[i] * affine[0] + affine[1]);
    }
}

/* a: integer_dense, 2 -> 3, w16a16 */
static const int16_t mixed_a_node_weight[6] MIXED_ALIGNED MIXED_CONSTANTS = {
    7284, 32767, -32767, -4721, 9212, 32767,
};
static const int32_t mixed_a_node_bias[3] MIXED_CONSTANTS = {
    13970195, 59354362, 8140304,
};
static const int32_t mixed_a_node_multiplier[3] MIXED_CONSTANTS = {
    106107, 57189, 80762,
};
static MIXED_NOINLINE void mixed_a_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = mixed_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 3; i++) {
        int32_t sum = mixed_a_node_bias[i];
        for (j = 0; j < 2; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = mixed_requantize(sum, mixed_a_node_multiplier[i]);
    }
}

/* a_requantize: requantize, 3 -> 3, w8a8 */
static const int16_t mixed_a_requantize_node_weight[3] MIXED_ALIGNED MIXED_CONSTANTS = {
    19955, 17316, 23828,
};
static const int32_t mixed_a_requantize_node_offset[3] MIXED_CONSTANTS = {
    1048576, 1048576, 1048576,
};
static const int8_t mixed_a_requantize_node_shift[3] MIXED_CONSTANTS = {
    21, 21, 21,
};
static MIXED_NOINLINE void mixed_a_requantize_node(const int16_t *x, int8_t *y)
{
    int32_t i;

    for (i = 0; i < 3; i++) {
        y[i] = mixed_saturate8(((int32_t)x[i] * mixed_a_requantize_node_weight[i] + mixed_a_requantize_node_offset[i]) >> mixed_a_requantize_node_shift[i]);
    }
}

/* b: integer_dense, 3 -> 3, w8a8 */
static const int8_t mixed_b_node_weight[12] MIXED_ALIGNED MIXED_CONSTANTS = {
    78, 29, -127, 0, -127, 66, -73, 0, 107, 126, 127, 0,
};
static const int32_t mixed_b_node_bias[3] MIXED_CONSTANTS = {
    -32, 1806, -664,
};
static const int32_t mixed_b_node_multiplier[3] MIXED_CONSTANTS = {
    13090782, 12323957, 21927949,
};
static MIXED_NOINLINE void mixed_b_node(const int8_t *x, int8_t *y)
{
    const int8_t *w = mixed_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 3; i++) {
        int32_t sum = mixed_b_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = mixed_requantize8(sum, mixed_b_node_multiplier[i]);
    }
}

/* b_decode: decode, 3 -> 3, w8a8 */
static MIXED_NOINLINE void mixed_b_decode_node(const int8_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 3; i++) {
        y[i] = (float)x[i] * 0.053406805f;
    }
}

/* c: dense, 3 -> 1, f32 */
static const float mixed_c_node_weight[3] MIXED_ALIGNED MIXED_CONSTANTS = {
    -0.47129953f, 0.04694034f, 0.16248417f,
};
static const float mixed_c_node_bias[1] MIXED_CONSTANTS = {
    -0.31979766f,
};
static MIXED_NOINLINE void mixed_c_node(const float *x, float *y)
{
    const float *w = mixed_c_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        float sum = mixed_c_node_bias[i];
        for (j = 0; j < 3; j++, w++) {
            sum = sum + *w * x[j];
        }
        y[i] = sum;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float mixed_clip_node_limits[2] MIXED_CONSTANTS = {
    -1.0f, 1.0f,
};
static MIXED_NOINLINE void mixed_clip_node(const float *x, float *y)
{
    const float *limits = mixed_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = mixed_clamp(x[i], limits[0], limits[1]);
    }
}

void mixed_reset(struct mixed *s)
{
    s->applied[0] = 0.0f;
}

void mixed_init(struct mixed *s)
{
    uint32_t i;

    for (i = 0; i < 2; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 3; i++) {
        s->work1.word[i] = 0;
    }
    mixed_reset(s);
}

uint32_t mixed_step(struct mixed *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = mixed_screen_node(obs, s->applied, s->work0.f32);
    mixed_screen_encode_node(s->work0.f32, s->work1.i16);
    mixed_a_node(s->work1.i16, s->work0.i16);
    mixed_a_requantize_node(s->work0.i16, s->work1.i8);
    mixed_b_node(s->work1.i8, s->work0.i8);
    mixed_b_decode_node(s->work0.i8, s->work1.f32);
    mixed_c_node(s->work1.f32, s->work0.f32);
    mixed_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

void mixed_set_applied(struct mixed *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
