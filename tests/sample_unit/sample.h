/* A handwritten unit in the shape of an emitted one: a 3-4-1 net with one number of state, for the tests. */
#ifndef SAMPLE_H
#define SAMPLE_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SAMPLE_N_OBS 3
#define SAMPLE_N_ACT 1
#define SAMPLE_STATE_BYTES 4
#define SAMPLE_RATE_HZ 100.0f
#define SAMPLE_CONTRACT_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SAMPLE_GRAPH_HASH "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

struct sample {
    float applied[1]; /* the action applied last: the state */
    float x[4];       /* screened observation and last action */
    float y[4];
};

void sample_init(struct sample *s);
void sample_reset(struct sample *s);
uint32_t sample_step(struct sample *s, const float obs[3], float act[1]);
void sample_set_applied(struct sample *s, const float act[1]);
uint32_t sample_selftest(void);

#ifdef __cplusplus
}
#endif
#endif
