/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The router that fuzzers drive: port 0 is outside NAT, behind port 1 are guests, port 2 leads to a LAN. Made twice, so
 * that one packet at a time and bursts can be compared; configured anew for each input.
 */
#ifndef TESTS_FUZZ_ROUTER_H
#define TESTS_FUZZ_ROUTER_H

#include <fwdlab/core/icmp.h>
#include "plausible.h"

#define SESSIONS 8
#define PACKETS 256 /* of an input at most */
#define OUTSIDE_PORT 0

/* The byte of configuration. */
enum { CONFIG_CONNTRACK = 1 << 0, CONFIG_NAT = 1 << 1, CONFIG_FILTER = 1 << 2, CONFIG_MTU = 1 << 3,
       CONFIG_IPV6 = 1 << 4, CONFIG_RPF_SHIFT = 5, CONFIG_RULES = 1 << 7 };

/* The byte after it: how many sessions nat_expire looks at, and which of the NATs. */
enum { EXPIRE_BITS = 31, VARIANT_SHIFT = 5, VARIANTS = 8 };

struct twin {
    struct node node;
    struct nat *nats[2][VARIANTS];
    struct filter *filter;
    struct route_table *routes6;
    struct route_rules *rules;
};

static const char *const outside_addresses[] = {"10.0.0.4/32", "10.0.0.5/32", "10.0.0.6/32"};

static inline void add(struct route_table *t, const char *prefix, const char *via, uint16_t port, int kind) {
    struct route r = {.port = port, .kind = (uint8_t)kind};
    CHECK(prefix_parse(prefix, &r.prefix) == 0);
    if (via)
        r.via = ip_of(via);
    CHECK(route_add(t, &r) == 0);
}

