/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's verdict: the way there, the way back with the sessions of the way there, and how the two compare. */
#include <string.h>
#include "fabric.h"

const char *model_verdict_name(enum model_verdict v) {
    static const char *const name[MODEL_COUNT] = {"symmetric",       "asym_benign", "asym_possible", "asym_breaks",
                                                  "no_return_route", "rpf_drop",    "dropped",       "unmodelled"};
    return name[v];
}

static be16 icmp_answer_type(be16 type) {
    switch (ntohs(type)) {
    case ICMP_ECHO:
        return htons(ICMP_ECHO_REPLY);
    case ICMP_ECHO_REPLY:
        return htons(ICMP_ECHO);
    case ICMP_TIMESTAMP:
        return htons(ICMP_TIMESTAMP_REPLY);
    case ICMP_TIMESTAMP_REPLY:
        return htons(ICMP_TIMESTAMP);
    default:
        return type;
    }
}

static void answer_key(const struct flow_key *key, struct flow_key *answer) {
    *answer = *key;
    memcpy(answer->src, key->dst, sizeof key->src);
    memcpy(answer->dst, key->src, sizeof key->dst);
    if (key->proto == PROTO_ICMP) {
        answer->dport = icmp_answer_type(key->dport);
    } else {
        answer->sport = key->dport;
        answer->dport = key->sport;
    }
}

/* How many hops of the answer's walk mirror the way there; equal to both lengths when it is its mirror. */
static unsigned mirrored(const struct walk *there, const struct walk *back) {
    unsigned n = there->n < back->n ? there->n : back->n, i = 0;
    for (; i < n; i++) {
        const struct hop *p = &there->hops[there->n - 1 - i], *q = &back->hops[i];
        if (p->node != q->node || p->in != q->out || p->out != q->in)
            break;
    }
    return i;
}

/* The hop of the answer that left the mirror: a wrong node or a wrong way in was decided one hop before. */
static unsigned departure(const struct walk *there, const struct walk *back) {
    unsigned i = mirrored(there, back);
    if (i >= back->n)
        return back->n - 1;
    if (i > 0 && i < there->n) {
        const struct hop *p = &there->hops[there->n - 1 - i], *q = &back->hops[i];
        if (p->node != q->node || p->out != q->in)
            return i - 1;
    }
    return i;
}

/* The route that won at a hop, if one did. */
static void blame(const struct fabric *f, const struct hop *h, struct judgement *j) {
    j->cause_node = h->node;
    j->cause_route = (struct route){.port = PORT_NONE};
    if (h->route == ROUTE_NONE)
        return;
    size_t n;
    const struct route *routes = route_table_routes(f->control->nodes[h->node].node.routes, &n);
    if (h->route < n)
        j->cause_route = routes[h->route];
}

/* Where the answer should have gone at its hop i: back to where the packet came from. */
static void direct(const struct fabric *f, const struct walk *there, const struct walk *back, unsigned i,
                   struct judgement *j) {
    const struct hop *q = &back->hops[i];
    unsigned k = there->n - 1 - i; /* the same node on the way there */
    j->far = flow_key_dst(&q->key);
    if (i >= there->n || there->hops[k].node != q->node || k == 0)
        return;
    const struct control_node *n = &f->control->nodes[q->node];
    const struct scenario *s = fabric_scenario(f);
    j->mend_port = there->hops[k].in;
    if (j->mend_port == PORT_NONE)
        return;
    const struct control_port *port = &n->ports[j->mend_port];
    const struct hop *before = &there->hops[k - 1];
    const struct control_node *neighbour = &f->control->nodes[before->node];
    if (port->link == LINK_GATEWAY) {
        j->mend_via = s->subnets.v[neighbour->index].gateway;
    } else if (port->link == LINK_SWITCH && before->out != PORT_NONE) {
        const struct ip *via = &s->nics.v[neighbour->ports[before->out].nic].addr;
        j->mend_via = ip_equal(via, &j->far) ? (struct ip){0} : *via;
    } else if (n->kind == CONTROL_GATEWAY && port->link == LINK_NETWORK) {
        /* the platform routes to an appliance: the nearest machine on the way there */
        while (k > 0 && f->control->nodes[there->hops[k - 1].node].kind != CONTROL_MACHINE)
            k--;
        const struct hop *machine = k ? &there->hops[k - 1] : NULL;
        if (machine && machine->out != PORT_NONE)
            j->mend_via = s->nics.v[f->control->nodes[machine->node].ports[machine->out].nic].addr;
        if (ip_equal(&j->mend_via, &j->far))
            j->mend_via = (struct ip){0};
    }
}

static bool no_route(uint8_t reason) {
    return reason == DROP_NO_ROUTE || reason == DROP_NO_HOST || reason == DROP_UNREACHABLE ||
           reason == DROP_BLACKHOLE || reason == DROP_NO_NEIGHBOUR;
}

