/* SPDX-License-Identifier: BSD-3-Clause */
/* What both personalities do alike. */
#include "wire.h"

#include <errno.h>
#include <fwdlab/core/checksum.h>
#include <stdio.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define WEB2 "203.0.113.11"
#define TICK (UINT64_C(1) << 22)

static void out_and_back(struct nat *n, uint8_t proto) {
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = proto, .src = GUEST, .dst = WEB, .sport = 40000, .dport = 80,
                .tcp = TCP_SYN, .payload = 9),
           NODE, 40000, WEB, 80);
    struct wire *w = SEND(n, OUTSIDE, INSIDE, EPOCH + 1, .proto = proto, .src = WEB, .dst = NODE, .sport = 80,
                          .dport = 40000, .tcp = TCP_SYN | TCP_ACK, .payload = 4);
    cr_expect(w->p.flags & PACKET_REPLY);
    cr_expect(w->p.flags & PACKET_DST_CHANGED);
    cr_expect(!(w->p.flags & PACKET_SRC_CHANGED));
    struct nat_session s;
    cr_assert(nat_session_get(n, w->p.session - 1, &s));
    cr_expect(s.translated && !s.from_outside && s.proto == proto);
    cr_expect(s.original.src == addr(GUEST) && s.reply.dst == addr(NODE) && s.reply.dport == htons(40000));
    cr_expect(EPOCH - s.first < TICK && EPOCH + 1 - s.last < TICK);
    cr_expect_eq(nat_find(n, proto, &s.original), w->p.session - 1);
    cr_expect_eq(nat_find(n, proto, &s.reply), UINT32_MAX);
    expect(w, WEB, 80, GUEST, 40000);
}

static void ping(struct nat *n) {
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ICMP, .src = GUEST, .dst = WEB, .sport = 77,
                .type = ICMP_ECHO),
           NODE, 77, WEB, 0);
    /* The same identifier from another guest must not clash. */
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ICMP, .src = GUEST2, .dst = WEB, .sport = 77,
                          .type = ICMP_ECHO);
    uint16_t id = ntohs(w->p.sport);
    cr_expect_neq(id, 77);
    expect(w, NODE, id, WEB, 0);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_ICMP, .src = WEB, .dst = NODE, .sport = 77), WEB, 77, GUEST,
           0);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_ICMP, .src = WEB, .dst = NODE, .sport = id), WEB, 77, GUEST2,
           0);
    /* A request from outside is not an answer. */
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, .proto = PROTO_ICMP, .src = WEB, .dst = NODE, .sport = 77,
                .type = ICMP_ECHO),
           WEB, 77, NODE, 0);
}

BOTH(out_and_back_again) {
    struct nat *n = nat_of(personality);
    out_and_back(n, PROTO_TCP);
    out_and_back(n, PROTO_UDP);
    ping(n);
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    cr_expect(stats.ports_live == 4 && stats.ports_peak == 4 && stats.ports_available == 64512);
    nat_reset(n);
    nat_stats_get(n, &stats);
    cr_expect(stats.live == 0 && stats.created == 0 && stats.peak == 0 && stats.ports_live == 0);
    out_and_back(n, PROTO_TCP);
    nat_destroy(n);
}

BOTH(port_maps) {
    struct nat_port_map maps[] = {
        {.proto = PROTO_TCP, .outside_port = htons(8080), .inside_addr = addr(GUEST), .inside_port = htons(80)},
        {.proto = PROTO_TCP, .outside_port = htons(8080), .inside_addr = addr(GUEST2), .inside_port = htons(80)},
        {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST), .inside_port = htons(7)},
        {.proto = PROTO_TCP, .outside_port = htons(8443), .inside_addr = addr(GUEST), .inside_port = htons(80)},
    };
    struct nat_config config = config_of(personality);
    config.port_maps = maps;
    config.n_port_maps = 4;
    struct nat *n = nat_create(&config);
    maps[0].inside_addr = 0; /* they were copied */
    for (int again = 0; again < 2; again++) {
        struct wire *w = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_TCP, .src = WEB, .dst = NODE, .sport = 5555,
                              .dport = 8080, .tcp = TCP_SYN);
        struct nat_session s;
        cr_assert(nat_session_get(n, w->p.session - 1, &s));
        cr_expect(s.from_outside && s.translated && s.original.dport == htons(8080) && s.reply.sport == htons(80));
        expect(w, WEB, 5555, GUEST, 80); /* the first of the two maps */
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_TCP, .src = GUEST, .dst = WEB, .sport = 80, .dport = 5555,
                    .tcp = TCP_SYN | TCP_ACK),
               NODE, 8080, WEB, 5555);
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_TCP, .src = WEB, .dst = NODE, .sport = 5556,
                    .dport = 8443,
                    .tcp = TCP_SYN),
               WEB, 5556, GUEST, 80);
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_TCP, .src = GUEST, .dst = WEB, .sport = 80, .dport = 5556,
                    .tcp = TCP_SYN | TCP_ACK),
               NODE, 8443, WEB, 5556);
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 9, .dport = 7007,
                    .no_checksum = true, .payload = 3),
               WEB, 9, GUEST, 7);
        /* Not by this protocol, not to another address, not by another port. */
        expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 9,
                    .dport = 8080), WEB,
               9, NODE, 8080);
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = GUEST2, .sport = 9,
                    .dport = 7007), WEB,
               9, GUEST2, 7007);
        expect(SEND(n, LAN, PORT_NONE, EPOCH, .proto = PROTO_UDP, .src = WEB2, .dst = NODE, .sport = 9, .dport = 7007),
               WEB2, 9,
               NODE, 7007);
        nat_reset(n); /* the maps stay */
    }
    nat_destroy(n);
}

