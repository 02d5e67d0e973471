/* SPDX-License-Identifier: BSD-3-Clause */
/* An analysis as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/decimal.h>
#include <fwdlab/measure/stats.h>
#include <fwdlab/result/document.h>
#include "analyze.h"
#include "document.h"
#include "natuse.h"
#include "whatif.h"

json_t *reasons_json(const uint64_t *counts, enum drop_class class) {
    json_t *o = json_object();
    uint64_t total = 0;
    json_object_set_new(o, "total", json_integer(0));
    for (unsigned r = 1; r < DROP_COUNT; r++) {
        if (!counts[r] || (class != DROP_CLASS_NONE && drop_class(r) != class))
            continue;
        total += counts[r];
        document_count(o, drop_name(r), counts[r]);
    }
    document_count(o, "total", total);
    return o;
}

/* [ { name, linktype, packets, dropped } ]; dropped by the capturing system: null when it does not say. */
static json_t *interfaces(const struct analysis *a) {
    json_t *list = json_array();
    for (size_t i = 0; i < a->interfaces.n; i++) {
        const struct trace_interface *x = &a->interfaces.v[i];
        json_t *o = json_pack("{s:s, s:i}", "name", x->name, "linktype", (int)x->linktype);
        document_count(o, "packets", x->packets);
        if (x->dropped == UINT64_MAX)
            json_object_set_new(o, "dropped", json_null());
        else
            document_count(o, "dropped", x->dropped);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *packets(const struct analysis *a) {
    json_t *o = json_object();
    const struct feed_counts *in = &a->counts;
    uint64_t dropped = 0;
    for (unsigned r = 1; r < DROP_COUNT; r++)
        dropped += a->drops[r];
    document_count(o, "read", in->read);
    document_count(o, "bytes", in->bytes);
    json_object_set_new(o, "interfaces", interfaces(a));
    if (in->inner)
        document_count(o, "inner", in->inner);
    document_count(o, "injected", a->delivered + a->forwarded + dropped + a->held);
    document_count(o, "delivered", a->delivered);
    document_count(o, "forwarded", a->forwarded);
    json_object_set_new(o, "dropped", reasons_json(a->drops, DROP_CLASS_NONE));
    if (a->held)
        document_count(o, "held", a->held);
    document_count(o, "copies", in->copies + in->own);
    document_count(o, "own", in->own);
    document_count(o, "malformed", in->malformed);
    json_t *ignored = reasons_json(in->by_reason, DROP_CLASS_IGNORED);
    if (in->elsewhere)
        document_count(ignored, "elsewhere", in->elsewhere);
    if (!a->node)
        document_count(ignored, "no-scenario", in->arrived);
    document_count(ignored, "total", in->ignored + in->elsewhere + (a->node ? 0 : in->arrived));
    json_object_set_new(o, "ignored", ignored);
    json_object_set_new(o, "dropped_elsewhere", reasons_json(a->elsewhere, DROP_CLASS_NONE));
    json_object_set_new(o, "icmp_errors", reasons_json(a->errors, DROP_CLASS_NONE));
    document_count(o, "fragmented", a->fragmented);
    document_count(o, "answers_unmatched", a->answers_unmatched);
    return o;
}

static json_t *flows(const struct analysis *a) {
    uint64_t drift = 0;
    for (int m = 0; m < MODEL_COUNT; m++)
        for (int v = 0; v < OBSERVED_COUNT; v++)
            drift += a->drifts[m][v].count;
    json_t *o = json_object(), *m = json_object(), *s = json_object(), *n = json_object();
    document_count(o, "total", a->seen_flows);
    if (a->evicted)
        document_count(o, "evicted", a->evicted);
    for (int v = 0; v < MODEL_COUNT; v++)
        document_count(m, model_verdict_name(v), a->model[v]);
    for (int v = 0; v < OBSERVED_COUNT; v++)
        document_count(s, observed_name(v), a->observed[v]);
    static const char *const nat[] = {"nat_bypass", "wrong_nat", "double_mapping", "nat_filtered"};
    for (size_t i = 0; i < sizeof nat / sizeof *nat; i++)
        document_count(n, nat[i], 0); /* need a second capture point */
    document_count(n, "port_exhausted", a->nat.refused_port);
    json_object_set_new(o, "model", m);
    json_object_set_new(o, "observed", s);
    json_object_set_new(o, "nat", n);
    document_count(o, "drift", drift);
    return o;
}

static json_t *ip_json(struct ip ip) {
    char text[IP_TEXT];
    return json_string(ip_format(&ip, text));
}

json_t *flow_json(const struct flow_key *k) {
    const char *proto = k->proto == PROTO_TCP    ? "tcp"
                        : k->proto == PROTO_UDP  ? "udp"
                        : k->proto == PROTO_ICMP ? "icmp"
                        : k->proto == PROTO_ICMPV6 ? "icmpv6"
                                                   : NULL;
    char number[8];
    snprintf(number, sizeof number, "%u", k->proto);
    json_t *o = json_object();
    json_object_set_new(o, "proto", json_string(proto ? proto : number));
    json_object_set_new(o, "src", ip_json(flow_key_src(k)));
    json_object_set_new(o, "sport", json_integer(ntohs(k->sport)));
    json_object_set_new(o, "dst", ip_json(flow_key_dst(k)));
    json_object_set_new(o, "dport", json_integer(ntohs(k->dport)));
    return o;
}

/* Where the model and the capture contradict each other: [ { model, observed, count, flow } ]. */
static json_t *drifts(const struct analysis *a) {
    json_t *list = json_array();
    for (int m = 0; a->fabric && m < MODEL_COUNT; m++)
        for (int o = 0; o < OBSERVED_COUNT; o++) {
            const struct drift *d = &a->drifts[m][o];
            if (d->count)
                json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:o}", "model", model_verdict_name(m),
                                                      "observed", observed_name(o), "count", (json_int_t)d->count,
                                                      "flow", flow_json(&d->example)));
        }
    return list;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Wireshark's number; with several files "file:frame". */
