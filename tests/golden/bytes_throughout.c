/* bytes_throughout: see bytes_throughout.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "bytes_throughout.h"

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
#define BYTES_THROUGHOUT_NOINLINE __attribute__((noinline))
#define BYTES_THROUGHOUT_ALIGNED __attribute__((aligned(16)))
#define BYTES_THROUGHOUT_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define BYTES_THROUGHOUT_NOINLINE __attribute__((noinline, noclone))
#define BYTES_THROUGHOUT_ALIGNED __attribute__((aligned(16)))
#define BYTES_THROUGHOUT_UNUSED __attribute__((unused))
#else
#define BYTES_THROUGHOUT_NOINLINE
#define BYTES_THROUGHOUT_ALIGNED
#define BYTES_THROUGHOUT_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef BYTES_THROUGHOUT_CONSTANTS
#define BYTES_THROUGHOUT_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef BYTES_THROUGHOUT_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define BYTES_THROUGHOUT_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define BYTES_THROUGHOUT_ASSEMBLY 0
#endif
#endif
#if BYTES_THROUGHOUT_ASSEMBLY && defined(__ARM_FP)
#define BYTES_THROUGHOUT_FPU ((__ARM_FP & 4) != 0)
#else
#define BYTES_THROUGHOUT_FPU 0
#endif
#if BYTES_THROUGHOUT_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define BYTES_THROUGHOUT_DSP 1
#else
#define BYTES_THROUGHOUT_DSP 0
#endif

static const int8_t bytes_throughout_values_e0e183e9[256] BYTES_THROUGHOUT_CONSTANTS = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4,
    5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 12, 12, 13, 14, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 26,
    27, 29, 30, 31, 33, 34, 36, 38, 39, 41, 43, 45, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64, 66, 68, 70, 72, 74, 76,
    78, 80, 82, 83, 85, 87, 89, 90, 92, 94, 95, 97, 98, 99, 101, 102, 103, 105, 106, 107, 108, 109, 110, 111, 112,
    113, 114, 114, 115, 116, 116, 117, 118, 118, 119, 119, 120, 120, 121, 121, 122, 122, 122, 123, 123, 123, 124, 124,
    124, 124, 124, 125, 125, 125, 125, 125, 126, 126, 126, 126, 126, 126, 126, 126, 127, 127, 127, 127, 127, 127, 127,
    127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    127, 127, 127, 127,
};
/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union bytes_throughout_word {
    float f;
    uint32_t u;
};

static inline BYTES_THROUGHOUT_UNUSED uint32_t bytes_throughout_bits(float f)
{
    union bytes_throughout_word word;
    word.f = f;
    return word.u;
}

static inline BYTES_THROUGHOUT_UNUSED float bytes_throughout_float(uint32_t u)
{
    union bytes_throughout_word word;
    word.u = u;
    return word.f;
}

static inline BYTES_THROUGHOUT_UNUSED float bytes_throughout_select(uint32_t mask, float yes, float no)
{
    return bytes_throughout_float((bytes_throughout_bits(yes) & mask) | (bytes_throughout_bits(no) & ~mask));
}

static inline BYTES_THROUGHOUT_UNUSED float bytes_throughout_clamp(float x, float low, float high)
{
    const float raised = bytes_throughout_select(0u - (uint32_t)(x < low), low, x);
    return bytes_throughout_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` to `end` has, for each run of columns
   of the same limits, their number and the bits of low, high and the replacement. Positive floats are ordered as signed
   integers, negative ones as unsigned, reversed; high is at least 0 and low below 0 here. */
