/* SPDX-License-Identifier: BSD-3-Clause */
/* The express stage changes nothing: random bursts through two equal nodes, one of which has none. */
#include <stdio.h>
#include <fwdlab/base/random.h>
#include "frame.h"

#define S 1000000000ull
#define BURSTS 400
#define OLD 512 /* frames that were forwarded, to be answered */

enum { OUTSIDE, INSIDE, LAN, PORTS };
static const char *const port_addr[PORTS] = {"203.0.113.1", "10.0.0.1", "10.0.1.1"};

struct twins {
    struct node express, staged;
    struct random r;
    struct {
        struct frame f;
        uint16_t out_port;
    } old[OLD];
    unsigned n_old;
    uint64_t now;
};

static unsigned below(struct twins *t, unsigned n) {
    return random_below(&t->r, n);
}

/* All that a scenario may choose, by the bits of a number. */
static struct nat *make_nat(int personality, unsigned choice) {
    const struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(3001), .inside_addr = addr("10.0.0.3"),
                                     .inside_port = htons(1002)};
    const be32 outside[] = {addr("203.0.113.1"), addr("203.0.113.2")};
    struct nat_config c = {.personality = (enum nat_personality)personality, .outside_port = OUTSIDE, .n_addresses = 2,
                           .addresses = outside, .max_sessions = 60, .n_port_maps = 1, .port_maps = &map,
                           .hairpin = choice & 1, .hold_fragments = choice & 2};
    if (personality == NAT_INTERFACE) {
        c.mapping = choice / 4 % 3;
        c.filtering = choice / 12 % 3;
        c.outbound_refresh_only = choice & 4;
        c.parity = choice & 8;
        c.port_choice = choice & 16 ? NAT_PORT_RANDOM : NAT_PORT_PRESERVED;
        c.arbitrary_pooling = choice & 32;
        c.client_sessions = choice & 64 ? 12 : 0;
        c.client_ports = choice & 128 ? 6 : 0;
    }
    return nat_create(&c);
}

