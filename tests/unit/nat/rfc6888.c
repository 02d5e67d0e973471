/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6888: what a NAT of many subscribers must do besides. Port blocks: also RFC 7422, 2. */
#include "nat_internal.h"
#include "rfc.h"

static struct end from(struct nat *n, uint32_t guest, uint16_t sport, uint16_t dport, uint64_t now) {
    return rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(guest), sport, WEB, dport, now);
}

/* A subscriber has one outside address at a time, also when it has blocks of ports. */
Test(rfc6888, req_2_paired) {
    struct nat_config c = rfc_config(4);
    c.port_min = 2000;
    c.port_max = 2255;
    c.port_block = 8;
    c.client_blocks = 3;
    struct nat *n = rfc_nat(c);
    for (uint32_t guest = 0; guest < 8; guest++)
        for (uint16_t i = 1; i < 24; i++)
            cr_expect_eq(from(n, guest, (uint16_t)(3000 + i), 1, EPOCH).addr, from(n, guest, 3000, 1, EPOCH).addr);
    nat_destroy(n);
}

/* Outside ports of a subscriber are limited, of each protocol apart; others have theirs. They come back with time. */
Test(rfc6888, req_4_port_limit) {
    struct nat_config c = rfc_config(1);
    c.client_ports = 10;
    struct nat *n = rfc_nat(c);
    for (uint16_t i = 0; i < 20; i++) {
        cr_expect_eq(from(n, 0, (uint16_t)(5000 + i), 53, EPOCH).reason, i < 10 ? DROP_NONE : DROP_NAT_CLIENT_LIMIT);
        cr_expect_neq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, i, EPOCH).port, 0);
        cr_expect_neq(from(n, 1, 5000, i, EPOCH).port, 0);
    }
    cr_expect(rfc_stats(n).refused_client == 10 && rfc_stats(n).refused_port == 0);
    cr_expect_eq(from(n, 0, 5000, 54, EPOCH).port, 5000); /* a port that it has, to another end */
    cr_expect_eq(from(n, 0, 6000, 53, EPOCH + 301 * S).port, 6000); /* nothing was expired by hand */
    nat_destroy(n);
}

/* REQ-4 c, REQ-5 b: how fast a subscriber may begin sessions: a second's worth at once, then evenly; whichever side
 * begins. Others are not touched, what it has goes on. When its last session is gone it begins anew. */
Test(rfc6888, req_4c_req_5b_session_rate) {
    for (int inward = 0; inward < 2; inward++) {
        struct nat_config c = rfc_config(1);
        c.client_rate = 10;
        struct nat *n = rfc_nat(c);
        uint16_t next = 1;
        cr_expect_eq(from(n, 0, 5000, 0, EPOCH).port, 5000);
        for (uint64_t tenth = 10; tenth < 60; tenth++) {
            const uint64_t now = EPOCH + tenth * S / 10;
            for (int i = 0; i < 20; i++) {
                const enum drop why = inward ? rfc_in(n, PROTO_UDP, WEB2, next++, 5000, now)
                                             : from(n, 0, 5000, next++, now).reason;
                const bool may = i < (tenth == 10 ? 10 : 1);
                cr_expect_eq(why, may ? DROP_NONE : DROP_NAT_CLIENT_LIMIT, "%lu, %d", (unsigned long)tenth, i);
            }
            cr_expect_neq(from(n, (uint32_t)tenth, 5000, 0, now).port, 0);
            cr_expect_eq(from(n, 0, 5000, 0, now).port, 5000);
        }
        nat_settle(n, EPOCH + 1000 * S);
        cr_expect_eq(rfc_stats(n).live, 0);
        for (int i = 0; i < 20; i++)
            cr_expect_eq(from(n, 0, 5000, next++, EPOCH + 1000 * S).reason,
                         i < 10 ? DROP_NONE : DROP_NAT_CLIENT_LIMIT);
        nat_destroy(n);
    }
}

/* The state that a subscriber takes is limited (a: as configured), whichever side begins. */
Test(rfc6888, req_5_session_limit) {
    struct nat_config c = rfc_config(1);
    c.client_sessions = 10;
    struct nat *n = rfc_nat(c);
    for (uint16_t i = 0; i < 5; i++) {
        cr_expect_eq(from(n, 0, 5000, i, EPOCH).port, 5000);
        cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, i, 5000, EPOCH), DROP_NONE);
    }
    cr_expect_eq(from(n, 0, 5000, 99, EPOCH).reason, DROP_NAT_CLIENT_LIMIT);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 99, 5000, EPOCH), DROP_NAT_CLIENT_LIMIT);
    cr_expect_eq(from(n, 0, 5000, 1, EPOCH).port, 5000); /* what it has goes on */
    cr_expect_neq(from(n, 1, 5000, 99, EPOCH).port, 0);
    cr_expect_eq(rfc_stats(n).refused_client, 2);
    cr_expect_eq(from(n, 0, 5000, 99, EPOCH + 301 * S).port, 5000);
    nat_destroy(n);
}

