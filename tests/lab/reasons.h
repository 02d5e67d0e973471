/* SPDX-License-Identifier: BSD-3-Clause */
/* What the predicates behind reasons.tsv share. Each says exactly when kernel and core may differ, and compares what it
 * does not explain. */
#ifndef TESTS_LAB_REASONS_H
#define TESTS_LAB_REASONS_H

#include "lab.h"

#include <string.h>

struct reason {
    const char *name;
    bool (*fits)(const struct trial *t);
};
/* Each ends with a name NULL. */
extern const struct reason reasons_packet[]; /* headers, options, addresses (reasons_packet.c) */
extern const struct reason
    reasons_routing[];                      /* reverse path, broadcasts, zones, sources of errors (reasons_routing.c) */
extern const struct reason reasons_state[]; /* NAT, filters, reassembly (reasons_state.c) */
extern const struct reason reasons_nat[];   /* ICMP errors through NAT (reasons_nat.c) */

/* Names alone, for fragments.c and states.c judge themselves; each ends with NULL. */
extern const char *const fragment_reasons[];
extern const char *const state_reasons[];

static inline bool silent(const struct outcome *o) {
    return !o->delivered && o->n == 0;
}

static inline bool dropped_as(const struct trial *t, enum drop reason) {
    return t->after->verdict == VERDICT_DROP && t->after->reason == reason;
}

/* The IP header of the packet in question; NULL: it is none of that family. */
static inline const struct ipv4_header *ipv4_of(const struct trial *t) {
    const struct ipv4_header *ip = (const struct ipv4_header *)(t->in->byte + ETHERNET);
    return t->in->byte[12] == 8 && t->in->len >= ETHERNET + sizeof *ip ? ip : NULL;
}

static inline const struct ipv6_header *ipv6_of(const struct trial *t) {
    const struct ipv6_header *ip = (const struct ipv6_header *)(t->in->byte + ETHERNET);
    return t->in->byte[12] == 0x86 && t->in->len >= ETHERNET + sizeof *ip ? ip : NULL;
}

/* One ICMP error of the router's own, be it in fragments. */
static inline bool is_icmp_error(const struct outcome *o) {
    const uint8_t *ip = o->frames[0].byte + ETHERNET;
    return o->n >= 1 && o->frames[0].byte[12] == 8 && ip[9] == PROTO_ICMP && (ip[1] & 0xe0) == 0xc0;
}

static inline bool is_icmp6_error(const struct outcome *o) {
    const uint8_t *ip = o->frames[0].byte + ETHERNET;
    return o->n == 1 && o->frames[0].byte[12] == 0x86 && ip[6] == PROTO_ICMPV6 && ip[40] < ICMPV6_ECHO;
}

/* Is it one error, to the sender of the packet in question, that quotes its header? */
static inline bool is_error_about(const struct outcome *o, const struct trial *t) {
    const uint8_t *ip = o->frames[0].byte + ETHERNET, *in = t->in->byte + ETHERNET;
    if (ipv6_of(t))
        return is_icmp6_error(o) && !memcmp(ip + 24, in + 8, 16) && !memcmp(ip + 48, in, 40);
    const uint8_t *inside = ip + (ip[0] & 15) * 4 + 8;
    return ipv4_of(t) && is_icmp_error(o) && o->n == 1 && !memcmp(ip + 16, in + 12, 4) && !memcmp(inside, in, 20);
}

/* Is it the packet in question as it came, but for what a router changes (TTL, checksum, options)? */
static inline bool is_forwarded(const struct outcome *o, const struct trial *t) {
    const uint8_t *ip = o->frames[0].byte + ETHERNET, *in = t->in->byte + ETHERNET;
    uint32_t len = o->frames[0].len - ETHERNET, ttl = ipv6_of(t) ? 7 : 8, end = ipv6_of(t) ? 8 : 12;
    uint32_t l4 = ipv6_of(t) ? 40 : (in[0] & 15) * 4u;
    return o->n == 1 && !o->delivered && o->frames[0].len <= t->in->len && len >= l4 && !memcmp(ip, in, ttl) &&
           ip[ttl] + 1 == in[ttl] && !memcmp(ip + end, in + end, (ipv6_of(t) ? 40 : 20) - end) &&
           !memcmp(ip + l4, in + l4, len - l4);
}

/* Is what reached the router's own stack the packet as it came? */
static inline bool is_delivered(const struct outcome *o, const struct trial *t) {
    const uint8_t *ip = o->at_stack.byte, *in = t->in->byte + ETHERNET;
    uint32_t len = o->at_stack.len, l4 = ipv6_of(t) ? 40 : (in[0] & 15) * 4u, until = ipv6_of(t) ? 40 : 10;
    return o->delivered && o->n == 0 && len <= t->in->len - ETHERNET && len >= l4 && !memcmp(ip, in, until) &&
           !memcmp(ip + l4, in + l4, len - l4);
}

/* What any router may make of a packet that it does not look into. */
static inline bool is_routed(const struct outcome *o, const struct trial *t) {
    return silent(o) || is_forwarded(o, t) || is_delivered(o, t) || is_error_about(o, t) || o->n > 1;
}

bool is_broadcast(const struct trial *t, be32 addr);

#endif
