/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes: candidates in their order, refused without a trace, undone to the last route. */
#include "world.h"
#include <errno.h>

static struct change add(struct world *w, const char *node, const char *prefix, const char *via, uint16_t port) {
    struct change c = {.kind = CHANGE_ADD, .node = control_node_find(w->control, node)};
    cr_assert_eq(prefix_parse(prefix, &c.route.prefix), 0);
    cr_assert_eq(ip_parse(via, &c.route.via), 0);
    c.route.port = port;
    c.route.origin = ORIGIN_STATIC;
    return c;
}

Test(mend, order_of_candidates) {
    struct world w = world_nested("without-route-1", "");
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    struct judgement j = judge(&w, &k, NULL, NULL);
    struct change c[16];
    unsigned n = fabric_mends(w.fabric, &j, c, 16);
    static const uint8_t kind[] = {CHANGE_ADD, CHANGE_REPLACE, CHANGE_REMOVE, CHANGE_ADD};
    cr_assert_eq(n, 4u, "%u", n);
    for (unsigned i = 0; i < n; i++)
        cr_expect_eq(c[i].kind, kind[i], "candidate %u is to %s", i, change_kind_name(c[i].kind));
    cr_expect(c[0].route.prefix.len == 24 && c[3].route.prefix.len == 32, "a host route last");
    cr_expect_str_eq(c[1].old.name, "Route 2");
    cr_expect_str_eq(c[2].route.name, "Route 2");
    cr_expect_eq(fabric_mends(w.fabric, &j, c, 4), 0u, "no room, no candidates");
    world_end(&w);
}

Test(mend, nothing_to_mend) {
    struct world w = world_nested("routed", "");
    struct change c[16];
    struct flow_key good = flow(PROTO_TCP, "10.0.2.2", 1, "10.0.3.4", 2),
                    odd = flow(PROTO_UDP, "10.0.2.2", 1, "224.0.0.1", 2);
    struct judgement j = judge(&w, &good, NULL, NULL);
    cr_expect_eq(fabric_mends(w.fabric, &j, c, 16), 0u);
    j = judge(&w, &odd, NULL, NULL);
    cr_expect_eq(fabric_mends(w.fabric, &j, c, 16), 0u);
    world_end(&w);
}

Test(mend, what_cannot_be_done_changes_nothing) {
    struct world w = world_nested("routed", "");
    const struct route_table *t = w.control->nodes[control_node_find(w.control, "hyperv")].node.routes;
    size_t before, after;
    route_table_routes(t, &before);
    struct change c = add(&w, "hyperv", "10.5.0.0/16", "10.0.0.1", 0);
    c.kind = CHANGE_REMOVE;
    cr_expect_eq(fabric_apply(w.fabric, &c), -ENOENT);
    c.kind = CHANGE_REPLACE; /* the old one goes, the new one is there already: the old one must come back */
    c.old = route_table_routes(t, &after)[0];
    c.route = route_table_routes(t, &after)[1];
    cr_expect_eq(fabric_apply(w.fabric, &c), -EEXIST);
    c = add(&w, "hyperv", "10.5.0.0/16", "10.0.0.1", 0);
    cr_expect_eq(fabric_apply(w.fabric, &c), 0);
    fabric_revert(w.fabric);
    fabric_revert(w.fabric); /* nothing is left to undo */
    route_table_routes(t, &after);
    cr_expect_eq(before, after);
    c = (struct change){.kind = 77};
    cr_expect_eq(fabric_apply(w.fabric, &c), -EINVAL);
    world_end(&w);
}

/* A subnet has one route table: a new association takes the old one's routes away, and gives them back. */
Test(mend, an_association_replaces_the_one_before) {
    struct world w = world_nested("routed", "route_tables: {Other: {onward: {prefix: 10.77.0.0/16, next_hop: none}}}");
    uint32_t node = control_node_find(w.control, "nested-fun/azure-vms"), table = 0;
    while (strcmp(w.scenario->route_tables.v[table].name, "Other"))
        table++;
    struct change c = {.kind = CHANGE_ASSOCIATE, .node = node, .table = table};
    struct flow_key k = flow(PROTO_TCP, "10.0.3.4", 1, "10.0.2.2", 2);
    struct judgement j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    cr_assert_eq(fabric_apply(w.fabric, &c), 0);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_DROPPED);
    fabric_revert(w.fabric);
    j = judge(&w, &k, NULL, NULL);
    expect_verdict(&j, MODEL_SYMMETRIC);
    world_end(&w);
}

Test(mend, cache_follows_the_tables) {
    struct world w = world_nested("without-route-1", "");
    struct flow_key k = flow(PROTO_TCP, "10.0.0.10", 40000, "10.0.0.4", 22);
    cr_expect_neq(fabric_judge_cached(w.fabric, &k)->verdict, MODEL_SYMMETRIC);
    struct change c[16];
    struct judgement j = *fabric_judge_cached(w.fabric, &k);
    cr_assert_gt(fabric_mends(w.fabric, &j, c, 16), 0u);
    cr_assert_eq(fabric_apply(w.fabric, &c[0]), 0);
    cr_expect_eq(fabric_judge_cached(w.fabric, &k)->verdict, MODEL_SYMMETRIC);
    fabric_revert(w.fabric);
    cr_expect_eq(fabric_judge_cached(w.fabric, &k)->verdict, j.verdict);
    world_end(&w);
}
