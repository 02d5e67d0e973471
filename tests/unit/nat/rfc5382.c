/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5382: TCP through NAT, what is not about its states (rfc5382_tcp.c). REQ-4 through a node: nat_node.c of core. */
#include "rfc.h"

/* REQ-1 mappings do not depend on the remote end. REQ-7 two inside ends never share an outside port. */
Test(rfc5382, req_1_req_7_mapping) {
    struct nat *n = rfc_nat(rfc_config(1));
    for (uint16_t port = 1; port < 50; port++) {
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, port & 1 ? WEB : WEB2, port, EPOCH).port, 5000);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST2), 5000, port & 1 ? WEB : WEB2, port, EPOCH).port, 5001);
    }
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 5000, WEB, 1, EPOCH).port, 5000); /* another protocol's ports */
    nat_destroy(n);
}

/* The filter is endpoint-independent where that matters most, else address-dependent, as is chosen. */
Test(rfc5382, req_3_filtering) {
    static const enum drop other_port[] = {DROP_NONE, DROP_NONE, DROP_NAT_FILTERED},
                           other_address[] = {DROP_NONE, DROP_NAT_FILTERED, DROP_NAT_FILTERED};
    for (uint8_t filtering = 0; filtering < 3; filtering++) {
        struct nat_config c = rfc_config(1);
        c.filtering = filtering;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 80, 5000, EPOCH), DROP_NONE);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 81, 5000, EPOCH), other_port[filtering]);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB2, 80, 5000, EPOCH), other_address[filtering]);
        nat_destroy(n);
    }
}

/* Hairpinning, with an outside source address and port (a), for all of a connection. */
Test(rfc5382, req_8_hairpinning) {
    static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK};
    struct nat_config c = rfc_config(1);
    c.hairpin = true;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
    for (int i = 0; i < 6; i++) {
        const bool back = i & 1;
        struct wire *w = SEND(n, INSIDE, INSIDE, EPOCH, .proto = PROTO_TCP, .src = back ? GUEST : GUEST2, .dst = NODE,
                              .sport = back ? 5000 : 6000, .dport = back ? 6000 : 5000, .tcp = flags[i]);
        struct nat_session s;
        cr_assert(nat_session_get(n, w->p.session - 1, &s));
        cr_expect_eq(s.state, i < 2 ? NAT_STATE_TCP_SYN : i < 5 ? NAT_STATE_TCP_ESTABLISHED : NAT_STATE_TCP_CLOSING);
        expect(w, NODE, back ? 5000 : 6000, back ? GUEST2 : GUEST, back ? 6000 : 5000);
    }
    cr_expect_eq(rfc_stats(n).live, 2);
    nat_destroy(n);
}

/* ---- REQ-4: SYNs that nobody asked for ---- */

static struct nat_config holding(enum nat_behaviour filtering) {
    struct nat_config c = rfc_config(1);
    c.filtering = (uint8_t)filtering;
    c.hold_syns = true;
    return c;
}

static void expect_held(struct wire *w) {
    cr_expect_eq(w->p.verdict, VERDICT_HELD);
    wire_free(w);
}

static struct wire *syn(struct nat *n, const char *src, uint16_t sport, uint16_t dport, uint64_t now) {
    return SEND(n, OUTSIDE, INSIDE, now, .proto = PROTO_TCP, .src = src, .dst = NODE, .sport = sport, .dport = dport,
                .tcp = TCP_SYN, .id = 9);
}

/* The next one whose time is over, passed again; the reason for which it is dropped. DROP_COUNT: there is none. */
static enum drop due(struct nat *n, uint16_t *sport, uint64_t now) {
    uint8_t data[NAT_HELD_BYTES];
    struct packet p = {.data = data, .room = sizeof data}, *one = &p;
    nat_in(n, NULL, 0, now);
    if (!nat_take_due(n, &p))
        return DROP_COUNT;
    parse(&p);
    cr_expect(p.dst == addr(NODE) && p.in_port == OUTSIDE && packet_ipv4(&p)->id == htons(9));
    *sport = ntohs(p.sport);
    nat_in(n, &one, 1, now);
    cr_assert_eq(p.verdict, VERDICT_DROP);
    cr_expect(!p.session && !(p.flags & PACKET_DST_CHANGED));
    return (enum drop)p.reason;
}

