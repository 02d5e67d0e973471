/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cost model. Lookups in tables that outgrow a cache cost more with each doubling: such terms grow with the
 * logarithm, from the lowest value measured or, where the points clearly say so, from a knee further up. Sessions and
 * their set-up cost something only with NAT.
 */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/measure/stats.h>
#include "model.h"

#define SEED 1
#define KNEE_VALUES_MIN 4  /* distinct values that a knee among them needs */
#define KNEE_EVIDENCE 10.0 /* by how much chi2 must fall, in units of its expectation for one point */

static const struct {
    const char *name, *unit;
    enum size_variable variable;
} terms[TERMS] = {
    [TERM_CONSTANT] = {"constant", "cycles", SIZE_VARIABLES},
    [TERM_SESSIONS] = {"sessions", "cycles a doubling", SIZE_SESSIONS},
    [TERM_ROUTES] = {"routes", "cycles a doubling", SIZE_ROUTES},
    [TERM_BYTES] = {"packet_bytes", "cycles a byte", SIZE_BYTES},
    [TERM_CHURN] = {"churn", "cycles at all flows new", SIZE_CHURN},
    [TERM_ENCRYPTED] = {"encrypted_share", "cycles at all packets encrypted", SIZE_ENCRYPTED},
    [TERM_WORKERS] = {"workers", "cycles a further worker", SIZE_WORKERS},
    [TERM_NAT] = {"nat", "cycles", SIZE_NAT},
};

static double doublings(double v, double knee) {
    return v > knee ? log2(v / knee) : 0;
}

static void row(const struct model *m, const double *x, double *out) {
    out[TERM_CONSTANT] = 1;
    out[TERM_SESSIONS] = x[SIZE_NAT] * doublings(x[SIZE_SESSIONS], m->knee[SIZE_SESSIONS]);
    out[TERM_ROUTES] = doublings(x[SIZE_ROUTES], m->knee[SIZE_ROUTES]);
    out[TERM_BYTES] = x[SIZE_BYTES];
    out[TERM_CHURN] = x[SIZE_NAT] * x[SIZE_CHURN];
    out[TERM_ENCRYPTED] = x[SIZE_ENCRYPTED];
    out[TERM_WORKERS] = x[SIZE_WORKERS] - 1;
    out[TERM_NAT] = x[SIZE_NAT];
}

static void fit(const struct size_measured *measured, struct model *m, bool refits) {
    size_t n = measured->points.n;
    double *x = xzalloc(n * (TERMS + 2), sizeof *x), *y = x + n * TERMS, *sd = y + n;
    for (size_t i = 0; i < n; i++) {
        const struct size_point *p = &measured->points.v[i];
        row(m, p->x, x + i * TERMS);
        y[i] = p->cycles;
        sd[i] = p->sd;
    }
    fit_make(x, y, sd, n, TERMS, refits, SEED, &m->fit);
    free(x);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distinct values of a variable, ascending; returns how many. */
static size_t distinct(const struct size_measured *measured, enum size_variable v, double *out) {
    size_t n = 0;
    for (size_t i = 0; i < measured->points.n; i++)
        out[i] = measured->points.v[i].x[v];
    qsort(out, measured->points.n, sizeof *out, compare);
    for (size_t i = 0; i < measured->points.n; i++)
        if (!n || out[i] > out[n - 1])
            out[n++] = out[i];
    return n;
}

/* Tries every measured value but the two greatest as the variable's knee; keeps what the points clearly ask for. */
static void find_knee(const struct size_measured *measured, struct model *m, enum size_variable v) {
    double *value = xzalloc(measured->points.n, sizeof *value), best = m->knee[v];
    size_t n = distinct(measured, v, value);
    fit(measured, m, false);
    double chi2 = m->fit.chi2, need = chi2;
    for (size_t i = 1; n >= KNEE_VALUES_MIN && i + 2 < n; i++) {
        m->knee[v] = value[i];
        fit(measured, m, false);
        double noise = m->fit.freedom > 1 ? fmax(1, m->fit.chi2 / (double)(m->fit.freedom - 1)) : INFINITY;
        if (chi2 - m->fit.chi2 > KNEE_EVIDENCE * noise && m->fit.chi2 < need) {
            need = m->fit.chi2;
            best = value[i];
        }
    }
    m->knee[v] = best;
    free(value);
}

static void find_overhead(const struct size_measured *measured, struct model *m) {
    double *v = xzalloc(measured->points.n, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < measured->points.n; i++) {
        const struct size_point *p = &measured->points.v[i];
        if (p->ndr > 0)
            v[n++] = fmax(0, p->x[SIZE_WORKERS] * measured->hz / p->ndr - p->cycles);
    }
    m->overhead_known = n > 0;
    m->overhead = (struct fit_value){stats_median(v, n), stats_quantile(v, n, 0.025), stats_quantile(v, n, 0.975)};
    free(v);
}

void model_make(const struct size_measured *measured, struct model *m) {
    for (unsigned v = 0; v < SIZE_VARIABLES; v++) {
        m->low[v] = INFINITY;
        m->high[v] = 0;
        for (size_t i = 0; i < measured->points.n; i++) {
            m->low[v] = fmin(m->low[v], measured->points.v[i].x[v]);
            m->high[v] = fmax(m->high[v], measured->points.v[i].x[v]);
        }
    }
    m->knee[SIZE_SESSIONS] = m->low[SIZE_SESSIONS];
    m->knee[SIZE_ROUTES] = m->low[SIZE_ROUTES];
    find_knee(measured, m, SIZE_SESSIONS);
    find_knee(measured, m, SIZE_ROUTES);
    fit(measured, m, true);
    find_overhead(measured, m);
}

double model_value(const struct model *m, const double *x) {
    double terms_at[TERMS], sum = 0;
    row(m, x, terms_at);
    for (unsigned t = 0; t < TERMS; t++)
        sum += m->fit.coefficient[t].value * terms_at[t];
    return sum;
}

struct fit_value model_at(const struct model *m, const double *x) {
    double terms_at[TERMS];
    row(m, x, terms_at);
    return fit_at(&m->fit, terms_at);
}

const struct size_point *model_nearest(const struct size_measured *m, const double *x) {
    const struct size_point *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < m->points.n; i++) {
        const struct size_point *p = &m->points.v[i];
        double far = 8 * (fabs(p->x[SIZE_NAT] - x[SIZE_NAT]) + fabs(p->x[SIZE_CHURN] - x[SIZE_CHURN]) +
                          fabs(p->x[SIZE_ENCRYPTED] - x[SIZE_ENCRYPTED]));
        for (unsigned v = SIZE_SESSIONS; v <= SIZE_BYTES; v++)
            far += fabs(log2(p->x[v] / x[v]));
        if (p->curve.n && far < least) {
            least = far;
            best = p;
        }
    }
    return best;
}

