/* SPDX-License-Identifier: BSD-3-Clause */
/* The nested-VM host, row by row: N6, N10 and N12. */
#include "world.h"

TestSuite(rows);

static char *format(const struct world *w, uint32_t node, const struct route *r, char *buf) {
    control_route_format(&w->control->nodes[node], r, buf, 200);
    return buf;
}

/* Applies the first candidate and looks whether it is of that kind, says that, and mends the flow. */
static void expect_first_mend(struct world *w, const struct flow_key *k, enum change_kind kind, const char *node,
                              const char *route) {
    struct judgement j = judge(w, k, NULL, NULL);
    struct change c[16];
    char text[200];
    cr_assert_gt(fabric_mends(w->fabric, &j, c, 16), 0u);
    cr_expect_eq(c[0].kind, kind, "%s", change_kind_name(c[0].kind));
    cr_expect_str_eq(w->control->nodes[c[0].node].name, node);
    cr_expect_str_eq(format(w, c[0].node, &c[0].route, text), route, "%s", text);
    cr_assert_eq(fabric_apply(w->fabric, &c[0]), 0);
    j = judge(w, k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    fabric_revert(w->fabric);
}

/* One-way: the guest's packet arrives, the answer is lost where the association is missing. */
Test(rows, n6_without_the_route_table) {
    struct world w = world_nested("routed", "networks: {nested-fun: {subnets: {azure-vms: {route_table: null}}}}");
    struct walk there, back;
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
    for (size_t i = 0; i < sizeof protos; i++) {
        struct flow_key k = flow(protos[i], "10.0.2.3", 40000, "10.0.3.4", protos[i] == PROTO_ICMP ? ICMP_ECHO : 80);
        struct judgement j = judge(&w, &k, &there, &back);
        expect_verdict(&j, MODEL_NO_RETURN_ROUTE);
        cr_expect(j.reason == DROP_NO_HOST && j.lost_on_return && !j.works && !j.told);
        expect_path(&w, &there, "guest2 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms azure-vm");
        expect_path(&w, &back, "azure-vm nested-fun/azure-vms !no-host");
        expect_first_mend(&w, &k, CHANGE_ASSOCIATE, "nested-fun/azure-vms",
                          "10.0.2.0/24 via 10.0.1.4 dev network (user, Nested-VMs)");
    }
    struct flow_key in = flow(PROTO_TCP, "10.0.3.4", 1, "10.0.2.2", 2);
    struct judgement j = judge(&w, &in, &there, &back);
    expect_verdict(&j, MODEL_DROPPED);
    expect_path(&w, &there, "azure-vm nested-fun/azure-vms !no-host");
    struct flow_key onprem = flow(PROTO_TCP, "172.16.0.10", 1, "10.0.2.2", 2);
    j = judge(&w, &onprem, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC); /* the gateway's subnet still has its table */
    world_end(&w);
}

/* ---- N10 ---- */

#define SECOND_HOST                                                                                                    \
    "networks: {nested-fun: {space: [10.0.0.0/22, 10.0.4.0/24, 10.0.255.0/27], subnets: {\n"                           \
    "  hyper-v-lan: {route_table: Routes-for-nested-VMs}, ghosted-2: {prefix: 10.0.4.0/24, floating: true}}}}\n"       \
    "route_tables: {Routes-for-nested-VMs: {Host-2: {prefix: 10.0.4.0/24, next_hop: 10.0.1.5}}}\n"                     \
    "switches: {second: {}}\n"                                                                                         \
    "machines:\n"                                                                                                      \
    "  host2:\n    router: true\n    nics:\n"                                                                          \
    "      NIC1: {subnet: nested-fun/nat, address: 10.0.0.5/24, connected: false}\n"                                   \
    "      NIC2: {subnet: nested-fun/hyper-v-lan, address: 10.0.1.5/24, gateway: none, ip_forwarding: true}\n"         \
    "      switch: {switch: second, address: 10.0.4.1/24}\n"                                                           \
    "    routes: {Route 2: {prefix: 10.0.0.0/22, via: 10.0.1.1, nic: NIC2, metric: 256}}\n"                            \
    "    nat: {outside: NIC1, personality: conntrack}\n"                                                               \
    "  guest3: {nics: {eth0: {switch: second, address: 10.0.4.2/24, gateway: 10.0.4.1}}}\n"
#define PEER_ROUTE "  hyperv: {routes: {Peer: {prefix: 10.0.4.0/24, via: 10.0.1.1, nic: NIC2, metric: 256}}}\n"

Test(rows, n10_two_hosts) {
    struct world w = world_nested("routed", SECOND_HOST PEER_ROUTE);
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.4.2", 80);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(!j.translated && j.nat_node == INDEX_NONE);
    expect_path(&w, &there, "guest1 hyperv[NIC2] nested-fun/hyper-v-lan host2[switch] guest3");
    expect_path(&w, &back, "guest3 host2[NIC2] nested-fun/hyper-v-lan hyperv[switch] guest1");
    k = flow(PROTO_TCP, "10.0.3.4", 40000, "10.0.4.2", 80);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

/* The other host's guests are outside Route 2: without a route of their own they are NAT's. */
Test(rows, n10_without_the_peer_route) {
    struct world w = world_nested("routed", SECOND_HOST);
    struct walk there, back;
    char text[200];
    struct flow_key out = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.4.2", 80);
    struct judgement j = judge(&w, &out, &there, &back);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect(j.translated && j.reason == DROP_NO_HOST);
    expect_path(&w, &there, "guest1 hyperv[NIC1] nested-fun/nat !no-host");
    cr_expect(back.n == 0 && back.mtu == 0, "there is no way back");
    cr_expect_str_eq(w.control->nodes[j.nat_node].name, "hyperv");
    cr_expect_str_eq(format(&w, j.nat_node, &j.nat_route, text), "0.0.0.0/0 via 10.0.0.1 dev NIC1 (static, default)");
    /* and the answers to them: untranslated, as their connection began, which NIC1 may not send */
    struct flow_key in = flow(PROTO_TCP, "10.0.4.2", 40000, "10.0.2.2", 80);
    j = judge(&w, &in, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BREAKS);
    expect_cause(&w, &j, "hyperv", "default");
    expect_path(&w, &back, "guest1 hyperv[NIC1] nested-fun/nat !forwarding-off");
    expect_first_mend(&w, &in, CHANGE_ADD, "hyperv", "10.0.4.0/24 via 10.0.1.1 dev NIC2 (static, ghosted-2)");
    struct change c[16];
    cr_assert_gt(fabric_mends(w.fabric, &j, c, 16), 0u);
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    j = judge(&w, &out, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC); /* one route mends both */
    cr_expect(!j.translated);
    world_end(&w);
}

/* Where `nat` has the table too, NAT even works: the answers come back. It is told all the same which node translated,
 * and by which route. */
Test(rows, n10_through_nat_and_back) {
    struct world w = world_nested("routed", SECOND_HOST);
    struct change associate = {.kind = CHANGE_ASSOCIATE, .node = control_node_find(w.control, "nested-fun/nat")};
    cr_assert_eq(fabric_apply(w.fabric, &associate), 0);
    struct walk there;
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.4.2", 80);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "guest1 hyperv[NIC1] nested-fun/nat nested-fun/hyper-v-lan host2[switch] guest3");
    expect_source(&there, "10.0.0.4");
    cr_expect(j.works && j.translated);
    cr_expect_str_eq(w.control->nodes[j.nat_node].name, "hyperv");
    cr_expect_str_eq(j.nat_route.name, "default");
    world_end(&w);
}

Test(rows, n10_a_host_out_of_service) {
    struct world w =
        world_nested("routed", "networks: {nested-fun: {space: [10.0.0.0/22, 10.0.4.0/24, 10.0.255.0/27], subnets: {\n"
                               "  hyper-v-lan: {route_table: Routes-for-nested-VMs}}}}\nmachines:\n" PEER_ROUTE);
    static const struct {
        const char *from, *path;
    } row[] = {{"10.0.2.2", "guest1 hyperv[NIC2] nested-fun/hyper-v-lan !no-host"},
               {"10.0.3.4", "azure-vm nested-fun/azure-vms !no-host"},
               {"172.16.0.10", "onprem-pc on-premises nested-fun/GatewaySubnet !no-host"}};
    struct walk there;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct flow_key k = flow(PROTO_TCP, row[i].from, 40000, "10.0.4.2", 80);
        struct judgement j = judge(&w, &k, &there, NULL);
        expect_verdict(&j, MODEL_DROPPED);
        expect_path(&w, &there, row[i].path);
    }
    struct flow_key k = flow(PROTO_TCP, "10.0.3.4", 40000, "10.0.2.2", 80);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

/* ---- N12 ---- */

#define OUTSIDE                                                                                                        \
    "route_tables: {Routes-for-nested-VMs: {Outside: {prefix: 192.168.50.0/24, next_hop: 10.0.1.4}}}\n"                \
    "switches: {switch-2: {}}\n"                                                                                       \
    "machines:\n"                                                                                                      \
    "  hyperv: {nics: {switch-2: {switch: switch-2, address: 192.168.50.1/24}}}\n"                                     \
    "  guest5: {nics: {eth0: {switch: switch-2, address: 192.168.50.2/24, gateway: 192.168.50.1}}}\n"
#define STATIC_ROUTE "sites: {on-premises: {routes: {Outside guests: {prefix: 192.168.50.0/24}}}}\n"

Test(rows, n12_onprem_through_the_gateway_subnet) {
    struct world w = world_nested("routed", OUTSIDE STATIC_ROUTE);
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "172.16.0.10", 40000, "10.0.2.2", 80);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_path(&w, &there,
                "onprem-pc on-premises nested-fun/GatewaySubnet nested-fun/hyper-v-lan hyperv[switch] guest1");
    k = flow(PROTO_TCP, "172.16.0.10", 40000, "192.168.50.2", 80);
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(!j.translated);
    expect_path(&w, &there,
                "onprem-pc on-premises nested-fun/GatewaySubnet nested-fun/hyper-v-lan hyperv[switch-2] guest5");
    k = flow(PROTO_TCP, "192.168.50.2", 40000, "203.0.113.10", 80);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(j.translated, "the Internet stays NAT's");
    world_end(&w);
}

/* The gateway announces the network's space: what is outside of it has no way back until on-premises is told by hand.
 */
Test(rows, n12_outside_the_space_needs_a_static_route) {
    struct world w = world_nested("routed", OUTSIDE);
    struct walk there, back;
    struct flow_key out = flow(PROTO_TCP, "192.168.50.2", 40000, "172.16.0.10", 80),
                    in = flow(PROTO_TCP, "172.16.0.10", 40000, "192.168.50.2", 80);
    struct judgement j = judge(&w, &out, &there, &back);
    expect_verdict(&j, MODEL_NO_RETURN_ROUTE);
    cr_expect_str_eq(w.control->nodes[j.cause_node].name, "on-premises");
    expect_path(&w, &back, "onprem-pc on-premises !no-route");
    cr_expect(j.told, "the router of on-premises says so to its own machine");
    expect_first_mend(&w, &out, CHANGE_ADD, "on-premises", "192.168.50.0/24 dev nested-fun (static, switch-2)");
    j = judge(&w, &in, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    expect_path(&w, &there, "onprem-pc on-premises !no-route");
    struct flow_key inside = flow(PROTO_TCP, "172.16.0.10", 40000, "10.0.2.2", 80);
    j = judge(&w, &inside, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC); /* inside the space: announced */
    world_end(&w);
}

/* Where routes meet: longest prefix first, then user-defined before BGP before system. */
Test(rows, n12_precedence) {
    struct world w = world_nested("routed", "route_tables: {Routes-for-nested-VMs: {\n"
                                            "  office: {prefix: 172.16.0.0/22, next_hop: none},\n"
                                            "  pc: {prefix: 172.16.0.10/32, next_hop: gateway}}}\n");
    struct flow_key pc = flow(PROTO_UDP, "10.0.3.4", 1, "172.16.0.10", 2),
                    other = flow(PROTO_UDP, "10.0.3.4", 1, "172.16.0.11", 2);
    struct judgement j = judge(&w, &pc, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    j = judge(&w, &other, NULL, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, DROP_BLACKHOLE);
    expect_cause(&w, &j, "nested-fun/azure-vms", "office");
    world_end(&w);
}

Test(rows, n12_declared_places) {
    static const struct {
        const char *addr, *prefix;
    } row[] = {{"10.0.2.9", "10.0.2.0/24"},
               {"172.16.1.1", "172.16.0.0/22"},
               {"192.168.50.9", "192.168.50.0/24"},
               {"192.168.77.1", "192.168.77.0/24"},
               {"192.168.78.1", ""},
               {"8.8.8.8", ""}};
    struct world w =
        world_nested("routed", "route_tables: {Routes-for-nested-VMs: {far: {prefix: 192.168.77.0/24, next_hop: "
                               "10.0.1.4}, all: {prefix: 0.0.0.0/0, next_hop: 10.0.1.4}}}\n"
                               "switches: {switch-2: {}}\n"
                               "machines: {hyperv: {nics: {switch-2: {switch: switch-2, address: "
                               "192.168.50.1/24}}}}\n");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct ip a;
        char text[PREFIX_TEXT];
        ip_parse(row[i].addr, &a);
        struct ip_prefix p = fabric_declared(w.fabric, &a);
        cr_expect_str_eq(prefix_format(&p, text), row[i].prefix, "%s: %s", row[i].addr, text);
    }
    world_end(&w);
}
