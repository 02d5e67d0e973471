/* SPDX-License-Identifier: BSD-3-Clause */
/* Curves of cost against size, as bench/sizes writes them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/report/report.h>
#include "helper.h"

TestSuite(curves, .init = report_setup, .fini = report_teardown);

#define POINT(x, ratio, low, high, bytes) "{'x': " x ", 'tsc_cycles': 999, 'ratio': " ratio ", 'interval': [" low ", " \
    high "], 'pairs': 60, 'touched_bytes': " bytes "}"

/* 1024 bytes a session: a cache of 4 MiB holds 4096 of them. One that holds all of it, or none, is never passed. */
static const char text[] = "{'schema': 'fwdlab.curves/1', 'environment': {'cpu': 'NAME'}, 'inputs': [],"
    " 'caches': [{'name': 'L1d', 'bytes': 32768}, {'name': 'NAME', 'bytes': 4194304}, {'name': 'L3', 'bytes': 1e9}],"
    " 'lost_share': 0.02, 'curves': [{'factor': 'NAME', 'x': 'NAME', 'workload': 'NAME', 'log': true, 'base': 1000,"
    "   'base_tsc_cycles': 200, 'points': [" POINT("1000", "1", "0.99", "1.01", "1024000") ","
    POINT("16000", "1.5", "1.4", "1.6", "16384000") "]},"
    " {'factor': 'churn', 'x': 'share', 'workload': 'W', 'log': false, 'base': 0, 'base_tsc_cycles': 100, 'points': ["
    POINT("0", "1", "0.9", "1.1", "0") "," POINT("100", "6", "5", "7", "0") "]}]}";

static char *page(const char *name) {
    struct report_document d = {"sizes.json", document(text, name)};
    struct err e = {0};
    cr_assert_eq(report_html(&d, 1, dir, &e), 0, "%s: %s", e.where, e.what);
    json_decref(d.doc);
    return read_file("report.html");
}

static void assert_count(const char *in, const char *part, unsigned n) {
    unsigned found = 0;
    for (const char *at = in; (at = strstr(at, part)); at += strlen(part))
        found++;
    cr_assert_eq(found, n, "%u times: %s", found, part);
}

Test(curves, page_has_charts_and_points) {
    char *html = page("L2");
    assert_balanced(html);
    cr_assert(strstr(html, "href=\"#curves\""));
    cr_assert(strstr(html, "Cost against size"));
    cr_assert(strstr(html, ">300.0<"), "the base's cycles times the ratio");
    cr_assert(strstr(html, "1.500 [1.400, 1.600]"));
    cr_assert(strstr(html, "15.62 MiB"));
    cr_assert_null(strstr(html, "id=\"rates\""));
    free(html);
}

Test(curves, mark_stands_where_the_cache_is_full) {
    char *html = page("L2"), *svg;
    if (!strstr(html, "gnuplot cannot be started")) {
        cr_assert_null(strstr(html, "Charts are left out"));
        svg = read_file("curve-1.svg");
        assert_count(svg, "is full at ", 1);
        cr_assert(strstr(svg, "L2 (4 MiB) is full at 4.1k"), "%s", svg);
        free(svg);
        svg = read_file("curve-2.svg");
        assert_count(svg, "is full at ", 0);
        free(svg);
    }
    free(html);
}

Test(curves, summary_has_the_table) {
    free(page("L2"));
    char *md = read_file("summary.md");
    cr_assert(strstr(md, "## Cost against size"));
    cr_assert(strstr(md, "| share | 100 | 600.0 | 6.000 \\[5.000, 7.000\\] |"), "%s", md);
    free(md);
}

Test(curves, names_stay_text) {
    char *html = page("<b>'`\\\"%n@$(x)");
    assert_balanced(html);
    cr_assert_null(strstr(html, "<b>'"));
    cr_assert(!strstr(html, "Charts are left out") || strstr(html, "gnuplot cannot be started"));
    free(html);
}

Test(curves, wrong_documents_are_survived, .timeout = 120) {
    json_t *doc = document(text, "L2");
    setenv("PATH", dir, 1); /* no gnuplot: the page alone, hundreds of times */
    assert_survives(doc, doc);
    json_decref(doc);
}
