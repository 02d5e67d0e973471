/* SPDX-License-Identifier: BSD-3-Clause */
/* The effective routes of the nested-VM host's scenarios, worked out by hand from what the documents say. */
#include "helper.h"

#define NIC1_FACTS "local 10.0.0.4/32 (connected)\nbroadcast 10.0.0.255/32 (connected)\n"
#define NIC2 "local 10.0.1.4/32 (connected)\nbroadcast 10.0.1.255/32 (connected)\n10.0.1.0/24 dev NIC2 (connected)\n"
#define SWITCH                                                                                                         \
    "local 10.0.2.1/32 (connected)\nbroadcast 10.0.2.255/32 (connected)\n10.0.2.0/24 dev switch (connected)\n"
#define DEFAULT "0.0.0.0/0 via 10.0.0.1 dev NIC1 (static, default)"
#define ROUTE1 "10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256 (static, Route 1)"
#define ROUTE2 "10.0.0.0/22 via 10.0.1.1 dev NIC2 metric 256 (static, Route 2)"
#define ONPREM "172.16.0.0/22 via 10.0.1.1 dev NIC2 metric 256 (static, On-premises)"
#define ON_LINK_GATEWAY "10.0.0.1/32 dev NIC1 (connected)"

#define SYSTEM                                                                                                         \
    "10.0.0.0/22 dev network metric 2 (system)\n10.0.255.0/27 dev network metric 2 (system)\n"                         \
    "0.0.0.0/0 dev internet metric 2 (system)\n"
#define BGP "172.16.0.0/22 via 10.0.255.1 dev network metric 1 (bgp, on-premises)\n"
#define BGP_JOINED "172.16.0.0/22 dev on-premises metric 1 (bgp, on-premises)\n"
#define USER "10.0.2.0/24 via 10.0.1.4 dev network (user, Nested-VMs)"

static const struct {
    const char *scenario, *host;
    bool associated; /* is the route table there? */
} golden[] = {
    {"routed", NIC1_FACTS ON_LINK_GATEWAY "\n" DEFAULT "\n" NIC2 SWITCH ROUTE1 "\n" ROUTE2 "\n" ONPREM "\n", true},
    {"without-route-1", NIC1_FACTS ON_LINK_GATEWAY "\n" DEFAULT "\n" NIC2 SWITCH ROUTE2 "\n" ONPREM "\n", true},
    {"connected",
     NIC1_FACTS "10.0.0.0/24 dev NIC1 (connected)\n" DEFAULT "\n" NIC2 SWITCH ROUTE1 "\n" ROUTE2 "\n" ONPREM "\n",
     true},
    {"nat-only", NIC1_FACTS "10.0.0.0/24 dev NIC1 (connected)\n" DEFAULT "\n" SWITCH, false},
};

Test(routes, of_the_host) {
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct built b = build_file(golden[i].scenario);
        expect_routes(&b, "hyperv", golden[i].host);
        destroy(&b);
    }
}

Test(routes, of_gateways) {
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct built b = build_file(golden[i].scenario);
        const char *user = golden[i].associated ? USER "\n" : "";
        char text[512];
        expect_routes(&b, "nested-fun/nat", "local 10.0.0.1/32 (system)\n" SYSTEM BGP);
        expect_routes(&b, "nested-fun/hyper-v-lan", "local 10.0.1.1/32 (system)\n" SYSTEM BGP);
        expect_routes(&b, "nested-fun/ghosted", "local 10.0.2.1/32 (system)\n" SYSTEM BGP);
        snprintf(text, sizeof text, "local 10.0.3.1/32 (system)\n" SYSTEM BGP "%s", user);
        expect_routes(&b, "nested-fun/azure-vms", text);
        snprintf(text, sizeof text, "local 10.0.255.1/32 (system)\n" SYSTEM BGP_JOINED "%s", user);
        expect_routes(&b, "nested-fun/GatewaySubnet", text);
        destroy(&b);
    }
}

