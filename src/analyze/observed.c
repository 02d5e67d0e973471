/* SPDX-License-Identifier: BSD-3-Clause */
/* What the capture alone shows of a flow: by which interfaces it came and went, there and back. */
#include <string.h>
#include "analyze.h"

const char *observed_name(enum observed v) {
    static const char *const name[OBSERVED_COUNT] = {"symmetric",         "iface_asym", "nexthop_asym",
                                                     "reverse_elsewhere", "unanswered", "one_way_capture",
                                                     "unobservable"};
    return name[v];
}

/* A set of interface pairs that some flow used in both directions: 64 bits of outgoing for each incoming port. */
struct pairs {
    uint64_t out[64];
};

static unsigned lowest(uint64_t bits) {
    return bits ? (unsigned)__builtin_ctzll(bits) : 0;
}

static void pairs_add(struct pairs *p, const struct direction *d) {
    for (uint64_t in = d->in; in; in &= in - 1)
        p->out[lowest(in)] |= d->out;
}

static bool pairs_have(const struct pairs *p, const struct direction *d) {
    return p->out[lowest(d->in)] & d->out || (!d->out && p->out[lowest(d->in)]);
}

static bool answerable(const struct flow *f) {
    static const uint8_t unspecified[16];
    bool group = f->key.dst[0] >= (f->key.family == FAMILY_IPV6 ? 0xff : 0xe0);
    bool nobody = !memcmp(f->key.src, unspecified, sizeof unspecified);
    return !group && !nobody &&
           (f->key.proto == PROTO_TCP || f->key.proto == PROTO_UDP || proto_is_icmp(f->key.proto));
}

/* Routers that share an address: VRRP (RFC 5798, 7.3), HSRP. They send from their own MAC, or from the shared one. */
static bool is_virtual(const struct mac *m) {
    return !memcmp(m, "\0\0\x5e\0", 4) || !memcmp(m, "\0\0\x0c\x07\xac", 5) || !memcmp(m, "\0\0\x0c\x9f", 4);
}

static bool same_mac(bool has_a, const struct mac *a, bool has_b, const struct mac *b) {
    return !has_a || !has_b || is_virtual(a) || is_virtual(b) || !memcmp(a, b, sizeof *a);
}

static enum observed two_way(const struct flow *f) {
    const struct direction *there = &f->way[0], *back = &f->way[1];
    bool blind = (!there->in && !there->out) || (!there->out && !back->in) || (!there->in && !back->out);
    if (blind)
        return OBSERVED_UNOBSERVABLE;
    /* a side that was not seen at one end says nothing about that end */
    bool near = !there->in || !back->out || there->in == back->out;
    bool far = !there->out || !back->in || there->out == back->in;
    if (!near || !far)
        return OBSERVED_IFACE_ASYM;
    if (!same_mac(there->has_from, &there->from, back->has_to, &back->to) ||
        !same_mac(back->has_from, &back->from, there->has_to, &there->to))
        return OBSERVED_NEXTHOP_ASYM;
    return OBSERVED_SYMMETRIC;
}

static enum observed one_way(const struct flow *f, const struct pairs *p) {
    const struct direction *seen = &f->way[f->way[0].packets ? 0 : 1];
    if (!answerable(f))
        return OBSERVED_UNOBSERVABLE;
    if (!pairs_have(p, seen))
        return OBSERVED_ONE_WAY_CAPTURE;
    return f->key.proto == PROTO_TCP && seen->acked ? OBSERVED_REVERSE_ELSEWHERE : OBSERVED_UNANSWERED;
}

/* Local delivery leaves no copy: what is the node's own address ended there. */
static void end_locally(struct analysis *a) {
    size_t k = 0;
    for (uint32_t i = 0; i < a->in->n; i++) {
        const struct inject_packet *p = &a->in->packets[i];
        if (p->kind != INJECT_ARRIVED)
            continue;
        const struct inject_verdict *v = &a->verdicts[k++];
        if (a->flow_of[i] != FLOW_NONE && p->partner == INJECT_NONE && a->node && v->verdict == VERDICT_DELIVER)
            a->flows.v[a->flow_of[i]].way[a->way_of[i]].out |= LOCAL_BIT;
    }
}

void observe(struct analysis *a) {
    struct pairs pairs = {0};
    end_locally(a);
    for (uint32_t i = 0; i < a->flows.n; i++) {
        struct flow *f = &a->flows.v[i];
        if (!f->way[0].packets || !f->way[1].packets)
            continue;
        f->observed = two_way(f);
        pairs_add(&pairs, &f->way[0]);
        pairs_add(&pairs, &f->way[1]);
    }
    for (uint32_t i = 0; i < a->flows.n; i++) {
        struct flow *f = &a->flows.v[i];
        if (!f->way[0].packets || !f->way[1].packets)
            f->observed = one_way(f, &pairs);
    }
}

static bool unanswered_but_errors(const struct flow *f) {
    return f->observed == OBSERVED_UNANSWERED && f->errors;
}

bool observed_like(const struct flow *f, const struct finding *g) {
    return g->observed && f->observed == g->verdict && f->way[0].in == g->in && f->way[0].out == g->out &&
           f->way[1].out == g->back && unanswered_but_errors(f) == g->errors;
}

void file_observed(struct analysis *a) {
    for (uint32_t i = 0; i < a->flows.n; i++) {
        const struct flow *f = &a->flows.v[i];
        if (f->observed == OBSERVED_SYMMETRIC)
            continue;
        struct finding g = {.observed = true,
                            .verdict = f->observed,
                            .example = i,
                            .in = f->way[0].in,
                            .out = f->way[0].out,
                            .back = f->way[1].out,
                            .errors = unanswered_but_errors(f),
                            .benign = f->observed != OBSERVED_REVERSE_ELSEWHERE};
        size_t k = 0;
        while (k < a->findings.n && !observed_like(f, &a->findings.v[k]))
            k++;
        if (k == a->findings.n)
            vec_push(&a->findings, g);
        a->findings.v[k].count++;
    }
}
