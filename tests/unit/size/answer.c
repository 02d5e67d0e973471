/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which host, how many: cases worked out by hand. A packet of 64 bytes with 1000 sessions and 100 routes costs
 * 100 + 16 cycles, 176 with the overhead: a worker of 2 GHz carries 11.36 Mpps, 7.95 with 30 % headroom.
 */
#include <string.h>
#include "helper.h"

#define EACH (HZ / 176)
#define ANY {(char *)"any", 2, 2, 100, INFINITY, 64, 1}

static json_t *first(json_t *doc) {
    return json_array_get(at(doc, "answers"), 0);
}

static bool tells(json_t *answer, const char *text) {
    json_t *line;
    size_t i;
    bool told = false;
    json_array_foreach(at(answer, "extrapolates"), i, line)
        told |= strstr(json_string_value(line), text) != NULL;
    return told;
}

Test(answer, cores_decide_and_the_cheapest_sum_wins) {
    struct size_host hosts[] = {{(char *)"one-worker", 2, 2, 100, INFINITY, 64, 10},  /* 3 for 20 Mpps: 30 */
                                {(char *)"three-workers", 4, 2, 100, INFINITY, 64, 25}, /* 1: 25 */
                                {(char *)"dear", 64, 2, 100, INFINITY, 64, 26}};
    struct size_question q = question(20e6);
    json_t *doc = answer(&q, hosts, 3, 0), *a = first(doc);
    cr_assert_str_eq(word(doc, "best"), "three-workers");
    cr_assert_str_eq(word(a, "limit"), "cpu");
    cr_assert_eq(figure(a, "count"), 1);
    cr_assert_eq(figure(a, "workers"), 3);
    NEAR(figure(at(a, "pps"), "value"), 3 * EACH * 0.7, 1e-6);
    NEAR(figure(a, "load"), 20e6 / (3 * EACH), 1e-6);
    NEAR(figure(a, "headroom"), 1 - 20e6 / (3 * EACH), 1e-6);
    a = json_array_get(at(doc, "answers"), 2);
    cr_assert_str_eq(word(a, "host"), "one-worker");
    cr_assert_eq(figure(a, "count"), 3);
    NEAR(figure(a, "price"), 30, 1e-9);
    json_decref(doc);
}

Test(answer, the_clock_scales_and_is_told) {
    struct size_host h = ANY;
    struct size_question q = question(EACH * 0.7 * 1.5);
    h.clock_ghz = 3;
    json_t *doc = answer(&q, &h, 1, 0);
    cr_assert_eq(figure(first(doc), "count"), 1);
    cr_assert(tells(first(doc), "clock: 3 GHz, 2 measured"));
    json_decref(doc);
}

Test(answer, nic_bits_limit) {
    struct size_host h = {(char *)"10G", 64, 2, 10, INFINITY, 64, 10};
    struct size_question q = question(1e6);
    q.x[SIZE_BYTES] = 1500; /* 10 Gbit/s are 822,368 frames of 1520 bytes a second; 575,658 with headroom */
    json_t *doc = answer(&q, &h, 1, 0), *a = first(doc);
    cr_assert_str_eq(word(a, "limit"), "nic");
    cr_assert_eq(figure(a, "count"), 2);
    NEAR(figure(at(a, "pps"), "value"), 0.7 * 10e9 / 8 / 1520, 1e-9);
    json_decref(doc);
}

Test(answer, packet_rate_limits) {
    struct size_host h = {(char *)"capped", 64, 2, 100, 0.5, 64, 10};
    struct size_question q = question(1e6);
    json_t *doc = answer(&q, &h, 1, 0), *a = first(doc);
    cr_assert_str_eq(word(a, "limit"), "packet rate");
    cr_assert_eq(figure(a, "count"), 3); /* 2.86 of 350 kpps */
    json_decref(doc);
}

Test(answer, memory_limits_and_routes_cannot_be_shared_out) {
    struct size_host h = {(char *)"little", 4, 2, 100, INFINITY, 2, 10};
    struct size_question q = question(1e5);
    q.x[SIZE_SESSIONS] = 3.2e6; /* 1.84 GB; 0.5 GB beside the system's, less routes: 4 hosts */
    json_t *doc = answer(&q, &h, 1, 0), *a = first(doc);
    cr_assert_str_eq(word(a, "limit"), "memory");
    cr_assert_eq(figure(a, "count"), 4);
    cr_assert(tells(a, "sessions: 800k asked, 1k to 100k measured"));
    json_decref(doc);
    q.x[SIZE_ROUTES] = 2e6; /* 1 GB on each */
    doc = answer(&q, &h, 1, 0);
    cr_assert(json_is_null(at(doc, "best")) && json_is_false(at(first(doc), "fits")));
    cr_assert(strstr(word(first(doc), "why"), "memory"), "%s", word(first(doc), "why"));
    cr_assert(strstr(word(doc, "conclusion"), "No host"));
    json_decref(doc);
}

