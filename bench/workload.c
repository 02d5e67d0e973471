/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/prefixes.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define L4 34
#define NEIGHBOURS 64
#define NAT_ADDRESSES 16
#define FLOWS_PER_HOST 8
#define OUTSIDE_NET 0xcb007100u /* 203.0.113.0 */
#define SEED 20221
#define EARLY_MAX 10000 /* TSC cycles: what a burst takes to gather */

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "bench: %s\n", what);
    exit(2);
}

/* ---- routes ---- */

void workload_prefixes(struct ip_prefix *out, uint32_t n, struct random *r) {
    const struct ip_prefix own = {ip_v4(htonl(OUTSIDE_NET)), 24};
    if (prefixes_make(out, n, &own, 1, r))
        fail("no room for so many prefixes");
}

be32 workload_address_in(const struct ip_prefix *p, struct random *r) {
    return p->addr.v4 | ((be32)random_u64(r) & ~ipv4_mask(p->len));
}

static void add_route(struct node *node, struct ip_prefix prefix, uint32_t via, uint16_t port, enum route_kind kind) {
    struct route r = {
        .prefix = prefix, .port = port, .kind = (uint8_t)kind, .via = via ? ip_v4(htonl(via)) : (struct ip){0}};
    if (route_add(node->routes, &r))
        fail("a route is refused");
}

static void make_node(struct workload *w, const struct ip_prefix *prefixes) {
    struct node *node = &w->node;
    node->n_ports = 2;
    node->router = true;
    node->ports = xzalloc(2, sizeof *node->ports);
    node->ports[PORT_INSIDE] = (struct port){.mac = {{2, 0, 0, 0, 0, 1}},
                                             .neighbour = {{2, 0, 0, 0, 1, 1}},
                                             .has_mac = true,
                                             .addr = htonl(0x0a000001),
                                             .len = 8};
    node->ports[PORT_OUTSIDE] = (struct port){.mac = {{2, 0, 0, 0, 0, 2}},
                                              .neighbour = {{2, 0, 0, 0, 1, 2}},
                                              .has_mac = true,
                                              .addr = htonl(OUTSIDE_NET + 1),
                                              .len = 24};
    node->routes = route_table_create(w->o.backend, w->o.routes + 4);
    if (!node->routes)
        fail("no memory for the routes");
    for (unsigned i = 0; i < 2; i++) {
        struct ip addr = ip_v4(node->ports[i].addr);
        add_route(node, prefix_of(&addr, 32), 0, PORT_NONE, ROUTE_LOCAL);
        add_route(node, prefix_of(&addr, node->ports[i].len), 0, (uint16_t)i, ROUTE_UNICAST);
    }
    for (uint32_t i = 0; i < w->o.routes; i++)
        add_route(node, prefixes[i], OUTSIDE_NET + 100 + i % NEIGHBOURS, PORT_OUTSIDE, ROUTE_UNICAST);
    if (w->o.nat) {
        be32 addresses[NAT_ADDRESSES];
        for (unsigned i = 0; i < NAT_ADDRESSES; i++)
            addresses[i] = htonl(OUTSIDE_NET + 1 + i);
        const struct nat_config c = {.outside_port = PORT_OUTSIDE,
                                     .n_addresses = NAT_ADDRESSES,
                                     .addresses = addresses,
                                     .max_sessions = w->o.flows};
        if (!(node->nat = nat_create(&c)))
            fail("no memory for NAT");
    }
    node_prepare(node);
}

/* ---- frames ---- */

static void write_frame(uint8_t *f, const struct port *port, uint8_t proto, uint8_t flags, const struct nat_tuple *t) {
    struct ipv4_header ip = {.version_ihl = 0x45,
                             .total_length = htons(FRAME_LEN - 14),
                             .ttl = 64,
                             .proto = proto,
                             .fragment = htons(IPV4_DF),
                             .src = t->src,
                             .dst = t->dst};
    memset(f, 0, FRAME_ROOM);
    memcpy(f, &port->mac, 6);
    memcpy(f + 6, &port->neighbour, 6);
    f[12] = 8;
    ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
    memcpy(f + 14, &ip, sizeof ip);
    memcpy(f + L4, &t->sport, 2);
    memcpy(f + L4 + 2, &t->dport, 2);
    if (proto == PROTO_UDP)
        f[L4 + 5] = FRAME_LEN - L4;
    else
        f[L4 + 12] = 0x50, f[L4 + 13] = flags;
    be16 sum = checksum_l4_ipv4(ip.src, ip.dst, proto, f + L4, FRAME_LEN - L4);
    memcpy(f + L4 + (proto == PROTO_UDP ? 6 : 16), &sum, 2);
}

static uint8_t flow_proto(uint32_t flow) {
    return flow & 1 ? PROTO_TCP : PROTO_UDP;
}

static struct nat_tuple frame_tuple(const uint8_t *f) {
    struct nat_tuple t;
    memcpy(&t.src, f + 26, 8);
    memcpy(&t.sport, f + L4, 4);
    return t;
}

static struct nat_tuple inverse(struct nat_tuple t) {
    return (struct nat_tuple){t.dst, t.src, t.dport, t.sport};
}

