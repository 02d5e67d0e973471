/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes under change, which a reader can judge by itself. Every announcement and replacement of a prefix has a serial
 * number. It leads to a neighbour whose address says both, or to one of a few neighbours, as routes do outside of
 * checks. The default route stays. Beside the routes stands for each prefix what it says since which generation of the
 * table, and what it said before: so a reader knows all that the table may answer between two generations. A prefix
 * changes once in a batch at most, and a reader sees no more than one batch come between two entries.
 */
#ifndef FWDLAB_BENCH_UPDATES_H
#define FWDLAB_BENCH_UPDATES_H

#include <fwdlab/base/random.h>
#include <fwdlab/core/route_live.h>
#include <pthread.h>
#include <stdatomic.h>

#define UPDATES_BATCHES 100 /* a second */
#define SERIALS 4096u       /* 0: withdrawn; prefixes and serials fill an address */
#define PREFIXES_MAX (1u << 20)

struct subject {
    struct route_live *live;
    struct route *routes; /* n as first announced, then the default route */
    uint32_t n;
    uint32_t neighbours; /* so many; 0: as many as prefixes and serials */
    uint32_t *cover; /* the longest other prefix that holds prefix i; n: the default route */
    _Atomic uint64_t *said; /* generation << 32 | serial before << 16 | serial since */
};

/* The IPv4 prefixes of a file, at the start of each line, or n made-up ones. Ends the program when it can't. */
void subject_init(struct subject *s, const char *file, uint32_t n, uint32_t neighbours, struct random *r);
/* Takes `live` as well. */
void subject_fini(struct subject *s);
struct route_live *subject_live(const struct subject *s, unsigned readers);
/* The neighbour that a table of this generation leads an address to whose longest prefix in `routes` is `prefix`. */
be32 subject_answer(const struct subject *s, uint32_t prefix, uint64_t generation);
/* Did the table say so in one of these generations? The reader has not entered again since the first of them. */
bool subject_said(const struct subject *s, uint32_t prefix, uint64_t from, uint64_t to, be32 neighbour);

/* Changes random prefixes at a rate, in batches, from a CPU of its own. */
struct updater {
    struct subject *subject;
    unsigned cpu;
    uint64_t rate; /* updates a second */
    _Atomic bool on, over;
    _Atomic uint64_t done;     /* updates */
    _Atomic uint64_t batches;  /* their grace periods are over */
    uint64_t busy_ns;          /* of CPU; read it when over */
    struct random random;
    pthread_t thread;
};
void updater_start(struct updater *u);
void updater_stop(struct updater *u);

#endif
