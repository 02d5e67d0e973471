/* SPDX-License-Identifier: BSD-3-Clause */
/* The variant's node beside the first scenario's, packet by packet. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/result/document.h>
#include "document.h"
#include "whatif.h"

#define BYTES_MAX 2048 /* of a packet: more than feed keeps */

/* ---- ports by name ---- */

static uint16_t port_named(const struct control_node *n, const char *name) {
    for (uint16_t i = 0; i < n->node.n_ports; i++)
        if (!strcmp(n->ports[i].name, name))
            return i;
    return PORT_NONE;
}

struct whatif *whatif_create(const struct analysis_what_if *o, const struct control_node *before) {
    struct whatif *w = xzalloc(1, sizeof *w);
    w->control = o->control;
    w->before = before;
    w->node = &o->control->nodes[o->node];
    w->fabric = o->fabric;
    const uint16_t n = before->node.n_ports, m = w->node->node.n_ports;
    w->in = xzalloc(n, sizeof *w->in);
    w->out = xzalloc(m, sizeof *w->out);
    for (uint16_t i = 0; i < n; i++)
        w->in[i] = port_named(w->node, before->ports[i].name);
    for (uint16_t i = 0; i < m; i++) {
        const uint16_t same = port_named(before, w->node->ports[i].name);
        w->out[i] = same == PORT_NONE ? (uint16_t)(n + i) : same;
    }
    w->bytes = xalloc((size_t)FEED_MOST * BYTES_MAX);
    w->after = xalloc(FEED_MOST * sizeof *w->after);
    return w;
}

void whatif_destroy(struct whatif *w) {
    if (!w)
        return;
    vec_free(&w->undecided);
    vec_free(&w->decided);
    vec_free(&w->packets);
    vec_free(&w->flows);
    free(w->in);
    free(w->out);
    free(w->bytes);
    free(w->after);
    free(w);
}

static const char *port_name(const struct whatif *w, uint16_t port) {
    const uint16_t n = w->before->node.n_ports;
    return port < n ? w->before->ports[port].name : w->node->ports[port - n].name;
}

/* ---- the variant's core ---- */

static struct outcome outcome_of(const struct whatif *w, const struct node *node, const struct packet *p,
                                 unsigned side) {
    struct outcome o = {.verdict = p->verdict, .port = PORT_NONE};
    struct flow_key left;
    if (p->verdict == VERDICT_DROP)
        o.reason = p->reason;
    if (p->verdict != VERDICT_FORWARD)
        return o;
    packet_key(p, &left);
    o.translated = p->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED);
    o.port = side ? w->out[p->out_port] : p->out_port;
    o.src = flow_key_src(&left);
    o.dst = flow_key_dst(&left);
    o.via = node_next_hop(node, p);
    if (ip_equal(&o.via, &o.dst))
        o.via = (struct ip){0};
    return o;
}

static void count(struct whatif *w, const struct packet *p, uint64_t now) {
    struct inject_verdict v;
    inject_settle((struct node *)&w->node->node, p, 0, now, &v); /* does what else the node owes */
    w->forwarded += v.verdict == VERDICT_FORWARD;
    w->delivered += v.verdict == VERDICT_DELIVER;
    if (v.verdict == VERDICT_DROP)
        w->drops[v.reason]++;
}

void whatif_released(struct whatif *w, const struct node *node, const struct packet *p, unsigned side) {
    vec_push(&w->decided, (struct decided){side, p->tag, outcome_of(w, node, p, side)});
}

/* The burst's packets, and whose they are in the batch. */
struct burst {
    struct packet p[FEED_MOST], *list[FEED_MOST];
    unsigned of[FEED_MOST], n;
    uint64_t now;
};

