/* tiny_w16a16: see tiny_w16a16.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "tiny_w16a16.h"

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
#define TINY_W16A16_NOINLINE __attribute__((noinline))
#define TINY_W16A16_ALIGNED __attribute__((aligned(16)))
#define TINY_W16A16_UNUSED __attribute__((unused)) /* where assembly stands in for it */
#elif defined(__GNUC__)
#define TINY_W16A16_NOINLINE __attribute__((noinline, noclone))
#define TINY_W16A16_ALIGNED __attribute__((aligned(16)))
#define TINY_W16A16_UNUSED __attribute__((unused))
#else
#define TINY_W16A16_NOINLINE
#define TINY_W16A16_ALIGNED
#define TINY_W16A16_UNUSED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef TINY_W16A16_CONSTANTS
#define TINY_W16A16_CONSTANTS
#endif
/* Assembly for Cortex-M where the compiler can take it; define it as 0 for plain C, which gives the same bits. */
#ifndef TINY_W16A16_ASSEMBLY
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && !defined(__ARM_BIG_ENDIAN)
#define TINY_W16A16_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define TINY_W16A16_ASSEMBLY 0
#endif
#endif
#if TINY_W16A16_ASSEMBLY && defined(__ARM_FP)
#define TINY_W16A16_FPU ((__ARM_FP & 4) != 0)
#else
#define TINY_W16A16_FPU 0
#endif
#if TINY_W16A16_ASSEMBLY && defined(__ARM_FEATURE_DSP)
#define TINY_W16A16_DSP 1
#else
#define TINY_W16A16_DSP 0
#endif

#if defined(TINYCTL_PROBE)
#define TINY_W16A16_PROBE(id, value) TINYCTL_PROBE(id, value)
#elif TINY_W16A16_PROBES == 1
struct tiny_w16a16_probe_ring tiny_w16a16_probes;
static TINY_W16A16_NOINLINE void tiny_w16a16_probe_keep(uint32_t id, float value)
{
    struct tiny_w16a16_probe *entry = &tiny_w16a16_probes.entry[tiny_w16a16_probes.count++ % TINY_W16A16_PROBE_ROOM];

    entry->id = id;
    entry->value = value;
}
#define TINY_W16A16_PROBE(id, value) tiny_w16a16_probe_keep(id, value)
#elif TINY_W16A16_PROBES == 2
#define TINY_W16A16_PROBE(id, value) tiny_w16a16_probe(id, value)
#endif
#if defined(TINY_W16A16_PROBE)
#define TINY_W16A16_PROBE_NODE(id, values, n) for (i = 0; i < (n); i++) { TINY_W16A16_PROBE(id, (float)(values)[i]); }
#else
#define TINY_W16A16_PROBE_NODE(id, values, n)
#endif

