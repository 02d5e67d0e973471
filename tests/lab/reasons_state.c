/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons that lie in what a router remembers: fragments, translations, flows. */
#include "reasons.h"

#include <fwdlab/core/checksum.h>

static bool reassembly(const struct trial *t) {
    return silent(t->kernel) && t->after->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER) &&
           (t->after->verdict == VERDICT_DELIVER || t->lab->node.nat);
}

/* The kernel looks for the packet that an error quotes, the core for its flow, for which it needs the ports. */
static bool quoted_flow(const struct trial *t) {
    const struct frame *k = t->kernel->frames;
    if (t->lab->node.filter && t->after->verdict == VERDICT_DROP && silent(t->core) && ipv4_of(t) &&
        is_error_about(t->kernel, t))
        return k->len < ETHERNET + 28 + (t->in->byte[ETHERNET] & 15u) * 4 + 8;
    if (!t->lab->node.filter || !silent(t->kernel))
        return false;
    if (t->after->verdict == VERDICT_DROP) /* the router's own error, by another port than the packet */
        return is_error_about(t->core, t) && t->core->frames[0].port != t->in->port;
    return t->after->flags & PACKET_ICMP_ERROR && t->after->verdict == VERDICT_FORWARD;
}

/* nftables takes an authentication header for layer 4 (IP6_FH_F_AUTH in nft_set_pktinfo_ipv6). */
static bool authentication(const struct trial *t) {
    const struct ipv6_header *ip = ipv6_of(t);
    bool denied = dropped_as(t, DROP_DENIED_IN) || dropped_as(t, DROP_DENIED_OUT);
    if (!t->lab->node.filter || !ip || !(t->after->flags & PACKET_OPTIONS) || !(denied || silent(t->kernel)))
        return false;
    const uint8_t *h = (const uint8_t *)(ip + 1), *end = t->in->byte + t->after->l4;
    for (uint8_t next = ip->next_header; h < end; next = h[0], h += (h[1] + 1) * 8)
        if (next == EXTENSION_AUTHENTICATION)
            return true;
    return false;
}

/* ---- ports that NAT chose ---- */

/* May byte `at` of an IPv4 packet differ when another port was chosen: ports and checksums, also those in the packet
 * inside an ICMP error. */
static bool is_port_byte(const uint8_t *ip, unsigned at) {
    unsigned l4 = (ip[0] & 15u) * 4;
    if (at < l4)
        return false;
    at -= l4;
    switch (ip[9]) {
    case PROTO_TCP:
        return at < 4 || at == 16 || at == 17;
    case PROTO_UDP:
        return at < 4 || at == 6 || at == 7;
    case PROTO_ICMP:
        break;
    default:
        return false;
    }
    const uint8_t *icmp = ip + l4;
    bool error = icmp[0] == ICMP_UNREACHABLE || icmp[0] == ICMP_SOURCE_QUENCH || icmp[0] == ICMP_TIME_EXCEEDED ||
                 icmp[0] == ICMP_PARAMETER;
    if (at == 2 || at == 3)
        return true;
    return error ? at >= 28 && is_port_byte(icmp + 8, at - 8) : at == 4 || at == 5;
}

static uint32_t folded(const uint8_t *p, size_t n) {
    return checksum_fold(checksum_sum(p, n, 0));
}

static bool equal_but_ports(const struct frame *k, const struct frame *c) {
    if (k->port != c->port || k->len != c->len)
        return false;
    const uint8_t *ip = k->byte + ETHERNET;
    bool own = ip[9] == PROTO_ICMP && (ip[1] & 0xe0) == 0xc0; /* its identification is the router's choice */
    for (unsigned i = 0; i < k->len; i++)
        if (own && (i == ETHERNET + 4 || i == ETHERNET + 5 || i == ETHERNET + 10 || i == ETHERNET + 11))
            continue;
        else if (k->byte[i] != c->byte[i] && (i < ETHERNET + 20 || !is_port_byte(k->byte + ETHERNET, i - ETHERNET)))
            return false;
    const uint8_t *l4 = ip + (ip[0] & 15u) * 4;
    if (ip[9] == PROTO_UDP && !(l4[6] | l4[7])) /* it has no checksum */
        return true;
    return folded(k->byte + ETHERNET, k->len - ETHERNET) == folded(c->byte + ETHERNET, c->len - ETHERNET);
}

/* The core's port and the kernel's are others, and with them only what follows: the checksums say the same of both.
 */
static bool nat_port(const struct trial *t) {
    const struct outcome *k = t->kernel, *c = t->core;
    if (!t->lab->node.nat || !ipv4_of(t) || k->n != c->n || k->delivered != c->delivered || !k->n)
        return false;
    if (k->n > 1) { /* a checksum may stand in another fragment than the port */
        static struct outcome whole_k, whole_c;
        fragments_join(k, &whole_k);
        fragments_join(c, &whole_c);
        return whole_k.n && whole_c.n && equal_but_ports(&whole_k.frames[0], &whole_c.frames[0]);
    }
    return frames_equal(&k->frames[0], &c->frames[0]) || equal_but_ports(&k->frames[0], &c->frames[0]);
}

