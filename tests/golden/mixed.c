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
#if MIXED_ASSEMBLY && defined(__ARM_FP)
#define MIXED_FPU ((__ARM_FP & 4) != 0)
#else
#define MIXED_FPU 0
#endif
#if MIXED_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define MIXED_DSP 1
#else
#define MIXED_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define MIXED_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif MIXED_PROBES == 1
struct mixed_probe_ring mixed_probes;
static MIXED_NOINLINE void mixed_probe_keep(uint32_t id, float value)
{
    struct mixed_probe *entry = &mixed_probes.entry[mixed_probes.count++ % MIXED_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define MIXED_PROBE(id, value) mixed_probe_keep(id, value)
#elif MIXED_PROBES == 2
#define MIXED_PROBE(id, value) mixed_probe(id, value)
#endif
#if defined(MIXED_PROBE)
#define MIXED_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { MIXED_PROBE(id, (float)(values)[i]); }
#else
#define MIXED_PROBE_NODE(id, values, n)
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union mixed_word {
    float f;
    uint32_t u;
};

static inline MIXED_UNUSED uint32_t mixed_bits(float f)
{
    union mixed_word word;
    word.f = f;
    return word.u;
}

static inline MIXED_UNUSED float mixed_float(uint32_t u)
{
    union mixed_word word;
    word.u = u;
    return word.f;
}

static inline MIXED_UNUSED float mixed_select(uint32_t mask, float yes, float no)
{
    return mixed_float((mixed_bits(yes) & mask) | (mixed_bits(no) & ~mask));
}

static inline MIXED_UNUSED float mixed_clamp(float x, float low, float high)
{
    const float raised = mixed_select(0u - (uint32_t)(x < low), low, x);
    return mixed_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static MIXED_NOINLINE MIXED_UNUSED uint32_t mixed_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((mixed_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = mixed_clamp(*x, mixed_float(runs[1]), mixed_float(runs[2]));
            status |= bad & MIXED_REJECTED;
            *y = mixed_select(bad, mixed_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static MIXED_NOINLINE uint32_t mixed_screen(const float *x, float *y, const uint32_t *runs)
{
#if MIXED_DSP
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
    return mixed_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static MIXED_NOINLINE void mixed_clip(const float *x, float *y, const uint32_t *runs)
{
#if MIXED_DSP
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
    (void)mixed_screen_any(x, y, runs);
#endif
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
static inline MIXED_UNUSED int16_t mixed_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return mixed_saturate(whole - (int32_t)(mixed_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x) for n columns; `numbers` has the gains. */
static MIXED_NOINLINE void mixed_encode_gains(const float *x, int16_t *y, const float *numbers, int32_t n)
{
#if MIXED_FPU && MIXED_DSP
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
        y[i] = mixed_encode(x[i] * numbers[i]);
    }
#endif
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

/* y = scale x for n columns. */
static MIXED_NOINLINE void mixed_decode8(const int8_t *x, float *y, float scale, int32_t n)
{
#if MIXED_FPU
    int32_t fours = (n + 3) >> 2, a, b, c, d;
    __asm__ volatile(
        "1:\n"
        "ldr %[d], [%[x]], #4\n"
        "sxtb %[a], %[d]\n"
        "sbfx %[b], %[d], #8, #8\n"
        "vmov s0, s1, %[a], %[b]\n"
        "sbfx %[c], %[d], #16, #8\n"
        "asr %[d], %[d], #24\n"
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
static const uint32_t mixed_screen_node_limits[9] MIXED_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u, 0u,
};
static MIXED_NOINLINE uint32_t mixed_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = mixed_screen(obs, y, mixed_screen_node_limits);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w16a16 */
static const float mixed_screen_encode_node_gains[4] MIXED_ALIGNED MIXED_CONSTANTS = {
    10922.333f, 4095.875f, 0.0f, 0.0f,
};
static MIXED_NOINLINE void mixed_screen_encode_node(const float *x, int16_t *y)
{
    mixed_encode_gains(x, y, mixed_screen_encode_node_gains, 2);
}

/* a: integer_dense, 2 -> 3, w16a16 */
static const uint32_t mixed_a_node_weight[9] MIXED_ALIGNED MIXED_CONSTANTS = {
    13970195u, 2147425396u, 106107u, 59354362u, 3985604609u, 57189u, 8140304u, 2147427324u, 80762u,
};
static MIXED_NOINLINE void mixed_a_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = mixed_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 3; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 2; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = mixed_requantize(sum, (int32_t)*w++);
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
static const int8_t mixed_b_node_weight_rest[9] MIXED_CONSTANTS = {
    78, 29, -127, -127, 66, -73, 107, 126, 127,
};
static const int32_t mixed_b_node_affine[6] MIXED_ALIGNED MIXED_CONSTANTS = {
    -32, 13090782, 1806, 12323957, -664, 21927949,
};
static MIXED_NOINLINE void mixed_b_node(const int8_t *x, int8_t *y)
{
    const int8_t *w = mixed_b_node_weight_rest;
    const int32_t *affine = mixed_b_node_affine; /* bias, multiplier */
    int32_t i, j;

    for (i = 0; i < 3; i++, affine += 2) {
        int32_t sum = affine[0];
        for (j = 0; j < 3; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = mixed_requantize8(sum, affine[1]);
    }
}

/* b_decode: decode, 3 -> 3, w8a8 */
static MIXED_NOINLINE void mixed_b_decode_node(const int8_t *x, float *y)
{
    mixed_decode8(x, y, 0.053406805f, 3);
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
static const uint32_t mixed_clip_node_limits[5] MIXED_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static MIXED_NOINLINE void mixed_clip_node(const float *x, float *y)
{
    (void)mixed_clip(x, y, mixed_clip_node_limits);
}

void mixed_reset(struct mixed *s)
{
    s->applied[0] = 0.0f;
}

void mixed_init(struct mixed *s)
{
    uint32_t i;

    for (i = 0; i < 4; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    mixed_reset(s);
}

uint32_t mixed_step(struct mixed *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = mixed_screen_node(obs, s->applied, s->work0.f32);
    MIXED_PROBE_NODE(0, s->work0.f32, 2);
    mixed_screen_encode_node(s->work0.f32, s->work1.i16);
    MIXED_PROBE_NODE(1, s->work1.i16, 2);
    mixed_a_node(s->work1.i16, s->work0.i16);
    MIXED_PROBE_NODE(2, s->work0.i16, 3);
    mixed_a_requantize_node(s->work0.i16, s->work1.i8);
    MIXED_PROBE_NODE(3, s->work1.i8, 3);
    mixed_b_node(s->work1.i8, s->work0.i8);
    MIXED_PROBE_NODE(4, s->work0.i8, 3);
    mixed_b_decode_node(s->work0.i8, s->work1.f32);
    MIXED_PROBE_NODE(5, s->work1.f32, 3);
    mixed_c_node(s->work1.f32, s->work0.f32);
    MIXED_PROBE_NODE(6, s->work0.f32, 1);
    mixed_clip_node(s->work0.f32, s->applied);
    MIXED_PROBE_NODE(7, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
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
