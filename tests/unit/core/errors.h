/* SPDX-License-Identifier: BSD-3-Clause */
/* A router that drops packets, and the ICMP errors about them, for the tests of icmp.h. */
#ifndef TESTS_UNIT_CORE_ERRORS_H
#define TESTS_UNIT_CORE_ERRORS_H

#include "frame6.h"
#include <fwdlab/core/icmp.h>

#define S 1000000000ull
#define EPOCH (1700000000 * S)
#define V6_HOST "2001:db8::2"
#define V6_FAR "2001:db8:99::9"

static inline void node_route6(struct node *n, const char *prefix, const char *via, uint16_t port, int kind) {
    struct route r = route_make(prefix, via, port, 0, kind);
    cr_assert_eq(route_add(n->routes6, &r), 0, "%s", prefix);
}

/* The router of frame.h without its default route, 172.17/16 and 172.16/16 behind its ports, and the same in IPv6. */
static inline struct node router(void) {
    struct node n = node_make();
    struct route by_default = route_make("0.0.0.0/0", "10.0.1.254", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_remove(n.routes, &by_default), 0);
    node_route(&n, "172.16.0.0/16", "10.0.1.2", 1, ROUTE_UNICAST);
    node_route(&n, "172.17.0.0/16", "10.0.0.2", 0, ROUTE_UNICAST);
    n.routes6 = route_table_create(&route_trie6, 100);
    const struct ip own[2] = {addr6("2001:db8::1"), addr6("2001:db8:1::1")};
    for (unsigned i = 0; i < 2; i++)
        memcpy(n.ports[i].addr6, own[i].v6, 16);
    n.ports[0].len6 = n.ports[1].len6 = 64;
    n.ports[1].mtu = 1400;
    node_route6(&n, "2001:db8::/64", NULL, 0, ROUTE_UNICAST);
    node_route6(&n, "2001:db8:1::/64", NULL, 1, ROUTE_UNICAST);
    node_route6(&n, "2001:db8:99::/48", "2001:db8:1::2", 1, ROUTE_UNICAST);
    node_route6(&n, "2001:db8:2::/48", NULL, PORT_NONE, ROUTE_UNREACHABLE);
    node_route6(&n, "2001:db8:3::/48", NULL, PORT_NONE, ROUTE_PROHIBIT);
    node_prepare(&n);
    return n;
}

static inline struct frame ipv4(const char *src, const char *dst, uint8_t ttl, unsigned l4_len) {
    struct frame f = frame_make(src, dst, PROTO_UDP, l4_len);
    frame_ip(&f)->ttl = ttl;
    frame_seal(&f);
    return f;
}

static inline struct frame ipv6(const char *src, const char *dst, uint8_t hop_limit, unsigned l4_len) {
    struct frame f = frame6_make(src, dst, PROTO_UDP, l4_len);
    frame_ip6(&f)->hop_limit = hop_limit;
    return f;
}

/* The frame into the router by a port; it must be dropped for the reason. */
static inline struct packet *dropped(struct node *n, const struct frame *f, uint16_t port, enum drop reason,
                                     uint64_t now) {
    struct packet *p = packet_make(f, 0, port);
    forward(n, &p, 1, now);
    cr_assert(p->verdict == VERDICT_DROP && p->reason == reason, "%s, not %s", drop_name(p->reason), drop_name(reason));
    return p;
}

/* The error about a packet, in a buffer that ends where its bytes may; NULL: none. */
static inline struct packet *error_about(struct node *n, const struct packet *p, uint64_t now) {
    struct packet *e = calloc(1, sizeof *e);
    e->data = malloc(ICMP_ERROR_MAX);
    e->room = ICMP_ERROR_MAX;
    if (icmp_error(n, p, e, now)) {
        cr_assert(e->in_port == PORT_NONE && e->len == e->wire_len && e->room == ICMP_ERROR_MAX - e->len);
        return e;
    }
    packet_free(e);
    return NULL;
}

static inline bool is_due(struct node *n, const struct packet *p, uint64_t now) {
    struct packet *e = error_about(n, p, now);
    if (e)
        packet_free(e);
    return e;
}

struct want {
    unsigned type, code;
    uint32_t rest;
    const char *src, *dst;
    uint16_t port;
};

/* Sends the error and checks its headers and checksums; the offset of what it quotes. */
static inline unsigned check_error(struct node *n, struct packet *e, const struct want *w, uint64_t now) {
    cr_assert(e, "no error");
    forward_own(n, e, now);
    cr_assert_eq(e->verdict, VERDICT_FORWARD, "%s", drop_name(e->reason));
    cr_expect_eq(e->out_port, w->port);
    cr_expect(e->flags & PACKET_ICMP_ERROR);
    uint32_t sum = 0, rest;
    struct ip src, dst;
    cr_assert(ip_parse(w->src, &src) == 0 && ip_parse(w->dst, &dst) == 0);
    if (e->family == FAMILY_IPV4) {
        const struct ipv4_header *ip = packet_ipv4(e);
        cr_expect(ip->src == src.v4 && ip->dst == dst.v4 && ip->ttl == 64 && ip->fragment == 0);
        cr_expect_eq(ntohs(ip->total_length), e->len - e->l3);
    } else {
        const struct ipv6_header *ip = packet_ipv6(e);
        cr_expect(memcmp(ip->src, src.v6, 16) == 0 && memcmp(ip->dst, dst.v6, 16) == 0 && ip->hop_limit == 64);
        cr_expect_eq(ntohs(ip->payload_length), e->len - e->l4);
        sum = checksum_sum(ip->src, 32, htons(PROTO_ICMPV6) + ip->payload_length);
    }
    cr_expect_eq(checksum_fold(checksum_sum(e->data + e->l4, e->len - e->l4, sum)), 0, "ICMP checksum");
    memcpy(&rest, e->data + e->l4 + 4, 4);
    cr_expect(e->data[e->l4] == w->type && e->data[e->l4 + 1] == w->code, "%u/%u", e->data[e->l4], e->data[e->l4 + 1]);
    cr_expect_eq(ntohl(rest), w->rest, "%u", ntohl(rest));
    return e->l4 + 8u;
}

#endif