static void run_burst(struct whatif *w, struct burst *b) {
    struct node *node = (struct node *)&w->node->node;
    struct packet due;
    uint8_t held[NAT_HELD_BYTES];
    if (!b->n)
        return;
    forward(node, b->list, b->n, b->now);
    for (unsigned i = 0; i < b->n; i++) {
        count(w, b->list[i], b->now);
        w->after[b->of[i]] = outcome_of(w, node, b->list[i], 1);
    }
    while (inject_pass_due(node, &due, held, sizeof held, b->now)) {
        count(w, &due, b->now);
        whatif_released(w, node, &due, 1);
    }
    b->n = 0;
}

/* The packet as it was captured, over bytes from `to` on; returns where the next one's may begin. */
static uint8_t *prepare(struct whatif *w, struct feed_packet *q, struct packet *p, uint8_t *to, uint64_t tag) {
    feed_fill(q, p);
    if (p->len > BYTES_MAX)
        p->len = BYTES_MAX;
    p->data = memcpy(to, p->data, p->len);
    p->in_port = w->in[q->p.port];
    p->tag = tag;
    if (feed_fit(q, p, w->node->node.nat) < 0)
        w->answers_unmatched++;
    return to + p->len + p->room;
}

void whatif_run(struct analysis *a, struct feed_packet *q, unsigned n) {
    struct whatif *w = a->what_if;
    struct burst b = {.now = a->clock};
    uint8_t *bytes = w->bytes;
    w->tags += n;
    for (unsigned i = 0; i < n; i++) {
        w->after[i] = (struct outcome){.port = PORT_NONE};
        if (q[i].p.kind != INJECT_ARRIVED || w->in[q[i].p.port] == PORT_NONE)
            continue;
        const uint64_t clock = core_clock(a, &q[i]);
        if (clock > b.now || q[i].relation.waits || w->node->node.filter)
            run_burst(w, &b);
        b.now = clock > b.now ? clock : b.now;
        bytes = prepare(w, &q[i], &b.p[i], bytes, w->tags - n + i);
        b.list[b.n] = &b.p[i];
        b.of[b.n++] = i;
    }
    run_burst(w, &b);
}

/* ---- the comparison ---- */

static bool same_way(const struct outcome *x, const struct outcome *y) {
    return x->verdict == y->verdict && x->reason == y->reason && x->translated == y->translated && x->port == y->port &&
           ip_equal(&x->via, &y->via);
}

static bool same_addresses(const struct outcome *x, const struct outcome *y) {
    return ip_equal(&x->src, &y->src) && ip_equal(&x->dst, &y->dst);
}

static bool same_change(const struct packet_change *x, const struct packet_change *y) {
    return x->readdressed == y->readdressed && same_way(&x->from, &y->from) && same_way(&x->to, &y->to);
}

static void file_packet(struct whatif *w, struct packet_change *c) {
    c->readdressed = same_way(&c->from, &c->to);
    if (c->readdressed && same_addresses(&c->from, &c->to)) {
        w->same_packets++;
        return;
    }
    if (w->last >= w->packets.n || !same_change(&w->packets.v[w->last], c))
        for (w->last = 0; w->last < w->packets.n && !same_change(&w->packets.v[w->last], c);)
            w->last++;
    if (w->last == w->packets.n)
        vec_push(&w->packets, *c);
    w->packets.v[w->last].count++;
    w->packets.v[w->last].bytes += c->bytes;
}

/* What was held and is decided by both files its change. */
static void settle_undecided(struct whatif *w) {
    for (size_t i = 0; i < w->decided.n; i++) {
        const struct decided *d = &w->decided.v[i];
        size_t k = 0;
        while (k < w->undecided.n && w->undecided.v[k].tag[d->side] != d->tag)
            k++;
        if (k == w->undecided.n)
            continue;
        struct packet_change *c = &w->undecided.v[k].is;
        *(d->side ? &c->to : &c->from) = d->outcome;
        if (c->from.verdict == VERDICT_HELD || c->to.verdict == VERDICT_HELD)
            continue;
        file_packet(w, c);
        w->undecided.v[k] = w->undecided.v[--w->undecided.n];
    }
    w->decided.n = 0;
}