Test(routes, of_sites_and_plain_machines) {
    struct built b = build_file("routed");
    expect_routes(
        &b, "internet",
        "203.0.113.0/24 dev lan (connected)\n198.51.100.0/24 dev lan (connected)\n168.63.129.16/32 dev lan "
        "(connected)\n"
        "10.0.0.0/22 dev nested-fun (static, nested-fun)\n10.0.255.0/27 dev nested-fun (static, nested-fun)\n");
    expect_routes(&b, "on-premises",
                  "172.16.0.0/22 dev lan (connected)\n10.0.0.0/22 dev nested-fun metric 1 (bgp, nested-fun)\n"
                  "10.0.255.0/27 dev nested-fun metric 1 (bgp, nested-fun)\n");
    expect_routes(
        &b, "guest1",
        "local 10.0.2.2/32 (connected)\nbroadcast 10.0.2.255/32 (connected)\n10.0.2.0/24 dev eth0 (connected)\n"
        "0.0.0.0/0 via 10.0.2.1 dev eth0 (static, default)\n");
    expect_routes(
        &b, "azure-vm",
        "local 10.0.3.4/32 (connected)\nbroadcast 10.0.3.255/32 (connected)\n10.0.3.0/24 dev eth0 (connected)\n"
        "0.0.0.0/0 via 10.0.3.1 dev eth0 (static, default)\n");
    expect_routes(&b, "platform-dns", "local 168.63.129.16/32 (connected)\n0.0.0.0/0 dev eth0 (static, default)\n");
    destroy(&b);
}

/* N3, N4, N5: longest prefix first, and what is left when a route is missing. */
Test(routes, that_win_at_the_host) {
    struct built b = build_file("routed");
    expect_winner(&b, "hyperv", "10.0.0.10", ROUTE1);
    expect_winner(&b, "hyperv", "10.0.0.1", ON_LINK_GATEWAY);
    expect_winner(&b, "hyperv", "10.0.3.4", ROUTE2);
    expect_winner(&b, "hyperv", "10.0.2.2", "10.0.2.0/24 dev switch (connected)");
    expect_winner(&b, "hyperv", "172.16.0.10", ONPREM);
    expect_winner(&b, "hyperv", "203.0.113.10", DEFAULT);
    expect_winner(&b, "hyperv", "10.0.1.4", "local 10.0.1.4/32 (connected)");
    destroy(&b);
    b = build_file("without-route-1");
    expect_winner(&b, "hyperv", "10.0.0.10", ROUTE2);
    destroy(&b);
    b = build_file("without-onprem-route");
    expect_winner(&b, "hyperv", "172.16.0.10", DEFAULT);
    destroy(&b);
}

Test(routes, route_1_is_hidden_by_the_connected_route) {
    struct built b = build_file("connected");
    const struct control_node *n = node_of(&b, "hyperv");
    size_t count;
    const struct route *routes = route_table_routes(n->node.routes, &count);
    char line[160];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t by = route_hidden_by(n->node.routes, i);
        bool route1 = strcmp(routes[i].name, "Route 1") == 0;
        cr_expect_eq(by != ROUTE_NONE, route1, "%s", control_route_format(n, &routes[i], line, sizeof line));
        if (route1)
            cr_expect_str_eq(control_route_format(n, &routes[by], line, sizeof line),
                             "10.0.0.0/24 dev NIC1 (connected)");
    }
    expect_winner(&b, "hyperv", "10.0.0.10", "10.0.0.0/24 dev NIC1 (connected)");
    destroy(&b);
}

#define NIC2_TABLE(text)                                                                                               \
    VARIANT "networks: { nested-fun: { subnets: { hyper-v-lan: { route_table: t } } } }\nroute_tables:\n  t:\n" text

