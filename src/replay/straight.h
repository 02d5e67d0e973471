/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic straight into a device on the calling thread: no links, no pace, one burst after the other. */
#ifndef FWDLAB_SRC_REPLAY_STRAIGHT_H
#define FWDLAB_SRC_REPLAY_STRAIGHT_H

#include "worker.h"

struct straight {
    const struct traffic *traffic;
    struct traffic_cursor cursor;
    struct traffic_step next; /* the one that comes next */
    struct trial trial;       /* of trial and core what core_pass() looks at */
    struct core core;
    struct ticks ticks; /* since the caller emptied it; only when timed */
    bool frozen;        /* the core's clock stands still */
    void *buffers;
};
/* Goes on where the device's last trial ended. `burst` 0: 64. Of a crew: the packets of the device's worker alone. */
void straight_init(struct straight *s, struct trial_device *d, const struct traffic *t, unsigned burst, bool timed);
void straight_fini(struct straight *s); /* and tells the device where to go on */
/* The next burst, to the end of the lap at most; how many packets it was. */
unsigned straight_burst(struct straight *s);
/* The rest of the lap; how many packets it was. */
uint64_t straight_lap(struct straight *s);

#endif
