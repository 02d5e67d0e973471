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
    cr_assert_eq(n.n_stages, 4u, "no stage for a check that nobody wants");
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
