/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Charts of all configurations, one horizontal bar each: names stay legible on a narrow page. Colours are Okabe and
 * Ito's, which the colour-blind tell apart; bars are outlined in white so that neighbours differ without colour, too.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "pictures.h"

#define SERIES_MAX 24
#define TICS_MAX 8

static const char *const palette[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999",
                                      "#F0E442", "#332288", "#882255"};

struct series {
    const char *name;
    const char *colour;
};
struct chart {
    const char *name, *title, *caption, *unit;
    unsigned n_series;
    struct series series[SERIES_MAX];
    bool share;     /* values are drawn as shares of their sum, in per cent */
    double *values; /* [configuration][series] */
};

/* What gnuplot may read in a label: nothing that it or XML takes for more than a letter. */
static const char *label_of(struct arena *a, const char *text) {
    char *out = arena_strdup(a, text);
    for (char *c = out; *c; c++)
        if (!(*c & 0x80) && !isalnum((unsigned char)*c) && !strchr(" .-_/:()+,", *c))
            *c = '_';
    return out;
}

static double sum_of(const struct chart *c, size_t row) {
    double sum = 0;
    for (unsigned s = 0; s < c->n_series; s++)
        sum += c->values[row * SERIES_MAX + s];
    return sum;
}

/* The distance of tics, 1, 2 or 5 times a power of ten, that puts TICS_MAX at most on an axis of this length. */
static double tic_step(double length) {
    static const double steps[] = {1, 2, 5, 10};
    double unit = length > 0 ? pow(10, floor(log10(length / TICS_MAX))) : 1;
    size_t i = 0;
    while (i < 3 && steps[i] * unit * TICS_MAX < length)
        i++;
    return steps[i] * unit;
}

/* Names stand above their bars, so that long ones take no room from them; bar i lies at y = i. */
static void script_head(const struct view *v, const struct chart *c, double from, double to, FILE *f) {
    unsigned key_rows = (c->n_series + 1) / 2;
    size_t rows = v->list.n;
    double below = 3.4 + 1.3 * key_rows; /* lines: tics, axis, legend */
    fprintf(f,
            "set encoding utf8\n"
            "set terminal svg size 560,%.0f dynamic font 'sans-serif,15' background '#ffffff' noenhanced\n"
            "set output 'out.svg'\n"
            "set title '%s' font ',16' offset 0,0.2\n"
            "set border 1 lc rgb '#767676'\n"
            "set tics nomirror tc rgb '#1f2933'\n"
            "set xrange [%.6g:%.6g]\n"
            "set xtics %.6g scale 0.5 font ',13'\n"
            "unset ytics\n"
            "set grid x lc rgb '#d5dade' lt 1 lw 1\n"
            "set xlabel '%s' offset 0,0.4\n"
            "set key at screen 0.02, screen 0.02 bottom left vertical maxrows %u\n"
            "set key Left reverse samplen 1.2 spacing 1.25 font ',14'\n"
            "set lmargin 3\n"
            "set rmargin 7\n"
            "set bmargin %.1f\n"
            "set style fill solid 1.0 border rgb '#ffffff'\n"
            "set yrange [%.2f:-0.9]\n",
            60 + 18 * below + 58 * (double)rows, c->title, from, to, tic_step(to - from), c->unit,
            key_rows ? key_rows : 1, below, (double)rows - 0.6);
    for (size_t i = 0; i < rows; i++)
        fprintf(f, "set label '%s' at graph 0, first %.2f left offset 0.2,0 front\n",
                label_of(v->arena, v->list.v[i].name), (double)i - 0.5);
}

static char *stacked_script(const struct view *v, const struct chart *c) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    double to = c->share ? 100 : 0;
    for (size_t i = 0; i < v->list.n && !c->share; i++)
        to = sum_of(c, i) > to ? sum_of(c, i) : to;
    script_head(v, c, 0, to, f);
    fprintf(f, "plot ");
    for (unsigned s = 0; s < c->n_series; s++)
        fprintf(f, "'data' index %u using (($2+$3)/2):1:(($3-$2)/2):(0.22) with boxxyerror fc rgb '%s' title '%s', ",
                s, c->series[s].colour, label_of(v->arena, c->series[s].name));
    fprintf(f, "'data' index %u using 2:1:3 with labels left offset 0.6,0 tc rgb '#1f2933' notitle\n", c->n_series);
    fclose(f);
    return out;
}

/* One block a series: bar, from, to. The last block: bar, end, its text. */
static char *stacked_data(const struct view *v, const struct chart *c) {
    char *out = NULL;
    size_t size, rows = v->list.n;
    FILE *f = open_memstream(&out, &size);
    double *at = xzalloc(rows, sizeof *at);
    for (unsigned s = 0; s < c->n_series; s++) {
        for (size_t i = 0; i < rows; i++) {
            double sum = sum_of(c, i), value = c->values[i * SERIES_MAX + s];
            value = c->share ? (sum > 0 ? 100 * value / sum : 0) : value;
            fprintf(f, "%zu %.6f %.6f\n", i, at[i], at[i] + value);
            at[i] += value;
        }
        fprintf(f, "\n\n");
    }
    for (size_t i = 0; i < rows; i++)
        fprintf(f, c->share ? "%zu %.6f \"%.0f\"\n" : "%zu %.6f \"%.1f\"\n", i, at[i], sum_of(c, i));
    free(at);
    fclose(f);
    return out;
}

