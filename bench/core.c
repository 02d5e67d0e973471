/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core's stage table against the hand-fused floor: same packets, same tables, same output (checked byte by byte
 * before anything is timed), interleaved in one process and compared in pairs. Beside it what the parts cost: each
 * stage, the lookup backends, NAT sessions found and made. Filling the buffers is not timed.
 */
#include "floor.h"
#include "points.h"
#include "workload.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/noise.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 60
#define SEQUENCE 131072u
#define NS_PER_BURST 3200 /* 20 Mpps by the core's clock: no session ends meanwhile */
#define NAME 96

static unsigned pairs;
static uint64_t overhead, lost_limit; /* TSC cycles */

struct samples {
    double core[PAIRS_MAX], floor[PAIRS_MAX], stages[NODE_STAGES_MAX][PAIRS_MAX], nat[PAIRS_MAX];
};

/* A burst's time without the stamp's, nothing when somebody else had the CPU meanwhile. */
static inline uint64_t net(uint64_t took) {
    return took > lost_limit || took < overhead ? 0 : took - overhead;
}

static void measure_overhead(void) {
    overhead = UINT64_MAX;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t from = clock_tsc(), took = clock_tsc() - from;
        overhead = took < overhead ? took : overhead;
    }
    lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
}

/* ---- the stage table and the floor ---- */

static double run_core(struct workload *w, struct burst *b) {
    uint64_t cycles = 0;
    for (uint32_t at = 0; at < w->o.packets; at += WORKLOAD_BURST) {
        burst_fill(b, w, at);
        uint64_t from = clock_tsc();
        forward(&w->node, b->pkts, WORKLOAD_BURST, w->now);
        cycles += net(clock_tsc() - from);
        w->now += NS_PER_BURST;
    }
    return (double)cycles / w->o.packets;
}

static void burst_for_floor(const struct burst *b, struct floor_packet *p) {
    for (unsigned k = 0; k < WORKLOAD_BURST; k++)
        p[k] = (struct floor_packet){
            .data = b->packets[k].data, .len = (uint16_t)b->packets[k].len, .in_port = b->packets[k].in_port};
}

static double run_floor(struct workload *w, struct floor *f, struct burst *b) {
    struct floor_packet p[WORKLOAD_BURST];
    uint64_t cycles = 0;
    for (uint32_t at = 0; at < w->o.packets; at += WORKLOAD_BURST) {
        burst_fill(b, w, at);
        burst_for_floor(b, p);
        uint64_t from = clock_tsc();
        floor_run(f, p, WORKLOAD_BURST, w->now);
        cycles += net(clock_tsc() - from);
        w->now += NS_PER_BURST;
    }
    return (double)cycles / w->o.packets;
}

static void run_stages(struct workload *w, struct burst *b, struct samples *s, unsigned sample) {
    struct node *node = &w->node;
    uint64_t cycles[NODE_STAGES_MAX] = {0};
    for (uint32_t at = 0; at < w->o.packets; at += WORKLOAD_BURST) {
        struct packet *live[WORKLOAD_BURST];
        unsigned left = WORKLOAD_BURST;
        burst_fill(b, w, at);
        memcpy(live, b->pkts, sizeof live);
        uint64_t last = clock_tsc();
        for (unsigned i = 0; i < node->n_stages && left; i++) {
            left = node->stages[i].run(node, live, left, w->now);
            uint64_t stamp = clock_tsc();
            cycles[i] += net(stamp - last);
            last = stamp;
        }
        w->now += NS_PER_BURST;
    }
    s->nat[sample] = 0;
    for (unsigned i = 0; i < node->n_stages; i++) {
        s->stages[i][sample] = (double)cycles[i] / w->o.packets;
        if (strncmp(node->stages[i].name, "nat", 3) == 0)
            s->nat[sample] += s->stages[i][sample];
    }
}

