/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT_INTERFACE: the outside port translates whatever leaves by it (RFC 4787). */
#include "wire.h"

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define WEB2 "203.0.113.11"
#define ONPREM "172.16.0.10"
#define T .proto = PROTO_TCP
#define U .proto = PROTO_UDP

Test(interface, answers_of_untranslated_flows_are_translated) {
    struct nat *n = nat_of(NAT_INTERFACE);
    struct wire *w = SEND(n, LAN, INSIDE, EPOCH, T, .src = ONPREM, .dst = GUEST, .sport = 1000, .dport = 2222,
                          .tcp = TCP_SYN);
    cr_expect_eq(w->p.session, 0);
    expect(w, ONPREM, 1000, GUEST, 2222);
    static const uint8_t flags[] = {TCP_SYN | TCP_ACK, TCP_ACK, TCP_RST};
    for (int i = 0; i < 3; i++)
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, T, .src = GUEST, .dst = ONPREM, .sport = 2222, .dport = 1000,
                    .tcp = flags[i]),
               NODE, 2222, ONPREM, 1000);
    nat_destroy(n);
}

Test(interface, nothing_happens_between_other_ports) {
    struct nat *n = nat_of(NAT_INTERFACE);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53), NODE, 5000, WEB,
           53);
    struct wire *w = SEND(n, INSIDE, LAN, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53);
    cr_expect_eq(w->p.session, 0);
    expect(w, GUEST, 5000, WEB, 53);
    w = SEND(n, LAN, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 53, .dport = 5000);
    cr_expect_eq(w->p.session, 0);
    expect(w, WEB, 53, NODE, 5000);
    nat_destroy(n);
}

Test(interface, an_inside_port_has_one_outside_port_for_all_ends) {
    struct nat *n = nat_of(NAT_INTERFACE);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53), NODE, 5000, WEB,
           53);
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = WEB2, .sport = 5000, .dport = 53);
    uint16_t port = ntohs(w->p.sport);
    cr_expect(port >= 1024 && port != 5000); /* another inside end never shares it, whatever the remote end */
    expect(w, NODE, port, WEB2, 53);
    for (uint16_t to = 1; to < 5; to++)
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = WEB, .sport = 5000, .dport = to), NODE, port,
               WEB, to);
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    cr_expect(stats.ports_live == 2 && stats.live == 6);
    /* Endpoint-independent filtering: an end that was never spoken to gets in, and its answer leaves the same way. */
    w = SEND(n, OUTSIDE, INSIDE, EPOCH, U, .src = "198.51.100.1", .dst = NODE, .sport = 7, .dport = port);
    struct nat_session s;
    cr_assert(nat_session_get(n, w->p.session - 1, &s));
    cr_expect(s.from_outside);
    expect(w, "198.51.100.1", 7, GUEST2, 5000);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = "198.51.100.1", .sport = 5000, .dport = 7), NODE,
           port,
           "198.51.100.1", 7);
    nat_destroy(n);
}

/* A mapping lives as long as any of its sessions, and its port is then anybody's. */
Test(interface, mappings_end_with_their_last_session) {
    struct nat *n = nat_of(NAT_INTERFACE);
    for (uint64_t t = 0; t < 1000; t += 100)
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH + t * S, U, .src = GUEST, .dst = WEB, .sport = 5000,
                    .dport = (uint16_t)(t / 400 + 1)),
               NODE, 5000, WEB, (uint16_t)(t / 400 + 1));
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH + 1199 * S, U, .src = GUEST2, .dst = WEB2, .sport = 5000,
                          .dport = 1);
    cr_expect_neq(w->p.sport, htons(5000));
    wire_free(w);
    w = SEND(n, OUTSIDE, PORT_NONE, EPOCH + 1201 * S, U, .src = WEB2, .dst = NODE, .sport = 1, .dport = 5000);
    expect(w, WEB2, 1, NODE, 5000);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH + 1201 * S, U, .src = "10.0.2.9", .dst = WEB, .sport = 5000, .dport = 1),
           NODE, 5000,
           WEB, 1);
    nat_destroy(n);
}

Test(interface, port_maps_are_reserved_and_used_outwards) {
    struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                               .inside_port = htons(7)};
    struct nat_config config = config_of(NAT_INTERFACE);
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST2, .dst = WEB, .sport = 7007, .dport = 9);
    cr_expect_neq(w->p.sport, htons(7007));
    wire_free(w);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, U, .src = GUEST, .dst = WEB, .sport = 7, .dport = 9), NODE, 7007, WEB, 9);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 9, .dport = 7007), WEB, 9, GUEST, 7);
    nat_destroy(n);
}

Test(interface, the_nodes_own_packets_are_left_alone) {
    struct nat *n = nat_of(NAT_INTERFACE);
    struct wire *w = SEND(n, PORT_NONE, OUTSIDE, EPOCH, U, .src = NODE, .dst = WEB, .sport = 68, .dport = 67);
    cr_expect_eq(w->p.session, 0);
    expect(w, NODE, 68, WEB, 67);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, U, .src = WEB, .dst = NODE, .sport = 67, .dport = 68), WEB, 67, NODE, 68);
    nat_destroy(n);
}

/* An answer to a ping that came in elsewhere is translated by address. */
Test(interface, stray_echo_replies) {
    struct nat *n = nat_of(NAT_INTERFACE);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ICMP, .src = GUEST, .dst = ONPREM, .sport = 3), NODE, 3,
           ONPREM, 0);
    nat_destroy(n);
}