/* p99 is 40 us at half the NDR and 160 us at 0.9 of it; log p99 straight between: 80 us at 0.7. */
Test(answer, latency_limits) {
    struct size_host h = ANY;
    struct size_question q = question(0.6 * EACH);
    q.headroom = 0.1;
    q.p99_ns = 80000;
    json_t *doc = answer(&q, &h, 1, 0), *a = first(doc);
    cr_assert_eq(figure(a, "count"), 1);
    cr_assert_str_eq(word(a, "limit"), "latency");
    NEAR(figure(at(a, "pps"), "value"), 0.7 * EACH, 1e-6);
    NEAR(figure(a, "p99_ns"), 40000 * sqrt(2), 1e-6); /* 0.6: a quarter of the way, in logarithms of 4 */
    json_decref(doc);

    q.rate_pps = 0.71 * EACH;
    doc = answer(&q, &h, 1, 0);
    cr_assert_eq(figure(first(doc), "count"), 2);
    json_decref(doc);

    q.p99_ns = 19000;
    doc = answer(&q, &h, 1, 0);
    cr_assert(json_is_null(at(doc, "best")));
    cr_assert(strstr(word(first(doc), "why"), "hardly any load"), "%s", word(first(doc), "why"));
    json_decref(doc);

    q.p99_ns = 1e6; /* looser than anything measured: no load is promised beyond the measured ones */
    q.headroom = 0;
    q.rate_pps = 0.95 * EACH;
    doc = answer(&q, &h, 1, 0);
    cr_assert_eq(figure(first(doc), "count"), 2);
    json_decref(doc);
}

Test(answer, a_slower_host_stretches_p99_and_a_faster_one_does_not_shrink_it) {
    struct size_host h = ANY;
    struct size_question q = question(1);
    for (int faster = 0; faster < 2; faster++) {
        h.clock_ghz = faster ? 4 : 1;
        json_t *doc = answer(&q, &h, 1, 0);
        NEAR(figure(first(doc), "p99_ns"), faster ? 20000.0 : 40000.0, 1e-6);
        json_decref(doc);
    }
}

/* Twice the 20 us of no load is 40 us, at half the NDR. */
Test(answer, the_knee) {
    struct size_host h = ANY;
    struct size_question q = question(1e6);
    json_t *doc = answer(&q, &h, 1, 0), *knee = at(doc, "knee");
    NEAR(figure(knee, "load"), 0.5, 1e-6);
    NEAR(figure(knee, "p99_ns"), 40000, 1e-9);
    NEAR(figure(knee, "pps"), 0.5 * EACH, 1e-6);
    json_decref(doc);
}

Test(answer, nothing_is_extrapolated_in_silence) {
    struct size_host h = ANY;
    struct size_question q = question(1e6);
    json_t *doc = answer(&q, &h, 1, 0);
    cr_assert_eq(json_array_size(at(first(doc), "extrapolates")), 0);
    json_decref(doc);
    q.x[SIZE_ROUTES] = 1e6;
    q.x[SIZE_ENCRYPTED] = 0.5;
    q.x[SIZE_CHURN] = 0.8;
    h.cores = 3;
    doc = answer(&q, &h, 1, 0);
    cr_assert(tells(first(doc), "routes: 1M asked, 100 to 10k measured"));
    cr_assert(tells(first(doc), "encrypted_share: 0.5 asked, only 0 measured"));
    cr_assert(tells(first(doc), "churn: 0.8 asked, 0 to 0.5 measured"));
    cr_assert(tells(first(doc), "workers: 2 asked, only 1 measured"));
    cr_assert(strstr(word(doc, "conclusion"), "beyond what was measured"));
    json_decref(doc);
}

Test(answer, the_count_has_an_interval_where_costs_are_not_known_well) {
    struct size_host h = ANY;
    struct size_question q = question(100e6);
    json_t *doc = answer(&q, &h, 1, 0.1), *range = at(first(doc), "count_interval");
    double low = json_number_value(json_array_get(range, 0)), high = json_number_value(json_array_get(range, 1));
    cr_assert(low < figure(first(doc), "count") && figure(first(doc), "count") < high, "%g to %g", low, high);
    cr_assert(low <= 13 && 13 <= high, "%g to %g, 12.6 by the law", low, high);
    json_decref(doc);
}

