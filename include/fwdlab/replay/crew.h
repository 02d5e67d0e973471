/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several core workers for one node: a node for each, with sessions and counters of its own; ports and routes are read
 * by all. Packets are dispatched by their bytes (core/dispatch.h). Answers through NAT are still addressed to the
 * captured mapping then: they go to whom their flow went, whose NAT has the mapping of this run.
 */
#ifndef FWDLAB_REPLAY_CREW_H
#define FWDLAB_REPLAY_CREW_H

#include <fwdlab/core/forward.h>

#define CREW_MAX 8

struct crew;

/*
 * Of a node that stays as it is, and must live longer. n_slots: the traffic's. NULL and *e: -EINVAL (1..CREW_MAX
 * workers, and as many ports), -ENOTSUP (the node has security groups, whose flows would have to be divided), -ENOMEM.
 */
struct crew *crew_create(const struct node *node, unsigned workers, uint32_t n_slots, struct err *e);
void crew_destroy(struct crew *c);
unsigned crew_workers(const struct crew *c);
struct node *crew_node(const struct crew *c, unsigned worker);

#endif
