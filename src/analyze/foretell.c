/* SPDX-License-Identifier: BSD-3-Clause */
/* When a pool runs out, by a fit that no outlier moves, and only when the capture is long enough to tell. */
#include <math.h>
#include <stdlib.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/stats.h>
#include "natuse.h"

#define LEAST_SAMPLES 8   /* in the second half */
#define FARTHEST 10       /* times the capture's length */
#define HOUR_NS 3.6e12

/* Slopes between all pairs, in units an interval; returns how many. */
static size_t slopes(const uint32_t *v, unsigned n, double *out) {
    size_t k = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = i + 1; j < n; j++)
            out[k++] = ((double)v[j] - v[i]) / (j - i);
    return k;
}

/* The line's value at the last sample: the median of what each one says of it. */
static double last_value(const uint32_t *v, unsigned n, double slope) {
    double at[NATUSE_SAMPLES];
    for (unsigned i = 0; i < n; i++)
        at[i] = v[i] + slope * (n - 1 - i);
    return stats_median(at, n);
}

static bool has_settled(const struct natuse_samples *s, unsigned from, uint64_t idle_ns) {
    return s->ended[s->n - 1] - s->ended[from] >= s->sessions[from] || (s->n - from) * s->interval_ns >= idle_ns;
}

struct foretold foretell(const struct natuse_samples *s, const uint32_t *used, uint32_t available, uint64_t idle_ns) {
    const unsigned from = s->n / 2, n = s->n - from;
    if (n < LEAST_SAMPLES)
        return (struct foretold){.why = "too few samples"};
    if (!has_settled(s, from, idle_ns))
        return (struct foretold){.why = "the capture is too short: sessions of its first half are still there, "
                                        "whether or not anybody uses them"};
    double *all = xalloc((size_t)n * (n - 1) / 2 * sizeof *all);
    const size_t pairs = slopes(used + from, n, all);
    const double slope = stats_median(all, pairs);
    /* 95 %, by Kendall's variance (Sen 1968) */
    const double spread = 1.96 * sqrt(n * (n - 1.0) * (2 * n + 5) / 18), low = (pairs - spread) / 2 / pairs;
    const bool grows = slope > 0 && low > 0 && stats_quantile(all, pairs, low) > 0;
    struct foretold f = {.known = true, .per_hour = slope * HOUR_NS / s->interval_ns};
    free(all);
    const double left = available - last_value(used + from, n, slope), intervals = left > 0 ? left / slope : 0;
    if (!grows)
        f.why = "its use does not grow";
    else if (intervals > FARTHEST * (double)s->n)
        f.why = "not within ten times the capture's length";
    else
        f.at_ns = (uint64_t)((s->n + intervals) * s->interval_ns);
    return f;
}
