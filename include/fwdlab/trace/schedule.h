/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When each packet is to be sent: open loop, against one absolute clock that starts at 0 with the first packet. Times
 * do not depend on what became of earlier packets. Every sending worker walks the same schedule and sends its share of
 * it, so that all of them agree on every packet's time without talking to each other.
 */
#ifndef FWDLAB_TRACE_SCHEDULE_H
#define FWDLAB_TRACE_SCHEDULE_H

#include <stddef.h>
#include <fwdlab/base/err.h>
#include <fwdlab/base/random.h>

enum pace_kind {
    PACE_MAX,      /* as fast as it goes: no schedule, latency has no meaning */
    PACE_TRACE,    /* the trace's own times, divided by `factor` */
    PACE_CONSTANT, /* equal gaps */
    PACE_POISSON,  /* exponential gaps with mean 1 / pps, seeded */
    PACE_BURSTS,   /* `burst` packets at once; bursts at equal gaps, so that the mean rate is pps */
};
struct pace {
    uint8_t kind;   /* enum pace_kind */
    double factor;  /* TRACE: 2 is twice as fast */
    double pps;     /* CONSTANT, POISSON, BURSTS */
    unsigned burst; /* BURSTS */
    uint64_t seed;  /* POISSON */
};

/*
 * "max", "trace", "2x" or "0.5x" (trace times a factor), "1500000pps", "1.5Mpps", "200kpps" (constant),
 * "poisson:1Mpps", "bursts:32:1Mpps". -EINVAL with what would be right.
 */
int pace_parse(const char *text, struct pace *out, struct err *e);
/* The same text back: what results call it. */
const char *pace_format(const struct pace *p, char *buf, size_t size);

struct schedule {
    struct pace pace;
    uint64_t n;          /* packets so far */
    unsigned __int128 at; /* of the next one, in 2^-32 ns: no rate drifts in a day */
    unsigned __int128 gap;
    struct random random;
};
void schedule_init(struct schedule *s, const struct pace *p);
/*
 * The next packet's time, ns after the first. `trace_ns`: its time in the trace after the first one's, laps included;
 * only PACE_TRACE looks at it, and keeps times from going backwards. PACE_MAX: 0.
 */
uint64_t schedule_next(struct schedule *s, uint64_t trace_ns);

#endif
