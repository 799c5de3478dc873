#include "sample.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
#define NOINLINE __attribute__((noinline))

static const float weight1[4][4] = {
    {0.5f, -0.25f, 0.125f, 0.1f}, {-1.5f, 0.75f, 0.3f, -0.2f}, {0.7f, 0.9f, -1.1f, 0.05f}, {0.2f, 0.4f, 0.6f, -0.8f}};
static const float bias1[4] = {0.01f, -0.02f, 0.03f, -0.04f};
static const float weight2[4] = {0.9f, -0.8f, 0.7f, -0.6f};

static NOINLINE uint32_t sample_node_screen(struct sample *s, const float *obs)
{
    uint32_t rejected = 0;
    for (int i = 0; i < 3; i++) {
        const float v = obs[i];
        const uint32_t finite = (uint32_t)((v - v) == 0.0f);
        float c = v < -10.0f ? -10.0f : v;
        c = c > 10.0f ? 10.0f : c;
        s->x[i] = finite ? c : 0.0f;
        rejected |= finite ^ 1u;
    }
    s->x[3] = s->applied[0];
    return rejected;
}

static NOINLINE void sample_node_dense1(struct sample *s)
{
    for (int i = 0; i < 4; i++) {
        float sum = bias1[i];
        for (int j = 0; j < 4; j++) {
            sum += weight1[i][j] * s->x[j];
        }
        s->y[i] = sum;
    }
}

static NOINLINE void sample_node_relu1(struct sample *s)
{
    for (int i = 0; i < 4; i++) {
        s->y[i] = s->y[i] > 0.0f ? s->y[i] : 0.0f;
    }
}

static NOINLINE void sample_node_dense2(struct sample *s)
{
    float sum = 0.05f;
    for (int j = 0; j < 4; j++) {
        sum += weight2[j] * s->y[j];
    }
    s->x[0] = sum;
}

static NOINLINE void sample_node_clip(const struct sample *s, float *act)
{
    const float v = s->x[0];
    act[0] = v < -1.0f ? -1.0f : (v > 1.0f ? 1.0f : v);
}

void sample_init(struct sample *s)
{
    sample_reset(s);
}

void sample_reset(struct sample *s)
{
    s->applied[0] = 0.0f;
}

uint32_t sample_step(struct sample *s, const float obs[3], float act[1])
{
    const uint32_t status = sample_node_screen(s, obs);
    sample_node_dense1(s);
    sample_node_relu1(s);
    sample_node_dense2(s);
    sample_node_clip(s, act);
    s->applied[0] = act[0];
    return status;
}

void sample_set_applied(struct sample *s, const float act[1])
{
    s->applied[0] = act[0];
}
