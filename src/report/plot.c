/* SPDX-License-Identifier: BSD-3-Clause */
/* Curves in panels, by gnuplot's multiplot. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "chart.h"

#define WIDTH 560
#define TITLE 40   /* pixels above the first panel, */
#define HEAD 34    /* above the others, for their titles, */
#define FOOT 66    /* below the last one: tics and the axis's name; */
#define LEGEND 23  /* and a row of the legend */
#define GAP 26     /* below a panel with no tics of its own */
#define FACTORS 3  /* decades up to which an axis gets 1, 2, 5 in each */

static const char *const colours[LOOKS] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#332288", "#56B4E9",
                                           "#882255", "#5D3A1A", "#777777"};
static const int marks[LOOKS] = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10};

struct range {
    double from, to;
};

struct panel *plot_panel(struct plot *p, const char *title) {
    vec_push(&p->panels, (struct panel){.title = title});
    return &p->panels.v[p->panels.n - 1];
}

struct curve *panel_curve(struct panel *p, const char *name, enum curve_kind kind, unsigned look) {
    vec_push(&p->curves, (struct curve){.name = name, .kind = kind, .look = look % LOOKS});
    return &p->curves.v[p->curves.n - 1];
}

void curve_point(struct curve *c, double x, double y) {
    vec_push(&c->points, (struct point){x, y, NAN, NAN});
}

static bool drawable(const struct plot *p, const struct point *at) {
    return isfinite(at->x) && isfinite(at->y) && (!p->x_log || at->x > 0) && (!p->y_log || at->y > 0);
}

static size_t drawable_points(const struct plot *p, const struct curve *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->points.n; i++)
        n += drawable(p, &c->points.v[i]);
    return n;
}

static void widen(struct range *r, double value, bool log) {
    if (!isfinite(value) || (log && value <= 0))
        return;
    r->from = fmin(r->from, value);
    r->to = fmax(r->to, value);
}

/* Over one panel, or (NULL) all. */
static void ranges(const struct plot *p, const struct panel *one, struct range *x, struct range *y) {
    *x = *y = (struct range){INFINITY, -INFINITY};
    for (size_t i = 0; i < p->panels.n; i++)
        for (size_t k = 0; k < p->panels.v[i].curves.n && (!one || one == &p->panels.v[i]); k++) {
            const struct curve *c = &p->panels.v[i].curves.v[k];
            for (size_t q = 0; q < c->points.n; q++) {
                const struct point *at = &c->points.v[q];
                if (!drawable(p, at))
                    continue;
                widen(x, at->x, p->x_log);
                widen(y, at->y, p->y_log);
                widen(c->kind == CURVE_BOXES ? x : y, at->low, c->kind == CURVE_BOXES ? p->x_log : p->y_log);
                widen(c->kind == CURVE_BOXES ? x : y, at->high, c->kind == CURVE_BOXES ? p->x_log : p->y_log);
            }
        }
}

/* A tic's text is a format to gnuplot. */
static void tic_text(FILE *f, struct arena *a, const char *text) {
    for (const char *c = chart_label(a, text); *c; c++)
        fprintf(f, *c == '%' ? "%%%%" : "%c", *c);
}

/* The tics of an axis, with or without their texts, over a range that is made round. */
static void axis(FILE *f, struct arena *a, char name, bool texts, struct range *r, bool log, const struct plot *p,
                 unsigned most) {
    const struct tic *tics = name == 'x' ? p->x_tics.v : p->y_tics.v;
    size_t n = name == 'x' ? p->x_tics.n : p->y_tics.n;
    if (!(r->from < r->to)) { /* one value, or none */
        double at = isfinite(r->from) ? r->from : 1, half = at ? fabs(at) / 2 : 1;
        *r = log ? (struct range){at / 2, at * 2} : (struct range){at - half, at + half};
    }
    fprintf(f, "set %ctics scale 0.5 font ',13' ", name);
    if (n) {
        for (size_t i = 0; i < n; i++) {
            fprintf(f, "%c'", i ? ',' : '(');
            tic_text(f, a, texts ? tics[i].text : "");
            fprintf(f, "' %.9g", tics[i].at);
        }
        fprintf(f, ")\n");
        if (log && name == 'y')
            r->to *= 1.15;
    } else if (log) {
        static const double steps[] = {1, 2, 5};
        double first = floor(log10(r->from)), last = ceil(log10(r->to));
        bool fine = last - first <= FACTORS, any = false;
        for (double d = first; d <= last; d += fmax(1, ceil((last - first) / most)))
            for (int i = 0; i < (fine ? 3 : 1); i++, any = true)
                fprintf(f, "%c%.9g", any ? ',' : '(', steps[i] * pow(10, d));
        fprintf(f, ")\n");
        *r = (struct range){r->from / 1.15, r->to * 1.15};
    } else {
        double step = chart_step(r->to - r->from, most);
        fprintf(f, "%.6g\n", step);
        r->from = floor(r->from / step + 1e-9) * step;
        r->to = ceil(r->to / step - 1e-9) * step;
    }
    fprintf(f, texts ? "set format %c\n" : "set format %c ''\n", name);
    fprintf(f, "set %crange [%.9g:%.9g]\n", name, r->from, r->to);
    fprintf(f, log ? "set logscale %c\n" : "unset logscale %c\n", name);
}

