/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 through a whole node: what is delivered, forwarded and refused, by the clause that says so. */
#include "frame6.h"
#include <fwdlab/base/random.h>

#define SEED 4291

static void node_route6(struct node *n, const char *prefix, const char *via, uint16_t port, int kind) {
    struct route r = route_make(prefix, via, port, 0, kind);
    cr_assert_eq(route_add(n->routes6, &r), 0, "%s", prefix);
}

/*
 * node_make's router with 2001:db8::1/64 on port 0, 2001:db8:1::1/64 on port 1, a default route by fe80::fe on port 1,
 * a link-local address of its own, one route of each refusing kind.
 */
static struct node node6_make(void) {
    struct node n = node_make();
    n.routes6 = route_table_create(&route_trie6, 100);
    memcpy(n.ports[0].addr6, addr6("2001:db8::1").v6, 16);
    memcpy(n.ports[1].addr6, addr6("2001:db8:1::1").v6, 16);
    n.ports[0].len6 = n.ports[1].len6 = 64;
    node_route6(&n, "2001:db8::/64", NULL, 0, ROUTE_UNICAST);
    node_route6(&n, "2001:db8::1/128", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route6(&n, "2001:db8:1::/64", NULL, 1, ROUTE_UNICAST);
    node_route6(&n, "2001:db8:1::1/128", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route6(&n, "fe80::1/128", NULL, PORT_NONE, ROUTE_LOCAL);
    node_route6(&n, "::/0", "fe80::fe", 1, ROUTE_UNICAST);
    node_route6(&n, "2001:db8:9:1::/64", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    node_route6(&n, "2001:db8:9:2::/64", NULL, PORT_NONE, ROUTE_UNREACHABLE);
    node_route6(&n, "2001:db8:9:3::/64", NULL, PORT_NONE, ROUTE_PROHIBIT);
    node_prepare(&n);
    return n;
}

static struct packet *pass(struct node *n, const struct frame *f) {
    struct packet *p = packet_make(f, 0, 0);
    forward(n, &p, 1, 0);
    return p;
}

/* The verdict and the reason in one number: a reason, or minus the verdict. */
#define DELIVERED (-VERDICT_DELIVER)
#define FORWARDED (-VERDICT_FORWARD)
static int outcome_of(struct node *n, const struct frame *f) {
    struct packet *p = pass(n, f);
    int outcome = p->verdict == VERDICT_DROP ? p->reason : -p->verdict;
    cr_assert_eq(p->verdict == VERDICT_DROP, p->reason != DROP_NONE);
    if (p->verdict != VERDICT_FORWARD)
        cr_assert_eq(memcmp(p->data, f->byte, f->len), 0, "only what is forwarded is changed");
    packet_free(p);
    return outcome;
}

static int outcome(struct node *n, const char *src, const char *dst, uint8_t hop_limit) {
    struct frame f = frame6_make(src, dst, PROTO_UDP, 8);
    frame_ip6(&f)->hop_limit = hop_limit;
    return outcome_of(n, &f);
}

#define HOST "2001:db8::2"
#define FAR "2001:db8:7::7"

Test(ipv6, next_hops_and_rewrite) {
    struct node n = node6_make();
    char text[IP_TEXT];
    n.ports[0].mac = (struct mac){{2, 0, 0, 0, 0, 1}};
    n.ports[1].mac = (struct mac){{2, 0, 0, 0, 0, 2}};
    n.ports[1].neighbour = (struct mac){{2, 0, 0, 0, 0, 3}};
    n.ports[0].has_mac = n.ports[1].has_mac = true;
    struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 8);
    struct packet *p = pass(&n, &f);
    cr_assert(p->verdict == VERDICT_FORWARD && p->out_port == 1 && p->next_hop == 0);
    cr_assert_eq(node_path(&n, FAMILY_IPV6, p->path, NULL)->route, 5u);
    struct ip hop = node_next_hop(&n, p);
    cr_assert_str_eq(ip_format(&hop, text), "fe80::fe");
    frame_ip6(&f)->hop_limit--;
    memcpy(f.byte, &n.ports[1].neighbour, 6);
    memcpy(f.byte + 6, &n.ports[1].mac, 6);
    cr_assert_eq(memcmp(p->data, f.byte, f.len), 0, "hop limit and MACs, nothing else");
    packet_free(p);

    f = frame6_make(HOST, "2001:db8:1::7", PROTO_UDP, 8);
    p = pass(&n, &f);
    hop = node_next_hop(&n, p);
    cr_assert(p->verdict == VERDICT_FORWARD && strcmp(ip_format(&hop, text), "2001:db8:1::7") == 0, "on link");
    packet_free(p);

    f = frame6_make(HOST, FAR, PROTO_UDP, 8);
    memmove(f.byte, f.byte + ETH, f.len -= ETH);
    p = packet_make(&f, PACKET_RAW_IP, 0);
    forward(&n, &p, 1, 0);
    f.byte[7]--;
    cr_assert(p->verdict == VERDICT_FORWARD && memcmp(p->data, f.byte, f.len) == 0, "no MACs to write");
    packet_free(p);
    node_fini(&n);
}

Test(ipv6, rfc8200_3_hop_limit) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, HOST, FAR, 2), FORWARDED);
    cr_assert_eq(outcome(&n, HOST, FAR, 1), DROP_TTL_EXPIRED);
    cr_assert_eq(outcome(&n, HOST, FAR, 0), DROP_TTL_EXPIRED);
    cr_assert_eq(outcome(&n, HOST, "2001:db8:1::1", 1), DELIVERED, "delivery needs none");
    cr_assert_eq(outcome(&n, HOST, "2001:db8:9:1::1", 1), DROP_BLACKHOLE, "the route comes before the hop limit");
    node_fini(&n);
}