/* The whole sequence through both: same ports, same bytes. */
static void verify(struct workload *w, struct floor *f) {
    static struct burst a, b;
    struct floor_packet p[WORKLOAD_BURST];
    for (uint32_t at = 0; at < w->o.packets; at += WORKLOAD_BURST) {
        burst_fill(&a, w, at);
        burst_fill(&b, w, at);
        burst_for_floor(&b, p);
        forward(&w->node, a.pkts, WORKLOAD_BURST, w->now);
        unsigned slow = floor_run(f, p, WORKLOAD_BURST, w->now);
        for (unsigned k = 0; k < WORKLOAD_BURST; k++)
            if (slow || a.packets[k].verdict != VERDICT_FORWARD || a.packets[k].out_port != p[k].out_port ||
                memcmp(a.data[k], b.data[k], FRAME_ROOM)) {
                fprintf(
                    stderr,
                    "core: packet %u of the sequence: core and floor differ (%u not for the floor, verdict %u %s)\n",
                    at + k, slow, a.packets[k].verdict, drop_name(a.packets[k].reason));
                exit(1);
            }
    }
}

static void compare(const struct workload_options *o, const char *name, bool in_detail) {
    static struct burst b;
    static struct samples s;
    struct workload w;
    char text[NAME];
    workload_init(&w, o);
    struct floor *f = floor_create(&w.node);
    if (!f) {
        fprintf(stderr, "core: no memory for the floor's tables\n");
        exit(2);
    }
    verify(&w, f);
    for (unsigned i = 0; i < pairs; i++) {
        if (i % 2 == 0)
            s.core[i] = run_core(&w, &b);
        s.floor[i] = run_floor(&w, f, &b);
        if (i % 2)
            s.core[i] = run_core(&w, &b);
        if (in_detail)
            run_stages(&w, &b, &s, i);
    }
    point(name, "tsc_cycles", stats_median(s.core, pairs), s.floor, s.core, pairs);
    for (unsigned i = 0; in_detail && i < w.node.n_stages; i++) {
        snprintf(text, sizeof text, "%s: %s", name, w.node.stages[i].name);
        point(text, "tsc_cycles", stats_median(s.stages[i], pairs), s.floor, s.stages[i], pairs);
    }
    if (in_detail && o->nat) {
        snprintf(text, sizeof text, "%s: NAT hit", name);
        point(text, "tsc_cycles", stats_median(s.nat, pairs), s.floor, s.nat, pairs);
    }
    floor_destroy(f);
    workload_fini(&w);
}

/* ---- new sessions ---- */

static void new_sessions(uint32_t flows) {
    static double begun[PAIRS_MAX], hit[PAIRS_MAX];
    struct workload w;
    char name[NAME];
    const struct workload_options o = {
        .backend = &route_dir24_8, .flows = flows, .routes = 1000, .nat = true, .packets = WORKLOAD_BURST};
    workload_init(&w, &o);
    for (unsigned i = 0; i < pairs; i++) {
        uint64_t first = 0, again = 0;
        workload_begin_flows(&w, &first);
        workload_repeat_flows(&w, &again);
        begun[i] = (double)first / flows;
        hit[i] = (double)again / flows;
    }
    snprintf(name, sizeof name, "new sessions, %uk (to found ones)", flows / 1000);
    point(name, "pps", (double)clock_tsc_hz() / stats_median(begun, pairs), hit, begun, pairs);
    workload_fini(&w);
}

/* ---- lookup backends ---- */

static double time_lookups(const struct route_backend *backend, const void *state, const be32 *dst, unsigned n) {
    uint32_t value[WORKLOAD_BURST], sum = 0;
    uint64_t cycles = 0;
    for (unsigned at = 0; at < n; at += WORKLOAD_BURST) {
        uint64_t from = clock_tsc();
        backend->lookup(state, dst + at, value, WORKLOAD_BURST);
        cycles += net(clock_tsc() - from);
        sum += value[0];
    }
    __asm__ volatile("" : : "r"(sum));
    return (double)cycles / n;
}