static BYTES_THROUGHOUT_NOINLINE uint32_t bytes_throughout_screen(const float *x, float *y, const uint32_t *runs, const uint32_t *end)
{
    uint32_t status = 0;
#if BYTES_THROUGHOUT_ASSEMBLY
    uint32_t first, second;
    __asm__ volatile(
        "1:\n"
        "ldm %[runs]!, {r4, r5, r6, r8}\n"
        "tst r4, #1\n"
        "beq 2f\n"
        "ldr %[second], [%[x]], #4\n"
        "b 3f\n"
        "2:\n"
        "ldr %[first], [%[x]], #4\n"
        "cmn %[carry], %[first], lsl #1\n"
        "itt hs\n"
        "orrhs %[status], %[status], #1\n"
        "movhs %[first], r8\n"
        "cmp %[first], r6\n"
        "it gt\n"
        "movgt %[first], r6\n"
        "cmp %[first], r5\n"
        "it hi\n"
        "movhi %[first], r5\n"
        "ldr %[second], [%[x]], #4\n"
        "str %[first], [%[y]], #4\n"
        "3:\n"
        "cmn %[carry], %[second], lsl #1\n"
        "itt hs\n"
        "orrhs %[status], %[status], #1\n"
        "movhs %[second], r8\n"
        "cmp %[second], r6\n"
        "it gt\n"
        "movgt %[second], r6\n"
        "cmp %[second], r5\n"
        "it hi\n"
        "movhi %[second], r5\n"
        "str %[second], [%[y]], #4\n"
        "subs r4, r4, #2\n"
        "bgt 2b\n"
        "cmp %[runs], %[end]\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [runs] "+r"(runs), [status] "+r"(status), [first] "=&r"(first), [second] "=&r"(second)
        : [end] "r"(end), [carry] "r"(0x01000000) /* what makes a carry with twice the bits of an infinity or more */
        : "r4", "r5", "r6", "r8", "cc", "memory");
#else
    for (; runs != end; runs += 4) {
        uint32_t n;
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((bytes_throughout_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = bytes_throughout_clamp(*x, bytes_throughout_float(runs[1]), bytes_throughout_float(runs[2]));
            status |= bad & BYTES_THROUGHOUT_REJECTED;
            *y = bytes_throughout_select(bad, bytes_throughout_float(runs[3]), clamped);
        }
    }
#endif
    return status;
}

static inline BYTES_THROUGHOUT_UNUSED int8_t bytes_throughout_saturate8(int32_t q)
{
#if BYTES_THROUGHOUT_DSP
    int32_t saturated;
    __asm__("ssat %0, #8, %1" : "=r"(saturated) : "r"(q));
    return (int8_t)saturated;
#else
    return (int8_t)(q > 127 ? 127 : q < -128 ? -128 : q);
#endif
}

/* floor(y + 0.5), saturated to 8 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline BYTES_THROUGHOUT_UNUSED int8_t bytes_throughout_encode8(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return bytes_throughout_saturate8(whole - (int32_t)(bytes_throughout_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x) for n columns. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_encode_gain8(const float *x, int8_t *y, const float *gain, int32_t n)
{
#if BYTES_THROUGHOUT_FPU && BYTES_THROUGHOUT_DSP
    int32_t fours = (n + 3) >> 2, mode, down, a, b, c, d; /* the rounding modes: to nearest, down */
    __asm__ volatile(
        "vmrs %[mode], fpscr\n"
        "orr %[down], %[mode], #0x800000\n"
        "1:\n"
        "vldm %[x]!, {s0-s3}\n"
        "vldm %[gain]!, {s4-s7}\n"
        "vmul.f32 s0, s0, s4\n"
        "vmul.f32 s1, s1, s5\n"
        "vmul.f32 s2, s2, s6\n"
        "vmul.f32 s3, s3, s7\n"
        "vadd.f32 s0, s0, %[half]\n"
        "vadd.f32 s1, s1, %[half]\n"
        "vadd.f32 s2, s2, %[half]\n"
        "vadd.f32 s3, s3, %[half]\n"
        "vmsr fpscr, %[down]\n"
        "vcvtr.s32.f32 s0, s0\n"
        "vcvtr.s32.f32 s1, s1\n"
        "vcvtr.s32.f32 s2, s2\n"
        "vcvtr.s32.f32 s3, s3\n"
        "vmsr fpscr, %[mode]\n"
        "vmov %[a], %[b], s0, s1\n"
        "vmov %[c], %[d], s2, s3\n"
        "ssat %[a], #8, %[a]\n"
        "ssat %[b], #8, %[b]\n"
        "ssat %[c], #8, %[c]\n"
        "ssat %[d], #8, %[d]\n"
        "bfi %[a], %[b], #8, #8\n"
        "bfi %[a], %[c], #16, #8\n"
        "bfi %[a], %[d], #24, #8\n"
        "str %[a], [%[y]], #4\n"
        "subs %[fours], %[fours], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [gain] "+r"(gain), [fours] "+r"(fours), [mode] "=&r"(mode),
          [down] "=&r"(down), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = bytes_throughout_encode8(x[i] * gain[i]);
    }
#endif
}

