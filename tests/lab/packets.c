/* SPDX-License-Identifier: BSD-3-Clause */
/* Random IP packets: protocols, options, extension headers, sizes around the MTUs, TTLs around the end. */
#include "traffic.h"

#include <fwdlab/core/checksum.h>

static uint32_t payload_size(struct traffic *t) {
    if (chance(t, 70))
        return below(t, 80);
    const struct port *port = &t->lab->node.ports[below(t, t->lab->node.n_ports)];
    if (chance(t, 60))
        return (port->mtu > 90u ? port->mtu - 90u : 0) + below(t, 110);
    return below(t, 1500);
}

static unsigned port_number(struct traffic *t) {
    return chance(t, 60) ? ONE_OF(t, 22, 53, 80, 443, 1023, 1024, 5353, 8080, 40000, 65535) : below(t, 65536);
}

/* The header of a packet that an ICMP error is about: one that could have gone the other way. */
static uint32_t quote(struct traffic *t, const struct draft *d, uint8_t *at) {
    memset(at, 0, 48);
    if (d->family == FAMILY_IPV6) {
        memcpy(at, (uint8_t[]){0x60, 0, 0, 0, 0, 8, PROTO_UDP, 1}, 8);
        memcpy(at + 8, d->dst.v6, 16);
        memcpy(at + 24, d->src.v6, 16);
        random_bytes(t, at + 40, 8);
        return 48;
    }
    struct ipv4_header h = {.version_ihl = 0x45,
                            .total_length = htons(28),
                            .ttl = 1,
                            .proto = PROTO_UDP,
                            .src = d->dst.v4,
                            .dst = d->src.v4};
    h.checksum = checksum_fold(checksum_sum(&h, sizeof h, 0));
    memcpy(at, &h, sizeof h);
    random_bytes(t, at + 20, 8);
    return 28;
}

/* Never those that change what a host knows of its link (neighbour discovery, redirects, listeners). */
static uint32_t icmp(struct traffic *t, const struct draft *d, uint8_t *l4) {
    bool six = d->family == FAMILY_IPV6;
    unsigned how = below(t, 10);
    random_bytes(t, l4 + 4, 4);
    l4[1] = 0;
    if (how < 6) {
        l4[0] = (uint8_t)(six ? ONE_OF(t, ICMPV6_ECHO, ICMPV6_ECHO_REPLY) : ONE_OF(t, ICMP_ECHO, ICMP_ECHO_REPLY));
        uint32_t n = payload_size(t);
        random_bytes(t, l4 + 8, n);
        return 8 + n;
    }
    if (how < 9) {
        l4[0] = (uint8_t)(six ? ONE_OF(t, 1, 2, 3, 4) : ONE_OF(t, 3, 4, 11, 12));
        l4[1] = (uint8_t)below(t, 5);
        return 8 + quote(t, d, l4 + 8);
    }
    l4[0] = (uint8_t)(six ? 100 + below(t, 28) : ONE_OF(t, 1, 2, 9, 10, 13, 14, 15, 17, 30, 200));
    return 8;
}

static uint32_t layer4(struct traffic *t, struct draft *d, uint8_t *l4) {
    uint32_t n = payload_size(t);
    random_bytes(t, l4, 20);
    put16(l4, port_number(t));
    put16(l4 + 2, port_number(t));
    random_bytes(t, l4 + 20, n);
    switch (d->proto) {
    case PROTO_TCP:
        l4[12] = 0x50;
        l4[13] = (uint8_t)ONE_OF(t, TCP_SYN, TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK,
                                 TCP_RST, 0, 0x3f);
        if (t->lab->node.nat && chance(t, 90))
            l4[13] = TCP_SYN;
        return 20 + n;
    case PROTO_UDP:
        put16(l4 + 4, 8 + n);
        put16(l4 + 6, 0);
        return 8 + n;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        return icmp(t, d, l4);
    default:
        return chance(t, 5) ? below(t, 12) : 12 + n;
    }
}

