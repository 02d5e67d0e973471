/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything of the histogram that is not recording (which is inline, see the header). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
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

static double standard_deviation(const struct histogram *h, double mean) {
    double sum = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        double middle = ((double)histogram_bucket_low(h, i) + (double)bucket_high(h, i)) / 2;
        sum += (double)h->bucket[i] * (middle - mean) * (middle - mean);
    }
    return h->count ? sqrt(sum / (double)h->count) : 0;
}

/* The k-th level: HGRM_TICKS equal steps from one halving of what lies above to the next. */
static double level_of(unsigned k) {
    return 1 - exp2(-(double)(k / HGRM_TICKS)) * (1 - (double)(k % HGRM_TICKS) / (2 * HGRM_TICKS));
}

void histogram_hgrm(const struct histogram *h, double unit, FILE *out) {
    const double count = (double)h->count, mean = h->count ? h->sum / count : 0;
    uint64_t seen = 0;
    unsigned level = 0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for (uint32_t i = 0; i < h->n && seen < h->count; i++) {
        seen += h->bucket[i];
        uint64_t high = bucket_high(h, i) < h->max ? bucket_high(h, i) : h->max;
        /* a level is reached with its rank, and told as far as it leaves a whole value above itself */
        for (; h->bucket[i]; level++) {
            double q = level_of(level);
            if (q * count > (double)seen + 1e-6 || (1 - q) * count < 1)
                break;
            fprintf(out, "%12.3f %2.12f %10llu %14.2f\n", (double)high / unit, q, (unsigned long long)seen,
                    1 / (1 - q));
        }
    }
    if (h->count)
        fprintf(out, "%12.3f %2.12f %10llu\n", (double)h->max / unit, 1.0, (unsigned long long)h->count);
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / unit, standard_deviation(h, mean) / unit);
    fprintf(out, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max / unit, (unsigned long long)h->count);
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", h->n >> (HISTOGRAM_SUB_BITS - 1),
            1u << HISTOGRAM_SUB_BITS);
}
