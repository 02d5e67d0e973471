/* SPDX-License-Identifier: BSD-3-Clause */
/* What a captured packet is to the node, as far as it tells by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/checksum.h>
#include "inject.h"

uint16_t classify_name(const struct control *c, const struct control_node *n, const char *name) {
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const char *capture = c->scenario->nics.v[n->ports[p].nic].capture;
        if (capture && name[0] && !strcmp(capture, name))
            return p;
    }
    return PORT_NONE;
}

uint16_t classify_mac(const struct control_node *n, const struct trace_packet *raw, uint16_t linktype) {
    if (linktype != LINKTYPE_ETHERNET || raw->len < 14)
        return PORT_NONE;
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const struct port *port = &n->node.ports[p];
        if (port->has_mac && (!memcmp(raw->data, &port->mac, 6) || !memcmp(raw->data + 6, &port->mac, 6)))
            return p;
    }
    return PORT_NONE;
}

int classify_unknown(uint16_t linktype, struct err *e) {
    err_set(e, -EPROTONOSUPPORT, "packets of link type %u only", linktype);
    err_hint(e, "Ethernet (1), PPP (9, 50), null and loop (0, 108), Linux cooked (113, 276) and raw IP (101, 228, 229) "
                "are read");
    return -EPROTONOSUPPORT;
}

int classify_none(const struct control *c, const struct control_node *n, const struct trace_interface *interfaces,
                  uint32_t count, struct err *e) {
    char have[200] = "", want[200] = "";
    for (uint32_t i = 0; i < count && strlen(have) < 150; i++)
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%.30s", i ? ", " : "",
                 interfaces[i].name[0] ? interfaces[i].name : "(nameless)");
    for (uint16_t p = 0; p < n->node.n_ports && strlen(want) < 150; p++) {
        const char *name = c->scenario->nics.v[n->ports[p].nic].capture;
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%.30s: %.30s", p ? ", " : "", n->ports[p].name,
                 name ? name : "none");
    }
    err_set(e, -EINVAL, "no interface of the capture (%s) is a NIC of %s", have, n->name);
    err_hint(e, "name them in the scenario with `capture:` (now %s), or the NICs' `mac:` for captures without names",
             want);
    return -EINVAL;
}

/* A nameless interface is the NIC whose MAC address is seen most on it. */
static uint16_t port_by_mac(const struct control_node *n, const struct trace_memory *t, uint32_t interface) {
    size_t *seen = xzalloc(n->node.n_ports, sizeof *seen);
    uint16_t best = PORT_NONE;
    for (size_t i = 0; i < t->n; i++) {
        uint16_t p = t->packets[i].interface != interface ? PORT_NONE
                         : classify_mac(n, &t->packets[i], t->interfaces[interface].linktype);
        if (p != PORT_NONE)
            seen[p]++;
    }
    for (uint16_t p = 0; p < n->node.n_ports; p++)
        if (seen[p] && (best == PORT_NONE || seen[p] > seen[best]))
            best = p;
    free(seen);
    return best;
}

static int map_interfaces(const struct inject *in, const struct control *c, uint32_t node,
                          const struct sources *sources, uint16_t *port, struct err *e) {
    const struct trace_memory *t = in->trace;
    const struct control_node *n = c ? &c->nodes[node] : NULL;
    bool any = false;
    for (uint32_t i = 0; i < t->n_interfaces; i++) {
        port[i] = !n ? (uint16_t)i : t->interfaces[i].name[0] ? classify_name(c, n, t->interfaces[i].name)
                                                              : port_by_mac(n, t, i);
        any |= port[i] != PORT_NONE;
    }
    return any || sources || !t->n ? 0 : classify_none(c, n, t->interfaces, t->n_interfaces, e);
}

enum side { SIDE_UNKNOWN, SIDE_IN, SIDE_OUT, SIDE_OTHERS };

/* Did it arrive or leave? The capture's own flag first, else MAC addresses. */
static inline enum side side_of(uint8_t direction, const uint8_t *mac, const struct port *port) {
    bool known = port && port->has_mac && mac;
    if (direction == TRACE_OUTBOUND || (known && !direction && !memcmp(mac + 6, &port->mac, 6)))
        return SIDE_OUT;
    if (known && !(mac[0] & 1) && memcmp(mac, &port->mac, 6))
        return SIDE_OTHERS;
    return direction == TRACE_INBOUND || known ? SIDE_IN : SIDE_UNKNOWN;
}

/* What IPv6 has in place of ARP (RFC 4861), and multicast listener reports (RFC 3810): a link's own business. */
static bool is_neighbour_discovery(const struct packet *p) {
    if (p->proto != PROTO_ICMPV6 || p->flags & PACKET_FRAG_LATER || p->l4 >= p->len)
        return false;
    uint8_t type = p->data[p->l4], hops = packet_ipv6(p)->hop_limit;
    return (type >= 133 && type <= 137 && hops == 255) || (((type >= 130 && type <= 132) || type == 143) && hops == 1);
}

