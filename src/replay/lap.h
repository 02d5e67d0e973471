/* SPDX-License-Identifier: BSD-3-Clause */
/* One lap: all packets of a source once through the node, to see their verdicts, to count, or to measure. */
#ifndef FWDLAB_SRC_REPLAY_LAP_H
#define FWDLAB_SRC_REPLAY_LAP_H

#include "source.h"
#include <fwdlab/replay/replay.h>

/* The core's clock goes on by this much between the end of one lap and the start of the next. */
#define LAP_GAP_NS 1000000000ull

struct ticks {
    uint64_t stage[NODE_STAGES_MAX]; /* TSC cycles, the stamps' own included */
    uint64_t calls[NODE_STAGES_MAX];
    uint64_t lost; /* in calls that took longer than any burst can need; not in `stage` */
    uint64_t packets[NODE_STAGES_MAX], drops[NODE_STAGES_MAX]; /* that entered the stage, and ended there */
};

/* Fills verdicts and the counters that belong to them. */
void lap_verdicts(struct replay_configuration *c, const struct source *s, uint64_t offset);
/* Fills packets and drops of the stages. */
void lap_count(struct replay_configuration *c, const struct source *s, uint64_t offset);
/* Adds to `t`. */
void lap_time(const struct replay_configuration *c, const struct source *s, uint64_t offset, struct ticks *t);
/* forward() with a stamp after each stage: adds to `t`. Calls of over lost_limit ticks are lost. */
void lap_stages(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now, struct ticks *t,
                uint64_t lost_limit);
/* TSC cycles that a stage seems to take which does nothing: call and stamp. */
uint64_t lap_overhead(void);

#endif
