/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports from documents made here: what stands in them, hostile names, missing keys, no gnuplot. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/report/report.h>
#include "helper.h"

TestSuite(report, .init = report_setup, .fini = report_teardown);

/* One configuration; NAME stands for the hostile or harmless name of everything. */
static const char analyze_text[] =
    "{'schema': 'fwdlab.analyze/1', 'environment': {'cpu': 'NAME', 'flags': ['avx2', 'NAME'], 'dpdk': null,"
    " 'commit': 'NAME'}, 'inputs': [{'path': 'NAME', 'role': 'trace', 'size': 1234567, 'digest': 'NAME'}],"
    " 'scenario': {'name': 'NAME', 'title': 'NAME', 'path': 'NAME', 'node': 'NAME'},"
    " 'packets': {'read': 30, 'injected': 20, 'forwarded': 15, 'delivered': 2, 'copies': 1, 'malformed': 0,"
    "   'dropped': {'total': 3, 'ttl-expired': 1, 'NAME': 2}, 'ignored': {'total': 4, 'arp': 4},"
    "   'dropped_elsewhere': {'total': 6, 'forwarding-off': 6}},"
    " 'flows': {'total': 9, 'model': {'symmetric': 5, 'asym_breaks': 4}, 'observed': {'symmetric': 6, 'iface_asym': 3},"
    "   'nat': {'nat_bypass': 1}},"
    " 'findings': [{'source': 'model', 'verdict': 'asym_breaks', 'count': 4, 'frames': [1, 'NAME'], 'benign': false,"
    "     'flow': {'proto': 'tcp', 'src': '10.0.0.10', 'sport': 1000, 'dst': 'NAME', 'dport': 80}, 'probability': 0.5,"
    "     'hosts': [{'addr': '10.0.0.10', 'flows': 3}, {'addr': '10.0.0.99', 'flows': 1}], 'hosts_more': true,"
    "     'cause': {'node': 'NAME', 'route': {'prefix': '10.0.0.0/22', 'via': 'NAME', 'dev': 'NIC2', 'metric': 256,"
    "       'origin': 'static', 'name': 'NAME'}}, 'text': 'NAME', 'reason': null,"
    "     'mend': {'node': 'NAME', 'change': 'add', 'route': {'prefix': '10.0.0.0/24'}, 'old': null, 'proven': true,"
    "       'refused': null, 'text': 'add NAME'}},"
    "   {'source': 'observed', 'verdict': 'iface_asym', 'count': 3, 'benign': false, 'reason': null, 'text': 'as seen',"
    "     'flow': {'proto': 'icmp', 'src': '10.0.0.10', 'sport': 7, 'dst': '10.0.0.4', 'dport': 8}, 'frames': ['NAME'],"
    "     'cause': {'node': 'other', 'route': {'prefix': '0.0.0.0/0', 'name': 'NAME'}},"
    "     'mend': {'node': 'NAME', 'change': 'add', 'route': {'prefix': '10.0.0.0/8'}, 'proven': false,"
    "       'refused': 'because of NAME', 'text': 'add'}},"
    "   {'source': 'model', 'verdict': 'asym_benign', 'count': 7, 'benign': true, 'reason': null, 'text': 'bent NAME',"
    "     'flow': {'proto': 'tcp', 'src': '10.0.0.11', 'sport': 1, 'dst': '10.0.0.12', 'dport': 2}, 'frames': [9],"
    "     'cause': {'node': 'NAME', 'route': {'prefix': '10.0.0.0/22', 'name': 'NAME'}},"
    "     'mend': {'node': 'NAME', 'change': 'add', 'route': {'prefix': '10.0.3.0/24'}, 'proven': false,"
    "       'refused': 'it harms NAME', 'text': 'add it'}},"
    "   {'source': 'model', 'verdict': 'dropped', 'count': 2, 'benign': true, 'text': 'nobody NAME', 'cause': null,"
    "     'flow': {'proto': 'udp', 'src': 'NAME', 'sport': 1, 'dst': 'b', 'dport': 2}, 'frames': [41, 42, 43, 44]}],"
    " 'reachability': [{'from': 'NAME', 'to': 'b', 'verdict': 'dropped', 'works': false, 'translated': false,"
    "     'reason': 'NAME', 'at': 'NAME'}, {'from': 'b', 'to': 'NAME', 'verdict': 'symmetric', 'works': true,"
    "     'translated': true, 'reason': null, 'at': null}],"
    " 'hidden_routes': [{'node': 'NAME', 'route': {'prefix': '10.0.0.0/24', 'name': 'NAME'},"
    "   'hidden_by': {'prefix': '10.0.0.0/24', 'origin': 'connected'}}],"
    " 'complaints': [{'file': 'NAME', 'line': 3, 'severity': 'warning', 'what': 'NAME', 'hint': 'NAME'}],"
    " 'nat': {'sessions_peak': 3, 'pairs': [{'inside': 'NAME', 'outside': 'NAME', 'first': 0, 'last': 5}]},"
    " 'topology': {'nodes': [{'name': 'NAME', 'kind': 'machine', 'addresses': ['NAME', '10.0.0.12'], 'router': true,"
    "     'under_test': true}, {'name': 'bentman', 'kind': 'machine', 'addresses': ['10.0.0.11']},"
    "     {'name': 'net/NAME', 'kind': 'gateway'}, {'name': 'net/b', 'kind': 'gateway'},"
    "     {'name': 'sw', 'kind': 'switch'}, {'name': 'alone', 'kind': 'NAME'}],"
    "   'links': [{'a': 'NAME', 'a_port': 'NAME', 'b': 'net/NAME', 'b_port': 'NAME'}, {'a': 'sw', 'b': 'NAME'},"
    "     {'a': 'net/b', 'b': 'net/NAME'}, {'a': 'gone', 'b': 'sw'}, {'a': 'sw', 'b': 'sw'}]}}";
