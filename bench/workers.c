/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers against one: same flows, same packets, in one process, in turn (A B B A). From one input that both take
 * from and dispatch inline (shard.h), and from input that is sharded already. Time is from the common start to the last
 * packet, copy-in included. What counts are pairs that had both cores to themselves (cores.h).
 */
#include "cores.h"
#include "points.h"
#include "workload.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/shard.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS CORES
#define PACKETS 262144u
#define SECONDS 120 /* for the pairs of a point */
#define NS_PER_BURST 3200
#define DISPATCH_PAIRS 8
#define DISPATCHED 4096u
#define DISPATCH_PASSES 50
#define SEED 7
#define L4 34
#define PAGE 4096 /* CPUs read ahead up to its end: what stands behind one's buffers is no other one's */

enum mode { ONE, SHARDED, SHARED, MODES };

/* A worker's part of a node: its own NAT, its own counters. */
struct part {
    struct node node;
    struct {
        struct packet packet;
        uint8_t data[FRAME_ROOM];
    } buffers[WORKLOAD_BURST] __attribute__((aligned(64)));
    uint64_t now;
    struct packet *packets[2]; /* what it takes: of one worker's trace, and of its share of the sharded one */
    uint32_t n[2];
    uint8_t *frames;           /* of its share, in a row as a queue of its own has them */
    /* of the sample that runs */
    struct crew *crew;
    unsigned id;
    uint32_t at;
    uint64_t done, begin, end;
    pthread_t thread;
} __attribute__((aligned(PAGE)));

struct crew {
    struct workload w;
    struct dispatch *dispatch;
    struct part *parts;
    uint8_t (*answers)[FRAME_ROOM]; /* to the parts' mappings */
    struct packet *trace[2];        /* of one worker, of several: who differs are the answers */
    const uint8_t *frames;          /* of the latter, in its order */
    struct shard *shard;
    enum mode mode;
    struct cores *cores;
    struct cores_start start;
    _Atomic bool ended;
    struct dispatch_fragments fragments __attribute__((aligned(64)));
    uint32_t next; /* of the trace that is shared */
    bool dry;
};

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "workers: %s\n", what);
    exit(2);
}

/* ---- the work ---- */

static struct packet describe(uint8_t *frame, uint16_t in_port) {
    return (struct packet){.data = frame, .len = FRAME_LEN, .wire_len = FRAME_LEN, .in_port = in_port};
}

/* A frame with another destination, or other TCP flags. */
static void write_over(uint8_t *f, be32 dst, be16 dport, uint8_t tcp_flags) {
    struct ipv4_header ip;
    const bool udp = f[23] == PROTO_UDP;
    memcpy(f + 30, &dst, 4);
    memcpy(f + L4 + 2, &dport, 2);
    if (!udp)
        f[L4 + 13] = tcp_flags;
    memset(f + 24, 0, 2);
    memset(f + L4 + (udp ? 6 : 16), 0, 2);
    memcpy(&ip, f + 14, sizeof ip);
    const be16 sum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
    const be16 l4 = checksum_l4_ipv4(ip.src, ip.dst, ip.proto, f + L4, FRAME_LEN - L4);
    memcpy(f + 24, &sum, 2);
    memcpy(f + L4 + (udp ? 6 : 16), &l4, 2);
}

/* One packet to the worker that it belongs to. */
static void pass_one(struct crew *c, const uint8_t *frame, bool answer, uint8_t flags, struct packet *p) {
    static uint8_t copy[FRAME_ROOM];
    uint8_t worker;
    be32 dst;
    be16 dport;
    memcpy(copy, frame, FRAME_ROOM);
    memcpy(&dst, copy + 30, 4);
    memcpy(&dport, copy + L4 + 2, 2);
    write_over(copy, dst, dport, flags);
    *p = describe(copy, answer ? PORT_OUTSIDE : PORT_INSIDE);
    dispatch(c->dispatch, &c->fragments, &p, 1, &worker);
    forward(&c->parts[worker].node, &p, 1, c->w.now);
    if (p->verdict != VERDICT_FORWARD)
        fail(drop_sentence(p->reason));
}

