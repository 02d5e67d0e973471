/* SPDX-License-Identifier: BSD-3-Clause */
/* Policy rules and their tables; and equal prefixes that nobody meant as a choice. */
#include "helper.h"

static const char policy[] = "fwdlab: 1\nname: policy\nnode: r\nswitches: {a: {}, b: {}}\nmachines:\n"
                             "  r:\n    router: true\n    nics:\n"
                             "      a: {switch: a, address: 10.1.0.1/24, address6: \"fd00:1::1/64\"}\n"
                             "      b: {switch: b, address: 10.2.0.1/24, address6: \"fd00:2::1/64\"}\n"
                             "    routes:\n"
                             "      far: {prefix: 10.9.0.0/16, via: 10.2.0.2, nic: b}\n"
                             "      far-100: {prefix: 10.9.0.0/16, via: 10.1.0.2, nic: a, table: 100}\n"
                             "      far6-100: {prefix: \"fd00:9::/64\", via: \"fd00:1::2\", nic: a, table: 100}\n"
                             "    rules:\n"
                             "      guests: {priority: 10, from: 10.2.0.0/24, nic: b, table: 100}\n"
                             "      guests6: {priority: 10, from: \"fd00:2::/64\", table: 100}\n"
                             "      empty: {priority: 20, table: 7}\n"
                             "      never: {priority: 30, to: 10.66.0.0/16, kind: prohibit}\n"
                             "  pc: {nics: {e: {switch: a, address: 10.1.0.2/24, address6: \"fd00:1::2/64\"}}}\n"
                             "  pd: {nics: {e: {switch: b, address: 10.2.0.2/24}}}\n";

/* Who wins for a packet: "table/route", or what refuses. */
static void expect_decision(const struct built *b, const char *from, const char *to, uint16_t in,
                            const char *expected) {
    const struct control_node *n = node_of(b, "r");
    struct ip src, dst;
    unsigned table;
    size_t count;
    char text[80] = "none";
    cr_assert(ip_parse(from, &src) == 0 && ip_parse(to, &dst) == 0);
    const struct route_rules *rules = dst.family == FAMILY_IPV6 ? n->node.rules6 : n->node.rules;
    uint32_t number = route_rules_lookup(rules, src.v6, dst.v6, in, NULL);
    const struct route_path *path = node_path(&n->node, dst.family, number, &table);
    if (path && table == UINT32_MAX)
        snprintf(text, sizeof text, "%s", route_kind_name(path->kind));
    else if (path)
        snprintf(text, sizeof text, "%u/%s", table,
                 route_table_routes(control_table(n, dst.family, table), &count)[path->route].name);
    cr_expect_str_eq(text, expected, "%s to %s by %u: %s", from, to, in, text);
}

Test(policy, rules_and_tables) {
    struct built b = build_text(policy);
    const struct control_node *n = node_of(&b, "r");
    expect_table(&b, "r", FAMILY_IPV4, 1, "10.9.0.0/16 via 10.1.0.2 dev a (static, far-100)\n");
    expect_table(&b, "r", FAMILY_IPV4, 2, "");
    expect_table(&b, "r", FAMILY_IPV6, 1, "fd00:9::/64 via fd00:1::2 dev a (static, far6-100)\n");
    cr_expect_null(control_table(n, FAMILY_IPV4, 3));
    expect_decision(&b, "10.2.0.9", "10.9.0.1", 1, "1/far-100");
    expect_decision(&b, "10.2.0.9", "10.9.0.1", 0, "0/far");
    expect_decision(&b, "10.2.0.9", "10.9.0.1", PORT_NONE, "0/far");
    expect_decision(&b, "10.3.0.9", "10.9.0.1", 1, "0/far");
    expect_decision(&b, "10.2.0.9", "10.66.0.1", 1, "prohibit");
    expect_decision(&b, "fd00:2::9", "fd00:9::1", 0, "1/far6-100");
    expect_decision(&b, "fd00:3::9", "fd00:9::1", 0, "none");
    cr_expect_null(node_of(&b, "pc")->node.rules);
    destroy(&b);
}

Test(policy, routes_in_tables_are_not_in_the_main_one) {
    struct built b = build_text(policy);
    expect_winner(&b, "r", "10.9.0.1", "10.9.0.0/16 via 10.2.0.2 dev b (static, far)");
    expect_winner(&b, "r", "fd00:9::1", "none");
    destroy(&b);
}

Test(policy, more_tables_than_there_may_be) {
    char text[4000], *at = text, *end = text + sizeof text;
    at += snprintf(
        at, (size_t)(end - at),
        "fwdlab: 1\nname: many\nswitches: {a: {}}\nmachines: {r: {router: true, nics: {a: {switch: a, address: "
        "10.1.0.1/24}}, rules: {r0: {priority: 1, table: 1}");
    for (int i = 1; i < ROUTE_TABLES_MAX; i++)
        at += snprintf(at, (size_t)(end - at), ", r%d: {priority: %d, table: %d}", i, i + 1, i + 1);
    snprintf(at, (size_t)(end - at), "}}}\n");
    struct complaints c = {0};
    struct err e = {0};
    struct scenario *s = scenario_load_text("many.yaml", text, strlen(text), &c);
    complaints_fini(&c);
    if (s) { /* the loader may refuse it first */
        cr_expect_null(control_build(s, NULL, &e));
        cr_expect(strstr(e.what, "policy rules") && strstr(e.where, "many.yaml:"), "%s: %s", e.where, e.what);
        scenario_destroy(s);
    }
}

/* Two NICs in one network, two networks with one space: the first has it, and the second is told to be hidden. */
Test(policy, the_first_of_equals_wins) {
    struct built b =
        build_text("fwdlab: 1\nname: two\nswitches: {a: {}, b: {}}\n"
                   "networks: {one: {space: [10.0.0.0/16], subnets: {s: {prefix: 10.0.0.0/24}}},"
                   " two: {space: [10.1.0.0/16], subnets: {s: {prefix: 10.1.0.0/24}}}}\n"
                   "sites: {internet: {internet: true}}\n"
                   "machines: {r: {router: true, nics: {a: {switch: a, address: 10.9.0.1/24}, b: {switch: b, address: "
                   "10.8.0.1/24}}}}\n");
    b.scenario->networks.v[1].space.v[0] = b.scenario->networks.v[0].space.v[0];
    b.scenario->nics.v[1].addr = b.scenario->nics.v[0].addr;
    control_destroy(b.control);
    b.control = control_build(b.scenario, NULL, NULL);
    cr_assert_not_null(b.control);
    expect_routes(&b, "internet", "10.0.0.0/16 dev one (static, one)\n10.0.0.0/16 dev two metric 1 (static, two)\n");
    expect_routes(&b, "r",
                  "local 10.9.0.1/32 (connected)\nbroadcast 10.9.0.255/32 (connected)\n10.9.0.0/24 dev a (connected)\n"
                  "10.9.0.0/24 dev b metric 1 (connected)\n");
    destroy(&b);
}
