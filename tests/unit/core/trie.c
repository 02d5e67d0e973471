/* SPDX-License-Identifier: BSD-3-Clause */
/* The trie against the linear oracle, through route tables: random prefixes, metrics, replacements and removals. */
#include "frame.h"
#include <errno.h>
#include <fwdlab/base/random.h>

#define SEED 20240229
#define ROUNDS 240
#define LOOKUPS 3000

/* Prefixes and destinations crowd in a few ranges, so that they nest; every length comes. */
static be32 crowded(struct random *r) {
    static const uint32_t near[] = {0x0a000000, 0x0a0000ff, 0x0a7fffff, 0xc0a80000, 0x00000000, 0xffffffff};
    uint32_t a = near[random_below(r, 6)];
    return htonl(a ^ ((uint32_t)random_u64(r) >> random_below(r, 33) % 32));
}

static struct route random_route(struct random *r) {
    struct route route = {.port = (uint16_t)random_below(r, 3), .metric = random_below(r, 3)};
    struct ip a = ip_v4(crowded(r));
    route.prefix = prefix_of(&a, random_below(r, 33));
    if (random_below(r, 10) == 0) {
        route.kind = ROUTE_BLACKHOLE;
        route.port = PORT_NONE;
    }
    return route;
}

static void compare(const struct route_table *trie, const struct route_table *linear, struct random *r,
                    unsigned round) {
    be32 dst[LOOKUPS];
    uint32_t a[LOOKUPS], b[LOOKUPS];
    for (unsigned i = 0; i < LOOKUPS; i++)
        dst[i] = crowded(r);
    for (unsigned i = 0, n; i < LOOKUPS; i += n) { /* bulks of every size */
        n = 1 + random_below(r, LOOKUPS - i < 70 ? LOOKUPS - i : 70);
        route_lookup(trie, dst + i, a + i, n);
        route_lookup(linear, dst + i, b + i, n);
    }
    for (unsigned i = 0; i < LOOKUPS; i++) {
        cr_assert_eq(a[i] == ROUTE_NONE, b[i] == ROUTE_NONE, "%#x, round %u, seed %d", ntohl(dst[i]), round, SEED);
        if (a[i] == ROUTE_NONE)
            continue;
        const struct route_path *p = route_path(trie, a[i]), *q = route_path(linear, b[i]);
        cr_assert(p->route == q->route && p->n == q->n && p->kind == q->kind &&
                  memcmp(p->next, q->next, p->n * sizeof p->next[0]) == 0, "%#x, round %u, seed %d",
                  ntohl(dst[i]), round, SEED);
    }
}

Test(trie, equals_the_oracle, .timeout = 200) {
    struct random r;
    random_seed(&r, SEED);
    struct route_table *trie = route_table_create(&route_trie, 400), *linear = route_table_create(&route_linear, 400);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned adds = random_below(&r, 40), removes = random_below(&r, 40);
        if (round % 60 == 59) /* down to the empty table now and then */
            adds = 0, removes = 100000;
        for (unsigned i = 0; i < adds; i++) {
            struct route route = random_route(&r);
            cr_assert_eq(route_add(trie, &route), route_add(linear, &route), "round %u, seed %d", round, SEED);
        }
        size_t n;
        for (unsigned i = 0; i < removes && (route_table_routes(trie, &n), n); i++) {
            struct route route = route_table_routes(trie, &n)[random_below(&r, (uint32_t)n)];
            cr_assert_eq(route_remove(trie, &route), 0, "round %u, seed %d", round, SEED);
            cr_assert_eq(route_remove(linear, &route), 0, "round %u, seed %d", round, SEED);
        }
        compare(trie, linear, &r, round);
    }
    route_table_destroy(trie);
    route_table_destroy(linear);
}

static void limits(const struct route_backend *b) {
    void *s = b->create(2);
    uint32_t value[2];
    be32 dst[2] = {addr("10.0.0.1"), addr("11.0.0.1")};
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == ROUTE_NONE && value[1] == ROUTE_NONE, "%s", b->name);
    cr_assert_eq(b->remove(s, addr("10.0.0.0"), 24), -ENOENT, "%s", b->name);
    cr_assert_eq(b->add(s, addr("10.0.0.0"), 24, 7), 0, "%s", b->name);
    cr_assert_eq(b->add(s, 0, 0, 8), 0, "%s", b->name);
    cr_assert_eq(b->add(s, addr("10.0.1.0"), 24, 9), -ENOSPC, "%s", b->name);
    cr_assert_eq(b->add(s, 0, 1, 9), -ENOSPC, "%s", b->name);
    cr_assert_eq(b->add(s, addr("10.0.0.0"), 24, 17), 0, "%s: a full backend still replaces", b->name);
    cr_assert_eq(b->add(s, 0, 0, 18), 0, "%s: a full backend still replaces", b->name);
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == 17 && value[1] == 18, "%s", b->name);
    cr_assert_eq(b->remove(s, 0, 0), 0, "%s", b->name);
    cr_assert_eq(b->remove(s, 0, 0), -ENOENT, "%s", b->name);
    cr_assert_eq(b->add(s, addr("11.0.0.1"), 32, 1), 0, "%s", b->name);
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == 17 && value[1] == 1, "%s", b->name);
    b->destroy(s);
}

Test(trie, limits_and_replacement) {
    limits(&route_trie);
    limits(&route_linear);
}
