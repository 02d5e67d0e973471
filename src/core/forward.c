/* SPDX-License-Identifier: BSD-3-Clause */
/* The stage table of a node, and the stages that decide where a packet goes. */
#include <limits.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/icmp.h>
#include "route_table.h"
#include "stage.h"

/* ---- lookups of both families, with rules or without ---- */

static const struct route_table *main_table(const struct node *node, uint8_t family) {
    return family == FAMILY_IPV6 ? node->routes6 : node->routes;
}

static const struct route_rules *rules_of(const struct node *node, uint8_t family) {
    return family == FAMILY_IPV6 ? node->rules6 : node->rules;
}

uint32_t stage_lookup(const struct node *node, uint8_t family, const void *src, const void *dst, uint16_t in_port) {
    const struct route_rules *rules = rules_of(node, family);
    uint32_t path;
    if (rules)
        return route_rules_lookup(rules, src, dst, in_port, NULL);
    route_lookup(main_table(node, family), dst, &path, 1);
    return path;
}

const struct route_path *stage_path(const struct node *node, uint8_t family, uint32_t path) {
    const struct route_rules *rules = rules_of(node, family);
    if (path == ROUTE_NONE)
        return NULL;
    return rules ? rules_path_at(rules, path) : path_at(main_table(node, family), path);
}

const struct route_path *node_path(const struct node *node, uint8_t family, uint32_t path, unsigned *table) {
    const struct route_rules *rules = rules_of(node, family);
    if (rules)
        return route_rules_path(rules, path, table);
    if (table)
        *table = path == ROUTE_NONE ? UINT_MAX : 0;
    return path == ROUTE_NONE ? NULL : route_path(main_table(node, family), path);
}

struct ip node_next_hop(const struct node *node, const struct packet *p) {
    if (p->family != FAMILY_IPV6)
        return ip_v4(p->next_hop);
    unsigned table;
    size_t n;
    const struct route_path *path = node_path(node, FAMILY_IPV6, p->path, &table);
    const struct route_table *t = node->rules6 ? route_rules_table(node->rules6, table) : node->routes6;
    struct ip hop = route_table_routes(t, &n)[path->next[p->next_hop].via].via;
    if (ip_is_none(&hop)) {
        hop.family = FAMILY_IPV6;
        memcpy(hop.v6, packet_ipv6(p)->dst, sizeof hop.v6);
    }
    return hop;
}

/* ---- route ---- */

/*
 * Needs route_special's look, by what its header says: it may have to stay here (link-local addresses, RFC 3927, 2.7, and
 * broadcasts, RFC 1812, 5.3.4, are delivered, but never forwarded), or its options are to be checked.
 */
static inline bool is_special(const struct packet *p) {
    return is_link_local(p->src) || is_link_local(p->dst) || p->dst == LIMITED_BROADCAST ||
           p->flags & (PACKET_L2_BROADCAST | PACKET_OPTIONS);
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
        return refusal(path->kind);
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
                                                    const struct route_path *path, uint64_t now) {
    bool deliver = false, options = p->flags & PACKET_OPTIONS && p->in_port != PORT_NONE;
    enum drop reason = options ? options_check(p) : DROP_NONE; /* after rpf, as Linux: errors go to believed sources */
    if (!reason)
        reason = route_decide(node, p, path, &deliver);
    if (reason) {
        packet_drop(p, reason);
    } else if (!deliver) {
        set_next(p, path, pick_next(node, p, path));
        if (options)
            options_record(node, p, now);
    }
    return !reason;
}

static __attribute__((noinline)) unsigned route_by_rules(const struct node *node, struct packet **pkts, unsigned n,
                                                         uint64_t now) {
    be32 src[BURST_MAX], dst[BURST_MAX];
    uint16_t in_port[BURST_MAX];
    uint32_t path[BURST_MAX];
    unsigned kept = 0;
    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        const struct packet *p = pkts[i];
        /* Linux looks for the way of an error before it has a source (icmp_route_lookup) */
        src[i] = p->in_port == PORT_NONE && p->flags & PACKET_ICMP_ERROR ? 0 : p->src;
        dst[i] = p->dst;
        in_port[i] = p->in_port;
    }
    route_rules_lookup_bulk(node->rules, src, dst, in_port, path, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        p->path = path[i];
        if (route_special(node, p, rules_path_at(node->rules, path[i]), now))
            pkts[kept++] = p;
    }
    return kept;
}

