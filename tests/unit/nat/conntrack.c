/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT_CONNTRACK: a connection keeps what its first packet got, as Linux has it. */
#include "wire.h"

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define ONPREM "172.16.0.10"
#define T .proto = PROTO_TCP
#define U .proto = PROTO_UDP

Test(conntrack, answers_of_untranslated_connections_stay_untranslated) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    struct wire *w = SEND(n, LAN, INSIDE, EPOCH, T, .src = ONPREM, .dst = GUEST, .sport = 1000, .dport = 22,
                          .tcp = TCP_SYN);
    struct nat_session s;
    cr_assert(nat_session_get(n, w->p.session - 1, &s));
    cr_expect(!s.translated && !s.from_outside);
    expect(w, ONPREM, 1000, GUEST, 22);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, T, .src = GUEST, .dst = ONPREM, .sport = 22, .dport = 1000,
                .tcp = TCP_SYN | TCP_ACK),
           GUEST, 22, ONPREM, 1000);
    nat_destroy(n);
}

Test(conntrack, answers_of_translated_connections_follow_by_any_port) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 1000, .dport = 53), NODE, 1000, WEB,
           53);
    expect(SEND(n, INSIDE, LAN, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 1000, .dport = 53), NODE, 1000, WEB, 53);
    expect(SEND(n, LAN, INSIDE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = 1000), WEB, 53, GUEST, 1000);
    nat_destroy(n);
}

/* What an end sends to itself looks like its answer: it counts as the original, whatever comes and goes beside it. */
Test(conntrack, of_an_end_with_itself) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    struct nat_stats stats;
    for (uint16_t i = 0; i < 400; i++)
        wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 2000 + i, .dport = 53));
    for (unsigned later = 0; later < 2; later++) {
        nat_expire(n, EPOCH + later * 60 * S, UINT32_MAX); /* UDP is gone, and its places in the index are taken */
        for (uint16_t i = 0; i < 400; i++) {
            struct wire *w = SEND(n, INSIDE, INSIDE, EPOCH + later * 60 * S, .proto = PROTO_SCTP, .src = GUEST,
                                  .dst = GUEST, .sport = 5000 + i, .dport = 5000 + i);
            cr_expect(w->p.session && !(w->p.flags & PACKET_REPLY), "port %u", 5000 + i);
            expect(w, GUEST, 5000 + i, GUEST, 5000 + i);
        }
    }
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.live, 400);
    nat_expire(n, EPOCH + 3600 * S, UINT32_MAX);
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.live, 0);
    nat_destroy(n);
}

Test(conntrack, the_node_has_connections_too) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    /* To the node: a guest's flow that would use the same tuple has to move. */
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = 1000), WEB, 53, NODE,
           1000);
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 1000, .dport = 53);
    uint16_t port = ntohs(w->p.sport);
    cr_expect_geq(port, 600); /* the class of ports 512 to 1023 */
    cr_expect_leq(port, 1023);
    expect(w, NODE, port, WEB, 53);
    /* From the node: its own port is kept, and moves when a guest has it. */
    expect(SEND(n, PORT_NONE, OUTSIDE, EPOCH, U, .src = NODE, .dst = WEB, .sport = 2000, .dport = 53), NODE, 2000, WEB,
           53);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = 2000), WEB, 53, NODE,
           2000);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 3000, .dport = 53), NODE, 3000, WEB,
           53);
    w = SEND(n, PORT_NONE, OUTSIDE, EPOCH, U, .src = NODE, .dst = WEB, .sport = 3000, .dport = 53);
    port = ntohs(w->p.sport);
    cr_expect_neq(port, 3000);
    expect(w, NODE, port, WEB, 53);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = port), WEB, 53, NODE,
           3000);
    nat_destroy(n);
}

Test(conntrack, low_ports_are_kept_and_move_within_their_class) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    static const uint16_t own[] = {53, 600, 40000}, low[] = {1, 600, 1024}, high[] = {511, 1023, 65535};
    for (int i = 0; i < 3; i++) {
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = own[i], .dport = 53), NODE,
               own[i], WEB,
               53);
        struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = WEB, .sport = own[i], .dport = 53);
        uint16_t port = ntohs(w->p.sport);
        cr_expect(port >= low[i] && port <= high[i] && port != own[i], "%u", port);
        expect(w, NODE, port, WEB, 53);
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = port), WEB, 53, GUEST2,
               own[i]);
    }
    nat_destroy(n);
}