static void refuse(struct inject_packet *p, enum drop reason) {
    p->kind = drop_class(reason) == DROP_CLASS_MALFORMED ? INJECT_MALFORMED : INJECT_IGNORED;
    p->reason = (uint8_t)reason;
}

#define MENDED 160

/* What the NIC cuts into segments after its capture has no total length, or a wrong one: then the frame's counts. */
static void parse_offloaded(struct packet *k, uint8_t mended[MENDED]) {
    const uint32_t l3 = k->l3, wire = k->wire_len > l3 ? k->wire_len - l3 : 0;
    const be16 total = htons((uint16_t)(wire < UINT16_MAX ? wire : UINT16_MAX));
    const uint32_t len = k->len < MENDED ? k->len : MENDED;
    if (len < l3 + sizeof(struct ipv4_header) || k->data[l3] >> 4 != 4)
        return;
    memcpy(mended, k->data, len);
    memcpy(mended + l3 + 2, &total, sizeof total);
    *k = (struct packet){.data = mended, .len = len, .wire_len = k->wire_len,
                         .flags = k->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM)};
    parse(k);
}

/* What stands behind the link layer, by its own bytes. */
static void classify_bytes(struct inject_packet *p, bool ethernet, bool checksum, bool ipv6) {
    struct packet k = {.data = (uint8_t *)p->raw->data, .len = p->raw->len, .wire_len = p->raw->wire_len};
    k.flags = (uint16_t)((ethernet ? 0 : PACKET_RAW_IP) | (checksum ? 0 : PACKET_NO_CHECKSUM));
    parse(&k);
    uint8_t mended[MENDED];
    if (k.reason == DROP_BAD_TOTAL_LENGTH && !checksum)
        parse_offloaded(&k, mended);
    if (k.verdict == VERDICT_DROP) {
        refuse(p, (enum drop)k.reason);
        return;
    }
    if (k.family == FAMILY_IPV6 && (!ipv6 || is_neighbour_discovery(&k))) {
        refuse(p, ipv6 ? DROP_NEIGHBOUR_DISCOVERY : DROP_IPV6);
        return;
    }
    p->l3 = k.l3;
    p->l4 = k.l4;
    p->flags = k.flags;
    packet_key(&k, &p->key);
    p->kind = KIND_UNDECIDED;
}

/* In whole words, as hashes read it. */
static inline void put_ipv4(uint8_t to[16], be32 addr) {
    uint64_t words[2] = {0};
    memcpy(words, &addr, sizeof addr);
    memcpy(to, words, sizeof words);
}

/*
 * The short way of most: a whole TCP or UDP packet in IPv4 without options, in Ethernet without tags. Says of it what
 * link_decode and classify_bytes would; false: it is not so plain.
 */
static bool classify_plain(struct inject_packet *p, const struct trace_packet *raw, bool checksum) {
    const uint32_t l3 = 14, l4 = l3 + sizeof(struct ipv4_header), least = l4 + 14; /* up to TCP's flags */
    const uint8_t *frame = raw->data;
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame + l3);
    if (raw->len < least || frame[12] != 8 || frame[13] || ip->version_ihl != 0x45 ||
        ip->fragment & htons(IPV4_MF | IPV4_OFFSET) || (ip->proto != PROTO_TCP && ip->proto != PROTO_UDP))
        return false;
    const uint32_t end = l3 + ntohs(ip->total_length);
    if (end < least || (end > raw->wire_len && end > raw->len) ||
        (checksum && !checksum_ipv4_ok(frame + l3, sizeof *ip)))
        return false;
    p->l3 = (uint16_t)l3;
    p->l4 = (uint16_t)l4;
    p->flags = PACKET_PORTS;
    p->flags |= (uint16_t)((checksum ? 0 : PACKET_NO_CHECKSUM) | (frame[0] & 1 ? PACKET_L2_BROADCAST : 0));
    p->key.family = FAMILY_IPV4;
    p->key.proto = ip->proto;
    memcpy(&p->key.sport, frame + l4, 4); /* dport follows there and here */
    put_ipv4(p->key.src, ip->src);
    put_ipv4(p->key.dst, ip->dst);
    p->kind = KIND_UNDECIDED;
    return true;
}

/* The core reads Ethernet with VLAN tags, and IP by itself. */
static bool core_reads(uint16_t linktype, const struct link_view *v) {
    bool tags = true;
    for (unsigned i = 0; i < v->n_layers; i++)
        tags &= v->layers[i].kind == LINK_VLAN;
    return linktype == LINKTYPE_ETHERNET && (tags || v->fault != LINK_IP);
}

