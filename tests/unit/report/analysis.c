/* SPDX-License-Identifier: BSD-3-Clause */
/* The first screen of an analysis, and what stands below it: from documents made here. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <fwdlab/report/report.h>
#include "helper.h"

TestSuite(analysis, .init = report_setup, .fini = report_teardown);

#define BEGIN \
    "{'schema': 'fwdlab.analyze/1', 'scenario': {'name': 'lan'}, 'epoch_ns': '1795302147105527947'," \
    " 'span_ns': 22000000000, 'packets': {'read': 16631, 'interfaces': [{'name': 'nic1', 'packets': 9, 'dropped': 0}," \
    " {'name': 'nic2', 'packets': 7, 'dropped': null}]}, 'flows': {'total': 569}," \
    " 'topology': {'nodes': [{'name': 'hyperv', 'kind': 'machine', 'addresses': ['10.0.0.4']}," \
    "   {'name': 'net/gw', 'kind': 'gateway'}]}"

/* A broken flow whose mend is a change of one route; It began 6 s after the first packet. */
#define BROKEN(node, change, route, old, proven, refused) \
    "{'source': 'model', 'verdict': 'no_return_route', 'id': 1, 'count': 26, 'packets': 37, 'bytes': 3038," \
    " 'first': 6042992912, 'last': 21989254460, 'benign': false, 'text': 'its answer ends at net/gw'," \
    " 'reason': 'no-host'," \
    " 'flow': {'proto': 'tcp', 'src': '10.0.2.2', 'sport': 53206, 'dst': '10.0.0.4', 'dport': 80}," \
    " 'frames': [11742, 11744], 'cause': {'node': 'net/gw', 'route': {'prefix': '10.0.0.0/22', 'dev': 'network'}}," \
    " 'mend': {'node': '" node "', 'change': '" change "', 'route': " route ", 'old': " old ", 'proven': " proven "," \
    " 'refused': " refused ", 'text': 'the change'}}"
#define ROUTE "{'prefix': '10.0.0.0/24', 'via': '10.0.0.1', 'dev': 'NIC1', 'metric': 256}"

static char *text_of(const char *template) {
    json_t *doc = document(template, "");
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    report_analyze_text(doc, f);
    fclose(f);
    json_decref(doc);
    unsigned column = 0;
    for (const char *c = text; *c; c++) {
        column = *c == '\n' ? 0 : column + ((*c & 0xc0) != 0x80);
        cr_assert_leq(column, 100, "too wide:\n%s", text);
    }
    return text;
}

/* These stand in the text in this order; afterwards it is freed. */
#define ASSERT_TOLD(text, ...) assert_told(text, (const char *const[]){__VA_ARGS__, NULL})
static void assert_told(char *text, const char *const *parts) {
    const char *at = text;
    for (; *parts; parts++) {
        at = strstr(at, *parts);
        cr_assert(at, "missing or out of order: %s in\n%s", *parts, text);
    }
    free(text);
}

