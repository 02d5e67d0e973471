/* SPDX-License-Identifier: BSD-3-Clause */
/* Policy routing: which rule decides, the numbers of paths, and a node that has rules. */
#include "frame.h"
#include <errno.h>
#include <limits.h>
#include <fwdlab/base/random.h>

static struct ip_prefix prefix(const char *text) {
    struct ip_prefix p = {0};
    if (text)
        cr_assert_eq(prefix_parse(text, &p), 0, "%s is no prefix", text);
    return p;
}

static struct route_rule rule_make(uint32_t priority, const char *from, const char *to, uint16_t in_port, int kind,
                                   uint8_t table) {
    return (struct route_rule){.priority = priority, .from = prefix(from), .to = prefix(to), .in_port = in_port,
                               .kind = (uint8_t)kind, .table = table};
}

static int rule_add(struct route_rules *r, uint32_t priority, const char *from, const char *to, uint16_t in_port,
                    int kind, uint8_t table) {
    struct route_rule rule = rule_make(priority, from, to, in_port, kind, table);
    return route_rules_add(r, &rule);
}

static void table_route(struct route_table *t, const char *to, const char *via, uint16_t port, int kind) {
    struct route r = route_make(to, via, port, 0, kind);
    cr_assert_eq(route_add(t, &r), 0, "%s", to);
}

/* The node of frame.h with rules and an empty table 1. */
static struct node ruled_node(void) {
    struct node n = node_make();
    n.rules = route_rules_create(n.routes);
    cr_assert_eq(route_rules_table_add(n.rules, route_table_create(&route_trie, 100)), 1);
    return n;
}

struct outcome {
    enum verdict verdict;
    enum drop reason;
    uint16_t port;
    be32 next_hop;
    unsigned table;
};

static struct outcome pass(struct node *n, const char *src, const char *dst, uint16_t in_port) {
    struct frame f = frame_make(src, dst, PROTO_UDP, 8);
    struct packet *p = packet_make(&f, 0, in_port);
    if (in_port == PORT_NONE)
        forward_own(n, p, 0);
    else
        forward(n, &p, 1, 0);
    struct outcome o = {.verdict = p->verdict, .reason = p->reason, .port = p->out_port};
    const struct route_path *path = node_path(n, FAMILY_IPV4, p->path, &o.table);
    cr_assert_eq(path == NULL, p->path == ROUTE_NONE);
    if (p->verdict == VERDICT_FORWARD) {
        struct ip hop = node_next_hop(n, p);
        cr_assert(hop.family == FAMILY_IPV4 && path->next[0].port == p->out_port);
        o.next_hop = hop.v4;
    }
    packet_free(p);
    return o;
}

Test(rules, the_main_rule_alone_changes_nothing) {
    static const char *const dsts[] = {"10.0.1.2", "10.0.1.1", "10.0.0.255", "10.0.1.255", "192.0.2.1", "10.9.1.1",
                                       "10.9.2.1", "10.9.3.1", "224.0.0.1", "255.255.255.255", "169.254.1.1"};
    struct node plain = node_make(), ruled = ruled_node();
    for (unsigned i = 0; i < sizeof dsts / sizeof *dsts; i++) {
        struct outcome a = pass(&plain, "10.0.0.2", dsts[i], 0), b = pass(&ruled, "10.0.0.2", dsts[i], 0);
        cr_assert(a.verdict == b.verdict && a.reason == b.reason && a.port == b.port && a.next_hop == b.next_hop &&
                  a.table == b.table, "%s", dsts[i]);
    }
    node_fini(&plain);
    node_fini(&ruled);
}

Test(rules, by_source_destination_and_port) {
    struct node n = ruled_node();
    table_route(route_rules_table(n.rules, 1), "0.0.0.0/0", "10.0.0.9", 0, ROUTE_UNICAST);
    cr_assert_eq(rule_add(n.rules, 100, "10.0.0.128/25", NULL, PORT_NONE, ROUTE_UNICAST, 1), 0);
    cr_assert_eq(rule_add(n.rules, 101, NULL, "198.51.100.0/24", PORT_NONE, ROUTE_UNICAST, 1), 0);
    cr_assert_eq(rule_add(n.rules, 102, NULL, NULL, 1, ROUTE_UNICAST, 1), 0);
    struct outcome o = pass(&n, "10.0.0.2", "192.0.2.1", 0);
    cr_assert(o.port == 1 && o.table == 0 && o.next_hop == addr("10.0.1.254"));
    o = pass(&n, "10.0.0.129", "192.0.2.1", 0);
    cr_assert(o.port == 0 && o.table == 1 && o.next_hop == addr("10.0.0.9"));
    cr_assert_eq(pass(&n, "10.0.0.2", "198.51.100.1", 0).table, 1u);
    cr_assert_eq(pass(&n, "10.0.0.2", "192.0.2.1", 1).table, 1u);
    cr_assert_eq(pass(&n, "10.0.0.1", "192.0.2.1", PORT_NONE).table, 0u, "own packets came in by no port");
    cr_assert_eq(pass(&n, "10.0.0.1", "198.51.100.1", PORT_NONE).table, 1u);
    node_fini(&n);
}

