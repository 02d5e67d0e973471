/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/replay/document.h>
#include <fwdlab/result/document.h>

#define BOOTSTRAP_SEED 1

static json_t *reasons(const uint64_t *counts, enum drop_class class, uint64_t more) {
    json_t *o = json_object();
    uint64_t total = more;
    document_count(o, "total", 0);
    for (unsigned r = 1; r < DROP_COUNT; r++)
        if (counts && counts[r] && (class == DROP_CLASS_NONE || drop_class(r) == class)) {
            total += counts[r];
            document_count(o, drop_name(r), counts[r]);
        }
    if (more)
        document_count(o, "elsewhere", more);
    document_count(o, "total", total);
    return o;
}

static json_t *packets(const struct replay_configuration *c) {
    const struct inject *in = c->own;
    json_t *o = json_object();
    document_count(o, "read", in->n);
    document_count(o, "injected", in->arrived);
    document_count(o, "delivered", c->delivered);
    document_count(o, "forwarded", c->forwarded);
    json_object_set_new(o, "dropped", reasons(c->drops, DROP_CLASS_NONE, 0));
    if (c->held)
        document_count(o, "held", c->held);
    document_count(o, "copies", in->copies + in->own);
    document_count(o, "own", in->own);
    document_count(o, "malformed", in->malformed);
    json_object_set_new(o, "ignored", reasons(in->by_reason, DROP_CLASS_IGNORED, in->elsewhere));
    json_object_set_new(o, "dropped_elsewhere",
                        reasons(NULL, DROP_CLASS_NONE, 0)); /* one node is run: no other drops */
    json_object_set_new(o, "icmp_errors", reasons(c->errors, DROP_CLASS_NONE, 0));
    document_count(o, "fragmented", c->fragmented);
    return o;
}

static json_t *numbers(const double *v, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(v[i]));
    return list;
}

static json_t *cost(const struct replay_configuration *c, const char *pair) {
    json_t *o = json_object(), *cycles = json_object(), *epochs = json_array(), *stages = json_array();
    double median = stats_median(c->cycles, c->n_cycles), pps = median > 0 ? (double)clock_tsc_hz() / median : 0;
    json_object_set_new(cycles, "median", json_real(median));
    json_object_set_new(cycles, "p5", json_real(stats_quantile(c->cycles, c->n_cycles, 0.05)));
    json_object_set_new(cycles, "p95", json_real(stats_quantile(c->cycles, c->n_cycles, 0.95)));
    json_object_set_new(cycles, "samples", numbers(c->cycles, c->n_cycles));
    for (unsigned i = 0; i < c->n_epochs; i++)
        json_array_append_new(epochs, json_integer((json_int_t)c->epochs[i]));
    for (unsigned i = 0; i < c->n_stages; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "name", json_string(c->stages[i].name));
        json_object_set_new(s, "tsc_cycles", json_real(c->stages[i].cycles));
        document_count(s, "packets", c->stages[i].packets);
        document_count(s, "drops", c->stages[i].drops);
        json_object_set_new(s, "samples", numbers(c->stages[i].samples, c->n_cycles));
        json_array_append_new(stages, s);
    }
    double bytes = c->injected ? (double)c->bytes / (double)c->injected : 0;
    json_object_set_new(o, "tsc_cycles", cycles);
    json_object_set_new(o, "mpps", json_real(pps / 1e6));
    json_object_set_new(o, "gbps", json_real(pps * bytes * 8 / 1e9));
    json_object_set_new(o, "stages", stages);
    json_object_set_new(o, "epochs", epochs);
    json_object_set_new(o, "pair", json_string(pair));
    return o;
}

void replay_document(const struct replay_configuration *c, const struct replay_result *r, const char *pair,
                     json_t *doc) {
    json_object_set_new(doc, "packets", packets(c));
    json_object_set_new(doc, "cost", cost(c, pair));
    json_object_set_new(doc, "latency_ns", json_null()); /* at pace max latency has no meaning */
    json_object_set_new(
        doc, "generator",
        json_pack("{s:s, s:n, s:n, s:n, s:b}", "pace", "max", "offered_pps", "sent_pps", "slip_ns", "valid", 1));
    json_object_set_new(doc, "fidelity", json_null());
    json_object_set_new(doc, "answers",
                        json_pack("{s:I, s:I}", "rewritten", (json_int_t)c->answers_rewritten, "unmatched",
                                  (json_int_t)c->answers_unmatched));
    document_count(doc, "laps", r->laps);
    json_object_set_new(doc, "timing",
                        json_pack("{s:I, s:I, s:I}", "run_ns", (json_int_t)r->run_ns, "lost_ns", (json_int_t)r->lost_ns,
                                  "overhead_tsc_cycles", (json_int_t)r->overhead_cycles));
}

json_t *replay_comparison(const struct replay_configuration *c, unsigned n) {
    json_t *list = json_array();
    for (unsigned i = 1; i < n; i++) {
        struct stats_ratio r =
            stats_clustered_ratio(c[0].cycles, c[i].cycles, c[0].epochs, c[0].n_epochs, BOOTSTRAP_SEED);
        json_t *high = isfinite(r.high) ? json_real(r.high) : json_null();
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:f, s:[f,o], s:s, s:I}", "name", c[i].name, "base", c[0].name, "figure",
                            "cost", "ratio", r.ratio, "interval", r.low, high, "verdict",
                            stats_verdict_name(stats_verdict(&r, REPLAY_TOLERANCE)), "pairs", (json_int_t)r.pairs));
    }
    return list;
}
