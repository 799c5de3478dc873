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
#if JOINED_ASSEMBLY && defined(__ARM_FP)
#define JOINED_FPU ((__ARM_FP & 4) != 0)
#else
#define JOINED_FPU 0
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

static inline JOINED_UNUSED uint32_t joined_bits(float f)
{
    union joined_word word;
    word.f = f;
    return word.u;
}

static inline JOINED_UNUSED float joined_float(uint32_t u)
{
    union joined_word word;
    word.u = u;
    return word.f;
}

static inline JOINED_UNUSED float joined_select(uint32_t mask, float yes, float no)
{
    return joined_float((joined_bits(yes) & mask) | (joined_bits(no) & ~mask));
}

static inline JOINED_UNUSED float joined_clamp(float x, float low, float high)
{
    const float raised = joined_select(0u - (uint32_t)(x < low), low, x);
    return joined_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` to `end` has, for each run of columns
   of the same limits, their number and the bits of low, high and the replacement. Positive floats are ordered as signed
   integers, negative ones as unsigned, reversed; high is at least 0 and low below 0 here. */
static JOINED_NOINLINE uint32_t joined_screen(const float *x, float *y, const uint32_t *runs, const uint32_t *end)
{
    uint32_t status = 0;
#if JOINED_ASSEMBLY
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
            const uint32_t bad = 0u - (uint32_t)((joined_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = joined_clamp(*x, joined_float(runs[1]), joined_float(runs[2]));
            status |= bad & JOINED_REJECTED;
            *y = joined_select(bad, joined_float(runs[3]), clamped);
        }
    }
#endif
    return status;
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
static inline JOINED_UNUSED int16_t joined_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return joined_saturate(whole - (int32_t)(joined_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x) for n columns. */
static JOINED_NOINLINE void joined_encode_gain(const float *x, int16_t *y, const float *gain, int32_t n)
{
#if JOINED_FPU && JOINED_DSP
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
        "ssat %[a], #16, %[a]\n"
        "ssat %[b], #16, %[b]\n"
        "ssat %[c], #16, %[c]\n"
        "ssat %[d], #16, %[d]\n"
        "pkhbt %[a], %[a], %[b], lsl #16\n"
        "pkhbt %[c], %[c], %[d], lsl #16\n"
        "str %[a], [%[y]], #4\n"
        "str %[c], [%[y]], #4\n"
        "subs %[fours], %[fours], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [gain] "+r"(gain), [fours] "+r"(fours), [mode] "=&r"(mode),
          [down] "=&r"(down), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = joined_encode(x[i] * gain[i]);
    }
#endif
}

/* y = scale x for n columns. */
static JOINED_NOINLINE void joined_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if JOINED_FPU
    int32_t fours = (n + 3) >> 2, a, b, c;
    __asm__ volatile(
        "1:\n"
        "ldr %[a], [%[x]], #4\n"
        "ldr %[b], [%[x]], #4\n"
        "sxth %[c], %[a]\n"
        "asr %[a], %[a], #16\n"
        "vmov s0, s1, %[c], %[a]\n"
        "sxth %[c], %[b]\n"
        "asr %[b], %[b], #16\n"
        "vmov s2, s3, %[c], %[b]\n"
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
static const uint32_t joined_screen_node_limits[8] JOINED_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u,
};
static JOINED_NOINLINE uint32_t joined_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = joined_screen(obs, y, joined_screen_node_limits, joined_screen_node_limits + 8);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w16a16 */
static const float joined_screen_encode_node_gain[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    10922.333f, 4095.875f, 0.0f, 0.0f,
};
static JOINED_NOINLINE void joined_screen_encode_node(const float *x, int16_t *y)
{
    joined_encode_gain(x, y, joined_screen_encode_node_gain, 2);
}

/* a: integer_dense, 2 -> 2, w16a16 */
static const uint32_t joined_a_node_weight[6] JOINED_ALIGNED JOINED_CONSTANTS = {
    4288243937u, 2147558997u, 100385u, 4280552806u, 2147558232u, 22302u,
};
static JOINED_NOINLINE void joined_a_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = joined_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 2; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 2; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = joined_requantize(sum, (int32_t)*w++);
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
static const uint32_t joined_b_node_weight[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    1515032u, 4126189660u, 2104680279u, 130914u,
};
static JOINED_NOINLINE void joined_b_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = joined_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 4; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = joined_requantize(sum, (int32_t)*w++);
    }
}

/* b_decode: decode, 1 -> 1, w16a16 */
static JOINED_NOINLINE void joined_b_decode_node(const int16_t *x, float *y)
{
    joined_decode(x, y, 0.0009778688f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t joined_clip_node_limits[4] JOINED_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u,
};
static JOINED_NOINLINE void joined_clip_node(const float *x, float *y)
{
    (void)joined_screen(x, y, joined_clip_node_limits, joined_clip_node_limits + 4);
}

void joined_reset(struct joined *s)
{
    s->applied[0] = 0.0f;
}

void joined_init(struct joined *s)
{
    uint32_t i;

    for (i = 0; i < 4; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
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