/* Did the kernel leave the addresses as they were? */
static bool untranslated(const struct trial *t) {
    const struct ipv4_header *in = ipv4_of(t);
    const struct frame *f = t->kernel->frames;
    const void *ip = t->kernel->delivered ? t->kernel->at_stack.byte : f->byte + ETHERNET;
    return (t->kernel->delivered || t->kernel->n) && !memcmp((const uint8_t *)ip + 12, &in->src, 8);
}

/* The last free port of a narrow range went to different flows. */
static bool nat_range(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    bool ports = ip && (ip->proto == PROTO_TCP || ip->proto == PROTO_UDP || ip->proto == PROTO_ICMP);
    return t->lab->node.nat && ports && dropped_as(t, DROP_NAT_NO_PORT) && t->kernel->n >= 1 && !untranslated(t);
}

static bool to_itself(const struct trial *t) {
    return ipv4_of(t) && t->lab->node.nat && ipv4_of(t)->src == ipv4_of(t)->dst;
}

/* ---- what conntrack does not follow ---- */

enum { GRE = 47 };

static bool nat_clash(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    if (!t->lab->node.nat || !ip || ip->proto == PROTO_TCP || ip->proto == PROTO_UDP || ip->proto == PROTO_ICMP)
        return false;
    const uint8_t *there = t->kernel->delivered ? t->kernel->at_stack.byte : t->kernel->frames[0].byte + ETHERNET;
    if (t->after->flags & PACKET_DST_CHANGED && (t->kernel->delivered || t->kernel->n == 1)) /* an answer to either */
        return memcmp(there + 16, &t->after->dst, 4);
    return (dropped_as(t, DROP_NAT_NO_PORT) && !silent(t->kernel)) || (silent(t->kernel) && !silent(t->core));
}

/* SCTP has no pseudo header: the core leaves its checksum, conntrack writes a new one. DCCP's is the other way round:
 * Linux knows it no more. */
static bool only_l4_checksum_differs(const struct trial *t, uint8_t proto) {
    const uint32_t checksum = ETHERNET + (t->in->byte[ETHERNET] & 15u) * 4 + (proto == PROTO_SCTP ? 8 : 6),
                   size = proto == PROTO_SCTP ? 4 : 2;
    for (unsigned i = 0; i < t->kernel->n; i++) {
        const struct frame *k = &t->kernel->frames[i], *c = &t->core->frames[i];
        bool first = k->len >= checksum + size && !(k->byte[ETHERNET + 6] & 0x1f) && !k->byte[ETHERNET + 7];
        uint32_t until = first ? checksum : k->len, from = first ? checksum + size : k->len;
        if (k->port != c->port || k->len != c->len || memcmp(k->byte, c->byte, until) ||
            memcmp(k->byte + from, c->byte + from, k->len - from))
            return false;
    }
    return t->kernel->n == t->core->n;
}

static bool protocol_tracking(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    if (!t->lab->node.nat || !ip)
        return false;
    unsigned header = (ip->version_ihl & 15u) * 4, payload = ntohs(ip->total_length) - header;
    const uint8_t *l4 = (const uint8_t *)ip + header;
    if ((ip->proto == PROTO_SCTP || ip->proto == PROTO_DCCP) && only_l4_checksum_differs(t, ip->proto))
        return true;
    bool bad_udp = ip->proto == PROTO_UDP && (payload < 8 || ((unsigned)l4[4] << 8 | l4[5]) != payload);
    bool bad_quote = ip->proto == PROTO_ICMP && t->after->flags & PACKET_ICMP_ERROR;
    bool bad_tcp = ip->proto == PROTO_TCP && (payload < 20 || l4[12] < 0x50 || (l4[12] >> 4) * 4u > payload);
    bool other_family = ip->proto == PROTO_ICMPV6; /* nf_conntrack_icmpv6_packet() finds no type that it knows */
    if (ip->proto == GRE && t->after->flags & PACKET_REPLY && t->kernel->n && t->core->n)
        return true; /* an answer to the core, a connection with another key to Linux */
    return (ip->proto == PROTO_SCTP || ip->proto == GRE || other_family || bad_udp || bad_tcp || bad_quote) &&
           untranslated(t);
}

static bool tcp_tracking(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    return t->lab->node.nat && ip && ip->proto == PROTO_TCP && t->in->byte[ETHERNET + 33] != TCP_SYN && untranslated(t);
}

const struct reason reasons_state[] = {
    {"reassembly", reassembly},
    {"quoted-flow", quoted_flow},
    {"authentication", authentication},
    {"nat-port", nat_port},
    {"nat-range", nat_range},
    {"nat-clash", nat_clash},
    {"to-itself", to_itself},
    {"protocol-tracking", protocol_tracking},
    {"tcp-tracking", tcp_tracking},
    {NULL, NULL},
};
