/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to metadata. Ethernet II with any number of VLAN tags (802.1Q, 802.1ad) or a bare IP header; IPv4 with options,
 * fragments, TCP, UDP, ICMP. Reads nothing beyond data + len. A frame that was cut by the capture (len < wire_len) is
 * judged by what the wire had, as long as the headers that the core needs are present.
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

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_ESP = 50, PROTO_ICMPV6 = 58,
       PROTO_SCTP = 132, PROTO_UDPLITE = 136 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };
enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_SOURCE_QUENCH = 4, ICMP_REDIRECT = 5, ICMP_ECHO = 8,
       ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETER = 12, ICMP_TIMESTAMP = 13, ICMP_TIMESTAMP_REPLY = 14,
       ICMP_INFORMATION = 15, ICMP_INFORMATION_REPLY = 16, ICMP_MASK = 17, ICMP_MASK_REPLY = 18 };

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
