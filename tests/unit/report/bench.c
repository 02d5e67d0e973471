/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages and texts of benchmarks, comparisons and sizings, from documents made here. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fwdlab/base/random.h>
#include <fwdlab/report/report.h>
#include "helper.h"

TestSuite(measured, .init = report_setup, .fini = report_teardown);

#define LATENCY "{'min': 900, 'p50': 1200, 'p90': 3000, 'p99': 14000, 'p999': 31000, 'max': 90000, 'count': 1000," \
    " 'mean': 1800.5, 'histogram': [[896, 1024, 400], [2048, 4096, 500], [8192, 16384, 95], [65536, 131072, 5]]}"
#define LOAD(pps) "{'pps': " pps ", 'latency_ns': " LATENCY ", 'delay_variation': {'pdv_ns': {'p50': 1, 'p99': 4100," \
    " 'p999': 9, 'max': 9}, 'ipdv_ns': {'p50': 1, 'p99': 3100, 'p999': 7, 'max': 9}}, 'cost': {'stages': [" \
    " {'name': 'parse', 'tsc_cycles': 30.5, 'packets': 9, 'drops': 0}, {'name': 'NAME', 'tsc_cycles': 99.5}]," \
    " 'tsc_cycles': 130, 'packets_a_burst': 7.5}, 'dropped': {'total': 4, 'NAME': 3, 'no-route': 1}," \
    " 'generator': {'pace': 'NAME', 'slip_ns': {'p50': 1, 'p99': 160, 'max': 9}, 'valid': true}," \
    " 'fidelity': {'gap_error_ns': {'p50': 1, 'p99': 310, 'max': 9}}, 'trial': " TRIAL("load", "4e6", "0", "true") "," \
    " 'capture': 'NAME'}"
#define TRIAL(goal, load, loss, valid) "{'goal': '" goal "', 'load_pps': " load ", 'duration_ns': 800000000," \
    " 'sent_pps': 1e6, 'received_pps': 1e6, 'loss_ratio': " loss ", 'pushed_back': 12, 'slip_ns': {'p99': 120}," \
    " 'gap_error_ns': {'p99': 330}, 'valid': " valid ", 'why': 'NAME', 'lost_time_ns': 80000, 'noisy': false}"

/* One configuration; NAME stands for the hostile or harmless name of everything. */
#define CONFIGURATION(name, cycles, sessions) "{'name': '" name "', 'scenario': {'name': 'NAME', 'title': 'NAME'}," \
    " 'workload': {'sessions': " sessions ", 'routes': 100, 'packet_bytes': 500, 'sizes': 'NAME', 'churn': 0.5," \
    "   'encrypted_share': 0, 'workers': 1, 'nat': true}, 'topology': 'NAME', 'options': {'burst': 64}," \
    " 'cost': {'tsc_cycles': {'median': " cycles ", 'p5': 90, 'p95': 300, 'samples': [1, 2]}, 'stages': [" \
    "   {'name': 'parse', 'tsc_cycles': 20.5}, {'name': 'NAME', 'tsc_cycles': 80}]}," \
    " 'ndr_pps': {'lower': 7.9e6, 'upper': 7.93e6}, 'pdr_pps': {'lower': 8.2e6, 'upper': 8.22e6}," \
    " 'goals': [{'name': 'ndr', 'loss_ratio': 0, 'width': 0.005, 'lower': 7.9e6, 'upper': 7.93e6, 'exact': true}," \
    "   {'name': 'pdr', 'loss_ratio': 0.005, 'width': 0.005, 'lower': 8.2e6, 'upper': 8.22e6, 'exact': true}]," \
    " 'mrr_pps': {'median': 8.4e6, 'samples': [8.4e6]}, 'trials': {'total': 5, 'repeated': 1, 'invalid': 1, 'list': [" \
    TRIAL("warm-up", "1.6e7", "0.5", "true") "," TRIAL("pdr", "1e7", "0.2", "true") "," \
    TRIAL("ndr", "5e6", "0", "true") "," TRIAL("ndr", "9e6", "0.01", "false") "]}," \
    " 'load': {'90': " LOAD("7.38e6") ", '0': " LOAD("1000") ", '10': " LOAD("820000") ", '50': " LOAD("4.1e6") "}," \
    " 'back_to_back': {'packets': 2311.5, 'tests': [2311], 'corrected': 1180}, 'nat_rates': {'setup_per_s':" \
    "   {'lower': 812345, 'upper': 815000}, 'teardown_per_s': 2400000, 'capacity': 64512, 'source': 'NAME'}}"
