/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes: addresses and ports in headers, with every checksum that covers them (RFC 3022, 4.2; RFC 1624). */
#include "nat_internal.h"

#include <fwdlab/core/checksum.h>

/* Types of queries: echo, timestamp, information, address mask. The answers have even numbers, but for echo. */
bool nat_icmp_is_request(uint8_t type) {
    return type != ICMP_ECHO_REPLY && type != ICMP_TIMESTAMP_REPLY && type != ICMP_INFORMATION_REPLY &&
        type != ICMP_MASK_REPLY;
}

static bool icmp_is_query(uint8_t type) {
    return type == ICMP_ECHO_REPLY || type == ICMP_ECHO || (type >= ICMP_TIMESTAMP && type <= ICMP_MASK_REPLY);
}

static struct nat_view view_of(const struct packet *p) {
    uint32_t end = p->l3 + (uint32_t)ntohs(packet_ipv4(p)->total_length); /* padding follows */
    return (struct nat_view){packet_ipv4(p), p->flags & PACKET_FRAG_LATER ? NULL : p->data + p->l4,
                             p->data + (end < p->len ? end : p->len)};
}

static bool holds(const struct nat_view *v, unsigned offset, unsigned size) {
    return v->l4 && v->l4 + offset + size <= v->end;
}

/* The query identifier is the port of the end that asks. Of other protocols the ports stay as they are. */
uint8_t *nat_port_field(const struct nat_view *v, bool source) {
    switch (v->ip->proto) {
    case PROTO_TCP:
    case PROTO_UDP:
        return holds(v, 0, 4) ? v->l4 + (source ? 0 : 2) : NULL;
    case PROTO_ICMP:
        return holds(v, 0, 6) && icmp_is_query(v->l4[0]) && nat_icmp_is_request(v->l4[0]) == source ? v->l4 + 4 : NULL;
    default:
        return NULL;
    }
}

static uint8_t *checksum_field(const struct nat_view *v) {
    unsigned offset;
    switch (v->ip->proto) {
    case PROTO_TCP:
        offset = 16;
        break;
    case PROTO_UDP:
    case PROTO_UDPLITE:
    case PROTO_DCCP:
        offset = 6;
        break;
    case PROTO_ICMP:
        offset = 2;
        break;
    default:
        return NULL;
    }
    if (!holds(v, offset, 2) || (v->ip->proto == PROTO_UDP && load16(v->l4 + offset) == 0)) /* none: RFC 768 */
        return NULL;
    return v->l4 + offset;
}

/* Fields of L4: NULL where they stay. */
static inline __attribute__((always_inline)) void fields_set(struct ipv4_header *ip, bool source, uint8_t *port_field,
                                                             uint8_t *sum_field, be32 addr, be16 port) {
    const be32 was = source ? ip->src : ip->dst, less = ~was;
    uint32_t change = 0; /* to the sums (RFC 1624, equation 3) */
    if (was != addr) {
        change = (less & 0xffff) + (less >> 16) + (addr & 0xffff) + (addr >> 16);
        ip->checksum = checksum_fold((uint16_t)~ip->checksum + change);
        if (source)
            ip->src = addr;
        else
            ip->dst = addr;
    }
    if (ip->proto == PROTO_ICMP) /* has no pseudo header */
        change = 0;
    if (port_field) {
        change += (uint16_t)~load16(port_field) + (uint32_t)port;
        store16(port_field, port);
    }
    if (sum_field) {
        const be16 sum = checksum_fold((uint16_t)~load16(sum_field) + change);
        store16(sum_field, ip->proto == PROTO_UDP && sum == 0 ? 0xffff : sum);
    }
}

void nat_view_set(const struct nat_view *v, bool source, be32 addr, be16 port) {
    fields_set(v->ip, source, nat_port_field(v, source), checksum_field(v), addr, port);
}

struct nat_tuple nat_packet_tuple(const struct packet *p) {
    const uint64_t ends = load64(&p->src);
    if (!(p->flags & PACKET_PORTS))
        return nat_tuple_of(ends, 0);
    if (p->proto != PROTO_ICMP)
        return nat_tuple_of(ends, load32(&p->sport));
    const bool request = nat_icmp_is_request(p->data[p->l4]);
    return nat_tuple_of(ends, request ? nat_ports(p->sport, 0) : nat_ports(0, p->dport));
}

bool nat_moves_port(const struct packet *p, bool source) {
    if (p->flags & PACKET_PORTS && p->proto != PROTO_ICMP)
        return p->proto == PROTO_TCP || p->proto == PROTO_UDP;
    struct nat_view v = view_of(p);
    return nat_port_field(&v, source) != NULL;
}

/* The checksum of the segment lies in a later fragment, where nobody would find it (RFC 1858, 3). */
static bool is_tiny(const struct packet *p) {
    const struct ipv4_header *ip = packet_ipv4(p);
    return ntohs(ip->total_length) < (ip->version_ihl & 15) * 4u + 18;
}

/* Is it a whole TCP or UDP packet with all fields there? */
static inline bool is_plain(const struct packet *p) {
    const unsigned end = p->l4 + (p->proto == PROTO_TCP ? 18u : 8u);
    return (p->flags & (PACKET_PORTS | PACKET_FRAG_FIRST)) == PACKET_PORTS &&
           (p->proto == PROTO_TCP || p->proto == PROTO_UDP) && end <= p->len &&
           end <= p->l3 + (uint32_t)ntohs(packet_ipv4(p)->total_length);
}

/* What follows in the metadata. */
static inline void note_set(struct packet *p, bool source, be32 addr, be16 port, bool port_set) {
    p->flags |= source ? PACKET_SRC_CHANGED : PACKET_DST_CHANGED;
    if (source)
        p->src = addr;
    else
        p->dst = addr;
    if (port_set && source)
        p->sport = port;
    else if (port_set)
        p->dport = port;
}

static __attribute__((noinline)) void set_special(struct packet *p, bool source, be32 addr, be16 port) {
    const struct nat_view v = view_of(p);
    uint8_t *port_field = nat_port_field(&v, source);
    if (addr == (source ? p->src : p->dst) && !port_field)
        return;
    if (p->flags & PACKET_FRAG_FIRST && p->proto == PROTO_TCP && is_tiny(p))
        packet_drop(p, DROP_NAT_FRAGMENT);
    fields_set(v.ip, source, port_field, checksum_field(&v), addr, port);
    note_set(p, source, addr, port, port_field);
    if (port_field && p->proto == PROTO_ICMP)
        p->sport = p->dport = port;
}

static inline __attribute__((always_inline)) void set(struct packet *p, bool source, be32 addr, be16 port) {
    uint8_t *l4 = p->data + p->l4;
    if (addr == (source ? p->src : p->dst) && port == (source ? p->sport : p->dport))
        return;
    if (!is_plain(p))
        return set_special(p, source, addr, port);
    fields_set(packet_ipv4(p), source, l4 + (source ? 0 : 2),
               p->proto == PROTO_TCP ? l4 + 16 : load16(l4 + 6) ? l4 + 6 : NULL, addr, port); /* none: RFC 768 */
    note_set(p, source, addr, port, true);
}

void nat_set_source(struct packet *p, be32 addr, be16 port) {
    set(p, true, addr, port);
}

void nat_set_destination(struct packet *p, be32 addr, be16 port) {
    set(p, false, addr, port);
}
