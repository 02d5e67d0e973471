/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of several equal next hops a flow takes. The hash is the same in both directions of a flow: addresses and ports
 * enter as sums and exclusive ors, which do not tell source from destination, and together tell pairs apart. Choice k
 * of n gets the hashes from k/n of their range on, so that a hash's upper bits count, which are the best mixed ones.
 */
#include <fwdlab/core/route.h>
#include <string.h>

unsigned route_pick(const struct route_path *path, uint32_t hash) {
    return (unsigned)((uint64_t)hash * path->n >> 32);
}

uint32_t route_hash(be32 src, be32 dst, be16 sport, be16 dport, uint8_t proto) {
    uint64_t addrs = (uint64_t)(src ^ dst) << 32 | (src + dst);
    uint64_t ports = (uint64_t)(sport ^ dport) << 32 | (uint64_t)proto << 24 | ((uint32_t)sport + dport);
    uint64_t h = (addrs ^ ports * 0xff51afd7ed558ccdull) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    return (uint32_t)(h * 0xc4ceb9fe1a85ec53ull >> 32);
}

static inline uint64_t hash_pair(uint64_t a, uint64_t b) {
    return ((a ^ b) * 0x9e3779b97f4a7c15ull) ^ ((a + b) * 0xff51afd7ed558ccdull);
}

uint32_t route_hash6(const uint8_t src[16], const uint8_t dst[16], be16 sport, be16 dport, uint8_t proto) {
    uint64_t s[2], d[2];
    memcpy(s, src, sizeof s);
    memcpy(d, dst, sizeof d);
    uint64_t h = hash_pair(s[0], d[0]);
    h = (h ^ h >> 29) * 0xc4ceb9fe1a85ec53ull + hash_pair(s[1], d[1]);
    h = (h ^ h >> 31) * 0xc4ceb9fe1a85ec53ull + hash_pair(sport, dport) + proto;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(h >> 32 ^ h);
}