/* y = scale x for n columns. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_decode8(const int8_t *x, float *y, float scale, int32_t n)
{
#if BYTES_THROUGHOUT_FPU
    int32_t fours = (n + 3) >> 2, a, b, c;
    __asm__ volatile(
        "1:\n"
        "ldr %[a], [%[x]], #4\n"
        "sxtb %[b], %[a]\n"
        "sbfx %[c], %[a], #8, #8\n"
        "vmov s0, s1, %[b], %[c]\n"
        "sbfx %[b], %[a], #16, #8\n"
        "asr %[a], %[a], #24\n"
        "vmov s2, s3, %[b], %[a]\n"
        "vcvt.f32.s32 s0, s0\n"
        "vcvt.f32.s32 s1, s1\n"
        "vcvt.f32.s32 s2, s2\n"
        "vcvt.f32.s32 s3, s3\n"
        "vmul.f32 s0, s0, %[scale]\n"
        "vmul.f32 s1, s1, %[scale]\n"
        "vmul.f32 s2, s2, %[scale]\n"
        "vmul.f32 s3, s3, %[scale]\n"
        "vstm %[y]!, {s0-s3}\n"
        "subs %[fours], %[fours], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [fours] "+r"(fours), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
        : [scale] "t"(scale)
        : "s0", "s1", "s2", "s3", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = (float)x[i] * scale;
    }
#endif
}

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 8 bits. */
static inline BYTES_THROUGHOUT_UNUSED int8_t bytes_throughout_requantize8(int32_t sum, int32_t multiplier)
{
#if BYTES_THROUGHOUT_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return bytes_throughout_saturate8(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return bytes_throughout_saturate8((int32_t)(product >> 32));
#endif
}

#if BYTES_THROUGHOUT_DSP
typedef int32_t bytes_throughout_bytes __attribute__((may_alias)); /* four of them */

