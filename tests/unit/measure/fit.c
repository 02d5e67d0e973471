/* SPDX-License-Identifier: BSD-3-Clause */
/* Non-negative least squares with intervals: known laws come back, as often as the intervals say. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <fwdlab/base/random.h>
#include <fwdlab/measure/fit.h>

#define N 24
#define P 4

static double noise(struct random *r) { /* nearly normal, deviation 1 */
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += random_unit(r);
    return sum;
}

struct data {
    double x[N][P], y[N], sd[N];
};

/* y = c * x with deviations of `relative` of y, of which the fit is told `told`. */
static void make(struct random *r, const double *c, double relative, double told, struct data *d) {
    for (int i = 0; i < N; i++) {
        double y = 0;
        for (int j = 0; j < P; j++) {
            d->x[i][j] = j ? 10 * random_unit(r) : 1;
            y += c[j] * d->x[i][j];
        }
        d->y[i] = y * (1 + relative * noise(r));
        d->sd[i] = told * y;
    }
}

static struct fit f;

Test(fit, an_exact_law_comes_back_and_no_coefficient_is_negative) {
    struct random r;
    struct data d;
    random_seed(&r, 11);
    for (int run = 0; run < 200; run++) {
        double c[P] = {50 * random_unit(&r) + 1, random_below(&r, 2) ? 9 * random_unit(&r) : 0, 3, 0.5};
        make(&r, c, 0, 0.01, &d);
        cr_assert_eq(fit_make(d.x[0], d.y, d.sd, N, P, false, 1, &f), 0);
        for (int j = 0; j < P; j++)
            cr_assert_float_eq(f.coefficient[j].value, c[j], 1e-6, "seed 11, run %d, term %d: %g, not %g", run, j,
                               f.coefficient[j].value, c[j]);
        cr_assert_lt(f.chi2, 1e-8);
        cr_assert_eq(f.freedom, N - P);
    }
}

/* At the optimum the error's slope is 0 along what is in, and not downwards along what is held at 0 (Kuhn-Tucker). */
Test(fit, it_is_the_optimum_also_where_the_unbounded_one_is_negative) {
    struct random r;
    struct data d;
    int held = 0;
    random_seed(&r, 12);
    for (int run = 0; run < 300; run++) {
        double c[P] = {20, 2 - 4 * random_unit(&r), 2 - 4 * random_unit(&r), 3};
        make(&r, c, 0.05, 0.05, &d);
        for (int i = 0; i < N; i++) {
            d.y[i] = fmax(d.y[i], 1);
            d.sd[i] = 0.5 + random_unit(&r);
        }
        fit_make(d.x[0], d.y, d.sd, N, P, false, 1, &f);
        for (int j = 0; j < P; j++) {
            double slope = 0, scale = 0;
            for (int i = 0; i < N; i++) {
                double off = d.y[i];
                for (int k = 0; k < P; k++)
                    off -= f.coefficient[k].value * d.x[i][k];
                slope += off * d.x[i][j] / (d.sd[i] * d.sd[i]);
                scale += fabs(d.y[i] * d.x[i][j]) / (d.sd[i] * d.sd[i]);
            }
            double v = f.coefficient[j].value;
            held += v == 0;
            cr_assert_geq(v, 0);
            cr_assert(slope < 1e-7 * scale && (v == 0 || slope > -1e-7 * scale), "seed 12, run %d, term %d: %g of %g",
                      run, j, slope, scale);
        }
    }
    cr_assert_gt(held, 50);
}

