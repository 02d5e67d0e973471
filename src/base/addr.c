/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/base/decimal.h>

static unsigned bits(const struct ip *a) {
    return a->family == FAMILY_IPV6 ? 128 : 32;
}

/* The bytes of an address; an IPv4 address is four of them. */
static const uint8_t *bytes(const struct ip *a) {
    return a->family == FAMILY_IPV6 ? a->v6 : (const uint8_t *)&a->v4;
}

static void keep_bits(struct ip *a, unsigned len) {
    if (a->family == FAMILY_IPV4) {
        a->v4 &= ipv4_mask(len);
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = len > i * 8 ? len - i * 8 : 0;
        if (kept < 8)
            a->v6[i] &= (uint8_t)(0xff00 >> kept);
    }
}

int ip_parse(const char *text, struct ip *out) {
    struct ip a = {0};
    if (inet_pton(AF_INET, text, &a.v4) == 1)
        a.family = FAMILY_IPV4;
    else if (inet_pton(AF_INET6, text, a.v6) == 1)
        a.family = FAMILY_IPV6;
    else
        return -EINVAL;
    *out = a;
    return 0;
}

int ip_parse_with_len(const char *text, struct ip *addr, uint8_t *len) {
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    char part[IP_TEXT];
    struct ip a;
    if (n >= sizeof part)
        return -EINVAL;
    memcpy(part, text, n);
    part[n] = '\0';
    if (ip_parse(part, &a))
        return -EINVAL;
    unsigned l = bits(&a);
    if (slash) {
        size_t digits = strspn(slash + 1, "0123456789");
        if (digits < 1 || digits > 3 || slash[1 + digits])
            return -EINVAL;
        l = (unsigned)atoi(slash + 1);
        if (l > bits(&a))
            return -EINVAL;
    }
    *addr = a;
    *len = (uint8_t)l;
    return 0;
}

int prefix_parse(const char *text, struct ip_prefix *out) {
    struct ip a;
    uint8_t len;
    if (ip_parse_with_len(text, &a, &len))
        return -EINVAL;
    struct ip_prefix p = prefix_of(&a, len);
    if (!ip_equal(&p.addr, &a))
        return -ERANGE;
    *out = p;
    return 0;
}

int mac_parse(const char *text, struct mac *out) {
    struct mac m;
    for (int i = 0; i < 6; i++, text += 3) {
        if (strspn(text, "0123456789abcdefABCDEF") != 2 || text[2] != (i < 5 ? ':' : '\0'))
            return -EINVAL;
        m.byte[i] = (uint8_t)strtoul(text, NULL, 16);
    }
    *out = m;
    return 0;
}

const char *ip_format(const struct ip *addr, char *buf) {
    const uint8_t *b = bytes(addr);
    char *to = buf;
    if (addr->family == FAMILY_IPV6) {
        inet_ntop(AF_INET6, b, buf, IP_TEXT);
        return buf;
    }
    for (unsigned i = 0; addr->family != FAMILY_NONE && i < 4; i++) {
        if (i)
            *to++ = '.';
        to = decimal_put(to, b[i]);
    }
    *to = '\0';
    return buf;
}

const char *prefix_format(const struct ip_prefix *prefix, char *buf) {
    ip_format(&prefix->addr, buf);
    if (buf[0])
        sprintf(buf + strlen(buf), "/%u", prefix->len);
    return buf;
}

const char *mac_format(const struct mac *mac, char *buf) {
    const uint8_t *b = mac->byte;
    snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return buf;
}

bool ip_equal(const struct ip *a, const struct ip *b) {
    return ip_compare(a, b) == 0;
}

bool ip_is_none(const struct ip *a) {
    return a->family == FAMILY_NONE;
}

int ip_compare(const struct ip *a, const struct ip *b) {
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return a->family == FAMILY_NONE ? 0 : memcmp(bytes(a), bytes(b), bits(a) / 8);
}

bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b) {
    return a->len == b->len && ip_equal(&a->addr, &b->addr);
}

bool prefix_contains(const struct ip_prefix *prefix, const struct ip *addr) {
    if (prefix->addr.family != addr->family || addr->family == FAMILY_NONE)
        return false;
    struct ip masked = *addr;
    keep_bits(&masked, prefix->len);
    return ip_equal(&masked, &prefix->addr);
}

bool prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner) {
    return outer->len <= inner->len && prefix_contains(outer, &inner->addr);
}

bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b) {
    return prefix_covers(a, b) || prefix_covers(b, a);
}

struct ip_prefix prefix_of(const struct ip *addr, unsigned len) {
    struct ip_prefix p = {.addr = *addr, .len = (uint8_t)len};
    if (addr->family != FAMILY_NONE)
        keep_bits(&p.addr, len);
    return p;
}

struct ip prefix_nth(const struct ip_prefix *prefix, uint32_t n) {
    struct ip a = prefix->addr;
    unsigned host = a.family == FAMILY_NONE ? 0 : bits(&a) - prefix->len;
    if (a.family == FAMILY_NONE || (host < 32 && n >> host))
        return (struct ip){0};
    uint8_t *b = a.family == FAMILY_IPV6 ? a.v6 : (uint8_t *)&a.v4;
    uint64_t carry = n;
    for (int i = (int)bits(&a) / 8 - 1; i >= 0 && carry; i--, carry >>= 8) {
        carry += b[i];
        b[i] = (uint8_t)carry;
    }
    return a;
}
