/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for tests: built in a roomy buffer, handed to the core in heap buffers of their exact size. */
#ifndef TESTS_UNIT_CORE_FRAME_H
#define TESTS_UNIT_CORE_FRAME_H

#include <stdlib.h>
#include <string.h>
#include <criterion/criterion.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>

#define ETH 14

struct frame {
    uint8_t byte[2048];
    uint32_t len, l3;
};

static inline be32 addr(const char *text) {
    struct ip ip = {0};
    cr_assert_eq(ip_parse(text, &ip), 0, "%s is no address", text);
    return ip.v4;
}

static inline struct ipv4_header *frame_ip(struct frame *f) {
    return (struct ipv4_header *)(f->byte + f->l3);
}

/* Makes the header checksum right. */
static inline void frame_seal(struct frame *f) {
    struct ipv4_header *ip = frame_ip(f);
    ip->checksum = 0;
    ip->checksum = checksum_fold(checksum_sum(ip, (ip->version_ihl & 15) * 4u, 0));
}

/* Ethernet, 20 bytes of IPv4 header, l4_len bytes behind it: ports 1000 to 2000, else zeros. */
static inline struct frame frame_make(const char *src, const char *dst, uint8_t proto, unsigned l4_len) {
    struct frame f = {.len = ETH + 20 + l4_len, .l3 = ETH};
    static const uint8_t ethernet[ETH] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0};
    memcpy(f.byte, ethernet, ETH);
    *frame_ip(&f) = (struct ipv4_header){.version_ihl = 0x45, .ttl = 64, .proto = proto, .src = addr(src),
                                         .dst = addr(dst), .total_length = htons((uint16_t)(20 + l4_len))};
    if (proto != PROTO_ICMP && l4_len >= 4)
        memcpy(f.byte + ETH + 20, (uint8_t[]){1000 >> 8, 1000 & 255, 2000 >> 8, 2000 & 255}, 4);
    frame_seal(&f);
    return f;
}

static inline struct packet *packet_make(const struct frame *f, uint16_t flags, uint16_t in_port) {
    struct packet *p = calloc(1, sizeof *p);
    p->data = malloc(f->len ? f->len : 1);
    memcpy(p->data, f->byte, f->len);
    p->len = p->wire_len = f->len;
    p->flags = flags;
    p->in_port = in_port;
    return p;
}

static inline void packet_free(struct packet *p) {
    free(p->data);
    free(p);
}

static inline struct route route_make(const char *prefix, const char *via, uint16_t port, unsigned metric, int kind) {
    struct route r = {.port = port, .metric = metric, .kind = (uint8_t)kind};
    cr_assert_eq(prefix_parse(prefix, &r.prefix), 0, "%s is no prefix", prefix);
    if (via)
        cr_assert_eq(ip_parse(via, &r.via), 0, "%s is no address", via);
    return r;
}

static inline void node_route(struct node *n, const char *prefix, const char *via, uint16_t port, int kind) {
    struct route r = route_make(prefix, via, port, 0, kind);
    cr_assert_eq(route_add(n->routes, &r), 0, "%s", prefix);
}

/*
 * A router with two ports, 10.0.0.1/24 and 10.0.1.1/24, the local and broadcast routes of both, a default route by
 * 10.0.1.254 and one of each refusing kind.
 */
static inline struct node node_make(void) {
    struct node n = {.n_ports = 2, .router = true, .ports = calloc(2, sizeof(struct port)),
                     .routes = route_table_create(&route_trie, 100)};
    n.ports[0] = (struct port){.addr = addr("10.0.0.1"), .len = 24};
    n.ports[1] = (struct port){.addr = addr("10.0.1.1"), .len = 24};
    node_route(&n, "10.0.0.0/24", NULL, 0, ROUTE_UNICAST);
    node_route(&n, "10.0.0.1/32", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route(&n, "10.0.0.255/32", NULL, PORT_NONE, ROUTE_BROADCAST);
    node_route(&n, "10.0.1.0/24", NULL, 1, ROUTE_UNICAST);
    node_route(&n, "10.0.1.1/32", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route(&n, "10.0.1.255/32", NULL, PORT_NONE, ROUTE_BROADCAST);
    node_route(&n, "169.254.169.254/32", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route(&n, "0.0.0.0/0", "10.0.1.254", 1, ROUTE_UNICAST);
    node_route(&n, "10.9.1.0/24", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    node_route(&n, "10.9.2.0/24", NULL, PORT_NONE, ROUTE_UNREACHABLE);
    node_route(&n, "10.9.3.0/24", NULL, PORT_NONE, ROUTE_PROHIBIT);
    node_prepare(&n);
    return n;
}

#endif