static void lookups(const struct route_backend *backend, uint32_t routes, unsigned n) {
    static double base[PAIRS_MAX], mine[PAIRS_MAX];
    struct ip_prefix *p = xalloc(routes * sizeof *p);
    be32 *dst = xalloc(n * sizeof *dst);
    struct random r;
    char name[NAME];
    void *a = route_dir24_8.create(routes), *b = backend->create(routes);
    random_seed(&r, routes);
    workload_prefixes(p, routes, &r);
    for (uint32_t i = 0; i < routes; i++)
        if (!a || !b || route_dir24_8.add(a, &p[i].addr.v4, p[i].len, i) ||
            backend->add(b, &p[i].addr.v4, p[i].len, i)) {
            fprintf(stderr, "core: %s does not take %u routes\n", backend->name, routes);
            exit(2);
        }
    for (unsigned i = 0; i < n; i++)
        dst[i] = workload_address_in(&p[random_below(&r, routes)], &r);
    for (unsigned i = 0; i < pairs; i++) {
        if (i % 2)
            mine[i] = time_lookups(backend, b, dst, n);
        base[i] = time_lookups(&route_dir24_8, a, dst, n);
        if (i % 2 == 0)
            mine[i] = time_lookups(backend, b, dst, n);
    }
    snprintf(name, sizeof name, "lookup %s, %u routes (to dir24_8)", backend->name, routes);
    point(name, "tsc_cycles", stats_median(mine, pairs), base, mine, pairs);
    route_dir24_8.destroy(a);
    backend->destroy(b);
    free(p);
    free(dst);
}

/* ---- all ---- */

static void run_cases(bool quick) {
    static const struct {
        const char *name;
        uint32_t flows, routes;
        bool nat, zipf, detail, slow;
    } cases[] = {
        {"NAT, 10k sessions, 1k routes, zipf", 10000, 1000, true, true, false, false},
        {"NAT, 10k sessions, 1k routes, uniform", 10000, 1000, true, false, true, false},
        {"NAT, 100k sessions, 100k routes, zipf", 100000, 100000, true, true, false, false},
        {"NAT, 100k sessions, 100k routes, uniform", 100000, 100000, true, false, true, false},
        {"NAT, 1M sessions, 1M routes, zipf", 1000000, 1000000, true, true, false, true},
        {"NAT, 1M sessions, 1M routes, uniform", 1000000, 1000000, true, false, true, true},
        {"routing, 1k routes, uniform", 10000, 1000, false, false, true, false},
        {"routing, 100k routes, uniform", 100000, 100000, false, false, false, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct workload_options o = {.backend = &route_dir24_8,
                                           .flows = cases[i].flows,
                                           .routes = cases[i].routes,
                                           .nat = cases[i].nat,
                                           .zipf = cases[i].zipf,
                                           .packets = SEQUENCE};
        if (!quick || !cases[i].slow)
            compare(&o, cases[i].name, cases[i].detail);
    }
    new_sessions(10000);
    new_sessions(100000);
    lookups(&route_linear, 16, SEQUENCE);
    lookups(&route_trie, 16, SEQUENCE);
    lookups(&route_trie, 1000, SEQUENCE);
    lookups(&route_trie, 100000, SEQUENCE);
    if (!quick)
        lookups(&route_trie, 1000000, SEQUENCE);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct dpdk_options dpdk = {0};
    struct err e = {0};
    bool quick = false, json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        if (c == 'c')
            dpdk.main_cpu = (unsigned)atoi(optarg);
        if (c == 'h' || c == '?') {
            fprintf(c == 'h' ? stdout : stderr, "usage: core [--quick] [--json] [--cpu N]\n");
            return c == 'h' ? 0 : 2;
        }
    }
    pairs = quick ? 30 : PAIRS_MAX;
    dpdk.memory_mb = quick ? 1024 : 3072;
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "core: %s\n      %s\n", e.what, e.hint);
        return 2;
    }
    measure_overhead();
    points_begin(
        "Stage table (forward) against the fused floor, 64-byte packets, bursts of 64, TSC cycles a packet. A stage's\n"
        "ratio is to the floor's whole packet.",
        json);
    run_cases(quick);
    points_end();
    dpdk_stop();
    return 0;
}
