/* SPDX-License-Identifier: BSD-3-Clause */
/* A small NAT router and a made-up trace for it. */
#ifndef FWDLAB_TESTS_REPLAY_TRAFFIC_H
#define FWDLAB_TESTS_REPLAY_TRAFFIC_H

#include <fwdlab/inject/inject.h>

enum { PORT_INSIDE, PORT_OUTSIDE, PORT_LAN };

/*
 * Inside 10.0.2.1/24, outside 10.0.0.4/24 with NAT and the default route, LAN 10.0.1.4/24 with 10.0.3.0/24 behind it.
 * udp_ns: how long UDP sessions live; 0: the default. NULL backend: the trie. NAT has 300 ports.
 */
struct node *traffic_node(const struct route_backend *backend, bool nat, uint64_t udp_ns);
void traffic_node_free(struct node *node);

/*
 * n captured packets, 20 us apart on average: new flows of guests to the Internet and to the LAN, more of the same,
 * their answers (addressed to the ports that another NAT had chosen), and packets that are dropped or delivered for a
 * dozen reasons. Some captured packets are the node's own output.
 */
struct inject *traffic_trace(unsigned n, uint64_t seed);
void traffic_trace_free(struct inject *in);

#endif
