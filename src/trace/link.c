/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the wire inwards to IP. Headers are taken in a row, not by recursion: each step moves the view over one of them
 * and says what follows, mostly by EtherType. Plain Ethernet with IP does not get that far.
 */
#include "layers.h"

#define LENGTH_MAX 1500 /* an EtherType up to this is a length (IEEE 802.3, 3.2.6), LLC follows */

enum { LINKTYPE_C_HDLC = 104 };
enum { SLL_LEN = 16, SLL2_LEN = 20, SLL_OUTGOING = 4, SLL_802_2 = 4 };

const char *link_layer_name(enum link_layer l) {
    static const char *const names[] = {
        [LINK_VLAN] = "vlan", [LINK_MPLS] = "mpls", [LINK_PPPOE] = "pppoe", [LINK_GRE] = "gre", [LINK_IPIP] = "ipip",
        [LINK_VXLAN] = "vxlan", [LINK_GENEVE] = "geneve", [LINK_ESP] = "esp"};
    return (size_t)l < sizeof names / sizeof *names && names[l] ? names[l] : "unknown";
}

static uint32_t end(struct link_view *v, enum link_fault fault) {
    v->fault = (uint8_t)fault;
    return TYPE_END;
}

/* Moves over a header whose last two bytes are the EtherType. */
static uint32_t typed(struct link_view *v, uint32_t header) {
    return link_skip(v, header) ? wire16(v->ip - 2) : (uint32_t)TYPE_END;
}

static uint32_t ethernet(struct link_view *v) {
    v->mac = v->len >= 12 ? v->ip : NULL;
    return typed(v, 14);
}

static uint32_t vlan(struct link_view *v) {
    if (v->len >= 4)
        link_note(v, LINK_VLAN, wire16(v->ip) & 0xfff);
    return typed(v, 4);
}

/* IEEE 802.2; of its many kinds only SNAP (RFC 1042, with Ethernet's OUI or that of bridges) holds IP. */
static uint32_t llc(struct link_view *v) {
    static const uint8_t snap[] = {0xaa, 0xaa, 3, 0, 0, 0}, bridged[] = {0xaa, 0xaa, 3, 0, 0, 0xf8};
    if (v->len >= 8 && (!memcmp(v->ip, snap, sizeof snap) || !memcmp(v->ip, bridged, sizeof bridged)))
        return wire16(v->ip + 6) > LENGTH_MAX ? typed(v, 8) : end(v, LINK_LLC);
    return end(v, LINK_LLC);
}

/* The label stack (RFC 3032). */
static uint32_t mpls(struct link_view *v) {
    uint32_t label;
    do {
        if (!link_skip(v, 4))
            return TYPE_END;
        label = wire32(v->ip - 4);
        link_note(v, LINK_MPLS, label >> 12);
    } while (!(label & 0x100));
    return v->len ? TYPE_MPLS_PAYLOAD : end(v, LINK_SHORT);
}

/* Does an Ethernet header at this offset make sense together with what it says to follow? */
static bool clearly_ethernet(const struct link_view *v, uint32_t at) {
    if (v->len <= at + 14)
        return false;
    switch (wire16(v->ip + at + 12)) {
    case TYPE_IPV4: return v->ip[at + 14] >> 4 == 4 && (v->ip[at + 14] & 15) >= 5;
    case TYPE_IPV6: return v->ip[at + 14] >> 4 == 6;
    case TYPE_ARP:
    case TYPE_VLAN:
    case TYPE_QINQ:
    case TYPE_MPLS:
    case TYPE_PPPOE: return true;
    default: return false;
    }
}

/*
 * Nothing names what labels carry. By the first nibble (RFC 4928, 3): 4 and 6 are IP, 0 may be the control word of a
 * pseudowire (RFC 4448), 1 is its associated channel (RFC 5586).
 */
static uint32_t mpls_payload(struct link_view *v) {
    if (link_version(v, 4) || link_version(v, 6))
        return TYPE_IP_BY_VERSION;
    if (clearly_ethernet(v, 0)) /* first: with a VLAN tag it looks like one behind a control word, too */
        return TYPE_ETHERNET;
    if (!link_version(v, 0) || !clearly_ethernet(v, 4))
        return end(v, LINK_UNKNOWN);
    link_move(v, 4);
    return TYPE_ETHERNET;
}

/* RFC 1661, RFC 1662: address and control may be there, the protocol's first byte may be missing when it is 0. */
static uint32_t ppp(struct link_view *v) {
    if (v->len >= 2 && v->ip[0] == 0xff && v->ip[1] == 3)
        link_move(v, 2);
    bool one = v->len && v->ip[0] & 1;
    if (!link_skip(v, one ? 1 : 2))
        return TYPE_END;
    switch (one ? v->ip[-1] : wire16(v->ip - 2)) {
    case 0x0021: return TYPE_IPV4;
    case 0x0057: return TYPE_IPV6;
    case 0x0281:
    case 0x0283: return TYPE_MPLS;
    default: return end(v, LINK_OTHER_ETHERTYPE);
    }
}

/* RFC 2516. */
static uint32_t pppoe(struct link_view *v) {
    if (!link_skip(v, 6))
        return TYPE_END;
    if (v->ip[-6] != 0x11 || v->ip[-5])
        return end(v, LINK_OTHER_ETHERTYPE);
    link_note(v, LINK_PPPOE, wire16(v->ip - 4));
    return TYPE_PPP;
}