static json_t *frame_json(const struct analysis *a, uint64_t frame) {
    const uint64_t file = frame >> FRAME_FILE_SHIFT, number = frame & ((1ull << FRAME_FILE_SHIFT) - 1);
    return a->o.several ? json_sprintf("%llu:%llu", (unsigned long long)file + 1, (unsigned long long)number)
                : json_integer((json_int_t)number);
}

json_t *frames_json(const struct analysis *a, const uint64_t *frames, unsigned n) {
    uint64_t list[FINDING_FRAMES];
    memcpy(list, frames, n * sizeof *list);
    qsort(list, n, sizeof *list, by_number);
    json_t *o = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(o, frame_json(a, list[i]));
    return o;
}

static json_t *mend_json(const struct analysis *a, const struct finding *g) {
    if (!g->has_mend)
        return json_null();
    const struct control *c = fabric_control(a->fabric);
    const struct control_node *n = &c->nodes[g->mend.node];
    char text[900];
    json_t *o = json_object();
    json_object_set_new(o, "node", json_string(n->name));
    json_object_set_new(o, "change", json_string(change_kind_name(g->mend.kind)));
    json_object_set_new(o, "route", route_json(n, &g->mend.route));
    json_object_set_new(o, "old", g->mend.kind == CHANGE_REPLACE ? route_json(n, &g->mend.old) : json_null());
    if (g->mend.kind == CHANGE_ASSOCIATE)
        json_object_set_new(o, "table", json_string(c->scenario->route_tables.v[g->mend.table].name));
    json_object_set_new(o, "proven", json_boolean(g->proven));
    json_object_set_new(o, "refused", g->refused[0] ? json_string(g->refused) : json_null());
    json_object_set_new(o, "text", json_string(mend_text(a, g, text, sizeof text)));
    return o;
}

