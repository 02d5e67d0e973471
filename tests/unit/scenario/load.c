/* SPDX-License-Identifier: BSD-3-Clause */
/* What a scenario becomes: values, defaults, merging, and the committed scenarios. */
#include "helper.h"

static struct scenario *load_file(const char *name, unsigned warnings) {
    struct complaints c = {0};
    char path[512];
    snprintf(path, sizeof path, NESTED "%s.yaml", name);
    struct scenario *s = scenario_load(path, &c);
    if (!s || c.list.n != warnings)
        print_complaints(&c);
    cr_assert_not_null(s, "%s", name);
    cr_expect_eq(c.errors, 0);
    cr_expect_eq(c.list.n, warnings, "%s: %zu complaints", name, c.list.n);
    cr_expect_str_eq(s->name, name);
    cr_expect_str_eq(s->file, path);
    complaints_fini(&c);
    return s;
}

static struct ip ip(const char *text) {
    struct ip a;
    cr_assert_eq(ip_parse(text, &a), 0);
    return a;
}

Test(load, committed_scenarios) {
    static const struct {
        const char *name, *trace;
        unsigned warnings;
    } files[] = {
        {"routed", "routed.pcapng.zst", 0},
        {"connected", "connected.pcapng.zst", 0},
        {"forwarding-off", "forwarding-off.pcapng.zst", 1},
        {"nat-only", "nat-only.pcapng.zst", 1},
        {"without-onprem-route", "without-onprem-route.pcapng.zst", 0},
        {"without-onprem-route-interface", "without-onprem-route.pcapng.zst", 0},
        {"without-route-1", "without-route-1.pcapng.zst", 0},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct scenario *s = load_file(files[i].name, files[i].warnings);
        cr_expect_str_eq(strrchr(s->trace, '/') + 1, files[i].trace);
        cr_expect_eq(strncmp(s->trace, NESTED, strlen(NESTED)), 0, "%s", s->trace);
        cr_expect_eq(s->node, scenario_machine_find(s, "hyperv"));
        scenario_destroy(s);
    }
}

Test(load, values_of_routed) {
    struct scenario *s = load_file("routed", 0);
    uint32_t host = scenario_machine_find(s, "hyperv");
    const struct scenario_nic *nic1 = &s->nics.v[scenario_nic_find(s, host, "NIC1")];
    const struct scenario_nic *nic2 = &s->nics.v[scenario_nic_find(s, host, "NIC2")];
    const struct scenario_nic *inside = &s->nics.v[scenario_nic_find(s, host, "switch")];
    struct ip addr = ip("10.0.0.4"), gateway = ip("10.0.0.1");
    cr_expect(ip_equal(&nic1->addr, &addr) && nic1->len == 24 && !nic1->connected && nic1->has_mac);
    cr_expect(ip_equal(&nic1->gateway, &gateway) && nic1->default_route && !nic1->ip_forwarding);
    cr_expect(nic2->gateway.family == FAMILY_NONE && !nic2->default_route && nic2->ip_forwarding && nic2->connected);
    cr_expect(nic1->on == NIC_ON_SUBNET && nic1->on_index == scenario_subnet_find(s, "nested-fun/nat"));
    cr_expect(inside->on == NIC_ON_SWITCH && !inside->default_route);
    cr_expect_str_eq(nic1->capture, "nic1");
    cr_expect_eq(scenario_nic_of_address(s, &addr), (uint32_t)(nic1 - s->nics.v));

    cr_assert_eq(s->machines.v[host].n_routes, 3);
    const struct scenario_static_route *route = &s->static_routes.v[s->machines.v[host].first_route];
    cr_expect_str_eq(route->name, "Route 1");
    cr_expect_eq(route->metric, 256);
    cr_expect_eq(route->nic, (uint32_t)(nic1 - s->nics.v));

    const struct scenario_nat *nat = &s->nats.v[s->machines.v[host].nat];
    cr_expect(nat->conntrack && nat->outside == route->nic && nat->port_min == 1024 && nat->port_max == 65535);
    cr_assert_eq(nat->addresses.n, 1);
    cr_expect(ip_equal(&nat->addresses.v[0], &addr));
    cr_assert_eq(nat->port_maps.n, 3);
    cr_expect(nat->port_maps.v[2].proto == 17 && nat->port_maps.v[2].port == 7007 && nat->port_maps.v[2].to_port == 7);

    cr_assert_eq(s->dhcps.n, 1);
    cr_expect_eq(s->dhcps.v[0].dns.n, 1);
    uint32_t internet = s->sites.v[0].gateway_subnet;
    cr_expect(internet == INDEX_NONE && s->sites.v[0].prefixes.v[0].len == 0);
    cr_expect_eq(s->sites.v[1].gateway_subnet, scenario_subnet_find(s, "nested-fun/GatewaySubnet"));
    const struct scenario_subnet *ghosted = &s->subnets.v[scenario_subnet_find(s, "nested-fun/ghosted")];
    cr_expect(ghosted->floating && ghosted->route_table == INDEX_NONE);
    cr_expect_eq(scenario_subnet_find(s, "nested-fun/absent"), INDEX_NONE);
    cr_expect_eq(scenario_subnet_find(s, "nat"), INDEX_NONE);
    scenario_destroy(s);
}