static const char replay_text[] =
    "{'schema': 'fwdlab.replay/1', 'scenario': {'name': 'NAME', 'title': 'NAME'}, 'laps': 2, 'environment': {'noise':"
    "   {'window_ns': 1000000, 'lost_ns': 10, 'lost_share': 0.00001, 'quiet': true}},"
    " 'cost': {'tsc_cycles': {'median': 101.5, 'p5': 99, 'p95': 120, 'samples': [1, 2]}, 'mpps': 20, 'gbps': 10,"
    "   'stages': [{'name': 'parse', 'tsc_cycles': 40.5}, {'name': 'NAME', 'tsc_cycles': 61}]},"
    " 'comparison': [{'name': 'NAME', 'base': 'base', 'ratio': 1.25, 'interval': [1.1, 1.4], 'verdict': 'worse',"
    "   'pairs': 9}], 'generator': {'pace': 'NAME', 'valid': false}, 'latency_ns': null}";

static void html_of(const char *name, const char *more) {
    struct err e = {0};
    struct report_document docs[3] = {{"a.json", document(analyze_text, name)}, {"b.json", document(replay_text,
                                                                                                    name)}};
    unsigned n = 2;
    if (more)
        docs[n++] = (struct report_document){"c.json", parse(more)};
    cr_assert_eq(report_html(docs, n, dir, &e), 0, "%s: %s", e.where, e.what);
    for (unsigned i = 0; i < n; i++)
        json_decref(docs[i].doc);
}

