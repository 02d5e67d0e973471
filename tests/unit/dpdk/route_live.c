/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes that change while packets flow, over DIR24-8: batches against a plain table on the linear oracle. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/random.h>
#include <fwdlab/core/route_live.h>
#include <fwdlab/dpdk/dpdk.h>

static struct route random_route(struct random *r) {
    struct ip a = ip_v4(htonl(0x0a000000 | random_below(r, 1u << random_below(r, 18))));
    uint8_t len = (uint8_t)(random_below(r, 3) ? 20 + random_below(r, 13) : random_below(r, 33));
    return (struct route){.prefix = prefix_of(&a, len), .via = ip_v4(1 + random_below(r, 3)), .port = 1};
}

static void compare(const struct route_table *a, const struct route_table *b, struct random *r, uint64_t seed) {
    be32 dst[64];
    uint32_t x[64], y[64];
    for (unsigned i = 0; i < 64; i++)
        dst[i] = i % 8 ? random_route(r).prefix.addr.v4 : (be32)random_u64(r);
    route_lookup(a, dst, x, 64);
    route_lookup(b, dst, y, 64);
    for (unsigned i = 0; i < 64; i++) {
        cr_assert_eq(x[i] == ROUTE_NONE, y[i] == ROUTE_NONE, "seed %lu: %08x", (unsigned long)seed, ntohl(dst[i]));
        if (x[i] == ROUTE_NONE)
            continue;
        const struct route_path *p = route_path(a, x[i]), *q = route_path(b, y[i]);
        cr_assert(p->n == q->n && p->next[0].via == q->next[0].via, "seed %lu: %08x", (unsigned long)seed,
                  ntohl(dst[i]));
    }
}

/* `before` is looked into while the batch goes into the other table, and must say what it said. */
static void churn(uint32_t max, uint64_t seed) {
    struct random r;
    struct route_live *l = route_live_create(&route_dir24_8, max, 1, NULL, 0, NULL);
    struct route_table *plain = route_table_create(&route_linear, max);
    unsigned full = 0, done = 0;
    random_seed(&r, seed);
    cr_assert(l && plain);
    for (unsigned round = 0; round < 300; round++) {
        struct route_change c[30];
        for (unsigned i = 0; i < 30; i++)
            c[i] = (struct route_change){.op = (uint8_t)random_below(&r, 3), .route = random_route(&r)};
        const struct route_table *before = route_live_enter(l, 0);
        compare(before, plain, &r, seed);
        cr_assert_eq(route_live_update(l, c, 30), 0);
        compare(before, plain, &r, seed);
        for (unsigned i = 0; i < 30; i++) {
            int code = c[i].op == ROUTE_OP_ADD      ? route_add(plain, &c[i].route)
                       : c[i].op == ROUTE_OP_REMOVE ? route_remove(plain, &c[i].route)
                                                    : route_replace(plain, &c[i].route);
            cr_assert_eq(code, c[i].code, "seed %lu, round %u: %d, not %d", (unsigned long)seed, round, c[i].code,
                         code);
            full += code == -ENOSPC;
            done += code == 0;
        }
        compare(route_live_enter(l, 0), plain, &r, seed);
        cr_assert(route_live_settled(l), "both tables took the same, or neither");
    }
    cr_assert_gt(done, 1000u);
    cr_assert_eq(full > 0, max < 1000, "full %u times with room for %u", full, max);
    route_live_destroy(l);
    route_table_destroy(plain);
}

Test(route_live, dir24_8_as_a_plain_table) {
    struct err e;
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 1024}, &e), 0, "%s", e.what);
    churn(20000, 1);
    churn(200, 2);
    churn(200, 3);
}
