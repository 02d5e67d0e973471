/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors: which are due, their bytes, their way back. Sources, quotes and types of service are as in Linux. */
#include "errors.h"
#include <fwdlab/base/random.h>
#include <time.h>

/* A frame that comes in by port 0 from 10.0.0.2 or its IPv6 neighbour, its reason, and the error about it. */
static void expect_error(struct node *n, const struct frame *f, enum drop reason, unsigned type, unsigned code,
                         uint32_t rest) {
    bool v6 = f->byte[ETH] >> 4 == 6;
    const struct want w = {type, code, rest, v6 ? "2001:db8::1" : "10.0.0.1", v6 ? V6_HOST : "10.0.0.2", 0};
    const unsigned most = v6 ? 1280 - 48 : 576 - 28, len = f->len - ETH < most ? f->len - ETH : most;
    struct packet *p;
    if (reason == DROP_NO_NEIGHBOUR) { /* found out by who sends it */
        p = packet_make(f, 0, 0);
        forward(n, &p, 1, 0);
        cr_assert_eq(p->verdict, VERDICT_FORWARD);
        memcpy(p->data, f->byte, f->len);
        packet_drop(p, reason);
    } else {
        p = dropped(n, f, 0, reason, 0);
    }
    struct packet *e = error_about(n, p, 0);
    unsigned at = check_error(n, e, &w, 0);
    cr_expect_eq(e->len - at, len);
    cr_expect_eq(memcmp(e->data + at, f->byte + ETH, len), 0, "what is quoted is what came");
    packet_free(e);
    packet_free(p);
}

/* As Linux: what a rule refuses is an unreachable network, what a route refuses an unreachable host. */
Test(icmp, a_rule_that_refuses_says_network_unreachable) {
    struct node n = router();
    struct route_rule rule = {.priority = 100, .in_port = PORT_NONE, .kind = ROUTE_UNREACHABLE};
    cr_assert_eq(prefix_parse("10.9.2.0/24", &rule.to), 0);
    n.rules = route_rules_create(n.routes);
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    node_prepare(&n);
    struct frame f = ipv4("10.0.0.2", "10.9.2.1", 9, 8);
    expect_error(&n, &f, DROP_UNREACHABLE, ICMP_UNREACHABLE, 0, 0);
    node_fini(&n);
}

Test(icmp, kinds_of_ipv4) {
    struct node n = router();
    struct frame f = ipv4("10.0.0.2", "172.16.0.9", 1, 700);
    expect_error(&n, &f, DROP_TTL_EXPIRED, ICMP_TIME_EXCEEDED, 0, 0);
    f = ipv4("10.0.0.2", "192.0.2.1", 9, 8);
    expect_error(&n, &f, DROP_NO_ROUTE, ICMP_UNREACHABLE, 0, 0);
    f = ipv4("10.0.0.2", "10.9.2.1", 9, 8);
    expect_error(&n, &f, DROP_UNREACHABLE, ICMP_UNREACHABLE, 1, 0);
    f = ipv4("10.0.0.2", "10.9.3.1", 9, 8);
    expect_error(&n, &f, DROP_PROHIBITED, ICMP_UNREACHABLE, 13, 0);
    f = ipv4("10.0.0.2", "172.16.0.9", 9, 8);
    expect_error(&n, &f, DROP_NO_NEIGHBOUR, ICMP_UNREACHABLE, 1, 0);
    f = ipv4("10.0.0.2", "172.16.0.9", 9, 1400);
    frame_ip(&f)->fragment = htons(IPV4_DF);
    frame_seal(&f);
    expect_error(&n, &f, DROP_TOO_BIG, ICMP_UNREACHABLE, 4, 1400);
    f = ipv4("10.0.0.2", "172.16.0.9", 9, 16);
    frame_ip(&f)->version_ihl = 0x47;
    memcpy(f.byte + ETH + 20, (uint8_t[]){1, 7, 6, 3, 0, 0, 0, 0}, 8); /* record route whose pointer is under 4 */
    frame_seal(&f);
    expect_error(&n, &f, DROP_BAD_OPTIONS, ICMP_PARAMETER, 0, 23u << 24);
    cr_expect(n.icmp_errors == 7 && n.icmp_limited == 0);
    node_fini(&n);
}

