/* The micro-benchmarks that the calibration firmware holds, generated from sims/mcu/microbench.py. */
#ifndef TINYCTL_CALIBRATE_H
#define TINYCTL_CALIBRATE_H
#include <stdint.h>

typedef void (*tinyctl_benchmark)(void *ram, const void *table);

extern const tinyctl_benchmark tinyctl_benchmarks[];
extern const uint32_t tinyctl_n_benchmarks;
extern const char tinyctl_benchmarks_hash[]; /* 64 hexadecimal digits */
extern const uint32_t tinyctl_mb_table[];    /* constants beside the code */

#endif
