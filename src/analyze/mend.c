/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The change that mends a finding, proved on the whole trace: with it every flow of the finding is symmetric and no
 * flow that worked is lost. A change that would send flows into NAT which now pass untranslated is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/parse.h>
#include "analyze.h"

#define CANDIDATES_MAX 16
#define PROBE_PORT 33434 /* of made-up flows towards the far end: no trace holds every flow that will ever come */

static void flow_text(const struct flow_key *k, char *buf, size_t size) {
    struct ip src = flow_key_src(k), dst = flow_key_dst(k);
    char a[IP_TEXT], b[IP_TEXT];
    snprintf(buf, size, "%s → %s", ip_format(&src, a), ip_format(&dst, b));
}

/* Symmetric with the change, all of the finding's flows? */
static bool mends_all(struct analysis *a, uint32_t finding) {
    for (uint32_t i = 0; i < a->flows.n; i++)
        if (a->flows.v[i].used && a->flows.v[i].finding == finding &&
            fabric_judge_cached(a->fabric, &a->flows.v[i].key)->verdict != MODEL_SYMMETRIC)
            return false;
    return true;
}

struct harm {
    unsigned into_nat, lost;
    struct flow_key nat_example, lost_example;
};

/* What the mended node sends itself may be translated: its addresses are all its own. */
static bool sent_by(const struct analysis *a, uint32_t node, const struct flow_key *key) {
    struct ip src = flow_key_src(key);
    return fabric_owner(a->fabric, &src) == node;
}

static void compare(const struct analysis *a, uint32_t node, struct harm *h, const struct flow_key *key,
                    bool worked, bool translated, const struct judgement *is) {
    if (worked && !translated && is->translated && !sent_by(a, node, key) && !h->into_nat++)
        h->nat_example = *key;
    if (worked && !is->works && !h->lost++)
        h->lost_example = *key;
}

/* Flows that another machine could open towards the far end (the mended node's own take their source from a route). */
static unsigned probes(const struct analysis *a, const struct judgement *j, struct flow_key *out, unsigned cap) {
    const struct scenario *s = fabric_control(a->fabric)->scenario;
    unsigned n = 0;
    for (uint32_t i = 0; i < s->nics.n && n < cap; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        const struct ip *src = control_nic_addr(nic, j->far.family);
        if (src->family != j->far.family || ip_equal(src, &j->far) || nic->machine == j->cause_node)
            continue;
        out[n] = (struct flow_key){
            .family = src->family, .proto = PROTO_TCP, .sport = htons(PROBE_PORT), .dport = htons(PROBE_PORT)};
        memcpy(out[n].src, src->v6, src->family == FAMILY_IPV6 ? 16 : 4);
        memcpy(out[n].dst, j->far.v6, src->family == FAMILY_IPV6 ? 16 : 4);
        n++;
    }
    return n;
}

#define PROBES_MAX 256

static void weigh(struct analysis *a, const struct change *c, const struct judgement *j, struct harm *h) {
    struct flow_key probe[PROBES_MAX];
    struct judgement *before = xzalloc(PROBES_MAX, sizeof *before);
    unsigned n = probes(a, j, probe, PROBES_MAX);
    *h = (struct harm){0};
    fabric_revert(a->fabric);
    for (unsigned i = 0; i < n; i++)
        fabric_judge(a->fabric, &probe[i], &before[i], NULL, NULL);
    fabric_apply(a->fabric, c);
    for (uint32_t i = 0; i < a->flows.n; i++) {
        const struct flow *f = &a->flows.v[i];
        if (f->used && !f->depth)
            compare(a, c->node, h, &f->key, f->works, f->into_nat, fabric_judge_cached(a->fabric, &f->key));
    }
    for (unsigned i = 0; i < n; i++) {
        struct judgement after;
        fabric_judge(a->fabric, &probe[i], &after, NULL, NULL);
        compare(a, c->node, h, &probe[i], before[i].works, before[i].translated, &after);
    }
    free(before);
}

/* Tries one change for a finding: true when it is the mend. The first one that mends at a
 * price is kept with its refusal. */
static bool try_change(struct analysis *a, uint32_t finding, const struct change *c) {
    struct finding *g = &a->findings.v[finding];
    struct harm h = {0};
    bool mends = fabric_apply(a->fabric, c) == 0 && mends_all(a, finding);
    if (mends)
        weigh(a, c, &g->judgement, &h);
    fabric_revert(a->fabric);
    if (!mends || (g->has_mend && (h.into_nat || h.lost)))
        return false;
    g->has_mend = true;
    g->mend = *c;
    g->proven = !h.into_nat && !h.lost && !a->damage && !a->evicted && !a->interrupted;
    char example[2 * IP_TEXT + 8];
    if (h.into_nat) {
        flow_text(&h.nat_example, example, sizeof example);
        snprintf(g->refused, sizeof g->refused,
                 "it would send %u flow%s into NAT that now pass%s untranslated, such as %s: a route by destination "
                 "cannot tell them from these answers", h.into_nat, h.into_nat == 1 ? "" : "s",
                 h.into_nat == 1 ? "es" : "", example);
    } else if (h.lost) {
        flow_text(&h.lost_example, example, sizeof example);
        snprintf(g->refused, sizeof g->refused, "it would break %u flow%s that work%s now, such as %s", h.lost,
                 h.lost == 1 ? "" : "s", h.lost == 1 ? "s" : "", example);
    } else {
        g->refused[0] = '\0';
    }
    return !h.into_nat && !h.lost;
}

static bool mendable(const struct finding *g) {
    return !g->observed && g->verdict >= MODEL_ASYM_BENIGN && g->verdict <= MODEL_DROPPED;
}

static bool proven_elsewhere(struct analysis *a, uint32_t finding) {
    for (uint32_t i = 0; i < a->findings.n; i++) {
        const struct finding *g = &a->findings.v[i];
        if (i != finding && g->has_mend && !g->refused[0] && try_change(a, finding, &g->mend))
            return true;
    }
    return false;
}

static void mend_one(struct analysis *a, uint32_t finding) {
    struct change candidates[CANDIDATES_MAX];
    if (proven_elsewhere(a, finding)) /* one change that mends two findings is better than two */
        return;
    unsigned n = fabric_mends(a->fabric, &a->findings.v[finding].judgement, candidates, CANDIDATES_MAX);
    for (unsigned i = 0; i < n; i++)
        if (try_change(a, finding, &candidates[i]))
            return;
}

void mend_findings(struct analysis *a) {
    const struct control *c = fabric_control(a->fabric);
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) /* the node under test first: its routes are at hand */
        for (uint32_t i = 0; i < a->findings.n; i++) {
            const struct judgement *j = &a->findings.v[i].judgement;
            bool here = j->cause_node != INDEX_NONE && !strcmp(c->nodes[j->cause_node].name, a->node->name);
            if (mendable(&a->findings.v[i]) && here == !elsewhere)
                mend_one(a, i);
        }
}
