/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, ports and NAT: the order, the names, what is at the other ends. */
#include "helper.h"

static const char *const links[] = {"switch", "gateway", "subnet", "network", "node", "lan"};

/* "name:link:target", one for each port; targets that are nodes by their names. */
static void expect_ports(const struct built *b, const char *name, const char *expected) {
    const struct control_node *n = node_of(b, name);
    char text[1024] = "";
    for (unsigned i = 0; i < n->node.n_ports; i++) {
        const struct control_port *p = &n->ports[i];
        const char *target = p->link == LINK_GATEWAY || p->link == LINK_NODE ? b->control->nodes[p->target].name
                             : p->link == LINK_SWITCH                        ? b->scenario->switches.v[p->target].name
                             : p->link == LINK_SUBNET                        ? b->scenario->subnets.v[p->target].name
                             : p->link == LINK_NETWORK                       ? b->scenario->networks.v[p->target].name
                                                                             : b->scenario->sites.v[p->target].name;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s:%s:%s ", p->name, links[p->link], target);
    }
    cr_expect_str_eq(text, expected, "%s: %s", name, text);
}

Test(nodes, order_and_names) {
    static const char *const names[] = {"hyperv",
                                        "guest1",
                                        "guest2",
                                        "nat-machine",
                                        "azure-vm",
                                        "onprem-pc",
                                        "web-server",
                                        "echo-server",
                                        "platform-dns",
                                        "nested-fun/nat",
                                        "nested-fun/hyper-v-lan",
                                        "nested-fun/ghosted",
                                        "nested-fun/azure-vms",
                                        "nested-fun/GatewaySubnet",
                                        "internet",
                                        "on-premises"};
    struct built b = build_file("routed");
    cr_assert_eq(b.control->n_nodes, sizeof names / sizeof *names);
    for (uint32_t i = 0; i < b.control->n_nodes; i++) {
        const struct control_node *n = &b.control->nodes[i];
        cr_expect_str_eq(n->name, names[i]);
        cr_expect_eq(n->kind, i < 9 ? CONTROL_MACHINE : i < 14 ? CONTROL_GATEWAY : CONTROL_SITE);
        cr_expect_eq(n->node.router, i == 0 || i >= 9, "%s", n->name);
        cr_expect_eq(n->node.nat != NULL, i == 0, "%s", n->name);
        cr_expect_gt(n->node.n_stages, 0);
    }
    cr_expect_eq(control_node_find(b.control, "absent"), INDEX_NONE);
    cr_expect_eq(control_site_node(b.control, 1), 15);
    destroy(&b);
}

Test(nodes, ports) {
    struct built b = build_file("routed");
    expect_ports(&b, "hyperv",
                 "NIC1:gateway:nested-fun/nat NIC2:gateway:nested-fun/hyper-v-lan switch:switch:nested-switch ");
    expect_ports(&b, "guest2", "eth0:switch:nested-switch ");
    expect_ports(&b, "onprem-pc", "eth0:lan:on-premises ");
    expect_ports(&b, "nested-fun/nat", "subnet:subnet:nat network:network:nested-fun internet:node:internet ");
    expect_ports(&b, "nested-fun/GatewaySubnet",
                 "subnet:subnet:GatewaySubnet network:network:nested-fun "
                 "internet:node:internet on-premises:node:on-premises ");
    expect_ports(&b, "internet", "lan:lan:internet nested-fun:network:nested-fun ");
    expect_ports(&b, "on-premises", "lan:lan:on-premises nested-fun:node:nested-fun/GatewaySubnet ");

    const struct port *nic1 = &node_of(&b, "hyperv")->node.ports[0];
    cr_expect(nic1->addr == htonl(0x0a000004) && nic1->len == 24 && nic1->has_mac && nic1->rpf == RPF_OFF);
    cr_expect(nic1->mac.byte[0] == 2 && nic1->mac.byte[5] == 4);
    const struct port *gateway = node_of(&b, "nested-fun/nat")->node.ports;
    cr_expect(gateway[0].addr == htonl(0x0a000001) && gateway[0].len == 24 && !gateway[0].has_mac &&
              gateway[1].addr == 0);
    cr_expect_eq(node_of(&b, "guest1")->ports[0].nic,
                 scenario_nic_find(b.scenario, scenario_machine_find(b.scenario, "guest1"), "eth0"));
    cr_expect_eq(node_of(&b, "internet")->ports[0].nic, INDEX_NONE);
    destroy(&b);
}

