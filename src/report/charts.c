/* SPDX-License-Identifier: BSD-3-Clause */
/* Charts of analyses and replays: all configurations, one bar each. */
#include <stdlib.h>
#include <string.h>
#include "chart.h"

#define SECTION "pictures"

static void draw_stages(struct view *v, struct pictures *out) {
    struct bars b = {.chart = {"cost-stages", SECTION, "Cost of a packet by stage",
                               "What a packet costs in each stage of the core, by configuration. The figure at the "
                               "end of a bar is the sum."},
                     .unit = "TSC cycles a packet"};
    for (size_t i = 0; i < v->list.n; i++)
        bars_stages(&b, bars_row(&b, v->list.v[i].name), value_at(v->list.v[i].replay, "cost.stages"));
    bars_draw(v->arena, out, &b);
}

static void draw_verdicts(struct view *v, struct pictures *out, const char *group, const struct chart *chart) {
    /* in the order of verdict_names: blue works, orange to red does not, grey cannot be told */
    static const char *const model[] = {"#0072B2", "#56B4E9", "#F0E442", "#D55E00", "#E69F00", "#CC79A7", "#5D3A1A",
                                        "#999999"};
    static const char *const observed[] = {"#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#F0E442", "#BBBBBB", "#777777"};
    const char *const *colours = !strcmp(group, "model") ? model : observed;
    struct bars b = {.chart = *chart, .unit = "% of flows", .share = true};
    const char *path = arena_printf(v->arena, "flows.%s", group);
    for (size_t i = 0; i < v->list.n; i++)
        bars_row(&b, v->list.v[i].name);
    for (const char *const *verdict = verdict_names(group); *verdict; verdict++, colours++) {
        bool any = false;
        for (size_t i = 0; i < v->list.n; i++) {
            long long n = count_at(value_at(v->list.v[i].analyze, path), *verdict);
            b.values.v[i * SERIES_MAX + b.n_series] = n > 0 ? (double)n : 0;
            any |= n > 0;
        }
        if (any)
            b.series[b.n_series++] = (struct series){verdict_label(*verdict), *colours};
    }
    bars_draw(v->arena, out, &b);
}

/* Ratios to the base with their intervals: what may be compared is compared. */
static void draw_ratios(struct view *v, struct pictures *out) {
    struct ratios r = {.chart = {"cost-ratio", SECTION, "Cost against the base, with 95 % interval",
                                 "The ratio of each configuration's cost to the base's, from pairs of interleaved "
                                 "runs, with its 95 % interval. Where the interval holds 1, no difference is shown."},
                       .unit = "ratio of cycles a packet; under 1 is cheaper"};
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *compared = comparison_of(&v->list.v[i]);
        bool base = !strcmp(text_at(compared, "base"), v->list.v[i].name);
        ratios_add(&r, v->list.v[i].name, base ? NULL : compared);
    }
    ratios_draw(v->arena, out, &r);
}

void charts_draw(struct view *v, struct pictures *out) {
    static const struct chart model = {
        "verdicts-model", SECTION, "Flows by verdict of the model",
        "What the route tables and NAT do with each flow there and back. The figure at the end of a bar counts the "
        "flows."};
    static const struct chart observed = {
        "verdicts-observed", SECTION, "Flows by what the capture shows",
        "What the captured packets alone prove about each flow, without the scenario."};
    draw_verdicts(v, out, "model", &model);
    draw_verdicts(v, out, "observed", &observed);
    draw_stages(v, out);
    draw_ratios(v, out);
}

void pictures_fini(struct pictures *p) {
    for (size_t i = 0; i < p->list.n; i++)
        free(p->list.v[i].svg);
    vec_free(&p->list);
}
