/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3). */
#ifndef FWDLAB_CORE_CHECKSUM_H
#define FWDLAB_CORE_CHECKSUM_H

#include <string.h>
#include <fwdlab/base/addr.h>

/* One's complement sum of bytes as 16-bit words, added to `sum`; neither folded to 16 bits nor inverted. */
uint32_t checksum_sum(const void *data, size_t len, uint32_t sum);
/* Folds and inverts: the value for the header, network order as the data was. */
static inline be16 checksum_fold(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (be16)~sum;
}
/*
 * Is a sum, never 0, a multiple of 2^16 - 1? Whether an odd number divides it tells one multiplication by the inverse
 * (Granlund, Montgomery 1994).
 */
static inline bool checksum_sums_up(uint64_t sum) {
    const uint64_t inverse = 0xfffefffefffeffff; /* of 65535 modulo 2^64 */
    return sum * inverse <= UINT64_MAX / 0xffff;
}
/*
 * Is that of the IPv4 header of ihl bytes right? Without a branch for the usual 20. The sum of its 16-bit words, never
 * 0, is then a multiple of 2^16 - 1, and so is the sum of its 64-bit words with the carries put back.
 */
static inline bool checksum_ipv4_ok(const uint8_t *h, unsigned ihl) {
    uint64_t a, b, sum;
    uint32_t c;
    memcpy(&a, h, 8);
    memcpy(&b, h + 8, 8);
    memcpy(&c, h + 16, 4);
    sum = a + b;
    sum += (uint64_t)c + (sum < a);
    sum += sum < c;
    if (__builtin_expect(ihl > 20, 0)) {
        const uint32_t options = checksum_sum(h + 20, ihl - 20, 0);
        sum += options;
        sum += sum < options;
    }
    return checksum_sums_up(sum);
}
/* The checksum after a 16-bit or 32-bit field changed from `from` to `to` (all network order). */
static inline be16 checksum_update16(be16 sum, be16 from, be16 to) {
    return checksum_fold((uint32_t)(uint16_t)~sum + (uint16_t)~from + to);
}
static inline be16 checksum_update32(be16 sum, be32 from, be32 to) {
    uint32_t a = ~from, s = (uint16_t)~sum;
    return checksum_fold(s + (a & 0xffff) + (a >> 16) + (to & 0xffff) + (to >> 16));
}
/* TCP or UDP over IPv4, with the pseudo header. `len`: bytes from l4 to the end of the datagram. */
be16 checksum_l4_ipv4(be32 src, be32 dst, uint8_t proto, const void *l4, size_t len);

#endif
