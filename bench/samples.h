/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Samples of the core and of the floor over a workload's trace, TSC cycles a packet. Whole: from the copy out of the
 * trace to the histogram of latencies, with one time stamp a burst. Alone: without copies, times and histogram. Each
 * sample takes the next packets of the trace. Bursts during which somebody else had the CPU are left out.
 */
#ifndef FWDLAB_BENCH_SAMPLES_H
#define FWDLAB_BENCH_SAMPLES_H

#include "floor.h"

#define SAMPLE_PACKETS 131072u /* of a sample: a trace has some multiple of them */

/* Measures what a time stamp costs; ends the program when there is no memory. */
void samples_init(void);
void samples_fini(void);
double sample_core(struct workload *w);
double sample_floor(struct workload *w, struct floor *f);
double sample_core_alone(struct workload *w);
double sample_floor_alone(struct workload *w, struct floor *f);
/* Of each stage; through the stage table, whatever forward() does instead of it. */
void sample_stages(struct workload *w, double *each);
/* The whole trace through the core, and through the floor both ways: same ports, same bytes. Else the program ends. */
void samples_verify(struct workload *w, struct floor *f);
/* A time without the stamp's. */
uint64_t samples_net(uint64_t took);
/* The share of the time of all samples that others had. */
double samples_lost(void);

#endif