Test(ipv6, refusing_routes_and_hosts) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, HOST, "2001:db8:9:1::1", 64), DROP_BLACKHOLE);
    cr_assert_eq(outcome(&n, HOST, "2001:db8:9:2::1", 64), DROP_UNREACHABLE);
    cr_assert_eq(outcome(&n, HOST, "2001:db8:9:3::1", 64), DROP_PROHIBITED);
    n.router = false;
    cr_assert_eq(outcome(&n, HOST, FAR, 64), DROP_NOT_A_ROUTER);
    cr_assert_eq(outcome(&n, HOST, "2001:db8::1", 64), DELIVERED);
    n.router = true;
    struct route by_default = route_make("::/0", "fe80::fe", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_remove(n.routes6, &by_default), 0);
    cr_assert_eq(outcome(&n, HOST, FAR, 64), DROP_NO_ROUTE);
    node_fini(&n);
}

/* RFC 4291, 2.5.2: never a destination, and a source only of what stays on the link (duplicate address detection). */
Test(ipv6, rfc4291_2_5_2_unspecified) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "::", FAR, 64), DROP_MARTIAN_SOURCE);
    cr_assert_eq(outcome(&n, HOST, "::", 64), DROP_MARTIAN_DESTINATION);
    cr_assert_eq(outcome(&n, "::", "ff02::1:ff00:1", 255), DELIVERED);
    memset(n.ports[1].addr6, 0, 16); /* a port without an address has not the unspecified one */
    cr_assert_eq(outcome(&n, "::", "ff02::1:ff00:1", 255), DELIVERED);
    node_fini(&n);
}

Test(ipv6, rfc4291_2_5_3_loopback) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "::1", FAR, 64), DROP_MARTIAN_SOURCE);
    cr_assert_eq(outcome(&n, HOST, "::1", 64), DROP_MARTIAN_DESTINATION);
    cr_assert_eq(outcome(&n, "::2", FAR, 64), FORWARDED, "its neighbour is an address like others");
    node_fini(&n);
}

/* RFC 4291, 2.5.5.2; RFC 6890: not on the wire. */
Test(ipv6, rfc4291_2_5_5_2_ipv4_mapped) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "::ffff:10.0.0.2", FAR, 64), DROP_MARTIAN_SOURCE);
    cr_assert_eq(outcome(&n, HOST, "::ffff:10.0.1.2", 64), DROP_MARTIAN_DESTINATION);
    cr_assert_eq(outcome(&n, HOST, "64:ff9b::10.0.1.2", 64), FORWARDED, "RFC 6052 is another thing");
    node_fini(&n);
}

Test(ipv6, rfc4291_2_5_6_link_local_is_not_forwarded) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "fe80::2", FAR, 64), DROP_LINK_LOCAL);
    cr_assert_eq(outcome(&n, HOST, "fe80::2", 64), DROP_LINK_LOCAL);
    cr_assert_eq(outcome(&n, HOST, "febf:ffff::2", 64), DROP_LINK_LOCAL, "fe80::/10");
    cr_assert_eq(outcome(&n, HOST, "fec0::2", 64), FORWARDED, "RFC 3879 has made these ordinary");
    cr_assert_eq(outcome(&n, "fe80::2", "fe80::1", 64), DELIVERED);
    cr_assert_eq(outcome(&n, "fe80::2", "2001:db8::1", 64), DELIVERED);
    node_fini(&n);
}

