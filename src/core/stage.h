/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stages share. */
#ifndef FWDLAB_SRC_CORE_STAGE_H
#define FWDLAB_SRC_CORE_STAGE_H

#include <string.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define LIMITED_BROADCAST 0xffffffffu /* 255.255.255.255 */
#define PREFETCH_AHEAD 6 /* packets whose bytes are on their way while one is worked on */

static inline bool mac_is_zero(const struct mac *m) {
    uint32_t head;
    uint16_t tail;
    memcpy(&head, m->byte, 4);
    memcpy(&tail, m->byte + 4, 2);
    return !(head | tail);
}

static inline bool mac_equal(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct mac)) == 0;
}

/* First octet of an address in network order. */
static inline uint8_t first_octet(be32 addr) {
    return *(const uint8_t *)&addr;
}

/* The MAC addresses of a frame that leaves by `out`, where they are known. */
static inline void set_macs(struct packet *p, const struct port *out) {
    if (!mac_is_zero(&out->neighbour))
        memcpy(p->data, &out->neighbour, sizeof out->neighbour);
    if (out->has_mac)
        memcpy(p->data + sizeof out->mac, &out->mac, sizeof out->mac);
}

/* 0/8, 127/8, 224/4 and 240/4: ordinary packets have none of them. */
static inline unsigned octet_is_special(uint8_t octet) {
    return (unsigned)((uint8_t)(octet - 1) >= 223) | (octet == 127);
}

/* RFC 3927, 2.1 */
static inline bool is_link_local(be32 addr) {
    return (addr & htonl(0xffff0000)) == htonl(0xa9fe0000);
}

/* Addresses whose bit of node.own is 0 are nobody's here. */
static inline unsigned own_bit(be32 addr) {
    return addr * 0x9e3779b1u >> 26;
}

static inline bool is_own_address(const struct node *node, be32 addr) {
    bool own = false;
    for (unsigned i = 0; i < node->n_ports; i++)
        own |= node->ports[i].addr == addr;
    return own;
}

/* fe80::/10 (RFC 4291, 2.5.6) */
static inline bool is_link_local6(const uint8_t addr[16]) {
    return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

static inline bool is_own_address6(const struct node *node, const uint8_t addr[16]) {
    for (unsigned i = 0; i < node->n_ports; i++)
        if (memcmp(node->ports[i].addr6, addr, sizeof node->ports[i].addr6) == 0)
            return true;
    return false;
}

/* Why a route of a kind that refuses does so. */
static inline enum drop refusal(uint8_t kind) {
    return kind == ROUTE_BLACKHOLE ? DROP_BLACKHOLE : kind == ROUTE_PROHIBIT ? DROP_PROHIBITED : DROP_UNREACHABLE;
}

/*
 * One lookup, through the rules of the node when it has any: the number for packet.path. Addresses are 4 or 16 bytes,
 * by the family, which the node must handle. in_port PORT_NONE: as for a packet of its own.
 */
uint32_t stage_lookup(const struct node *node, uint8_t family, const void *src, const void *dst, uint16_t in_port);
/* As node_path, but of what it gives `route` is not to be read: it may be out of date while routes change. */
const struct route_path *stage_path(const struct node *node, uint8_t family, uint32_t path);
/* route_rules_path with the same restriction. */
const struct route_path *rules_path_at(const struct route_rules *r, uint32_t path);

/*
 * Does the source pass the reverse path check of the port that it came in by (forward.h, enum rpf_mode)? Both families.
 * `dst` matters only with rules, which may look at it.
 */
bool rpf_passes(const struct node *node, uint8_t family, uint16_t in_port, const void *src, const void *dst);

/*
 * IPv4 options (options.c), for packets with PACKET_OPTIONS. The check gives DROP_BAD_OPTIONS, DROP_SOURCE_ROUTE or
 * DROP_NONE; the pointer is the offset from the IP header of what is wrong (RFC 792, parameter problem), 0 when nothing
 * is.
 */
enum drop options_check(const struct packet *p);
unsigned options_pointer(const struct packet *p);
/* Records the router in a packet that it forwards: its address on the way out, the time, as the options ask. */
void options_record(const struct node *node, struct packet *p, uint64_t now);

/*
 * The offset from the IPv6 header of the hop-by-hop option that stopped a packet whose sender is to be told (RFC 8200,
 * 4.2; RFC 2675, 3), and the code of the parameter problem; 0: none is due.
 */
unsigned ipv6_option_pointer(const struct packet *p, uint8_t *code);

/* Does the node do nothing that its express stage can't (express.c)? */
bool express_serves(const struct node *node);
void express_prepare(struct node *node);
/* Forwards the plain packets; the others are put into `left`, in their order: how many. `left` may be `pkts`. */
unsigned express_forward(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now, struct packet **left);

/* Brings parsed IPv6 packets (n <= BURST_MAX) to their verdicts; `own`: the node itself sends them. Reorders pkts. */
void ipv6_forward(struct node *node, struct packet **pkts, unsigned n, uint64_t now, bool own);

#endif