Test(report, page_says_who_is_broken_by_what_and_what_mends_it) {
    html_of("routed", NULL);
    char *html = read_file("report.html");
    assert_balanced(html);
    const char *body = strstr(html, "<body>");
    cr_assert(body);
    cr_assert(strstr(html, "<title>Forwarding report: routed</title>"));
    static const char *const in_order[] = {
        "Forwarding report: routed", "Faults</dt><dd>routed", "Mendable</dt><dd>routed",
        "4 of 9 flows do not work as they should, by the model; 7 work, asymmetrically.",
        "Fault</dt><dd>4 flows such as 10.0.0.10 → routed (tcp 10.0.0.10:1000 → routed:80): routed.",
        "Hosts</dt><dd>10.0.0.10 (3 flows), 10.0.0.99 (1 flow), and others",
        "On routed the route 10.0.0.0/22 via routed dev NIC2 metric 256 (static, routed) wins.",
        "Mend</dt><dd>Proved on the whole trace: add routed.",
        "Asymmetric</dt><dd>7 flows such as bentman ↔ routed (tcp 10.0.0.11:1 → 10.0.0.12:2): bent routed.",
        "Mend</dt><dd>Refused: add it; it harms routed.", "Scenario</dt><dd>routed:3: routed; routed.",
        "never takes effect", "3 of 20 packets are dropped", "2 routed, 1 ttl", "6 packets that it forwarded",
        "101.5 TSC cycles a packet (median), 1.250 [1.100, 1.400] times that of base: worse",
        "The generator was late", "id=\"comparison\"",
        "id=\"findings\"", "asymmetric, breaks</h4>", ">seen</span>", "Refused: add; because of routed.",
        ">works</span>",
        "<summary>1 harmless finding of routed", "nobody routed.", "41, 42, 43 and 1 more", "</details>",
        "id=\"reach\"", "title=\"routed to b: routed at routed\">✗ routed</td>", "translated, symmetric\">NAT</td>",
        "1,234,567"};
    for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        body = strstr(body, in_order[i]);
        cr_assert(body, "missing, or not in this order: %s", in_order[i]);
    }
    static const char *const outside[] = {"<script", "src=", "@import", "url(http", "<link"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        cr_assert_null(strstr(html, outside[i]), "the page is not self-contained: %s", outside[i]);
    cr_assert(strstr(html, "width=device-width"));
    cr_assert(strstr(html, "prefers-color-scheme:dark"));
    cr_assert(strstr(html, "@media print"));
    const char *cards = strstr(html, "id=\"findings\"");
    cr_assert(strstr(html, "because of routed") > cards, "what the capture alone accuses is no conclusion");
    cr_assert(strstr(html, "details::details-content{content-visibility:visible"), "folded parts are printed");
    free(html);
    char *svg = read_file("topology.svg");
    assert_balanced(svg);
    cr_assert(strstr(svg, "network net"));
    free(svg);
    char *md = read_file("summary.md");
    cr_assert(strstr(md, "## routed: Faults") && strstr(md, "![Topology of routed](topology.svg)"));
    free(md);
}

Test(report, hostile_names_stay_text) {
    static const char *const names[] = {
        "</style><script>alert(1)</script>", "\\\"><img src=x onerror=alert(1)>", "a|b`c`*d*_e_",
        "'; system('touch x'); '", "`touch x`", "\\u001b[31m\\u0007", "%s%n%d", "&lt;&amp;", "..\\/..\\/passwd", "-",
        "\\n\\n# h", "\\u202e\\ud83d\\ude00 \\u0085"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        html_of(names[i], NULL);
        char *html = read_file("report.html"), *md = read_file("summary.md"), *svg = read_file("topology.svg");
        assert_balanced(html);
        assert_balanced(svg);
        cr_assert_null(strstr(html, "<script"), "%s", names[i]);
        cr_assert_null(strstr(html, "<img"), "%s", names[i]);
        cr_assert_null(strstr(md, "<script"), "%s", names[i]);
        cr_assert_null(strstr(md, "\n# h"), "%s", names[i]);
        cr_assert_null(strchr(html, '\033'), "%s", names[i]);
        cr_assert_null(strstr(html, "Charts are left out: gnuplot ended"), "%s", names[i]);
        free(html);
        free(md);
        free(svg);
    }
}

