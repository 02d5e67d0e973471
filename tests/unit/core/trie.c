/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tries and DIR24-8 against the linear oracles, through route tables: random prefixes, metrics, replacements and
 * removals.
 */
#include "frame6.h"
#include <errno.h>
#include <fwdlab/base/random.h>

#define SEED 20240229
#define ROUNDS 240
#define LOOKUPS 3000

/* Prefixes and destinations crowd in a few ranges, so that they nest; every length comes. */
static struct ip crowded4(struct random *r) {
    static const uint32_t near[] = {0x0a000000, 0x0a0000ff, 0x0a7fffff, 0xc0a80000, 0x00000000, 0xffffffff};
    uint32_t a = near[random_below(r, 6)];
    return ip_v4(htonl(a ^ ((uint32_t)random_u64(r) >> random_below(r, 33) % 32)));
}

static struct ip crowded6(struct random *r) {
    static const char *const near[] = {"2001:db8::", "2001:db8::ff", "2001:db8:7f:ffff::", "fe80::1", "::",
                                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    struct ip a = addr6(near[random_below(r, 6)]);
    for (unsigned bit = random_below(r, 129); bit < 128; bit++)
        a.v6[bit / 8] ^= (uint8_t)(random_below(r, 2) << bit % 8);
    return a;
}

struct pair {
    const struct route_backend *backend, *oracle;
    struct ip (*crowded)(struct random *r);
    unsigned bits, seed;
};

static struct route random_route(const struct pair *pair, struct random *r) {
    struct route route = {.port = (uint16_t)random_below(r, 3), .metric = random_below(r, 3)};
    struct ip a = pair->crowded(r);
    route.prefix = prefix_of(&a, random_below(r, pair->bits + 1));
    if (random_below(r, 10) == 0) {
        route.kind = ROUTE_BLACKHOLE;
        route.port = PORT_NONE;
    }
    return route;
}

static void compare(const struct pair *pair, const struct route_table *mine, const struct route_table *oracle,
                    struct random *r, unsigned round) {
    static uint8_t dst[LOOKUPS * 16];
    const unsigned bytes = pair->bits / 8;
    uint32_t a[LOOKUPS], b[LOOKUPS];
    for (unsigned i = 0; i < LOOKUPS; i++)
        memcpy(dst + i * bytes, pair->crowded(r).v6, bytes);
    for (unsigned i = 0, n; i < LOOKUPS; i += n) { /* bulks of every size */
        n = 1 + random_below(r, LOOKUPS - i < 70 ? LOOKUPS - i : 70);
        route_lookup(mine, dst + i * bytes, a + i, n);
        route_lookup(oracle, dst + i * bytes, b + i, n);
    }
    for (unsigned i = 0; i < LOOKUPS; i++) {
        cr_assert_eq(a[i] == ROUTE_NONE, b[i] == ROUTE_NONE, "lookup %u, round %u, seed %u", i, round, pair->seed);
        if (a[i] == ROUTE_NONE)
            continue;
        const struct route_path *p = route_path(mine, a[i]), *q = route_path(oracle, b[i]);
        cr_assert(p->route == q->route && p->n == q->n && p->kind == q->kind &&
                  memcmp(p->next, q->next, p->n * sizeof p->next[0]) == 0, "lookup %u, round %u, seed %u", i, round,
                  pair->seed);
    }
}

static void equals_the_oracle(const struct pair *pair) {
    struct random r;
    random_seed(&r, pair->seed);
    struct route_table *mine = route_table_create(pair->backend, 400);
    struct route_table *oracle = route_table_create(pair->oracle, 400);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned adds = random_below(&r, 40), removes = random_below(&r, 40);
        if (round % 60 == 59) /* down to the empty table now and then */
            adds = 0, removes = 100000;
        for (unsigned i = 0; i < adds; i++) {
            struct route route = random_route(pair, &r);
            cr_assert_eq(route_add(mine, &route), route_add(oracle, &route), "round %u, seed %u", round, pair->seed);
        }
        size_t n;
        for (unsigned i = 0; i < removes && (route_table_routes(mine, &n), n); i++) {
            struct route route = route_table_routes(mine, &n)[random_below(&r, (uint32_t)n)];
            cr_assert_eq(route_remove(mine, &route), 0, "round %u, seed %u", round, pair->seed);
            cr_assert_eq(route_remove(oracle, &route), 0, "round %u, seed %u", round, pair->seed);
        }
        compare(pair, mine, oracle, &r, round);
    }
    route_table_destroy(mine);
    route_table_destroy(oracle);
}

