/* SPDX-License-Identifier: BSD-3-Clause */
/* The data caches of a CPU, as sysfs tells them. */
#ifndef FWDLAB_BENCH_CACHES_H
#define FWDLAB_BENCH_CACHES_H

#include <stdint.h>

#define CACHES_MAX 4

struct cache {
    char name[8];   /* "L1d", "L2", "L3" */
    uint64_t bytes; /* all of it, also when other CPUs share it */
};
/* By level; how many. 0: the machine does not tell. */
unsigned caches_read(unsigned cpu, struct cache out[CACHES_MAX]);

#endif