Test(nat, refuses_bad_configurations) {
    struct nat_config good = config_of(NAT_CONNTRACK), c;
    struct nat_port_map map = {.proto = PROTO_TCP, .outside_port = 1, .inside_addr = 1, .inside_port = 1};
    good.port_maps = &map;
    good.n_port_maps = 1;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        c = good;                                                                                                      \
        struct nat_port_map old = map;                                                                                 \
        change;                                                                                                        \
        errno = 0;                                                                                                     \
        cr_expect_null(nat_create(&c), #change);                                                                       \
        cr_expect_eq(errno, EINVAL);                                                                                   \
        map = old;                                                                                                     \
    } while (0)
    REFUSED(c.n_addresses = 0);
    REFUSED(c.n_addresses = NAT_ADDRESSES_MAX + 1);
    REFUSED(c.addresses = &(const be32){0});
    REFUSED((c.port_min = 2000, c.port_max = 1999));
    REFUSED(c.max_sessions = UINT32_MAX);
    REFUSED(map.proto = PROTO_ICMP);
    REFUSED(map.outside_port = 0);
    REFUSED(map.inside_addr = 0);
    REFUSED(map.inside_port = 0);
    struct nat *n = nat_create(&good);
    cr_assert(n);
    cr_expect_eq(nat_config_get(n)->port_maps[0].inside_addr, 1);
    nat_destroy(n);
    nat_destroy(NULL);
}

/* Ten ports: ten flows to one end get one each, kept or found; the eleventh is refused until one ends. */
BOTH(exhaustion) {
    struct nat_config config = config_of(personality);
    config.port_min = 5000;
    config.port_max = 5009;
    struct nat *n = nat_create(&config);
    uint16_t used = 0;
    for (uint16_t i = 0; i < 10; i++) {
        struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH + i * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                              .sport = (uint16_t)(i < 5 ? 5000 + i : 60000 + i), .dport = 53);
        uint16_t port = ntohs(w->p.sport);
        cr_assert(w->p.verdict == VERDICT_NONE && port >= 5000 && port <= 5009);
        cr_expect(i >= 5 || port == 5000 + i);
        used |= (uint16_t)(1 << (port - 5000));
        wire_free(w);
    }
    cr_expect_eq(used, 0x3ff);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH + 10 * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 99,
                     .dport = 53),
                DROP_NAT_NO_PORT);
    /* TCP has ports of its own, and conntrack shares a port among different ends. */
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH + 10 * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB2,
                          .sport = 99,
                          .dport = 53);
    cr_expect_eq(w->p.verdict, personality == NAT_CONNTRACK ? VERDICT_NONE : VERDICT_DROP);
    wire_free(w);
    w = SEND(n, INSIDE, OUTSIDE, EPOCH + 10 * S, .proto = PROTO_TCP, .src = GUEST, .dst = WEB, .sport = 99, .dport = 53,
             .tcp = TCP_SYN);
    cr_expect_eq(w->p.verdict, VERDICT_NONE);
    wire_free(w);
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.refused_port, personality == NAT_CONNTRACK ? 1 : 2);
    cr_expect_eq(stats.ports_available, 10);
    /* The first session ends 30 s or 300 s after it began: its port is then the only free one, without any sweep. */
    uint64_t idle = personality == NAT_CONNTRACK ? 30 : 300;
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH + idle * S + S / 2, .proto = PROTO_UDP, .src = GUEST2, .dst = WEB,
                .sport = 99,
                .dport = 53),
           NODE, 5000, WEB, 53);
    nat_destroy(n);
}

