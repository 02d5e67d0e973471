/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums: a published example, and updates against sums made anew. */
#include "frame.h"
#include <fwdlab/base/random.h>

#define SEED 1624

Test(checksum, example_of_rfc_1071) {
    const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    cr_assert_eq(checksum_fold(checksum_sum(data, sizeof data, 0)), htons((uint16_t)~0xddf2));
}

Test(checksum, every_length_and_remainder) {
    uint8_t data[64];
    struct random r;
    random_seed(&r, SEED);
    for (unsigned len = 0; len <= sizeof data; len++) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < len; i++) {
            data[i] = (uint8_t)random_u64(&r);
            sum += i & 1 ? data[i] : (unsigned)data[i] << 8;
        }
        sum = (sum & 0xffff) + (sum >> 16);
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, data, len);
        cr_assert_eq(checksum_fold(checksum_sum(exact, len, 0)), htons((uint16_t)~sum), "%u bytes, seed %d", len, SEED);
        free(exact);
    }
}

Test(checksum, update_equals_recomputation) {
    struct random r;
    random_seed(&r, SEED);
    for (unsigned round = 0; round < 100000; round++) {
        struct ipv4_header ip;
        uint64_t words[3] = {random_u64(&r), random_u64(&r), random_u64(&r)};
        memcpy(&ip, words, sizeof ip);
        ip.version_ihl = 0x45; /* never all zeros: the two zeros of one's complement stay apart */
        ip.checksum = 0;
        ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
        be32 to = round & 1 ? (be32)random_u64(&r) : (be32)-(round >> 1 & 1);
        be16 updated = checksum_update32(ip.checksum, ip.src, to);
        ip.src = to;
        be16 id = round & 1 ? (be16)random_u64(&r) : (be16)-(round >> 2 & 1);
        updated = checksum_update16(updated, ip.id, id);
        ip.id = id;
        ip.checksum = 0;
        cr_assert_eq(updated, checksum_fold(checksum_sum(&ip, sizeof ip, 0)), "round %u, seed %d", round, SEED);
    }
}

Test(checksum, udp_with_pseudo_header) {
    /* 10.0.0.1:1000 to 10.0.0.2:2000, "hi": 0a00+0001+0a00+0002+0011+000a + 03e8+07d0+000a + 6869 */
    const uint8_t udp[] = {0x03, 0xe8, 0x07, 0xd0, 0, 10, 0, 0, 'h', 'i'};
    uint32_t sum = 0x0a00 + 1 + 0x0a00 + 2 + 17 + 10 + 0x03e8 + 0x07d0 + 10 + 0x6869;
    be16 check = checksum_l4_ipv4(addr("10.0.0.1"), addr("10.0.0.2"), PROTO_UDP, udp, sizeof udp);
    cr_assert_eq(ntohs(check), (uint16_t)~sum);
}
