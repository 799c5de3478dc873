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

/* A rational approximation, odd 13th over even 6th degree, within 4.2e-7. The sign and the saturation are handled in the
   bits; below 0.0004 the result is x itself, which also keeps subnormals out of the division. */
static inline float tiny_tanh(float x)
{
    const uint32_t sign = tiny_bits(x) & 0x80000000u;
    const uint32_t magnitude = tiny_bits(x) ^ sign;
    const uint32_t clamped = magnitude > 0x40fcf84fu ? 0x40fcf84fu : magnitude;
    const uint32_t small = 0u - (uint32_t)(clamped < 0x39d1b717u);
    const float z = tiny_float((clamped & ~small) | (0x3f800000u & small));
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
    return tiny_float(((tiny_bits(z * p / q) & ~small) | (clamped & small)) | sign);
}

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

/* scale: scale, 5 -> 5, f32 */
static const float tiny_scale_node_affine[10] TINY_CONSTANTS = {
    0.5f, 0.0f, 0.25f, 0.1f, 1.0f, 0.0f, 1.0f, 0.0f, 2.0f, 0.0f,
};
static TINY_NOINLINE void tiny_scale_node(const float *x, float *y)
{
    const float *affine = tiny_scale_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 5; i++, affine += 2) {
        y[i] = x[i] * affine[0] + affine[1];
    }
}

/* hidden: dense, 5 -> 4, f32 */
static const float tiny_hidden_node_weight[20] TINY_CONSTANTS = {
    0.056228265f, 0.16171022f, -0.2787368f, -0.32747993f, -0.059079092f, 0.58316654f, 0.01848154f, -0.24340002f,
    0.2864057f, 0.42354748f, -1.0397854f, -0.14145373f, 0.04691276f, -0.31471997f, -0.097846605f, 0.18408677f,
    -0.23955862f, -0.5659137f, -0.55718833f, 0.46622616f,
};
static const float tiny_hidden_node_bias[4] TINY_CONSTANTS = {
    -0.025706932f, 0.2732927f, -0.13303894f, 0.07030202f,
};
static TINY_NOINLINE void tiny_hidden_node(const float *x, float *y)
{
    const float *w = tiny_hidden_node_weight; /* by blocks of rows, then columns, then the rows of a block */
    const float *b = tiny_hidden_node_bias;
    int32_t i, j;

    for (i = 0; i < 4; i += 4) {
        float sum0 = b[i + 0];
        float sum1 = b[i + 1];
        float sum2 = b[i + 2];
        float sum3 = b[i + 3];
        for (j = 0; j < 4; j += 2) {
            const float x0 = x[j + 0];
            const float x1 = x[j + 1];
            sum0 = sum0 + w[0] * x0;
            sum1 = sum1 + w[1] * x0;
            sum2 = sum2 + w[2] * x0;
            sum3 = sum3 + w[3] * x0;
            sum0 = sum0 + w[4] * x1;
            sum1 = sum1 + w[5] * x1;
            sum2 = sum2 + w[6] * x1;
            sum3 = sum3 + w[7] * x1;
            w += 8;
        }
        {
            const float x0 = x[j + 0];
            sum0 = sum0 + w[0] * x0;
            sum1 = sum1 + w[1] * x0;
            sum2 = sum2 + w[2] * x0;
            sum3 = sum3 + w[3] * x0;
            w += 4;
        }
        j++;
        y[i + 0] = sum0;
        y[i + 1] = sum1;
        y[i + 2] = sum2;
        y[i + 3] = sum3;
    }
}

/* tanh: tanh, 4 -> 4, f32 */
static TINY_NOINLINE void tiny_tanh_node(const float *x, float *y)
{
    int32_t i;

    for (i = 0; i < 4; i++) {
        y[i] = tiny_tanh(x[i]);
    }
}

/* out: dense, 4 -> 1, f32 */
static const float tiny_out_node_weight[4] TINY_CONSTANTS = {
    0.45173508f, 0.04700615f, -0.37174964f, -0.4608627f,
};
static const float tiny_out_node_bias[1] TINY_CONSTANTS = {
    -0.091545165f,
};
static TINY_NOINLINE void tiny_out_node(const float *x, float *y)
{
    const float *w = tiny_out_node_weight; /* by blocks of rows, then columns, then the rows of a block */
    const float *b = tiny_out_node_bias;
    int32_t i, j;

    for (i = 0; i < 1; i += 1) {
        float sum0 = b[i + 0];
        for (j = 0; j < 4; j += 2) {
            const float x0 = x[j + 0];
            const float x1 = x[j + 1];
            sum0 = sum0 + w[0] * x0;
            sum0 = sum0 + w[1] * x1;
            w += 2;
        }
        y[i + 0] = sum0;
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
    tiny_scale_node(s->work0.f32, s->work0.f32);
    tiny_hidden_node(s->work0.f32, s->work1.f32);
    tiny_tanh_node(s->work1.f32, s->work1.f32);
    tiny_out_node(s->work1.f32, s->work0.f32);
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
