/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plausible packets, made of any bytes: what a fuzzer would take long to find. Addresses, ports and types come from
 * short lists, chosen by what stands there; lengths and checksums are right, also of packets inside ICMP errors.
 */
#ifndef TESTS_FUZZ_PLAUSIBLE_H
#define TESTS_FUZZ_PLAUSIBLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>

#define CHECK(x)                                                                                                       \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #x);                                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char *const hosts[] = {"10.0.0.4", "10.0.0.9", "10.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.1.4", "10.0.1.7",
                                    "203.0.113.1", "203.0.113.2", "10.9.1.1", "10.9.3.1", "169.254.1.1", "224.0.0.1",
                                    "255.255.255.255", "0.0.0.0", "10.0.0.255"};
static const char *const hosts6[] = {"2001:db8::4", "2001:db8::9", "2001:db8:2::1", "2001:db8:2::2", "2001:db8:2::3",
                                     "2001:db8:1::4", "2001:db8:1::7", "2001:db8:f::1", "2001:db8:f::2",
                                     "2001:db8:9::1", "2001:db8:93::1", "fe80::1", "ff02::1", "::", "::1",
                                     "2001:db9::"};

static inline struct ip ip_of(const char *text) {
    struct ip a;
    CHECK(ip_parse(text, &a) == 0);
    return a;
}

static inline bool is_icmp_error(uint8_t type) {
    return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
}

/* Where the L4 checksum of a whole IPv4 packet stands; NULL: it has none, or not here. */
static inline uint8_t *l4_checksum(uint8_t *bytes, uint32_t len) {
    struct ipv4_header *ip = (struct ipv4_header *)bytes;
    uint32_t header = (ip->version_ihl & 15u) * 4, total = ntohs(ip->total_length);
    uint32_t at = ip->proto == PROTO_TCP ? 16 : ip->proto == PROTO_UDP ? 6 : ip->proto == PROTO_ICMP ? 2 : UINT16_MAX;
    if (ip->fragment & htons(IPV4_OFFSET | IPV4_MF) || total > len || header + at + 2 > total)
        return NULL;
    return bytes + header + at;
}

static inline be16 l4_sum(uint8_t *bytes) {
    const struct ipv4_header *ip = (const struct ipv4_header *)bytes;
    uint32_t header = (ip->version_ihl & 15u) * 4, size = ntohs(ip->total_length) - header;
    return ip->proto == PROTO_ICMP ? checksum_fold(checksum_sum(bytes + header, size, 0))
                                   : checksum_l4_ipv4(ip->src, ip->dst, ip->proto, bytes + header, size);
}

static inline bool header_right(uint8_t *bytes) {
    return checksum_fold(checksum_sum(bytes, (bytes[0] & 15u) * 4, 0)) == 0;
}

/* Ports and identifiers in NAT's range, so that they meet. */
static inline void set_port(uint8_t *at) {
    at[0] = 0x30;
    at[1] = (uint8_t)(0x30 + (at[1] & 3));
}

static inline void set_l4(uint8_t proto, uint8_t *l4, uint32_t len) {
    static const uint8_t types[] = {ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_ECHO,
                                    ICMP_ECHO_REPLY, ICMP_TIMESTAMP, ICMP_PARAMETER},
                         types6[] = {ICMPV6_ECHO, ICMPV6_ECHO_REPLY, ICMPV6_UNREACHABLE, ICMPV6_TOO_BIG};
    if (len < 8)
        return;
    if (proto == PROTO_ICMP)
        l4[0] = types[l4[0] & 7];
    else if (proto == PROTO_ICMPV6)
        l4[0] = types6[l4[0] & 3];
    set_port(l4 + (proto_is_icmp(proto) ? 4 : 0));
    if (!proto_is_icmp(proto) && l4[3] & 4)
        memcpy(l4 + 2, &(be16){htons(7007)}, 2); /* the port maps' */
    else if (!proto_is_icmp(proto))
        set_port(l4 + 2);
}

static inline void make_plausible(uint8_t *bytes, uint32_t len, be32 src) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_UDP, PROTO_ICMP, PROTO_TCP, PROTO_ESP,
                                     PROTO_SCTP};
    struct ipv4_header *ip = (struct ipv4_header *)bytes;
    if (len < sizeof *ip)
        return;
    uint32_t header = ip->version_ihl & 1 && len >= 28 ? 28 : 20;
    ip->version_ihl = (uint8_t)(0x40 | header / 4);
    ip->total_length = htons((uint16_t)len);
    ip->fragment = ip->fragment & htons(7) ? ip->fragment & htons(IPV4_DF) : ip->fragment;
    ip->proto = protos[ip->proto & 7];
    ip->src = src ? src : ip_of(hosts[ip->src & 15]).v4;
    ip->dst = ip_of(hosts[ip->dst & 15]).v4;
    set_l4(ip->proto, bytes + header, len - header);
    if (ip->proto == PROTO_ICMP && len > header + 8 && is_icmp_error(bytes[header]))
        make_plausible(bytes + header + 8, len - header - 8, ip->dst);
    uint8_t *sum = l4_checksum(bytes, len);
    if (sum && (ip->proto != PROTO_UDP || sum[0] & 1)) {
        memset(sum, 0, 2);
        be16 value = l4_sum(bytes);
        value = value == 0 && ip->proto == PROTO_UDP ? 0xffff : value;
        memcpy(sum, &value, 2);
    }
    ip->checksum = 0;
    ip->checksum = checksum_fold(checksum_sum(bytes, header, 0));
}

