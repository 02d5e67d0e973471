/* SPDX-License-Identifier: BSD-3-Clause */
/* The stage table of a node, and the stages that decide where a packet goes. */
#include <fwdlab/base/vec.h>
#include "route_table.h"
#include "stage.h"

#define EXPIRE_PER_PACKET 2 /* NAT sessions looked at for each packet: more than one packet can make */

/* ---- route ---- */

/* Link-local addresses (RFC 3927, 2.7) and broadcasts (RFC 1812, 5.3.4) are delivered, but never forwarded. */
static inline bool is_link_local(be32 addr) {
    return (addr & htonl(0xffff0000)) == htonl(0xa9fe0000);
}

static inline bool stays_here(const struct packet *p) {
    return is_link_local(p->src) || is_link_local(p->dst) || p->dst == LIMITED_BROADCAST ||
           p->flags & PACKET_L2_BROADCAST;
}

/* A subnet's broadcast is taken from that subnet only (RFC 2644). */
static bool broadcast_is_ours(const struct node *node, const struct packet *p) {
    if (p->in_port == PORT_NONE)
        return false;
    const struct port *in = &node->ports[p->in_port];
    return in->addr && ((p->dst ^ in->addr) & ipv4_mask(in->len)) == 0;
}

/* What becomes of a packet: delivered (DROP_NONE, *deliver), forwarded (DROP_NONE), or refused with a reason. */
static enum drop route_decide(const struct node *node, const struct packet *p, const struct route_path *path,
                              bool *deliver) {
    bool foreign = p->in_port != PORT_NONE;
    *deliver = (foreign && p->dst == LIMITED_BROADCAST) || (path && path->kind == ROUTE_LOCAL);
    if (*deliver)
        return DROP_NONE;
    if (path && path->kind == ROUTE_BROADCAST) {
        *deliver = broadcast_is_ours(node, p);
        return *deliver ? DROP_NONE : DROP_BROADCAST;
    }
    if (foreign && (is_link_local(p->src) || is_link_local(p->dst)))
        return DROP_LINK_LOCAL;
    if (foreign && p->flags & PACKET_L2_BROADCAST)
        return DROP_BROADCAST;
    if (foreign && !node->router)
        return DROP_NOT_A_ROUTER;
    if (!path)
        return DROP_NO_ROUTE;
    if (path->kind != ROUTE_UNICAST)
        return path->kind == ROUTE_BLACKHOLE ? DROP_BLACKHOLE : DROP_UNREACHABLE;
    return foreign && packet_ipv4(p)->ttl <= 1 ? DROP_TTL_EXPIRED : DROP_NONE;
}

/* Fragments of one datagram go the same way: later ones have no ports, so none of them uses ports. */
static unsigned pick_next(const struct node *node, const struct packet *p, const struct route_path *path) {
    if (node->hash_fixed)
        return node->hash % path->n;
    bool fragment = p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER);
    return route_pick(path, route_hash(p->src, p->dst, fragment ? 0 : p->sport, fragment ? 0 : p->dport, p->proto));
}

static inline void set_next(struct packet *p, const struct route_path *path, unsigned next) {
    be32 via = path->next[next].via;
    p->next_hop = via ? via : p->dst;
    p->out_port = path->next[next].port;
}

/* Everything but a plain unicast packet with one way to go. False: it goes no further. */
static __attribute__((noinline)) bool route_special(const struct node *node, struct packet *p,
                                                    const struct route_path *path) {
    bool deliver;
    enum drop reason = route_decide(node, p, path, &deliver);
    if (reason)
        packet_drop(p, reason);
    else if (!deliver)
        set_next(p, path, pick_next(node, p, path));
    return !reason;
}

unsigned stage_route(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    const struct route_table *t = node->routes;
    be32 dst[BURST_MAX];
    uint32_t value[BURST_MAX];
    unsigned kept = 0;
    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        dst[i] = pkts[i]->dst;
    route_lookup(t, dst, value, n);
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(value[i] == ROUTE_NONE ? t->units : t->units + value[i]);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        const struct route_path *path = value[i] == ROUTE_NONE ? NULL : path_at(t, value[i]);
        bool goes_on = true;
        p->path = value[i];
        if (likely(path && path->kind == ROUTE_UNICAST && path->n == 1 && packet_ipv4(p)->ttl > 1 && !stays_here(p) &&
                   node->router))
            set_next(p, path, 0);
        else
            goes_on = route_special(node, p, path);
        pkts[kept] = p;
        kept += goes_on;
    }
    return kept;
}

/* ---- NAT ---- */

/* Keeps the packets that have no verdict. */
static unsigned keep_undecided(struct packet **pkts, unsigned n) {
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        pkts[kept] = p;
        kept += p->verdict == VERDICT_NONE;
    }
    return kept;
}

unsigned stage_nat_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    nat_expire(node->nat, now, n * EXPIRE_PER_PACKET);
    nat_in(node->nat, pkts, n, now);
    return keep_undecided(pkts, n);
}

unsigned stage_nat_out(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    nat_out(node->nat, pkts, n, now);
    return keep_undecided(pkts, n);
}

/* ---- the node ---- */

static void stage_add(struct node *node, const char *name, stage_fn run) {
    node->stages[node->n_stages++] = (struct stage){.name = name, .run = run};
}

void node_prepare(struct node *node) {
    bool rpf = false;
    for (unsigned i = 0; i < node->n_ports; i++)
        rpf |= node->ports[i].rpf != RPF_OFF;
    node->n_stages = 0;
    stage_add(node, "parse", stage_parse);
    stage_add(node, "guard", stage_guard);
    if (rpf)
        stage_add(node, "rpf", stage_rpf);
    if (node->nat)
        stage_add(node, "nat-in", stage_nat_in);
    stage_add(node, "route", stage_route);
    if (node->nat)
        stage_add(node, "nat-out", stage_nat_out);
    stage_add(node, "rewrite", stage_rewrite);
}

void node_fini(struct node *node) {
    vec_release(node->ports);
    route_table_destroy(node->routes);
    if (node->nat)
        nat_destroy(node->nat);
    memset(node, 0, sizeof *node);
}

static void count_verdicts(struct node *node, struct packet *const *pkts, unsigned n) {
    uint64_t delivered = 0, forwarded = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned verdict = pkts[i]->verdict;
        delivered += verdict == VERDICT_DELIVER;
        forwarded += verdict == VERDICT_FORWARD;
        if (unlikely(verdict == VERDICT_DROP))
            node->drops[pkts[i]->reason]++;
    }
    node->delivered += delivered;
    node->forwarded += forwarded;
}

void forward(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now) {
    struct packet *live[BURST_MAX];
    unsigned left = n;
    memcpy(live, pkts, n * sizeof *live);
    for (unsigned i = 0; i < node->n_stages && left; i++)
        left = node->stages[i].run(node, live, left, now);
    count_verdicts(node, pkts, n);
}

void forward_own(struct node *node, struct packet *p, uint64_t now) {
    unsigned left;
    struct packet *live = p;
    parse(p);
    left = p->verdict == VERDICT_NONE;
    if (left && node->nat)
        left = stage_nat_in(node, &live, left, now);
    if (left)
        left = stage_route(node, &live, left, now);
    if (left && node->nat)
        left = stage_nat_out(node, &live, left, now);
    if (left)
        stage_rewrite(node, &live, left, now);
    count_verdicts(node, &p, 1);
}