static void make_flows(struct workload *w, const struct ip_prefix *prefixes, struct random *r) {
    w->frames = xalloc((size_t)w->o.flows * sizeof *w->frames);
    for (uint32_t i = 0; i < w->o.flows; i++) {
        const uint32_t host = 0x0a000100 + i / FLOWS_PER_HOST;
        struct nat_tuple t = {.src = htonl(host),
                              .dport = htons(443),
                              .sport = htons((uint16_t)(1024 + i % FLOWS_PER_HOST * 8000 + random_below(r, 8000)))};
        t.dst = workload_address_in(&prefixes[random_below(r, w->o.routes)], r);
        write_frame(w->frames[i][0], &w->node.ports[PORT_INSIDE], flow_proto(i), TCP_ACK, &t);
        struct nat_tuple back = inverse(t);
        write_frame(w->frames[i][1], &w->node.ports[PORT_OUTSIDE], flow_proto(i), TCP_ACK, &back);
    }
}

/* One packet of each flow; `flags` are those of its TCP header. */
static void pass_all(struct workload *w, bool answer, uint8_t flags, uint64_t *cycles) {
    static struct burst b;
    const struct frame_about about = {.len = FRAME_LEN, .in_port = answer ? PORT_OUTSIDE : PORT_INSIDE};
    burst_init(&b);
    for (uint32_t i = 0; i < w->o.flows; i += WORKLOAD_BURST) {
        unsigned n = w->o.flows - i < WORKLOAD_BURST ? w->o.flows - i : WORKLOAD_BURST;
        for (unsigned k = 0; k < n; k++) {
            uint8_t frame[FRAME_ROOM];
            struct nat_tuple t = frame_tuple(w->frames[i + k][answer]);
            write_frame(frame, &w->node.ports[answer], flow_proto(i + k), flags, &t);
            packet_set(&b, k, frame, &about, 0);
        }
        uint64_t from = clock_tsc();
        forward(&w->node, b.pkts, n, w->now);
        *cycles += clock_tsc() - from;
        for (unsigned k = 0; k < n; k++)
            if (b.packets[k].verdict != VERDICT_FORWARD)
                fail(drop_sentence(b.packets[k].reason));
    }
}

void workload_begin_flows(struct workload *w, uint64_t *cycles) {
    if (w->node.nat)
        nat_reset(w->node.nat);
    pass_all(w, false, TCP_SYN, cycles);
}

void workload_repeat_flows(struct workload *w, uint64_t *cycles) {
    pass_all(w, false, TCP_ACK, cycles);
}

/* Answers go where the NAT now has their flows. */
static void address_answers(struct workload *w) {
    for (uint32_t i = 0; i < w->o.flows; i++) {
        struct nat_tuple t = frame_tuple(w->frames[i][0]);
        struct nat_session s;
        if (!nat_session_get(w->node.nat, nat_find(w->node.nat, flow_proto(i), &t), &s))
            fail("a flow has no session");
        write_frame(w->frames[i][1], &w->node.ports[PORT_OUTSIDE], flow_proto(i), TCP_ACK, &s.reply);
    }
}

/* ---- the trace ---- */

static void make_trace(struct workload *w, struct random *r) {
    double *upto = w->o.zipf ? xalloc(w->o.flows * sizeof *upto) : NULL, sum = 0;
    for (uint32_t i = 0; upto && i < w->o.flows; i++)
        upto[i] = sum += 1.0 / (i + 1);
    w->sequence = xalloc(w->o.packets * sizeof *w->sequence);
    w->trace = aligned_alloc(64, ((size_t)w->o.packets + WORKLOAD_BURST) * sizeof *w->trace);
    if (!w->trace)
        fail("no memory for the trace");
    w->about = xalloc(w->o.packets * sizeof *w->about);
    for (uint32_t i = 0; i < w->o.packets; i++) {
        uint32_t low = random_below(r, w->o.flows);
        if (upto) { /* the first flow whose cumulated share reaches x */
            double x = random_unit(r) * sum;
            uint32_t high = w->o.flows - 1;
            for (low = 0; low < high;) {
                uint32_t mid = (low + high) / 2;
                if (upto[mid] < x)
                    low = mid + 1;
                else
                    high = mid;
            }
        }
        const uint16_t answer = (uint16_t)random_below(r, 2);
        w->sequence[i] = low << 1 | answer;
        memcpy(w->trace[i], w->frames[low][answer], FRAME_ROOM);
        w->about[i] = (struct frame_about){
            .len = FRAME_LEN, .in_port = answer ? PORT_OUTSIDE : PORT_INSIDE, .early = random_below(r, EARLY_MAX)};
    }
    vec_release(upto);
}

void workload_init(struct workload *w, const struct workload_options *o) {
    struct random r;
    uint64_t unused = 0;
    random_seed(&r, SEED);
    *w = (struct workload){.o = *o, .now = 1000000000};
    struct ip_prefix *prefixes = xalloc(o->routes * sizeof *prefixes);
    workload_prefixes(prefixes, o->routes, &r);
    make_node(w, prefixes);
    make_flows(w, prefixes, &r);
    free(prefixes);
    workload_begin_flows(w, &unused);
    if (o->nat)
        address_answers(w);
    pass_all(w, true, TCP_SYN | TCP_ACK, &unused);
    workload_repeat_flows(w, &unused);
    make_trace(w, &r);
}

void workload_fini(struct workload *w) {
    node_fini(&w->node);
    free(w->frames);
    free(w->sequence);
    free(w->trace);
    free(w->about);
}
