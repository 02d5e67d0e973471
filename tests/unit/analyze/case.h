/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture analyzed: its document, and what the tests ask of it. */
#ifndef TESTS_ANALYZE_CASE_H
#define TESTS_ANALYZE_CASE_H

#include "../inject/capture.h"
#include <fwdlab/analyze/analyze.h>

struct cas {
    struct bench bench;
    struct feed_memory memory;
    struct control *model;
    struct fabric *fabric;
    struct analysis *analysis;
    json_t *doc;
};

/* `more`: workers, max_flows and record are taken from it. */
static inline struct cas case_with(const char *base, struct trace_memory *t, const struct analysis_options *more,
                                   struct err *e) {
    struct cas k = {.bench = bench_over(base, t, e), .doc = json_object()};
    cr_assert_not_null(k.bench.in, "%s", e->what);
    k.memory.trace = k.bench.in->trace;
    k.model = control_build(k.bench.scenario, NULL, e);
    k.fabric = fabric_create(k.model);
    const struct feed_source source = feed_memory(&k.memory);
    const struct analysis_options o = {.control = k.bench.control, .node = k.bench.node, .fabric = k.fabric,
                                       .keep_verdicts = true, .workers = more->workers,
                                       .max_flows = more->max_flows, .record = more->record,
                                       .record_arg = more->record_arg};
    k.analysis = analyze(&source, &o, e);
    cr_assert_not_null(k.analysis, "%s", e->what);
    analysis_document(k.analysis, k.doc);
    return k;
}

static inline struct cas case_over(const char *base, struct trace_memory *t, struct err *e) {
    const struct analysis_options none = {0};
    return case_with(base, t, &none, e);
}

static inline struct cas case_make(struct capture *c) {
    struct err e = {0};
    return case_over("routed", capture_trace(c), &e);
}

static inline void case_end(struct cas *k) {
    json_decref(k->doc);
    analysis_destroy(k->analysis);
    fabric_destroy(k->fabric);
    control_destroy(k->model);
    bench_end(&k->bench);
}

static inline json_int_t count(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}
static inline const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
/* The number at doc.a.b, or doc.a.b.c. */
static inline json_int_t at(const struct cas *k, const char *a, const char *b, const char *c) {
    json_t *o = json_object_get(k->doc, a);
    return c ? count(json_object_get(o, b), c) : count(o, b);
}
/* The first finding of a source with a verdict (NULL: any); NULL. */
static inline json_t *finding(const struct cas *k, const char *source, const char *verdict) {
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(k->doc, "findings"), i,
                       g) if (!strcmp(text(g, "source"), source) &&
                              (!verdict || !strcmp(text(g, "verdict"), verdict))) return g;
    return NULL;
}
/* A flow as it is named in a finding: "udp 10.0.2.2:1000 > 8.8.8.8:53". */
static inline const char *flow_of(const json_t *g, char *buf, size_t size) {
    const json_t *f = json_object_get(g, "flow");
    snprintf(buf, size, "%s %s:%lld > %s:%lld", text(f, "proto"), text(f, "src"), count(f, "sport"), text(f, "dst"),
             count(f, "dport"));
    return buf;
}

static inline void expect_observed(const struct cas *k, const char *verdict, json_int_t n) {
    cr_expect_eq(at(k, "flows", "observed", verdict), n, "%s: %s", verdict,
                 json_dumps(json_object_get(json_object_get(k->doc, "flows"), "observed"), 0));
}

/* SYN, SYN and ACK, ACK between a client on one interface and the node itself, which answers by another one. */
static inline void tcp_handshake(struct capture *c, uint32_t in, const char *src, uint16_t sport, const char *dst,
                                 uint16_t dport, uint32_t answers) {
    capture_tcp(c, in, TRACE_INBOUND, 64, src, sport, dst, dport, TCP_SYN, 100, 0, "");
    capture_tcp(c, answers, TRACE_OUTBOUND, 64, dst, dport, src, sport, TCP_SYN | TCP_ACK, 500, 101, "");
    capture_tcp(c, in, TRACE_INBOUND, 64, src, sport, dst, dport, TCP_ACK, 101, 501, "");
}

/* A question from a guest by NIC2 to a machine, and the answer coming back by `back` (an interface, or -1: none). */
static inline void question(struct capture *c, uint8_t proto, uint16_t port, int back) {
    bool icmp = proto == PROTO_ICMP;
    capture_add(c, SWITCH, TRACE_INBOUND, 64, proto, "10.0.2.2", port, "10.0.3.4", icmp ? ICMP_ECHO : 53, "q");
    capture_left(c, NIC2, NULL, 0, NULL, 0);
    if (back < 0)
        return;
    capture_add(c, (uint32_t)back, TRACE_INBOUND, 64, proto, "10.0.3.4", icmp ? port : 53, "10.0.2.2",
                icmp ? ICMP_ECHO_REPLY : port, "a");
    capture_left(c, SWITCH, NULL, 0, NULL, 0);
}

#endif
