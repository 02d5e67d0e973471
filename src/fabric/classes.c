/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judgements that many flows share. The IPv4 addresses are cut where a prefix of the scenario or of a route begins or
 * ends: between two cuts they are all alike to every table. Flows between the same two stretches are then judged alike,
 * unless they pass a node that looks at more than addresses, or that remembers packets (NAT, filters, policy rules):
 * these, IPv6 and other protocols are judged flow by flow.
 */
#include <stdlib.h>
#include <fwdlab/base/block.h>
#include "fabric.h"

#define CLASSES 4096          /* that are remembered; a power of two */
#define ROUTES_MAX (1u << 14) /* of all nodes; with more, cutting costs more than it saves */

/* ---- cuts ---- */

/* Before the first and the last address of a prefix, and behind each; behind the last of all is before the first. */
static void cut(struct fabric *f, const struct ip *addr, unsigned len) {
    if (addr->family != FAMILY_IPV4)
        return;
    const uint32_t mask = ntohl(ipv4_mask(len)), first = ntohl(addr->v4) & mask, last = first | ~mask;
    vec_push(&f->cuts, first);
    vec_push(&f->cuts, last);
    vec_push(&f->cuts, first + 1);
    vec_push(&f->cuts, last + 1);
}

static void cut_prefix(struct fabric *f, const struct ip_prefix *p) {
    cut(f, &p->addr, p->len);
}

/* What is special to any host or router: whole first octets and a few prefixes. */
static void cut_special(struct fabric *f) {
    static const struct {
        uint32_t addr;
        unsigned len;
    } special[] = {{0, 32}, {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}, {0xffffffff, 32}};
    for (uint32_t octet = 0; octet < 256; octet++)
        vec_push(&f->cuts, octet << 24);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const struct ip addr = ip_v4(htonl(special[i].addr));
        cut(f, &addr, special[i].len);
    }
}

static void cut_scenario(struct fabric *f) {
    const struct scenario *s = fabric_scenario(f);
    for (size_t i = 0; i < f->owned.n; i++)
        cut(f, &f->owned.v[i].addr, 32);
    for (size_t i = 0; i < s->nics.n; i++)
        cut(f, &s->nics.v[i].addr, s->nics.v[i].len);
    for (size_t i = 0; i < s->subnets.n; i++)
        cut_prefix(f, &s->subnets.v[i].prefix);
    for (size_t i = 0; i < s->sites.n; i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n; k++)
            cut_prefix(f, &s->sites.v[i].prefixes.v[k]);
    for (size_t i = 0; i < s->user_routes.n; i++)
        cut_prefix(f, &s->user_routes.v[i].prefix);
}

/* Policy rules have tables of their own, but what passes them is not shared. False: there are too many. */
static bool cut_routes(struct fabric *f) {
    size_t all = 0;
    for (uint32_t i = 0; i < f->control->n_nodes; i++) {
        size_t n = 0;
        const struct route_table *t = control_table(&f->control->nodes[i], FAMILY_IPV4, 0);
        const struct route *routes = t ? route_table_routes(t, &n) : NULL;
        all += n;
        if (all > ROUTES_MAX)
            return false;
        for (size_t k = 0; k < n; k++)
            cut_prefix(f, &routes[k].prefix);
    }
    return true;
}

