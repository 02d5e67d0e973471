/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet as the core sees it: bytes that belong to the caller, and one cache line of metadata. The carrier is the
 * caller's (a plain buffer, a header copied out of a file, an mbuf); the core changes bytes in place and moves nothing.
 */
#ifndef FWDLAB_CORE_PACKET_H
#define FWDLAB_CORE_PACKET_H

#include <assert.h>
#include <string.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/core/drop.h>

/* HELD: NAT keeps a copy, which will pass later and then get its verdict (node_take_due); the carrier is free. */
enum verdict { VERDICT_NONE, VERDICT_DELIVER, VERDICT_FORWARD, VERDICT_DROP, VERDICT_HELD };

/* packet.flags. The first group is set by the caller, the others by the stages. */
enum {
    PACKET_RAW_IP = 1 << 0,     /* data starts at the IP header: there is no Ethernet header */
    PACKET_NO_CHECKSUM = 1 << 1, /* IP header checksum is not to be believed (offloaded before the capture) */
    PACKET_WAITED = 1 << 2,     /* comes from node_take_due: is not held again */
    PACKET_FRAG_FIRST = 1 << 4, /* first fragment of several: has ports, not the whole payload */
    PACKET_FRAG_LATER = 1 << 5, /* later fragment: has no L4 header */
    PACKET_OPTIONS = 1 << 6,    /* IPv4 options, IPv6 extension headers present */
    PACKET_ICMP_ERROR = 1 << 7, /* ICMP error: carries the header of the packet that caused it */
    PACKET_PORTS = 1 << 8,      /* sport and dport are valid (TCP, UDP, ICMP query, SCTP, DCCP, UDP-Lite) */
    PACKET_SRC_CHANGED = 1 << 9,  /* source address or port translated */
    PACKET_DST_CHANGED = 1 << 10, /* destination address or port translated */
    PACKET_L2_BROADCAST = 1 << 11, /* destination MAC has the group bit */
    PACKET_REPLY = 1 << 12,     /* travels against the direction in which its NAT session began */
};

#define PORT_NONE UINT16_MAX

struct packet {
    uint8_t *data;     /* first byte; Ethernet header unless PACKET_RAW_IP */
    uint32_t len;      /* bytes present at data (a truncated capture has fewer than the wire had) */
    uint32_t wire_len; /* bytes on the wire, >= len */
    uint16_t room;     /* bytes that may be written behind data + len */
    uint16_t l3;       /* offset of the IP header */
    uint16_t l4;       /* offset of what follows the IP header and its extension headers */
    uint16_t flags;
    uint16_t in_port;  /* set by the caller: index into the node's ports; PORT_NONE: the node itself sends it */
    uint16_t out_port; /* FORWARD: where it leaves */
    uint8_t family;    /* enum family */
    uint8_t proto;     /* IP protocol; IPv6: after the extension headers */
    uint8_t verdict;   /* enum verdict */
    uint8_t reason;    /* enum drop */
    be32 src, dst;     /* IPv4, as they now stand in the header; IPv6: 0, read the header (packet_ipv6) */
    be16 sport, dport; /* ICMP queries: identifier in both */
    be32 next_hop;     /* FORWARD: IPv4 address of the neighbour on out_port; dst itself when on link. IPv6: which
                          next hop of the path was taken; node_next_hop() gives the address for both families */
    uint32_t path;     /* path that won: node_path(); ROUTE_NONE */
    uint32_t session;  /* NAT session + 1 (nat.h); 0: none */
    uint64_t tag;      /* the caller's; the core does not look at it */
};
static_assert(sizeof(struct packet) == 64, "the metadata of a packet is one cache line");

static inline void packet_drop(struct packet *p, enum drop reason) {
    p->verdict = VERDICT_DROP;
    p->reason = (uint8_t)reason;
}

/* What tells flows apart. The same for both families; an IPv4 address stands in the first
 * four bytes, the rest is zero. */
struct flow_key {
    uint8_t family, proto;
    be16 sport, dport; /* ICMP queries: identifier and 0; protocols without ports, later fragments: 0 */
    uint8_t src[16], dst[16];
};
static inline struct ip flow_key_src(const struct flow_key *k) {
    struct ip a = {.family = k->family};
    memcpy(a.v6, k->src, sizeof k->src);
    return a;
}
static inline struct ip flow_key_dst(const struct flow_key *k) {
    struct ip a = {.family = k->family};
    memcpy(a.v6, k->dst, sizeof k->dst);
    return a;
}
/* The key of a parsed packet, as its header now stands. */
void packet_key(const struct packet *p, struct flow_key *key);

#endif
