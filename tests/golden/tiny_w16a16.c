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

static inline uint32_t tiny_bits(float f)
{
    union tiny_word word;
    word.f = f;
    return word.u;
}

static inline float tiny_float(uint32_t u)
{
    union tiny_word word;
    word.u = u;
    return word.f;
}

static inline float tiny_select(uint32_t mask, float yes, float no)
{
    return tiny_float((tiny_bits(yes) & mask) | (tiny_bits(no) & ~mask));
}

static inline float tiny_clamp(float x, float low, float high)
{
    const float raised = tiny_select(0u - (uint32_t)(x < low), low, x);
    return tiny_select(0u - (uint32_t)(x > high), high, raised);
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
static inline int16_t tiny_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return tiny_saturate(whole - (int32_t)(tiny_bits(z - (float)whole) >> 31));
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

/* y = requantize(bias + weight x) for `blocks` blocks of four rows and `pairs` pairs of columns. `w` runs by blocks of
   rows, then pairs of columns, then the rows of a block. No sum can overflow: that was proven when the weights were
   chosen, so their order is free. */
static TINY_NOINLINE void tiny_rows4(const int16_t *w, const int32_t *b, const int32_t *m, const int16_t *x,
    int16_t *y, int32_t blocks, int32_t pairs)
{
#if TINY_DSP
    /* r0 weights, r1 inputs, r2-r5 four weights, r6 a pair of inputs, r8-r11 sums, r12 counts; r7 may be the frame. */
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
        "ldr r2, [%[frame], #4]\n"
        "ldr r1, [%[frame], #12]\n"
        "ldr r12, [%[frame], #24]\n"
        "ldm r2!, {r8-r11}\n"
        "str r2, [%[frame], #4]\n"
        "cmp r12, #0\n"
        "beq 2f\n"
        "1:\n"
        "ldr r6, [r1, #0]\n"
        "ldr r2, [r0, #0]\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr r5, [r0, #12]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #4]\n"
        "ldr r2, [r0, #16]\n"
        "ldr r3, [r0, #20]\n"
        "ldr r4, [r0, #24]\n"
        "ldr r5, [r0, #28]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #8]\n"
        "ldr r2, [r0, #32]\n"
        "ldr r3, [r0, #36]\n"
        "ldr r4, [r0, #40]\n"
        "ldr r5, [r0, #44]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #12]\n"
        "ldr r2, [r0, #48]\n"
        "ldr r3, [r0, #52]\n"
        "ldr r4, [r0, #56]\n"
        "ldr r5, [r0, #60]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #16]\n"
        "ldr r2, [r0, #64]\n"
        "ldr r3, [r0, #68]\n"
        "ldr r4, [r0, #72]\n"
        "ldr r5, [r0, #76]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #20]\n"
        "ldr r2, [r0, #80]\n"
        "ldr r3, [r0, #84]\n"
        "ldr r4, [r0, #88]\n"
        "ldr r5, [r0, #92]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #24]\n"
        "ldr r2, [r0, #96]\n"
        "ldr r3, [r0, #100]\n"
        "ldr r4, [r0, #104]\n"
        "ldr r5, [r0, #108]\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldr r6, [r1, #28]\n"
        "ldr r2, [r0, #112]\n"
        "ldr r3, [r0, #116]\n"
        "ldr r4, [r0, #120]\n"
        "ldr r5, [r0, #124]\n"
        "adds r1, #32\n"
        "adds r0, #128\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "subs r12, r12, #1\n"
        "bne 1b\n"
        "2:\n"
        "ldr r12, [%[frame], #28]\n"
        "cmp r12, #0\n"
        "beq 4f\n"
        "3:\n"
        "ldr r6, [r1]\n"
        "ldr r2, [r0, #0]\n"
        "ldr r3, [r0, #4]\n"
        "ldr r4, [r0, #8]\n"
        "ldr r5, [r0, #12]\n"
        "adds r1, #4\n"
        "adds r0, #16\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "subs r12, r12, #1\n"
        "bne 3b\n"
        "4:\n"
        "ldr r1, [%[frame], #8]\n"
        "ldr r6, [%[frame], #16]\n"
        "ldr r12, [%[frame], #20]\n"
        "ldm r1!, {r2-r5}\n"
        "str r1, [%[frame], #8]\n"
        "smmulr r8, r8, r2\n"
        "ssat r8, #16, r8\n"
        "smmulr r9, r9, r3\n"
        "ssat r9, #16, r9\n"
        "smmulr r10, r10, r4\n"
        "ssat r10, #16, r10\n"
        "smmulr r11, r11, r5\n"
        "ssat r11, #16, r11\n"
        "pkhbt r8, r8, r9, lsl #16\n"
        "pkhbt r10, r10, r11, lsl #16\n"
        "str r8, [r6], #4\n"
        "str r10, [r6], #4\n"
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
        for (j = 0; j < 2 * pairs; j += 2, w += 8) {
            const int32_t v0 = x[j], v1 = x[j + 1];
            sum0 += w[0] * v0 + w[1] * v1;
            sum1 += w[2] * v0 + w[3] * v1;
            sum2 += w[4] * v0 + w[5] * v1;
            sum3 += w[6] * v0 + w[7] * v1;
        }
        y[0] = tiny_requantize(sum0, m[0]);
        y[1] = tiny_requantize(sum1, m[1]);
        y[2] = tiny_requantize(sum2, m[2]);
        y[3] = tiny_requantize(sum3, m[3]);
    }
#endif
}

