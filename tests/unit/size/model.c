/* SPDX-License-Identifier: BSD-3-Clause */
/* The cost model: a known law comes back from made-up results, and what results cannot tell is said. */
#include <string.h>
#include "helper.h"

static json_t *term(json_t *doc, const char *name) {
    json_t *found = NULL, *t;
    size_t i;
    json_array_foreach(at(at(doc, "model"), "terms"), i, t)
        if (!strcmp(word(t, "name"), name))
            found = t;
    return found;
}

static json_t *model_of(json_t *doc, struct size_question q) {
    struct size_measured *m = measured(doc);
    struct size_host h = {(char *)"h", 4, 2, 100, INFINITY, 64, 1};
    struct size_catalogue c = {&h, 1, (char *)"EUR"};
    struct err e = {0};
    json_t *out = json_object();
    cr_assert_eq(size_answer(m, &c, &q, out, &e), 0, "%s", e.what);
    size_measured_destroy(m);
    return out;
}

static const struct { const char *name; double value; } truth[] = {
    {"constant", 100}, {"sessions", 10}, {"routes", 5}, {"packet_bytes", 0.25}, {"churn", 200}};

Test(model, the_exact_law_comes_back) {
    json_t *doc = model_of(grid(0, 1), question(1e6));
    for (size_t i = 0; i < 5; i++) {
        json_t *t = term(doc, truth[i].name);
        cr_assert(t, "%s", truth[i].name);
        NEAR(figure(t, "coefficient"), truth[i].value, 1e-6);
    }
    json_t *o = at(at(doc, "model"), "overhead_tsc_cycles");
    NEAR(figure(o, "value"), OVERHEAD, 1e-6);
    cr_assert(!term(doc, "nat") && !term(doc, "workers") && !term(doc, "encrypted_share"));
    cr_assert_eq(json_array_size(at(at(doc, "model"), "left_out")), 3);
    NEAR(figure(term(doc, "sessions"), "from"), 1000, 1e-9);
    json_decref(doc);
}

Test(model, intervals_cover_the_law_of_noisy_results, .timeout = 120) {
    enum { RUNS = 100 };
    int covered[5] = {0};
    for (int run = 0; run < RUNS; run++) {
        json_t *doc = model_of(grid(0.03, 100 + (uint64_t)run), question(1e6));
        for (size_t i = 0; i < 5; i++) {
            json_t *interval = at(term(doc, truth[i].name), "interval");
            covered[i] += json_number_value(json_array_get(interval, 0)) <= truth[i].value &&
                          truth[i].value <= json_number_value(json_array_get(interval, 1));
        }
        json_decref(doc);
    }
    for (size_t i = 0; i < 5; i++)
        cr_assert(covered[i] >= 87, "%s: %d of %d, seeds 100...", truth[i].name, covered[i], RUNS);
}

/* Flat up to 64k sessions (a cache's knee), then 40 cycles a doubling. */
Test(model, a_knee_is_found_where_the_results_show_one_and_not_elsewhere) {
    for (int knee = 0; knee < 2; knee++) {
        json_t *list = json_array();
        struct random r;
        random_seed(&r, 5);
        for (int i = 0; i < 33; i++) {
            struct workload w = {1000 * pow(2, i % 11), 100, 64, 0};
            double cycles = knee ? 150 + 40 * fmax(0, i % 11 - 6) : 150 + 10 * (i % 11);
            json_array_append_new(list, configuration(w, cycles * (1 + 0.01 * noise(&r)), "made-up"));
        }
        json_t *doc = model_of(document(list), question(1e6)), *t = term(doc, "sessions");
        NEAR(figure(t, "from"), knee ? 64000.0 : 1000.0, 1e-9);
        NEAR(figure(t, "coefficient"), knee ? 40.0 : 10.0, 0.1);
        json_decref(doc);
    }
}

