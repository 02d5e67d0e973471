/* SPDX-License-Identifier: BSD-3-Clause */
/* Later fragments follow their first one. */
#include "wire.h"

#include <fwdlab/core/checksum.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define FIRST .proto = PROTO_UDP, .fragment = IPV4_MF, .payload = 40
#define LATER .proto = PROTO_UDP, .fragment = 6, .payload = 16

BOTH(fragments_follow) {
    struct nat *n = nat_of(personality);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 9), DROP_NAT_FRAGMENT);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, FIRST, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53, .id = 9), NODE,
           5000,
           WEB, 53);
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 9), NODE, 0, WEB, 0);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 10), DROP_NAT_FRAGMENT);
    expect_drop(SEND(n, OUTSIDE, INSIDE, EPOCH, LATER, .src = WEB, .dst = NODE, .id = 9), DROP_NAT_FRAGMENT);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, FIRST, .src = WEB, .dst = NODE, .sport = 53, .dport = 5000, .id = 9), WEB,
           53,
           GUEST, 5000);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, LATER, .src = WEB, .dst = NODE, .id = 9), WEB, 0, GUEST, 0);
    /* Remembered for 30 s, and no longer than the session. */
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH + 30 * S + 1, LATER, .src = GUEST, .dst = WEB, .id = 9),
                DROP_NAT_FRAGMENT);
    nat_destroy(n);
}

BOTH(fragments_that_nothing_is_due_to_pass) {
    struct nat *n = nat_of(personality);
    expect(SEND(n, LAN, INSIDE, EPOCH, LATER, .src = WEB, .dst = GUEST, .id = 9), WEB, 0, GUEST, 0);
    expect(SEND(n, INSIDE, LAN, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 9), GUEST, 0, WEB, 0);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, LATER, .src = WEB, .dst = GUEST, .id = 9), WEB, 0, GUEST, 0);
    /* To the node itself after a first one for it. */
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, FIRST, .src = WEB, .dst = NODE, .sport = 1, .dport = 2, .id = 3), WEB, 1,
           NODE, 2);
    expect(SEND(n, OUTSIDE, PORT_NONE, EPOCH, LATER, .src = WEB, .dst = NODE, .id = 3), WEB, 0, NODE, 0);
    nat_destroy(n);
}

/* What is refused is refused as a whole. */
BOTH(fragments_of_a_refused_datagram) {
    struct nat_config config = config_of(personality);
    config.max_sessions = 1;
    struct nat *n = nat_create(&config);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 1, .dport = 2));
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, FIRST, .src = GUEST, .dst = WEB, .sport = 3, .dport = 4, .id = 9),
                DROP_NAT_TABLE_FULL);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 9), DROP_NAT_FRAGMENT);
    nat_destroy(n);
}

/* A first fragment without the checksum of its segment could not be translated soundly (RFC 1858, 3). */
BOTH(tiny_fragments_of_tcp) {
    for (uint16_t payload = 0; payload <= 8; payload += 8) {
        struct nat *n = nat_of(personality);
        struct wire *w = wire_make(&(struct spec){.proto = PROTO_TCP, .src = GUEST, .dst = WEB, .sport = 5000,
                                                  .dport = 80, .tcp = TCP_SYN, .fragment = IPV4_MF, .id = 9});
        struct ipv4_header *ip = packet_ipv4(&w->p);
        ip->total_length = htons((uint16_t)(20 + 16 + payload)); /* the rest is in the next one */
        ip->checksum = 0;
        ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
        w->p.len = w->p.wire_len = w->p.l3 + 20u + 16 + payload;
        pass(n, w, INSIDE, OUTSIDE, EPOCH);
        cr_expect_eq(w->p.verdict == VERDICT_DROP, payload == 0);
        cr_expect_eq(w->p.reason, payload ? DROP_NONE : DROP_NAT_FRAGMENT);
        wire_free(w);
        nat_destroy(n);
    }
}

