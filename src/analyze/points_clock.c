/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far the outside point's clock is ahead of the inside one's, and how fast it drifts. Each pair of packets is a
 * sample: outbound ones show the offset and their way's delay, inbound ones the offset less theirs, so that it lies
 * between the two (F. Cristian, 1989). Wrong pairs are outvoted: only the densest cluster of samples counts.
 */
#include <math.h>
#include <stdlib.h>
#include <fwdlab/measure/stats.h>
#include "points.h"

#define SAMPLES 4096u
#define REFIT_SAMPLES 256u
#define REFIT_NS (60 * SECOND)
#define CLUSTER_NS (SECOND / 5)
#define DRIFT_MAX 200e-6      /* quartz is within 100 ppm, each */
#define BINS 16u
#define BIN_SAMPLES 4u        /* below that many each there is no slope to be told from jitter */
#define SLOPE_SPAN (10 * SECOND)
#define ONE_WAY_NS (SECOND / 1000) /* what a delay may be where only one direction was seen */

void clock_fini(struct clock *c) {
    vec_free(&c->samples);
}

int64_t clock_inside(const struct clock *c, uint64_t outside_ns) {
    double since = (double)((int64_t)(outside_ns - c->base_ns) - c->ahead);
    return c->known ? (int64_t)outside_ns - c->ahead - llrint(since * c->slope) : (int64_t)outside_ns;
}

/* Every other sample goes. */
static void thin(struct clock *c) {
    for (size_t i = 0; i < c->samples.n / 2; i++)
        c->samples.v[i] = c->samples.v[i * 2];
    c->samples.n /= 2;
    c->fitted_at /= 2;
    c->stride *= 2;
}

void clock_add(struct clock *c, uint64_t inside_ns, uint64_t outside_ns, unsigned way) {
    c->stride = c->stride ? c->stride : 1;
    if (c->seen++ % c->stride)
        return;
    if (c->samples.n == SAMPLES)
        thin(c);
    vec_push(&c->samples, ((struct clock_sample){inside_ns, (int64_t)(outside_ns - inside_ns), (uint8_t)way}));
    if (c->known && (c->samples.n >= c->fitted_at + REFIT_SAMPLES || inside_ns > c->fitted_ns + REFIT_NS))
        clock_fit(c, 1);
}

static int by_ahead(const void *a, const void *b) {
    const struct clock_sample *x = a, *y = b;
    return x->ahead < y->ahead ? -1 : x->ahead > y->ahead;
}
static int by_time(const void *a, const void *b) {
    const struct clock_sample *x = a, *y = b;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* The most samples that lie close enough together to be of one clock, in the order of time. */
static size_t densest(struct clock_sample *s, size_t n) {
    qsort(s, n, sizeof *s, by_time);
    int64_t width = CLUSTER_NS + (int64_t)((double)(s[n - 1].time_ns - s[0].time_ns) * DRIFT_MAX);
    size_t best = 0, at = 0;
    qsort(s, n, sizeof *s, by_ahead);
    for (size_t i = 0, k = 0; i < n; i++) {
        while (s[i].ahead - s[k].ahead > width)
            k++;
        if (i - k + 1 > best) {
            best = i - k + 1;
            at = k;
        }
    }
    memmove(s, s + at, best * sizeof *s);
    qsort(s, best, sizeof *s, by_time);
    return best;
}

/* Median of the slopes between the medians of equally many samples each (Theil and Sen). */
static double slope(const struct clock_sample *s, size_t n, int64_t base) {
    double time[BINS], ahead[BINS], slopes[BINS * BINS / 2], *v;
    size_t k = 0, each = n / BINS;
    if (each < BIN_SAMPLES || s[n - 1].time_ns - s[0].time_ns < SLOPE_SPAN)
        return 0;
    v = xalloc(each * sizeof *v);
    for (size_t b = 0; b < BINS; b++) {
        const struct clock_sample *bin = s + b * each;
        for (size_t i = 0; i < each; i++)
            v[i] = (double)(bin[i].ahead - base);
        time[b] = (double)(bin[each / 2].time_ns - s[0].time_ns);
        ahead[b] = stats_median(v, each);
        for (size_t a = 0; a < b; a++)
            if (time[b] > time[a])
                slopes[k++] = (ahead[b] - ahead[a]) / (time[b] - time[a]);
    }
    free(v);
    double m = stats_median(slopes, k);
    return fabs(m) <= DRIFT_MAX ? m : 0;
}

/* Where the offset lies, from what is left when drift and base are taken away. */
static void narrow(struct clock *c, const struct clock_sample *s, size_t n, int64_t base) {
    double *v[3], low, high;
    size_t count[3] = {0};
    for (unsigned w = 0; w < 3; w++)
        v[w] = xalloc(n * sizeof *v[w]);
    for (size_t i = 0; i < n; i++) {
        double rest = (double)(s[i].ahead - base) - c->slope * (double)(s[i].time_ns - c->base_ns);
        v[WAY_UNKNOWN][count[WAY_UNKNOWN]++] = rest; /* all */
        if (s[i].way != WAY_UNKNOWN)
            v[s[i].way][count[s[i].way]++] = rest;
    }
    if (count[OUTBOUND] && count[INBOUND]) { /* a few may be wrong pairs */
        high = stats_quantile(v[OUTBOUND], count[OUTBOUND], 0.05);
        low = stats_quantile(v[INBOUND], count[INBOUND], 0.95);
    } else {
        low = stats_quantile(v[WAY_UNKNOWN], n, 0.05) - ONE_WAY_NS;
        high = stats_quantile(v[WAY_UNKNOWN], n, 0.95) + ONE_WAY_NS;
    }
    c->ahead = base + llrint((low + high) / 2);
    c->width_ns = (uint64_t)llrint(fabs(high - low) / 2) + 1;
    for (unsigned w = 0; w < 3; w++)
        free(v[w]);
}

bool clock_fit(struct clock *c, size_t least) {
    size_t n = c->samples.n;
    c->fitted_at = n;
    if (!n)
        return false;
    struct clock_sample *s = xalloc(n * sizeof *s);
    memcpy(s, c->samples.v, n * sizeof *s);
    c->fitted_ns = s[n - 1].time_ns;
    size_t agree = densest(s, n);
    bool enough = agree >= least && agree * 2 >= n;
    if (enough) {
        c->known = true;
        c->base_ns = s[0].time_ns;
        c->slope = slope(s, agree, s[0].ahead);
        narrow(c, s, agree, s[0].ahead);
    }
    free(s);
    return enough;
}