static uint32_t ip_by_version(struct link_view *v) {
    if (!v->len)
        return end(v, LINK_SHORT);
    return end(v, link_version(v, 4) || link_version(v, 6) ? LINK_IP : LINK_UNKNOWN);
}

void link_walk(struct link_view *v, uint32_t type) {
    while (type != TYPE_END)
        switch (type) {
        case TYPE_IPV4:
        case TYPE_IPV6: type = end(v, LINK_IP); break;
        case TYPE_ARP: type = end(v, LINK_ARP); break;
        case TYPE_ETHERNET: type = ethernet(v); break;
        case TYPE_VLAN:
        case TYPE_QINQ:
        case TYPE_QINQ_OLD:
        case TYPE_QINQ_OLDER: type = vlan(v); break;
        case TYPE_MPLS:
        case TYPE_MPLS_UPSTREAM: type = mpls(v); break;
        case TYPE_MPLS_PAYLOAD: type = mpls_payload(v); break;
        case TYPE_PPPOE: type = pppoe(v); break;
        case TYPE_PPP: type = ppp(v); break;
        case TYPE_IP_BY_VERSION: type = ip_by_version(v); break;
        case TYPE_LLC: type = llc(v); break;
        default: type = type <= LENGTH_MAX ? (uint32_t)TYPE_LLC : end(v, LINK_OTHER_ETHERTYPE);
        }
}

/* LINKTYPE_LINUX_SLL and _SLL2: "protocol" is an EtherType, or the kernel's own number of a protocol below 1536. */
static uint32_t cooked(struct link_view *v, uint32_t header, uint32_t protocol_at, uint32_t kind_at) {
    if (!link_skip(v, header))
        return TYPE_END;
    const uint8_t *h = v->ip - header;
    v->direction = h[kind_at] == SLL_OUTGOING ? TRACE_OUTBOUND : TRACE_INBOUND;
    uint32_t type = wire16(h + protocol_at);
    if (type > LENGTH_MAX)
        return type;
    return type == SLL_802_2 ? (uint32_t)TYPE_LLC : end(v, LINK_OTHER_ETHERTYPE);
}

/* The address family, as the capturing system numbers it, in its byte order (null) or in the network's (loop). */
static uint32_t loopback(struct link_view *v) {
    if (!link_skip(v, 4))
        return TYPE_END;
    uint32_t family = wire32(v->ip - 4);
    switch (family > 0xffff ? __builtin_bswap32(family) : family) {
    case 2: return TYPE_IPV4;
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* Darwin */ return TYPE_IPV6;
    default: return end(v, LINK_OTHER_ETHERTYPE);
    }
}

/* LINKTYPE_PPP_HDLC and _C_HDLC: PPP in HDLC-like framing (RFC 1662), or Cisco's with an EtherType (RFC 1547, 4.3). */
static uint32_t hdlc(struct link_view *v) {
    if (v->len && (v->ip[0] == 0x0f || v->ip[0] == 0x8f))
        return typed(v, 4);
    return TYPE_PPP;
}

/* The first header of a frame. False: the link type is not known. */
static bool first(uint16_t linktype, struct link_view *v, uint32_t *type) {
    switch (linktype) {
    case LINKTYPE_ETHERNET: *type = ethernet(v); return true;
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP: *type = loopback(v); return true;
    case LINKTYPE_RAW: *type = TYPE_IP_BY_VERSION; return true;
    case LINKTYPE_IPV4: *type = TYPE_IPV4; return true;
    case LINKTYPE_IPV6: *type = TYPE_IPV6; return true;
    case LINKTYPE_LINUX_SLL: *type = cooked(v, SLL_LEN, 14, 1); return true;
    case LINKTYPE_LINUX_SLL2: *type = cooked(v, SLL2_LEN, 0, 10); return true;
    case LINKTYPE_PPP: *type = TYPE_PPP; return true;
    case LINKTYPE_PPP_HDLC:
    case LINKTYPE_C_HDLC: *type = hdlc(v); return true;
    default: return false;
    }
}

bool link_decode(uint16_t linktype, const uint8_t *data, uint32_t len, uint32_t wire_len, struct link_view *out) {
    out->ip = data;
    out->len = len;
    out->wire_len = wire_len > len ? wire_len : len;
    out->mac = NULL;
    out->fault = LINK_IP;
    out->direction = TRACE_DIRECTION_UNKNOWN;
    out->depth = 0;
    out->n_layers = 0;
    if (__builtin_expect(linktype == LINKTYPE_ETHERNET && len >= 14, true)) {
        uint16_t type = wire16(data + 12);
        if (__builtin_expect(type == TYPE_IPV4 || type == TYPE_IPV6, true)) {
            out->mac = data;
            link_move(out, 14);
            return true;
        }
    }
    uint32_t type;
    if (first(linktype, out, &type)) {
        link_walk(out, type);
        return true;
    }
    out->fault = LINK_UNKNOWN;
    return false;
}

bool link_type_known(uint16_t linktype) {
    struct link_view none;
    return link_decode(linktype, NULL, 0, 0, &none);
}
