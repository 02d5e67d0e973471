/* SPDX-License-Identifier: BSD-3-Clause */
/* Horizontal bars, and ratios with their intervals. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "chart.h"

#define TICS_MAX 8

static const char *const palette[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999",
                                      "#F0E442", "#332288", "#882255"};

/* Nothing that gnuplot or XML takes for more than a letter. */
const char *chart_label(struct arena *a, const char *text) {
    char *out = arena_strdup(a, text);
    for (char *c = out; *c; c++)
        if (!(*c & 0x80) && !isalnum((unsigned char)*c) && !strchr(" .-_/:()+,%", *c))
            *c = '_';
    return out;
}

double chart_step(double length, unsigned most) {
    static const double steps[] = {1, 2, 5, 10};
    double unit = length > 0 ? pow(10, floor(log10(length / most))) : 1;
    size_t i = 0;
    while (i < 3 && steps[i] * unit * most < length)
        i++;
    return steps[i] * unit;
}

void chart_add(struct arena *a, struct pictures *out, const struct chart *c, char *script, char *data) {
    const char *why = NULL;
    char *svg = out->missing ? NULL : gnuplot_run(a, c->name, c->title, script, data, &why);
    if (svg)
        vec_push(&out->list, (struct picture){c->name, c->section, c->caption, svg});
    else if (!out->missing)
        out->missing = why;
    free(script);
    free(data);
}

size_t bars_row(struct bars *b, const char *name) {
    vec_push(&b->rows, name);
    for (unsigned s = 0; s < SERIES_MAX; s++)
        vec_push(&b->values, 0);
    return b->rows.n - 1;
}

int bars_series(struct bars *b, const char *name) {
    for (unsigned s = 0; s < b->n_series; s++)
        if (!strcmp(b->series[s].name, name))
            return (int)s;
    if (b->n_series == SERIES_MAX)
        return -1;
    b->series[b->n_series] = (struct series){name, palette[b->n_series % (sizeof palette / sizeof *palette)]};
    return (int)b->n_series++;
}

void bars_stages(struct bars *b, size_t row, const json_t *stages) {
    size_t k;
    json_t *stage;
    json_array_foreach(stages, k, stage) {
        int s = bars_series(b, text_at(stage, "name"));
        double cycles = number_at(stage, "tsc_cycles");
        if (s >= 0 && cycles > 0)
            b->values.v[row * SERIES_MAX + (size_t)s] += cycles;
    }
}

static double sum_of(const struct bars *b, size_t row) {
    double sum = 0;
    for (unsigned s = 0; s < b->n_series; s++)
        sum += b->values.v[row * SERIES_MAX + s];
    return sum;
}

/* Names stand above their bars; bar i lies at y = i. */
static void script_head(struct arena *a, const struct chart *c, const char *unit, const char *const *rows, size_t n,
                        unsigned n_series, double from, double to, FILE *f) {
    unsigned key_rows = (n_series + 1) / 2;
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
            60 + 18 * below + 58 * (double)n, c->title, from, to, chart_step(to - from, TICS_MAX), unit,
            key_rows ? key_rows : 1, below, (double)n - 0.6);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "set label '%s' at graph 0, first %.2f left offset 0.2,0 front\n", chart_label(a, rows[i]),
                (double)i - 0.5);
}

static char *stacked_script(struct arena *a, const struct bars *b) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    double to = b->share ? 100 : 0;
    for (size_t i = 0; i < b->rows.n && !b->share; i++)
        to = sum_of(b, i) > to ? sum_of(b, i) : to;
    script_head(a, &b->chart, b->unit, b->rows.v, b->rows.n, b->n_series, 0, to, f);
    fprintf(f, "plot ");
    for (unsigned s = 0; s < b->n_series; s++)
        fprintf(f, "'data' index %u using (($2+$3)/2):1:(($3-$2)/2):(0.22) with boxxyerror fc rgb '%s' title '%s', ",
                s, b->series[s].colour, chart_label(a, b->series[s].name));
    fprintf(f, "'data' index %u using 2:1:3 with labels left offset 0.6,0 tc rgb '#1f2933' notitle\n", b->n_series);
    fclose(f);
    return out;
}

/* One block a series: bar, from, to. The last block: bar, end, its text. */
static char *stacked_data(const struct bars *b) {
    char *out = NULL;
    size_t size, rows = b->rows.n;
    FILE *f = open_memstream(&out, &size);
    double *at = xzalloc(rows, sizeof *at);
    for (unsigned s = 0; s < b->n_series; s++) {
        for (size_t i = 0; i < rows; i++) {
            double sum = sum_of(b, i), value = b->values.v[i * SERIES_MAX + s];
            value = b->share ? (sum > 0 ? 100 * value / sum : 0) : value;
            fprintf(f, "%zu %.6f %.6f\n", i, at[i], at[i] + value);
            at[i] += value;
        }
        fprintf(f, "\n\n");
    }
    for (size_t i = 0; i < rows; i++)
        fprintf(f, b->share ? "%zu %.6f \"%.0f\"\n" : "%zu %.6f \"%.1f\"\n", i, at[i], sum_of(b, i));
    free(at);
    fclose(f);
    return out;
}

void bars_draw(struct arena *a, struct pictures *out, struct bars *b) {
    double total = 0;
    for (size_t i = 0; i < b->rows.n; i++)
        total += sum_of(b, i);
    if (total > 0)
        chart_add(a, out, &b->chart, stacked_script(a, b), stacked_data(b));
    vec_free(&b->rows);
    vec_free(&b->values);
}

void ratios_add(struct ratios *r, const char *name, const json_t *compared) {
    const json_t *interval = value_at(compared, "interval");
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    bool known = json_is_number(low) && json_is_number(high);
    vec_push(&r->rows, name);
    vec_push(&r->list, known ? (struct interval){number_at(compared, "ratio"), json_number_value(low),
                                                 json_number_value(high)}
                             : (struct interval){NAN, NAN, NAN});
}

void ratios_draw(struct arena *a, struct pictures *out, struct ratios *r) {
    char *script = NULL, *data = NULL;
    size_t size, size_data, known = 0;
    double from = 1, to = 1;
    FILE *f = open_memstream(&script, &size), *d = open_memstream(&data, &size_data);
    for (size_t i = 0; i < r->list.n; i++) {
        const struct interval *v = &r->list.v[i];
        if (isnan(v->value))
            continue;
        from = fmin(from, v->low);
        to = fmax(to, v->high);
        known++;
        fprintf(d, "%zu %.6f %.6f %.6f\n", i, v->value, v->low, v->high);
    }
    double margin = to > from ? 0.05 * (to - from) : 0.05;
    script_head(a, &r->chart, r->unit, r->rows.v, r->rows.n, 0, from - margin, to + margin, f);
    fprintf(f, "unset key\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 dt 2 lc rgb '#1f2933'\n"
               "set style line 1 lc rgb '#0072B2' lw 3 pt 7 ps 0.9\nplot 'data' using 2:1:3:4 with xerrorbars ls 1\n");
    fclose(f);
    fclose(d);
    if (known) {
        chart_add(a, out, &r->chart, script, data);
    } else {
        free(script);
        free(data);
    }
    vec_free(&r->rows);
    vec_free(&r->list);
}
