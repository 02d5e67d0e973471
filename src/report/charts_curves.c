/* SPDX-License-Identifier: BSD-3-Clause */
/* Cost against size: a chart for each factor, with marks where the memory that is touched outgrows a cache. */
#include <math.h>
#include <string.h>
#include "chart.h"
#include "table.h"
#include "tables_bench.h"

#define SECTION "curves"
#define CACHE_LOOK 1 /* colour of the first cache's mark */

static double touched(const json_t *points, size_t i) {
    return number_at(json_array_get(points, i), "touched_bytes");
}

static double x_of(const json_t *points, size_t i) {
    return number_or_nan(value_at(json_array_get(points, i), "x"));
}

/* Between two points memory grows as a power of x. */
static double cross(double x0, double b0, double x1, double b1, double bytes) {
    return x0 * pow(x1 / x0, log(bytes / b0) / log(b1 / b0));
}

/* Where the curve touches more than `bytes`; NAN: never, or it begins beyond. */
static double passes(const json_t *points, double bytes) {
    for (size_t i = 1; i < json_array_size(points); i++) {
        const double x0 = x_of(points, i - 1), x1 = x_of(points, i), b0 = touched(points, i - 1),
                     b1 = touched(points, i);
        if (x0 > 0 && x1 > x0 && b0 > 0 && b0 <= bytes && b1 > bytes)
            return cross(x0, b0, x1, b1, bytes);
    }
    return NAN;
}

static const char *size_text(struct arena *a, double bytes) {
    return bytes >= 1 << 20 ? arena_printf(a, "%.4g MiB", bytes / (1 << 20))
           : arena_printf(a, "%.4g KiB", bytes / 1024);
}

/* "1.1k", "230k": more figures than an interpolated one holds are left out. */
static const char *about_text(struct arena *a, double x) {
    const char *unit = x >= 1e6 ? "M" : x >= 1e3 ? "k" : "";
    x /= x >= 1e6 ? 1e6 : x >= 1e3 ? 1e3 : 1;
    return arena_printf(a, x >= 10 ? "%.0f%s" : "%.2g%s", x, unit);
}

/* Points are compared by what they cost next to the base, and not by what the machine did minutes apart. */
static double cycles(const json_t *curve, double ratio) {
    return number_at(curve, "base_tsc_cycles") * ratio;
}

static double highest(const json_t *curve) {
    double high = 0;
    size_t i;
    json_t *p;
    json_array_foreach(value_at(curve, "points"), i, p)
        high = fmax(high, cycles(curve, number_at(p, "ratio")));
    return high;
}

/* A dashed line up the panel for each cache that the curve outgrows. */
static void add_caches(struct arena *a, const json_t *doc, const json_t *curve, struct panel *panel) {
    const json_t *points = value_at(curve, "points");
    size_t i;
    json_t *cache;
    json_array_foreach(value_at(doc, "caches"), i, cache) {
        const double bytes = number_at(cache, "bytes"), x = passes(points, bytes);
        if (!isfinite(x))
            continue;
        struct curve *rule = panel_curve(panel, arena_printf(a, "%s (%s) is full at %s", text_at(cache, "name"),
                                                             size_text(a, bytes), about_text(a, x)),
                                         CURVE_RULE, CACHE_LOOK + (unsigned)i);
        curve_point(rule, x, 0);
        curve_point(rule, x, highest(curve));
    }
}

static void add_points(const json_t *curve, struct curve *c) {
    size_t i;
    json_t *p;
    json_array_foreach(value_at(curve, "points"), i, p) {
        const json_t *interval = value_at(p, "interval");
        vec_push(&c->points,
                 (struct point){.x = number_or_nan(value_at(p, "x")),
                                .y = cycles(curve, number_or_nan(value_at(p, "ratio"))),
                                .low = cycles(curve, number_or_nan(json_array_get(interval, 0))),
                                .high = cycles(curve, number_or_nan(json_array_get(interval, 1)))});
    }
}

static void draw(struct view *v, struct pictures *out, const json_t *doc, const json_t *curve, const char *name) {
    const char *x = chart_label(v->arena, text_at(curve, "x"));
    struct plot p = {.chart = {name, SECTION, arena_printf(v->arena, "Cost against %s", x),
                               arena_printf(v->arena, "%s. Each point was measured in turn with the base point at %g: "
                                            "it is the base's median times the paired ratio, with its 95 %% interval. "
                                            "Dashed: what the factor makes it touch fills a cache. Others took %s "
                                            "of the time away.", text_at(curve, "workload"), number_at(curve, "base"),
                                            percent_text(v->arena, number_at(doc, "lost_share")))},
                     .x_label = x, .y_label = "TSC cycles a packet", .x_log = true_at(curve, "log"), .y_zero = true,
                     .height = 240};
    struct panel *panel = plot_panel(&p, "");
    add_points(curve, panel_curve(panel, "copied and forwarded", CURVE_ERRORS, 0));
    add_caches(v->arena, doc, curve, panel);
    plot_draw(v->arena, out, &p);
}

void charts_curves_draw(struct view *v, struct pictures *out) {
    unsigned n = 0;
    for (size_t k = 0; k < v->curves.n; k++) {
        size_t i;
        json_t *curve;
        json_array_foreach(value_at(v->curves.v[k], "curves"), i, curve)
            draw(v, out, v->curves.v[k], curve, arena_printf(v->arena, "curve-%u", ++n));
    }
}

void table_curves(struct arena *a, const json_t *doc, struct out *o) {
    struct table t = {.arena = a, .caption = "Cost against size"};
    size_t i, k;
    json_t *curve, *p;
    TABLE_HEADS(&t, 1, "Factor", "At", "Cycles", "Ratio [95 %]", "Pairs", "Touched");
    json_array_foreach(value_at(doc, "curves"), i, curve) {
        json_array_foreach(value_at(curve, "points"), k, p) {
            const double bytes = number_at(p, "touched_bytes");
            table_text(&t, TONE_NONE, text_at(curve, "x"));
            table_text(&t, TONE_NONE, whole_text(a, value_at(p, "x")));
            table_cell(&t, TONE_NONE, "%.1f", cycles(curve, number_at(p, "ratio")));
            table_text(&t, TONE_NONE, ratio_text(a, p));
            table_count(&t, TONE_NONE, count_at(p, "pairs"));
            table_text(&t, TONE_NONE, bytes > 0 ? size_text(a, bytes) : "");
        }
    }
    table_emit(&t, o);
}
