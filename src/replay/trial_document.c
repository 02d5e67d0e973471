/* SPDX-License-Identifier: BSD-3-Clause */
#include "trial_document.h"
#include <fwdlab/replay/document.h>
#include <fwdlab/result/document.h>

static json_t *values(const struct histogram *h, const char *const *names, const double *quantiles, unsigned n) {
    if (!h->bucket || !h->count)
        return json_null();
    json_t *o = json_object();
    for (unsigned i = 0; i < n; i++)
        document_count(o, names[i], histogram_quantile(h, quantiles[i]));
    return o;
}

static json_t *spread(const struct histogram *h) {
    static const char *const names[] = {"p50", "p99", "max"};
    return values(h, names, (const double[]){0.5, 0.99, 1}, 3);
}

static json_t *variation(const struct histogram *h) {
    static const char *const names[] = {"p50", "p99", "p999", "max"};
    return values(h, names, (const double[]){0.5, 0.99, 0.999, 1}, 4);
}

json_t *trial_latency_json(const struct histogram *h) {
    static const char *const names[] = {"min", "p50", "p90", "p99", "p999", "max"};
    if (!h->bucket || !h->count)
        return json_null();
    json_t *o = values(h, names, (const double[]){0, 0.5, 0.9, 0.99, 0.999, 1}, 6), *buckets = json_array();
    document_count(o, "min", h->min); /* the lowest quantile is rounded up, it is not */
    document_count(o, "count", h->count);
    json_object_set_new(o, "mean", json_real(h->sum / (double)h->count));
    for (uint32_t i = 0; i < h->n; i++)
        if (h->bucket[i]) {
            uint64_t low = histogram_bucket_low(h, i), high = histogram_bucket_low(h, i + 1) - 1;
            json_array_append_new(buckets,
                                  json_pack("[I,I,I]", (json_int_t)low, (json_int_t)high, (json_int_t)h->bucket[i]));
        }
    json_object_set_new(o, "histogram", buckets);
    return o;
}

static json_t *drops(const struct trial_result *r) {
    json_t *o = json_object();
    uint64_t total = 0;
    for (unsigned i = 1; i < DROP_COUNT; i++)
        total += r->drops[i];
    document_count(o, "total", total);
    for (unsigned i = 1; i < DROP_COUNT; i++)
        if (r->drops[i])
            document_count(o, drop_name(i), r->drops[i]);
    return o;
}

json_t *trial_json(const struct trial_result *r, const struct trial_options *o, unsigned repeated) {
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"duration_ns", (uint64_t)(o->seconds * 1e9)},
                  {"intended", r->intended},
                  {"sent", r->sent},
                  {"pushed_back", r->pushed_back},
                  {"received", r->received},
                  {"forwarded", r->forwarded},
                  {"delivered", r->delivered},
                  {"lost", r->lost},
                  {"intended_ns", r->intended_ns},
                  {"sent_ns", r->sent_ns},
                  {"received_ns", r->received_ns},
                  {"reordered", r->reordered},
                  {"answers_unmatched", r->answers_unmatched},
                  {"lost_time_ns", r->lost_time_ns},
                  {"repeated", repeated}};
    const bool by_rate = o->pace.kind != PACE_TRACE && o->pace.kind != PACE_MAX;
    char pace[64];
    json_t *t = json_object();
    json_object_set_new(t, "pace", json_string(pace_format(&o->pace, pace, sizeof pace)));
    json_object_set_new(t, "load_pps", by_rate ? json_real(o->pace.pps) : json_null());
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        document_count(t, counts[i].name, counts[i].value);
    json_object_set_new(t, "dropped", drops(r));
    if (r->held)
        document_count(t, "held", r->held);
    json_object_set_new(t, "loss_ratio", json_real(r->loss_ratio));
    json_object_set_new(t, "offered_pps", json_real(r->offered_pps));
    json_object_set_new(t, "sent_pps", json_real(r->sent_pps));
    json_object_set_new(t, "received_pps", json_real(r->received_pps));
    json_object_set_new(t, "packets_a_burst", json_real(r->packets_a_burst));
    json_object_set_new(t, "slip_ns", spread(&r->slip));
    json_object_set_new(t, "gap_error_ns", spread(&r->gap_error));
    json_object_set_new(t, "valid", json_boolean(!r->late));
    json_object_set_new(t, "noisy", json_boolean(r->noisy));
    json_object_set_new(t, "why", json_string(r->why));
    return t;
}

void trial_measured_json(const struct trial_result *r, const struct pace *pace, json_t *doc) {
    char text[64];
    json_t *generator = json_object(), *fidelity = json_object(), *delay = json_object();
    json_object_set_new(generator, "pace", json_string(pace_format(pace, text, sizeof text)));
    json_object_set_new(generator, "offered_pps", json_real(r->offered_pps));
    json_object_set_new(generator, "sent_pps", json_real(r->sent_pps));
    json_object_set_new(generator, "slip_ns", spread(&r->slip));
    json_object_set_new(generator, "valid", json_boolean(!r->late));
    if (r->late)
        json_object_set_new(generator, "why", json_string(r->why));
    json_object_set_new(fidelity, "gap_error_ns", spread(&r->gap_error));
    document_count(fidelity, "reordered", r->reordered);
    json_object_set_new(delay, "pdv_ns", variation(&r->pdv));
    json_object_set_new(delay, "ipdv_ns", variation(&r->ipdv));
    json_object_set_new(doc, "latency_ns", trial_latency_json(&r->latency));
    json_object_set_new(doc, "generator", generator);
    json_object_set_new(doc, "fidelity", fidelity);
    json_object_set_new(doc, "delay_variation", delay);
}

void replay_trial_document(const struct trial_result *r, const struct trial_options *o, json_t *doc) {
    trial_measured_json(r, &o->pace, doc);
    json_object_set_new(doc, "trial", trial_json(r, o, 0));
}

json_t *trial_load_json(const struct trial_result *r, const struct pace *pace) {
    json_t *doc = json_object(), *stages = json_array();
    double sum = 0;
    trial_measured_json(r, pace, doc);
    uint64_t packets = r->forwarded + r->delivered;
    for (unsigned i = 1; i < DROP_COUNT; i++)
        packets += r->drops[i];
    for (unsigned i = 0; i < r->n_stages; i++) {
        double cycles = packets ? r->stages[i].cycles / (double)packets : 0;
        json_t *s = json_object();
        json_object_set_new(s, "name", json_string(r->stages[i].name));
        json_object_set_new(s, "tsc_cycles", json_real(cycles));
        document_count(s, "packets", r->stages[i].packets);
        document_count(s, "drops", r->stages[i].drops);
        json_array_append_new(stages, s);
        sum += cycles;
    }
    json_object_set_new(
        doc, "cost",
        json_pack("{s:o, s:f, s:f}", "stages", stages, "tsc_cycles", sum, "packets_a_burst", r->packets_a_burst));
    json_object_set_new(doc, "dropped", drops(r));
    return doc;
}
