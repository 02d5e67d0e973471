/* SPDX-License-Identifier: BSD-3-Clause */
/* The page's parts about benchmarks, comparisons and sizings. */
#include <string.h>
#include "bench.h"
#include "page.h"
#include "tables_bench.h"

#define FIGURES_MAX 100

/* Is any document of compare one with a history? */
static bool has_history(const struct view *v) {
    for (size_t i = 0; i < v->compares.n; i++)
        if (json_array_size(value_at(v->compares.v[i], "series")))
            return true;
    return false;
}

static bool any_analysis_has(const struct view *v, const char *key) {
    for (size_t i = 0; i < v->list.n; i++)
        if (json_is_object(value_at(v->list.v[i].analyze, key)))
            return true;
    return false;
}

bool page_has(const struct view *v, const char *id) {
    static const char *const bench[] = {"rates", "latency", "load-cost", "trials"};
    for (size_t i = 0; i < sizeof bench / sizeof *bench; i++)
        if (!strcmp(id, bench[i]))
            return v->benches.n > 0;
    if (!strcmp(id, "compare"))
        return v->compares.n > 0;
    if (!strcmp(id, "history"))
        return has_history(v);
    if (!strcmp(id, "sizing"))
        return v->sizes.n > 0;
    if (!strcmp(id, "curves"))
        return v->curves.n > 0;
    if (!strcmp(id, "what-if"))
        return any_analysis_has(v, "what_if");
    if (!strcmp(id, "points"))
        return any_analysis_has(v, "points");
    return v->list.n > 0 || !strcmp(id, "ground") || !strcmp(id, "reading");
}

void page_measured_conclusions(const struct view *v, struct out *o) {
    struct conclusion c;
    const char *headline = bench_headline(v);
    if (*headline)
        emit(o, "<p class=\"headline\">%s%s</p>\n", headline, bench_noise_text(v, NULL));
    if (v->benches.n + v->compares.n + v->sizes.n == 0)
        return;
    emit(o, "<div class=\"cards\">\n");
    for (size_t i = 0; i < v->sizes.n; i++) {
        conclude_size(v, v->sizes.v[i], &c);
        page_conclusion(o, v->arena, "Sizing", "", &c);
        conclusion_fini(&c);
    }
    for (size_t i = 0; i < v->compares.n; i++) {
        conclude_compare(v, v->compares.v[i], &c);
        page_conclusion(o, v->arena, "Comparison of runs", text_at(v->compares.v[i], "kind"), &c);
        conclusion_fini(&c);
    }
    for (size_t i = 0; i < v->benches.n; i++) {
        conclude_bench(v, &v->benches.v[i], &c);
        page_conclusion(o, v->arena, v->benches.v[i].name, text_at(v->benches.v[i].doc, "scenario.title"), &c);
        conclusion_fini(&c);
    }
    emit(o, "</div>\n");
}

/* For each configuration, folded but for the first, its pictures and a table. */
static void by_bench(const struct view *v, const struct pictures *charts, const char *id, const char *what,
                     void (*table)(const struct view *, const struct bench *, struct out *), struct out *o) {
    for (size_t i = 0; i < v->benches.n; i++) {
        page_fold(o, i == 0, arena_printf(v->arena, "%s of %s", what, v->benches.v[i].name));
        page_figures(o, charts, arena_printf(v->arena, "%s-%zu", id, i + 1));
        table(v, &v->benches.v[i], o);
        emit(o, "</details>\n");
    }
}

static void benchmarks(const struct view *v, const struct pictures *charts, struct out *o) {
    page_section(o, "rates", "Rates");
    table_rates(v, o);
    table_bench_ratios(v, o);
    table_capacity(v, o);
    table_workload(v, o);
    page_section(o, "latency", "Latency");
    page_figures(o, charts, "latency");
    table_latency(v, o);
    table_variation(v, o);
    table_bench_drops(v, o);
    page_section(o, "load-cost", "Cost by stage, load and size");
    page_figures(o, charts, "load-cost");
    by_bench(v, charts, "load-cost", "Stages and loads", table_load_cost, o);
    page_section(o, "trials", "Search and trials");
    table_goals(v, o);
    by_bench(v, charts, "trials", "Search and trials", table_trials, o);
}

void page_measured(const struct view *v, const struct report_pictures *p, struct out *o) {
    if (v->benches.n)
        benchmarks(v, &p->charts, o);
    if (v->compares.n) {
        page_section(o, "compare", "Compared runs");
        for (size_t i = 0; i < v->compares.n; i++)
            table_figures(v->arena, v->compares.v[i], FIGURES_MAX, o);
        page_figures(o, &p->charts, "compare");
    }
    if (has_history(v)) {
        page_section(o, "history", "History");
        for (size_t i = 0; i < v->compares.n; i++)
            table_changes(v->arena, v->compares.v[i], o);
        page_figures(o, &p->charts, "history");
    }
    if (v->sizes.n) {
        page_section(o, "sizing", "Sizing");
        for (size_t i = 0; i < v->sizes.n; i++) {
            table_answers(v->arena, v->sizes.v[i], o);
            table_extrapolations(v->arena, v->sizes.v[i], o);
            table_guests(v->arena, v->sizes.v[i], o);
            table_model(v->arena, v->sizes.v[i], o);
        }
        page_figures(o, &p->charts, "sizing");
    }
    if (v->curves.n) {
        page_section(o, "curves", "Cost against size");
        page_figures(o, &p->charts, "curves");
        for (size_t i = 0; i < v->curves.n; i++)
            table_curves(v->arena, v->curves.v[i], o);
    }
}

void page_measured_glossary(const struct view *v, struct out *o) {
    static const char *const terms[][2] = {
        {"NDR", "no drop rate: the highest load at which no packet is lost; the lower bound of the search is told"},
        {"PDR", "partial drop rate: the same with the loss that the goal allows, 0.5 % unless said otherwise"},
        {"MRR", "maximum receive rate: what comes through while the generator sends all that it can"},
        {"Latency", "from the moment when a packet was due to be sent until the core hands it on, of every packet: a "
                    "stalled core or a late generator shows up in it"},
        {"Slip", "how late the generator sent a packet; when its 99th percentile is too large the trial is late and "
                 "does not count"},
        {"PDV, IPDV", "delay variation (RFC 5481): against the fastest packet; against the packet before in its flow"},
        {"Lost", "the share of the time that the machine took away in pauses over 50 \xc2\xb5s; above 0.1 % a trial is "
                 "noisy and is repeated, three times at most"},
        {"In memory", "the core alone, fed from memory, without rings or ports"},
        {"Not exact", "the search ended before its bounds were as near to each other as was asked"},
        {"Single", "compared from one run each: only differences clearly beyond the spread are called"}};
    if (v->benches.n + v->compares.n == 0)
        return;
    emit(o, "<h3>Measurements</h3>\n<dl class=\"glossary\">\n");
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
        emit(o, "<dt>%s</dt><dd>%s</dd>\n", terms[i][0], terms[i][1]);
    emit(o, "</dl>\n");
}
