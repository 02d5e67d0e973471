/* SPDX-License-Identifier: BSD-3-Clause */
/* Log-linear histogram of 64-bit values with three significant digits: recording is one shift, one add. Mergeable. */
#ifndef FWDLAB_MEASURE_HISTOGRAM_H
#define FWDLAB_MEASURE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* 2^11 sub-buckets: values below 2048 exact, larger ones within 1/1024. */
#define HISTOGRAM_SUB_BITS 11

struct histogram {
    uint64_t count, min, max; /* min: UINT64_MAX while empty */
    double sum;
    uint32_t n;         /* buckets */
    uint64_t limit;     /* largest value told apart: max of histogram_init */
    uint64_t *bucket;
};

/* Covers 0..max; larger values are recorded as max. Allocates once. 0 or -ENOMEM, -EINVAL (max 0). */
int histogram_init(struct histogram *h, uint64_t max);
void histogram_fini(struct histogram *h);
void histogram_reset(struct histogram *h);
/* -EINVAL when the ranges differ. */
int histogram_merge(struct histogram *into, const struct histogram *from);
/* Highest value equal, within the resolution, to the one at quantile q (0..1); 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* Lowest value of bucket i, to write it out. */
uint64_t histogram_bucket_low(const struct histogram *h, uint32_t i);

/*
 * The percentile text that HdrHistogram writes and its plotters read; values are divided by `unit` (nanoseconds as
 * microseconds, which is usual: 1000). Levels stand HGRM_TICKS to each halving of what lies above, as far as single
 * values are told apart; the last line is the largest value.
 */
#define HGRM_TICKS 5
void histogram_hgrm(const struct histogram *h, double unit, FILE *out);

/* Which bucket a value falls into. */
static inline uint32_t histogram_bucket(uint64_t value) {
    const uint64_t exact = ((uint64_t)1 << HISTOGRAM_SUB_BITS) - 1;
    unsigned shift = 64 - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(value | exact);
    return (shift << (HISTOGRAM_SUB_BITS - 1)) + (uint32_t)(value >> shift);
}

static inline void histogram_record_n(struct histogram *h, uint64_t value, uint64_t n) {
    if (value > h->limit)
        value = h->limit;
    if (!n)
        return;
    h->bucket[histogram_bucket(value)] += n;
    h->count += n;
    h->sum += (double)value * (double)n;
    if (value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
}
static inline void histogram_record(struct histogram *h, uint64_t value) {
    histogram_record_n(h, value, 1);
}

#endif
