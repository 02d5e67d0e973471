/* SPDX-License-Identifier: BSD-3-Clause */
/* Comparisons of made-up documents whose differences are known; what is no such document is refused by key. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/random.h>
#include <fwdlab/result/compare.h>

#define SAMPLES 80 /* in 8 epochs */

static const struct compare_options options = {.tolerance = 0.01};

static json_t *samples(struct random *r, double level) {
    json_t *list = json_array();
    for (int i = 0; i < SAMPLES; i++)
        json_array_append_new(list, json_real(level * (0.995 + 0.01 * random_unit(r))));
    return list;
}

/* A configuration of cost `level`, half of it in its stage nat-in, NDR from ndr to 1.005 ndr (0: none). */
static json_t *configuration(const char *name, const char *pair, double level, double ndr, uint64_t seed) {
    struct random r;
    random_seed(&r, seed);
    json_t *stage = json_pack("{s:s, s:f, s:o}", "name", "nat-in", "tsc_cycles", level / 2, "samples",
                              samples(&r, level / 2));
    json_t *c = json_pack("{s:s, s:{s:s}, s:{s:{s:f, s:o}, s:[o], s:s, s:[i,i,i,i,i,i,i,i]}}", "schema",
                          "fwdlab.replay/1", "scenario", "name", name, "cost", "tsc_cycles", "median", level,
                          "samples", samples(&r, level), "stages", stage, "pair", pair, "epochs", 10, 10, 10, 10, 10,
                          10, 10, 10);
    cr_assert(c);
    if (ndr > 0)
        json_object_set_new(c, "ndr_pps", json_pack("{s:f, s:f}", "lower", ndr, "upper", ndr * 1.005));
    return c;
}

static json_t *of(const json_t *out, const char *figure) {
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(out, "figures"), i, f)
        if (!strcmp(json_string_value(json_object_get(f, "figure")), figure))
            return f;
    cr_assert_fail("no figure %s", figure);
    return NULL;
}
static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}
static double ratio(const json_t *f) {
    return json_number_value(json_object_get(f, "ratio"));
}

static json_t *compare(json_t **docs, unsigned n, const struct compare_options *o) {
    struct compare_document d[16];
    struct err e = {0};
    json_t *out = json_object();
    for (unsigned i = 0; i < n; i++)
        d[i] = (struct compare_document){i % 2 ? "new.json" : "base.json", docs[i]};
    cr_assert_eq(compare_documents(d, n, o, out, &e), 0, "%s: %s", e.where, e.what);
    for (unsigned i = 0; i < n; i++)
        json_decref(docs[i]);
    return out;
}

static void check(const json_t *out, const char *figure, const char *verdict, const char *method) {
    const json_t *f = of(out, figure);
    cr_assert(!strcmp(text(f, "verdict"), verdict) && !strcmp(text(f, "method"), method), "%s: %s, %s; ratio %f",
              figure, text(f, "verdict"), text(f, "method"), ratio(f));
}

Test(compare, one_run_is_compared_in_pairs_wherever_its_documents_are) {
    for (int split = 0; split < 2; split++) {
        json_t *a = configuration("a", "1-2", 100, 2e6, 1), *b = configuration("b", "1-2", 103, 2.2e6, 2);
        json_t *whole = json_pack("{s:[o,o]}", "configurations", a, b);
        json_t *out;
        if (split) {
            json_incref(a);
            json_incref(b);
            json_decref(whole);
        }
        out = compare(split ? (json_t *[]){a, b} : (json_t *[]){whole}, split + 1, &options);
        check(out, "cost", "worse", "paired");
        check(out, "cost: nat-in", "worse", "paired");
        check(out, "ndr_pps", "better", "single"); /* by its bounds */
        cr_assert_float_eq(ratio(of(out, "cost")), 1.03, 0.004);
        cr_assert_eq(json_integer_value(json_object_get(of(out, "cost"), "pairs")), SAMPLES);
        cr_assert_str_eq(text(out, "kind"), "paired");
        cr_assert_eq(json_integer_value(json_object_get(out, "regressions")), 2);
        cr_assert(strstr(text(out, "conclusion"), "A regression: 2 of 3"), "%s", text(out, "conclusion"));
        json_decref(out);
    }
}