/* `kind`: 0, 1: NAT of that personality; 2: none. */
static struct node make_node(int kind, unsigned choice, bool macs, uint16_t mtu) {
    struct node n = {.n_ports = PORTS, .router = true, .ports = calloc(PORTS, sizeof(struct port)),
                     .routes = route_table_create(choice & 128 ? &route_trie : &route_direct, 100)};
    for (uint16_t i = 0; i < PORTS; i++) {
        char subnet[32];
        n.ports[i] = (struct port){.addr = addr(port_addr[i]), .len = 24, .mtu = mtu};
        if (macs) {
            n.ports[i].has_mac = true;
            n.ports[i].mac = (struct mac){{2, 0, 0, 0, 0, 1}};
            n.ports[i].neighbour = (struct mac){{2, 0, 0, 0, 1, (uint8_t)i}};
        }
        snprintf(subnet, sizeof subnet, "%.*s0/24", (int)strlen(port_addr[i]) - 1, port_addr[i]);
        node_route(&n, subnet, NULL, i, ROUTE_UNICAST);
        snprintf(subnet, sizeof subnet, "%s/32", port_addr[i]);
        node_route(&n, subnet, NULL, PORT_NONE, ROUTE_LOCAL);
    }
    node_route(&n, "0.0.0.0/0", "203.0.113.254", OUTSIDE, ROUTE_UNICAST);
    node_route(&n, "198.51.100.4/30", "203.0.113.252", OUTSIDE, ROUTE_UNICAST); /* two ways to go */
    node_route(&n, "198.51.100.4/30", "203.0.113.253", OUTSIDE, ROUTE_UNICAST);
    node_route(&n, "198.51.100.8/32", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    node_route(&n, "198.51.100.9/32", "10.0.1.9", LAN, ROUTE_UNICAST);
    n.nat = kind < 2 ? make_nat(kind, choice) : NULL;
    return n;
}

static void seal_l4(struct frame *f) {
    struct ipv4_header *ip = frame_ip(f);
    const unsigned len = ntohs(ip->total_length) - 20u;
    const unsigned at = ip->proto == PROTO_TCP ? 16 : ip->proto == PROTO_UDP ? 6 : 2;
    uint8_t *l4 = f->byte + f->l3 + 20;
    memset(l4 + at, 0, 2);
    const be16 sum = ip->proto == PROTO_ICMP ? checksum_fold(checksum_sum(l4, len, 0))
                                             : checksum_l4_ipv4(ip->src, ip->dst, ip->proto, l4, len);
    memcpy(l4 + at, &sum, 2);
}

static uint8_t tcp_flags(struct twins *t) {
    static const uint8_t rare[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST, 0};
    return below(t, 3) ? TCP_ACK : rare[below(t, sizeof rare)];
}

static struct frame fresh(struct twins *t, uint16_t *in_port) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_ICMP, 47};
    static const char *const special[] = {"10.0.0.1", "203.0.113.1", "203.0.113.2", "169.254.1.1", "169.1.1.1",
                                          "224.0.0.5", "255.255.255.255", "127.0.0.1", "10.0.1.255"};
    static const char *const host[PORTS] = {"198.51.100.1", "10.0.0.2", "10.0.1.2"};
    char src[32], dst[32];
    *in_port = (uint16_t)below(t, PORTS);
    snprintf(src, sizeof src, "%s", host[*in_port]);
    src[strlen(src) - 1] += (char)below(t, 3);
    const char *const net = below(t, 3) ? "198.51.100." : below(t, 2) ? "10.0.1." : "10.0.0.";
    snprintf(dst, sizeof dst, "%s%u", net, 1 + below(t, 10));
    const uint8_t proto = protos[below(t, sizeof protos)];
    const unsigned payload = below(t, 4) ? 26 + below(t, 40) : 8 + below(t, 20);
    struct frame f = frame_make(below(t, 40) ? src : special[below(t, 9)],
                                below(t, 20) ? dst : special[below(t, 9)], proto, payload);
    uint8_t *l4 = f.byte + ETH + 20;
    const uint16_t sport = htons((uint16_t)(1000 + below(t, 4))), dport = htons((uint16_t)(3000 + below(t, 3)));
    memcpy(l4, &sport, 2);
    memcpy(l4 + 2, &dport, 2);
    l4[13] = proto == PROTO_TCP ? tcp_flags(t) : l4[13];
    if (proto == PROTO_ICMP)
        l4[0] = ICMP_ECHO, l4[1] = 0, l4[4] = 0, l4[5] = (uint8_t)below(t, 4);
    if (proto != 47)
        seal_l4(&f);
    if (proto == PROTO_UDP && !below(t, 4))
        memset(l4 + 6, 0, 2);
    return f;
}

/* The way back of something that was forwarded. */
static struct frame answer(struct twins *t, uint16_t *in_port) {
    const unsigned i = below(t, t->n_old < OLD ? t->n_old : OLD);
    struct frame f = t->old[i].f;
    struct ipv4_header *ip = frame_ip(&f);
    uint8_t *l4 = f.byte + f.l3 + 20;
    *in_port = t->old[i].out_port;
    ip->ttl = 64;
    const be32 src = ip->src;
    ip->src = ip->dst;
    ip->dst = src;
    if (ip->proto == PROTO_ICMP)
        l4[0] = ICMP_ECHO_REPLY;
    else
        memcpy(l4, (uint8_t[]){l4[2], l4[3], l4[0], l4[1]}, 4);
    if (ip->proto == PROTO_TCP)
        l4[13] = below(t, 4) ? TCP_SYN | TCP_ACK : tcp_flags(t);
    frame_seal(&f);
    seal_l4(&f);
    return f;
}

