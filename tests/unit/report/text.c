/* SPDX-License-Identifier: BSD-3-Clause */
/* What a terminal gets: within 100 columns, without control characters. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/report/report.h>

static const char *const names[] = {"routed",
                                    "a-name-of-a-configuration-that-is-much-longer-than-anybody-would-choose",
                                    "\033[2J\a\r", "\xc3\xa4\xc3\xb6\xc3\xbc \xf0\x9f\x98\x80", "\xc2\x9b[31m"};
#define NAMES (sizeof names / sizeof *names)

static json_t *analyze(const char *name) {
    json_t *finding = json_pack(
        "{s:s, s:s, s:i, s:b, s:s, s:s, s:{s:s, s:{s:s}}, s:{s:s, s:b, s:s, s:s}}", "source", "model", "verdict",
        "no_return_route", "count", 3, "benign", 0, "text", name, "reason", "no-route", "cause", "node", name, "route",
        "prefix", "10.0.0.0/8", "mend", "change", "add", "proven", 1, "node", name, "text",
        "a long sentence that has to be wrapped because it does not fit into one line of a terminal of 100 columns");
    json_t *doc = json_pack(
        "{s:s, s:{s:s, s:s}, s:{s:i, s:{s:i, s:i}}, s:{s:i, s:{s:i, s:i}}, s:[o], s:{s:i}}", "schema",
        "fwdlab.analyze/1", "scenario", "name", name, "title", name, "packets", "injected", 12, "dropped", "total", 3,
        "no-route", 3, "flows", "total", 9, "model", "symmetric", 6, "no_return_route", 3, "findings", finding, "nat",
        "sessions_peak", 5);
    cr_assert(doc);
    return doc;
}

static json_t *replay(const char *name) {
    json_t *doc = json_pack(
        "{s:s, s:{s:s}, s:{s:{s:f}, s:f, s:[{s:s, s:f}]}, s:[{s:s, s:s, s:f, s:[f, f], s:s, s:i}]}", "schema",
        "fwdlab.replay/1", "scenario", "name", name, "cost", "tsc_cycles", "median", 88.25, "mpps", 22.5, "stages",
        "name", "parse", "tsc_cycles", 12.5, "comparison", "name", name, "base", "base", "ratio", 1.5, "interval", 1.25,
        1.75, "verdict", "worse", "pairs", 8);
    cr_assert(doc);
    return doc;
}

static void assert_fits(const char *text) {
    unsigned column = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        cr_assert(*c == '\n' || *c >= 0x20, "control character %u in %s", *c, text);
        cr_assert(*c != 0xc2 || c[1] >= 0xa0, "C1 control in %s", text);
        column = *c == '\n' ? 0 : column + ((*c & 0xc0) != 0x80);
        cr_assert_leq(column, 100, "too wide:\n%s", text);
    }
}

Test(text, findings_come_before_the_tables) {
    char *text = NULL;
    size_t size;
    json_t *doc = analyze("routed");
    FILE *f = open_memstream(&text, &size);
    report_analyze_text(doc, f);
    fclose(f);
    assert_fits(text);
    static const char *const in_order[] = {
        "routed: Faults\n", "3 of 9 flows do not work", "Fault", "3 flows: routed.", "Cause",
        "On routed the route 10.0.0.0/8 wins.", "Mend", "Proved on the whole trace: a long", "3 of 12 packets",
        "no way back", "no-route", "sessions at once, peak", "Packets at the node"};
    const char *at = text;
    for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        at = strstr(at, in_order[i]);
        cr_assert(at, "missing or out of order: %s in\n%s", in_order[i], text);
    }
    free(text);
    json_decref(doc);
}

Test(text, every_name_fits_and_moves_no_cursor) {
    struct report_document docs[2 * NAMES];
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    for (size_t i = 0; i < NAMES; i++) {
        docs[2 * i] = (struct report_document){"a", analyze(names[i])};
        docs[2 * i + 1] = (struct report_document){"r", replay(names[i])};
        report_replay_text(docs[2 * i + 1].doc, f);
    }
    report_comparison_text(docs, 2 * NAMES, f);
    fclose(f);
    assert_fits(text);
    cr_assert(strstr(text, "1.500 [1.250, 1.750]"));
    cr_assert(strstr(text, "88.2"));
    free(text);
    for (size_t i = 0; i < 2 * NAMES; i++)
        json_decref(docs[i].doc);
}