static json_t *finding_json(const struct analysis *a, uint32_t index) {
    const struct finding *g = &a->findings.v[index];
    const struct judgement *j = g->observed || !a->fabric ? NULL : &g->judgement;
    char text[1000];
    bool more;
    json_t *o = json_object();
    json_object_set_new(o, "source", json_string(g->observed ? "observed" : "model"));
    json_object_set_new(o, "verdict",
                        json_string(g->observed ? observed_name(g->verdict) : model_verdict_name(g->verdict)));
    document_count(o, "id", index + 1);
    document_count(o, "count", g->count);
    document_count(o, "packets", g->packets);
    document_count(o, "bytes", g->bytes);
    document_count(o, "first", g->first);
    document_count(o, "last", g->last);
    json_object_set_new(o, "benign", json_boolean(g->benign));
    json_object_set_new(o, "text", json_string(finding_text(a, g, text, sizeof text)));
    json_object_set_new(o, "reason", j && j->reason ? json_string(drop_name(j->reason)) : json_null());
    json_object_set_new(o, "told", j && j->reason ? json_boolean(j->told) : json_null());
    json_object_set_new(o, "flow", flow_json(&g->example));
    json_object_set_new(o, "hosts", hosts_json(&g->hosts, &more));
    json_object_set_new(o, "hosts_more", json_boolean(more));
    json_object_set_new(o, "frames", frames_json(a, g->frames, g->n_frames));
    json_object_set_new(o, "probability",
                        j && j->verdict == MODEL_ASYM_POSSIBLE ? json_real(j->probability) : json_null());
    if (j && j->cause_node != INDEX_NONE) {
        const struct control_node *n = &fabric_control(a->fabric)->nodes[j->cause_node];
        bool route = j->cause_route.prefix.addr.family != FAMILY_NONE;
        json_object_set_new(o, "cause", json_pack("{s:s, s:o}", "node", n->name, "route",
                                                  route ? route_json(n, &j->cause_route) : json_null()));
    } else {
        json_object_set_new(o, "cause", json_null());
    }
    json_object_set_new(o, "mend", g->observed ? json_null() : mend_json(a, g));
    return o;
}

/* What breaks flows first, then what bends them, then what is only said; the model's before the capture's. */
static int weight(const struct finding *g) {
    return (g->observed ? 4 : 0) + (g->benign ? 2 : 0) + (!g->observed && g->verdict == MODEL_UNMODELLED);
}

static json_t *note_json(const struct analysis *a, const struct note *n) {
    json_t *o = json_object();
    json_object_set_new(o, "source", json_string(n->source));
    json_object_set_new(o, "verdict", json_string(n->verdict));
    document_count(o, "count", n->count);
    json_object_set_new(o, "benign", json_boolean(n->benign));
    json_object_set_new(o, "text", json_string(n->text));
    json_object_set_new(o, "hint", json_string(n->hint));
    json_object_set_new(o, "reason", json_null());
    json_object_set_new(o, "flow", n->has_flow ? flow_json(&n->flow) : json_null());
    json_object_set_new(o, "frames", frames_json(a, n->frames, n->n_frames));
    json_object_set_new(o, "probability", json_null());
    json_object_set_new(o, "cause", json_null());
    json_object_set_new(o, "mend", json_null());
    return o;
}

static json_t *findings(const struct analysis *a) {
    json_t *o = json_array();
    for (size_t i = 0; i < a->notes.n; i++)
        if (!a->notes.v[i].benign)
            json_array_append_new(o, note_json(a, &a->notes.v[i]));
    for (int w = 0; w < 8; w++)
        for (uint32_t i = 0; i < a->findings.n; i++)
            if (weight(&a->findings.v[i]) == w)
                json_array_append_new(o, finding_json(a, i));
    for (size_t i = 0; i < a->notes.n; i++)
        if (a->notes.v[i].benign)
            json_array_append_new(o, note_json(a, &a->notes.v[i]));
    return o;
}

static void write_endpoint(struct writer *w, const char *key, be32 addr, be16 port) {
    char text[IP_TEXT + 1 + DECIMAL_TEXT];
    const struct ip ip = ip_v4(addr);
    char *end = strchr(ip_format(&ip, text), '\0');
    *end++ = ':';
    *decimal_put(end, ntohs(port)) = '\0';
    writer_key(w, key);
    writer_string(w, text);
}

