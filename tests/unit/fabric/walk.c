/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends of walks: loops, sites that stand for their hosts, nobody there, who owns an address, state between walks. */
#include "world.h"

static const char pair[] =
    "fwdlab: 1\nname: pair\nswitches: {a: {}, b: {}}\nmachines:\n"
    "  r1: {router: true, nics: {a: {switch: a, address: 10.1.0.1/24}, b: {switch: b, address: 10.2.0.1/24}}, "
    "routes: {out: {prefix: 10.9.0.0/16, via: 10.2.0.2, nic: b}}}\n"
    "  r2: {router: true, nics: {b: {switch: b, address: 10.2.0.2/24}}, "
    "routes: {back: {prefix: 10.9.0.0/16, via: 10.2.0.1, nic: b}, home: {prefix: 10.1.0.0/24, via: 10.2.0.1, nic: "
    "b}}}\n"
    "  pc: {nics: {eth0: {switch: a, address: 10.1.0.9/24, gateway: 10.1.0.1}}}\nnode: r1\n";

Test(walk, loop) {
    struct world w = world_text(pair);
    struct walk there;
    struct flow_key k = flow(PROTO_UDP, "10.1.0.9", 1, "10.9.0.1", 2);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, DROP_LOOP);
    cr_expect_leq(there.n, (unsigned)WALK_HOPS_MAX);
    world_end(&w);
}

Test(walk, nobody_there) {
    struct world w = world_text(pair);
    struct walk there;
    struct flow_key k = flow(PROTO_UDP, "10.1.0.9", 1, "10.2.0.77", 2);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    expect_path(&w, &there, "pc r1[b] !no-neighbour");
    k = flow(PROTO_UDP, "10.1.0.9", 1, "10.8.0.1", 2);
    j = judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "pc r1 !no-route");
    world_end(&w);
}

Test(walk, hosts_on_one_switch) {
    struct world w = world_text(pair);
    struct walk there, back;
    struct flow_key k = flow(PROTO_ICMP, "10.1.0.9", 7, "10.2.0.2", 8);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    expect_path(&w, &there, "pc r1[b] r2");
    expect_path(&w, &back, "r2[b] r1[a] pc");
    cr_expect_eq(ntohs(walk_end(&there)->key.dport), ICMP_ECHO);
    cr_expect_eq(ntohs(walk_end(&back)->key.dport), ICMP_ECHO_REPLY);
    world_end(&w);
}

Test(walk, a_site_stands_for_its_hosts) {
    struct world w = world_nested("routed", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "172.16.3.77", 1, "10.0.2.3", 2);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect_str_eq(w.control->nodes[there.hops[0].node].name, "on-premises");
    cr_expect_str_eq(w.control->nodes[walk_end(&back)->node].name, "on-premises");
    k = flow(PROTO_TCP, "10.0.2.3", 1, "8.8.8.8", 2); /* nobody in the scenario has it: the Internet does */
    j = judge(&w, &k, &there, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect_str_eq(w.control->nodes[walk_end(&there)->node].name, "internet");
    world_end(&w);
}

Test(walk, unmodelled) {
    struct world w = world_nested("routed", "");
    struct flow_key k[] = {
        flow(PROTO_UDP, "10.9.9.9", 1, "10.0.3.4", 2),         /* nobody's source */
        flow(PROTO_UDP, "0.0.0.0", 68, "255.255.255.255", 67), /* DHCP */
        flow(PROTO_UDP, "10.0.2.2", 1, "255.255.255.255", 2),
        flow(PROTO_UDP, "10.0.2.2", 5353, "224.0.0.251", 5353),
        flow(PROTO_ICMP, "10.0.2.2", 0, "10.0.3.4", ICMP_UNREACHABLE), /* an error has no answer */
    };
    struct walk there, back;
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        struct judgement j = judge(&w, &k[i], &there, &back);
        expect_verdict(&j, MODEL_UNMODELLED);
        cr_expect(!there.n && !back.n && j.cause_node == INDEX_NONE, "row %zu", i);
    }
    struct flow_key six = {.family = FAMILY_IPV6, .proto = PROTO_TCP};
    struct judgement j = judge(&w, &six, NULL, NULL);
    expect_verdict(&j, MODEL_UNMODELLED);
    world_end(&w);
}

Test(walk, owners) {
    static const struct {
        const char *address, *node;
    } row[] = {{"10.0.2.2", "guest1"},         {"10.0.1.4", "hyperv"},  {"10.0.2.1", "hyperv"},
               {"10.0.0.1", "nested-fun/nat"}, {"8.8.8.8", "internet"}, {"172.16.3.9", "on-premises"},
               {"203.0.113.10", "web-server"}};
    static const char *const nobody[] = {"10.0.3.77", "192.168.1.1", "127.0.0.1", "169.254.1.1", "0.0.0.0"};
    struct world w = world_nested("routed", "");
    struct ip a;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        cr_assert_eq(ip_parse(row[i].address, &a), 0);
        uint32_t n = fabric_owner(w.fabric, &a);
        cr_assert_neq(n, INDEX_NONE, "%s", row[i].address);
        cr_expect_str_eq(w.control->nodes[n].name, row[i].node);
    }
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        cr_assert_eq(ip_parse(nobody[i], &a), 0);
        cr_expect_eq(fabric_owner(w.fabric, &a), INDEX_NONE, "%s", nobody[i]);
    }
    world_end(&w);
}

Test(walk, declared_is_the_longest) {
    struct world w = world_nested("routed", "");
    struct ip a;
    char text[PREFIX_TEXT];
    ip_parse("10.0.3.4", &a);
    struct ip_prefix p = fabric_declared(w.fabric, &a);
    cr_expect_str_eq(prefix_format(&p, text), "10.0.3.0/24");
    ip_parse("172.16.1.1", &a);
    p = fabric_declared(w.fabric, &a);
    cr_expect_str_eq(prefix_format(&p, text), "172.16.0.0/22");
    ip_parse("8.8.8.8", &a);
    p = fabric_declared(w.fabric, &a);
    cr_expect(ip_is_none(&p.addr));
    world_end(&w);
}

/* fabric_walk keeps NAT state until fabric_forget: only then an answer is nobody's. */
Test(walk, sessions_last_until_forgotten) {
    struct world w = world_nested("routed", "");
    struct walk there, back;
    struct flow_key k = flow(PROTO_UDP, "10.0.2.2", 40000, "8.8.8.8", 53);
    uint32_t guest = control_node_find(w.control, "guest1"), internet = control_node_find(w.control, "internet");
    fabric_walk(w.fabric, guest, PORT_NONE, &k, &there);
    struct flow_key answer = flow(PROTO_UDP, "8.8.8.8", 53, "10.0.0.4", ntohs(walk_end(&there)->key.sport));
    fabric_walk(w.fabric, internet, PORT_NONE, &answer, &back);
    cr_expect_eq(walk_end(&back)->node, guest);
    fabric_forget(w.fabric);
    fabric_walk(w.fabric, internet, PORT_NONE, &answer, &back);
    cr_expect_neq(walk_end(&back)->node, guest);
    world_end(&w);
}
