/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures: charts by gnuplot, the topology by ourselves. Each is one SVG text that may stand inside a page. */
#ifndef FWDLAB_REPORT_PICTURES_H
#define FWDLAB_REPORT_PICTURES_H

#include "view.h"

struct picture {
    const char *name;    /* file name without ".svg", and prefix of the ids inside */
    const char *section; /* of the page: its id */
    const char *caption; /* what it shows and how to read it */
    char *svg;           /* free() */
};
struct pictures {
    VEC(struct picture) list;
    const char *missing; /* why the charts are left out; NULL */
};

/* In the arena of the view. Never fails: what cannot be drawn is left out. */
void charts_draw(struct view *v, struct pictures *out);
void charts_asked_draw(struct view *v, struct pictures *out);
void charts_bench_draw(struct view *v, struct pictures *out);
void charts_compare_draw(struct view *v, struct pictures *out);
void charts_size_draw(struct view *v, struct pictures *out);
void charts_curves_draw(struct view *v, struct pictures *out);
/* One picture for each distinct topology among the configurations. */
void topologies_draw(struct view *v, struct pictures *out);
void pictures_fini(struct pictures *p);

/*
 * Runs gnuplot on a script in a directory of its own and returns the picture (free()), its ids prefixed with `name`.
 * NULL: *why says what went wrong (in the arena).
 */
char *gnuplot_run(struct arena *a, const char *name, const char *label, const char *script, const char *data,
                  const char **why);

#endif
