/* SPDX-License-Identifier: BSD-3-Clause */
/* What a scenario becomes: IPv6, policy rules, security groups, static routes of sites. */
#include "dual.h"
#include "helper.h"

static struct scenario *s;

static void load_dual(void) {
    struct complaints c;
    s = load_text(VARIANT DUAL_OVER, &c);
    if (!s || c.list.n)
        print_complaints(&c);
    cr_assert_not_null(s);
    cr_assert_eq(c.list.n, 0, "%zu complaints", c.list.n);
    complaints_fini(&c);
}

static void unload_dual(void) {
    scenario_destroy(s);
}

TestSuite(load_more, .init = load_dual, .fini = unload_dual);

static bool is(const struct ip *addr, const char *text) {
    struct ip a;
    cr_assert_eq(ip_parse(text, &a), 0, "%s", text);
    return ip_equal(addr, &a);
}

static bool is_prefix(const struct ip_prefix *prefix, const char *text) {
    struct ip_prefix p;
    cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
    return prefix_equal(prefix, &p);
}

static const struct scenario_nic *nic(const char *machine, const char *name) {
    uint32_t m = scenario_machine_find(s, machine);
    cr_assert_neq(m, INDEX_NONE, "%s", machine);
    uint32_t i = scenario_nic_find(s, m, name);
    cr_assert_neq(i, INDEX_NONE, "%s", name);
    return &s->nics.v[i];
}

Test(load_more, addresses_of_both_families) {
    const struct scenario_nic *nic1 = nic("hyperv", "NIC1"), *nic2 = nic("hyperv", "NIC2");
    cr_expect(is(&nic1->addr, "10.0.0.4") && is(&nic1->addr6, "fd00:a::4") && nic1->len6 == 64);
    cr_expect(nic1->default_route && !nic1->default_route6 && ip_is_none(&nic1->gateway6));
    cr_expect(!nic2->default_route && nic2->default_route6 && is(&nic2->gateway6, "fd00:a:0:1::1"));
    const struct scenario_nic *guest = nic("guest1", "eth0"), *six = nic("six", "eth0");
    cr_expect(guest->default_route6 && is(&guest->gateway6, "fd00:a:0:2::1") && is(&guest->gateway, "10.0.2.1"));
    cr_expect(ip_is_none(&six->addr) && !six->default_route && ip_is_none(&six->gateway));
    cr_expect(six->default_route6 && is(&six->gateway6, "fd00:a:0:3::1"));
    const struct scenario_nic *web = nic("web-6", "eth0"), *web4 = nic("web-server", "eth0");
    cr_expect(web->default_route6 && !web->default_route && ip_is_none(&web->gateway6));
    cr_expect(!web4->default_route6 && web4->default_route);
    cr_expect_eq(scenario_nic_of_address(s, &six->addr6), (uint32_t)(six - s->nics.v));
    cr_expect_eq(scenario_nic_of_address(s, &nic1->addr), (uint32_t)(nic1 - s->nics.v));
    cr_expect_eq(scenario_nic_of_address(s, &six->addr), INDEX_NONE); /* which it has not */
}

Test(load_more, subnets_sites_and_route_tables) {
    const struct scenario_subnet *vms = &s->subnets.v[scenario_subnet_find(s, "nested-fun/azure-vms")];
    cr_expect(is_prefix(&vms->prefix6, "fd00:a:0:3::/64") && is(&vms->gateway6, "fd00:a:0:3::1"));
    cr_expect(is(&vms->gateway, "10.0.3.1"));
    cr_expect_eq(s->networks.v[0].space.n, 3);
    const struct scenario_site *internet = &s->sites.v[0], *site = &s->sites.v[1];
    cr_assert_eq(site->prefixes.n, 2);
    cr_expect(is_prefix(&site->prefixes.v[1], "fd00:ac10::/48"));
    cr_assert_eq(site->routes.n, 1);
    cr_expect_str_eq(site->routes.v[0].name, "Outside guests");
    cr_expect(is_prefix(&site->routes.v[0].prefix, "192.168.50.0/24"));
    cr_assert_eq(internet->prefixes.n, 2);
    cr_expect(is_prefix(&internet->prefixes.v[0], "0.0.0.0/0") && is_prefix(&internet->prefixes.v[1], "::/0"));
    cr_assert_eq(s->user_routes.n, 3);
    cr_expect(is(&s->user_routes.v[1].next_hop, "fd00:a:0:1::4") && s->user_routes.v[1].kind == NEXT_HOP_APPLIANCE);
}

Test(load_more, checks_and_limits_of_nics) {
    cr_expect_eq(nic("hyperv", "NIC1")->rpf, 1);
    cr_expect_eq(nic("hyperv", "NIC2")->rpf, 3);
    cr_expect_eq(nic("six", "eth0")->rpf, 2);
    cr_expect_eq(nic("guest2", "eth0")->rpf, 0);
    cr_expect_eq(nic("hyperv", "NIC2")->mtu, 1400);
    cr_expect_eq(nic("hyperv", "NIC1")->mtu, 0);
    cr_expect_eq(nic("hyperv", "NIC2")->security_group, 0);
    cr_expect_eq(nic("hyperv", "NIC1")->security_group, INDEX_NONE);
    cr_expect_eq(s->subnets.v[scenario_subnet_find(s, "nested-fun/azure-vms")].security_group, 0);
    cr_expect_eq(s->subnets.v[scenario_subnet_find(s, "nested-fun/nat")].security_group, INDEX_NONE);
}