Test(rules, the_node_itself_comes_before_any_rule) {
    struct node n = ruled_node();
    cr_assert_eq(rule_add(n.rules, 0, NULL, NULL, PORT_NONE, ROUTE_BLACKHOLE, 0), 0);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.1.1", 0).verdict, VERDICT_DELIVER);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.0.255", 0).verdict, VERDICT_DELIVER);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.1.255", 0).reason, DROP_BROADCAST);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.1.2", 0).reason, DROP_BLACKHOLE);
    node_fini(&n);
}

Test(rules, refusals_of_rules_and_of_tables) {
    static const enum drop reasons[] = {[ROUTE_BLACKHOLE] = DROP_BLACKHOLE, [ROUTE_UNREACHABLE] = DROP_UNREACHABLE,
                                        [ROUTE_PROHIBIT] = DROP_PROHIBITED};
    for (int kind = ROUTE_BLACKHOLE; kind <= ROUTE_PROHIBIT; kind++) {
        struct node n = ruled_node();
        cr_assert_eq(rule_add(n.rules, 5, NULL, "192.0.2.0/24", PORT_NONE, kind, 0), 0);
        table_route(route_rules_table(n.rules, 1), "198.51.100.0/24", NULL, PORT_NONE, kind);
        cr_assert_eq(rule_add(n.rules, 6, NULL, NULL, PORT_NONE, ROUTE_UNICAST, 1), 0);
        struct outcome by_rule = pass(&n, "10.0.0.2", "192.0.2.1", 0);
        cr_assert(by_rule.reason == reasons[kind] && by_rule.table == UINT_MAX);
        struct outcome by_route = pass(&n, "10.0.0.2", "198.51.100.1", 0);
        cr_assert(by_route.reason == reasons[kind] && by_route.table == 1, "a refusing route ends the search");
        cr_assert_eq(pass(&n, "10.0.0.2", "203.0.113.1", 0).table, 0u, "a table without a route does not");
        node_fini(&n);
    }
}

Test(rules, nothing_left) {
    struct node n = ruled_node();
    struct route_rule main_rule = rule_make(RULE_PRIORITY_MAIN, NULL, NULL, PORT_NONE, ROUTE_UNICAST, 0);
    cr_assert_eq(route_rules_remove(n.rules, &main_rule), 0);
    cr_assert_eq(route_rules_remove(n.rules, &main_rule), -ENOENT);
    struct outcome o = pass(&n, "10.0.0.2", "10.0.1.2", 0);
    cr_assert(o.reason == DROP_NO_ROUTE && o.table == UINT_MAX);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.1.1", 0).verdict, VERDICT_DELIVER);
    cr_assert_eq(route_rules_add(n.rules, &main_rule), 0);
    cr_assert_eq(pass(&n, "10.0.0.2", "10.0.1.2", 0).verdict, VERDICT_FORWARD);
    node_fini(&n);
}