static int compare_cuts(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* For the tables as they are now; no cuts at all: nothing is shared. */
static void cut_all(struct fabric *f) {
    size_t n = 0;
    f->cuts.n = 0;
    f->cuts_generation = f->generation;
    cut_special(f);
    cut_scenario(f);
    if (!cut_routes(f)) {
        f->cuts.n = 0;
        return;
    }
    qsort(f->cuts.v, f->cuts.n, sizeof *f->cuts.v, compare_cuts);
    for (size_t i = 0; i < f->cuts.n; i++)
        if (!i || f->cuts.v[i] != f->cuts.v[n - 1])
            f->cuts.v[n++] = f->cuts.v[i];
    f->cuts.n = n;
    for (uint32_t first = 0, i = 0; first <= 1u << CUTS_BITS; first++) {
        while (i < n && f->cuts.v[i] >> (32 - CUTS_BITS) < first)
            i++;
        f->first_cut[first] = i;
    }
}

/* The stretch that holds an address: number of the last cut that is not behind it. */
static uint32_t stretch_of(const struct fabric *f, be32 addr) {
    const uint32_t a = ntohl(addr);
    const uint32_t first = a >> (32 - CUTS_BITS);
    uint32_t low = f->first_cut[first], high = f->first_cut[first + 1];
    while (low < high) {
        const uint32_t mid = (low + high) / 2;
        if (f->cuts.v[mid] <= a)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

/* ---- classes ---- */

static bool may_share(const struct flow_key *flow) {
    return flow->family == FAMILY_IPV4 && memcmp(flow->src, flow->dst, 4) &&
           (flow->proto == PROTO_TCP || flow->proto == PROTO_UDP || flow->proto == PROTO_ICMP);
}

static struct class_key class_key(const struct fabric *f, const struct flow_key *flow) {
    be32 src, dst;
    memcpy(&src, flow->src, 4);
    memcpy(&dst, flow->dst, 4);
    return (struct class_key){.generation = f->generation, .src = stretch_of(f, src), .dst = stretch_of(f, dst),
                              .proto = flow->proto, .type = flow->proto == PROTO_ICMP ? ntohs(flow->dport) : 0};
}

/* Where a class is remembered, or another one that came later. */
static struct class *class_slot(const struct fabric *f, const struct class_key *k) {
    const uint64_t ends = (uint64_t)k->src << 32 | k->dst, rest = k->type << 8 | k->proto;
    const uint64_t h = ends * UINT64_C(0x9e3779b97f4a7c15) ^ rest * UINT64_C(0xff51afd7ed558ccd);
    return &f->classes[h >> 40 & (CLASSES - 1)];
}

/* Judges a flow for all of its class, if that may be. */
static void judge_class(struct fabric *f, const struct flow_key *flow, const struct class_key *k, struct class *c) {
    const struct ip src = flow_key_src(flow);
    struct judgement *j = &c->judgement;
    f->alike = true;
    fabric_judge(f, flow, j, NULL, NULL);
    c->key = *k;
    c->mark = 0;
    c->shared = f->alike && (ip_is_none(&j->far) || ip_equal(&j->far, &src));
}

static void make_classes(struct fabric *f) {
    f->classes = block_grow(NULL, 0, CLASSES * sizeof *f->classes);
    memset(f->classes, 0, CLASSES * sizeof *f->classes);
}

void classes_free(struct fabric *f) {
    block_free(f->classes, CLASSES * sizeof *f->classes);
}

const struct judgement *fabric_judge_marked(struct fabric *f, const struct flow_key *flow, uint32_t **mark) {
    if (!f->classes)
        make_classes(f);
    if (f->cuts_generation != f->generation)
        cut_all(f);
    if (f->cuts.n && may_share(flow)) {
        const struct class_key k = class_key(f, flow);
        struct class *c = class_slot(f, &k);
        const bool is_new = memcmp(&c->key, &k, sizeof k);
        if (is_new)
            judge_class(f, flow, &k, c);
        *mark = c->shared ? &c->mark : NULL;
        if (c->shared && !ip_is_none(&c->judgement.far))
            c->judgement.far = flow_key_src(flow);
        if (c->shared || is_new)
            return &c->judgement;
    }
    *mark = NULL;
    fabric_judge(f, flow, &f->alone, NULL, NULL);
    return &f->alone;
}

const struct judgement *fabric_judge_cached(struct fabric *f, const struct flow_key *flow) {
    uint32_t *mark;
    return fabric_judge_marked(f, flow, &mark);
}