Test(icmp, kinds_of_ipv6) {
    struct node n = router();
    struct frame f = ipv6(V6_HOST, V6_FAR, 1, 1300);
    expect_error(&n, &f, DROP_TTL_EXPIRED, ICMPV6_TIME_EXCEEDED, 0, 0);
    f = ipv6(V6_HOST, "2001:dead::1", 9, 8);
    expect_error(&n, &f, DROP_NO_ROUTE, ICMPV6_UNREACHABLE, 0, 0);
    f = ipv6(V6_HOST, "2001:db8:2::1", 9, 8);
    expect_error(&n, &f, DROP_UNREACHABLE, ICMPV6_UNREACHABLE, 0, 0);
    f = ipv6(V6_HOST, "2001:db8:3::1", 9, 8);
    expect_error(&n, &f, DROP_PROHIBITED, ICMPV6_UNREACHABLE, 1, 0);
    f = ipv6(V6_HOST, V6_FAR, 9, 8);
    expect_error(&n, &f, DROP_NO_NEIGHBOUR, ICMPV6_UNREACHABLE, 3, 0);
    f = ipv6(V6_HOST, V6_FAR, 9, 1400);
    expect_error(&n, &f, DROP_TOO_BIG, ICMPV6_TOO_BIG, 0, 1400);
    f = ipv6(V6_HOST, V6_FAR, 1, 40);
    frame6_fragment(&f, 800, false); /* RFC 4443 has nothing against it */
    expect_error(&n, &f, DROP_TTL_EXPIRED, ICMPV6_TIME_EXCEEDED, 0, 0);
    node_route6(&n, "fe80::/64", NULL, 0, ROUTE_UNICAST);
    f = ipv6("fe80::7", V6_FAR, 9, 8);
    struct packet *p = dropped(&n, &f, 0, DROP_LINK_LOCAL, 0), *e = error_about(&n, p, 0);
    cr_assert(e && e->data[ETH + 40] == ICMPV6_UNREACHABLE && e->data[ETH + 41] == 2, "beyond the scope of the source");
    cr_expect_eq(memcmp(e->data + ETH + 24, f.byte + ETH + 8, 16), 0);
    packet_free(e);
    packet_free(p);
    p = dropped(&n, &f, 1, DROP_LINK_LOCAL, 0);
    cr_expect(!is_due(&n, p, 0), "the route leads to another link than the source's");
    packet_free(p);
    f = ipv6(V6_HOST, "fe80::7", 9, 8);
    p = dropped(&n, &f, 0, DROP_LINK_LOCAL, 0);
    cr_expect(!is_due(&n, p, 0), "the source's scope is right");
    packet_free(p);
    node_fini(&n);
}

