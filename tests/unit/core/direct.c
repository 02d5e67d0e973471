/* SPDX-License-Identifier: BSD-3-Clause */
/* The DIR24-8 backend against the trie: values as they come, groups of longer prefixes that come and go, its limits. */
#include "frame.h"
#include <errno.h>
#include <fwdlab/base/random.h>

#define LOOKUPS 200

/* Few addresses and many lengths, so that prefixes nest, meet again and share their /24. */
static be32 random_address(struct random *r) {
    static const uint32_t some[] = {0, 0x0a000000, 0x0a0000ff, 0x0a000100, 0xc0a80080, 0xffffff00, 0xffffffff};
    return htonl(some[random_below(r, 7)] ^ random_below(r, 1u << random_below(r, 18)));
}

static void compare(void *trie, void *direct, struct random *r, unsigned seed) {
    be32 dst[LOOKUPS];
    uint32_t a[LOOKUPS], b[LOOKUPS];
    const unsigned n = 1 + random_below(r, LOOKUPS);
    for (unsigned i = 0; i < n; i++)
        dst[i] = i % 4 ? random_address(r) : (be32)random_u64(r);
    route_trie.lookup(trie, dst, a, n);
    route_direct.lookup(direct, dst, b, n);
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(a[i], b[i], "seed %u: %08x is %u in the trie, %u here", seed, ntohl(dst[i]), a[i], b[i]);
}

/* Four values only: a prefix often says what its cover says. Short ones are rare: each takes a while. */
static void churn(unsigned max, unsigned steps, unsigned seed) {
    struct random r;
    void *trie = route_trie.create(max), *direct = route_direct.create(max);
    unsigned full = 0, removed = 0;
    random_seed(&r, seed);
    for (unsigned i = 0; i < steps; i++) {
        const uint8_t len = (uint8_t)(random_below(&r, 50) ? 17 + random_below(&r, 16) : random_below(&r, 33));
        const be32 prefix = random_address(&r) & ipv4_mask(len);
        const uint32_t value = random_below(&r, 4);
        const bool add = random_below(&r, i < steps / 2 ? 3 : 2);
        const int a = add ? route_trie.add(trie, &prefix, len, value) : route_trie.remove(trie, &prefix, len);
        const int b = add ? route_direct.add(direct, &prefix, len, value) : route_direct.remove(direct, &prefix, len);
        cr_assert_eq(a, b, "seed %u, step %u: the trie says %d, not %d", seed, i, a, b);
        full += b == -ENOSPC;
        removed += !add && b == 0;
        if (i % 16 == 0)
            compare(trie, direct, &r, seed);
    }
    cr_assert_gt(removed, steps / 50);
    cr_assert_eq(full > 0, max < 500, "full %u times with room for %u", full, max);
    route_trie.destroy(trie);
    route_direct.destroy(direct);
}

Test(direct, equals_the_trie) {
    for (unsigned seed = 1; seed <= 3; seed++)
        churn(20000, 20000, seed);
}

Test(direct, equals_the_trie_when_full) {
    for (unsigned seed = 11; seed <= 13; seed++)
        churn(300, 6000, seed);
}

static uint32_t find(void *direct, uint32_t addr) {
    uint32_t value;
    route_direct.lookup(direct, &(be32){htonl(addr)}, &value, 1);
    return value;
}

Test(direct, values_and_lengths) {
    void *d = route_direct.create(10);
    const be32 net = htonl(0x0a000000);
    cr_assert_eq(find(d, 0x0a000001), ROUTE_NONE);
    cr_assert_eq(route_direct.add(d, &net, 25, 0x7fffffff), 0);
    cr_assert_eq(find(d, 0x0a000001), 0x7fffffff);
    cr_assert_eq(route_direct.add(d, &net, 25, 0x80000000), -ERANGE);
    cr_assert_eq(route_direct.add(d, &net, 33, 1), -EINVAL);
    cr_assert_eq(route_direct.remove(d, &net, 33), -EINVAL);
    cr_assert_eq(route_direct.remove(d, &net, 24), -ENOENT);
    cr_assert_eq(route_direct.add(d, &net, 8, 3), 0);
    cr_assert_eq(route_direct.add(d, &net, 25, ROUTE_NONE), 0, "a prefix without a way hides its cover");
    cr_assert_eq(find(d, 0x0a000001), ROUTE_NONE);
    cr_assert_eq(find(d, 0x0a000080), 3);
    route_direct.destroy(d);
    cr_assert_eq(route_direct.create(0), NULL);
}

/* Every length of one address: each is found where the longer ones end, and the shorter ones when it has gone. */
Test(direct, every_length) {
    const uint32_t all = 0xdeadbeef;
    void *d = route_direct.create(33);
    for (unsigned len = 0; len <= 32; len++)
        cr_assert_eq(route_direct.add(d, &(be32){htonl(all) & ipv4_mask(len)}, (uint8_t)len, len), 0);
    for (unsigned gone = 0; gone <= 32; gone++) {
        for (unsigned bit = 0; bit <= 32; bit++) /* the address with this bit turned is in the prefixes up to it */
            cr_assert_eq(find(d, bit < 32 ? all ^ 0x80000000u >> bit : all), bit >= gone ? bit : ROUTE_NONE,
                         "bit %u, without those under /%u", bit, gone);
        cr_assert_eq(route_direct.remove(d, &(be32){htonl(all) & ipv4_mask(gone)}, (uint8_t)gone), 0);
    }
    route_direct.destroy(d);
}

/* As many groups as there is room for, again and again. */
Test(direct, groups_are_given_back) {
    enum { N = 600 };
    void *d = route_direct.create(N);
    cr_assert_eq(route_direct.add(d, &(be32){htonl(0x0a000000)}, 8, 7), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < N - 1; i++)
            cr_assert_eq(route_direct.add(d, &(be32){htonl(0x0a000080 + (i << 8))}, 25, round), 0, "%u", i);
        cr_assert_eq(route_direct.add(d, &(be32){htonl(0x0b000080)}, 25, 1), -ENOSPC);
        for (uint32_t i = 0; i < N - 1; i++) {
            cr_assert(find(d, 0x0a000080 + (i << 8)) == round && find(d, 0x0a00007f + (i << 8)) == 7, "%u", i);
            cr_assert_eq(route_direct.remove(d, &(be32){htonl(0x0a000080 + (i << 8))}, 25), 0, "%u", i);
            cr_assert_eq(find(d, 0x0a000080 + (i << 8)), 7, "%u", i);
        }
    }
    route_direct.destroy(d);
}
