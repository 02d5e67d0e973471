/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons that lie in where a packet comes from and goes to. */
#include "reasons.h"

#include <fwdlab/core/checksum.h>

bool is_broadcast(const struct trial *t, be32 addr) {
    uint32_t path;
    route_lookup(t->lab->node.routes, &addr, &path, 1);
    return path != ROUTE_NONE && route_path(t->lab->node.routes, path)->kind == ROUTE_BROADCAST;
}

/* Which of its ports has this link-local address; -1: none. */
static int port_of_link_local(const struct lab *lab, const uint8_t addr[16]) {
    for (unsigned i = 0; i < lab->node.n_ports; i++)
        if (!memcmp(lab->link_local[i], addr, 16))
            return (int)i;
    return -1;
}

static bool foreign_broadcast(const struct trial *t) {
    return ipv4_of(t) && dropped_as(t, DROP_BROADCAST) &&
           (is_delivered(t->kernel, t) || (t->lab->node.nat && t->kernel->delivered));
}

static bool broadcast_source(const struct trial *t) {
    return ipv4_of(t) && is_broadcast(t, ipv4_of(t)->src) && t->lab->node.rules && silent(t->kernel);
}

static bool is_link_local6(const uint8_t addr[16]) {
    return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* Linux: an address of another link is nobody's, a sender on the link is answered there, from a link-local address, and
 * what stays on its link is forwarded. What has the link's own one as source comes from itself;
 * nft's fib expression finds other ways back to where packets to link-local addresses came from. */
static bool zone(const struct trial *t) {
    const struct ipv6_header *ip = ipv6_of(t);
    if (!ip)
        return false;
    int to = port_of_link_local(t->lab, ip->dst), from = port_of_link_local(t->lab, ip->src);
    if (to == t->in->port && dropped_as(t, DROP_RPF))
        return is_delivered(t->kernel, t);
    if (t->core->delivered && is_link_local6(ip->src) && t->lab->node.ports[t->in->port].rpf && silent(t->kernel))
        return true;
    if (t->core->delivered)
        return silent(t->kernel) && ((to >= 0 && to != t->in->port) || from == t->in->port);
    if (is_link_local6(ip->src) && t->after->verdict == VERDICT_DROP && silent(t->core) && is_error_about(t->kernel, t))
        return t->kernel->frames[0].port == t->in->port;
    return is_link_local6(ip->src) && dropped_as(t, DROP_LINK_LOCAL) && t->kernel->n == 1 &&
           t->kernel->frames[0].port == t->in->port && is_routed(t->kernel, t);
}

/* ---- the router's own errors ---- */

/* icmp_send() answers from the address that the packet had been sent to, if that is the router's own; rules may know
 * another way from there. */
static bool from_destination(const struct trial *t) {
    const struct frame *k = t->kernel->frames, *c = t->core->frames;
    if (!ipv4_of(t) || !is_icmp_error(t->kernel) || memcmp(k->byte + ETHERNET + 12, &ipv4_of(t)->dst, 4))
        return false;
    if (silent(t->core))
        return t->lab->node.rules && t->after->verdict == VERDICT_DROP && is_error_about(t->kernel, t);
    if (!is_icmp_error(t->core) || k->len != c->len)
        return false;
    bool way = k->port == c->port && !memcmp(k->byte, c->byte, ETHERNET);
    return (way || t->lab->node.rules) && !memcmp(k->byte + ETHERNET, c->byte + ETHERNET, 4) &&
           !memcmp(k->byte + ETHERNET + 16, c->byte + ETHERNET + 16, k->len - ETHERNET - 16);
}

/* Of several ways Linux may take the one for the source address and another one for the error; and where NAT changed
 * what an error quotes, it looks for the way again, this time with the source (nf_nat_ipv4_local_fn). */
static bool is_refused_from(const struct node *node, be32 src, be32 dst) {
    unsigned table;
    uint32_t path = route_rules_lookup(node->rules, &src, &dst, PORT_NONE, NULL);
    const struct route_path *way = node_path(node, FAMILY_IPV4, path, &table);
    return !way || way->kind != ROUTE_UNICAST;
}

/* The error's source before NAT, that of the port it leaves by, or afterwards. */
static bool is_refused_from_source(const struct trial *t) {
    const struct node *node = &t->lab->node;
    const struct frame *c = t->core->frames;
    const struct ipv4_header *error = (const struct ipv4_header *)(c->byte + ETHERNET);
    return is_refused_from(node, error->src, error->dst) ||
           is_refused_from(node, node->ports[c->port].addr, error->dst);
}

static bool error_way(const struct trial *t) {
    const struct frame *k = t->kernel->frames, *c = t->core->frames;
    const struct node *node = &t->lab->node;
    if (node->nat && node->rules && silent(t->kernel) && is_error_about(t->core, t))
        return is_refused_from_source(t);
    if (!t->lab->ecmp && !(node->nat && node->rules && !memcmp(k->byte + ETHERNET + 12, c->byte + ETHERNET + 12, 4)))
        return false;
    return ipv4_of(t) && t->after->verdict == VERDICT_DROP && is_icmp_error(t->kernel) && is_icmp_error(t->core) &&
           !memcmp(k->byte + ETHERNET + 16, c->byte + ETHERNET + 16, 6) &&
           !memcmp(k->byte + ETHERNET + 24, c->byte + ETHERNET + 24, 24);
}

/* IPv6: without a way from nowhere in particular Linux chooses a source, and looks again for a way from there. */
static bool error_way6(const struct trial *t) {
    const struct frame *k = t->kernel->frames, *c = t->core->frames;
    if (!ipv6_of(t) || !t->lab->node.rules6 || t->after->verdict != VERDICT_DROP || !is_error_about(t->kernel, t))
        return false;
    return silent(t->core) || (is_error_about(t->core, t) && k->len == c->len &&
                               !memcmp(k->byte + ETHERNET + 24, c->byte + ETHERNET + 24, 18) &&
                               !memcmp(k->byte + ETHERNET + 44, c->byte + ETHERNET + 44, k->len - ETHERNET - 44));
}

/* RFC 4291, 2.6: the first address of a prefix on link is its routers'. */
static bool anycast_source(const struct trial *t) {
    const struct ipv6_header *ip = ipv6_of(t);
    if (!ip || !silent(t->kernel) || !is_icmp6_error(t->core))
        return false;
    const uint8_t *addr = dropped_as(t, DROP_BAD_EXTENSION) ? ip->dst : NULL; /* from where Linux answers then */
    for (size_t i = 0; i < t->lab->n_prefixes; i++)
        if (t->lab->prefixes[i].addr.family == FAMILY_IPV6 && t->lab->prefixes[i].len < 127 &&
            (!memcmp(t->lab->prefixes[i].addr.v6, ip->src, 16) ||
             (addr && !memcmp(t->lab->prefixes[i].addr.v6, addr, 16))))
            return true;
    return false;
}

/* RFC 6724 chooses among all addresses where the link of the error has none. */
static bool source_selection(const struct trial *t) {
    const struct frame *k = t->kernel->frames, *c = t->core->frames;
    if (!is_icmp6_error(t->kernel) || !is_icmp6_error(t->core) || k->port != c->port || k->len != c->len)
        return false;
    enum { SOURCE = ETHERNET + 8, DESTINATION = SOURCE + 16, CHECKSUM = ETHERNET + 42 };
    return (t->lab->ecmp || dropped_as(t, DROP_BAD_EXTENSION) || !t->lab->node.ports[k->port].len6 ||
            !t->lab->node.ports[t->in->port].len6) &&
           !memcmp(k->byte, c->byte, SOURCE) &&
           !memcmp(k->byte + DESTINATION, c->byte + DESTINATION, CHECKSUM - DESTINATION) &&
           !memcmp(k->byte + CHECKSUM + 2, c->byte + CHECKSUM + 2, k->len - CHECKSUM - 2);
}

/* ---- the reverse path ---- */

/* Does the core agree with the kernel (but for another reason) where it checks no reverse path? */
static bool agrees_without_rpf(const struct trial *t) {
    static struct outcome core;
    struct packet after;
    struct port *in = &t->lab->node.ports[t->in->port];
    struct trial again = *t;
    uint8_t rpf = in->rpf;
    in->rpf = RPF_OFF;
    core_run(t->lab, t->in, t->now, &core, &after);
    in->rpf = rpf;
    again.core = &core;
    again.after = &after;
    return agree(&again) || reason_of(&again);
}

static bool rpf_order(const struct trial *t) {
    return dropped_as(t, DROP_RPF) && (is_icmp_error(t->kernel) || is_icmp6_error(t->kernel)) && agrees_without_rpf(t);
}

static bool rpf_broadcast(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    return ip && t->lab->node.rules && t->lab->node.ports[t->in->port].rpf &&
           (ip->dst == htonl(0xffffffff) || is_broadcast(t, ip->dst)) &&
           ((dropped_as(t, DROP_RPF) && t->kernel->delivered) || (silent(t->kernel) && t->core->delivered));
}

static bool has_rpf(const struct trial *t) {
    return t->lab->node.ports[t->in->port].rpf != RPF_OFF;
}

/* One of the two refuses the source, the other does not. */
static bool rpf_differs(const struct trial *t) {
    return has_rpf(t) && silent(t->kernel) != dropped_as(t, DROP_RPF);
}

static bool rpf_nat(const struct trial *t) {
    return ipv4_of(t) && t->lab->node.nat && t->lab->node.rules && rpf_differs(t);
}

static bool rpf_ecmp(const struct trial *t) {
    size_t n = 0;
    if (!t->lab->ecmp || !rpf_differs(t))
        return false;
    if (ipv6_of(t))
        return silent(t->kernel);
    if (!t->lab->node.rules || !ipv4_of(t))
        return false;
    const struct route_rule *rules = route_rules_list(t->lab->node.rules, &n);
    while (n)
        if (rules[--n].in_port != PORT_NONE)
            return true;
    return false;
}

/* nft's fib expression finds no route to ::, whatever comes from there, and takes what is the first address of any
 * route on link for an anycast address. */
static bool unspecified_source6(const struct trial *t) {
    static const uint8_t none[16];
    return ipv6_of(t) && !memcmp(ipv6_of(t)->src, none, 16) &&
           ((has_rpf(t) && silent(t->kernel)) || (dropped_as(t, DROP_MARTIAN_SOURCE) && is_forwarded(t->kernel, t)));
}

const struct reason reasons_routing[] = {
    {"foreign-broadcast", foreign_broadcast},
    {"broadcast-source", broadcast_source},
    {"zone", zone},
    {"from-destination", from_destination},
    {"error-way", error_way},
    {"anycast-source", anycast_source},
    {"source-selection", source_selection},
    {"error-way-v6", error_way6},
    {"rpf-order", rpf_order},
    {"rpf-ecmp", rpf_ecmp},
    {"rpf-nat", rpf_nat},
    {"rpf-broadcast", rpf_broadcast},
    {"unspecified-source-v6", unspecified_source6},
    {NULL, NULL},
};