Test(load_more, rules_and_tables_of_a_machine) {
    const struct scenario_machine *host = &s->machines.v[scenario_machine_find(s, "hyperv")];
    cr_assert_eq(host->n_routes, 5);
    const struct scenario_static_route *route = &s->static_routes.v[host->first_route];
    cr_expect(route[0].table == 0 && route[4].table == 100);
    cr_expect(is(&route[3].via, "fd00:a::1") && is_prefix(&route[3].prefix, "fd00:a::/64"));
    cr_assert_eq(host->n_rules, 3);
    const struct scenario_rule *rule = &s->rules.v[host->first_rule];
    cr_expect(rule[0].priority == 1000 && rule[0].table == 100 && rule[0].kind == 0 && rule[0].family == FAMILY_IPV4);
    cr_expect(is_prefix(&rule[0].from, "10.0.2.0/24") && ip_is_none(&rule[0].to.addr));
    cr_expect_eq(rule[0].nic, (uint32_t)(nic("hyperv", "switch") - s->nics.v));
    cr_expect(rule[1].kind == 3 && rule[1].family == FAMILY_IPV6 && rule[1].nic == INDEX_NONE);
    cr_expect(rule[2].kind == 0 && rule[2].table == 0 && rule[2].family == FAMILY_NONE);
    cr_expect_eq(s->machines.v[scenario_machine_find(s, "guest1")].n_rules, 0);
}

Test(load_more, security_rules_by_priority) {
    static const char *const order[] = {"web", "out", "no-ssh", "gre"};
    cr_assert_eq(s->security_groups.n, 1);
    cr_assert_eq(s->security_groups.v[0].n_rules, 4);
    const struct scenario_security_rule *r = &s->security_rules.v[s->security_groups.v[0].first_rule];
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(r[i].name, order[i], "%zu: %s", i, r[i].name);
    cr_expect(r[0].inbound && r[0].allow && r[0].proto == 6 && r[0].priority == 200);
    cr_assert_eq(r[0].from.n, 2);
    cr_expect(r[0].from.v[0].kind == ENDPOINT_NETWORK && r[0].from.v[1].kind == ENDPOINT_PREFIX);
    cr_expect(is_prefix(&r[0].from.v[1].prefix, "10.0.2.0/24"));
    cr_assert(r[0].to.n == 1 && r[0].to.v[0].kind == ENDPOINT_PREFIX);
    cr_expect(r[0].from_ports.first == 0 && r[0].from_ports.last == 65535);
    cr_expect(r[0].to_ports.first == 80 && r[0].to_ports.last == 90);
    cr_expect(!r[1].inbound && r[1].proto == 1 && r[1].from.v[0].kind == ENDPOINT_ANY);
    cr_expect(r[2].inbound && !r[2].allow && r[2].from.v[0].kind == ENDPOINT_INTERNET && r[2].to.n == 1);
    cr_expect(r[2].to_ports.first == 22 && r[2].to_ports.last == 22 && r[2].to.v[0].kind == ENDPOINT_ANY);
    cr_expect(r[3].proto == 47 && r[3].to.v[0].kind == ENDPOINT_PLATFORM && !r[3].inbound);
}

/* Forced, the first of two owners of an address has it; and nothing is missing that the others rely on. */
Test(load_more, forced_scenarios_are_whole) {
    struct complaints c = {0};
    const char *text = VARIANT "networks: { n2: { space: [10.0.0.0/16], subnets: { a: { prefix: 10.0.3.0/24 }, b: { "
                               "prefix: 10.0.3.0/25 } } } }\n"
                               "machines: { pc: { nics: { eth0: { subnet: n2/a, address: 10.0.3.4/24 } } },\n"
                               "            six: { nics: { eth0: { subnet: n2/a, address6: \"fd00::9/64\" } } } }\n";
    struct scenario *f = scenario_load_text_forced(NESTED "variant.yaml", text, strlen(text), &c);
    cr_assert_not_null(f);
    cr_expect(f->forced && c.errors == c.faults);
    cr_expect_eq(c.faults, 4);
    struct ip addr;
    ip_parse("10.0.3.4", &addr);
    cr_expect_str_eq(f->machines.v[f->nics.v[scenario_nic_of_address(f, &addr)].machine].name, "azure-vm");
    const struct scenario_nic *last = &f->nics.v[f->nics.n - 1];
    cr_expect(!last->default_route6 && !last->default_route &&
              ip_is_none(&last->gateway6)); /* the subnet has no IPv6 */
    for (size_t i = 0; i < f->nics.n; i++)
        cr_expect_lt(f->nics.v[i].on_index, f->nics.v[i].on == NIC_ON_SUBNET   ? f->subnets.n
                                            : f->nics.v[i].on == NIC_ON_SWITCH ? f->switches.n
                                                                               : f->sites.n);
    scenario_destroy(f);
    complaints_fini(&c);
}

Test(load_more, fault_names_are_distinct) {
    for (int i = 0; i < FAULT_COUNT; i++)
        for (int k = 0; k < i; k++)
            cr_expect_str_neq(fault_name((enum fault)i), fault_name((enum fault)k));
    cr_expect_str_eq(fault_name(FAULT_DUPLICATE_ADDRESS), "duplicate-address");
}
