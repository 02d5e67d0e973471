/* SPDX-License-Identifier: BSD-3-Clause */
/* The HTML page: conclusions first, then what they rest on. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "conclude.h"
#include "page.h"
#include "reach.h"
#include "tables.h"
#include "tables_bench.h"

#define CARDS_MAX 40  /* findings shown of one configuration */
#define FRAMES_MAX 10 /* frame numbers shown of one finding */
#define PAIRS_MAX 20
#define FAULTS_MAX 4  /* told in the conclusion */

void page_section(struct out *o, const char *id, const char *title) {
    emit(o, "</section>\n<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>\n", id, id, title);
}

static void badge(struct out *o, enum tone tone, const char *text) {
    if (*text)
        emit(o, "<span class=\"badge %s\">%s</span>", tone_class[tone], text);
}

static void term(struct out *o, const char *css, const char *label, const char *text) {
    if (*text)
        emit(o, "<dt class=\"%s\">%s</dt><dd>%s</dd>\n", css, label, text);
}

static const char *listed(struct arena *a, const char *list, const char *name) {
    return arena_printf(a, *list ? "%s, %s" : "%s%s", list, name);
}

/* The configurations by state, and those whose faults or asymmetries have a proved mend. */
static void overall(const struct view *v, struct out *o) {
    json_t *states = json_object(), *names;
    const char *mended = "", *state;
    for (size_t i = 0; i < v->list.n; i++) {
        struct conclusion c;
        const char *name = v->list.v[i].name;
        bool proved = false;
        conclude(v, &v->list.v[i], 0, &c);
        for (size_t k = 0; k < c.lines.n; k++)
            proved |= !strcmp(c.lines.v[k].label, "Mend") && c.lines.v[k].tone == TONE_GOOD;
        json_object_set_new(states, c.state, json_string(listed(v->arena, text_at(states, c.state), name)));
        if (proved)
            mended = listed(v->arena, mended, name);
        conclusion_fini(&c);
    }
    emit(o, "<dl>\n");
    json_object_foreach(states, state, names)
        term(o, "", state, json_string_value(names));
    term(o, "", "Mendable", mended);
    emit(o, "</dl>\n");
    json_decref(states);
}

void page_conclusion(struct out *o, struct arena *a, const char *name, const char *sub, const struct conclusion *c) {
    emit(o, "<article class=\"card %s\"><div class=\"top\"><h3>%s</h3>", tone_class[c->tone], name);
    badge(o, c->tone, c->state);
    if (*sub && strcmp(sub, name))
        emit(o, "<span class=\"sub\">%s</span>", sub);
    emit(o, "</div><dl>\n");
    for (size_t k = 0; k < c->lines.n; k++) {
        const struct line *l = &c->lines.v[k];
        term(o, arena_printf(a, "%s%s", tone_class[l->tone], l->apart ? " gap" : ""), l->label, l->text);
    }
    emit(o, "</dl></article>\n");
}

static void conclusions(const struct view *v, struct out *o) {
    emit(o, "<div class=\"cards\">\n");
    for (size_t i = 0; i < v->list.n; i++) {
        struct conclusion c;
        conclude(v, &v->list.v[i], FAULTS_MAX, &c);
        page_conclusion(o, v->arena, v->list.v[i].name, v->list.v[i].title, &c);
        conclusion_fini(&c);
    }
    emit(o, "</div>\n");
}

static void figure(struct out *o, const char *css, const struct picture *p) {
    emit(o, "<figure class=\"%s\"><div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">", css,
         p->caption);
    fputs(p->svg, o->f);
    emit(o, "</div><figcaption>%s</figcaption></figure>\n", p->caption);
}

bool page_figures(struct out *o, const struct pictures *p, const char *section) {
    bool any = false;
    for (size_t i = 0; i < p->list.n; i++) {
        if (strcmp(p->list.v[i].section, section))
            continue;
        if (!any)
            emit(o, "<div class=\"charts\">\n");
        figure(o, "chart", &p->list.v[i]);
        any = true;
    }
    if (any)
        emit(o, "</div>\n");
    return any;
}

static const char *source_text(const json_t *f) {
    const char *source = text_at(f, "source");
    return !strcmp(source, "model") || !strcmp(source, "nat") ? "by the model"
           : !strcmp(source, "scenario")                      ? "in the scenario"
                                                              : "as captured";
}

