/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 beside IPv4: the same walks, verdicts, causes and mends; what no model is made of. */
#include "world.h"

TestSuite(ipv6);

Test(ipv6, untranslated_through_nic2) {
    struct world w = world_dual(NULL);
    struct walk there, back;
    static const struct {
        const char *to, *path;
    } row[] = {
        {"fd00:a:0:3::4", "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms azure-vm"},
        {"fd00:ac10::10", "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/GatewaySubnet on-premises onprem-pc"},
        {"fd00:ac10::99", "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/GatewaySubnet on-premises"},
        {"fd00:a:0:3::1", "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct flow_key k = flow(PROTO_TCP, "fd00:a:0:2::2", 40000, row[i].to, 80);
        judge(&w, &k, &there, &back);
        expect_path(&w, &there, row[i].path);
        expect_source(&there, "fd00:a:0:2::2");
    }
    struct flow_key k = flow(PROTO_UDP, "fd00:a:0:2::2", 40000, "fd00:a:0:3::4", 53);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_path(&w, &back, "azure-vm nested-fun/azure-vms nested-fun/hyper-v-lan hyperv[switch] guest1");
    cr_expect(j.works && !j.translated && j.reason == DROP_NONE);
    const struct route *r = hop_route(w.control, &there.hops[1]);
    cr_assert_not_null(r);
    cr_expect_str_eq(r->name, "Route 2 v6");
    world_end(&w);
}

Test(ipv6, echo) {
    struct world w = world_dual(NULL);
    struct walk there, back;
    struct flow_key k = flow(PROTO_ICMPV6, "fd00:a:0:2::2", 7, "fd00:a:0:3::4", ICMPV6_ECHO);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect_eq(ntohs(walk_end(&there)->key.dport), ICMPV6_ECHO);
    cr_expect_eq(ntohs(walk_end(&back)->key.dport), ICMPV6_ECHO_REPLY);
    cr_expect_eq(ntohs(walk_end(&back)->key.sport), 7);
    world_end(&w);
}

/* Global unicast that nobody has is the Internet's; unique local addresses are not. */
Test(ipv6, internet) {
    struct world w = world_dual(NULL);
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "fd00:a:0:3::4", 1, "2001:db8:113::10", 2);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_path(&w, &there, "azure-vm nested-fun/azure-vms internet web-server");
    k = flow(PROTO_TCP, "fd00:a:0:3::4", 1, "2600::1", 2);
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_path(&w, &there, "azure-vm nested-fun/azure-vms internet");
    k = flow(PROTO_TCP, "fd00:a:0:3::4", 1, "fd77::1", 2);
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_DROPPED);
    expect_path(&w, &there, "azure-vm nested-fun/azure-vms internet !no-route");
    world_end(&w);
}

static void without_route_1(struct scenario *s) {
    for (size_t i = 0; i < s->static_routes.n; i++)
        if (!strcmp(s->static_routes.v[i].name, "Route 1 v6"))
            prefix_parse("fd00:77::/64", &s->static_routes.v[i].prefix);
}

/* N4 in the other family. */
Test(ipv6, without_route_1) {
    struct world w = world_dual(without_route_1);
    struct walk there, back;
    char text[200];
    struct flow_key k = flow(PROTO_TCP, "fd00:a::10", 40000, "fd00:a::4", 22);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BENIGN);
    expect_cause(&w, &j, "hyperv", "Route 2 v6");
    expect_path(&w, &there, "nat-machine nested-fun/nat hyperv");
    struct change c[16];
    unsigned n = fabric_mends(w.fabric, &j, c, 16);
    cr_assert_eq(n, 4u, "%u", n);
    cr_expect_str_eq(control_route_format(&w.control->nodes[c[0].node], &c[0].route, text, sizeof text),
                     "fd00:a::/64 via fd00:a::1 dev NIC1 metric 256 (static, nat)", "%s", text);
    cr_expect(c[1].kind == CHANGE_REPLACE && c[2].kind == CHANGE_REMOVE && c[3].route.prefix.len == 128);
    for (unsigned i = 0; i < n; i += 3) {
        cr_assert_eq(fabric_apply(w.fabric, &c[i]), 0);
        j = judge(&w, &k, NULL, NULL);
        expect_verdict(&j, MODEL_SYMMETRIC);
        fabric_revert(w.fabric);
    }
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_ASYM_BENIGN);
    world_end(&w);
    w = world_dual(NULL);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

static void without_table(struct scenario *s) {
    s->subnets.v[scenario_subnet_find(s, "nested-fun/azure-vms")].route_table = INDEX_NONE;
}

