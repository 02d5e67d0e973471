/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole node: order, counters, TTL, MACs, delivery, refusals of routes, packets of its own. */
#include "frame.h"
#include <limits.h>
#include <fwdlab/base/random.h>

static struct packet *pass(struct node *n, const struct frame *f, uint16_t flags, uint16_t in_port) {
    struct packet *p = packet_make(f, flags, in_port);
    forward(n, &p, 1, 0);
    return p;
}

static enum drop reason_of(struct node *n, const char *dst, uint8_t ttl) {
    struct frame f = frame_make("10.0.0.2", dst, PROTO_UDP, 8);
    frame_ip(&f)->ttl = ttl;
    frame_seal(&f);
    struct packet *p = pass(n, &f, 0, 0);
    enum drop reason = p->reason;
    cr_assert_eq(p->verdict == VERDICT_DROP, reason != DROP_NONE);
    packet_free(p);
    return reason;
}

Test(forward, next_hops) {
    struct node n = node_make();
    struct frame f = frame_make("10.0.0.2", "192.0.2.1", PROTO_UDP, 8);
    struct packet *p = pass(&n, &f, 0, 0);
    cr_assert(p->verdict == VERDICT_FORWARD && p->out_port == 1 && p->next_hop == addr("10.0.1.254"));
    unsigned table = 9;
    cr_assert(node_path(&n, FAMILY_IPV4, p->path, &table)->route == 7 && table == 0);
    cr_assert(node_path(&n, FAMILY_IPV4, ROUTE_NONE, &table) == NULL && table == UINT_MAX);
    struct ip hop = node_next_hop(&n, p), want = ip_v4(addr("10.0.1.254"));
    cr_assert(ip_equal(&hop, &want));
    packet_free(p);
    f = frame_make("10.0.0.2", "10.0.1.7", PROTO_UDP, 8);
    p = pass(&n, &f, 0, 0);
    cr_assert(p->verdict == VERDICT_FORWARD && p->out_port == 1 && p->next_hop == addr("10.0.1.7"), "on link");
    packet_free(p);
    f = frame_make("10.0.0.2", "10.0.1.1", PROTO_UDP, 8);
    p = pass(&n, &f, 0, 0);
    cr_assert(p->verdict == VERDICT_DELIVER && p->out_port == PORT_NONE && frame_ip(&f)->ttl == packet_ipv4(p)->ttl);
    cr_assert_eq(memcmp(p->data, f.byte, f.len), 0, "what is delivered is not touched");
    packet_free(p);
    node_fini(&n);
}

Test(forward, refusals) {
    struct node n = node_make();
    cr_assert_eq(reason_of(&n, "10.9.1.1", 64), DROP_BLACKHOLE);
    cr_assert_eq(reason_of(&n, "10.9.2.1", 64), DROP_UNREACHABLE);
    cr_assert_eq(reason_of(&n, "10.9.3.1", 64), DROP_PROHIBITED);
    cr_assert_eq(reason_of(&n, "10.9.1.1", 1), DROP_BLACKHOLE, "the route comes before the TTL");
    cr_assert_eq(reason_of(&n, "10.0.1.2", 1), DROP_TTL_EXPIRED);
    cr_assert_eq(reason_of(&n, "10.0.1.2", 0), DROP_TTL_EXPIRED);
    cr_assert_eq(reason_of(&n, "10.0.1.2", 2), DROP_NONE);
    cr_assert_eq(reason_of(&n, "10.0.0.1", 1), DROP_NONE, "delivery needs no TTL");
    struct route by_default = route_make("0.0.0.0/0", "10.0.1.254", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_remove(n.routes, &by_default), 0);
    cr_assert_eq(reason_of(&n, "192.0.2.1", 64), DROP_NO_ROUTE);
    n.router = false;
    cr_assert_eq(reason_of(&n, "192.0.2.1", 64), DROP_NOT_A_ROUTER);
    cr_assert_eq(reason_of(&n, "10.0.1.2", 64), DROP_NOT_A_ROUTER);
    cr_assert_eq(reason_of(&n, "10.0.0.1", 64), DROP_NONE);
    node_fini(&n);
}

