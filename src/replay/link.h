/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One way from a worker to another: a ring (link_ring.c) or a pair of DPDK ports (link_port.c). What travels is a
 * carrier: the core's packet and the trial's probe, in the private area of an mbuf that holds the bytes.
 *
 * An mbuf on a link is raw, as rte_mempool_get() gives it (one segment, one reference); all belong to the topology's
 * pool, and go back by rte_mempool_put(). packet.data and packet.len say where the bytes are. A ring touches nothing. A
 * port link sets data_off, data_len, pkt_len and ol_flags before it transmits, and serialises into the frame what the
 * receiver needs; when it receives, it fills a carrier again: the probe, and of the packet data, len, wire_len, room,
 * in_port, flags, and family, proto, l3, l4 (of the frame as captured: traffic_fit wants them; parse sets them anew).
 */
#ifndef FWDLAB_SRC_REPLAY_LINK_H
#define FWDLAB_SRC_REPLAY_LINK_H

#include <rte_mbuf.h>
#include <fwdlab/inject/traffic.h>

#define LINK_UNDER_WAY 1024 /* packets for each core worker that are taken and not yet with theirs (shard.h), at most */
#define LINK_ROOM 2048 /* bytes of a frame at most; packet.data begins RTE_PKTMBUF_HEADROOM after the buffer's start */

/* What a trial wants to know of a packet when it comes out again. */
struct probe {
    uint64_t intended;        /* TSC */
    uint64_t done;            /* TSC, when the core handed it to the outward link */
    struct traffic_step step;
    uint32_t sequence;        /* of its generator, from 1; wraps */
    uint8_t from_initiator;   /* its direction in the flow, 0 or 1 */
    uint8_t answer;           /* to be fitted by the core */
};
struct carrier {
    struct packet packet;
    struct probe probe;
};
static_assert(sizeof(struct probe) == 64, "a probe is one cache line");

static inline struct carrier *link_carrier(struct rte_mbuf *m) {
    return (struct carrier *)(m + 1); /* rte_mbuf_to_priv */
}
static inline struct rte_mbuf *link_mbuf(struct carrier *c) {
    return (struct rte_mbuf *)c - 1;
}
static inline uint8_t *link_data(struct rte_mbuf *m) {
    return (uint8_t *)(link_carrier(m) + 1) + RTE_PKTMBUF_HEADROOM; /* without a look into the mbuf */
}

struct link {
    /*
     * How many of n were taken: the first ones, which belong to the link then. Never waits. The others stay the
     * caller's. One thread sends, one receives.
     */
    unsigned (*send)(struct link *l, struct rte_mbuf **m, unsigned n);
    unsigned (*receive)(struct link *l, struct rte_mbuf **m, unsigned n);
    /*
     * Before each trial, with all workers at rest: forgets what an earlier one left in it. `longest`: bytes of the
     * trial's longest frame in a buffer; -errno when it can't take that, or does not work. NULL: nothing to do.
     */
    int (*begin)(struct link *l, unsigned longest, struct err *e);
    void (*close)(struct link *l);
    bool exact;    /* what it took comes out: nothing vanishes, however long it takes */
    bool measures; /* latency ends when a packet is received from it, not when it was sent (probe.done) */
};

/* The pool of a topology: at least n carriers beyond what `workers` keep in their caches. NULL and *e: no memory. */
struct rte_mempool *link_pool(unsigned n, unsigned workers, struct err *e);

#endif
