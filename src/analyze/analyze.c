/* SPDX-License-Identifier: BSD-3-Clause */
/* The pass over the trace: every arrived packet through the core at trace time, every packet to its flow. */
#include <stdlib.h>
#include <string.h>
#include "analyze.h"

#define HEADERS_MAX 256 /* bytes of a packet that the core gets to see */

static bool is_icmp_error(const struct inject_packet *p) {
    return proto_is_icmp(p->key.proto) && p->flags & PACKET_ICMP_ERROR;
}

/* Flows name an ICMP query's type as destination port. */
static void name_icmp(const struct inject_packet *p, struct flow_key *key) {
    if (proto_is_icmp(key->proto) && p->l4 < p->raw->len)
        key->dport = htons(p->raw->data[p->l4]);
}

/* The key of an arrived packet's flow: as its session began, if it has one, else as it
 * came in. reply: against that key. */
static struct flow_key arrived_key(const struct analysis *a, const struct inject_packet *p, const struct packet *core,
                                   bool *reply) {
    struct flow_key key = p->key;
    struct nat_session s;
    name_icmp(p, &key);
    *reply = false;
    if (!core || !core->session || !nat_session_get(a->node->node.nat, core->session - 1, &s) || !s.translated)
        return key;
    memcpy(key.src, &s.original.src, 4);
    memcpy(key.dst, &s.original.dst, 4);
    key.sport = s.original.sport;
    if (key.proto != PROTO_ICMP)
        key.dport = s.original.dport;
    *reply = core->flags & PACKET_REPLY;
    return key;
}

static void count_forwarded(struct analysis *a, uint32_t flow, unsigned way, const struct packet *core) {
    if (core && core->verdict == VERDICT_FORWARD)
        a->flows.v[flow].way[way].forwarded++;
}

/* An ICMP error belongs to the flow that it is about, and is no packet of it: it goes
 * against the one that it quotes. */
static void see_error(struct analysis *a, const struct inject_packet *p, const struct packet *core) {
    if (p->after == INJECT_NONE || a->flow_of[p->after] == FLOW_NONE)
        return;
    a->flows.v[a->flow_of[p->after]].errors++;
    count_forwarded(a, a->flow_of[p->after], !a->way_of[p->after], core);
}

static void flow_arrived(struct analysis *a, uint32_t i, const struct packet *core) {
    const struct inject_packet *p = &a->in->packets[i];
    unsigned way;
    if (p->flags & PACKET_FRAG_LATER) { /* goes with its first fragment */
        if (p->after != INJECT_NONE && a->flow_of[p->after] != FLOW_NONE) {
            flow_see(a, i, a->flow_of[p->after], a->way_of[p->after]);
            count_forwarded(a, a->flow_of[p->after], a->way_of[p->after], core);
        }
        return;
    }
    if (is_icmp_error(p)) {
        see_error(a, p, core);
        return;
    }
    bool reply;
    struct flow_key key = arrived_key(a, p, core, &reply);
    bool answer = p->after != INJECT_NONE && a->flow_of[p->after] != FLOW_NONE; /* so says the capture's own NAT */
    uint32_t f =
        answer ? a->flow_of[p->after] : flow_get(a, &key, !reply && tcp_answers(p), inject_time(a->in, i), &way);
    if (answer)
        way = !a->way_of[p->after];
    else if (reply)
        way = !way;
    struct nat_session s;
    if (core && core->session && nat_session_get(a->node->node.nat, core->session - 1, &s) && s.translated) {
        a->flows.v[f].translated = true;
        a->flows.v[f].session = s;
    }
    flow_see(a, i, f, way);
    count_forwarded(a, f, way, core);
}

/* Keeps the verdict of a packet, whose tag is its place among them. */
static void settle(struct analysis *a, const struct packet *p, uint64_t frame, uint64_t now) {
    struct inject_verdict *v = &a->verdicts[p->tag];
    a->held -= v->verdict == VERDICT_HELD;
    inject_settle(&a->node->node, p, frame, now, v);
    a->delivered += v->verdict == VERDICT_DELIVER;
    a->forwarded += v->verdict == VERDICT_FORWARD;
    a->held += v->verdict == VERDICT_HELD;
    a->fragmented += v->fragments > 1;
    if (v->verdict == VERDICT_DROP)
        a->drops[v->reason]++;
    if (v->error)
        a->errors[v->reason]++;
}

/* One arrived packet through the core, and those that waited for it. */
static void run_core(struct analysis *a, uint32_t i, struct packet *p, uint8_t *data) {
    struct node *node = &a->node->node;
    inject_fill(a->in, i, p, data, HEADERS_MAX);
    if (inject_fit(a->in, i, p, node->nat) < 0)
        a->answers_unmatched++;
    uint64_t now = inject_clock(a->in, i);
    p->tag = a->n_verdicts++;
    forward(node, &p, 1, now);
    settle(a, p, a->in->packets[i].raw->frame, now);
    struct packet due;
    uint8_t held[HEADERS_MAX];
    while (inject_pass_due(node, &due, held, sizeof held, now))
        settle(a, &due, a->verdicts[due.tag].frame, now);
}

static void see_packet(struct analysis *a, uint32_t i) {
    const struct inject_packet *p = &a->in->packets[i];
    uint8_t data[HEADERS_MAX];
    struct packet core;
    if (p->kind == INJECT_ARRIVED) {
        if (a->node)
            run_core(a, i, &core, data);
        flow_arrived(a, i, a->node ? &core : NULL);
    } else if (p->kind == INJECT_COPY && a->flow_of[p->partner] != FLOW_NONE) {
        flow_left(a, i, a->flow_of[p->partner], a->way_of[p->partner]);
    } else if (p->kind == INJECT_OWN && is_icmp_error(p)) {
        see_error(a, p, NULL);
    } else if (p->kind == INJECT_OWN && !(p->flags & PACKET_FRAG_LATER)) {
        struct flow_key key = p->key;
        unsigned way;
        name_icmp(p, &key);
        uint32_t f = flow_get(a, &key, tcp_answers(p), inject_time(a->in, i), &way);
        flow_see(a, i, f, way);
    }
}

struct analysis *analyze(const struct inject *in, struct control_node *node, struct fabric *f) {
    struct analysis *a = xzalloc(1, sizeof *a);
    a->in = in;
    a->node = node;
    a->fabric = f;
    a->flow_of = xalloc(((size_t)in->n + 1) * sizeof *a->flow_of);
    memset(a->flow_of, 0xff, ((size_t)in->n + 1) * sizeof *a->flow_of);
    a->way_of = xzalloc(in->n + 1, 1);
    a->verdicts = xzalloc(in->arrived, sizeof *a->verdicts);
    for (uint32_t i = 0; i < in->n; i++)
        see_packet(a, i);
    if (node && node->node.nat)
        nat_stats_get(node->node.nat, &a->nat);
    observe(a);
    dhcp_see(a);
    if (f) {
        judge_flows(a);
        mend_findings(a);
    }
    file_observed(a);
    return a;
}

void analysis_destroy(struct analysis *a) {
    if (!a)
        return;
    vec_free(&a->flows);
    vec_free(&a->findings);
    vec_free(&a->notes);
    vec_free(&a->dhcp.leases);
    vec_free(&a->dhcp.sights);
    vec_free(&a->rtt_ns);
    free(a->heads);
    free(a->flow_of);
    free(a->way_of);
    free(a->verdicts);
    free(a->judgements);
    free(a);
}

const struct inject_verdict *analysis_verdicts(const struct analysis *a, size_t *n) {
    *n = a->n_verdicts;
    return a->verdicts;
}
