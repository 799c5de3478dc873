/* tiny: see tiny.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "tiny.h"

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
#define TINY_NOINLINE __attribute__((noinline))
#define TINY_ALIGNED __attribute__((aligned(16)))
#define TINY_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define TINY_NOINLINE __attribute__((noinline, noclone))
#define TINY_ALIGNED __attribute__((aligned(16)))
#define TINY_UNUSED __attribute__((unused))
#else
#define TINY_NOINLINE
#define TINY_ALIGNED
#define TINY_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef TINY_CONSTANTS
#define TINY_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef TINY_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define TINY_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define TINY_ASSEMBLY 0
#endif
#endif
#if TINY_ASSEMBLY && defined(__ARM_FP)
#define TINY_FPU ((__ARM_FP & 4) != 0)
#else
#define TINY_FPU 0
#endif
#if TINY_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define TINY_DSP 1
#else
#define TINY_DSP 0
#endif

static const uint32_t tiny_tanh_segment[512] TINY_CONSTANTS = {
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32771u, 32771u, 32771u, 32771u,
    32771u, 32772u, 32772u, 32772u, 32772u, 32773u, 32773u, 32773u, 32774u, 32774u, 32774u, 32775u, 32775u, 32776u,
    98312u, 98313u, 98313u, 98314u, 98314u, 98315u, 98316u, 98317u, 98317u, 98318u, 98319u, 98320u, 98321u, 98322u,
    98323u, 98325u, 98326u, 163863u, 163865u, 163867u, 163868u, 163870u, 163872u, 163874u, 163876u, 163879u, 229417u,
    229420u, 229422u, 229425u, 229429u, 294968u, 294972u, 294976u, 294980u, 360520u, 360525u, 360530u, 426071u,
    426076u, 426082u, 491625u, 491631u, 557175u, 557182u, 622726u, 622735u, 688280u, 688290u, 753836u, 819384u,
    884931u, 884944u, 950493u, 1016043u, 1081595u, 1147147u, 1212700u, 1278254u, 1409345u, 1474902u, 1540460u,
    1671555u, 1737116u, 1868215u, 1999315u, 2130416u, 2261520u, 2392626u, 2523734u, 2720380u, 2851493u, 3048144u,
    3244798u, 3441455u, 3638114u, 3900313u, 4096980u, 4359186u, 4621396u, 4949146u, 5211365u, 5539124u, 5866888u,
    6260193u, 6653504u, 7046821u, 7440143u, 7899009u, 8357881u, 8882296u, 9406719u, 9996686u, 10521125u, 11176646u,
    11832176u, 12487715u, 13208802u, 13995435u, 14782080u, 15634273u, 16486479u, 17404234u, 18387539u, 19370858u,
    20419729u, 21468616u, 22583055u, 23763048u, 25008594u, 26254159u, 27565279u, 28876419u, 30253115u, 31695369u,
    33137644u, 34645477u, 36153333u, 37726748u, 39300187u, 40873650u, 42512673u, 44086184u, 45725257u, 47298817u,
    48937939u, 50511548u, 52085182u, 53593304u, 55035913u, 56478544u, 57855662u, 59167264u, 60413351u, 61593920u,
    62643435u, 63627430u, 64480367u, 65202246u, 65858601u, 66383893u, 66778121u, 67041282u, 67173376u, 67108864u,
    66978816u, 66717694u, 66325495u, 65802219u, 65147863u, 64427962u, 63576977u, 62594906u, 61547286u, 60368576u,
    59124314u, 57814496u, 56439122u, 54998192u, 53557239u, 52050728u, 50478658u, 48906564u, 47268909u, 45696767u,
    44059063u, 42486872u, 40849119u, 39276878u, 37704613u, 36132324u, 34625547u, 33118747u, 31677460u, 30236151u,
    28860357u, 27550077u, 26239777u, 24994993u, 23750190u, 22570904u, 21457137u, 20408888u, 19360623u, 18377877u,
    17395117u, 16477878u, 15626161u, 14774431u, 13988224u, 13202005u, 12481310u, 11826141u, 11170960u, 10515770u,
    9991643u, 9401970u, 8877825u, 8353672u, 7895047u, 7436415u, 7043313u, 6650203u, 6257088u, 5863966u, 5536376u,
    5208780u, 4946715u, 4619110u, 4357036u, 4094958u, 3898412u, 3636327u, 3439774u, 3243217u, 3046658u, 2850096u,
    2719067u, 2522500u, 2391466u, 2260430u, 2129392u, 1998352u, 1867309u, 1736265u, 1670756u, 1539709u, 1474196u,
    1408682u, 1277631u, 1212114u, 1146596u, 1081077u, 1015557u, 950037u, 884515u, 884528u, 819005u, 753480u, 687956u,
    687966u, 622440u, 622449u, 556922u, 556930u, 491401u, 491409u, 425879u, 425886u, 425892u, 360361u, 360366u,
    360371u, 294840u, 294844u, 294848u, 294852u, 229320u, 229323u, 229327u, 229330u, 229332u, 163799u, 163801u,
    163804u, 163806u, 163808u, 163810u, 163812u, 163813u, 163815u, 98281u, 98282u, 98283u, 98285u, 98286u, 98287u,
    98288u, 98289u, 98290u, 98291u, 98291u, 98292u, 98293u, 98294u, 98294u, 98295u, 98295u, 32760u, 32760u, 32761u,
    32761u, 32762u, 32762u, 32762u, 32763u, 32763u, 32763u, 32764u, 32764u, 32764u, 32764u, 32765u, 32765u, 32765u,
    32765u, 32765u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
};
/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union tiny_word {
    float f;
    uint32_t u;
};

static inline TINY_UNUSED uint32_t tiny_bits(float f)
{
    union tiny_word word;
    word.f = f;
    return word.u;
}

static inline TINY_UNUSED float tiny_float(uint32_t u)
{
    union tiny_word word;
    word.u = u;
    return word.f;
}

static inline TINY_UNUSED float tiny_select(uint32_t mask, float yes, float no)
{
    return tiny_float((tiny_bits(yes) & mask) | (tiny_bits(no) & ~mask));
}

static inline TINY_UNUSED float tiny_clamp(float x, float low, float high)
{
    const float raised = tiny_select(0u - (uint32_t)(x < low), low, x);
    return tiny_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` to `end` has, for each run of columns
   of the same limits, their number and the bits of low, high and the replacement. Positive floats are ordered as signed
   integers, negative ones as unsigned, reversed; high is at least 0 and low below 0 here. */
