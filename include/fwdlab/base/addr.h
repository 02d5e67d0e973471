/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and prefixes of both families, and their text forms. Addresses are kept in network order. */
#ifndef FWDLAB_BASE_ADDR_H
#define FWDLAB_BASE_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t be16;
typedef uint32_t be32;

enum family { FAMILY_NONE = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct ip {
    uint8_t family; /* enum family; FAMILY_NONE: no address */
    union {
        be32 v4;
        uint8_t v6[16];
    };
};

struct ip_prefix {
    struct ip addr; /* host bits are zero */
    uint8_t len;    /* 0..32 or 0..128 */
};

struct mac {
    uint8_t byte[6];
};

#define IP_TEXT 46     /* room for any address with its closing NUL */
#define PREFIX_TEXT 50 /* room for any prefix */
#define MAC_TEXT 18

static inline struct ip ip_v4(be32 addr) {
    return (struct ip){.family = FAMILY_IPV4, .v4 = addr};
}
/* The netmask of a prefix length 0..32, network order. */
static inline be32 ipv4_mask(unsigned len) {
    return len ? htonl(~(uint32_t)0 << (32 - len)) : 0;
}

/* Each parser takes the whole string; returns 0, or -EINVAL and leaves *out alone. */
int ip_parse(const char *text, struct ip *out);
/* Refuses host bits that are set (-ERANGE); an address alone means a host prefix. */
int prefix_parse(const char *text, struct ip_prefix *out);
/* "10.0.0.4/24": the address and the length of its network. An address alone has its full length. */
int ip_parse_with_len(const char *text, struct ip *addr, uint8_t *len);
int mac_parse(const char *text, struct mac *out);

/* Write into buf (IP_TEXT, PREFIX_TEXT, MAC_TEXT bytes) and return buf. FAMILY_NONE gives "". */
const char *ip_format(const struct ip *addr, char *buf);
const char *prefix_format(const struct ip_prefix *prefix, char *buf);
const char *mac_format(const struct mac *mac, char *buf);

bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_none(const struct ip *a);
int ip_compare(const struct ip *a, const struct ip *b); /* <0, 0, >0: by family, then numerically */
bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
bool prefix_contains(const struct ip_prefix *prefix, const struct ip *addr);
/* Is every address of `inner` in `outer`? */
bool prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner);
bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
/* The prefix of `len` bits that holds addr. */
struct ip_prefix prefix_of(const struct ip *addr, unsigned len);
/* The n-th address of a prefix, counted from 0 (its network address); FAMILY_NONE beyond its end. */
struct ip prefix_nth(const struct ip_prefix *prefix, uint32_t n);

#endif
