/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv6 packets of a burst, from their parsing to their verdicts: the stages that IPv4 has too, in the same order. What
 * must never be forwarded is told by RFC 4291 (addresses) and RFC 8200 (options); the order of the checks is Linux'.
 */
#include "stage.h"

static const uint8_t unspecified[16];                                       /* RFC 4291, 2.5.2 */
static const uint8_t loopback[16] = {[15] = 1};                             /* 2.5.3 */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};               /* IPv4 addresses, 2.5.5.2 */
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};                   /* 2.7.1 */
static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};
static const uint8_t all_routers_site[16] = {0xff, 5, [15] = 2};
static const uint8_t solicited_node[13] = {0xff, 2, [11] = 1, [12] = 0xff}; /* and three bytes of the address */

static bool is(const uint8_t addr[16], const uint8_t other[16]) {
    return memcmp(addr, other, 16) == 0;
}

static bool is_multicast(const uint8_t addr[16]) {
    return addr[0] == 0xff;
}

static bool is_loopback_or_mapped(const uint8_t addr[16]) {
    return is(addr, loopback) || memcmp(addr, mapped, sizeof mapped) == 0;
}

/* ---- guard ---- */

/* A group that the node is a member of at the port (RFC 4291, 2.8). */
static bool group_is_ours(const struct node *node, const uint8_t dst[16], const struct port *in) {
    if (node->router && (is(dst, all_routers) || is(dst, all_routers_site)))
        return true;
    return is(dst, all_nodes) || (!is(in->addr6, unspecified) && memcmp(dst, solicited_node, 13) == 0 &&
                                  memcmp(dst + 13, in->addr6 + 13, 3) == 0);
}

enum { OPTION_PAD1 = 0, OPTION_PADN = 1, OPTION_ROUTER_ALERT = 5, OPTION_JUMBO = 0xc2, OPTION_TELL = 0x80,
       OPTION_ACTION = 0xc0 };
enum { OPTIONS_MAX = 8, PADDING_MAX = 7 }; /* Linux' limits (RFC 8504, 5.3; RFC 4942, 2.1.9.5) */

/*
 * The first option of a hop-by-hop header that stops a router (RFC 8200, 4.2, 4.3); NULL: they are in order. The two
 * highest bits of one that a router does not know say whether to pass over it. Padding between two options has a limit,
 * and carries nothing.
 */
static const uint8_t *stopping_option(const uint8_t *o, unsigned left) {
    unsigned options = 0, padding = 0;
    for (unsigned size; left; o += size, left -= size) {
        bool pad1 = o[0] == OPTION_PAD1, padn = o[0] == OPTION_PADN;
        if (!pad1 && left < 2)
            return o;
        size = pad1 ? 1 : o[1] + 2u;
        padding = pad1 || padn ? padding + size : 0;
        options += !pad1 && !padn;
        if (size > left || padding > PADDING_MAX || options > OPTIONS_MAX || o[0] & OPTION_ACTION)
            return o;
        if (padn && memcmp(o + 2, unspecified, size - 2))
            return o;
        if (o[0] == OPTION_ROUTER_ALERT && size != 4) /* RFC 2711, 2.1 */
            return o;
    }
    return NULL;
}

/* The option of a packet with a hop-by-hop header that stops it; NULL: none does, or there is no such header. */
static const uint8_t *packet_stopping_option(const struct packet *p) {
    const struct ipv6_header *ip = packet_ipv6(p);
    const uint8_t *header = (const uint8_t *)(ip + 1), *end = p->data + p->len;
    if (end - header > ntohs(ip->payload_length)) /* padding follows */
        end = header + ntohs(ip->payload_length);
    if (ip->next_header != EXTENSION_HOP_BY_HOP || end - header < 8 || end - header < (header[1] + 1) * 8)
        return NULL;
    return stopping_option(header + 2, (header[1] + 1u) * 8 - 2);
}

