/* SPDX-License-Identifier: BSD-3-Clause */
/* Who hears of a loss: ICMP errors on their own way back, and what path MTU makes of it. */
#include "world.h"

/* pc - r1 - r2 - server, and back by r3 instead of r2 where %s says so. r2 takes 1400 bytes towards the server. */
static struct world chain(const char *r2_back, const char *server_gateway) {
    static const char text[] =
        "fwdlab: 1\nname: chain\nnode: r1\nswitches: {a: {}, b: {}, c: {}}\nmachines:\n"
        "  pc: {nics: {e: {switch: a, address: 10.1.0.9/24, gateway: 10.1.0.1, address6: \"fd00:1::9/64\",\n"
        "    gateway6: \"fd00:1::1\"}}}\n"
        "  r1:\n    router: true\n    nics:\n"
        "      a: {switch: a, address: 10.1.0.1/24, address6: \"fd00:1::1/64\"}\n"
        "      b: {switch: b, address: 10.2.0.1/24, address6: \"fd00:2::1/64\"}\n"
        "    routes: {c: {prefix: 10.3.0.0/16, via: 10.2.0.2, nic: b}, c6: {prefix: \"fd00:3::/32\", via: "
        "\"fd00:2::2\","
        " nic: b},\n      u: {prefix: 10.66.0.0/16, kind: unreachable}, p: {prefix: 10.67.0.0/16, kind: prohibit},\n"
        "      h: {prefix: 10.68.0.0/16, kind: blackhole}}\n"
        "  r2:\n    router: true\n    nics:\n"
        "      b: {switch: b, address: 10.2.0.2/24, address6: \"fd00:2::2/64\"}\n"
        "      c: {switch: c, address: 10.3.0.2/24, address6: \"fd00:3::2/64\", mtu: 1400}\n"
        "    routes: {%s}\n"
        "  r3:\n    router: true\n    nics:\n"
        "      b: {switch: b, address: 10.2.0.3/24, address6: \"fd00:2::3/64\"}\n"
        "      c: {switch: c, address: 10.3.0.3/24, address6: \"fd00:3::3/64\"}\n"
        "    routes: {a: {prefix: 10.1.0.0/24, via: 10.2.0.1, nic: b}, a6: {prefix: \"fd00:1::/64\", via: "
        "\"fd00:2::1\","
        " nic: b}}\n"
        "  server: {nics: {e: {switch: c, address: 10.3.0.9/24, gateway: 10.3.0.%s, address6: \"fd00:3::9/64\",\n"
        "    gateway6: \"fd00:3::%s\"}}}\n";
    char buf[4096];
    snprintf(buf, sizeof buf, text, r2_back, server_gateway, server_gateway);
    return world_text(buf);
}

#define R2_BACK                                                                                                        \
    "a: {prefix: 10.1.0.0/24, via: 10.2.0.1, nic: b}, a6: {prefix: \"fd00:1::/64\", via: \"fd00:2::1\", nic: b}"

static void expect_told(struct world *w, uint8_t proto, const char *dst, enum drop reason, bool told) {
    bool six = strchr(dst, ':') != NULL;
    struct flow_key k = flow(proto, six ? "fd00:1::9" : "10.1.0.9", 40000, dst, 80);
    struct judgement j = judge(w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, reason, "%s: %s", dst, drop_name((enum drop)j.reason));
    cr_expect_eq(j.told, told, "%s", dst);
}

Test(told, by_the_first_router) {
    struct world w = chain(R2_BACK, "2");
    expect_told(&w, PROTO_UDP, "10.8.0.1", DROP_NO_ROUTE, true);
    expect_told(&w, PROTO_TCP, "fd00:8::1", DROP_NO_ROUTE, true);
    expect_told(&w, PROTO_UDP, "10.66.0.1", DROP_UNREACHABLE, true);
    expect_told(&w, PROTO_UDP, "10.67.0.1", DROP_PROHIBITED, true);
    expect_told(&w, PROTO_UDP, "10.68.0.1", DROP_BLACKHOLE, false); /* which is what it is for */
    expect_told(&w, PROTO_UDP, "10.2.0.77", DROP_NO_NEIGHBOUR, true);
    expect_told(&w, PROTO_UDP, "fd00:2::77", DROP_NO_NEIGHBOUR, true);
    expect_told(&w, PROTO_UDP, "10.1.0.77", DROP_NO_NEIGHBOUR, true); /* by the sender's own host */
    world_end(&w);
}

/* The error must find its way back too. */
Test(told, by_a_router_further_on) {
    struct world w = chain(R2_BACK, "2");
    expect_told(&w, PROTO_UDP, "10.3.7.1", DROP_NO_ROUTE, true);
    expect_told(&w, PROTO_UDP, "fd00:3:7::1", DROP_NO_ROUTE, true);
    world_end(&w);
    static const char *const ways[] = {
        "a: {prefix: 10.1.0.0/24, kind: blackhole}", /* none is made, as it could not leave */
        "a: {prefix: 10.1.0.0/24, via: 10.2.0.77, nic: b}, a6: {prefix: \"fd00:1::/64\", via: \"fd00:2::77\", nic: b}"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        w = chain(ways[i], "2");
        expect_told(&w, PROTO_UDP, "10.3.7.1", DROP_NO_ROUTE, false);
        expect_told(&w, PROTO_UDP, "fd00:3:7::1", DROP_NO_ROUTE, false);
        world_end(&w);
    }
}

