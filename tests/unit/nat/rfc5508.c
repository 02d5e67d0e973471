/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5508: ICMP through NAT. REQ-8 and REQ-10, what the node itself sends: tests/unit/core/nat_node.c. */
#include "wire.h"

#include <fwdlab/core/checksum.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define WEB2 "203.0.113.11"
#define HOP "192.0.2.1"
#define INNER 28 /* where an error's packet begins */

static const struct spec udp_out = {.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53,
                                    .payload = 20};

static struct wire *ping(struct nat *n, const char *guest, const char *dst, uint16_t id, uint64_t now) {
    return SEND(n, INSIDE, OUTSIDE, now, .proto = PROTO_ICMP, .src = guest, .dst = dst, .sport = id, .type = ICMP_ECHO);
}

static struct wire *pong(struct nat *n, const char *src, uint16_t id, uint64_t now) {
    return SEND(n, OUTSIDE, INSIDE, now, .proto = PROTO_ICMP, .src = src, .dst = NODE, .sport = id,
                .type = ICMP_ECHO_REPLY);
}

static void put16(uint8_t *at, be16 v) {
    memcpy(at, &v, sizeof v);
}

/* Makes the error's own checksum right again. */
static void seal(struct wire *e) {
    put16(e->bytes + 22, 0);
    put16(e->bytes + 22, checksum_fold(checksum_sum(e->bytes + 20, e->p.len - 20, 0)));
}

static void expect_inside(const struct wire *e, const char *src, uint16_t sport, const char *dst, uint16_t dport) {
    const uint8_t *l4 = e->bytes + INNER + (e->bytes[INNER] & 15) * 4;
    const struct ipv4_header *ip = (const struct ipv4_header *)(e->bytes + INNER);
    cr_expect(ip->src == addr(src) && ip->dst == addr(dst));
    cr_expect_eq(checksum_fold(checksum_sum(ip, (ip->version_ihl & 15) * 4u, 0)), 0, "checksum of the header inside");
    cr_expect_eq(l4[0] << 8 | l4[1], sport);
    cr_expect_eq(l4[2] << 8 | l4[3], dport);
}

/* Query mappings are the same whatever the other end; two who use one identifier are told apart. */
Test(rfc5508, req_1_query_mappings) {
    struct nat *n = nat_of(NAT_INTERFACE);
    expect(ping(n, GUEST, WEB, 77, EPOCH), NODE, 77, WEB, 0);
    struct wire *w = ping(n, GUEST2, WEB, 77, EPOCH);
    const uint16_t other = ntohs(w->p.sport);
    cr_expect_neq(other, 77);
    expect(w, NODE, other, WEB, 0);
    expect(ping(n, GUEST2, WEB2, 77, EPOCH), NODE, other, WEB2, 0);
    expect(pong(n, WEB, other, EPOCH), WEB, 77, GUEST2, 0);
    expect(pong(n, WEB2, other, EPOCH), WEB2, 77, GUEST2, 0);
    expect(pong(n, WEB, 77, EPOCH), WEB, 77, GUEST, 0);
    for (uint8_t type = ICMP_TIMESTAMP; type <= ICMP_MASK; type += 4) /* and queries of other types */
        expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_ICMP, .src = GUEST2, .dst = WEB, .sport = 77,
                    .type = type), NODE, other, WEB, 0);
    nat_destroy(n);
}

/* Not under 60 s; as configured. RFC 7857, 11: the mapping ends with its last session. */
Test(rfc5508, req_2_query_timeout) {
    for (int configured = 0; configured < 2; configured++) {
        const uint64_t idle = configured ? 90 : 60;
        struct nat_config config = config_of(NAT_INTERFACE);
        config.timers.icmp = configured ? idle * S : 0;
        struct nat *n = nat_create(&config);
        struct nat_stats stats;
        wire_free(ping(n, GUEST, WEB, 77, EPOCH));
        expect(pong(n, WEB, 77, EPOCH + idle * S), WEB, 77, GUEST, 0);
        nat_expire(n, EPOCH + 2 * idle * S, UINT32_MAX);
        nat_stats_get(n, &stats);
        cr_expect(stats.live == 1 && stats.ports_live == 1);
        nat_expire(n, EPOCH + 2 * idle * S + S / 100, UINT32_MAX);
        nat_stats_get(n, &stats);
        cr_expect(stats.live == 0 && stats.ports_live == 0);
        nat_destroy(n);
    }
}

/* A broken error goes nowhere: not inside, and not to the node. Linux sends it on as it is. */
BOTH(rfc5508_req_3_broken_checksum) {
    for (int back = 0; back < 2; back++) {
        struct nat *n = nat_of(personality);
        struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out);
        struct wire *answer = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53,
                                   .dport = 5000);
        struct wire *e = wire_error(back ? GUEST : HOP, back ? answer : left, 28);
        e->bytes[22] ^= 1;
        struct wire *before = wire_copy(e);
        pass(n, e, back ? INSIDE : OUTSIDE, back ? OUTSIDE : PORT_NONE, EPOCH);
        if (personality == NAT_INTERFACE)
            cr_expect(e->p.verdict == VERDICT_DROP && e->p.reason == DROP_NAT_ICMP_ERROR);
        else
            cr_expect(!e->p.verdict && memcmp(e->bytes, before->bytes, e->p.len) == 0);
        wire_free(before);
        wire_free(e);
        wire_free(answer);
        wire_free(left);
        nat_destroy(n);
    }
}

