/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to metadata. What the kernel would forward is not refused here: a router does not judge TCP data offsets, UDP
 * lengths or L4 checksums. Only the L4 fields that the core itself needs must be present, and the headers before them.
 */
#include <fwdlab/core/parse.h>

#include <fwdlab/core/checksum.h>
#include "stage.h"

#define ETHERNET_HEADER 14
#define VLAN_TAG 4
#define L3_MAX 1024 /* offset of an IP header; more tags than that are no traffic */

enum {
    ETHERTYPE_MIN = 1536, /* below: length of an IEEE 802.3 frame */
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_IPV6 = 0x86dd,
};

#define CALLER_FLAGS (PACKET_RAW_IP | PACKET_NO_CHECKSUM | PACKET_WAITED)

static inline unsigned read16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static inline be16 read_be16(const uint8_t *p) {
    be16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Queries carry an identifier (RFC 792, 950), errors the packet that caused them; the rest is neither. */
static inline void parse_icmp(struct packet *p, const uint8_t *l4) {
    switch (l4[0]) {
    case ICMP_ECHO_REPLY: case ICMP_ECHO: case ICMP_TIMESTAMP: case ICMP_TIMESTAMP_REPLY:
    case ICMP_INFORMATION: case ICMP_INFORMATION_REPLY: case ICMP_MASK: case ICMP_MASK_REPLY:
        p->sport = p->dport = read_be16(l4 + 4);
        p->flags |= PACKET_PORTS;
        break;
    case ICMP_UNREACHABLE: case ICMP_SOURCE_QUENCH: case ICMP_REDIRECT: case ICMP_TIME_EXCEEDED: case ICMP_PARAMETER:
        p->flags |= PACKET_ICMP_ERROR;
        break;
    }
}

/* `payload`: bytes after the IP header by its total length. The capture may have cut some off. */
static inline enum drop parse_l4(struct packet *p, unsigned payload) {
    const uint8_t *l4 = p->data + p->l4;
    unsigned present = p->len - p->l4;
    if (payload < present)
        present = payload;
    switch (p->proto) {
    case PROTO_TCP:
        if (unlikely(present < 14)) /* up to the flags */
            return DROP_SHORT_L4;
        break;
    case PROTO_UDP: case PROTO_UDPLITE: case PROTO_SCTP: case PROTO_DCCP:
        if (unlikely(present < 4))
            return DROP_SHORT_L4;
        break;
    case PROTO_ICMP:
        if (unlikely(present < 8))
            return DROP_SHORT_L4;
        parse_icmp(p, l4);
        return DROP_NONE;
    default:
        return DROP_NONE;
    }
    p->sport = read_be16(l4);
    p->dport = read_be16(l4 + 2);
    p->flags |= PACKET_PORTS;
    return DROP_NONE;
}

static inline enum drop parse_fragment(struct packet *p, unsigned fragment, unsigned ihl, unsigned payload) {
    unsigned offset = (fragment & IPV4_OFFSET) * 8;
    if (payload == 0 || ihl + offset + payload > UINT16_MAX)
        return DROP_BAD_FRAGMENT;
    p->flags |= offset ? PACKET_FRAG_LATER : PACKET_FRAG_FIRST;
    return DROP_NONE;
}

static inline enum drop parse_ipv4(struct packet *p, uint32_t l3) {
    if (unlikely(p->len < l3 + sizeof(struct ipv4_header)))
        return DROP_SHORT_HEADER;
    const struct ipv4_header *ip = (const struct ipv4_header *)(p->data + l3);
    unsigned ihl = (ip->version_ihl & 15u) * 4, total = ntohs(ip->total_length);
    if (unlikely(ip->version_ihl >> 4 != 4))
        return DROP_BAD_VERSION;
    if (unlikely(ihl < sizeof *ip || l3 + ihl > p->wire_len))
        return DROP_BAD_HEADER_LENGTH;
    if (unlikely(l3 + ihl > p->len))
        return DROP_SHORT_HEADER;
    if (unlikely(!(p->flags & PACKET_NO_CHECKSUM) && !checksum_ipv4_ok(p->data + l3, ihl)))
        return DROP_BAD_CHECKSUM;
    if (unlikely(total < ihl || l3 + total > p->wire_len))
        return DROP_BAD_TOTAL_LENGTH;
    p->l4 = (uint16_t)(l3 + ihl);
    p->family = FAMILY_IPV4;
    p->proto = ip->proto;
    p->src = ip->src;
    p->dst = ip->dst;
    p->flags |= ihl > sizeof *ip ? PACKET_OPTIONS : 0;
    unsigned fragment = ntohs(ip->fragment) & (IPV4_MF | IPV4_OFFSET);
    if (unlikely(fragment)) {
        enum drop reason = parse_fragment(p, fragment, ihl, total - ihl);
        if (reason || p->flags & PACKET_FRAG_LATER)
            return reason;
    }
    return parse_l4(p, total - ihl);
}

/* ---- IPv6 ---- */

/* Errors have types up to 127 (RFC 4443, 2.1); an echo carries an identifier; the rest is neither. */
static enum drop parse_icmpv6(struct packet *p, uint32_t end) {
    const uint8_t *l4 = p->data + p->l4;
    if (p->l4 + 8u > end || p->l4 + 8u > p->len)
        return DROP_SHORT_L4;
    if (l4[0] <= ICMPV6_ERROR_LAST) {
        p->flags |= PACKET_ICMP_ERROR;
    } else if (l4[0] == ICMPV6_ECHO || l4[0] == ICMPV6_ECHO_REPLY) {
        p->sport = p->dport = read_be16(l4 + 4);
        p->flags |= PACKET_PORTS;
    }
    return DROP_NONE;
}

/*
 * Bytes of the extension header `next`, of which the first two are at h; 0: it is none, or stands where it may not
 * (hop-by-hop options come first, and one fragment header is all there can be).
 */
static unsigned extension_length(unsigned next, const uint8_t *h, bool first, bool fragmented) {
    switch (next) {
    case EXTENSION_HOP_BY_HOP: return first ? (h[1] + 1u) * 8 : 0;
    case EXTENSION_ROUTING: case EXTENSION_DESTINATION: case EXTENSION_MOBILITY: return (h[1] + 1u) * 8;
    case EXTENSION_AUTHENTICATION: return (h[1] + 2u) * 4;
    case EXTENSION_FRAGMENT: return fragmented ? 0 : sizeof(struct ipv6_fragment_header);
    default: return 0;
    }
}

/* RFC 8200, 4.5. The only one of offset 0 without more to come is a whole packet (RFC 6946). */
static enum drop parse_fragment6(struct packet *p, uint32_t at, uint32_t end) {
    const struct ipv6_fragment_header *h = (const struct ipv6_fragment_header *)(p->data + at);
    uint32_t fragment = ntohs(h->fragment), offset = fragment & IPV6_OFFSET, payload = end - at - sizeof *h;
    if (!(fragment & (IPV6_OFFSET | IPV6_MORE)))
        return DROP_NONE;
    if (payload == 0 || at - p->l3 - sizeof(struct ipv6_header) + offset + payload > UINT16_MAX)
        return DROP_BAD_FRAGMENT;
    p->flags |= offset ? PACKET_FRAG_LATER : PACKET_FRAG_FIRST;
    return DROP_NONE;
}

/* Follows the chain from p->l4 on (RFC 8200, 4.1) to the first header that is no extension, or a later fragment. */
static enum drop parse_extensions(struct packet *p, uint32_t end) {
    uint32_t at = p->l4;
    bool fragmented = false;
    enum drop reason = DROP_NONE;
    while (!reason && !(p->flags & PACKET_FRAG_LATER)) {
        static const uint8_t nothing[2];
        const uint8_t *h = at + 2 <= p->len ? p->data + at : nothing;
        unsigned length = extension_length(p->proto, h, at == p->l4, fragmented);
        if (length == 0)
            break;
        if (at + length > end || at + length > UINT16_MAX)
            return DROP_BAD_EXTENSION;
        if (at + length > p->len)
            return DROP_SHORT_HEADER;
        if (p->proto == EXTENSION_FRAGMENT) {
            fragmented = true;
            reason = parse_fragment6(p, at, end);
        }
        p->flags |= PACKET_OPTIONS;
        p->proto = h[0];
        at += length;
    }
    p->l4 = (uint16_t)at;
    return reason;
}

static enum drop parse_upper6(struct packet *p, uint32_t end) {
    enum drop reason = parse_extensions(p, end);
    if (reason || p->flags & PACKET_FRAG_LATER || p->proto == PROTO_ICMP)
        return reason;
    return p->proto == PROTO_ICMPV6 ? parse_icmpv6(p, end) : parse_l4(p, end - p->l4);
}

/* A payload length of 0 where something must follow is a jumbogram's (RFC 2675), or nobody's. */
static enum drop parse_header6(struct packet *p, uint32_t l3) {
    if (p->len < l3 + sizeof(struct ipv6_header))
        return DROP_SHORT_HEADER;
    const struct ipv6_header *ip = (const struct ipv6_header *)(p->data + l3);
    uint32_t payload = ntohs(ip->payload_length), l4 = l3 + sizeof *ip;
    if (p->data[l3] >> 4 != 6)
        return DROP_BAD_VERSION;
    if (l4 + payload > p->wire_len)
        return DROP_BAD_TOTAL_LENGTH;
    p->l4 = (uint16_t)l4;
    p->family = FAMILY_IPV6;
    p->proto = ip->next_header;
    enum drop reason = parse_upper6(p, l4 + payload);
    return reason && payload == 0 ? DROP_BAD_TOTAL_LENGTH : reason;
}

/* Out of IPv4's way. A node that does not handle IPv6 knows its flow at most. */
static __attribute__((noinline)) enum drop parse_ipv6(struct packet *p, uint32_t l3, bool handled) {
    enum drop reason = parse_header6(p, l3);
    return handled ? reason : DROP_IPV6;
}

/* ---- frames ---- */

static enum drop parse_other(struct packet *p, uint32_t l3, unsigned type, bool ipv6) {
    switch (type) {
    case ETHERTYPE_IPV6: return parse_ipv6(p, l3, ipv6);
    case ETHERTYPE_ARP: return DROP_ARP;
    default: return type < ETHERTYPE_MIN ? DROP_LLC : DROP_OTHER_ETHERTYPE;
    }
}

static enum drop parse_raw(struct packet *p, bool ipv6) {
    if (p->len == 0)
        return DROP_SHORT_HEADER;
    return p->data[0] >> 4 == 6 ? parse_ipv6(p, 0, ipv6) : parse_ipv4(p, 0);
}

static inline enum drop parse_frame(struct packet *p, bool ipv6) {
    if (unlikely(p->flags & PACKET_RAW_IP))
        return parse_raw(p, ipv6);
    if (unlikely(p->len < ETHERNET_HEADER))
        return DROP_SHORT_FRAME;
    uint32_t l3 = ETHERNET_HEADER;
    unsigned type = read16(p->data + 12);
    p->flags |= p->data[0] & 1 ? PACKET_L2_BROADCAST : 0;
    while (unlikely(type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ)) {
        if (p->len < l3 + VLAN_TAG)
            return DROP_SHORT_FRAME;
        if (l3 + VLAN_TAG > L3_MAX)
            return DROP_OTHER_ETHERTYPE;
        type = read16(p->data + l3 + 2);
        l3 += VLAN_TAG;
    }
    p->l3 = (uint16_t)l3;
    return likely(type == ETHERTYPE_IPV4) ? parse_ipv4(p, l3) : parse_other(p, l3, type, ipv6);
}

static inline void parse_one(struct packet *p, bool ipv6) {
    p->l3 = p->l4 = 0;
    p->flags &= CALLER_FLAGS;
    p->out_port = PORT_NONE;
    p->family = p->proto = 0;
    p->verdict = VERDICT_NONE;
    p->src = p->dst = 0;
    p->sport = p->dport = 0;
    p->next_hop = 0;
    p->path = ROUTE_NONE;
    p->session = 0;
    enum drop reason = parse_frame(p, ipv6);
    p->reason = (uint8_t)reason;
    if (unlikely(reason))
        p->verdict = VERDICT_DROP;
}

void parse(struct packet *p) {
    parse_one(p, true);
}

/* A station takes frames for its own MAC and for groups; what is in others is not looked at, were it broken or not. */
static inline bool for_other_station(const struct packet *p, const struct port *port) {
    return port->has_mac && !(p->flags & (PACKET_RAW_IP | PACKET_L2_BROADCAST)) && p->len >= ETHERNET_HEADER &&
           !mac_equal(p->data, &port->mac);
}

unsigned stage_parse(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    const bool ipv6 = node->routes6;
    unsigned kept = 0;
    for (unsigned i = 0; i < n && i < PREFETCH_AHEAD; i++)
        __builtin_prefetch(pkts[i]->data, 1);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        if (i + PREFETCH_AHEAD < n)
            __builtin_prefetch(pkts[i + PREFETCH_AHEAD]->data, 1);
        if (i + 2 * PREFETCH_AHEAD < n)
            __builtin_prefetch(pkts[i + 2 * PREFETCH_AHEAD], 1);
        parse_one(p, ipv6);
        if (unlikely(for_other_station(p, &node->ports[p->in_port])))
            packet_drop(p, DROP_NOT_FOR_US);
        pkts[kept] = p;
        kept += p->verdict == VERDICT_NONE;
    }
    return kept;
}
