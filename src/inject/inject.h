/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of inject: the steps of inject_create, in their order. */
#ifndef INJECT_INJECT_PRIVATE_H
#define INJECT_INJECT_PRIVATE_H

#include <fwdlab/core/parse.h>
#include <fwdlab/inject/inject.h>

/* Which interface is which port; then each packet's kind, key and offsets from its own bytes. */
int classify(struct inject *in, const struct control *c, uint32_t node, struct err *e);
/* Output and arrival of the same packet become partners; what has unknown direction is decided by it. */
void join_copies(struct inject *in);
/* Translations, answers, and which packet must wait for which. */
void relate(struct inject *in);

/* Header fields of a packet that was parsed. */
static inline const struct ipv4_header *inject_ipv4(const struct inject_packet *p) {
    return (const struct ipv4_header *)(p->raw->data + p->l3);
}
static inline const struct ipv6_header *inject_ipv6(const struct inject_packet *p) {
    return (const struct ipv6_header *)(p->raw->data + p->l3);
}
static inline uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}
/* The tuple of an IPv4 packet with ports, or without (0). */
static inline struct nat_tuple inject_tuple(const struct flow_key *k) {
    struct nat_tuple t = {.sport = k->sport, .dport = k->dport};
    __builtin_memcpy(&t.src, k->src, 4);
    __builtin_memcpy(&t.dst, k->dst, 4);
    return t;
}
/* The packet that an ICMP error is about, which ICMP carries with it, and its offsets; false when it is cut off. */
bool inject_inner(const struct inject_packet *p, struct flow_key *key, uint32_t *l3, uint32_t *l4);

#define KIND_UNDECIDED 0xff /* direction unknown until copies are joined */

#endif
