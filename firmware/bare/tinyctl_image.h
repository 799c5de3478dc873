/* What an image says about itself, in section .tinyctl, so that a tool needs nothing but the ELF.
 *
 * All members are 32 bits wide: the layout is the same under every compiler for a 32-bit little-endian core.
 */
#ifndef TINYCTL_IMAGE_H
#define TINYCTL_IMAGE_H
#include <stdint.h>

#define TINYCTL_MAGIC_0 0x594e4954u /* "TINY" */
#define TINYCTL_MAGIC_1 0x314c5443u /* "CTL1" */
#define TINYCTL_DESCRIPTOR_VERSION 2u

struct tinyctl_node {
    const char *name;
    const char *kind;
    const char *format;
    const char *symbol; /* the function that computes it */
    const char *type;   /* of its value: f32, i16, i8 */
    uint32_t offset;    /* of its value in the controller's struct, in bytes, once that function has returned */
    uint32_t count;
};

/* The controller behind one signature, whatever its name. `self` points to its struct. */
struct tinyctl_calls {
    void (*init)(void *self);
    void (*reset)(void *self);
    uint32_t (*step)(void *self, const float *observation, float *action);
    void (*set_applied)(void *self, const float *action);
    uint32_t (*selftest)(void);
};

struct tinyctl_descriptor {
    uint32_t magic[2];
    uint32_t version;
    uint32_t size; /* of this struct, in bytes */
    const char *name;
    const char *board;
    const char *toolchain;
    const char *contract_hash; /* 64 hexadecimal digits */
    const char *graph_hash;
    float rate_hz;
    float latency_s; /* from observation to action, as assumed in training; 0 where nothing was */
    uint32_t n_obs;
    uint32_t n_act;
    uint32_t struct_bytes; /* of the controller's struct */
    uint32_t state_bytes;  /* its leading bytes that are state */
    uint32_t n_nodes;
    const struct tinyctl_node *nodes; /* in the order of execution */
    void *self;
    float *observation;
    float *action;
    struct tinyctl_calls calls;
};

extern const struct tinyctl_descriptor tinyctl_descriptor;

/* Where the control loop stands: read by a debugger or a link. */
enum tinyctl_phase { TINYCTL_BOOTING = 0, TINYCTL_RUNNING = 1, TINYCTL_SELFTEST_FAILED = 2, TINYCTL_FAULT = 3 };

struct tinyctl_loop {
    uint32_t phase;
    uint32_t steps;
    uint32_t status; /* what the last step returned */
    uint32_t count;  /* of the last step: cycles, where there is a counter */
    uint32_t missed; /* whole periods without a step */
};

extern volatile struct tinyctl_loop tinyctl_loop;

/* SysTick's reload value and how many of its periods make one control period: at the clock after reset, and at the
 * board's. */
struct tinyctl_period {
    uint32_t tick_reload;
    uint32_t ticks_per_step;
};

extern const struct tinyctl_period tinyctl_periods[2];

int main(void);

#endif
