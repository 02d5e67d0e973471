/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of both families, worked out by hand; and what leaves a node out of IPv6. */
#include "helper.h"

static const char dual[] =
    "fwdlab: 1\nname: dual\nnode: r\nswitches: {s: {}, q: {}}\n"
    "networks: {net: {space: [10.0.0.0/16, \"fd00:a::/48\"], subnets: {\n"
    "  a: {prefix: 10.0.1.0/24, prefix6: \"fd00:a:0:1::/64\", route_table: t},\n"
    "  b: {prefix: 10.0.2.0/24, prefix6: \"fd00:a:0:2::/64\"},\n"
    "  gw: {prefix: 10.0.255.0/27, prefix6: \"fd00:a:0:ff::/64\"}}},\n"
    "  old: {space: [10.1.0.0/16], subnets: {only4: {prefix: 10.1.0.0/24}}}}\n"
    "route_tables: {t: {g: {prefix: \"fd00:b::/64\", next_hop: \"fd00:a:0:2::4\"}, x: {prefix: \"::/0\", next_hop: "
    "none},"
    " h: {prefix: \"fd00:ac10:1::/64\", next_hop: gateway}}}\n"
    "sites: {internet: {internet: true}, hq: {prefixes: [172.16.0.0/22, \"fd00:ac10::/32\"], gateway: net/gw,\n"
    "  routes: {guests: {prefix: \"fd00:b::/64\"}}}}\n"
    "machines:\n"
    "  r:\n    router: true\n    nics:\n"
    "      n: {subnet: net/b, address: 10.0.2.4/24, address6: \"fd00:a:0:2::4/64\", mtu: 1400, urpf: feasible,\n"
    "          ip_forwarding: true}\n"
    "      s: {switch: s, address6: \"fd00:b::1/64\"}\n"
    "      p: {switch: q, address6: \"fd00:c::/127\"}\n"
    "    routes: {c: {prefix: \"fd00:d::/64\", via: \"fd00:b::2\", nic: s, metric: 7},"
    " u: {prefix: \"fd00:e::/64\", kind: prohibit}}\n"
    "  g: {nics: {e: {switch: s, address6: \"fd00:b::2/64\", gateway6: \"fd00:b::1\"}}}\n"
    "  w: {nics: {e: {site: internet, address6: \"2001:db8::1/64\"}}}\n"
    "  v: {nics: {e: {subnet: net/a, address: 10.0.1.4/24, connected: false, address6: \"fd00:a:0:1::4/64\"}}}\n";

static struct built dual_build(void) {
    return build_text(dual);
}

static void expect6(const struct built *b, const char *name, const char *expected) {
    expect_table(b, name, FAMILY_IPV6, 0, expected);
}

Test(ipv6, routes_of_machines) {
    struct built b = dual_build();
    expect6(&b, "r",
            "local fd00:a:0:2::4/128 (connected)\n"
            "local fd00:a:0:2::/128 (connected)\n" /* routers' anycast (RFC 4291, 2.6.1) */
            "fd00:a:0:2::/64 dev n (connected)\n"
            "::/0 via fd00:a:0:2::1 dev n (static, default)\n"
            "local fd00:b::1/128 (connected)\nlocal fd00:b::/128 (connected)\nfd00:b::/64 dev s (connected)\n"
            "local fd00:c::/128 (connected)\nfd00:c::/127 dev p (connected)\n" /* none on links of two (RFC 6164) */
            "fd00:d::/64 via fd00:b::2 dev s metric 7 (static, c)\nprohibit fd00:e::/64 (static, u)\n");
    expect_routes(&b, "r",
                  "local 10.0.2.4/32 (connected)\nbroadcast 10.0.2.255/32 (connected)\n"
                  "10.0.2.0/24 dev n (connected)\n0.0.0.0/0 via 10.0.2.1 dev n (static, default)\n");
    expect6(&b, "g",
            "local fd00:b::2/128 (connected)\nfd00:b::/64 dev e (connected)\n"
            "::/0 via fd00:b::1 dev e (static, default)\n");
    expect_routes(&b, "g", "");
    expect6(&b, "v",
            "local fd00:a:0:1::4/128 (connected)\nfd00:a:0:1::1/128 dev e (connected)\n"
            "::/0 via fd00:a:0:1::1 dev e (static, default)\n");
    expect6(&b, "w",
            "local 2001:db8::1/128 (connected)\n2001:db8::/64 dev e (connected)\n::/0 dev e (static, default)\n");
    destroy(&b);
}

