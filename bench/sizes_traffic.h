/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traffic of one point of bench/sizes: the workload's node and flows, with a NAT that holds as many sessions as are
 * asked for, frames of any size, bursts of any length, and a share of packets that begin new flows. Flows are drawn
 * uniformly, packet by packet, and never repeat as a sequence: what a sample touches is what the tables hold.
 *
 * New flows are UDP packets from inside with a source of their own, whose sessions end a second later by the core's
 * clock. The clock runs so that, at every share, as many of them are live as there are lasting sessions, which are TCP
 * connections then.
 */
#ifndef FWDLAB_BENCH_SIZES_TRAFFIC_H
#define FWDLAB_BENCH_SIZES_TRAFFIC_H

#include "workload.h"

#define SIZES_FRAME_MAX 1518
#define SIZES_STRIDE 2240 /* between buffers: an odd number of cache lines, so that they use all sets of a cache */

struct sizes_spec {
    uint32_t sessions; /* 0: no NAT, a million flows */
    uint32_t routes;
    uint32_t bytes;    /* a frame with FCS, 64..SIZES_FRAME_MAX */
    uint32_t burst;    /* 1..BURST_MAX */
    double churn;      /* 0..1 */
    bool churned;      /* there is room for as many sessions that come and go */
};

struct sizes_traffic {
    struct sizes_spec spec;
    struct workload w;
    struct random random;
    uint32_t fresh;       /* new flows so far */
    double ns_per_packet; /* of the core's clock */
    double clock;
    uint8_t *arrived, *buffers; /* spec.burst of each, SIZES_STRIDE apart */
    uint16_t port[BURST_MAX];
    struct packet packets[BURST_MAX];
    struct packet *pkts[BURST_MAX];
};

/* Makes it, and passes what must pass before its cost is steady. Ends the program with a message when it can't. */
void sizes_traffic_init(struct sizes_traffic *t, const struct sizes_spec *spec);
void sizes_traffic_fini(struct sizes_traffic *t);
/* The next burst arrives: its frames, not yet in buffers. */
void sizes_traffic_arrive(struct sizes_traffic *t);
/* Copies the burst into buffers and forwards it: what is timed. */
void sizes_traffic_pass(struct sizes_traffic *t);
/* Ends the program when a packet of the burst was not forwarded. */
void sizes_traffic_check(const struct sizes_traffic *t);

/* Memory that the traffic touches, bytes: NAT sessions, the lookup's first level, packets and their buffers. */
uint64_t sizes_session_bytes(const struct sizes_traffic *t);
uint64_t sizes_route_bytes(const struct sizes_traffic *t);
uint64_t sizes_packet_bytes(const struct sizes_traffic *t);

#endif
