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
#if NARROW_WEIGHTS_ASSEMBLY && defined(__ARM_FP)
#define NARROW_WEIGHTS_FPU ((__ARM_FP & 4) != 0)
#else
#define NARROW_WEIGHTS_FPU 0
#endif
#if NARROW_WEIGHTS_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define NARROW_WEIGHTS_DSP 1
#else
#define NARROW_WEIGHTS_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define NARROW_WEIGHTS_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif NARROW_WEIGHTS_PROBES == 1
struct narrow_weights_probe_ring narrow_weights_probes;
static NARROW_WEIGHTS_NOINLINE void narrow_weights_probe_keep(uint32_t id, float value)
{
    struct narrow_weights_probe *entry = &narrow_weights_probes.entry[narrow_weights_probes.count++ % NARROW_WEIGHTS_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define NARROW_WEIGHTS_PROBE(id, value) narrow_weights_probe_keep(id, value)
#elif NARROW_WEIGHTS_PROBES == 2
#define NARROW_WEIGHTS_PROBE(id, value) narrow_weights_probe(id, value)
#endif
#if defined(NARROW_WEIGHTS_PROBE)
#define NARROW_WEIGHTS_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { NARROW_WEIGHTS_PROBE(id, (float)(values)[i]); }
#else
#define NARROW_WEIGHTS_PROBE_NODE(id, values, n)
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union narrow_weights_word {
    float f;
    uint32_t u;
};

static inline NARROW_WEIGHTS_UNUSED uint32_t narrow_weights_bits(float f)
{
    union narrow_weights_word word;
    word.f = f;
    return word.u;
}

static inline NARROW_WEIGHTS_UNUSED float narrow_weights_float(uint32_t u)
{
    union narrow_weights_word word;
    word.u = u;
    return word.f;
}

static inline NARROW_WEIGHTS_UNUSED float narrow_weights_select(uint32_t mask, float yes, float no)
{
    return narrow_weights_float((narrow_weights_bits(yes) & mask) | (narrow_weights_bits(no) & ~mask));
}

static inline NARROW_WEIGHTS_UNUSED float narrow_weights_clamp(float x, float low, float high)
{
    const float raised = narrow_weights_select(0u - (uint32_t)(x < low), low, x);
    return narrow_weights_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static NARROW_WEIGHTS_NOINLINE NARROW_WEIGHTS_UNUSED uint32_t narrow_weights_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((narrow_weights_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = narrow_weights_clamp(*x, narrow_weights_float(runs[1]), narrow_weights_float(runs[2]));
            status |= bad & NARROW_WEIGHTS_REJECTED;
            *y = narrow_weights_select(bad, narrow_weights_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static NARROW_WEIGHTS_NOINLINE uint32_t narrow_weights_screen(const float *x, float *y, const uint32_t *runs)
{
#if NARROW_WEIGHTS_DSP
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
    return narrow_weights_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_clip(const float *x, float *y, const uint32_t *runs)
{
#if NARROW_WEIGHTS_DSP
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
    (void)narrow_weights_screen_any(x, y, runs);
#endif
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
static inline NARROW_WEIGHTS_UNUSED int16_t narrow_weights_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return narrow_weights_saturate(whole - (int32_t)(narrow_weights_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x) for n columns; `numbers` has the gains. */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_encode_gains(const float *x, int16_t *y, const float *numbers, int32_t n)
{
#if NARROW_WEIGHTS_FPU && NARROW_WEIGHTS_DSP
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
        y[i] = narrow_weights_encode(x[i] * numbers[i]);
    }
#endif
}

/* y = scale x for n columns. */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if NARROW_WEIGHTS_FPU
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
static NARROW_WEIGHTS_NOINLINE void narrow_weights_relu16(const int16_t *x, int16_t *y, int32_t n)
{
#if NARROW_WEIGHTS_DSP
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

/* y = requantize(bias + weight x) for `blocks` blocks of four rows and `fours` groups of four columns. `w` runs by
   blocks: the biases of the first rows of the two pairs of rows; for columns 0 and 1, then 2 and 3 of each group the two pairs of rows, a half
   word being 256 times the weight of the second row plus that of the first; the biases of the second rows, raised by
   what a 256th of the first bias takes from them; the multipliers of the first rows, then of the second ones. No row's
   sum can overflow: that was proven when the weights were chosen. */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_rows4_w8a16(const uint32_t *w, const int16_t *x, int16_t *y, int32_t blocks, int32_t fours)
{
#if NARROW_WEIGHTS_DSP
    /* r0 weights, r1 inputs, r2 r3 two pairs of inputs, r4-r7 weights of two rows each, r8 r9 sums of first rows,
       r10:r11 r12:lr 256 times those of second rows and those of first rows together. A turn is 16 groups, the first
       is entered late. On the stack: the frame, then r7, which may be the compiler's frame pointer. */
    struct {
        const uint32_t *w;
        const int16_t *x;
        int32_t entry;
        const int16_t *x_end;
        int16_t *y;
        const int16_t *y_end;
    } frame;
    frame.w = w, frame.x = x, frame.entry = 52 * (-fours & 15) + 1, frame.x_end = x + 4 * fours;
    frame.y = y, frame.y_end = y + 4 * blocks;
    __asm__ volatile(
        "mov r0, %[frame]\n"
        "push {r7, lr}\n"
        "ldm r0, {r0-r5}\n"
        "adr r7, 1f\n"
        "add r2, r7\n"
        "push {r1-r5}\n"
        ".balign 4\n"
        "2:\n"
        "ldm sp, {r1, r2}\n"
        "mov.w r3, #0\n"
        "ldm.w r0!, {r8, r9}\n"
        "umull r10, r11, r3, r3\n"
        "umull r12, lr, r3, r3\n"
        "bx r2\n"
        ".balign 4\n"
        "1:\n"
        ".rept 16\n"
        "ldm r1!, {r2, r3}\n"
        "ldm r0!, {r4-r7}\n"
        "smlald r10, r11, r4, r2\n"
        "smlald r12, lr, r5, r2\n"
        "sxtb16 r4, r4\n"
        "sxtb16 r5, r5\n"
        "smlad r8, r4, r2, r8\n"
        "smlad r9, r5, r2, r9\n"
        "smlald r10, r11, r6, r3\n"
        "smlald r12, lr, r7, r3\n"
        "sxtb16 r6, r6\n"
        "sxtb16 r7, r7\n"
        "smlad r8, r6, r3, r8\n"
        "smlad r9, r7, r3, r9\n"
        ".endr\n"
        "ldr r2, [sp, #8]\n"
        "cmp r1, r2\n"
        "bne.w 1b\n"
        "ldm.w r0!, {r2-r7}\n"
        "mvn r1, #0\n"
        "smlal r10, r11, r8, r1\n"
        "smlal r12, lr, r9, r1\n"
        "add r2, r2, r11, lsl #24\n"
        "add r3, r3, lr, lsl #24\n"
        "add r10, r2, r10, lsr #8\n"
        "add r12, r3, r12, lsr #8\n"
        "smmulr r8, r8, r4\n"
        "ssat r8, #16, r8\n"
        "smmulr r9, r9, r5\n"
        "ssat r9, #16, r9\n"
        "smmulr r10, r10, r6\n"
        "ssat r10, #16, r10\n"
        "smmulr r12, r12, r7\n"
        "ssat r12, #16, r12\n"
        "ldr r1, [sp, #12]\n"
        "ldr r2, [sp, #16]\n"
        "pkhbt r8, r8, r10, lsl #16\n"
        "pkhbt r9, r9, r12, lsl #16\n"
        "str r8, [r1], #4\n"
        "str r9, [r1], #4\n"
        "str r1, [sp, #12]\n"
        "cmp r1, r2\n"
        "bne 2b\n"
        "add sp, #20\n"
        "pop {r7, lr}"
        :
        : [frame] "r"(&frame)
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
    for (; blocks > 0; blocks--, w += 6, y += 4) {
        int32_t first[2], second[2] = {0, 0}, pair;
        const int16_t *v;
        for (pair = 0; pair < 2; pair++) {
            first[pair] = (int32_t)w[pair];
            second[pair] = -first[pair] >> 8; /* what the carry of the bias takes from the second row */
        }
        for (v = x, w += 2; v != x + 4 * fours; v += 4, w += 4) {
            for (pair = 0; pair < 2; pair++) {
                const int32_t w0 = (int16_t)w[0 + pair], w1 = (int32_t)w[0 + pair] >> 16;
                const int32_t w2 = (int16_t)w[2 + pair], w3 = (int32_t)w[2 + pair] >> 16;
                first[pair] += (int8_t)w0 * v[0];
                second[pair] += ((w0 - (int8_t)w0) >> 8) * v[0];
                first[pair] += (int8_t)w1 * v[1];
                second[pair] += ((w1 - (int8_t)w1) >> 8) * v[1];
                first[pair] += (int8_t)w2 * v[2];
                second[pair] += ((w2 - (int8_t)w2) >> 8) * v[2];
                first[pair] += (int8_t)w3 * v[3];
                second[pair] += ((w3 - (int8_t)w3) >> 8) * v[3];
            }
        }
        for (pair = 0; pair < 2; pair++) {
            y[2 * pair] = narrow_weights_requantize(first[pair], (int32_t)w[2 + pair]);
            y[2 * pair + 1] = narrow_weights_requantize((int32_t)((uint32_t)second[pair] + w[pair]), (int32_t)w[4 + pair]);
        }
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
static const uint32_t narrow_weights_screen_node_limits[9] NARROW_WEIGHTS_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u, 0u,
};
static NARROW_WEIGHTS_NOINLINE uint32_t narrow_weights_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = narrow_weights_screen(obs, y, narrow_weights_screen_node_limits);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w8a16 */
static const float narrow_weights_screen_encode_node_gains[4] NARROW_WEIGHTS_ALIGNED NARROW_WEIGHTS_CONSTANTS = {
    10922.333f, 4095.875f, 0.0f, 0.0f,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_screen_encode_node(const float *x, int16_t *y)
{
    narrow_weights_encode_gains(x, y, narrow_weights_screen_encode_node_gains, 2);
}

/* a: integer_dense, 2 -> 5, w8a16 */
static const uint32_t narrow_weights_a_node_weight[12] NARROW_WEIGHTS_ALIGNED NARROW_WEIGHTS_CONSTANTS = {
    5090u, 4294724556u, 2172587028u, 2139083873u, 0u, 0u, 61745u, 4294925102u, 19210446u, 10436788u, 30469423u,
    13587258u,
};
static const int8_t narrow_weights_a_node_weight_rest[2] NARROW_WEIGHTS_CONSTANTS = {
    59, 127,
};
static const int32_t narrow_weights_a_node_affine[2] NARROW_WEIGHTS_ALIGNED NARROW_WEIGHTS_CONSTANTS = {
    -241161, 6877180,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_a_node(const int16_t *x, int16_t *y)
{
    narrow_weights_rows4_w8a16(narrow_weights_a_node_weight, x, y, 1, 1);
    const int8_t *w = narrow_weights_a_node_weight_rest;
    const int32_t *affine = narrow_weights_a_node_affine; /* bias, multiplier */
    int32_t i, j;

    for (i = 4; i < 5; i++, affine += 2) {
        int32_t sum = affine[0];
        for (j = 0; j < 2; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = narrow_weights_requantize(sum, affine[1]);
    }
}

/* fold: relu, 5 -> 5, w8a16 */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_fold_node(const int16_t *x, int16_t *y)
{
    narrow_weights_relu16(x, y, 5);
}

/* b: integer_dense, 5 -> 1, w8a16 */
static const int8_t narrow_weights_b_node_weight_rest[5] NARROW_WEIGHTS_CONSTANTS = {
    97, 6, -48, -127, -42,
};
static const int32_t narrow_weights_b_node_affine[2] NARROW_WEIGHTS_ALIGNED NARROW_WEIGHTS_CONSTANTS = {
    2369, 43999010,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_b_node(const int16_t *x, int16_t *y)
{
    const int8_t *w = narrow_weights_b_node_weight_rest;
    const int32_t *affine = narrow_weights_b_node_affine; /* bias, multiplier */
    int32_t i, j;

    for (i = 0; i < 1; i++, affine += 2) {
        int32_t sum = affine[0];
        for (j = 0; j < 5; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = narrow_weights_requantize(sum, affine[1]);
    }
}

/* b_decode: decode, 1 -> 1, w8a16 */
static NARROW_WEIGHTS_NOINLINE void narrow_weights_b_decode_node(const int16_t *x, float *y)
{
    narrow_weights_decode(x, y, 6.7113695e-05f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t narrow_weights_clip_node_limits[5] NARROW_WEIGHTS_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static NARROW_WEIGHTS_NOINLINE void narrow_weights_clip_node(const float *x, float *y)
{
    (void)narrow_weights_clip(x, y, narrow_weights_clip_node_limits);
}

void narrow_weights_reset(struct narrow_weights *s)
{
    s->applied[0] = 0.0f;
}

void narrow_weights_init(struct narrow_weights *s)
{
    uint32_t i;

    for (i = 0; i < 4; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    narrow_weights_reset(s);
}

uint32_t narrow_weights_step(struct narrow_weights *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = narrow_weights_screen_node(obs, s->applied, s->work0.f32);
    NARROW_WEIGHTS_PROBE_NODE(0, s->work0.f32, 2);
    narrow_weights_screen_encode_node(s->work0.f32, s->work1.i16);
    NARROW_WEIGHTS_PROBE_NODE(1, s->work1.i16, 2);
    narrow_weights_a_node(s->work1.i16, s->work0.i16);
    NARROW_WEIGHTS_PROBE_NODE(2, s->work0.i16, 5);
    narrow_weights_fold_node(s->work0.i16, s->work0.i16);
    NARROW_WEIGHTS_PROBE_NODE(3, s->work0.i16, 5);
    narrow_weights_b_node(s->work0.i16, s->work1.i16);
    NARROW_WEIGHTS_PROBE_NODE(4, s->work1.i16, 1);
    narrow_weights_b_decode_node(s->work1.i16, s->work0.f32);
    NARROW_WEIGHTS_PROBE_NODE(5, s->work0.f32, 1);
    narrow_weights_clip_node(s->work0.f32, s->applied);
    NARROW_WEIGHTS_PROBE_NODE(6, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
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
    NARROW_WEIGHTS_PROBE_NODE(2, s->work0.i16, 5);
    narrow_weights_fold_node(s->work0.i16, s->work0.i16);
    NARROW_WEIGHTS_PROBE_NODE(3, s->work0.i16, 5);
    narrow_weights_b_node(s->work0.i16, s->work1.i16);
    NARROW_WEIGHTS_PROBE_NODE(4, s->work1.i16, 1);
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
