/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of a result document that can be compared. */
#ifndef FWDLAB_SRC_RESULT_FIGURES_H
#define FWDLAB_SRC_RESULT_FIGURES_H

#include <fwdlab/base/vec.h>
#include <fwdlab/result/compare.h>

struct figure {
    char name[64];            /* "cost", "cost: nat-in", "latency p99 at 50 %" */
    const char *configuration, *unit;
    bool more;                /* more is better */
    bool drifts;              /* measured once: even in the same run nothing tells its spread */
    double value;             /* > 0 */
    double low, high;         /* what the document itself knows of it: spread, bounds; high may be INFINITY */
    const json_t *samples;    /* array of numbers, in the order of the run; NULL */
    const json_t *epochs;     /* to how many samples an epoch each belongs; NULL: one */
    const char *pair;         /* of the interleaved run that it belongs to; NULL */
    unsigned index;           /* which configuration of the document */
};
struct figures {
    VEC(struct figure) list;
    unsigned configurations;
};

/* Texts and arrays are the document's. A figure of value 0 (a stage that nothing reached) is left out. */
int figures_read(const struct compare_document *d, struct figures *out, struct err *e);
void figures_free(struct figures *f);
/* Is more of it better? For figures that are known by name alone, "configuration/figure" too. */
bool figure_more(const char *name);
const char *figure_unit(const char *name);

#endif