/* Nothing is said for six seconds, whether there is no mapping or a filter that refuses; then its sender is told. */
Test(rfc5382, req_4_unanswered_for_six_seconds) {
    for (int mapped = 0; mapped < 2; mapped++) {
        struct nat *n = rfc_nat(holding(NAT_ADDRESS_DEPENDENT));
        uint16_t sport;
        if (mapped)
            cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
        expect_held(syn(n, WEB2, 80, 5000, EPOCH));
        cr_expect_eq(due(n, &sport, EPOCH + 6 * S), DROP_COUNT);
        cr_expect_eq(due(n, &sport, EPOCH + 6 * S + 1), DROP_NAT_UNSOLICITED);
        cr_expect_eq(sport, 80);
        cr_expect_eq(due(n, &sport, EPOCH + 7 * S), DROP_COUNT);
        cr_expect(rfc_stats(n).live == (uint32_t)mapped && rfc_stats(n).held == 1);
        nat_destroy(n);
    }
}

/* An outbound SYN of the same connection in the meantime: it is dropped without a word, and the connection goes on. One
 * of another connection does not count. */
Test(rfc5382, req_4_simultaneous_open) {
    for (int same = 0; same < 2; same++) {
        struct nat *n = rfc_nat(holding(NAT_ADDRESS_AND_PORT_DEPENDENT));
        uint16_t sport;
        expect_held(syn(n, WEB, 80, 5000, EPOCH));
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, same ? 80 : 81, EPOCH + 5 * S).port, 5000);
        if (same)
            expect(syn(n, WEB, 80, 5000, EPOCH + 5 * S), WEB, 80, GUEST, 5000); /* sent again */
        else
            expect_drop(syn(n, WEB, 80, 5000, EPOCH + 5 * S), DROP_NAT_FILTERED);
        cr_expect_eq(due(n, &sport, EPOCH + 7 * S), same ? DROP_NAT_FILTERED : DROP_NAT_UNSOLICITED);
        const uint16_t far = same ? 80 : 81;
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH + 8 * S, .proto = PROTO_TCP, .src = WEB, .dst = NODE, .sport = far,
                    .dport = 5000, .tcp = TCP_SYN | TCP_ACK), WEB, far, GUEST, 5000);
        nat_destroy(n);
    }
}

/* One that comes when the six seconds are over is too late, although nobody was told yet. */
Test(rfc5382, req_4_too_late) {
    struct nat *n = rfc_nat(holding(NAT_ENDPOINT_INDEPENDENT));
    uint16_t sport;
    expect_held(syn(n, WEB, 80, 5000, EPOCH));
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH + 7 * S).port, 5000);
    cr_expect_eq(due(n, &sport, EPOCH + 7 * S), DROP_NAT_UNSOLICITED);
    expect(syn(n, WEB, 80, 5000, EPOCH + 7 * S), WEB, 80, GUEST, 5000);
    nat_destroy(n);
}

/* Its repetitions are not answered while it waits. After the answer the next one waits anew. */
Test(rfc5382, req_4_repeated) {
    struct nat *n = rfc_nat(holding(NAT_ENDPOINT_INDEPENDENT));
    uint16_t sport;
    expect_held(syn(n, WEB, 80, 5000, EPOCH));
    expect_drop(syn(n, WEB, 80, 5000, EPOCH + S), DROP_NAT_FILTERED);
    expect_drop(syn(n, WEB, 80, 5000, EPOCH + 3 * S), DROP_NAT_FILTERED);
    expect_held(syn(n, WEB, 81, 5000, EPOCH + 3 * S));
    cr_expect_eq(due(n, &sport, EPOCH + 7 * S), DROP_NAT_UNSOLICITED);
    cr_expect_eq(due(n, &sport, EPOCH + 7 * S), DROP_COUNT);
    expect_held(syn(n, WEB, 80, 5000, EPOCH + 7 * S));
    cr_expect_eq(due(n, &sport, EPOCH + 13 * S), DROP_NAT_UNSOLICITED);
    cr_expect_eq(sport, 81);
    nat_reset(n);
    cr_expect_eq(due(n, &sport, EPOCH + 20 * S), DROP_COUNT);
    nat_destroy(n);
}

