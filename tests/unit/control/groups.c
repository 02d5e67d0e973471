/* SPDX-License-Identifier: BSD-3-Clause */
/* Security groups as the core's filter: the words, the order, the default rules. */
#include "helper.h"
#include <fwdlab/base/random.h>
#include <fwdlab/core/parse.h>

static const char text[] =
    "fwdlab: 1\nname: groups\nnode: vm\nswitches: {s: {}}\n"
    "networks: {net: {space: [10.0.0.0/16, \"fd00:a::/48\"], subnets: {\n"
    "  a: {prefix: 10.0.1.0/24, prefix6: \"fd00:a:0:1::/64\", route_table: t, security_group: subnet-group},\n"
    "  b: {prefix: 10.0.2.0/24}, gw: {prefix: 10.0.255.0/27}}}}\n"
    "route_tables: {t: {outside: {prefix: 192.168.50.0/24, next_hop: 10.0.2.4}}}\n"
    "sites: {internet: {internet: true}, hq: {prefixes: [172.16.0.0/22], gateway: net/gw,\n"
    "  routes: {o: {prefix: 192.168.50.0/24}}}}\n"
    "security_groups:\n"
    "  subnet-group: {rules: {\n"
    "    web: {priority: 100, direction: in, access: allow, proto: tcp, from: internet, to_ports: 80-443},\n"
    "    ping: {priority: 110, direction: in, access: allow, proto: icmp, from: any},\n"
    "    no-hq: {priority: 120, direction: in, access: deny, from: 172.16.0.0/23},\n"
    "    no-dns: {priority: 100, direction: out, access: deny, proto: udp, to: [internet, platform], to_ports: "
    "\"53\"}}}\n"
    "  nic-group: {rules: {\n"
    "    ssh: {priority: 200, direction: in, access: deny, proto: tcp, to_ports: \"22\"}}}\n"
    "machines:\n"
    "  vm: {nics: {e: {subnet: net/a, address: 10.0.1.4/24, address6: \"fd00:a:0:1::4/64\", security_group: "
    "nic-group}}}\n"
    "  r: {router: true, nics: {n: {subnet: net/b, address: 10.0.2.4/24, ip_forwarding: true}, s: {switch: s, address: "
    "192.168.50.1/24}}}\n";

struct row {
    enum filter_direction d;
    uint8_t proto;
    const char *src, *dst;
    uint16_t sport, dport;
    bool allowed;
    const char *group, *rule;
};

static void expect_row(const struct filter *f, const struct row *r) {
    struct flow_key k = {.proto = r->proto, .sport = htons(r->sport), .dport = htons(r->dport)};
    struct ip a, b;
    cr_assert(ip_parse(r->src, &a) == 0 && ip_parse(r->dst, &b) == 0);
    k.family = a.family;
    memcpy(k.src, a.v6, a.family == FAMILY_IPV6 ? 16 : 4);
    memcpy(k.dst, b.v6, b.family == FAMILY_IPV6 ? 16 : 4);
    struct filter_answer got = filter_judge(f, 0, r->d, &k);
    cr_assert(got.group && got.rule, "%s to %s", r->src, r->dst);
    cr_expect(got.allowed == r->allowed && !strcmp(got.rule->name, r->rule) && !strcmp(got.group->name, r->group),
              "%s to %s: %s by %s of %s", r->src, r->dst, got.allowed ? "allowed" : "denied", got.rule->name,
              got.group->name);
}

#define SUBNET "subnet-group"
#define NIC "nic-group"
#define VM "10.0.1.4"

