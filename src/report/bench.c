/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading of benchmark documents. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

static int compare_loads(const void *a, const void *b) {
    double x = ((const struct load *)a)->share, y = ((const struct load *)b)->share;
    return (x > y) - (x < y);
}

unsigned bench_loads(struct arena *a, const struct bench *b, struct load list[LOADS_MAX]) {
    unsigned n = 0;
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)value_at(b->doc, "load"), key, one) {
        char *end;
        double share = strtod(key, &end);
        if (n == LOADS_MAX || end == key || *end || !isfinite(share) || !json_is_object(one))
            continue;
        list[n++] = (struct load){share, one, share == 0 ? "no load" : arena_printf(a, "%g %% of PDR", share)};
    }
    if (n)
        qsort(list, n, sizeof *list, compare_loads);
    return n;
}

const json_t *bench_load(const struct bench *b, double share) {
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)value_at(b->doc, "load"), key, one)
        if (json_is_object(one) && strtod(key, NULL) == share)
            return one;
    return NULL;
}

static const json_t *comparisons(const struct bench *b) {
    const json_t *own = value_at(b->doc, "comparison");
    return json_is_array(own) ? own : value_at(b->whole, "comparison");
}

const json_t *bench_compared(const struct bench *b, const char *figure) {
    size_t i;
    json_t *entry;
    json_array_foreach(comparisons(b), i, entry)
        if (!strcmp(text_at(entry, "name"), text_at(b->doc, "name")) && !strcmp(text_at(entry, "figure"), figure) &&
            strcmp(text_at(entry, "base"), text_at(entry, "name")))
            return entry;
    return NULL;
}

bool bench_is_base(const struct bench *b) {
    size_t i;
    json_t *entry;
    json_array_foreach(comparisons(b), i, entry)
        if (!strcmp(text_at(entry, "base"), text_at(b->doc, "name")))
            return true;
    return false;
}

double trial_lost_share(const json_t *trial) {
    double asked = number_at(trial, "duration_ns");
    return json_is_number(value_at(trial, "lost_time_ns")) && asked > 0 ? number_at(trial, "lost_time_ns") / asked : -1;
}

enum trial_state trial_state(const json_t *trial) {
    return json_is_false(value_at(trial, "valid")) ? TRIAL_LATE : true_at(trial, "noisy") ? TRIAL_NOISY : TRIAL_COUNTS;
}

void bench_noise(const struct bench *b, struct bench_noise *out) {
    double lost = 0, asked = 0;
    size_t i;
    json_t *trial;
    *out = (struct bench_noise){
        .machine_noisy = json_is_false(value_at(b->whole, "environment.noise.quiet")),
        .repeated = count_at(b->doc, "trials.repeated"), .invalid = count_at(b->doc, "trials.invalid"),
        .trials = count_at(b->doc, "trials.total")};
    json_array_foreach(value_at(b->doc, "trials.list"), i, trial) {
        out->noisy += trial_state(trial) == TRIAL_NOISY;
        if (trial_lost_share(trial) < 0)
            continue;
        lost += number_at(trial, "lost_time_ns");
        asked += number_at(trial, "duration_ns");
    }
    out->noisy = out->noisy > out->repeated ? out->noisy - out->repeated : 0; /* each repeat had a noisy one before */
    if (json_is_integer(value_at(b->doc, "trials.doubtful")))
        out->noisy = count_at(b->doc, "trials.doubtful");
    out->known = asked > 0;
    out->lost_share = asked > 0 ? lost / asked : 0;
}

const char *bench_noise_text(const struct view *v, const struct bench *one) {
    const char *idle = "", *trials = "";
    double worst_idle = -1, worst_trials = -1;
    for (size_t i = 0; i < v->benches.n; i++) {
        const struct bench *b = &v->benches.v[i];
        const json_t *noise = value_at(b->whole, "environment.noise");
        struct bench_noise n;
        bench_noise(b, &n);
        if (one && one != b)
            continue;
        if (n.known && n.lost_share > worst_trials)
            worst_trials = n.lost_share;
        if (!json_is_number(value_at(noise, "lost_share")) || number_at(noise, "lost_share") <= worst_idle)
            continue;
        worst_idle = number_at(noise, "lost_share");
        idle = arena_printf(v->arena, " The idle machine lost %s of the time (longest gap %s).",
                            percent_text(v->arena, worst_idle),
                            duration_text(v->arena, number_at(noise, "gap_max_ns")));
    }
    if (worst_trials >= 0)
        trials = arena_printf(v->arena, " The trials lost %s of theirs to it.", percent_text(v->arena, worst_trials));
    return arena_printf(v->arena, "%s%s", idle, trials);
}

const char *bounds_text(struct arena *a, const json_t *bounds) {
    const json_t *lower = value_at(bounds, "lower");
    if (!json_is_number(lower))
        return "";
    if (json_number_value(lower) <= 0)
        return "none";
    const char *rate = rate_text(a, json_number_value(lower));
    return json_is_null(value_at(bounds, "upper")) ? arena_printf(a, "\xe2\x89\xa5 %s", rate) : rate;
}

const char *goal_label(struct arena *a, const char *name) {
    char *out = arena_strdup(a, name);
    if (!strcmp(name, "ndr") || !strcmp(name, "pdr") || !strcmp(name, "mrr"))
        for (char *c = out; *c; c++)
            *c = (char)toupper((unsigned char)*c);
    return out;
}

const json_t *bench_goal(const struct bench *b, const char *name) {
    const json_t *bounds = !strcmp(name, "ndr") ? value_at(b->doc, "ndr_pps")
                           : !strcmp(name, "pdr") ? value_at(b->doc, "pdr_pps") : NULL;
    size_t i;
    json_t *goal;
    if (json_is_object(bounds))
        return bounds;
    json_array_foreach(value_at(b->doc, "goals"), i, goal)
        if (!strcmp(text_at(goal, "name"), name))
            return goal;
    return NULL;
}
