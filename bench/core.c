/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core's stage table against the hand-fused floor: same packets, same tables, same output (checked byte by byte
 * before anything is timed), interleaved in one process and compared in pairs. A packet's whole way is copied out of
 * the trace into a buffer, forwarded, and its latency from the time when it was to be sent recorded, with one time
 * stamp a burst; beside it what the core alone takes of that, each stage, the lookup backends, NAT sessions found and
 * made.
 */
#include "points.h"
#include "samples.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 60
#define NAME 96

static unsigned pairs;

struct samples {
    double core[PAIRS_MAX], floor[PAIRS_MAX], core_alone[PAIRS_MAX], floor_alone[PAIRS_MAX];
    double stages[NODE_STAGES_MAX][PAIRS_MAX], nat[PAIRS_MAX];
};

/* ---- the core and the floor ---- */

static void pair_of_samples(struct workload *w, struct floor *f, struct samples *s, unsigned i) {
    const bool core_first = i % 2 == 0;
    if (core_first)
        s->core[i] = sample_core(w);
    s->floor[i] = sample_floor(w, f);
    if (!core_first)
        s->core[i] = sample_core(w);
    if (core_first)
        s->core_alone[i] = sample_core_alone(w);
    s->floor_alone[i] = sample_floor_alone(w, f);
    if (!core_first)
        s->core_alone[i] = sample_core_alone(w);
}

static void stages_of_sample(struct workload *w, struct samples *s, unsigned i) {
    double each[NODE_STAGES_MAX];
    sample_stages(w, each);
    s->nat[i] = 0;
    for (unsigned k = 0; k < w->node.n_stages; k++) {
        s->stages[k][i] = each[k];
        if (strncmp(w->node.stages[k].name, "nat", 3) == 0)
            s->nat[i] += each[k];
    }
}

static void print_floor(const char *name, const char *which, const double *floor) {
    char text[NAME];
    snprintf(text, sizeof text, "%s: %s", name, which);
    point_alone(text, "tsc_cycles", stats_median(floor, pairs));
}

static void print_part(const char *name, const char *part, const double *base, const double *mine) {
    char text[NAME];
    snprintf(text, sizeof text, "%s: %s", name, part);
    point(text, "tsc_cycles", stats_median(mine, pairs), base, mine, pairs);
}

static void compare(const struct workload_options *o, const char *name, bool in_detail) {
    static struct samples s;
    struct workload w;
    workload_init(&w, o);
    struct floor *f = floor_create(&w.node);
    if (!f) {
        fprintf(stderr, "core: no memory for the floor's tables\n");
        exit(2);
    }
    samples_verify(&w, f);
    for (unsigned i = 0; i < pairs; i++) {
        pair_of_samples(&w, f, &s, i);
        if (in_detail)
            stages_of_sample(&w, &s, i);
    }
    point(name, "tsc_cycles", stats_median(s.core, pairs), s.floor, s.core, pairs);
    print_floor(name, "floor", s.floor);
    print_part(name, "core alone", s.floor_alone, s.core_alone);
    print_floor(name, "floor alone", s.floor_alone);
    for (unsigned i = 0; in_detail && i < w.node.n_stages; i++)
        print_part(name, w.node.stages[i].name, s.floor_alone, s.stages[i]);
    if (in_detail && o->nat)
        print_part(name, "NAT hit", s.floor_alone, s.nat);
    floor_destroy(f);
    workload_fini(&w);
}

/* ---- new sessions ---- */

static void new_sessions(uint32_t flows) {
    static double begun[PAIRS_MAX], hit[PAIRS_MAX];
    struct workload w;
    char name[NAME];
    const struct workload_options o = {
        .backend = &route_direct, .flows = flows, .routes = 1000, .nat = true, .packets = WORKLOAD_BURST};
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
        cycles += samples_net(clock_tsc() - from);
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

static void run_cases(bool quick, const char *only) {
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
        {"routing, 1k routes, zipf", 10000, 1000, false, true, false, false},
        {"routing, 1k routes, uniform", 10000, 1000, false, false, true, false},
        {"routing, 100k routes, uniform", 100000, 100000, false, false, false, false},
        {"routing, 1M routes, zipf", 1000000, 1000000, false, true, false, true},
        {"routing, 1M routes, uniform", 1000000, 1000000, false, false, true, true},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct workload_options o = {.backend = &route_direct,
                                           .flows = cases[i].flows,
                                           .routes = cases[i].routes,
                                           .nat = cases[i].nat,
                                           .zipf = cases[i].zipf,
                                           .packets = (2 * cases[i].flows / SAMPLE_PACKETS + 2) * SAMPLE_PACKETS};
        if ((!quick || !cases[i].slow) && strstr(cases[i].name, only))
            compare(&o, cases[i].name, cases[i].detail);
    }
    if (*only)
        return;
    new_sessions(10000);
    new_sessions(100000);
    lookups(&route_linear, 16, SAMPLE_PACKETS);
    lookups(&route_trie, 16, SAMPLE_PACKETS);
    lookups(&route_trie, 1000, SAMPLE_PACKETS);
    lookups(&route_trie, 100000, SAMPLE_PACKETS);
    lookups(&route_direct, 1000, SAMPLE_PACKETS);
    lookups(&route_direct, 100000, SAMPLE_PACKETS);
    if (!quick) {
        lookups(&route_direct, 1000000, SAMPLE_PACKETS);
        lookups(&route_trie, 1000000, SAMPLE_PACKETS);
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct dpdk_options dpdk = {0};
    struct err e = {0};
    const char *only = "";
    bool quick = false, json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        if (c == 'c')
            dpdk.main_cpu = (unsigned)atoi(optarg);
        if (c == 'o')
            only = optarg;
        if (c == 'h' || c == '?') {
            fprintf(c == 'h' ? stdout : stderr, "usage: core [--quick] [--json] [--cpu N] [--only NAME]\n");
            return c == 'h' ? 0 : 2;
        }
    }
    pairs = quick ? 30 : PAIRS_MAX;
    dpdk.memory_mb = quick ? 1024 : 3072;
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "core: %s\n      %s\n", e.what, e.hint);
        return 2;
    }
    samples_init();
    points_begin(
        "The core (forward) against the fused floor, 64-byte packets, bursts of 64, TSC cycles a packet: the whole\n"
        "way from the trace to the histogram, and the core alone. A stage's ratio is to the floor alone.",
        json);
    run_cases(quick, only);
    point_alone("time lost to others (quiet: under 0.1)", "percent", 100 * samples_lost());
    points_end();
    samples_fini();
    dpdk_stop();
    return 0;
}
