/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cost against size: cycles of a packet, copied into its buffer and forwarded, by sessions, routes, frame size, burst
 * size and share of new flows. One factor at a time: each point is measured in turn with its curve's base point (A B B
 * A), as a paired ratio with its interval. Beside it the memory that the point touches, to be held against the caches.
 * `-o FILE` writes the document that `fwdlab report` draws.
 */
#include "caches.h"
#include "points.h"
#include "sizes_traffic.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/result/document.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 60
#define SAMPLE 65536u /* packets */
#define POINTS_MAX 10
#define SEED 1
#define NOISE_WINDOW_NS 200000000ull
#define MEMORY_MB 3072

enum factor { SESSIONS, ROUTES, BYTES, BURST, CHURN, FACTORS };

static const struct curve {
    const char *name, *x, *workload; /* x: what the axis is called */
    bool log;
    struct sizes_spec base;
    double points[POINTS_MAX]; /* 0 ends them, but for churn's first */
} curves[FACTORS] = {
    [SESSIONS] = {"sessions", "NAT sessions", "NAT, 1k routes, 64-byte frames, bursts of 64", true,
                  {10000, 1000, 64, 64, 0, false}, {1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 2e6, 4e6}},
    [ROUTES] = {"routes", "routes", "no NAT, 1M flows all over them, 64-byte frames, bursts of 64", true,
                {0, 1000, 64, 64, 0, false}, {1, 10, 100, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6}},
    [BYTES] = {"packet-size", "bytes a frame", "NAT, 10k sessions, 1k routes, bursts of 64", true,
               {10000, 1000, 64, 64, 0, false}, {64, 128, 256, 512, 768, 1024, 1280, 1518}},
    [BURST] = {"burst-size", "packets a burst", "NAT, 10k sessions, 1k routes, 64-byte frames", true,
               {10000, 1000, 64, 64, 0, false}, {1, 2, 4, 8, 16, 32, 64, 128, 256}},
    [CHURN] = {"churn", "% of packets that begin a flow",
               "NAT, 10k lasting sessions and as many that come and go, 1k routes, 64-byte frames, bursts of 64", false,
               {10000, 1000, 64, 64, 0, true}, {0, 1, 3, 10, 25, 50, 75, 100}},
};

struct run {
    unsigned pairs;
    bool quick;
    uint64_t overhead, lost_limit; /* TSC cycles */
    uint64_t kept, lost;           /* of all samples */
};

/* ---- one sample ---- */

static void measure_overhead(struct run *r) {
    r->overhead = UINT64_MAX;
    for (unsigned i = 0; i < 10000; i++) {
        const uint64_t from = clock_tsc(), took = clock_tsc() - from;
        r->overhead = took < r->overhead ? took : r->overhead;
    }
    r->lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
}

/* TSC cycles a packet. Bursts that took longer than the middle one by what counts as lost time are left out. */
static double sample(struct run *r, struct sizes_traffic *t) {
    static double took[SAMPLE];
    double cycles = 0;
    uint32_t n = 0, kept = 0;
    for (uint32_t at = 0; at < SAMPLE; at += t->spec.burst) {
        sizes_traffic_arrive(t);
        const uint64_t from = clock_tsc();
        sizes_traffic_pass(t);
        const uint64_t ticks = clock_tsc() - from;
        sizes_traffic_check(t);
        took[n++] = ticks > r->overhead ? (double)(ticks - r->overhead) : 0;
    }
    const double limit = stats_median(took, n) + (double)r->lost_limit;
    for (uint32_t i = 0; i < n; i++) {
        const bool lost = took[i] > limit;
        *(lost ? &r->lost : &r->kept) += (uint64_t)took[i];
        cycles += lost ? 0 : took[i];
        kept += !lost;
    }
    return cycles / kept / t->spec.burst;
}

/* ---- one point ---- */

struct cycles { /* a sample each */
    double *v;
    size_t n, cap;
};

static struct sizes_spec spec_at(enum factor f, double x) {
    struct sizes_spec s = curves[f].base;
    *(f == ROUTES ? &s.routes : f == BYTES ? &s.bytes : f == BURST ? &s.burst : &s.sessions) =
        f == CHURN ? s.sessions : (uint32_t)x;
    s.churn = f == CHURN ? x / 100 : 0;
    return s;
}

static double base_x(enum factor f) {
    const struct sizes_spec *s = &curves[f].base;
    return f == SESSIONS ? s->sessions : f == ROUTES ? s->routes : f == BYTES ? s->bytes : f == BURST ? s->burst : 0;
}

/* What grows with the factor; 0: nothing. */
static uint64_t touched(enum factor f, const struct sizes_traffic *t) {
    return f == SESSIONS ? sizes_session_bytes(t) : f == ROUTES ? sizes_route_bytes(t)
           : f == CHURN ? 0 : sizes_packet_bytes(t);
}

static json_t *point_json(double x, double cycles, const struct stats_ratio *ratio, uint64_t bytes) {
    return json_pack("{s:f, s:f, s:f, s:[f, f], s:I, s:I}", "x", x, "tsc_cycles", cycles, "ratio", ratio->ratio,
                     "interval", ratio->low, ratio->high, "pairs", (json_int_t)ratio->pairs, "touched_bytes",
                     (json_int_t)bytes);
}

