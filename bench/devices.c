/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices.h"
#include <math.h>
#include <stdlib.h>

const char *const device_model_names[DEVICE_MODELS] = {"hard limit", "soft knee", "buffer", "always lossy"};

static double log_uniform(struct random *r, double low, double high) {
    return low * pow(high / low, random_unit(r));
}

void device_random(struct device *d, enum device_model model, const struct search_options *o, struct random *r) {
    const uint32_t edge = random_below(r, 50);
    *d = (struct device){.model = model, .capacity = log_uniform(r, o->min_load / 3, o->max_load * 3)};
    if (edge < 2)
        d->capacity = edge ? o->max_load : o->min_load;
    d->knee = d->capacity * log_uniform(r, 0.05, 1);
    d->slope = log_uniform(r, 1e-4, 1);
    d->buffer = log_uniform(r, 1, 0.2 * d->capacity); /* up to 0.2 s */
    d->share = log_uniform(r, 1e-6, 0.05);
}

double device_loss(const struct device *d, double load, double seconds) {
    const double excess = fmax(0, 1 - d->capacity / load);
    switch (d->model) {
    case DEVICE_KNEE:
        return load <= d->knee ? 0 : fmin(1, fmax(excess, d->slope * pow(load / d->knee - 1, 2)));
    case DEVICE_BUFFER:
        return fmax(0, excess - d->buffer / (load * seconds));
    case DEVICE_LOSSY:
        return fmax(excess, d->share);
    default:
        return excess;
    }
}

double device_rate(const struct device *d, const struct search_goal *g) {
    double low = 0, high = 1e15;
    while (high - low > 1e-12 * high && high > 1e-15) {
        double load = (low + high) / 2;
        if (device_loss(d, load, g->trial_s) <= g->loss_ratio)
            low = load;
        else
            high = load;
    }
    return low;
}

bool device_agrees(const struct device *d, const struct search_options *o, unsigned goal,
                   const struct search_bounds *found) {
    const struct search_goal *g = &o->goals[goal];
    const double rate = device_rate(d, g), rounding = 1e-9;
    const bool none = found->lower == 0 && found->upper == o->min_load;
    const bool all = found->lower == o->max_load && isinf(found->upper);
    const bool within = found->exact && found->upper - found->lower <= g->width * found->upper * (1 + rounding) &&
                        found->lower <= rate * (1 + rounding) && found->upper >= rate * (1 - rounding);
    return rate < o->min_load * (1 - rounding)   ? none
           : rate < o->min_load * (1 + rounding) ? none || within
           : rate < o->max_load * (1 - rounding) ? within
           : rate < o->max_load * (1 + rounding) ? within || all
                                                 : all;
}

static double trial(const struct device *d, double load, double seconds) {
    double loss = device_loss(d, load, seconds);
    return d->noise && random_below(d->noise, 20) == 0 ? fmin(1, loss + 0.1 * random_unit(d->noise)) : loss;
}

void device_search(const struct device *d, const struct search_options *o, struct search_run *out) {
    struct search *s = search_create(o, NULL);
    *out = (struct search_run){0};
    if (!s)
        abort();
    for (struct search_trial t; search_next(s, &t); out->trials++) {
        const struct search_outcome outcome = {t.load, t.seconds, trial(d, t.load, t.seconds)};
        search_record(s, &outcome);
    }
    out->seconds = search_total_s(s);
    for (unsigned i = 0; i < o->n_goals; i++)
        search_bounds(s, i, &out->bounds[i]);
    search_destroy(s);
}

/* True: the load fulfils the goal. Trials until what is left of sum_s can't change that. */
static bool fulfils(const struct device *d, const struct search_goal *g, double load, struct search_run *out) {
    const double allowed = g->exceed_ratio * g->sum_s + 1e-9;
    double good = 0, bad = 0;
    while (bad <= allowed && g->sum_s - good > allowed) {
        *(trial(d, load, g->trial_s) <= g->loss_ratio ? &good : &bad) += g->trial_s;
        out->trials++;
        out->seconds += g->trial_s;
    }
    return bad <= allowed;
}

static void binary_search(const struct device *d, const struct search_options *o, unsigned goal,
                          struct search_run *out) {
    const struct search_goal *g = &o->goals[goal];
    struct search_bounds *b = &out->bounds[goal];
    double low = o->min_load, high = o->max_load;
    *b = (struct search_bounds){.upper = INFINITY};
    if (fulfils(d, g, high, out)) {
        b->lower = high;
        return;
    }
    while (high - low > g->width * high) {
        double load = sqrt(low * high);
        if (fulfils(d, g, load, out))
            b->lower = low = load;
        else
            high = load;
    }
    if (!b->lower && fulfils(d, g, low, out))
        b->lower = low;
    else if (!b->lower)
        high = low;
    b->upper = high;
    b->exact = b->lower > 0;
}

void device_binary_search(const struct device *d, const struct search_options *o, struct search_run *out) {
    *out = (struct search_run){0};
    for (unsigned i = 0; i < o->n_goals; i++)
        binary_search(d, o, i, out);
}