/* N12 in the other family: longest prefix, then user before BGP before system; who is told of what. */
Test(ipv6, routes_of_gateways_and_sites) {
    struct built b = dual_build();
    expect6(&b, "net/a",
            "local fd00:a:0:1::1/128 (system)\nfd00:a::/48 dev network metric 2 (system)\n"
            "::/0 dev internet metric 2 (system)\n"
            "fd00:ac10::/32 via fd00:a:0:ff::1 dev network metric 1 (bgp, hq)\n"
            "fd00:b::/64 via fd00:a:0:2::4 dev network (user, g)\nblackhole ::/0 (user, x)\n"
            "fd00:ac10:1::/64 via fd00:a:0:ff::1 dev network (user, h)\n");
    expect6(&b, "net/gw",
            "local fd00:a:0:ff::1/128 (system)\nfd00:a::/48 dev network metric 2 (system)\n"
            "::/0 dev internet metric 2 (system)\nfd00:ac10::/32 dev hq metric 1 (bgp, hq)\n");
    expect6(&b, "old/only4", "");
    expect6(&b, "hq",
            "fd00:ac10::/32 dev lan (connected)\nfd00:a::/48 dev net metric 1 (bgp, net)\n"
            "fd00:b::/64 dev net (static, guests)\n");
    expect6(&b, "internet", "2001:db8::/64 dev lan (connected)\nfd00:a::/48 dev net (static, net)\n");
    expect_winner(&b, "net/a", "fd00:ac10:1::9", "fd00:ac10:1::/64 via fd00:a:0:ff::1 dev network (user, h)");
    expect_winner(&b, "net/a", "fd00:ac10:2::9", "fd00:ac10::/32 via fd00:a:0:ff::1 dev network metric 1 (bgp, hq)");
    expect_winner(&b, "net/a", "2001:db8::1", "blackhole ::/0 (user, x)");
    expect_winner(&b, "net/b", "2001:db8::1", "::/0 dev internet metric 2 (system)");
    expect_winner(&b, "hq", "2001:db8::1", "none");
    destroy(&b);
}

Test(ipv6, ports) {
    struct built b = dual_build();
    const struct port *n = node_of(&b, "r")->node.ports, *gateway = node_of(&b, "net/a")->node.ports;
    static const uint8_t addr[16] = {0xfd, 0, 0, 0xa, [7] = 2, [15] = 4},
                         first[16] = {0xfd, 0, 0, 0xa, [7] = 1, [15] = 1};
    cr_expect(!memcmp(n[0].addr6, addr, 16) && n[0].len6 == 64 && n[0].mtu == 1400 && n[0].rpf == RPF_FEASIBLE);
    cr_expect(n[0].addr == htonl(0x0a000204) && n[1].addr == 0 && n[1].len == 0 && n[1].len6 == 64);
    cr_expect(!memcmp(gateway[0].addr6, first, 16) && gateway[0].len6 == 64 && gateway[0].len == 24);
    destroy(&b);
}

Test(ipv6, what_associating_a_table_adds) {
    struct built b = dual_build();
    struct route routes[8];
    char line[160];
    uint32_t subnet = scenario_subnet_find(b.scenario, "net/gw");
    cr_assert_eq(control_table_routes(b.control, subnet, 0, routes, 8), 3);
    const struct control_node *n = node_of(&b, "net/gw");
    cr_expect_str_eq(control_route_format(n, &routes[0], line, sizeof line),
                     "fd00:b::/64 via fd00:a:0:2::4 dev network (user, g)");
    cr_expect_str_eq(control_route_format(n, &routes[2], line, sizeof line), "fd00:ac10:1::/64 dev hq (user, h)");
    destroy(&b);
}

Test(ipv6, only_where_there_is_any) {
    struct built b = build_file("routed");
    for (uint32_t i = 0; i < b.control->n_nodes; i++)
        cr_expect(!b.control->nodes[i].node.routes6 && !control_table(&b.control->nodes[i], FAMILY_IPV6, 0));
    destroy(&b);
    b = build_text(VARIANT "machines: {hyperv: {routes: {six: {prefix: \"fd00::/64\", kind: blackhole}}}}\n");
    for (uint32_t i = 0; i < b.control->n_nodes; i++)
        cr_expect_not_null(b.control->nodes[i].node.routes6, "one route is enough, for all nodes");
    destroy(&b);
}