/* RFC 8200, 4.2: an unknown hop-by-hop option of the kinds 10 and 11 is told of, with where it stands. */
Test(icmp, options_of_ipv6) {
    static const struct { uint8_t option; bool stops, told; unsigned code; } is[] = {
        {0x1e, false, false, 0}, {0x5e, true, false, 0}, {0x9e, true, true, 2}, {0xde, true, true, 2},
        {0xc2, true, false, 0}}; /* a jumbo payload option of 2 bytes */
    struct node n = router();
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct frame f = ipv6(V6_HOST, V6_FAR, 9, 8);
        uint8_t *h = frame6_extend(&f, EXTENSION_HOP_BY_HOP, 16);
        memcpy(h + 2, (uint8_t[]){1, 2, 0, 0, is[i].option, 2, 0, 0, 1, 4, 0, 0, 0, 0}, 14);
        if (is[i].told) {
            expect_error(&n, &f, DROP_BAD_EXTENSION, ICMPV6_PARAMETER, is[i].code, 40 + 6);
            continue;
        }
        struct packet *p = packet_make(&f, 0, 0);
        forward(&n, &p, 1, 0);
        cr_expect_eq(p->verdict, is[i].stops ? VERDICT_DROP : VERDICT_FORWARD, "option %#x", is[i].option);
        cr_expect(!is[i].stops || (p->reason == DROP_BAD_EXTENSION && !is_due(&n, p, 0)), "option %#x", is[i].option);
        packet_free(p);
    }
    struct frame f = ipv6(V6_HOST, V6_FAR, 9, 8);
    uint8_t *h = frame6_extend(&f, EXTENSION_HOP_BY_HOP, 16);
    memcpy(h + 2, (uint8_t[]){0x9e, 2, 0, 0, 1, 4, 0, 0, 0, 0, 1, 2, 0, 0}, 14);
    f.byte[ETH + 5] = 15;
    struct packet *p = dropped(&n, &f, 0, DROP_BAD_EXTENSION, 0);
    cr_expect(!is_due(&n, p, 0), "the header ends in the padding behind the packet");
    packet_free(p);
    f = ipv6(V6_HOST, "2001:db8:1::1", 9, 8); /* the router itself: it answers from there (RFC 4443, 2.2) */
    memcpy(frame6_extend(&f, EXTENSION_HOP_BY_HOP, 8) + 2, (uint8_t[]){0x9e, 4}, 2);
    p = dropped(&n, &f, 0, DROP_BAD_EXTENSION, 0);
    struct packet *e = error_about(&n, p, 0);
    check_error(&n, e, &(struct want){ICMPV6_PARAMETER, 2, 42, "2001:db8:1::1", V6_HOST, 0}, 0);
    packet_free(e);
    packet_free(p);
    node_fini(&n);
}

/* RFC 2675, 3: it is where there is a payload length (pointer to it), or its own would fit there (to that). */
Test(icmp, jumbo_payload) {
    static const struct { uint8_t size, high, pad; unsigned pointer; } is[] = {
        {4, 1, 0, 42}, {4, 0, 0, 44}, {2, 1, 0, 0}, {4, 1, 2, 0} /* out of line */};
    struct node n = router();
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct frame f = ipv6(V6_HOST, V6_FAR, 9, 8);
        uint8_t *h = frame6_extend(&f, EXTENSION_HOP_BY_HOP, 16), *o = h + 2 + is[i].pad;
        memcpy(h + 2, (uint8_t[14]){1, 0}, 14);
        o[0] = 0xc2;
        o[1] = is[i].size;
        o[3] = is[i].high;
        if (is[i].pointer) {
            expect_error(&n, &f, DROP_BAD_EXTENSION, ICMPV6_PARAMETER, 0, is[i].pointer);
            continue;
        }
        struct packet *p = packet_make(&f, 0, 0);
        forward(&n, &p, 1, 0);
        cr_expect(p->reason == DROP_BAD_EXTENSION && !is_due(&n, p, 0), "%zu", i);
        packet_free(p);
    }
    node_fini(&n);
}

