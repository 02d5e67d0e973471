/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an IP packet to the one that it carries: the IP headers are walked to the transport, and what is known there as
 * a tunnel's header is moved over. An IP packet must then be there, else there is no tunnel.
 */
#include "esp.h"

enum { PROTO_HOP = 0, PROTO_IPIP = 4, PROTO_UDP = 17, PROTO_IPV6 = 41, PROTO_ROUTING = 43, PROTO_FRAGMENT = 44,
       PROTO_GRE = 47, PROTO_ESP = 50, PROTO_AH = 51, PROTO_DESTINATION = 60, PROTO_MOBILITY = 135, PROTO_MPLS = 137,
       PROTO_HIP = 139, PROTO_SHIM6 = 140 };
enum { PORT_ESP = 4500, PORT_VXLAN = 4789, PORT_GENEVE = 6081, PORT_MPLS = 6635, PORT_VXLAN_LINUX = 8472 };
enum { GRE_CHECKSUM = 0x8000, GRE_ROUTING = 0x4000, GRE_KEY = 0x2000, GRE_SEQUENCE = 0x1000, GRE_ACK = 0x0080,
       GRE_VERSION = 7, GRE_ERSPAN2 = 0x88be, GRE_ERSPAN3 = 0x22eb };

struct headers {
    uint8_t proto;     /* of the transport */
    uint32_t at;       /* where that begins, from the IP header on */
    uint32_t proto_at; /* the byte that names it */
    bool fragment;     /* the first of several */
};

/* Length of the extension header at p (8 bytes are present), 0: it is none. AH stands in IPv4 packets, too. */
static uint32_t extension(uint8_t family, uint8_t proto, const uint8_t *p) {
    if (proto == PROTO_AH)
        return (p[1] + 2u) * 4; /* RFC 4302, 2.2 */
    if (family != FAMILY_IPV6)
        return 0;
    switch (proto) {
    case PROTO_FRAGMENT: return 8;
    case PROTO_HOP:
    case PROTO_ROUTING:
    case PROTO_DESTINATION:
    case PROTO_MOBILITY:
    case PROTO_HIP:
    case PROTO_SHIM6: return (p[1] + 1u) * 8; /* RFC 6564 */
    default: return 0;
    }
}

/* False: a later fragment, or the headers do not end within what is present. */
static bool extensions(const struct link_view *v, uint8_t family, struct headers *h) {
    uint32_t n;
    while (h->at + 8 <= v->len && (n = extension(family, h->proto, v->ip + h->at))) {
        const uint8_t *p = v->ip + h->at;
        if (h->proto == PROTO_FRAGMENT) {
            h->fragment |= p[3] & 1;
            if (wire16(p + 2) >> 3)
                return false;
        }
        h->proto = p[0];
        h->proto_at = h->at;
        h->at += n;
    }
    return h->at <= v->len;
}

/* Cuts the view at the packet's own length, if that makes sense (0: segmentation offload, jumbogram). */
static void trim(struct link_view *v, uint32_t total) {
    if (total < v->wire_len)
        v->wire_len = total;
    if (total < v->len)
        v->len = total;
}

/* The fixed headers are there: may_carry saw to it. */
static bool ipv4(struct link_view *v, struct headers *h) {
    uint32_t header = (v->ip[0] & 15) * 4u, total = wire16(v->ip + 2), offset = wire16(v->ip + 6);
    if (total)
        trim(v, total);
    *h = (struct headers){.proto = v->ip[9], .at = header, .proto_at = 9, .fragment = offset & 0x2000};
    return !(offset & 0x1fff) && extensions(v, FAMILY_IPV4, h);
}

static bool ipv6(struct link_view *v, struct headers *h) {
    uint32_t payload = wire16(v->ip + 4);
    if (payload)
        trim(v, 40 + payload);
    *h = (struct headers){.proto = v->ip[6], .at = 40, .proto_at = 6};
    return extensions(v, FAMILY_IPV6, h);
}

/* Moves over a header of n bytes; what follows is of `type`. */
static bool follow(struct link_view *v, uint32_t n, uint32_t type) {
    if (!link_skip(v, n))
        return false;
    link_walk(v, type);
    return v->fault == LINK_IP && (link_version(v, 4) || link_version(v, 6));
}

static bool ipip(struct link_view *v, unsigned version) {
    link_note(v, LINK_IPIP, 0);
    return link_version(v, version);
}

/* PPTP (RFC 2637, 4.1): the key is the payload's length and the call; without a sequence number there is no payload. */
static bool pptp(struct link_view *v, uint16_t flags) {
    if (v->len < 8 || !(flags & GRE_KEY) || !(flags & GRE_SEQUENCE) || wire16(v->ip + 2) != TYPE_PPP)
        return false;
    link_note(v, LINK_GRE, wire16(v->ip + 6));
    return follow(v, flags & GRE_ACK ? 16 : 12, TYPE_PPP);
}

/* draft-foschiano-erspan: II (I has neither sequence number nor header), and III with its optional subheader. */
static bool erspan(struct link_view *v, uint16_t type, bool sequence) {
    if (type == GRE_ERSPAN2)
        return follow(v, sequence ? 8 : 0, TYPE_ETHERNET);
    if (v->len < 12)
        return false;
    return follow(v, v->ip[11] & 1 ? 20 : 12, TYPE_ETHERNET);
}