static void write_number(struct writer *w, const char *key, uint64_t n) {
    writer_key(w, key);
    writer_integer(w, (long long)n);
}

static void write_pair(struct writer *w, const struct flow *f) {
    const struct nat_tuple *t = &f->nat.original, *r = &f->nat.reply;
    const bool in = f->from_outside;
    writer_begin(w, '{');
    write_endpoint(w, "inside", in ? r->src : t->src, in ? r->sport : t->sport);
    write_endpoint(w, "outside", in ? t->dst : r->dst, in ? t->dport : r->dport);
    write_number(w, "first", f->first);
    write_number(w, "last", f->last);
    write_number(w, "proto", f->key.proto);
    writer_end(w, '}');
}

static void write_pairs(struct writer *w, const void *of) {
    const struct analysis *a = of;
    for (size_t i = 0; i < a->translated.n; i++) {
        const struct flow *next = &a->flows.v[a->translated.v[i + 8 < a->translated.n ? i + 8 : i]];
        __builtin_prefetch(next);
        __builtin_prefetch(&next->key.proto);
        write_pair(w, &a->flows.v[a->translated.v[i]]);
    }
}

struct document_rows analysis_pairs(const struct analysis *a) {
    return (struct document_rows){.object = "nat", .key = "pairs", .write = write_pairs, .of = a};
}

static json_t *nat(const struct analysis *a) {
    json_t *o = json_object();
    document_count(o, "sessions_peak", a->nat.peak);
    document_count(o, "ports_peak", a->nat.ports_peak);
    document_count(o, "ports_available", a->nat.ports_available);
    document_count(o, "exhausted", a->nat.refused_port);
    document_count(o, "created", a->nat.created);
    json_object_set_new(o, "pairs", json_array()); /* analysis_pairs */
    json_object_set_new(o, "use", a->nat_use ? natuse_json(a->nat_use) : json_null());
    return o;
}

static json_t *tcp(const struct analysis *a) {
    json_t *o = json_object(), *rtt = json_object();
    static const char *const names[] = {"p50", "p90", "p99", "max"};
    static const double q[] = {0.5, 0.9, 0.99, 1};
    double ns[4];
    stats_quantiles(a->rtt_ns.v, a->rtt_ns.n, q, 4, ns);
    for (size_t i = 0; i < 4; i++)
        json_object_set_new(rtt, names[i], a->rtt_ns.n ? json_integer((json_int_t)ns[i]) : json_null());
    document_count(o, "handshakes", a->handshakes);
    json_object_set_new(o, "rtt_ns", rtt);
    document_count(o, "retransmissions", a->retransmissions);
    document_count(o, "out_of_order", a->out_of_order);
    return o;
}

void analysis_document(const struct analysis *a, json_t *doc) {
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)a->counts.epoch_ns);
    json_object_set_new(doc, "epoch_ns", json_string(epoch));
    document_count(doc, "span_ns", a->span_ns);
    json_object_set_new(doc, "packets", packets(a));
    json_object_set_new(doc, "flows", flows(a));
    json_object_set_new(doc, "drifts", drifts(a));
    json_object_set_new(doc, "findings", findings(a));
    json_object_set_new(doc, "nat", nat(a));
    json_object_set_new(doc, "tcp", tcp(a));
    json_object_set_new(doc, "dhcp", dhcp_json(a));
    if (a->fabric) {
        json_object_set_new(doc, "hidden_routes", hidden_routes_json(fabric_control(a->fabric)));
        json_object_set_new(doc, "reachability", reachability_json(a->fabric, FAMILY_IPV4));
        json_object_set_new(doc, "reachability_ipv6", reachability_json(a->fabric, FAMILY_IPV6));
        json_object_set_new(doc, "topology", topology_json(fabric_control(a->fabric), a->node->name));
    }
    if (a->what_if)
        json_object_set_new(doc, "what_if", whatif_json(a));
    if (a->damage)
        json_object_set_new(doc, "damage", json_string(a->damage));
}