Test(compare, within_the_tolerance_is_the_same) {
    json_t *out = compare((json_t *[]){configuration("a", "1-2", 100, 0, 1), configuration("b", "1-2", 100.3, 0, 2)}, 2,
                          &options);
    check(out, "cost", "same", "paired");
    cr_assert_eq(json_integer_value(json_object_get(out, "regressions")), 0);
    json_decref(out);
}

Test(compare, single_runs_are_unclear_unless_far_apart) {
    static const struct { double level, ndr; const char *cost, *rate; } cases[] = {
        {100, 2e6, "unclear", "unclear"}, {120, 1.7e6, "unclear", "unclear"}, {80, 2.4e6, "unclear", "unclear"},
        {150, 1.2e6, "worse", "worse"},   {60, 3e6, "better", "better"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *out = compare((json_t *[]){configuration("a", "1", 100, 2e6, 1),
                                           configuration("a", "2", cases[i].level, cases[i].ndr, 2)}, 2, &options);
        check(out, "cost", cases[i].cost, "single");
        check(out, "ndr_pps", cases[i].rate, "single");
        cr_assert_str_eq(text(of(out, "ndr_pps"), "better"), "more");
        json_decref(out);
    }
}

Test(compare, bounds_that_are_not_known) {
    json_t *a = configuration("a", "1", 100, 2e6, 1), *b = configuration("a", "2", 100, 2e6, 2);
    json_object_set_new(json_object_get(b, "ndr_pps"), "upper", json_null());
    json_object_set_new(a, "pdr_pps", json_null());
    json_t *out = compare((json_t *[]){a, b}, 2, &options);
    cr_assert(json_is_null(json_array_get(json_object_get(of(out, "ndr_pps"), "interval"), 1)));
    check(out, "ndr_pps", "unclear", "single");
    json_decref(out);
}

/* Between runs everything drifts by 20 %, for both builds alike. */
Test(compare, runs_that_took_turns) {
    struct random r;
    random_seed(&r, 3);
    for (unsigned n = 4; n <= 16; n += 12) {
        json_t *docs[16];
        for (unsigned i = 0; i < n; i += 2) {
            double drift = 90 + 20 * random_unit(&r);
            docs[i] = configuration("a", "x", drift, 2e6, i);
            docs[i + 1] = configuration("a", "y", drift * (1.045 + 0.01 * random_unit(&r)), 2e6, i + 1);
        }
        json_t *out = compare(docs, n, &options);
        cr_assert_str_eq(text(out, "kind"), "runs");
        check(out, "cost", n == 4 ? "unclear" : "worse", "runs"); /* two pairs make no interval */
        check(out, "ndr_pps", n == 4 ? "unclear" : "same", "runs");
        json_decref(out);
    }
}

Test(compare, latency_and_share_delivered_by_load) {
    json_t *docs[2];
    for (int i = 0; i < 2; i++) {
        docs[i] = configuration("a", i ? "2" : "1", 100, 0, 1);
        json_object_set_new(docs[i], "load", json_pack("{s:{s:{s:i, s:i, s:i, s:i}, s:{s:f, s:i, s:i}}}", "50",
            "latency_ns", "p50", i ? 9000 : 3000, "p90", 4000, "p99", 5000, "p999", 9000, "trial", "loss_ratio",
            i ? 0.05 : 0.0, "lost_time_ns", 0, "duration_ns", 1000000));
    }
    json_t *out = compare(docs, 2, &options);
    check(out, "latency p50 at 50 %", "worse", "single");
    check(out, "latency p99 at 50 %", "unclear", "single");
    cr_assert_float_eq(ratio(of(out, "delivered at 50 %")), 0.95, 1e-9);
    json_decref(out);
}

static void refused(json_t *a, json_t *b, bool strict, const char *where, const char *what) {
    const struct compare_document d[] = {{"base.json", a}, {"new.json", b}};
    const struct compare_options o = {.tolerance = 0.01, .strict = strict};
    struct err e = {0};
    json_t *out = json_object();
    cr_assert_lt(compare_documents(d, b ? 2 : 1, &o, out, &e), 0, "%s", what);
    cr_assert(strstr(e.where, where) && strstr(e.what, what), "%s: %s, not %s: %s", e.where, e.what, where, what);
    cr_assert_eq(json_object_size(out), 0);
    json_decref(out);
    json_decref(a);
    json_decref(b);
}

Test(compare, refusals_name_file_and_key) {
    json_t *good = configuration("a", "1", 100, 2e6, 1), *bad;
    static const struct { const char *path[3]; const char *json, *what; } cases[] = {
        {{"cost", "tsc_cycles", "median"}, "\"fast\"", "\"cost.tsc_cycles.median\" is not a number"},
        {{"cost", "tsc_cycles", "median"}, "-1", "cost.tsc_cycles.median"},
        {{"cost", "tsc_cycles", "samples"}, "[1, \"two\"]", "samples\" is not a number"},
        {{"cost", "epochs"}, "[1, 2]", "\"cost.epochs\" does not add up"},
        {{"cost", "stages"}, "[{}]", "\"cost.stages\" has a stage without a name"},
        {{"cost"}, "7", "\"cost\" is not an object"},
        {{"ndr_pps"}, "{}", "\"ndr_pps\" is missing"},
        {{"ndr_pps"}, "{\"lower\": 5, \"upper\": 4}", "upper bound below"},
        {{"scenario", "name"}, "5", "\"scenario.name\" is missing"},
        {{"configurations"}, "[]", "\"configurations\" is not a list"},
        {{"load"}, "{\"50\": {\"latency_ns\": {\"p50\": 1}}}", "\"p90\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *at = bad = json_deep_copy(good);
        unsigned k = 0;
        for (; k < 2 && cases[i].path[k + 1]; k++)
            at = json_object_get(at, cases[i].path[k]);
        json_object_set_new(at, cases[i].path[k], json_loads(cases[i].json, JSON_DECODE_ANY, NULL));
        refused(json_incref(good), bad, false, "new.json", cases[i].what);
    }
    refused(json_incref(good), NULL, false, "base.json", "one configuration");
    refused(json_incref(good), json_pack("{s:{s:s}}", "scenario", "name", "a"), false, "new.json", "other figure");
    json_decref(good);
}

Test(compare, other_machines_and_traces_are_told) {
    for (int what = 0; what < 3; what++) {
        json_t *docs[2];
        for (int i = 0; i < 2; i++) {
            docs[i] = configuration("a", "1", 100, 0, 1);
            json_object_set_new(docs[i], "environment", json_pack("{s:s, s:[s]}", "cpu", what == 0 && i ? "X" : "Y",
                                                                  "flags", what == 1 && i ? "sse" : "avx2"));
            json_object_set_new(docs[i], "inputs", json_pack("[{s:s, s:s}]", "role", "trace", "digest",
                                                             what == 2 && i ? "beef" : "cafe"));
        }
        static const char *const words[] = {"another CPU", "other CPU flags", "another trace"};
        refused(json_incref(docs[0]), json_incref(docs[1]), true, "new.json", words[what]);
        json_t *out = compare(docs, 2, &options), *warnings = json_object_get(out, "warnings");
        cr_assert_eq(json_array_size(warnings), 1);
        cr_assert(strstr(json_string_value(json_array_get(warnings, 0)), words[what]));
        json_decref(out);
    }
}

Test(compare, junit) {
    char path[] = "/tmp/fwdlab-junit-XXXXXX", *data;
    size_t len;
    struct err e = {0};
    close(mkstemp(path));
    json_t *out = compare((json_t *[]){configuration("<a & \"b\">", "1", 100, 2e6, 1),
                                       configuration("<a & \"b\">", "1", 110, 2.02e6, 2)}, 2, &options);
    cr_assert_eq(compare_junit_save(out, path, &e), 0, "%s", e.what);
    cr_assert_eq(file_load(path, &data, &len, &e), 0);
    cr_assert(strstr(data, "tests=\"3\" failures=\"2\" skipped=\"1\""), "%s", data);
    cr_assert(strstr(data, "classname=\"&lt;a &amp; &quot;b&quot;&gt;\" name=\"cost\"><failure message=\"wors"), "%s",
              data);
    cr_assert(strstr(data, "name=\"ndr_pps\"><skipped message=\"unclear"), "%s", data);
    unlink(path);
    free(data);
    json_decref(out);
}