unsigned ipv6_option_pointer(const struct packet *p, uint8_t *code) {
    const uint8_t *o = packet_stopping_option(p);
    if (!o || !(o[0] & OPTION_TELL) || (o[0] & OPTION_ACTION) == 0 ||
        ((o[0] & OPTION_ACTION) == OPTION_ACTION && is_multicast(packet_ipv6(p)->dst)))
        return 0;
    const unsigned at = (unsigned)(o - (const uint8_t *)packet_ipv6(p));
    *code = o[0] == OPTION_JUMBO ? 0 : 2;
    if (o[0] != OPTION_JUMBO)
        return at;
    if (o[1] != 4 || at % 4 != 2) /* RFC 2675, 2; broken ones are dropped silently, as Linux does */
        return 0;
    return o[2] | o[3] ? at : at + 2; /* 3: a length that a payload length could have had */
}

/* The source may be unspecified or link-local: route6 delivers such packets, and forwards none. */
static enum drop guard_refusal(const struct node *node, const struct packet *p) {
    const struct ipv6_header *ip = packet_ipv6(p);
    if (is_multicast(ip->src) || is_loopback_or_mapped(ip->src))
        return DROP_MARTIAN_SOURCE;
    if (is_multicast(ip->dst) && !group_is_ours(node, ip->dst, &node->ports[p->in_port]))
        return DROP_MULTICAST;
    if (is(ip->dst, unspecified) || is_loopback_or_mapped(ip->dst))
        return DROP_MARTIAN_DESTINATION;
    if (!is(ip->src, unspecified) && is_own_address6(node, ip->src))
        return DROP_OWN_SOURCE;
    if (p->flags & PACKET_OPTIONS && packet_stopping_option(p))
        return DROP_BAD_EXTENSION;
    return DROP_NONE;
}

/* Drops a packet, or keeps it as the next of those that go on. */
static unsigned keep_or_drop(struct packet **pkts, unsigned kept, struct packet *p, enum drop reason) {
    if (reason)
        packet_drop(p, reason);
    else
        pkts[kept++] = p;
    return kept;
}

static unsigned guard6(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++)
        kept = keep_or_drop(pkts, kept, pkts[i], guard_refusal(node, pkts[i]));
    return kept;
}

/* ---- reverse path ---- */

/* Sources that are never forwarded need no way back. */
static unsigned rpf6(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct ipv6_header *ip = packet_ipv6(pkts[i]);
        bool passes = is(ip->src, unspecified) || is_link_local6(ip->src) ||
                      rpf_passes(node, FAMILY_IPV6, pkts[i]->in_port, ip->src, ip->dst);
        kept = keep_or_drop(pkts, kept, pkts[i], passes ? DROP_NONE : DROP_RPF);
    }
    return kept;
}

/* ---- route ---- */

/* What becomes of a packet: delivered (DROP_NONE, *deliver), forwarded (DROP_NONE), or refused with a reason. */
static enum drop route_decide(const struct node *node, const struct packet *p, const struct route_path *path,
                              bool *deliver) {
    const struct ipv6_header *ip = packet_ipv6(p);
    bool foreign = p->in_port != PORT_NONE;
    *deliver = (foreign && is_multicast(ip->dst)) || (path && path->kind == ROUTE_LOCAL);
    if (*deliver)
        return DROP_NONE;
    if (foreign && is_link_local6(ip->dst))
        return DROP_LINK_LOCAL;
    if (foreign && !node->router)
        return DROP_NOT_A_ROUTER;
    if (foreign && p->flags & PACKET_L2_BROADCAST)
        return DROP_BROADCAST;
    if (!path)
        return DROP_NO_ROUTE;
    if (path->kind != ROUTE_UNICAST)
        return refusal(path->kind);
    if (!foreign)
        return DROP_NONE;
    if (ip->hop_limit <= 1)
        return DROP_TTL_EXPIRED;
    if (is(ip->src, unspecified))
        return DROP_MARTIAN_SOURCE;
    return is_link_local6(ip->src) ? DROP_LINK_LOCAL : DROP_NONE;
}

