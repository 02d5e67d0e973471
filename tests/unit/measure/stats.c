/* SPDX-License-Identifier: BSD-3-Clause */
/* Quantiles, the paired ratio and its interval, verdicts, the noise floor. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fwdlab/base/random.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/measure/stats.h>

Test(stats, quantile_is_linear_between_neighbours_and_sorts_a_copy) {
    const double v[] = {4, 1, 3, 2};
    cr_assert_eq(stats_quantile(v, 0, 0.5), 0);
    cr_assert_float_eq(stats_median(v, 4), 2.5, 1e-12);
    cr_assert_float_eq(stats_quantile(v, 4, 0.1), 1.3, 1e-12);
    cr_assert_eq(stats_quantile(v, 4, 0), 1);
    cr_assert_eq(stats_quantile(v, 4, 1), 4);
    cr_assert_eq(stats_quantile(v, 1, 0.9), 4);
    cr_assert_eq(v[0], 4);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Whatever the order and however many are equal: as sorting all of them says. */
Test(stats, quantiles_without_sorting) {
    const uint64_t seed = (uint64_t)time(NULL);
    const double q[] = {0.5, 0.9, 0.99, 1, 0, 0.25};
    double v[500], sorted[500], out[6];
    struct random r;
    random_seed(&r, seed);
    for (unsigned round = 0; round < 2000; round++) {
        const size_t n = 1 + random_below(&r, 500);
        const uint32_t values = 1 + random_below(&r, round % 2 ? 1000000 : 5);
        for (size_t i = 0; i < n; i++)
            v[i] = round % 3 ? random_below(&r, values) : (double)i;
        memcpy(sorted, v, sizeof sorted);
        qsort(sorted, n, sizeof *sorted, ascending);
        stats_quantiles(v, n, q, 6, out);
        for (unsigned k = 0; k < 6; k++) {
            const size_t i = (size_t)(q[k] * (double)(n - 1));
            const double part = q[k] * (double)(n - 1) - (double)i;
            const double is = sorted[i] + (i + 1 < n ? part * (sorted[i + 1] - sorted[i]) : 0);
            cr_assert_eq(out[k], is, "seed %llu", (unsigned long long)seed);
        }
    }
}

Test(stats, ratio_of_few_pairs_has_no_interval) {
    const double a[] = {1, 0, 2, 4, -1}, b[] = {2, 9, 4, 8, 9};
    struct stats_ratio r = stats_paired_ratio(a, b, 5, 1);
    cr_assert_eq(r.pairs, 3);
    cr_assert_eq(r.ratio, 2);
    cr_assert_eq(r.low, 0);
    cr_assert(isinf(r.high));
    cr_assert_eq(stats_verdict(&r, 0.02), STATS_UNCLEAR);
    r = stats_paired_ratio(a, b, 0, 1);
    cr_assert_eq(r.pairs, 0);
    cr_assert_eq(stats_verdict(&r, 0.02), STATS_UNCLEAR);
}

/* b = factor * a, both with the same drift and each with its own noise of +-5 %. */
static void samples(struct random *r, double factor, double *a, double *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double drift = 100 + 50 * random_unit(r);
        a[i] = drift * (0.95 + 0.1 * random_unit(r));
        b[i] = factor * drift * (0.95 + 0.1 * random_unit(r));
    }
}

Test(stats, interval_covers_the_true_ratio_about_as_often_as_it_says) {
    enum { RUNS = 300, N = 31 };
    double a[N], b[N];
    struct random r;
    int covered = 0;
    random_seed(&r, 7);
    for (int run = 0; run < RUNS; run++) {
        samples(&r, 1.25, a, b, N);
        struct stats_ratio q = stats_paired_ratio(a, b, N, (uint64_t)run);
        cr_assert(q.low <= q.ratio && q.ratio <= q.high);
        covered += q.low <= 1.25 && 1.25 <= q.high;
    }
    cr_assert(covered > 270 && covered < 300, "%d of %d, seed 7", covered, RUNS);
}

Test(stats, same_seed_same_interval) {
    double a[20], b[20];
    struct random r;
    random_seed(&r, 3);
    samples(&r, 1, a, b, 20);
    struct stats_ratio x = stats_paired_ratio(a, b, 20, 5), y = stats_paired_ratio(a, b, 20, 5);
    struct stats_ratio z = stats_paired_ratio(a, b, 20, 6);
    cr_assert(x.low == y.low && x.high == y.high);
    cr_assert(x.low != z.low || x.high != z.high);
}

