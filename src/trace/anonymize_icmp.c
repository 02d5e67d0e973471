/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP of both families with what it quotes, neighbour discovery, group membership, and DHCP. */
#include "anonymize.h"

enum { ECHO_HEADER = 8, QUOTE_AT = 8 };

static uint32_t at_most(uint32_t at, uint32_t len, uint32_t end) {
    return len < end - at ? at + len : end;
}

/* Of a message that nobody knows the first four bytes stay, and the length that one has at least. */
static uint32_t unknown(struct frame *f, uint32_t at) {
    memset(f->d + at + 4, 0, 4);
    return frame_close(f, at + 8);
}

/* The packet that an error is about: its headers, in what the error quotes of it. */
static uint32_t quote(struct frame *f, uint32_t at, uint32_t end) {
    if (end <= at)
        return end;
    f->quoted = true;
    return anonymize_ip(f, at, end);
}

uint32_t anonymize_icmp(struct frame *f, uint32_t at, uint32_t end) {
    enum { ECHO_REPLY = 0, UNREACHABLE = 3, QUENCH = 4, REDIRECT = 5, ECHO = 8, ADVERTISEMENT = 9, SOLICITATION = 10,
           EXCEEDED = 11, PARAMETER = 12, TIMESTAMP = 13, TIMESTAMP_REPLY = 14 };
    if (end - at < 8)
        return frame_close(f, at_most(at, 4, end));
    switch (f->d[at]) {
    case ECHO:
    case ECHO_REPLY: return frame_payload(f, at + ECHO_HEADER, end);
    case REDIRECT: cryptopan_ipv4(f->pan, f->d + at + 4); return quote(f, at + QUOTE_AT, end);
    case UNREACHABLE:
    case QUENCH:
    case EXCEEDED:
    case PARAMETER: return quote(f, at + QUOTE_AT, end);
    case TIMESTAMP:
    case TIMESTAMP_REPLY: return at_most(at, 20, end);
    case SOLICITATION:
    case ADVERTISEMENT: return at + 8; /* routers' addresses follow */
    default: return unknown(f, at);
    }
}

