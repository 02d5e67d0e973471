/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 frames for tests, beside those of frame.h. */
#ifndef TESTS_UNIT_CORE_FRAME6_H
#define TESTS_UNIT_CORE_FRAME6_H

#include "frame.h"

static inline struct ip addr6(const char *text) {
    struct ip ip = {0};
    cr_assert(ip_parse(text, &ip) == 0 && ip.family == FAMILY_IPV6, "%s is no IPv6 address", text);
    return ip;
}

static inline struct ipv6_header *frame_ip6(struct frame *f) {
    return (struct ipv6_header *)(f->byte + f->l3);
}

/* Ethernet, an IPv6 header with hop limit 64, l4_len bytes behind it: ports 1000 to 2000, else zeros. */
static inline struct frame frame6_make(const char *src, const char *dst, uint8_t proto, unsigned l4_len) {
    struct frame f = {.len = ETH + 40 + l4_len, .l3 = ETH};
    static const uint8_t ethernet[ETH] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd};
    const struct ip s = addr6(src), d = addr6(dst);
    memcpy(f.byte, ethernet, ETH);
    *frame_ip6(&f) = (struct ipv6_header){.version_class_label = htonl(6u << 28), .next_header = proto,
                                          .payload_length = htons((uint16_t)l4_len), .hop_limit = 64};
    memcpy(frame_ip6(&f)->src, s.v6, 16);
    memcpy(frame_ip6(&f)->dst, d.v6, 16);
    if (proto != PROTO_ICMPV6 && l4_len >= 4)
        memcpy(f.byte + ETH + 40, (uint8_t[]){1000 >> 8, 1000 & 255, 2000 >> 8, 2000 & 255}, 4);
    return f;
}

/* Puts an extension header of n bytes, zeros but for its length, in front of what follows the IPv6 header. */
static inline uint8_t *frame6_extend(struct frame *f, uint8_t type, unsigned n) {
    uint8_t *h = f->byte + f->l3 + 40;
    memmove(h + n, h, f->len - f->l3 - 40);
    memset(h, 0, n);
    h[0] = frame_ip6(f)->next_header;
    h[1] = (uint8_t)(type == EXTENSION_FRAGMENT ? 0 : type == EXTENSION_AUTHENTICATION ? n / 4 - 2 : n / 8 - 1);
    if (type == EXTENSION_HOP_BY_HOP || type == EXTENSION_DESTINATION)
        memcpy(h + 2, (uint8_t[]){1, 4}, 2); /* PadN */
    frame_ip6(f)->next_header = type;
    frame_ip6(f)->payload_length = htons((uint16_t)(ntohs(frame_ip6(f)->payload_length) + n));
    f->len += n;
    return h;
}

/* The fragment header of a piece at `offset` (a multiple of 8). */
static inline void frame6_fragment(struct frame *f, unsigned offset, bool more) {
    const be16 fragment = htons((uint16_t)(offset | (more ? IPV6_MORE : 0)));
    memcpy(frame6_extend(f, EXTENSION_FRAGMENT, 8) + 2, &fragment, 2);
}

#endif