Test(trie, equals_the_oracle, .timeout = 200) {
    equals_the_oracle(&(struct pair){&route_trie, &route_linear, crowded4, 32, SEED});
}

Test(trie, direct_equals_the_oracle, .timeout = 200) {
    equals_the_oracle(&(struct pair){&route_direct, &route_linear, crowded4, 32, SEED + 2});
}

Test(trie, equals_the_oracle_ipv6, .timeout = 200) {
    equals_the_oracle(&(struct pair){&route_trie6, &route_linear6, crowded6, 128, SEED + 1});
}

/* Every length of one address: each is found where the longer ones end, and the shorter ones when it has gone. */
Test(trie, every_length_ipv6) {
    const struct ip all = addr6("2001:db8:5a5a:a5a5:1234:5678:9abc:deff");
    void *t = route_trie6.create(129);
    for (unsigned len = 0; len <= 128; len++)
        cr_assert_eq(route_trie6.add(t, prefix_of(&all, len).addr.v6, (uint8_t)len, len), 0);
    for (unsigned gone = 0; gone <= 128; gone++) {
        for (unsigned bit = 0; bit <= 128; bit++) { /* the address with this bit turned is in the prefixes up to it */
            struct ip dst = all;
            uint32_t value;
            if (bit < 128)
                dst.v6[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            route_trie6.lookup(t, dst.v6, &value, 1);
            cr_assert_eq(value, bit >= gone ? bit : ROUTE_NONE, "bit %u, without those under /%u", bit, gone);
        }
        cr_assert_eq(route_trie6.remove(t, prefix_of(&all, gone).addr.v6, (uint8_t)gone), 0);
    }
    route_trie6.destroy(t);
}

/* A backend of two prefixes: nets[0]/len and nets[1]/len are networks, hosts[i] are in them. */
static void limits(const struct route_backend *b, const struct ip nets[2], const struct ip hosts[2], uint8_t len) {
    const uint8_t zero[16] = {0}, full = b->family == FAMILY_IPV6 ? 128 : 32;
    uint8_t dst[32];
    uint32_t value[2];
    void *s = b->create(2);
    memcpy(dst, hosts[0].v6, full / 8);
    memcpy(dst + full / 8, hosts[1].v6, full / 8);
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == ROUTE_NONE && value[1] == ROUTE_NONE, "%s", b->name);
    cr_assert_eq(b->remove(s, nets[0].v6, len), -ENOENT, "%s", b->name);
    cr_assert_eq(b->add(s, nets[0].v6, len, 7), 0, "%s", b->name);
    cr_assert_eq(b->add(s, zero, 0, 8), 0, "%s", b->name);
    cr_assert_eq(b->add(s, nets[1].v6, len, 9), -ENOSPC, "%s", b->name);
    cr_assert_eq(b->add(s, zero, 1, 9), -ENOSPC, "%s", b->name);
    cr_assert_eq(b->add(s, nets[0].v6, len, 17), 0, "%s: a full backend still replaces", b->name);
    cr_assert_eq(b->add(s, zero, 0, 18), 0, "%s: a full backend still replaces", b->name);
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == 17 && value[1] == 18, "%s", b->name);
    cr_assert_eq(b->remove(s, zero, 0), 0, "%s", b->name);
    cr_assert_eq(b->remove(s, zero, 0), -ENOENT, "%s", b->name);
    cr_assert_eq(b->add(s, hosts[1].v6, full, 1), 0, "%s", b->name);
    b->lookup(s, dst, value, 2);
    cr_assert(value[0] == 17 && value[1] == 1, "%s", b->name);
    b->destroy(s);
}

Test(trie, limits_and_replacement) {
    const struct ip nets[] = {ip_v4(addr("10.0.0.0")), ip_v4(addr("10.0.1.0"))};
    const struct ip hosts[] = {ip_v4(addr("10.0.0.1")), ip_v4(addr("11.0.0.1"))};
    const struct ip nets6[] = {addr6("2001:db8::"), addr6("2001:db8:1::")};
    const struct ip hosts6[] = {addr6("2001:db8::1"), addr6("2001:db9::1")};
    limits(&route_trie, nets, hosts, 24);
    limits(&route_linear, nets, hosts, 24);
    limits(&route_direct, nets, hosts, 24);
    limits(&route_trie6, nets6, hosts6, 48);
    limits(&route_linear6, nets6, hosts6, 48);
}