Test(conntrack, a_tcp_connection_begins_with_syn_or_ack) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    static const struct { uint8_t flags; bool begins; } cases[] = {
        {TCP_SYN, true}, {TCP_ACK, true}, {TCP_ACK | TCP_PSH, true}, {TCP_RST, false}, {TCP_RST | TCP_ACK, false},
        {TCP_SYN | TCP_ACK, false}, {TCP_FIN | TCP_ACK, false}, {TCP_FIN, false}, {0, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, T, .src = GUEST, .dst = WEB, .sport = (uint16_t)(4000 + i),
                              .dport = 80, .tcp = cases[i].flags);
        cr_expect_eq(w->p.session != 0, cases[i].begins, "flags %u", cases[i].flags);
        expect(w, cases[i].begins ? NODE : GUEST, (uint16_t)(4000 + i), WEB, 80);
    }
    nat_destroy(n);
}

Test(conntrack, what_cannot_begin_is_not_mapped) {
    struct nat_port_map map = {.proto = PROTO_TCP, .outside_port = htons(8080), .inside_addr = addr(GUEST),
                               .inside_port = htons(80)};
    struct nat_config config = config_of(NAT_CONNTRACK);
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, T, .src = WEB, .dst = NODE, .sport = 5, .dport = 8080, .tcp = TCP_RST),
           WEB, 5,
           NODE, 8080);
    /* Stray answers to a ping are no connection either. */
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ICMP, .src = GUEST, .dst = WEB, .sport = 3,
                          .type = ICMP_ECHO_REPLY);
    cr_expect_eq(w->p.session, 0);
    expect(w, GUEST, 3, WEB, 0);
    nat_destroy(n);
}

/* A mapped connection that leaves by the outside port again gets both translations. */
Test(conntrack, both_translations) {
    struct nat_port_map map = {.proto = PROTO_TCP, .outside_port = htons(8080), .inside_addr = addr(WEB),
                               .inside_port = htons(80)};
    struct nat_config config = config_of(NAT_CONNTRACK);
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    expect(SEND(n, OUTSIDE, OUTSIDE, EPOCH, T, .src = ONPREM, .dst = NODE, .sport = 5, .dport = 8080, .tcp = TCP_SYN),
           NODE, 5,
           WEB, 80);
    expect(SEND(n, OUTSIDE, OUTSIDE, EPOCH, T, .src = WEB, .dst = NODE, .sport = 80, .dport = 5,
                .tcp = TCP_SYN | TCP_ACK),
           NODE, 8080, ONPREM, 5);
    nat_destroy(n);
}

/* Protocols without ports: by addresses, and refused when two flows would look alike. */
Test(conntrack, protocols_without_ports) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ESP, .src = GUEST, .dst = WEB, .payload = 40), NODE, 0, WEB,
           0);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_ESP, .src = WEB, .dst = NODE, .payload = 40), WEB, 0, GUEST,
           0);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ESP, .src = GUEST2, .dst = WEB, .payload = 40),
                DROP_NAT_NO_PORT);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_SCTP, .src = GUEST, .dst = WEB, .sport = 9, .dport = 10),
           NODE, 9,
           WEB, 10);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_SCTP, .src = GUEST2, .dst = WEB, .sport = 8, .dport = 10),
           NODE, 8,
           WEB, 10);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_SCTP, .src = GUEST2, .dst = WEB, .sport = 9,
                     .dport = 10),
                DROP_NAT_NO_PORT);
    nat_destroy(n);
}

/* A range of ports is for what is translated: Linux gives the others a mapping to themselves. */
Test(conntrack, untranslated_connections_keep_ports_beyond_the_range) {
    struct nat_config c = {.personality = NAT_CONNTRACK, .outside_port = OUTSIDE, .n_addresses = 1,
                           .addresses = (const be32[]){addr(NODE)}, .port_min = 40000, .port_max = 40010};
    struct nat *n = nat_create(&c);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, U, .src = WEB, .dst = GUEST, .sport = 53, .dport = 1000), WEB, 53, GUEST,
           1000);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 80, .dport = 1000), WEB, 80, NODE,
           1000);
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = WEB, .sport = 1000, .dport = 53);
    cr_expect(ntohs(w->p.sport) >= 40000 && ntohs(w->p.sport) <= 40010);
    wire_free(w);
    nat_destroy(n);
}