void checksum_l4(const struct draft *d, uint8_t *l4, uint32_t n) {
    unsigned at = d->proto == PROTO_TCP ? 16 : d->proto == PROTO_UDP ? 6 : 2;
    bool icmp4 = d->proto == PROTO_ICMP;
    if ((d->proto != PROTO_TCP && d->proto != PROTO_UDP && !proto_is_icmp(d->proto)) || n < at + 2)
        return;
    put16(l4 + at, 0);
    size_t size = d->family == FAMILY_IPV4 ? 4 : 16;
    uint32_t sum = icmp4 ? 0 : checksum_sum(d->dst.v6, size, checksum_sum(d->src.v6, size, 0));
    sum = icmp4 ? sum : sum + htons((uint16_t)n) + htons(d->proto);
    be16 check = checksum_fold(checksum_sum(l4, n, sum));
    if (d->proto == PROTO_UDP && check == 0) /* 0 means that there is none (RFC 768) */
        check = 0xffff;
    memcpy(l4 + at, &check, 2);
}

/* ---- IPv4 ---- */

static uint32_t ipv4_options(struct traffic *t, uint8_t *at) {
    uint32_t n = 0;
    memset(at, 1, 40);
    while (n < 36 && chance(t, n ? 40 : 100)) {
        uint32_t length = 3 + 4 * (1 + below(t, 4)), pointer = 4 + 4 * below(t, 5);
        switch (below(t, 9)) {
        case 0:
            n++;
            continue; /* no operation */
        case 1:
            at[n] = 7;
            break; /* record route */
        case 2:
            at[n] = 7;
            pointer = 4;
            break;
        case 3:
            at[n] = 68;
            length = 4 + 4 * (1 + below(t, 4));
            pointer = 5 + 4 * below(t, 5);
            break; /* timestamp */
        case 4:
            at[n] = chance(t, 50) ? 131 : 137;
            break; /* loose and strict source route */
        case 5:
            at[n] = 148;
            length = 4;
            pointer = 0;
            break; /* router alert */
        case 6:
            at[n] = (uint8_t)ONE_OF(t, 25, 82, 130, 136, 200);
            break;
        case 7:
            random_bytes(t, at + n, 4);
            length = 4;
            break; /* broken, most probably */
        case 8:
            at[n] = 0;
            n++;
            goto end;
        }
        if (n + length > 40)
            break;
        uint8_t type = at[n];
        if (length != 4 || type == 148) {
            memset(at + n + 3, 0, length - 3);
            at[n + 1] = (uint8_t)length;
            at[n + 2] = (uint8_t)pointer;
            if (type == 68)
                at[n + 3] = (uint8_t)(below(t, 3) | (chance(t, 10) ? 0xf0 : 0));
        }
        n += length;
    }
end:
    return (n + 3) & ~3u;
}

static uint8_t ttl(struct traffic *t) {
    return (uint8_t)(chance(t, 65) ? 64 : chance(t, 60) ? below(t, 4) : below(t, 256));
}

static void ipv4(struct traffic *t, struct draft *d) {
    struct ipv4_header h = {.tos = (uint8_t)(chance(t, 20) ? below(t, 256) : 0),
                            .id = (be16)below(t, 65536),
                            .ttl = ttl(t),
                            .src = d->src.v4,
                            .dst = d->dst.v4};
    d->proto =
        (uint8_t)ONE_OF(t, PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_ICMP, PROTO_SCTP, PROTO_ESP, 47, 103);
    d->header = 20 + (!t->lab->node.nat && chance(t, 8) ? ipv4_options(t, d->byte + 20) : 0);
    uint8_t *l4 = d->byte + d->header;
    uint32_t n = layer4(t, d, l4);
    unsigned fragment = chance(t, 40) ? IPV4_DF : 0;
    if (!t->lab->node.nat && chance(t, 8)) {
        n = chance(t, 90) ? n & ~7u : n;
        fragment |= (chance(t, 60) ? IPV4_MF : 0) | (chance(t, 70) ? below(t, chance(t, 10) ? 8192 : 300) : 0);
    }
    checksum_l4(d, l4, n);
    d->len = d->header + n;
    h.version_ihl = (uint8_t)(0x40 | d->header / 4);
    h.total_length = htons((uint16_t)d->len);
    h.fragment = htons((uint16_t)fragment);
    h.proto = d->proto;
    memcpy(d->byte, &h, sizeof h);
}

