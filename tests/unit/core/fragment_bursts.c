/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments in bursts: what a node with NAT makes of them is what it makes of the same packets one by one. */
#include <stdio.h>
#include <fwdlab/base/random.h>
#include "frame.h"

#define S 1000000000ull
#define SEEDS 60
#define BURSTS 250
#define MOST 12 /* packets of a burst */

enum { OUTSIDE, INSIDE, LAN, PORTS };
#define NODE "203.0.113.1"

/* Two hosts of one port map each, so that two first fragments of a datagram may lead to two of them. */
static struct nat *make_nat(enum nat_personality personality, unsigned choice) {
    const be32 hosts[] = {addr("10.0.0.2"), addr("10.0.0.3")};
    struct nat_port_map maps[2];
    const struct nat_net net = {addr("198.51.100.2"), UINT32_MAX};
    for (uint16_t i = 0; i < 2; i++)
        maps[i] = (struct nat_port_map){.proto = PROTO_UDP, .outside_port = htons(2000 + i), .inside_addr = hosts[i],
                                        .inside_port = htons(7)};
    struct nat_config c = {.personality = personality, .outside_port = OUTSIDE, .n_addresses = 1,
                           .addresses = (const be32[]){addr(NODE)}, .max_sessions = choice & 1 ? 6 : 40,
                           .n_port_maps = 2, .port_maps = maps, .hairpin = choice & 2, .hold_fragments = choice & 4};
    if (personality == NAT_INTERFACE) {
        c.filtering = choice & 8 ? NAT_ADDRESS_DEPENDENT : NAT_ENDPOINT_INDEPENDENT;
        c.untranslated = &net;
        c.n_untranslated = choice & 16 ? 1 : 0;
    }
    return nat_create(&c);
}

static struct node make_node(enum nat_personality personality, unsigned choice) {
    static const char *const subnets[PORTS] = {"203.0.113.0/24", "10.0.0.0/24", "10.0.1.0/24"};
    static const char *const own[PORTS] = {NODE, "10.0.0.1", "10.0.1.1"};
    struct node n = {.n_ports = PORTS, .router = true, .ports = calloc(PORTS, sizeof(struct port)),
                     .routes = route_table_create(&route_trie, 16)};
    for (uint16_t i = 0; i < PORTS; i++) {
        char local[24];
        n.ports[i] = (struct port){.addr = addr(own[i]), .len = 24, .mtu = choice & 32 ? 68 : 0};
        snprintf(local, sizeof local, "%s/32", own[i]);
        node_route(&n, subnets[i], NULL, i, ROUTE_UNICAST);
        node_route(&n, local, NULL, PORT_NONE, ROUTE_LOCAL);
    }
    node_route(&n, "0.0.0.0/0", "203.0.113.254", OUTSIDE, ROUTE_UNICAST);
    n.nat = make_nat(personality, choice);
    node_prepare(&n);
    return n;
}

/*
 * Datagrams of few ends and two identifications. One packet in a few does not come as far as to nat_out: its time to
 * live is over, its options are bad, it is too big.
 */
static struct frame any(struct random *r, uint16_t in_port) {
    static const char *const near[PORTS] = {"198.51.100.1", "10.0.0.2", "10.0.1.2"};
    static const char *const far[PORTS][3] = {{NODE, NODE, "10.0.0.2"}, {"198.51.100.1", "198.51.100.2", NODE},
                                              {"10.0.0.2", "198.51.100.1", NODE}};
    static const uint16_t fragment[] = {0, IPV4_MF, IPV4_MF, 3, 3 | IPV4_MF};
    struct frame f = frame_make(near[in_port], far[in_port][random_below(r, 3)],
                                random_below(r, 8) ? PROTO_UDP : PROTO_TCP, random_below(r, 8) ? 24 : 64);
    struct ipv4_header *ip = frame_ip(&f);
    uint8_t *l4 = f.byte + ETH + 20;
    l4[1] ^= (uint8_t)random_below(r, 2);
    l4[3] ^= (uint8_t)random_below(r, 2);
    if (ip->proto == PROTO_TCP)
        l4[13] = TCP_SYN;
    memset(l4 + 6, 0, ip->proto == PROTO_UDP ? 2 : 0); /* no checksum */
    ip->src += htonl(random_below(r, 4) == 0);
    ip->id = (be16)random_below(r, 2);
    ip->fragment = htons(fragment[random_below(r, 5)]);
    ip->ttl = random_below(r, 6) ? 64 : 1;
    if (!random_below(r, 8)) {
        ip->version_ihl = 0x46; /* the ports are an option, and a bad one */
        l4[0] = 7;
    }
    if (!random_below(r, 16))
        ip->fragment |= htons(IPV4_DF);
    frame_seal(&f);
    return f;
}

static bool same(const struct packet *a, const struct packet *b) {
    return a->verdict == b->verdict && a->reason == b->reason && a->flags == b->flags && a->src == b->src &&
           a->dst == b->dst && a->out_port == b->out_port && memcmp(a->data, b->data, a->len) == 0 &&
           (a->verdict == VERDICT_DROP || !a->session == !b->session);
}