static inline void make_plausible6(uint8_t *bytes, uint32_t len, const uint8_t *src) {
    static const uint8_t next[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMPV6, PROTO_ICMPV6, EXTENSION_HOP_BY_HOP,
                                   EXTENSION_FRAGMENT, EXTENSION_DESTINATION, EXTENSION_ROUTING};
    struct ipv6_header *ip = (struct ipv6_header *)bytes;
    if (len < sizeof *ip)
        return;
    bytes[0] = 0x60;
    ip->payload_length = htons((uint16_t)(len - sizeof *ip));
    ip->next_header = next[ip->next_header & 7];
    memcpy(ip->src, src ? src : ip_of(hosts6[ip->src[0] & 15]).v6, 16);
    memcpy(ip->dst, ip_of(hosts6[ip->dst[0] & 15]).v6, 16);
    set_l4(ip->next_header, bytes + sizeof *ip, len - sizeof *ip);
    if (ip->next_header == PROTO_ICMPV6 && len > 48 && bytes[40] <= ICMPV6_ERROR_LAST)
        make_plausible6(bytes + 48, len - 48, ip->dst);
}

/* ---- what follows from a packet that went by: its answer, and an error about it ---- */

static inline void swap(uint8_t *a, uint8_t *b, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        uint8_t was = a[i];
        a[i] = b[i];
        b[i] = was;
    }
}

static inline void turn_l4(uint8_t *l4, uint8_t proto) {
    if (proto_is_icmp(proto))
        l4[0] = l4[0] == ICMP_ECHO ? ICMP_ECHO_REPLY : l4[0] == ICMPV6_ECHO ? ICMPV6_ECHO_REPLY : l4[0];
    else
        swap(l4, l4 + 2, 2);
}

/* The bytes of a packet from its IP header on become those of its answer. */
static inline void make_answer(uint8_t *bytes, uint32_t len, const struct packet *about) {
    uint8_t *l4 = bytes + (about->l4 - about->l3);
    if (about->family == FAMILY_IPV4) {
        struct ipv4_header *ip = (struct ipv4_header *)bytes;
        uint8_t *sum = l4_checksum(bytes, len);
        swap(bytes + 12, bytes + 16, 4);
        ip->ttl = 64;
        if (about->flags & PACKET_PORTS)
            turn_l4(l4, ip->proto);
        if (sum && ip->proto == PROTO_ICMP) {
            memset(sum, 0, 2);
            be16 value = l4_sum(bytes);
            memcpy(sum, &value, 2);
        }
        ip->checksum = 0;
        ip->checksum = checksum_fold(checksum_sum(bytes, (bytes[0] & 15u) * 4, 0));
    } else {
        swap(bytes + 8, bytes + 24, 16);
        bytes[7] = 64;
        if (about->flags & PACKET_PORTS)
            turn_l4(l4, about->proto);
    }
}

/* An ICMP error to its sender in `to`, with `quoted` of its bytes; its length. */
static inline uint32_t make_error(uint8_t *to, const uint8_t *bytes, uint32_t quoted, const struct packet *about) {
    if (about->family == FAMILY_IPV6) {
        struct ipv6_header ip = {.version_class_label = htonl(6u << 28), .next_header = PROTO_ICMPV6, .hop_limit = 64,
                                 .payload_length = htons((uint16_t)(8 + quoted))};
        memcpy(ip.src, ip_of(hosts6[quoted & 15]).v6, 16);
        memcpy(ip.dst, bytes + 8, 16);
        memcpy(to, &ip, sizeof ip);
        memcpy(to + sizeof ip, (uint8_t[8]){ICMPV6_TOO_BIG}, 8);
        memcpy(to + sizeof ip + 8, bytes, quoted);
        return sizeof ip + 8 + quoted;
    }
    struct ipv4_header ip = {.version_ihl = 0x45, .total_length = htons((uint16_t)(28 + quoted)), .ttl = 64,
                             .proto = PROTO_ICMP, .src = ip_of(hosts[quoted & 15]).v4, .dst = about->src};
    ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
    memcpy(to, &ip, sizeof ip);
    memcpy(to + sizeof ip, (uint8_t[8]){ICMP_UNREACHABLE, 1}, 8);
    memcpy(to + 28, bytes, quoted);
    be16 sum = checksum_fold(checksum_sum(to + 20, 8 + quoted, 0));
    memcpy(to + 22, &sum, 2);
    return 28 + quoted;
}

#endif
