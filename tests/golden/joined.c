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

#if defined(TINYCTL_PROBE)
#define JOINED_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif JOINED_PROBES == 1
struct joined_probe_ring joined_probes;
static JOINED_NOINLINE void joined_probe_keep(uint32_t id, float value)
{
    struct joined_probe *entry = &joined_probes.entry[joined_probes.count++ % JOINED_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define JOINED_PROBE(id, value) joined_probe_keep(id, value)
#elif JOINED_PROBES == 2
#define JOINED_PROBE(id, value) joined_probe(id, value)
#endif
#if defined(JOINED_PROBE)
#define JOINED_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { JOINED_PROBE(id, (float)(values)[i]); }
#else
#define JOINED_PROBE_NODE(id, values, n)
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

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static JOINED_NOINLINE JOINED_UNUSED uint32_t joined_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((joined_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = joined_clamp(*x, joined_float(runs[1]), joined_float(runs[2]));
            status |= bad & JOINED_REJECTED;
            *y = joined_select(bad, joined_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static JOINED_NOINLINE uint32_t joined_screen(const float *x, float *y, const uint32_t *runs)
{
#if JOINED_DSP
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
    return joined_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static JOINED_NOINLINE void joined_clip(const float *x, float *y, const uint32_t *runs)
{
#if JOINED_DSP
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
    (void)joined_screen_any(x, y, runs);
#endif
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

/* y = encode(gain x) for n columns; `numbers` has the gains. */
static JOINED_NOINLINE void joined_encode_gains(const float *x, int16_t *y, const float *numbers, int32_t n)
{
#if JOINED_FPU && JOINED_DSP
    int32_t fours = (n + 3) >> 2, mode, down, a, b, c, d; /* the rounding modes: to nearest, down */
    __asm__ volatile(
        "vmrs %[mode], fpscr\n"
        "orr %[down], %[mode], #0x800000\n"
        ".balign 4\n"
        "1:\n"
        "vldm %[x]!, {s0-s3}\n"
        "vldm %[numbers]!, {s4-s7}\n"
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
        : [x] "+r"(x), [y] "+r"(y), [numbers] "+r"(numbers), [fours] "+r"(fours), [mode] "=&r"(mode),
          [down] "=&r"(down), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = joined_encode(x[i] * numbers[i]);
    }
#endif
}

/* y = scale x for n columns. */
static JOINED_NOINLINE void joined_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if JOINED_FPU
    int32_t fours = (n + 3) >> 2, a, b, c, d;
    __asm__ volatile(
        "1:\n"
        "ldr %[a], [%[x]], #4\n"
        "ldr %[c], [%[x]], #4\n"
        "asr %[b], %[a], #16\n"
        "vmov s0, s1, %[a], %[b]\n"
        "asr %[d], %[c], #16\n"
        "vmov s2, s3, %[c], %[d]\n"
        "vcvt.f32.s16 s0, s0, #0\n"
        "vcvt.f32.s16 s1, s1, #0\n"
        "vcvt.f32.s16 s2, s2, #0\n"
        "vcvt.f32.s16 s3, s3, #0\n"
        "vmul.f32 s0, s0, %[scale]\n"
        "vmul.f32 s1, s1, %[scale]\n"
        "vmul.f32 s2, s2, %[scale]\n"
        "vmul.f32 s3, s3, %[scale]\n"
        "vstm %[y]!, {s0-s3}\n"
        "subs %[fours], %[fours], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [fours] "+r"(fours), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
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
static const uint32_t joined_screen_node_limits[9] JOINED_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u, 0u,
};
static JOINED_NOINLINE uint32_t joined_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = joined_screen(obs, y, joined_screen_node_limits);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w16a16 */
static const float joined_screen_encode_node_gains[4] JOINED_ALIGNED JOINED_CONSTANTS = {
    10922.333f, 4095.875f, 0.0f, 0.0f,
};
static JOINED_NOINLINE void joined_screen_encode_node(const float *x, int16_t *y)
{
    joined_encode_gains(x, y, joined_screen_encode_node_gains, 2);
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
static const uint32_t joined_clip_node_limits[5] JOINED_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static JOINED_NOINLINE void joined_clip_node(const float *x, float *y)
{
    (void)joined_clip(x, y, joined_clip_node_limits);
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
    JOINED_PROBE_NODE(0, s->work0.f32, 2);
    joined_screen_encode_node(s->work0.f32, s->work1.i16);
    JOINED_PROBE_NODE(1, s->work1.i16, 2);
    joined_a_node(s->work1.i16, s->work0.i16);
    JOINED_PROBE_NODE(2, s->work0.i16, 2);
    joined_fold_node(s->work0.i16, s->work0.i16);
    JOINED_PROBE_NODE(3, s->work0.i16, 2);
    joined_skip_node(s->work0.i16, s->work1.i16, s->work1.i16);
    JOINED_PROBE_NODE(4, s->work1.i16, 2);
    joined_wide_node(s->work1.i16, s->work0.i16, s->work2.i16);
    JOINED_PROBE_NODE(5, s->work2.i16, 4);
    joined_b_node(s->work2.i16, s->work0.i16);
    JOINED_PROBE_NODE(6, s->work0.i16, 1);
    joined_b_decode_node(s->work0.i16, s->work1.f32);
    JOINED_PROBE_NODE(7, s->work1.f32, 1);
    joined_clip_node(s->work1.f32, s->applied);
    JOINED_PROBE_NODE(8, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
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
    JOINED_PROBE_NODE(2, s->work0.i16, 2);
    joined_fold_node(s->work0.i16, s->work0.i16);
    JOINED_PROBE_NODE(3, s->work0.i16, 2);
    joined_skip_node(s->work0.i16, s->work1.i16, s->work1.i16);
    JOINED_PROBE_NODE(4, s->work1.i16, 2);
    joined_wide_node(s->work1.i16, s->work0.i16, s->work2.i16);
    JOINED_PROBE_NODE(5, s->work2.i16, 4);
    joined_b_node(s->work2.i16, s->work0.i16);
    JOINED_PROBE_NODE(6, s->work0.i16, 1);
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
