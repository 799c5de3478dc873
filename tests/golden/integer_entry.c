/* integer_entry: see integer_entry.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "integer_entry.h"

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
#define INTEGER_ENTRY_NOINLINE __attribute__((noinline))
#define INTEGER_ENTRY_ALIGNED __attribute__((aligned(16)))
#define INTEGER_ENTRY_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define INTEGER_ENTRY_NOINLINE __attribute__((noinline, noclone))
#define INTEGER_ENTRY_ALIGNED __attribute__((aligned(16)))
#define INTEGER_ENTRY_UNUSED __attribute__((unused))
#else
#define INTEGER_ENTRY_NOINLINE
#define INTEGER_ENTRY_ALIGNED
#define INTEGER_ENTRY_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef INTEGER_ENTRY_CONSTANTS
#define INTEGER_ENTRY_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef INTEGER_ENTRY_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define INTEGER_ENTRY_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define INTEGER_ENTRY_ASSEMBLY 0
#endif
#endif
#if INTEGER_ENTRY_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define INTEGER_ENTRY_DSP 1
#else
#define INTEGER_ENTRY_DSP 0
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union integer_entry_word {
    float f;
    uint32_t u;
};

static inline uint32_t integer_entry_bits(float f)
{
    union integer_entry_word word;
    word.f = f;
    return word.u;
}

static inline float integer_entry_float(uint32_t u)
{
    union integer_entry_word word;
    word.u = u;
    return word.f;
}

static inline float integer_entry_select(uint32_t mask, float yes, float no)
{
    return integer_entry_float((integer_entry_bits(yes) & mask) | (integer_entry_bits(no) & ~mask));
}

static inline float integer_entry_clamp(float x, float low, float high)
{
    const float raised = integer_entry_select(0u - (uint32_t)(x < low), low, x);
    return integer_entry_select(0u - (uint32_t)(x > high), high, raised);
}

static inline INTEGER_ENTRY_UNUSED int16_t integer_entry_saturate(int32_t q)
{
#if INTEGER_ENTRY_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline int16_t integer_entry_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return integer_entry_saturate(whole - (int32_t)(integer_entry_bits(z - (float)whole) >> 31));
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline INTEGER_ENTRY_UNUSED int16_t integer_entry_requantize(int32_t sum, int32_t multiplier)
{
#if INTEGER_ENTRY_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return integer_entry_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return integer_entry_saturate((int32_t)(product >> 32));
#endif
}

/* Choice by a mask of ones or zeros, as for floats: no branch. */
static inline INTEGER_ENTRY_UNUSED int32_t integer_entry_choose(uint32_t mask, int32_t yes, int32_t no)
{
    return (int32_t)(((uint32_t)yes & mask) | ((uint32_t)no & ~mask));
}

static inline INTEGER_ENTRY_UNUSED int32_t integer_entry_between(int32_t x, int32_t low, int32_t high)
{
    const int32_t raised = integer_entry_choose(0u - (uint32_t)(x < low), low, x);
    return integer_entry_choose(0u - (uint32_t)(x > high), high, raised);
}

/* floor(a * multiplier / 2^32 + 1/2) */
static inline INTEGER_ENTRY_UNUSED int32_t integer_entry_high(int32_t a, int32_t multiplier)
{
    return (int32_t)(((int64_t)a * multiplier + 0x80000000) >> 32);
}

/* screen: screen, 3 -> 3, f32 */
static const uint32_t integer_entry_screen_node_limits[9] INTEGER_ENTRY_CONSTANTS = {
    3227516928u, 1080033280u, 0u, 3238002688u, 1090519040u, 1056964608u, 3212836864u, 1065353216u, 1048576000u,
};
static const uint16_t integer_entry_screen_node_applied[1] INTEGER_ENTRY_CONSTANTS = {
    0,
};
/* The bits of the screened value. Positive floats are ordered as signed integers, negative ones as unsigned, reversed;
   `high` is at least 0 and `low` below 0 in the quick form. */
static inline uint32_t integer_entry_screen_node_value(uint32_t bits, const uint32_t *limits, uint32_t *status)
{
#if INTEGER_ENTRY_ASSEMBLY
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
    const float clamped = integer_entry_clamp(integer_entry_float(bits), integer_entry_float(limits[0]), integer_entry_float(limits[1]));
    *status |= bad & INTEGER_ENTRY_REJECTED;
    return (limits[2] & bad) | (integer_entry_bits(clamped) & ~bad);
#endif
}

