/* tiny_f32: see tiny_f32.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "tiny_f32.h"

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
#define TINY_F32_NOINLINE __attribute__((noinline))
#define TINY_F32_ALIGNED __attribute__((aligned(16)))
#define TINY_F32_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define TINY_F32_NOINLINE __attribute__((noinline, noclone))
#define TINY_F32_ALIGNED __attribute__((aligned(16)))
#define TINY_F32_UNUSED __attribute__((unused))
#else
#define TINY_F32_NOINLINE
#define TINY_F32_ALIGNED
#define TINY_F32_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef TINY_F32_CONSTANTS
#define TINY_F32_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef TINY_F32_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define TINY_F32_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define TINY_F32_ASSEMBLY 0
#endif
#endif
#if TINY_F32_ASSEMBLY && defined(__ARM_FP)
#define TINY_F32_FPU ((__ARM_FP & 4) != 0)
#else
#define TINY_F32_FPU 0
#endif
#if TINY_F32_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define TINY_F32_DSP 1
#else
#define TINY_F32_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define TINY_F32_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif TINY_F32_PROBES == 1
struct tiny_f32_probe_ring tiny_f32_probes;
static TINY_F32_NOINLINE void tiny_f32_probe_keep(uint32_t id, float value)
{
    struct tiny_f32_probe *entry = &tiny_f32_probes.entry[tiny_f32_probes.count++ % TINY_F32_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define TINY_F32_PROBE(id, value) tiny_f32_probe_keep(id, value)
#elif TINY_F32_PROBES == 2
#define TINY_F32_PROBE(id, value) tiny_f32_probe(id, value)
#endif
#if defined(TINY_F32_PROBE)
#define TINY_F32_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { TINY_F32_PROBE(id, (float)(values)[i]); }
#else
#define TINY_F32_PROBE_NODE(id, values, n)
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union tiny_f32_word {
    float f;
    uint32_t u;
};

static inline TINY_F32_UNUSED uint32_t tiny_f32_bits(float f)
{
    union tiny_f32_word word;
    word.f = f;
    return word.u;
}

static inline TINY_F32_UNUSED float tiny_f32_float(uint32_t u)
{
    union tiny_f32_word word;
    word.u = u;
    return word.f;
}

static inline TINY_F32_UNUSED float tiny_f32_select(uint32_t mask, float yes, float no)
{
    return tiny_f32_float((tiny_f32_bits(yes) & mask) | (tiny_f32_bits(no) & ~mask));
}

static inline TINY_F32_UNUSED float tiny_f32_clamp(float x, float low, float high)
{
    const float raised = tiny_f32_select(0u - (uint32_t)(x < low), low, x);
    return tiny_f32_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static TINY_F32_NOINLINE TINY_F32_UNUSED uint32_t tiny_f32_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((tiny_f32_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = tiny_f32_clamp(*x, tiny_f32_float(runs[1]), tiny_f32_float(runs[2]));
            status |= bad & TINY_F32_REJECTED;
            *y = tiny_f32_select(bad, tiny_f32_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static TINY_F32_NOINLINE uint32_t tiny_f32_screen(const float *x, float *y, const uint32_t *runs)
{
#if TINY_F32_DSP
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
    return tiny_f32_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static TINY_F32_NOINLINE void tiny_f32_clip(const float *x, float *y, const uint32_t *runs)
{
#if TINY_F32_DSP
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
    (void)tiny_f32_screen_any(x, y, runs);
#endif
}

/* y = gain x + offset for n columns. `affine` has the gains of four columns, then their offsets. */
static TINY_F32_NOINLINE void tiny_f32_scale(const float *x, float *y, const float *affine, int32_t n)
{
#if TINY_F32_FPU
    int32_t fours = (n + 3) >> 2;
    __asm__ volatile(
        "1:\n"
        "vldm %[x]!, {s0-s3}\n"
        "vldm %[affine]!, {s4-s11}\n"
        "vmul.f32 s0, s0, s4\n"
        "vmul.f32 s1, s1, s5\n"
        "vmul.f32 s2, s2, s6\n"
        "vmul.f32 s3, s3, s7\n"
        "vadd.f32 s0, s0, s8\n"
        "vadd.f32 s1, s1, s9\n"
        "vadd.f32 s2, s2, s10\n"
        "vadd.f32 s3, s3, s11\n"
        "vstm %[y]!, {s0-s3}\n"
        "subs %[fours], %[fours], #1\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [affine] "+r"(affine), [fours] "+r"(fours)
        :
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        const float *own = affine + (i & ~3) + i;
        y[i] = x[i] * own[0] + own[4];
    }
#endif
}

