/* SPDX-License-Identifier: BSD-3-Clause */
/* Measured configurations out of result documents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/measure/stats.h>
#include "model.h"

/* Two runs of the same differ by this much for reasons that no sample shows: where code and data happen to lie. */
#define SD_FLOOR 0.005

static const char *const names[SIZE_VARIABLES] = {"sessions", "routes", "packet_bytes", "churn", "encrypted_share",
                                                  "workers", "nat"};

const char *size_variable_name(enum size_variable v) {
    return names[v];
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* One standard deviation of the samples' median, from the order statistics that enclose it at 95 %. */
static double median_sd(const json_t *samples) {
    size_t n = json_array_size(samples);
    if (n < 5)
        return 0;
    double *v = xzalloc(n, sizeof *v), half = 0.98 / sqrt((double)n);
    for (size_t i = 0; i < n; i++)
        v[i] = json_number_value(json_array_get(samples, i));
    double sd = (stats_quantile(v, n, 0.5 + half) - stats_quantile(v, n, 0.5 - half)) / (2 * 1.96);
    free(v);
    return sd;
}

static int by_load(const void *a, const void *b) {
    double x = ((const struct curve_point *)a)->load, y = ((const struct curve_point *)b)->load;
    return (x > y) - (x < y);
}

static void read_curve(const json_t *load, struct size_point *p) {
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)load, key, one) {
        double pps = number(one, "pps"), p99 = number(json_object_get(one, "latency_ns"), "p99");
        if (pps > 0 && p99 > 0 && p->ndr > 0)
            vec_push(&p->curve, ((struct curve_point){pps / p->ndr, p99}));
    }
    if (p->curve.n)
        qsort(p->curve.v, p->curve.n, sizeof *p->curve.v, by_load);
}

/* A number that is missing is an error but for those whose absence has one meaning; `nat` is a bool. */
static int read_workload(const json_t *workload, struct size_point *p, struct err *e) {
    static const double absent[SIZE_VARIABLES] = {NAN, NAN, NAN, 0, 0, 1, NAN};
    for (unsigned v = 0; v < SIZE_VARIABLES; v++) {
        const json_t *value = json_object_get(workload, names[v]);
        p->x[v] = json_is_boolean(value)  ? json_is_true(value)
                  : json_is_number(value) ? json_number_value(value)
                                          : absent[v];
        if (isnan(p->x[v]) || p->x[v] < 0)
            return err_set(e, -EINVAL, "`workload` says nothing usable about `%s`", names[v]);
    }
    for (unsigned v = SIZE_SESSIONS; v <= SIZE_BYTES; v++) /* their logarithms are taken */
        p->x[v] = fmax(p->x[v], 1);
    p->x[SIZE_WORKERS] = fmax(p->x[SIZE_WORKERS], 1);
    return 0;
}

static int read_point(const json_t *c, struct size_point *p, struct err *e) {
    const json_t *workload = json_object_get(c, "workload");
    const json_t *cycles = json_object_get(json_object_get(c, "cost"), "tsc_cycles");
    const char *name = json_string_value(json_object_get(c, "name"));
    p->name = name ? name : json_string_value(json_object_get(json_object_get(c, "scenario"), "name"));
    if (!p->name)
        p->name = "?";
    p->cycles = number(cycles, "median");
    p->ndr = number(json_object_get(c, "ndr_pps"), "lower");
    if (!workload) {
        err_set(e, -EINVAL, "`%.80s` does not say with which sessions, routes and packet size it was measured",
                p->name);
        err_hint(e, "it is of an older version: measure again with `fwdlab bench`");
        return -EINVAL;
    }
    if (!(p->cycles > 0))
        return err_set(e, -EINVAL, "`%.80s` has no cost in cycles", p->name);
    p->sd = hypot(median_sd(json_object_get(cycles, "samples")), SD_FLOOR * p->cycles);
    if (read_workload(workload, p, e))
        return -EINVAL;
    read_curve(json_object_get(c, "load"), p);
    return 0;
}

/* The TSC's rate: said by the environment, else what cost and packet rate in memory agree on. */
static double tsc_hz(const json_t *doc, const json_t *c) {
    double hz = number(json_object_get(doc, "environment"), "tsc_hz");
    const json_t *cost = json_object_get(c, "cost");
    return hz > 0 ? hz : number(cost, "mpps") * 1e6 * number(json_object_get(cost, "tsc_cycles"), "median");
}