/* Coefficients and a further point lie within their intervals in about 95 % of the runs. */
static void coverage(double relative, double told, uint64_t seed) {
    enum { RUNS = 1000 };
    const double c[P] = {100, 4, 10, 2};
    struct random r;
    struct data d;
    int covered[P + 1] = {0};
    random_seed(&r, seed);
    for (int run = 0; run < RUNS; run++) {
        make(&r, c, relative, told, &d);
        fit_make(d.x[0], d.y, d.sd, N, P, true, (uint64_t)run, &f);
        for (int j = 0; j < P; j++)
            covered[j] += f.coefficient[j].low <= c[j] && c[j] <= f.coefficient[j].high;
        double x[P] = {1, 5, 3, 8}, y = 0;
        for (int j = 0; j < P; j++)
            y += c[j] * x[j];
        struct fit_value v = fit_at(&f, x);
        y *= 1 + relative * noise(&r);
        covered[P] += v.low <= y && y <= v.high;
    }
    for (int j = 0; j <= P; j++)
        cr_assert(covered[j] > RUNS * 0.92 && (told < relative || covered[j] < RUNS), "seed %d, figure %d: %d of %d",
                  (int)seed, j, covered[j], RUNS);
}

Test(fit, intervals_cover_as_often_as_they_say, .timeout = 120) {
    coverage(0.03, 0.03, 21);
}
Test(fit, also_when_points_scatter_more_than_their_own_intervals, .timeout = 120) {
    coverage(0.03, 0.005, 22);
}

Test(fit, what_the_points_cannot_tell_is_left_out) {
    /* column 1 is always 0, column 3 is column 0 times 5 */
    const double x[4][4] = {{1, 0, 1, 5}, {1, 0, 2, 5}, {1, 0, 3, 5}, {1, 0, 4, 5}}, y[4] = {12, 14, 16, 18},
                 sd[4] = {1, 1, 1, 1};
    cr_assert_eq(fit_make(x[0], y, sd, 4, 4, true, 1, &f), 0);
    cr_assert(f.identified[0] && !f.identified[1] && f.identified[2] && !f.identified[3]);
    cr_assert_float_eq(f.coefficient[0].value, 10, 1e-9);
    cr_assert_float_eq(f.coefficient[2].value, 2, 1e-9);
    cr_assert_eq(f.coefficient[1].value, 0);
    cr_assert_eq(f.coefficient[1].high, 0);
    cr_assert_eq(f.freedom, 2);
}

Test(fit, one_point_and_identical_points) {
    const double x[6] = {1, 7, 1, 7, 1, 7}, y[3] = {100, 104, 96}, sd[3] = {2, 2, 2};
    cr_assert_eq(fit_make(x, y, sd, 1, 2, true, 1, &f), 0);
    cr_assert_float_eq(f.coefficient[0].value, 100, 1e-9);
    cr_assert(!f.identified[1] && f.freedom == 0 && f.residual == 0);
    cr_assert_float_eq(f.coefficient[0].high, 104, 0.6);
    cr_assert_eq(fit_make(x, y, sd, 3, 2, true, 1, &f), 0);
    cr_assert_float_eq(f.coefficient[0].value, 100, 1e-9);
    cr_assert(f.coefficient[0].low > 85 && f.coefficient[0].high < 115 && f.coefficient[0].high > 102);
    cr_assert_eq(f.freedom, 2);
}

Test(fit, the_more_exact_point_counts_for_more) {
    const double x[2] = {1, 1}, y[2] = {100, 110}, sd[2] = {1, 3};
    fit_make(x, y, sd, 2, 1, false, 1, &f);
    cr_assert_float_eq(f.coefficient[0].value, 101, 1e-9); /* weights 9 to 1 */
}

Test(fit, same_seed_same_intervals_and_bad_sizes_are_refused) {
    static struct fit g;
    const double c[P] = {100, 4, 10, 2};
    struct random r;
    struct data d;
    random_seed(&r, 31);
    make(&r, c, 0.02, 0.02, &d);
    fit_make(d.x[0], d.y, d.sd, N, P, true, 5, &f);
    fit_make(d.x[0], d.y, d.sd, N, P, true, 5, &g);
    for (int j = 0; j < P; j++)
        cr_assert(f.coefficient[j].low == g.coefficient[j].low && f.coefficient[j].high == g.coefficient[j].high);
    cr_assert_eq(fit_make(d.x[0], d.y, d.sd, 0, P, false, 1, &f), -EINVAL);
    cr_assert_eq(fit_make(d.x[0], d.y, d.sd, N, FIT_TERMS_MAX + 1, false, 1, &f), -EINVAL);
}