Test(ipv6, rfc4291_2_7_multicast) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "ff02::1", FAR, 64), DROP_MARTIAN_SOURCE, "never a source");
    cr_assert_eq(outcome(&n, HOST, "ff0e::1234", 64), DROP_MULTICAST);
    cr_assert_eq(outcome(&n, HOST, "ff02::fb", 64), DROP_MULTICAST);
    cr_assert_eq(outcome(&n, HOST, "ff01::1", 64), DROP_MULTICAST, "of the sender's own interface");
    cr_assert_eq(outcome(&n, HOST, "ff00::1", 64), DROP_MULTICAST);
    node_fini(&n);
}

/* RFC 4291, 2.8: the groups that a node, and a router, are members of. */
Test(ipv6, rfc4291_2_8_groups_of_a_node) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, HOST, "ff02::1", 1), DELIVERED);
    cr_assert_eq(outcome(&n, HOST, "ff02::2", 1), DELIVERED);
    cr_assert_eq(outcome(&n, HOST, "ff05::2", 1), DELIVERED);
    cr_assert_eq(outcome(&n, HOST, "ff02::1:ff00:1", 255), DELIVERED, "solicited-node, 2.7.1");
    cr_assert_eq(outcome(&n, HOST, "ff02::1:ff00:2", 255), DROP_MULTICAST, "somebody else's");
    n.router = false;
    cr_assert_eq(outcome(&n, HOST, "ff02::1", 1), DELIVERED);
    cr_assert_eq(outcome(&n, HOST, "ff02::2", 1), DROP_MULTICAST);
    cr_assert_eq(outcome(&n, HOST, "ff05::2", 1), DROP_MULTICAST);
    memset(n.ports[0].addr6, 0, 16);
    cr_assert_eq(outcome(&n, HOST, "ff02::1:ff00:0", 255), DROP_MULTICAST, "without an address there is no such group");
    struct frame f = frame6_make(HOST, "ff02::1", PROTO_UDP, 8);
    struct packet *p = pass(&n, &f);
    cr_assert(p->verdict == VERDICT_DELIVER && p->path == ROUTE_NONE, "no route decides");
    packet_free(p);
    node_fini(&n);
}

Test(ipv6, own_source) {
    struct node n = node6_make();
    cr_assert_eq(outcome(&n, "2001:db8:1::1", FAR, 64), DROP_OWN_SOURCE);
    cr_assert_eq(outcome(&n, "2001:db8::1", "2001:db8:1::1", 64), DROP_OWN_SOURCE);
    node_fini(&n);
}

/* A frame to a group's MAC with a unicast packet in it is delivered, and not forwarded (as RFC 1812, 5.3.4 has it). */
Test(ipv6, unicast_in_a_broadcast_frame) {
    struct node n = node6_make();
    struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 8);
    memset(f.byte, 0xff, 6);
    cr_assert_eq(outcome_of(&n, &f), DROP_BROADCAST);
    f = frame6_make(HOST, "2001:db8::1", PROTO_UDP, 8);
    memset(f.byte, 0xff, 6);
    cr_assert_eq(outcome_of(&n, &f), DELIVERED);
    node_fini(&n);
}

static int outcome_with_options(struct node *n, const char *options, unsigned len) {
    struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 8);
    uint8_t *h = frame6_extend(&f, EXTENSION_HOP_BY_HOP, len + 2);
    memcpy(h + 2, options, len);
    return outcome_of(n, &f);
}

