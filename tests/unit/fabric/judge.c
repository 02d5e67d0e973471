/* SPDX-License-Identifier: BSD-3-Clause */
/* Equal routes: the verdict over all choices, and how large the share of the bad ones is. */
#include "world.h"

/* A guest behind a router with `n` NICs in as many subnets; those in `astray` may not forward. All have the same route.
 */
static struct world fan(unsigned n, unsigned astray) {
    char text[6000], *at = text, *end = text + sizeof text;
    at += snprintf(
        at, (size_t)(end - at),
        "fwdlab: 1\nname: fan\nnode: r\nswitches: {guests: {}}\nnetworks: {net: {space: [10.0.0.0/16], subnets: {"
        "far: {prefix: 10.0.100.0/24, route_table: t}, guests: {prefix: 10.0.200.0/24, floating: true}");
    for (unsigned i = 0; i < n; i++)
        at += snprintf(at, (size_t)(end - at), ", s%u: {prefix: 10.0.%u.0/24}", i, i);
    at += snprintf(at, (size_t)(end - at),
                   "}}}\nroute_tables: {t: {guests: {prefix: 10.0.200.0/24, next_hop: 10.0.0.4}}}\nmachines:\n"
                   "  r:\n    router: true\n    nics:\n      sw: {switch: guests, address: 10.0.200.1/24}\n");
    for (unsigned i = 0; i < n; i++)
        at += snprintf(at, (size_t)(end - at),
                       "      n%u: {subnet: net/s%u, address: 10.0.%u.4/24, gateway: none, ip_forwarding: %s}\n", i, i,
                       i, astray >> i & 1 ? "false" : "true");
    at += snprintf(at, (size_t)(end - at), "    routes:\n");
    for (unsigned i = 0; i < n; i++)
        at += snprintf(at, (size_t)(end - at),
                       "      e%u: {prefix: 10.0.100.0/24, via: 10.0.%u.1, nic: n%u, metric: 5}\n", i, i, i);
    snprintf(at, (size_t)(end - at),
             "  g: {nics: {e: {switch: guests, address: 10.0.200.9/24, gateway: 10.0.200.1}}}\n"
             "  vm: {nics: {e: {subnet: net/far, address: 10.0.100.4/24}}}\n");
    return world_text(text);
}

Test(judge, share_of_equal_routes_that_lead_astray) {
    for (unsigned n = 2; n <= 4; n++)
        for (unsigned bad = 1; bad < n; bad++) {
            struct world w = fan(n, ((1u << bad) - 1) << 1); /* the first, by which answers come, is sound */
            struct walk there;
            struct flow_key k = flow(PROTO_TCP, "10.0.200.9", 1, "10.0.100.4", 2);
            struct judgement j = judge(&w, &k, &there, NULL);
            expect_verdict(&j, MODEL_ASYM_POSSIBLE);
            cr_expect_float_eq(j.probability, (double)bad / n, 1e-9, "%u of %u: %f", bad, n, j.probability);
            cr_expect_eq(walk_end(&there)->reason, DROP_FORWARDING_OFF, "the walk shown is one that breaks");
            world_end(&w);
        }
}

Test(judge, equal_routes_that_bend_only) {
    struct world w = fan(2, 0);
    struct flow_key k = flow(PROTO_TCP, "10.0.200.9", 1, "10.0.100.4", 2);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_ASYM_BENIGN); /* out by n1 half of the time, answers always by n0 */
    cr_expect_float_eq(j.probability, 0.5, 1e-9);
    world_end(&w);
}

Test(judge, all_choices_break) {
    struct world w = fan(3, 7);
    struct flow_key k = flow(PROTO_TCP, "10.0.200.9", 1, "10.0.100.4", 2);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_float_eq(j.probability, 1, 1e-9);
    world_end(&w);
}

