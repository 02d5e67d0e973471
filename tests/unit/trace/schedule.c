/* SPDX-License-Identifier: BSD-3-Clause */
/* Send times: exact, without drift, and distributed as their names say. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/trace/schedule.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct pace parsed(const char *text) {
    struct err e = {0};
    struct pace p;
    cr_assert_eq(pace_parse(text, &p, &e), 0, "%s: %s", text, e.what);
    return p;
}

static struct schedule started(const char *text) {
    struct pace p = parsed(text);
    struct schedule s;
    schedule_init(&s, &p);
    return s;
}

Test(schedule, paces_as_text) {
    static const struct {
        const char *text, *again;
        struct pace p;
    } rows[] = {
        {"max", "max", {.kind = PACE_MAX, .factor = 1}},
        {"trace", "trace", {.kind = PACE_TRACE, .factor = 1}},
        {"1x", "trace", {.kind = PACE_TRACE, .factor = 1}},
        {"2x", "2x", {.kind = PACE_TRACE, .factor = 2}},
        {"0.5x", "0.5x", {.kind = PACE_TRACE, .factor = 0.5}},
        {"1500000pps", "1.5Mpps", {.kind = PACE_CONSTANT, .factor = 1, .pps = 1.5e6}},
        {"1.5Mpps", "1.5Mpps", {.kind = PACE_CONSTANT, .factor = 1, .pps = 1.5e6}},
        {"200kpps", "200kpps", {.kind = PACE_CONSTANT, .factor = 1, .pps = 2e5}},
        {"0.25pps", "0.25pps", {.kind = PACE_CONSTANT, .factor = 1, .pps = 0.25}},
        {"poisson:1Mpps", "poisson:1Mpps", {.kind = PACE_POISSON, .factor = 1, .pps = 1e6}},
        {"bursts:32:1Mpps", "bursts:32:1Mpps", {.kind = PACE_BURSTS, .factor = 1, .pps = 1e6, .burst = 32}},
    };
    char buf[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pace p = parsed(rows[i].text);
        cr_expect(p.kind == rows[i].p.kind && p.factor == rows[i].p.factor && p.pps == rows[i].p.pps &&
                  p.burst == rows[i].p.burst && p.seed == 0, "%s", rows[i].text);
        cr_expect_str_eq(pace_format(&p, buf, sizeof buf), rows[i].again);
    }
}

Test(schedule, any_rate_survives_its_text) {
    struct random r;
    char buf[64];
    random_seed(&r, 11);
    for (int i = 0; i < 100000; i++) {
        struct pace p = {.kind = (uint8_t)(PACE_TRACE + random_below(&r, 4)), .factor = 1};
        p.burst = p.kind == PACE_BURSTS ? 1 + random_below(&r, 1000) : 0;
        *(p.kind == PACE_TRACE ? &p.factor : &p.pps) = exp(random_unit(&r) * 19 - 6);
        struct pace again = parsed(pace_format(&p, buf, sizeof buf));
        cr_assert(again.kind == p.kind && again.pps == p.pps && again.factor == p.factor && again.burst == p.burst,
                  "%s, round %d", buf, i);
    }
}

Test(schedule, what_is_no_pace) {
    static const char *const wrong[] = {"", "fast", "x", "0x", "-2x", "0pps", "pps", "1000", "1Gpps", "1e6pps",
        "nanpps", "infpps", "0x10pps", "0x2x", "1..5pps", "2x ", " 2x", "1Mpps2", "kpps", "1001Mpps", "0.0001pps",
        "poisson:",
        "poisson:max", "bursts:1Mpps", "bursts:0:1Mpps", "bursts:1.5:1Mpps", "bursts:32:", "bursts:32", "bursts::1pps",
        "bursts:1000001:1pps", "maximum", "traces"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pace p = {.kind = 77};
        struct err e = {0};
        cr_expect_eq(pace_parse(wrong[i], &p, &e), -EINVAL, "%s", wrong[i]);
        cr_expect(p.kind == 77 && strstr(e.what, wrong[i]) && strstr(e.hint, "Mpps"), "%s: %s", wrong[i], e.what);
    }
}

/* The n-th packet's time is n / rate, within a rounded nanosecond, after 10^9 packets too. */
Test(schedule, equal_gaps_do_not_drift) {
    static const double rates[] = {0.001, 1, 3, 7, 1e3, 333333.3, 1e6, 1488095.238, 14880952, 148809523.8, 1e9};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct pace p = {.kind = PACE_CONSTANT, .pps = rates[i]};
        struct schedule s;
        schedule_init(&s, &p);
        unsigned __int128 gap = s.gap;
        for (uint64_t n = 0; n < 1000000; n++) {
            uint64_t t = schedule_next(&s, 0);
            cr_assert_eq(t, (uint64_t)(gap * n >> 32));
            if (n % 1000 == 0)
                cr_assert(fabsl((long double)t - (long double)n * 1e9L / (long double)rates[i]) < 1.01L);
        }
        for (uint64_t n = 1000000000; rates[i] >= 1 && n <= 1000000010; n++) { /* the sum that so many steps make */
            s.at = gap * n;
            long double exact = (long double)n * 1e9L / (long double)rates[i];
            cr_assert(fabsl((long double)schedule_next(&s, 0) - exact) < 1.2L, "%g: packet %lu", rates[i], n);
        }
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Mean and variance of the gaps, and their distance (Kolmogorov-Smirnov) from the exponential distribution. */
Test(schedule, poisson) {
    enum { N = 200000 };
    static double gaps[N];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct pace p = parsed("poisson:1kpps");
        p.seed = seed;
        struct schedule s;
        schedule_init(&s, &p);
        double last = (double)schedule_next(&s, 0), mean = 0, variance = 0, distance = 0;
        cr_expect_eq(last, 0, "the first one at once");
        for (int i = 0; i < N; i++) {
            double t = (double)schedule_next(&s, 0);
            gaps[i] = (t - last) / 1e6;
            mean += gaps[i] / N;
            last = t;
        }
        for (int i = 0; i < N; i++)
            variance += (gaps[i] - mean) * (gaps[i] - mean) / N;
        qsort(gaps, N, sizeof *gaps, by_value);
        for (int i = 0; i < N; i++)
            distance = fmax(distance, fabs((i + 0.5) / N - (1 - exp(-gaps[i]))));
        cr_expect(fabs(mean - 1) < 4 / sqrt(N), "seed %lu: mean %g", seed, mean);
        cr_expect(fabs(variance - 1) < 4 * sqrt(8.0 / N), "seed %lu: variance %g", seed, variance);
        cr_expect(distance < 1.95 / sqrt(N), "seed %lu: distance %g", seed, distance); /* 0.1 % */
    }
}

