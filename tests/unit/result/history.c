/* SPDX-License-Identifier: BSD-3-Clause */
/* Histories: read, written, and what changed in them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/result/compare.h>

static const struct compare_options options = {.tolerance = 0.01};

static json_t *history(const double *cost, const double *rate, unsigned n) {
    json_t *runs = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(runs, json_pack("{s:s, s:o, s:s, s:{s:f, s:f}}", "date", "2026-01-31T12:00:00Z", "commit",
                                              json_sprintf("c%u", i), "cpu", "Y", "figures", "a/b/cost", cost[i],
                                              "a/b/ndr_pps", rate[i]));
    return runs;
}

static json_t *compare(json_t *runs) {
    struct err e = {0};
    json_t *out = json_object();
    cr_assert_eq(compare_history("h.jsonl", runs, &options, out, &e), 0, "%s", e.what);
    json_decref(runs);
    return out;
}

static const char *verdict(const json_t *out, unsigned figure) {
    return json_string_value(json_object_get(json_array_get(json_object_get(out, "figures"), figure), "verdict"));
}

Test(history, the_newest_level_against_the_one_before) {
    static const double up[] = {100, 101, 99, 100, 100, 101, 99, 106, 105, 106, 107, 106};
    static const double down[] = {50, 49.8, 50.2, 50, 50, 50.1, 49.9, 50, 50, 50.1, 40, 40.2};
    json_t *out = compare(history(up, down, 12));
    cr_assert_str_eq(json_string_value(json_object_get(out, "kind")), "history");
    cr_assert_str_eq(verdict(out, 0), "worse");
    cr_assert_str_eq(verdict(out, 1), "worse"); /* more is better */
    cr_assert_eq(json_integer_value(json_object_get(out, "regressions")), 2);
    json_t *changes = json_object_get(out, "changes"), *first = json_array_get(changes, 0);
    cr_assert_eq(json_array_size(changes), 2);
    cr_assert_eq(json_integer_value(json_object_get(first, "at")), 7);
    cr_assert_str_eq(json_string_value(json_object_get(first, "commit")), "c7");
    cr_assert_str_eq(json_string_value(json_object_get(first, "configuration")), "a/b");
    cr_assert_float_eq(json_number_value(json_object_get(first, "ratio")), 1.06, 1e-9);
    cr_assert_gt(json_number_value(json_object_get(first, "bits")), 0);
    json_t *series = json_array_get(json_object_get(out, "series"), 0);
    cr_assert_eq(json_array_size(json_object_get(series, "values")), 12);
    cr_assert_eq(json_array_size(json_object_get(series, "segments")), 2);
    json_decref(out);
    out = compare(history(down, up, 12));
    cr_assert(!strcmp(verdict(out, 0), "better") && !strcmp(verdict(out, 1), "better"));
    json_decref(out);
}

Test(history, steady_few_and_lone_runs) {
    static const double steady[] = {100, 100.4, 99.7, 100, 100.2, 99.8, 100.1, 100};
    static const double lone[] = {100, 100.4, 99.7, 100, 100.2, 99.8, 100.1, 130};
    json_t *out = compare(history(steady, lone, 8));
    cr_assert_str_eq(verdict(out, 0), "same");
    cr_assert_str_eq(verdict(out, 1), "unclear");
    cr_assert_eq(json_integer_value(json_object_get(out, "regressions")), 0);
    json_decref(out);
    out = compare(history(steady, lone, 3));
    cr_assert_str_eq(verdict(out, 0), "unclear");
    json_decref(out);
}

Test(history, other_machines_are_left_out) {
    static const double v[] = {100, 100.4, 200, 99.7, 100, 100.2};
    struct err e = {0};
    json_t *runs = history(v, v, 6), *out;
    json_object_set_new(json_array_get(runs, 2), "cpu", json_string("X"));
    out = json_object();
    const struct compare_options strict = {.tolerance = 0.01, .strict = true};
    cr_assert_lt(compare_history("h.jsonl", runs, &strict, out, &e), 0);
    cr_assert(strstr(e.what, "1 runs are of another CPU"), "%s", e.what);
    json_decref(out);
    out = compare(runs);
    cr_assert_str_eq(verdict(out, 0), "same");
    cr_assert_eq(json_array_size(json_object_get(out, "warnings")), 1);
    json_decref(out);
    runs = json_array();
    out = json_object();
    cr_assert_lt(compare_history("h.jsonl", runs, &options, out, &e), 0);
    json_decref(runs);
    json_decref(out);
}

Test(history, a_file_of_lines) {
    char path[] = "/tmp/fwdlab-history-XXXXXX";
    static const double v[] = {100, 101};
    struct err e = {0};
    close(mkstemp(path));
    unlink(path);
    json_t *runs = history_load(path, &e), *back;
    cr_assert(runs && json_array_size(runs) == 0, "missing: empty");
    json_decref(runs);
    runs = history(v, v, 2);
    cr_assert_eq(history_save(path, runs, &e), 0, "%s", e.what);
    back = history_load(path, &e);
    cr_assert(back && json_equal(runs, back), "%s", e.what);
    json_decref(back);
    static const struct { const char *text, *what; int line; } bad[] = {
        {"{\"date\": \"x\"", "not JSON", 2},
        {"{\"date\": \"x\", \"commit\": \"c\", \"cpu\": \"\"}", "\"figures\"", 2},
        {"{\"date\": 5, \"commit\": \"c\", \"cpu\": \"\", \"figures\": {}}", "\"date\"", 2},
        {"\n{\"date\": \"\", \"commit\": \"c\", \"cpu\": \"\", \"figures\": {\"a/cost\": \"x\"}}", "\"a/cost\"", 3},
        {"[]", "\"cpu\"", 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024], where[64];
        int n = snprintf(text, sizeof text, "{\"date\": \"\", \"commit\": \"c\", \"cpu\": \"\", \"figures\": {}}\n%s\n",
                         bad[i].text);
        cr_assert_eq(file_save(path, text, (size_t)n, &e), 0);
        cr_assert_null(history_load(path, &e), "case %zu", i);
        snprintf(where, sizeof where, "%s:%d", path, bad[i].line);
        cr_assert(strstr(e.what, bad[i].what) && !strcmp(e.where, where), "case %zu: %s: %s", i, e.where, e.what);
    }
    unlink(path);
    json_decref(runs);
}

Test(history, a_run_from_a_document) {
    struct err e = {0};
    json_t *doc = json_pack("{s:{s:s}, s:{s:s, s:s}, s:{s:{s:f, s:[f,f]}}}", "scenario", "name", "a", "environment",
                            "cpu", "Y", "commit", "built", "cost", "tsc_cycles", "median", 5.0, "samples", 5.0, 5.0);
    const struct compare_document d = {"x.json", doc};
    json_t *run = history_run(&d, "now", NULL, &e), *named = history_run(&d, "now", "c1", &e);
    cr_assert_eq(json_number_value(json_object_get(json_object_get(run, "figures"), "a/cost")), 5);
    cr_assert_str_eq(json_string_value(json_object_get(run, "commit")), "built");
    cr_assert_str_eq(json_string_value(json_object_get(named, "commit")), "c1");
    json_decref(run);
    json_decref(named);
    json_object_del(doc, "cost");
    cr_assert_null(history_run(&d, "now", NULL, &e));
    cr_assert_str_eq(e.where, "x.json");
    json_decref(doc);
}
