/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a replay's packets come from: the arrived packets of a trace, burst by burst, each copied into a fresh mbuf. */
#ifndef FWDLAB_SRC_REPLAY_SOURCE_H
#define FWDLAB_SRC_REPLAY_SOURCE_H

#include <fwdlab/inject/inject.h>

struct rte_mbuf;
struct rte_mempool;

struct source_burst {
    uint32_t first, n; /* in source.arrived */
    uint64_t now;      /* ns after the trace's first packet: the core's clock */
};

struct source {
    const struct inject *in; /* `placed`, or the caller's */
    struct inject *placed;   /* its packets' copy in fresh memory */
    struct rte_mempool *pool;
    uint32_t *arrived; /* indexes of the ARRIVED packets in in->packets */
    uint32_t n;
    VEC(struct source_burst) bursts;
    uint64_t bytes;    /* on the wire */
    uint64_t cut;      /* packets longer than an mbuf's room: only their first bytes are copied */
    uint64_t duration; /* ns from the first packet to the last of the whole trace */
};

/* One burst in flight. The packets' metadata stand in the private areas of their mbufs. */
struct flight {
    struct rte_mbuf *mbufs[BURST_MAX];
    struct packet *pkts[BURST_MAX];
    unsigned n;
    uint64_t rewritten, unmatched; /* answers so far; the caller zeroes them */
};

/* NULL and *e when memory is short. All sources of a run may share one pool: then they also share its cache footprint.
 */
struct rte_mempool *source_pool(struct err *e);
void source_pool_free(struct rte_mempool *pool); /* NULL is allowed */
/*
 * strict: no answer shares a burst with any packet that it may be the answer to, so that verdicts are those of single
 * packets. Else only the first packet of a translation ends bursts (inject_packet.after), and bursts are longer.
 * Packets that arrive are copied to a place of their own, different each time (when they are so many that their place
 * cannot matter, they stay in `in`, which must outlive the source).
 */
void source_init(struct source *s, const struct inject *in, struct rte_mempool *pool, unsigned burst, bool strict);
void source_fini(struct source *s);

/* Fills the flight with a burst; answers go to the mappings that `nat` (NULL: none) holds now. */
void source_take(const struct source *s, const struct source_burst *b, const struct nat *nat, struct flight *f);
void source_give_back(struct flight *f);

#endif