/* A rational approximation, odd 13th over even 6th degree, within 4.2e-7. The sign and the saturation are handled in the
   bits; below 0.0004 the result is x itself, which also keeps subnormals out of the division. */
static inline TINY_F32_UNUSED float tiny_f32_tanh(float x)
{
    const uint32_t sign = tiny_f32_bits(x) & 0x80000000u;
    const uint32_t magnitude = tiny_f32_bits(x) ^ sign;
    const uint32_t clamped = magnitude > 0x40fcf84fu ? 0x40fcf84fu : magnitude;
    const uint32_t small = 0u - (uint32_t)(clamped < 0x39d1b717u);
    const float z = tiny_f32_float((clamped & ~small) | (0x3f800000u & small));
    const float z2 = z * z;
    float p = -2.7607684e-16f;
    float q = 1.1982584e-06f;
    p = p * z2 + 2.000188e-13f;
    p = p * z2 + -8.604672e-11f;
    p = p * z2 + 5.1222973e-08f;
    p = p * z2 + 1.48572235e-05f;
    p = p * z2 + 0.00063726195f;
    p = p * z2 + 0.0048935246f;
    q = q * z2 + 0.00011853471f;
    q = q * z2 + 0.0022684347f;
    q = q * z2 + 0.004893525f;
    return tiny_f32_float(((tiny_f32_bits(z * p / q) & ~small) | (clamped & small)) | sign);
}

/* tanh of n columns. */
static TINY_F32_NOINLINE void tiny_f32_tanh_columns(const float *x, float *y, int32_t n)
{
#if TINY_F32_FPU
    /* Two values at a time, so that no result is waited for: z s0 s1, squares s2 s3, polynomials s4-s7. */
    static const float coefficients[11] TINY_F32_CONSTANTS = { -2.7607684e-16f, 2.000188e-13f, -8.604672e-11f, 5.1222973e-08f, 1.48572235e-05f, 0.00063726195f, 0.0048935246f, 1.1982584e-06f, 0.00011853471f, 0.0022684347f, 0.004893525f };
    int32_t twos = (n + 1) >> 1;
    uint32_t x0, x1, m0, m1, z0, z1;
    __asm__ volatile(
        "vldm %[coefficients], {s8-s18}\n"
        ".balign 4\n"
        "1:\n"
        "ldr %[x0], [%[x]], #4\n"
        "ldr %[x1], [%[x]], #4\n"
        "bic %[m0], %[x0], #0x80000000\n"
        "cmp %[m0], %[clamp]\n"
        "it hi\n"
        "movhi %[m0], %[clamp]\n"
        "cmp %[m0], %[linear]\n"
        "mov %[z0], %[m0]\n"
        "it lo\n"
        "movlo %[z0], #0x3f800000\n"
        "bic %[m1], %[x1], #0x80000000\n"
        "cmp %[m1], %[clamp]\n"
        "it hi\n"
        "movhi %[m1], %[clamp]\n"
        "cmp %[m1], %[linear]\n"
        "mov %[z1], %[m1]\n"
        "it lo\n"
        "movlo %[z1], #0x3f800000\n"
        "vmov s0, s1, %[z0], %[z1]\n"
        "vmul.f32 s2, s0, s0\n"
        "vmul.f32 s3, s1, s1\n"
        "vmul.f32 s4, s8, s2\n"
        "vmul.f32 s5, s8, s3\n"
        "vmul.f32 s6, s15, s2\n"
        "vmul.f32 s7, s15, s3\n"
        "vadd.f32 s4, s4, s9\n"
        "vadd.f32 s5, s5, s9\n"
        "vadd.f32 s6, s6, s16\n"
        "vadd.f32 s7, s7, s16\n"
        "vmul.f32 s4, s4, s2\n"
        "vmul.f32 s5, s5, s3\n"
        "vmul.f32 s6, s6, s2\n"
        "vmul.f32 s7, s7, s3\n"
        "vadd.f32 s4, s4, s10\n"
        "vadd.f32 s5, s5, s10\n"
        "vadd.f32 s6, s6, s17\n"
        "vadd.f32 s7, s7, s17\n"
        "vmul.f32 s4, s4, s2\n"
        "vmul.f32 s5, s5, s3\n"
        "vmul.f32 s6, s6, s2\n"
        "vmul.f32 s7, s7, s3\n"
        "vadd.f32 s4, s4, s11\n"
        "vadd.f32 s5, s5, s11\n"
        "vadd.f32 s6, s6, s18\n"
        "vadd.f32 s7, s7, s18\n"
        "vmul.f32 s4, s4, s2\n"
        "vmul.f32 s5, s5, s3\n"
        "vadd.f32 s4, s4, s12\n"
        "vadd.f32 s5, s5, s12\n"
        "vmul.f32 s4, s4, s2\n"
        "vmul.f32 s5, s5, s3\n"
        "vadd.f32 s4, s4, s13\n"
        "vadd.f32 s5, s5, s13\n"
        "vmul.f32 s4, s4, s2\n"
        "vmul.f32 s5, s5, s3\n"
        "vadd.f32 s4, s4, s14\n"
        "vadd.f32 s5, s5, s14\n"
        "vmul.f32 s4, s0, s4\n"
        "vmul.f32 s5, s1, s5\n"
        "vdiv.f32 s4, s4, s6\n"
        "vdiv.f32 s5, s5, s7\n"
        "subs %[twos], %[twos], #1\n"
        "vmov %[z0], %[z1], s4, s5\n"
        "cmp %[m0], %[linear]\n"
        "it lo\n"
        "movlo %[z0], %[m0]\n"
        "bfi %[x0], %[z0], #0, #31\n"
        "cmp %[m1], %[linear]\n"
        "it lo\n"
        "movlo %[z1], %[m1]\n"
        "bfi %[x1], %[z1], #0, #31\n"
        "str %[x0], [%[y]], #4\n"
        "str %[x1], [%[y]], #4\n"
        "cmp %[twos], #0\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [twos] "+r"(twos), [x0] "=&r"(x0), [x1] "=&r"(x1), [m0] "=&r"(m0), [m1] "=&r"(m1),
          [z0] "=&r"(z0), [z1] "=&r"(z1)
        : [coefficients] "r"(coefficients), [clamp] "r"(0x40fcf84f), [linear] "r"(0x39d1b717)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = tiny_f32_tanh(x[i]);
    }
#endif
}

