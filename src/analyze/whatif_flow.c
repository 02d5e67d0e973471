/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's judgements under both scenarios, flow by flow, and which route makes the difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/result/document.h>
#include "document.h"
#include "whatif.h"

static bool same_judgement(const struct judgement *x, const struct judgement *y) {
    return x->verdict == y->verdict && x->works == y->works && x->translated == y->translated && x->reason == y->reason;
}

static bool same_change(const struct flow_change *x, const struct flow_change *y) {
    return same_judgement(&x->from, &y->from) && same_judgement(&x->to, &y->to) && x->parting.node == y->parting.node &&
           x->parting.reason == y->parting.reason && x->parting.nic == y->parting.nic &&
           same_route(&x->parting.route, &y->parting.route);
}

/* What one of the models cannot judge is neither. */
static bool both_judge(const struct flow_change *c) {
    return c->from.verdict != MODEL_UNMODELLED && c->to.verdict != MODEL_UNMODELLED;
}
static bool is_broken(const struct flow_change *c) {
    return both_judge(c) && c->from.works && !c->to.works;
}
static bool is_mended(const struct flow_change *c) {
    return both_judge(c) && !c->from.works && c->to.works;
}

/* ---- where the ways part ---- */

static const char *port_name(const struct control_node *n, uint16_t port) {
    return port < n->node.n_ports ? n->ports[port].name : "";
}

static bool same_via(const struct route *x, const struct route *y) {
    return !x == !y && (!x || ip_equal(&x->via, &y->via));
}

/* The same machine, and the packet leaves it alike? */
static bool same_hop(const struct control *c, const struct hop *x, const struct control *d, const struct hop *y) {
    return x->verdict == y->verdict && x->reason == y->reason && !memcmp(&x->key, &y->key, sizeof x->key) &&
           !strcmp(port_name(&c->nodes[x->node], x->out), port_name(&d->nodes[y->node], y->out)) &&
           same_via(hop_route(c, x), hop_route(d, y));
}

/* Index of the variant's hop that decides otherwise; walk.n: none does. */
static unsigned part(const struct control *c, const struct walk *x, const struct control *d, const struct walk *y) {
    unsigned i = 0;
    while (i < x->n && i < y->n && !strcmp(c->nodes[x->hops[i].node].name, d->nodes[y->hops[i].node].name) &&
           same_hop(c, &x->hops[i], d, &y->hops[i]))
        i++;
    const bool elsewhere = i && i < x->n && i < y->n &&
                           strcmp(c->nodes[x->hops[i].node].name, d->nodes[y->hops[i].node].name);
    return i - elsewhere;
}

static struct parting find_parting(struct fabric *first, struct fabric *variant, const struct flow_key *key) {
    const struct control *c = fabric_control(first), *d = fabric_control(variant);
    struct walk x[2] = {0}, y[2] = {0};
    struct judgement j;
    fabric_judge(first, key, &j, &x[0], &x[1]);
    fabric_judge(variant, key, &j, &y[0], &y[1]);
    for (unsigned w = 0; w < 2; w++) {
        const unsigned i = part(c, &x[w], d, &y[w]);
        if (i == y[w].n)
            continue;
        const struct hop *hop = &y[w].hops[i];
        const struct route *r = hop_route(d, hop);
        return (struct parting){&d->nodes[hop->node], r ? *r : (struct route){.port = PORT_NONE}, hop->reason,
                                hop->nic};
    }
    return (struct parting){.nic = INDEX_NONE};
}

/* ---- flows ---- */

static void file_flow(struct whatif *w, const struct flow *f, const struct flow_change *change) {
    size_t i = 0;
    while (i < w->flows.n && !same_change(&w->flows.v[i], change))
        i++;
    if (i == w->flows.n)
        vec_push(&w->flows, *change);
    struct flow_change *c = &w->flows.v[i];
    c->count++;
    c->packets += f->way[0].packets + f->way[1].packets;
    c->bytes += f->way[0].bytes + f->way[1].bytes;
    for (unsigned k = 0; k < f->n_frames && c->n_frames < FINDING_FRAMES; k++)
        c->frames[c->n_frames++] = f->frames[k];
    w->mended += is_mended(c);
    w->broken += is_broken(c);
}

void whatif_flow(struct analysis *a, const struct flow *f, const struct judgement *before) {
    struct whatif *w = a->what_if;
    const struct judgement *after = f->depth ? before : fabric_judge_cached(w->fabric, &f->key);
    w->model[after->verdict]++;
    if (same_judgement(before, after)) {
        w->same_flows++;
        return;
    }
    struct flow_change change = {.from = *before, .to = *after, .flow = f->key};
    change.parting = find_parting(a->fabric, w->fabric, &f->key);
    file_flow(w, f, &change);
}