#define HEAD(command) "{'schema': 'fwdlab." command "/1', 'environment': {'cpu': 'NAME', 'noise': {" \
    " 'lost_share': 0.0002, 'lost_ns': 200000, 'gap_max_ns': 41000, 'gap_p50_ns': 30, 'quiet': true}}, 'inputs': [],"

static const char bench_text[] = HEAD("bench") "'configurations': [" CONFIGURATION("base", "181.25", "1000") ","
    CONFIGURATION("NAME", "237.5", "100000") "], 'comparison': [{'name': 'NAME', 'base': 'base', 'figure': 'cost',"
    " 'ratio': 1.31, 'interval': [1.28, 1.35], 'verdict': 'worse', 'pairs': 40}, {'name': 'NAME', 'base': 'base',"
    " 'figure': 'mrr', 'ratio': 0.8, 'interval': [0.7, null], 'verdict': 'unclear', 'pairs': 10}]}";
#define FIGURE(figure, unit, base, new, ratio, verdict) "{'configuration': 'NAME', 'figure': '" figure "'," \
    " 'unit': '" unit "', 'base': " base ", 'new': " new ", 'ratio': " ratio ", 'interval': [0.9, 1.2]," \
    " 'verdict': '" verdict "'," \
    " 'tolerance': 0.02, 'pairs': 9, 'method': 'single'}"
static const char compare_text[] = HEAD("compare") "'kind': 'history', 'figures': ["
    FIGURE("cost", "cycles", "100.5", "101", "1.005", "same") ","
    FIGURE("latency p99", "ns", "14000", "7000", "0.5", "better") ","
    FIGURE("ndr_pps", "pps", "7.9e6", "6.9e6", "0.873", "worse") "], 'changes': [{'configuration': 'NAME',"
    " 'figure': 'cost', 'at': 3, 'commit': 'NAME', 'date': 'NAME', 'before': 100, 'after': 110, 'ratio': 1.1,"
    " 'bits': 9.5}],"
    " 'series': [{'configuration': 'NAME', 'figure': 'cost', 'unit': 'NAME', 'values': [100, 101, 99, 110, 111],"
    "   'segments': [{'from': 0, 'to': 2, 'level': 100}, {'from': 3, 'to': 4, 'level': 110.5}]}],"
    " 'regressions': 1, 'conclusion': 'NAME became slower.'}";
static const char size_text[] = HEAD("size") "'model': {'terms': [{'name': 'NAME', 'unit': 'NAME', 'coefficient': 3.25,"
    "   'interval': [3, 3.5]}], 'points': 12, 'residual': 0.021}, 'answers': [{'host': 'NAME', 'count': 2, 'cores': 4,"
    "   'pps': {'value': 1.4e6, 'interval': [1.3e6, 1.5e6]}, 'limit': 'cpu', 'headroom': 0.31, 'p99_ns': 34000,"
    "   'price': 120, 'fits': true, 'why': 'NAME', 'extrapolates': ['NAME']}], 'best': 'NAME',"
    " 'knee': {'pps': 1.2e6, 'load': 0.86}, 'guests': {'NAME': 48, 'limit': 'NAME'}, 'notes': ['NAME'],"
    " 'curve': [{'x': 'NAME', 'points': [[1, 100, 90, 110], [1000, 150, 140, 160]],"
    "   'measured': [[10, 110], [1, null]]}],"
    " 'conclusion': 'Two NAME carry it.'}";

/* The page of documents that it releases. */
static char *page_of(unsigned n, json_t *const *documents) {
    struct report_document docs[4];
    struct err e = {0};
    for (unsigned i = 0; i < n; i++)
        docs[i] = (struct report_document){i ? "other.json" : "first.json", documents[i]};
    cr_assert_eq(report_html(docs, n, dir, &e), 0, "%s: %s", e.where, e.what);
    for (unsigned i = 0; i < n; i++)
        json_decref(docs[i].doc);
    return read_file("report.html");
}

static void assert_in_order(const char *text, const char *const *parts, size_t n) {
    const char *at = text;
    for (size_t i = 0; i < n; i++) {
        const char *found = strstr(at, parts[i]);
        cr_assert(found, "missing, or not in this order: %s\n%s", parts[i], strlen(text) < 9000 ? text : "");
        at = found + strlen(parts[i]);
    }
}
#define ASSERT_IN_ORDER(text, ...)                                                                                     \
    assert_in_order(text, (const char *const[]){__VA_ARGS__},                                                          \
                    sizeof (const char *const[]){__VA_ARGS__} / sizeof(char *))

