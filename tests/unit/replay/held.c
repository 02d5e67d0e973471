/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments that come before their first one, through laps and trials: each has one verdict in the end. */
#include "traffic.h"
#include <criterion/criterion.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/replay.h>
#include <fwdlab/replay/trial.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACKETS 4000
#define APART 40 /* packets from one datagram to the next */

static void start(void) {
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 256}, &e), 0, "%s", e.what);
}

/* Makes packet i a fragment at `offset` bytes of a guest's datagram to the Internet; the last one has 26 bytes. */
static void make_fragment(struct inject *in, uint32_t i, uint16_t id, unsigned offset, bool last) {
    struct inject_packet *p = &in->packets[i];
    uint8_t *frame = (uint8_t *)p->raw->data;
    struct ipv4_header *ip = (struct ipv4_header *)(frame + 14);
    memset(frame, 0, p->raw->len);
    memcpy(frame, (const uint8_t[14]){2, 0, 0, 0, 0, PORT_INSIDE, 2, 0, 0, 0, 1, 1, 8, 0}, 14);
    *ip = (struct ipv4_header){.version_ihl = 0x45, .total_length = htons(last ? 46 : 44), .id = htons(id), .ttl = 64,
                               .proto = PROTO_UDP, .src = htonl(0x0a000202), .dst = htonl(0xc6336401),
                               .fragment = htons((uint16_t)(offset / 8 | (last ? 0 : IPV4_MF)))};
    ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
    if (!offset)
        memcpy(frame + 34, (be16[]){htons(2100), htons(53), htons(8 + 66)}, 6);
    p->kind = INJECT_ARRIVED;
    p->port = PORT_INSIDE;
    p->l3 = 14;
    p->l4 = 34;
    p->answer = p->after = INJECT_NONE;
    p->flags = offset ? PACKET_FRAG_LATER : PACKET_FRAG_FIRST | PACKET_PORTS;
    p->key = (struct flow_key){.family = FAMILY_IPV4, .proto = PROTO_UDP, .sport = offset ? 0 : htons(2100),
                               .dport = offset ? 0 : htons(53)};
    memcpy(p->key.src, &ip->src, 4);
    memcpy(p->key.dst, &ip->dst, 4);
}

/* The trace of traffic.h, with datagrams in it whose fragments come backwards; every third has no first one. */
static struct inject *trace(unsigned *datagrams, unsigned *orphans) {
    struct inject *in = traffic_trace(PACKETS, 3);
    *datagrams = *orphans = 0;
    for (uint32_t i = 60; i + 10 < in->n; i += APART) {
        const uint16_t id = (uint16_t)(500 + i);
        make_fragment(in, i, id, 48, true);
        make_fragment(in, i + 3, id, 24, false);
        if (++*datagrams % 3)
            make_fragment(in, i + 7, id, 0, false);
        else
            *orphans += 2;
    }
    in->arrived = 0;
    for (uint32_t i = 0; i < in->n; i++)
        in->arrived += in->packets[i].kind == INJECT_ARRIVED;
    return in;
}

/* Each packet by itself, and after it what it has set free. */
static struct inject_verdict *one_by_one(struct node *node, const struct inject *in) {
    struct inject_verdict *v = xzalloc(in->arrived, sizeof *v);
    uint64_t n = 0;
    for (uint32_t i = 0; i < in->n; i++) {
        uint8_t data[128];
        struct packet p, *one = &p;
        if (in->packets[i].kind != INJECT_ARRIVED)
            continue;
        inject_fill(in, i, &p, data, sizeof data);
        inject_fit(in, i, &p, node->nat);
        p.tag = n++;
        forward(node, &one, 1, inject_clock(in, i));
        inject_settle(node, &p, in->packets[i].raw->frame, inject_clock(in, i), &v[p.tag]);
        while (inject_pass_due(node, &p, data, sizeof data, inject_clock(in, i)))
            inject_settle(node, &p, v[p.tag].frame, inject_clock(in, i), &v[p.tag]);
    }
    return v;
}

Test(held, laps) {
    start();
    unsigned datagrams, orphans;
    struct inject *in = trace(&datagrams, &orphans);
    struct node *node = traffic_node(NULL, true, 0);
    struct inject_verdict *want = one_by_one(node, in);
    for (unsigned k = 0; k < 3; k++) {
        const unsigned burst = (unsigned[]){1, 7, BURST_MAX}[k];
        struct replay_configuration c = {.name = "a", .node = traffic_node(NULL, true, 0), .cost = in, .own = in};
        struct replay_result out;
        struct err e = {0};
        uint64_t dropped = 0, held = 0;
        cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 2, .burst = burst}, &out, &e), 0, "%s", e.what);
        for (size_t i = 0; i < c.n_verdicts; i++) {
            const struct inject_verdict *v = &c.verdicts[i];
            held += v->verdict == VERDICT_HELD;
            cr_assert(v->frame == want[i].frame && v->verdict == want[i].verdict && v->reason == want[i].reason &&
                          v->in_port == want[i].in_port && memcmp(&v->key, &want[i].key, sizeof v->key) == 0,
                      "burst %u, frame %lu: verdict %u, not %u", burst, v->frame, v->verdict, want[i].verdict);
        }
        for (unsigned i = 0; i < DROP_COUNT; i++)
            dropped += c.drops[i];
        cr_expect_eq(c.held, held);
        cr_expect_eq(c.held, orphans);
        cr_expect_eq(c.forwarded + c.delivered + dropped + c.held, in->arrived);
        traffic_node_free(c.node);
        replay_configuration_fini(&c);
    }
    free(want);
    traffic_node_free(node);
    traffic_trace_free(in);
}

/* Over rings: what was held is handed on when it is due, and nothing is lost from the books. */
Test(held, trials) {
    start();
    unsigned datagrams, orphans;
    struct err e = {0};
    struct inject *in = trace(&datagrams, &orphans);
    struct traffic *t = traffic_create(in, &(struct traffic_options){0}, &e);
    struct topology topology = {0};
    struct trial_device d = {.node = traffic_node(NULL, true, 0)};
    struct trial_options o = {.core_cpu = sysconf(_SC_NPROCESSORS_ONLN) > 1};
    cr_assert(t, "%s", e.what);
    d.slots = xzalloc(t->n_slots, sizeof *d.slots);
    cr_assert_eq(topology_rings(&topology, 1, 4096, &e), 0, "%s", e.what);
    cr_assert_eq(pace_parse("50kpps", &o.pace, &e), 0, "%s", e.what);
    cr_assert_eq(trial_prepare(&d, t, &e), 0, "%s", e.what);
    for (int again = 0; again < 2; again++) { /* what the lap or the trial before left behind is no matter */
        struct trial_result r;
        uint64_t drops = 0;
        cr_assert_eq(trial_run(&d, &topology, t, &o, NULL, &r, &e), 0, "%s", e.what);
        for (unsigned i = 0; i < DROP_COUNT; i++)
            drops += r.drops[i];
        cr_expect_eq(r.sent, t->n);
        cr_expect_eq(r.held, orphans);
        cr_expect_eq(r.drops[DROP_NAT_FRAGMENT], 0);
        cr_expect_eq(r.forwarded + r.delivered + drops + r.held, r.sent);
        cr_expect_eq(r.received + drops + r.held, r.sent);
        trial_result_fini(&r);
    }
    topology_fini(&topology);
    traffic_node_free(d.node);
    traffic_destroy(t);
    traffic_trace_free(in);
    free(d.slots);
}