/* ---- the document ---- */

static const char *judged(const struct judgement *j, char *buf, size_t size) {
    snprintf(buf, size, "%s%s%s%s%s", model_verdict_name(j->verdict), j->reason ? " (" : "",
             j->reason ? drop_name(j->reason) : "", j->reason ? ")" : "", j->translated ? ", into NAT" : "");
    return buf;
}

static const char *effect(const struct flow_change *c) {
    if (!both_judge(c))
        return "cannot be judged by both";
    if (c->from.works != c->to.works)
        return c->to.works ? "would work" : "would no longer work";
    return c->to.works ? "would go another way" : "would not work either";
}

static void change_text(const struct whatif *w, const struct control *first, const struct flow_change *c, char *buf,
                        size_t size) {
    const struct parting *p = &c->parting;
    const struct scenario *s = w->control->scenario;
    const struct scenario_nic *nic = p->nic == INDEX_NONE ? NULL : &s->nics.v[p->nic];
    char from[80], to[80], route[200], why[300] = "";
    if (nic)
        snprintf(why, sizeof why, ", refused at %s of %s", nic->name, s->machines.v[nic->machine].name);
    else if (p->node && p->route.prefix.addr.family)
        snprintf(why, sizeof why, ", where at %s %s wins", p->node->name,
                 control_route_format(p->node, &p->route, route, sizeof route));
    else if (p->node)
        snprintf(why, sizeof why, ", by what %s does", p->node->name);
    snprintf(buf, size, "%u flow%s %s: %s in %s, %s in %s%s", c->count, c->count == 1 ? "" : "s",
             effect(c), judged(&c->from, from, sizeof from), first->scenario->name, judged(&c->to, to, sizeof to),
             s->name, why);
}

static json_t *cause_json(const struct parting *p) {
    if (!p->node)
        return json_null();
    return json_pack("{s:s, s:o}", "node", p->node->name, "route",
                     p->route.prefix.addr.family ? route_json(p->node, &p->route) : json_null());
}

static json_t *change_json(const struct analysis *a, const struct flow_change *c) {
    char text[800];
    json_t *o = json_object();
    change_text(a->what_if, fabric_control(a->fabric), c, text, sizeof text);
    json_object_set_new(o, "from", json_string(model_verdict_name(c->from.verdict)));
    json_object_set_new(o, "to", json_string(model_verdict_name(c->to.verdict)));
    json_object_set_new(o, "works_before", json_boolean(c->from.works));
    json_object_set_new(o, "works_after", json_boolean(c->to.works));
    json_object_set_new(o, "translated_before", json_boolean(c->from.translated));
    json_object_set_new(o, "translated_after", json_boolean(c->to.translated));
    json_object_set_new(o, "reason_before", c->from.reason ? json_string(drop_name(c->from.reason)) : json_null());
    json_object_set_new(o, "reason_after", c->to.reason ? json_string(drop_name(c->to.reason)) : json_null());
    document_count(o, "count", c->count);
    document_count(o, "packets", c->packets);
    document_count(o, "bytes", c->bytes);
    json_object_set_new(o, "flow", flow_json(&c->flow));
    json_object_set_new(o, "frames", frames_json(a, c->frames, c->n_frames));
    json_object_set_new(o, "cause", cause_json(&c->parting));
    json_object_set_new(o, "text", json_string(text));
    return o;
}

static int rank(const struct flow_change *c) {
    return is_broken(c) ? 0 : is_mended(c) ? 1 : 2;
}

/* What breaks first, then what is mended; the most flows first. */
static int by_weight(const void *x, const void *y) {
    const struct flow_change *a = x, *b = y;
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return (a->frames[0] > b->frames[0]) - (a->frames[0] < b->frames[0]);
}

json_t *whatif_flows_json(const struct analysis *a) {
    struct whatif *w = a->what_if;
    json_t *o = json_object(), *changed = json_array(), *model = json_object();
    document_count(o, "same", w->same_flows);
    if (w->flows.n)
        qsort(w->flows.v, w->flows.n, sizeof *w->flows.v, by_weight);
    for (size_t i = 0; i < w->flows.n; i++)
        json_array_append_new(changed, change_json(a, &w->flows.v[i]));
    json_object_set_new(o, "changed", changed);
    for (int v = 0; v < MODEL_COUNT; v++)
        document_count(model, model_verdict_name(v), w->model[v]);
    json_object_set_new(o, "model", model);
    return o;
}