/* How many hosts it takes, counted up one by one from the law itself. */
static unsigned counted(const struct size_question *q, const struct size_host *h) {
    for (unsigned n = 1; n <= SIZE_COUNT_MAX; n++) {
        struct workload w = {fmax(1000, q->x[SIZE_SESSIONS] / n), q->x[SIZE_ROUTES], q->x[SIZE_BYTES], 0};
        double cycles = law(w) + OVERHEAD, each = q->rate_pps / n;
        double near = law((struct workload){fmin(fmax(pow(10, round(log10(q->x[SIZE_SESSIONS]))), 1000), 1e5), 100,
                                            w.bytes, 0}) + OVERHEAD;
        double stretch = fmax(1, cycles / h->clock_ghz / 1e9 / (near / HZ)), limit = q->p99_ns / stretch;
        double share = limit < 20000 ? 0 : limit < 40000 ? 0.1 + 0.4 * log2(limit / 20000)
                       : limit < 160000 ? 0.5 + 0.4 * log2(limit / 40000) / 2 : 0.9;
        double cpu = (h->cores - 1) * h->clock_ghz * 1e9 / cycles;
        double memory = SIZE_MEMORY_SYSTEM + SIZE_MEMORY_ROUTE * w.routes +
                        SIZE_MEMORY_SESSION * fmax(1, q->x[SIZE_SESSIONS] / n);
        if (each <= 0.7 * fmin(cpu, fmin(h->nic_mpps * 1e6, h->nic_gbps * 1e9 / 8 / (w.bytes + 20))) &&
            memory <= h->memory_gb * 1e9 && (!q->p99_ns || each <= cpu * share))
            return n;
    }
    return 0;
}

Test(answer, random_questions_are_answered_as_counting_up_does, .timeout = 120) {
    struct random r;
    int none = 0, several = 0;
    random_seed(&r, 41);
    for (int run = 0; run < 60; run++) {
        struct size_host h = {(char *)"h", 2 + random_below(&r, 15), 1 + 3 * random_unit(&r), 1 + 40 * random_unit(&r),
                              random_below(&r, 2) ? INFINITY : 0.2 + 5 * random_unit(&r), 1.7 + 4 * random_unit(&r), 1};
        struct size_question q = question(pow(10, 5 + 3.5 * random_unit(&r)));
        q.x[SIZE_SESSIONS] = pow(10, 3 + 5 * random_unit(&r));
        q.x[SIZE_BYTES] = random_below(&r, 2) ? 64 : 1500;
        q.p99_ns = random_below(&r, 2) ? 0 : 15000 * pow(20, random_unit(&r));
        unsigned want = counted(&q, &h);
        json_t *doc = answer(&q, &h, 1, 0);
        cr_assert_eq(figure(first(doc), "count"), want, "seed 41, run %d: %g, not %u; %s", run,
                     figure(first(doc), "count"), want, word(first(doc), "why"));
        none += want == 0;
        several += want > 1;
        json_decref(doc);
    }
    cr_assert(none > 2 && several > 15, "%d and %d of 60", none, several);
}

/* 10 guests make 5 Mpps and 1000 sessions; a host takes 15.9 guests' worth, less what their sessions add. */
Test(answer, guests_are_limited_by_rate_or_by_addresses) {
    struct size_host h = ANY;
    struct size_question q = question(5e6);
    q.guests = 10;
    json_t *doc = answer(&q, &h, 1, 0), *g = at(doc, "guests");
    cr_assert_eq(figure(g, "per_host"), 15); /* 15: 1500 sessions, 121.8 + 60 cycles: 11.0 Mpps, 7.70 of 7.5 asked */
    cr_assert_str_eq(word(g, "limit"), "cpu");
    json_decref(doc);
    q.guests_max = 12;
    q.hosts_max = 3;
    doc = answer(&q, &h, 1, 0);
    g = at(doc, "guests");
    cr_assert_eq(figure(g, "per_host"), 12);
    cr_assert_eq(figure(g, "in_all"), 36);
    cr_assert_str_eq(word(g, "limit"), "addresses");
    json_decref(doc);
}

Test(answer, a_question_that_leaves_open_what_differs_is_refused) {
    struct size_host h = ANY;
    struct size_catalogue c = {&h, 1, (char *)"EUR"};
    struct size_question q = question(1e6);
    struct size_measured *m = measured(grid(0, 1));
    struct err e = {0};
    json_t *doc = json_object();
    q.x[SIZE_ROUTES] = NAN;
    cr_assert_neq(size_answer(m, &c, &q, doc, &e), 0);
    cr_assert(strstr(e.what, "routes from 100 to 10k") && strstr(e.hint, "--routes"), "%s; %s", e.what, e.hint);
    size_measured_destroy(m);

    json_t *bench = grid(0, 1), *one;
    size_t i;
    json_array_foreach(at(bench, "configurations"), i, one) {
        json_object_del(one, "load");
        json_object_del(one, "ndr_pps");
    }
    m = measured(bench);
    q = question(1e6);
    q.p99_ns = 1e5;
    cr_assert_neq(size_answer(m, &c, &q, doc, &e), 0);
    cr_assert(strstr(e.what, "no result has latency"), "%s", e.what);
    q.p99_ns = 0;
    cr_assert_eq(size_answer(m, &c, &q, doc, &e), 0);
    cr_assert(tells(first(doc), "no NDR measured") && json_is_null(at(doc, "knee")));
    size_measured_destroy(m);
    json_decref(doc);
}
