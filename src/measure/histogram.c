/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything of the histogram that is not recording (which is inline, see the header). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/measure/histogram.h>

int histogram_init(struct histogram *h, uint64_t max) {
    *h = (struct histogram){0};
    if (!max)
        return -EINVAL;
    h->limit = max;
    h->n = histogram_bucket(max) + 1;
    h->bucket = calloc(h->n, sizeof *h->bucket);
    if (!h->bucket)
        return -ENOMEM;
    h->min = UINT64_MAX;
    return 0;
}

void histogram_fini(struct histogram *h) {
    free(h->bucket);
    *h = (struct histogram){0};
}

void histogram_reset(struct histogram *h) {
    memset(h->bucket, 0, h->n * sizeof *h->bucket);
    h->count = h->max = 0;
    h->min = UINT64_MAX;
    h->sum = 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from) {
    if (into->limit != from->limit)
        return -EINVAL;
    for (uint32_t i = 0; i < from->n; i++)
        into->bucket[i] += from->bucket[i];
    into->count += from->count;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    return 0;
}

uint64_t histogram_bucket_low(const struct histogram *h, uint32_t i) {
    const uint32_t half = 1u << (HISTOGRAM_SUB_BITS - 1);
    uint32_t shift = i < 2 * half ? 0 : i / half - 1;
    return (uint64_t)(i - shift * half) << shift;
}

/* Highest value that falls into bucket i. */
static uint64_t bucket_high(const struct histogram *h, uint32_t i) {
    const uint32_t half = 1u << (HISTOGRAM_SUB_BITS - 1);
    uint32_t shift = i < 2 * half ? 0 : i / half - 1;
    return histogram_bucket_low(h, i) + (((uint64_t)1 << shift) - 1);
}

uint64_t histogram_quantile(const struct histogram *h, double q) {
    if (!h->count)
        return 0;
    if (q >= 1)
        return h->max;
    uint64_t rank = q > 0 ? (uint64_t)ceil(q * (double)h->count) : 1, seen = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t high = bucket_high(h, i);
            return high < h->max ? high : h->max;
        }
    }
    return h->max;
}