Test(measured, page_says_what_to_conclude_first) {
    char *html = page_of(1, (json_t *[]){document(bench_text, "nat")}), *md = read_file("summary.md");
    assert_balanced(html);
    ASSERT_IN_ORDER(html, "Benchmark report: base and 1 more", "href=\"#rates\"", "What this shows",
        "base carries 7.9 Mpps without loss (NDR), 8.2 Mpps with at most 0.5 % loss (PDR), "
        "p99 latency at half of PDR is 14 µs; nat carries 7.9 Mpps",
        "costs 1.310 [1.280, 1.350] times as much as base.", "lost 0.02 % of the time (longest gap 41 µs)",
        "trials lost 0.01 %", "Measured", "NDR is 31.6 Gbit/s of packets of 500 bytes",
        "At no load p50 1.2 µs, p99 14 µs, p99.9 31 µs; at 10 % of PDR", "at 90 % of PDR",
        "At 90 % of PDR: 3 nat, 1 no-route",
        "181.2 TSC cycles a packet in memory (median).", "2,311 packets back to back", "812,345 sessions a second",
        "times that of base: worse", "0.800 times that of base: unclear", "id=\"rates\"", "id=\"latency\"",
        "4.1 µs", "id=\"load-cost\"", "Cost of base by stage and load", "99.5", "id=\"trials\"",
        "title=\"nat\">late</td>", "id=\"ground\"", "no drop rate");
    cr_assert_null(strstr(html, "id=\"findings\""), "sections that no document is about are left out");
    ASSERT_IN_ORDER(md, "# Benchmark report", "base carries 7.9 Mpps", "## base: Measured", "## nat: Measured",
                    "| nat |");
    free(html);
    free(md);
}

/* Without gnuplot (it is optional) there is nothing to test. */
static void assert_charts(const char *html, const char *const *names, size_t n) {
    cr_assert(!strstr(html, "Charts are left out") || strstr(html, "gnuplot cannot be started"), "gnuplot failed");
    for (size_t i = 0; i < n && !strstr(html, "gnuplot cannot be started"); i++) {
        char file[64], *svg;
        snprintf(file, sizeof file, "%s.svg", names[i]);
        svg = read_file(file);
        assert_balanced(svg);
        cr_assert(strstr(html, svg), "%s is not in the page", file);
        cr_assert(strstr(svg, "<path"), "%s is empty", file);
        free(svg);
    }
}
#define ASSERT_CHARTS(html, ...)                                                                                       \
    assert_charts(html, (const char *const[]){__VA_ARGS__}, sizeof (const char *const[]){__VA_ARGS__} / sizeof(char *))

Test(measured, every_chart_is_drawn) {
    char *html = page_of(3, (json_t *[]){document(bench_text, "nat"), document(compare_text, "nat"),
                                         document(size_text, "nat")});
    assert_balanced(html);
    ASSERT_CHARTS(html, "search-1", "search-2", "loss-1", "loss-2", "latency-load", "latency-rate",
                  "latency-percentiles", "cost-waterfall", "cost-load-1", "cost-load-2", "cost-sessions", "compare-1",
                  "history-1", "size-1");
    cr_assert_null(strstr(html, "Cost against routes"), "nothing varies there");
    ASSERT_IN_ORDER(html, "Extrapolated", "Two nat carry it.", "Regression", "nat became slower.", "Single",
                    "id=\"rates\"",
                    "id=\"compare\"", "id=\"history\"", "id=\"sizing\"", "[1.3 Mpps, 1.5 Mpps]");
    free(html);
}

/* A document of one configuration, as they are when each goes to a file of its own. */
static json_t *single(const char *name) {
    json_t *doc = document(CONFIGURATION("NAME", "100", "1"), name);
    json_object_set_new(doc, "schema", json_string("fwdlab.bench/1"));
    return doc;
}

Test(measured, single_configuration_has_its_loads_in_one_panel) {
    char *html = page_of(1, (json_t *[]){single("alone")});
    ASSERT_CHARTS(html, "latency-percentiles");
    cr_assert_null(strstr(html, "not run interleaved"), "there is nothing to compare it with");
    if (!strstr(html, "gnuplot cannot be started")) {
        char *svg = read_file("latency-percentiles.svg");
        ASSERT_IN_ORDER(svg, ">99 %<", ">alone<", ">no load<", ">10 % of PDR<", ">50 % of PDR<", ">90 % of PDR<");
        free(svg);
    }
    free(html);
}

