/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors of both families: whether one is due, whether it may be sent now, and its bytes. */
#include <fwdlab/core/icmp.h>

#include <limits.h>
#include <stdlib.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/fragment.h>
#include "stage.h"

#define ERROR_TTL 64
#define ERROR_MAX_IPV4 576u /* bytes of an error at most (RFC 1812, 4.3.2.3) */
#define ERROR_MAX_IPV6 1280u /* RFC 4443, 2.4 c */
#define TOS_MASK 0x1e /* what an error keeps of the packet's type of service (RFC 1812, 4.3.2.5), as Linux */
#define TOS_INTERNETWORK_CONTROL 0xc0

struct icmp_header {
    uint8_t type, code;
    be16 checksum;
    be32 rest; /* MTU, pointer, or unused */
} __attribute__((packed));

/* Type and code for each reason, IPv4 and IPv6; type 0: none. */
struct kind {
    uint8_t type, code;
};
static const struct kind kinds[DROP_COUNT][2] = {
    [DROP_TTL_EXPIRED] = {{ICMP_TIME_EXCEEDED, 0}, {ICMPV6_TIME_EXCEEDED, 0}},
    [DROP_NO_ROUTE] = {{ICMP_UNREACHABLE, 0}, {ICMPV6_UNREACHABLE, 0}},
    [DROP_UNREACHABLE] = {{ICMP_UNREACHABLE, 1}, {ICMPV6_UNREACHABLE, 0}},
    [DROP_PROHIBITED] = {{ICMP_UNREACHABLE, 13}, {ICMPV6_UNREACHABLE, 1}},
    [DROP_TOO_BIG] = {{ICMP_UNREACHABLE, 4}, {ICMPV6_TOO_BIG, 0}},
    [DROP_NO_NEIGHBOUR] = {{ICMP_UNREACHABLE, 1}, {ICMPV6_UNREACHABLE, 3}},
    [DROP_NAT_NO_PORT] = {{ICMP_UNREACHABLE, 13}, {0, 0}},
    [DROP_NAT_TABLE_FULL] = {{ICMP_UNREACHABLE, 13}, {0, 0}},
    [DROP_NAT_CLIENT_LIMIT] = {{ICMP_UNREACHABLE, 13}, {0, 0}},
    [DROP_NAT_UNSOLICITED] = {{ICMP_UNREACHABLE, 3}, {0, 0}},
    [DROP_BAD_OPTIONS] = {{ICMP_PARAMETER, 0}, {0, 0}},
    [DROP_BAD_EXTENSION] = {{0, 0}, {ICMPV6_PARAMETER, 2}},
    [DROP_LINK_LOCAL] = {{0, 0}, {ICMPV6_UNREACHABLE, 2}},
};

/* ---- rates ---- */

#define LIMIT_SETS 256
#define LIMIT_WAYS 4
#define DESTINATION_BURST 6
#define ROUTING_BURST 5 /* Linux, ip_error: a limit of its own on the same bucket */
#define ALL_BURST 50
#define ALL_INTERVAL_NS 1000000u
#define INTERVAL_DEFAULT_NS 1000000000u

/* Credit grows with time: a message costs its interval. */
struct bucket {
    struct ip dst;
    uint64_t credit, time; /* ns */
};

struct icmp_limiter {
    uint64_t interval;
    struct bucket all;
    struct bucket destinations[LIMIT_SETS][LIMIT_WAYS];
};

struct icmp_limiter *icmp_limiter_create(const struct icmp_limits *limits) {
    struct icmp_limiter *l = malloc(sizeof *l);
    if (!l)
        return NULL;
    l->interval = limits ? limits->interval_ns : INTERVAL_DEFAULT_NS;
    icmp_limiter_reset(l);
    return l;
}

void icmp_limiter_destroy(struct icmp_limiter *l) {
    free(l);
}

void icmp_limiter_reset(struct icmp_limiter *l) {
    memset(l->destinations, 0, sizeof l->destinations);
    l->all = (struct bucket){.credit = ALL_BURST * ALL_INTERVAL_NS};
}

static bool bucket_take(struct bucket *b, uint64_t interval, unsigned burst, uint64_t now) {
    b->credit += now - b->time;
    b->time = now;
    if (b->credit > burst * interval)
        b->credit = burst * interval;
    if (b->credit < interval)
        return false;
    b->credit -= interval;
    return true;
}

