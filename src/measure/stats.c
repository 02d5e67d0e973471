/* SPDX-License-Identifier: BSD-3-Clause */
/* Quantiles, the paired bootstrap, the bootstrap of clusters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/stats.h>

#define RESAMPLES 2000
#define PAIRS_MIN 5
#define CLUSTERS_MIN 5

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where in n > 0 sorted values. */
static double quantile_at(size_t n, double q) {
    return fmin(fmax(q, 0), 1) * (double)(n - 1);
}

/* v is sorted, at least what is looked at here; n > 0. */
static double sorted_quantile(const double *v, size_t n, double q) {
    const double at = quantile_at(n, q);
    const size_t i = (size_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* Puts what sorting would put at v[k] there, with none greater before it and none smaller behind it (Hoare's FIND). */
static void place(double *v, size_t n, size_t k) {
    struct random random;
    random_seed(&random, n);
    for (ptrdiff_t low = 0, high = (ptrdiff_t)n - 1, at = (ptrdiff_t)k; low < high;) {
        const double pivot = v[low + random_below(&random, (uint32_t)(high - low) + 1)];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (pivot < v[j])
                j--;
            if (i > j)
                break;
            const double swapped = v[i];
            v[i++] = v[j];
            v[j--] = swapped;
        }
        low = at > j ? i : low;
        high = at < i ? j : high;
    }
}

void stats_quantiles(const double *v, size_t n, const double *q, unsigned n_q, double *out) {
    double *part = xalloc((n + 1) * sizeof *part); /* v, more and more of it in order */
    size_t from = 0;                               /* all before it belong there */
    if (n)
        memcpy(part, v, n * sizeof *part);
    for (unsigned k = 0; k < n_q; k++) {
        const size_t i = n ? (size_t)quantile_at(n, q[k]) : 0;
        from = i < from ? 0 : from;
        if (n)
            place(part + from, n - from, i - from);
        if (i + 1 < n)
            place(part + i + 1, n - i - 1, 0);
        out[k] = n ? sorted_quantile(part, n, q[k]) : 0;
        from = i;
    }
    free(part);
}

double stats_quantile(const double *v, size_t n, double q) {
    double out;
    stats_quantiles(v, n, &q, 1, &out);
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

struct cluster {
    double *ratios; /* sorted */
    size_t n;
};

/* Of the middle 60 %; reorders v. n > 0. */
static double trimmed_mean(double *v, size_t n) {
    size_t cut = n / 5;
    double sum = 0;
    qsort(v, n, sizeof *v, compare);
    for (size_t i = cut; i < n - cut; i++)
        sum += v[i];
    return sum / (double)(n - 2 * cut);
}

/* Keeps the clusters that have pairs; their ratios lie in `room`. Returns how many. */
static size_t make_clusters(struct cluster *c, double *room, const double *a, const double *b, const size_t *sizes,
                            size_t clusters) {
    size_t kept = 0;
    for (size_t k = 0, at = 0; k < clusters; at += sizes[k++]) {
        c[kept] = (struct cluster){.ratios = room};
        for (size_t i = at; i < at + sizes[k]; i++)
            if (a[i] > 0)
                room[c[kept].n++] = b[i] / a[i];
        qsort(room, c[kept].n, sizeof *room, compare);
        room += c[kept].n;
        kept += c[kept].n > 0;
    }
    return kept;
}

static void bootstrap_clusters(const struct cluster *c, size_t n, uint64_t seed, struct stats_ratio *out) {
    double *means = xzalloc(RESAMPLES, sizeof *means), *medians = xzalloc(n, sizeof *medians);
    double *drawn = xzalloc(n, sizeof *drawn);
    struct random random;
    random_seed(&random, seed);
    for (size_t k = 0; k < n; k++)
        medians[k] = sorted_quantile(c[k].ratios, c[k].n, 0.5);
    out->ratio = trimmed_mean(medians, n);
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t k = 0; k < n; k++)
            drawn[k] = medians[random_below(&random, (uint32_t)n)];
        means[i] = trimmed_mean(drawn, n);
    }
    qsort(means, RESAMPLES, sizeof *means, compare);
    out->low = sorted_quantile(means, RESAMPLES, 0.025);
    out->high = sorted_quantile(means, RESAMPLES, 0.975);
    free(means);
    free(medians);
    free(drawn);
}

struct stats_ratio stats_clustered_ratio(const double *a, const double *b, const size_t *sizes, size_t clusters,
                                         uint64_t seed) {
    size_t n = 0;
    for (size_t k = 0; k < clusters; k++)
        n += sizes[k];
    struct cluster *c = xzalloc(clusters + 1, sizeof *c);
    double *room = xzalloc(n + 1, sizeof *room);
    size_t kept = make_clusters(c, room, a, b, sizes, clusters);
    struct stats_ratio out = {.high = INFINITY};
    if (kept >= CLUSTERS_MIN) {
        for (size_t k = 0; k < kept; k++)
            out.pairs += c[k].n;
        bootstrap_clusters(c, kept, seed, &out);
    } else {
        out = stats_paired_ratio(a, b, n, seed);
    }
    free(c);
    free(room);
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