static const uint32_t tiny_w16a16_tanh_segment[512] TINY_W16A16_CONSTANTS = {
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32771u, 32771u, 32771u, 32771u,
    32771u, 32772u, 32772u, 32772u, 32772u, 32773u, 32773u, 32773u, 32774u, 32774u, 32774u, 32775u, 32775u, 32776u,
    98456u, 98456u, 98455u, 98455u, 98454u, 98454u, 98454u, 98454u, 98453u, 98453u, 98453u, 98453u, 98453u, 98453u,
    98453u, 98454u, 98454u, 164117u, 164117u, 164117u, 164116u, 164116u, 164116u, 164116u, 164116u, 164117u, 229771u,
    229771u, 229770u, 229770u, 229771u, 295420u, 295420u, 295420u, 295420u, 361065u, 361065u, 361065u, 426707u,
    426706u, 426706u, 492346u, 492345u, 557983u, 557982u, 623617u, 623617u, 689250u, 689250u, 754881u, 820512u,
    886140u, 886140u, 951767u, 1017393u, 1083019u, 1148643u, 1214266u, 1279888u, 1411130u, 1476750u, 1542369u,
    1673605u, 1739222u, 1870455u, 2001685u, 2132912u, 2264138u, 2395362u, 2526584u, 2723414u, 2854632u, 3051456u,
    3248277u, 3445095u, 3641909u, 3904325u, 4101134u, 4363542u, 4625946u, 4953946u, 5216342u, 5544332u, 5872317u,
    6265893u, 6659463u, 7053027u, 7446584u, 7905729u, 8364866u, 8889586u, 9414298u, 10004590u, 10529285u, 11185146u,
    11840996u, 12496835u, 13218249u, 14005233u, 14792205u, 15644745u, 16497272u, 17415364u, 18399019u, 19382658u,
    20431858u, 21481042u, 22595783u, 23776080u, 25021929u, 26267759u, 27579139u, 28890499u, 30267406u, 31709859u,
    33152289u, 34660261u, 36168210u, 37741698u, 39315162u, 40888602u, 42527577u, 44100968u, 45739894u, 47313237u,
    48952113u, 50525408u, 52098680u, 53606376u, 55048498u, 56490598u, 57867128u, 59178088u, 60423482u, 61603310u,
    62652030u, 63635190u, 64487248u, 65208210u, 65863621u, 66387941u, 66781175u, 67043326u, 67108864u, 67108864u,
    66977794u, 66715658u, 66322459u, 65798203u, 65142893u, 64422064u, 63570187u, 62587266u, 61538835u, 60359366u,
    59114392u, 57803912u, 56427929u, 54986446u, 53544984u, 52038024u, 50465568u, 48893136u, 47255210u, 45682827u,
    44044951u, 42472616u, 40834790u, 39262502u, 37690238u, 36117998u, 34611291u, 33104607u, 31663453u, 30222321u,
    28846717u, 27536637u, 26226577u, 24982039u, 23737520u, 22558520u, 21445038u, 20397070u, 19349118u, 18366677u,
    17384252u, 16467336u, 15615927u, 14764531u, 13978639u, 13192759u, 12472380u, 11817501u, 11162630u, 10507770u,
    9983891u, 9394534u, 8870670u, 8346814u, 7888447u, 7430087u, 7037214u, 6644345u, 6251483u, 5858626u, 5531252u,
    5203882u, 4941990u, 4614630u, 4352746u, 4090866u, 3894459u, 3632587u, 3436186u, 3239787u, 3043392u, 2847000u,
    2716074u, 2519688u, 2388766u, 2257846u, 2126928u, 1996012u, 1865097u, 1734185u, 1668731u, 1537823u, 1472370u,
    1406918u, 1276016u, 1210566u, 1145117u, 1079669u, 1014222u, 948777u, 883332u, 883332u, 817889u, 752446u, 687006u,
    687006u, 621567u, 621567u, 556130u, 556130u, 490694u, 490695u, 425261u, 425262u, 425262u, 359831u, 359831u,
    359831u, 294404u, 294404u, 294404u, 294404u, 228981u, 228981u, 228982u, 228982u, 228981u, 163563u, 163563u,
    163564u, 163564u, 163564u, 163564u, 163564u, 163563u, 163563u, 98154u, 98154u, 98154u, 98155u, 98155u, 98155u,
    98155u, 98155u, 98155u, 98155u, 98154u, 98154u, 98154u, 98154u, 98153u, 98153u, 98152u, 32760u, 32760u, 32761u,
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
union tiny_w16a16_word {
    float f;
    uint32_t u;
};

static inline TINY_W16A16_UNUSED uint32_t tiny_w16a16_bits(float f)
{
    union tiny_w16a16_word word;
    word.f = f;
    return word.u;
}

static inline TINY_W16A16_UNUSED float tiny_w16a16_float(uint32_t u)
{
    union tiny_w16a16_word word;
    word.u = u;
    return word.f;
}

static inline TINY_W16A16_UNUSED float tiny_w16a16_select(uint32_t mask, float yes, float no)
{
    return tiny_w16a16_float((tiny_w16a16_bits(yes) & mask) | (tiny_w16a16_bits(no) & ~mask));
}

static inline TINY_W16A16_UNUSED float tiny_w16a16_clamp(float x, float low, float high)
{
    const float raised = tiny_w16a16_select(0u - (uint32_t)(x < low), low, x);
    return tiny_w16a16_select(0u - (uint32_t)(x > high), high, raised);
}

/* Values that are not finite are replaced and reported, all others clamped. `runs` has, for each run of columns of the
   same limits, their number and the bits of low, high and the replacement; then 0. */
static TINY_W16A16_NOINLINE TINY_W16A16_UNUSED uint32_t tiny_w16a16_screen_any(const float *x, float *y, const uint32_t *runs)
{
    uint32_t status = 0, n;

    for (; runs[0] > 0; runs += 4) {
        for (n = runs[0]; n > 0; n--, x++, y++) {
            const uint32_t bad = 0u - (uint32_t)((tiny_w16a16_bits(*x) & 0x7f800000u) == 0x7f800000u);
            const float clamped = tiny_w16a16_clamp(*x, tiny_w16a16_float(runs[1]), tiny_w16a16_float(runs[2]));
            status |= bad & TINY_W16A16_REJECTED;
            *y = tiny_w16a16_select(bad, tiny_w16a16_float(runs[3]), clamped);
        }
    }
    return status;
}

/* The same where high is at least 0 and low below 0: positive floats are ordered as signed integers, negative ones as
   unsigned, reversed. */
static TINY_W16A16_NOINLINE uint32_t tiny_w16a16_screen(const float *x, float *y, const uint32_t *runs)
{
#if TINY_W16A16_DSP
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
    return tiny_w16a16_screen_any(x, y, runs);
#endif
}

/* The same for finite values. */
static TINY_W16A16_NOINLINE void tiny_w16a16_clip(const float *x, float *y, const uint32_t *runs)
{
#if TINY_W16A16_DSP
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
    (void)tiny_w16a16_screen_any(x, y, runs);
#endif
}

static inline TINY_W16A16_UNUSED int16_t tiny_w16a16_saturate(int32_t q)
{
#if TINY_W16A16_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline TINY_W16A16_UNUSED int16_t tiny_w16a16_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return tiny_w16a16_saturate(whole - (int32_t)(tiny_w16a16_bits(z - (float)whole) >> 31));
}

/* y = encode(gain x + offset) for n columns. `numbers` has the gains of four columns, then their offsets. */
static TINY_W16A16_NOINLINE void tiny_w16a16_encode_affine(const float *x, int16_t *y, const float *numbers, int32_t n)
{
#if TINY_W16A16_FPU && TINY_W16A16_DSP
    int32_t fours = (n + 3) >> 2, mode, down, a, b, c, d; /* the rounding modes: to nearest, down */
    __asm__ volatile(
        "vmrs %[mode], fpscr\n"
        "orr %[down], %[mode], #0x800000\n"
        ".balign 4\n"
        "1:\n"
        "vldm %[x]!, {s0-s3}\n"
        "vldm %[numbers]!, {s4-s11}\n"
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
        : [x] "+r"(x), [y] "+r"(y), [numbers] "+r"(numbers), [fours] "+r"(fours), [mode] "=&r"(mode),
          [down] "=&r"(down), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        : [half] "t"(0.5f)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "cc", "memory");
#else
    int32_t i;
    for (i = 0; i < n; i++) {
        const float *own = numbers + (i & ~3) + i;
        y[i] = tiny_w16a16_encode(x[i] * own[0] + own[4]);
    }
#endif
}

/* y = scale x for n columns. */
static TINY_W16A16_NOINLINE void tiny_w16a16_decode(const int16_t *x, float *y, float scale, int32_t n)
{
#if TINY_W16A16_FPU
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
static inline TINY_W16A16_UNUSED int16_t tiny_w16a16_requantize(int32_t sum, int32_t multiplier)
{
#if TINY_W16A16_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return tiny_w16a16_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return tiny_w16a16_saturate((int32_t)(product >> 32));
#endif
}

/* y = requantize(bias + weight x) for `blocks` blocks of 4 rows and `pairs` pairs of columns. `w` runs by blocks:
   the biases of the rows, for each pair of columns the pairs of weights of the rows, the multipliers of the
   rows. No sum can overflow: that was proven when the weights were chosen, so their order is free. */
static TINY_W16A16_NOINLINE void tiny_w16a16_rows4_w16a16(const uint32_t *w, const int16_t *x, int16_t *y, int32_t blocks, int32_t pairs)
{
#if TINY_W16A16_DSP
    /* r0 weights, r1 inputs, r2 r3 r4 r5 a pair of each row, r6 r7 two pairs of inputs, r8-r11 sums. A turn is 2
       steps of two pairs; the first is entered late, in the middle of a step where the number of pairs is odd: r6 then
       is the word before the inputs. On the stack: the frame, then r7, which may be the compiler's frame pointer. */
    const int32_t odd = pairs & 1, late = -pairs & 3;
    struct {
        const uint32_t *w;
        const int16_t *x;
        int32_t entry;
        const int16_t *x_end;
        int16_t *y;
        const int16_t *y_end;
    } frame;
    frame.w = w, frame.x = x - 2 * odd, frame.entry = 22 * late - 2 * odd + 5;
    frame.x_end = x + 2 * pairs, frame.y = y, frame.y_end = y + 4 * blocks;
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
        "ldm r0!, {r8-r11}\n"
        "ldm r1!, {r6, r7}\n"
        "bx r2\n"
        ".balign 4\n"
        "1:\n"
        ".rept 2\n"
        "ldm.w r1!, {r6, r7}\n"
        "ldm.w r0!, { r2, r3, r4, r5 }\n"
        "smlad r8, r2, r6, r8\n"
        "smlad r9, r3, r6, r9\n"
        "smlad r10, r4, r6, r10\n"
        "smlad r11, r5, r6, r11\n"
        "ldm.w r0!, { r2, r3, r4, r5 }\n"
        "smlad r8, r2, r7, r8\n"
        "smlad r9, r3, r7, r9\n"
        "smlad r10, r4, r7, r10\n"
        "smlad r11, r5, r7, r11\n"
        ".endr\n"
        "ldr r2, [sp, #8]\n"
        "cmp r1, r2\n"
        "bne.w 1b\n"
        "ldm.w r0!, {r2-r5}\n"
        "smmulr r8, r8, r2\n"
        "ssat r8, #16, r8\n"
        "smmulr r9, r9, r3\n"
        "ssat r9, #16, r9\n"
        "smmulr r10, r10, r4\n"
        "ssat r10, #16, r10\n"
        "smmulr r11, r11, r5\n"
        "ssat r11, #16, r11\n"
        "ldr r1, [sp, #12]\n"
        "ldr r2, [sp, #16]\n"
        "strh r9, [r1, #2]\n"
        "strh r10, [r1, #4]\n"
        "strh r11, [r1, #6]\n"
        "strh r8, [r1], #8\n"
        "str r1, [sp, #12]\n"
        "cmp r1, r2\n"
        "bne 2b\n"
        "add sp, #20\n"
        "pop {r7, lr}"
        :
        : [frame] "r"(&frame)
        : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
    for (; blocks > 0; blocks--, w += 4, y += 4) {
        int32_t j;
        int32_t sum0 = (int32_t)w[0];
        int32_t sum1 = (int32_t)w[1];
        int32_t sum2 = (int32_t)w[2];
        int32_t sum3 = (int32_t)w[3];
        for (j = 0, w += 4; j < 2 * pairs; j += 2, w += 4) {
            const int32_t v0 = x[j], v1 = x[j + 1];
            sum0 += (int16_t)w[0] * v0 + ((int32_t)w[0] >> 16) * v1;
            sum1 += (int16_t)w[1] * v0 + ((int32_t)w[1] >> 16) * v1;
            sum2 += (int16_t)w[2] * v0 + ((int32_t)w[2] >> 16) * v1;
            sum3 += (int16_t)w[3] * v0 + ((int32_t)w[3] >> 16) * v1;
        }
        y[0] = tiny_w16a16_requantize(sum0, (int32_t)w[0]);
        y[1] = tiny_w16a16_requantize(sum1, (int32_t)w[1]);
        y[2] = tiny_w16a16_requantize(sum2, (int32_t)w[2]);
        y[3] = tiny_w16a16_requantize(sum3, (int32_t)w[3]);
    }
#endif
}

/* The 16 bits from bit 7 of intercept * 128 + slope * x + 64 in the segment of each of n values; both numbers of
   a segment share a word of the table. */
static TINY_W16A16_NOINLINE void tiny_w16a16_table16(const uint32_t *segments, const int16_t *x, int16_t *y, int32_t n)
{
#if TINY_W16A16_DSP
    /* r0 r1 two pairs of values, r2-r5 their segments and results, r6 the half, r8 the weight of an intercept, r9 both */
    const uint32_t *middle = segments + 256;
    int32_t fours = (n + 3) >> 2;
    __asm__ volatile(
        "mov r6, #64\n"
        "mov r8, #128\n"
        ".balign 4\n"
        "1:\n"
        "ldr r0, [%[x]], #4\n"
        "ldr r1, [%[x]], #4\n"
        "sbfx r2, r0, #7, #9\n"
        "asr r3, r0, #23\n"
        "sbfx r4, r1, #7, #9\n"
        "asr r5, r1, #23\n"
        "subs.w %[fours], %[fours], #1\n"
        "ldr r2, [%[middle], r2, lsl #2]\n"
        "ldr r3, [%[middle], r3, lsl #2]\n"
        "ldr r4, [%[middle], r4, lsl #2]\n"
        "ldr r5, [%[middle], r5, lsl #2]\n"
        "pkhbt r9, r8, r0, lsl #16\n"
        "smlad r2, r2, r9, r6\n"
        "pkhbt r9, r8, r0\n"
        "smlad r3, r3, r9, r6\n"
        "ubfx r2, r2, #7, #16\n"
        "pkhbt r2, r2, r3, lsl #9\n"
        "pkhbt r9, r8, r1, lsl #16\n"
        "smlad r4, r4, r9, r6\n"
        "pkhbt r9, r8, r1\n"
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
        const uint32_t segment = segments[(x[i] + 32768) >> 7];
        const int32_t slope = (int32_t)segment >> 16;
        y[i] = (int16_t)(((int16_t)segment * 128 + slope * x[i] + 64) >> 7);
    }
#endif
}

/* screen: screen, 3 -> 3, f32 */
static const uint32_t tiny_w16a16_screen_node_limits[9] TINY_W16A16_CONSTANTS = {
    1u, 3227516928u, 1080033280u, 0u, 1u, 3238002688u, 1090519040u, 1056964608u, 0u,
};
static const uint32_t tiny_w16a16_screen_node_applied_limits[5] TINY_W16A16_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 1048576000u, 0u,
};
static const uint16_t tiny_w16a16_screen_node_applied[1] TINY_W16A16_CONSTANTS = {
    0,
};
static TINY_W16A16_NOINLINE uint32_t tiny_w16a16_screen_node(const float *obs, const float *applied, float *y)
{
    uint32_t status = tiny_w16a16_screen(obs, y, tiny_w16a16_screen_node_limits);
    uint32_t i;

    y += 2;
    for (i = 0; i < 1; i++) {
        y[i] = applied[tiny_w16a16_screen_node_applied[i]];
    }
    status |= tiny_w16a16_screen(y, y, tiny_w16a16_screen_node_applied_limits);
    return status;
}

/* lag: lag, 3 -> 4, f32 */
static const uint16_t tiny_w16a16_lag_node_column[1] TINY_W16A16_CONSTANTS = {
    2,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_lag_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_W16A16_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float moved = state[i] + 0.18126924f * (x[tiny_w16a16_lag_node_column[i]] - state[i]);
        state[i] = tiny_w16a16_select(keep, state[i], moved);
        y[3 + i] = state[i];
    }
}