/* A destination's bucket; a new one is full, and takes the place of the one that was not used for longest. */
static struct bucket *bucket_of(struct icmp_limiter *l, const struct ip *dst, uint64_t now) {
    uint64_t half[2] = {dst->v4};
    if (dst->family == FAMILY_IPV6)
        memcpy(half, dst->v6, sizeof half);
    unsigned __int128 m = (unsigned __int128)(half[0] ^ 0x9e3779b97f4a7c15u) * (half[1] ^ 0xd6e8feb86659fd93u);
    struct bucket *set = l->destinations[(uint64_t)(m >> 60) % LIMIT_SETS], *oldest = set;
    for (struct bucket *b = set; b < set + LIMIT_WAYS; b++) {
        if (ip_equal(&b->dst, dst))
            return b;
        if (b->dst.family == FAMILY_NONE || b->time < oldest->time)
            oldest = b;
    }
    *oldest = (struct bucket){.dst = *dst, .credit = DESTINATION_BURST * l->interval, .time = now};
    return oldest;
}

static bool may_send(struct icmp_limiter *l, const struct ip *dst, bool routing, uint64_t now) {
    struct bucket *b = bucket_of(l, dst, now);
    if (routing && !bucket_take(b, l->interval, ROUTING_BURST, now))
        return false;
    if (!bucket_take(&l->all, ALL_INTERVAL_NS, ALL_BURST, now))
        return false;
    if (bucket_take(b, l->interval, DESTINATION_BURST, now))
        return true;
    l->all.credit += ALL_INTERVAL_NS; /* nothing was sent */
    return false;
}

/* ---- whether one is due ---- */

static bool is_one_host(be32 addr) {
    uint8_t octet = first_octet(addr);
    return octet != 0 && octet != 127 && octet < 224;
}

static bool is_one_host6(const uint8_t addr[16]) {
    static const uint8_t low[15]; /* :: and ::1 */
    return addr[0] != 0xff && (memcmp(addr, low, sizeof low) != 0 || addr[15] > 1);
}

/* RFC 1812, 4.3.2.7; RFC 4443, 2.4 e. ICMP types that are no known queries count as errors, as in Linux. */
static bool is_due(const struct packet *d) {
    if (d->verdict != VERDICT_DROP || !kinds[d->reason][d->family == FAMILY_IPV6].type || d->in_port == PORT_NONE ||
        d->flags & (PACKET_L2_BROADCAST | PACKET_ICMP_ERROR))
        return false;
    if (d->family == FAMILY_IPV6) {
        const struct ipv6_header *ip = packet_ipv6(d);
        uint8_t code;
        if (d->reason == DROP_BAD_EXTENSION) /* also of groups (RFC 4443, 2.4 e.3) */
            return ipv6_option_pointer(d, &code) && is_one_host6(ip->src);
        bool scope = d->reason != DROP_LINK_LOCAL || (is_link_local6(ip->src) && !is_link_local6(ip->dst));
        return scope && ip->dst[0] != 0xff && is_one_host6(ip->src);
    }
    bool query = d->proto != PROTO_ICMP || d->flags & PACKET_PORTS;
    return query && !(d->flags & PACKET_FRAG_LATER) && is_one_host(d->src) && first_octet(d->dst) < 224;
}

/* Linux' NAT does not tell whom it has no room for; RFC 5508 REQ-8 has it told. */
static bool is_silent(const struct node *node, const struct packet *d) {
    return (d->reason == DROP_NAT_NO_PORT || d->reason == DROP_NAT_TABLE_FULL || d->reason == DROP_NAT_CLIENT_LIMIT) &&
           !(node->nat && nat_config_get(node->nat)->personality == NAT_INTERFACE);
}

/* ---- the way back ---- */

/* Is it a route to the link-local addresses of the port's link? Others lead to another link, or to a gateway. */
static bool is_on_link(const struct node *node, const struct route_path *path, unsigned table, uint16_t port) {
    size_t n;
    const struct route_table *t = node->rules6 ? route_rules_table(node->rules6, table) : node->routes6;
    const struct ip_prefix *prefix = &route_table_routes(t, &n)[path->route].prefix;
    return prefix->len >= 10 && is_link_local6(prefix->addr.v6) && path->next[0].port == port;
}