Test(load, variants_change_what_they_say_and_nothing_else) {
    struct scenario *s = load_file("nat-only", 1);
    uint32_t host = scenario_machine_find(s, "hyperv");
    cr_expect_eq(s->machines.v[host].n_routes, 0);
    cr_expect_eq(s->machines.v[host].n_nics, 2);
    cr_expect_eq(s->route_tables.n + s->user_routes.n, 0);
    cr_expect_eq(scenario_nic_find(s, host, "NIC2"), INDEX_NONE);
    cr_expect(s->nics.v[scenario_nic_find(s, host, "NIC1")].connected);
    cr_assert_eq(s->nats.v[0].port_maps.n, 4); /* the base's first, in their order */
    cr_expect_str_eq(s->nats.v[0].port_maps.v[0].name, "guest1-web");
    cr_expect_str_eq(s->nats.v[0].port_maps.v[3].name, "guest2-web-too");
    cr_expect_eq(s->nats.v[0].port_maps.v[3].at.line, 18);
    cr_expect(strstr(s->nats.v[0].port_maps.v[3].at.file, "nat-only.yaml"));
    cr_expect(strstr(s->nics.v[0].at.file, "routed.yaml")); /* where it was written first */
    scenario_destroy(s);

    s = load_file("without-onprem-route-interface", 0);
    cr_expect_not(s->nats.v[0].conntrack);
    cr_expect_eq(s->machines.v[0].n_routes, 2);
    scenario_destroy(s);
}

Test(load, merge_replaces_lists_and_text) {
    struct complaints c;
    struct scenario *s = load_text(VARIANT "networks: { nested-fun: { space: [10.0.0.0/16] } }\n"
                                           "title: null\n"
                                           "trace: null\n"
                                           "machines:\n"
                                           "  hyperv:\n"
                                           "    dhcp: [ { nic: switch, range: 10.0.2.9-10.0.2.20 } ]\n"
                                           "    routes: { Route 1: { metric: 7 } }\n"
                                           "    nat: { timers: { udp: 5 } }\n",
                                   &c);
    cr_assert_not_null(s);
    cr_expect_eq(s->networks.v[0].space.n, 1);
    cr_expect_eq(s->networks.v[0].n_subnets, 5);
    cr_expect_str_eq(s->title, "variant");
    cr_expect_null(s->trace);
    cr_assert_eq(s->dhcps.n, 1);
    cr_expect_eq(s->dhcps.v[0].dns.n, 0);
    cr_expect_eq(s->static_routes.v[0].metric, 7);
    cr_expect_neq(s->static_routes.v[0].via.family, FAMILY_NONE);
    cr_expect_eq(s->nats.v[0].timers.udp, 5);
    cr_expect_eq(s->nats.v[0].port_maps.n, 3);
    scenario_destroy(s);
    complaints_fini(&c);
}

Test(load, node_by_default) {
    static const struct {
        const char *text;
        uint32_t node;
    } cases[] = {
        {"a: { nics: {} }, b: { router: true, nics: {} }", 1},
        {"a: { nics: {} }, b: { nics: { n: { switch: s, address: 10.0.0.1/24, capture: c } } }", 1},
        {"a: { router: true, nics: {} }, b: { router: true, nics: {} }", INDEX_NONE},
        {"a: { nics: {} }", INDEX_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct complaints c;
        char *text;
        cr_assert_gt(asprintf(&text, "fwdlab: 1\nname: x\nswitches: { s: {} }\nmachines: { %s }\n", cases[i].text), 0);
        struct scenario *s = load_text(text, &c);
        cr_assert_not_null(s, "case %zu", i);
        cr_expect_eq(s->node, cases[i].node, "case %zu: %u", i, s->node);
        cr_expect_str_eq(s->title, "x");
        scenario_destroy(s);
        complaints_fini(&c);
        free(text);
    }
}

Test(load, anchors_and_aliases) {
    struct complaints c;
    struct scenario *s = load_text("fwdlab: 1\nname: x\nswitches: { s: &empty {} , t: *empty }\nmachines: {}\n", &c);
    cr_assert_not_null(s);
    cr_expect_eq(s->switches.n, 2);
    scenario_destroy(s);
    complaints_fini(&c);
}