static TINY_NOINLINE uint32_t tiny_screen(const float *x, float *y, const uint32_t *runs, const uint32_t *end)
{
    uint32_t status = 0;
#if TINY_ASSEMBLY
    uint32_t first, second, doubled;
    __asm__ volatile(
        "1:\n"
        "ldm %[runs]!, {r4, r5, r6, r8}\n"
        "tst r4, #1\n"
        "beq 2f\n"
        "ldr %[second], [%[x]], #4\n"
        "b 3f\n"
        "2:\n"
        "ldr %[first], [%[x]], #4\n"
        "lsls %[doubled], %[first], #1\n"
        "cmp %[doubled], #0xff000000\n"
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
        "lsls %[doubled], %[second], #1\n"
        "cmp %[doubled], #0xff000000\n"
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
        : [x] "+r"(x), [y] "+r"(y), [runs] "+r"(runs), [status] "+r"(status), [first] "=&r"(first), [second] "=&r"(second),
          [doubled] "=&r"(doubled)
        : [end] "r"(end)
        : "r4", "r5", "r6", "r8", "cc", "memory");
#else
    for (; runs != end; runs += 4) {
        uint32_t n;
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((tiny_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = tiny_clamp(*x, tiny_float(runs[1]), tiny_float(runs[2]));
            status |= bad & TINY_REJECTED;
            *y = tiny_select(bad, tiny_float(runs[3]), clamped);
        }
    }
#endif
    return status;
}

static inline TINY_UNUSED int16_t tiny_saturate(int32_t q)
{
#if TINY_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline TINY_UNUSED int16_t tiny_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return tiny_saturate(whole - (int32_t)(tiny_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x + offset) for n columns. `affine` has the gains of four columns, then their offsets. */
static TINY_NOINLINE void tiny_encode_columns(const float *x, int16_t *y, const float *affine, int32_t n)
{
#if TINY_FPU && TINY_DSP
    int32_t fours = (n + 3) >> 2, mode, down, a, b, c, d; /* the rounding modes: to nearest, down */
    __asm__ volatile(
        "vmrs %[mode], fpscr\n"
        "orr %[down], %[mode], #0x800000\n"
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
        : [x] "+r"(x), [y] "+r"(y), [affine] "+r"(affine), [fours] "+r"(fours), [mode] "=&r"(mode), [down] "=&r"(down),
          [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        const float *own = affine + (i & ~3) + i;
        y[i] = tiny_encode(x[i] * own[0] + own[4]);
    }
#endif
}

/* y = scale x for n columns. */
static TINY_NOINLINE void tiny_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if TINY_FPU
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
static inline TINY_UNUSED int16_t tiny_requantize(int32_t sum, int32_t multiplier)
{
#if TINY_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return tiny_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return tiny_saturate((int32_t)(product >> 32));
#endif
}

/* y = requantize(bias + weight x) for `blocks` blocks of 4 rows and `pairs` pairs of columns. `w` runs by blocks of
   rows, then pairs of columns, then the rows of a block; `affine` has the biases of a block, then its multipliers. No
   sum can overflow: that was proven when the weights were chosen, so their order is free. */
static TINY_NOINLINE void tiny_rows4_w16a16(const int16_t *w, const int32_t *affine, const int16_t *x,
    int16_t *y, int32_t blocks, int32_t pairs)
{
#if TINY_DSP
    /* r0 weights, r1 inputs, r2-r5 a weight of each row, r7 a pair of inputs, r8-r11 sums, lr turns of eight pairs;
       the first turn is entered late. On the stack: the frame, then r7, which may be the compiler's frame pointer. */
    struct {
        const int16_t *w;
        const int32_t *affine;
        const int16_t *x;
        int16_t *y;
        const int16_t *end;
        int32_t turns, entry;
    } frame;
    frame.w = w, frame.affine = affine, frame.x = x, frame.y = y, frame.end = y + 4 * blocks;
    frame.turns = (pairs + 7) >> 3, frame.entry = (-pairs & 7) * 32 + 1;
    __asm__ volatile(
        "mov r0, %[frame]\n"
        "push {r7, lr}\n"
        "ldm r0, {r0-r6}\n"
        "adr r7, 1f\n"
        "add r6, r7\n"
        "push {r0-r6}\n"
        "2:\n"
        "ldr r2, [sp, #4]\n"
        "ldr r1, [sp, #8]\n"
        "ldr lr, [sp, #20]\n"
        "ldr r3, [sp, #24]\n"
        "ldm r2!, {r8-r11}\n"
        "str r2, [sp, #4]\n"
        "bx r3\n"
        ".balign 4\n"
        "1:\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "ldr r7, [r1], #4\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr.w r5, [r0, #12]\n"
        "ldr r2, [r0], #16\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        "subs lr, lr, #1\n"
        "bne 1b\n"
        "ldr r7, [sp, #4]\n"
        "ldr r1, [sp, #12]\n"
        "ldr lr, [sp, #16]\n"
        "ldm r7!, {r2-r5}\n"
        "str r7, [sp, #4]\n"
        "smmulr r8, r8, r2\n"
        "ssat r8, #16, r8\n"
        "smmulr r9, r9, r3\n"
        "ssat r9, #16, r9\n"
        "smmulr r10, r10, r4\n"
        "ssat r10, #16, r10\n"
        "smmulr r11, r11, r5\n"
        "ssat r11, #16, r11\n"
        "strh r8, [r1], #2\n"
        "strh r9, [r1], #2\n"
        "strh r10, [r1], #2\n"
        "strh r11, [r1], #2\n"
        "str r1, [sp, #12]\n"
        "cmp r1, lr\n"
        "bne 2b\n"
        "add sp, #28\n"
        "pop {r7, lr}"
        :
        : [frame] "r"(&frame)
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
    for (; blocks > 0; blocks--, affine += 8, y += 4) {
        int32_t j;
        int32_t sum0 = affine[0];
        int32_t sum1 = affine[1];
        int32_t sum2 = affine[2];
        int32_t sum3 = affine[3];
        for (j = 0; j < 2 * pairs; j += 2, w += 8) {
            const int32_t v0 = x[j], v1 = x[j + 1];
            sum0 += w[0] * v0 + w[1] * v1;
            sum1 += w[2] * v0 + w[3] * v1;
            sum2 += w[4] * v0 + w[5] * v1;
            sum3 += w[6] * v0 + w[7] * v1;
        }
        y[0] = tiny_requantize(sum0, affine[4]);
        y[1] = tiny_requantize(sum1, affine[5]);
        y[2] = tiny_requantize(sum2, affine[6]);
        y[3] = tiny_requantize(sum3, affine[7]);
    }
#endif
}

/* start + ((rise * rest + 64) >> 7) in the segment of each of n values; start and rise share a word of
   the table. */
static TINY_NOINLINE void tiny_tanh16(const int16_t *x, int16_t *y, int32_t n)
{
#if TINY_DSP
    /* r0 r1 two pairs of values, r2-r5 their segments, r8 r9 the weights of start (1, below the rest) and of rise, r6 half */
    const uint32_t *middle = tiny_tanh_segment + 256;
    int32_t fours = (n + 3) >> 2;
    __asm__ volatile(
        "mov r6, #64\n"
        "mov r8, #128\n"
        "1:\n"
        "ldr r0, [%[x]], #4\n"
        "ldr r1, [%[x]], #4\n"
        "sbfx r2, r0, #7, #9\n"
        "asr r3, r0, #23\n"
        "sbfx r4, r1, #7, #9\n"
        "asr r5, r1, #23\n"
        "subs %[fours], %[fours], #1\n"
        "ldr r2, [%[middle], r2, lsl #2]\n"
        "ldr r3, [%[middle], r3, lsl #2]\n"
        "ldr r4, [%[middle], r4, lsl #2]\n"
        "ldr r5, [%[middle], r5, lsl #2]\n"
        "bfi r8, r0, #16, #7\n"
        "and r9, r0, #8323072\n"
        "orr r9, r9, #128\n"
        "smlad r2, r2, r8, r6\n"
        "smlad r3, r3, r9, r6\n"
        "ubfx r2, r2, #7, #16\n"
        "pkhbt r2, r2, r3, lsl #9\n"
        "bfi r8, r1, #16, #7\n"
        "and r9, r1, #8323072\n"
        "orr r9, r9, #128\n"
        "smlad r4, r4, r8, r6\n"
        "smlad r5, r5, r9, r6\n"
        "ubfx r4, r4, #7, #16\n"
        "pkhbt r4, r4, r5, lsl #9\n"
        "str r2, [%[y]], #4\n"
        "str r4, [%[y]], #4\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [fours] "+r"(fours)
        : [middle] "r"(middle)
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        const int32_t place = x[i] + 32768;
        const uint32_t segment = tiny_tanh_segment[place >> 7];
        const int32_t rise = (int32_t)segment >> 16;
        const int32_t rest = place & 127;
        y[i] = (int16_t)((int16_t)segment + ((rise * rest + 64) >> 7));
    }
#endif
}

/* screen: screen, 3 -> 3, f32 */
static const uint32_t tiny_screen_node_limits[12] TINY_CONSTANTS = {
    1u, 3227516928u, 1080033280u, 0u, 1u, 3238002688u, 1090519040u, 1056964608u, 1u, 3212836864u, 1065353216u,
    1048576000u,
};
static const uint16_t tiny_screen_node_applied[1] TINY_CONSTANTS = {
    0,
};
static TINY_NOINLINE uint32_t tiny_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = tiny_screen(obs, y, tiny_screen_node_limits, tiny_screen_node_limits + 8);
    uint32_t i;

    y += 2;
    for (i = 0; i < 1; i++) {
        y[i] = applied[tiny_screen_node_applied[i]];
    }
    status |= tiny_screen(y, y, tiny_screen_node_limits + 8, tiny_screen_node_limits + 12);
    return status;
}

/* lag: lag, 3 -> 4, f32 */
static const uint16_t tiny_lag_node_column[1] TINY_CONSTANTS = {
    2,
};
static TINY_NOINLINE void tiny_lag_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float moved = state[i] + 0.18126924f * (x[tiny_lag_node_column[i]] - state[i]);
        state[i] = tiny_select(keep, state[i], moved);
        y[3 + i] = state[i];
    }
}

/* integral: integral, 4 -> 5, f32 */
static const uint16_t tiny_integral_node_column[1] TINY_CONSTANTS = {
    0,
};
static const float tiny_integral_node_limit[1] TINY_CONSTANTS = {
    0.5f,
};
static TINY_NOINLINE void tiny_integral_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float limit = tiny_integral_node_limit[i];
        const float moved = state[i] + 0.02f * x[tiny_integral_node_column[i]];
        state[i] = tiny_select(keep, state[i], tiny_clamp(moved, -limit, limit));
        y[4 + i] = state[i];
    }
}

