/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What no router takes, whatever its routes say: impossible sources and destinations (RFC 1812, 5.3.7), multicast,
 * spoofed sources; and the reverse path check (RFC 3704). What may be delivered here but not forwarded (link-local,
 * broadcasts) is decided by the route stage, which knows the node's own addresses.
 */
#include "stage.h"

/* 0/8, 127/8, 224/4 and 240/4: ordinary packets have none of them. */
static inline unsigned octet_is_special(uint8_t octet) {
    return (unsigned)((uint8_t)(octet - 1) >= 223) | (octet == 127);
}

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

static inline bool is_own_address(const struct node *node, be32 addr) {
    bool own = false;
    for (unsigned i = 0; i < node->n_ports; i++)
        own |= node->ports[i].addr == addr;
    return own;
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

static bool rpf_passes(const struct node *node, const struct packet *p, uint32_t path) {
    unsigned mode = node->ports[p->in_port].rpf;
    if (mode == RPF_OFF || p->src == 0) /* 0.0.0.0: a DHCP client without an address */
        return true;
    if (path == ROUTE_NONE)
        return false;
    const struct route_path *r = route_path(node->routes, path);
    if (r->kind != ROUTE_UNICAST || mode == RPF_LOOSE)
        return r->kind == ROUTE_UNICAST;
    for (unsigned i = 0; i < r->n; i++)
        if (r->next[i].port == p->in_port)
            return true;
    return false;
}

unsigned stage_rpf(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    be32 src[BURST_MAX];
    uint32_t path[BURST_MAX];
    unsigned kept = 0;
    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        src[i] = pkts[i]->src;
    route_lookup(node->routes, src, path, n);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        if (likely(rpf_passes(node, p, path[i])))
            pkts[kept++] = p;
        else
            packet_drop(p, DROP_RPF);
    }
    return kept;
}
