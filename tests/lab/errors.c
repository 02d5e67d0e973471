/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors about packets that passed: of all kinds, by the destination or by a router on the way, with quotations
 * that are whole or cut short, of a fragment, with options in the quoted header; and wrong ones, whose quotation was
 * never sent, was sent the other way, or is not about the one they are sent to.
 */
#include "traffic.h"

/* The quoted header as it stood where the error was made, before `n` of its bytes are taken. */
static uint32_t quote(struct traffic *t, const uint8_t *ip, uint32_t len, uint8_t *to) {
    uint32_t header = (ip[0] & 15) * 4u, options = header < 60 && chance(t, 15) ? 4 : 0;
    memcpy(to, ip, header);
    memset(to + header, 1, options); /* no operation */
    memcpy(to + header + options, ip + header, len - header);
    to[0] = (uint8_t)(to[0] + options / 4);
    put16(to + 2, len + options);
    to[8] = (uint8_t)(to[8] - below(t, to[8] + 1u));
    if (chance(t, 20))
        put16(to + 6, chance(t, 60) ? IPV4_MF : (chance(t, 50) ? IPV4_MF : 0) | (1 + below(t, 100)));
    if (chance(t, 90))
        seal(to, header + options);
    const uint32_t all = len + options, ports = header + options + 8;
    const uint32_t cut[] = {ports, ports, all, all, header + options + below(t, 9), ports + below(t, 40),
                            below(t, header + options + 1)};
    uint32_t n = cut[below(t, chance(t, 90) ? 6 : 7)];
    n = n < all ? n : all;
    return n < 548 ? n : 548;
}

static void swap(uint8_t *a, uint8_t *b, unsigned n) {
    for (; n--; a++, b++) {
        uint8_t keep = *a;
        *a = *b;
        *b = keep;
    }
}

/* Makes the quotation one that is about nothing. */
static void spoil(struct traffic *t, uint8_t *ip) {
    uint8_t *l4 = ip + (ip[0] & 15) * 4;
    switch (below(t, 5)) {
    case 0: /* as if it had been sent the other way */
        swap(ip + 12, ip + 16, 4);
        swap(l4, l4 + 2, ip[9] == PROTO_ICMP ? 0 : 2);
        break;
    case 1:
        ip[12 + below(t, 8)] ^= (uint8_t)(1 << below(t, 8));
        break;
    case 2:
        l4[below(t, 4)] ^= (uint8_t)(1 << below(t, 8));
        break;
    case 3:
        ip[9] = (uint8_t)ONE_OF(t, PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP);
        memset(l4, 0, 20); /* the two have other ports there */
        break;
    case 4: /* a version or a length that there is not */
        ip[0] = (uint8_t)ONE_OF(t, 0x44, 0x65, 0x4f, 0x40);
        break;
    }
}

static uint32_t error4(struct traffic *t, const struct frame *sent, struct draft *d) {
    static const struct { uint8_t type, codes; } kinds[] = {{3, 16}, {3, 4}, {11, 2}, {12, 3}, {4, 1}, {5, 4}};
    const uint8_t *ip = sent->byte + ETHERNET;
    unsigned kind = below(t, sizeof kinds / sizeof *kinds);
    uint8_t *l4 = d->byte + d->header;
    memset(l4, 0, 8);
    l4[0] = kinds[kind].type;
    l4[1] = (uint8_t)below(t, kinds[kind].codes);
    if (chance(t, 30)) /* MTU, gateway, pointer */
        random_bytes(t, l4 + 4, 4);
    if (chance(t, 35)) /* a router on the way */
        d->src = traffic_known(t, FAMILY_IPV4, sent->port);
    uint32_t n = quote(t, ip, sent->len - ETHERNET, l4 + 8);
    if (chance(t, 15))
        spoil(t, l4 + 8);
    return 8 + n;
}

/* Sound ones with a plain quotation. */
static uint32_t plain(struct traffic *t, const struct frame *sent, struct draft *d) {
    bool six = d->family == FAMILY_IPV6;
    uint32_t len = sent->len - ETHERNET, header = six ? 40 : (sent->byte[ETHERNET] & 15) * 4u;
    uint32_t most = chance(t, 50) ? 548 : header + 8, n = len < most ? len : most;
    uint8_t *l4 = d->byte + d->header;
    memset(l4, 0, 8);
    l4[0] = (uint8_t)(six ? ONE_OF(t, 1, 1, 3, 4) : ONE_OF(t, 3, 3, 11, 12));
    l4[1] = (uint8_t)(l4[0] == (six ? 1 : 3) ? below(t, 4) : 0);
    memcpy(l4 + 8, sent->byte + ETHERNET, n);
    return 8 + n;
}

uint32_t error_draw(struct traffic *t, const struct frame *sent, struct draft *d) {
    return t->lab->node.nat && d->family == FAMILY_IPV4 ? error4(t, sent, d) : plain(t, sent, d);
}