/* The long way: of what the core does not read it gets to see the IP packet alone. */
static void classify_layers(struct inject_packet *p, struct trace_packet *raw, const struct link_view *v,
                            bool ethernet, bool checksum, bool ipv6) {
    static const uint8_t reason[] = {[LINK_ARP] = DROP_ARP, [LINK_LLC] = DROP_LLC, [LINK_SHORT] = DROP_SHORT_FRAME,
                                     [LINK_OTHER_ETHERTYPE] = DROP_OTHER_ETHERTYPE,
                                     [LINK_UNKNOWN] = DROP_OTHER_ETHERTYPE};
    if (!ethernet && v->fault != LINK_IP) {
        refuse(p, (enum drop)reason[v->fault]);
        return;
    }
    if (!ethernet) {
        raw->data = v->ip;
        raw->len = v->len;
        raw->wire_len = v->wire_len;
    }
    classify_bytes(p, ethernet, checksum, ipv6);
}

static inline void settle_side(struct inject_packet *p, enum side side) {
    if (p->kind != KIND_UNDECIDED || side == SIDE_UNKNOWN)
        return;
    if (side == SIDE_OTHERS)
        refuse(p, DROP_NOT_FOR_US);
    else
        p->kind = side == SIDE_IN ? INJECT_ARRIVED : INJECT_OWN;
}

/* What leaves may be checksummed by the NIC after its capture; without a scenario nobody knows what leaves. */
static inline bool believes(const struct node *n, enum side side) {
    return n && side != SIDE_OUT;
}

static __attribute__((noinline)) bool classify_long(struct inject_packet *p, struct trace_packet *raw,
                                                    const struct node *n, const struct port *port, uint16_t linktype,
                                                    struct link_view *v) {
    if (!link_decode(linktype, raw->data, raw->len, raw->wire_len, v))
        return false;
    const enum side side = side_of(raw->direction ? raw->direction : v->direction, p->mac, port);
    classify_layers(p, raw, v, core_reads(linktype, v), believes(n, side), !n || n->routes6);
    settle_side(p, side);
    return true;
}

bool classify_packet(struct inject_packet *p, struct trace_packet *raw, const struct node *n, uint16_t linktype,
                     struct link_view *v) {
    const struct port *port = n && p->port != PORT_NONE ? &n->ports[p->port] : NULL;
    const bool ethernet = linktype == LINKTYPE_ETHERNET && raw->len >= 14;
    p->raw = raw;
    p->mac = ethernet ? raw->data : NULL;
    v->ip = NULL;
    const enum side side = side_of(raw->direction, p->mac, port);
    if (!ethernet || !classify_plain(p, raw, believes(n, side)))
        return classify_long(p, raw, n, port, linktype, v);
    settle_side(p, side);
    return true;
}

static int by_time(const void *a, const void *b) {
    const struct inject_packet *x = a, *y = b;
    if (x->raw->time_ns != y->raw->time_ns)
        return x->raw->time_ns < y->raw->time_ns ? -1 : 1;
    return x->raw->frame < y->raw->frame ? -1 : x->raw->frame > y->raw->frame;
}

void classify_by_source(struct inject_packet *p, const struct sources *sources) {
    if (p->kind == INJECT_MALFORMED || p->kind == INJECT_IGNORED)
        return;
    p->port = sources_find(sources, &p->key);
    if (p->port == PORT_NONE)
        p->kind = INJECT_ELSEWHERE;
}

int classify(struct inject *in, const struct control *c, uint32_t node, struct err *e) {
    const struct trace_memory *t = in->trace;
    const struct node *n = c ? &c->nodes[node].node : NULL;
    uint16_t *port = xzalloc(t->n_interfaces, sizeof *port);
    struct sources *sources = c ? sources_create(c, &c->nodes[node]) : NULL;
    int code = map_interfaces(in, c, node, sources, port, e);
    if (code) {
        free(port);
        return code;
    }
    in->n = (uint32_t)t->n;
    in->packets = xzalloc(t->n, sizeof *in->packets);
    for (uint32_t i = 0; i < in->n; i++)
        in->packets[i] = (struct inject_packet){.raw = &t->packets[i], .port = port[t->packets[i].interface],
                                                .partner = INJECT_NONE, .answer = INJECT_NONE, .after = INJECT_NONE};
    qsort(in->packets, in->n, sizeof *in->packets, by_time);
    in->epoch_ns = in->n ? in->packets[0].raw->time_ns : 0;
    bool any = false;
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        struct trace_packet *raw = &t->packets[p->raw - t->packets];
        uint16_t linktype = t->interfaces[raw->interface].linktype;
        struct link_view view;
        bool mapped = p->port != PORT_NONE;
        any |= link_type_known(linktype);
        if ((!mapped && !sources) || !classify_packet(p, raw, n, linktype, &view))
            p->kind = INJECT_ELSEWHERE;
        else if (!mapped)
            classify_by_source(p, sources);
    }
    free(sources);
    free(port);
    return in->n && !any ? classify_unknown(t->interfaces[0].linktype, e) : 0;
}
