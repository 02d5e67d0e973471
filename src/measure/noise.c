/* SPDX-License-Identifier: BSD-3-Clause */
/* An idle busy loop reads the time-stamp counter; what lies between two readings is time that somebody else had. */
#include <fwdlab/base/clock.h>
#include <fwdlab/measure/histogram.h>
#include <fwdlab/measure/noise.h>

static uint64_t to_ns(uint64_t ticks, double ns_per_tick) {
    return (uint64_t)((double)ticks * ns_per_tick + 0.5);
}

void noise_measure(struct noise *out, uint64_t window_ns) {
    const uint64_t hz = clock_tsc_hz();
    const double ns_per_tick = (double)SECOND_NS / (double)hz;
    const uint64_t window = (uint64_t)((double)window_ns / ns_per_tick);
    const uint64_t limit = (uint64_t)((double)NOISE_LOST_NS / ns_per_tick);
    struct histogram gaps;

    *out = (struct noise){0};
    if (histogram_init(&gaps, 100 * hz) < 0) /* gaps up to 100 s */
        return; /* nothing was measured: not quiet */
    const uint64_t start = clock_tsc();
    uint64_t last = start, lost = 0;
    while (last - start < window) {
        uint64_t now = clock_tsc(), gap = now - last;
        last = now;
        histogram_record(&gaps, gap);
        if (gap > limit)
            lost += gap;
    }
    out->window_ns = to_ns(last - start, ns_per_tick);
    out->lost_ns = to_ns(lost, ns_per_tick);
    out->gap_p50_ns = to_ns(histogram_quantile(&gaps, 0.5), ns_per_tick);
    out->gap_p9999_ns = to_ns(histogram_quantile(&gaps, 0.9999), ns_per_tick);
    out->gap_max_ns = to_ns(gaps.max, ns_per_tick);
    out->lost_share = out->window_ns ? (double)out->lost_ns / (double)out->window_ns : 0;
    out->quiet = gaps.count && out->lost_share < 0.001;
    histogram_fini(&gaps);
}
