/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's verdict beside the observed one, and what is not symmetric put into findings by its cause. */
#include <stdio.h>
#include "analyze.h"
#include "whatif.h"

/* Do the two judges contradict each other? What one of them cannot tell is no contradiction. */
bool contradict(const struct flow *f) {
    const enum model_verdict model = (enum model_verdict)f->model;
    switch ((enum observed)f->observed) {
    case OBSERVED_SYMMETRIC:
        return model == MODEL_ASYM_BENIGN || model == MODEL_ASYM_BREAKS || model == MODEL_NO_RETURN_ROUTE;
    case OBSERVED_IFACE_ASYM:
    case OBSERVED_NEXTHOP_ASYM:
        return model == MODEL_SYMMETRIC || model == MODEL_NO_RETURN_ROUTE;
    case OBSERVED_REVERSE_ELSEWHERE:
        return model == MODEL_SYMMETRIC;
    case OBSERVED_UNANSWERED: /* a datagram need not be answered; a connection that works is */
        return f->key.proto == PROTO_TCP && f->works;
    default:
        return false;
    }
}

bool same_route(const struct route *a, const struct route *b) {
    return prefix_equal(&a->prefix, &b->prefix) && ip_equal(&a->via, &b->via) && a->port == b->port &&
           a->kind == b->kind && a->metric == b->metric;
}

static bool same_cause(const struct finding *g, const struct judgement *j, const struct ip_prefix *far) {
    const struct judgement *e = &g->judgement;
    return g->verdict == j->verdict && e->cause_node == j->cause_node && e->cause_nic == j->cause_nic &&
           e->reason == j->reason &&
           same_route(&e->cause_route, &j->cause_route) && e->mend_port == j->mend_port &&
           ip_equal(&e->mend_via, &j->mend_via) && prefix_equal(&g->far, far);
}

/* Nothing is broken: it works, it cannot be judged, or nobody is there to answer. */
static bool flow_is_benign(const struct analysis *a, const struct flow_key *key, const struct judgement *j) {
    struct ip dst = flow_key_dst(key);
    bool nobody = (j->reason == DROP_NO_HOST || j->reason == DROP_NO_NEIGHBOUR) &&
                  fabric_owner(a->fabric, &dst) == INDEX_NONE;
    return j->verdict == MODEL_ASYM_BENIGN || j->verdict == MODEL_UNMODELLED || (j->verdict == MODEL_DROPPED && nobody);
}

void finding_count(struct finding *g, const struct flow *f) {
    g->count++;
    g->first = f->first < g->first ? f->first : g->first;
    g->last = f->last > g->last ? f->last : g->last;
    g->packets += f->way[0].packets + f->way[1].packets;
    g->bytes += f->way[0].bytes + f->way[1].bytes;
    hosts_count(&g->hosts, f->key.family, f->key.src);
    for (unsigned k = 0; k < f->n_frames && g->n_frames < FINDING_FRAMES; k++)
        g->frames[g->n_frames++] = f->frames[k];
}

/* The finding of a flow with this judgement. */
static uint32_t find_model(struct analysis *a, const struct flow *f, const struct judgement *j) {
    bool benign = flow_is_benign(a, &f->key, j);
    struct ip_prefix far = ip_is_none(&j->far) ? (struct ip_prefix){0} : fabric_declared(a->fabric, &j->far);
    uint32_t i = 0;
    while (i < a->findings.n && (a->findings.v[i].observed || a->findings.v[i].benign != benign ||
                                !same_cause(&a->findings.v[i], j, &far)))
        i++;
    if (i == a->findings.n)
        vec_push(&a->findings, (struct finding){.verdict = (uint8_t)j->verdict, .example = f->key, .judgement = *j,
                                                .far = far, .reason = j->reason, .benign = benign, .first = f->first});
    return i;
}

/* `mark`: of flows that are judged alike, NULL: of their finding the number, from 1. */
static void file_model(struct analysis *a, struct flow *f, const struct judgement *j, uint32_t *mark) {
    if (j->verdict == MODEL_SYMMETRIC)
        return;
    f->finding = mark && *mark ? *mark - 1 : find_model(a, f, j);
    if (mark)
        *mark = f->finding + 1;
    finding_count(&a->findings.v[f->finding], f);
}

/* Packets that this node forwarded and another one then dropped. */
static void count_elsewhere(struct analysis *a, const struct flow *f, const struct judgement *j) {
    if (j->works || !j->reason || (j->verdict == MODEL_DROPPED && j->cause_node == a->o.node))
        return;
    a->elsewhere[j->reason] += f->way[j->lost_on_return ? 1 : 0].forwarded;
}

/* Between two declared places, and yet translated on the way: who is reached sees the NAT's address. */
static void note_nat(struct analysis *a, const struct flow *f, const struct judgement *j) {
    if (!j->translated || j->nat_node == INDEX_NONE)
        return;
    struct ip src = flow_key_src(&f->key), dst = flow_key_dst(&f->key);
    struct ip_prefix to = fabric_declared(a->fabric, &dst), from = fabric_declared(a->fabric, &src);
    char prefix[PREFIX_TEXT], route[200];
    if (ip_is_none(&to.addr) || ip_is_none(&from.addr) || fabric_owner(a->fabric, &src) == j->nat_node ||
        fabric_owner(a->fabric, &dst) == j->nat_node)
        return;
    const struct control_node *n = &fabric_control(a->fabric)->nodes[j->nat_node];
    struct note note = {.source = "nat", .verdict = "into_nat", .benign = j->works, .has_flow = true, .flow = f->key};
    prefix_format(&to, prefix);
    snprintf(note.text, sizeof note.text,
             "Flows to %s go into NAT at %s by %s: they arrive with its address, not their own", prefix, n->name,
             control_route_format(n, &j->nat_route, route, sizeof route));
    snprintf(note.hint, sizeof note.hint, "if %s is to see who sends, %s needs a route to it by a NIC without NAT",
             prefix, n->name);
    note_add(a, &note, f->n_frames ? f->frames[0] : 0);
}

/* What tunnels carry passes no node of the model by itself. */
static const struct judgement unmodelled = {.verdict = MODEL_UNMODELLED, .cause_node = INDEX_NONE,
                                            .cause_nic = INDEX_NONE, .nat_node = INDEX_NONE, .mend_port = PORT_NONE};

void judge_flow(struct analysis *a, uint32_t flow) {
    struct flow *f = &a->flows.v[flow];
    uint32_t *mark = NULL;
    const struct judgement *j = a->fabric && !f->depth ? fabric_judge_marked(a->fabric, &f->key, &mark) : &unmodelled;
    f->model = (uint8_t)j->verdict;
    f->works = j->works;
    f->into_nat = j->translated;
    a->model[j->verdict]++;
    if (!a->fabric)
        return;
    count_elsewhere(a, f, j);
    file_model(a, f, j, mark);
    note_nat(a, f, j);
    if (a->what_if)
        whatif_flow(a, f, j);
}