Test(model, one_result_and_equal_results_give_a_constant) {
    for (int n = 1; n < 4; n += 2) {
        json_t *list = json_array();
        for (int i = 0; i < n; i++)
            json_array_append_new(list, configuration((struct workload){1000, 100, 64, 0}, 140, "made-up"));
        json_t *doc = model_of(document(list), question(1e6)), *t = term(doc, "constant");
        cr_assert_eq(json_array_size(at(at(doc, "model"), "terms")), 1);
        NEAR(figure(t, "coefficient"), 140, 1e-9);
        cr_assert_eq(json_array_size(at(doc, "curve")), 0);
        cr_assert(n > 1 || strstr(json_string_value(json_array_get(at(doc, "notes"), 0)), "nothing tests it"));
        json_decref(doc);
    }
}

/* Routes and sessions that only ever grew together: which of them costs cannot be told. */
Test(model, what_moved_together_is_not_told_apart) {
    json_t *list = json_array();
    for (int i = 0; i < 5; i++) {
        struct workload w = {1000 * pow(10, i), 100 * pow(10, i), 64, 0};
        json_array_append_new(list, configuration(w, law(w), "made-up"));
    }
    json_t *doc = model_of(document(list), question(1e6));
    cr_assert(term(doc, "sessions") && !term(doc, "routes"));
    NEAR(figure(term(doc, "sessions"), "coefficient"), 15, 1e-6);
    json_decref(doc);
}

Test(model, curves_follow_the_law_and_measured_values_are_moved_onto_them) {
    json_t *doc = model_of(grid(0, 1), question(1e6)), *curves = at(doc, "curve");
    cr_assert_eq(json_array_size(curves), 4);
    json_t *one = json_array_get(curves, 0);
    cr_assert_str_eq(word(one, "x"), "sessions");
    json_t *last = json_array_get(at(one, "points"), json_array_size(at(one, "points")) - 1);
    NEAR(json_number_value(json_array_get(last, 0)), 100000, 1e-9);
    double there = law((struct workload){100000, 100, 64, 0});
    NEAR(json_number_value(json_array_get(last, 1)), there, 1e-6);
    cr_assert_lt(json_number_value(json_array_get(last, 2)), there);
    cr_assert_gt(json_number_value(json_array_get(last, 3)), there);
    json_t *seen;
    size_t i;
    json_array_foreach(at(one, "measured"), i, seen) {
        struct workload w = {json_number_value(json_array_get(seen, 0)), 100, 64, 0};
        NEAR(json_number_value(json_array_get(seen, 1)), law(w), 1e-6);
    }
    cr_assert_eq(i, ROWS);
    json_decref(doc);
}

static void refused(json_t *doc, const char *scenario, const char *what) {
    struct err e = {0};
    const char *path = "made-up.json";
    cr_assert_null(size_measured_create(&doc, &path, 1, scenario, &e), "%s", what);
    cr_assert(strstr(e.what, what), "%s: %s", what, e.what);
    json_decref(doc);
}

Test(model, results_that_cannot_be_used_are_refused) {
    json_t *doc = grid(0, 1);
    json_object_del(json_array_get(at(doc, "configurations"), 3), "workload");
    refused(doc, NULL, "sessions, routes and packet size");
    doc = grid(0, 1);
    json_object_del(json_array_get(at(doc, "configurations"), 3), "cost");
    refused(doc, NULL, "no cost");
    doc = grid(0, 1);
    json_object_del(at(json_array_get(at(doc, "configurations"), 3), "workload"), "routes");
    refused(doc, NULL, "`routes`");
    refused(grid(0, 1), "other", "scenario `other`");

    struct err e = {0};
    json_t *docs[2] = {grid(0, 1), grid(0, 1)};
    const char *paths[2] = {"one.json", "two.json"};
    json_object_set_new(at(docs[1], "environment"), "cpu", json_string("another"));
    cr_assert_null(size_measured_create(docs, paths, 2, NULL, &e));
    cr_assert(strstr(e.what, "another machine") && !strcmp(e.where, "two.json"), "%s: %s", e.where, e.what);
    json_decref(docs[0]);
    json_decref(docs[1]);
}

/* The clock of a result that does not say it: what cost and Mpps agree on. */
Test(model, the_clock_of_older_results_is_worked_out) {
    json_t *doc = grid(0, 1);
    json_object_del(at(doc, "environment"), "tsc_hz");
    doc = model_of(doc, question(1e6));
    NEAR(figure(at(doc, "model"), "tsc_hz"), HZ, 1e-9);
    json_decref(doc);
}