BOTH(rfc5508_req_3a_broken_checksum_inside) {
    struct nat *n = nat_of(personality);
    struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out), *e = wire_error(HOP, left, 28);
    e->bytes[INNER + 10] ^= 1;
    seal(e);
    pass(n, e, OUTSIDE, INSIDE, EPOCH);
    if (personality == NAT_INTERFACE)
        expect_drop(e, DROP_NAT_ICMP_ERROR);
    else
        expect(e, HOP, 0, GUEST, 0);
    wire_free(left);
    nat_destroy(n);
}

/* The ports stand behind the options of the packet inside, however many it has. */
BOTH(rfc5508_req_3b_options_inside) {
    for (unsigned options = 4; options <= 40; options += 4) {
        struct nat *n = nat_of(personality);
        wire_free(wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out));
        struct spec longer = udp_out;
        longer.payload = (uint16_t)(20 + options);
        struct wire *about = wire_make(&longer);
        struct ipv4_header *ip = (struct ipv4_header *)about->bytes;
        memmove(about->bytes + 20 + options, about->bytes + 20, 28);
        memset(about->bytes + 20, 1, options); /* no-operations */
        ip->version_ihl = (uint8_t)(0x45 + options / 4);
        ip->src = addr(NODE);
        ip->checksum = 0;
        ip->checksum = checksum_fold(checksum_sum(ip, 20 + options, 0));
        about->p.src = addr(NODE);
        struct wire *e = wire_error(HOP, about, (uint16_t)(options + 8));
        pass(n, e, OUTSIDE, INSIDE, EPOCH);
        expect_inside(e, GUEST, 5000, WEB, 53);
        expect(e, HOP, 0, GUEST, 0);
        wire_free(about);
        nat_destroy(n);
    }
}

/* The transport's checksum inside is nobody's business, and what follows the packet inside (RFC 4884) stays. */
BOTH(rfc5508_req_3c_3d_checksum_and_extensions) {
    struct nat *n = nat_of(personality);
    struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out);
    left->bytes[26] ^= 0x55; /* UDP checksum */
    struct wire *e = wire_error(HOP, left, 28);
    const uint8_t *last = e->bytes + e->p.len - 8;
    const uint8_t extension[8] = {0x20, 0, 0xab, 0xcd, 0, 4, 1, 1};
    memcpy(e->bytes + e->p.len - 8, extension, sizeof extension);
    seal(e);
    pass(n, e, OUTSIDE, INSIDE, EPOCH);
    cr_expect_eq(memcmp(last, extension, sizeof extension), 0);
    expect_inside(e, GUEST, 5000, WEB, 53);
    expect(e, HOP, 0, GUEST, 0);
    wire_free(left);
    nat_destroy(n);
}

static const uint8_t kinds[][2] = {{ICMP_UNREACHABLE, 0}, {ICMP_UNREACHABLE, 3}, {ICMP_UNREACHABLE, 4},
                                   {ICMP_TIME_EXCEEDED, 0}, {ICMP_TIME_EXCEEDED, 1}, {ICMP_PARAMETER, 0}};
#define KINDS (sizeof kinds / sizeof *kinds)

/* From outside: the packet inside as its sender knows it, type and code as they were, to that sender. */
BOTH(rfc5508_req_4_from_outside) {
    struct nat *n = nat_of(personality);
    struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out);
    for (size_t i = 0; i < KINDS; i++) {
        struct wire *e = wire_error_of(kinds[i][0], kinds[i][1], HOP, left, 28);
        pass(n, e, OUTSIDE, INSIDE, EPOCH);
        cr_expect(e->bytes[20] == kinds[i][0] && e->bytes[21] == kinds[i][1]);
        expect_inside(e, GUEST, 5000, WEB, 53);
        expect(e, HOP, 0, GUEST, 0);
    }
    wire_free(left);
    nat_destroy(n);
}

/* No mapping: it goes no further than to the node, whose address it is sent to. */
Test(rfc5508, req_4_from_outside_without_a_mapping) {
    struct nat *n = nat_of(NAT_INTERFACE);
    struct wire *stray = wire_make(&(struct spec){.proto = PROTO_UDP, .src = NODE, .dst = WEB, .sport = 5, .dport = 6});
    for (int port = OUTSIDE; port <= LAN; port++) {
        struct wire *e = wire_error(HOP, stray, 8);
        pass(n, e, OUTSIDE, (uint16_t)port, EPOCH);
        expect_drop(e, DROP_NAT_ICMP_ERROR);
    }
    struct wire *e = wire_error(HOP, stray, 8);
    pass(n, e, OUTSIDE, PORT_NONE, EPOCH);
    expect(e, HOP, 0, NODE, 0);
    wire_free(stray);
    nat_destroy(n);
}

