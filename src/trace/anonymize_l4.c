/* SPDX-License-Identifier: BSD-3-Clause */
/* Transports, and the tunnels that they are. */
#include "anonymize.h"

enum { PROTO_ICMP = 1, PROTO_IGMP = 2, PROTO_IPIP = 4, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_IPV6 = 41,
       PROTO_GRE = 47, PROTO_ESP = 50, PROTO_AH = 51, PROTO_ICMPV6 = 58, PROTO_NONE = 59, PROTO_SCTP = 132,
       PROTO_UDPLITE = 136, PROTO_MPLS = 137 };
enum { PORT_DHCP_SERVER = 67, PORT_DHCP = 68, PORT_DHCPV6 = 546, PORT_DHCPV6_SERVER = 547, PORT_ESP = 4500,
       PORT_VXLAN = 4789, PORT_GENEVE = 6081, PORT_MPLS = 6635, PORT_VXLAN_LINUX = 8472 };

#define ESP_HEADER 8 /* SPI and sequence number */

static uint32_t at_most(uint32_t at, uint32_t len, uint32_t end) {
    return len < end - at ? at + len : end;
}

/* Options that tell nothing about addresses stay; others (among them those of load balancers that hold the client's
 * address, and Multipath TCP's ADD_ADDR) become NOPs. */
static void tcp_options(struct frame *f, uint32_t at, uint32_t end) {
    enum { END = 0, NOP = 1, MPTCP = 30, MPTCP_ADD_ADDRESS = 3 };
    static const bool known[256] = {[2] = true, [3] = true, [4] = true, [5] = true, [8] = true, [19] = true,
                                    [27] = true, [29] = true, [MPTCP] = true, [34] = true};
    while (at < end && f->d[at] != END) {
        uint8_t kind = f->d[at];
        uint32_t len = kind == NOP ? 1 : at + 1 < end ? f->d[at + 1] : 0;
        bool fits = len >= 1 + (kind != NOP) && len <= end - at;
        bool address = kind == MPTCP && len > 2 && fits && f->d[at + 2] >> 4 == MPTCP_ADD_ADDRESS;
        if (!fits)
            len = end - at;
        if (!fits || (kind != NOP && !known[kind]) || address)
            memset(f->d + at, NOP, len);
        at += len;
    }
    memset(f->d + at, END, end - at);
}

static uint32_t tcp(struct frame *f, uint32_t at, uint32_t end, const struct pseudo *p) {
    uint32_t fixed = at_most(at, 20, end);
    if (fixed - at < 18)
        return fixed;
    uint32_t len = fixed - at < 20 ? 20 : (f->d[at + 12] >> 4) * 4u, header = at_most(at, len < 20 ? 20 : len, end);
    tcp_options(f, fixed, header);
    frame_checksum(f, at + 16, at, end, p);
    return frame_payload(f, header, end);
}

/* What goes into a tunnel's packet: its headers stay as they are, but for MAC addresses. */
static bool tunnel(struct frame *f, uint32_t ip, uint32_t at, uint32_t end, uint32_t *kept) {
    struct link_view outer = {.ip = f->d + ip, .len = end - ip, .wire_len = end - ip}, inner;
    if (!link_inner(&outer, NULL, NULL, &inner))
        return false;
    uint32_t inside = (uint32_t)(inner.ip - f->d);
    if (inner.mac) {
        uint8_t *mac = f->d + (inner.mac - f->d);
        cryptopan_mac(f->pan, mac);
        cryptopan_mac(f->pan, mac + 6);
    }
    *kept = anonymize_ip(f, inside, at_most(inside, inner.len, end));
    return true;
}