/* start + ((rise * rest + 64) >> 7) in the segment of each of 2 * `pairs` values; start and rise share
   a word of the table. */
static TINY_NOINLINE void tiny_table16(const uint32_t *segments, const int16_t *x, int16_t *y, int32_t pairs)
{
#if TINY_DSP
    const uint32_t *middle = segments + 256;
    int32_t pair, low, high, first, second, weight = 128; /* the weight of start, below the rest */
    __asm__ volatile(
        "1:\n"
        "ldr %[pair], [%[x]], #4\n"
        "subs %[n], %[n], #1\n"
        "sbfx %[low], %[pair], #7, #9\n"
        "asr %[high], %[pair], #23\n"
        "bfi %[weight], %[pair], #16, #7\n"
        "ldr %[first], [%[middle], %[low], lsl #2]\n"
        "ldr %[second], [%[middle], %[high], lsl #2]\n"
        "and %[pair], %[pair], #8323072\n"
        "orr %[pair], %[pair], #128\n"
        "smlad %[first], %[first], %[weight], %[half]\n"
        "smlad %[second], %[second], %[pair], %[half]\n"
        "ubfx %[first], %[first], #7, #16\n"
        "pkhbt %[first], %[first], %[second], lsl #9\n"
        "str %[first], [%[y]], #4\n"
        "bne 1b"
        : [x] "+r"(x), [y] "+r"(y), [n] "+r"(pairs), [weight] "+r"(weight), [pair] "=&r"(pair), [low] "=&r"(low),
          [high] "=&r"(high), [first] "=&r"(first), [second] "=&r"(second)
        : [middle] "r"(middle), [half] "r"(64)
        : "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < 2 * pairs; i++) {
        const int32_t place = x[i] + 32768;
        const uint32_t segment = segments[place >> 7];
        const int32_t rise = (int32_t)segment >> 16;
        const int32_t rest = place & 127;
        y[i] = (int16_t)((int16_t)segment + ((rise * rest + 64) >> 7));
    }
#endif
}

/* screen: screen, 3 -> 3, f32 */
static const uint32_t tiny_screen_node_limits[9] TINY_CONSTANTS = {
    3227516928u, 1080033280u, 0u, 3238002688u, 1090519040u, 1056964608u, 3212836864u, 1065353216u, 1048576000u,
};
static const uint16_t tiny_screen_node_applied[1] TINY_CONSTANTS = {
    0,
};
/* The bits of the screened value. Positive floats are ordered as signed integers, negative ones as unsigned, reversed;
   `high` is at least 0 and `low` below 0 in the quick form. */