/* Sessions of all flows in the NATs of the workers, whose answers must come back to them. */
static void begin_flows(struct crew *c) {
    struct packet p;
    for (uint32_t i = 0; i < c->w.o.flows; i++) {
        uint8_t *answer = c->answers[i];
        pass_one(c, c->w.frames[i][0], false, TCP_SYN, &p);
        memcpy(answer, c->w.frames[i][1], FRAME_ROOM);
        write_over(answer, p.src, p.sport, TCP_ACK);
        pass_one(c, answer, true, TCP_SYN | TCP_ACK, &p);
        if (memcmp(&p.dst, c->w.frames[i][0] + 26, 4))
            fail("an answer went to another guest");
        pass_one(c, c->w.frames[i][0], false, TCP_ACK, &p);
    }
}

static void make_parts(struct crew *c, uint32_t flows) {
    struct nat_config whole = *nat_config_get(c->w.node.nat);
    whole.max_sessions = flows + flows / 2; /* clients are spread by chance */
    c->parts = aligned_alloc(PAGE, WORKERS * sizeof *c->parts);
    c->dispatch = dispatch_create(WORKERS, &whole, c->w.node.routes);
    if (!c->parts || !c->dispatch)
        fail("no memory for the workers");
    memset(c->parts, 0, WORKERS * sizeof *c->parts);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct part *part = &c->parts[i];
        const struct nat_config config = dispatch_nat(&whole, WORKERS, i);
        part->node = c->w.node;
        part->crew = c;
        part->id = i;
        part->now = c->w.now;
        if (!(part->node.nat = nat_create(&config)))
            fail("no memory for NAT");
        node_prepare(&part->node);
    }
}

/* The traces: the same draws of flows and directions for one worker and for several, and the latter's shares. */
static void make_traces(struct crew *c) {
    struct packet *pkts[1];
    struct random r;
    uint8_t worker;
    random_seed(&r, SEED);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *frames = aligned_alloc(64, (size_t)PACKETS * FRAME_ROOM);
        c->trace[i] = aligned_alloc(64, PACKETS * sizeof *c->trace[i]);
        c->parts[i].packets[1] = aligned_alloc(64, PACKETS * sizeof *c->trace[i]);
        c->parts[i].frames = aligned_alloc(64, (size_t)PACKETS * FRAME_ROOM);
        if (!frames || !c->trace[i] || !c->parts[i].packets[1] || !c->parts[i].frames)
            fail("no memory for the trace");
        for (uint32_t k = 0; k < PACKETS; k++)
            c->trace[i][k] = describe(frames + (size_t)k * FRAME_ROOM, PORT_INSIDE);
    }
    for (uint32_t k = 0; k < PACKETS; k++) {
        const uint32_t flow = random_below(&r, c->w.o.flows), answer = random_below(&r, 2);
        memcpy(c->trace[0][k].data, c->w.frames[flow][answer], FRAME_ROOM);
        memcpy(c->trace[1][k].data, answer ? c->answers[flow] : c->w.frames[flow][0], FRAME_ROOM);
        c->trace[0][k].in_port = c->trace[1][k].in_port = answer ? PORT_OUTSIDE : PORT_INSIDE;
        pkts[0] = &c->trace[1][k];
        dispatch(c->dispatch, &c->fragments, pkts, 1, &worker);
        struct part *part = &c->parts[worker];
        const uint32_t at = part->n[1]++;
        part->packets[1][at] = describe(part->frames + (size_t)at * FRAME_ROOM, pkts[0]->in_port);
        memcpy(part->packets[1][at].data, pkts[0]->data, FRAME_ROOM);
    }
    c->frames = c->trace[1][0].data;
    c->parts[0].packets[0] = c->trace[0];
    c->parts[0].n[0] = PACKETS;
}

/* ---- the workers ---- */

/* What comes in a row, the CPU itself reads ahead. */
static unsigned take(void *arg, struct packet **pkts, unsigned n) {
    struct crew *c = arg;
    const uint32_t left = PACKETS - c->next;
    n = n < left ? n : left;
    for (unsigned i = 0; i < n; i++)
        pkts[i] = &c->trace[1][c->next + i];
    c->next += n;
    if (!left && c->dry) /* what was taken is with its worker */
        atomic_store_explicit(&c->ended, true, memory_order_release);
    c->dry = !left;
    return n;
}

static void assign(void *arg, struct packet *const *pkts, unsigned n, uint8_t *worker) {
    struct crew *c = arg;
    dispatch(c->dispatch, &c->fragments, pkts, n, worker);
}