Test(report, charts_are_drawn_or_the_page_says_why_not) {
    html_of("routed", NULL);
    char *html = read_file("report.html");
    if (!strstr(html, "gnuplot cannot be "
                      "started")) { /* it is optional: without it only the sentence below can be tested */
        static const char *const charts[] = {"verdicts-model", "verdicts-observed", "cost-stages", "cost-ratio"};
        for (size_t i = 0; i < 4; i++) {
            char file[64], *svg;
            snprintf(file, sizeof file, "%s.svg", charts[i]);
            svg = read_file(file);
            assert_balanced(svg);
            cr_assert(strstr(html, svg), "%s is not in the page", file);
            free(svg);
        }
    }
    free(html);
    report_teardown();
    setenv("PATH", "/nonexistent", 1);
    html_of("routed", NULL); /* makes the directory again */
    html = read_file("report.html");
    assert_balanced(html);
    cr_assert(strstr(html, "Charts are left out: gnuplot cannot be started"));
    cr_assert(strstr(html, "Topology of routed"));
    free(html);
}

Test(report, missing_and_wrong_keys_are_survived) {
    setenv("PATH", "/nonexistent", 1); /* charts would take seconds */
    static const char *const templates[] = {analyze_text, replay_text};
    for (size_t i = 0; i < 2; i++) {
        json_t *doc = document(templates[i], "routed");
        assert_survives(doc, doc);
        json_decref(doc);
    }
    html_of("routed", "{\"schema\": \"fwdlab.analyze/1\"}");
    char *html = read_file("report.html");
    assert_balanced(html);
    cr_assert(strstr(html, "c.json"), "a document without a scenario is named by its file");
    free(html);
}

Test(report, replay_of_several_configurations_in_one_document) {
    setenv("PATH", "/nonexistent", 1);
    json_t *many = document(
        "{'schema': 'fwdlab.replay/1', 'configurations': ["
        "   {'scenario': {'name': 'one'}, 'cost': {'tsc_cycles': {'median': 10}}},"
        "   {'scenario': {'name': 'two'}, 'cost': {'tsc_cycles': {'median': 20}}}],"
        " 'comparison': [{'name': 'two', 'base': 'one', 'ratio': 2, 'interval': [1.9, null], 'verdict': 'unclear'},"
        "   {'name': 'one', 'base': 'one', 'ratio': 1}]}", "");
    struct report_document d[2] = {{"m.json", many}, {"a.json", document(analyze_text, "two")}};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    report_comparison_text(d, 2, f);
    fclose(f);
    cr_assert(strstr(text, "\none "), "%s", text);
    cr_assert(strstr(text, "base  "), "%s", text);
    cr_assert(strstr(text, "20.0  "), "%s", text);
    cr_assert(strstr(text, "2.000  unclear"), "%s", text);
    cr_assert_null(json_object_get(json_array_get(json_object_get(many, "configurations"), 0), "comparison"),
                   "the caller's document was changed");
    free(text);
    json_decref(d[0].doc);
    json_decref(d[1].doc);
}

Test(report, other_documents_are_refused_by_name) {
    struct err e = {0};
    struct report_document d = {"x.json", parse("{\"schema\": \"fwdlab.check/1\"}")};
    cr_assert_eq(report_html(&d, 1, dir, &e), -EINVAL);
    cr_assert_str_eq(e.where, "x.json");
    cr_assert(strstr(e.what, "fwdlab.check/1"));
    json_decref(d.doc);
}

Test(report, directory_that_cannot_be_made_is_an_error) {
    struct err e = {0};
    struct report_document d = {"x.json", parse("{\"schema\": \"fwdlab.analyze/1\"}")};
    char path[512];
    setenv("PATH", "/nonexistent", 1);
    snprintf(path, sizeof path, "%s/file", dir);
    fclose(fopen(path, "w"));
    cr_assert_lt(report_html(&d, 1, path, &e), 0);
    cr_assert(*e.what);
    json_decref(d.doc);
}