/* What is not plain, one time in a few. */
static void spoil(struct twins *t, struct frame *f) {
    struct ipv4_header *ip = frame_ip(f);
    memcpy(f->byte, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
    switch (below(t, 60)) {
    case 0: ip->ttl = (uint8_t)below(t, 3); break;
    case 1: ip->fragment = htons((uint16_t)(IPV4_MF | below(t, 2))); break;
    case 2: ip->fragment = htons(IPV4_DF); break;
    case 3: ip->total_length = htons((uint16_t)(20 + below(t, 60))); break;
    case 4: f->byte[below(t, 14)] ^= 1; return;
    case 5: ip->checksum ^= 0x100; return;
    case 6: ip->version_ihl = (uint8_t)(0x40 + below(t, 16)); break;
    case 7: f->len = below(t, f->len); return;
    default: return;
    }
    if ((ip->version_ihl & 15) >= 5 && f->l3 + (ip->version_ihl & 15) * 4u <= f->len)
        frame_seal(f);
}

static void remember(struct twins *t, const struct packet *p) {
    if (p->verdict != VERDICT_FORWARD || p->l3 != ETH || p->l4 != ETH + 20 ||
        (p->proto != PROTO_TCP && p->proto != PROTO_UDP && p->proto != PROTO_ICMP) || p->flags & (3 << 4) ||
        (uint32_t)ntohs(packet_ipv4(p)->total_length) + ETH > p->len || p->flags & PACKET_ICMP_ERROR)
        return;
    const unsigned i = t->n_old++ % OLD;
    memcpy(t->old[i].f.byte, p->data, p->len);
    t->old[i].f.len = p->len;
    t->old[i].f.l3 = ETH;
    t->old[i].out_port = p->out_port;
}

/* The number of a session says nothing: it depends on when old ones were freed. */
static bool same(const struct packet *a, const struct packet *b) {
    struct packet c = *b;
    c.data = a->data;
    c.session = b->session ? a->session : 0;
    return memcmp(a, &c, sizeof c) == 0 && memcmp(a->data, b->data, a->len) == 0;
}

/* How many packets left by the express stage? */
static unsigned burst(struct twins *t, uint64_t seed) {
    struct packet *a[BURST_MAX], *b[BURST_MAX];
    const unsigned n = 1 + below(t, below(t, 4) ? 40 : BURST_MAX);
    const bool back = t->n_old && below(t, 2); /* answers have bursts of their own (nat.h) */
    t->now += below(t, 30) ? below(t, 1000000) : below(t, 200) * S;
    for (unsigned i = 0; i < n; i++) {
        uint16_t in_port;
        struct frame f = back ? answer(t, &in_port) : fresh(t, &in_port);
        const uint16_t flags = below(t, 50) ? 0 : PACKET_NO_CHECKSUM;
        spoil(t, &f);
        a[i] = packet_make(&f, flags, in_port);
        b[i] = packet_make(&f, flags, in_port);
        if (!below(t, 50))
            a[i]->wire_len = b[i]->wire_len = f.len + 10; /* cut short */
    }
    const uint64_t before = t->express.forwarded;
    forward(&t->express, a, n, t->now);
    forward(&t->staged, b, n, t->now);
    for (unsigned i = 0; i < n; i++) {
        cr_assert(same(a[i], b[i]), "seed %lu: packet %u: verdicts %u %u (%s, %s), flags %x %x, sessions %u %u",
                  (unsigned long)seed, i, a[i]->verdict, b[i]->verdict, drop_name(a[i]->reason),
                  drop_name(b[i]->reason), a[i]->flags, b[i]->flags, a[i]->session, b[i]->session);
        remember(t, a[i]);
        packet_free(a[i]);
        packet_free(b[i]);
    }
    return (unsigned)(t->express.forwarded - before);
}

static void is_there_too(const struct nat_session *s, void *arg) {
    const struct nat *other = arg;
    struct nat_session o;
    cr_assert(nat_session_get(other, nat_find(other, s->proto, &s->original), &o));
    cr_assert(o.state == s->state && o.last == s->last && o.first == s->first &&
              memcmp(&o.reply, &s->reply, sizeof o.reply) == 0);
}

static void compare(int kind) {
    static struct twins t;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        t.n_old = 0;
        t.now = 1700000000 * S;
        random_seed(&t.r, seed);
        const bool macs = seed & 1;
        const uint16_t mtu = seed % 3 ? 0 : 80;
        const unsigned choice = seed == 1 ? 0 : below(&t, 256);
        t.express = make_node(kind, choice, macs, mtu);
        t.staged = make_node(kind, choice, macs, mtu);
        t.staged.staged = true;
        node_prepare(&t.express);
        node_prepare(&t.staged);
        cr_assert_str_eq(t.express.stages[0].name, "express");
        cr_assert_str_eq(t.staged.stages[0].name, "parse");
        unsigned forwarded = 0;
        for (unsigned i = 0; i < BURSTS; i++)
            forwarded += burst(&t, seed);
        cr_assert_gt(forwarded, BURSTS * 2);
        cr_assert_arr_eq(t.express.drops, t.staged.drops, sizeof t.staged.drops);
        cr_assert(t.express.forwarded == t.staged.forwarded && t.express.delivered == t.staged.delivered);
        if (t.express.nat) {
            struct nat_stats a, b;
            nat_stats_get(t.express.nat, &a);
            nat_stats_get(t.staged.nat, &b);
            cr_assert(a.created == b.created && a.refused_full == b.refused_full && a.refused_port == b.refused_port);
            nat_each(t.express.nat, is_there_too, t.staged.nat);
            nat_each(t.staged.nat, is_there_too, t.express.nat);
        }
        node_fini(&t.express);
        node_fini(&t.staged);
    }
}

