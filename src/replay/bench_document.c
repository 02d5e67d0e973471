/* SPDX-License-Identifier: BSD-3-Clause */
#include <fwdlab/base/clock.h>
#include <fwdlab/measure/stats.h>
#include <fwdlab/replay/bench.h>
#include <fwdlab/result/document.h>
#include <math.h>

#define BOOTSTRAP_SEED 1

static json_t *known(double v) {
    return v > 0 && isfinite(v) ? json_real(v) : json_null();
}

static json_t *samples_json(const struct bench_samples *s) {
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(list, json_real(s->v[i]));
    return list;
}

/* As replay's: TSC cycles of a packet in the core, in memory. */
static json_t *cost_json(const struct bench_cost *c, const char *pair) {
    if (!c->cycles.n)
        return json_null();
    json_t *o = json_object(), *cycles = json_object(), *stages = json_array();
    const double median = stats_median(c->cycles.v, c->cycles.n),
                 pps = median > 0 ? (double)clock_tsc_hz() / median : 0;
    json_object_set_new(cycles, "median", json_real(median));
    json_object_set_new(cycles, "p5", json_real(stats_quantile(c->cycles.v, c->cycles.n, 0.05)));
    json_object_set_new(cycles, "p95", json_real(stats_quantile(c->cycles.v, c->cycles.n, 0.95)));
    json_object_set_new(cycles, "samples", samples_json(&c->cycles));
    for (unsigned i = 0; i < c->n_stages; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "name", json_string(c->stages[i].name));
        json_object_set_new(s, "tsc_cycles", json_real(stats_median(c->stages[i].cycles.v, c->stages[i].cycles.n)));
        json_object_set_new(s, "samples", samples_json(&c->stages[i].cycles));
        document_count(s, "packets", c->stages[i].packets);
        document_count(s, "drops", c->stages[i].drops);
        json_array_append_new(stages, s);
    }
    json_object_set_new(o, "tsc_cycles", cycles);
    json_object_set_new(o, "mpps", json_real(pps / 1e6));
    json_object_set_new(o, "gbps", json_real(pps * c->bytes * 8 / 1e9));
    json_object_set_new(o, "stages", stages);
    json_object_set_new(o, "pair", json_string(pair));
    document_count(o, "run_ns", c->run_ns);
    document_count(o, "lost_ns", c->lost_ns);
    return o;
}

static json_t *bounds_json(const struct search_bounds *b) {
    return json_pack("{s:f, s:o}", "lower", b->lower, "upper", known(b->upper));
}

static void goals_json(const struct bench_configuration *c, const struct bench_options *o, json_t *doc) {
    json_t *list = json_array();
    for (unsigned g = 0; g < o->n_goals && c->search; g++) {
        const struct search_goal *goal = &o->goals[g];
        const struct search_bounds *b = &c->bounds[g];
        char key[80];
        snprintf(key, sizeof key, "%s_pps", goal->name);
        json_object_set_new(doc, key, bounds_json(b));
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f, s:o, s:f, s:b}", "name", goal->name, "loss_ratio",
                                              goal->loss_ratio, "width", goal->width, "lower", b->lower, "upper",
                                              known(b->upper), "conditional_pps", b->conditional, "exact", b->exact));
    }
    json_object_set_new(doc, "goals", list);
}

static json_t *trials_json(const struct bench_configuration *c) {
    json_t *o = json_object();
    document_count(o, "total", c->total);
    document_count(o, "repeated", c->repeated);
    document_count(o, "invalid", c->invalid);
    document_count(o, "kept", c->kept);
    document_count(o, "doubtful", c->doubtful);
    json_object_set_new(o, "seconds", json_real(c->seconds));
    json_object_set_new(o, "generator_pps", json_real(c->generator_pps));
    json_object_set_new(o, "generator_limited", json_boolean(c->limited));
    json_object_set(o, "list", c->trials);
    return o;
}

