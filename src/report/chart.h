/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two kinds of charts, drawn by gnuplot. Bars: horizontal, stacked, one to a row; names stand above their bars, so that
 * long ones take no room from them. Plots: curves over one x axis in panels, one below the other, with one legend.
 * Colours are Okabe and Ito's, which the colour-blind tell apart; curves differ in their marks, too.
 */
#ifndef FWDLAB_REPORT_CHART_H
#define FWDLAB_REPORT_CHART_H

#include "pictures.h"

#define SERIES_MAX 24
#define LOOKS 10 /* curves that differ in colour or mark */

/* What every chart has. */
struct chart {
    const char *name, *section, *title, *caption;
};

struct series {
    const char *name;
    const char *colour;
};
struct bars {
    struct chart chart;
    const char *unit;
    unsigned n_series;
    struct series series[SERIES_MAX];
    bool share;               /* values are drawn as shares of their sum, in per cent */
    VEC(const char *) rows;   /* names */
    VEC(double) values;       /* SERIES_MAX to a row */
};
/* A row without values; its index. */
size_t bars_row(struct bars *b, const char *name);
/* The series of this name, made when there is room; -1 else. */
int bars_series(struct bars *b, const char *name);
/* Adds a packet's cycles in each stage (a document's "stages") to a row. */
void bars_stages(struct bars *b, size_t row, const json_t *stages);
/* Draws what has values, and frees them. */
void bars_draw(struct arena *a, struct pictures *out, struct bars *b);

struct interval {
    double value, low, high;
};
/* A ratio and its interval to a row; a line marks 1. */
struct ratios {
    struct chart chart;
    const char *unit;
    VEC(const char *) rows;
    VEC(struct interval) list; /* of each row; value NAN: none */
};
/* A row; without figures when `compared` has no ratio with its interval. */
void ratios_add(struct ratios *r, const char *name, const json_t *compared);
void ratios_draw(struct arena *a, struct pictures *out, struct ratios *r);

enum curve_kind {
    CURVE_MARKS_LINE, /* marks, joined */
    CURVE_LINE,
    CURVE_PATH,       /* thin and grey: what joins points in their order */
    CURVE_MARKS,
    CURVE_ERRORS,     /* marks with low..high, joined */
    CURVE_BAND,       /* low..high as an area */
    CURVE_BOXES,      /* low..high on the x axis at y: bars that float */
    CURVE_RULE,       /* a dashed line between two points */
};
struct point {
    double x, y, low, high;
};
struct curve {
    const char *name; /* in the legend; NULL: not there */
    enum curve_kind kind;
    unsigned look;    /* the same number looks the same everywhere */
    VEC(struct point) points;
};
struct panel {
    const char *title;
    VEC(struct curve) curves;
};
struct tic {
    double at;
    const char *text;
};
struct plot {
    struct chart chart;
    const char *x_label, *y_label;
    bool x_log, y_log, y_zero;    /* y_zero: the axis begins at 0 */
    bool y_own;                   /* each panel has a y range of its own */
    bool y_rows;                  /* y_tics name rows, the first on top */
    unsigned height;              /* of a panel; 0: 170 */
    VEC(struct tic) x_tics, y_tics; /* none: figures at even distances */
    VEC(struct panel) panels;
};
/* The new one stays valid until the next is added. */
struct panel *plot_panel(struct plot *p, const char *title);
struct curve *panel_curve(struct panel *p, const char *name, enum curve_kind kind, unsigned look);
/* What is not finite, or not positive on a logarithmic axis, is left out when it is drawn. */
void curve_point(struct curve *c, double x, double y);
/* Draws it when a panel has a point, and frees it. */
void plot_draw(struct arena *a, struct pictures *out, struct plot *p);

/* For both: what gnuplot may read in a label; adds a picture, and frees script and data. */
const char *chart_label(struct arena *a, const char *text);
void chart_add(struct arena *a, struct pictures *out, const struct chart *c, char *script, char *data);
/* The distance of tics, 1, 2 or 5 times a power of ten, that puts `most` at most on an axis of this length. */
double chart_step(double length, unsigned most);

#endif
