/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of traffic: how an inject becomes packets to send, and what is kept to change them. */
#ifndef INJECT_TRAFFIC_PRIVATE_H
#define INJECT_TRAFFIC_PRIVATE_H

#include <fwdlab/inject/traffic.h>
#include "inject.h"

#define LAP_GAP_NS 1000000000ull
#define BUFFER_BYTES 2048 /* of the frame in a sender's buffer */
#define FCS_BYTES 4
#define PORT_FIRST 1024u
#define PORTS (65536u - PORT_FIRST) /* that copies and generations use */

/* ---- where a packet belongs (traffic_flow.c) ---- */

struct member {
    uint32_t flow;       /* INJECT_NONE: it did not arrive */
    bool from_initiator;
    bool reported;       /* see traffic_packet */
    bool starts;         /* the flow's first packet */
};
/*
 * Of all packets of `in`: `out` has in->n. Flows are numbered from *next on, modulo `modulo`; a flow whose first packet
 * here is known from before (known[i] not INJECT_NONE; `known` may be NULL) keeps that number.
 */
void traffic_members(const struct inject *in, const uint32_t *known, uint32_t *next, uint32_t modulo,
                    struct member *out);

/* ---- other frame sizes (traffic_size.c) ---- */

/* Bytes in the buffer of a packet as a frame of `size` bytes (with FCS); 0: not to be had. */
uint32_t traffic_resized(const struct inject_packet *p, unsigned size);
/* Writes it with that length: all lengths and checksums are right. */
void traffic_resize(const struct inject_packet *p, uint32_t len, uint8_t *out);

/* ---- the traffic (traffic_build.c) ---- */

/* Of one packet, for copies and generations: where what edits stands. Offsets are 0 where there is nothing. */
struct edit {
    uint16_t port;   /* the initiator's port or ICMP identifier; 0: sent as it is */
    uint16_t addr;   /* last two bytes of his address */
    uint16_t ip_sum;
    uint16_t l4_sum;
    uint16_t responder; /* his address, IPv4 */
    bool udp;        /* a checksum of 0 is written as 0xffff */
    bool pseudo;     /* l4_sum covers the address */
    bool opens;
    bool fixed;      /* copy 0 of its flow is never renewed: it has reported packets */
};
struct traffic_plan {
    struct traffic traffic;
    struct edit *edits;  /* one a packet */
    uint8_t *memory;         /* the bytes of all packets */
    uint64_t churn;          /* 2^32: all */
    be16 *ports;             /* that no captured flow uses */
    uint32_t n_ports;
    uint8_t hosts[256];      /* last bytes of addresses that no captured address has */
    uint32_t n_hosts;
    be32 *responders;        /* of each slot, where spread; 0: as captured. NULL: all are */
    uint64_t variants;       /* ports with the captured address, then all ports with each of the hosts */
};
static inline const struct traffic_plan *traffic_plan(const struct traffic *t) {
    return t->owner;
}
int traffic_check(const struct traffic_options *o, struct err *e);
/*
 * The n packets `which` (indexes in `in`, in their order) as traffic of flows 0..n_flows-1, in one copy. `epoch_ns`:
 * the capture's time that is 0.
 */
struct traffic_plan *traffic_plan_create(const struct inject *in, const struct member *members, const uint32_t *which,
                                         uint32_t n, uint32_t n_flows, uint64_t epoch_ns,
                                         const struct traffic_options *o);
/* Decides how many copies there are, and from which ports and addresses they come. -EINVAL: too many are wanted. */
int traffic_vary(struct traffic_plan *plan, const struct inject *in, struct err *e);
/* Then, where options ask for it: each slot's responder (traffic_spread.c). */
void traffic_spread(struct traffic_plan *plan);
/* Then: which packets open bursts. */
void traffic_openings(struct traffic_plan *plan);

#endif
