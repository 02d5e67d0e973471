/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum over bytes: 32-bit words are summed, which one's complement arithmetic allows (RFC 1071, 2). */
#include <fwdlab/core/checksum.h>

#include <string.h>

uint32_t checksum_sum(const void *data, size_t len, uint32_t sum) {
    const uint8_t *p = data;
    uint64_t s = sum;
    uint32_t word;
    for (; len >= 4; p += 4, len -= 4) {
        memcpy(&word, p, 4);
        s += word;
    }
    word = 0;
    memcpy(&word, p, len); /* the rest is padded with zeros */
    s += word;
    return (uint32_t)((s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32 & 0xffff) + (s >> 48));
}

be16 checksum_l4_ipv4(be32 src, be32 dst, uint8_t proto, const void *l4, size_t len) {
    uint32_t sum = (src & 0xffff) + (src >> 16) + (dst & 0xffff) + (dst >> 16);
    return checksum_fold(checksum_sum(l4, len, sum + htons(proto) + htons((uint16_t)len)));
}