/* RFC 1812, 4.3.2.7; RFC 4443, 2.4 e. */
Test(icmp, what_no_error_is_due_about) {
    struct node n = router();
    struct frame f = ipv4("10.0.0.2", "172.16.0.9", 1, 40);
    struct packet *p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
    cr_assert(is_due(&n, p, 0));
    const struct packet good = *p;
    p->in_port = PORT_NONE;
    cr_expect(!is_due(&n, p, 0), "the node's own");
    *p = good;
    p->verdict = VERDICT_FORWARD;
    cr_expect(!is_due(&n, p, 0), "not dropped");
    for (enum drop reason = 0; reason < DROP_COUNT; reason++) {
        static const enum drop told[] = {DROP_TTL_EXPIRED, DROP_NO_ROUTE, DROP_UNREACHABLE, DROP_PROHIBITED,
                                         DROP_TOO_BIG, DROP_NO_NEIGHBOUR, DROP_NAT_UNSOLICITED, DROP_BAD_OPTIONS};
        bool want = false;
        for (unsigned i = 0; i < sizeof told / sizeof *told; i++)
            want |= told[i] == reason;
        *p = good;
        packet_drop(p, reason);
        p->out_port = 1;
        cr_expect_eq(is_due(&n, p, 0), want, "%s", drop_name(reason));
    }
    packet_free(p);
    f.byte[0] = 1;
    p = dropped(&n, &f, 0, DROP_BROADCAST, 0);
    packet_drop(p, DROP_TTL_EXPIRED);
    cr_expect(!is_due(&n, p, 0), "a link-layer broadcast");
    packet_free(p);
    static const uint8_t types[] = {ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, 9, 42, ICMP_ECHO, ICMP_TIMESTAMP_REPLY};
    for (unsigned i = 0; i < sizeof types; i++) {
        f = frame_make("10.0.0.2", "172.16.0.9", PROTO_ICMP, 40);
        f.byte[ETH + 20] = types[i];
        frame_ip(&f)->ttl = 1;
        frame_seal(&f);
        p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
        cr_expect_eq(is_due(&n, p, 0), i >= 4, "ICMP type %u", types[i]);
        packet_free(p);
    }
    f = ipv4("10.0.0.2", "172.16.0.9", 1, 40);
    for (unsigned offset = 0; offset < 2; offset++) {
        frame_ip(&f)->fragment = htons((uint16_t)(IPV4_MF | offset));
        frame_seal(&f);
        p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
        cr_expect_eq(is_due(&n, p, 0), offset == 0, "fragment %u", offset);
        packet_free(p);
    }
    f = ipv4("10.0.0.255", "172.16.0.9", 1, 40);
    p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
    cr_expect(!is_due(&n, p, 0), "a broadcast address as source");
    packet_free(p);
    f = ipv4("198.51.100.1", "172.16.0.9", 1, 40);
    p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
    cr_expect(!is_due(&n, p, 0), "no way back");
    packet_free(p);
    f = frame6_make(V6_HOST, V6_FAR, PROTO_ICMPV6, 40);
    frame_ip6(&f)->hop_limit = 1;
    for (unsigned type = 1; type < 256; type += 127) {
        f.byte[ETH + 40] = (uint8_t)type;
        p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0);
        cr_expect_eq(is_due(&n, p, 0), type > 127, "ICMPv6 type %u", type);
        packet_free(p);
    }
    node_fini(&n);
}

/* What came in by the other port than the one that leads back. */
Test(icmp, sources) {
    struct node n = router();
    struct frame f = ipv4("172.17.0.9", "172.16.0.9", 1, 700), f6 = ipv6(V6_HOST, V6_FAR, 1, 8);
    frame_ip(&f)->tos = 0x9f;
    frame_seal(&f);
    struct packet *p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, 0), *e = error_about(&n, p, 0);
    struct packet *p6 = dropped(&n, &f6, 1, DROP_TTL_EXPIRED, 0), *e6 = error_about(&n, p6, 0);
    check_error(&n, e, &(struct want){11, 0, 0, "10.0.0.1", "172.17.0.9", 0}, 0);
    cr_expect(packet_ipv4(e)->tos == 0xde && e->len == ETH + 576);
    check_error(&n, e6, &(struct want){3, 0, 0, "2001:db8:1::1", V6_HOST, 0}, 0);
    packet_free(e);
    packet_free(e6);
    n.ports[0].addr = 0;
    memset(n.ports[1].addr6, 0, 16);
    e = error_about(&n, p, 0);
    e6 = error_about(&n, p6, 0);
    check_error(&n, e, &(struct want){11, 0, 0, "10.0.1.1", "172.17.0.9", 0}, 0);
    check_error(&n, e6, &(struct want){3, 0, 0, "2001:db8::1", V6_HOST, 0}, 0);
    packet_free(e);
    packet_free(e6);
    n.ports[1].addr = 0;
    memset(n.ports[0].addr6, 0, 16);
    cr_expect(!is_due(&n, p, 0) && !is_due(&n, p6, 0), "a router without addresses");
    packet_free(p);
    packet_free(p6);
    node_fini(&n);
}