void whatif_compare(struct analysis *a, const struct feed_packet *q, unsigned n, const struct packet *core) {
    struct whatif *w = a->what_if;
    for (unsigned i = 0; i < n; i++) {
        if (q[i].p.kind != INJECT_ARRIVED)
            continue;
        struct packet_change c = {.from = outcome_of(w, &a->node->node, &core[i], 0), .to = w->after[i],
                                  .flow = q[i].p.key, .frame = frame_of(&q[i].raw)};
        c.bytes = q[i].raw.wire_len > q[i].p.l3 ? q[i].raw.wire_len - q[i].p.l3 : 0;
        if (c.from.verdict == VERDICT_HELD || c.to.verdict == VERDICT_HELD)
            vec_push(&w->undecided, (struct undecided){c, {core[i].tag, w->tags - n + i}});
        else
            file_packet(w, &c);
    }
    settle_undecided(w);
}

void whatif_finish(struct whatif *w) {
    for (size_t i = 0; i < w->undecided.n; i++)
        file_packet(w, &w->undecided.v[i].is);
}

/* ---- the document ---- */

/* { verdict, reason, out, via, translated } */
static json_t *outcome_json(const struct whatif *w, const struct outcome *o) {
    static const char *const verdicts[] = {[VERDICT_NONE] = "no-such-nic", [VERDICT_DELIVER] = "deliver",
                                           [VERDICT_FORWARD] = "forward", [VERDICT_DROP] = "drop",
                                           [VERDICT_HELD] = "held"};
    char via[IP_TEXT];
    json_t *j = json_object();
    json_object_set_new(j, "verdict", json_string(verdicts[o->verdict]));
    json_object_set_new(j, "reason", o->reason ? json_string(drop_name(o->reason)) : json_null());
    json_object_set_new(j, "out", o->port == PORT_NONE ? json_null() : json_string(port_name(w, o->port)));
    json_object_set_new(j, "via", ip_is_none(&o->via) ? json_null() : json_string(ip_format(&o->via, via)));
    json_object_set_new(j, "translated", json_boolean(o->translated));
    return j;
}

static int by_count(const void *x, const void *y) {
    const struct packet_change *a = x, *b = y;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : (a->frame > b->frame) - (a->frame < b->frame);
}

static json_t *packets_json(const struct analysis *a) {
    struct whatif *w = a->what_if;
    json_t *o = json_object(), *changed = json_array();
    document_count(o, "same", w->same_packets);
    if (w->packets.n)
        qsort(w->packets.v, w->packets.n, sizeof *w->packets.v, by_count);
    for (size_t i = 0; i < w->packets.n; i++) {
        const struct packet_change *c = &w->packets.v[i];
        json_t *j = json_object();
        json_object_set_new(j, "from", outcome_json(w, &c->from));
        json_object_set_new(j, "to", outcome_json(w, &c->to));
        json_object_set_new(j, "readdressed", json_boolean(c->readdressed));
        document_count(j, "count", c->count);
        document_count(j, "bytes", c->bytes);
        json_object_set_new(j, "flow", flow_json(&c->flow));
        json_object_set_new(j, "frames", frames_json(a, &c->frame, 1));
        json_array_append_new(changed, j);
    }
    json_object_set_new(o, "changed", changed);
    document_count(o, "forwarded", w->forwarded);
    document_count(o, "delivered", w->delivered);
    json_object_set_new(o, "dropped", reasons_json(w->drops, DROP_CLASS_NONE));
    document_count(o, "answers_unmatched", w->answers_unmatched);
    return o;
}

json_t *whatif_json(const struct analysis *a) {
    const struct whatif *w = a->what_if;
    const struct scenario *s = w->control->scenario;
    json_t *o = json_object();
    json_object_set_new(o, "scenario", json_pack("{s:s, s:s}", "name", s->name, "path", s->file));
    document_count(o, "mended", w->mended);
    document_count(o, "broken", w->broken);
    json_object_set_new(o, "packets", packets_json(a));
    json_object_set_new(o, "flows", whatif_flows_json(a));
    return o;
}