/* Bytes 0 and 2, or 1 and 3, of a word as two numbers of 16 bits. */
static inline int32_t bytes_throughout_even(int32_t word)
{
    int32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

static inline int32_t bytes_throughout_odd(int32_t word)
{
    int32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

static inline int32_t bytes_throughout_dual_mac(int32_t w, int32_t x, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(w), "r"(x), "r"(sum));
    return result;
}
#endif

/* y = requantize(bias + weight x) for `blocks` blocks of four rows and `fours` groups of four columns. `w` runs by
   blocks of rows, then groups of columns, then the rows of a block. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_rows4_a8(const int8_t *w, const int32_t *b, const int32_t *m, const int8_t *x,
    int8_t *y, int32_t blocks, int32_t fours)
{
    for (; blocks > 0; blocks--, b += 4, m += 4, y += 4) {
        int32_t sum0 = b[0], sum1 = b[1], sum2 = b[2], sum3 = b[3], j;
        for (j = 0; j < 4 * fours; j += 4, w += 16) {
#if BYTES_THROUGHOUT_DSP
            const bytes_throughout_bytes *words = (const bytes_throughout_bytes *)(const void *)w;
            const int32_t v = *(const bytes_throughout_bytes *)(const void *)(x + j);
            const int32_t w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
            const int32_t even = bytes_throughout_even(v), odd = bytes_throughout_odd(v);
            sum0 = bytes_throughout_dual_mac(bytes_throughout_even(w0), even, sum0);
            sum0 = bytes_throughout_dual_mac(bytes_throughout_odd(w0), odd, sum0);
            sum1 = bytes_throughout_dual_mac(bytes_throughout_even(w1), even, sum1);
            sum1 = bytes_throughout_dual_mac(bytes_throughout_odd(w1), odd, sum1);
            sum2 = bytes_throughout_dual_mac(bytes_throughout_even(w2), even, sum2);
            sum2 = bytes_throughout_dual_mac(bytes_throughout_odd(w2), odd, sum2);
            sum3 = bytes_throughout_dual_mac(bytes_throughout_even(w3), even, sum3);
            sum3 = bytes_throughout_dual_mac(bytes_throughout_odd(w3), odd, sum3);
#else
            sum0 += w[0] * x[j] + w[1] * x[j + 1] + w[2] * x[j + 2] + w[3] * x[j + 3];
            sum1 += w[4] * x[j] + w[5] * x[j + 1] + w[6] * x[j + 2] + w[7] * x[j + 3];
            sum2 += w[8] * x[j] + w[9] * x[j + 1] + w[10] * x[j + 2] + w[11] * x[j + 3];
            sum3 += w[12] * x[j] + w[13] * x[j + 1] + w[14] * x[j + 2] + w[15] * x[j + 3];
#endif
        }
        y[0] = bytes_throughout_requantize8(sum0, m[0]);
        y[1] = bytes_throughout_requantize8(sum1, m[1]);
        y[2] = bytes_throughout_requantize8(sum2, m[2]);
        y[3] = bytes_throughout_requantize8(sum3, m[3]);
    }
}

/* Choice by a mask of ones or zeros, as for floats: no branch. */
static inline BYTES_THROUGHOUT_UNUSED int32_t bytes_throughout_choose(uint32_t mask, int32_t yes, int32_t no)
{
    return (int32_t)(((uint32_t)yes & mask) | ((uint32_t)no & ~mask));
}

static inline BYTES_THROUGHOUT_UNUSED int32_t bytes_throughout_between(int32_t x, int32_t low, int32_t high)
{
    const int32_t raised = bytes_throughout_choose(0u - (uint32_t)(x < low), low, x);
    return bytes_throughout_choose(0u - (uint32_t)(x > high), high, raised);
}

/* floor(a * multiplier / 2^32 + 1/2) */
static inline BYTES_THROUGHOUT_UNUSED int32_t bytes_throughout_high(int32_t a, int32_t multiplier)
{
    return (int32_t)(((int64_t)a * multiplier + 0x80000000) >> 32);
}

/* screen: screen, 2 -> 2, f32 */
static const uint32_t bytes_throughout_screen_node_limits[8] BYTES_THROUGHOUT_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u,
};
static BYTES_THROUGHOUT_NOINLINE uint32_t bytes_throughout_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = bytes_throughout_screen(obs, y, bytes_throughout_screen_node_limits, bytes_throughout_screen_node_limits + 8);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w8a8 */
static const float bytes_throughout_screen_encode_node_gain[4] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    42.333332f, 33.666683f, 0.0f, 0.0f,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_screen_encode_node(const float *x, int8_t *y)
{
    bytes_throughout_encode_gain8(x, y, bytes_throughout_screen_encode_node_gain, 2);
}

/* a: integer_dense, 2 -> 4, w8a8 */
static const int8_t bytes_throughout_a_node_weight[16] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    37, -127, 0, 0, -17, -127, 0, 0, 127, 102, 0, 0, -42, 127, 0, 0,
};
static const int32_t bytes_throughout_a_node_bias[4] BYTES_THROUGHOUT_CONSTANTS = {
    651, -274, 826, -485,
};
static const int32_t bytes_throughout_a_node_multiplier[4] BYTES_THROUGHOUT_CONSTANTS = {
    5940918, 27746722, 16265992, 8794137,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_a_node(const int8_t *x, int8_t *y)
{
    bytes_throughout_rows4_a8(bytes_throughout_a_node_weight, bytes_throughout_a_node_bias, bytes_throughout_a_node_multiplier, x, y, 1, 1);
}

/* bend: byte_table, 4 -> 4, w8a8 */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_bend_node(const int8_t *x, int8_t *y)
{
    int32_t i;

    for (i = 0; i < 4; i++) {
        y[i] = bytes_throughout_values_e0e183e9[x[i] + 128];
    }
}

/* b: integer_dense, 4 -> 1, w8a8 */
static const int8_t bytes_throughout_b_node_weight[4] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    -53, -127, 73, -16,
};
static const int32_t bytes_throughout_b_node_bias[1] BYTES_THROUGHOUT_CONSTANTS = {
    4476,
};
static const int32_t bytes_throughout_b_node_multiplier[1] BYTES_THROUGHOUT_CONSTANTS = {
    32089783,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_b_node(const int8_t *x, int8_t *y)
{
    const int8_t *w = bytes_throughout_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = bytes_throughout_b_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = bytes_throughout_requantize8(sum, bytes_throughout_b_node_multiplier[i]);
    }
}

