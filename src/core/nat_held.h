/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait: copies, for the packets are the caller's. One store is for later fragments that came before their
 * first one (RFC 4787 REQ-14): a copy waits until its datagram's first fragment has been decided, and is then due to
 * pass the node again. It is due as well, to be dropped, when it waited for too long, or is the oldest of too many: so
 * fragments that nobody completes take a bounded place, and only from one another (REQ-14a). Another one is for SYNs
 * that nobody asked for (RFC 5382 REQ-4), which wait for their time to be over.
 */
#ifndef FWDLAB_SRC_CORE_NAT_HELD_H
#define FWDLAB_SRC_CORE_NAT_HELD_H

#include <fwdlab/core/nat.h>
#include <fwdlab/core/parse.h>

#define NAT_HELD_SLOTS (NAT_HELD_MAX / 2) /* of each store */
#define NAT_HELD_WAITING 128u /* packets that wait at a time */
#define NAT_HELD_DATAGRAM 16u /* fragments of one datagram */

/* What the fragments of a datagram share, as they come in, or the copies of a SYN. */
struct nat_datagram {
    be32 src, dst;
    uint32_t id; /* identification; of a SYN both ports */
    uint8_t proto;
};
static inline bool nat_datagram_equal(const struct nat_datagram *a, const struct nat_datagram *b) {
    return a->src == b->src && a->dst == b->dst && a->id == b->id && a->proto == b->proto;
}

struct nat_held;

struct nat_held *nat_held_create(void); /* NULL: no memory */
void nat_held_destroy(struct nat_held *h);
void nat_held_clear(struct nat_held *h);
/* Copies a packet whose bytes are as it came in. False: it has no place here, or `most` of the same wait already. */
bool nat_held_add(struct nat_held *h, const struct nat_datagram *of, const struct packet *p, unsigned most,
                  uint64_t now);
unsigned nat_held_waiting(const struct nat_held *h);
/* Makes a datagram's fragments due. */
void nat_held_release(struct nat_held *h, const struct nat_datagram *of);
/* Makes those due that have waited since before `since`. How many are due? */
unsigned nat_held_due(struct nat_held *h, uint64_t since);
bool nat_held_take(struct nat_held *h, struct packet *p); /* as nat_take_due */

#endif