/* Copies a burst in, as a source does, and forwards it. */
static inline void pass_burst(struct part *p, struct node *node, struct packet *const *pkts, unsigned n) {
    struct packet *own[WORKLOAD_BURST];
    for (unsigned k = 0; k < n; k++) {
        own[k] = &p->buffers[k].packet;
        memcpy(p->buffers[k].data, pkts[k]->data, FRAME_ROOM);
        own[k]->data = p->buffers[k].data;
        own[k]->len = own[k]->wire_len = pkts[k]->len;
        own[k]->room = (uint16_t)(FRAME_ROOM - pkts[k]->len);
        own[k]->flags = pkts[k]->flags;
        own[k]->in_port = pkts[k]->in_port;
    }
    forward(node, own, n, p->now);
    p->now += NS_PER_BURST;
    p->done += n;
}

/* As an input knows its buffers: without a look at what it says of them. */
static inline void fetch(const struct crew *c, const struct packet *p) {
    __builtin_prefetch(p);
    __builtin_prefetch(c->frames + (size_t)(p - c->trace[1]) * FRAME_ROOM);
}

/* A burst that is on its way into the CPU's cache. */
struct arrived {
    struct packet *pkts[WORKLOAD_BURST];
    unsigned n;
};

/* The worker's next burst; false: the end. What is its own from the start, the CPU itself reads ahead. */
static inline bool next_burst(struct part *p, struct arrived *a) {
    struct crew *c = p->crew;
    if (c->mode == SHARED) {
        const bool ended = atomic_load_explicit(&c->ended, memory_order_acquire);
        a->n = shard_take(c->shard, p->id, a->pkts, WORKLOAD_BURST);
        for (unsigned i = 0; i < a->n; i++)
            fetch(c, a->pkts[i]);
        return a->n || !ended;
    }
    const unsigned which = c->mode == SHARDED;
    const uint32_t left = p->n[which] - p->at;
    a->n = left < WORKLOAD_BURST ? left : WORKLOAD_BURST;
    for (unsigned i = 0; i < a->n; i++)
        a->pkts[i] = &p->packets[which][p->at + i];
    p->at += a->n;
    return left;
}

/* One burst ahead, as core workers of a trial are. */
static void *part_run(void *arg) {
    struct part *p = arg;
    struct crew *c = p->crew;
    struct node *node = c->mode == ONE ? &c->w.node : &p->node;
    struct arrived bursts[2] = {{.n = 0}};
    bool more = true;
    p->done = p->at = 0;
    cores_start(&c->start);
    p->begin = clock_tsc();
    for (unsigned turn = 0; more || bursts[turn % 2].n; turn++) {
        const struct arrived *now = &bursts[turn % 2];
        more = next_burst(p, &bursts[(turn + 1) % 2]);
        if (now->n)
            pass_burst(p, node, now->pkts, now->n);
    }
    p->end = clock_tsc();
    return NULL;
}

/* Packets a second. */
static double sample(struct crew *c, enum mode mode) {
    const unsigned workers = mode == ONE ? 1 : WORKERS;
    uint64_t done = 0, begin = UINT64_MAX, end = 0;
    c->mode = mode;
    c->next = 0;
    c->dry = false;
    c->ended = false;
    cores_start_init(&c->start, workers);
    for (unsigned i = 0; i < workers; i++)
        c->parts[i].thread = cores_spawn(c->cores, c->cores->cpu[i], part_run, &c->parts[i]);
    for (unsigned i = 0; i < workers; i++) {
        pthread_join(c->parts[i].thread, NULL);
        done += c->parts[i].done;
        begin = c->parts[i].begin < begin ? c->parts[i].begin : begin;
        end = c->parts[i].end > end ? c->parts[i].end : end;
    }
    cores_start_fini(&c->start);
    if (done != PACKETS)
        fail("packets are missing");
    return (double)done * (double)clock_tsc_hz() / (double)(end - begin);
}

static double sample_one(void *crew) {
    return sample(crew, ONE);
}

static double sample_sharded(void *crew) {
    return sample(crew, SHARDED);
}

static double sample_shared(void *crew) {
    return sample(crew, SHARED);
}

