/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same packet as a frame of another size (RFC 2544, 9): its payload is cut or goes on with a pattern; TCP options
 * go when there is no room for them. Fragments, ICMP errors, and SCTP, DCCP and UDP-Lite packets, whose checksums and
 * chunks depend on what is inside, are not to be had in other sizes.
 */
#include <string.h>
#include <fwdlab/core/checksum.h>
#include "traffic.h"

#define ETHERNET_BYTES 14
#define TCP_BYTES 20u

/* Bytes of the L4 header as captured, TCP options included when they were captured. */
static uint32_t l4_header(const struct inject_packet *p) {
    if (p->key.proto != PROTO_TCP)
        return p->key.proto == PROTO_UDP || proto_is_icmp(p->key.proto) ? 8 : 0;
    uint32_t len = p->l4 + TCP_BYTES <= p->raw->len ? (p->raw->data[p->l4 + 12] >> 4) * 4u : TCP_BYTES;
    return len < TCP_BYTES || p->l4 + len > p->raw->len ? TCP_BYTES : len;
}

uint32_t traffic_resized(const struct inject_packet *p, unsigned size) {
    uint8_t proto = p->key.proto;
    uint32_t least = p->l4 + (proto == PROTO_TCP ? TCP_BYTES : l4_header(p));
    if (p->flags & (PACKET_ICMP_ERROR | PACKET_FRAG_FIRST | PACKET_FRAG_LATER) || proto == PROTO_SCTP ||
        proto == PROTO_DCCP || proto == PROTO_UDPLITE || p->raw->len < least || least > BUFFER_BYTES)
        return 0;
    uint32_t len = size - FCS_BYTES - (p->flags & PACKET_RAW_IP ? ETHERNET_BYTES : 0);
    return len < least ? least : len;
}

/* Copies the headers and as much of the payload as there is and fits, then a pattern. */
static void fill(const struct inject_packet *p, uint32_t len, uint8_t *out) {
    const struct trace_packet *raw = p->raw;
    uint32_t from = p->l4 + l4_header(p), to = from, end, ip;
    if (p->key.family == FAMILY_IPV4)
        ip = ntohs(inject_ipv4(p)->total_length);
    else
        ip = ntohs(inject_ipv6(p)->payload_length) + (uint32_t)sizeof(struct ipv6_header);
    end = p->l3 + ip < raw->len ? p->l3 + ip : raw->len;
    if (p->key.proto == PROTO_TCP && from > len) /* without options */
        to = p->l4 + TCP_BYTES;
    memcpy(out, raw->data, to);
    if (p->key.proto == PROTO_TCP)
        out[p->l4 + 12] = (uint8_t)((to - p->l4) / 4 << 4 | (out[p->l4 + 12] & 15));
    for (; to < len; to++, from++)
        out[to] = from < end ? raw->data[from] : (uint8_t)to;
}

static be16 l4_sum(const struct inject_packet *p, const uint8_t *out, size_t l4_len) {
    const uint8_t *l3 = out + p->l3, *l4 = out + p->l4;
    uint8_t proto = p->key.proto;
    if (proto == PROTO_ICMP)
        return checksum_fold(checksum_sum(l4, l4_len, 0));
    bool v4 = p->key.family == FAMILY_IPV4;
    uint32_t sum = checksum_sum(l3 + (v4 ? 12 : 8), v4 ? 8 : 32, htons(proto) + htons((uint16_t)l4_len));
    return checksum_fold(checksum_sum(l4, l4_len, sum));
}

void traffic_resize(const struct inject_packet *p, uint32_t len, uint8_t *out) {
    static const be16 zero;
    uint8_t proto = p->key.proto, *l4 = out + p->l4;
    fill(p, len, out);
    if (p->key.family == FAMILY_IPV4) {
        struct ipv4_header *ip = (struct ipv4_header *)(out + p->l3);
        be16 total = htons((uint16_t)(len - p->l3));
        ip->checksum = checksum_update16(ip->checksum, ip->total_length, total);
        ip->total_length = total;
    } else {
        struct ipv6_header *ip = (struct ipv6_header *)(out + p->l3);
        ip->payload_length = htons((uint16_t)(len - p->l3 - sizeof *ip));
    }
    unsigned at = proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : proto_is_icmp(proto) ? 2 : 0;
    if (proto == PROTO_UDP) {
        be16 udp_len = htons((uint16_t)(len - p->l4));
        memcpy(l4 + 4, &udp_len, 2);
    }
    if (!at || (proto == PROTO_UDP && !memcmp(l4 + at, &zero, 2)))
        return;
    memset(l4 + at, 0, 2);
    be16 sum = l4_sum(p, out, len - p->l4);
    sum = proto == PROTO_UDP && sum == 0 ? 0xffff : sum;
    memcpy(l4 + at, &sum, 2);
}