/* What waited for these packets. */
static void pass_due(struct node *n, uint64_t now) {
    uint8_t data[NAT_HELD_BYTES];
    struct packet due = {.data = data, .room = sizeof data}, *p = &due;
    while (node_take_due(n, &due)) {
        forward(n, &p, 1, now);
        due = (struct packet){.data = data, .room = sizeof data};
    }
}

/* The frames one by one through the one node, in a burst through the other; a[]: as they left the latter. */
static void pass_both(struct node *single, struct node *many, const struct frame *f, unsigned n, uint16_t in_port,
                      uint64_t now, struct packet **a, uint64_t seed) {
    struct packet *b[MOST];
    for (unsigned i = 0; i < n; i++) {
        a[i] = packet_make(&f[i], 0, in_port);
        b[i] = packet_make(&f[i], 0, in_port);
        forward(single, &b[i], 1, now);
    }
    forward(many, a, n, now);
    for (unsigned i = 0; i < n; i++) {
        cr_assert(same(b[i], a[i]), "seed %lu, packet %u: one by one verdict %u (%s), port %u, session %u, flags %x; "
                  "in a burst %u (%s), %u, %u, %x", (unsigned long)seed, i, b[i]->verdict, drop_name(b[i]->reason),
                  b[i]->out_port, b[i]->session, b[i]->flags, a[i]->verdict, drop_name(a[i]->reason), a[i]->out_port,
                  a[i]->session, a[i]->flags);
        packet_free(b[i]);
    }
    pass_due(single, now);
    pass_due(many, now);
}

/* Of one port, for answers have bursts of their own (nat.h). */
static void any_burst(struct node *single, struct node *many, struct random *r, uint64_t now, uint64_t seed) {
    static struct frame f[MOST];
    struct packet *p[MOST];
    const unsigned n = 1 + random_below(r, MOST);
    const uint16_t in_port = (uint16_t)random_below(r, PORTS);
    for (unsigned i = 0; i < n; i++)
        f[i] = any(r, in_port);
    pass_both(single, many, f, n, in_port, now, p, seed);
    for (unsigned i = 0; i < n; i++)
        packet_free(p[i]);
}

static void compare(enum nat_personality personality) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct random r;
        random_seed(&r, seed);
        const unsigned choice = (unsigned)seed;
        struct node single = make_node(personality, choice), many = make_node(personality, choice);
        uint64_t now = 1700000000 * S;
        for (unsigned i = 0; i < BURSTS; i++) {
            now += random_below(&r, 4) ? random_below(&r, 3) : random_below(&r, 20) * S;
            any_burst(&single, &many, &r, now, seed);
        }
        cr_assert(single.forwarded == many.forwarded && single.delivered == many.delivered && single.forwarded > 100,
                  "seed %lu: %lu and %lu forwarded, %lu and %lu delivered", (unsigned long)seed, single.forwarded,
                  many.forwarded, single.delivered, many.delivered);
        cr_assert_arr_eq(single.drops, many.drops, sizeof single.drops);
        node_fini(&single);
        node_fini(&many);
    }
}

Test(fragment_bursts, as_one_by_one_interface) {
    compare(NAT_INTERFACE);
}
Test(fragment_bursts, as_one_by_one_conntrack) {
    compare(NAT_CONNTRACK);
}

/*
 * A datagram's first fragment comes twice, the second time with options that are refused: the later ones have the
 * session of the one that left. In a burst, where the refused one comes to nat_in before the other one to nat_out, too.
 */
static void first_one_twice(enum nat_personality personality) {
    static struct frame f[4];
    struct node single = make_node(personality, 0), many = make_node(personality, 0);
    struct packet *p[4];
    for (unsigned i = 0; i < 4; i++) {
        f[i] = frame_make("198.51.100.1", NODE, PROTO_UDP, 24);
        frame_ip(&f[i])->fragment = htons(i % 2 ? 3 : IPV4_MF);
        frame_ip(&f[i])->version_ihl = i == 2 ? 0x46 : 0x45;
        f[i].byte[ETH + 20] = i == 2 ? 7 : f[i].byte[ETH + 20];
        frame_seal(&f[i]);
    }
    pass_both(&single, &many, f, 4, OUTSIDE, S, p, 0);
    cr_expect_eq(p[2]->reason, DROP_BAD_OPTIONS);
    for (unsigned i = 0; i < 4; i++)
        cr_expect(i == 2 || (p[i]->verdict == VERDICT_FORWARD && p[i]->out_port == INSIDE &&
                             p[i]->dst == addr("10.0.0.2") && p[i]->session == p[0]->session),
                  "packet %u: %s", i, drop_name(p[i]->reason));
    for (unsigned i = 0; i < 4; i++)
        packet_free(p[i]);
    node_fini(&single);
    node_fini(&many);
}
Test(fragment_bursts, first_one_twice_interface) {
    first_one_twice(NAT_INTERFACE);
}
Test(fragment_bursts, first_one_twice_conntrack) {
    first_one_twice(NAT_CONNTRACK);
}