/* y = bias + weight x for `blocks` blocks of 4 rows: each row its own sum, inputs in order, every product and
   sum rounded. `w` runs by blocks of rows, then columns, then the rows of a block. */
static TINY_F32_NOINLINE void tiny_f32_rows4(const float *w, const float *b, const float *x, float *y,
    int32_t blocks, int32_t n_in)
{
    for (; blocks > 0; blocks--, b += 4, y += 4) {
#if TINY_F32_FPU
        const float *xs = x;
        int32_t fours = n_in >> 2, ones = n_in & 3;
        __asm__ volatile(
            "vldm %[b], {s0-s3}\n"
            "cmp %[fours], #0\n"
            "beq 2f\n"
            ".balign 4\n"
            "1:\n"
            "vldm %[x]!, {s16-s19}\n"
            "vldm %[w]!, {s20-s31}\n"
            "vmul.f32 s20,s20,s16\n"
            "vmul.f32 s21,s21,s16\n"
            "vmul.f32 s22,s22,s16\n"
            "vmul.f32 s23,s23,s16\n"
            "vmul.f32 s24,s24,s17\n"
            "vmul.f32 s25,s25,s17\n"
            "vmul.f32 s26,s26,s17\n"
            "vmul.f32 s27,s27,s17\n"
            "vmul.f32 s28,s28,s18\n"
            "vmul.f32 s29,s29,s18\n"
            "vmul.f32 s30,s30,s18\n"
            "vmul.f32 s31,s31,s18\n"
            "vadd.f32 s0,s0,s20\n"
            "vadd.f32 s1,s1,s21\n"
            "vadd.f32 s2,s2,s22\n"
            "vadd.f32 s3,s3,s23\n"
            "vadd.f32 s0,s0,s24\n"
            "vadd.f32 s1,s1,s25\n"
            "vadd.f32 s2,s2,s26\n"
            "vadd.f32 s3,s3,s27\n"
            "vadd.f32 s0,s0,s28\n"
            "vadd.f32 s1,s1,s29\n"
            "vadd.f32 s2,s2,s30\n"
            "vadd.f32 s3,s3,s31\n"
            "vldm %[w]!, {s20-s23}\n"
            "vmul.f32 s20,s20,s19\n"
            "vmul.f32 s21,s21,s19\n"
            "vmul.f32 s22,s22,s19\n"
            "vmul.f32 s23,s23,s19\n"
            "vadd.f32 s0,s0,s20\n"
            "vadd.f32 s1,s1,s21\n"
            "vadd.f32 s2,s2,s22\n"
            "vadd.f32 s3,s3,s23\n"
            "subs %[fours], %[fours], #1\n"
            "bne 1b\n"
            "2:\n"
            "cmp %[ones], #0\n"
            "beq 4f\n"
            "3:\n"
            "vldm %[x]!, {s16}\n"
            "vldm %[w]!, {s20-s23}\n"
            "vmul.f32 s20,s20,s16\n"
            "vmul.f32 s21,s21,s16\n"
            "vmul.f32 s22,s22,s16\n"
            "vmul.f32 s23,s23,s16\n"
            "vadd.f32 s0,s0,s20\n"
            "vadd.f32 s1,s1,s21\n"
            "vadd.f32 s2,s2,s22\n"
            "vadd.f32 s3,s3,s23\n"
            "subs %[ones], %[ones], #1\n"
            "bne 3b\n"
            "4:\n"
            "vstm %[y], {s0-s3}"
            : [w] "+r"(w), [x] "+r"(xs), [fours] "+r"(fours), [ones] "+r"(ones)
            : [b] "r"(b), [y] "r"(y)
            : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", "memory");
#else
        int32_t j;
        float sum0 = b[0];
        float sum1 = b[1];
        float sum2 = b[2];
        float sum3 = b[3];
        for (j = 0; j < n_in; j++, w += 4) {
            const float v = x[j];
            sum0 = sum0 + w[0] * v;
            sum1 = sum1 + w[1] * v;
            sum2 = sum2 + w[2] * v;
            sum3 = sum3 + w[3] * v;
        }
        y[0] = sum0;
        y[1] = sum1;
        y[2] = sum2;
        y[3] = sum3;
#endif
    }
}

/* screen: screen, 3 -> 3, f32 */
static const uint32_t tiny_f32_screen_node_limits[9] TINY_F32_CONSTANTS = {
    1u, 3227516928u, 1080033280u, 0u, 1u, 3238002688u, 1090519040u, 1056964608u, 0u,
};
static const uint32_t tiny_f32_screen_node_applied_limits[5] TINY_F32_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 1048576000u, 0u,
};
static const uint16_t tiny_f32_screen_node_applied[1] TINY_F32_CONSTANTS = {
    0,
};
static TINY_F32_NOINLINE uint32_t tiny_f32_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = tiny_f32_screen(obs, y, tiny_f32_screen_node_limits);
    uint32_t i;

    y += 2;
    for (i = 0; i < 1; i++) {
        y[i] = applied[tiny_f32_screen_node_applied[i]];
    }
    status |= tiny_f32_screen(y, y, tiny_f32_screen_node_applied_limits);
    return status;
}