/* Adds what the base took to `bases`. */
static json_t *measure_point(struct run *r, enum factor f, double x, struct sizes_traffic *base, struct cycles *bases) {
    static struct sizes_traffic t;
    static double a[PAIRS_MAX], b[PAIRS_MAX];
    const struct sizes_spec s = spec_at(f, x);
    char name[80];
    sizes_traffic_init(&t, &s);
    sample(r, base); /* warm */
    sample(r, &t);
    for (unsigned i = 0; i < r->pairs; i++) {
        if (i % 2)
            b[i] = sample(r, &t);
        a[i] = sample(r, base);
        if (i % 2 == 0)
            b[i] = sample(r, &t);
    }
    for (unsigned i = 0; i < r->pairs; i++)
        vec_push(bases, a[i]);
    const uint64_t bytes = touched(f, &t);
    sizes_traffic_fini(&t);
    snprintf(name, sizeof name, "%s %g", curves[f].name, x);
    point(name, "tsc_cycles", stats_median(b, r->pairs), a, b, r->pairs);
    const struct stats_ratio ratio = stats_paired_ratio(a, b, r->pairs, SEED);
    return point_json(x, stats_median(b, r->pairs), &ratio, bytes);
}

static json_t *measure_curve(struct run *r, enum factor f) {
    static struct sizes_traffic base;
    const struct curve *c = &curves[f];
    const double most = !r->quick ? 4e6 : f == SESSIONS ? 1e5 : 1e4;
    struct cycles bases = {0};
    json_t *points = json_array();
    sizes_traffic_init(&base, &c->base);
    for (unsigned i = 0; i < POINTS_MAX && (c->points[i] > 0 || (f == CHURN && !i)); i++)
        if (c->points[i] <= most)
            json_array_append_new(points, measure_point(r, f, c->points[i], &base, &bases));
    sizes_traffic_fini(&base);
    const double median = stats_median(bases.v, bases.n);
    vec_free(&bases);
    return json_pack("{s:s, s:s, s:s, s:b, s:f, s:f, s:o}", "factor", c->name, "x", c->x, "workload", c->workload,
                     "log", c->log, "base", base_x(f), "base_tsc_cycles", median, "points", points);
}

/* ---- the document ---- */

static json_t *caches_json(unsigned cpu) {
    struct cache list[CACHES_MAX];
    json_t *out = json_array();
    for (unsigned i = 0, n = caches_read(cpu, list); i < n; i++)
        json_array_append_new(out, json_pack("{s:s, s:I}", "name", list[i].name, "bytes", (json_int_t)list[i].bytes));
    return out;
}

static int save(const struct run *r, json_t *list, unsigned cpu, const char *path, struct err *e) {
    struct noise noise;
    noise_measure(&noise, NOISE_WINDOW_NS);
    const struct document_options o = {
        .command = "curves", .dpdk = dpdk_version(), .hugepages = dpdk_hugepages(), .noise = &noise};
    json_t *doc = document_new(&o, e);
    if (!doc)
        return -1;
    json_object_set_new(doc, "caches", caches_json(cpu));
    json_object_set_new(doc, "lost_share", json_real((double)r->lost / (double)(r->kept + r->lost)));
    json_object_set(doc, "curves", list);
    const int code = document_save(doc, path, e);
    json_decref(doc);
    return code;
}

static int run_all(struct run *r, const char *only, unsigned cpu, const char *path, struct err *e) {
    json_t *list = json_array();
    measure_overhead(r);
    points_begin("Cost of a packet, copied and forwarded, TSC cycles; the ratio is to the curve's base point.", false);
    for (unsigned f = 0; f < FACTORS; f++)
        if (!only || !strcmp(only, curves[f].name))
            json_array_append_new(list, measure_curve(r, (enum factor)f));
    points_end();
    printf("%.2f %% of the time was lost to others\n", 100.0 * (double)r->lost / (double)(r->kept + r->lost));
    const int code = path ? save(r, list, cpu, path, e) : 0;
    json_decref(list);
    return code;
}

static bool known(const char *name) {
    for (unsigned f = 0; f < FACTORS; f++)
        if (!strcmp(name, curves[f].name))
            return true;
    return false;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"curve", required_argument, NULL, 'c'},
                                            {"cpu", required_argument, NULL, 'C'},
                                            {"pairs", required_argument, NULL, 'p'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct dpdk_options dpdk = {.memory_mb = MEMORY_MB};
    struct run r = {0};
    struct err e = {0};
    const char *only = NULL, *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        r.quick |= c == 'q';
        only = c == 'c' ? optarg : only;
        path = c == 'o' ? optarg : path;
        if (c == 'C')
            dpdk.main_cpu = (unsigned)atoi(optarg);
        if (c == 'p')
            r.pairs = (unsigned)atoi(optarg);
        if (c == 'h' || c == '?' || (only && !known(only)) || r.pairs > PAIRS_MAX) {
            fprintf(c == 'h' ? stdout : stderr,
                    "usage: sizes [--quick] [--pairs N] [--curve NAME] [--cpu N] [-o FILE]\n"
                    "curves: sessions, routes, packet-size, burst-size, churn\n");
            return c == 'h' ? 0 : 2;
        }
    }
    r.pairs = r.pairs ? r.pairs : r.quick ? 20 : PAIRS_MAX;
    if (dpdk_start(&dpdk, &e) || run_all(&r, only, dpdk.main_cpu, path, &e)) {
        fprintf(stderr, "sizes: %s\n       %s\n", e.what, e.hint);
        return 2;
    }
    dpdk_stop();
    return 0;
}