/* ---- as JSON ---- */

static json_t *value_json(const struct fit_value *v) {
    return json_pack("{s:f, s:[f, f]}", "value", v->value, "interval", v->low, v->high);
}

static json_t *term_json(const struct model *m, enum term t) {
    const struct fit_value *c = &m->fit.coefficient[t];
    json_t *o = json_pack("{s:s, s:s, s:f, s:[f, f]}", "name", terms[t].name, "unit", terms[t].unit, "coefficient",
                          c->value, "interval", c->low, c->high);
    if (t == TERM_SESSIONS || t == TERM_ROUTES)
        json_object_set_new(o, "from", json_real(m->knee[terms[t].variable]));
    return o;
}

json_t *model_json(const struct size_measured *measured, const struct model *m) {
    json_t *known = json_array(), *left_out = json_array(), *ranges = json_object(), *scenarios = json_array();
    for (unsigned t = 0; t < TERMS; t++) {
        enum size_variable v = terms[t].variable;
        if (m->fit.identified[t])
            json_array_append_new(known, term_json(m, t));
        else
            json_array_append_new(left_out, json_pack("{s:s, s:s}", "name", terms[t].name, "why",
                                  m->low[v] == m->high[v] ? "the same in all results"
                                                          : "the results cannot tell it from the other terms"));
    }
    for (unsigned v = 0; v < SIZE_VARIABLES; v++)
        json_object_set_new(ranges, size_variable_name(v), json_pack("[f, f]", m->low[v], m->high[v]));
    for (size_t i = 0; i < measured->scenarios.n; i++)
        json_array_append_new(scenarios, json_string(measured->scenarios.v[i]));
    return json_pack("{s:o, s:o, s:I, s:f, s:o, s:o, s:f, s:s, s:o}", "terms", known, "left_out", left_out, "points",
                     (json_int_t)m->fit.points, "residual", m->fit.residual, "ranges", ranges, "overhead_tsc_cycles",
                     m->overhead_known ? value_json(&m->overhead) : json_null(), "tsc_hz", measured->hz, "cpu",
                     measured->cpu, "scenarios", scenarios);
}

/* Logarithmic for what the model sees so. */
static double between(double low, double high, double share, enum size_variable v) {
    return v <= SIZE_ROUTES ? low * pow(high / low, share) : low + share * (high - low);
}

static json_t *curve_json(const struct size_measured *measured, const struct model *m, const double *at,
                          enum size_variable v) {
    enum { STEPS = 24 };
    json_t *points = json_array(), *seen = json_array();
    double x[SIZE_VARIABLES];
    memcpy(x, at, sizeof x);
    for (unsigned i = 0; i <= STEPS; i++) {
        x[v] = between(m->low[v], m->high[v], i / (double)STEPS, v);
        struct fit_value c = model_at(m, x);
        json_array_append_new(points, json_pack("[f, f, f, f]", x[v], c.value, c.low, c.high));
    }
    for (size_t i = 0; i < measured->points.n; i++) {
        const struct size_point *p = &measured->points.v[i];
        x[v] = p->x[v];
        json_array_append_new(seen, json_pack("[f, f]", x[v], p->cycles + model_value(m, x) - model_value(m, p->x)));
    }
    return json_pack("{s:s, s:o, s:o}", "x", size_variable_name(v), "points", points, "measured", seen);
}

json_t *model_curves(const struct size_measured *measured, const struct model *m, const double *x) {
    json_t *list = json_array();
    for (unsigned t = 0; t < TERMS; t++)
        if (terms[t].variable < SIZE_NAT && m->fit.identified[t])
            json_array_append_new(list, curve_json(measured, m, x, terms[t].variable));
    return list;
}
