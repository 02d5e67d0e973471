/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's verdict: the way there, the way back with the sessions of the way there, and how the two compare. */
#include "fabric.h"

const char *model_verdict_name(enum model_verdict v) {
    static const char *const name[MODEL_COUNT] = {"symmetric",       "asym_benign", "asym_possible", "asym_breaks",
                                                  "no_return_route", "rpf_drop",    "dropped",       "unmodelled"};
    return name[v];
}

/* The type that answers a query, or that a query was answered with; the same for what is neither. */
static be16 icmp_answer_type(uint8_t proto, be16 type) {
    static const struct {
        uint8_t proto, query, answer;
    } pair[] = {{PROTO_ICMP, ICMP_ECHO, ICMP_ECHO_REPLY},
                {PROTO_ICMP, ICMP_TIMESTAMP, ICMP_TIMESTAMP_REPLY},
                {PROTO_ICMPV6, ICMPV6_ECHO, ICMPV6_ECHO_REPLY}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        if (proto == pair[i].proto && ntohs(type) == pair[i].query)
            return htons(pair[i].answer);
        if (proto == pair[i].proto && ntohs(type) == pair[i].answer)
            return htons(pair[i].query);
    }
    return type;
}

static void answer_key(const struct flow_key *key, struct flow_key *answer) {
    *answer = *key;
    memcpy(answer->src, key->dst, sizeof key->src);
    memcpy(answer->dst, key->src, sizeof key->dst);
    if (proto_is_icmp(key->proto)) {
        answer->dport = icmp_answer_type(key->proto, key->dport);
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
    const struct route *r = hop_route(f->control, h);
    j->cause_node = h->node;
    j->cause_table = h->table;
    j->cause_route = r ? *r : (struct route){.port = PORT_NONE};
}

/* Where a flow was first translated on its way. */
static void find_translation(const struct fabric *f, const struct flow_key *flow, const struct walk *there,
                             struct judgement *j) {
    for (unsigned i = 0; i < there->n && !j->translated; i++) {
        const struct hop *h = &there->hops[i];
        const struct route *r = hop_route(f->control, h);
        if (!memcmp(&h->key, flow, sizeof *flow))
            continue;
        j->translated = true;
        j->nat_node = h->node;
        if (r)
            j->nat_route = *r;
    }
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
        j->mend_via = *control_gateway_addr(&s->subnets.v[neighbour->index], j->far.family);
    } else if (port->link == LINK_SWITCH && before->out != PORT_NONE) {
        const struct ip *via = control_nic_addr(&s->nics.v[neighbour->ports[before->out].nic], j->far.family);
        j->mend_via = ip_equal(via, &j->far) ? (struct ip){0} : *via;
    } else if (n->kind == CONTROL_GATEWAY && port->link == LINK_NETWORK) {
        /* the platform routes to an appliance: the nearest machine on the way there */
        while (k > 0 && f->control->nodes[there->hops[k - 1].node].kind != CONTROL_MACHINE)
            k--;
        const struct hop *machine = k ? &there->hops[k - 1] : NULL;
        if (machine && machine->out != PORT_NONE)
            j->mend_via = *control_nic_addr(&s->nics.v[f->control->nodes[machine->node].ports[machine->out].nic],
                                            j->far.family);
        if (ip_equal(&j->mend_via, &j->far))
            j->mend_via = (struct ip){0};
    }
}

static const struct judgement judgement_none = {.verdict = MODEL_UNMODELLED,
                                                .cause_node = INDEX_NONE,
                                                .cause_nic = INDEX_NONE,
                                                .nat_node = INDEX_NONE,
                                                .mend_port = PORT_NONE};

static bool no_route(uint8_t reason) {
    return reason == DROP_NO_ROUTE || reason == DROP_NO_HOST || reason == DROP_UNREACHABLE ||
           reason == DROP_BLACKHOLE || reason == DROP_PROHIBITED || reason == DROP_NO_NEIGHBOUR;
}

/* Was an answer lost where it would have gone the way that the packet came? */
static bool lost_on_the_mirror(const struct walk *there, const struct walk *back, unsigned at) {
    bool denied_astray = walk_end(back)->reason == DROP_DENIED_OUT && mirrored(there, back) < back->n;
    return at == back->n - 1 && !denied_astray;
}

/* What is longer than the way there or back takes: both senders must hear of it. `forks`: choices on the way there. */
static void weigh_mtu(struct fabric *f, const struct flow_key *flow, const struct flow_key *answer, unsigned forks,
                      const struct walk *there, const struct walk *back, struct judgement *j) {
    bool initiator = walk_mtu_told(f, there, flow, false, 0, &j->mtu);
    bool responder = walk_mtu_told(f, back, answer, true, forks, &j->mtu);
    j->told = j->mtu && initiator && responder;
}