/* Configurations with one finding, or none, and one answer to whether a reaches b. */
static json_t *small(const char *name, const char *finding, const char *reach) {
    char text[2000];
    snprintf(text, sizeof text,
             "{\"schema\": \"fwdlab.analyze/1\", \"scenario\": {\"name\": \"%s\"}, \"flows\": {\"total\": 9, "
             "\"model\": {\"symmetric\": 5, \"dropped\": 4}, \"observed\": {\"iface_asym\": 3}}, \"findings\": [%s], "
             "\"reachability\": [{\"from\": \"a\", \"to\": \"c\", %s}, {\"from\": \"b\", \"to\": \"c\", %s}]}",
             name, finding, reach, reach);
    return parse(text);
}

#define MODEL "\"source\": \"model\", \"count\": 4, \"verdict\": "
#define MENDED "\"cause\": {\"node\": \"n\", \"route\": {\"prefix\": \"p\"}}," \
    "\"mend\": {\"node\": \"n\", \"change\": \"add\", " \
    "\"route\": {\"prefix\": \"r\"}, \"refused\": \"no\"}"
#define DIRECT "\"works\": true, \"translated\": false"
#define NAT "\"works\": true, \"translated\": true"
#define NONE "\"works\": false, \"reason\": \"no-host\", \"at\": \"net/x\""

static const struct { const char *name, *finding, *reach, *state, *said; } states[] = {
    {"first", "", DIRECT, "Sound", "None of 9 flows is at fault, by the model."},
    {"nobody", "{" MODEL "\"dropped\", \"benign\": true}", DIRECT, "Sound", "None of 9 flows"},
    {"seen", "{\"source\": \"observed\", \"count\": 3, \"verdict\": \"iface_asym\", \"benign\": false}", DIRECT,
     "Sound", "None of 9 flows"},
    {"bent", "{" MODEL "\"asym_benign\", \"benign\": true}", DIRECT, "Asymmetric", "4 work, asymmetrically."},
    {"broken", "{" MODEL "\"dropped\", \"benign\": false}", DIRECT, "Faults", "4 of 9 flows do not work"},
    {"both", "{" MODEL "\"asym_benign\", \"benign\": true, " MENDED "}, {"
     MODEL "\"asym_breaks\", \"benign\": false, " MENDED
     "}", DIRECT, "Faults", "- **Mend:** Refused: add r on n; no.\n- **Asymmetric:** 4 flows: asymmetric, harmless.\n"
     "- **Cause:** As above.\n- **Mend:** As above.\n"},
    {"less", "", NONE, "Reaches less",
     "Unlike in first, a and b cannot reach c by its own address (no-host at net/x)."},
    {"nat", "", NAT, "Sound", "Unlike in first, a and b reach c only through NAT (translated)."},
};
#define STATES (sizeof states / sizeof *states)

