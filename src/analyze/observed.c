/* SPDX-License-Identifier: BSD-3-Clause */
/* What the capture alone shows of a flow: by which interfaces it came and went, there and back. */
#include <string.h>
#include "analyze.h"
#include "observed.h"

const char *observed_name(enum observed v) {
    static const char *const name[OBSERVED_COUNT] = {"symmetric",         "iface_asym", "nexthop_asym",
                                                     "reverse_elsewhere", "unanswered", "one_way_capture",
                                                     "unobservable"};
    return name[v];
}

#define SAMPLED_SHARE 10 /* a tenth of a flow's packets come after something that was not captured, */
#define SAMPLED_ALL 20   /* a twentieth of all segments: many flows show one packet, and no gap; */
#define SAMPLED_LUCK 2   /* with so many gaps more, which a small capture may lack by chance */
#define SAMPLED_FEW 16   /* packets: a flow of more shows its own gaps */

static unsigned lowest(uint64_t bits) {
    return bits ? (unsigned)__builtin_ctzll(bits) : 0;
}

/* By which ports it left. Local delivery leaves no copy: what the core delivers and nobody saw leave ended at the node.
 */
static uint64_t out_of(const struct direction *d) {
    return d->out | (d->delivered > d->copies ? LOCAL_BIT : 0);
}

static void pairs_add(struct pairs *p, const struct direction *d) {
    p->in |= d->in;
    for (uint64_t in = d->in; in; in &= in - 1)
        p->out[lowest(in)] |= out_of(d);
}

static bool pairs_have(const struct pairs *p, const struct direction *d) {
    const uint64_t out = out_of(d);
    return out ? (p->out[lowest(d->in)] & out) != 0 : (p->in & d->in) != 0;
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

/*
 * At a host, or beside it, a frame shows both ends of its link: the answer should come from where the question went. Of
 * one end alone that differs this is told; when both do, the two were not seen on the same link.
 */
static bool other_neighbour(const struct direction *there, const struct direction *back) {
    if (!there->has_macs || !back->has_macs || there->has_to || back->has_to || there->macs[0].byte[0] & 1 ||
        back->macs[0].byte[0] & 1)
        return false;
    bool near = same_mac(true, &there->macs[1], true, &back->macs[0]);
    bool far = same_mac(true, &there->macs[0], true, &back->macs[1]);
    return near != far;
}

static enum observed two_way(const struct flow *f) {
    const struct direction *there = &f->way[0], *back = &f->way[1];
    const uint64_t there_out = out_of(there), back_out = out_of(back);
    bool blind = (!there->in && !there_out) || (!there_out && !back->in) || (!there->in && !back_out);
    if (blind)
        return OBSERVED_UNOBSERVABLE;
    /* a side that was not seen at one end says nothing about that end */
    bool near = !there->in || !back_out || there->in == back_out;
    bool far = !there_out || !back->in || there_out == back->in;
    if (!near || !far)
        return OBSERVED_IFACE_ASYM;
    if (!same_mac(there->has_from, &f->ends[0].from, back->has_to, &f->ends[1].to) ||
        !same_mac(back->has_from, &f->ends[1].from, there->has_to, &f->ends[0].to))
        return OBSERVED_NEXTHOP_ASYM;
    return other_neighbour(there, back) ? OBSERVED_NEXTHOP_ASYM : OBSERVED_SYMMETRIC;
}

/* Was only a part of the packets captured? Nothing follows then from what was not seen. */
static bool is_sampled(const struct analysis *a, const struct flow *f) {
    const uint64_t packets = f->way[0].packets + f->way[1].packets;
    const bool all = a->gaps && (a->gaps + SAMPLED_LUCK) * SAMPLED_ALL > a->segments;
    return f->gaps * SAMPLED_SHARE > packets || (all && packets < SAMPLED_FEW);
}

static const struct direction *only_way(const struct flow *f) {
    return &f->way[f->way[0].packets ? 0 : 1];
}

static enum observed one_way(const struct analysis *a, const struct flow *f) {
    const struct direction *seen = only_way(f);
    if (!answerable(f))
        return OBSERVED_UNOBSERVABLE;
    if (!pairs_have(&a->pairs, seen))
        return OBSERVED_ONE_WAY_CAPTURE;
    if (f->key.proto == PROTO_TCP && is_sampled(a, f))
        return OBSERVED_UNOBSERVABLE;
    return f->key.proto == PROTO_TCP && f->tcp.acked[seen - f->way] ? OBSERVED_REVERSE_ELSEWHERE : OBSERVED_UNANSWERED;
}

static bool goes_both_ways(const struct flow *f) {
    return f->way[0].packets && f->way[1].packets;
}

void observe_pairs(struct analysis *a, const struct flow *f) {
    if (!goes_both_ways(f))
        return;
    pairs_add(&a->pairs, &f->way[0]);
    pairs_add(&a->pairs, &f->way[1]);
}

bool observe_wants_pairs(const struct analysis *a, const struct flow *f) {
    return !goes_both_ways(f) && !pairs_have(&a->pairs, only_way(f)) && answerable(f);
}

static enum observed observe(const struct analysis *a, const struct flow *f) {
    return goes_both_ways(f) ? two_way(f) : one_way(a, f);
}

static bool unanswered_but_errors(const struct flow *f) {
    return f->observed == OBSERVED_UNANSWERED && f->errors;
}

static bool observed_like(const struct finding *g, const struct flow *f) {
    return g->observed && g->verdict == f->observed && g->in == f->way[0].in && g->out == out_of(&f->way[0]) &&
           g->back == out_of(&f->way[1]) && g->errors == unanswered_but_errors(f);
}

uint32_t find_observed(const struct findings *findings, const struct flow *f) {
    uint32_t k = 0;
    while (k < findings->n && !observed_like(&findings->v[k], f))
        k++;
    return k;
}

static void file_observed(struct findings *findings, const struct flow *f) {
    if (f->observed == OBSERVED_SYMMETRIC)
        return;
    const uint32_t k = find_observed(findings, f);
    if (k == findings->n)
        vec_push(findings, (struct finding){.observed = true,
                                            .verdict = f->observed,
                                            .example = f->key,
                                            .first = f->first,
                                            .in = f->way[0].in,
                                            .out = out_of(&f->way[0]),
                                            .back = out_of(&f->way[1]),
                                            .errors = unanswered_but_errors(f),
                                            .benign = f->observed != OBSERVED_REVERSE_ELSEWHERE});
    finding_count(&findings->v[k], f);
}

static void count_drift(struct analysis *a, const struct flow *f) {
    struct drift *d = &a->drifts[f->model][f->observed];
    if (!a->fabric || !contradict(f))
        return;
    if (!d->count++)
        d->example = f->key;
}

void observe_flow(struct analysis *a, struct findings *findings, struct flow *f) {
    f->observed = (uint8_t)observe(a, f);
    a->observed[f->observed]++;
    count_drift(a, f);
    file_observed(findings, f);
}