static unsigned count(const char *text, const char *what) {
    unsigned n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

Test(analysis, nothing_wrong_is_said_with_what_was_looked_at) {
    char *text = text_of(BEGIN ", 'findings': []}");
    cr_assert_null(strstr(text, "Mend"));
    ASSERT_TOLD(text, "lan: Sound\n", "None of 569 flows is at fault, by the model. Looked at: 16,631 packets over",
                "22 s from\n",
                "2026-11-21 23:02:27 UTC on nic1, nic2.\n\nPackets at the node");
}

Test(analysis, a_broken_flow_is_told_with_time_cause_mend_and_command) {
    ASSERT_TOLD(text_of(BEGIN ", 'findings': [" BROKEN("hyperv", "add", ROUTE, "null", "true", "null") "]}"),
                "lan: Faults\n  Flows       26 of 569 flows do not work", "  Fault       26 flows such as 10.0.2.2",
                "hyperv (tcp 10.0.2.2:53206", "its answer ends\n",
                "  Since       2026-11-21 23:02:33 UTC (+6.043 s, frame 11742) until +21.989 s: 37 packets.\n",
                "  Cause       On net/gw the route 10.0.0.0/22 dev network wins.\n",
                "  Mend        Proved on the whole trace: the change.\n",
                "  Command     on hyperv: ip route add 10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256\n\n",
                "Packets at the node under test");
}

Test(analysis, a_refused_mend_is_no_command) {
    char *text = text_of(BEGIN ", 'findings': [" BROKEN("hyperv", "add", ROUTE, "null", "false", "'it breaks 7 flows'")
                         "]}");
    cr_assert_null(strstr(text, "Command"), "%s", text);
    ASSERT_TOLD(text, "  Mend        Refused: the change; it breaks 7 flows.\n");
}

Test(analysis, commands_are_told_where_they_can_be_typed) {
    static const struct { const char *finding, *command; } cases[] = {
        {BROKEN("hyperv", "remove", ROUTE, "null", "true", "null"),
         "on hyperv: ip route del 10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256\n"},
        {BROKEN("hyperv", "replace", "{'prefix': 'fd00::/64', 'dev': 'b'}", "{'prefix': 'fd00::/64', 'dev': 'a'}",
                "true", "null"), "on hyperv: ip -6 route replace fd00::/64 dev b\n"},
        {BROKEN("hyperv", "replace", "{'prefix': '1.0.0.0/8', 'dev': 'b'}", "{'prefix': '1.0.0.0/16', 'dev': 'a'}",
                "true", "null"), "on hyperv: ip route add 1.0.0.0/8 dev b && ip route del 1.0.0.0/16 dev a\n"},
        {BROKEN("hyperv", "replace", ROUTE, "null", "true", "null"), NULL},
        {BROKEN("hyperv", "associate", ROUTE, "null", "true", "null"), NULL},
        {BROKEN("net/gw", "add", ROUTE, "null", "true", "null"), NULL},
        {BROKEN("hyperv", "add", "{'prefix': '1.0.0.0/8', 'dev': 'a; reboot'}", "null", "true", "null"), NULL},
        {BROKEN("hyperv", "add", "{'prefix': '1.0.0.0/8', 'dev': '$(reboot)'}", "null", "true", "null"), NULL},
        {BROKEN("hyperv", "add", "{'prefix': '1.0.0.0/8', 'dev': 'a', 'kind': 'blackhole'}", "null", "true", "null"),
         NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char template[4000];
        snprintf(template, sizeof template, "%s, 'findings': [%s]}", BEGIN, cases[i].finding);
        char *text = text_of(template);
        const char *told = strstr(text, "  Command     ");
        cr_assert_eq(!told, !cases[i].command, "%s", text);
        if (told)
            cr_assert(strstr(told, cases[i].command), "%s", text);
        free(text);
    }
}

/* One mend for two causes is told once, unless it is refused for one of them. */
Test(analysis, the_same_mend_is_not_told_twice) {
    static const char *const refused[] = {"null", "'it breaks 7 flows'"};
    for (unsigned i = 0; i < 2; i++) {
        char template[5000];
        snprintf(template, sizeof template, "%s, 'findings': [%s, {'source': 'model', 'verdict': 'dropped', 'count': 2,"
                 " 'benign': false, 'text': 'other', 'cause': {'node': 'x', 'route': {'prefix': '0.0.0.0/0'}}, 'mend':"
                 " {'node': 'hyperv', 'change': 'add', 'route': %s, 'proven': %s, 'refused': %s, 'text': 'it'}}]}",
                 BEGIN, BROKEN("hyperv", "add", ROUTE, "null", "true", "null"), ROUTE, i ? "false" : "true",
                 refused[i]);
        ASSERT_TOLD(text_of(template), "2 flows: other.\n", "wins.\n",
                    i ? "  Mend        Refused: it; it breaks 7 flows.\n" : "  Mend        As above.\n\n");
    }
}

/* Lines are as long as the terminal allows. */
Test(analysis, text_fits_the_terminal_that_it_is_written_to) {
    static const unsigned short widths[] = {80, 120};
    static const unsigned longest_at_least[] = {70, 105};
    for (unsigned i = 0; i < 2; i++) {
        struct winsize size = {.ws_row = 24, .ws_col = widths[i]};
        char text[4000];
        int master = posix_openpt(O_RDWR | O_NOCTTY);
        cr_assert(master >= 0 && !grantpt(master) && !unlockpt(master));
        int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        cr_assert(slave >= 0 && !ioctl(slave, TIOCSWINSZ, &size));
        FILE *f = fdopen(slave, "w");
        json_t *doc = document(BEGIN ", 'findings': [" BROKEN("hyperv", "add", ROUTE, "null", "true", "null") "]}", "");
        report_analyze_text(doc, f);
        json_decref(doc);
        fclose(f);
        size_t have = 0;
        for (ssize_t n; have < sizeof text - 1 && (n = read(master, text + have, sizeof text - 1 - have)) > 0;)
            have += (size_t)n;
        text[have] = '\0';
        close(master);
        unsigned column = 0, longest = 0;
        for (const char *c = text; *c; c++) {
            column = *c == '\n' || *c == '\r' ? 0 : column + ((*c & 0xc0) != 0x80);
            longest = column > longest ? column : longest;
        }
        cr_assert(longest <= widths[i] && longest >= longest_at_least[i], "%u columns of %u in\n%s", longest, widths[i],
                  text);
    }
}

#define NOTES 40
static void notes(FILE *f) {
    for (unsigned i = 0; i < NOTES; i++)
        fprintf(f, "%s{'source': 'dhcp', 'verdict': 'duplicate_address', 'count': 1, 'benign': false,"
                " 'text': '10.0.2.%u is there twice', 'hint': 'move one', 'frames': [%u], 'cause': null, 'mend': null}",
                i ? ", " : "", i + 1, 300 + i);
}

Test(analysis, many_notes_of_one_kind_are_one) {
    char *template = NULL;
    size_t size;
    FILE *f = open_memstream(&template, &size);
    fprintf(f, "%s, 'findings': [", BEGIN);
    notes(f);
    fprintf(f, "]}");
    fclose(f);
    char *text = text_of(template);
    cr_assert_eq(count(text, "  Fault  "), 1, "%s", text);
    ASSERT_TOLD(text, "  Fault       10.0.2.1 is there twice; 10.0.2.2 is there twice; 10.0.2.3 is there twice;",
                "and 37 more\n",
                "(address there twice).\n  Since       Frame 300.\n  Mend        move one.\n");

    setenv("PATH", "/nonexistent", 1); /* no charts */
    struct report_document d = {"d.json", document(template, "")};
    cr_assert_eq(report_html(&d, 1, dir, NULL), 0);
    char *html = read_file("report.html");
    assert_balanced(html);
    cr_assert_eq(count(html, "address there twice</h4>"), 3);
    cr_assert(strstr(html, "37 smaller or similar ones are in the document, not here."));
    free(html);
    json_decref(d.doc);
    free(template);
}

/* Twelve findings of different sizes, the smallest first: the gravest of them stand on the screen. */
Test(analysis, the_gravest_come_first_and_fit_on_a_screen) {
    for (unsigned words = 1; words < 60; words += 7) {
        char *template = NULL;
        size_t size;
        FILE *f = open_memstream(&template, &size);
        fprintf(f, "%s, 'findings': [{'source': 'model', 'verdict': 'asym_benign', 'count': 5000, 'benign': true,"
                " 'text': 'bent', 'cause': {'node': 'n'}}", BEGIN);
        for (unsigned i = 0; i < 11; i++) {
            fprintf(f, ", {'source': 'model', 'verdict': 'dropped', 'count': %u, 'benign': false, 'first': 1,"
                    " 'text': '", i + 1);
            for (unsigned k = 0; k < words; k++)
                fprintf(f, "word ");
            fprintf(f, "end', 'cause': {'node': 'n%u'}}", i);
        }
        fprintf(f, "]}");
        fclose(f);
        char *text = text_of(template), *end = strstr(text, "\n\n");
        cr_assert(end);
        unsigned rows = 1, shown;
        for (const char *c = text; c < end; c++)
            rows += *c == '\n';
        cr_assert_leq(rows, 23, "a prompt must fit below:\n%s", text);
        *end = '\0';
        shown = count(text, "  Fault  ");
        cr_assert(shown >= 1 && shown <= 5, "%s", text);
        cr_assert_eq(shown, words == 1 ? 5 : shown, "short ones: five\n%s", text);
        char more[80];
        snprintf(more, sizeof more, "%u more findings are told below.", 12 - shown);
        cr_assert(strstr(text, more), "%s in\n%s", more, text);
        cr_assert(strstr(text, "  Fault       11 flows: "), "%s", text);
        cr_assert_eq(count(end + 1, "  Fault  "), 11 - shown, "all of the others");
        cr_assert(strstr(end + 1, "  Asymmetric  5,000 flows: bent."));
        free(text);
        free(template);
    }
}

Test(analysis, what_was_not_looked_at_is_said_at_once) {
    ASSERT_TOLD(text_of(BEGIN ", 'partial': true}"), "nic1, nic2.\n",
                "  Partial     The reading was interrupted: the figures cover what came before.\n");
    ASSERT_TOLD(text_of(BEGIN ", 'partial': true, 'damage': 'packet 7 is cut'}"),
                "  Damaged     The figures cover what could be read: packet 7 is cut.\n");
    ASSERT_TOLD(text_of("{'schema': 'fwdlab.analyze/1', 'packets': {'interfaces': [{'dropped': 3}, {'dropped': 4}]}}"),
                "  Not caught  7 packets were dropped by the capturing system.\n");
    ASSERT_TOLD(text_of("{'schema': 'fwdlab.analyze/1', 'flows': {'total': 1000, 'evicted': 900}}"),
                "  Evicted     900 of 1,000 flows made room for others", "no mend is called proved.\n");
}

Test(analysis, without_a_scenario_flows_that_are_bent_are_told) {
    ASSERT_TOLD(text_of("{'schema': 'fwdlab.analyze/1', 'inputs': [{'path': 'a.pcap'}], 'flows': {'total': 5,"
                        " 'observed': {'symmetric': 3, 'iface_asym': 2}}, 'findings': [{'source': 'observed',"
                        " 'verdict': 'iface_asym', 'count': 2, 'benign': true, 'first': 90061000000000, 'last': 4,"
                        " 'text': 'in by a, out by b'}]}"),
                "a.pcap: Capture only\n", "3 symmetric, 2 other interface.",
                "  Asymmetric  2 flows: in by a, out by b.\n", "(+1 d 1:01:01).\n");
}

#define ASKED \
    ", 'what_if': {'scenario': {'name': 'other'}, 'mended': 26, 'broken': 3, 'packets': {'same': 9, 'changed': [" \
    "   {'from': {'verdict': 'drop', 'reason': 'no-route'}, 'to': {'verdict': 'forward', 'out': 'NIC1'," \
    "    'via': '10.0.0.1', 'translated': true}, 'readdressed': true, 'count': 37, 'bytes': 3038}]}," \
    "  'flows': {'same': 540, 'changed': [{'from': 'no_return_route', 'to': 'symmetric', 'works_before': false," \
    "    'works_after': true, 'count': 26, 'packets': 37, 'bytes': 3038, 'text': '26 flows would work'}," \
    "   {'from': 'symmetric', 'to': 'asym_breaks', 'works_before': true, 'works_after': false, 'count': 3," \
    "    'packets': 12, 'bytes': 99, 'text': '3 flows would no longer work'," \
    "    'flow': {'proto': 'udp', 'src': 'a', 'sport': 1, 'dst': 'b', 'dport': 2}}]}}," \
    " 'nat': {'use': {'interval_ns': 1000000000, 'sessions': [1, 2, 3], 'ports': [1, 2, 2], 'available': 64," \
    "   'growth': 30.0, 'runs_out': {'pool': 'tcp', 'at_ns': 7323000000000, 'happened': false," \
    "   'basis': '30 ports an hour more'}, 'refused': {'client': 12}, 'clients': [{'client': '100.64.0.3'," \
    "   'sessions_peak': 9, 'ports_peak': 5, 'peak_at_ns': 1000000000, 'refused': 0}, {'client': '100.64.0.2'," \
    "   'sessions_peak': 7, 'ports_peak': 3, 'peak_at_ns': 500000000, 'refused': 12, 'first_refused_ns': 1e9}]}}," \
    " 'points': {'inside': 'home', 'outside': 'isp', 'epoch_ns': '1795302140000000000', 'offset_ns': -1200000," \
    "   'offset_width_ns': 3000, 'joined': 1234, 'proved': 1200, 'pairs': [{'proto': 'tcp'," \
    "   'inside': '10.0.0.9:40000', 'outside': '192.0.2.1:40000', 'remote': '198.51.100.1:80'," \
    "   'first': 2000000000, 'packets': 1200, 'proved': 1199, 'verdict': 'wrong_nat'}]}," \
    " 'findings': [{'source': 'nat', 'verdict': 'wrong_nat', 'count': 2, 'benign': false," \
    "   'text': 'left with another address', 'since': 2000000000, 'frames': ['home:7', 'isp:8'], 'cause': null," \
    "   'flow': {'proto': 'tcp', 'src': '10.0.0.9', 'sport': 4, 'dst': '198.51.100.1', 'dport': 80}}]"

Test(analysis, what_was_asked_for_is_answered) {
    ASSERT_TOLD(text_of(BEGIN ASKED "}"), "lan: Faults\n",
                "  What if     With other instead, 26 flows that do not work would, and 3 that work would not;",
                "540 of\n",
                "3 flows would no longer work.\n", "26 flows would work.\n",
                "  NAT limits  12 packets were refused", "100.64.0.2 most, since 2026-11-21 23:02:28 UTC (+1.000 s).\n",
                "  NAT ports   The outside ports for tcp would run out at 2026-11-22 01:04:30 UTC (+2:02:03)",
                "ports an hour more.\n", "  Two points  Of home and isp 1,234 packets were joined, 1,200 of them",
                "outside clock is 1.2 ms behind", "3 \u00b5s", "  Fault       2 flows such as tcp 10.0.0.9:4",
                "left with another address.\n", "  Since       2026-11-21 23:02:22 UTC (+2.000 s, frame home:7).\n",
                "Flows that another verdict awaits with other\n", "no way back", "symmetric", "mended", "26", "broken",
                "Packets of which something else becomes with other\n",
                "drop: no-route  forward by NIC1 via 10.0.0.1, translated, other addresses       37",
                "Most of the NAT of lan, by client\n", "100.64.0.3", "+1.000 s", "100.64.0.2", "12",
                "Flows on both sides of the NAT, and how", "tcp 10.0.0.9:40000", "1,199 of 1,200",
                "wrongly translated");
}

Test(analysis, the_page_has_a_section_for_each_question) {
    struct report_document d = {"d.json", document(BEGIN ASKED "}", "")};
    cr_assert_eq(report_html(&d, 1, dir, NULL), 0);
    char *html = read_file("report.html");
    assert_balanced(html);
    cr_assert(strstr(html, "<li><a href=\"#what-if\">") && strstr(html, "<h2 id=\"what-if\">"));
    cr_assert(strstr(html, "<li><a href=\"#points\">") && strstr(html, "<h2 id=\"points\">"));
    cr_assert(strstr(html, "wrongly translated</h4>"), "findings of the two points have cards");
    cr_assert(strstr(html, "class=\"bad\">broken</td>") && strstr(html, "class=\"good\">mended</td>"));
    if (!strstr(html, "gnuplot cannot be started"))
        cr_assert(strstr(html, "Live sessions and outside ports in use of lan"));
    free(html);
    json_decref(d.doc);
}

Test(analysis, missing_and_wrong_keys_are_survived) {
    setenv("PATH", "/nonexistent", 1);
    json_t *doc = document(BEGIN ASKED "}", "");
    assert_survives(doc, doc);
    json_decref(doc);
}
