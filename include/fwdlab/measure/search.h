/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Throughput search after MLRsearch (draft-ietf-bmwg-mlrsearch): several goals (NDR, PDR) in one search, from few and
 * short trials to the goal's own. It asks for trials and is told their results; it knows no clock, device or thread.
 *
 * A goal looks for the highest load at which at most `exceed_ratio` of the trials (by their time) lose more than
 * `loss_ratio` of their packets. Its relevant lower bound is a load that fulfils it, its upper bound one that fails it;
 * the goal is done when they are at most `width` apart (relative to the upper one), each of them having been tried for
 * `sum_s` seconds (or decided earlier: what is left could not change it). A short trial never makes a lower bound; its
 * loss counts against a load as far as short trials without loss there don't outweigh it.
 *
 * A late or noisy trial is the caller's business: it is repeated and not recorded, or search_limit is called.
 */
#ifndef FWDLAB_MEASURE_SEARCH_H
#define FWDLAB_MEASURE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>
#include <fwdlab/base/err.h>

#define SEARCH_GOALS_MAX 4

struct search_goal {
    const char *name;      /* "ndr", "pdr"; not NULL, the caller's */
    double loss_ratio;     /* 0 for NDR, 0.005 for PDR */
    double exceed_ratio;   /* 0..<1; 0.5: half of the trials (by time) may lose more */
    double width;          /* relative, 0.005; 0.0001 at least */
    double trial_s;        /* length of a full trial */
    double initial_s;      /* length of a short one; trial_s: no short ones */
    double sum_s;          /* total time of full trials that a bound needs; trial_s at least */
};
struct search_options {
    double min_load, max_load; /* packets a second; 0 < min < max */
    struct search_goal goals[SEARCH_GOALS_MAX]; /* in the order of their loss ratios */
    unsigned n_goals;
    double max_total_s;    /* of trial time; 0: no limit. No trial is asked for that goes beyond: bounds stay wide */
};
/*
 * NDR (no loss) and PDR (0.5 %) between the two loads, for a machine that is not quiet:
 * - trials of 0.8 s, as long as real-time throttling lets a SCHED_FIFO worker run;
 * - 0.5 % wide: what one run differs from the next anyway;
 * - a bound is two trials of which one may fail (sum_s = 2 trial_s, exceed_ratio 0.5). Machines disturb in one
 *   direction: a trial without loss proves its load at once, only loss must happen twice. When 5 % of the trials are
 *   disturbed, 1 load of 400 looks overloaded by mistake; with one trial a bound it is 1 of 20, and NDR ends up there.
 *   Three trials of which one may fail are worse than two: 1 of 140;
 * - short trials of 0.2 s: a quarter of the time, and a ring of 1024 packets hides no more than 0.5 % at 1 Mpps.
 * A search then takes 10 trials on a device with a hard limit, 30 to 45 on one that loses a little long before it; 60 s
 * of trials at most.
 */
struct search_options search_defaults(double min_load, double max_load);

struct search_trial {
    double load, seconds;  /* what to try next */
    unsigned goal;         /* for whom */
};
struct search_outcome {
    double load, seconds;  /* what was tried: intended load, asked length (1 % off counts as that) */
    double loss_ratio;     /* lost / intended; not a number: all */
};

/* Of full trials alone. A load that was never decided is no bound. */
struct search_bounds {
    double lower;          /* 0: not known; with upper at min_load: even that fails */
    double upper;          /* INFINITY: not known; with lower at max_load: even that is fine */
    double conditional;    /* conditional throughput: lower * (1 - loss that 1 - exceed_ratio of its trials keep to) */
    bool exact;            /* both are known and within the width */
};

struct search;
/* NULL: -EINVAL, and *e says which option. */
struct search *search_create(const struct search_options *o, struct err *e);
void search_destroy(struct search *s);
/* False: every goal is done, or max_total_s is. The same again until something is recorded. */
bool search_next(struct search *s, struct search_trial *out);
void search_record(struct search *s, const struct search_outcome *outcome);
/* The generator can't send more than this: loads above are not tried any more; upper bounds there stay unknown. */
void search_limit(struct search *s, double max_load);
void search_bounds(const struct search *s, unsigned goal, struct search_bounds *out);
double search_total_s(const struct search *s); /* trial time so far */

#endif