/* One choice at every fork. */
static void judge_once(struct fabric *f, uint32_t origin, const struct flow_key *flow, struct judgement *j,
                       struct walk *there, struct walk *back) {
    struct probe probe;
    *j = judgement_none;
    back->n = back->mtu = 0;
    fabric_forget(f);
    probe_build(&probe, flow, false, 0);
    walk_probe(f, origin, PORT_NONE, &probe, there);
    const struct hop *end = walk_end(there);
    find_translation(f, flow, there, j);
    j->reason = end->reason;
    j->cause_nic = end->nic;
    if (end->verdict != VERDICT_DELIVER) {
        j->verdict = end->reason == DROP_RPF ? MODEL_RPF_DROP : MODEL_DROPPED;
        j->told = walk_told(f, there, &probe);
        blame(f, end, j);
        return;
    }
    struct flow_key answer, expected;
    answer_key(&end->key, &answer);
    answer_key(flow, &expected);
    unsigned forks = f->forks.n;
    probe_build(&probe, &answer, true, 0);
    walk_probe(f, end->node, PORT_NONE, &probe, back);
    end = walk_end(back);
    j->reason = end->reason;
    j->cause_nic = end->nic;
    j->lost_on_return = end->verdict != VERDICT_DELIVER;
    if (j->lost_on_return)
        j->told = walk_told(f, back, &probe);
    else
        weigh_mtu(f, flow, &answer, forks, there, back, j);
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
    else if (j->lost_on_return && lost_on_the_mirror(there, back, at))
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

/* Of two choices: does this one break the flow, or bend its way back, where the other does not? */
static bool is_worse(const struct judgement *j, const struct judgement *than) {
    return than->works && (!j->works || (than->verdict == MODEL_SYMMETRIC && j->verdict != MODEL_SYMMETRIC));
}

/* Over all choices: the verdict of the one that is worst, and how large the share of those that break the flow is. */
static void judge_forks(struct fabric *f, uint32_t origin, const struct flow_key *flow, struct judgement *out,
                        struct walk *there, struct walk *back) {
    double broken = 0, bent = 0;
    struct judgement other, *j = out;
    struct walk p, q;
    f->forks = (struct forks){0};
    judge_once(f, origin, flow, out, there, back);
    for (;;) {
        double share = 1;
        for (unsigned i = 0; i < f->forks.n; i++)
            share /= f->forks.of[i];
        broken += j->works ? 0 : share;
        bent += j->verdict == MODEL_ASYM_BENIGN ? share : 0;
        if (j != out && is_worse(j, out)) {
            *out = *j;
            *there = p;
            *back = q;
        }
        if (!next_choice(&f->forks))
            break;
        j = &other;
        f->forks.n = 0;
        judge_once(f, origin, flow, j, &p, &q);
    }
    f->forks = (struct forks){0};
    if (broken > 0 && broken < 1 - 1e-9) {
        out->verdict = MODEL_ASYM_POSSIBLE;
        out->probability = broken;
    } else {
        out->probability = broken > 0 ? 1 : bent;
    }
}

static bool is_last(const struct ip_prefix *net, be32 addr) {
    return net->addr.family == FAMILY_IPV4 && net->len < 31 && addr == (net->addr.v4 | ~ipv4_mask(net->len));
}

/* The broadcast address of a subnet, or of the network that a NIC is connected to. */
static bool is_broadcast(const struct fabric *f, const struct flow_key *flow) {
    const struct scenario *s = fabric_scenario(f);
    be32 dst = flow_key_dst(flow).v4;
    for (size_t i = 0; i < s->subnets.n; i++)
        if (is_last(&s->subnets.v[i].prefix, dst))
            return true;
    for (size_t i = 0; i < s->nics.n; i++) {
        struct ip_prefix net = prefix_of(&s->nics.v[i].addr, s->nics.v[i].len);
        if (s->nics.v[i].addr.family && s->nics.v[i].connected && is_last(&net, dst))
            return true;
    }
    return false;
}

/* Does the model have an opinion: a single host that is asked something, in a family that the scenario has? */
static bool is_modelled(const struct fabric *f, uint32_t origin, const struct flow_key *flow) {
    bool six = flow->family == FAMILY_IPV6;
    if ((!six && flow->family != FAMILY_IPV4) || origin == INDEX_NONE || flow->dst[0] >= (six ? 0xff : 224))
        return false;
    if (six && !f->control->nodes[origin].node.routes6)
        return false;
    if (!six && is_broadcast(f, flow))
        return false;
    return !proto_is_icmp(flow->proto) || icmp_answer_type(flow->proto, flow->dport) != flow->dport;
}

void fabric_judge(struct fabric *f, const struct flow_key *flow, struct judgement *out, struct walk *there,
                  struct walk *back) {
    struct walk p, q;
    struct ip src = flow_key_src(flow);
    uint32_t origin = fabric_owner(f, &src);
    there = there ? there : &p;
    back = back ? back : &q;
    there->n = there->mtu = back->n = back->mtu = 0;
    if (is_modelled(f, origin, flow))
        judge_forks(f, origin, flow, out, there, back);
    else
        *out = judgement_none;
}
