/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine's noise floor: gaps that an idle busy loop sees. */
#ifndef FWDLAB_MEASURE_NOISE_H
#define FWDLAB_MEASURE_NOISE_H

#include <stdbool.h>
#include <stdint.h>

struct noise {
    uint64_t window_ns;   /* how long the loop ran */
    uint64_t lost_ns;     /* sum of gaps over 50 us: time that the machine took away */
    uint64_t gap_p50_ns, gap_p9999_ns, gap_max_ns;
    double lost_share;    /* lost_ns / window_ns */
    bool quiet;           /* lost_share < 0.001 */
};
/* Spins for window_ns on the calling thread. */
void noise_measure(struct noise *out, uint64_t window_ns);

/* Gaps while other work runs: feed it the TSC before and after each burst; adds up what exceeds the lost-time limit. */
#define NOISE_LOST_NS 50000ull

#endif
