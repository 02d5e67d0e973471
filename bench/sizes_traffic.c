/* SPDX-License-Identifier: BSD-3-Clause */
#include "sizes_traffic.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 5
#define FLOWS_WITHOUT_NAT 1000000
#define SESSIONS_PER_ADDRESS 65536      /* half of them TCP: half of an address's ports are used */
#define NAT_NET 0x0ac00000u             /* 10.192.0.0, and what follows: no flow goes there */
#define FRESH_HOSTS 0x0a800000u         /* 10.128.0.0/10 */
#define IDLE_NS SECOND_NS               /* of new flows */
#define LASTING_NS (3600 * (uint64_t)SECOND_NS)
#define STEADY_NS 50.0                  /* between packets when nothing has to end */
#define L3 14
#define L4 34

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "sizes: %s\n", what);
    exit(2);
}

static be16 load16(const uint8_t *at) {
    be16 v;
    memcpy(&v, at, sizeof v);
    return v;
}

static void swap(uint8_t *a, uint8_t *b, size_t n) {
    uint8_t old[4];
    memcpy(old, a, n);
    memcpy(a, b, n);
    memcpy(b, old, n);
}

/* ---- NAT and its sessions ---- */

static struct nat *make_nat(const struct sizes_spec *s, uint32_t max_sessions) {
    const uint32_t n = s->sessions / SESSIONS_PER_ADDRESS + 1;
    be32 *addresses = xalloc(2 * n * sizeof *addresses); /* as many again for new flows */
    for (uint32_t i = 0; i < 2 * n; i++)
        addresses[i] = htonl(NAT_NET + i);
    const struct nat_config c = {.outside_port = PORT_OUTSIDE,
                                 .n_addresses = 2 * n,
                                 .addresses = addresses,
                                 .max_sessions = max_sessions,
                                 .timers = {.tcp_established = LASTING_NS,
                                            .tcp_transitory = LASTING_NS,
                                            .udp = s->churned ? IDLE_NS : LASTING_NS,
                                            .udp_stream = s->churned ? IDLE_NS : LASTING_NS}};
    struct nat *nat = nat_create(&c);
    free(addresses);
    if (!nat)
        fail("no memory for NAT");
    return nat;
}

static uint32_t room(const struct sizes_spec *s) {
    return s->churned ? 4 * s->sessions : s->sessions; /* sessions that end are freed some ticks later */
}

/* Lasting flows are the workload's odd ones, TCP, when others come and go. */
static uint32_t flow_at(const struct sizes_traffic *t, uint32_t i) {
    return t->spec.churned ? 2 * i + 1 : i;
}

static uint32_t lasting(const struct sizes_traffic *t) {
    return t->spec.churned ? t->w.o.flows / 2 : t->w.o.flows;
}

static void set_tcp_flags(uint8_t *f, uint8_t flags) {
    const uint8_t changed[2] = {f[L4 + 12], flags};
    if (f[L3 + 9] != PROTO_TCP)
        return;
    be16 sum = checksum_update16(load16(f + L4 + 16), load16(f + L4 + 12), load16(changed));
    memcpy(f + L4 + 12, changed, 2);
    memcpy(f + L4 + 16, &sum, 2);
}

/* One packet with other TCP flags than its frame has; `f` gets it as it leaves. */
static void pass_one(struct sizes_traffic *t, uint8_t *f, uint16_t port, uint8_t flags) {
    struct packet p = {.data = f, .len = FRAME_LEN, .wire_len = FRAME_LEN, .in_port = port}, *list = &p;
    set_tcp_flags(f, flags);
    forward(&t->w.node, &list, 1, t->w.now);
    if (p.verdict != VERDICT_FORWARD)
        fail(drop_sentence(p.reason));
}

/* The answer to a packet as it left: addresses and ports change places, which no checksum notices. */
static void make_answer(const struct sizes_traffic *t, const uint8_t *left, uint8_t *out) {
    memcpy(out, left, FRAME_ROOM);
    memcpy(out, &t->w.node.ports[PORT_OUTSIDE].mac, 6);
    memcpy(out + 6, &t->w.node.ports[PORT_OUTSIDE].neighbour, 6);
    swap(out + L3 + 12, out + L3 + 16, 4);
    swap(out + L4, out + L4 + 2, 2);
}