/* b_decode: decode, 1 -> 1, w8a8 */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_b_decode_node(const int8_t *x, float *y)
{
    bytes_throughout_decode8(x, y, 0.0032610318f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t bytes_throughout_clip_node_limits[4] BYTES_THROUGHOUT_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_clip_node(const float *x, float *y)
{
    (void)bytes_throughout_screen(x, y, bytes_throughout_clip_node_limits, bytes_throughout_clip_node_limits + 4);
}

void bytes_throughout_reset(struct bytes_throughout *s)
{
    s->applied[0] = 0.0f;
}

void bytes_throughout_init(struct bytes_throughout *s)
{
    uint32_t i;

    for (i = 0; i < 4; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    bytes_throughout_reset(s);
}

uint32_t bytes_throughout_step(struct bytes_throughout *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = bytes_throughout_screen_node(obs, s->applied, s->work0.f32);
    bytes_throughout_screen_encode_node(s->work0.f32, s->work1.i8);
    bytes_throughout_a_node(s->work1.i8, s->work0.i8);
    bytes_throughout_bend_node(s->work0.i8, s->work0.i8);
    bytes_throughout_b_node(s->work0.i8, s->work1.i8);
    bytes_throughout_b_decode_node(s->work1.i8, s->work0.f32);
    bytes_throughout_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

#if BYTES_THROUGHOUT_STEP_Q
static const int8_t bytes_throughout_obs_q_limits[6] BYTES_THROUGHOUT_CONSTANTS = {
    -127, 127, 0, -127, 127, 0,
};
static const int8_t bytes_throughout_act_q_limits[2] BYTES_THROUGHOUT_CONSTANTS = {
    -128, 127,
};

/* Low, high and what replaces BYTES_THROUGHOUT_INVALID_Q: the contract's numbers as integers. */
static BYTES_THROUGHOUT_NOINLINE uint32_t bytes_throughout_screen_q(const int8_t *obs_q, const int32_t *applied_q, int8_t *y)
{
    const int8_t *limits = bytes_throughout_obs_q_limits;
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        const uint32_t bad = 0u - (uint32_t)(obs_q[i] == BYTES_THROUGHOUT_INVALID_Q);
        status |= bad & BYTES_THROUGHOUT_REJECTED;
        y[i] = (int8_t)bytes_throughout_choose(bad, limits[2], bytes_throughout_between(obs_q[i], limits[0], limits[1]));
    }
    (void)applied_q;
    return status;
}

uint32_t bytes_throughout_step_q(struct bytes_throughout *s, const int8_t obs_q[2], int8_t act_q[1])
{
    const uint32_t status = bytes_throughout_screen_q(obs_q, 0, s->work1.i8);
    int32_t i;

    bytes_throughout_a_node(s->work1.i8, s->work0.i8);
    bytes_throughout_bend_node(s->work0.i8, s->work0.i8);
    bytes_throughout_b_node(s->work0.i8, s->work1.i8);
    for (i = 0; i < 1; i++) {
        act_q[i] = (int8_t)bytes_throughout_between(s->work1.i8[i], bytes_throughout_act_q_limits[2 * i], bytes_throughout_act_q_limits[2 * i + 1]);
    }
    return status;
}
#endif

void bytes_throughout_set_applied(struct bytes_throughout *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