Test(express, changes_nothing_behind_an_interface_nat) {
    compare(NAT_INTERFACE);
}

Test(express, changes_nothing_behind_a_conntrack_nat) {
    compare(NAT_CONNTRACK);
}

Test(express, changes_nothing_where_there_is_no_nat) {
    compare(2);
}

/* One payload in 65536 has a translated checksum of zero, which UDP writes as 0xffff (RFC 768). */
Test(express, checksums_of_all_payloads) {
    struct node node[2] = {make_node(NAT_INTERFACE, 0, false, 0), make_node(NAT_INTERFACE, 0, false, 0)};
    struct frame f = frame_make("10.0.0.2", "198.51.100.1", PROTO_UDP, 40);
    node[1].staged = true;
    for (unsigned k = 0; k < 2; k++)
        node_prepare(&node[k]);
    for (unsigned i = 0; i <= UINT16_MAX; i++) {
        struct packet *p[2];
        memcpy(f.byte + ETH + 30, &i, 2);
        seal_l4(&f);
        for (unsigned k = 0; k < 2; k++) {
            p[k] = packet_make(&f, 0, INSIDE);
            forward(&node[k], &p[k], 1, 1);
        }
        cr_assert(same(p[0], p[1]), "payload %x", i);
        packet_free(p[0]);
        packet_free(p[1]);
    }
    node_fini(&node[0]);
    node_fini(&node[1]);
}

/* What a node needs beyond the usual leaves it without the stage; and plain packets do use it. */
Test(express, is_there_for_the_usual_stages_alone) {
    struct node n = make_node(2, 0, false, 0);
    struct frame f = frame_make("10.0.0.2", "198.51.100.1", PROTO_UDP, 30);
    struct packet *p = packet_make(&f, 0, INSIDE);
    node_prepare(&n);
    cr_expect_eq(stage_express(&n, &p, 1, 0), 0u);
    cr_expect(p->verdict == VERDICT_FORWARD && p->out_port == OUTSIDE);
    n.ports[1].rpf = RPF_LOOSE;
    node_prepare(&n);
    cr_expect_str_eq(n.stages[0].name, "parse");
    n.ports[1].rpf = RPF_OFF;
    n.rules = route_rules_create(n.routes);
    node_prepare(&n);
    cr_expect_str_eq(n.stages[0].name, "parse");
    packet_free(p);
    node_fini(&n);
}

/* Of more neighbours than route_table.h numbers, those without a number leave by the other stages. */
static void follow_a_route(unsigned choice) {
    struct node node[2] = {make_node(2, choice, false, 0), make_node(2, choice, false, 0)};
    struct frame f = frame_make("10.0.0.2", "198.51.100.9", PROTO_UDP, 30);
    node[1].staged = true;
    for (unsigned k = 0; k < 2; k++)
        node_prepare(&node[k]);
    for (unsigned i = 0; i < 600; i++) {
        char via[32];
        struct packet *p[2];
        snprintf(via, sizeof via, "10.0.1.%u", 2 + i * 7 % 200);
        const struct route r = route_make("198.51.100.9/32", via, LAN, 0, ROUTE_UNICAST);
        for (unsigned k = 0; k < 2; k++) {
            cr_assert_eq(route_replace(node[k].routes, &r), 0, "%s", via);
            p[k] = packet_make(&f, 0, INSIDE);
            forward(&node[k], &p[k], 1, 1);
        }
        cr_assert_eq(p[0]->next_hop, addr(via), "%s", via);
        cr_assert(same(p[0], p[1]), "%s", via);
        packet_free(p[0]);
        packet_free(p[1]);
    }
    node_fini(&node[0]);
    node_fini(&node[1]);
}

Test(express, a_route_that_is_replaced_leads_elsewhere_at_once) {
    follow_a_route(0);
    follow_a_route(128);
}
