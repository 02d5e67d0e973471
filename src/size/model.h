/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of sizing share: measured points, the cost model over them, the load/latency curve. */
#ifndef SIZE_MODEL_H
#define SIZE_MODEL_H

#include <math.h>
#include <stdio.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/fit.h>
#include <fwdlab/size/size.h>

#define SIZE_TEXT 24
/* "1.5M", "100k", "64" */
const char *size_text(double v, char *buf);

/* ---- points.c ---- */

struct curve_point {
    double load;   /* share of this configuration's NDR */
    double p99_ns;
};
struct size_point {
    const char *name;          /* of the configuration; borrowed from its document */
    double x[SIZE_VARIABLES];
    double cycles, sd;         /* TSC cycles a packet; one standard deviation */
    double ndr;                /* packets a second, lower bound; 0: not measured */
    VEC(struct curve_point) curve; /* by ascending load */
};
struct size_measured {
    VEC(struct size_point) points;
    VEC(json_t *) docs;        /* kept, for the names */
    VEC(const char *) scenarios; /* names, each once */
    const char *cpu;
    double hz;                 /* TSC ticks a second of the machine */
};

/* p99 at a load; that of the least load measured below it, NAN above the greatest. */
double curve_p99(const struct size_point *p, double load);
/* Up to which load p99 stays within the limit: 0 when it never does; the greatest measured when it always does. */
double curve_load(const struct size_point *p, double limit_ns);

/* ---- model.c ---- */

enum term { TERM_CONSTANT, TERM_SESSIONS, TERM_ROUTES, TERM_BYTES, TERM_CHURN, TERM_ENCRYPTED, TERM_WORKERS, TERM_NAT,
            TERMS };
struct model {
    struct fit fit;
    double knee[2];                    /* sessions, routes: what grows with their logarithm begins here */
    double low[SIZE_VARIABLES], high[SIZE_VARIABLES]; /* measured ranges */
    struct fit_value overhead;         /* cycles a packet that the NDR leaves above the cost; 0 when not known */
    bool overhead_known;
};
void model_make(const struct size_measured *m, struct model *out);
/* Cycles a packet, without the overhead; the interval costs more than the value alone. */
struct fit_value model_at(const struct model *m, const double *x);
double model_value(const struct model *m, const double *x);
/* The measured point with a latency curve whose workload is nearest to x; NULL: none has one. */
const struct size_point *model_nearest(const struct size_measured *m, const double *x);
/* { terms, left_out, points, residual, ranges, overhead, hz, cpu, scenarios } */
json_t *model_json(const struct size_measured *measured, const struct model *m);
/* [ { x, points, measured } ] around x. */
json_t *model_curves(const struct size_measured *measured, const struct model *m, const double *x);

/* ---- hosts.c ---- */

enum limit { LIMIT_CPU, LIMIT_NIC, LIMIT_PACKETS, LIMIT_LATENCY, LIMIT_MEMORY, LIMITS };
extern const char *const limit_names[LIMITS];

struct sizing { /* what all hosts have in common */
    const struct size_measured *measured;
    const struct model *model;
    const struct size_question *q;     /* x: complete, WORKERS apart */
    const struct size_point *curve;    /* NULL: none measured */
};
struct answer {
    const struct size_host *host;
    unsigned count, least, most;       /* hosts; by cost at its interval's ends; 0: more than SIZE_COUNT_MAX */
    double workers;
    struct fit_value pps;              /* that one host may carry: headroom, NIC and p99 kept */
    double capacity;                   /* of one host's cores, packets a second */
    double load;                       /* share of it that is asked */
    double headroom;                   /* what stays free of its tightest capacity */
    double p99_ns;                     /* NAN: not known */
    double memory;                     /* bytes needed */
    enum limit limit;
    double x[SIZE_VARIABLES];          /* of one host */
};
void host_answer(const struct sizing *s, const struct size_host *h, struct answer *out);
/* How many guests like those asked about one host carries, and what limits them. */
double host_guests(const struct sizing *s, const struct size_host *h, enum limit *limit);

#endif
