/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <fwdlab/base/prefixes.h>

#define N 20000

Test(prefixes, distinct_ascending_and_out_of_the_way) {
    struct ip_prefix avoid[2], *p = calloc(N, sizeof *p), *again = calloc(N, sizeof *again);
    struct random r;
    unsigned lengths[33] = {0};
    prefix_parse("192.0.2.0/24", &avoid[0]);
    prefix_parse("64.0.0.0/3", &avoid[1]);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        random_seed(&r, seed);
        cr_assert_eq(prefixes_make(p, N, avoid, 2, &r), 0);
        random_seed(&r, seed);
        cr_assert_eq(prefixes_make(again, N, avoid, 2, &r), 0);
        for (unsigned i = 0; i < N; i++) {
            uint8_t octet = (uint8_t)(ntohl(p[i].addr.v4) >> 24);
            cr_assert(prefix_equal(&p[i], &again[i]), "seed %lu", seed);
            cr_assert(!(p[i].addr.v4 & ~ipv4_mask(p[i].len)), "no host bits");
            cr_assert(octet != 0 && octet != 10 && octet != 127 && octet < 224);
            cr_assert(!prefix_overlaps(&p[i], &avoid[0]) && !prefix_overlaps(&p[i], &avoid[1]), "seed %lu: %u", seed,
                      i);
            int order = i ? ip_compare(&p[i - 1].addr, &p[i].addr) : -1;
            cr_assert(order < 0 || (order == 0 && p[i - 1].len < p[i].len), "seed %lu: %u", seed, i);
            lengths[p[i].len]++;
        }
    }
    cr_assert(lengths[24] > N * 5 / 2 && lengths[16] > N / 20 && lengths[32] > 0, "most are /24");
    free(p);
    free(again);
}

Test(prefixes, no_room_is_an_error) {
    struct ip_prefix all = {.addr = ip_v4(0), .len = 0}, out[4];
    struct random r;
    random_seed(&r, 1);
    cr_assert_eq(prefixes_make(out, 4, &all, 1, &r), -ENOSPC);
    cr_assert_eq(prefixes_make(out, 0, &all, 1, &r), 0);
}