/* A UDP checksum that becomes zero is sent as 0xffff: zero would mean that there is none (RFC 768). */
BOTH(udp_checksum_is_never_zero) {
    struct nat *n = nat_of(personality);
    struct wire *w = wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53,
                                              .payload = 2});
    uint8_t *udp = w->bytes + 20;
    be16 sum = 0, word = 0;
    do { /* the payload with which the translated packet sums up to zero */
        memset(udp + 6, 0, 2);
        memcpy(udp + 8, &word, 2);
    } while (checksum_l4_ipv4(addr(NODE), addr(WEB), PROTO_UDP, udp, 10) != 0 && ++word);
    sum = checksum_l4_ipv4(addr(GUEST), addr(WEB), PROTO_UDP, udp, 10);
    memcpy(udp + 6, &sum, 2);
    pass(n, w, INSIDE, OUTSIDE, EPOCH);
    cr_expect(udp[6] == 0xff && udp[7] == 0xff);
    expect(w, NODE, 5000, WEB, 53);
    nat_destroy(n);
}

/* Against the rule for bursts: the answer is left alone, and nothing breaks. */
BOTH(an_answer_in_the_burst_of_its_question) {
    struct nat *n = nat_of(personality);
    struct wire *w[2] = {
        wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53}),
        wire_make(&(struct spec){.proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53, .dport = 5000}),
    };
    struct packet *p[2] = {&w[0]->p, &w[1]->p};
    p[0]->in_port = INSIDE;
    p[1]->in_port = OUTSIDE;
    nat_in(n, p, 2, EPOCH);
    p[0]->out_port = OUTSIDE;
    p[1]->out_port = PORT_NONE;
    nat_out(n, p, 2, EPOCH);
    cr_expect_eq(p[1]->session, 0);
    expect(w[0], NODE, 5000, WEB, 53);
    expect(w[1], WEB, 53, NODE, 5000);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53, .dport = 5000),
           WEB, 53, GUEST, 5000);
    nat_destroy(n);
}

/* An inside address keeps its outside address (RFC 4787 REQ-2), and all outside addresses are used. */
BOTH(pooling) {
    struct nat_config config = config_of(personality);
    config.n_addresses = 3;
    config.addresses = (const be32[]){addr("10.0.0.4"), addr("10.0.0.5"), addr("10.0.0.6")};
    struct nat *n = nat_create(&config);
    unsigned used = 0;
    for (unsigned host = 1; host < 30; host++) {
        char src[32];
        snprintf(src, sizeof src, "10.0.2.%u", host);
        be32 outside = 0;
        for (uint16_t flow = 0; flow < 4; flow++) {
            struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = src, .dst = WEB, .sport = 5000,
                                  .dport = (uint16_t)(flow + 1));
            cr_assert_eq(w->p.verdict, VERDICT_NONE);
            cr_expect(!outside || outside == w->p.src);
            outside = w->p.src;
            wire_free(w);
        }
        for (unsigned i = 0; i < 3; i++)
            used |= (unsigned)(config.addresses[i] == outside) << i;
    }
    cr_expect_eq(used, 7);
    nat_destroy(n);
}

BOTH(full) {
    struct nat_config config = config_of(personality);
    config.max_sessions = 3;
    struct nat *n = nat_create(&config);
    for (uint16_t i = 0; i < 3; i++)
        wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH + i * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                       .dport = (uint16_t)(i + 1)));
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH + 3 * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                     .dport = 4),
                DROP_NAT_TABLE_FULL);
    /* An untranslated connection needs room with conntrack alone. */
    struct wire *w = SEND(n, INSIDE, LAN, EPOCH + 3 * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                          .dport = 4);
    cr_expect_eq(w->p.verdict, personality == NAT_CONNTRACK ? VERDICT_DROP : VERDICT_NONE);
    wire_free(w);
    /* Known ones go on; an idle one makes room without any sweep. */
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH + 4 * S, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                .dport = 1),
           NODE, 5000, WEB, 1);
    uint64_t idle = personality == NAT_CONNTRACK ? 30 : 300;
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH + (idle + 1) * S + S / 2, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                .sport = 5000, .dport = 4),
           NODE, 5000, WEB, 4);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH + (idle + 1) * S + S / 2, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                     .sport = 5000, .dport = 5),
                DROP_NAT_TABLE_FULL);
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    cr_expect(stats.live == 3 && stats.peak == 3 && stats.expired == 1 && stats.created == 4);
    cr_expect_eq(stats.refused_full, personality == NAT_CONNTRACK ? 3 : 2);
    nat_destroy(n);
}
