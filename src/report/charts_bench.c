/* SPDX-License-Identifier: BSD-3-Clause */
/* Charts of benchmarks: rates and how they were found, and latency. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "chart.h"
#include "charts_bench.h"

#define LATENCY_PANELS 3
#define FLOOR_LOSS 1e-4  /* per cent: where a chart with a logarithmic axis shows "no loss" */

/* Latency over the share of PDR, or over the rate. */
static void draw_latency(struct view *v, struct pictures *out, bool over_rate) {
    static const struct { const char *title, *path; } panels[LATENCY_PANELS] = {
        {"Median (p50)", "latency_ns.p50"}, {"99th percentile (p99)", "latency_ns.p99"},
        {"99.9th percentile (p99.9)", "latency_ns.p999"}};
    struct plot p = {.chart = {over_rate ? "latency-rate" : "latency-load", "latency",
                               over_rate ? "Latency by rate" : "Latency by load",
                               bench_caption(v, NULL, over_rate ? "The same over the rate that was offered." :
                                     "Latency of a packet from its intended send time, over the offered load as a "
                                     "share of PDR; 0 is a thousand packets a second.")},
                     .x_label = over_rate ? "offered rate, Mpps" : "offered load, % of PDR",
                     .y_label = "latency, \xc2\xb5s", .y_log = true};
    for (unsigned i = 0; i < LATENCY_PANELS; i++) {
        struct panel *panel = plot_panel(&p, panels[i].title);
        for (size_t k = 0; k < bench_drawn(v); k++) {
            struct load list[LOADS_MAX];
            unsigned n = bench_loads(v->arena, &v->benches.v[k], list);
            struct curve *c = panel_curve(panel, v->benches.v[k].name, CURVE_MARKS_LINE, (unsigned)k);
            for (unsigned l = 0; l < n; l++)
                curve_point(c, over_rate ? number_or_nan(value_at(list[l].doc, "pps")) / 1e6 : list[l].share,
                            number_or_nan(value_at(list[l].doc, panels[i].path)) / 1e3);
        }
    }
    plot_draw(v->arena, out, &p);
}

#define VISIBLE 1.03 /* both axes are logarithmic: a smaller step is less than a pixel */

/*
 * Latency over 1/(1-p): a bucket's upper end is the latency that its share of packets stays under. What is too near to
 * the last point to be seen is left out, but for the last bucket.
 */
static void percentile_curve(struct curve *c, const json_t *latency) {
    const json_t *buckets = value_at(latency, "histogram");
    double total = 0, below = 0, last_x = 0, last_y = 0;
    size_t i;
    json_t *bucket;
    json_array_foreach(buckets, i, bucket)
        total += fmax(0, json_number_value(json_array_get(bucket, 2)));
    json_array_foreach(buckets, i, bucket) {
        double high = json_number_value(json_array_get(bucket, 1));
        double count = json_number_value(json_array_get(bucket, 2));
        if (!(count > 0) || !(total > 0))
            continue;
        double from = total / (total - below);
        below += count;
        double to = below < total ? total / (total - below) : from;
        if (to < last_x * VISIBLE && high < last_y * VISIBLE && below < total)
            continue;
        curve_point(c, from, high / 1e3); /* the share up to here begins this bucket */
        if (to > from)
            curve_point(c, to, high / 1e3);
        last_x = to;
        last_y = high;
    }
}

static void percentile_tics(struct plot *p) {
    static const struct tic tics[] = {{1, "0 %"}, {10, "90 %"}, {100, "99 %"}, {1e3, "99.9 %"}, {1e4, "99.99 %"},
                                      {1e5, "99.999 %"}};
    for (size_t i = 0; i < sizeof tics / sizeof *tics; i++)
        vec_push(&p->x_tics, tics[i]);
}

/* One panel a load with a curve a configuration; of a single configuration one panel with a curve a load. */
static void draw_percentiles(struct view *v, struct pictures *out) {
    struct load list[LOADS_MAX], seen[LOADS_MAX];
    unsigned n_seen = 0;
    struct plot p = {.chart = {"latency-percentiles", "latency", "Latency by percentile",
                               bench_caption(v, NULL, "How many packets stay under which latency: the axis is 1/(1-p), "
                                             "so that each step to the right is a tenth of the packets that are "
                                             "left.")},
                     .x_label = "packets that were faster", .y_label = "latency, \xc2\xb5s", .x_log = true,
                     .y_log = true, .height = v->benches.n == 1 ? 300 : 170};
    percentile_tics(&p);
    for (size_t k = 0; k < bench_drawn(v); k++) {
        unsigned n = bench_loads(v->arena, &v->benches.v[k], list);
        for (unsigned l = 0; l < n; l++) {
            unsigned at = 0;
            while (at < n_seen && seen[at].share != list[l].share)
                at++;
            if (at == n_seen && n_seen < LOADS_MAX)
                seen[n_seen++] = list[l];
        }
    }
    for (unsigned l = 0; l < n_seen; l++) {
        bool single = v->benches.n == 1;
        const char *title = single ? v->benches.v[0].name : seen[l].name;
        struct panel *panel = single && l ? &p.panels.v[0] : plot_panel(&p, title);
        for (size_t k = 0; k < bench_drawn(v); k++)
            percentile_curve(panel_curve(panel, single ? seen[l].name : v->benches.v[k].name, CURVE_LINE,
                                         single ? l : (unsigned)k),
                             value_at(bench_load(&v->benches.v[k], seen[l].share), "latency_ns"));
    }
    plot_draw(v->arena, out, &p);
}