Test(rules, the_list) {
    struct node n = ruled_node();
    struct route_rules *r = n.rules;
    static const uint32_t priorities[] = {7, 3, 7, 40000, 3};
    static const char *const sorted[] = {"1", "4", "0", "2", "main", "3"};
    for (unsigned i = 0; i < 5; i++) {
        struct route_rule rule = rule_make(priorities[i], NULL, NULL, (uint16_t)i, ROUTE_UNICAST, 1);
        rule.name[0] = (char)('0' + i);
        cr_assert_eq(route_rules_add(r, &rule), 0);
        cr_assert_eq(route_rules_add(r, &rule), -EEXIST);
    }
    size_t count;
    const struct route_rule *list = route_rules_list(r, &count);
    cr_assert_eq(count, 6u);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_str_eq(list[i].name, sorted[i]);
    cr_assert_eq(rule_add(r, 1, NULL, NULL, PORT_NONE, ROUTE_UNICAST, 2), -EINVAL, "no such table");
    cr_assert_eq(rule_add(r, 1, NULL, NULL, PORT_NONE, ROUTE_LOCAL, 0), -EINVAL);
    cr_assert_eq(rule_add(r, 1, NULL, NULL, PORT_NONE, ROUTE_PROHIBIT + 1, 0), -EINVAL);
    cr_assert_eq(rule_add(r, 1, "2001:db8::/32", NULL, PORT_NONE, ROUTE_UNICAST, 1), -EINVAL);
    struct route_rule host_bits = rule_make(1, NULL, "10.0.0.0/8", PORT_NONE, ROUTE_UNICAST, 1), long_one = host_bits;
    host_bits.to.addr.v4 = addr("10.0.0.1");
    cr_assert_eq(route_rules_add(r, &host_bits), -EINVAL);
    long_one.to.len = 33;
    cr_assert_eq(route_rules_add(r, &long_one), -EINVAL);
    struct route_table *other = route_table_create(&route_trie6, 10);
    cr_assert_eq(route_rules_table_add(r, other), -EAFNOSUPPORT);
    route_table_destroy(other);
    while (route_rules_tables(r) < ROUTE_TABLES_MAX)
        cr_assert_gt(route_rules_table_add(r, route_table_create(&route_linear, 10)), 0);
    other = route_table_create(&route_linear, 10);
    cr_assert_eq(route_rules_table_add(r, other), -ENOSPC);
    route_table_destroy(other);
    node_fini(&n);
}

/* ---- both families against a plain reading of the rules ---- */

struct policy {
    struct route_table *tables[4];
    struct route_rules *rules;
    uint8_t family;
};

/* Addresses of few bits, so that prefixes often hold them. */
static struct ip random_ip(struct random *r, uint8_t family) {
    struct ip a = {.family = family};
    unsigned first = family == FAMILY_IPV6 ? 14 : 2;
    a.v6[0] = family == FAMILY_IPV6 ? 0x20 : 10;
    a.v6[first] = (uint8_t)random_below(r, 4);
    a.v6[first + 1] = (uint8_t)random_below(r, 8);
    return a;
}

static struct ip_prefix random_prefix(struct random *r, uint8_t family) {
    struct ip a = random_ip(r, family);
    unsigned bits = family == FAMILY_IPV6 ? 128 : 32;
    return random_below(r, 8) ? prefix_of(&a, bits - random_below(r, 18)) : prefix_of(&a, 0);
}

static struct policy random_policy(struct random *r, uint8_t family) {
    struct policy p = {.family = family};
    for (unsigned t = 0; t < 4; t++) {
        p.tables[t] = route_table_create(family == FAMILY_IPV6 ? &route_trie6 : &route_trie, 100);
        for (unsigned i = random_below(r, 12); i > 0; i--) {
            struct route route = {.prefix = random_prefix(r, family), .port = PORT_NONE,
                                  .kind = (uint8_t)random_below(r, ROUTE_PROHIBIT + 1)};
            if (t && (route.kind == ROUTE_LOCAL || route.kind == ROUTE_BROADCAST))
                route.kind = ROUTE_UNICAST;
            if (route.kind == ROUTE_UNICAST)
                route.port = (uint16_t)random_below(r, 3);
            route_add(p.tables[t], &route); /* or there is one like it */
        }
    }
    p.rules = route_rules_create(p.tables[0]);
    for (unsigned t = 1; t < 4; t++)
        cr_assert_eq(route_rules_table_add(p.rules, p.tables[t]), (int)t);
    for (unsigned i = random_below(r, 8); i > 0; i--) {
        struct route_rule rule = {.priority = random_below(r, 40000), .table = (uint8_t)random_below(r, 4),
                                  .in_port = random_below(r, 2) ? PORT_NONE : (uint16_t)random_below(r, 3)};
        if (random_below(r, 2))
            rule.from = random_prefix(r, family);
        if (random_below(r, 2))
            rule.to = random_prefix(r, family);
        if (random_below(r, 4) == 0)
            rule.kind = (uint8_t)(ROUTE_BLACKHOLE + random_below(r, 3));
        route_rules_add(p.rules, &rule);
    }
    return p;
}

struct decision {
    int kind; /* -1: no route */
    unsigned table;
    uint32_t rule, route;
};

