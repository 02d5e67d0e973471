/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What link.c (from the wire inwards to IP) and tunnel.c (from IP inwards) share: a view is moved forward over one
 * header after the other, and never beyond the bytes that are present.
 */
#ifndef TRACE_LAYERS_H
#define TRACE_LAYERS_H

#include <string.h>
#include <fwdlab/trace/link.h>

enum ethertype {
    TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100,
    TYPE_ETHERNET = 0x6558, /* transparent bridging, RFC 1701 */
    TYPE_QINQ = 0x88a8, TYPE_QINQ_OLD = 0x9100, TYPE_QINQ_OLDER = 0x9200, TYPE_IPV6 = 0x86dd, TYPE_PPP = 0x880b,
    TYPE_MPLS = 0x8847, TYPE_MPLS_UPSTREAM = 0x8848, TYPE_PPPOE = 0x8864,
    /* No EtherTypes: what else can follow */
    TYPE_LLC = 0x10000, TYPE_IP_BY_VERSION, TYPE_MPLS_PAYLOAD, TYPE_END
};

/* Moves over all headers from one of `type` on, up to IP or to what is not IP; fault says which. */
void link_walk(struct link_view *v, uint32_t type);

static inline uint16_t wire16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t wire32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void link_move(struct link_view *v, uint32_t n) {
    v->ip += n;
    v->len -= n;
    v->wire_len -= n;
}

/* Moves over n bytes, or stays where it is and says LINK_SHORT. */
static inline bool link_skip(struct link_view *v, uint32_t n) {
    if (v->len < n) {
        v->fault = LINK_SHORT;
        return false;
    }
    link_move(v, n);
    return true;
}

static inline void link_note(struct link_view *v, enum link_layer kind, uint32_t id) {
    if (v->n_layers == LINK_LAYERS_MAX)
        return;
    v->layers[v->n_layers].kind = (uint8_t)kind;
    v->layers[v->n_layers++].id = id;
}

/* Is there an IP header of this version (4, 6)? */
static inline bool link_version(const struct link_view *v, unsigned version) {
    return v->len && v->ip[0] >> 4 == version;
}

#endif