static INTEGER_ENTRY_NOINLINE uint32_t integer_entry_screen_node(const float *obs, const float *applied, float *y)
{
    const uint32_t *limits = integer_entry_screen_node_limits; /* the bits of low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = integer_entry_float(integer_entry_screen_node_value(integer_entry_bits(obs[i]), limits, &status));
    }
    for (i = 0; i < 1; i++, limits += 3) {
        y[2 + i] = integer_entry_float(integer_entry_screen_node_value(integer_entry_bits(applied[integer_entry_screen_node_applied[i]]), limits, &status));
    }
    return status;
}

/* screen_encode: encode, 3 -> 3, w16a16 */
static const float integer_entry_screen_encode_node_affine[6] INTEGER_ENTRY_CONSTANTS = {
    9362.0f, 0.0f, 4095.875f, 0.0f, 32767.0f, 0.0f,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_screen_encode_node(const float *x, int16_t *y)
{
    const float *affine = integer_entry_screen_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 3; i++, affine += 2) {
        y[i] = integer_entry_encode(x[i] * affine[0] + affine[1]);
    }
}

/* lag: integer_lag, 3 -> 4, w16a16 */
static const uint16_t integer_entry_lag_node_column[1] INTEGER_ENTRY_CONSTANTS = {
    2,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_lag_node(int32_t *state, uint32_t status, const int16_t *x, int16_t *y)
{
    const uint32_t keep = 0u - (status & INTEGER_ENTRY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const int32_t apart = (int32_t)x[integer_entry_lag_node_column[i]] * 16384 - state[i];
        const int32_t moved = state[i] + integer_entry_high(2 * apart, 389272744);
        state[i] = integer_entry_choose(keep, state[i], moved);
        y[3 + i] = (int16_t)((state[i] + 8192) >> 14);
    }
}

/* sum: integer_integral, 4 -> 5, w16a16 */
static const uint16_t integer_entry_sum_node_column[1] INTEGER_ENTRY_CONSTANTS = {
    0,
};
static const int32_t integer_entry_sum_node_gain[1] INTEGER_ENTRY_CONSTANTS = {
    300656886,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_sum_node(int32_t *state, uint32_t status, const int16_t *x, int16_t *y)
{
    const uint32_t keep = 0u - (status & INTEGER_ENTRY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const int32_t moved = state[i] + integer_entry_high((int32_t)x[integer_entry_sum_node_column[i]] * 65536, integer_entry_sum_node_gain[i]);
        state[i] = integer_entry_choose(keep, state[i], integer_entry_between(moved, -1073741824, 1073741824));
        y[4 + i] = integer_entry_saturate((state[i] + 16384) >> 15);
    }
}

/* a: integer_dense, 5 -> 3, w16a16 */
static const int16_t integer_entry_a_node_weight[18] INTEGER_ENTRY_ALIGNED INTEGER_ENTRY_CONSTANTS = {
    -8681, -32767, -768, 1300, 1757, 0, 2846, -32767, -5816, 5549, 6058, 0, 3171, -32767, -3182, 5314, 337, 0,
};
static const int32_t integer_entry_a_node_bias[3] INTEGER_ENTRY_CONSTANTS = {
    -78500849, -9089835, -56608760,
};
static const int32_t integer_entry_a_node_multiplier[3] INTEGER_ENTRY_CONSTANTS = {
    90101, 37599, 83908,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_a_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = integer_entry_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 3; i++) {
        int32_t sum = integer_entry_a_node_bias[i];
        for (j = 0; j < 6; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = integer_entry_requantize(sum, integer_entry_a_node_multiplier[i]);
    }
}

/* fold: relu, 3 -> 3, w16a16 */
static INTEGER_ENTRY_NOINLINE void integer_entry_fold_node(const int16_t *x, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 3; i++) {
        y[i] = (int16_t)(x[i] & ~(x[i] >> 31));
    }
}

/* b: integer_dense, 3 -> 1, w16a16 */
static const int16_t integer_entry_b_node_weight[4] INTEGER_ENTRY_ALIGNED INTEGER_ENTRY_CONSTANTS = {
    -22191, -17209, -25154, 0,
};
static const int32_t integer_entry_b_node_bias[1] INTEGER_ENTRY_CONSTANTS = {
    32134468,
};
static const int32_t integer_entry_b_node_multiplier[1] INTEGER_ENTRY_CONSTANTS = {
    89330,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_b_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = integer_entry_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = integer_entry_b_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = integer_entry_requantize(sum, integer_entry_b_node_multiplier[i]);
    }
}

/* b_decode: decode, 1 -> 1, w16a16 */
static INTEGER_ENTRY_NOINLINE void integer_entry_b_decode_node(const int16_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        y[i] = (float)x[i] * 0.00016559345f;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float integer_entry_clip_node_limits[2] INTEGER_ENTRY_CONSTANTS = {
    -1.0f, 1.0f,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_clip_node(const float *x, float *y)
{
    const float *limits = integer_entry_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = integer_entry_clamp(x[i], limits[0], limits[1]);
    }
}

void integer_entry_reset(struct integer_entry *s)
{
    s->applied[0] = 0.25f;
    s->applied_q[0] = 1510;
    s->lag_y[0] = 134213632;
    s->sum_s[0] = 0;
}

void integer_entry_init(struct integer_entry *s)
{
    uint32_t i;

    for (i = 0; i < 3; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 3; i++) {
        s->work1.word[i] = 0;
    }
    integer_entry_reset(s);
}

uint32_t integer_entry_step(struct integer_entry *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = integer_entry_screen_node(obs, s->applied, s->work0.f32);
    integer_entry_screen_encode_node(s->work0.f32, s->work1.i16);
    integer_entry_lag_node(s->lag_y, status, s->work1.i16, s->work1.i16);
    integer_entry_sum_node(s->sum_s, status, s->work1.i16, s->work1.i16);
    integer_entry_a_node(s->work1.i16, s->work0.i16);
    integer_entry_fold_node(s->work0.i16, s->work0.i16);
    integer_entry_b_node(s->work0.i16, s->work1.i16);
    integer_entry_b_decode_node(s->work1.i16, s->work0.f32);
    integer_entry_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

#if INTEGER_ENTRY_STEP_Q
static const int16_t integer_entry_obs_q_limits[9] INTEGER_ENTRY_CONSTANTS = {
    -32767, 32767, 0, -32767, 32767, 2048, -32767, 32767, 8192,
};
static const int16_t integer_entry_act_q_limits[2] INTEGER_ENTRY_CONSTANTS = {
    -6038, 6038,
};
static const uint16_t integer_entry_applied_q_output[1] INTEGER_ENTRY_CONSTANTS = {
    0,
};
static const int16_t integer_entry_applied_q_weight[1] INTEGER_ENTRY_CONSTANTS = {
    22225,
};
static const int32_t integer_entry_applied_q_offset[1] INTEGER_ENTRY_CONSTANTS = {
    2048,
};
static const int8_t integer_entry_applied_q_shift[1] INTEGER_ENTRY_CONSTANTS = {
    12,
};

/* Low, high and what replaces INTEGER_ENTRY_INVALID_Q: the contract's numbers as integers. */
static INTEGER_ENTRY_NOINLINE uint32_t integer_entry_screen_q(const int16_t *obs_q, const int32_t *applied_q, int16_t *y)
{
    const int16_t *limits = integer_entry_obs_q_limits;
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        const uint32_t bad = 0u - (uint32_t)(obs_q[i] == INTEGER_ENTRY_INVALID_Q);
        status |= bad & INTEGER_ENTRY_REJECTED;
        y[i] = (int16_t)integer_entry_choose(bad, limits[2], integer_entry_between(obs_q[i], limits[0], limits[1]));
    }
    for (i = 0; i < 1; i++, limits += 3) {
        const int32_t past = (applied_q[integer_entry_applied_q_output[i]] * integer_entry_applied_q_weight[i] + integer_entry_applied_q_offset[i]) >> integer_entry_applied_q_shift[i];
        y[2 + i] = (int16_t)integer_entry_between(past, limits[0], limits[1]);
    }
    return status;
}

uint32_t integer_entry_step_q(struct integer_entry *s, const int16_t obs_q[2], int16_t act_q[1])
{
    const uint32_t status = integer_entry_screen_q(obs_q, s->applied_q, s->work1.i16);
    int32_t i;

    integer_entry_lag_node(s->lag_y, status, s->work1.i16, s->work1.i16);
    integer_entry_sum_node(s->sum_s, status, s->work1.i16, s->work1.i16);
    integer_entry_a_node(s->work1.i16, s->work0.i16);
    integer_entry_fold_node(s->work0.i16, s->work0.i16);
    integer_entry_b_node(s->work0.i16, s->work1.i16);
    for (i = 0; i < 1; i++) {
        act_q[i] = (int16_t)integer_entry_between(s->work1.i16[i], integer_entry_act_q_limits[2 * i], integer_entry_act_q_limits[2 * i + 1]);
        s->applied_q[i] = act_q[i];
    }
    return status;
}

void integer_entry_set_applied_q(struct integer_entry *s, const int16_t act_q[1])
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        s->applied_q[i] = act_q[i];
    }
}
#endif

void integer_entry_set_applied(struct integer_entry *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
