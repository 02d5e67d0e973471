/* SPDX-License-Identifier: BSD-3-Clause */
/* What a terminal shows: conclusions as wrapped sentences, then the tables, as wide as the terminal. */
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "page.h"
#include "tables.h"
#include "tables_bench.h"

#define SCREEN_ROWS 24    /* a terminal's, the last of which is the next prompt's */
#define SCREEN_FINDINGS 5
#define POINTS_MAX 20     /* flows shown of two capture points */

static void spaces(struct out *o, size_t n) {
    for (size_t i = 0; o->f && i < n; i++)
        fputc(' ', o->f);
}

/* "label  text", wrapped at words, further lines indented under the text; its rows. o->f NULL: it is not written. */
static unsigned wrapped(struct out *o, const char *label, const char *text) {
    const size_t indent = 14; /* "Asymmetric" fits in front of it */
    size_t at = indent;
    unsigned rows = 1;
    char *copy = xstrdup(text), *rest = NULL;
    if (o->f)
        emit(o, "  %s", label);
    spaces(o, indent > 2 + text_width(label) ? indent - 2 - text_width(label) : 0);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        size_t n = text_width(word);
        if (at > indent && at + 1 + n > o->columns) {
            if (o->f)
                emit(o, "\n");
            spaces(o, indent);
            at = indent;
            rows++;
        } else if (at > indent) {
            spaces(o, 1);
            at++;
        }
        if (o->f)
            emit(o, "%s", word);
        at += n;
    }
    if (o->f)
        emit(o, "\n");
    free(copy);
    return rows;
}

/* And frees it. */
static void conclusion_lines(const char *name, struct conclusion *c, struct out *o) {
    emit(o, "%s: %s\n", name, c->state);
    for (size_t k = 0; k < c->lines.n; k++)
        wrapped(o, c->lines.v[k].label, c->lines.v[k].text);
    emit(o, "\n");
    conclusion_fini(c);
}

/* Where the matter ends that begins at a line. */
static size_t matter_end(const struct conclusion *c, size_t at) {
    do
        at++;
    while (at < c->lines.n && !c->lines.v[at].apart);
    return at;
}

static unsigned matter(const struct conclusion *c, size_t at, struct out *o) {
    unsigned rows = 0;
    for (size_t end = matter_end(c, at); at < end; at++)
        rows += wrapped(o, c->lines.v[at].label, c->lines.v[at].text);
    return rows;
}

/* The findings that fit on a screen, the gravest first, and then all else that is to be said. And frees it. */
static void conclusion_screen(struct arena *a, const char *name, struct conclusion *c, struct out *o) {
    unsigned rows = 3, shown = 0, left = 0; /* the state, "More" and a prompt */
    size_t further = c->lines.n;
    bool other = false;
    struct out unseen = {NULL, o->markup, o->columns};
    emit(o, "%s: %s\n", name, c->state);
    for (size_t i = 0; i < c->lines.n; i = matter_end(c, i)) {
        const bool finding = c->lines.v[i].finding;
        const unsigned more = matter(c, i, &unseen);
        if (i && !finding)
            continue;
        if (finding && (left || shown == SCREEN_FINDINGS || (shown && rows + more > SCREEN_ROWS))) {
            further = left++ ? further : i;
            continue;
        }
        rows += matter(c, i, o);
        shown += finding;
    }
    if (left)
        wrapped(o, "More", left == 1 ? "One more finding is told below."
                                     : arena_printf(a, "%u more findings are told below.", left));
    emit(o, "\n");
    for (size_t i = c->lines.n ? matter_end(c, 0) : 0; i < c->lines.n; i = matter_end(c, i))
        if (!c->lines.v[i].finding || i >= further) {
            matter(c, i, o);
            other = true;
        }
    if (other)
        emit(o, "\n");
    conclusion_fini(c);
}

static void conclusion_text(const struct view *v, unsigned limit, struct out *o) {
    struct conclusion c;
    for (size_t i = 0; i < v->list.n; i++) {
        conclude(v, &v->list.v[i], limit, &c);
        conclusion_lines(v->list.v[i].name, &c, o);
    }
    for (size_t i = 0; i < v->benches.n; i++) {
        conclude_bench(v, &v->benches.v[i], &c);
        conclusion_lines(v->benches.v[i].name, &c, o);
    }
    for (size_t i = 0; i < v->compares.n; i++) {
        conclude_compare(v, v->compares.v[i], &c);
        conclusion_lines("Comparison of runs", &c, o);
    }
    for (size_t i = 0; i < v->sizes.n; i++) {
        conclude_size(v, v->sizes.v[i], &c);
        conclusion_lines("Sizing", &c, o);
    }
}

