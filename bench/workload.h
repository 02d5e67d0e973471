/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Made-up work for the core: a router with guests at port 0 and the Internet at port 1, a routing table in the
 * Internet's mix of prefix lengths, flows to addresses all over it, and a trace of 64-byte packets of these flows, both
 * ways.
 */
#ifndef FWDLAB_BENCH_WORKLOAD_H
#define FWDLAB_BENCH_WORKLOAD_H

#include <fwdlab/base/random.h>
#include <fwdlab/core/forward.h>

#define FRAME_LEN 60 /* and four bytes of FCS that no buffer sees */
#define FRAME_ROOM 64
#define WORKLOAD_BURST 64

enum { PORT_INSIDE, PORT_OUTSIDE };

struct workload_options {
    const struct route_backend *backend;
    uint32_t flows, routes;
    bool nat, zipf;   /* zipf: exponent 1; else all flows are as likely */
    uint32_t packets; /* of the trace, a multiple of WORKLOAD_BURST */
};

/* What the trace says of a frame beside its bytes. */
struct frame_about {
    uint16_t len, in_port;
    uint32_t early; /* TSC cycles between the time when it was to be sent and that when its burst is */
};

struct workload {
    struct workload_options o;
    struct node node;
    uint8_t (*frames)[2][FRAME_ROOM]; /* of each flow: as it leaves the guest, and its answer */
    uint32_t *sequence;               /* flow << 1 | answer, of each packet of the trace */
    uint8_t (*trace)[FRAME_ROOM];     /* o.packets of them, as they are sent, and room for a burst */
    struct frame_about *about;       /* one for each */
    uint32_t at;                      /* where in the trace its user is */
    uint64_t now;                     /* the core's clock, ns */
};

/* Makes it and passes the first packets of each flow through the node. Ends the program with a message when it can't.
 */
void workload_init(struct workload *w, const struct workload_options *o);
void workload_fini(struct workload *w);
/* One packet of each flow through the node, after nat_reset, or in sessions; adds the TSC cycles of forward() to
 * *cycles. */
void workload_begin_flows(struct workload *w, uint64_t *cycles);
void workload_repeat_flows(struct workload *w, uint64_t *cycles);

/* A burst of buffers, as a driver hands them over; packet.tag: when the packet was to be sent, TSC cycles. */
struct burst {
    uint8_t data[WORKLOAD_BURST][FRAME_ROOM] __attribute__((aligned(64)));
    struct packet packets[WORKLOAD_BURST] __attribute__((aligned(64)));
    struct packet *pkts[WORKLOAD_BURST];
};
/* Which buffer each packet has: once, as a pool does. */
static inline void burst_init(struct burst *b) {
    for (unsigned k = 0; k < WORKLOAD_BURST; k++) {
        b->pkts[k] = &b->packets[k];
        b->packets[k].data = b->data[k];
    }
}
static inline void packet_set(struct burst *b, unsigned k, const uint8_t *frame, const struct frame_about *about,
                              uint64_t now) {
    struct packet *p = &b->packets[k];
    memcpy(b->data[k], frame, FRAME_ROOM);
    p->len = p->wire_len = about->len;
    p->room = (uint16_t)(FRAME_ROOM - about->len);
    p->flags = 0;
    p->in_port = about->in_port;
    p->tag = now - about->early;
}
/* What a packet source does: copies the packets of the trace from `at` on, which are sent `now` (TSC). */
static inline void burst_fill(struct burst *b, const struct workload *w, uint32_t at, uint64_t now) {
    const uint8_t (*trace)[FRAME_ROOM] = (const uint8_t (*)[FRAME_ROOM])w->trace + at;
    const struct frame_about *about = w->about + at;
    for (unsigned k = 0; k < WORKLOAD_BURST; k++) {
        __builtin_prefetch(trace[k + WORKLOAD_BURST], 0, 2); /* into L2: L1 has too few fill buffers for a burst */
        packet_set(b, k, trace[k], &about[k], now);
    }
}
/* The routes alone, for lookup benchmarks: prefix i of n. Distinct, and none reaches into 10/8 or 203.0.113/24. */
void workload_prefixes(struct ip_prefix *out, uint32_t n, struct random *r);
be32 workload_address_in(const struct ip_prefix *p, struct random *r);

#endif