/* The port by which an error leaves; PORT_NONE: there is no way. */
static uint16_t way_back(const struct node *node, const struct packet *d, const struct ip *dst) {
    static const uint8_t any[16]; /* the source is not known yet */
    unsigned table;
    const uint32_t number = stage_lookup(node, dst->family, any, dst->v6, PORT_NONE); /* v6: where v4 stands too */
    const struct route_path *path = node_path(node, dst->family, number, &table);
    if (!path || path->kind != ROUTE_UNICAST || (dst->family == FAMILY_IPV6 && is_link_local6(dst->v6) &&
                                                 !is_on_link(node, path, table, d->in_port)))
        return PORT_NONE;
    return path->next[node->hash_fixed ? node->hash % path->n : 0].port;
}

static bool is_limited(struct node *node, const struct packet *d, const struct ip *dst, uint64_t now) {
    bool routing = dst->family == FAMILY_IPV4 &&
                   (d->reason == DROP_NO_ROUTE || d->reason == DROP_UNREACHABLE || d->reason == DROP_PROHIBITED);
    if (!node->icmp || !node->icmp->interval || d->reason == DROP_TOO_BIG ||
        may_send(node->icmp, dst, routing, now))
        return false;
    node->icmp_limited++;
    return true;
}

/* ---- bytes ---- */

static be32 rest_of_header(const struct node *node, const struct packet *d) {
    if (d->reason == DROP_TOO_BIG)
        return htonl(port_mtu(&node->ports[d->out_port], d->family));
    return d->reason == DROP_BAD_OPTIONS ? htonl(options_pointer(d) << 24) : 0;
}

/* Copies the packet from its IP header on, `max` bytes of it at most, without padding behind its end. */
static unsigned quote(const struct packet *d, unsigned ip_bytes, uint8_t *to, unsigned max) {
    unsigned n = d->len - d->l3;
    n = n < ip_bytes ? n : ip_bytes;
    n = n < max ? n : max;
    memcpy(to, d->data + d->l3, n);
    return n;
}

/* 0: there is none. What NAT changed had, or got, an address of the router: this one answers. */
static be32 source_address(const struct node *node, const struct packet *d, const struct ipv4_header *quoted,
                           uint16_t port) {
    if (quoted->dst != d->dst)
        return quoted->dst;
    if (quoted->src != d->src)
        return d->src;
    return node->ports[port].addr ? node->ports[port].addr : node->ports[d->in_port].addr;
}

/* As Linux: an unreachable route says it of the host, a rule of the network. */
static struct kind kind_ipv4(const struct node *node, const struct packet *d) {
    unsigned table = 0;
    if (d->reason == DROP_UNREACHABLE)
        node_path(node, FAMILY_IPV4, d->path, &table);
    return table == UINT_MAX ? kinds[DROP_NO_ROUTE][0] : kinds[d->reason][0];
}

/* The error from its IP header on; its bytes, 0: none. */
static unsigned error_ipv4(struct node *node, const struct packet *d, uint8_t *bytes, uint64_t now) {
    struct ipv4_header *ip = (struct ipv4_header *)bytes;
    struct icmp_header *icmp = (struct icmp_header *)(ip + 1);
    struct ipv4_header *quoted = (struct ipv4_header *)(icmp + 1);
    unsigned len = ERROR_MAX_IPV4 - sizeof *ip - sizeof *icmp;
    len = sizeof *ip + sizeof *icmp + quote(d, ntohs(packet_ipv4(d)->total_length), (uint8_t *)quoted, len);
    if (node->nat)
        nat_undo(node->nat, d, quoted, len - sizeof *ip - sizeof *icmp);
    const struct ip dst = ip_v4(quoted->src);
    const uint16_t port = way_back(node, d, &dst);
    const be32 src = port == PORT_NONE ? 0 : source_address(node, d, quoted, port);
    if (!src || is_limited(node, d, &dst, now))
        return 0;
    const unsigned mtu = port_mtu(&node->ports[port], FAMILY_IPV4);
    if (len > mtu)
        len = mtu;
    const struct kind kind = kind_ipv4(node, d);
    *icmp = (struct icmp_header){.type = kind.type, .code = kind.code, .rest = rest_of_header(node, d)};
    icmp->checksum = checksum_fold(checksum_sum(icmp, len - sizeof *ip, 0));
    *ip = (struct ipv4_header){.version_ihl = 0x45, .tos = (quoted->tos & TOS_MASK) | TOS_INTERNETWORK_CONTROL,
                               .total_length = htons((uint16_t)len), .id = htons((uint16_t)node->icmp_errors),
                               .ttl = ERROR_TTL, .proto = PROTO_ICMP, .src = src, .dst = dst.v4};
    ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
    return len;
}