/* Dispatch alone, of packets that are in the cache: TSC cycles a packet, the best of some passes over them. */
static double sample_dispatch(struct crew *c) {
    struct packet *pkts[WORKLOAD_BURST];
    uint8_t worker[WORKLOAD_BURST];
    uint64_t best = UINT64_MAX;
    for (unsigned pass = 0; pass < DISPATCH_PASSES; pass++) {
        const uint64_t from = clock_tsc();
        for (uint32_t at = 0; at < DISPATCHED; at += WORKLOAD_BURST) {
            for (unsigned i = 0; i < WORKLOAD_BURST; i++)
                pkts[i] = &c->trace[1][at + i];
            assign(c, pkts, WORKLOAD_BURST, worker);
        }
        const uint64_t took = clock_tsc() - from;
        best = took < best ? took : best;
    }
    return (double)best / DISPATCHED;
}

static void compare_dispatch(struct crew *c, const char *name) {
    double cycles[2][DISPATCH_PAIRS];
    for (unsigned i = 0; i < DISPATCH_PAIRS; i++) {
        cycles[0][i] = (double)clock_tsc_hz() / sample(c, ONE);
        cycles[1][i] = sample_dispatch(c);
    }
    point(name, "tsc_cycles", stats_median(cycles[1], DISPATCH_PAIRS), cycles[0], cycles[1], DISPATCH_PAIRS);
}

static void compare(struct crew *c, const char *size, const struct cores_bound *bound) {
    const struct cores_work sharded = {sample_one, sample_sharded, c, "pps"};
    const struct cores_work shared = {sample_one, sample_shared, c, "pps"};
    char name[64];
    snprintf(name, sizeof name, "%s: sharded", size);
    cores_compare(c->cores, name, &sharded, bound);
    snprintf(name, sizeof name, "%s: one input", size);
    cores_compare(c->cores, name, &shared, bound);
    snprintf(name, sizeof name, "%s: dispatch", size);
    compare_dispatch(c, name);
}

static void run_case(uint32_t flows, uint32_t routes, struct cores *cores, const struct cores_bound *bound) {
    const struct workload_options o = {.backend = &route_direct, .flows = flows, .routes = routes, .nat = true,
                                       .packets = WORKLOAD_BURST};
    struct crew *c = aligned_alloc(_Alignof(struct crew), sizeof *c);
    struct err e = {0};
    char size[64];
    if (!c)
        fail("no memory for the workers");
    memset(c, 0, sizeof *c);
    workload_init(&c->w, &o);
    make_parts(c, flows);
    c->answers = xalloc(flows * sizeof *c->answers);
    begin_flows(c);
    make_traces(c);
    c->cores = cores;
    c->shard = shard_create(WORKERS, 1024, &(struct shard_input){take, assign, c, c}, &e);
    if (!c->shard)
        fail(e.what);
    snprintf(size, sizeof size, "two to one, %uk sessions, %uk routes", flows / 1000, routes / 1000);
    compare(c, size, bound);
    shard_destroy(c->shard);
    for (unsigned i = 0; i < WORKERS; i++) {
        nat_destroy(c->parts[i].node.nat);
        free(c->parts[i].packets[1]);
        free(c->parts[i].frames);
        free(c->trace[i][0].data);
        free(c->trace[i]);
    }
    dispatch_destroy(c->dispatch);
    workload_fini(&c->w);
    free(c->parts);
    free(c->answers);
    free(c);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct dpdk_options dpdk = {.memory_mb = 1024};
    struct cores cores;
    struct err e = {0};
    bool quick = false, json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        if (c == 'h' || c == '?') {
            fprintf(c == 'h' ? stdout : stderr, "usage: workers [--quick] [--json]\n");
            return c == 'h' ? 0 : 2;
        }
    }
    cores_init(&cores);
    dpdk.main_cpu = cores.cpu[0];
    const struct cores_bound bound = {.pairs = quick ? 8 : 20, .seconds = quick ? 10 : SECONDS};
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "workers: %s\n         %s\n", e.what, e.hint);
        return 2;
    }
    points_begin("Two workers against one, NAT, 64-byte packets, bursts of 64. Dispatch: ratio to one worker's packet.",
                 json);
    run_case(10000, 1000, &cores, &bound);
    run_case(100000, 100000, &cores, &bound);
    points_end();
    dpdk_stop();
    return 0;
}