/* N12: longest prefix first, then user before BGP before system. */
Test(routes, precedence_on_the_platform) {
    struct built b = build_text(NIC2_TABLE("    all: { prefix: 0.0.0.0/0, next_hop: 10.0.1.4 }\n"
                                           "    office: { prefix: 172.16.0.0/22, next_hop: none }\n"
                                           "    pc: { prefix: 172.16.0.0/24, next_hop: gateway }\n"
                                           "    web: { prefix: 203.0.113.0/24, next_hop: internet }\n"
                                           "    home: { prefix: 10.0.0.0/22, next_hop: network }\n"));
    const char *gateway = "nested-fun/hyper-v-lan";
    expect_winner(&b, gateway, "198.51.100.20", "0.0.0.0/0 via 10.0.1.4 dev network (user, all)");
    expect_winner(&b, gateway, "172.16.3.1", "blackhole 172.16.0.0/22 (user, office)");
    expect_winner(&b, gateway, "172.16.0.10", "172.16.0.0/24 via 10.0.255.1 dev network (user, pc)");
    expect_winner(&b, gateway, "203.0.113.10", "203.0.113.0/24 dev internet (user, web)");
    expect_winner(&b, gateway, "10.0.3.4", "10.0.0.0/22 dev network (user, home)");
    expect_winner(&b, gateway, "10.0.255.5", "10.0.255.0/27 dev network metric 2 (system)");
    expect_winner(&b, "nested-fun/nat", "198.51.100.20", "0.0.0.0/0 dev internet metric 2 (system)");
    destroy(&b);

    b = build_text(VARIANT "sites: { hq: { prefixes: [0.0.0.0/0], gateway: nested-fun/GatewaySubnet } }\n");
    expect_winner(&b, gateway, "198.51.100.20", "0.0.0.0/0 via 10.0.255.1 dev network metric 1 (bgp, hq)");
    expect_winner(&b, "nested-fun/GatewaySubnet", "198.51.100.20", "0.0.0.0/0 dev hq metric 1 (bgp, hq)");
    destroy(&b);
}

/* A next hop that is nowhere loses the packets; it does not lead them elsewhere. */
Test(routes, to_what_is_not_there) {
    struct built b =
        build_text(VARIANT "sites: null\n"
                           "machines: { web-server: null, echo-server: null, platform-dns: null, onprem-pc: null }\n"
                           "route_tables: { Routes-for-nested-VMs: { i: { prefix: 0.0.0.0/0, next_hop: internet },"
                           " g: { prefix: 172.16.0.0/12, next_hop: gateway } } }\n");
    expect_routes(&b, "nested-fun/nat",
                  "local 10.0.0.1/32 (system)\n10.0.0.0/22 dev network metric 2 (system)\n"
                  "10.0.255.0/27 dev network metric 2 (system)\n");
    expect_winner(&b, "nested-fun/nat", "203.0.113.1", "none");
    expect_winner(&b, "nested-fun/azure-vms", "203.0.113.1", "blackhole 0.0.0.0/0 (user, i)");
    expect_winner(&b, "nested-fun/azure-vms", "172.16.0.1", "blackhole 172.16.0.0/12 (user, g)");
    destroy(&b);
}

Test(routes, refusing_kinds_and_repeated_routes) {
    struct built b = build_text(VARIANT "machines: { hyperv: { routes: {\n"
                                        "  b: { prefix: 192.168.1.0/24, kind: blackhole },\n"
                                        "  u: { prefix: 192.168.2.0/24, kind: unreachable, metric: 5 },\n"
                                        "  p: { prefix: 192.168.3.0/24, kind: prohibit },\n"
                                        "  again: { prefix: 10.0.1.0/24, nic: NIC2 } } } }\n");
    expect_winner(&b, "hyperv", "192.168.1.1", "blackhole 192.168.1.0/24 (static, b)");
    expect_winner(&b, "hyperv", "192.168.2.1", "unreachable 192.168.2.0/24 metric 5 (static, u)");
    expect_winner(&b, "hyperv", "192.168.3.1", "prohibit 192.168.3.0/24 (static, p)");
    expect_winner(&b, "hyperv", "10.0.1.77", "10.0.1.0/24 dev NIC2 (connected)");
    destroy(&b);
}

/* N6: what associating a route table with another subnet would add there. */
Test(routes, of_a_table_for_another_subnet) {
    struct built b = build_file("routed");
    struct route routes[2];
    char line[160];
    uint32_t nat = scenario_subnet_find(b.scenario, "nested-fun/nat");
    cr_expect_eq(control_table_routes(b.control, nat, 0, routes, 0), 0);
    cr_assert_eq(control_table_routes(b.control, nat, 0, routes, 2), 1);
    const struct control_node *n = &b.control->nodes[control_gateway_node(b.control, nat)];
    cr_expect_str_eq(control_route_format(n, &routes[0], line, sizeof line), USER);
    cr_expect_eq(route_add(n->node.routes, &routes[0]), 0);
    expect_winner(&b, "nested-fun/nat", "10.0.2.2", USER);
    destroy(&b);
}