/* RFC 2784, RFC 2890; NVGRE (RFC 7637) is that with a key and Ethernet inside. */
static bool gre(struct link_view *v) {
    if (v->len < 4)
        return false;
    uint16_t flags = wire16(v->ip), type = wire16(v->ip + 2);
    if ((flags & GRE_VERSION) == 1)
        return pptp(v, flags);
    uint32_t key_at = flags & GRE_CHECKSUM ? 8 : 4, n = key_at;
    n += flags & GRE_KEY ? 4 : 0;
    n += flags & GRE_SEQUENCE ? 4 : 0;
    if (flags & (GRE_ROUTING | GRE_VERSION) || v->len < n)
        return false;
    link_note(v, LINK_GRE, flags & GRE_KEY ? wire32(v->ip + key_at) : 0);
    link_move(v, n);
    if (type == GRE_ERSPAN2 || type == GRE_ERSPAN3)
        return erspan(v, type, flags & GRE_SEQUENCE);
    return follow(v, 0, type);
}

/* RFC 7348; flags other than that for a valid VNI are other protocols' extensions. */
static bool vxlan(struct link_view *v) {
    if (v->len < 8 || !(v->ip[0] & 0x08))
        return false;
    link_note(v, LINK_VXLAN, wire32(v->ip + 4) >> 8);
    return follow(v, 8, TYPE_ETHERNET);
}

/* RFC 8926. */
static bool geneve(struct link_view *v) {
    if (v->len < 8 || v->ip[0] >> 6)
        return false;
    link_note(v, LINK_GENEVE, wire32(v->ip + 4) >> 8);
    return follow(v, 8 + (v->ip[0] & 63) * 4u, wire16(v->ip + 2));
}

/* What the ports say; a datagram's length may be less than the packet's. */
static bool udp(struct link_view *v, const struct esp_outer *outer, const struct link_keys *keys,
                struct link_room *room) {
    if (v->len < 8)
        return false;
    uint16_t from = wire16(v->ip), to = wire16(v->ip + 2), total = wire16(v->ip + 4);
    if (total >= 8)
        trim(v, total);
    link_move(v, 8);
    switch (to) {
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX: return vxlan(v);
    case PORT_GENEVE: return geneve(v);
    case PORT_MPLS: return follow(v, 0, TYPE_MPLS);
    }
    /* RFC 3948, 2.2: four zero bytes are IKE's; the port may be translated at one end. */
    if ((to == PORT_ESP || from == PORT_ESP) && v->len > 4 && wire32(v->ip))
        return esp_open(v, outer, keys, room);
    return false;
}

static bool transport(struct link_view *v, const struct headers *h, const struct link_keys *keys,
                      struct link_room *room) {
    struct esp_outer outer = {.ip = v->ip, .headers = h->at, .proto_at = h->proto_at};
    link_move(v, h->at);
    switch (h->proto) {
    case PROTO_UDP: return udp(v, &outer, h->fragment ? NULL : keys, room);
    case PROTO_ESP: return esp_open(v, &outer, h->fragment ? NULL : keys, room);
    case PROTO_GRE: return gre(v);
    case PROTO_IPIP: return ipip(v, 4);
    case PROTO_IPV6: return ipip(v, 6);
    case PROTO_MPLS: return follow(v, 0, TYPE_MPLS); /* RFC 4023 */
    default: return false;
    }
}

static bool tunnel_port(const uint8_t *udp) {
    uint16_t from = wire16(udp), to = wire16(udp + 2);
    return to == PORT_VXLAN || to == PORT_VXLAN_LINUX || to == PORT_GENEVE || to == PORT_MPLS || to == PORT_ESP ||
           from == PORT_ESP;
}

/* Most packets carry no other: seen by the protocol and the ports, before anything is copied. */
static inline bool may_carry(const struct link_view *v) {
    bool v6 = v->ip[0] >> 4 == 6;
    uint32_t header = v6 ? 40 : (v->ip[0] & 15) * 4u;
    if (v->len < header + 4 || header < 20)
        return false;
    switch (v->ip[v6 ? 6 : 9]) {
    case PROTO_UDP: return tunnel_port(v->ip + header);
    case PROTO_IPIP:
    case PROTO_IPV6:
    case PROTO_GRE:
    case PROTO_ESP:
    case PROTO_AH:
    case PROTO_MPLS: return true;
    case PROTO_HOP:
    case PROTO_ROUTING:
    case PROTO_FRAGMENT:
    case PROTO_DESTINATION:
    case PROTO_MOBILITY:
    case PROTO_HIP:
    case PROTO_SHIM6: return v6;
    default: return false;
    }
}

bool link_inner(const struct link_view *outer, const struct link_keys *keys, struct link_room *room,
                struct link_view *inner) {
    if (outer->fault != LINK_IP || !outer->len || !may_carry(outer))
        return false;
    struct headers h;
    *inner = *outer;
    bool good = outer->ip[0] >> 4 == 4 ? ipv4(inner, &h) : outer->ip[0] >> 4 == 6 && ipv6(inner, &h);
    if (!good || !transport(inner, &h, keys, room))
        return false;
    inner->depth = outer->depth < UINT8_MAX ? outer->depth + 1 : UINT8_MAX;
    return true;
}