/* RFC 8200, 4.2: options with their action bits; 4.3 hop-by-hop; padding as Linux takes it. */
Test(ipv6, rfc8200_4_3_hop_by_hop_options) {
    struct node n = node6_make();
    static const struct {
        const char *options;
        unsigned len;
        int outcome;
        const char *why;
    } cases[] = {
        {"\1\4\0\0\0\0", 6, FORWARDED, "PadN"},
        {"\0\0\0\0\0\0", 6, FORWARDED, "six Pad1"},
        {"\5\2\0\0\1\0", 6, FORWARDED, "router alert and PadN"},
        {"\0\5\2\0\0\0", 6, FORWARDED, "router alert between Pad1"},
        {"\5\3\0\0\0\0", 6, DROP_BAD_EXTENSION, "a router alert has two bytes (RFC 2711, 2.1)"},
        {"\1\5\0\0\0\0", 6, DROP_BAD_EXTENSION, "PadN beyond the header"},
        {"\1\3\0\0\0\5", 6, DROP_BAD_EXTENSION, "an option without its length"},
        {"\1\4\0\0\1\0", 6, DROP_BAD_EXTENSION, "PadN that carries something"},
        {"\x1e\4\0\0\0\0", 6, FORWARDED, "unknown, 00: skip"},
        {"\x5e\4\0\0\0\0", 6, DROP_BAD_EXTENSION, "unknown, 01: discard"},
        {"\x9e\4\0\0\0\0", 6, DROP_BAD_EXTENSION, "unknown, 10"},
        {"\xde\4\0\0\0\0", 6, DROP_BAD_EXTENSION, "unknown, 11"},
        {"\xc2\4\0\1\0\0", 6, DROP_BAD_EXTENSION, "a jumbo payload of a packet that has a length (RFC 2675, 3)"},
        {"\x1e\5\0\0\0\0\0\1\5\0\0\0\0\0", 14, FORWARDED, "seven bytes of padding"},
        {"\x1e\4\0\0\0\0\0\1\5\0\0\0\0\0", 14, DROP_BAD_EXTENSION, "eight, one Pad1 of them"},
        {"\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\1\4\0\0\0\0", 22, FORWARDED, "eight options"},
        {"\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\x1e\0\1\2\0\0", 22, DROP_BAD_EXTENSION,
         "nine (RFC 8504, 5.3)"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(outcome_with_options(&n, cases[i].options, cases[i].len), cases[i].outcome, "%s", cases[i].why);
    struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 8); /* other options are for the destination to judge */
    frame6_extend(&f, EXTENSION_DESTINATION, 8)[2] = 0xde;
    cr_assert_eq(outcome_of(&n, &f), FORWARDED);
    node_fini(&n);
}

/* RFC 3704, 2.2 and 2.4. What is never forwarded needs no way back. */
Test(ipv6, rfc3704_reverse_path) {
    struct node n = node6_make();
    n.ports[0].rpf = RPF_STRICT;
    cr_assert_eq(outcome(&n, HOST, FAR, 64), FORWARDED);
    cr_assert_eq(outcome(&n, "2001:db8:1::9", FAR, 64), DROP_RPF);
    cr_assert_eq(outcome(&n, "fe80::2", "fe80::1", 64), DELIVERED);
    cr_assert_eq(outcome(&n, "::", "ff02::1:ff00:1", 255), DELIVERED);
    n.ports[0].rpf = RPF_LOOSE;
    cr_assert_eq(outcome(&n, "2001:db8:1::9", FAR, 64), FORWARDED);
    cr_assert_eq(outcome(&n, "2001:db8:9:1::9", FAR, 64), DROP_RPF, "a blackhole is no way back");
    node_fini(&n);
}

/* RFC 4443, 3.2; RFC 8201: a router does not fragment; the hop limit comes first, as in Linux. */
Test(ipv6, rfc4443_3_2_too_big) {
    struct node n = node6_make();
    n.ports[1].mtu = 1280;
    node_prepare(&n);
    struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 1240);
    cr_assert_eq(outcome_of(&n, &f), FORWARDED);
    f = frame6_make(HOST, FAR, PROTO_UDP, 1241);
    cr_assert_eq(outcome_of(&n, &f), DROP_TOO_BIG);
    frame_ip6(&f)->hop_limit = 1;
    cr_assert_eq(outcome_of(&n, &f), DROP_TTL_EXPIRED);
    f = frame6_make(HOST, "2001:db8:1::1", PROTO_UDP, 1400);
    cr_assert_eq(outcome_of(&n, &f), DELIVERED);
    node_fini(&n);
}