/* RFC 9004; `corrected` is in packets, buffer_ns the same as time at the burst's rate. */
static json_t *bursts_json(const struct bench_configuration *c) {
    if (!c->bursts.n)
        return json_null();
    double mean = 0;
    for (size_t i = 0; i < c->bursts.n; i++)
        mean += c->bursts.v[i] / (double)c->bursts.n;
    const double corrected = bench_burst_corrected(mean, c->bounds[0].lower, c->burst_pps);
    return json_pack("{s:f, s:o, s:f, s:f, s:I, s:b}", "packets", mean, "tests", samples_json(&c->bursts), "corrected",
                     corrected, "rate_pps", c->burst_pps, "buffer_ns",
                     (json_int_t)(c->burst_pps > 0 ? corrected / c->burst_pps * 1e9 : 0), "endless", c->bursts_endless);
}

static json_t *nat_json(const struct bench_configuration *c) {
    const struct bench_nat *n = &c->nat;
    if (!c->has_nat)
        return json_null();
    return json_pack("{s:{s:f, s:o}, s:f, s:I, s:b, s:I, s:s}", "setup_per_s", "lower", n->setup_low, "upper",
                     known(n->setup_high), "teardown_per_s", n->teardown, "capacity", (json_int_t)n->capacity, "full",
                     n->full, "offered", (json_int_t)n->offered, "source", "trace");
}

static json_t *options_json(const struct bench_options *o) {
    json_t *list = json_object();
    for (unsigned g = 0; g < o->n_goals; g++)
        json_object_set_new(list, o->goals[g].name, json_real(o->goals[g].loss_ratio));
    return json_pack("{s:f, s:b, s:I, s:o}", "trial_s", o->trial.seconds, "fifo", o->trial.fifo, "burst",
                     (json_int_t)(o->trial.burst ? o->trial.burst : 64), "loss_ratios", list);
}

void bench_document(const struct bench_configuration *c, const struct bench_options *o, const char *pair, json_t *doc) {
    json_t *options = options_json(o);
    json_object_set_new(options, "rest_s", json_real(c->rest_s));
    json_object_set_new(doc, "options", options);
    json_object_set_new(doc, "cost", cost_json(&c->cost, pair));
    goals_json(c, o, doc);
    json_object_set_new(
        doc, "mrr_pps",
        c->mrr.n ? json_pack("{s:f, s:o}", "median", stats_median(c->mrr.v, c->mrr.n), "samples", samples_json(&c->mrr))
                 : json_null());
    json_object_set_new(doc, "trials", trials_json(c));
    json_object_set(doc, "load", c->load);
    json_object_set_new(doc, "back_to_back", bursts_json(c));
    json_object_set_new(doc, "nat_rates", nat_json(c));
}

/* ---- comparison ---- */

/* `more`: more is better. Verdicts are taken from a figure where less is better, so then from the inverse ratio. */
static json_t *compared(const struct bench_configuration *base, const struct bench_configuration *c, const char *figure,
                        const struct bench_samples *a, const struct bench_samples *b, bool more) {
    const size_t pairs = a->n < b->n ? a->n : b->n;
    const struct stats_ratio r = stats_paired_ratio(a->v, b->v, pairs, BOOTSTRAP_SEED);
    const struct stats_ratio judged = more ? stats_paired_ratio(b->v, a->v, pairs, BOOTSTRAP_SEED) : r;
    json_t *high = isfinite(r.high) ? json_real(r.high) : json_null();
    return json_pack("{s:s, s:s, s:s, s:f, s:[f,o], s:s, s:I}", "name", c->name, "base", base->name, "figure", figure,
                     "ratio", r.ratio, "interval", r.low, high, "verdict",
                     stats_verdict_name(stats_verdict(&judged, BENCH_TOLERANCE)), "pairs", (json_int_t)r.pairs);
}

json_t *bench_comparison(const struct bench_configuration *c, unsigned n) {
    json_t *list = json_array();
    for (unsigned i = 1; i < n; i++) {
        if (c[0].cost.cycles.n && c[i].cost.cycles.n)
            json_array_append_new(list, compared(&c[0], &c[i], "cost", &c[0].cost.cycles, &c[i].cost.cycles, false));
        if (c[0].mrr.n && c[i].mrr.n)
            json_array_append_new(list, compared(&c[0], &c[i], "mrr", &c[0].mrr, &c[i].mrr, true));
    }
    return list;
}
