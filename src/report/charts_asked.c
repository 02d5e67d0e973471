/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT over the time of a capture: sessions and outside ports in use. */
#include "chart.h"

#define SECTION "packets"

static void add_samples(struct panel *panel, const json_t *use, const char *key, const char *name, unsigned look) {
    const double step = number_at(use, "interval_ns") / 1e9;
    const json_t *list = value_at(use, key);
    size_t i;
    json_t *value;
    if (!json_is_array(list) || step <= 0)
        return;
    struct curve *c = panel_curve(panel, name, CURVE_LINE, look);
    json_array_foreach(list, i, value)
        curve_point(c, (double)i * step, number_or_nan(value));
}

static void draw_use(struct view *v, struct pictures *out, const struct configuration *c, size_t number) {
    const json_t *use = value_at(c->analyze, "nat.use");
    const size_t n = json_array_size(value_at(use, "ports"));
    if (!n)
        return;
    struct plot p = {.chart = {arena_printf(v->arena, "nat-use-%zu", number), SECTION,
                               arena_printf(v->arena, "NAT of %s over time", c->name),
                               arena_printf(v->arena, "Live sessions and outside ports in use of %s by the time of the "
                                            "capture; %s ports are available.", c->name,
                                            count_text(v->arena, count_at(use, "available")))},
                     .x_label = "seconds from the first packet", .y_label = "in use", .y_zero = true, .height = 240};
    struct panel *panel = plot_panel(&p, "");
    add_samples(panel, use, "sessions", "sessions", 0);
    add_samples(panel, use, "ports", "outside ports", 1);
    plot_draw(v->arena, out, &p);
}

void charts_asked_draw(struct view *v, struct pictures *out) {
    for (size_t i = 0; i < v->list.n; i++)
        draw_use(v, out, &v->list.v[i], i + 1);
}