/* lag: lag, 3 -> 4, f32 */
static const uint16_t tiny_f32_lag_node_column[1] TINY_F32_CONSTANTS = {
    2,
};
static TINY_F32_NOINLINE void tiny_f32_lag_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_F32_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float moved = state[i] + 0.18126924f * (x[tiny_f32_lag_node_column[i]] - state[i]);
        state[i] = tiny_f32_select(keep, state[i], moved);
        y[3 + i] = state[i];
    }
}

/* integral: integral, 4 -> 5, f32 */
static const uint16_t tiny_f32_integral_node_column[1] TINY_F32_CONSTANTS = {
    0,
};
static const float tiny_f32_integral_node_limit[1] TINY_F32_CONSTANTS = {
    0.5f,
};
static TINY_F32_NOINLINE void tiny_f32_integral_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_F32_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float limit = tiny_f32_integral_node_limit[i];
        const float moved = state[i] + 0.02f * x[tiny_f32_integral_node_column[i]];
        state[i] = tiny_f32_select(keep, state[i], tiny_f32_clamp(moved, -limit, limit));
        y[4 + i] = state[i];
    }
}

/* scale: scale, 5 -> 5, f32 */
static const float tiny_f32_scale_node_affine[16] TINY_F32_ALIGNED TINY_F32_CONSTANTS = {
    0.5f, 0.25f, 1.0f, 1.0f, 0.0f, 0.1f, 0.0f, 0.0f, 2.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f,
};
static TINY_F32_NOINLINE void tiny_f32_scale_node(const float *x, float *y)
{
    tiny_f32_scale(x, y, tiny_f32_scale_node_affine, 5);
}

