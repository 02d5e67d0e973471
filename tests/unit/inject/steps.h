/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic of the lab's captures, its steps checked one by one, and passed through the node. */
#ifndef TESTS_INJECT_STEPS_H
#define TESTS_INJECT_STEPS_H

#include "capture.h"
#include <fwdlab/base/prefixes.h>
#include <fwdlab/base/random.h>
#include <fwdlab/inject/traffic.h>

static const char *const lab[] = {"routed", "nat-only", "connected", "dual-stack", "small-mtu", "without-route-1"};
#define LABS (sizeof lab / sizeof *lab)

static inline struct bench lab_bench(const char *name) {
    char path[400];
    struct err e = {0};
    snprintf(path, sizeof path, NESTED "%s.pcapng.zst", name);
    struct trace_memory *m = trace_preload(path, 0, &e);
    cr_assert_not_null(m, "%s", e.what);
    struct bench b = bench_over(name, m, &e);
    cr_assert_not_null(b.in, "%s", e.what);
    return b;
}

/* The node anew, with these routes too, by the next hop of its default route. */
static inline struct route_table *routes_add(struct bench *b, const struct ip_prefix *prefixes, uint32_t n) {
    struct err e = {0};
    control_destroy(b->control);
    b->control = control_build(b->scenario, &(struct control_options){.fast_node = b->node, .more_routes = n}, &e);
    cr_assert_not_null(b->control, "%s", e.what);
    struct route_table *table = b->control->nodes[b->node].node.routes;
    struct route r = {.port = PORT_NONE};
    size_t have;
    const struct route *routes = route_table_routes(table, &have);
    for (size_t i = 0; i < have; i++)
        if (!routes[i].prefix.len)
            r = routes[i];
    cr_assert_neq(r.port, PORT_NONE);
    for (uint32_t i = 0; i < n; i++) {
        r.prefix = prefixes[i];
        cr_assert_eq(route_add(table, &r), 0);
    }
    return table;
}

/* As routes_add, n made-up ones. */
static inline struct route_table *routes_make(struct bench *b, uint32_t n, uint64_t seed) {
    size_t have, n_avoid = 0;
    const struct route *routes = route_table_routes(b->control->nodes[b->node].node.routes, &have);
    struct ip_prefix *avoid = xalloc((have + 1) * sizeof *avoid), *made = xalloc((n + 1) * sizeof *made);
    struct random r;
    for (size_t i = 0; i < have; i++)
        if (routes[i].prefix.len)
            avoid[n_avoid++] = routes[i].prefix;
    random_seed(&r, seed);
    cr_assert_eq(prefixes_make(made, n, avoid, n_avoid, &r), 0);
    struct route_table *table = routes_add(b, made, n);
    free(avoid);
    free(made);
    return table;
}

static inline struct traffic *traffic_of(const struct bench *b, const struct traffic_options *o) {
    struct err e = {0};
    struct traffic *t = traffic_create(b->in, o, &e);
    cr_assert_not_null(t, "%s", e.what);
    return t;
}

/* The packet as the core parses it from a buffer of exactly its size. */
static inline struct packet step_packet(const struct traffic *t, const struct traffic_step *s, uint8_t *buffer) {
    const struct traffic_packet *p = &t->packets[s->packet];
    struct packet k = {.data = buffer, .len = p->len, .wire_len = p->wire_len, .flags = p->flags,
                       .in_port = p->in_port, .out_port = PORT_NONE, .tag = s->slot};
    return k;
}

/* One's complement sum over a whole packet's L4, pseudo header included, computed byte by byte; 0xffff: right. */
static inline uint32_t sum_bytes(const uint8_t *at, size_t n, uint32_t sum) {
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static inline bool ip_sum_right(const struct packet *p) {
    return p->family == FAMILY_IPV6 || sum_bytes(p->data + p->l3, (p->data[p->l3] & 15) * 4u, 0) == 0xffff;
}
/* True also where there is no checksum to be judged. */
static inline bool l4_sum_right(const struct packet *p) {
    const uint8_t *l3 = p->data + p->l3, *l4 = p->data + p->l4;
    bool v4 = p->family == FAMILY_IPV4;
    uint32_t end = p->l3 + (v4 ? l3[2] * 256u + l3[3] : 40 + l3[4] * 256u + l3[5]), n = end - p->l4;
    if (p->len < end || p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER) ||
        !(p->proto == PROTO_TCP || p->proto == PROTO_UDP || proto_is_icmp(p->proto)) ||
        (p->proto == PROTO_UDP && !l4[6] && !l4[7]))
        return true;
    uint32_t pseudo = p->proto == PROTO_ICMP ? 0 : p->proto + n;
    if (p->proto != PROTO_ICMP)
        pseudo = sum_bytes(v4 ? l3 + 12 : l3 + 8, v4 ? 8 : 32, pseudo);
    return sum_bytes(l4, n, pseudo) == 0xffff;
}

struct outcome {
    uint64_t delivered, forwarded, drops[DROP_COUNT], unmatched, answers;
    uint64_t answers_forwarded;
};
struct passage {
    struct node *node;
    const struct traffic *t;
    struct traffic_slot *slots;
    struct traffic_step steps[BURST_MAX];
    uint8_t bytes[BURST_MAX][2048];
    struct packet packets[BURST_MAX], *pkts[BURST_MAX];
    unsigned n;
    uint64_t now;
};

static inline void passage_flush(struct passage *w, struct outcome *o) {
    forward(w->node, w->pkts, w->n, w->now);
    for (unsigned i = 0; i < w->n; i++) {
        const struct packet *p = w->pkts[i];
        bool answer = w->t->packets[w->steps[i].packet].answer;
        if (p->verdict == VERDICT_FORWARD)
            traffic_learn(&w->slots[w->steps[i].slot], p);
        o->forwarded += p->verdict == VERDICT_FORWARD;
        o->delivered += p->verdict == VERDICT_DELIVER;
        o->answers_forwarded += answer && p->verdict == VERDICT_FORWARD && p->flags & PACKET_REPLY;
        if (p->verdict == VERDICT_DROP)
            o->drops[p->reason]++;
    }
    w->n = 0;
}

static inline void passage_add(struct passage *w, const struct traffic_step *s, unsigned burst, struct outcome *o) {
    const struct traffic_packet *p = &w->t->packets[s->packet];
    uint64_t now = s->trace_ns / INJECT_TICK_NS * INJECT_TICK_NS;
    if (w->n && (w->n == burst || s->opens || now > w->now))
        passage_flush(w, o);
    w->now = now > w->now ? now : w->now;
    w->steps[w->n] = *s;
    traffic_write(w->t, s, w->bytes[w->n]);
    o->answers += p->answer;
    if (p->answer)
        o->unmatched += !traffic_fit(&w->slots[s->slot], p, w->bytes[w->n]);
    w->packets[w->n] = step_packet(w->t, s, w->bytes[w->n]);
    w->packets[w->n].room = (uint16_t)(2048 - p->len);
    w->pkts[w->n] = &w->packets[w->n];
    w->n++;
}

#endif