static void finding_card(struct arena *a, const json_t *analyze, const json_t *f, struct out *o) {
    static const struct { enum tone tone; const char *text; } kinds[] = {
        [FINDING_FAULT] = {TONE_BAD, "fault"}, [FINDING_SEEN] = {TONE_WARN, "seen"},
        [FINDING_ASYMMETRY] = {TONE_INFO, "works"}, [FINDING_HARMLESS] = {TONE_NONE, "harmless"}};
    enum finding_kind kind = finding_kind(f);
    const json_t *probability = value_at(f, "probability");
    const struct fault alone = fault_of(f);
    enum tone tone;
    const char *state = mend_state(f, &tone);
    emit(o, "<article class=\"card %s\"><div class=\"top\"><h4>%s</h4>", tone_class[kinds[kind].tone],
         verdict_label(text_at(f, "verdict")));
    badge(o, kinds[kind].tone, kinds[kind].text);
    if (*state)
        badge(o, tone, arena_printf(a, "mend %s", state));
    emit(o, "<span class=\"sub\">%s</span></div>\n<p>%s</p><dl>\n", source_text(f), finding_what(a, f));
    term(o, "plain", "Flows", finding_flows(a, analyze, f, count_at(f, "count")));
    term(o, "plain", "Hosts", finding_hosts(a, analyze, f, SIZE_MAX));
    term(o, "plain", "Since", isnan(alone.first) ? "" : fault_since(a, analyze, &alone));
    term(o, "plain", "Frames", finding_frames(a, f, FRAMES_MAX));
    if (json_is_number(probability))
        term(o, "plain", "Probability", arena_printf(a, "%.3g", json_number_value(probability)));
    term(o, "plain", "Cause", finding_cause(a, f));
    term(o, tone_class[tone], "Mend", finding_mend(a, f));
    term(o, "plain", "Command", finding_command(a, analyze, f));
    emit(o, "</dl></article>\n");
}

void page_fold(struct out *o, bool open, const char *summary) {
    emit(o, open ? "<details open><summary>" : "<details><summary>");
    emit(o, "%s</summary>\n", summary);
}

/* What accuses nobody, in a table. */
static void harmless(const struct view *v, const struct configuration *c, const json_t *const *list, size_t n,
                     struct out *o) {
    static const char *const heads[] = {"Verdict", "Flows", "What", "For example", "First frames"};
    struct table t = {.arena = v->arena, .caption = arena_printf(v->arena, "Harmless findings of %s", c->name)};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_column(&t, i == 1, heads[i]);
    for (size_t i = 0; i < n; i++) {
        table_cell(&t, TONE_NONE, "%s, %s", verdict_label(text_at(list[i], "verdict")), source_text(list[i]));
        table_count(&t, TONE_NONE, count_at(list[i], "count"));
        table_cell(&t, TONE_NONE, "%s", finding_what(v->arena, list[i]));
        table_cell(&t, TONE_NONE, "%s", flow_text(v->arena, value_at(list[i], "flow")));
        table_cell(&t, TONE_NONE, "%s", finding_frames(v->arena, list[i], 3));
    }
    if (!n)
        return;
    page_fold(o, false, arena_printf(v->arena, "%zu harmless %s of %s", n, n == 1 ? "finding" : "findings", c->name));
    table_emit(&t, o);
    emit(o, "</details>\n");
}

static int source_rank(const json_t *f) {
    const char *source = text_at(f, "source");
    return !strcmp(source, "model") ? 0 : !strcmp(source, "nat") ? 1 : 2;
}

/* What breaks flows first, the model's before the capture's, then the largest. */
static int compare_findings(const void *x, const void *y) {
    const json_t *a = *(const json_t *const *)x, *b = *(const json_t *const *)y;
    long long n = count_at(a, "count"), m = count_at(b, "count");
    if (finding_kind(a) != finding_kind(b))
        return (int)finding_kind(a) - (int)finding_kind(b);
    if (source_rank(a) != source_rank(b))
        return source_rank(a) - source_rank(b);
    return n != m ? (n < m ? 1 : -1) : strcmp(text_at(a, "verdict"), text_at(b, "verdict"));
}

/* Of notes of one kind the first few are shown. */
static bool is_enough(const json_t *const *sorted, size_t at) {
    unsigned n = 0;
    for (size_t i = 0; i < at && n < FAULT_EXAMPLES; i++)
        n += notes_alike(sorted[i], sorted[at]);
    return n == FAULT_EXAMPLES;
}

static void findings_of(const struct view *v, const struct configuration *c, struct out *o) {
    const json_t *list = value_at(c->analyze, "findings");
    size_t n = json_array_size(list), i, cards = 0, shown = 0;
    json_t *f;
    if (!n)
        return;
    const json_t **sorted = xzalloc(n, sizeof *sorted);
    json_array_foreach(list, i, f)
        sorted[i] = f;
    qsort(sorted, n, sizeof *sorted, compare_findings);
    while (cards < n && finding_kind(sorted[cards]) != FINDING_HARMLESS)
        cards++;
    emit(o, cards ? "<h3>%s</h3>\n<div class=\"cards\">\n" : "<h3>%s</h3>\n", c->name);
    for (i = 0; i < cards && shown < CARDS_MAX; i++)
        if (!is_enough(sorted, i)) {
            finding_card(v->arena, c->analyze, sorted[i], o);
            shown++;
        }
    if (cards)
        emit(o, "</div>\n");
    if (cards > shown)
        emit(o, "<p class=\"note\">%zu smaller or similar ones are in the document, not here.</p>\n", cards - shown);
    harmless(v, c, sorted + cards, n - cards, o);
    free(sorted);
}

