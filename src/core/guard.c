/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What no router takes, whatever its routes say: impossible sources and destinations (RFC 1812, 5.3.7), multicast,
 * spoofed sources; and the reverse path check (RFC 3704). What may be delivered here but not forwarded (link-local,
 * broadcasts) is decided by the route stage, which knows the node's own addresses.
 */
#include "stage.h"

/* Why a packet with a special address goes no further; DROP_NONE: a broadcast that may be delivered. */
static __attribute__((noinline)) enum drop special_refusal(const struct packet *p) {
    uint8_t dst = first_octet(p->dst);
    if (dst >= 224 && dst < 240)
        return DROP_MULTICAST;
    if (octet_is_special(first_octet(p->src)) && !(p->src == 0 && p->dst == LIMITED_BROADCAST)) /* DHCP */
        return DROP_MARTIAN_SOURCE;
    if (octet_is_special(dst) && p->dst != LIMITED_BROADCAST)
        return DROP_MARTIAN_DESTINATION;
    return DROP_NONE;
}

unsigned stage_guard(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        enum drop reason = DROP_NONE;
        if (unlikely(octet_is_special(first_octet(p->src)) | octet_is_special(first_octet(p->dst))))
            reason = special_refusal(p);
        if (unlikely(is_own_address(node, p->src)) && p->src != 0)
            reason = reason ? reason : DROP_OWN_SOURCE;
        if (unlikely(reason))
            packet_drop(p, reason);
        pkts[kept] = p;
        kept += reason == DROP_NONE;
    }
    return kept;
}

/* ---- reverse path ---- */

static bool leaves_by(const struct route_path *path, uint16_t port) {
    for (unsigned i = 0; i < path->n; i++)
        if (path->next[i].port == port)
            return true;
    return false;
}

/* RFC 3704, 2.3: is any route by the port good for the source, were it hidden or less specific than another one? */
static bool is_feasible(const struct route_table *t, const struct ip *src, uint16_t port) {
    for (unsigned len = src->family == FAMILY_IPV6 ? 128 : 32; len > 0; len--) {
        const struct ip_prefix prefix = prefix_of(src, len);
        if (route_leads_to(t, &prefix, port))
            return true;
    }
    return false;
}

/* The exception in feasible mode: the best route does not lead back. */
static __attribute__((noinline)) bool feasible_passes(const struct node *node, uint8_t family, uint16_t in_port,
                                                      const void *src) {
    const struct route_rules *rules = family == FAMILY_IPV6 ? node->rules6 : node->rules;
    struct ip addr = {.family = family};
    memcpy(addr.v6, src, family == FAMILY_IPV6 ? 16 : 4);
    if (!rules)
        return is_feasible(family == FAMILY_IPV6 ? node->routes6 : node->routes, &addr, in_port);
    for (unsigned i = 0; i < route_rules_tables(rules); i++)
        if (is_feasible(route_rules_table(rules, i), &addr, in_port))
            return true;
    return false;
}

/* The decision, when the best route back is known. */
static bool rpf_judge(const struct node *node, uint8_t family, uint16_t in_port, const void *src,
                      const struct route_path *back) {
    unsigned mode = node->ports[in_port].rpf;
    bool unicast = back && back->kind == ROUTE_UNICAST;
    if (mode == RPF_OFF)
        return true;
    if (unicast && (mode == RPF_LOOSE || leaves_by(back, in_port)))
        return true;
    return unicast && mode == RPF_FEASIBLE && feasible_passes(node, family, in_port, src);
}

/*
 * Where an answer would go: with rules, that depends on its source and on where it would come in, which is where the
 * packet itself would leave (as Linux' fib_validate_source has it).
 */
static uint32_t route_back(const struct node *node, uint8_t family, uint16_t in_port, const void *src,
                           const void *dst) {
    uint16_t from = PORT_NONE;
    if ((family == FAMILY_IPV6 ? node->rules6 : node->rules) != NULL) {
        const struct route_path *on = stage_path(node, family, stage_lookup(node, family, src, dst, in_port));
        if (on && on->kind == ROUTE_UNICAST)
            from = on->next[0].port;
    }
    return stage_lookup(node, family, dst, src, from);
}

bool rpf_passes(const struct node *node, uint8_t family, uint16_t in_port, const void *src, const void *dst) {
    if (node->ports[in_port].rpf == RPF_OFF)
        return true;
    uint32_t back = route_back(node, family, in_port, src, dst);
    return rpf_judge(node, family, in_port, src, stage_path(node, family, back));
}

unsigned stage_rpf(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    be32 src[BURST_MAX];
    uint32_t back[BURST_MAX];
    unsigned kept = 0;
    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        src[i] = pkts[i]->src;
    if (likely(!node->rules))
        route_lookup(node->routes, src, back, n);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        bool passes;
        if (p->src == 0) /* a DHCP client without an address */
            passes = true;
        else if (unlikely(node->rules != NULL))
            passes = rpf_passes(node, FAMILY_IPV4, p->in_port, &p->src, &p->dst);
        else
            passes = rpf_judge(node, FAMILY_IPV4, p->in_port, &p->src, stage_path(node, FAMILY_IPV4, back[i]));
        if (likely(passes))
            pkts[kept++] = p;
        else
            packet_drop(p, DROP_RPF);
    }
    return kept;
}
