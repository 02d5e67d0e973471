/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to metadata. Ethernet II with any number of VLAN tags (802.1Q, 802.1ad) or a bare IP header; IPv4 with options,
 * IPv6 with extension headers, fragments, TCP, UDP, ICMP, ICMPv6. Reads nothing beyond data + len. A frame that was cut
 * by the capture (len < wire_len) is judged by what the wire had, as long as the headers that the core needs are
 * present.
 */
#ifndef FWDLAB_CORE_PARSE_H
#define FWDLAB_CORE_PARSE_H

#include <fwdlab/core/packet.h>

/* Header fields at their offsets in network order, for all modules of the core. */
struct ipv4_header {
    uint8_t version_ihl, tos;
    be16 total_length, id, fragment; /* fragment: flags and offset in units of 8 bytes */
    uint8_t ttl, proto;
    be16 checksum;
    be32 src, dst;
} __attribute__((packed));

#define IPV4_DF 0x4000u
#define IPV4_MF 0x2000u
#define IPV4_OFFSET 0x1fffu

struct ipv6_header {
    be32 version_class_label;
    be16 payload_length; /* bytes after this header */
    uint8_t next_header, hop_limit;
    uint8_t src[16], dst[16];
} __attribute__((packed));

struct ipv6_fragment_header {
    uint8_t next_header, reserved;
    be16 fragment; /* offset in units of 8 bytes << 3, and IPV6_MORE */
    be32 id;
} __attribute__((packed));
#define IPV6_MORE 1u
#define IPV6_OFFSET 0xfff8u

/* RFC 8200, 4.1 */
enum { EXTENSION_HOP_BY_HOP = 0, EXTENSION_ROUTING = 43, EXTENSION_FRAGMENT = 44, EXTENSION_AUTHENTICATION = 51,
       EXTENSION_NONE = 59, EXTENSION_DESTINATION = 60, EXTENSION_MOBILITY = 135 };
/* RFC 4443; RFC 4861 */
enum { ICMPV6_UNREACHABLE = 1, ICMPV6_TOO_BIG = 2, ICMPV6_TIME_EXCEEDED = 3, ICMPV6_PARAMETER = 4,
       ICMPV6_ERROR_LAST = 127, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129 };

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_ESP = 50, PROTO_ICMPV6 = 58,
       PROTO_SCTP = 132, PROTO_UDPLITE = 136 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };
enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_SOURCE_QUENCH = 4, ICMP_REDIRECT = 5, ICMP_ECHO = 8,
       ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETER = 12, ICMP_TIMESTAMP = 13, ICMP_TIMESTAMP_REPLY = 14,
       ICMP_INFORMATION = 15, ICMP_INFORMATION_REPLY = 16, ICMP_MASK = 17, ICMP_MASK_REPLY = 18 };

static inline bool proto_is_icmp(uint8_t proto) {
    return proto == PROTO_ICMP || proto == PROTO_ICMPV6;
}

static inline struct ipv6_header *packet_ipv6(const struct packet *p) {
    return (struct ipv6_header *)(p->data + p->l3);
}
static inline struct ipv4_header *packet_ipv4(const struct packet *p) {
    return (struct ipv4_header *)(p->data + p->l3);
}

/*
 * Fills l3, l4, flags, family, proto, src, dst, sport, dport. On refusal the verdict is DROP with a reason of class
 * MALFORMED or IGNORED. Needs data, len, wire_len and flags from the caller; clears the other metadata but in_port and
 * tag.
 */
void parse(struct packet *p);

#endif