/* integral: integral, 4 -> 5, f32 */
static const uint16_t tiny_w16a16_integral_node_column[1] TINY_W16A16_CONSTANTS = {
    0,
};
static const float tiny_w16a16_integral_node_limit[1] TINY_W16A16_CONSTANTS = {
    0.5f,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_integral_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_W16A16_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float limit = tiny_w16a16_integral_node_limit[i];
        const float moved = state[i] + 0.02f * x[tiny_w16a16_integral_node_column[i]];
        state[i] = tiny_w16a16_select(keep, state[i], tiny_w16a16_clamp(moved, -limit, limit));
        y[4 + i] = state[i];
    }
}

/* scale_encode: encode, 5 -> 5, w16a16 */
static const float tiny_w16a16_scale_encode_node_affine[16] TINY_W16A16_ALIGNED TINY_W16A16_CONSTANTS = {
    9361.998f, 3900.8325f, 32766.992f, 32766.898f, 0.0f, 1560.333f, 0.0f, 0.0f, 65533.984f, 0.0f, 0.0f, 0.0f, 0.0f,
    0.0f, 0.0f, 0.0f,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_scale_encode_node(const float *x, int16_t *y)
{
    tiny_w16a16_encode_affine(x, y, tiny_w16a16_scale_encode_node_affine, 5);
}

/* hidden: integer_dense, 5 -> 4, w16a16 */
static const uint32_t tiny_w16a16_hidden_node_weight[20] TINY_W16A16_ALIGNED TINY_W16A16_CONSTANTS = {
    4227734503u, 190220559u, 4173631731u, 77563718u, 3645972142u, 1704859515u, 70830839u, 3167073440u, 245389644u,
    3856868133u, 4116549363u, 406252901u, 46415u, 53515u, 50027u, 15698u, 6726u, 25275u, 19289u, 15945u,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_hidden_node(const int16_t *x, int16_t *y)
{
    tiny_w16a16_rows4_w16a16(tiny_w16a16_hidden_node_weight + 0, x, y + 0, 1, 3);
}

/* tanh: integer_tanh, 4 -> 4, w16a16 */
static TINY_W16A16_NOINLINE void tiny_w16a16_tanh_node(const int16_t *x, int16_t *y)
{
    tiny_w16a16_table16(tiny_w16a16_tanh_segment, x, y, 4);
}

/* out: integer_dense, 4 -> 1, w16a16 */
static const uint32_t tiny_w16a16_out_node_weight[4] TINY_W16A16_ALIGNED TINY_W16A16_CONSTANTS = {
    4156808662u, 141906245u, 2903948574u, 74952u,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_out_node(const int16_t *x, int16_t *y)
{
    const uint32_t *w = tiny_w16a16_out_node_weight + 0;
    int32_t i, j;

    for (i = 0; i < 1; i++) {
        int32_t sum = (int32_t)*w++;
        for (j = 0; j < 4; j += 2, w++) {
            sum += (int16_t)*w * x[j] + ((int32_t)*w >> 16) * x[j + 1];
        }
        y[i] = tiny_w16a16_requantize(sum, (int32_t)*w++);
    }
}

/* out_decode: decode, 1 -> 1, w16a16 */
static TINY_W16A16_NOINLINE void tiny_w16a16_out_decode_node(const int16_t *x, float *y)
{
    tiny_w16a16_decode(x, y, 3.7969294e-05f, 1);
}

/* clip: clip, 1 -> 1, f32 */
static const uint32_t tiny_w16a16_clip_node_limits[5] TINY_W16A16_CONSTANTS = {
    1u, 3212836864u, 1065353216u, 3212836864u, 0u,
};
static TINY_W16A16_NOINLINE void tiny_w16a16_clip_node(const float *x, float *y)
{
    (void)tiny_w16a16_clip(x, y, tiny_w16a16_clip_node_limits);
}

void tiny_w16a16_reset(struct tiny_w16a16 *s)
{
    s->applied[0] = 0.25f;
    s->lag_y[0] = 0.25f;
    s->integral_s[0] = 0.0f;
}

void tiny_w16a16_init(struct tiny_w16a16 *s)
{
    uint32_t i;

    for (i = 0; i < 8; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 4; i++) {
        s->work1.word[i] = 0;
    }
    tiny_w16a16_reset(s);
}

uint32_t tiny_w16a16_step(struct tiny_w16a16 *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = tiny_w16a16_screen_node(obs, s->applied, s->work0.f32);
    TINY_W16A16_PROBE_NODE(0, s->work0.f32, 3);
    tiny_w16a16_lag_node(s->lag_y, status, s->work0.f32, s->work0.f32);
    TINY_W16A16_PROBE_NODE(1, s->work0.f32, 4);
    tiny_w16a16_integral_node(s->integral_s, status, s->work0.f32, s->work0.f32);
    TINY_W16A16_PROBE_NODE(2, s->work0.f32, 5);
    tiny_w16a16_scale_encode_node(s->work0.f32, s->work1.i16);
    TINY_W16A16_PROBE_NODE(3, s->work1.i16, 5);
    tiny_w16a16_hidden_node(s->work1.i16, s->work0.i16);
    TINY_W16A16_PROBE_NODE(4, s->work0.i16, 4);
    tiny_w16a16_tanh_node(s->work0.i16, s->work0.i16);
    TINY_W16A16_PROBE_NODE(5, s->work0.i16, 4);
    tiny_w16a16_out_node(s->work0.i16, s->work1.i16);
    TINY_W16A16_PROBE_NODE(6, s->work1.i16, 1);
    tiny_w16a16_out_decode_node(s->work1.i16, s->work0.f32);
    TINY_W16A16_PROBE_NODE(7, s->work0.f32, 1);
    tiny_w16a16_clip_node(s->work0.f32, s->applied);
    TINY_W16A16_PROBE_NODE(8, s->applied, 1);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i];
    }
    return status;
}

void tiny_w16a16_set_applied(struct tiny_w16a16 *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