Test(nodes, nat_and_reverse_path_filter) {
    struct built b =
        build_text(VARIANT "machines: { hyperv: { nics: { NIC2: { rp_filter: 1 }, switch: { rp_filter: 2 } },\n"
                           "  nat: { ports: 2000-2999, max_sessions: 100, timers: { udp: 7, other: 9 } } } }\n");
    const struct node *node = &node_of(&b, "hyperv")->node;
    const struct nat_config *config = nat_config_get(node->nat);
    cr_expect(config->personality == NAT_CONNTRACK && config->outside_port == 0 && config->n_addresses == 1);
    cr_expect_eq(config->addresses[0], htonl(0x0a000004));
    cr_expect(config->port_min == 2000 && config->port_max == 2999 && config->max_sessions == 100);
    cr_expect(config->timers.udp == 7000000000ull && config->timers.other == 9000000000ull);
    cr_assert_eq(config->n_port_maps, 3);
    const struct nat_port_map *map = &config->port_maps[2];
    cr_expect_str_eq(map->name, "guest1-echo");
    cr_expect(map->proto == 17 && map->outside_port == htons(7007) && map->inside_port == htons(7));
    cr_expect_eq(map->inside_addr, htonl(0x0a000202));
    cr_expect(node->ports[0].rpf == RPF_OFF && node->ports[1].rpf == RPF_STRICT && node->ports[2].rpf == RPF_LOOSE);
    destroy(&b);
    b = build_file("without-onprem-route-interface");
    cr_expect_eq(nat_config_get(node_of(&b, "hyperv")->node.nat)->personality, NAT_INTERFACE);
    destroy(&b);
}

Test(nodes, fast_backend_for_one_node) {
    struct complaints c = {0};
    const struct control_options options = {.fast = &route_linear, .fast_node = 4, .nat_sessions = 16};
    struct built b = build(scenario_load(NESTED "routed.yaml", &c), &c, &options);
    for (uint32_t i = 0; i < b.control->n_nodes; i++)
        cr_expect_eq(route_table_backend(b.control->nodes[i].node.routes), i == 4 ? &route_linear : &route_trie);
    cr_expect_eq(nat_config_get(b.control->nodes[0].node.nat)->max_sessions, 16);
    destroy(&b);
}

static void *no_room(uint32_t max_routes) {
    return NULL;
}

Test(nodes, a_backend_that_refuses_is_an_error_with_a_place) {
    struct complaints c = {0};
    const struct route_backend refusing = {.name = "refusing", .create = no_room};
    const struct control_options options = {.fast = &refusing, .fast_node = 0};
    struct err e = {0};
    struct scenario *s = scenario_load(NESTED "routed.yaml", &c);
    cr_assert_not_null(s);
    cr_expect_null(control_build(s, &options, &e));
    cr_expect(strstr(e.where, "routed.yaml:") && strstr(e.what, "hyperv"), "%s: %s", e.where, e.what);
    scenario_destroy(s);
    complaints_fini(&c);
}

/* N10: a second host, with a floating subnet and a route of its own. */
Test(nodes, two_hosts) {
    struct built b = build_text(
        VARIANT
        "networks: { nested-fun: { space: [10.0.0.0/22, 10.0.4.0/24, 10.0.255.0/27],\n"
        "    subnets: { ghosted-2: { prefix: 10.0.4.0/24, floating: true } } } }\n"
        "route_tables: { Routes-for-nested-VMs: { Host-2: { prefix: 10.0.4.0/24, next_hop: 10.0.1.5 } } }\n"
        "switches: { nested-switch-2: {} }\n"
        "machines:\n"
        "  hyperv: { routes: { Host-2: { prefix: 10.0.4.0/24, via: 10.0.1.1, nic: NIC2, metric: 256 } } }\n"
        "  hyperv-2:\n"
        "    router: true\n"
        "    nics:\n"
        "      NIC1: { subnet: nested-fun/nat, address: 10.0.0.5/24 }\n"
        "      NIC2: { subnet: nested-fun/hyper-v-lan, address: 10.0.1.5/24, gateway: none, ip_forwarding: true }\n"
        "      switch: { switch: nested-switch-2, address: 10.0.4.1/24 }\n"
        "    nat: { outside: NIC1, personality: interface }\n");
    expect_winner(&b, "hyperv", "10.0.4.2", "10.0.4.0/24 via 10.0.1.1 dev NIC2 metric 256 (static, Host-2)");
    expect_winner(&b, "nested-fun/azure-vms", "10.0.4.2", "10.0.4.0/24 via 10.0.1.5 dev network (user, Host-2)");
    expect_winner(&b, "nested-fun/hyper-v-lan", "10.0.4.2", "10.0.4.0/24 dev network metric 2 (system)");
    expect_winner(&b, "on-premises", "10.0.4.2", "10.0.4.0/24 dev nested-fun metric 1 (bgp, nested-fun)");
    destroy(&b);
}
