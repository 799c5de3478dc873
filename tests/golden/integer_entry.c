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
#if INTEGER_ENTRY_ASSEMBLY && defined(__ARM_FP)
#define INTEGER_ENTRY_FPU ((__ARM_FP & 4) != 0)
#else
#define INTEGER_ENTRY_FPU 0
#endif
#if INTEGER_ENTRY_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define INTEGER_ENTRY_DSP 1
#else
#define INTEGER_ENTRY_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define INTEGER_ENTRY_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif INTEGER_ENTRY_PROBES == 1
struct integer_entry_probe_ring integer_entry_probes;
static INTEGER_ENTRY_NOINLINE void integer_entry_probe_keep(uint32_t id, float value)
{
    struct integer_entry_probe *entry = &integer_entry_probes.entry[integer_entry_probes.count++ % INTEGER_ENTRY_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define INTEGER_ENTRY_PROBE(id, value) integer_entry_probe_keep(id, value)
#elif INTEGER_ENTRY_PROBES == 2
#define INTEGER_ENTRY_PROBE(id, value) integer_entry_probe(id, value)
#endif
#if defined(INTEGER_ENTRY_PROBE)
#define INTEGER_ENTRY_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { INTEGER_ENTRY_PROBE(id, (float)(values)[i]); }
#else
#define INTEGER_ENTRY_PROBE_NODE(id, values, n)
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union integer_entry_word {
    float f;
    uint32_t u;
};

static inline INTEGER_ENTRY_UNUSED uint32_t integer_entry_bits(float f)
{
    union integer_entry_word word;
    word.f = f;
    return word.u;
}

static inline INTEGER_ENTRY_UNUSED float integer_entry_float(uint32_t u)
{
    union integer_entry_word word;
    word.u = u;
    return word.f;
}

static inline INTEGER_ENTRY_UNUSED float integer_entry_select(uint32_t mask, float yes, float no)
{
    return integer_entry_float((integer_entry_bits(yes) & mask) | (integer_entry_bits(no) & ~mask));
}

static inline INTEGER_ENTRY_UNUSED float integer_entry_clamp(float x, float low, float high)
{
    const float raised = integer_entry_select(0u - (uint32_t)(x < low), low, x);
    return integer_entry_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static INTEGER_ENTRY_NOINLINE INTEGER_ENTRY_UNUSED uint32_t integer_entry_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((integer_entry_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = integer_entry_clamp(*x, integer_entry_float(runs[1]), integer_entry_float(runs[2]));
            status |= bad & INTEGER_ENTRY_REJECTED;
            *y = integer_entry_select(bad, integer_entry_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static INTEGER_ENTRY_NOINLINE uint32_t integer_entry_screen(const float *x, float *y, const uint32_t *runs)
{
#if INTEGER_ENTRY_DSP
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
    return integer_entry_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static INTEGER_ENTRY_NOINLINE void integer_entry_clip(const float *x, float *y, const uint32_t *runs)
{
#if INTEGER_ENTRY_DSP
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
    (void)integer_entry_screen_any(x, y, runs);
#endif
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
static inline INTEGER_ENTRY_UNUSED int16_t integer_entry_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return integer_entry_saturate(whole - (int32_t)(integer_entry_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x) for n columns; `numbers` has the gains. */
static INTEGER_ENTRY_NOINLINE void integer_entry_encode_gains(const float *x, int16_t *y, const float *numbers, int32_t n)
{
#if INTEGER_ENTRY_FPU && INTEGER_ENTRY_DSP
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
        y[i] = integer_entry_encode(x[i] * numbers[i]);
    }
#endif
}

/* y = scale x for n columns. */
static INTEGER_ENTRY_NOINLINE void integer_entry_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if INTEGER_ENTRY_FPU
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

/* Negative numbers to 0, n columns. */
static INTEGER_ENTRY_NOINLINE void integer_entry_relu16(const int16_t *x, int16_t *y, int32_t n)
{
#if INTEGER_ENTRY_DSP
    int32_t turns = (n + 7) / 8; /* of four words */
    __asm__ volatile(
        "mov r9, #0\n"
        ".balign 4\n"
        "1:\n"
        "ldm %[x]!, {r4-r6, r8}\n"
        "usat16 r4, #15, r4\n"
        "usat16 r5, #15, r5\n"
        "usat16 r6, #15, r6\n"
        "usat16 r8, #15, r8\n"
        "stm %[y]!, {r4-r6, r8}\n"
        "subs %[turns], %[turns], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [turns] "+r"(turns) : : "r4", "r5", "r6", "r8", "r9", "r12", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = (int16_t)(x[i] & ~(x[i] >> 15));
    }
#endif
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
    1u, 3227516928u, 1080033280u, 0u, 1u, 3238002688u, 1090519040u, 1056964608u, 0u,
};
static const uint32_t integer_entry_screen_node_applied_limits[5] INTEGER_ENTRY_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 1048576000u, 0u,
};
static const uint16_t integer_entry_screen_node_applied[1] INTEGER_ENTRY_CONSTANTS = {
    0,
};
static INTEGER_ENTRY_NOINLINE uint32_t integer_entry_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = integer_entry_screen(obs, y, integer_entry_screen_node_limits);
    uint32_t i;

    y += 2;
    for (i = 0; i < 1; i++) {
        y[i] = applied[integer_entry_screen_node_applied[i]];
    }
    status |= integer_entry_screen(y, y, integer_entry_screen_node_applied_limits);
    return status;
}

/* screen_encode: encode, 3 -> 3, w16a16 */
static const float integer_entry_screen_encode_node_gains[4] INTEGER_ENTRY_ALIGNED INTEGER_ENTRY_CONSTANTS = {
    9362.0f, 4095.875f, 32767.0f, 0.0f,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_screen_encode_node(const float *x, int16_t *y)
{
    integer_entry_encode_gains(x, y, integer_entry_screen_encode_node_gains, 3);
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
static const uint32_t integer_entry_a_node_weight[15] INTEGER_ENTRY_ALIGNED INTEGER_ENTRY_CONSTANTS = {
    4216466447u, 2147606039u, 85261568u, 1757u, 90101u, 4285877461u, 2147552030u, 363718984u, 6058u, 37599u,
    4238358536u, 2147552355u, 348320658u, 337u, 83908u,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_a_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = integer_entry_a_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 3; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 6; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = integer_entry_requantize(sum, (int32_t)*w++);
    }
}

/* fold: relu, 3 -> 3, w16a16 */
static INTEGER_ENTRY_NOINLINE void integer_entry_fold_node(const int16_t *x, int16_t *y)
{
    integer_entry_relu16(x, y, 3);
}

/* b: integer_dense, 3 -> 1, w16a16 */
static const uint32_t integer_entry_b_node_weight[4] INTEGER_ENTRY_ALIGNED INTEGER_ENTRY_CONSTANTS = {
    32134468u, 3167201617u, 40382u, 89330u,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_b_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = integer_entry_b_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 4; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = integer_entry_requantize(sum, (int32_t)*w++);
    }
}

/* b_decode: decode, 1 -> 1, w16a16 */
static INTEGER_ENTRY_NOINLINE void integer_entry_b_decode_node(const int16_t *x, float *y)
{
    integer_entry_decode(x, y, 0.00016559345f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t integer_entry_clip_node_limits[5] INTEGER_ENTRY_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static INTEGER_ENTRY_NOINLINE void integer_entry_clip_node(const float *x, float *y)
{
    (void)integer_entry_clip(x, y, integer_entry_clip_node_limits);
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

    for (i = 0; i < 4; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    integer_entry_reset(s);
}

uint32_t integer_entry_step(struct integer_entry *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = integer_entry_screen_node(obs, s->applied, s->work0.f32);
    INTEGER_ENTRY_PROBE_NODE(0, s->work0.f32, 3);
    integer_entry_screen_encode_node(s->work0.f32, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(1, s->work1.i16, 3);
    integer_entry_lag_node(s->lag_y, status, s->work1.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(2, s->work1.i16, 4);
    integer_entry_sum_node(s->sum_s, status, s->work1.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(3, s->work1.i16, 5);
    integer_entry_a_node(s->work1.i16, s->work0.i16);
    INTEGER_ENTRY_PROBE_NODE(4, s->work0.i16, 3);
    integer_entry_fold_node(s->work0.i16, s->work0.i16);
    INTEGER_ENTRY_PROBE_NODE(5, s->work0.i16, 3);
    integer_entry_b_node(s->work0.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(6, s->work1.i16, 1);
    integer_entry_b_decode_node(s->work1.i16, s->work0.f32);
    INTEGER_ENTRY_PROBE_NODE(7, s->work0.f32, 1);
    integer_entry_clip_node(s->work0.f32, s->applied);
    INTEGER_ENTRY_PROBE_NODE(8, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
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
        const int32_t past = applied_q[integer_entry_applied_q_output[i]] * integer_entry_applied_q_weight[i];
        const int32_t column = (past + integer_entry_applied_q_offset[i]) >> integer_entry_applied_q_shift[i];
        y[2 + i] = (int16_t)integer_entry_between(column, limits[0], limits[1]);
    }
    return status;
}

uint32_t integer_entry_step_q(struct integer_entry *s, const int16_t obs_q[2], int16_t act_q[1])
{
    const uint32_t status = integer_entry_screen_q(obs_q, s->applied_q, s->work1.i16);
    int32_t i;

    integer_entry_lag_node(s->lag_y, status, s->work1.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(2, s->work1.i16, 4);
    integer_entry_sum_node(s->sum_s, status, s->work1.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(3, s->work1.i16, 5);
    integer_entry_a_node(s->work1.i16, s->work0.i16);
    INTEGER_ENTRY_PROBE_NODE(4, s->work0.i16, 3);
    integer_entry_fold_node(s->work0.i16, s->work0.i16);
    INTEGER_ENTRY_PROBE_NODE(5, s->work0.i16, 3);
    integer_entry_b_node(s->work0.i16, s->work1.i16);
    INTEGER_ENTRY_PROBE_NODE(6, s->work1.i16, 1);
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
