/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two CPUs against one, on a machine whose cores may have other users beside us (neighbours of a virtual machine, the
 * second thread of a core) that no counter of ours shows. A control tells: a loop in registers alone, the same on both
 * CPUs at the same time, right before, between and after the two samples of a pair. A pair counts as taken on free
 * cores when each CPU ran the loop at 0.95 or more of the best that either ever reached, all three times.
 *
 * A host may also move virtual CPUs to cores that share no cache, or back, and says nothing. So the control also has a
 * line of the cache go to and fro: caches are near when that took 150 ns at most all three times, far when it took
 * longer each time (EPYC: 70 to 90 within one L3, 300 from one to another).
 */
#ifndef FWDLAB_BENCH_CORES_H
#define FWDLAB_BENCH_CORES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CORES 2

/* What is to be compared: work done on cores->cpu[0] alone, or on both. */
struct cores_work {
    double (*one)(void *arg); /* does it once; how much a second */
    double (*two)(void *arg);
    void *arg;
    const char *unit; /* as for point() */
};
struct cores_bound {
    unsigned pairs; /* with both cores free and caches near: enough */
    double seconds; /* no pair begins later */
};

struct cores {
    unsigned cpu[CORES]; /* the first ones that we may use */
    bool real_time;      /* SCHED_RR, when we may */
    uint64_t best;       /* of the control's loop, TSC */
};

/* Both end the program with a message when there are not CPUs enough, or no thread. */
void cores_init(struct cores *c);
/*
 * A thread on a CPU, in real time when that is possible; the caller joins it. SCHED_RR: threads of two programs
 * that each wait for one that has no CPU would wait for ever under SCHED_FIFO.
 */
pthread_t cores_spawn(struct cores *c, unsigned cpu, void *(*run)(void *), void *arg);
/* Where n threads, each on a CPU of its own, wait for each other; they go on together, all awake. */
struct cores_start {
    pthread_barrier_t barrier;
    _Atomic unsigned awake;
    unsigned n;
};
void cores_start_init(struct cores_start *s, unsigned n);
void cores_start_fini(struct cores_start *s);
void cores_start(struct cores_start *s);
/*
 * Pairs of one and two, in either order by turns, until the bound. Prints the ratio two/one over the pairs that had
 * both cores free and caches near, and how many these were (fewer than bound->pairs: it is not decided); the same
 * with caches far; the ratio over all pairs; in these, how much of what both CPUs gave the control (in what the first
 * one did) the work made use of: 1 is a ratio of 2 when both give the same, 0.8 one of 1.6; and the control itself: how
 * many cores it found, in the time of its best loop, and the median ping.
 */
void cores_compare(struct cores *c, const char *name, const struct cores_work *work, const struct cores_bound *bound);

#endif