/* The line of a text that begins with `start`. */
static const char *line_of(const char *text, const char *start) {
    static char line[400];
    const char *at = text;
    size_t n = strlen(start);
    while (at && strncmp(at, start, n))
        at = (at = strchr(at, '\n')) ? at + 1 : NULL;
    cr_assert(at, "no line begins with %s in\n%s", start, text);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

Test(report, states_come_from_findings_and_reach) {
    struct report_document docs[STATES];
    char *text = NULL, start[64];
    size_t size;
    setenv("PATH", "/nonexistent", 1);
    for (size_t i = 0; i < STATES; i++)
        docs[i] = (struct report_document){"d.json", small(states[i].name, states[i].finding, states[i].reach)};
    cr_assert_eq(report_html(docs, STATES, dir, NULL), 0);
    char *md = read_file("summary.md"), *html = read_file("report.html");
    assert_balanced(html);
    FILE *f = open_memstream(&text, &size);
    report_comparison_text(docs, STATES, f);
    fclose(f);
    for (size_t i = 0; i < STATES; i++) {
        snprintf(start, sizeof start, "## %s: %s", states[i].name, states[i].state);
        cr_assert(strstr(strstr(md, line_of(md, start)), states[i].said), "%s\n%s", states[i].name, md);
        line_of(text, start + 3);
        snprintf(start, sizeof start, "%s  ", states[i].name); /* in the table */
        cr_assert(strstr(line_of(text, start), states[i].state), "%s", text);
        json_decref(docs[i].doc);
    }
    cr_assert(strstr(md, "# Forwarding report: 8 configurations, compared with first\n"));
    cr_assert(strstr(md, "| Configuration | symmetric | dropped |"), "configurations are rows");
    cr_assert(strstr(html, "<td class=\"n bad\">4</td>"), "a fault is marked");
    cr_assert_null(strstr(md, "other interface: "), "what was only seen is no conclusion");
    cr_assert(strstr(html, "<details open><summary>first, nobody, seen, bent, broken, both</summary>"));
    cr_assert(strstr(html, "<td class=\"bad\" title=\"a to c: no-host at net/x\">✗ no-host</td>"));
    cr_assert(strstr(html, ">NAT</td>"));
    free(text);
    free(html);
    free(md);
}

Test(report, a_capture_without_a_scenario_is_not_judged) {
    char *text = NULL;
    size_t size;
    json_t *doc = parse("{\"schema\": \"fwdlab.analyze/1\", \"flows\": {\"total\": 5, "
                        "\"observed\": {\"symmetric\": 3}}, "
                        "\"findings\": [{\"source\": \"observed\", \"verdict\": \"reverse_elsewhere\", \"count\": 2, "
                        "\"benign\": false, \"text\": \"it acknowledges what nobody saw\"}]}");
    FILE *f = open_memstream(&text, &size);
    report_analyze_text(doc, f);
    fclose(f);
    cr_assert(strstr(text, ": Capture only\n"), "%s", text);
    cr_assert(strstr(text, "  Seen        2 flows: it acknowledges what nobody saw."), "%s", text);
    free(text);
    json_decref(doc);
}

/* No two tics are nearer than a label is wide, whatever the figures are. */
Test(report, tics_never_collide) {
    static const double highs[] = {1.0003, 1.0712, 1.37, 2.4, 17, 123456};
    for (size_t i = 0; i < sizeof highs / sizeof *highs; i++) {
        json_t *doc = document(replay_text, "routed");
        json_t *interval = json_object_get(json_array_get(json_object_get(doc, "comparison"), 0), "interval");
        json_array_set_new(interval, 1, json_real(highs[i]));
        json_array_set_new(interval, 0, json_real(1));
        struct report_document d = {"d.json", doc};
        cr_assert_eq(report_html(&d, 1, dir, NULL), 0);
        char *html = read_file("report.html");
        bool none = strstr(html, "gnuplot cannot be started");
        free(html);
        json_decref(doc);
        if (none) /* it is optional, see above */
            return;
        char *svg = read_file("cost-ratio.svg");
        double before = -1e9;
        unsigned tics = 0;
        for (const char *p = svg; (p = strstr(p, "<g transform=\"translate(")); p++) {
            double x = strtod(p + strlen("<g transform=\"translate("), NULL);
            const char *label = strstr(p, "<text>"), *small = strstr(p, "font-size=\"13.00\"");
            if (!small || !label || small > label) /* tics alone are of this size */
                continue;
            label += strlen("<text>");
            double width = 7.5 * (double)strcspn(label, "<");
            cr_assert_gt(x - before, width, "%g after %g in %s", x, before, svg);
            before = x;
            tics++;
        }
        cr_assert_geq(tics, 2);
        free(svg);
    }
}