static void findings(const struct view *v, struct out *o) {
    bool any = false;
    for (size_t i = 0; i < v->list.n; i++) {
        any |= json_array_size(value_at(v->list.v[i].analyze, "findings")) > 0;
        findings_of(v, &v->list.v[i], o);
    }
    if (!any)
        emit(o, "<p>There are none.</p>\n");
}

static void reach(const struct view *v, struct out *o) {
    bool any = false;
    emit(o, "<p>What the model says about a TCP connection from each machine (row) to each other’s own address "
         "(column): ✓ it works, NAT it works translated, ✗ it does not, and why. Marked is what differs from the "
         "first configuration.</p>\n");
    for (size_t i = 0; i < v->list.n; i++) {
        const char *names = reach_sharers(v, i);
        if (!*names)
            continue;
        page_fold(o, !any, names);
        table_reach(v, &v->list.v[i], o);
        emit(o, "</details>\n");
        any = true;
    }
    if (!any)
        emit(o, "<p>No document tells it.</p>\n");
}

static void glossary(struct out *o) {
    static const char *const groups[] = {"model", "observed", "nat"};
    static const char *const titles[] = {"Verdicts of the model", "Verdicts of the capture",
                                         "Verdicts from two capture points with NAT between"};
    emit(o, "<p>Flows are named from their initiator, as he sends them, before NAT. The <strong>model</strong> walks "
         "each flow of the trace there and back through the scenario’s route tables and NAT; the "
         "<strong>capture</strong> alone shows where both directions crossed the router. A mend is called "
         "<strong>proved</strong> when the whole trace was judged again with it: every flow of the same cause works, "
         "and none that worked is lost. It is <strong>refused</strong> when it would break or translate others.</p>\n"
         "<p>A configuration has <strong>faults</strong> when the model finds flows that do not work; it "
         "<strong>reaches less</strong> when none does but pairs of machines lose each other against the first "
         "configuration; it is "
         "<strong>asymmetric</strong> when all works, but some answers take another way back; else it is "
         "<strong>sound</strong>. <em>Direct</em>, <em>NAT</em> and <em>Not</em> count pairs of machines: the one "
         "reaches the other’s own address untranslated, only translated, or not at all.</p>\n"
         "<p>Cycles are those of the time-stamp counter, for one packet, the median of the samples. Configurations are "
         "compared only within one interleaved run, pair by pair; the interval is a 95 %% bootstrap interval of the "
         "median ratio. <em>Same</em>, <em>better</em> and <em>worse</em> are said only when the whole interval says "
         "so, else <em>unclear</em>. A machine counts as quiet when it lost under 0.1 %% of the time.</p>\n");
    for (size_t g = 0; g < 3; g++) {
        emit(o, "<h3>%s</h3>\n<dl class=\"glossary\">\n", titles[g]);
        for (const char *const *name = verdict_names(groups[g]); *name; name++)
            emit(o, "<dt>%s<br><code>%s</code></dt><dd>%s</dd>\n", verdict_label(*name), *name, verdict_meaning(*name));
        emit(o, "</dl>\n");
    }
}

