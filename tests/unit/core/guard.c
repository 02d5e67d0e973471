/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses go no further, by which reason; and what is delivered but never forwarded. */
#include "frame.h"

struct judged {
    const char *src, *dst;
    uint8_t verdict, reason;
};

static void judge(struct node *n, const struct judged *c, uint16_t in_port, bool broadcast_frame) {
    struct frame f = frame_make(c->src, c->dst, PROTO_UDP, 8);
    if (broadcast_frame)
        memset(f.byte, 0xff, 6);
    struct packet *p = packet_make(&f, 0, in_port);
    forward(n, &p, 1, 0);
    cr_assert(p->verdict == c->verdict && p->reason == c->reason, "%s to %s: verdict %u, %s", c->src, c->dst,
              p->verdict, drop_name(p->reason));
    packet_free(p);
}

static void judge_all(const struct judged *cases, unsigned n_cases, bool broadcast_frame) {
    struct node n = node_make();
    for (unsigned i = 0; i < n_cases; i++)
        judge(&n, &cases[i], 0, broadcast_frame);
    node_fini(&n);
}
#define JUDGE(broadcast_frame, ...)                                                                                    \
    judge_all((const struct judged[]){__VA_ARGS__}, sizeof((struct judged[]){__VA_ARGS__}) / sizeof(struct judged),    \
              broadcast_frame)

Test(guard, martians) {
    JUDGE(false, {"0.0.0.0", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"0.1.2.3", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"0.1.2.3", "255.255.255.255", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"127.0.0.1", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"127.0.0.1", "10.0.0.1", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"224.0.0.5", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"240.0.0.1", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"255.255.255.255", "10.0.1.2", VERDICT_DROP, DROP_MARTIAN_SOURCE},
          {"10.0.0.2", "0.0.0.0", VERDICT_DROP, DROP_MARTIAN_DESTINATION},
          {"10.0.0.2", "127.0.0.1", VERDICT_DROP, DROP_MARTIAN_DESTINATION},
          {"10.0.0.2", "240.0.0.1", VERDICT_DROP, DROP_MARTIAN_DESTINATION},
          {"10.0.0.2", "255.255.255.254", VERDICT_DROP, DROP_MARTIAN_DESTINATION},
          {"10.0.0.2", "224.0.0.1", VERDICT_DROP, DROP_MULTICAST},
          {"0.0.0.0", "239.255.255.255", VERDICT_DROP, DROP_MULTICAST},
          {"10.0.0.1", "10.0.1.2", VERDICT_DROP, DROP_OWN_SOURCE},
          {"10.0.1.1", "10.0.0.1", VERDICT_DROP, DROP_OWN_SOURCE},
          {"1.0.0.0", "223.255.255.255", VERDICT_FORWARD, DROP_NONE},
          {"126.255.255.255", "128.0.0.0", VERDICT_FORWARD, DROP_NONE});
}

Test(guard, broadcasts_are_delivered_never_forwarded) {
    JUDGE(false, {"0.0.0.0", "255.255.255.255", VERDICT_DELIVER, DROP_NONE},
          {"10.0.0.2", "255.255.255.255", VERDICT_DELIVER, DROP_NONE},
          {"10.0.0.2", "10.0.0.255", VERDICT_DELIVER, DROP_NONE},
          {"10.0.0.2", "10.0.1.255", VERDICT_DROP, DROP_BROADCAST});
    JUDGE(true, {"10.0.0.2", "10.0.1.2", VERDICT_DROP, DROP_BROADCAST},
          {"10.0.0.2", "10.0.0.1", VERDICT_DELIVER, DROP_NONE},
          {"0.0.0.0", "255.255.255.255", VERDICT_DELIVER, DROP_NONE},
          {"10.0.0.2", "224.0.0.251", VERDICT_DROP, DROP_MULTICAST});
}

Test(guard, link_local_is_delivered_never_forwarded) {
    JUDGE(false, {"169.254.1.1", "10.0.1.2", VERDICT_DROP, DROP_LINK_LOCAL},
          {"10.0.0.2", "169.254.1.1", VERDICT_DROP, DROP_LINK_LOCAL},
          {"169.254.1.1", "169.254.2.2", VERDICT_DROP, DROP_LINK_LOCAL},
          {"169.254.1.1", "169.254.169.254", VERDICT_DELIVER, DROP_NONE},
          {"10.0.0.2", "169.254.169.254", VERDICT_DELIVER, DROP_NONE},
          {"169.254.1.1", "10.0.0.1", VERDICT_DELIVER, DROP_NONE},
          {"169.253.255.255", "10.0.1.2", VERDICT_FORWARD, DROP_NONE},
          {"169.255.0.0", "10.0.1.2", VERDICT_FORWARD, DROP_NONE});
}