/* scale_encode: encode, 5 -> 5, w16a16 */
static const float tiny_scale_encode_node_affine[16] TINY_CONSTANTS = {
    9361.998f, 3900.8325f, 32766.992f, 32766.898f, 0.0f, 1560.333f, 0.0f, 0.0f, 65533.984f, 0.0f, 0.0f, 0.0f, 0.0f,
    0.0f, 0.0f, 0.0f,
};
static TINY_NOINLINE void tiny_scale_encode_node(const float *x, int16_t *y)
{
    tiny_encode_columns(x, y, tiny_scale_encode_node_affine, 5);
}

/* hidden: integer_dense, 5 -> 4, w16a16 */
static const int16_t tiny_hidden_node_weight[24] TINY_ALIGNED TINY_CONSTANTS = {
    7854, -9903, 6011, 26014, -13577, 1080, -19296, -17211, 22860, 3744, 8997, -6685, -28941, -2723, -4763, 6198,
    -19121, 0, -12021, 0, -15509, 0, 15698, 0,
};
static const int32_t tiny_hidden_node_affine[8] TINY_CONSTANTS = {
    -67232793, 190220559, -121335565, 77563718, 6726, 25275, 19289, 15945,
};
static TINY_NOINLINE void tiny_hidden_node(const int16_t *x, int16_t *y)
{
    tiny_rows4_w16a16(tiny_hidden_node_weight + 0, tiny_hidden_node_affine + 0, x, y + 0, 1, 3);
}