static inline uint32_t tiny_screen_node_value(uint32_t bits, const uint32_t *limits, uint32_t *status)
{
#if TINY_ASSEMBLY
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
    const float clamped = tiny_clamp(tiny_float(bits), tiny_float(limits[0]), tiny_float(limits[1]));
    *status |= bad & TINY_REJECTED;
    return (limits[2] & bad) | (tiny_bits(clamped) & ~bad);
#endif
}

static TINY_NOINLINE uint32_t tiny_screen_node(const float *obs, const float *applied, float *y)
{
    const uint32_t *limits = tiny_screen_node_limits; /* the bits of low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = tiny_float(tiny_screen_node_value(tiny_bits(obs[i]), limits, &status));
    }
    for (i = 0; i < 1; i++, limits += 3) {
        y[2 + i] = tiny_float(tiny_screen_node_value(tiny_bits(applied[tiny_screen_node_applied[i]]), limits, &status));
    }
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
static const float tiny_scale_encode_node_affine[10] TINY_CONSTANTS = {
    9361.998f, 0.0f, 3900.8325f, 1560.333f, 32766.992f, 0.0f, 32766.898f, 0.0f, 65533.984f, 0.0f,
};
static TINY_NOINLINE void tiny_scale_encode_node(const float *x, int16_t *y)
{
    const float *affine = tiny_scale_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 5; i++, affine += 2) {
        y[i] = tiny_encode(x[i] * affine[0] + affine[1]);
    }
}

/* hidden: integer_dense, 5 -> 4, w16a16 */
static const int16_t tiny_hidden_node_weight[24] TINY_ALIGNED TINY_CONSTANTS = {
    7854, -9903, 6011, 26014, -13577, 1080, -19296, -17211, 22860, 3744, 8997, -6685, -28941, -2723, -4763, 6198,
    -19121, 0, -12021, 0, -15509, 0, 15698, 0,
};
static const int32_t tiny_hidden_node_bias[4] TINY_CONSTANTS = {
    -67232793, 190220559, -121335565, 77563718,
};
static const int32_t tiny_hidden_node_multiplier[4] TINY_CONSTANTS = {
    6726, 25275, 19289, 15945,
};
static TINY_NOINLINE void tiny_hidden_node(const int16_t *x, int16_t *y)
{
    tiny_rows4(tiny_hidden_node_weight, tiny_hidden_node_bias, tiny_hidden_node_multiplier, x, y, 1, 3);
}

/* tanh: integer_tanh, 4 -> 4, w16a16 */
static TINY_NOINLINE void tiny_tanh_node(const int16_t *x, int16_t *y)
{
    tiny_table16(tiny_tanh_segment, x, y, 2);
}

/* out: integer_dense, 4 -> 1, w16a16 */
static const int16_t tiny_out_node_weight[4] TINY_ALIGNED TINY_CONSTANTS = {
    20805, 2165, -17122, -21226,
};
static const int32_t tiny_out_node_bias[1] TINY_CONSTANTS = {
    -138158634,
};
static const int32_t tiny_out_node_multiplier[1] TINY_CONSTANTS = {
    74952,
};
static TINY_NOINLINE void tiny_out_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = tiny_out_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = tiny_out_node_bias[i];
        for (j = 0; j < 4; j++, w++) {
            sum += (int32_t)*w * x[j];
        }
        y[i] = tiny_requantize(sum, tiny_out_node_multiplier[i]);
    }
}

/* out_decode: decode, 1 -> 1, w16a16 */
static TINY_NOINLINE void tiny_out_decode_node(const int16_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        y[i] = (float)x[i] * 3.7969294e-05f;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float tiny_clip_node_limits[2] TINY_CONSTANTS = {
    -1.0f, 1.0f,
};
static TINY_NOINLINE void tiny_clip_node(const float *x, float *y)
{
    const float *limits = tiny_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = tiny_clamp(x[i], limits[0], limits[1]);
    }
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

    for (i = 0; i < 5; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 3; i++) {
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