/* An untranslated connection that conntrack has no room for. */
Test(fragments, of_a_refused_untranslated_datagram) {
    struct nat_config config = config_of(NAT_CONNTRACK);
    config.max_sessions = 1;
    struct nat *n = nat_create(&config);
    wire_free(SEND(n, INSIDE, LAN, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 1, .dport = 2));
    expect_drop(SEND(n, INSIDE, LAN, EPOCH, FIRST, .src = GUEST, .dst = WEB, .sport = 3, .dport = 4, .id = 9),
                DROP_NAT_TABLE_FULL);
    expect_drop(SEND(n, INSIDE, LAN, EPOCH, LATER, .src = GUEST, .dst = WEB, .id = 9), DROP_NAT_FRAGMENT);
    nat_destroy(n);
}

/* The session ends before the 30 s are over: what follows must not leave with the inside address. */
BOTH(fragments_of_an_ended_session) {
    struct nat_config config = config_of(personality);
    config.timers.udp = 5 * S;
    struct nat *n = nat_create(&config);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, FIRST, .src = GUEST, .dst = WEB, .sport = 3, .dport = 4, .id = 9));
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH + 6 * S, LATER, .src = GUEST, .dst = WEB, .id = 9), DROP_NAT_FRAGMENT);
    nat_destroy(n);
}

/* All fragments of a new datagram in one burst, outwards and through a port map. */
BOTH(fragments_in_one_burst) {
    struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                               .inside_port = htons(7)};
    struct nat_config config = config_of(personality);
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    struct wire *w[4] = {
        wire_make(&(struct spec){FIRST, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53, .id = 1}),
        wire_make(&(struct spec){LATER, .src = GUEST, .dst = WEB, .id = 1}),
        wire_make(&(struct spec){FIRST, .src = WEB, .dst = NODE, .sport = 9, .dport = 7007, .id = 2}),
        wire_make(&(struct spec){LATER, .src = WEB, .dst = NODE, .id = 2}),
    };
    struct packet *p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = &w[i]->p;
        p[i]->in_port = i < 2 ? INSIDE : OUTSIDE;
    }
    nat_in(n, p, 4, EPOCH);
    for (int i = 0; i < 4; i++)
        p[i]->out_port = i < 2 ? OUTSIDE : INSIDE;
    nat_out(n, p, 4, EPOCH);
    cr_expect_eq(p[0]->session, p[1]->session);
    cr_expect_eq(p[2]->session, p[3]->session);
    expect(w[0], NODE, 5000, WEB, 53);
    expect(w[1], NODE, 0, WEB, 0);
    expect(w[2], WEB, 9, GUEST, 7);
    expect(w[3], WEB, 0, GUEST, 0);
    nat_destroy(n);
}

/* The checksum in the first fragment covers the whole datagram: put together again it must be right. */
BOTH(fragments_put_together) {
    struct nat *n = nat_of(personality);
    struct wire *whole = wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                                                  .dport = 53,
                                                  .payload = 56});
    struct wire *first = wire_make(&(struct spec){FIRST, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53});
    memcpy(first->bytes + 20, whole->bytes + 20, first->p.len - 20);
    pass(n, first, INSIDE, OUTSIDE, EPOCH);
    memcpy(whole->bytes + 20, first->bytes + 20, first->p.len - 20);
    cr_expect_eq(checksum_l4_ipv4(addr(NODE), addr(WEB), PROTO_UDP, whole->bytes + 20, whole->p.len - 20), 0);
    wire_free(whole);
    wire_free(first);
    nat_destroy(n);
}

/* NAT_INTERFACE: who forges a later fragment of what came in by the outside port is not let in by another one. */
Test(fragments, of_an_answer_by_another_port) {
    struct nat *n = nat_of(NAT_INTERFACE);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = "10.0.2.2", .dst = "203.0.113.10",
                   .sport = 5000, .dport = 53));
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = "203.0.113.10", .dst = "10.0.0.4", .sport = 53,
                .dport = 5000, .id = 7, .fragment = IPV4_MF, .payload = 16), "203.0.113.10", 53, "10.0.2.2", 5000);
    const struct spec later = {.proto = PROTO_UDP, .src = "203.0.113.10", .dst = "10.0.0.4", .id = 7, .fragment = 3,
                               .payload = 16};
    expect(wire_send(n, INSIDE, PORT_NONE, EPOCH, &later), "203.0.113.10", 0, "10.0.0.4", 0);
    expect(wire_send(n, OUTSIDE, INSIDE, EPOCH, &later), "203.0.113.10", 0, "10.0.2.2", 0);
    nat_destroy(n);
}
