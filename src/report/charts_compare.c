/* SPDX-License-Identifier: BSD-3-Clause */
/* Charts of comparisons, histories and sizings. */
#include <math.h>
#include <string.h>
#include "chart.h"

#define RATIOS_MAX 40
#define HISTORIES_MAX 24

static void draw_ratios(struct view *v, struct pictures *out, const json_t *doc, size_t k) {
    struct ratios r = {.chart = {arena_printf(v->arena, "compare-%zu", k + 1), "compare",
                                 "New against base, with 95 % interval",
                                 "Each figure's ratio of new to base with its 95 % interval. Where the interval holds "
                                 "1, no difference is shown; whether more is better depends on the figure."},
                       .unit = "ratio, new / base"};
    size_t i;
    json_t *f;
    json_array_foreach(value_at(doc, "figures"), i, f)
        if (r.rows.n < RATIOS_MAX && json_is_number(json_array_get(value_at(f, "interval"), 1)))
            ratios_add(&r, arena_printf(v->arena, "%s: %s", text_at(f, "configuration"), text_at(f, "figure")), f);
    ratios_draw(v->arena, out, &r);
}

static void add_segments(struct panel *panel, const json_t *series) {
    size_t i;
    json_t *s;
    json_array_foreach(value_at(series, "segments"), i, s) {
        struct curve *c = panel_curve(panel, "level between changes", CURVE_LINE, 1);
        curve_point(c, number_or_nan(value_at(s, "from")), number_or_nan(value_at(s, "level")));
        curve_point(c, number_or_nan(value_at(s, "to")), number_or_nan(value_at(s, "level")));
    }
}

/* Values as marks, levels as lines: where a line ends and the next begins, a change was found. */
static void draw_history(struct view *v, struct pictures *out, const json_t *series, const char *name) {
    const char *label = chart_label(v->arena, arena_printf(v->arena, "%s: %s", text_at(series, "configuration"),
                                                           text_at(series, "figure")));
    struct plot p = {.chart = {name, "history", label, "One mark a run, in their order; lines are the levels between "
                               "the changes that were found (minimum description length)."},
                     .x_label = "run", .y_label = chart_label(v->arena, text_at(series, "unit")), .height = 200};
    struct panel *panel = plot_panel(&p, "");
    struct curve *marks = panel_curve(panel, "runs", CURVE_MARKS, 0);
    size_t i;
    json_t *value;
    json_array_foreach(value_at(series, "values"), i, value)
        curve_point(marks, (double)i, number_or_nan(value));
    add_segments(panel, series);
    plot_draw(v->arena, out, &p);
}

void charts_compare_draw(struct view *v, struct pictures *out) {
    size_t n = 0;
    for (size_t k = 0; k < v->compares.n; k++) {
        const json_t *doc = v->compares.v[k];
        size_t i;
        json_t *series;
        draw_ratios(v, out, doc, k);
        json_array_foreach(value_at(doc, "series"), i, series)
            if (n < HISTORIES_MAX)
                draw_history(v, out, series, arena_printf(v->arena, "history-%zu", ++n));
    }
}

/* A fitted variable: the model's line in its band, and what was measured. */
static void draw_curve(struct view *v, struct pictures *out, const json_t *curve, const char *name) {
    const char *x = chart_label(v->arena, text_at(curve, "x"));
    struct plot p = {.chart = {name, "sizing", arena_printf(v->arena, "Cost by %s: model and measurements", x),
                               "The fitted cost of a packet with its 95 % band, the other variables as asked; marks "
                               "are measurements. Beyond the marks the model extrapolates."},
                     .x_label = x, .y_label = "TSC cycles a packet", .y_zero = true, .height = 240};
    struct panel *panel = plot_panel(&p, "");
    size_t i;
    json_t *point;
    double from = INFINITY, to = 0;
    panel_curve(panel, "95 % interval", CURVE_BAND, 0);
    panel_curve(panel, "model", CURVE_LINE, 0);
    panel_curve(panel, "measured", CURVE_MARKS, 1);
    json_array_foreach(value_at(curve, "points"), i, point) {
        double at = number_or_nan(json_array_get(point, 0)), y = number_or_nan(json_array_get(point, 1));
        vec_push(&panel->curves.v[0].points, (struct point){at, y, number_or_nan(json_array_get(point, 2)),
                                                            number_or_nan(json_array_get(point, 3))});
        curve_point(&panel->curves.v[1], at, y);
        from = fmin(from, at);
        to = fmax(to, at);
    }
    json_array_foreach(value_at(curve, "measured"), i, point)
        curve_point(&panel->curves.v[2], number_or_nan(json_array_get(point, 0)),
                    number_or_nan(json_array_get(point, 1)));
    p.x_log = from > 0 && to / from > 30; /* over decades */
    plot_draw(v->arena, out, &p);
}

void charts_size_draw(struct view *v, struct pictures *out) {
    size_t n = 0;
    for (size_t k = 0; k < v->sizes.n; k++) {
        size_t i;
        json_t *curve;
        json_array_foreach(value_at(v->sizes.v[k], "curve"), i, curve)
            draw_curve(v, out, curve, arena_printf(v->arena, "size-%zu", ++n));
    }
}