/* SYN, SYN with ACK, ACK of each flow, and what its answers look like. */
static void begin_sessions(struct sizes_traffic *t) {
    for (uint32_t i = 0; i < lasting(t); i++) {
        uint8_t f[FRAME_ROOM], (*flow)[FRAME_ROOM] = t->w.frames[flow_at(t, i)];
        memcpy(f, flow[0], FRAME_ROOM);
        pass_one(t, f, PORT_INSIDE, TCP_SYN);
        set_tcp_flags(f, TCP_ACK);
        make_answer(t, f, flow[1]);
        memcpy(f, flow[1], FRAME_ROOM);
        pass_one(t, f, PORT_OUTSIDE, TCP_SYN | TCP_ACK);
        memcpy(f, flow[0], FRAME_ROOM);
        pass_one(t, f, PORT_INSIDE, TCP_ACK);
    }
}

/* ---- bursts ---- */

static void set16(uint8_t *at, be16 to, uint8_t *sum_at) {
    be16 sum = checksum_update16(load16(sum_at), load16(at), to);
    memcpy(at, &to, sizeof to);
    memcpy(sum_at, &sum, sizeof sum);
}

/* The frame grows to the wanted size. Its TCP or UDP checksum is not brought along: no router looks at it. */
static void grow(uint8_t *f, uint32_t bytes) {
    const uint16_t ip_length = (uint16_t)(bytes - 4 - L3);
    const be16 udp_length = htons((uint16_t)(ip_length - (L4 - L3)));
    set16(f + L3 + 2, htons(ip_length), f + L3 + 10);
    if (f[L3 + 9] == PROTO_UDP)
        memcpy(f + L4 + 4, &udp_length, sizeof udp_length);
}

/* Another source; UDP without a checksum. */
static void renew(struct sizes_traffic *t, uint8_t *f) {
    const uint32_t i = t->fresh++;
    const be32 src = htonl(FRESH_HOSTS | (i >> 3 & 0x3fffff));
    const be16 sport = htons((uint16_t)(1024 + (i & 7) * 8000));
    be32 old;
    memcpy(&old, f + L3 + 12, sizeof old);
    be16 sum = checksum_update32(load16(f + L3 + 10), old, src);
    memcpy(f + L3 + 10, &sum, sizeof sum);
    memcpy(f + L3 + 12, &src, sizeof src);
    memcpy(f + L4, &sport, sizeof sport);
    memset(f + L4 + 6, 0, 2);
}

void sizes_traffic_arrive(struct sizes_traffic *t) {
    for (uint32_t k = 0; k < t->spec.burst; k++) {
        uint8_t *f = t->arrived + (size_t)k * SIZES_STRIDE;
        const bool fresh = t->spec.churn > 0 && random_unit(&t->random) < t->spec.churn;
        const uint32_t i = random_below(&t->random, lasting(t)), answer = fresh ? 0 : random_below(&t->random, 2);
        t->port[k] = answer ? PORT_OUTSIDE : PORT_INSIDE;
        memcpy(f, t->w.frames[fresh ? flow_at(t, i) & ~1u : flow_at(t, i)][answer], FRAME_ROOM);
        if (fresh)
            renew(t, f);
        if (t->spec.bytes > 64)
            grow(f, t->spec.bytes);
    }
    t->clock += t->ns_per_packet * t->spec.burst;
    t->w.now = (uint64_t)t->clock;
}

void sizes_traffic_pass(struct sizes_traffic *t) {
    const uint32_t n = t->spec.burst, len = t->spec.bytes - 4;
    for (uint32_t k = 0; k < n; k++) {
        uint8_t *data = t->buffers + (size_t)k * SIZES_STRIDE;
        struct packet *p = &t->packets[k];
        memcpy(data, t->arrived + (size_t)k * SIZES_STRIDE, len);
        p->data = data;
        p->len = p->wire_len = len;
        p->room = (uint16_t)(SIZES_STRIDE - len);
        p->flags = 0;
        p->in_port = t->port[k];
    }
    forward(&t->w.node, t->pkts, n, t->w.now);
}

