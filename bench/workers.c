/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers against one: same flows, same packets, in one process, in turn (A B C C B A). From one input that both
 * take from and dispatch inline (shard.h), and from input that is sharded already. Time is from the common start to the
 * last packet, copy-in included; a sample in which the machine took more than 1 % is repeated.
 */
#include "points.h"
#include "workload.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/replay/shard.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS 2
#define PACKETS 262144u
#define PAIRS_MAX 60
#define REPEATS 20
#define REST_NS 15000000 /* after a sample, so that SCHED_FIFO leaves something to others */
#define NS_PER_BURST 3200
#define DISPATCHED 4096u
#define DISPATCH_PASSES 50
#define SEED 7
#define L4 34

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
    /* of the sample that runs */
    struct crew *crew;
    unsigned id;
    uint64_t done, end, lost;
    pthread_t thread;
} __attribute__((aligned(128)));

struct crew {
    struct workload w;
    struct dispatch *dispatch;
    struct dispatch_fragments fragments;
    struct part *parts;
    uint8_t (*answers)[FRAME_ROOM];  /* to the parts' mappings */
    struct packet *trace[2];         /* of one worker, of several: who differs are the answers */
    struct shard *shard;
    uint32_t next;                   /* of the shared trace */
    _Atomic bool ended;
    enum mode mode;
    pthread_barrier_t barrier;
    uint64_t lost_limit;             /* TSC cycles */
    unsigned cpu[WORKERS];
    bool fifo;
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
    c->parts = aligned_alloc(128, WORKERS * sizeof *c->parts);
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
        if (!frames || !c->trace[i] || !c->parts[i].packets[1])
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
        part->packets[1][part->n[1]++] = c->trace[1][k];
    }
    c->parts[0].packets[0] = c->trace[0];
    c->parts[0].n[0] = PACKETS;
}

/* ---- the workers ---- */

static unsigned take(void *arg, struct packet **pkts, unsigned n) {
    struct crew *c = arg;
    const uint32_t left = PACKETS - c->next;
    n = n < left ? n : left;
    for (unsigned i = 0; i < n; i++)
        pkts[i] = &c->trace[1][c->next + i];
    c->next += n;
    if (!left) /* what was taken before is in the inboxes */
        atomic_store_explicit(&c->ended, true, memory_order_release);
    return n;
}