/* Nothing is translated for the destinations that the configuration names: with ports or without, in fragments, and
 * neither are errors about it. All else is. */
Test(rfc6888, req_6_untranslated_destinations) {
    const struct nat_net nets[] = {{addr("198.18.0.0"), htonl(0xfffe0000)}, {addr(WEB2), ~0u}};
    struct nat_config c = rfc_config(1);
    c.untranslated = nets;
    c.n_untranslated = 2;
    struct nat *n = rfc_nat(c);
    static const char *const to[] = {"198.18.0.0", "198.19.255.255", WEB2}, *const beside[] = {"198.17.255.255",
                                                                                              "198.20.0.0", WEB};
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof protos; k++) {
            cr_expect_eq(rfc_out(n, protos[k], addr(GUEST), 5000, to[i], 80, EPOCH).addr, ntohl(addr(GUEST)));
            cr_expect_eq(rfc_out(n, protos[k], addr(GUEST), 5000, beside[i], 80, EPOCH).addr, ntohl(addr(NODE)));
        }
    for (int later = 0; later < 2; later++)
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB2, .sport = 5000,
                    .dport = 80, .id = 3, .payload = 16, .fragment = later ? 2 : IPV4_MF), GUEST, 5000, WEB2, 80);
    struct wire *asked = wire_make(&(struct spec){.proto = PROTO_UDP, .src = WEB2, .dst = GUEST, .sport = 80,
                                                  .dport = 5000}), *e = wire_error(GUEST, asked, 8);
    pass(n, e, INSIDE, OUTSIDE, EPOCH);
    expect(e, GUEST, 0, WEB2, 0);
    wire_free(asked);
    nat_destroy(n);
}

/* A port whose mapping has ended rests: another subscriber gets it after 120 s at the earliest, its own one at once.
 * Not of TCP (a). However late idle sessions are freed. */
Test(rfc6888, req_8_ports_rest) {
    static const struct {
        uint8_t proto;
        uint32_t idle;
        bool rests;
    } rows[] = {{PROTO_UDP, 300, true}, {PROTO_ICMP, 60, true}, {PROTO_TCP, 240, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int lazy = 0; lazy < 2; lazy++)
            for (uint32_t after = 1; after < 200; after += 7) {
                struct nat_config c = rfc_config(1);
                c.port_min = 5000;
                c.port_max = 5001;
                c.port_rest = 120 * S;
                struct nat *n = rfc_nat(c);
                const uint64_t ended = EPOCH + (50 + rows[i].idle) * S, now = ended + after * S;
                const bool free = !rows[i].rests || after > 120;
                cr_expect_eq(rfc_out(n, rows[i].proto, addr(GUEST), 5000, WEB, 1, EPOCH).port, 5000);
                cr_expect_eq(rfc_out(n, rows[i].proto, addr(GUEST), 5000, WEB2, 2, EPOCH + 50 * S).port, 5000);
                if (!lazy)
                    nat_expire(n, now, UINT32_MAX);
                cr_expect_eq(rfc_out(n, rows[i].proto, addr(GUEST2), 5000, WEB, 1, now).port, free ? 5000 : 5001);
                cr_expect_eq(rfc_out(n, rows[i].proto, addr(GUEST2) + htonl(1), 5000, WEB, 1, now).reason,
                             free ? DROP_NONE : DROP_NAT_NO_PORT);
                const struct end own = rfc_out(n, rows[i].proto, addr(GUEST), 6000, WEB, 1, now);
                cr_expect_eq(own.reason, free ? DROP_NAT_NO_PORT : DROP_NONE);
                cr_expect_eq(own.port, free ? 0 : 5000);
                nat_reset(n); /* forgets it */
                cr_expect_eq(rfc_out(n, rows[i].proto, addr(GUEST2), 5000, WEB, 1, EPOCH).port, 5000);
                nat_destroy(n);
            }
}

/* So do those of a block that has gone to another subscriber. */
Test(rfc6888, req_8_blocks_rest) {
    struct nat_config c = rfc_config(1);
    c.port_min = 2048;
    c.port_max = 2063;
    c.port_block = 8;
    c.port_rest = 120 * S;
    struct nat *n = rfc_nat(c);
    uint64_t now = EPOCH;
    uint16_t had[2], got[2];
    for (uint32_t guest = 0; guest < 2; guest++)
        had[guest] = from(n, guest, 2050, 1, now).port;
    cr_expect(had[0] && had[1]);
    now += 301 * S;
    for (uint32_t guest = 0; guest < 2; guest++)
        got[guest] = from(n, 2 + guest, 2050, 1, now).port;
    for (int i = 0; i < 4; i++)
        cr_expect(got[i / 2] && got[i / 2] != had[i % 2]);
    now += 422 * S;
    for (uint32_t guest = 0; guest < 2; guest++)
        got[guest] = from(n, 4 + guest, 2050, 1, now).port;
    cr_expect((got[0] == had[0] && got[1] == had[1]) || (got[0] == had[1] && got[1] == had[0]));
    nat_destroy(n);
}

/* What cannot get a mapping is dropped, counted, and takes nothing from those that are there. */
Test(rfc6888, req_11_exhaustion) {
    struct nat_config c = rfc_config(1);
    c.port_min = 2000;
    c.port_max = 2063;
    struct nat *n = rfc_nat(c);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t guest = 0; guest < 100; guest++)
            cr_expect_eq(from(n, guest, 2000, 1, EPOCH).reason, guest < 64 ? DROP_NONE : DROP_NAT_NO_PORT);
    struct nat_stats s = rfc_stats(n);
    cr_expect(s.refused_port == 72 && s.live == 64 && s.ports_live == 64 && s.ports_available == 64);
    for (uint32_t guest = 0; guest < 64; guest += 2) /* every other one goes on */
        cr_expect_neq(from(n, guest, 2000, 1, EPOCH + 200 * S).port, 0);
    for (uint32_t guest = 100; guest < 133; guest++) /* and the ports of the others come free, no sooner */
        cr_expect_eq(from(n, guest, 2000, 1, EPOCH + 302 * S).reason, guest < 132 ? DROP_NONE : DROP_NAT_NO_PORT);
    nat_destroy(n);
}