Test(measured, mixed_page_has_both) {
    json_t *analyze = document("{'schema': 'fwdlab.analyze/1', 'scenario': {'name': 'NAME'}, 'flows': {'total': 9,"
                               " 'model': {'symmetric': 9}}, 'findings': []}", "nat");
    char *html = page_of(2, (json_t *[]){analyze, document(bench_text, "nat")});
    assert_balanced(html);
    ASSERT_IN_ORDER(html, "Forwarding report: nat", "base carries 7.9 Mpps", "Measured", "Sound", "id=\"rates\"",
                    "id=\"findings\"", "id=\"ground\"");
    free(html);
}

/* What is doubtful is said, in the state, in a line and in the first sentence. */
static const struct { const char *path, *value, *state, *said; } doubts[] = {
    {"ndr_pps", "{\"lower\": 7.9e6, \"upper\": null}", "Generator-limited", "at least 7.9 Mpps without loss"},
    {"pdr_pps", "{\"lower\": 7.9e6, \"upper\": null}", "Generator-limited", "The generator cannot send more"},
    {"goals", "[{\"name\": \"pdr\", \"lower\": 8e6, \"upper\": 9e6, \"width\": 0.01, \"exact\": false}]", "Not exact",
     "the bounds of PDR are 8 Mpps and 9 Mpps, 11 % apart (1 % was asked)"},
    {"trials", "{\"total\": 9, \"repeated\": 1, \"list\": ["
     "{\"noisy\": true, \"duration_ns\": 100, \"lost_time_ns\": 10},"
     "{\"noisy\": true, \"duration_ns\": 100, \"lost_time_ns\": 10}]}", "Noisy",
     "The machine took 10 % of the trials' time; 1 of 9 trials stayed noisy, 1 were repeated."},
    {"partial", "true", "Partial", "the figures cover a part of it"},
    {"load", "{\"50\": {\"generator\": {\"valid\": false}}}", "Invalid",
     "late at 50 % of PDR: those figures do not count"},
    {"ndr_pps", "{\"lower\": 0, \"upper\": 1000}", "Measured", "nothing that was tried without loss (NDR)"},
};

Test(measured, doubts_are_said) {
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        json_t *doc = single("x");
        char *text = NULL, head[64], flat[9000], *to = flat;
        size_t size;
        json_object_set_new(doc, doubts[i].path, json_loads(doubts[i].value, JSON_DECODE_ANY, NULL));
        FILE *f = open_memstream(&text, &size);
        report_bench_text(doc, f);
        fclose(f);
        for (const char *c = text; *c && to < flat + sizeof flat - 1; c++) /* as if it were not wrapped */
            if (*c != '\n' && (*c != ' ' || to == flat || to[-1] != ' '))
                *to++ = *c;
            else if (to > flat && to[-1] != ' ')
                *to++ = ' ';
        *to = 0;
        snprintf(head, sizeof head, "x: %s", doubts[i].state);
        cr_assert(strstr(text, head), "%s\n%s", head, text);
        cr_assert(strstr(flat, doubts[i].said), "%s\n%s", doubts[i].said, flat);
        free(text);
        json_decref(doc);
    }
}

Test(measured, runs_of_one_name_are_told_apart_and_not_compared) {
    setenv("PATH", "/nonexistent", 1);
    char *html = page_of(2, (json_t *[]){single("x"), single("x")});
    ASSERT_IN_ORDER(html, "It was not run interleaved", "<h3>x (other.json)</h3>", "It was not run interleaved");
    free(html);
}