static void add(struct view *v, struct pictures *out, const struct chart *c, char *script, char *data) {
    const char *why = NULL;
    char *svg = out->missing ? NULL : gnuplot_run(v->arena, c->name, c->title, script, data, &why);
    if (svg)
        vec_push(&out->list, (struct picture){c->name, c->caption, svg});
    else if (!out->missing)
        out->missing = why;
    free(script);
    free(data);
}

static void draw_stacked(struct view *v, struct pictures *out, struct chart *c) {
    double total = 0;
    for (size_t i = 0; i < v->list.n; i++)
        total += sum_of(c, i);
    if (total > 0)
        add(v, out, c, stacked_script(v, c), stacked_data(v, c));
    free(c->values);
}

/* Index of the series of this name, made when there is room; -1 else. */
static int series_of(struct chart *c, const char *name) {
    for (unsigned s = 0; s < c->n_series; s++)
        if (!strcmp(c->series[s].name, name))
            return (int)s;
    if (c->n_series == SERIES_MAX)
        return -1;
    c->series[c->n_series] = (struct series){name, palette[c->n_series % (sizeof palette / sizeof *palette)]};
    return (int)c->n_series++;
}

static void draw_stages(struct view *v, struct pictures *out) {
    struct chart c = {.name = "cost-stages", .title = "Cost of a packet by stage", .unit = "TSC cycles a packet",
                      .caption = "What a packet costs in each stage of the core, by configuration. The figure at the "
                                 "end of a bar is the sum.",
                      .values = xzalloc(v->list.n * SERIES_MAX, sizeof(double))};
    for (size_t i = 0; i < v->list.n; i++) {
        size_t k;
        json_t *stage;
        json_array_foreach(value_at(v->list.v[i].replay, "cost.stages"), k, stage) {
            int s = series_of(&c, text_at(stage, "name"));
            double cycles = number_at(stage, "tsc_cycles");
            if (s >= 0 && cycles > 0)
                c.values[i * SERIES_MAX + (size_t)s] += cycles;
        }
    }
    draw_stacked(v, out, &c);
}

static void draw_verdicts(struct view *v, struct pictures *out, const char *group, const char *name, const char *title,
                          const char *caption) {
    /* in the order of verdict_names: blue works, orange to red does not, grey cannot be told */
    static const char *const model[] = {"#0072B2", "#56B4E9", "#F0E442", "#D55E00", "#E69F00", "#CC79A7", "#5D3A1A",
                                        "#999999"};
    static const char *const observed[] = {"#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#F0E442", "#BBBBBB", "#777777"};
    const char *const *colours = !strcmp(group, "model") ? model : observed;
    struct chart c = {.name = name, .title = title, .caption = caption, .unit = "% of flows", .share = true,
                      .values = xzalloc(v->list.n * SERIES_MAX, sizeof(double))};
    const char *path = arena_printf(v->arena, "flows.%s", group);
    for (const char *const *verdict = verdict_names(group); *verdict; verdict++, colours++) {
        bool any = false;
        for (size_t i = 0; i < v->list.n; i++) {
            long long n = count_at(value_at(v->list.v[i].analyze, path), *verdict);
            c.values[i * SERIES_MAX + c.n_series] = n > 0 ? (double)n : 0;
            any |= n > 0;
        }
        if (any)
            c.series[c.n_series++] = (struct series){verdict_label(*verdict), *colours};
    }
    draw_stacked(v, out, &c);
}

/* Ratios to the base with their intervals: what may be compared is compared. */
static void draw_ratios(struct view *v, struct pictures *out) {
    struct chart c = {.name = "cost-ratio", .title = "Cost against the base, with 95 % interval",
                      .unit = "ratio of cycles a packet; under 1 is cheaper",
                      .caption = "The ratio of each configuration's cost to the base's, from pairs of interleaved "
                                 "runs, with its 95 % interval. Where the interval holds 1, no difference is shown."};
    char *script = NULL, *data = NULL;
    size_t size, size_data, rows = 0;
    double from = 1, to = 1;
    FILE *f = open_memstream(&script, &size), *d = open_memstream(&data, &size_data);
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *compared = comparison_of(&v->list.v[i]), *interval = value_at(compared, "interval");
        const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
        if (!json_is_number(low) || !json_is_number(high) || !strcmp(text_at(compared, "base"), v->list.v[i].name))
            continue;
        from = fmin(from, json_number_value(low));
        to = fmax(to, json_number_value(high));
        rows++;
        fprintf(d, "%zu %.6f %.6f %.6f\n", i, number_at(compared, "ratio"), json_number_value(low),
                json_number_value(high));
    }
    double margin = to > from ? 0.05 * (to - from) : 0.05;
    script_head(v, &c, from - margin, to + margin, f);
    fprintf(f, "unset key\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 dt 2 lc rgb '#1f2933'\n"
               "set style line 1 lc rgb '#0072B2' lw 3 pt 7 ps 0.9\nplot 'data' using 2:1:3:4 with xerrorbars ls 1\n");
    fclose(f);
    fclose(d);
    if (rows) {
        add(v, out, &c, script, data);
    } else {
        free(script);
        free(data);
    }
}

void charts_draw(struct view *v, struct pictures *out) {
    draw_verdicts(v, out, "model", "verdicts-model", "Flows by verdict of the model",
                  "What the route tables and NAT do with each flow there and back. The figure at the end of a bar "
                  "counts the flows.");
    draw_verdicts(v, out, "observed", "verdicts-observed", "Flows by what the capture shows",
                  "What the captured packets alone prove about each flow, without the scenario.");
    draw_stages(v, out);
    draw_ratios(v, out);
}

void pictures_fini(struct pictures *p) {
    for (size_t i = 0; i < p->list.n; i++)
        free(p->list.v[i].svg);
    vec_free(&p->list);
}