enum outcome { OUTCOME_NONE, OUTCOME_SOME, OUTCOME_MORE, OUTCOME_NOISY, OUTCOME_LATE, OUTCOMES };
static const struct { const char *name; unsigned look; } outcomes[OUTCOMES] = {
    {"no loss", 0}, {"loss that PDR allows", 4}, {"more loss", 1}, {"noisy: repeated or doubtful", 9},
    {"invalid: the generator was late", 3}};

static enum outcome outcome_of(const json_t *trial, double allowed) {
    double loss = number_at(trial, "loss_ratio");
    enum trial_state state = trial_state(trial);
    return state == TRIAL_LATE ? OUTCOME_LATE : state == TRIAL_NOISY ? OUTCOME_NOISY
           : loss <= 0 ? OUTCOME_NONE : loss <= allowed ? OUTCOME_SOME : OUTCOME_MORE;
}

static bool is_search(const json_t *trial) {
    const char *goal = text_at(trial, "goal");
    return strcmp(goal, "load") && strcmp(goal, "mrr") && strcmp(goal, "warm-up");
}

static double pdr_loss(const struct bench *b) {
    double most = 0;
    size_t i;
    json_t *goal;
    json_array_foreach(value_at(b->doc, "goals"), i, goal)
        most = fmax(most, number_at(goal, "loss_ratio"));
    return most > 0 ? most : 0.005;
}

/* The search's path. */
static void search_points(struct plot *p, const struct bench *b) {
    const json_t *list = value_at(b->doc, "trials.list");
    struct panel *order = plot_panel(p, "In their order: rate asked for, Mpps");
    double allowed = pdr_loss(b), first = NAN, last = NAN;
    size_t i;
    json_t *trial;
    struct curve *path = panel_curve(order, NULL, CURVE_PATH, 0);
    json_array_foreach(list, i, trial)
        if (is_search(trial)) {
            curve_point(path, (double)i + 1, number_or_nan(value_at(trial, "load_pps")) / 1e6);
            first = isnan(first) ? (double)i + 1 : first;
            last = (double)i + 1;
        }
    for (unsigned kind = 0; kind < OUTCOMES; kind++) {
        struct curve *marks = panel_curve(order, outcomes[kind].name, CURVE_MARKS, outcomes[kind].look);
        json_array_foreach(list, i, trial)
            if (is_search(trial) && outcome_of(trial, allowed) == kind)
                curve_point(marks, (double)i + 1, number_or_nan(value_at(trial, "load_pps")) / 1e6);
    }
    for (unsigned g = 0; g < 2; g++) {
        struct curve *rule = panel_curve(order, g ? "PDR" : "NDR", CURVE_RULE, g ? 4 : 0);
        double at = number_or_nan(value_at(bench_goal(b, g ? "pdr" : "ndr"), "lower")) / 1e6;
        curve_point(rule, first, at);
        curve_point(rule, last, at);
    }
}

static void draw_search(struct view *v, struct pictures *out, const struct bench *b, size_t k) {
    struct plot p = {.chart = {arena_printf(v->arena, "search-%zu", k + 1), arena_printf(v->arena, "trials-%zu", k + 1),
                               arena_printf(v->arena, "The search: %s", chart_label(v->arena, b->name)),
                               bench_caption(v, b, "Each mark is one trial of the search; the line joins them in their "
                                             "order.")},
                     .x_label = "trial", .y_label = "Mpps", .height = 240};
    search_points(&p, b);
    plot_draw(v->arena, out, &p);
}

static void draw_loss(struct view *v, struct pictures *out, const struct bench *b, size_t k) {
    struct plot p = {.chart = {arena_printf(v->arena, "loss-%zu", k + 1), arena_printf(v->arena, "trials-%zu", k + 1),
                               arena_printf(v->arena, "Rate against loss: %s", chart_label(v->arena, b->name)),
                               bench_caption(v, b, "Packets lost in each trial at the rate that was asked for; the "
                                             "line follows the search from trial to trial.")},
                     .x_label = "rate asked for, Mpps", .y_label = "lost, %", .y_log = true, .height = 240};
    static const struct tic tics[] = {{FLOOR_LOSS, "0"}, {1e-3, "0.001"}, {1e-2, "0.01"}, {0.1, "0.1"}, {1, "1"},
                                      {10, "10"}, {100, "100"}};
    struct panel *panel = plot_panel(&p, "");
    double allowed = pdr_loss(b);
    size_t i;
    json_t *trial;
    for (size_t t = 0; t < sizeof tics / sizeof *tics; t++)
        vec_push(&p.y_tics, tics[t]);
    panel_curve(panel, NULL, CURVE_PATH, 0);
    for (unsigned kind = 0; kind < OUTCOMES; kind++)
        panel_curve(panel, outcomes[kind].name, CURVE_MARKS, outcomes[kind].look);
    json_array_foreach(value_at(b->doc, "trials.list"), i, trial) {
        double x = number_or_nan(value_at(trial, "load_pps")) / 1e6;
        double y = fmax(FLOOR_LOSS, 100 * number_at(trial, "loss_ratio"));
        if (!is_search(trial))
            continue;
        curve_point(&panel->curves.v[0], x, y);
        curve_point(&panel->curves.v[1 + outcome_of(trial, allowed)], x, y);
    }
    plot_draw(v->arena, out, &p);
}

void charts_bench_draw(struct view *v, struct pictures *out) {
    for (size_t k = 0; k < v->benches.n && k < BENCH_PICTURES_MAX; k++) {
        draw_search(v, out, &v->benches.v[k], k);
        draw_loss(v, out, &v->benches.v[k], k);
    }
    draw_latency(v, out, false);
    draw_latency(v, out, true);
    draw_percentiles(v, out);
    charts_cost_draw(v, out);
}
