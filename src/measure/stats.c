/* SPDX-License-Identifier: BSD-3-Clause */
/* Quantiles and the paired bootstrap. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/stats.h>

#define RESAMPLES 2000
#define PAIRS_MIN 5

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* v is sorted, n > 0. */
static double sorted_quantile(const double *v, size_t n, double q) {
    double at = fmin(fmax(q, 0), 1) * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

double stats_quantile(const double *v, size_t n, double q) {
    if (!n)
        return 0;
    double *sorted = xzalloc(n, sizeof *sorted);
    memcpy(sorted, v, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    double out = sorted_quantile(sorted, n, q);
    free(sorted);
    return out;
}

/* The value of rank r (from 0) in a resample given as how often each of the sorted values was drawn. */
static double drawn_rank(const double *sorted, const uint32_t *drawn, size_t r) {
    size_t i = 0;
    for (size_t seen = drawn[0]; seen <= r; seen += drawn[i])
        i++;
    return sorted[i];
}

static double resampled_median(const double *sorted, uint32_t *drawn, size_t n, struct random *random) {
    memset(drawn, 0, n * sizeof *drawn);
    for (size_t i = 0; i < n; i++)
        drawn[random_below(random, (uint32_t)n)]++;
    return (drawn_rank(sorted, drawn, (n - 1) / 2) + drawn_rank(sorted, drawn, n / 2)) / 2;
}

struct stats_ratio stats_paired_ratio(const double *a, const double *b, size_t n, uint64_t seed) {
    struct stats_ratio out = {.high = INFINITY};
    double *ratios = xzalloc(n + 1, sizeof *ratios);
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (a[i] > 0)
            ratios[m++] = b[i] / a[i];
    qsort(ratios, m, sizeof *ratios, compare);
    out.pairs = m;
    out.ratio = m ? sorted_quantile(ratios, m, 0.5) : 0;
    if (m >= PAIRS_MIN) {
        double *medians = xzalloc(RESAMPLES, sizeof *medians);
        uint32_t *drawn = xzalloc(m, sizeof *drawn);
        struct random random;
        random_seed(&random, seed);
        for (size_t i = 0; i < RESAMPLES; i++)
            medians[i] = resampled_median(ratios, drawn, m, &random);
        qsort(medians, RESAMPLES, sizeof *medians, compare);
        out.low = sorted_quantile(medians, RESAMPLES, 0.025);
        out.high = sorted_quantile(medians, RESAMPLES, 0.975);
        free(medians);
        free(drawn);
    }
    free(ratios);
    return out;
}

enum stats_verdict stats_verdict(const struct stats_ratio *r, double tolerance) {
    if (r->low > 1 + tolerance)
        return STATS_WORSE;
    if (r->high < 1 - tolerance)
        return STATS_BETTER;
    return r->low >= 1 - tolerance && r->high <= 1 + tolerance ? STATS_SAME : STATS_UNCLEAR;
}

const char *stats_verdict_name(enum stats_verdict v) {
    static const char *const names[] = {"same", "better", "worse", "unclear"};
    return names[v];
}
