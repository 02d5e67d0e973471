/* SPDX-License-Identifier: BSD-3-Clause */
/* Change detection on made-up series whose changes are known. */
#include <criterion/criterion.h>
#include <math.h>
#include <fwdlab/base/random.h>
#include <fwdlab/measure/change.h>

static double normal(struct random *r) {
    return sqrt(-2 * log(1 - random_unit(r))) * cos(2 * M_PI * random_unit(r));
}

/* Around 100 with a spread of 1 %, one value in `outliers` (0: none) 20 to 40 % above. */
static void make(struct random *r, double *v, size_t n, unsigned outliers) {
    for (size_t i = 0; i < n; i++) {
        v[i] = 100 + normal(r);
        if (outliers && random_below(r, outliers) == 0)
            v[i] += 20 + 20 * random_unit(r);
    }
}

Test(change, series_that_cannot_change) {
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    const double one[] = {7}, rising[] = {1, 2, 3}, same[] = {5, 5, 5, 5, 5, 5}, hair[] = {5, 5.0001, 5, 5, 5.0002, 5};
    cr_assert_eq(change_detect(one, 0, g), 0);
    cr_assert_eq(change_detect(one, 1, g), 1);
    cr_assert(g[0].from == 0 && g[0].to == 0 && g[0].level == 7 && g[0].bits == 0);
    cr_assert_eq(change_detect(rising, 3, g), 1);
    cr_assert_eq(g[0].level, 2);
    cr_assert_eq(change_detect(same, 6, g), 1);
    cr_assert_eq(change_detect(hair, 6, g), 1);
}

Test(change, noise_alone_is_seldom_called) {
    enum { SERIES = 1000 };
    static const struct { size_t n; unsigned outliers; } cases[] = {{4, 0},  {6, 0},   {10, 0},
                                                                    {30, 0}, {10, 20}, {40, 20}};
    double v[40];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct random r;
        struct change_segment g[CHANGE_SEGMENTS_MAX];
        unsigned called = 0;
        random_seed(&r, k + 1);
        for (unsigned i = 0; i < SERIES; i++) {
            make(&r, v, cases[k].n, cases[k].outliers);
            called += change_detect(v, cases[k].n, g) > 1;
        }
        cr_assert_leq(called, SERIES * 6 / 100, "%u of %d series of %zu, seed %zu", called, SERIES, cases[k].n, k + 1);
    }
}

Test(change, a_change_of_five_sigma_is_found_where_it_is) {
    enum { SERIES = 300, N = 24 };
    double v[N];
    struct random r;
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    unsigned found = 0;
    random_seed(&r, 11);
    for (unsigned k = 0; k < SERIES; k++) {
        const size_t at = 4 + random_below(&r, N - 8);
        const double by = random_below(&r, 2) ? 1.05 : 0.95;
        make(&r, v, N, 30);
        for (size_t i = at; i < N; i++)
            v[i] *= by;
        unsigned n = change_detect(v, N, g);
        for (unsigned i = 1; i < n; i++) {
            cr_assert_gt(g[i].bits, 0, "seed 11, series %u: a change that saves nothing", k);
            found += g[i].from + 1 >= at && g[i].from <= at + 1 && fabs(g[i].level / g[i - 1].level - by) < 0.025;
        }
    }
    cr_assert_geq(found, SERIES * 95 / 100, "%u of %d, seed 11", found, SERIES);
}

Test(change, there_and_back_again) {
    static const double v[] = {100, 101, 99, 100, 100, 110, 111, 110, 109, 110, 100, 99, 101, 100};
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    cr_assert_eq(change_detect(v, 14, g), 3);
    cr_assert(g[0].from == 0 && g[0].to == 4 && g[0].level == 100);
    cr_assert(g[1].from == 5 && g[1].to == 9 && g[1].level == 110);
    cr_assert(g[2].from == 10 && g[2].to == 13 && g[2].level == 100);
}

Test(change, an_outlier_is_none_and_two_alike_are_one) {
    double v[] = {100, 101, 99, 100, 150, 100, 99, 101, 100, 100, 99, 101};
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    cr_assert_eq(change_detect(v, 12, g), 1);
    v[4] = 100;
    v[11] = 150;
    cr_assert_eq(change_detect(v, 12, g), 1);
    v[10] = 151;
    cr_assert_eq(change_detect(v, 12, g), 2);
    cr_assert(g[1].from == 10 && g[1].to == 11);
}

/* Segments tile the series; another unit of the figure changes nothing. */
Test(change, whatever_comes) {
    double v[60], w[60];
    struct change_segment g[CHANGE_SEGMENTS_MAX], h[CHANGE_SEGMENTS_MAX];
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct random r;
        random_seed(&r, seed);
        size_t n = 1 + random_below(&r, 60);
        double level = 100;
        for (size_t i = 0; i < n; i++) {
            level *= random_below(&r, 8) ? 1 : 0.5 + random_unit(&r);
            v[i] = level * (1 + 0.02 * normal(&r));
            w[i] = v[i] * 1024;
        }
        unsigned k = change_detect(v, n, g);
        cr_assert(k >= 1 && k == change_detect(w, n, h), "seed %lu", (unsigned long)seed);
        cr_assert(g[0].from == 0 && g[k - 1].to == n - 1, "seed %lu", (unsigned long)seed);
        for (unsigned i = 0; i < k; i++) {
            cr_assert(g[i].from == h[i].from && g[i].to == h[i].to, "seed %lu", (unsigned long)seed);
            cr_assert(i == 0 || g[i].from == g[i - 1].to + 1, "seed %lu", (unsigned long)seed);
            cr_assert(n == 1 || g[i].to > g[i].from, "seed %lu: a lone value", (unsigned long)seed);
        }
    }
}