Test(guard, reverse_path) {
    struct node n = node_make();
    const struct judged from_port_1 = {"10.0.1.2", "10.0.0.2", VERDICT_FORWARD, DROP_NONE},
                        spoofed = {"10.0.1.2", "10.0.1.3", VERDICT_DROP, DROP_RPF},
                        spoofed_passes = {"10.0.1.2", "10.0.1.3", VERDICT_FORWARD, DROP_NONE},
                        blackholed = {"10.9.1.1", "10.0.1.3", VERDICT_DROP, DROP_RPF},
                        dhcp = {"0.0.0.0", "255.255.255.255", VERDICT_DELIVER, DROP_NONE};
    judge(&n, &spoofed_passes, 0, false);
    cr_assert_eq(n.n_stages, 5u, "no stage for a check that nobody wants");
    n.ports[0].rpf = RPF_STRICT;
    node_prepare(&n);
    cr_assert_eq(n.n_stages, 5u);
    judge(&n, &spoofed, 0, false);
    judge(&n, &from_port_1, 1, false);
    judge(&n, &dhcp, 0, false);
    n.ports[0].rpf = RPF_LOOSE;
    judge(&n, &spoofed_passes, 0, false);
    judge(&n, &blackholed, 0, false);
    struct route by_default = route_make("0.0.0.0/0", "10.0.1.254", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_remove(n.routes, &by_default), 0);
    judge(&n, &(struct judged){"192.0.2.1", "10.0.1.3", VERDICT_DROP, DROP_RPF}, 0, false);
    node_fini(&n);
}

Test(guard, reverse_path_over_any_of_equal_routes) {
    struct node n = node_make();
    n.ports[0].rpf = n.ports[1].rpf = RPF_STRICT;
    node_prepare(&n);
    node_route(&n, "198.51.100.0/24", "10.0.0.9", 0, ROUTE_UNICAST);
    node_route(&n, "198.51.100.0/24", "10.0.1.9", 1, ROUTE_UNICAST);
    const struct judged c = {"198.51.100.1", "10.0.1.3", VERDICT_FORWARD, DROP_NONE};
    judge(&n, &c, 0, false);
    judge(&n, &c, 1, false);
    node_fini(&n);
}

/* ---- RFC 3704 and RFC 8704 by their clauses ---- */

/* From port 0 to a host behind port 1: does the source pass? */
static bool passes(struct node *n, unsigned mode, uint16_t in_port, const char *src) {
    struct frame f = frame_make(src, in_port ? "10.0.0.77" : "10.0.1.77", PROTO_UDP, 8);
    struct packet *p = packet_make(&f, 0, in_port);
    n->ports[in_port].rpf = (uint8_t)mode;
    node_prepare(n);
    forward(n, &p, 1, 0);
    cr_assert(p->verdict == VERDICT_FORWARD || p->reason == DROP_RPF, "%s: %s", src, drop_name(p->reason));
    bool passed = p->verdict == VERDICT_FORWARD;
    packet_free(p);
    return passed;
}

/* 198.51.100.0/24 is best reached by port 1, but also by port 0; its upper half by port 1 alone. */
static struct node multihomed(void) {
    struct node n = node_make();
    struct route other_way = route_make("198.51.100.0/24", "10.0.0.9", 0, 20, ROUTE_UNICAST);
    node_route(&n, "198.51.100.0/24", "10.0.1.9", 1, ROUTE_UNICAST);
    node_route(&n, "198.51.100.128/25", "10.0.1.9", 1, ROUTE_UNICAST);
    cr_assert_eq(route_add(n.routes, &other_way), 0);
    return n;
}