Test(forward, ttl_and_checksum_of_every_value) {
    struct node n = node_make();
    for (unsigned i = 0; i < 254 * 256; i++) {
        struct frame f = frame_make("10.0.0.2", "10.0.1.2", (uint8_t)(i & 1 ? PROTO_ESP : 99), 0);
        frame_ip(&f)->ttl = (uint8_t)(2 + i % 254);
        frame_ip(&f)->id = (be16)(i * 40503u);
        frame_seal(&f);
        struct packet *p = pass(&n, &f, 0, 0);
        frame_ip(&f)->ttl--;
        frame_seal(&f);
        cr_assert_eq(memcmp(p->data, f.byte, f.len), 0, "TTL %u, id %#x", frame_ip(&f)->ttl + 1, frame_ip(&f)->id);
        packet_free(p);
    }
    node_fini(&n);
}

Test(forward, macs) {
    struct node n = node_make();
    const struct mac own = {{2, 0, 0, 0, 0, 1}}, out = {{2, 0, 0, 0, 0, 2}}, peer = {{2, 0, 0, 0, 0, 3}};
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 8);
    struct packet *p = pass(&n, &f, 0, 0);
    cr_assert_eq(memcmp(p->data, f.byte, 12), 0, "unknown MACs are left alone");
    packet_free(p);
    n.ports[0].mac = own;
    n.ports[1].mac = out;
    n.ports[1].neighbour = peer;
    n.ports[0].has_mac = n.ports[1].has_mac = true;
    p = pass(&n, &f, 0, 0);
    cr_assert(memcmp(p->data, &peer, 6) == 0 && memcmp(p->data + 6, &out, 6) == 0);
    packet_free(p);
    p = pass(&n, &f, 0, 1);
    cr_assert_eq(p->reason, DROP_NOT_FOR_US, "port 1 has another MAC");
    packet_free(p);
    memset(f.byte, 0xff, 6);
    frame_ip(&f)->dst = addr("10.0.0.1");
    frame_seal(&f);
    p = pass(&n, &f, 0, 1);
    cr_assert_eq(p->verdict, VERDICT_DELIVER, "a broadcast is for everybody");
    packet_free(p);
    struct frame raw = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 8);
    memmove(raw.byte, raw.byte + ETH, raw.len -= ETH);
    p = pass(&n, &raw, PACKET_RAW_IP, 1);
    cr_assert(p->verdict == VERDICT_FORWARD && p->data[8] == 63 && memcmp(p->data + 12, raw.byte + 12, 16) == 0);
    packet_free(p);
    node_fini(&n);
}

Test(forward, bursts_keep_order_and_count) {
    static const char *const dsts[] = {"10.0.1.2", "10.0.0.1", "10.9.1.1", "224.0.0.1", "192.0.2.9", "127.0.0.1"};
    static const enum drop reasons[] = {DROP_NONE, DROP_NONE, DROP_BLACKHOLE, DROP_MULTICAST, DROP_NONE,
                                        DROP_MARTIAN_DESTINATION};
    struct node n = node_make();
    struct random r;
    random_seed(&r, 7);
    uint64_t want_forwarded = 0, want_delivered = 0, want_drops[DROP_COUNT] = {0};
    for (unsigned round = 0; round < 50; round++) {
        struct packet *pkts[BURST_MAX], *given[BURST_MAX];
        unsigned count = random_below(&r, BURST_MAX + 1), kind[BURST_MAX];
        for (unsigned i = 0; i < count; i++) {
            kind[i] = random_below(&r, 6);
            struct frame f = frame_make("10.0.0.2", dsts[kind[i]], PROTO_UDP, 8);
            pkts[i] = given[i] = packet_make(&f, 0, 0);
        }
        forward(&n, pkts, count, round);
        cr_assert_eq(memcmp(pkts, given, count * sizeof *pkts), 0, "the caller's array is as it was");
        for (unsigned i = 0; i < count; i++) {
            enum verdict want = reasons[kind[i]] ? VERDICT_DROP : kind[i] == 1 ? VERDICT_DELIVER : VERDICT_FORWARD;
            cr_assert(pkts[i]->verdict == want && pkts[i]->reason == reasons[kind[i]], "round %u, packet %u", round, i);
            want_forwarded += want == VERDICT_FORWARD;
            want_delivered += want == VERDICT_DELIVER;
            want_drops[reasons[kind[i]]] += want == VERDICT_DROP;
            packet_free(pkts[i]);
        }
    }
    cr_assert(n.forwarded == want_forwarded && n.delivered == want_delivered);
    cr_assert_eq(memcmp(n.drops, want_drops, sizeof want_drops), 0);
    node_fini(&n);
}