/* One choice at every fork. */
static void judge_once(struct fabric *f, uint32_t origin, const struct flow_key *flow, struct judgement *j,
                       struct walk *there, struct walk *back) {
    *j = (struct judgement){.cause_node = INDEX_NONE, .cause_nic = INDEX_NONE, .mend_port = PORT_NONE};
    back->n = 0;
    fabric_forget(f);
    walk_run(f, origin, PORT_NONE, flow, false, there);
    const struct hop *end = walk_end(there);
    j->translated = memcmp(&end->key, flow, sizeof *flow) != 0;
    j->reason = end->reason;
    j->cause_nic = end->nic;
    if (end->verdict != VERDICT_DELIVER) {
        j->verdict = end->reason == DROP_RPF ? MODEL_RPF_DROP : MODEL_DROPPED;
        blame(f, end, j);
        return;
    }
    struct flow_key answer, expected;
    answer_key(&end->key, &answer);
    answer_key(flow, &expected);
    walk_run(f, end->node, PORT_NONE, &answer, true, back);
    end = walk_end(back);
    j->reason = end->reason;
    j->cause_nic = end->nic;
    j->lost_on_return = end->verdict != VERDICT_DELIVER;
    j->works = !j->lost_on_return && end->node == origin && !memcmp(&end->key, &expected, sizeof expected);
    unsigned same = mirrored(there, back);
    if (j->works && same == there->n && same == back->n) {
        j->verdict = MODEL_SYMMETRIC;
        return;
    }
    unsigned at = departure(there, back);
    if (j->works)
        j->verdict = MODEL_ASYM_BENIGN;
    else if (end->reason == DROP_RPF)
        j->verdict = MODEL_RPF_DROP;
    else if (j->lost_on_return && at == back->n - 1)
        j->verdict = no_route(end->reason) ? MODEL_NO_RETURN_ROUTE : MODEL_DROPPED;
    else
        j->verdict = MODEL_ASYM_BREAKS;
    blame(f, &back->hops[at], j);
    direct(f, there, back, at, j);
}

/* The next combination of choices at the forks of the last walk; false after the last one. */
static bool next_choice(struct forks *forks) {
    while (forks->n) {
        unsigned i = forks->n - 1;
        if (++forks->choice[i] < forks->of[i])
            return true;
        forks->choice[i] = 0;
        forks->n--;
    }
    return false;
}

/* Over all choices: the verdict of the one that is worst, and how large the share of those that break the flow is. */
static void judge_forks(struct fabric *f, uint32_t origin, const struct flow_key *flow, struct judgement *out,
                        struct walk *there, struct walk *back) {
    double broken = 0, bent = 0;
    bool first = true;
    f->forks = (struct forks){0};
    do {
        struct judgement j;
        struct walk p, q;
        f->forks.n = 0;
        judge_once(f, origin, flow, &j, &p, &q);
        double share = 1;
        for (unsigned i = 0; i < f->forks.n; i++)
            share /= f->forks.of[i];
        broken += j.works ? 0 : share;
        bent += j.verdict == MODEL_ASYM_BENIGN ? share : 0;
        bool worse = out->works ? !j.works || (out->verdict == MODEL_SYMMETRIC && j.verdict != MODEL_SYMMETRIC) : false;
        if (first || worse) {
            *out = j;
            *there = p;
            *back = q;
        }
        first = false;
    } while (next_choice(&f->forks));
    f->forks = (struct forks){0};
    if (broken > 0 && broken < 1 - 1e-9) {
        out->verdict = MODEL_ASYM_POSSIBLE;
        out->probability = broken;
    } else {
        out->probability = broken > 0 ? 1 : bent;
    }
}

static bool is_query(const struct flow_key *flow) {
    return flow->proto != PROTO_ICMP || icmp_answer_type(flow->dport) != flow->dport;
}

void fabric_judge(struct fabric *f, const struct flow_key *flow, struct judgement *out, struct walk *there,
                  struct walk *back) {
    struct walk p = {0}, q = {0};
    struct ip src = flow_key_src(flow), dst = flow_key_dst(flow);
    uint32_t origin = fabric_owner(f, &src);
    *out = (struct judgement){.verdict = MODEL_UNMODELLED, .cause_node = INDEX_NONE, .cause_nic = INDEX_NONE,
                              .mend_port = PORT_NONE};
    if (flow->family == FAMILY_IPV4 && origin != INDEX_NONE && ntohl(dst.v4) < 0xe0000000 && is_query(flow))
        judge_forks(f, origin, flow, out, &p, &q);
    if (there)
        *there = p;
    if (back)
        *back = q;
}

static uint64_t hash_flow(const struct flow_key *k) {
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < sizeof *k; i++)
        h = (h ^ ((const uint8_t *)k)[i]) * 0x100000001b3ull;
    return h ^ h >> 29;
}

static struct cached *cache_slot(struct cached *cache, size_t size, const struct flow_key *flow) {
    size_t i = hash_flow(flow) & (size - 1);
    while (cache[i].generation && memcmp(&cache[i].flow, flow, sizeof *flow))
        i = (i + 1) & (size - 1);
    return &cache[i];
}

static void cache_grow(struct fabric *f) {
    size_t size = f->cache_size ? f->cache_size * 2 : 1024;
    struct cached *bigger = xzalloc(size, sizeof *bigger);
    for (size_t i = 0; i < f->cache_size; i++)
        if (f->cache[i].generation)
            *cache_slot(bigger, size, &f->cache[i].flow) = f->cache[i];
    vec_release(f->cache);
    f->cache = bigger;
    f->cache_size = size;
}

const struct judgement *fabric_judge_cached(struct fabric *f, const struct flow_key *flow) {
    if (f->cache_n * 2 >= f->cache_size)
        cache_grow(f);
    struct cached *c = cache_slot(f->cache, f->cache_size, flow);
    if (!c->generation) {
        f->cache_n++;
        c->flow = *flow;
    }
    if (c->generation != f->generation) {
        c->generation = f->generation;
        fabric_judge(f, flow, &c->judgement, NULL, NULL);
    }
    return &c->judgement;
}
