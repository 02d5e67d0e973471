/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up results of a known law: cycles = 100 + 10 a doubling of sessions over 1000 + 5 a doubling of routes over 100
 * + 0.25 a byte + 200 * churn, on a machine of 2 GHz whose NDR leaves 60 cycles above the cost. */
#ifndef TESTS_SIZE_HELPER_H
#define TESTS_SIZE_HELPER_H

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <fwdlab/base/random.h>
#include <fwdlab/size/size.h>

#define HZ 2e9
#define OVERHEAD 60.0
#define ROWS 36
#define NEAR(a, b, relative)                                                                                           \
    do {                                                                                                               \
        double got_ = (a), want_ = (b);                                                                                \
        cr_assert_float_eq(got_, want_, (relative) * fabs(want_), "%g, not %g", got_, want_);                          \
    } while (0)

struct workload {
    double sessions, routes, bytes, churn;
};

static inline double law(struct workload w) {
    return 100 + 10 * log2(w.sessions / 1000) + 5 * log2(w.routes / 100) + 0.25 * w.bytes + 200 * w.churn;
}

static inline double noise(struct random *r) { /* nearly normal, deviation 1 */
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += random_unit(r);
    return sum;
}

/* p99: 20 us at no load, 20, 40 and 160 us at 10, 50 and 90 % of NDR. */
static inline json_t *loads(double ndr) {
    static const struct { const char *key; double share, p99; } at[] = {
        {"0", 0, 20000}, {"10", 0.1, 20000}, {"50", 0.5, 40000}, {"90", 0.9, 160000}};
    json_t *o = json_object();
    for (int i = 0; i < 4; i++)
        json_object_set_new(o, at[i].key, json_pack("{s:f, s:{s:f}}", "pps", i ? at[i].share * ndr : 1000, "latency_ns",
                                                    "p99", at[i].p99));
    return o;
}

static inline json_t *configuration(struct workload w, double cycles, const char *scenario) {
    double ndr = HZ / (cycles + OVERHEAD);
    return json_pack("{s:s, s:{s:s}, s:{s:f, s:f, s:f, s:f, s:i, s:i, s:b}, s:{s:{s:f, s:[]}, s:f}, s:{s:f, s:f}, s:o}",
                     "name", "made up", "scenario", "name", scenario, "workload", "sessions", w.sessions, "routes",
                     w.routes, "packet_bytes", w.bytes, "churn", w.churn, "encrypted_share", 0, "workers", 1, "nat", 1,
                     "cost", "tsc_cycles", "median", cycles, "samples", "mpps", HZ / cycles / 1e6, "ndr_pps", "lower",
                     ndr, "upper", ndr * 1.005, "load", loads(ndr));
}

static inline json_t *document(json_t *configurations) {
    return json_pack("{s:s, s:{s:s, s:f}, s:o}", "schema", "fwdlab.bench/1", "environment", "cpu", "made up", "tsc_hz",
                     HZ, "configurations", configurations);
}

/* All 36 of 3 sessions x 3 routes x 2 sizes x 2 churns; `relative` deviations. */
static inline json_t *grid(double relative, uint64_t seed) {
    json_t *list = json_array();
    struct random r;
    random_seed(&r, seed);
    for (int i = 0; i < ROWS; i++) {
        struct workload w = {1000 * pow(10, i % 3), 100 * pow(10, i / 3 % 3), i / 9 % 2 ? 1500 : 64, i / 18 * 0.5};
        json_array_append_new(list, configuration(w, law(w) * (1 + relative * noise(&r)), "made-up"));
    }
    return document(list);
}

/* One document's worth of results; the document is released. */
static inline struct size_measured *measured(json_t *doc) {
    struct err e = {0};
    const char *path = "made-up.json";
    struct size_measured *m = size_measured_create(&doc, &path, 1, NULL, &e);
    json_decref(doc);
    cr_assert(m, "%s", e.what);
    return m;
}

static inline struct size_question question(double rate) {
    return (struct size_question){.rate_pps = rate, .headroom = 0.3, .system_cores = 1,
                                  .x = {[SIZE_SESSIONS] = 1000, [SIZE_ROUTES] = 100, [SIZE_BYTES] = 64,
                                        [SIZE_CHURN] = 0, [SIZE_ENCRYPTED] = NAN, [SIZE_WORKERS] = NAN,
                                        [SIZE_NAT] = NAN}};
}

/* The answer about some hosts, from results with these deviations. */
static inline json_t *answer(const struct size_question *q, struct size_host *hosts, size_t n, double relative) {
    struct size_measured *m = measured(grid(relative, 7));
    struct size_catalogue c = {hosts, n, (char *)"EUR"};
    struct err e = {0};
    json_t *doc = json_object();
    cr_assert_eq(size_answer(m, &c, q, doc, &e), 0, "%s", e.what);
    size_measured_destroy(m);
    return doc;
}

static inline json_t *at(json_t *doc, const char *key) {
    return json_object_get(doc, key);
}
static inline double figure(json_t *doc, const char *key) {
    cr_assert(json_is_number(at(doc, key)), "%s", key);
    return json_number_value(at(doc, key));
}
static inline const char *word(json_t *doc, const char *key) {
    return json_string_value(at(doc, key));
}

#endif