/* From inside, whoever there sends it: from the NAT's address, about what the far end sent. Without a mapping: not. */
Test(rfc5508, req_5_from_inside) {
    struct nat *n = nat_of(NAT_INTERFACE);
    wire_free(wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out));
    struct wire *answer = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53,
                               .dport = 5000, .payload = 20), *e;
    for (size_t i = 0; i < 2 * KINDS; i++) {
        e = wire_error_of(kinds[i / 2][0], kinds[i / 2][1], i % 2 ? "10.0.9.9" : GUEST, answer, 28);
        pass(n, e, INSIDE, OUTSIDE, EPOCH);
        cr_expect(e->bytes[20] == kinds[i / 2][0] && e->bytes[21] == kinds[i / 2][1]);
        expect_inside(e, WEB, 53, NODE, 5000);
        expect(e, NODE, 0, WEB, 0);
    }
    nat_reset(n);
    e = wire_error(GUEST, answer, 28);
    pass(n, e, INSIDE, OUTSIDE, EPOCH);
    expect_drop(e, DROP_NAT_ICMP_ERROR);
    wire_free(answer);
    nat_destroy(n);
}

/* An error neither keeps a session alive nor ends it. */
BOTH(rfc5508_req_6_sessions_do_not_notice) {
    static const uint8_t protos[] = {PROTO_ICMP, PROTO_UDP};
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < KINDS; k++) {
            struct nat_config config = config_of(personality);
            config.timers = (struct nat_timers){.icmp = 60 * S, .udp = 60 * S, .udp_stream = 60 * S};
            struct nat *n = nat_create(&config);
            const struct spec s = {.proto = protos[i], .src = GUEST, .dst = WEB, .sport = 5000, .type = ICMP_ECHO,
                                   .dport = i ? 53 : 0};
            const struct nat_tuple t = {addr(GUEST), addr(WEB), htons(5000), htons(s.dport)};
            struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &s);
            struct wire *e = wire_error_of(kinds[k][0], kinds[k][1], HOP, left, 8);
            pass(n, e, OUTSIDE, INSIDE, EPOCH + 50 * S);
            expect(e, HOP, 0, GUEST, 0);
            nat_in(n, NULL, 0, EPOCH + 60 * S);
            cr_expect_neq(nat_find(n, s.proto, &t), UINT32_MAX);
            nat_in(n, NULL, 0, EPOCH + 60 * S + S / 100);
            cr_expect_eq(nat_find(n, s.proto, &t), UINT32_MAX);
            wire_free(left);
            nat_destroy(n);
        }
}

/* Hairpinned: to the mapping's owner from the NAT's address, both ends inside translated; by receiver and by sender. */
Test(rfc5508, req_7_hairpinned_errors) {
    struct nat_config config = config_of(NAT_INTERFACE);
    config.hairpin = true;
    struct nat *n = nat_create(&config);
    wire_free(wire_send(n, INSIDE, OUTSIDE, EPOCH, &udp_out)); /* GUEST's mapping */
    const struct spec there = {.proto = PROTO_UDP, .src = GUEST2, .dst = NODE, .sport = 6000, .dport = 5000,
                               .payload = 20};
    struct wire *w = wire_send(n, INSIDE, INSIDE, EPOCH, &there), *e = wire_error_of(ICMP_UNREACHABLE, 3, GUEST, w, 28);
    pass(n, e, INSIDE, INSIDE, EPOCH);
    expect_inside(e, GUEST2, 6000, NODE, 5000);
    expect(e, NODE, 0, GUEST2, 0);
    expect(w, NODE, 6000, GUEST, 5000);
    w = SEND(n, INSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = NODE, .sport = 5000, .dport = 6000,
             .payload = 20);
    e = wire_error_of(ICMP_UNREACHABLE, 3, GUEST2, w, 28);
    pass(n, e, INSIDE, INSIDE, EPOCH);
    expect_inside(e, GUEST, 5000, NODE, 6000);
    expect(e, NODE, 0, GUEST, 0);
    expect(w, NODE, 5000, GUEST2, 6000);
    nat_destroy(n);
}

/* Messages that are neither queries nor errors: translated by address, and nothing else of them changes. */
Test(rfc5508, req_11_other_messages) {
    static const uint8_t types[] = {9, 10, 30, 40, 253}; /* router discovery, traceroute, Photuris, an experiment */
    for (size_t i = 0; i < sizeof types; i++) {
        struct nat *n = nat_of(NAT_INTERFACE);
        struct wire *w = wire_make(&(struct spec){.proto = PROTO_ICMP, .src = GUEST, .dst = WEB, .sport = 77,
                                                  .type = types[i], .payload = 24}), *before = wire_copy(w);
        pass(n, w, INSIDE, OUTSIDE, EPOCH);
        cr_expect_eq(memcmp(w->bytes + 20, before->bytes + 20, w->p.len - 20), 0, "type %u", types[i]);
        expect(w, NODE, 0, WEB, 0);
        expect(SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_ICMP, .src = WEB, .dst = NODE, .type = types[i]), WEB, 0,
               GUEST, 0);
        wire_free(before);
        nat_destroy(n);
    }
}
