/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads figures; whatever is not as the contract says is an error that names file and key. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/measure/stats.h>
#include "figures.h"

struct reader {
    const char *path;
    struct figures *out;
    const char *configuration, *pair;
    unsigned index;
    struct err *e;
    int code;
};

static void wrong(struct reader *r, const char *key, const char *what) {
    if (r->code)
        return;
    r->code = err_set(r->e, -EINVAL, "\"%s\" %s (configuration `%s`)", key, what, r->configuration);
    err_where(r->e, "%s", r->path);
    err_hint(r->e, "documents that can be compared are those of replay and bench");
}

/* A finite number >= 0; else the error. `key` as told. */
static double number(struct reader *r, const json_t *v, const char *key) {
    double n = json_number_value(v);
    if (!json_is_number(v) || !isfinite(n) || n < 0)
        wrong(r, key, v ? "is not a number from 0 up" : "is missing");
    return n;
}

/* A member that may be missing or null. */
static const json_t *optional(struct reader *r, const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return NULL;
    if (!json_is_object(v))
        wrong(r, key, "is not an object");
    return json_is_object(v) ? v : NULL;
}

static bool numbers(struct reader *r, const json_t *list, const char *key) {
    size_t i;
    const json_t *v;
    if (!json_is_array(list))
        wrong(r, key, "is not a list of numbers");
    json_array_foreach(list, i, v)
        number(r, v, key);
    return !r->code;
}

bool figure_more(const char *name) {
    const char *slash = strrchr(name, '/'), *own = slash ? slash + 1 : name;
    return strstr(own, "_pps") || !strncmp(own, "delivered", 9);
}

const char *figure_unit(const char *name) {
    const char *slash = strrchr(name, '/'), *own = slash ? slash + 1 : name;
    return strstr(own, "_pps")                ? "pps"
           : !strncmp(own, "latency", 7)      ? "ns"
           : !strncmp(own, "delivered", 9)    ? "share"
                                              : "cycles/packet";
}

static void add(struct reader *r, struct figure f) {
    if (r->code || f.value <= 0)
        return;
    f.configuration = r->configuration;
    f.index = r->index;
    f.more = figure_more(f.name);
    f.unit = figure_unit(f.name);
    f.pair = r->pair;
    vec_push(&r->out->list, f);
}

