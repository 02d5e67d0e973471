/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Simulated devices for the throughput search: capacity and loss are known, so what a search should find is, too.
 * Packets are a fluid, and there is no noise but what is asked for. Beside them the yardstick, a plain binary search.
 */
#ifndef FWDLAB_BENCH_DEVICES_H
#define FWDLAB_BENCH_DEVICES_H

#include <fwdlab/base/random.h>
#include <fwdlab/measure/search.h>

enum device_model {
    DEVICE_HARD,   /* loses what exceeds its capacity */
    DEVICE_KNEE,   /* and some, growing, from a lower load on */
    DEVICE_BUFFER, /* keeps so many packets of the excess in a buffer, which hides overload from short trials */
    DEVICE_LOSSY,  /* and the same share of all packets at every load: its NDR is 0, and its PDR may be */
    DEVICE_MODELS
};
extern const char *const device_model_names[DEVICE_MODELS];

struct device {
    enum device_model model;
    double capacity;    /* packets a second */
    double knee, slope; /* KNEE: loss ratio = slope * (load / knee - 1)^2 */
    double buffer;      /* BUFFER: packets */
    double share;       /* LOSSY: of the packets */
    struct random *noise; /* NULL: none. Else one trial in 20 loses up to 10 % more */
};

/* Capacity log-uniform from a third of the least load to three times the greatest; one device in 50 just at either. */
void device_random(struct device *d, enum device_model model, const struct search_options *o, struct random *r);
/* The loss ratio of a trial without noise; never falls with the load. */
double device_loss(const struct device *d, double load, double seconds);
/* The true answer: the highest load with at most that loss in full trials, found by bisecting the model; 0: none. */
double device_rate(const struct device *d, const struct search_goal *g);
/* Whether the bounds hold the true answer within the goal's width; at the ends of the loads: as they should say. */
bool device_agrees(const struct device *d, const struct search_options *o, unsigned goal,
                   const struct search_bounds *found);

/* What a search came to. */
struct search_run {
    unsigned trials;
    double seconds; /* of trial time */
    struct search_bounds bounds[SEARCH_GOALS_MAX];
};
/* search_* until it is done. */
void device_search(const struct device *d, const struct search_options *o, struct search_run *out);
/*
 * A binary search for each goal: greatest load, least load (when reached), then always the middle of the logarithms;
 * full trials only, at each load until the goal's sum_s and exceed_ratio are decided. Same loads, widths and goals.
 */
void device_binary_search(const struct device *d, const struct search_options *o, struct search_run *out);

#endif