static void curve_style(FILE *f, const struct curve *c) {
    const char *colour = colours[c->look];
    int mark = marks[c->look];
    switch (c->kind) {
    case CURVE_MARKS_LINE:
        fprintf(f, "with linespoints lw 2 lc rgb '%s' pt %d ps 0.7", colour, mark);
        break;
    case CURVE_LINE:
        fprintf(f, "with lines lw 2 lc rgb '%s' dt %u", colour, c->look % 5 + 1);
        break;
    case CURVE_PATH:
        fprintf(f, "with lines lw 1 lc rgb '#9aa5b1'");
        break;
    case CURVE_MARKS:
        fprintf(f, "with points lw 2 lc rgb '%s' pt %d ps 0.8", colour, mark);
        break;
    case CURVE_ERRORS:
        fprintf(f, "with yerrorlines lw 1.5 lc rgb '%s' pt %d ps 0.7", colour, mark);
        break;
    case CURVE_BAND:
        fprintf(f, "with filledcurves fs transparent solid 0.2 noborder lc rgb '%s'", colour);
        break;
    case CURVE_BOXES:
        fprintf(f, "with boxxyerror fs solid 1.0 noborder lc rgb '%s'", colour);
        break;
    case CURVE_RULE:
        fprintf(f, "with lines lw 1.5 dt 2 lc rgb '%s'", colour);
        break;
    }
}

static const char *curve_columns(const struct curve *c) {
    return c->kind == CURVE_BAND ? "1:3:4" : c->kind == CURVE_ERRORS ? "1:2:3:4"
           : c->kind == CURVE_BOXES ? "(($3+$4)/2):2:(($4-$3)/2):(0.07)" : "1:2";
}

/* One for each name, in the order of turning up; NULL ends. */
static const struct curve **legend(const struct plot *p, unsigned *n) {
    const struct curve **list = xzalloc(1 + LOOKS * 4, sizeof(*list));
    *n = 0;
    for (size_t i = 0; i < p->panels.n; i++)
        for (size_t k = 0; k < p->panels.v[i].curves.n; k++) {
            const struct curve *c = &p->panels.v[i].curves.v[k];
            bool again = !c->name || !drawable_points(p, c) || *n == LOOKS * 4;
            for (unsigned q = 0; q < *n && !again; q++)
                again = list[q]->look == c->look && list[q]->kind == c->kind;
            if (!again)
                list[(*n)++] = c;
        }
    return list;
}

/* Draws nothing but its sample in the legend. */
static void legend_entry(struct arena *a, struct curve sample, FILE *f) {
    bool area = sample.kind == CURVE_BAND || sample.kind == CURVE_BOXES;
    fprintf(f, "NaN ");
    if (area)
        fprintf(f, "with boxes fs solid %s noborder lc rgb '%s'", sample.kind == CURVE_BAND ? "0.3" : "1.0",
                colours[sample.look]);
    if (sample.kind == CURVE_ERRORS)
        sample.kind = CURVE_MARKS;
    if (!area)
        curve_style(f, &sample);
    fprintf(f, " title '%s'", chart_label(a, sample.name));
}

