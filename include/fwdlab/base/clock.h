/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks that measure. None of them decides a verdict: the core's time comes from its caller. */
#ifndef FWDLAB_BASE_CLOCK_H
#define FWDLAB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define SECOND_NS 1000000000ull

static inline uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}
/* Time-stamp counter; nanoseconds on machines that have none that a program may read. */
static inline uint64_t clock_tsc(void) {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return clock_ns();
#endif
}
/* Ticks of clock_tsc a second, measured once (20 ms) and kept. */
uint64_t clock_tsc_hz(void);

#endif
