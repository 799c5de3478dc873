/* narrow_weights: see narrow_weights.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "narrow_weights.h"

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
#define NARROW_WEIGHTS_NOINLINE __attribute__((noinline))
#define NARROW_WEIGHTS_ALIGNED __attribute__((aligned(16)))
#define NARROW_WEIGHTS_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define NARROW_WEIGHTS_NOINLINE __attribute__((noinline, noclone))
#define NARROW_WEIGHTS_ALIGNED __attribute__((aligned(16)))
#define NARROW_WEIGHTS_UNUSED __attribute__((unused))
#else
#define NARROW_WEIGHTS_NOINLINE
#define NARROW_WEIGHTS_ALIGNED
#define NARROW_WEIGHTS_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef NARROW_WEIGHTS_CONSTANTS
#define NARROW_WEIGHTS_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef NARROW_WEIGHTS_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define NARROW_WEIGHTS_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define NARROW_WEIGHTS_ASSEMBLY 0
#endif
#endif
#if NARROW_WEIGHTS_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define NARROW_WEIGHTS_DSP 1
#else
#define NARROW_WEIGHTS_DSP 0
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union narrow_weights_word {
    float f;
    uint32_t u;
};

static inline uint32_t narrow_weights_bits(float f)
{
    union narrow_weights_word word;
    word.f = f;
    return word.u;
}

static inline float narrow_weights_float(uint32_t u)
{
    union narrow_weights_word word;
    word.u = u;
    return word.f;
}

static inline float narrow_weights_select(uint32_t mask, float yes, float no)
{
    return narrow_weights_float((narrow_weights_bits(yes) & mask) | (narrow_weights_bits(no) & ~mask));
}

static inline float narrow_weights_clamp(float x, float low, float high)
{
    const float raised = narrow_weights_select(0u - (uint32_t)(x < low), low, x);
    return narrow_weights_select(0u - (uint32_t)(x > high), high, raised);
}

static inline NARROW_WEIGHTS_UNUSED int16_t narrow_weights_saturate(int32_t q)
{
#if NARROW_WEIGHTS_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline int16_t narrow_weights_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return narrow_weights_saturate(whole - (int32_t)(narrow_weights_bits(z - (float)whole) >> 31));
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline NARROW_WEIGHTS_UNUSED int16_t narrow_weights_requantize(int32_t sum, int32_t multiplier)
{
#if NARROW_WEIGHTS_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return narrow_weights_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return narrow_weights_saturate((int32_t)(product >> 32));
#endif
}

/* y = requantize(bias + weight x) for `blocks` blocks of four rows and `pairs` pairs of columns. `w` runs by blocks of
   rows, then pairs of columns, then the two pairs of rows; a number is 256 times the weight of the second row of a pair
   plus that of the first. No row's sum can overflow: that was proven when the weights were chosen. */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_rows4_w8(const int16_t *w, const int32_t *b, const int32_t *m, const int16_t *x,
    int16_t *y, int32_t blocks, int32_t pairs)
{
#if NARROW_WEIGHTS_DSP
    /* r0 weights, r1 inputs, r2 r3 weights of two rows each, r6 a pair of inputs, r8 r9 sums of first rows, r4:r5 r10:r11
       256 times those of second rows and those of first rows together, r12 counts; r7 may be the frame. */
    struct {
        const int16_t *w;
        const int32_t *b, *m;
        const int16_t *x;
        int16_t *y;
        int32_t blocks, eights, ones;
    } frame;
    frame.w = w, frame.b = b, frame.m = m, frame.x = x, frame.y = y;
    frame.blocks = blocks, frame.eights = pairs >> 3, frame.ones = pairs & 7;
    __asm__ volatile(
        "ldr r0, [%[frame], #0]\n"
        "5:\n"
        "ldr r1, [%[frame], #12]\n"
        "ldr r12, [%[frame], #24]\n"
        "movs r4, #0\n"
        "movs r5, #0\n"
        "mov r8, #0\n"
        "mov r9, #0\n"
        "mov r10, #0\n"
        "mov r11, #0\n"
        "cmp r12, #0\n"
        "beq 2f\n"
        "1:\n"
        "ldr r6, [r1, #0]\n"
        "ldr r2, [r0, #0]\n"
        "ldr r3, [r0, #4]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #4]\n"
        "ldr r2, [r0, #8]\n"
        "ldr r3, [r0, #12]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #8]\n"
        "ldr r2, [r0, #16]\n"
        "ldr r3, [r0, #20]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #12]\n"
        "ldr r2, [r0, #24]\n"
        "ldr r3, [r0, #28]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #16]\n"
        "ldr r2, [r0, #32]\n"
        "ldr r3, [r0, #36]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #20]\n"
        "ldr r2, [r0, #40]\n"
        "ldr r3, [r0, #44]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #24]\n"
        "ldr r2, [r0, #48]\n"
        "ldr r3, [r0, #52]\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "ldr r6, [r1, #28]\n"
        "ldr r2, [r0, #56]\n"
        "ldr r3, [r0, #60]\n"
        "adds r1, #32\n"
        "adds r0, #64\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "subs r12, r12, #1\n"
        "bne 1b\n"
        "2:\n"
        "ldr r12, [%[frame], #28]\n"
        "cmp r12, #0\n"
        "beq 4f\n"
        "3:\n"
        "ldr r6, [r1, #0]\n"
        "ldr r2, [r0, #0]\n"
        "ldr r3, [r0, #4]\n"
"adds r1, #4\n"
        "adds r0, #8\n"
        "smlald r4, r5, r2, r6\n"
        "sxtb16 r2, r2\n"
        "smlald r10, r11, r3, r6\n"
        "sxtb16 r3, r3\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
"subs r12, r12, #1\n"
        "bne 3b\n"
        "4:\n"
        "subs r4, r4, r8\n"
        "sbc r5, r5, r8, asr #31\n"
        "lsr r4, r4, #8\n"
        "orr r4, r4, r5, lsl #24\n"
        "subs r10, r10, r9\n"
        "sbc r11, r11, r9, asr #31\n"
        "lsr r10, r10, #8\n"
        "orr r10, r10, r11, lsl #24\n"
        "ldr r1, [%[frame], #4]\n"
        "ldm r1!, {r2, r3, r6, r12}\n"
        "str r1, [%[frame], #4]\n"
        "ldr r1, [%[frame], #8]\n"
        "add r8, r8, r2\n"
        "add r4, r4, r3\n"
        "add r9, r9, r6\n"
        "add r10, r10, r12\n"
        "ldm r1!, {r2, r3, r6, r12}\n"
        "str r1, [%[frame], #8]\n"
        "smmulr r8, r8, r2\n"
        "smmulr r4, r4, r3\n"
        "smmulr r9, r9, r6\n"
        "smmulr r10, r10, r12\n"
        "ldr r6, [%[frame], #16]\n"
        "ldr r12, [%[frame], #20]\n"
        "ssat r8, #16, r8\n"
        "ssat r4, #16, r4\n"
        "ssat r9, #16, r9\n"
        "ssat r10, #16, r10\n"
        "pkhbt r8, r8, r4, lsl #16\n"
        "pkhbt r9, r9, r10, lsl #16\n"
        "str r8, [r6], #4\n"
        "str r9, [r6], #4\n"
        "str r6, [%[frame], #16]\n"
        "subs r12, r12, #1\n"
        "str r12, [%[frame], #20]\n"
        "bne 5b"
        :
        : [frame] "r"(&frame)
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
    for (; blocks > 0; blocks--, b += 4, m += 4, y += 4) {
        int32_t sum0 = b[0], sum1 = b[1], sum2 = b[2], sum3 = b[3], j;
        for (j = 0; j < 2 * pairs; j += 2, w += 4) {
            const int32_t v0 = x[j], v1 = x[j + 1];
            sum0 += (int8_t)w[0] * v0 + (int8_t)w[1] * v1;
            sum1 += ((w[0] - (int8_t)w[0]) >> 8) * v0 + ((w[1] - (int8_t)w[1]) >> 8) * v1;
            sum2 += (int8_t)w[2] * v0 + (int8_t)w[3] * v1;
            sum3 += ((w[2] - (int8_t)w[2]) >> 8) * v0 + ((w[3] - (int8_t)w[3]) >> 8) * v1;
        }
        y[0] = narrow_weights_requantize(sum0, m[0]);
        y[1] = narrow_weights_requantize(sum1, m[1]);
        y[2] = narrow_weights_requantize(sum2, m[2]);
        y[3] = narrow_weights_requantize(sum3, m[3]);
    }
#endif
}

/* Choice by a mask of ones or zeros, as for floats: no branch. */
static inline NARROW_WEIGHTS_UNUSED int32_t narrow_weights_choose(uint32_t mask, int32_t yes, int32_t no)
{
    return (int32_t)(((uint32_t)yes & mask) | ((uint32_t)no & ~mask));
}

static inline NARROW_WEIGHTS_UNUSED int32_t narrow_weights_between(int32_t x, int32_t low, int32_t high)
{
    const int32_t raised = narrow_weights_choose(0u - (uint32_t)(x < low), low, x);
    return narrow_weights_choose(0u - (uint32_t)(x > high), high, raised);
}

/* floor(a * multiplier / 2^32 + 1/2) */
static inline NARROW_WEIGHTS_UNUSED int32_t narrow_weights_high(int32_t a, int32_t multiplier)
{
    return (int32_t)(((int64_t)a * multiplier + 0x80000000) >> 32);
}

/* screen: screen, 2 -> 2, f32 */
static const uint32_t narrow_weights_screen_node_limits[6] NARROW_WEIGHTS_CONSTANTS = {
    3225419776u, 1077936128u, 0u, 3238002688u, 1090519040u, 0u,
};
/* The bits of the screened value. Positive floats are ordered as signed integers, negative ones as unsigned, reversed;
   `high` is at least 0 and `low` below 0 in the quick form. */
static inline uint32_t narrow_weights_screen_node_value(uint32_t bits, const uint32_t *limits, uint32_t *status)
{
#if NARROW_WEIGHTS_ASSEMBLY
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
    const float clamped = narrow_weights_clamp(narrow_weights_float(bits), narrow_weights_float(limits[0]), narrow_weights_float(limits[1]));
    *status |= bad & NARROW_WEIGHTS_REJECTED;
    return (limits[2] & bad) | (narrow_weights_bits(clamped) & ~bad);
#endif
}

static NARROW_WEIGHTS_NOINLINE uint32_t narrow_weights_screen_node(const float *obs, const float *applied, float *y)
{
    const uint32_t *limits = narrow_weights_screen_node_limits; /* the bits of low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = narrow_weights_float(narrow_weights_screen_node_value(narrow_weights_bits(obs[i]), limits, &status));
    }
    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w8a16 */
static const float narrow_weights_screen_encode_node_affine[4] NARROW_WEIGHTS_CONSTANTS = {
    10922.333f, 0.0f, 4095.875f, 0.0f,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_screen_encode_node(const float *x, int16_t *y)
{
    const float *affine = narrow_weights_screen_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 2; i++, affine += 2) {
        y[i] = narrow_weights_encode(x[i] * affine[0] + affine[1]);
    }
}

/* a: integer_dense, 2 -> 5, w8a16 */
static const int32_t narrow_weights_a_node_bias[5] NARROW_WEIGHTS_CONSTANTS = {
    5090, 61725, -242740, -41246, -241161,
};
static const int32_t narrow_weights_a_node_multiplier[5] NARROW_WEIGHTS_CONSTANTS = {
    19210446, 30469423, 10436788, 13587258, 6877180,
};
static const int16_t narrow_weights_a_node_weight[4] NARROW_WEIGHTS_ALIGNED NARROW_WEIGHTS_CONSTANTS = {
    3092, -32385, -11167, 32639,
};
static const int8_t narrow_weights_a_node_weight_rest[2] NARROW_WEIGHTS_CONSTANTS = {
    59, 127,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_a_node(const int16_t *x, int16_t *y)
{
    narrow_weights_rows4_w8(narrow_weights_a_node_weight, narrow_weights_a_node_bias, narrow_weights_a_node_multiplier, x, y, 1, 1);
    const int8_t *w = narrow_weights_a_node_weight_rest;
    int32_t i, j;

    for (i = 4; i < 5; i++) {
        int32_t sum = narrow_weights_a_node_bias[i];
        for (j = 0; j < 2; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = narrow_weights_requantize(sum, narrow_weights_a_node_multiplier[i]);
    }
}

/* fold: relu, 5 -> 5, w8a16 */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_fold_node(const int16_t *x, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 5; i++) {
        y[i] = (int16_t)(x[i] & ~(x[i] >> 31));
    }
}

/* b: integer_dense, 5 -> 1, w8a16 */
static const int32_t narrow_weights_b_node_bias[1] NARROW_WEIGHTS_CONSTANTS = {
    2369,
};
static const int32_t narrow_weights_b_node_multiplier[1] NARROW_WEIGHTS_CONSTANTS = {
    43999010,
};
static const int8_t narrow_weights_b_node_weight_rest[5] NARROW_WEIGHTS_CONSTANTS = {
    97, 6, -48, -127, -42,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_b_node(const int16_t *x, int16_t *y)
{
    const int8_t *w = narrow_weights_b_node_weight_rest;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = narrow_weights_b_node_bias[i];
        for (j = 0; j < 5; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = narrow_weights_requantize(sum, narrow_weights_b_node_multiplier[i]);
    }
}

/* b_decode: decode, 1 -> 1, w8a16 */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_b_decode_node(const int16_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        y[i] = (float)x[i] * 6.7113695e-05f;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float narrow_weights_clip_node_limits[2] NARROW_WEIGHTS_CONSTANTS = {
    -1.0f, 1.0f,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_clip_node(const float *x, float *y)
{
    const float *limits = narrow_weights_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = narrow_weights_clamp(x[i], limits[0], limits[1]);
    }
}

void narrow_weights_reset(struct narrow_weights *s)
{
    s->applied[0] = 0.0f;
}

void narrow_weights_init(struct narrow_weights *s)
{
    uint32_t i;

    for (i = 0; i < 3; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 1; i++) {
        s->work1.word[i] = 0;
    }
    narrow_weights_reset(s);
}

uint32_t narrow_weights_step(struct narrow_weights *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = narrow_weights_screen_node(obs, s->applied, s->work0.f32);
    narrow_weights_screen_encode_node(s->work0.f32, s->work1.i16);
    narrow_weights_a_node(s->work1.i16, s->work0.i16);
    narrow_weights_fold_node(s->work0.i16, s->work0.i16);
    narrow_weights_b_node(s->work0.i16, s->work1.i16);
    narrow_weights_b_decode_node(s->work1.i16, s->work0.f32);
    narrow_weights_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

#if NARROW_WEIGHTS_STEP_Q
static const int16_t narrow_weights_obs_q_limits[6] NARROW_WEIGHTS_CONSTANTS = {
    -32767, 32767, 0, -32767, 32767, 0,
};
static const int16_t narrow_weights_act_q_limits[2] NARROW_WEIGHTS_CONSTANTS = {
    -14900, 14900,
};

/* Low, high and what replaces NARROW_WEIGHTS_INVALID_Q: the contract's numbers as integers. */
static NARROW_WEIGHTS_NOINLINE uint32_t narrow_weights_screen_q(const int16_t *obs_q, const int32_t *applied_q, int16_t *y)
{
    const int16_t *limits = narrow_weights_obs_q_limits;
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        const uint32_t bad = 0u - (uint32_t)(obs_q[i] == NARROW_WEIGHTS_INVALID_Q);
        status |= bad & NARROW_WEIGHTS_REJECTED;
        y[i] = (int16_t)narrow_weights_choose(bad, limits[2], narrow_weights_between(obs_q[i], limits[0], limits[1]));
    }
    (void)applied_q;
    return status;
}

uint32_t narrow_weights_step_q(struct narrow_weights *s, const int16_t obs_q[2], int16_t act_q[1])
{
    const uint32_t status = narrow_weights_screen_q(obs_q, 0, s->work1.i16);
    int32_t i;

    narrow_weights_a_node(s->work1.i16, s->work0.i16);
    narrow_weights_fold_node(s->work0.i16, s->work0.i16);
    narrow_weights_b_node(s->work0.i16, s->work1.i16);
    for (i = 0; i < 1; i++) {
        act_q[i] = (int16_t)narrow_weights_between(s->work1.i16[i], narrow_weights_act_q_limits[2 * i], narrow_weights_act_q_limits[2 * i + 1]);
    }
    return status;
}
#endif

void narrow_weights_set_applied(struct narrow_weights *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