/* hidden: dense, 5 -> 4, f32 */
static const float tiny_f32_hidden_node_weight[20] TINY_F32_ALIGNED TINY_F32_CONSTANTS = {
    0.056228265f, 0.16171022f, -0.2787368f, -0.32747993f, -0.059079092f, 0.58316654f, 0.01848154f, -0.24340002f,
    0.2864057f, 0.42354748f, -1.0397854f, -0.14145373f, 0.04691276f, -0.31471997f, -0.097846605f, 0.18408677f,
    -0.23955862f, -0.5659137f, -0.55718833f, 0.46622616f,
};
static const float tiny_f32_hidden_node_bias[4] TINY_F32_CONSTANTS = {
    -0.025706932f, 0.2732927f, -0.13303894f, 0.07030202f,
};
static TINY_F32_NOINLINE void tiny_f32_hidden_node(const float *x, float *y)
{
    tiny_f32_rows4(tiny_f32_hidden_node_weight + 0, tiny_f32_hidden_node_bias + 0, x, y + 0, 1, 5);
}

/* tanh: tanh, 4 -> 4, f32 */
static TINY_F32_NOINLINE void tiny_f32_tanh_node(const float *x, float *y)
{
    tiny_f32_tanh_columns(x, y, 4);
}

/* out: dense, 4 -> 1, f32 */
static const float tiny_f32_out_node_weight[4] TINY_F32_ALIGNED TINY_F32_CONSTANTS = {
    0.45173508f, 0.04700615f, -0.37174964f, -0.4608627f,
};
static const float tiny_f32_out_node_bias[1] TINY_F32_CONSTANTS = {
    -0.091545165f,
};
static TINY_F32_NOINLINE void tiny_f32_out_node(const float *x, float *y)
{
    const float *w = tiny_f32_out_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        float sum = tiny_f32_out_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum = sum + *w * x[j];
        }
        y[i] = sum;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t tiny_f32_clip_node_limits[5] TINY_F32_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static TINY_F32_NOINLINE void tiny_f32_clip_node(const float *x, float *y)
{
    (void)tiny_f32_clip(x, y, tiny_f32_clip_node_limits);
}

void tiny_f32_reset(struct tiny_f32 *s)
{
    s->applied[0] = 0.25f;
    s->lag_y[0] = 0.25f;
    s->integral_s[0] = 0.0f;
}

void tiny_f32_init(struct tiny_f32 *s)
{
    uint32_t i;

    for (i = 0; i < 8; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    tiny_f32_reset(s);
}

uint32_t tiny_f32_step(struct tiny_f32 *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = tiny_f32_screen_node(obs, s->applied, s->work0.f32);
    TINY_F32_PROBE_NODE(0, s->work0.f32, 3);
    tiny_f32_lag_node(s->lag_y, status, s->work0.f32, s->work0.f32);
    TINY_F32_PROBE_NODE(1, s->work0.f32, 4);
    tiny_f32_integral_node(s->integral_s, status, s->work0.f32, s->work0.f32);
    TINY_F32_PROBE_NODE(2, s->work0.f32, 5);
    tiny_f32_scale_node(s->work0.f32, s->work0.f32);
    TINY_F32_PROBE_NODE(3, s->work0.f32, 5);
    tiny_f32_hidden_node(s->work0.f32, s->work1.f32);
    TINY_F32_PROBE_NODE(4, s->work1.f32, 4);
    tiny_f32_tanh_node(s->work1.f32, s->work1.f32);
    TINY_F32_PROBE_NODE(5, s->work1.f32, 4);
    tiny_f32_out_node(s->work1.f32, s->work0.f32);
    TINY_F32_PROBE_NODE(6, s->work0.f32, 1);
    tiny_f32_clip_node(s->work0.f32, s->applied);
    TINY_F32_PROBE_NODE(7, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
    }
    return status;
}

void tiny_f32_set_applied(struct tiny_f32 *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