Test(schedule, same_seed_same_times) {
    struct pace p = parsed("poisson:1Mpps");
    struct schedule a, b, c;
    p.seed = 5;
    schedule_init(&a, &p);
    schedule_init(&b, &p);
    p.seed = 6;
    schedule_init(&c, &p);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t t = schedule_next(&a, 0);
        cr_assert_eq(t, schedule_next(&b, 0));
        differ += t != schedule_next(&c, 0);
    }
    cr_expect_gt(differ, 990);
}

Test(schedule, bursts) {
    struct schedule s = started("bursts:32:1Mpps");
    for (uint64_t n = 0; n < 100000; n++)
        cr_assert_eq(schedule_next(&s, 12345), n / 32 * 32000);
    s = started("bursts:1:2Mpps");
    for (uint64_t n = 0; n < 1000; n++)
        cr_assert_eq(schedule_next(&s, 0), n * 500);
}

Test(schedule, trace_times) {
    static const uint64_t trace[] = {0, 10, 10, 5000, 4000, 4999, 5001, 90000000000000ull};
    static const uint64_t half[] = {0, 5, 5, 2500, 2500, 2500, 2500, 45000000000000ull};
    struct schedule one = started("trace"), two = started("2x"), slow = started("0.5x"), max = started("max");
    uint64_t latest = 0;
    for (size_t i = 0; i < sizeof trace / sizeof *trace; i++) {
        latest = trace[i] > latest ? trace[i] : latest;
        cr_expect_eq(schedule_next(&one, trace[i]), latest, "never backwards");
        cr_expect_eq(schedule_next(&two, trace[i]), half[i]);
        cr_expect_eq(schedule_next(&slow, trace[i]), 2 * latest);
        cr_expect_eq(schedule_next(&max, trace[i]), 0u);
    }
    cr_expect_eq(one.n, sizeof trace / sizeof *trace);
}

/* A trace of a hundred days at 3x: as exact as a nanosecond can be. */
Test(schedule, a_long_trace) {
    struct schedule s = started("3x");
    const uint64_t day = 86400000000000ull;
    for (uint64_t t = 0; t < 100 * day; t += day / 7 + 13)
        cr_assert(fabsl((long double)schedule_next(&s, t) - (long double)t / 3) < 2);
}