/* Runs of 16 epochs: what an epoch shares is no noise that its many samples average out. */
Test(stats, interval_of_clusters_covers_what_that_of_their_samples_does_not) {
    enum { RUNS = 300, CLUSTERS = 16, EACH = 20, N = CLUSTERS * EACH };
    static double a[N], b[N];
    size_t sizes[CLUSTERS];
    struct random r;
    int covered = 0, naive = 0;
    random_seed(&r, 9);
    for (int run = 0; run < RUNS; run++) {
        for (int k = 0; k < CLUSTERS; k++) {
            sizes[k] = EACH;
            samples(&r, 1.25 * (0.98 + 0.04 * random_unit(&r)), a + k * EACH, b + k * EACH, EACH);
        }
        struct stats_ratio q = stats_clustered_ratio(a, b, sizes, CLUSTERS, (uint64_t)run);
        struct stats_ratio p = stats_paired_ratio(a, b, N, (uint64_t)run);
        cr_assert(q.low <= q.ratio && q.ratio <= q.high);
        cr_assert_eq(q.pairs, N);
        covered += q.low <= 1.25 && 1.25 <= q.high;
        naive += p.low <= 1.25 && 1.25 <= p.high;
    }
    cr_assert(covered >= 264 && covered < RUNS, "%d of %d, seed 9", covered, RUNS);
    cr_assert_gt(covered, naive, "%d, %d, seed 9", covered, naive);
}

Test(stats, few_clusters_are_plain_samples_and_one_bad_epoch_moves_little) {
    double a[30], b[30];
    const size_t four[] = {10, 5, 10, 5}, six[] = {5, 5, 5, 5, 5, 5}, holes[] = {0, 15, 0, 15, 0, 0};
    struct random r;
    random_seed(&r, 4);
    samples(&r, 1, a, b, 30);
    struct stats_ratio p = stats_paired_ratio(a, b, 30, 5), q = stats_clustered_ratio(a, b, four, 4, 5);
    cr_assert(p.ratio == q.ratio && p.low == q.low && p.high == q.high && p.pairs == q.pairs);
    q = stats_clustered_ratio(a, b, holes, 6, 5);
    cr_assert(p.low == q.low && p.high == q.high);
    for (int i = 10; i < 15; i++)
        b[i] *= 2;
    q = stats_clustered_ratio(a, b, six, 6, 5);
    cr_assert(q.ratio > 0.95 && q.ratio < 1.05, "%f, seed 4", q.ratio);
}

Test(stats, verdict_by_interval) {
    static const struct { double low, high; enum stats_verdict want; } cases[] = {
        {1.03, 1.2, STATS_WORSE},  {0.8, 0.97, STATS_BETTER},  {0.99, 1.01, STATS_SAME},    {0.98, 1.02, STATS_SAME},
        {0.9, 1.0, STATS_UNCLEAR}, {1.0, 1.03, STATS_UNCLEAR}, {1.02, 1.05, STATS_UNCLEAR}, {0.5, 1.5, STATS_UNCLEAR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stats_ratio r = {.ratio = 1, .low = cases[i].low, .high = cases[i].high, .pairs = 9};
        cr_assert_str_eq(stats_verdict_name(stats_verdict(&r, 0.02)), stats_verdict_name(cases[i].want), "case %zu", i);
    }
}

Test(noise, adds_up) {
    struct noise n;
    noise_measure(&n, 20000000);
    cr_assert(n.window_ns >= 19000000, "%lu", (unsigned long)n.window_ns);
    cr_assert(n.lost_ns <= n.window_ns);
    cr_assert(n.gap_p50_ns > 0 && n.gap_p50_ns <= n.gap_p9999_ns && n.gap_p9999_ns <= n.gap_max_ns);
    cr_assert_eq(n.lost_ns > 0, n.gap_max_ns > NOISE_LOST_NS);
    cr_assert_float_eq(n.lost_share, (double)n.lost_ns / (double)n.window_ns, 1e-12);
    cr_assert_eq(n.quiet, n.lost_share < 0.001);
}
