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

#if defined(TINYCTL_PROBE)
#define BYTES_THROUGHOUT_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif BYTES_THROUGHOUT_PROBES == 1
struct bytes_throughout_probe_ring bytes_throughout_probes;
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_probe_keep(uint32_t id, float value)
{
    struct bytes_throughout_probe *entry = &bytes_throughout_probes.entry[bytes_throughout_probes.count++ % BYTES_THROUGHOUT_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define BYTES_THROUGHOUT_PROBE(id, value) bytes_throughout_probe_keep(id, value)
#elif BYTES_THROUGHOUT_PROBES == 2
#define BYTES_THROUGHOUT_PROBE(id, value) bytes_throughout_probe(id, value)
#endif
#if defined(BYTES_THROUGHOUT_PROBE)
#define BYTES_THROUGHOUT_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { BYTES_THROUGHOUT_PROBE(id, (float)(values)[i]); }
#else
#define BYTES_THROUGHOUT_PROBE_NODE(id, values, n)
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

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static BYTES_THROUGHOUT_NOINLINE BYTES_THROUGHOUT_UNUSED uint32_t bytes_throughout_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((bytes_throughout_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = bytes_throughout_clamp(*x, bytes_throughout_float(runs[1]), bytes_throughout_float(runs[2]));
            status |= bad & BYTES_THROUGHOUT_REJECTED;
            *y = bytes_throughout_select(bad, bytes_throughout_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static BYTES_THROUGHOUT_NOINLINE uint32_t bytes_throughout_screen(const float *x, float *y, const uint32_t *runs)
{
#if BYTES_THROUGHOUT_DSP
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
    return bytes_throughout_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_clip(const float *x, float *y, const uint32_t *runs)
{
#if BYTES_THROUGHOUT_DSP
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
    (void)bytes_throughout_screen_any(x, y, runs);
#endif
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

/* y = encode(gain x) for n columns; `numbers` has the gains. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_encode_gains8(const float *x, int8_t *y, const float *numbers, int32_t n)
{
#if BYTES_THROUGHOUT_FPU && BYTES_THROUGHOUT_DSP
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
        : [x] "+r"(x), [y] "+r"(y), [numbers] "+r"(numbers), [fours] "+r"(fours), [mode] "=&r"(mode),
          [down] "=&r"(down), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = bytes_throughout_encode8(x[i] * numbers[i]);
    }
#endif
}

/* y = scale x for n columns. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_decode8(const int8_t *x, float *y, float scale, int32_t n)
{
#if BYTES_THROUGHOUT_FPU
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

/* y = requantize(bias + weight x) for `blocks` blocks of four rows and `fours` groups of four columns. `w` runs by
   blocks: the biases of the first rows of the two pairs of rows; for columns 0 and 2, then 1 and 3 of each group the two pairs of rows, a half
   word being 256 times the weight of the second row plus that of the first; the biases of the second rows, raised by
   what a 256th of the first bias takes from them; the multipliers of the first rows, then of the second ones. No row's
   sum can overflow: that was proven when the weights were chosen. */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_rows4_w8a8(const uint32_t *w, const int8_t *x, int8_t *y, int32_t blocks, int32_t fours)
{
#if BYTES_THROUGHOUT_DSP
    /* r0 weights, r1 inputs, r2 r3 two pairs of inputs, r4-r7 weights of two rows each, r8 r9 sums of first rows,
       r10:r11 r12:lr 256 times those of second rows and those of first rows together. A turn is 8 groups, the first
       is entered late. On the stack: the frame, then r7, which may be the compiler's frame pointer. */
    struct {
        const uint32_t *w;
        const int8_t *x;
        int32_t entry;
        const int8_t *x_end;
        int8_t *y;
        const int8_t *y_end;
    } frame;
    frame.w = w, frame.x = x, frame.entry = 64 * (-fours & 7) + 1, frame.x_end = x + 4 * fours;
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
        ".rept 8\n"
        "ldr r2, [r1], #4\n"
        "sxtb16 r3, r2, ror #8\n"
        "sxtb16 r2, r2\n"
        "ldm.w r0!, {r4-r7}\n"
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
        "ssat r8, #8, r8\n"
        "smmulr r9, r9, r5\n"
        "ssat r9, #8, r9\n"
        "smmulr r10, r10, r6\n"
        "ssat r10, #8, r10\n"
        "smmulr r12, r12, r7\n"
        "ssat r12, #8, r12\n"
        "ldr r1, [sp, #12]\n"
        "ldr r2, [sp, #16]\n"
        "bfi r8, r10, #8, #8\n"
        "bfi r8, r9, #16, #8\n"
        "bfi r8, r12, #24, #8\n"
        "str r8, [r1], #4\n"
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
        const int8_t *v;
        for (pair = 0; pair < 2; pair++) {
            first[pair] = (int32_t)w[pair];
            second[pair] = -first[pair] >> 8; /* what the carry of the bias takes from the second row */
        }
        for (v = x, w += 2; v != x + 4 * fours; v += 4, w += 4) {
            for (pair = 0; pair < 2; pair++) {
                const int32_t w0 = (int16_t)w[0 + pair], w2 = (int32_t)w[0 + pair] >> 16;
                const int32_t w1 = (int16_t)w[2 + pair], w3 = (int32_t)w[2 + pair] >> 16;
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
            y[2 * pair] = bytes_throughout_requantize8(first[pair], (int32_t)w[2 + pair]);
            y[2 * pair + 1] = bytes_throughout_requantize8((int32_t)((uint32_t)second[pair] + w[pair]), (int32_t)w[4 + pair]);
        }
    }
#endif
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
static const uint32_t bytes_throughout_screen_node_limits[9] BYTES_THROUGHOUT_CONSTANTS = {
    1u, 3225419776u, 1077936128u, 0u, 1u, 3238002688u, 1090519040u, 0u, 0u,
};
static BYTES_THROUGHOUT_NOINLINE uint32_t bytes_throughout_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = bytes_throughout_screen(obs, y, bytes_throughout_screen_node_limits);

    (void)applied;
    return status;
}

/* screen_encode: encode, 2 -> 2, w8a8 */
static const float bytes_throughout_screen_encode_node_gains[4] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    42.333332f, 33.666683f, 0.0f, 0.0f,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_screen_encode_node(const float *x, int8_t *y)
{
    bytes_throughout_encode_gains8(x, y, bytes_throughout_screen_encode_node_gains, 2);
}

/* a: integer_dense, 2 -> 4, w8a8 */
static const uint32_t bytes_throughout_a_node_weight[12] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    651u, 826u, 61221u, 54911u, 32897u, 32614u, 4294967025u, 4294966815u, 5940918u, 16265992u, 27746722u, 8794137u,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_a_node(const int8_t *x, int8_t *y)
{
    bytes_throughout_rows4_w8a8(bytes_throughout_a_node_weight, x, y, 1, 1);
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
static const int8_t bytes_throughout_b_node_weight_rest[4] BYTES_THROUGHOUT_CONSTANTS = {
    -53, -127, 73, -16,
};
static const int32_t bytes_throughout_b_node_affine[2] BYTES_THROUGHOUT_ALIGNED BYTES_THROUGHOUT_CONSTANTS = {
    4476, 32089783,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_b_node(const int8_t *x, int8_t *y)
{
    const int8_t *w = bytes_throughout_b_node_weight_rest;
    const int32_t *affine = bytes_throughout_b_node_affine; /* bias, multiplier */
    int32_t i, j;

    for (i = 0; i < 1; i++, affine += 2) {
        int32_t sum = affine[0];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = bytes_throughout_requantize8(sum, affine[1]);
    }
}

/* b_decode: decode, 1 -> 1, w8a8 */
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_b_decode_node(const int8_t *x, float *y)
{
    bytes_throughout_decode8(x, y, 0.0032610318f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t bytes_throughout_clip_node_limits[5] BYTES_THROUGHOUT_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static BYTES_THROUGHOUT_NOINLINE void bytes_throughout_clip_node(const float *x, float *y)
{
    (void)bytes_throughout_clip(x, y, bytes_throughout_clip_node_limits);
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
    BYTES_THROUGHOUT_PROBE_NODE(0, s->work0.f32, 2);
    bytes_throughout_screen_encode_node(s->work0.f32, s->work1.i8);
    BYTES_THROUGHOUT_PROBE_NODE(1, s->work1.i8, 2);
    bytes_throughout_a_node(s->work1.i8, s->work0.i8);
    BYTES_THROUGHOUT_PROBE_NODE(2, s->work0.i8, 4);
    bytes_throughout_bend_node(s->work0.i8, s->work0.i8);
    BYTES_THROUGHOUT_PROBE_NODE(3, s->work0.i8, 4);
    bytes_throughout_b_node(s->work0.i8, s->work1.i8);
    BYTES_THROUGHOUT_PROBE_NODE(4, s->work1.i8, 1);
    bytes_throughout_b_decode_node(s->work1.i8, s->work0.f32);
    BYTES_THROUGHOUT_PROBE_NODE(5, s->work0.f32, 1);
    bytes_throughout_clip_node(s->work0.f32, s->applied);
    BYTES_THROUGHOUT_PROBE_NODE(6, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
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
    BYTES_THROUGHOUT_PROBE_NODE(2, s->work0.i8, 4);
    bytes_throughout_bend_node(s->work0.i8, s->work0.i8);
    BYTES_THROUGHOUT_PROBE_NODE(3, s->work0.i8, 4);
    bytes_throughout_b_node(s->work0.i8, s->work1.i8);
    BYTES_THROUGHOUT_PROBE_NODE(4, s->work1.i8, 1);
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
