/* SPDX-License-Identifier: BSD-3-Clause */
/* The nested-VM host, row by row (N1 to N7): hops, translation, verdicts, causes and the first mend. */
#include "world.h"

TestSuite(nested);

Test(nested, n1_internet_through_nat) {
    struct world w = world_nested("routed", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 40000, "203.0.113.10", 443);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(j.works && j.translated);
    expect_path(&w, &there, "guest1 hyperv[NIC1] nested-fun/nat internet web-server");
    expect_path(&w, &back, "web-server internet nested-fun/nat hyperv[switch] guest1");
    expect_source(&there, "10.0.0.4");
    k = flow(PROTO_UDP, "10.0.2.2", 5353, "168.63.129.16", 53);
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_source(&there, "10.0.0.4");
    world_end(&w);
}

Test(nested, n2_lan_untranslated) {
    struct world w = world_nested("routed", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_ICMP, "10.0.2.2", 77, "10.0.3.4", 8);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(!j.translated);
    expect_source(&there, "10.0.2.2");
    expect_path(&w, &there, "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms azure-vm");
    expect_path(&w, &back, "azure-vm nested-fun/azure-vms nested-fun/hyper-v-lan hyperv[switch] guest1");
    world_end(&w);
}

/* Who wins at the host for one destination. */
static const char *winner(const struct world *w, const struct walk *walk) {
    for (unsigned i = 0; i < walk->n; i++) {
        const struct control_node *n = &w->control->nodes[walk->hops[i].node];
        size_t count;
        const struct route *routes = route_table_routes(n->node.routes, &count);
        if (!strcmp(n->name, "hyperv"))
            return walk->hops[i].route < count ? routes[walk->hops[i].route].name : "none";
    }
    return "never there";
}

Test(nested, n3_longest_prefix_then_metric) {
    static const struct {
        const char *to, *route;
    } row[] = {
        {"10.0.0.10", "Route 1"}, {"10.0.3.4", "Route 2"}, {"172.16.0.10", "On-premises"}, {"203.0.113.10", "default"}};
    struct world w = world_nested("routed", "");
    struct walk there;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 1, row[i].to, 2);
        judge(&w, &k, &there, NULL);
        cr_expect_str_eq(winner(&w, &there), row[i].route, "%s", row[i].to);
    }
    world_end(&w);
    w = world_nested(
        "routed",
        "machines: {hyperv: {routes: {Cheaper: {prefix: 10.0.0.0/22, via: 10.0.0.1, nic: NIC1, metric: 5}}}}");
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.4", 2);
    judge(&w, &k, &there, NULL);
    cr_expect_str_eq(winner(&w, &there), "Cheaper", "the metric breaks ties");
    world_end(&w);
}

Test(nested, n4_without_route_1) {
    struct world w = world_nested("without-route-1", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, &there, &back);
    cr_expect(j.verdict == MODEL_ASYM_BENIGN || j.verdict == MODEL_ASYM_BREAKS, "%s", model_verdict_name(j.verdict));
    expect_cause(&w, &j, "hyperv", "Route 2");
    expect_path(&w, &there, "nat-machine nested-fun/nat hyperv");
    struct change c[16];
    unsigned n = fabric_mends(w.fabric, &j, c, 16);
    cr_assert_gt(n, 0u);
    char text[200];
    cr_expect_eq(c[0].kind, CHANGE_ADD);
    cr_expect_str_eq(control_route_format(&w.control->nodes[c[0].node], &c[0].route, text, sizeof text),
                     "10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256 (static, nat)", "that is Route 1: %s", text);
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    fabric_revert(w.fabric);
    world_end(&w);
}

Test(nested, n4_connected_route_hides_route_1) {
    struct world w = world_nested("connected", "");
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

Test(nested, n4_what_route_1_cannot_mend) {
    struct world w = world_nested("routed", "");
    struct flow_key k = flow(PROTO_TCP, "10.0.3.4", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, NULL, NULL);
    cr_expect_neq(j.verdict, MODEL_SYMMETRIC);
    expect_cause(&w, &j, "hyperv", "Route 2");
    world_end(&w);
}

/* A connection from on-premises keeps its address with conntrack and is dropped by the platform; by interface it
 * changes it. */
Test(nested, n5_without_onprem_route) {
    struct world w = world_nested("without-onprem-route", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "172.16.0.10", 40000, "10.0.2.2", 80);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BREAKS);
    cr_expect_eq(j.reason, DROP_FORWARDING_OFF);
    cr_expect(j.lost_on_return && !j.works);
    expect_cause(&w, &j, "hyperv", "default");
    expect_source(&back, "10.0.2.2");
    cr_expect_str_eq(w.scenario->nics.v[j.cause_nic].name, "NIC1");
    world_end(&w);
    w = world_nested("without-onprem-route-interface", "");
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BREAKS);
    cr_expect(!j.lost_on_return && !j.works, "arrives, but from another address than was asked");
    expect_source(&back, "10.0.0.4");
    expect_cause(&w, &j, "hyperv", "default");
    world_end(&w);
}

Test(nested, n6_without_the_route_table) {
    struct world w = world_nested("routed", "networks: {nested-fun: {subnets: {azure-vms: {route_table: null}}}}");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.3.4", 80);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_NO_RETURN_ROUTE);
    expect_path(&w, &back, "azure-vm nested-fun/azure-vms !no-host");
    cr_expect_str_eq(w.control->nodes[j.cause_node].name, "nested-fun/azure-vms");
    struct change c[16];
    cr_assert_gt(fabric_mends(w.fabric, &j, c, 16), 0u);
    cr_expect_eq(c[0].kind, CHANGE_ASSOCIATE, "the missing association comes first");
    cr_expect_str_eq(w.scenario->route_tables.v[c[0].table].name, "Routes-for-nested-VMs");
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

Test(nested, n7_forwarding_off) {
    struct world w = world_nested("forwarding-off", "");
    struct walk there;
    struct flow_key out = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.3.4", 80),
                    in = flow(PROTO_TCP, "10.0.3.4", 1, "10.0.2.2", 2);
    struct judgement j = judge(&w, &out, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, DROP_FORWARDING_OFF);
    expect_path(&w, &there, "guest1 hyperv[NIC2] nested-fun/hyper-v-lan !forwarding-off");
    j = judge(&w, &in, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, DROP_FORWARDING_OFF);
    cr_expect_str_eq(w.scenario->nics.v[j.cause_nic].name, "NIC2");
    struct flow_key nat = flow(PROTO_TCP, "10.0.2.2", 40000, "203.0.113.10", 80);
    j = judge(&w, &nat, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

Test(nested, port_map_from_the_internet) {
    struct world w = world_nested("routed", "");
    struct walk there;
    struct flow_key k = flow(PROTO_TCP, "203.0.113.10", 40000, "10.0.0.4", 8080);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(j.translated);
    cr_expect_eq(ntohs(walk_end(&there)->key.dport), 80);
    cr_expect_str_eq(w.control->nodes[walk_end(&there)->node].name, "guest1");
    world_end(&w);
}
