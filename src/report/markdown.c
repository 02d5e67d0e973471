/* SPDX-License-Identifier: BSD-3-Clause */
/* The Markdown summary. */
#include "bench.h"
#include "page.h"
#include "tables.h"
#include "tables_bench.h"

/* And frees it. */
static void conclusion(struct out *o, const char *name, struct conclusion *c) {
    emit(o, "## %s: %s\n\n", name, c->state);
    for (size_t k = 0; k < c->lines.n; k++)
        emit(o, "- **%s:** %s\n", c->lines.v[k].label, c->lines.v[k].text);
    emit(o, "\n");
    conclusion_fini(c);
}

void page_conclusions_markdown(const struct view *v, struct out *o) {
    struct conclusion c;
    const char *headline = bench_headline(v);
    if (*headline)
        emit(o, "%s%s\n\n", headline, bench_noise_text(v, NULL));
    for (size_t i = 0; i < v->sizes.n; i++) {
        conclude_size(v, v->sizes.v[i], &c);
        conclusion(o, "Sizing", &c);
    }
    for (size_t i = 0; i < v->compares.n; i++) {
        conclude_compare(v, v->compares.v[i], &c);
        conclusion(o, "Comparison of runs", &c);
    }
    for (size_t i = 0; i < v->benches.n; i++) {
        conclude_bench(v, &v->benches.v[i], &c);
        conclusion(o, v->benches.v[i].name, &c);
    }
    for (size_t i = 0; i < v->list.n; i++) {
        conclude(v, &v->list.v[i], 4, &c);
        conclusion(o, v->list.v[i].name, &c);
    }
}

static void measured(const struct view *v, struct out *o) {
    if (v->benches.n)
        emit(o, "## Benchmarks\n\n");
    table_rates(v, o);
    table_bench_ratios(v, o);
    table_latency(v, o);
    table_bench_drops(v, o);
    table_capacity(v, o);
    table_workload(v, o);
    if (v->compares.n)
        emit(o, "## Compared runs\n\n");
    for (size_t i = 0; i < v->compares.n; i++) {
        table_changes(v->arena, v->compares.v[i], o);
        table_figures(v->arena, v->compares.v[i], 0, o);
    }
    if (v->sizes.n)
        emit(o, "## Sizing\n\n");
    for (size_t i = 0; i < v->sizes.n; i++) {
        table_answers(v->arena, v->sizes.v[i], o);
        table_extrapolations(v->arena, v->sizes.v[i], o);
        table_guests(v->arena, v->sizes.v[i], o);
        table_model(v->arena, v->sizes.v[i], o);
    }
    if (v->curves.n)
        emit(o, "## Cost against size\n\n");
    for (size_t i = 0; i < v->curves.n; i++)
        table_curves(v->arena, v->curves.v[i], o);
}

static void judged(const struct view *v, struct out *o) {
    emit(o, "## Comparison\n\n");
    table_comparison(v, o);
    table_verdicts(v, "model", "Flows by the model's verdict", o);
    table_verdicts(v, "observed", "Flows by what the capture shows", o);
    table_verdicts(v, "nat", "Flows by what NAT did to them", o);
    table_what_if(v, o);
    table_drops(v, "dropped", "Packets dropped at the node under test, by reason", o);
    table_drops(v, "dropped_elsewhere", "Packets dropped by the model's other nodes, by reason", o);
    table_drops(v, "icmp_errors", "ICMP errors sent to senders, by what they are about", o);
    table_hidden(v, o);
    table_stages(v, o);
    table_paced(v, o);
}

void page_markdown(const struct view *v, const struct report_pictures *p, FILE *f) {
    struct out o = {f, MARKUP_MARKDOWN, 0};
    const struct pictures *const sets[] = {&p->charts, &p->topologies};
    emit(&o, "# %s\n\n", page_title(v));
    page_conclusions_markdown(v, &o);
    measured(v, &o);
    if (v->list.n)
        judged(v, &o);
    table_noise(v, &o);
    emit(&o, "## Pictures\n\n");
    if (p->charts.missing)
        emit(&o, "Charts are left out: %s.\n\n", p->charts.missing);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sets[s]->list.n; i++)
            emit(&o, "![%s](%s.svg)\n\n", sets[s]->list.v[i].caption, sets[s]->list.v[i].name);
}
