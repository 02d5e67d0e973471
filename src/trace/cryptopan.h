/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses replaced so that what two have in common at their beginnings, they still have (Crypto-PAn, as described by
 * Xu, Fan, Ammar and Moon, 2002): each bit is turned, or not, by AES-128 of all bits before it.
 */
#ifndef TRACE_CRYPTOPAN_H
#define TRACE_CRYPTOPAN_H

#include <fwdlab/base/addr.h>

#define CRYPTOPAN_KEY 32 /* bytes: AES-128's key, and the secret that becomes the padding */

struct cryptopan;
struct cryptopan *cryptopan_create(const uint8_t key[CRYPTOPAN_KEY]);
void cryptopan_destroy(struct cryptopan *c);

/* Crypto-PAn as published: the first `bits` (up to 128) of `addr` changed in place, but for the first `keep`. */
void cryptopan_bits(struct cryptopan *c, uint8_t *addr, unsigned keep, unsigned bits);

/*
 * As cryptopan_bits over all bits, but special ranges keep their meaning, and nothing else gets it: 0/8, 127/8,
 * 169.254/16, 224/3, ::/127 and ff00::/8 stay as they are, link-local IPv6 addresses stay link-local. What a group or
 * a link-local address tells of another address (its EUI-64, a solicited node's last three bytes, a prefix) changes.
 */
void cryptopan_ipv4(struct cryptopan *c, uint8_t addr[4]);
void cryptopan_ipv6(struct cryptopan *c, uint8_t addr[16]);
/* The last three bytes. Group addresses (but a solicited node's, which follows its IPv6 group) and those of virtual
 * routers stay. */
void cryptopan_mac(struct cryptopan *c, uint8_t mac[6]);
/* From now on cryptopan_mac, and what EUI-64 says in link-local addresses, changes nothing. */
void cryptopan_keep_mac(struct cryptopan *c);

#endif