static int same_machine(struct size_measured *m, const json_t *doc, const json_t *c, struct err *e) {
    const char *cpu = json_string_value(json_object_get(json_object_get(doc, "environment"), "cpu"));
    double hz = tsc_hz(doc, c);
    cpu = cpu ? cpu : "";
    if (!(hz > 0))
        return err_set(e, -EINVAL, "neither `environment.tsc_hz` nor `cost.mpps` tells the clock of its machine");
    if (!m->cpu) {
        m->cpu = cpu;
        m->hz = hz;
    }
    if (!strcmp(cpu, m->cpu) && fabs(hz / m->hz - 1) < 0.01)
        return 0;
    err_set(e, -EINVAL, "measured on another machine than the first result: %.80s, %.2f GHz, and %.80s, %.2f GHz", cpu,
            hz / 1e9, m->cpu, m->hz / 1e9);
    err_hint(e, "cycles of different machines do not make one model: give the results of one");
    return -EINVAL;
}

static void note_scenario(struct size_measured *m, const char *name) {
    for (size_t i = 0; i < m->scenarios.n; i++)
        if (!strcmp(m->scenarios.v[i], name))
            return;
    vec_push(&m->scenarios, name);
}

static int read_configuration(struct size_measured *m, json_t *doc, const json_t *c, const char *scenario,
                              struct err *e) {
    const char *name = json_string_value(json_object_get(json_object_get(c, "scenario"), "name"));
    struct size_point p = {0};
    name = name ? name : "";
    if (scenario && strcmp(name, scenario))
        return 0;
    if (read_point(c, &p, e) || same_machine(m, doc, c, e)) {
        vec_free(&p.curve);
        return -EINVAL;
    }
    note_scenario(m, name);
    vec_push(&m->points, p);
    return 0;
}

static int read_document(struct size_measured *m, json_t *doc, const char *scenario, struct err *e) {
    const json_t *list = json_object_get(doc, "configurations");
    int code = 0;
    vec_push(&m->docs, json_incref(doc));
    if (!json_array_size(list))
        return read_configuration(m, doc, doc, scenario, e);
    for (size_t i = 0; i < json_array_size(list) && !code; i++)
        code = read_configuration(m, doc, json_array_get(list, i), scenario, e);
    return code;
}

struct size_measured *size_measured_create(json_t *const *docs, const char *const *paths, size_t n,
                                           const char *scenario, struct err *e) {
    struct size_measured *m = xzalloc(1, sizeof *m);
    for (size_t i = 0; i < n; i++)
        if (read_document(m, docs[i], scenario, e)) {
            err_where(e, "%s", paths[i]);
            size_measured_destroy(m);
            return NULL;
        }
    if (m->points.n)
        return m;
    err_set(e, -ENODATA, scenario ? "none of the results is of the scenario `%.80s`" : "no results", scenario);
    err_hint(e, "measure it with `fwdlab bench SCENARIO`%s", scenario ? ", or leave --scenario out" : "");
    size_measured_destroy(m);
    return NULL;
}

void size_measured_destroy(struct size_measured *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->points.n; i++)
        vec_free(&m->points.v[i].curve);
    for (size_t i = 0; i < m->docs.n; i++)
        json_decref(m->docs.v[i]);
    vec_free(&m->points);
    vec_free(&m->docs);
    vec_free(&m->scenarios);
    free(m);
}

/* ---- the load/latency curve: log p99 is straight between the measured loads ---- */

double curve_p99(const struct size_point *p, double load) {
    const struct curve_point *v = p->curve.v;
    size_t i = 1;
    if (load <= v[0].load)
        return v[0].p99_ns;
    while (i < p->curve.n && v[i].load < load)
        i++;
    if (i == p->curve.n)
        return NAN;
    double share = (load - v[i - 1].load) / (v[i].load - v[i - 1].load);
    return v[i - 1].p99_ns * pow(v[i].p99_ns / v[i - 1].p99_ns, share);
}

double curve_load(const struct size_point *p, double limit_ns) {
    const struct curve_point *v = p->curve.v;
    size_t i = 0;
    while (i < p->curve.n && v[i].p99_ns <= limit_ns)
        i++;
    if (i == 0)
        return 0;
    if (i == p->curve.n)
        return v[i - 1].load;
    double share = log(limit_ns / v[i - 1].p99_ns) / log(v[i].p99_ns / v[i - 1].p99_ns);
    return v[i - 1].load + share * (v[i].load - v[i - 1].load);
}
