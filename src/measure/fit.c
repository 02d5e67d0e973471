/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted non-negative least squares on the normal equations, columns scaled to unit length. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/fit.h>
#include <fwdlab/measure/stats.h>

#define DEPENDENT 1e-6 /* a column whose part beside the earlier ones is shorter, of 1, is not told from them */

/* The weighted problem: x and y divided by sd, columns then by their lengths. */
struct problem {
    const double *x, *y, *sd;
    size_t n;
    unsigned p;
    double length[FIT_TERMS_MAX], gram[FIT_TERMS_MAX][FIT_TERMS_MAX];
    bool usable[FIT_TERMS_MAX];
};

static double column(const struct problem *q, size_t i, unsigned j) {
    return q->x[i * q->p + j] / q->sd[i] / q->length[j];
}

/* Solves gram * c = b over the columns of `in` by Cholesky's factors; the other c are 0. */
static void solve(const struct problem *q, const bool *in, const double *b, double *c) {
    double l[FIT_TERMS_MAX][FIT_TERMS_MAX], z[FIT_TERMS_MAX];
    unsigned at[FIT_TERMS_MAX], m = 0;
    for (unsigned j = 0; j < q->p; j++) {
        c[j] = 0;
        if (in[j])
            at[m++] = j;
    }
    for (unsigned i = 0; i < m; i++) {
        z[i] = b[at[i]];
        for (unsigned j = 0; j <= i; j++) {
            double sum = q->gram[at[i]][at[j]];
            for (unsigned k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(fmax(sum, DEPENDENT * DEPENDENT)) : sum / l[j][j];
            if (j < i)
                z[i] -= l[i][j] * z[j];
        }
        z[i] /= l[i][i];
    }
    for (unsigned i = m; i-- > 0;) {
        for (unsigned k = i + 1; k < m; k++)
            z[i] -= l[k][i] * z[k];
        c[at[i]] = z[i] /= l[i][i];
    }
}

/* The column, not in yet, along which the fit improves most; p: none does. */
static unsigned steepest(const struct problem *q, const bool *in, const double *b, const double *c) {
    unsigned best = q->p;
    double most = 0;
    for (unsigned j = 0; j < q->p; j++)
        most = fmax(most, 1e-9 * fabs(b[j])); /* less is rounding */
    for (unsigned j = 0; j < q->p; j++) {
        double slope = b[j];
        for (unsigned k = 0; k < q->p; k++)
            slope -= q->gram[j][k] * c[k];
        if (q->usable[j] && !in[j] && slope > most) {
            most = slope;
            best = j;
        }
    }
    return best;
}

/* From c towards `wanted` until the first coefficient is 0, which leaves; true when nothing was in the way. */
static bool step(const struct problem *q, bool *in, double *c, const double *wanted) {
    double share = 1;
    unsigned out = q->p;
    for (unsigned j = 0; j < q->p; j++)
        if (in[j] && wanted[j] <= 0 && (out == q->p || c[j] < share * (c[j] - wanted[j]))) {
            out = j;
            share = c[j] > 0 ? c[j] / (c[j] - wanted[j]) : 0;
        }
    for (unsigned j = 0; j < q->p; j++)
        c[j] += in[j] ? share * (wanted[j] - c[j]) : 0;
    if (out == q->p)
        return true;
    in[out] = false;
    c[out] = 0;
    return false;
}

/* Lawson and Hanson's active set. Each round ends with a smaller error, so that none comes back; the bound is for
 * rounding. */
static void nnls(const struct problem *q, const double *b, double *c) {
    bool in[FIT_TERMS_MAX] = {false};
    double wanted[FIT_TERMS_MAX];
    memset(c, 0, q->p * sizeof *c);
    for (unsigned round = 0; round < 4 * FIT_TERMS_MAX; round++) {
        unsigned j = steepest(q, in, b, c);
        if (j == q->p)
            return;
        in[j] = true;
        do
            solve(q, in, b, wanted);
        while (!step(q, in, c, wanted));
    }
}

/* Which columns are told from those before them: modified Gram-Schmidt over copies. */
static void identify(struct problem *q) {
    double *basis = xzalloc(q->n * q->p + 1, sizeof *basis), sum;
    unsigned m = 0;
    for (unsigned j = 0; j < q->p; j++) {
        double *v = basis + m * q->n;
        for (size_t i = 0; i < q->n; i++)
            v[i] = q->length[j] > 0 ? column(q, i, j) : 0;
        for (unsigned k = 0; k < m; k++) {
            const double *u = basis + k * q->n;
            sum = 0;
            for (size_t i = 0; i < q->n; i++)
                sum += u[i] * v[i];
            for (size_t i = 0; i < q->n; i++)
                v[i] -= sum * u[i];
        }
        sum = 0;
        for (size_t i = 0; i < q->n; i++)
            sum += v[i] * v[i];
        q->usable[j] = sqrt(sum) > DEPENDENT;
        for (size_t i = 0; q->usable[j] && i < q->n; i++)
            v[i] /= sqrt(sum);
        m += q->usable[j];
    }
    free(basis);
}

static void prepare(struct problem *q) {
    for (unsigned j = 0; j < q->p; j++) {
        double sum = 0;
        for (size_t i = 0; i < q->n; i++)
            sum += pow(q->x[i * q->p + j] / q->sd[i], 2);
        q->length[j] = sqrt(sum);
    }
    identify(q);
    for (unsigned j = 0; j < q->p; j++)
        for (unsigned k = 0; k < q->p; k++) {
            q->gram[j][k] = 0;
            for (size_t i = 0; q->usable[j] && q->usable[k] && i < q->n; i++)
                q->gram[j][k] += column(q, i, j) * column(q, i, k);
        }
}

/* Coefficients of the unscaled columns, for these values. */
static void coefficients(const struct problem *q, const double *y, double *c) {
    double b[FIT_TERMS_MAX] = {0};
    for (unsigned j = 0; j < q->p; j++)
        for (size_t i = 0; q->usable[j] && i < q->n; i++)
            b[j] += column(q, i, j) * y[i] / q->sd[i];
    nnls(q, b, c);
    for (unsigned j = 0; j < q->p; j++)
        c[j] = q->usable[j] ? c[j] / q->length[j] : 0;
}

static double model(const double *c, const double *x, unsigned p) {
    double sum = 0;
    for (unsigned j = 0; j < p; j++)
        sum += c[j] * x[j];
    return sum;
}

/* Marsaglia's polar method. */
static double normal(struct random *r) {
    for (;;) {
        double u = 2 * random_unit(r) - 1, v = 2 * random_unit(r) - 1, s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrt(-2 * log(s) / s);
    }
}

/* By how much deviations are widened: what the points' chi2 says of it, drawn from its distribution; 1 at least. */
static double widening(const struct fit *f, struct random *r) {
    double sum = 0;
    for (size_t i = 0; i < f->freedom; i++)
        sum += pow(normal(r), 2);
    return sum > 0 ? fmax(1, sqrt(f->chi2 / sum)) : 1;
}

static void refit_all(const struct problem *q, uint64_t seed, struct fit *f) {
    double *fitted = xzalloc(q->n, sizeof *fitted), *y = xzalloc(q->n, sizeof *y), deviation = 0, c[FIT_TERMS_MAX];
    struct random r;
    random_seed(&r, seed);
    for (unsigned j = 0; j < q->p; j++)
        c[j] = f->coefficient[j].value;
    for (size_t i = 0; i < q->n; i++) {
        fitted[i] = model(c, q->x + i * q->p, q->p);
        deviation += pow(q->sd[i] / q->y[i], 2) / (double)q->n;
    }
    for (unsigned k = 0; k < FIT_REFITS; k++) {
        double wide = widening(f, &r);
        for (size_t i = 0; i < q->n; i++)
            y[i] = fitted[i] + wide * q->sd[i] * normal(&r);
        coefficients(q, y, f->refit[k]);
        f->scatter[k] = wide * sqrt(deviation) * normal(&r);
    }
    free(fitted);
    free(y);
}

static void interval(double *values, struct fit_value *v) {
    v->low = fmin(v->value, stats_quantile(values, FIT_REFITS, 0.025));
    v->high = fmax(v->value, stats_quantile(values, FIT_REFITS, 0.975));
}

int fit_make(const double *x, const double *y, const double *sd, size_t n, unsigned terms, bool refits, uint64_t seed,
             struct fit *out) {
    struct problem q = {.x = x, .y = y, .sd = sd, .n = n, .p = terms};
    double c[FIT_TERMS_MAX], values[FIT_REFITS], squares = 0;
    if (!n || !terms || terms > FIT_TERMS_MAX)
        return -EINVAL;
    *out = (struct fit){.terms = terms, .points = n};
    prepare(&q);
    coefficients(&q, y, c);
    size_t known = 0;
    for (unsigned j = 0; j < terms; j++) {
        out->identified[j] = q.usable[j];
        out->coefficient[j] = (struct fit_value){c[j], c[j], c[j]};
        known += q.usable[j];
    }
    out->freedom = n > known ? n - known : 0;
    for (size_t i = 0; i < n; i++) {
        double off = y[i] - model(c, x + i * terms, terms);
        out->chi2 += pow(off / sd[i], 2);
        squares += pow(off / y[i], 2);
    }
    out->residual = out->freedom ? sqrt(squares / (double)out->freedom) : 0;
    if (!refits)
        return 0;
    refit_all(&q, seed, out);
    for (unsigned j = 0; j < terms; j++) {
        for (unsigned k = 0; k < FIT_REFITS; k++)
            values[k] = out->refit[k][j];
        interval(values, &out->coefficient[j]);
    }
    return 0;
}

struct fit_value fit_at(const struct fit *f, const double *x) {
    double c[FIT_TERMS_MAX], values[FIT_REFITS];
    for (unsigned j = 0; j < f->terms; j++)
        c[j] = f->coefficient[j].value;
    struct fit_value v = {.value = model(c, x, f->terms)};
    for (unsigned k = 0; k < FIT_REFITS; k++)
        values[k] = model(f->refit[k], x, f->terms) * (1 + f->scatter[k]);
    interval(values, &v);
    return v;
}