/* ECMP: one way for a flow and its answers, also for all fragments of a packet (RFC 8200, 4.5). */
Test(ipv6, ecmp) {
    struct node n = node6_make();
    unsigned taken[2] = {0};
    node_route6(&n, "::/0", "fe80::fd", 0, ROUTE_UNICAST);
    for (uint16_t i = 0; i < 400; i++) {
        struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 16);
        memcpy(f.byte + ETH + 40, &(be16){htons(i)}, 2);
        struct packet *p = pass(&n, &f);
        struct ip hop = node_next_hop(&n, p);
        cr_assert(p->next_hop < 2 && p->out_port == (p->next_hop ? 0 : 1));
        cr_assert_eq(hop.v6[15], p->next_hop ? 0xfd : 0xfe);
        taken[p->next_hop]++;
        packet_free(p);
    }
    cr_assert(taken[0] > 150 && taken[1] > 150, "%u and %u", taken[0], taken[1]);
    for (uint16_t i = 0; i < 100; i++) {
        struct frame first = frame6_make(HOST, FAR, PROTO_UDP, 16), later;
        frame_ip6(&first)->src[15] = (uint8_t)(i + 2);
        memcpy(first.byte + ETH + 40, &(be16){htons(i)}, 2);
        frame6_extend(&first, EXTENSION_DESTINATION, 8);
        frame6_fragment(&first, 0, true);
        later = first;
        later.byte[ETH + 40 + 3] = 16 | IPV6_MORE;
        struct packet *p = pass(&n, &first), *q = pass(&n, &later);
        cr_assert(p->flags & PACKET_FRAG_FIRST && q->flags & PACKET_FRAG_LATER && p->proto != q->proto);
        cr_assert_eq(p->next_hop, q->next_hop, "%u", i);
        packet_free(p);
        packet_free(q);
    }
    n.hash_fixed = true;
    for (n.hash = 0; n.hash < 4; n.hash++) {
        struct frame f = frame6_make(HOST, FAR, PROTO_UDP, 8);
        struct packet *p = pass(&n, &f);
        cr_assert_eq(p->next_hop, n.hash % 2);
        packet_free(p);
    }
    node_fini(&n);
}

/* Security groups stand where IPv4 has them: before the reverse path check, and last; own packets pass the second. */
Test(ipv6, filters) {
    struct node n = node6_make();
    struct filter_rule in = {.allow = true, .dport_max = 65535, .sport_max = 65535}, out = in;
    struct filter_group groups[] = {{.n_rules = {1, 0}, .rules = {&in}}, {.n_rules = {0, 1}, .rules = {NULL, &out}}};
    struct filter_port ports[] = {{FILTER_NONE, 0}, {FILTER_NONE, 1}};
    cr_assert_eq(prefix_parse("2001:db8::/64", &in.src), 0);
    cr_assert_eq(prefix_parse("2001:db8:7::/48", &out.dst), 0);
    n.filter = filter_create(&(struct filter_config){.n_ports = 2, .n_groups = 2, .ports = ports, .groups = groups});
    cr_assert_not_null(n.filter);
    n.ports[0].rpf = RPF_STRICT;
    node_prepare(&n);
    cr_assert_eq(outcome(&n, HOST, FAR, 64), FORWARDED);
    cr_assert_eq(outcome(&n, "2001:db8:1::9", FAR, 64), DROP_DENIED_IN);
    cr_assert_eq(outcome(&n, HOST, "2001:db8:8::8", 64), DROP_DENIED_OUT);
    cr_assert_eq(outcome(&n, HOST, "2001:db8:1::1", 64), DELIVERED);
    struct frame f = frame6_make("2001:db8:1::1", "2001:db8:8::8", PROTO_UDP, 8);
    struct packet *p = packet_make(&f, 0, PORT_NONE);
    forward_own(&n, p, 0);
    cr_assert_eq(p->reason, DROP_DENIED_OUT);
    packet_free(p);
    node_fini(&n);
}

/* Policy rules: another table for one source. */
Test(ipv6, policy_rules) {
    struct node n = node6_make();
    char text[IP_TEXT];
    struct route_table *t = route_table_create(&route_trie6, 10);
    struct route other = route_make("::/0", "2001:db8::fe", 0, 0, ROUTE_UNICAST);
    struct route_rule rule = {.priority = 100, .in_port = PORT_NONE, .table = 1};
    cr_assert_eq(route_add(t, &other), 0);
    cr_assert_eq(prefix_parse("2001:db8::2/128", &rule.from), 0);
    n.rules6 = route_rules_create(n.routes6);
    cr_assert_eq(route_rules_table_add(n.rules6, t), 1);
    cr_assert_eq(route_rules_add(n.rules6, &rule), 0);
    const char *const cases[][3] = {{HOST, FAR, "2001:db8::fe"}, {"2001:db8::3", FAR, "fe80::fe"}};
    for (unsigned i = 0; i < 2; i++) {
        struct frame f = frame6_make(cases[i][0], cases[i][1], PROTO_UDP, 8);
        struct packet *p = pass(&n, &f);
        struct ip hop = node_next_hop(&n, p);
        cr_assert_eq(p->verdict, VERDICT_FORWARD);
        cr_assert_str_eq(ip_format(&hop, text), cases[i][2]);
        cr_assert_eq(p->out_port, i);
        packet_free(p);
    }
    cr_assert_eq(outcome(&n, HOST, "2001:db8:1::1", 64), DELIVERED, "what the node has comes before all rules");
    node_fini(&n);
}

