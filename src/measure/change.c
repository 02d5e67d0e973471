/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The best segmentation for each number of segments by dynamic programming over the sum of absolute deviations, then
 * the number of segments with the shortest code. With n values, k segments of n_i values, the sum S of deviations from
 * the segments' medians, levels uniform over R, four times the range of the values (the next level may lie beyond what
 * was seen), and a scale of the noise of prior 1/scale, the probability of the values is, but for constants,
 *
 *     Gamma(n - k) S^-(n - k) R^-k  product of sqrt(2 pi / n_i)
 *
 * and its -log2 is the code length; where the changes are takes log2 C(n - 1, k - 1) bits more, and k itself
 * log2 k(k + 1).
 */
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/change.h>
#include <fwdlab/measure/stats.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FAR 5          /* typical steps: beyond it a value is an outlier */
#define PRECISION 1e-4 /* relative: figures are not better than this */

struct series {
    const double *v;
    size_t n;
    double far, range, grain; /* absolute */
    double *cost;             /* [from * n + to], sum of deviations, each at most `far` */
};

static double deviations(const struct series *s, const double *sorted, size_t n) {
    double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fmin(fabs(sorted[i] - median), s->far);
    return sum;
}

static void fill_costs(struct series *s) {
    double sorted[CHANGE_VALUES_MAX];
    for (size_t from = 0; from < s->n; from++)
        for (size_t to = from; to < s->n; to++) {
            size_t at = to - from;
            for (; at && sorted[at - 1] > s->v[to]; at--)
                sorted[at] = sorted[at - 1];
            sorted[at] = s->v[to];
            s->cost[from * s->n + to] = deviations(s, sorted, to - from + 1);
        }
}

static int series_init(struct series *s, const double *v, size_t n) {
    double *steps = xzalloc(n, sizeof *steps), low = v[0], high = v[0];
    *s = (struct series){.v = v, .n = n, .grain = PRECISION * fabs(stats_median(v, n))};
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, v[i]);
        high = fmax(high, v[i]);
        if (i)
            steps[i - 1] = fabs(v[i] - v[i - 1]);
    }
    s->range = 4 * (high - low);
    s->far = FAR * fmax(stats_median(steps, n - 1), s->grain);
    free(steps);
    return high - low > s->grain;
}

/* Bits for the levels, the noise and the places of the changes. */
static double code_length(const struct series *s, const struct change_segment *g, unsigned k) {
    const double n = (double)s->n, free_values = n - k;
    double sum = n * s->grain, bits = 0;
    for (unsigned i = 0; i < k; i++) {
        sum += s->cost[g[i].from * s->n + g[i].to];
        bits -= 0.5 * log2(2 * M_PI / (double)(g[i].to - g[i].from + 1));
    }
    bits += free_values * log2(sum) + k * log2(s->range) - lgamma(free_values) / M_LN2;
    bits += (lgamma(n) - lgamma(k) - lgamma(n - k + 1)) / M_LN2; /* C(n - 1, k - 1) */
    return bits + log2((double)k * (k + 1));
}

/* best[k * n + to]: least cost of values 0..to in k + 1 segments, two values each or more; cut[]: where the last is. */
static void fill_best(const struct series *s, unsigned most, double *best, size_t *cut) {
    const size_t n = s->n;
    for (unsigned k = 0; k < most; k++)
        for (size_t to = 0; to < n; to++) {
            best[k * n + to] = k == 0 && to ? s->cost[to] : INFINITY;
            for (size_t from = 2; k && from < to; from++) {
                double cost = best[(k - 1) * n + from - 1] + s->cost[from * n + to];
                if (cost < best[k * n + to]) {
                    best[k * n + to] = cost;
                    cut[k * n + to] = from;
                }
            }
        }
}

static void trace_back(const struct series *s, const size_t *cut, unsigned k, struct change_segment *out) {
    size_t to = s->n - 1;
    for (unsigned i = k; i-- > 0; to = out[i].from - 1)
        out[i] = (struct change_segment){.from = i ? cut[i * s->n + to] : 0, .to = to};
}

/* The same segmentation without the change at segment i. */
static double length_without(const struct series *s, const struct change_segment *g, unsigned k, unsigned i) {
    struct change_segment merged[CHANGE_SEGMENTS_MAX];
    memcpy(merged, g, k * sizeof *g);
    merged[i - 1].to = g[i].to;
    memmove(&merged[i], &merged[i + 1], (k - i - 1) * sizeof *g);
    return code_length(s, merged, k - 1);
}

static unsigned shortest_code(const struct series *s, struct change_segment *out) {
    unsigned most = s->n / 2 < CHANGE_SEGMENTS_MAX ? (unsigned)s->n / 2 : CHANGE_SEGMENTS_MAX, chosen = 1;
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    double *best = xzalloc(most * s->n, sizeof *best), least = INFINITY;
    size_t *cut = xzalloc(most * s->n, sizeof *cut);
    fill_best(s, most, best, cut);
    for (unsigned k = 1; k <= most; k++) {
        if (!isfinite(best[(k - 1) * s->n + s->n - 1]))
            break;
        trace_back(s, cut, k, g);
        double bits = code_length(s, g, k);
        if (bits < least) {
            least = bits;
            chosen = k;
            memcpy(out, g, k * sizeof *g);
        }
    }
    for (unsigned i = 1; i < chosen; i++)
        out[i].bits = length_without(s, out, chosen, i) - least;
    free(best);
    free(cut);
    return chosen;
}

unsigned change_detect(const double *v, size_t n, struct change_segment out[CHANGE_SEGMENTS_MAX]) {
    struct series s;
    unsigned k = 1;
    if (!n)
        return 0;
    out[0] = (struct change_segment){.to = n - 1};
    if (n >= 4 && series_init(&s, v, n)) { /* fewer say nothing of the noise */
        s.cost = xzalloc(n * n, sizeof *s.cost);
        fill_costs(&s);
        k = shortest_code(&s, out);
        free(s.cost);
    }
    for (unsigned i = 0; i < k; i++)
        out[i].level = stats_median(v + out[i].from, out[i].to - out[i].from + 1);
    return k;
}