static struct decision table_decision(const struct policy *p, unsigned table, const struct ip *dst) {
    uint32_t path;
    route_lookup(p->tables[table], dst->v6, &path, 1);
    if (path == ROUTE_NONE)
        return (struct decision){.kind = -1, .table = UINT_MAX, .rule = ROUTE_NONE, .route = ROUTE_NONE};
    const struct route_path *found = route_path(p->tables[table], path);
    return (struct decision){.kind = found->kind, .table = table, .rule = ROUTE_NONE, .route = found->route};
}

static struct decision oracle(const struct policy *p, const struct ip *src, const struct ip *dst, uint16_t in_port) {
    struct decision d = table_decision(p, 0, dst);
    if (d.kind == ROUTE_LOCAL || d.kind == ROUTE_BROADCAST)
        return d;
    size_t n;
    const struct route_rule *rules = route_rules_list(p->rules, &n);
    for (uint32_t i = 0; i < n; i++) {
        const struct route_rule *rule = &rules[i];
        if ((rule->from.addr.family && !prefix_contains(&rule->from, src)) ||
            (rule->to.addr.family && !prefix_contains(&rule->to, dst)) ||
            (rule->in_port != PORT_NONE && rule->in_port != in_port))
            continue;
        if (rule->kind != ROUTE_UNICAST)
            return (struct decision){.kind = rule->kind, .table = UINT_MAX, .rule = i, .route = ROUTE_NONE};
        d = table_decision(p, rule->table, dst);
        d.rule = i;
        if (d.kind >= 0)
            return d;
    }
    return (struct decision){.kind = -1, .table = UINT_MAX, .rule = ROUTE_NONE, .route = ROUTE_NONE};
}

/* Bursts, as packet by packet. */
static void compare_bursts(const struct policy *p, struct random *r, uint8_t family, unsigned seed) {
    const size_t width = family == FAMILY_IPV6 ? 16 : 4;
    const unsigned n = 1 + random_below(r, BURST_MAX);
    uint8_t src[BURST_MAX * 16], dst[BURST_MAX * 16];
    uint16_t in_port[BURST_MAX];
    uint32_t path[BURST_MAX], rule[BURST_MAX], one;
    for (unsigned i = 0; i < n; i++) {
        const struct ip s = random_ip(r, family), d = random_ip(r, family);
        memcpy(src + i * width, s.v6, width);
        memcpy(dst + i * width, d.v6, width);
        in_port[i] = random_below(r, 4) ? (uint16_t)random_below(r, 3) : PORT_NONE;
    }
    route_rules_lookup_bulk(p->rules, src, dst, in_port, path, rule, n);
    for (unsigned i = 0; i < n; i++) {
        uint32_t number = route_rules_lookup(p->rules, src + i * width, dst + i * width, in_port[i], &one);
        cr_assert(number == path[i] && one == rule[i], "seed %u, packet %u of %u: rule %u, not %u", seed, i, n, rule[i],
                  one);
    }
}

static void compare_policies(uint8_t family, unsigned seed) {
    struct random r;
    unsigned kinds[ROUTE_PROHIBIT + 2] = {0}, tables[4] = {0};
    random_seed(&r, seed);
    for (unsigned round = 0; round < 300; round++) {
        struct policy p = random_policy(&r, family);
        for (unsigned i = 0; i < 100; i++) {
            struct ip src = random_ip(&r, family), dst = random_ip(&r, family);
            uint16_t in_port = random_below(&r, 4) ? (uint16_t)random_below(&r, 3) : PORT_NONE;
            struct decision want = oracle(&p, &src, &dst, in_port), got = {.kind = -1, .route = ROUTE_NONE};
            uint32_t number = route_rules_lookup(p.rules, src.v6, dst.v6, in_port, &got.rule);
            const struct route_path *path = route_rules_path(p.rules, number, &got.table);
            if (path) {
                got.kind = path->kind;
                got.route = path->route;
            }
            cr_assert(want.kind == got.kind && want.table == got.table && want.rule == got.rule &&
                      want.route == got.route, "seed %u, round %u, packet %u: kind %d not %d, rule %u not %u", seed,
                      round, i, got.kind, want.kind, got.rule, want.rule);
            kinds[want.kind + 1]++;
            if (want.table < 4)
                tables[want.table]++;
        }
        compare_bursts(&p, &r, family, seed);
        route_rules_destroy(p.rules);
        route_table_destroy(p.tables[0]);
    }
    for (int kind = -1; kind <= ROUTE_PROHIBIT; kind++)
        cr_assert(kinds[kind + 1] > 100 || (kind == ROUTE_BROADCAST && family == FAMILY_IPV6), "kind %d: %u", kind,
                  kinds[kind + 1]);
    for (unsigned t = 0; t < 4; t++)
        cr_assert_gt(tables[t], 100u, "table %u was not tried", t);
}