void seal(uint8_t *ip, uint32_t len) {
    uint32_t header = (ip[0] & 15) * 4u;
    if (header < 20 || header > len)
        return;
    memset(ip + 10, 0, 2);
    be16 check = checksum_fold(checksum_sum(ip, header, 0));
    memcpy(ip + 10, &check, 2);
}

/* ---- IPv6 ---- */

static uint32_t options6(struct traffic *t, uint8_t *at) {
    uint32_t n = 8 * (1 + below(t, 3)), i = 2;
    memset(at, 0, n);
    at[1] = (uint8_t)(n / 8 - 1);
    if (chance(t, 20)) {
        at[2] = (uint8_t)ONE_OF(t, 0x05, 0x1e, 0x3e, 0x5e, 0x9e, 0xde, 0xc2);
        at[3] = (uint8_t)below(t, 5);
        at[4] = at[6] = at[7] = 0;
        at[5] = at[3] == 4 ? (uint8_t)below(t, 2) : 0;
        i += 2u + at[3];
    }
    while (i + 1 < n) { /* PadN, at most 7 bytes in all */
        uint32_t pad = n - i < 7 ? n - i : 7;
        at[i] = 1;
        at[i + 1] = (uint8_t)(pad - 2);
        i += pad == n - i || n - i - pad > 1 ? pad : pad - 1;
        if (i < n && n - i < 2)
            break;
    }
    return n;
}

static uint32_t extension(struct traffic *t, uint8_t type, uint8_t *at) {
    memset(at, 0, 8);
    switch (type) {
    case EXTENSION_ROUTING: {
        uint32_t n = 8 * (1 + 2 * below(t, 2));
        random_bytes(t, at, n);
        at[1] = (uint8_t)(n / 8 - 1);
        at[2] = (uint8_t)ONE_OF(t, 0, 2, 3, 4, 253);
        at[3] = (uint8_t)below(t, 2);
        return n;
    }
    case EXTENSION_FRAGMENT:
        random_bytes(t, at + 4, 4);
        if (chance(t, 70))
            put16(at + 2, (chance(t, 60) ? 8 * below(t, 100) : 0) | below(t, 2));
        return 8;
    case EXTENSION_AUTHENTICATION:
        random_bytes(t, at, 24);
        at[1] = 4;
        return 24;
    default:
        return options6(t, at);
    }
}

static void ipv6(struct traffic *t, struct draft *d) {
    struct ipv6_header h = {.version_class_label = htonl(0x60000000 | (chance(t, 20) ? below(t, 1 << 28) : 0)),
                            .hop_limit = ttl(t)};
    uint8_t *next = &h.next_header;
    uint32_t at = sizeof h;
    d->proto = (uint8_t)ONE_OF(t, PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_ICMPV6, PROTO_SCTP, PROTO_ESP, 47,
                               103, EXTENSION_NONE);
    for (unsigned i = 0; i < 4 && chance(t, i ? 30 : 12); i++) {
        uint8_t type = (uint8_t)(i == 0 && chance(t, 50) ? EXTENSION_HOP_BY_HOP
                                                         : ONE_OF(t, EXTENSION_DESTINATION, EXTENSION_ROUTING,
                                                                  EXTENSION_FRAGMENT, EXTENSION_AUTHENTICATION));
        *next = type;
        next = d->byte + at;
        at += extension(t, type, next);
    }
    *next = d->proto;
    d->header = at;
    uint32_t n = d->proto == EXTENSION_NONE ? below(t, 20) : layer4(t, d, d->byte + at);
    checksum_l4(d, d->byte + at, n);
    d->len = at + n;
    h.payload_length = htons((uint16_t)(d->len - sizeof h));
    memcpy(h.src, d->src.v6, 16);
    memcpy(h.dst, d->dst.v6, 16);
    memcpy(d->byte, &h, sizeof h);
}

void packet_draw(struct traffic *t, struct draft *d) {
    if (d->family == FAMILY_IPV6) {
        ipv6(t, d);
        return;
    }
    ipv4(t, d);
    seal(d->byte, d->len);
}
