/* SPDX-License-Identifier: BSD-3-Clause */
/* N9, N10: the address plan. */
#include "helper.h"
#include <fwdlab/scenario/plan.h>

static struct scenario *scenario;
static struct plan plan;

static void make(const char *text) {
    struct complaints c;
    scenario = load_text(text, &c);
    if (!scenario)
        print_complaints(&c);
    cr_assert_not_null(scenario);
    complaints_fini(&c);
    plan_init(&plan, scenario);
}

static void end(void) {
    plan_fini(&plan);
    scenario_destroy(scenario);
}

static const struct plan_subnet *subnet(const char *name) {
    uint32_t i = scenario_subnet_find(scenario, name);
    cr_assert_neq(i, INDEX_NONE, "%s", name);
    return &plan.subnets.v[i];
}

static const char *nic_name(uint32_t nic) {
    return scenario->nics.v[nic].name;
}

Test(plan, n9_the_documented_network) {
    make(VARIANT);
    cr_assert_eq(plan.subnets.n, 5);
    cr_expect_eq(subnet("nested-fun/nat")->usable, 251);
    cr_expect_eq(subnet("nested-fun/nat")->used, 2); /* host, nat-machine */
    cr_expect_eq(subnet("nested-fun/hyper-v-lan")->usable, 251);
    cr_expect_eq(subnet("nested-fun/hyper-v-lan")->used, 1);
    cr_expect_eq(subnet("nested-fun/GatewaySubnet")->usable, 27);
    const struct plan_subnet *ghosted = subnet("nested-fun/ghosted");
    cr_expect(ghosted->usable == 253 && ghosted->used == 2 && ghosted->leased == 253);
    cr_assert(plan.hosts.n == 1 && plan.pairs.n == 1);
    const struct plan_host *host = &plan.hosts.v[0];
    cr_expect_str_eq(nic_name(host->nat_nic), "NIC1");
    cr_expect_str_eq(nic_name(host->lan_nic), "NIC2");
    cr_expect(host->guests_max == 253 && host->guests == 2 && host->leased == 253);
    const struct plan_pair *pair = &plan.pairs.v[0];
    cr_expect(pair->hosts_max == 251 && pair->hosts == 1);
    cr_expect_eq(pair->hosts_more, 249); /* nat has the machine beside the host */
    cr_expect_eq(pair->limit, scenario_subnet_find(scenario, "nested-fun/nat"));
    end();
}

/* The smaller of the two subnets limits, however small or large the other is. */
Test(plan, n9_the_smaller_subnet_limits) {
    static const struct {
        const char *nat, *lan, *limit;
        uint64_t max;
    } cases[] = {
        {"10.8.0.0/22", "10.8.4.0/29", "n/lan", 3},
        {"10.8.0.0/29", "10.8.4.0/22", "n/nat", 3},
        {"10.8.0.0/22", "10.8.4.0/22", "n/nat", 1019},
        {"10.8.0.0/25", "10.8.4.0/24", "n/nat", 123},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "fwdlab: 1\nname: x\nswitches: { s: {} }\nnetworks: { n: { space: [10.8.0.0/16], subnets: {\n"
                 "  nat: { prefix: %s }, lan: { prefix: %s } } } }\n"
                 "machines: { h: { router: true, nics: {\n"
                 "  a: { subnet: n/lan, address: 10.8.4.4/29, gateway: none, connected: false },\n"
                 "  b: { subnet: n/nat, address: 10.8.0.4/29, connected: false },\n"
                 "  c: { switch: s, address: 10.9.0.1/28 } } } }\n",
                 cases[i].nat, cases[i].lan);
        struct complaints c = {0};
        scenario = scenario_load_text_forced("x.yaml", text, strlen(text), &c); /* lengths differ from the subnets' */
        cr_assert_not_null(scenario);
        complaints_fini(&c);
        plan_init(&plan, scenario);
        cr_assert(plan.pairs.n == 1 && plan.hosts.n == 1, "case %zu", i);
        cr_expect_eq(plan.pairs.v[0].hosts_max, cases[i].max, "case %zu: %lu", i,
                     (unsigned long)plan.pairs.v[0].hosts_max);
        cr_expect_eq(plan.pairs.v[0].hosts_more, cases[i].max - 1, "case %zu", i);
        cr_expect_eq(plan.pairs.v[0].limit, scenario_subnet_find(scenario, cases[i].limit), "case %zu", i);
        cr_expect_str_eq(nic_name(plan.hosts.v[0].nat_nic), "b"); /* it has the default route */
        cr_expect(plan.hosts.v[0].guests_max == 13 && plan.hosts.v[0].guests == 0, "case %zu", i);
        end();
    }
}

Test(plan, n10_two_hosts) {
    make(VARIANT
         "networks: { nested-fun: { space: [10.0.0.0/22, 10.0.4.0/24, 10.0.255.0/27],\n"
         "  subnets: { ghosted-2: { prefix: 10.0.4.0/24, floating: true } } } }\n"
         "switches: { switch-2: {} }\n"
         "machines: { hyperv2: { router: true, nics: {\n"
         "    NIC1: { subnet: nested-fun/nat, address: 10.0.0.5/24 },\n"
         "    NIC2: { subnet: nested-fun/hyper-v-lan, address: 10.0.1.5/24, gateway: none, ip_forwarding: true },\n"
         "    switch: { switch: switch-2, address: 10.0.4.1/25 } },\n"
         "    dhcp: [ { nic: switch, range: 10.0.4.2-10.0.4.20 } ] },\n"
         "  guest3: { nics: { eth0: { switch: switch-2, address: 10.0.4.2/25, gateway: 10.0.4.1 } } } }\n");
    cr_assert(plan.hosts.n == 2 && plan.pairs.n == 1);
    cr_expect(plan.pairs.v[0].hosts == 2 && plan.pairs.v[0].hosts_max == 251 && plan.pairs.v[0].hosts_more == 248);
    cr_expect(plan.hosts.v[0].guests == 2 && plan.hosts.v[0].guests_max == 253);
    cr_expect(plan.hosts.v[1].guests == 1 && plan.hosts.v[1].leased == 19);
    cr_expect_eq(plan.hosts.v[1].guests_max, 125); /* its switch is a /25 of the floating /24 */
    cr_expect(subnet("nested-fun/ghosted-2")->usable == 253 && subnet("nested-fun/ghosted-2")->used == 1);
    end();
}

/* Neither a router without a switch, nor one with one side, nor a machine that does not forward, is a host. */
Test(plan, what_is_no_host) {
    make(VARIANT "machines:\n"
                 "  hyperv: { router: false }\n"
                 "  nva: { router: true, nics: { a: { subnet: nested-fun/nat, address: 10.0.0.7/24 },\n"
                 "                               b: { subnet: nested-fun/hyper-v-lan, address: 10.0.1.7/24 } } }\n"
                 "  one: { router: true, nics: { a: { subnet: nested-fun/nat, address: 10.0.0.8/24 },\n"
                 "                               b: { switch: nested-switch, address: 10.0.2.9/24 } } }\n");
    cr_expect(plan.hosts.n == 0 && plan.pairs.n == 0);
    cr_expect_eq(subnet("nested-fun/nat")->used, 4);
    end();
}
