/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor that the core is held against: one hand-fused loop that parses, guards, translates, routes and rewrites a
 * burst with nothing exchangeable, nothing counted and no metadata left behind, for the packets that a benchmark sends
 * and no others. Its output is the core's, byte by byte. It stays here: nobody forwards with it.
 */
#ifndef FWDLAB_BENCH_FLOOR_H
#define FWDLAB_BENCH_FLOOR_H

#include "workload.h"

struct floor_packet {
    uint8_t *data;
    uint16_t len, in_port, out_port;
};

struct floor;

/* From the node's two ports, its routes (unicast, no ECMP) and the NAT sessions that it holds now. NULL: no memory. */
struct floor *floor_create(const struct node *node);
void floor_destroy(struct floor *f);
/* Forwards n <= BURST_MAX packets. Returns how many are not for the fast path: 0, or the benchmark is wrong. */
unsigned floor_run(struct floor *f, struct floor_packet *pkts, unsigned n, uint64_t now_ns);
/* The same for packets that are still in a trace: each is copied to its `data` as it is parsed. */
unsigned floor_run_trace(struct floor *f, struct floor_packet *pkts, const uint8_t (*trace)[FRAME_ROOM],
                         const struct frame_about *about, unsigned n, uint64_t now_ns);

#endif
