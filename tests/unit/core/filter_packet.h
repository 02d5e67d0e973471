/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of both families for the tests of filters, and one of them through one side of a port. */
#ifndef TESTS_UNIT_CORE_FILTER_PACKET_H
#define TESTS_UNIT_CORE_FILTER_PACKET_H

#include "frame.h"

#define S 1000000000ull

enum piece { WHOLE, FIRST, LATER };

/* Hosts are numbered: 10.0.0.n and 2001:db8::n. */
struct spec {
    uint8_t family, proto, src, dst;
    uint16_t sport, dport;  /* ICMP queries: identifier as sport */
    uint8_t type;           /* of ICMP */
    uint8_t piece;          /* enum piece */
    uint16_t id;            /* of the datagram in pieces */
    bool options;           /* IPv4 options; IPv6 options of hops and, behind a fragment header, of the destination */
    const struct spec *about; /* ICMP error: the packet inside */
    uint16_t quoted;        /* bytes of it at most */
};

static inline void host(uint8_t *to, uint8_t family, uint8_t n) {
    memset(to, 0, 16);
    memcpy(to, family == FAMILY_IPV4 ? (uint8_t[]){10, 0, 0, n} : (uint8_t[]){0x20, 1, 0x0d, 0xb8}, 4);
    to[family == FAMILY_IPV4 ? 3 : 15] = n;
}

static inline unsigned put(uint8_t *to, const void *from, unsigned n) {
    memcpy(to, from, n);
    return n;
}

static inline unsigned write_packet(uint8_t *to, const struct spec *s);

static inline unsigned write_l4(uint8_t *l4, const struct spec *s) {
    memset(l4, 0, 20);
    if (s->piece == LATER)
        return 16;
    if (s->about) {
        uint8_t inner[256];
        unsigned n = write_packet(inner, s->about);
        l4[0] = s->type;
        return 8 + put(l4 + 8, inner, n < s->quoted ? n : s->quoted);
    }
    if (proto_is_icmp(s->proto)) {
        l4[0] = s->type;
        put(l4 + 4, &(be16){htons(s->sport)}, 2);
    } else if (s->proto != PROTO_ESP) {
        put(l4, (be16[]){htons(s->sport), htons(s->dport)}, 4);
    }
    return s->proto == PROTO_TCP ? 20 : 16;
}

static inline unsigned write_ipv4(uint8_t *to, const struct spec *s) {
    unsigned header = s->options ? 24 : 20, n = header + write_l4(to + header, s);
    struct ipv4_header ip = {.version_ihl = (uint8_t)(0x40 | header / 4), .ttl = 64, .proto = s->proto,
                             .total_length = htons((uint16_t)n), .id = htons(s->id),
                             .fragment = htons(s->piece == FIRST ? IPV4_MF : s->piece == LATER ? 2 : 0)};
    uint8_t ends[32];
    host(ends, FAMILY_IPV4, s->src);
    host(ends + 16, FAMILY_IPV4, s->dst);
    memcpy(&ip.src, ends, 4);
    memcpy(&ip.dst, ends + 16, 4);
    memset(to + 20, 1, header - 20);
    memcpy(to, &ip, sizeof ip);
    ip.checksum = checksum_fold(checksum_sum(to, header, 0));
    memcpy(to, &ip, sizeof ip);
    return n;
}

static inline unsigned write_ipv6(uint8_t *to, const struct spec *s) {
    struct ipv6_header ip = {.version_class_label = htonl(6u << 28), .hop_limit = 64};
    uint8_t *next = &ip.next_header, *at = to + sizeof ip;
    if (s->options) {
        *next = EXTENSION_HOP_BY_HOP;
        next = at;
        at += put(at, (uint8_t[8]){0, 0, 1, 4}, 8);
    }
    if (s->piece != WHOLE) {
        struct ipv6_fragment_header f = {.fragment = htons(s->piece == FIRST ? IPV6_MORE : 16), .id = htonl(s->id)};
        *next = EXTENSION_FRAGMENT;
        next = at;
        at += put(at, &f, sizeof f);
        if (s->options) {
            *next = EXTENSION_DESTINATION;
            next = at;
            at += s->piece == FIRST ? put(at, (uint8_t[8]){0, 0, 1, 4}, 8) : 0;
        }
    }
    if (!s->options || s->piece != LATER)
        *next = s->proto;
    at += write_l4(at, s);
    ip.payload_length = htons((uint16_t)((unsigned)(at - to) - sizeof ip));
    host(ip.src, FAMILY_IPV6, s->src);
    host(ip.dst, FAMILY_IPV6, s->dst);
    memcpy(to, &ip, sizeof ip);
    return (unsigned)(at - to);
}

static inline unsigned write_packet(uint8_t *to, const struct spec *s) {
    return s->family == FAMILY_IPV6 ? write_ipv6(to, s) : write_ipv4(to, s);
}

/* One packet through one side of a port, in a buffer of its size. */
static inline bool passes_bytes(struct filter *f, const uint8_t *bytes, unsigned n, uint16_t port,
                                enum filter_direction d, uint64_t now) {
    struct packet packet = {.data = malloc(n), .len = n, .wire_len = n, .flags = PACKET_RAW_IP,
                            .in_port = d == FILTER_IN ? port : 0}, *p = &packet;
    memcpy(p->data, bytes, n);
    parse(p);
    cr_assert_eq(p->verdict, VERDICT_NONE, "%s", drop_name(p->reason));
    p->out_port = d == FILTER_OUT ? port : 0;
    (d == FILTER_IN ? filter_in : filter_out)(f, &p, 1, now);
    cr_assert_eq(p->reason, p->verdict != VERDICT_DROP ? DROP_NONE : d == FILTER_IN ? DROP_DENIED_IN : DROP_DENIED_OUT);
    cr_assert_eq(memcmp(p->data, bytes, n), 0, "a filter changes nothing");
    free(p->data);
    return p->verdict == VERDICT_NONE;
}

static inline bool passes(struct filter *f, const struct spec *s, uint16_t port, enum filter_direction d,
                          uint64_t now) {
    uint8_t bytes[512];
    return passes_bytes(f, bytes, write_packet(bytes, s), port, d, now);
}

#endif
