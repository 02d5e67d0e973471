/* SPDX-License-Identifier: BSD-3-Clause */
/* DIR24-8 against the linear oracle and the trie, with random prefixes that come, change and go. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>

static void start(void) {
    struct err e;
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0, "%s", e.what);
}

/* Few addresses and many lengths, so that prefixes nest, meet again and share their /24. */
static be32 random_address(struct random *r) {
    static const uint32_t some[] = {0, 0x0a000000, 0x0a0000ff, 0x0a000100, 0xc0a80080, 0xffffff00, 0xffffffff};
    return htonl(some[random_below(r, 7)] ^ random_below(r, 1u << random_below(r, 18)));
}

static void compare(const struct route_backend *other, void *o, void *f, struct random *r, uint64_t seed) {
    be32 dst[200];
    uint32_t a[200], b[200];
    for (unsigned i = 0; i < 200; i++)
        dst[i] = i % 4 ? random_address(r) : (be32)random_u64(r);
    unsigned n = 1 + random_below(r, 200);
    other->lookup(o, dst, a, n);
    route_dir24_8.lookup(f, dst, b, n);
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(a[i], b[i], "seed %lu: %08x is %u in %s, %u in DIR24-8", seed, ntohl(dst[i]), a[i], other->name,
                     b[i]);
}

static void churn(const struct route_backend *other, unsigned max, unsigned steps, uint64_t seed) {
    struct random r;
    void *o = other->create(max), *f = route_dir24_8.create(max);
    unsigned full = 0, removed = 0;
    cr_assert(o && f);
    random_seed(&r, seed);
    for (unsigned i = 0; i < steps; i++) {
        uint8_t len = (uint8_t)(random_below(&r, 3) ? 20 + random_below(&r, 13) : random_below(&r, 33));
        be32 prefix = random_address(&r) & ipv4_mask(len);
        uint32_t value = random_below(&r, 4);
        bool add = random_below(&r, i < steps / 2 ? 3 : 2);
        int a = add ? other->add(o, &prefix, len, value) : other->remove(o, &prefix, len);
        int b = add ? route_dir24_8.add(f, &prefix, len, value) : route_dir24_8.remove(f, &prefix, len);
        cr_assert_eq(a, b, "seed %lu, step %u: %s says %d, DIR24-8 %d", seed, i, other->name, a, b);
        full += b == -ENOSPC;
        removed += !add && b == 0;
        if (i % 16 == 0)
            compare(other, o, f, &r, seed);
    }
    cr_assert_gt(removed, steps / 20);
    cr_assert_eq(full > 0, max < 500, "full %u times with room for %u", full, max);
    other->destroy(o);
    route_dir24_8.destroy(f);
}

Test(fib, equals_linear) {
    start();
    for (uint64_t seed = 1; seed <= 3; seed++)
        churn(&route_linear, 4000, 6000, seed);
}

/* Also when there is hardly room: the same -ENOSPC, and no answer is wrong afterwards. */
Test(fib, equals_linear_when_full) {
    start();
    for (uint64_t seed = 11; seed <= 13; seed++)
        churn(&route_linear, 300, 6000, seed);
}

Test(fib, equals_trie) {
    start();
    churn(&route_trie, 40000, 60000, 21);
}

Test(fib, values) {
    start();
    void *f = route_dir24_8.create(10);
    be32 net = htonl(0x0a000000), dst = htonl(0x0a000001);
    uint32_t value = 1;
    route_dir24_8.lookup(f, &dst, &value, 1);
    cr_assert_eq(value, ROUTE_NONE);
    cr_assert_eq(route_dir24_8.add(f, &net, 25, 0x7ffffffd), 0);
    route_dir24_8.lookup(f, &dst, &value, 1);
    cr_assert_eq(value, 0x7ffffffd);
    cr_assert_eq(route_dir24_8.add(f, &net, 25, 0x7ffffffe), -ERANGE);
    cr_assert_eq(route_dir24_8.add(f, &net, 33, 1), -EINVAL);
    cr_assert_eq(route_dir24_8.remove(f, &net, 24), -ENOENT);
    cr_assert_eq(route_dir24_8.add(f, &net, 25, ROUTE_NONE), 0);
    route_dir24_8.lookup(f, &dst, &value, 1);
    cr_assert_eq(value, ROUTE_NONE);
    route_dir24_8.destroy(f);
}

/* A prefix beyond /24 that says what its cover says: entered and taken away again, it leaves no trace. */
Test(fib, same_value_as_cover) {
    start();
    void *f = route_dir24_8.create(600);
    be32 dst;
    uint32_t value;
    cr_assert_eq(route_dir24_8.add(f, &(be32){htonl(0x0a000000)}, 8, 7), 0);
    for (unsigned round = 0; round < 3; round++) {
        const uint32_t nh = round == 1 ? 8 : 7;
        for (uint32_t i = 0; i < 500; i++)
            cr_assert_eq(route_dir24_8.add(f, &(be32){htonl(0x0a000080 + (i << 8))}, 25, nh), 0, "%u", i);
        dst = htonl(0x0a000180);
        route_dir24_8.lookup(f, &dst, &value, 1);
        cr_assert_eq(value, nh);
        for (uint32_t i = 0; i < 500; i++)
            cr_assert_eq(route_dir24_8.remove(f, &(be32){htonl(0x0a000080 + (i << 8))}, 25), 0, "%u", i);
    }
    route_dir24_8.destroy(f);
}

/* The default route over neighbours at the end of the address space: they stay what they are. */
Test(fib, end_of_the_address_space) {
    start();
    void *f = route_dir24_8.create(10);
    const be32 dst[4] = {htonl(0x0a000001), htonl(0xe0000001), htonl(0xf0000001), htonl(0xffffffff)};
    uint32_t value[4];
    cr_assert_eq(route_dir24_8.add(f, &(be32){htonl(0x0a000000)}, 8, 1), 0);
    cr_assert_eq(route_dir24_8.add(f, &(be32){htonl(0xe0000000)}, 4, 2), 0);
    cr_assert_eq(route_dir24_8.add(f, &(be32){htonl(0xf0000000)}, 4, 3), 0);
    cr_assert_eq(route_dir24_8.add(f, &(be32){0}, 0, 4), 0);
    route_dir24_8.lookup(f, dst, value, 4);
    cr_assert(value[0] == 1 && value[1] == 2 && value[2] == 3 && value[3] == 3);
    cr_assert_eq(route_dir24_8.remove(f, &(be32){htonl(0xf0000000)}, 4), 0);
    route_dir24_8.lookup(f, dst, value, 4);
    cr_assert(value[0] == 1 && value[1] == 2 && value[2] == 4 && value[3] == 4);
    route_dir24_8.destroy(f);
}

/* As many configurations as a comparison has, each with its own table, in the default memory. */
Test(fib, many_tables) {
    struct err e;
    void *f[8];
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true}, &e), 0, "%s", e.what);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert(f[i] = route_dir24_8.create(10000), "table %u", i);
        cr_assert_eq(route_dir24_8.add(f[i], &(be32){0}, 0, i), 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint32_t value;
        route_dir24_8.lookup(f[i], &(be32){htonl(0x01020304)}, &value, 1);
        cr_assert_eq(value, i);
        route_dir24_8.destroy(f[i]);
    }
}