static void head(const struct view *v, struct out *o) {
    static const char *const nav[][2] = {
        {"rates", "Rates"}, {"latency", "Latency"}, {"load-cost", "Cost by stage, load and size"},
        {"trials", "Search and trials"}, {"compare", "Compared runs"}, {"history", "History"}, {"sizing", "Sizing"},
        {"curves", "Cost against size"},
        {"comparison", "Comparison"}, {"pictures", "Pictures"}, {"findings", "Findings"},
        {"what-if", "What if"}, {"points", "Two capture points"},
        {"reach", "Who reaches whom"}, {"topology", "Topology"},
        {"routes", "Routes and scenarios"}, {"packets", "Packets and NAT"}, {"cost", "Cost"},
        {"ground", "Machine and inputs"}, {"reading", "How to read this"}};
    const char *title = page_title(v), *first = page_lead(v);
    emit(o, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%s</title>\n<style>\n", title);
    fputs(page_style, o->f);
    emit(o, "</style></head>\n<body>\n<header><div class=\"wrap\"><h1>%s</h1>\n<p class=\"lead\">%s"
         "Drawn from %u %s.</p>\n"
         "<nav aria-label=\"Sections\"><ul>\n", title, first, v->n_docs, v->n_docs == 1 ? "document" : "documents");
    for (size_t i = 0; i < sizeof nav / sizeof *nav; i++)
        if (page_has(v, nav[i][0]))
            emit(o, "<li><a href=\"#%s\">%s</a></li>\n", nav[i][0], nav[i][1]);
    emit(o, "</ul></nav></div></header>\n<main class=\"wrap\">\n<section aria-labelledby=\"conclusions\">"
         "<h2 id=\"conclusions\">What this shows</h2>\n");
}

static void mappings(const struct view *v, const struct configuration *c, struct out *o) {
    if (!json_array_size(value_at(c->analyze, "nat.pairs")))
        return;
    emit(o, "<details class=\"screen\"><summary>NAT mappings of %s</summary>\n", c->name);
    table_pairs(v, c, PAIRS_MAX, o);
    emit(o, "</details>\n");
}

/* What some analyses were asked for. */
static void asked(const struct view *v, struct out *o) {
    if (page_has(v, "what-if")) {
        page_section(o, "what-if", "What if");
        table_what_if(v, o);
    }
    if (page_has(v, "points"))
        page_section(o, "points", "Two capture points");
    for (size_t i = 0; i < v->list.n; i++)
        table_points(v, &v->list.v[i], PAIRS_MAX, o);
}

static void evidence(const struct view *v, const struct report_pictures *p, struct out *o) {
    page_section(o, "routes", "Routes and scenarios");
    bool any = table_hidden(v, o);
    if (!table_complaints(v, o) && !any)
        emit(o, "<p>Every route takes effect, and the scenarios gave no reason to complain.</p>\n");
    page_section(o, "packets", "Packets and NAT");
    page_figures(o, &p->charts, "packets");
    table_packets(v, o);
    table_drops(v, "dropped", "Packets dropped at the node under test, by reason", o);
    table_drops(v, "dropped_elsewhere", "Packets dropped by the model's other nodes, by reason", o);
    table_drops(v, "icmp_errors", "ICMP errors sent to senders, by what they are about", o);
    table_nat(v, o);
    table_clients(v, o);
    table_dhcp(v, o);
    for (size_t i = 0; i < v->list.n; i++)
        mappings(v, &v->list.v[i], o);
    table_tcp(v, o);
    page_section(o, "cost", "Cost");
    if (!table_cost(v, o))
        emit(o, "<p>No replay was measured.</p>\n");
    table_stages(v, o);
    table_sending(v, o);
    table_paced(v, o);
}

/* What analyses and replays show. */
static void judged(const struct view *v, const struct report_pictures *p, struct out *o) {
    page_section(o, "comparison", "Comparison");
    table_comparison(v, o);
    table_verdicts(v, "model", "Flows by the model's verdict", o);
    table_verdicts(v, "observed", "Flows by what the capture shows", o);
    table_verdicts(v, "nat", "Flows by what NAT did to them", o);
    page_section(o, "pictures", "Pictures");
    if (!page_figures(o, &p->charts, "pictures"))
        emit(o, "<div class=\"charts\">\n</div>\n");
    page_section(o, "findings", "Findings");
    findings(v, o);
    asked(v, o);
    page_section(o, "reach", "Who reaches whom");
    reach(v, o);
    page_section(o, "topology", "Topology");
    for (size_t i = 0; i < p->topologies.list.n; i++)
        figure(o, "wide", &p->topologies.list.v[i]);
    if (!p->topologies.list.n)
        emit(o, "<p>No document tells one that can be drawn.</p>\n");
    evidence(v, p, o);
}

void page_html(const struct view *v, const struct report_pictures *p, FILE *f) {
    struct out o = {f, MARKUP_HTML, 0};
    head(v, &o);
    page_measured_conclusions(v, &o);
    if (v->list.n) {
        overall(v, &o);
        conclusions(v, &o);
    }
    if (p->charts.missing)
        emit(&o, "<p class=\"note\">Charts are left out: %s.</p>\n", p->charts.missing);
    page_measured(v, p, &o);
    if (v->list.n)
        judged(v, p, &o);
    page_section(&o, "ground", "Machine and inputs");
    table_machines(v, &o);
    table_noise(v, &o);
    table_inputs(v, &o);
    page_section(&o, "reading", "How to read this");
    page_measured_glossary(v, &o);
    if (v->list.n)
        glossary(&o);
    emit(&o, "</section>\n</main>\n<footer><div class=\"wrap\">Made by fwdlab from result documents "
             "alone.</div></footer>\n"
         "</body></html>\n");
}