/* A rule decides the way back; one that looks at sources does not match, for the error has none yet. */
Test(icmp, ways_back_by_rules) {
    struct node n = router();
    n.rules = route_rules_create(n.routes);
    struct route_table *other = route_table_create(&route_trie, 10);
    struct route r = route_make("172.17.0.0/16", "10.0.1.7", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(other, &r), 0);
    cr_assert_eq(route_rules_table_add(n.rules, other), 1);
    struct route_rule rule = {.priority = 10, .in_port = PORT_NONE, .table = 1};
    cr_assert_eq(prefix_parse("10.0.0.0/16", &rule.from), 0);
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    node_prepare(&n);
    struct frame f = ipv4("172.17.0.9", "172.16.0.9", 1, 8);
    struct packet *p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, 0), *e = error_about(&n, p, 0);
    cr_assert(e && memcmp(e->data + ETH + 12, &n.ports[0].addr, 4) == 0);
    packet_free(e);
    cr_assert_eq(route_rules_remove(n.rules, &rule), 0);
    rule.from.addr.family = FAMILY_NONE;
    cr_assert_eq(prefix_parse("172.17.0.0/16", &rule.to), 0);
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    e = error_about(&n, p, 0);
    check_error(&n, e, &(struct want){11, 0, 0, "10.0.1.1", "172.17.0.9", 1}, 0);
    packet_free(e);
    rule.priority = 5; /* a rule by the error's own source does not bend its way: there is none yet when it is sought */
    rule.kind = ROUTE_BLACKHOLE;
    rule.table = 0;
    cr_assert_eq(prefix_parse("10.0.1.1/32", &rule.from), 0);
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    e = error_about(&n, p, 0);
    check_error(&n, e, &(struct want){11, 0, 0, "10.0.1.1", "172.17.0.9", 1}, 0);
    packet_free(e);
    packet_free(p);
    node_fini(&n);
}

/* Any length, padded, cut by the capture, tagged or bare, and a small MTU back. */
Test(icmp, quotes) {
    const uint64_t seed = (uint64_t)time(NULL);
    struct random r;
    random_seed(&r, seed);
    struct node n = router();
    for (unsigned round = 0; round < 3000; round++) {
        bool v6 = random_below(&r, 2), raw = random_below(&r, 4) == 0;
        unsigned payload = 8 + random_below(&r, 1200), mtu = random_below(&r, 3) ? 0 : 68 + random_below(&r, 600);
        struct frame f = v6 ? ipv6(V6_HOST, V6_FAR, 1, payload) : ipv4("10.0.0.2", "172.16.0.9", 1, payload);
        const unsigned header = v6 ? 40 : 20, l3 = raw ? 0 : ETH, max = v6 ? 1280 : mtu && mtu < 576 ? mtu : 576;
        for (unsigned i = ETH + header + 8; i < f.len; i++)
            f.byte[i] = (uint8_t)random_u64(&r);
        n.ports[0].mtu = (uint16_t)mtu;
        memmove(f.byte, f.byte + ETH - l3, f.len - ETH + l3);
        f.len -= ETH - l3;
        unsigned there = f.len - l3, cut = random_below(&r, 4) ? 0 : random_below(&r, payload - 7);
        f.len += random_below(&r, 3) ? 0 : 20; /* padding */
        struct packet *p = packet_make(&f, raw ? PACKET_RAW_IP : 0, 0);
        if (cut) {
            p->len = l3 + (there -= cut);
            p->data = realloc(p->data, p->len);
        }
        forward(&n, &p, 1, 0);
        struct packet *e = error_about(&n, p, 0);
        unsigned at = check_error(&n, e, &(struct want){v6 ? 3 : 11, 0, 0, v6 ? "2001:db8::1" : "10.0.0.1",
                                                        v6 ? V6_HOST : "10.0.0.2", 0}, 0);
        unsigned want = there < max - header - 8 ? there : max - header - 8;
        cr_assert_eq(e->len - at, want, "%u bytes, not %u; seed %#lx", e->len - at, want, seed);
        cr_assert_eq(memcmp(e->data + at, f.byte + l3, want), 0, "seed %#lx", seed);
        packet_free(e);
        packet_free(p);
    }
    node_fini(&n);
}
