#include "sample.h"

uint32_t sample_selftest(void)
{
    struct sample s;
    const float obs[3] = {0.5f, -0.25f, 1.0f};
    float act[1];
    sample_init(&s);
    const uint32_t status = sample_step(&s, obs, act);
    return (uint32_t)(status != 0u || !(act[0] > -1.0f && act[0] < 1.0f));
}