/* Spread of samples: 90 % of them. */
static void add_samples(struct reader *r, struct figure f, const json_t *epochs) {
    if (f.samples && !numbers(r, f.samples, "samples"))
        return;
    size_t n = json_array_size(f.samples);
    double *v = xzalloc(n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = json_number_value(json_array_get(f.samples, i));
    f.low = n ? fmin(stats_quantile(v, n, 0.05), f.value) : f.value;
    f.high = n ? fmax(stats_quantile(v, n, 0.95), f.value) : f.value;
    f.epochs = epochs;
    free(v);
    add(r, f);
}

/* The epochs' sizes when they are those of n samples. */
static const json_t *epochs_of(struct reader *r, const json_t *cost, size_t n) {
    const json_t *epochs = json_object_get(cost, "epochs"), *v;
    size_t i, sum = 0;
    if (!epochs || !numbers(r, epochs, "cost.epochs"))
        return NULL;
    json_array_foreach(epochs, i, v)
        sum += (size_t)json_number_value(v);
    if (sum != n)
        wrong(r, "cost.epochs", "does not add up to the number of samples");
    return epochs;
}

static void read_cost(struct reader *r, const json_t *c) {
    const json_t *cost = optional(r, c, "cost"), *cycles = json_object_get(cost, "tsc_cycles"), *stage;
    const json_t *samples = json_object_get(cycles, "samples");
    struct figure f = {.name = "cost", .samples = samples};
    size_t i;
    if (!cost)
        return;
    f.value = number(r, json_object_get(cycles, "median"), "cost.tsc_cycles.median");
    r->pair = json_string_value(json_object_get(cost, "pair"));
    if (samples && !numbers(r, samples, "cost.tsc_cycles.samples"))
        return;
    const json_t *epochs = epochs_of(r, cost, json_array_size(samples));
    add_samples(r, f, epochs);
    json_array_foreach(json_object_get(cost, "stages"), i, stage) {
        const char *name = json_string_value(json_object_get(stage, "name"));
        const json_t *own = json_object_get(stage, "samples");
        if (!name)
            return wrong(r, "cost.stages", "has a stage without a name");
        struct figure s = {.samples = json_array_size(own) == json_array_size(samples) ? own : NULL};
        snprintf(s.name, sizeof s.name, "cost: %s", name);
        s.value = number(r, json_object_get(stage, "tsc_cycles"), "cost.stages.tsc_cycles");
        add_samples(r, s, epochs);
    }
}

static void read_bounds(struct reader *r, const json_t *c, const char *key) {
    const json_t *bounds = optional(r, c, key), *upper = json_object_get(bounds, "upper");
    struct figure f = {0};
    if (!bounds)
        return;
    snprintf(f.name, sizeof f.name, "%s", key);
    f.value = f.low = number(r, json_object_get(bounds, "lower"), key);
    f.high = json_is_null(upper) ? INFINITY : number(r, upper, key);
    if (f.high < f.low)
        wrong(r, key, "has its upper bound below the lower one");
    add(r, f);
}

static void read_mrr(struct reader *r, const json_t *c) {
    const json_t *mrr = optional(r, c, "mrr_pps");
    struct figure f = {.name = "mrr_pps", .samples = json_object_get(mrr, "samples")};
    if (!mrr)
        return;
    f.value = number(r, json_object_get(mrr, "median"), "mrr_pps.median");
    add_samples(r, f, NULL);
}

/* `at`: "" or " at 50 %". The neighbours among the percentiles bound a tail. */
static void read_latency(struct reader *r, const json_t *latency, const char *at) {
    static const char *const names[] = {"p50", "p90", "p99", "p999"};
    double v[4];
    if (!latency)
        return;
    for (unsigned i = 0; i < 4; i++)
        v[i] = number(r, json_object_get(latency, names[i]), names[i]);
    struct figure median = {.value = v[0], .low = v[0], .high = v[0], .drifts = true};
    struct figure tail = {.value = v[2], .low = fmin(v[1], v[2]), .high = fmax(v[3], v[2]), .drifts = true};
    snprintf(median.name, sizeof median.name, "latency p50%s", at);
    snprintf(tail.name, sizeof tail.name, "latency p99%s", at);
    add(r, median);
    add(r, tail);
}

/* What a trial delivered: what was lost may be the machine's fault as far as it took time away. */
static void read_delivered(struct reader *r, const json_t *trial, const char *at) {
    struct figure f = {0};
    if (!trial)
        return;
    f.value = f.low = fmax(0, 1 - number(r, json_object_get(trial, "loss_ratio"), "trial.loss_ratio"));
    double lost = json_number_value(json_object_get(trial, "lost_time_ns"));
    double all = json_number_value(json_object_get(trial, "duration_ns"));
    f.high = fmin(1, f.value + (all > 0 ? lost / all : 0));
    snprintf(f.name, sizeof f.name, "delivered%s", at);
    add(r, f);
}

static void read_load(struct reader *r, const json_t *c) {
    const char *percent;
    json_t *point;
    json_object_foreach((json_t *)optional(r, c, "load"), percent, point) {
        char at[32];
        snprintf(at, sizeof at, " at %.8s %%", percent);
        read_latency(r, optional(r, point, "latency_ns"), at);
        read_delivered(r, optional(r, point, "trial"), at);
    }
}

static void read_configuration(struct reader *r, const json_t *c) {
    const json_t *name = json_object_get(c, "name");
    if (!name)
        name = json_object_get(json_object_get(c, "scenario"), "name");
    r->configuration = json_is_string(name) ? json_string_value(name) : "?";
    r->pair = NULL;
    if (!json_is_string(name))
        wrong(r, "scenario.name", "is missing");
    size_t before = r->out->list.n;
    read_cost(r, c);
    read_bounds(r, c, "ndr_pps");
    read_bounds(r, c, "pdr_pps");
    read_mrr(r, c);
    read_latency(r, optional(r, c, "latency_ns"), "");
    read_delivered(r, optional(r, c, "trial"), "");
    read_load(r, c);
    if (r->out->list.n == before)
        wrong(r, "cost", "is missing, as is every other figure that could be compared");
}

int figures_read(const struct compare_document *d, struct figures *out, struct err *e) {
    const json_t *all = json_object_get(d->doc, "configurations"), *c;
    struct reader r = {.path = d->path, .out = out, .e = e, .configuration = "?"};
    *out = (struct figures){0};
    if (!all)
        read_configuration(&r, d->doc);
    else if (!json_array_size(all))
        wrong(&r, "configurations", "is not a list of configurations");
    json_array_foreach(all, r.index, c)
        read_configuration(&r, c);
    out->configurations = all ? (unsigned)json_array_size(all) : 1;
    if (r.code)
        figures_free(out);
    return r.code;
}

void figures_free(struct figures *f) {
    vec_free(&f->list);
}