/* RFC 4443, 2.2: whom the packet was sent to, if that is the router; else the port it came in by, or leaves by. */
static const uint8_t *source_address6(const struct node *node, const struct packet *d, uint16_t port) {
    static const uint8_t none[16];
    if (is_own_address6(node, packet_ipv6(d)->dst))
        return packet_ipv6(d)->dst;
    const uint8_t *in = node->ports[d->in_port].addr6;
    return memcmp(in, none, sizeof none) ? in : node->ports[port].addr6;
}

static unsigned error_ipv6(struct node *node, const struct packet *d, uint8_t *bytes, uint64_t now) {
    static const uint8_t none[16];
    struct ipv6_header *ip = (struct ipv6_header *)bytes;
    struct icmp_header *icmp = (struct icmp_header *)(ip + 1);
    const struct ipv6_header *about = packet_ipv6(d);
    struct ip dst = {.family = FAMILY_IPV6};
    memcpy(dst.v6, about->src, sizeof dst.v6);
    const uint16_t port = way_back(node, d, &dst);
    if (port == PORT_NONE)
        return 0;
    const uint8_t *src = source_address6(node, d, port);
    if (memcmp(src, none, sizeof none) == 0 || is_limited(node, d, &dst, now))
        return 0;
    const unsigned most = ERROR_MAX_IPV6 - sizeof *ip - sizeof *icmp;
    const unsigned payload = sizeof *icmp + quote(d, sizeof *about + ntohs(about->payload_length),
                                                  (uint8_t *)(icmp + 1), most);
    *ip = (struct ipv6_header){.version_class_label = htonl(6u << 28), .payload_length = htons((uint16_t)payload),
                               .next_header = PROTO_ICMPV6, .hop_limit = ERROR_TTL};
    memcpy(ip->src, src, sizeof ip->src);
    memcpy(ip->dst, dst.v6, sizeof ip->dst);
    const struct kind kind = kinds[d->reason][1];
    *icmp = (struct icmp_header){.type = kind.type, .code = kind.code, .rest = rest_of_header(node, d)};
    if (d->reason == DROP_BAD_EXTENSION)
        icmp->rest = htonl(ipv6_option_pointer(d, &icmp->code));
    const uint32_t pseudo = checksum_sum(ip->src, 32, ip->payload_length + htons(PROTO_ICMPV6)); /* RFC 8200, 8.1 */
    icmp->checksum = checksum_fold(checksum_sum(icmp, payload, pseudo));
    return sizeof *ip + payload;
}

/* The link header of the dropped packet, turned round. */
static void set_link_header(const struct packet *d, uint8_t *to) {
    memcpy(to, d->data, d->l3);
    if (d->flags & PACKET_RAW_IP)
        return;
    memcpy(to, d->data + sizeof(struct mac), sizeof(struct mac));
    memcpy(to + sizeof(struct mac), d->data, sizeof(struct mac));
}

bool icmp_error(struct node *node, const struct packet *dropped, struct packet *out, uint64_t now) {
    if (!is_due(dropped) || is_silent(node, dropped) || dropped->l3 + ERROR_MAX_IPV6 > out->room)
        return false;
    uint8_t *bytes = out->data + dropped->l3;
    unsigned len = dropped->family == FAMILY_IPV6 ? error_ipv6(node, dropped, bytes, now)
                                                  : error_ipv4(node, dropped, bytes, now);
    if (!len)
        return false;
    node->icmp_errors++;
    set_link_header(dropped, out->data);
    len += dropped->l3;
    out->len = out->wire_len = len;
    out->room -= (uint16_t)len;
    out->flags = dropped->flags & PACKET_RAW_IP;
    out->in_port = PORT_NONE;
    return true;
}
