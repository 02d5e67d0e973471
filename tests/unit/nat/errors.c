/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors: both headers, all checksums, both directions. */
#include "wire.h"

#include <fwdlab/core/checksum.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define HOP "192.0.2.1"
#define INNER_HOP "10.0.9.9"

/* The packet inside: its header, ports and, when all of it is there, its L4 checksum. */
static void expect_inside(const struct wire *w, const char *src, uint16_t sport, const char *dst, uint16_t dport,
                          bool whole) {
    const uint8_t *inner = w->bytes + 28, *l4 = inner + 20;
    struct ipv4_header ip;
    memcpy(&ip, inner, sizeof ip);
    cr_expect_eq(ip.src, addr(src));
    cr_expect_eq(ip.dst, addr(dst));
    cr_expect_eq(checksum_fold(checksum_sum(inner, 20, 0)), 0);
    unsigned at = ip.proto == PROTO_ICMP ? 4 : 0;
    cr_expect_eq(l4[at] << 8 | l4[at + 1], sport);
    if (ip.proto != PROTO_ICMP)
        cr_expect_eq(l4[2] << 8 | l4[3], dport);
    size_t len = w->p.len - 48;
    if (whole && ip.proto == PROTO_ICMP)
        cr_expect_eq(checksum_fold(checksum_sum(l4, len, 0)), 0);
    else if (whole)
        cr_expect_eq(checksum_l4_ipv4(ip.src, ip.dst, ip.proto, l4, len), 0);
}

BOTH(errors_about_what_left) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
    struct nat *n = nat_of(personality);
    for (int i = 0; i < 3; i++) {
        for (uint16_t quoted = 8; quoted <= 60; quoted += 2) { /* from the RFC's minimum to the whole packet */
            struct spec s = {.proto = protos[i], .src = GUEST, .dst = WEB, .sport = 5000, .dport = 80, .tcp = TCP_SYN,
                             .type = ICMP_ECHO, .payload = 32};
            wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = protos[i], .src = GUEST2, .dst = WEB, .sport = 5000,
                           .dport = 80, .tcp = TCP_SYN, .type = ICMP_ECHO)); /* takes the port */
            struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &s);
            cr_assert_neq(left->p.sport, htons(5000));
            struct wire *e = wire_error(HOP, left, quoted);
            bool whole = e->p.len == left->p.len + 28;
            pass(n, e, OUTSIDE, INSIDE, EPOCH + 1);
            cr_expect(e->p.session && (e->p.flags & PACKET_REPLY) && (e->p.flags & PACKET_DST_CHANGED));
            expect_inside(e, GUEST, 5000, WEB, 80, whole);
            expect(e, HOP, 0, GUEST, 0);
            wire_free(left);
        }
    }
    nat_destroy(n);
}

/* A guest, or a router before it, complains about an answer: source and inside destination become the outside ones. */
BOTH(errors_about_answers) {
    struct nat *n = nat_of(personality);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                   .dport = 53));
    for (int i = 0; i < 2; i++) {
        struct wire *answer = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53,
                                   .dport = 5000, .payload = 20);
        struct wire *e = wire_error(i ? INNER_HOP : GUEST, answer, 28);
        pass(n, e, INSIDE, OUTSIDE, EPOCH);
        cr_expect(e->p.session && !(e->p.flags & PACKET_REPLY) && (e->p.flags & PACKET_SRC_CHANGED));
        expect_inside(e, WEB, 53, NODE, 5000, true);
        expect(e, NODE, 0, WEB, 0);
        wire_free(answer);
    }
    nat_destroy(n);
}

BOTH(errors_about_mapped_flows) {
    struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                               .inside_port = htons(7)};
    struct nat_config config = config_of(personality);
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    struct wire *in = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 9,
                           .dport = 7007);
    struct wire *e = wire_error(GUEST, in, 8);
    pass(n, e, INSIDE, OUTSIDE, EPOCH);
    expect_inside(e, WEB, 9, NODE, 7007, true);
    expect(e, NODE, 0, WEB, 0);
    struct wire *answer = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 7,
                               .dport = 9);
    e = wire_error(HOP, answer, 8);
    pass(n, e, OUTSIDE, INSIDE, EPOCH);
    expect_inside(e, GUEST, 7, WEB, 9, true);
    expect(e, HOP, 0, GUEST, 0);
    wire_free(in);
    wire_free(answer);
    nat_destroy(n);
}

BOTH(errors_about_nothing_known) {
    struct nat *n = nat_of(personality);
    struct wire *stray = wire_make(&(struct spec){.proto = PROTO_UDP, .src = NODE, .dst = WEB, .sport = 5, .dport = 6});
    struct wire *e = wire_error(HOP, stray, 8);
    pass(n, e, OUTSIDE, PORT_NONE, EPOCH);
    cr_expect_eq(e->p.session, 0);
    expect_inside(e, NODE, 5, WEB, 6, true);
    expect(e, HOP, 0, NODE, 0);
    wire_free(stray);
    stray = wire_make(&(struct spec){.proto = PROTO_UDP, .src = WEB, .dst = GUEST, .sport = 5, .dport = 6});
    e = wire_error(GUEST, stray, 8);
    pass(n, e, INSIDE, OUTSIDE, EPOCH);
    if (personality == NAT_CONNTRACK)
        expect(e, GUEST, 0, WEB, 0);
    else
        expect_drop(e, DROP_NAT_ICMP_ERROR);
    wire_free(stray);
    nat_destroy(n);
}

/* Sent to somebody else than the sender of what it quotes: about no session. Cut in its quotation: likewise. */
BOTH(errors_that_do_not_fit) {
    struct nat *n = nat_of(personality);
    struct wire *left = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                             .dport = 80);
    left->p.src = addr("10.0.0.9"); /* whom wire_error sends it to */
    struct wire *e = wire_error(HOP, left, 8);
    pass(n, e, OUTSIDE, INSIDE, EPOCH);
    cr_expect_eq(e->p.session, 0);
    wire_free(e);
    left->p.src = addr(NODE);
    for (uint16_t quoted = 0; quoted < 4; quoted++) {
        e = wire_error(HOP, left, quoted);
        struct wire *before = wire_copy(e);
        pass(n, e, OUTSIDE, PORT_NONE, EPOCH);
        cr_expect_eq(e->p.session, 0);
        cr_expect_eq(memcmp(e->bytes, before->bytes, e->p.len), 0);
        wire_free(before);
        wire_free(e);
    }
    wire_free(left);
    nat_destroy(n);
}