Test(measured, hostile_names_stay_text) {
    static const char *const names[] = {"</style><script>alert(1)</script>", "\\\"><img src=x onerror=alert(1)>",
                                        "a|b`c`*d*_e_", "'; system('touch x'); '", "`touch x`",
                                        "\\u001b[31m\\u0007", "%s%n%d", "\\n\\n# h", "..\\/..\\/passwd", "-", ""};
    static const char *const templates[] = {bench_text, compare_text, size_text};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *docs[3];
        for (size_t k = 0; k < 3; k++)
            docs[k] = document(templates[k], names[i]);
        char *text = NULL, *html = page_of(3, docs), *md = read_file("summary.md");
        size_t size;
        FILE *f = open_memstream(&text, &size);
        assert_balanced(html);
        ASSERT_CHARTS(html, "search-2", "latency-load", "cost-waterfall", "history-1", "size-1");
        cr_assert_null(strstr(html, "<script"), "%s", names[i]);
        cr_assert_null(strstr(html, "<img"), "%s", names[i]);
        cr_assert_null(strstr(md, "<script"), "%s", names[i]);
        cr_assert_null(strstr(md, "\n# h"), "%s", names[i]);
        for (size_t k = 0; k < 3; k++) {
            json_t *doc = document(templates[k], names[i]);
            report_bench_text(doc, f);
            report_compare_text(doc, f);
            report_compare_markdown(doc, f);
            report_size_text(doc, f);
            json_decref(doc);
        }
        fclose(f);
        for (const char *c = text; *c; c++)
            cr_assert(*c == '\n' || (unsigned char)*c >= 0x20, "control character %d", *c);
        free(text);
        free(html);
        free(md);
    }
}

Test(measured, missing_and_wrong_keys_are_survived) {
    setenv("PATH", "/nonexistent", 1); /* charts would take minutes */
    static const char *const templates[] = {bench_text, compare_text, size_text};
    for (size_t i = 0; i < 3; i++) {
        json_t *doc = document(templates[i], "x"), *first;
        first = json_array_get(json_object_get(doc, "configurations"), 0);
        for (unsigned k = 0; k < 3; k++) /* the fourth load is as good as four */
            json_object_del(json_object_get(first, "load"), ((const char *const[]){"0", "10", "90"})[k]);
        assert_survives(doc, doc);
        json_decref(doc);
    }
}

/* Takes away, or spoils, a share of all values at all depths. */
static void spoil(json_t *value, struct random *r) {
    const char *key;
    json_t *member;
    void *next;
    size_t i;
    json_object_foreach_safe(value, next, key, member) {
        unsigned what = random_below(r, 16);
        if (!strcmp(key, "schema"))
            continue;
        if (what == 0)
            json_object_del(value, key);
        else if (what == 1)
            json_object_set_new(value, key, json_real(-1e300));
        else
            spoil(member, r);
    }
    json_array_foreach(value, i, member)
        if (random_below(r, 16) == 0)
            json_array_set_new(value, i, random_below(r, 2) ? json_null() : json_real(1e300));
        else
            spoil(member, r);
}

/* With pictures: whatever is left, gnuplot can draw it. */
Test(measured, spoilt_documents_are_drawn) {
    uint64_t seed = (uint64_t)time(NULL);
    for (unsigned round = 0; round < 4; round++, seed++) {
        struct random r;
        random_seed(&r, seed);
        json_t *docs[] = {document(bench_text, "x"), document(compare_text, "x"), document(size_text, "x")};
        for (unsigned i = 0; i < 3; i++)
            spoil(docs[i], &r);
        char *html = page_of(3, docs);
        assert_balanced(html);
        cr_assert(!strstr(html, "Charts are left out") || strstr(html, "gnuplot cannot be started"),
                  "gnuplot failed; seed %llu", (unsigned long long)seed);
        free(html);
    }
}

Test(measured, compared_figures_are_worst_first) {
    json_t *doc = document(compare_text, "nat");
    char *text = NULL, *md = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    report_compare_text(doc, f);
    fclose(f);
    f = open_memstream(&md, &size);
    report_compare_markdown(doc, f);
    fclose(f);
    ASSERT_IN_ORDER(text, "Comparison of runs: Regression", "nat became slower.", "3: 1 worse, 1 better, 0 unclear",
                    "Changes found", "ndr_pps", "7.9 Mpps", "6.9 Mpps", "worse", "single, 9", "latency p99", "14 µs",
                    "7 µs", "better", "cost, cycles", "100.5", "same");
    ASSERT_IN_ORDER(md, "## Comparison of runs: Regression\n", "| nat | ndr\\_pps |",
                    "0.873 \\[0.900, 1.200\\]", "| same |");
    free(text);
    free(md);
    json_decref(doc);
}

Test(measured, sizing_is_told_with_its_limits) {
    json_t *doc = document(size_text, "box");
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    report_size_text(doc, f);
    fclose(f);
    ASSERT_IN_ORDER(text, "Sizing: Extrapolated", "Two box carry it.", "climb at 1.2 Mpps, 86 %",
                    "Outside what was measured: box", "best", "1.4 Mpps", "34 µs", "120", "cpu", "box", "48",
                    "from 12 points; residual 2.1 %", "3.25", "[3, 3.5]");
    free(text);
    json_decref(doc);
}