unsigned stage_route(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    const struct route_table *t = node->routes;
    be32 dst[BURST_MAX];
    uint32_t value[BURST_MAX];
    unsigned kept = 0;
    if (unlikely(node->rules != NULL))
        return route_by_rules(node, pkts, n, now);
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
        if (likely(path && path->kind == ROUTE_UNICAST && path->n == 1 && packet_ipv4(p)->ttl > 1 && !is_special(p) &&
                   node->router))
            set_next(p, path, 0);
        else
            goes_on = route_special(node, p, path, now);
        pkts[kept] = p;
        kept += goes_on;
    }
    return kept;
}

/* ---- NAT and filters ---- */

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

unsigned stage_filter_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    filter_in(node->filter, pkts, n, now);
    return keep_undecided(pkts, n);
}

unsigned stage_filter_out(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    filter_out(node->filter, pkts, n, now);
    return keep_undecided(pkts, n);
}

unsigned stage_nat_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    if (node->stages[0].run != stage_express)
        nat_expire_once(node->nat, now);
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
    bool rpf = false, mtu = false, filter = node->filter && filter_active(node->filter);
    for (unsigned i = 0; i < node->n_ports; i++) {
        rpf |= node->ports[i].rpf != RPF_OFF;
        mtu |= node->ports[i].mtu != 0;
    }
    node->n_stages = 0;
    express_prepare(node);
    if (express_serves(node))
        stage_add(node, "express", stage_express);
    stage_add(node, "parse", stage_parse);
    if (node->routes6)
        stage_add(node, "ipv6", stage_ipv6);
    stage_add(node, "guard", stage_guard);
    if (filter)
        stage_add(node, "filter-in", stage_filter_in);
    if (rpf)
        stage_add(node, "rpf", stage_rpf);
    if (node->nat)
        stage_add(node, "nat-in", stage_nat_in);
    stage_add(node, "route", stage_route);
    if (mtu)
        stage_add(node, "mtu", stage_mtu);
    if (node->nat)
        stage_add(node, "nat-out", stage_nat_out);
    if (filter)
        stage_add(node, "filter-out", stage_filter_out);
    stage_add(node, "rewrite", stage_rewrite);
}

void node_reset(struct node *node) {
    if (node->nat)
        nat_reset(node->nat);
    if (node->filter)
        filter_reset(node->filter);
    if (node->icmp)
        icmp_limiter_reset(node->icmp);
}

void node_fini(struct node *node) {
    vec_release(node->ports);
    route_rules_destroy(node->rules);
    route_rules_destroy(node->rules6);
    route_table_destroy(node->routes);
    route_table_destroy(node->routes6);
    nat_destroy(node->nat);
    filter_destroy(node->filter);
    icmp_limiter_destroy(node->icmp);
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
    struct packet *live[BURST_MAX], *slow[BURST_MAX];
    const bool express = node->stages[0].run == stage_express;
    unsigned left = n, n_slow;
    if (express)
        left = express_forward(node, pkts, n, now, live);
    else
        memcpy(live, pkts, n * sizeof *live);
    node->forwarded += n - left;
    if (likely(!left))
        return;
    n_slow = left;
    memcpy(slow, live, left * sizeof *slow);
    for (unsigned i = express; i < node->n_stages && left; i++)
        left = node->stages[i].run(node, live, left, now);
    count_verdicts(node, slow, n_slow);
}

void forward_own(struct node *node, struct packet *p, uint64_t now) {
    unsigned left;
    struct packet *live = p;
    parse(p);
    left = p->verdict == VERDICT_NONE;
    if (left && p->family == FAMILY_IPV6) {
        if (node->routes6)
            ipv6_forward(node, &live, left, now, true);
        else
            packet_drop(p, DROP_IPV6);
        left = 0;
    }
    /* The node's ICMP errors are made as their receivers know the flow (icmp.h): no session has a say in them. */
    bool nat = node->nat && !(p->flags & PACKET_ICMP_ERROR);
    if (left && nat)
        left = stage_nat_in(node, &live, left, now);
    if (left)
        left = stage_route(node, &live, left, now);
    if (left && nat)
        left = stage_nat_out(node, &live, left, now);
    if (left && node->filter)
        left = stage_filter_out(node, &live, left, now);
    if (left)
        stage_rewrite(node, &live, left, now);
    count_verdicts(node, &p, 1);
}