static inline struct route_table *make_routes(void) {
    struct route_table *t = route_table_create(&route_trie, 32);
    add(t, "10.0.0.0/24", NULL, 0, ROUTE_UNICAST);
    add(t, "10.0.2.0/24", NULL, 1, ROUTE_UNICAST);
    add(t, "10.0.1.0/24", NULL, 2, ROUTE_UNICAST);
    add(t, "0.0.0.0/0", "10.0.0.1", 0, ROUTE_UNICAST);
    add(t, "203.0.113.2/32", "10.0.0.1", 0, ROUTE_UNICAST);
    add(t, "203.0.113.2/32", "10.0.1.1", 2, ROUTE_UNICAST);
    add(t, "10.9.1.0/24", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    add(t, "10.9.3.0/24", NULL, PORT_NONE, ROUTE_PROHIBIT);
    add(t, "10.0.0.255/32", NULL, PORT_NONE, ROUTE_BROADCAST);
    for (int i = 0; i < 3; i++)
        add(t, outside_addresses[i], NULL, PORT_NONE, ROUTE_LOCAL);
    add(t, "10.0.2.1/32", NULL, PORT_NONE, ROUTE_LOCAL);
    add(t, "10.0.1.4/32", NULL, PORT_NONE, ROUTE_LOCAL);
    return t;
}

static inline struct route_table *make_routes6(void) {
    struct route_table *t = route_table_create(&route_trie6, 32);
    add(t, "2001:db8::/64", NULL, 0, ROUTE_UNICAST);
    add(t, "2001:db8:2::/64", NULL, 1, ROUTE_UNICAST);
    add(t, "2001:db8:1::/64", NULL, 2, ROUTE_UNICAST);
    add(t, "2001:db8::/32", "2001:db8::1", 0, ROUTE_UNICAST);
    add(t, "fe80::/64", NULL, 1, ROUTE_UNICAST);
    add(t, "2001:db8:f::2/128", "2001:db8::1", 0, ROUTE_UNICAST);
    add(t, "2001:db8:f::2/128", "2001:db8:1::1", 2, ROUTE_UNICAST);
    add(t, "2001:db8:9::/64", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    add(t, "2001:db8:93::/64", NULL, PORT_NONE, ROUTE_PROHIBIT);
    add(t, "2001:db8::4/128", NULL, PORT_NONE, ROUTE_LOCAL);
    add(t, "2001:db8:2::1/128", NULL, PORT_NONE, ROUTE_LOCAL);
    add(t, "2001:db8:1::4/128", NULL, PORT_NONE, ROUTE_LOCAL);
    return t;
}

/* Guests of 10.0.2.0/31 leave by port 2, where there is a route; a guest is not for the LAN. */
static inline struct route_rules *make_rules(struct route_table *main) {
    struct route_rules *r = route_rules_create(main);
    struct route_table *t = route_table_create(&route_trie, 4);
    add(t, "203.0.113.0/24", "10.0.1.1", 2, ROUTE_UNICAST);
    struct route_rule rule = {.priority = 100, .in_port = PORT_NONE, .kind = ROUTE_UNICAST};
    CHECK(prefix_parse("10.0.2.2/31", &rule.from) == 0);
    rule.table = (uint8_t)route_rules_table_add(r, t);
    CHECK(route_rules_add(r, &rule) == 0);
    rule = (struct route_rule){.priority = 50, .in_port = 2, .kind = ROUTE_PROHIBIT};
    CHECK(prefix_parse("10.0.2.3/32", &rule.to) == 0);
    CHECK(route_rules_add(r, &rule) == 0);
    return r;
}

/* Each behaviour that can be chosen, once at least. */
static inline struct nat_config nat_variant(enum nat_personality personality, unsigned variant) {
    static const struct nat_config variants[VARIANTS] = {
        {.n_addresses = 1},
        {.n_addresses = 1, .hairpin = true},
        {.n_addresses = 3, .hairpin = true, .filtering = NAT_ADDRESS_DEPENDENT, .parity = true},
        {.n_addresses = 1, .hairpin = true, .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
         .mapping = NAT_ADDRESS_AND_PORT_DEPENDENT, .outbound_refresh_only = true},
        {.n_addresses = 3, .arbitrary_pooling = true, .mapping = NAT_ADDRESS_DEPENDENT, .port_choice = NAT_PORT_RANDOM,
         .port_rest = 120000000000},
        {.n_addresses = 3, .port_block = 2, .client_blocks = 2, .hairpin = true, .port_rest = 120000000000},
        {.n_addresses = 2, .client_sessions = 3, .client_ports = 2, .client_rate = 2, .hairpin = true,
         .filtering = NAT_ADDRESS_DEPENDENT, .mapping = NAT_ADDRESS_DEPENDENT},
        {.n_addresses = 2, .arbitrary_pooling = true, .port_block = 1, .client_blocks = 3, .client_sessions = 4,
         .outbound_refresh_only = true, .port_choice = NAT_PORT_RANDOM},
    };
    if (personality == NAT_INTERFACE)
        return variants[variant];
    return (struct nat_config){.personality = personality, .n_addresses = variants[variant].n_addresses,
                               .hairpin = variants[variant].hairpin};
}

static inline bool is_outside(const struct node *node, be32 addr) {
    const struct nat_config *c = node->nat ? nat_config_get(node->nat) : NULL;
    for (uint32_t i = 0; c && i < c->n_addresses; i++)
        if (c->addresses[i] == addr)
            return true;
    return addr == node->ports[OUTSIDE_PORT].addr;
}

static inline struct nat *make_nat(struct nat_config c) {
    const struct nat_port_map maps[] = {{.proto = PROTO_UDP, .outside_port = htons(7007), .inside_port = htons(7),
                                         .inside_addr = ip_of("10.0.2.2").v4},
                                        {.proto = PROTO_TCP, .outside_port = htons(7007), .inside_port = htons(7),
                                         .inside_addr = ip_of("10.0.2.3").v4}};
    be32 addresses[3];
    for (int i = 0; i < 3; i++)
        addresses[i] = ip_of("10.0.0.4").v4 + htonl((uint32_t)i);
    c.outside_port = OUTSIDE_PORT;
    c.addresses = addresses;
    c.port_min = 0x3030;
    c.port_max = 0x3033;
    c.max_sessions = SESSIONS;
    c.n_port_maps = 2;
    c.port_maps = maps;
    return nat_create(&c);
}

/* Guests may begin anything, others only to port 7 and errors of their own. Room for every flow: none is evicted. */
static inline struct filter *make_filter(void) {
    const struct filter_rule in[] = {{.allow = true, .sport_max = UINT16_MAX, .dport_min = 7, .dport_max = 7}},
                             all[] = {{.allow = true, .sport_max = UINT16_MAX, .dport_max = UINT16_MAX}};
    const struct filter_group groups[] = {{"outside", {1, 1}, {in, all}}, {"lan", {1, 0}, {all, NULL}}};
    const struct filter_port ports[] = {{0, FILTER_NONE}, {FILTER_NONE, FILTER_NONE}, {0, 1}};
    return filter_create(&(struct filter_config){3, 2, ports, groups, 2 * PACKETS, 0});
}

static inline void twin_make(struct twin *t) {
    static struct port ports[3]; /* the same for both */
    static const char *const addrs[] = {"10.0.0.4", "10.0.2.1", "10.0.1.4"},
                            *const addrs6[] = {"2001:db8::4", "2001:db8:2::1", "2001:db8:1::4"};
    for (unsigned i = 0; i < 3; i++) {
        ports[i] = (struct port){.addr = ip_of(addrs[i]).v4, .len = 24, .len6 = 64};
        memcpy(ports[i].addr6, ip_of(addrs6[i]).v6, 16);
    }
    t->node = (struct node){.n_ports = 3, .ports = ports, .router = true, .routes = make_routes(),
                            .icmp = icmp_limiter_create(NULL)};
    t->routes6 = make_routes6();
    t->rules = make_rules(t->node.routes);
    t->filter = make_filter();
    for (unsigned i = 0; i < 2 * VARIANTS; i++)
        CHECK(t->nats[i / VARIANTS][i % VARIANTS] =
                  make_nat(nat_variant((enum nat_personality)(i / VARIANTS), i % VARIANTS)));
    CHECK(t->filter && t->routes6 && t->node.icmp);
}

static inline void twin_configure(struct twin *t, uint8_t config, unsigned variant) {
    static const uint16_t mtu[] = {576, 68, 1280};
    struct node *n = &t->node;
    n->nat = config & CONFIG_NAT ? t->nats[config & CONFIG_CONNTRACK][variant] : NULL;
    n->filter = config & CONFIG_FILTER ? t->filter : NULL;
    n->routes6 = config & CONFIG_IPV6 ? t->routes6 : NULL;
    n->rules = config & CONFIG_RULES ? t->rules : NULL;
    for (unsigned i = 0; i < 3; i++) {
        n->ports[i].rpf = config >> CONFIG_RPF_SHIFT & 3;
        n->ports[i].mtu = config & CONFIG_MTU ? mtu[i] : 0;
    }
    n->delivered = n->forwarded = 0;
    memset(n->drops, 0, sizeof n->drops);
    node_prepare(n);
    node_reset(n);
}

#endif