Test(groups, words_order_and_default_rules) {
    static const struct row rows[] = {
        /* what arrives passes the subnet's group, then the NIC's own, whose default rules deny what is not the
         * network's */
        {FILTER_IN, PROTO_TCP, "203.0.113.1", VM, 9, 80, false, NIC, "DenyAllInBound"},
        {FILTER_IN, PROTO_TCP, "203.0.113.1", VM, 9, 79, false, SUBNET, "DenyAllInBound"},
        {FILTER_IN, PROTO_UDP, "203.0.113.1", VM, 9, 80, false, SUBNET, "DenyAllInBound"},
        {FILTER_IN, PROTO_TCP, "10.0.2.4", VM, 9, 80, true, NIC, "AllowVnetInBound"},
        {FILTER_IN, PROTO_TCP, "10.0.2.4", VM, 9, 22, false, NIC, "ssh"},
        {FILTER_IN, PROTO_TCP, "192.168.50.2", VM, 9, 99, true, NIC, "AllowVnetInBound"}, /* a route table's */
        {FILTER_IN, PROTO_TCP, "172.16.2.1", VM, 9, 99, true, NIC, "AllowVnetInBound"},   /* a joined site's */
        {FILTER_IN, PROTO_TCP, "172.16.1.1", VM, 9, 99, false, SUBNET, "no-hq"},
        {FILTER_IN, PROTO_TCP, "172.16.4.1", VM, 9, 9, false, SUBNET, "DenyAllInBound"},
        {FILTER_IN, PROTO_UDP, "168.63.129.16", VM, 53, 9, true, NIC, "AllowVnetInBound"},
        {FILTER_IN, PROTO_UDP, "168.63.129.16", "203.0.113.7", 53, 9, true, NIC, "AllowAzureLoadBalancerInBound"},
        {FILTER_IN, PROTO_ICMP, "10.0.2.4", VM, 1, 8, true, NIC, "AllowVnetInBound"},
        {FILTER_IN, PROTO_ICMPV6, "2001:db8::1", "fd00:a:0:1::4", 1, 128, false, NIC, "DenyAllInBound"},
        {FILTER_IN, PROTO_ICMPV6, "fd00:a:0:2::1", "fd00:a:0:1::4", 1, 128, true, NIC, "AllowVnetInBound"},
        {FILTER_IN, PROTO_UDP, "fd00:b::1", "fd00:a:0:1::4", 1, 1, false, SUBNET, "DenyAllInBound"},
        /* what leaves passes the NIC's first */
        {FILTER_OUT, PROTO_UDP, VM, "203.0.113.1", 9, 53, false, SUBNET, "no-dns"},
        {FILTER_OUT, PROTO_UDP, VM, "168.63.129.16", 9, 53, false, SUBNET, "no-dns"},
        {FILTER_OUT, PROTO_UDP, VM, "10.0.2.4", 9, 53, true, SUBNET, "AllowVnetOutBound"},
        {FILTER_OUT, PROTO_TCP, VM, "203.0.113.1", 9, 53, true, SUBNET, "AllowInternetOutBound"},
        {FILTER_OUT, PROTO_TCP, "fd00:a:0:1::4", "2001:db8::1", 9, 53, true, SUBNET, "AllowInternetOutBound"},
        {FILTER_OUT, PROTO_TCP, "192.0.2.1", "10.0.2.4", 9, 53, false, NIC, "DenyAllOutBound"}, /* not the network's */
    };
    struct built b = build_text(text);
    const struct filter *f = node_of(&b, "vm")->node.filter;
    cr_assert_not_null(f);
    cr_assert(filter_active(f));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_row(f, &rows[i]);
    cr_expect_null(node_of(&b, "r")->node.filter, "no NIC of it has a group");
    destroy(&b);
}

static bool in_network(const struct ip *a) {
    static const char *const prefixes[] = {"10.0.0.0/16", "fd00:a::/48", "192.168.50.0/24", "172.16.0.0/22",
                                           "168.63.129.16/32"};
    bool in = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct ip_prefix p;
        cr_assert_eq(prefix_parse(prefixes[i], &p), 0);
        in |= prefix_contains(&p, a);
    }
    return in;
}

/* `network` and `internet` share no address and leave none out: of the default rules alone, whatever leaves is allowed
 * to exactly one of them. Addresses are drawn near the borders. */
Test(groups, the_internet_is_all_but_the_network) {
    static const char *const near[] = {"10.0.0.0",   "10.1.0.0",      "9.255.255.255", "172.16.0.0",
                                       "172.16.4.0", "168.63.129.16", "168.63.129.17", "192.168.49.255",
                                       "fd00:a::",   "fd00:b::",      "2001:db8::",    "::"};
    struct built b = build_text(text);
    const struct filter *f = node_of(&b, "vm")->node.filter;
    struct random r;
    uint64_t seed = 20;
    unsigned inside = 0;
    random_seed(&r, seed);
    for (int i = 0; i < 20000; i++) {
        struct ip a, src;
        ip_parse(near[random_below(&r, sizeof near / sizeof *near)], &a);
        unsigned bit = random_below(&r, a.family == FAMILY_IPV6 ? 128 : 32);
        a.v6[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ip_parse(a.family == FAMILY_IPV6 ? "fd00:a:0:1::4" : VM, &src);
        struct flow_key k = {.family = a.family, .proto = PROTO_TCP, .sport = htons(1), .dport = htons(2)};
        memcpy(k.src, src.v6, a.family == FAMILY_IPV6 ? 16 : 4);
        memcpy(k.dst, a.v6, a.family == FAMILY_IPV6 ? 16 : 4);
        struct filter_answer got = filter_judge(f, 0, FILTER_OUT, &k);
        char name[IP_TEXT];
        inside += in_network(&a);
        cr_assert(got.allowed && got.rule);
        cr_assert_str_eq(got.rule->name, in_network(&a) ? "AllowVnetOutBound" : "AllowInternetOutBound",
                         "seed %lu: %s: %s", seed, ip_format(&a, name), got.rule->name);
    }
    cr_expect(inside > 2000 && inside < 18000, "%u", inside);
    destroy(&b);
}

/* A default route of a route table makes the whole family the network's: nothing is left for the Internet. */
Test(groups, a_default_route_is_the_network) {
    struct built b =
        build_text(VARIANT "route_tables: {all: {d: {prefix: 0.0.0.0/0, next_hop: 10.0.1.4}}}\n"
                           "networks: {nested-fun: {subnets: {azure-vms: {route_table: all, security_group: g}}}}\n"
                           "security_groups: {g: {rules: {}}}\n");
    const struct filter *f = node_of(&b, "azure-vm")->node.filter;
    cr_assert_not_null(f);
    const struct row row = {FILTER_IN, PROTO_TCP, "203.0.113.1", "10.0.3.4", 1, 2, true, "g", "AllowVnetInBound"};
    expect_row(f, &row);
    destroy(&b);
}