void sizes_traffic_check(const struct sizes_traffic *t) {
    for (uint32_t k = 0; k < t->spec.burst; k++)
        if (t->packets[k].verdict != VERDICT_FORWARD)
            fail(t->packets[k].verdict == VERDICT_DROP ? drop_sentence(t->packets[k].reason) : "a packet stayed");
}

/* ---- all of it ---- */

/* Until the new flows that were first have ended. */
static void settle(struct sizes_traffic *t) {
    const double until = t->clock + (t->spec.churn > 0 ? 1.2 * (double)IDLE_NS : 0);
    while (t->clock < until) {
        sizes_traffic_arrive(t);
        sizes_traffic_pass(t);
        sizes_traffic_check(t);
    }
}

void sizes_traffic_init(struct sizes_traffic *t, const struct sizes_spec *spec) {
    const uint32_t flows = spec->sessions ? spec->sessions * (spec->churned ? 2 : 1) : FLOWS_WITHOUT_NAT;
    const struct workload_options o = {
        .backend = &route_direct, .flows = flows, .routes = spec->routes, .packets = WORKLOAD_BURST};
    memset(t, 0, sizeof *t);
    t->spec = *spec;
    workload_init(&t->w, &o);
    random_seed(&t->random, SEED);
    t->arrived = aligned_alloc(64, (size_t)BURST_MAX * SIZES_STRIDE);
    t->buffers = aligned_alloc(64, (size_t)BURST_MAX * SIZES_STRIDE);
    if (!t->arrived || !t->buffers)
        fail("no memory for buffers");
    memset(t->arrived, 0, (size_t)BURST_MAX * SIZES_STRIDE);
    for (unsigned k = 0; k < BURST_MAX; k++)
        t->pkts[k] = &t->packets[k];
    t->clock = (double)t->w.now;
    t->ns_per_packet = spec->churn > 0 ? spec->churn * (double)IDLE_NS / spec->sessions : STEADY_NS;
    if (spec->sessions) {
        t->w.node.nat = make_nat(spec, room(spec));
        node_prepare(&t->w.node);
        begin_sessions(t);
    }
    settle(t);
}

void sizes_traffic_fini(struct sizes_traffic *t) {
    workload_fini(&t->w);
    free(t->arrived);
    free(t->buffers);
}

/* ---- memory ---- */

static uint64_t nat_bytes(const struct sizes_spec *s, uint32_t max_sessions) {
    const struct mallinfo2 before = mallinfo2();
    struct nat *nat = make_nat(s, max_sessions);
    const struct mallinfo2 after = mallinfo2();
    nat_destroy(nat);
    return after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
}

/* What a NAT of this size takes more than the smallest one with the same addresses. */
uint64_t sizes_session_bytes(const struct sizes_traffic *t) {
    return t->spec.sessions ? nat_bytes(&t->spec, room(&t->spec)) - nat_bytes(&t->spec, 1) : 0;
}

/* Cache lines of DIR24-8's first table (4 bytes for each /24) that hold an entry of a flow's destination. */
uint64_t sizes_route_bytes(const struct sizes_traffic *t) {
    uint64_t *seen = xzalloc((1 << 20) / 64, sizeof *seen), lines = 0;
    for (uint32_t i = 0; i < lasting(t); i++)
        for (unsigned answer = 0; answer < 2; answer++) { /* goes to the source */
            be32 dst;
            memcpy(&dst, t->w.frames[flow_at(t, i)][0] + L3 + (answer ? 12 : 16), sizeof dst);
            const uint32_t line = ntohl(dst) >> 12;
            lines += !(seen[line / 64] >> line % 64 & 1);
            seen[line / 64] |= 1ull << line % 64;
        }
    free(seen);
    return lines * 64;
}

uint64_t sizes_packet_bytes(const struct sizes_traffic *t) {
    return (uint64_t)t->spec.burst * (2 * t->spec.bytes + sizeof(struct packet));
}