Test(guard, rfc3704_2_2_strict) {
    struct node n = multihomed();
    cr_assert(passes(&n, RPF_STRICT, 0, "10.0.0.9"));
    cr_assert(passes(&n, RPF_STRICT, 1, "198.51.100.7"));
    cr_assert_not(passes(&n, RPF_STRICT, 0, "198.51.100.7"), "asymmetric routing is refused");
    cr_assert(passes(&n, RPF_STRICT, 1, "203.0.113.1"), "by the default route");
    cr_assert_not(passes(&n, RPF_STRICT, 0, "203.0.113.1"));
    cr_assert_not(passes(&n, RPF_STRICT, 0, "10.9.1.1"), "blackhole");
    node_fini(&n);
}

Test(guard, rfc3704_2_3_feasible) {
    struct node n = multihomed();
    cr_assert(passes(&n, RPF_FEASIBLE, 1, "198.51.100.7"));
    cr_assert(passes(&n, RPF_FEASIBLE, 0, "198.51.100.7"), "by the route that another one hides");
    cr_assert(passes(&n, RPF_FEASIBLE, 0, "198.51.100.200"), "by the less specific one");
    cr_assert_not(passes(&n, RPF_FEASIBLE, 0, "203.0.113.1"));
    cr_assert_not(passes(&n, RPF_FEASIBLE, 0, "10.0.1.2"));
    cr_assert_not(passes(&n, RPF_FEASIBLE, 0, "10.9.1.1"), "what is blackholed is no source either");
    node_fini(&n);
}

Test(guard, rfc3704_2_4_loose) {
    struct node n = multihomed();
    cr_assert(passes(&n, RPF_LOOSE, 0, "198.51.100.7"));
    cr_assert(passes(&n, RPF_LOOSE, 0, "203.0.113.1"), "a default route takes everything");
    cr_assert_not(passes(&n, RPF_LOOSE, 0, "10.9.1.1"));
    struct route by_default = route_make("0.0.0.0/0", "10.0.1.254", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_remove(n.routes, &by_default), 0);
    cr_assert_not(passes(&n, RPF_LOOSE, 0, "203.0.113.1"));
    node_fini(&n);
}

Test(guard, rfc8704_default_routes_make_nothing_feasible) {
    struct node n = multihomed();
    struct route second_default = route_make("0.0.0.0/0", "10.0.0.254", 0, 20, ROUTE_UNICAST);
    cr_assert_eq(route_add(n.routes, &second_default), 0);
    cr_assert_not(passes(&n, RPF_FEASIBLE, 0, "203.0.113.1"), "the other default route is the best one");
    cr_assert_not(passes(&n, RPF_FEASIBLE, 0, "10.0.1.2"));
    cr_assert(passes(&n, RPF_FEASIBLE, 1, "203.0.113.1"), "what strict takes, feasible takes too");
    node_fini(&n);
}

/* What 10.0.1.77 sends is looked up in table 1, other packets in the main one. */
Test(guard, reverse_path_through_rules) {
    struct node n = node_make();
    n.rules = route_rules_create(n.routes);
    struct route_table *t = route_table_create(&route_trie, 10);
    cr_assert_eq(route_rules_table_add(n.rules, t), 1);
    struct route by_port_0 = route_make("203.0.113.0/24", "10.0.0.9", 0, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &by_port_0), 0);
    struct route_rule rule = {.priority = 1, .in_port = PORT_NONE, .table = 1};
    cr_assert_eq(prefix_parse("10.0.1.77/32", &rule.from), 0);
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    cr_assert(passes(&n, RPF_STRICT, 0, "203.0.113.1"), "an answer from 10.0.1.77 leaves by port 0");
    cr_assert_not(passes(&n, RPF_STRICT, 0, "198.51.100.1"));
    cr_assert(passes(&n, RPF_FEASIBLE, 0, "203.0.113.1"));
    cr_assert(passes(&n, RPF_STRICT, 1, "203.0.113.1"), "an answer from 10.0.0.77 leaves by port 1");
    cr_assert_eq(route_rules_remove(n.rules, &rule), 0);
    cr_assert_not(passes(&n, RPF_STRICT, 0, "203.0.113.1"));
    cr_assert(passes(&n, RPF_FEASIBLE, 0, "203.0.113.1"), "a route of any table");
    rule.from.addr.family = FAMILY_NONE;
    rule.in_port = 1;
    cr_assert_eq(route_rules_add(n.rules, &rule), 0);
    cr_assert(passes(&n, RPF_STRICT, 0, "203.0.113.1"), "an answer would come in by port 1");
    cr_assert(passes(&n, RPF_STRICT, 1, "198.51.100.1"), "and this one by port 0");
    node_fini(&n);
}