Test(rules, ipv4_as_they_read) {
    compare_policies(FAMILY_IPV4, 41);
}

Test(rules, ipv6_as_they_read) {
    compare_policies(FAMILY_IPV6, 43);
}

/* A table that is somebody else's takes another one's place, and leaves before the rules go. */
Test(rules, a_table_in_the_place_of_another) {
    struct node n = ruled_node();
    struct route_table *mine = route_table_create(&route_trie, 10), *first = route_rules_table(n.rules, 1);
    table_route(mine, "0.0.0.0/0", "10.0.0.7", 0, ROUTE_UNICAST);
    cr_assert_eq(rule_add(n.rules, 1, NULL, NULL, PORT_NONE, ROUTE_UNICAST, 1), 0);
    cr_assert_eq(pass(&n, "10.0.0.2", "198.51.100.1", 0).next_hop, addr("10.0.1.254"));
    cr_assert_eq(route_rules_swap(n.rules, 1, mine), first);
    cr_assert_eq(pass(&n, "10.0.0.2", "198.51.100.1", 0).next_hop, addr("10.0.0.7"));
    cr_assert_eq(route_rules_swap(n.rules, 1, NULL), mine);
    node_fini(&n);
    route_table_destroy(mine);
    route_table_destroy(first);
}

Test(rules, equal_routes_of_a_table_share) {
    struct node n = ruled_node();
    table_route(route_rules_table(n.rules, 1), "198.51.100.0/24", "10.0.0.9", 0, ROUTE_UNICAST);
    table_route(route_rules_table(n.rules, 1), "198.51.100.0/24", "10.0.1.9", 1, ROUTE_UNICAST);
    cr_assert_eq(rule_add(n.rules, 1, NULL, NULL, PORT_NONE, ROUTE_UNICAST, 1), 0);
    n.hash_fixed = true;
    for (n.hash = 0; n.hash < 2; n.hash++) {
        struct frame f = frame_make("10.0.0.2", "198.51.100.1", PROTO_UDP, 8);
        struct packet *p = packet_make(&f, 0, 0);
        forward(&n, &p, 1, 0);
        cr_assert(p->out_port == n.hash && p->next_hop == addr(n.hash ? "10.0.1.9" : "10.0.0.9"));
        packet_free(p);
    }
    node_fini(&n);
}

Test(rules, next_hops_of_both_families) {
    struct node n = ruled_node();
    struct ipv6_header header = {.next_header = EXTENSION_NONE};
    struct packet p = {.data = (uint8_t *)&header, .len = sizeof header, .family = FAMILY_IPV6};
    static const char *const vias[] = {NULL, "2001:db8::9", "fe80::1"};
    struct ip src, dst, hop, want;
    cr_assert(ip_parse("2001:db8:2::7", &src) == 0 && ip_parse("2001:db8:1::7", &dst) == 0);
    memcpy(header.dst, dst.v6, 16);
    n.routes6 = route_table_create(&route_trie6, 10);
    for (unsigned i = 0; i < 3; i++) {
        struct route r = route_make("2001:db8:1::/48", vias[i], 0, 0, ROUTE_UNICAST);
        cr_assert_eq(route_add(n.routes6, &r), 0);
    }
    route_lookup(n.routes6, dst.v6, &p.path, 1);
    for (p.next_hop = 0; p.next_hop < 3; p.next_hop++) {
        cr_assert_eq(ip_parse(vias[p.next_hop] ? vias[p.next_hop] : "2001:db8:1::7", &want), 0);
        hop = node_next_hop(&n, &p);
        cr_assert(ip_equal(&hop, &want), "choice %u", p.next_hop);
    }
    n.rules6 = route_rules_create(n.routes6);
    struct route_table *t = route_table_create(&route_trie6, 10);
    cr_assert_eq(route_rules_table_add(n.rules6, t), 1);
    struct route r = route_make("::/0", "2001:db8::5", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &r), 0);
    cr_assert_eq(rule_add(n.rules6, 9, "2001:db8:2::/48", NULL, PORT_NONE, ROUTE_UNICAST, 1), 0);
    p.path = route_rules_lookup(n.rules6, src.v6, dst.v6, 0, NULL);
    p.next_hop = 0;
    hop = node_next_hop(&n, &p);
    cr_assert(ip_equal(&hop, &r.via));
    node_fini(&n);
}
