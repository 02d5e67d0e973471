/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics of paired samples, seeded: the same samples give the same interval. */
#ifndef FWDLAB_MEASURE_STATS_H
#define FWDLAB_MEASURE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* q in 0..1, linear between neighbours; reorders nothing. 0 for n = 0. */
double stats_quantile(const double *v, size_t n, double q);
/* out[k] = stats_quantile(v, n, q[k]) for all n_q of them, which is cheapest when they ascend. */
void stats_quantiles(const double *v, size_t n, const double *q, unsigned n_q, double *out);
static inline double stats_median(const double *v, size_t n) { return stats_quantile(v, n, 0.5); }

struct stats_ratio {
    double ratio;    /* median of b[i] / a[i]; of clusters: see there */
    double low, high; /* 95 % bootstrap interval (percentile) of it */
    size_t pairs;
};
/* Pairs with a[i] <= 0 are left out. Under 5 pairs the interval is [0, infinity). */
struct stats_ratio stats_paired_ratio(const double *a, const double *b, size_t n, uint64_t seed);
/*
 * The same when samples come in clusters (epochs of a run: memory placed anew in each; what one shares is no noise that
 * more samples of it would average out). sizes[k] samples belong to cluster k, in order. The ratio is the 20 % trimmed
 * mean of the clusters' medians; the bootstrap draws whole clusters. Under 5 clusters that have pairs:
 * stats_paired_ratio of all samples.
 */
struct stats_ratio stats_clustered_ratio(const double *a, const double *b, const size_t *sizes, size_t clusters,
                                         uint64_t seed);

enum stats_verdict { STATS_SAME, STATS_BETTER, STATS_WORSE, STATS_UNCLEAR };
/*
 * For a figure where less is better. `tolerance`: what counts as no difference (0.02: 2 %). WORSE: the interval lies
 * above 1 + tolerance; BETTER: below 1 - tolerance; SAME: inside both; else UNCLEAR.
 */
enum stats_verdict stats_verdict(const struct stats_ratio *r, double tolerance);
const char *stats_verdict_name(enum stats_verdict v); /* same, better, worse, unclear */

#endif