static void assign(void *arg, struct packet *const *pkts, unsigned n, uint8_t *worker) {
    struct crew *c = arg;
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(pkts[i]->data);
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

/* The worker's next burst; false: the end. */
static inline bool next_burst(struct part *p, struct packet **pkts, unsigned *n, uint32_t *at) {
    struct crew *c = p->crew;
    if (c->mode == SHARED) {
        const bool ended = atomic_load_explicit(&c->ended, memory_order_acquire);
        *n = shard_take(c->shard, p->id, pkts, WORKLOAD_BURST);
        return *n || !ended;
    }
    const unsigned which = c->mode == SHARDED;
    const uint32_t left = p->n[which] - *at;
    *n = left < WORKLOAD_BURST ? left : WORKLOAD_BURST;
    for (unsigned i = 0; i < *n; i++)
        pkts[i] = &p->packets[which][*at + i];
    *at += *n;
    return left;
}

static void *part_run(void *arg) {
    struct part *p = arg;
    struct crew *c = p->crew;
    struct node *node = c->mode == ONE ? &c->w.node : &p->node;
    struct packet *pkts[WORKLOAD_BURST];
    uint32_t at = 0;
    unsigned n;
    p->done = p->lost = 0;
    pthread_barrier_wait(&c->barrier);
    uint64_t last = clock_tsc();
    while (next_burst(p, pkts, &n, &at)) {
        if (n)
            pass_burst(p, node, pkts, n);
        else
            __builtin_ia32_pause();
        const uint64_t now = clock_tsc();
        p->lost += now - last > c->lost_limit ? now - last : 0;
        last = now;
    }
    p->end = last;
    return NULL;
}

static void spawn(struct crew *c, unsigned i) {
    pthread_attr_t attr;
    cpu_set_t one;
    struct sched_param param = {.sched_priority = 1};
    CPU_ZERO(&one);
    CPU_SET(c->cpu[i], &one);
    pthread_attr_init(&attr);
    pthread_attr_setaffinity_np(&attr, sizeof one, &one);
    if (c->fifo) {
        pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
        pthread_attr_setschedparam(&attr, &param);
    }
    if (pthread_create(&c->parts[i].thread, &attr, part_run, &c->parts[i])) {
        if (!c->fifo)
            fail("no worker can run there");
        c->fifo = false;
        spawn(c, i);
    }
    pthread_attr_destroy(&attr);
}

/* Packets a second; *lost: share of the time. */
static double sample_once(struct crew *c, enum mode mode, double *lost) {
    const unsigned workers = mode == ONE ? 1 : WORKERS;
    uint64_t done = 0, end = 0, gone = 0;
    c->mode = mode;
    c->next = 0;
    c->ended = false;
    pthread_barrier_init(&c->barrier, NULL, workers + 1);
    for (unsigned i = 0; i < workers; i++)
        spawn(c, i);
    nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
    const uint64_t start = clock_tsc();
    pthread_barrier_wait(&c->barrier);
    for (unsigned i = 0; i < workers; i++) {
        pthread_join(c->parts[i].thread, NULL);
        done += c->parts[i].done;
        gone = c->parts[i].lost > gone ? c->parts[i].lost : gone;
        end = c->parts[i].end > end ? c->parts[i].end : end;
    }
    pthread_barrier_destroy(&c->barrier);
    if (done != PACKETS)
        fail("packets are missing");
    *lost = (double)gone / (double)(end - start);
    return (double)done * (double)clock_tsc_hz() / (double)(end - start);
}

/* The best of some that were disturbed, or the first that was not. */
static double sample(struct crew *c, enum mode mode) {
    double best = 0, lost;
    for (unsigned i = 0; i < REPEATS; i++) {
        const double pps = sample_once(c, mode, &lost);
        if (lost < 0.01)
            return pps;
        best = pps > best ? pps : best;
    }
    return best;
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

static void compare(struct crew *c, const char *size, unsigned pairs) {
    static double pps[MODES][PAIRS_MAX], cycles[2][PAIRS_MAX];
    char name[96];
    for (unsigned i = 0; i < pairs; i++) {
        for (unsigned k = 0; k < MODES; k++) {
            const enum mode mode = i % 2 ? MODES - 1 - k : k;
            pps[mode][i] = sample(c, mode);
        }
        cycles[0][i] = (double)clock_tsc_hz() / pps[ONE][i];
        cycles[1][i] = sample_dispatch(c);
    }
    snprintf(name, sizeof name, "%s: one worker", size);
    point(name, "pps", stats_median(pps[ONE], pairs), pps[ONE], pps[ONE], pairs);
    snprintf(name, sizeof name, "%s: two, input sharded", size);
    point(name, "pps", stats_median(pps[SHARDED], pairs), pps[ONE], pps[SHARDED], pairs);
    snprintf(name, sizeof name, "%s: two, one input", size);
    point(name, "pps", stats_median(pps[SHARED], pairs), pps[ONE], pps[SHARED], pairs);
    snprintf(name, sizeof name, "%s: dispatch", size);
    point(name, "tsc_cycles", stats_median(cycles[1], pairs), cycles[0], cycles[1], pairs);
}

static void run_case(uint32_t flows, uint32_t routes, const unsigned *cpu, unsigned pairs) {
    const struct workload_options o = {.backend = &route_direct, .flows = flows, .routes = routes, .nat = true,
                                       .packets = WORKLOAD_BURST};
    struct crew *c = xzalloc(1, sizeof *c);
    struct err e = {0};
    char size[64];
    workload_init(&c->w, &o);
    make_parts(c, flows);
    c->answers = xalloc(flows * sizeof *c->answers);
    begin_flows(c);
    make_traces(c);
    memcpy(c->cpu, cpu, sizeof c->cpu);
    c->fifo = true;
    c->lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
    c->shard = shard_create(WORKERS, 1024, &(struct shard_input){take, assign, c, c}, &e);
    if (!c->shard)
        fail(e.what);
    snprintf(size, sizeof size, "%uk sessions, %uk routes", flows / 1000, routes / 1000);
    compare(c, size, pairs);
    shard_destroy(c->shard);
    for (unsigned i = 0; i < WORKERS; i++) {
        nat_destroy(c->parts[i].node.nat);
        free(c->parts[i].packets[1]);
        free(c->trace[i][0].data);
        free(c->trace[i]);
    }
    dispatch_destroy(c->dispatch);
    workload_fini(&c->w);
    free(c->parts);
    free(c->answers);
    free(c);
}

/* The first two CPUs that we may use. */
static void find_cpus(unsigned *cpu) {
    cpu_set_t usable;
    unsigned n = 0;
    CPU_ZERO(&usable);
    sched_getaffinity(0, sizeof usable, &usable);
    for (unsigned i = 0; i < CPU_SETSIZE && n < WORKERS; i++)
        if (CPU_ISSET(i, &usable))
            cpu[n++] = i;
    if (n < WORKERS)
        fail("two CPUs are needed");
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct dpdk_options dpdk = {.memory_mb = 1024};
    unsigned cpu[WORKERS];
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
    find_cpus(cpu);
    dpdk.main_cpu = cpu[0];
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "workers: %s\n         %s\n", e.what, e.hint);
        return 2;
    }
    points_begin("Two workers against one, NAT, 64-byte packets, bursts of 64. Dispatch: ratio to one worker's packet.",
                 json);
    run_case(10000, 1000, cpu, quick ? 8 : PAIRS_MAX / 2);
    run_case(100000, 100000, cpu, quick ? 8 : PAIRS_MAX / 2);
    points_end();
    dpdk_stop();
    return 0;
}
