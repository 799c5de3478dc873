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
#define TINY_ALIGNED __attribute__((aligned(4)))
#elif defined(__GNUC__)
#define TINY_NOINLINE __attribute__((noinline, noclone))
#define TINY_ALIGNED __attribute__((aligned(4)))
#else
#define TINY_NOINLINE
#define TINY_ALIGNED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef TINY_CONSTANTS
#define TINY_CONSTANTS
#endif
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_BIG_ENDIAN)
#include <arm_acle.h>
#define TINY_DSP 1
#else
#define TINY_DSP 0
#endif

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

static inline int16_t tiny_saturate(int32_t q)
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
    return tiny_saturate(whole - (int32_t)((float)whole > z));
}

/* sum + w[0] * x[0] + w[1] * x[1]; no sum can overflow, for any input: that was proven when the weights were chosen. */
#if TINY_DSP
typedef int32_t tiny_pair __attribute__((may_alias));
#define tiny_dual_mac(w, x, sum) __smlad(*(const tiny_pair *)(w), *(const tiny_pair *)(x), (sum))
#else
static inline int32_t tiny_dual_mac(const int16_t *w, const int16_t *x, int32_t sum)
{
    return sum + (int32_t)w[0] * x[0] + (int32_t)w[1] * x[1];
}
#endif

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline int16_t tiny_requantize(int32_t sum, int32_t multiplier)
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
/* screen: screen, 3 -> 3, f32 */
static const float tiny_screen_node_limits[9] TINY_CONSTANTS = {
    -3.5f, 3.5f, 0.0f, -8.0f, 8.0f, 0.5f, -1.0f, 1.0f, 0.25f,
};
static const uint16_t tiny_screen_node_applied[1] TINY_CONSTANTS = {
    0,
};
static inline float tiny_screen_node_value(float v, const float *limits, uint32_t *status)
{
    const uint32_t bad = 0u - (uint32_t)((tiny_bits(v) & 0x7f800000u) == 0x7f800000u);
    *status |= bad & TINY_REJECTED;
    return tiny_select(bad, limits[2], tiny_clamp(v, limits[0], limits[1]));
}

static TINY_NOINLINE uint32_t tiny_screen_node(const float *obs, const float *applied, float *y)
{
    const float *limits = tiny_screen_node_limits; /* low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = tiny_screen_node_value(obs[i], limits, &status);
    }
    for (i = 0; i < 1; i++, limits += 3) {
        y[2 + i] = tiny_screen_node_value(applied[tiny_screen_node_applied[i]], limits, &status);
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
    const int16_t *w = tiny_hidden_node_weight; /* by blocks of rows, then pairs of columns, then the rows of a block */
    const int32_t *b = tiny_hidden_node_bias;
    const int32_t *m = tiny_hidden_node_multiplier;
    int32_t i, j;

    for (i = 0; i < 4; i += 4) {
        int32_t sum0 = b[i + 0];
        int32_t sum1 = b[i + 1];
        int32_t sum2 = b[i + 2];
        int32_t sum3 = b[i + 3];
        for (j = 0; j < 0; j += 4) {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            sum0 = tiny_dual_mac(w + 8, x + 2 * j + 2, sum0);
            sum1 = tiny_dual_mac(w + 10, x + 2 * j + 2, sum1);
            sum2 = tiny_dual_mac(w + 12, x + 2 * j + 2, sum2);
            sum3 = tiny_dual_mac(w + 14, x + 2 * j + 2, sum3);
            sum0 = tiny_dual_mac(w + 16, x + 2 * j + 4, sum0);
            sum1 = tiny_dual_mac(w + 18, x + 2 * j + 4, sum1);
            sum2 = tiny_dual_mac(w + 20, x + 2 * j + 4, sum2);
            sum3 = tiny_dual_mac(w + 22, x + 2 * j + 4, sum3);
            sum0 = tiny_dual_mac(w + 24, x + 2 * j + 6, sum0);
            sum1 = tiny_dual_mac(w + 26, x + 2 * j + 6, sum1);
            sum2 = tiny_dual_mac(w + 28, x + 2 * j + 6, sum2);
            sum3 = tiny_dual_mac(w + 30, x + 2 * j + 6, sum3);
            w += 32;
        }
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        y[i + 0] = tiny_requantize(sum0, m[i + 0]);
        y[i + 1] = tiny_requantize(sum1, m[i + 1]);
        y[i + 2] = tiny_requantize(sum2, m[i + 2]);
        y[i + 3] = tiny_requantize(sum3, m[i + 3]);
    }
}

/* tanh: integer_tanh, 4 -> 4, w16a16 */
static TINY_NOINLINE void tiny_tanh_node(const int16_t *x, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 4; i++) {
        const int32_t place = x[i] + 32768;
        const uint32_t segment = tiny_tanh_segment[place >> 7]; /* start, rise << 16 */
        const int32_t rise = (int32_t)segment >> 16;
        const int32_t rest = place & 127;
        y[i] = (int16_t)((int16_t)segment + ((rise * rest + 64) >> 7));
    }
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
    const int16_t *w = tiny_out_node_weight; /* by blocks of rows, then pairs of columns, then the rows of a block */
    const int32_t *b = tiny_out_node_bias;
    const int32_t *m = tiny_out_node_multiplier;
    int32_t i, j;

    for (i = 0; i < 1; i += 1) {
        int32_t sum0 = b[i + 0];
        for (j = 0; j < 0; j += 4) {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum0 = tiny_dual_mac(w + 2, x + 2 * j + 2, sum0);
            sum0 = tiny_dual_mac(w + 4, x + 2 * j + 4, sum0);
            sum0 = tiny_dual_mac(w + 6, x + 2 * j + 6, sum0);
            w += 8;
        }
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            w += 2;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            w += 2;
        }
        j++;
        y[i + 0] = tiny_requantize(sum0, m[i + 0]);
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

    for (i = 0; i < 6; i++) {
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
