/* SPDX-License-Identifier: BSD-3-Clause */
/* Charts of what a packet costs in benchmarks: by stage, by load, by size of the tables. */
#include <math.h>
#include <string.h>
#include "charts_bench.h"

#define SECTION "load-cost"
#define WATERFALLS 5 /* configurations in one */

const char *bench_caption(const struct view *v, const struct bench *one, const char *caption) {
    const char *more = !one && v->benches.n > LOOKS
        ? arena_printf(v->arena, " The first %d of %zu configurations; the tables have all.", LOOKS, v->benches.n) : "";
    return arena_printf(v->arena, "%s%s%s", caption, more, bench_noise_text(v, one));
}

size_t bench_drawn(const struct view *v) {
    return v->benches.n < LOOKS ? v->benches.n : LOOKS;
}

/* Stages of one configuration: in memory, then at each load. */
static void draw_load_cost(struct view *v, struct pictures *out, const struct bench *b, size_t k) {
    struct bars bars = {.chart = {arena_printf(v->arena, "cost-load-%zu", k + 1),
                                  arena_printf(v->arena, SECTION "-%zu", k + 1),
                                  arena_printf(v->arena, "Cost by stage and load: %s", chart_label(v->arena, b->name)),
                                  bench_caption(v, b, "What a packet costs in each stage: in memory, and at each load, "
                                                "where bursts are as large as the load makes them. The figure at the "
                                                "end of a bar is the sum.")},
                        .unit = "TSC cycles a packet"};
    struct load list[LOADS_MAX];
    unsigned n = bench_loads(v->arena, b, list);
    bars_stages(&bars, bars_row(&bars, "in memory"), value_at(b->doc, "cost.stages"));
    for (unsigned l = 0; l < n; l++) {
        const json_t *burst = value_at(list[l].doc, "cost.packets_a_burst");
        const char *name = json_is_number(burst) ? arena_printf(v->arena, "%s, %.1f packets a burst", list[l].name,
                                                                json_number_value(burst)) : list[l].name;
        if (json_array_size(value_at(list[l].doc, "cost.stages")))
            bars_stages(&bars, bars_row(&bars, name), value_at(list[l].doc, "cost.stages"));
    }
    bars_draw(v->arena, out, &bars);
}

/* Row of a stage, made when it is new. */
static size_t stage_row(struct plot *p, const char *name) {
    for (size_t i = 0; i < p->y_tics.n; i++)
        if (!strcmp(p->y_tics.v[i].text, name))
            return i;
    size_t row = p->y_tics.n;
    vec_push(&p->y_tics, (struct tic){(double)row, name});
    return row;
}

/* In memory: each stage's bar begins where the one before it ends; the configurations' bars lie one below the other. */
static void draw_waterfall(struct view *v, struct pictures *out) {
    size_t n = v->benches.n < WATERFALLS ? v->benches.n : WATERFALLS;
    struct plot p = {.chart = {"cost-waterfall", SECTION, "Cost of a packet in memory, stage by stage",
                               bench_caption(v, NULL, n < v->benches.n
                                   ? "Each stage's bar begins where the stage before it ended; the first five "
                                     "configurations." : "Each stage's bar begins where the stage before it ended.")},
                     .x_label = "TSC cycles a packet", .y_label = "", .y_rows = true};
    struct panel *panel = plot_panel(&p, "");
    for (size_t k = 0; k < n; k++) {
        struct curve *c = panel_curve(panel, v->benches.v[k].name, CURVE_BOXES, (unsigned)k);
        double at = 0;
        size_t i;
        json_t *stage;
        json_array_foreach(value_at(v->benches.v[k].doc, "cost.stages"), i, stage) {
            double cycles = fmax(0, number_at(stage, "tsc_cycles"));
            double y = (double)stage_row(&p, text_at(stage, "name")) + 0.16 * ((double)k - (double)(n - 1) / 2);
            vec_push(&c->points, (struct point){at, y, at, at + cycles});
            at += cycles;
        }
    }
    p.height = (unsigned)(30 + p.y_tics.n * (14 + 12 * n));
    plot_draw(v->arena, out, &p);
}

static const struct variable { const char *key, *label, *name; bool log; } variables[] = {
    {"workload.sessions", "sessions at a time", "sessions", true}, {"workload.routes", "routes", "routes", true},
    {"workload.packet_bytes", "bytes a packet", "bytes", false},
    {"workload.churn", "share of new flows", "churn", false}};
#define VARIABLES (sizeof variables / sizeof *variables)

static bool varies(const struct view *v, const struct variable *what) {
    for (size_t i = 1; i < v->benches.n; i++)
        if (number_at(v->benches.v[i].doc, what->key) != number_at(v->benches.v[0].doc, what->key))
            return true;
    return false;
}

/* The scenario and what else varies: points of one name lie on one curve. */
static const char *curve_name(const struct view *v, const struct bench *b, const struct variable *but) {
    const char *name = *text_at(b->doc, "scenario.name") ? text_at(b->doc, "scenario.name") : b->name;
    for (size_t i = 0; i < VARIABLES; i++)
        if (&variables[i] != but && varies(v, &variables[i]))
            name = arena_printf(v->arena, "%s, %g %s", name, number_at(b->doc, variables[i].key), variables[i].name);
    return name;
}

static void add_size_point(const struct view *v, struct panel *panel, const struct bench *b,
                           const struct variable *what) {
    const char *name = curve_name(v, b, what);
    const json_t *cycles = value_at(b->doc, "cost.tsc_cycles");
    size_t at = 0;
    while (at < panel->curves.n && strcmp(panel->curves.v[at].name, name))
        at++;
    if (at == panel->curves.n && at == LOOKS)
        return;
    struct curve *c = at < panel->curves.n ? &panel->curves.v[at]
                                           : panel_curve(panel, name, CURVE_ERRORS, (unsigned)at);
    vec_push(&c->points, (struct point){.x = number_or_nan(value_at(b->doc, what->key)),
                                        .y = number_or_nan(value_at(cycles, "median")),
                                        .low = number_or_nan(value_at(cycles, "p5")),
                                        .high = number_or_nan(value_at(cycles, "p95"))});
}

static void draw_size(struct view *v, struct pictures *out, const struct variable *what) {
    struct plot p = {.chart = {arena_printf(v->arena, "cost-%s", what->name), SECTION,
                               arena_printf(v->arena, "Cost against %s", what->label),
                               bench_caption(v, NULL, "Median cycles a packet in memory, with the 5th to the 95th "
                                             "percentile of the samples.")},
                     .x_label = what->label, .y_label = "TSC cycles a packet", .x_log = what->log, .y_zero = true,
                     .height = 240};
    struct panel *panel = plot_panel(&p, "");
    for (size_t i = 0; i < v->benches.n; i++)
        add_size_point(v, panel, &v->benches.v[i], what);
    plot_draw(v->arena, out, &p);
}

void charts_cost_draw(struct view *v, struct pictures *out) {
    draw_waterfall(v, out);
    for (size_t k = 0; k < v->benches.n && k < BENCH_PICTURES_MAX; k++)
        draw_load_cost(v, out, &v->benches.v[k], k);
    for (size_t i = 0; i < VARIABLES; i++)
        if (varies(v, &variables[i]))
            draw_size(v, out, &variables[i]);
}
