/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP leases of a capture (RFC 2131). */
#ifndef ANALYZE_DHCP_H
#define ANALYZE_DHCP_H

#include <jansson.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/base/vec.h>

enum { DHCP_DISCOVER = 1, DHCP_OFFER, DHCP_REQUEST, DHCP_DECLINE, DHCP_ACK, DHCP_NAK, DHCP_RELEASE, DHCP_INFORM };

struct dhcp_lease {
    be32 addr;
    struct mac mac;        /* the client's hardware address */
    uint16_t port;         /* where it was granted */
    uint64_t first, until; /* ns since the trace's first packet; until UINT64_MAX: for ever */
    uint32_t grants;       /* ACKs: the first one and renewals */
    uint32_t next;         /* with the same hash: index in leases, plus 1; 0: none */
};

struct dhcp_sight {
    uint32_t transaction;
    struct mac mac;
    uint8_t type;
    uint16_t port;
    uint32_t before;       /* number of the one before it with the same hash */
};

#define DHCP_BITS 14
struct dhcp {
    uint64_t leased[32];           /* a bit for each hash of an address, modulo 2048: some lease has it */
    uint32_t first[1u << DHCP_BITS]; /* for each hash of an address: index of its first lease, plus 1; 0: none */
    uint64_t messages[DHCP_INFORM + 1];
    VEC(struct dhcp_lease) leases; /* in the order of granting */
    VEC(struct dhcp_sight) sights; /* messages, each where it was first seen: a ring of the latest ones */
    uint32_t latest[1u << DHCP_BITS]; /* for each hash of a transaction: number of its latest sight, from 1; 0: none */
    uint32_t seen;                 /* number of the latest sight of all */
    uint64_t forwarded;            /* messages seen beyond their link */
    uint64_t duplicates;           /* proofs that an address is there twice */
};

struct analysis;
struct feed_packet;
/* Looks at a packet: fills analysis.dhcp and adds to analysis.notes. */
void dhcp_see(struct analysis *a, const struct feed_packet *q);
json_t *dhcp_json(const struct analysis *a);

#endif