/* The node's own packets: any source, any hop limit, no guard; the routes decide. */
Test(ipv6, own_packets) {
    struct node n = node6_make();
    const struct {
        const char *dst;
        int outcome;
    } cases[] = {{FAR, FORWARDED}, {"fe80::2", FORWARDED}, {"2001:db8::1", DELIVERED},
                 {"2001:db8:9:3::1", DROP_PROHIBITED}};
    n.router = false;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame f = frame6_make("2001:db8::1", cases[i].dst, PROTO_ICMPV6, 8);
        frame_ip6(&f)->hop_limit = 1;
        struct packet *p = packet_make(&f, 0, PORT_NONE);
        forward_own(&n, p, 0);
        cr_assert_eq(p->verdict == VERDICT_DROP ? p->reason : -p->verdict, cases[i].outcome, "%s", cases[i].dst);
        cr_assert_eq(packet_ipv6(p)->hop_limit, 1);
        packet_free(p);
    }
    cr_assert(n.forwarded == 2 && n.delivered == 1 && n.drops[DROP_PROHIBITED] == 1);
    struct node four = node_make();
    struct frame f = frame6_make("2001:db8::1", FAR, PROTO_ICMPV6, 8);
    struct packet *p = packet_make(&f, 0, PORT_NONE);
    forward_own(&four, p, 0);
    cr_assert(p->verdict == VERDICT_DROP && p->reason == DROP_IPV6);
    packet_free(p);
    node_fini(&four);
    node_fini(&n);
}

/* Both families in one burst: each packet gets what it would get alone, and IPv4 packets keep their order. */
Test(ipv6, mixed_bursts) {
    static const char *const dsts[] = {FAR, "2001:db8::1", "2001:db8:9:1::1", "ff0e::1", "10.0.1.2", "10.0.0.1",
                                       "10.9.1.1", "224.0.0.1"};
    static const int want[] = {FORWARDED, DELIVERED, DROP_BLACKHOLE, DROP_MULTICAST, FORWARDED, DELIVERED,
                               DROP_BLACKHOLE, DROP_MULTICAST};
    struct node n = node6_make();
    struct random r;
    random_seed(&r, SEED);
    for (unsigned round = 0; round < 60; round++) {
        struct packet *pkts[BURST_MAX], *live[BURST_MAX];
        unsigned count = random_below(&r, BURST_MAX + 1), kind[BURST_MAX], left = count, four = 0;
        uint64_t done = n.forwarded + n.delivered, blackhole = n.drops[DROP_BLACKHOLE], holes = 0, alive = 0;
        for (unsigned i = 0; i < count; i++) {
            kind[i] = random_below(&r, 8);
            struct frame f = kind[i] < 4 ? frame6_make(HOST, dsts[kind[i]], PROTO_UDP, 8)
                                         : frame_make("10.0.0.2", dsts[kind[i]], PROTO_UDP, 8);
            pkts[i] = packet_make(&f, 0, 0);
            pkts[i]->tag = i;
            holes += want[kind[i]] == DROP_BLACKHOLE;
            alive += want[kind[i]] < 0;
        }
        forward(&n, pkts, count, round);
        for (unsigned i = 0; i < count; i++)
            cr_assert_eq(pkts[i]->verdict == VERDICT_DROP ? pkts[i]->reason : -pkts[i]->verdict, want[kind[i]],
                         "round %u, packet %u, seed %d", round, i, SEED);
        cr_assert(n.forwarded + n.delivered == done + alive && n.drops[DROP_BLACKHOLE] == blackhole + holes);
        memcpy(live, pkts, count * sizeof *live);
        left = stage_parse(&n, live, left, round);
        left = stage_ipv6(&n, live, left, round);
        for (unsigned i = 0; i < count; i++)
            if (kind[i] >= 4)
                cr_assert(four < left && live[four++]->tag == i, "round %u, seed %d", round, SEED);
        cr_assert_eq(four, left);
        for (unsigned i = 0; i < count; i++)
            packet_free(pkts[i]);
    }
    node_fini(&n);
}