/* tanh: integer_tanh, 4 -> 4, w16a16 */
static TINY_NOINLINE void tiny_tanh_node(const int16_t *x, int16_t *y)
{
    tiny_tanh16(x, y, 4);
}

/* out: integer_dense, 4 -> 1, w16a16 */
static const int16_t tiny_out_node_weight[4] TINY_ALIGNED TINY_CONSTANTS = {
    20805, 2165, -17122, -21226,
};
static const int32_t tiny_out_node_affine[2] TINY_CONSTANTS = {
    -138158634, 74952,
};
static TINY_NOINLINE void tiny_out_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = tiny_out_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = tiny_out_node_affine[2 * i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = tiny_requantize(sum, tiny_out_node_affine[2 * i + 1]);
    }
}

/* out_decode: decode, 1 -> 1, w16a16 */
static TINY_NOINLINE void tiny_out_decode_node(const int16_t *x, float *y)
{
    tiny_decode(x, y, 3.7969294e-05f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t tiny_clip_node_limits[4] TINY_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u,
};
static TINY_NOINLINE void tiny_clip_node(const float *x, float *y)
{
    (void)tiny_screen(x, y, tiny_clip_node_limits, tiny_clip_node_limits + 4);
}

void tiny_reset(struct tiny *s)
{
    s->applied[0] = 0.25f;
    s->lag_y[0] = 0.25f;
    s->integral_s[0] = 0.0f;
}

void tiny_init(struct tiny *s)
{
    uint32_t i;

    for (i = 0; i < 8; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    tiny_reset(s);
}

uint32_t tiny_step(struct tiny *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = tiny_screen_node(obs, s->applied, s->work0.f32);
    tiny_lag_node(s->lag_y, status, s->work0.f32, s->work0.f32);
    tiny_integral_node(s->integral_s, status, s->work0.f32, s->work0.f32);
    tiny_scale_encode_node(s->work0.f32, s->work1.i16);
    tiny_hidden_node(s->work1.i16, s->work0.i16);
    tiny_tanh_node(s->work0.i16, s->work0.i16);
    tiny_out_node(s->work0.i16, s->work1.i16);
    tiny_out_decode_node(s->work1.i16, s->work0.f32);
    tiny_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

void tiny_set_applied(struct tiny *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