Test(forward, stages_keep_order) {
    struct node n = node_make();
    struct packet *pkts[12], *live[12];
    for (unsigned i = 0; i < 12; i++) {
        const char *src = i % 3 == 1 ? "127.0.0.1" : "10.0.0.2", *dst = i % 4 == 2 ? "10.9.1.1" : "10.0.1.2";
        struct frame f = frame_make(src, dst, PROTO_UDP, 8);
        pkts[i] = live[i] = packet_make(&f, 0, 0);
    }
    unsigned left = 12;
    for (unsigned s = 0; s < n.n_stages; s++) {
        left = n.stages[s].run(&n, live, left, 0);
        for (unsigned i = 1; i < left; i++) /* what is left is a part of the burst, in its order */
            for (unsigned k = 0, last = 0; k < 12; k++) {
                if (pkts[k] == live[i - 1])
                    last = k;
                if (pkts[k] == live[i])
                    cr_assert(k > last, "stage %s", n.stages[s].name);
            }
    }
    cr_assert_eq(left, 6u);
    for (unsigned i = 0; i < 12; i++)
        packet_free(pkts[i]);
    node_fini(&n);
}

Test(forward, flows_share_equal_routes_and_fragments_stay_together) {
    struct node n = node_make();
    node_route(&n, "198.51.100.0/24", "10.0.0.9", 0, ROUTE_UNICAST);
    node_route(&n, "198.51.100.0/24", "10.0.1.9", 1, ROUTE_UNICAST);
    unsigned by_port[2] = {0}, fragments_by_port[2] = {0};
    for (unsigned i = 0; i < 200; i++) {
        struct frame f = frame_make("10.0.0.2", "198.51.100.1", PROTO_UDP, 8);
        f.byte[ETH + 21] = (uint8_t)i;
        struct packet *p = pass(&n, &f, 0, 0);
        by_port[p->out_port]++;
        cr_assert_eq(p->next_hop, addr(p->out_port ? "10.0.1.9" : "10.0.0.9"));
        packet_free(p);
        frame_ip(&f)->fragment = htons(i & 1 ? IPV4_MF : 7);
        frame_seal(&f);
        p = pass(&n, &f, 0, 0);
        fragments_by_port[p->out_port]++;
        packet_free(p);
    }
    cr_assert(by_port[0] > 60 && by_port[1] > 60, "%u and %u", by_port[0], by_port[1]);
    cr_assert(fragments_by_port[0] == 0 || fragments_by_port[1] == 0);
    n.hash_fixed = true;
    for (n.hash = 0; n.hash < 4; n.hash++) {
        struct frame f = frame_make("10.0.0.2", "198.51.100.1", PROTO_UDP, 8);
        struct packet *p = pass(&n, &f, 0, 0);
        cr_assert_eq(p->out_port, n.hash % 2);
        packet_free(p);
    }
    node_fini(&n);
}

static struct packet *send_own(struct node *n, const char *src, const char *dst) {
    struct frame f = frame_make(src, dst, PROTO_UDP, 8);
    frame_ip(&f)->ttl = 1;
    frame_seal(&f);
    struct packet *p = packet_make(&f, 0, PORT_NONE);
    forward_own(n, p, 0);
    return p;
}

Test(forward, own_packets) {
    struct node n = node_make();
    n.router = false;
    n.ports[1].neighbour = (struct mac){{2, 0, 0, 0, 0, 3}};
    struct packet *p = send_own(&n, "10.0.0.1", "192.0.2.1");
    cr_assert(p->verdict == VERDICT_FORWARD && p->out_port == 1 && p->next_hop == addr("10.0.1.254"));
    cr_assert(packet_ipv4(p)->ttl == 1 && p->data[5] == 3, "no router of its own packets: the TTL stays");
    packet_free(p);
    p = send_own(&n, "10.0.0.1", "10.0.1.1");
    cr_assert_eq(p->verdict, VERDICT_DELIVER);
    packet_free(p);
    p = send_own(&n, "10.0.0.1", "10.9.2.1");
    cr_assert_eq(p->reason, DROP_UNREACHABLE);
    packet_free(p);
    cr_assert(n.forwarded == 1 && n.delivered == 1 && n.drops[DROP_UNREACHABLE] == 1);
    node_fini(&n);
}
