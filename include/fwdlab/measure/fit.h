/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A linear model with coefficients that cannot be negative (NNLS: Lawson and Hanson, 1974, chapter 23), fitted to
 * measured values that are each known to within an interval of their own. Seeded: the same points give the same fit.
 *
 * Intervals come from refits of values drawn around the fit (parametric bootstrap), each with its own deviation. When
 * the points lie further from the fit than their deviations allow, all deviations are widened by what it takes (as
 * R. T. Birge has it), and that factor is itself drawn anew for each refit, so that few points give wide intervals.
 */
#ifndef FWDLAB_MEASURE_FIT_H
#define FWDLAB_MEASURE_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIT_TERMS_MAX 8
#define FIT_REFITS 1000

/* Figures in the unit of y; intervals are of 95 %. */
struct fit_value {
    double value, low, high;
};

struct fit {
    unsigned terms;
    bool identified[FIT_TERMS_MAX];     /* false: the points cannot tell it from the terms before it; coefficient 0 */
    struct fit_value coefficient[FIT_TERMS_MAX];
    size_t points, freedom;             /* freedom: points - identified terms, or 0 */
    double chi2;                        /* sum of squared deviations, each by its sd */
    double residual;                    /* root mean square of deviation / y, for the degrees of freedom */
    double refit[FIT_REFITS][FIT_TERMS_MAX];
    double scatter[FIT_REFITS];         /* relative deviation of a further point, drawn with each refit */
};

/*
 * x: n rows of `terms` columns, none of them negative; y > 0; sd > 0: one standard deviation of each y. With `refits`
 * false only coefficients' values, freedom, chi2 and residual are made. 0, or -EINVAL for n = 0, terms = 0 or > max.
 */
int fit_make(const double *x, const double *y, const double *sd, size_t n, unsigned terms, bool refits, uint64_t seed,
             struct fit *out);
/* What a further measurement at x (`terms` values) would give: the model's own uncertainty and the points' scatter. */
struct fit_value fit_at(const struct fit *f, const double *x);

#endif