/* RFC 4861, 4.6; RFC 8106. What else options say is blanked, and so is one that is cut off. */
static void nd_options(struct frame *f, uint32_t at, uint32_t end) {
    enum { SOURCE = 1, TARGET = 2, PREFIX = 3, MTU = 5, NONCE = 14, RDNSS = 25 };
    while (at < end) {
        uint8_t *o = f->d + at;
        uint32_t len = end - at >= 2 ? o[1] * 8u : 0;
        if (!len || len > end - at) {
            memset(o, 0, end - at);
            return;
        }
        switch (o[0]) {
        case SOURCE:
        case TARGET:
            cryptopan_mac(f->pan, o + 2);
            memset(o + 8, 0, len - 8);
            break;
        case PREFIX:
            if (len == 32 && o[2] <= 128) { /* the bits beyond it stay zero */
                cryptopan_ipv6(f->pan, o + 16);
                for (uint32_t bit = o[2]; bit < 128; bit++)
                    o[16 + bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
            } else {
                memset(o + 2, 0, len - 2);
            }
            break;
        case RDNSS:
            for (uint32_t i = 8; i + 16 <= len; i += 16)
                cryptopan_ipv6(f->pan, o + i);
            break;
        case MTU:
        case NONCE: break;
        default: memset(o + 2, 0, len - 2);
        }
        at += len;
    }
}

/* A message of `fixed` bytes that end in `addresses` addresses, then options. */
static uint32_t discovery(struct frame *f, uint32_t at, uint32_t fixed, unsigned addresses, uint32_t end) {
    if (end - at < fixed)
        return frame_close(f, at + 8);
    for (uint32_t i = fixed - addresses * 16; i < fixed; i += 16)
        cryptopan_ipv6(f->pan, f->d + at + i);
    nd_options(f, at + fixed, end);
    return end;
}

uint32_t anonymize_icmpv6(struct frame *f, uint32_t at, uint32_t end) {
    enum { UNREACHABLE = 1, PARAMETER = 4, ECHO = 128, ECHO_REPLY = 129, MLD_QUERY = 130, MLD_DONE = 132,
           ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, SOLICITATION = 135, ADVERTISEMENT = 136,
           REDIRECT = 137 };
    if (end - at < 8)
        return frame_close(f, at_most(at, 4, end));
    uint8_t type = f->d[at];
    if (type >= UNREACHABLE && type <= PARAMETER)
        return quote(f, at + QUOTE_AT, end);
    switch (type) {
    case ECHO:
    case ECHO_REPLY: return frame_payload(f, at + ECHO_HEADER, end);
    case ROUTER_SOLICITATION: return discovery(f, at, 8, 0, end);
    case ROUTER_ADVERTISEMENT: return discovery(f, at, 16, 0, end);
    case SOLICITATION:
    case ADVERTISEMENT: return discovery(f, at, 24, 1, end);
    case REDIRECT: return discovery(f, at, 40, 2, end);
    }
    if (type < MLD_QUERY || type > MLD_DONE || end - at < 24) /* RFC 2710 */
        return unknown(f, at);
    cryptopan_ipv6(f->pan, f->d + at + 8);
    return at + 24;
}

/* Up to the group (RFC 2236); the sources and records of version 3 follow. */
uint32_t anonymize_igmp(struct frame *f, uint32_t at, uint32_t end) {
    uint32_t kept = at_most(at, 8, end);
    if (kept - at == 8)
        cryptopan_ipv4(f->pan, f->d + at + 4);
    return kept;
}

/* RFC 2132; options that are not listed become padding. */
static void dhcp_options(struct frame *f, uint32_t at, uint32_t end) {
    enum { PAD = 0, MASK = 1, ROUTER = 3, DNS = 6, MTU = 26, BROADCAST = 28, REQUESTED = 50, LEASE = 51, TYPE = 53,
           SERVER = 54, MAX_SIZE = 57, RENEWAL = 58, REBINDING = 59, END = 255 };
    while (at < end && f->d[at] != END) {
        uint8_t *o = f->d + at;
        uint32_t len = *o == PAD ? 1 : end - at >= 2 ? o[1] + 2u : UINT32_MAX;
        if (len > end - at)
            break;
        switch (*o) {
        case ROUTER:
        case DNS:
        case BROADCAST:
        case REQUESTED:
        case SERVER:
            for (uint32_t i = 2; i + 4 <= len; i += 4)
                cryptopan_ipv4(f->pan, o + i);
            break;
        case MASK:
        case MTU:
        case LEASE:
        case TYPE:
        case MAX_SIZE:
        case RENEWAL:
        case REBINDING: break;
        default: memset(o, PAD, len);
        }
        at += len;
    }
    if (at < end) /* behind the end, or cut off */
        memset(f->d + at + (f->d[at] == END), PAD, end - at - (f->d[at] == END));
}

uint32_t anonymize_dhcp(struct frame *f, uint32_t at, uint32_t end) {
    enum { CLIENT = 12, HARDWARE = 28, NAMES = 44, COOKIE = 236, OPTIONS = 240, ETHERNET = 1 };
    static const uint8_t cookie[] = {99, 130, 83, 99};
    uint8_t *m = f->d + at;
    if (end - at < COOKIE)
        return frame_close(f, at);
    for (uint32_t i = 0; i < 4; i++) /* ciaddr, yiaddr, siaddr, giaddr */
        cryptopan_ipv4(f->pan, m + CLIENT + i * 4);
    if (m[1] == ETHERNET && m[2] == 6)
        cryptopan_mac(f->pan, m + HARDWARE);
    else
        memset(m + HARDWARE, 0, 16);
    memset(m + HARDWARE + 6, 0, 10);
    memset(m + NAMES, 0, COOKIE - NAMES);
    if (end - at < OPTIONS || memcmp(m + COOKIE, cookie, sizeof cookie))
        return at + COOKIE;
    dhcp_options(f, at + OPTIONS, end);
    return end;
}