/* Fragments of one packet go the same way: not all have ports, nor the same protocol (RFC 8200, 4.5). */
static unsigned pick_next(const struct node *node, const struct packet *p, const struct route_path *path) {
    const struct ipv6_header *ip = packet_ipv6(p);
    if (node->hash_fixed)
        return node->hash % path->n;
    if (p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER))
        return route_pick(path, route_hash6(ip->src, ip->dst, 0, 0, 0));
    return route_pick(path, route_hash6(ip->src, ip->dst, p->sport, p->dport, p->proto));
}

static void lookup6(const struct node *node, struct packet *const *pkts, unsigned n, uint32_t *path) {
    uint8_t src[BURST_MAX][16], dst[BURST_MAX][16];
    uint16_t in_port[BURST_MAX];
    if (n == 0)
        return;
    for (unsigned i = 0; i < n; i++)
        memcpy(dst[i], packet_ipv6(pkts[i])->dst, 16);
    if (!node->rules6) {
        route_lookup(node->routes6, dst, path, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(src[i], packet_ipv6(pkts[i])->src, 16);
        in_port[i] = pkts[i]->in_port;
    }
    route_rules_lookup_bulk(node->rules6, src, dst, in_port, path, NULL, n);
}

static unsigned route6(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    uint32_t found[BURST_MAX];
    unsigned kept = 0;
    lookup6(node, pkts, n, found);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        const struct ipv6_header *ip = packet_ipv6(p);
        bool deliver;
        const struct route_path *path = stage_path(node, FAMILY_IPV6, found[i]);
        enum drop reason = route_decide(node, p, path, &deliver);
        p->path = deliver && is_multicast(ip->dst) ? ROUTE_NONE : found[i];
        if (!reason && !deliver) {
            p->next_hop = path->n == 1 ? 0 : pick_next(node, p, path);
            p->out_port = path->next[p->next_hop].port;
        }
        kept = keep_or_drop(pkts, kept, p, reason);
    }
    return kept;
}

/* ---- rewrite ---- */

static unsigned rewrite6(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        p->verdict = p->out_port == PORT_NONE ? VERDICT_DELIVER : VERDICT_FORWARD;
        if (p->verdict == VERDICT_DELIVER)
            continue;
        if (p->in_port != PORT_NONE) /* the node's own packets leave with the hop limit they were given */
            packet_ipv6(p)->hop_limit--;
        if (!(p->flags & PACKET_RAW_IP))
            set_macs(p, &node->ports[p->out_port]);
    }
    return n;
}

/* ---- all ---- */

static const struct {
    stage_fn run;
    bool own;    /* the node's own packets pass it too */
    bool filter; /* only where there are security groups */
} stages[] = {
    {guard6, .own = false},
    {stage_filter_in, .filter = true},
    {rpf6, .own = false},
    {route6, .own = true},
    {stage_mtu, .own = false},
    {stage_filter_out, .own = true, .filter = true},
    {rewrite6, .own = true},
};

void ipv6_forward(struct node *node, struct packet **pkts, unsigned n, uint64_t now, bool own) {
    for (unsigned i = 0; i < sizeof stages / sizeof *stages && n; i++)
        if ((stages[i].own || !own) && (node->filter || !stages[i].filter))
            n = stages[i].run(node, pkts, n, now);
}

unsigned stage_ipv6(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    struct packet *taken[BURST_MAX];
    unsigned kept = 0, n_taken = 0;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        bool ipv6 = p->family == FAMILY_IPV6;
        taken[n_taken] = p;
        n_taken += ipv6;
        pkts[kept] = p;
        kept += !ipv6;
    }
    if (unlikely(n_taken))
        ipv6_forward(node, taken, n_taken, now, false);
    return kept;
}