/* N6 in the other family. */
Test(ipv6, without_the_route_table) {
    struct world w = world_dual(without_table);
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "fd00:a:0:2::2", 40000, "fd00:a:0:3::4", 80);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_NO_RETURN_ROUTE);
    expect_path(&w, &back, "azure-vm nested-fun/azure-vms !no-host");
    struct change c[16];
    cr_assert_gt(fabric_mends(w.fabric, &j, c, 16), 0u);
    cr_expect_eq(c[0].kind, CHANGE_ASSOCIATE);
    cr_expect_str_eq(c[0].route.name, "six", "the route of this family is told");
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    struct flow_key four = flow(PROTO_TCP, "10.0.2.2", 40000, "10.0.3.4", 80);
    j = judge(&w, &four, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

static void nic2_without_forwarding(struct scenario *s) {
    s->nics.v[scenario_nic_find(s, scenario_machine_find(s, "hyperv"), "NIC2")].ip_forwarding = false;
}

/* N7 in the other family: both edges of the platform. */
Test(ipv6, forwarding_off) {
    struct world w = world_dual(nic2_without_forwarding);
    struct walk there;
    struct flow_key out = flow(PROTO_TCP, "fd00:a:0:2::2", 1, "fd00:a:0:3::4", 2),
                    in = flow(PROTO_TCP, "fd00:a:0:3::4", 1, "fd00:a:0:2::2", 2),
                    own = flow(PROTO_TCP, "fd00:a:0:3::4", 1, "fd00:a:0:1::4", 2);
    struct judgement j = judge(&w, &out, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    expect_path(&w, &there, "guest1 hyperv[NIC2] nested-fun/hyper-v-lan !forwarding-off");
    j = judge(&w, &in, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, DROP_FORWARDING_OFF);
    cr_expect_str_eq(w.scenario->nics.v[j.cause_nic].name, "NIC2");
    j = judge(&w, &own, &there, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

Test(ipv6, unmodelled) {
    struct world w = world_dual(NULL);
    struct flow_key k[] = {
        flow(PROTO_UDP, "fd00:9::9", 1, "fd00:a:0:3::4", 2),                           /* nobody's source */
        flow(PROTO_UDP, "fe80::1", 546, "ff02::1:2", 547),                             /* DHCPv6 */
        flow(PROTO_UDP, "fd00:a:0:2::2", 5353, "ff02::fb", 5353),                      /* multicast */
        flow(PROTO_ICMPV6, "fd00:a:0:2::2", 0, "fd00:a:0:3::4", ICMPV6_TIME_EXCEEDED), /* no answer */
        flow(PROTO_ICMPV6, "fd00:a:0:2::2", 0, "fd00:a:0:3::4", 135),                  /* neighbour solicitation */
    };
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        struct judgement j = judge(&w, &k[i], NULL, NULL);
        expect_verdict(&j, MODEL_UNMODELLED);
    }
    world_end(&w);
    w = world_nested("routed", ""); /* has no IPv6, though the Internet has */
    struct flow_key six = flow(PROTO_TCP, "2001:db8:113::10", 1, "2600::1", 2);
    struct judgement j = judge(&w, &six, NULL, NULL);
    expect_verdict(&j, MODEL_UNMODELLED);
    world_end(&w);
}

Test(ipv6, owners_and_declared_places) {
    static const struct {
        const char *address, *node, *declared;
    } row[] = {{"fd00:a:0:2::2", "guest1", "fd00:a:0:2::/64"},
               {"fd00:a:0:3::1", "nested-fun/azure-vms", "fd00:a:0:3::/64"},
               {"2600::1", "internet", ""},
               {"fd00:ac10::99", "on-premises", "fd00:ac10::/48"},
               {"2001:db8:113::10", "web-server", ""},
               {"fd00:a:0:3::99", NULL, "fd00:a:0:3::/64"},
               {"fd77::1", NULL, ""},
               {"fe80::1", NULL, ""},
               {"ff02::1", NULL, ""},
               {"::1", NULL, ""}};
    struct world w = world_dual(NULL);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct ip a;
        char text[PREFIX_TEXT];
        cr_assert_eq(ip_parse(row[i].address, &a), 0);
        uint32_t n = fabric_owner(w.fabric, &a);
        struct ip_prefix p = fabric_declared(w.fabric, &a);
        cr_expect_str_eq(n == INDEX_NONE ? "nobody" : w.control->nodes[n].name, row[i].node ? row[i].node : "nobody");
        cr_expect_str_eq(prefix_format(&p, text), row[i].declared, "%s: %s", row[i].address, text);
    }
    world_end(&w);
}