Test(told, not_by_the_platform) {
    struct world w = world_nested("routed", "");
    struct flow_key nobody = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.99", 2);
    struct judgement j = judge(&w, &nobody, NULL, NULL);
    cr_expect(j.reason == DROP_NO_HOST && !j.told);
    world_end(&w);
}

/* A loss beyond NAT: the error is translated back to the guest that sent the packet. */
Test(told, through_nat) {
    struct world w = world_text("fwdlab: 1\nname: behind\nnode: r1\nswitches: {a: {}, b: {}}\nmachines:\n"
                                "  pc: {nics: {e: {switch: a, address: 192.168.1.9/24, gateway: 192.168.1.1}}}\n"
                                "  r1:\n    router: true\n    nics: {a: {switch: a, address: 192.168.1.1/24}, b: "
                                "{switch: b, address: 10.2.0.1/24,"
                                " gateway: 10.2.0.2}}\n    nat: {outside: b, personality: conntrack}\n"
                                "  r2: {router: true, nics: {b: {switch: b, address: 10.2.0.2/24}}}\n");
    struct walk there;
    static const uint8_t protos[] = {PROTO_UDP, PROTO_TCP, PROTO_ICMP};
    for (size_t i = 0; i < sizeof protos; i++) {
        struct flow_key k = flow(protos[i], "192.168.1.9", 40000, "10.9.0.1", protos[i] == PROTO_ICMP ? ICMP_ECHO : 80);
        struct judgement j = judge(&w, &k, &there, NULL);
        expect_path(&w, &there, "pc r1[b] r2 !no-route");
        cr_expect(j.translated && j.told, "protocol %u", protos[i]);
    }
    world_end(&w);
}

/* An on-premises router, which has no address in the scenario, answers for its site. */
Test(told, by_a_site) {
    struct world w =
        world_nested("routed", "route_tables: {Routes-for-nested-VMs: {far: {prefix: 172.17.0.0/16, next_hop: "
                               "gateway}}}\n");
    struct walk there;
    struct flow_key k = flow(PROTO_UDP, "10.0.3.4", 1, "172.17.0.1", 2);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "azure-vm nested-fun/azure-vms nested-fun/GatewaySubnet on-premises !no-route");
    cr_expect(j.told);
    const struct control_node *site = &w.control->nodes[control_node_find(w.control, "on-premises")];
    for (uint16_t i = 0; i < site->node.n_ports; i++)
        cr_expect_eq(site->node.ports[i].addr, 0u);
    world_end(&w);
}

/* ---- path MTU ---- */

static struct judgement judge_chain(struct world *w, bool six, struct walk *there) {
    struct flow_key k =
        six ? flow(PROTO_TCP, "fd00:1::9", 1, "fd00:3::9", 2) : flow(PROTO_TCP, "10.1.0.9", 1, "10.3.0.9", 2);
    return judge(w, &k, there, NULL);
}

Test(told, what_the_path_does_not_take) {
    for (int six = 0; six < 2; six++) {
        struct walk there;
        struct world w = chain(R2_BACK, "2");
        struct judgement j = judge_chain(&w, six, &there);
        expect_verdict(&j, MODEL_SYMMETRIC);
        cr_expect(there.mtu == 1400 && j.mtu == 1400 && j.told, "family %d: %u %u", six, there.mtu, j.mtu);
        world_end(&w);
    }
}

/* Answers take another way, and the router with the small MTU cannot reach the sender: it works until it is used. */
Test(told, path_mtu_black_hole) {
    for (int six = 0; six < 2; six++) {
        struct world w = chain("a: {prefix: 10.1.0.0/24, kind: blackhole}", "3");
        struct judgement j = judge_chain(&w, six, NULL);
        cr_expect(j.works && j.mtu == 1400 && !j.told, "family %d: %u %d", six, j.mtu, j.told);
        world_end(&w);
    }
}

Test(told, the_senders_own_mtu_is_no_news) {
    struct world w =
        world_nested("routed", "machines: {guest1: {nics: {eth0: {mtu: 1300}}}, hyperv: {nics: {NIC2: {mtu: "
                               "1400}}}}");
    struct walk there;
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.4", 2);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(there.mtu == 1300 && j.mtu == 0, "%u %u", there.mtu, j.mtu);
    k = flow(PROTO_TCP, "10.0.2.3", 1, "10.0.3.4", 2);
    j = judge(&w, &k, &there, NULL);
    cr_expect(there.mtu == 1400 && j.mtu == 1400 && j.told);
    world_end(&w);
}

/* The answers' way counts as well: it is the server who sends much. */
Test(told, the_way_back) {
    struct world w = world_nested("routed", "machines: {hyperv: {nics: {NIC2: {mtu: 1400}}}}");
    struct flow_key k = flow(PROTO_TCP, "10.0.3.4", 1, "10.0.2.3", 2);
    struct walk there, back;
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_expect(there.mtu == 0 && back.mtu == 1400 && j.mtu == 1400 && j.told);
    world_end(&w);
}
