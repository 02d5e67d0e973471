/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IP packets inside a captured frame: behind any link layer (Ethernet with VLAN tags, MPLS and PPPoE, Linux cooked
 * v1 and v2, null and loop, PPP, raw IP), and inwards through tunnels (GRE, IP in IP, VXLAN, Geneve, ESP with its key).
 * Nothing beyond data + len is read, and nothing is copied but what ESP decrypts.
 */
#ifndef FWDLAB_TRACE_LINK_H
#define FWDLAB_TRACE_LINK_H

#include <fwdlab/base/addr.h>
#include <fwdlab/trace/trace.h>

enum link_layer { LINK_VLAN = 1, LINK_MPLS, LINK_PPPOE, LINK_GRE, LINK_IPIP, LINK_VXLAN, LINK_GENEVE, LINK_ESP };
const char *link_layer_name(enum link_layer l); /* "vlan", "mpls", ... */

/* Why there is no IP packet. */
enum link_fault {
    LINK_IP,
    LINK_ARP,
    LINK_LLC,             /* IEEE 802.2 other than IP in SNAP */
    LINK_OTHER_ETHERTYPE, /* an EtherType, PPP protocol or address family that is not IP */
    LINK_SHORT,           /* the frame ends inside its link header */
    LINK_UNKNOWN          /* nothing says what it is: behind MPLS labels, in raw IP, or the link type is not known */
};

#define LINK_LAYERS_MAX 8

struct link_view {
    const uint8_t *ip;     /* first byte of the IP header; with a fault: of what stands in its place */
    uint32_t len;          /* bytes present from there: padding and FCS of the frame may be among them */
    uint32_t wire_len;     /* bytes that the wire had from there */
    const uint8_t *mac;    /* Ethernet: destination and source, 12 bytes, of the innermost header before `ip`; NULL */
    uint8_t fault;         /* enum link_fault */
    uint8_t direction;     /* enum trace_direction: as cooked captures say (type 4 went out); else unknown */
    uint8_t depth;         /* tunnels around it: 0 is what the wire carried */
    uint8_t n_layers;      /* what stands before `ip`, outermost first, tunnels included; more than fit are left out */
    struct {
        uint8_t kind;      /* enum link_layer */
        uint32_t id;       /* VLAN id, MPLS label, PPPoE session, GRE key (0: none), VNI, SPI; IPIP: 0 */
    } layers[LINK_LAYERS_MAX];
};

/* True: *out is filled, and fault says whether it is IP. False: nobody here knows the link type. */
bool link_decode(uint16_t linktype, const uint8_t *data, uint32_t len, uint32_t wire_len, struct link_view *out);
bool link_type_known(uint16_t linktype);

/* Keys of ESP's security associations, from a file of Wireshark's `esp_sa` form: each line "proto","src","dst","spi",
 * "cipher","key","authentication","key"; addresses and SPI may be `*`. Errors name the line. */
struct link_keys;
struct link_keys *link_keys_load(const char *path, struct err *e);
void link_keys_free(struct link_keys *k);

/* What ESP decrypts goes here, one packet at a time. */
struct link_room {
    uint8_t bytes[65536];
};
/*
 * The IP packet inside of a tunnel's packet: GRE (with ERSPAN, NVGRE and PPTP), IP in IP, MPLS in IP and in UDP, VXLAN,
 * Geneve, ESP in both modes and in UDP. False: it carries none (ARP and the like do not count), is a fragment (but the
 * first one's headers may do), or is encrypted and no key fits. Cheap where there is no tunnel.
 *
 * ESP opens only when its ICV is right, under the first association that fits; where the key file says not to check it,
 * the padding must be RFC 4303's. Packets that the capture cut short and extended sequence numbers (RFC 4304) stay
 * closed. Transport mode gives the outer headers again, as they would be without ESP. keys and room may be NULL: ESP
 * stays closed (NULL encryption, RFC 2410, is not guessed). keys may be shared by threads, room not. An `outer` that
 * stands in the room itself (ESP inside ESP) is left as it is, one of another packet is lost.
 */
bool link_inner(const struct link_view *outer, const struct link_keys *keys, struct link_room *room,
                struct link_view *inner);

#endif