static uint32_t udp_payload(struct frame *f, uint32_t ip, uint32_t at, uint32_t body, uint32_t end) {
    uint16_t from = wire16(f->d + at), to = wire16(f->d + at + 2);
    uint32_t kept;
    switch (to) {
    case PORT_GENEVE:
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
    case PORT_MPLS:
        if (!tunnel(f, ip, at, end, &kept))
            return frame_close(f, body);
        if (to == PORT_GENEVE) /* the values of options are anybody's; all zero they are options without any */
            memset(f->d + body + 8, 0, (f->d[body] & 63) * 4u);
        return kept;
    case PORT_DHCPV6:
    case PORT_DHCPV6_SERVER: return frame_close(f, body);
    case PORT_DHCP:
    case PORT_DHCP_SERVER: return anonymize_dhcp(f, body, end);
    }
    bool esp = (from == PORT_ESP || to == PORT_ESP) && end - body >= ESP_HEADER && wire32(f->d + body);
    return frame_payload(f, esp ? body + ESP_HEADER : body, end);
}

static uint32_t udp(struct frame *f, uint32_t ip, uint32_t at, uint32_t end, struct pseudo p) {
    if (end - at < 8)
        return end;
    uint32_t len = wire16(f->d + at + 4);
    if (len >= 8)
        end = at_most(at, len, end);
    uint32_t kept = udp_payload(f, ip, at, at + 8, end);
    uint8_t *sum = f->d + at + 6;
    if (sum[0] | sum[1]) {
        frame_checksum(f, at + 6, at, end, &p);
        if (!(sum[0] | sum[1]))
            sum[0] = sum[1] = 0xff;
    }
    return kept;
}

/* RFC 4302: what follows is named in its first byte. */
static uint32_t authentication(struct frame *f, uint32_t ip, uint32_t at, uint32_t end, struct pseudo p) {
    uint32_t len = end - at < 12 ? UINT32_MAX : (f->d[at + 1] + 2u) * 4;
    if (len > end - at)
        return frame_close(f, at);
    p.len -= len < p.len ? len : p.len;
    return anonymize_transport(f, f->d[at], ip, at + len, end, &p);
}

/* A header of which only addresses around it are in the checksum at `sum`. */
static uint32_t plain(struct frame *f, uint32_t at, uint32_t end, uint32_t header, uint32_t sum,
                      const struct pseudo *p) {
    uint32_t kept = at_most(at, header, end);
    if (kept - at >= sum + 2)
        frame_checksum(f, at + sum, at, end, p);
    return kept;
}

static uint32_t gre(struct frame *f, uint32_t ip, uint32_t at, uint32_t end) {
    uint32_t kept;
    if (!tunnel(f, ip, at, end, &kept))
        return frame_close(f, at_most(at, 4, end));
    if (f->d[at] & 0x80) /* RFC 2784, 2.3 */
        frame_checksum(f, at + 4, at, end, NULL);
    return kept;
}

uint32_t anonymize_transport(struct frame *f, uint8_t proto, uint32_t ip, uint32_t at, uint32_t end,
                             const struct pseudo *p) {
    uint32_t kept;
    switch (proto) {
    case PROTO_TCP: return tcp(f, at, end, p);
    case PROTO_UDP: return udp(f, ip, at, end, *p);
    case PROTO_UDPLITE: return frame_payload(f, plain(f, at, end, 8, 6, p), end);
    case PROTO_DCCP: return plain(f, at, end, 12, 6, p);
    case PROTO_SCTP: return at_most(at, 12, end); /* its chunks hold addresses; its checksum covers none outside */
    case PROTO_ICMP:
        kept = anonymize_icmp(f, at, end);
        if (end - at >= 4)
            frame_checksum(f, at + 2, at, end, NULL);
        return kept;
    case PROTO_ICMPV6:
        kept = anonymize_icmpv6(f, at, end);
        if (end - at >= 4)
            frame_checksum(f, at + 2, at, end, p);
        return kept;
    case PROTO_IGMP:
        kept = anonymize_igmp(f, at, end);
        if (end - at >= 4)
            frame_checksum(f, at + 2, at, end, NULL);
        return kept;
    case PROTO_GRE: return gre(f, ip, at, end);
    case PROTO_IPIP:
    case PROTO_IPV6:
    case PROTO_MPLS: return tunnel(f, ip, at, end, &kept) ? kept : frame_close(f, at);
    case PROTO_AH: return authentication(f, ip, at, end, *p);
    case PROTO_ESP: return frame_payload(f, at_most(at, ESP_HEADER, end), end);
    case PROTO_NONE: return at;
    default: return frame_close(f, at);
    }
}
