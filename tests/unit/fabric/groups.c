/* SPDX-License-Identifier: BSD-3-Clause */
/* Security groups on the way: who denies, flows that may be answered, and answers that come by where no flow is known.
 */
#include "world.h"

#define GROUP(rules) "security_groups: {g: {rules: {" rules "}}}\n"
#define AT_VM "machines: {azure-vm: {nics: {eth0: {security_group: g}}}}\n"

static void expect_denied(struct world *w, const struct flow_key *k, enum drop reason, const char *nic,
                          const char *way) {
    struct walk there;
    struct judgement j = judge(w, k, &there, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    cr_expect_eq(j.reason, reason, "%s", drop_name((enum drop)j.reason));
    cr_expect(!j.told && !j.works);
    cr_assert_neq(j.cause_nic, INDEX_NONE);
    cr_expect_str_eq(w->scenario->nics.v[j.cause_nic].name, nic);
    expect_path(w, &there, way);
}

Test(groups, denied_at_the_machine) {
    struct world w = world_nested(
        "routed", GROUP("in: {priority: 100, direction: in, access: deny, proto: tcp, to_ports: \"80\"},"
                        "out: {priority: 100, direction: out, access: deny, proto: udp, to: 10.0.2.0/24}") AT_VM);
    struct flow_key web = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.4", 80),
                    ssh = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.4", 22),
                    out = flow(PROTO_UDP, "10.0.3.4", 1, "10.0.2.2", 2),
                    in = flow(PROTO_UDP, "10.0.2.2", 1, "10.0.3.4", 2);
    expect_denied(&w, &web, DROP_DENIED_IN, "eth0",
                  "guest1 hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms azure-vm !denied-in");
    expect_denied(&w, &out, DROP_DENIED_OUT, "eth0", "azure-vm !denied-out");
    struct judgement j = judge(&w, &ssh, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    j = judge(&w, &in, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC); /* what was let in may be answered */
    world_end(&w);
}

/* Each judgement starts without flows: an earlier one in the other direction lets nothing through. */
Test(groups, judgements_know_nothing_of_each_other) {
    struct world w = world_nested("routed", GROUP("in: {priority: 100, direction: in, access: deny}") AT_VM);
    struct flow_key out = flow(PROTO_UDP, "10.0.3.4", 7, "10.0.2.2", 8),
                    in = flow(PROTO_UDP, "10.0.2.2", 8, "10.0.3.4", 7);
    for (int i = 0; i < 2; i++) {
        struct judgement j = judge(&w, &out, NULL, NULL);
        expect_verdict(&j, MODEL_SYMMETRIC);
        j = judge(&w, &in, NULL, NULL);
        expect_verdict(&j, MODEL_DROPPED);
    }
    world_end(&w);
}

/* The default rules: the network's own traffic, no one else's in, everybody's out. */
Test(groups, default_rules) {
    struct world w =
        world_nested("routed", "networks: {nested-fun: {subnets: {nat: {security_group: g}}}}\n" GROUP(""));
    static const struct {
        const char *src, *dst;
        enum model_verdict verdict;
    } row[] = {{"10.0.3.4", "10.0.0.10", MODEL_SYMMETRIC},
               {"172.16.0.10", "10.0.0.10", MODEL_SYMMETRIC},
               {"203.0.113.10", "10.0.0.10", MODEL_DROPPED},
               {"203.0.113.10", "10.0.0.4", MODEL_DROPPED}, /* the port map too */
               {"10.0.0.10", "203.0.113.10", MODEL_SYMMETRIC},
               {"10.0.2.2", "203.0.113.10", MODEL_SYMMETRIC}}; /* after NAT, and the answer before it */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct flow_key k = flow(PROTO_TCP, row[i].src, 40000, row[i].dst, 8080);
        struct judgement j = judge(&w, &k, NULL, NULL);
        cr_expect_eq(j.verdict, row[i].verdict, "%s to %s: %s", row[i].src, row[i].dst, model_verdict_name(j.verdict));
    }
    world_end(&w);
}

/* In by NIC1, out by NIC2, whose group knows nothing of the flow: the route is to blame, not the group. */
Test(groups, an_answer_out_of_another_nic) {
    struct world w = world_nested(
        "without-route-1",
        GROUP("nat: {priority: 100, direction: out, access: deny, to: 10.0.0.0/24}") "machines: {hyperv: {nics: {NIC1: "
                                                                                     "{security_group: g}, NIC2: "
                                                                                     "{security_group: g}}}}\n");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BREAKS);
    cr_expect(j.reason == DROP_DENIED_OUT && j.lost_on_return && !j.works);
    expect_path(&w, &back, "hyperv[NIC2] !denied-out");
    expect_cause(&w, &j, "hyperv", "Route 2");
    cr_expect_str_eq(w.scenario->nics.v[j.cause_nic].name, "NIC2");
    struct change c[16];
    cr_assert_gt(fabric_mends(w.fabric, &j, c, 16), 0u);
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

/* The same when the answer arrives by another NIC than the one that let the flow out. */
Test(groups, an_answer_in_by_another_nic) {
    struct world w = world_nested(
        "routed",
        GROUP("all: {priority: 100, direction: in, access: deny}") "machines: {hyperv: {nics: {NIC1: {security_group: "
                                                                   "g}, NIC2: {security_group: g}}}}\n");
    struct walk there, back;
    struct flow_key k = flow(PROTO_TCP, "10.0.0.4", 40000, "10.0.3.4", 22);
    struct judgement j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_ASYM_BREAKS);
    expect_path(&w, &there, "hyperv[NIC2] nested-fun/hyper-v-lan nested-fun/azure-vms azure-vm");
    expect_path(&w, &back, "azure-vm nested-fun/azure-vms nested-fun/nat hyperv !denied-in");
    cr_expect_str_eq(w.scenario->nics.v[j.cause_nic].name, "NIC1");
    k = flow(PROTO_TCP, "10.0.1.4", 40000, "10.0.3.4", 22);
    j = judge(&w, &k, &there, &back);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}