/* Two routers that hand a packet to each other by sixteen equal routes: 16^8 combinations are not all walked. */
Test(judge, a_loop_of_equal_routes_ends, .timeout = 20) {
    char text[12000], *at = text, *end = text + sizeof text;
    at += snprintf(at, (size_t)(end - at), "fwdlab: 1\nname: ring\nnode: r1\nswitches: {s: {}}\nmachines:\n");
    for (unsigned m = 1; m <= 2; m++) {
        at += snprintf(at, (size_t)(end - at),
                       "  r%u:\n    router: true\n    nics: {n: {switch: s, address: 10.0.0.%u/24}}\n    routes:\n", m,
                       m);
        for (unsigned i = 0; i < 15; i++) /* all but one lead to nobody */
            at += snprintf(at, (size_t)(end - at), "      e%u: {prefix: 10.9.0.0/16, via: 10.0.0.%u, nic: n}\n", i,
                           i ? 100 + i : 3 - m);
    }
    snprintf(at, (size_t)(end - at), "  pc: {nics: {e: {switch: s, address: 10.0.0.9/24, gateway: 10.0.0.1}}}\n");
    struct world w = world_text(text);
    struct flow_key k = flow(PROTO_TCP, "10.0.0.9", 1, "10.9.0.1", 2);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_float_eq(j.probability, 1, 1e-6);
    world_end(&w);
}

Test(judge, reverse_path_filter) {
    struct world w = world_nested("without-route-1", "machines: {hyperv: {nics: {NIC1: {rp_filter: 1}}}}");
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_RPF_DROP);
    cr_expect(j.reason == DROP_RPF && !j.works);
    cr_expect_str_eq(w.control->nodes[j.cause_node].name, "hyperv");
    world_end(&w);
}

/* An answer that a policy rule sends astray: its table is to blame, and that is where the mend goes. */
Test(judge, policy_routing) {
    struct world w = world_text(
        "fwdlab: 1\nname: policy\nnode: r\nswitches: {a: {}, b: {}, c: {}, d: {}}\nmachines:\n"
        "  pc: {nics: {e: {switch: a, address: 10.1.0.9/24, gateway: 10.1.0.1}}}\n"
        "  r:\n    router: true\n    nics: {a: {switch: a, address: 10.1.0.1/24}, b: {switch: b, address: 10.2.0.1/24},"
        " c: {switch: c, address: 10.4.0.1/24}}\n"
        "    routes: {main: {prefix: 10.3.0.0/24, via: 10.2.0.2, nic: b},\n"
        "      other: {prefix: 10.3.0.0/24, via: 10.4.0.2, nic: c, table: 100}}\n"
        "    rules: {from-a: {priority: 10, from: 10.1.0.0/24, nic: a, table: 100}}\n"
        "  r2:\n    router: true\n    nics: {b: {switch: b, address: 10.2.0.2/24}, c: {switch: c, address: "
        "10.4.0.2/24}, d: {switch: d, address: 10.3.0.1/24}}\n"
        "    routes: {back: {prefix: 10.1.0.0/24, via: 10.2.0.1, nic: b}}\n"
        "  server: {nics: {e: {switch: d, address: 10.3.0.9/24, gateway: 10.3.0.1}}}\n");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.3.0.9", 1, "10.1.0.9", 2);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BENIGN);
    expect_path(&w, &back, "pc r[c] r2[d] server");
    expect_cause(&w, &j, "r", "other");
    cr_expect_eq(j.cause_table, 1u);
    cr_expect_str_eq(hop_route(w.control, &back.hops[1])->name, "other");
    struct change c[16];
    unsigned n = fabric_mends(w.fabric, &j, c, 16), mended = 0;
    cr_assert_gt(n, 0u);
    for (unsigned i = 0; i < n; i++) {
        cr_expect_eq(c[i].table, 1u);
        if (fabric_apply(w.fabric, &c[i]) == 0)
            mended += judge(&w, &k, NULL, NULL).verdict == MODEL_SYMMETRIC;
        fabric_revert(w.fabric);
    }
    cr_expect_eq(mended, 3u, "%u", mended); /* not the added prefix: it has an equal, and ECMP a choice */
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_ASYM_BENIGN);
    world_end(&w);
}

Test(judge, names) {
    static const char *const name[] = {"symmetric",       "asym_benign", "asym_possible", "asym_breaks",
                                       "no_return_route", "rpf_drop",    "dropped",       "unmodelled"};
    for (int v = 0; v < MODEL_COUNT; v++)
        cr_expect_str_eq(model_verdict_name(v), name[v]);
}