/* One document. What is no document of ours shows nothing; who calls has loaded it through document_load. */
static void draw(const json_t *doc, FILE *f, enum markup markup, void (*fn)(struct view *v, struct out *o)) {
    const char *path = text_at(json_array_get(value_at(doc, "inputs"), 0), "path");
    const char *slash = strrchr(path, '/');
    struct report_document d = {!*path ? "this document" : slash ? slash + 1 : path, (json_t *)doc};
    struct out o = {f, markup, terminal_columns(f)};
    struct view v;
    if (view_init(&v, &d, 1, NULL))
        return;
    fn(&v, &o);
    view_fini(&v);
}

static void draw_analyze(struct view *v, struct out *o) {
    for (size_t i = 0; i < v->list.n; i++) {
        struct conclusion c;
        conclude(v, &v->list.v[i], 0, &c);
        conclusion_screen(v->arena, v->list.v[i].name, &c, o);
    }
    table_what_if(v, o);
    if (value_at(v->docs[0].doc, "scenario"))
        table_verdicts(v, "model", "Flows by the model's verdict", o);
    table_verdicts(v, "observed", "Flows by what the capture shows", o);
    table_verdicts(v, "nat", "Flows by what NAT did to them", o);
    table_drops(v, "dropped", "Packets dropped here, by reason", o);
    table_drops(v, "dropped_elsewhere", "Packets dropped by the model's other nodes, by reason", o);
    table_drops(v, "icmp_errors", "ICMP errors sent to senders, by what they are about", o);
    table_nat(v, o);
    table_clients(v, o);
    for (size_t i = 0; i < v->list.n; i++)
        table_points(v, &v->list.v[i], POINTS_MAX, o);
    table_dhcp(v, o);
    table_tcp(v, o);
    table_packets(v, o);
}

static void draw_replay(struct view *v, struct out *o) {
    table_packets(v, o);
    table_drops(v, "dropped", "Packets dropped here, by reason", o);
    table_drops(v, "icmp_errors", "ICMP errors sent to senders, by what they are about", o);
    table_cost(v, o);
    table_stages(v, o);
    table_sending(v, o);
    table_paced(v, o);
    table_ratios(v, o);
    table_noise(v, o);
    emit(o, "Hugepages: %s\n", text_at(v->docs[0].doc, "environment.hugepages"));
}

static void draw_bench(struct view *v, struct out *o) {
    conclusion_text(v, 0, o);
    table_rates(v, o);
    table_bench_ratios(v, o);
    table_latency(v, o);
    table_variation(v, o);
    table_bench_drops(v, o);
    for (size_t i = 0; i < v->benches.n; i++)
        table_load_cost(v, &v->benches.v[i], o);
    table_capacity(v, o);
    table_noise(v, o);
}

static void draw_compare(struct view *v, struct out *o) {
    if (o->markup == MARKUP_TERMINAL)
        conclusion_text(v, 0, o);
    else
        page_conclusions_markdown(v, o);
    for (size_t i = 0; i < v->compares.n; i++) {
        table_changes(v->arena, v->compares.v[i], o);
        table_figures(v->arena, v->compares.v[i], 0, o);
    }
}

static void draw_size(struct view *v, struct out *o) {
    conclusion_text(v, 0, o);
    for (size_t i = 0; i < v->sizes.n; i++) {
        table_answers(v->arena, v->sizes.v[i], o);
        table_extrapolations(v->arena, v->sizes.v[i], o);
        table_guests(v->arena, v->sizes.v[i], o);
        table_model(v->arena, v->sizes.v[i], o);
    }
}

void report_analyze_text(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_TERMINAL, draw_analyze);
}

void report_replay_text(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_TERMINAL, draw_replay);
}

void report_bench_text(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_TERMINAL, draw_bench);
}

void report_compare_text(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_TERMINAL, draw_compare);
}

void report_size_text(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_TERMINAL, draw_size);
}

void report_compare_markdown(const json_t *doc, FILE *f) {
    draw(doc, f, MARKUP_MARKDOWN, draw_compare);
}

void report_comparison_text(const struct report_document *docs, unsigned n, FILE *f) {
    struct out o = {f, MARKUP_TERMINAL, terminal_columns(f)};
    struct view v;
    if (view_init(&v, docs, n, NULL) < 0)
        return;
    conclusion_text(&v, 4, &o);
    if (v.list.n)
        table_comparison(&v, &o);
    table_rates(&v, &o);
    view_fini(&v);
}
