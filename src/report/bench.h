/* SPDX-License-Identifier: BSD-3-Clause */
/* What a benchmark's document says, read for tables, charts and conclusions. */
#ifndef FWDLAB_REPORT_BENCH_H
#define FWDLAB_REPORT_BENCH_H

#include "conclude.h"
#include "view.h"

#define LOADS_MAX 16

/* One load of a configuration; `share`: per cent of PDR. */
struct load {
    double share;
    const json_t *doc;
    const char *name; /* "no load", "50 % of PDR" */
};
/* By rising share; their number. */
unsigned bench_loads(struct arena *a, const struct bench *b, struct load list[LOADS_MAX]);
/* The one with this share; NULL. */
const json_t *bench_load(const struct bench *b, double share);

/* The entry of the comparison that has this configuration and figure; NULL. */
const json_t *bench_compared(const struct bench *b, const char *figure);
bool bench_is_base(const struct bench *b);

/* What the machine took. */
struct bench_noise {
    bool known;           /* there are trials that tell */
    double lost_share;    /* of the trials' time */
    bool machine_noisy;   /* the idle loop said so */
    long long trials, repeated, invalid;
    long long noisy;      /* trials that stayed noisy after they were repeated */
};
void bench_noise(const struct bench *b, struct bench_noise *out);
/* " The idle machine lost 0.002 % of the time (longest gap 31 us). The trials ..."; of all (NULL) the worst. */
const char *bench_noise_text(const struct view *v, const struct bench *one);

/* Lost / asked time of one trial; negative: unknown. */
double trial_lost_share(const json_t *trial);
/* A trial counts when it was neither late nor noisy. */
enum trial_state { TRIAL_COUNTS, TRIAL_NOISY, TRIAL_LATE };
enum trial_state trial_state(const json_t *trial);

/* "7.92 Mpps"; "at least 12 Mpps"; "none"; "" when nothing is known. Of { lower, upper }. */
const char *bounds_text(struct arena *a, const json_t *bounds);
/* "ndr": "NDR". */
const char *goal_label(struct arena *a, const char *name);
/* The bounds of this goal: ndr_pps, pdr_pps, or what stands in goals. */
const json_t *bench_goal(const struct bench *b, const char *name);

/* All that can be said of it, and in one sentence (with a full stop). */
void conclude_bench(const struct view *v, const struct bench *b, struct conclusion *out);
const char *bench_headline(const struct view *v);

/* What documents of compare and size conclude: their own sentence, and how far it can be believed. */
void conclude_compare(const struct view *v, const json_t *doc, struct conclusion *out);
void conclude_size(const struct view *v, const json_t *doc, struct conclusion *out);

#endif