/* REQ-14 with RFC 7422: the ports of a subscriber stand in blocks of its own, so that a block says who it is. */
Test(rfc6888, req_14_port_blocks) {
    struct nat_config c = rfc_config(2);
    c.port_min = 2048;
    c.port_max = 4095;
    c.port_block = 64;
    c.client_blocks = 2;
    c.max_sessions = 4000;
    struct nat *n = rfc_nat(c);
    static uint32_t owner[2][32];
    for (uint32_t guest = 1; guest < 12; guest++)
        for (uint16_t i = 0; i < 130; i++) {
            const struct end e = from(n, guest, (uint16_t)(2048 + 3 * i), 1, EPOCH);
            cr_expect_eq(e.reason, i < 128 ? DROP_NONE : DROP_NAT_CLIENT_LIMIT, "guest %u, port %u: %s", guest, i,
                         drop_name(e.reason));
            if (e.reason)
                continue;
            uint32_t *block = &owner[e.addr - ntohl(addr(NODE))][(e.port - 2048) / 64];
            cr_expect(*block == 0 || *block == guest);
            *block = guest;
        }
    nat_destroy(n);
}

/* Blocks go back with the last session of their subscriber; then others may have them. A subscriber with sessions stays
 * with its address when that has no block left, another moves. */
Test(rfc6888, req_14_blocks_go_back) {
    struct nat_config c = rfc_config(2);
    c.port_min = 2048;
    c.port_max = 2111;
    c.port_block = 32;
    c.client_blocks = 4;
    struct nat *n = rfc_nat(c);
    const uint32_t first = from(n, 0, 2048, 1, EPOCH).addr;
    for (uint32_t guest = 1; guest < 4; guest++)
        cr_expect_neq(from(n, guest, 2048, 1, EPOCH).port, 0); /* four blocks in all */
    cr_expect_eq(from(n, 4, 2048, 1, EPOCH).reason, DROP_NAT_NO_PORT);
    for (uint16_t i = 1; i < 32; i++)
        cr_expect_eq(from(n, 0, (uint16_t)(2048 + i), 1, EPOCH + 200 * S).addr, first);
    cr_expect_eq(from(n, 0, 2080, 1, EPOCH + 200 * S).reason, DROP_NAT_NO_PORT);
    for (uint32_t guest = 5; guest < 8; guest++)
        cr_expect_neq(from(n, guest, 2048, 1, EPOCH + 302 * S).port, 0);
    cr_expect_eq(from(n, 8, 2048, 1, EPOCH + 302 * S).reason, DROP_NAT_NO_PORT);
    nat_destroy(n);
}

/* REQ-15: ports are hard to guess, by choice, and inside blocks too. */
Test(rfc6888, req_15_random_in_blocks) {
    struct nat_config c = rfc_config(1);
    c.port_block = 512;
    c.port_choice = NAT_PORT_RANDOM;
    struct nat *n = rfc_nat(c);
    unsigned neighbours = 0;
    uint16_t last = from(n, 0, 5000, 1, EPOCH).port;
    for (uint16_t i = 1; i < 100; i++) {
        const uint16_t port = from(n, 0, (uint16_t)(5000 + i), 1, EPOCH).port;
        cr_expect_eq((port - 1024) / 512, (last - 1024) / 512);
        neighbours += port == last + 1;
        last = port;
    }
    cr_expect_lt(neighbours, 10);
    nat_destroy(n);
}