static void panel_script(struct arena *a, const struct plot *p, const struct panel *panel, bool last,
                         const struct curve *const *names, unsigned n_names, size_t *index, FILE *f) {
    struct range x, y, unused;
    bool any = false;
    ranges(p, NULL, &x, &y);
    if (p->y_own)
        ranges(p, panel, &unused, &y);
    if (p->y_zero)
        y.from = fmin(y.from, 0);
    axis(f, a, 'x', last, &x, p->x_log, p, 8);
    axis(f, a, 'y', true, &y, p->y_log, p, 5);
    if (p->y_rows)
        fprintf(f, "set yrange [%.9g:%.9g]\n", y.to + 0.6, y.from - 0.6);
    fprintf(f, "set label 1 '%s' at graph 0, graph 1 left offset 0,0.7 font ',14'\n"
               "set ylabel '%s' offset 1.2,0 font ',13'\n", chart_label(a, panel->title), p->y_label);
    fprintf(f, last ? "set xlabel '%s' offset 0,0.3 font ',14'\nset key on\n" : "unset xlabel\nset key off\n",
            p->x_label);
    fprintf(f, "plot ");
    for (size_t i = 0; i < panel->curves.n; i++) {
        const struct curve *c = &panel->curves.v[i];
        if (!drawable_points(p, c))
            continue;
        fprintf(f, "%s'data' index %zu using %s ", any ? ", " : "", (*index)++, curve_columns(c));
        curve_style(f, c);
        fprintf(f, " notitle");
        any = true;
    }
    for (unsigned i = 0; i < n_names && last; i++) {
        fputs(any ? ", " : "", f);
        legend_entry(a, *names[i], f);
        any = true;
    }
    fprintf(f, any ? "\n" : "NaN notitle\n");
}

static char *plot_script(struct arena *a, const struct plot *p) {
    char *out = NULL;
    size_t size, index = 0, n = p->panels.n;
    unsigned n_names, panel = p->height ? p->height : 170;
    const struct curve **names = legend(p, &n_names);
    FILE *f = open_memstream(&out, &size);
    double height = TITLE + (double)n * (HEAD + panel) + (double)(n - 1) * GAP + FOOT + LEGEND * n_names;
    fprintf(f,
            "set encoding utf8\n"
            "set terminal svg size %d,%.0f dynamic font 'sans-serif,15' background '#ffffff' noenhanced\n"
            "set output 'out.svg'\n"
            "set border 3 lc rgb '#767676'\n"
            "set tics nomirror tc rgb '#1f2933'\n"
            "set grid lc rgb '#d5dade' lt 1 lw 1\n"
            "set style fill solid 1.0\n"
            "set lmargin at screen %g\nset rmargin at screen 0.965\n"
            "set key at screen 0.02, screen %.4f bottom left vertical maxrows %u\n"
            "set key Left reverse samplen 1.8 spacing 1.2 font ',14'\n"
            "set multiplot title '%s' font ',16'\n",
            WIDTH, height, p->y_rows ? 0.2 : 0.13, 6 / height, n_names ? n_names : 1, p->chart.title);
    for (size_t i = 0; i < n; i++) {
        double top = TITLE + HEAD + (double)i * (HEAD + panel + GAP);
        fprintf(f, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", 1 - top / height,
                1 - (top + panel) / height);
        panel_script(a, p, &p->panels.v[i], i == n - 1, names, n_names, &index, f);
    }
    fprintf(f, "unset multiplot\n");
    fclose(f);
    free(names);
    return out;
}

static char *plot_data(const struct plot *p) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    for (size_t i = 0; i < p->panels.n; i++)
        for (size_t k = 0; k < p->panels.v[i].curves.n; k++) {
            const struct curve *c = &p->panels.v[i].curves.v[k];
            for (size_t q = 0; q < c->points.n; q++) {
                const struct point *at = &c->points.v[q];
                if (drawable(p, at))
                    fprintf(f, "%.9g %.9g %.9g %.9g\n", at->x, at->y, isfinite(at->low) ? at->low : at->y,
                            isfinite(at->high) ? at->high : at->y);
            }
            if (drawable_points(p, c))
                fprintf(f, "\n\n");
        }
    fclose(f);
    return out;
}

void plot_draw(struct arena *a, struct pictures *out, struct plot *p) {
    size_t any = 0;
    for (size_t i = 0; i < p->panels.n; i++)
        for (size_t k = 0; k < p->panels.v[i].curves.n; k++)
            any += drawable_points(p, &p->panels.v[i].curves.v[k]);
    if (any)
        chart_add(a, out, &p->chart, plot_script(a, p), plot_data(p));
    for (size_t i = 0; i < p->panels.n; i++) {
        for (size_t k = 0; k < p->panels.v[i].curves.n; k++)
            vec_free(&p->panels.v[i].curves.v[k].points);
        vec_free(&p->panels.v[i].curves);
    }
    vec_free(&p->panels);
    vec_free(&p->x_tics);
    vec_free(&p->y_tics);
}