/* A flood: as many wait as there is room for, each for its time; the others are dropped and nobody is told. */
Test(rfc5382, req_4_bounded) {
    enum { FLOOD = 1000, ROOM = 128 };
    struct nat *n = rfc_nat(holding(NAT_ENDPOINT_INDEPENDENT));
    uint16_t sport;
    for (int round = 0; round < 3; round++) {
        const uint64_t now = EPOCH + (uint64_t)round * 7 * S;
        for (uint16_t i = 0; i < FLOOD; i++) {
            if (i < ROOM)
                expect_held(syn(n, WEB, i, 5000, now));
            else
                expect_drop(syn(n, WEB, i, 5000, now), DROP_NAT_FILTERED);
        }
        cr_expect_eq(due(n, &sport, now + 6 * S), DROP_COUNT);
        for (uint16_t i = 0; i < ROOM; i++) {
            cr_expect_eq(due(n, &sport, now + 6 * S + 1), DROP_NAT_UNSOLICITED);
            cr_expect_eq(sport, i);
        }
    }
    nat_destroy(n);
}

/* What is no such SYN goes its way: for the node's own services, with other flags, from inside, and with conntrack. */
Test(rfc5382, req_4_only_unsolicited_syns) {
    static const struct nat_port_map map = {.proto = PROTO_TCP, .outside_port = 0x901f, .inside_port = 0x901f};
    struct nat_port_map maps[] = {map};
    struct nat_config c = holding(NAT_ENDPOINT_INDEPENDENT);
    maps[0].inside_addr = addr(GUEST);
    c.port_maps = maps;
    c.n_port_maps = 1;
    struct nat *n = rfc_nat(c);
    expect(syn(n, WEB, 80, 22, EPOCH), WEB, 80, NODE, 22);
    expect(syn(n, WEB, 80, ntohs(map.outside_port), EPOCH), WEB, 80, GUEST, ntohs(map.inside_port));
    for (uint8_t flags = 0; flags < 32; flags++)
        if ((flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) != TCP_SYN)
            expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_TCP, .src = WEB, .dst = NODE, .sport = 80,
                        .dport = 5000, .tcp = flags), WEB, 80, NODE, 5000);
    expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 80, .dport = 5000),
           WEB, 80, NODE, 5000);
    expect(SEND(n, INSIDE, PORT_NONE, EPOCH, .proto = PROTO_TCP, .src = GUEST, .dst = NODE, .sport = 80,
                .dport = 5000, .tcp = TCP_SYN), GUEST, 80, NODE, 5000);
    nat_destroy(n);
    c = holding(NAT_ENDPOINT_INDEPENDENT);
    c.personality = NAT_CONNTRACK;
    n = rfc_nat(c);
    expect(syn(n, WEB, 80, 5000, EPOCH), WEB, 80, NODE, 5000);
    cr_expect_eq(rfc_stats(n).held, 0);
    nat_destroy(n);
}

/* REQ-4 a: without hold_syns nothing is said about what a filter refuses. */
Test(rfc5382, req_4a_silent) {
    struct nat_config c = holding(NAT_ADDRESS_DEPENDENT);
    c.hold_syns = false;
    struct nat *n = rfc_nat(c);
    uint16_t sport;
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
    expect_drop(syn(n, WEB2, 80, 5000, EPOCH), DROP_NAT_FILTERED);
    cr_expect_eq(due(n, &sport, EPOCH + 10 * S), DROP_COUNT);
    nat_destroy(n);
}
