/* SPDX-License-Identifier: BSD-3-Clause */
/* The route table: winners, what hides what, ECMP, removal, refusals, and a table of a million. */
#include "frame.h"
#include <errno.h>
#include <stdio.h>
#include <fwdlab/base/random.h>

static struct route_table *table(uint32_t max) {
    return route_table_create(&route_trie, max);
}

static int add(struct route_table *t, const char *prefix, const char *via, uint16_t port, unsigned metric, int kind) {
    struct route r = route_make(prefix, via, port, metric, kind);
    return route_add(t, &r);
}

static int take(struct route_table *t, const char *prefix, const char *via, uint16_t port, unsigned metric, int kind) {
    struct route r = route_make(prefix, via, port, metric, kind);
    return route_remove(t, &r);
}

static const struct route_path *find(const struct route_table *t, const char *dst) {
    be32 key = addr(dst);
    uint32_t path;
    route_lookup(t, &key, &path, 1);
    return path == ROUTE_NONE ? NULL : route_path(t, path);
}

Test(route, longest_prefix_then_metric) {
    struct route_table *t = table(100);
    cr_assert_null(find(t, "10.0.0.1"));
    cr_assert_eq(add(t, "0.0.0.0/0", "10.0.0.1", 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "10.0.0.0/22", "10.0.1.1", 2, 256, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "10.0.0.0/24", "10.0.0.1", 1, 256, ROUTE_UNICAST), 0);
    cr_assert_eq(find(t, "10.0.0.9")->route, 2u);
    cr_assert_eq(find(t, "10.0.3.9")->route, 1u);
    cr_assert_eq(find(t, "10.0.4.9")->route, 0u);
    cr_assert_eq(find(t, "10.0.3.9")->next[0].via, addr("10.0.1.1"));
    cr_assert_eq(add(t, "10.0.0.0/24", NULL, 1, 0, ROUTE_UNICAST), 0); /* a connected route hides Route 1 */
    cr_assert_eq(find(t, "10.0.0.9")->route, 3u);
    cr_assert_eq(find(t, "10.0.0.9")->next[0].via, 0u);
    cr_assert_eq(route_hidden_by(t, 2), 3u);
    cr_assert_eq(route_hidden_by(t, 3), ROUTE_NONE);
    cr_assert_eq(route_hidden_by(t, 1), ROUTE_NONE, "a longer prefix hides nothing");
    cr_assert_eq(take(t, "10.0.0.0/24", NULL, 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(find(t, "10.0.0.9")->route, 2u);
    cr_assert_eq(take(t, "10.0.0.0/24", "10.0.0.1", 1, 256, ROUTE_UNICAST), 0);
    cr_assert_eq(find(t, "10.0.0.9")->route, 1u);
    route_table_destroy(t);
}

Test(route, order_of_adding_without_holes) {
    struct route_table *t = table(100);
    const char *prefixes[] = {"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.1.0/24", "10.0.3.0/24"};
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(add(t, prefixes[i], NULL, (uint16_t)i, i, ROUTE_UNICAST), 0);
    uint64_t generation = route_generation(t);
    cr_assert_eq(take(t, prefixes[0], NULL, 0, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(take(t, prefixes[2], NULL, 2, 2, ROUTE_UNICAST), 0);
    cr_assert_neq(route_generation(t), generation);
    size_t n;
    const struct route *r = route_table_routes(t, &n);
    cr_assert(n == 3 && r[0].port == 1 && r[1].port == 3 && r[2].port == 4);
    cr_assert_eq(find(t, "10.0.3.1")->route, 2u);
    cr_assert_eq(route_hidden_by(t, 1), 0u);
    cr_assert_eq(add(t, "10.0.1.0/24", NULL, 9, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(route_hidden_by(t, 0), 3u);
    cr_assert_eq(route_hidden_by(t, 1), 3u);
    route_table_destroy(t);
}

Test(route, equal_metrics_share) {
    struct route_table *t = table(100);
    char via[IP_TEXT];
    for (unsigned i = 0; i < ROUTE_ECMP_MAX + 2; i++) {
        snprintf(via, sizeof via, "10.0.0.%u", i + 1);
        cr_assert_eq(add(t, "192.0.2.0/24", via, (uint16_t)i, 5, ROUTE_UNICAST), 0);
        const struct route_path *p = find(t, "192.0.2.1");
        cr_assert_eq(p->n, i < ROUTE_ECMP_MAX ? i + 1 : ROUTE_ECMP_MAX);
        for (unsigned k = 0; k < p->n; k++)
            cr_assert_eq(p->next[k].port, k);
        cr_assert_eq(route_hidden_by(t, i), i < ROUTE_ECMP_MAX ? ROUTE_NONE : 0u);
    }
    cr_assert_eq(take(t, "192.0.2.0/24", "10.0.0.1", 0, 5, ROUTE_UNICAST), 0);
    cr_assert(find(t, "192.0.2.1")->n == ROUTE_ECMP_MAX && find(t, "192.0.2.1")->next[0].port == 1);
    cr_assert_eq(add(t, "192.0.2.0/24", NULL, PORT_NONE, 5, ROUTE_BLACKHOLE), 0);
    cr_assert_eq(find(t, "192.0.2.1")->kind, ROUTE_UNICAST, "the first added wins against another kind");
    cr_assert_eq(route_hidden_by(t, 17), 0u);
    cr_assert_eq(add(t, "192.0.2.0/24", NULL, PORT_NONE, 4, ROUTE_UNREACHABLE), 0);
    cr_assert(find(t, "192.0.2.1")->kind == ROUTE_UNREACHABLE && find(t, "192.0.2.1")->n == 1);
    cr_assert_eq(add(t, "192.0.2.0/24", "10.0.0.1", 0, 4, ROUTE_UNICAST), 0);
    cr_assert_eq(find(t, "192.0.2.1")->kind, ROUTE_UNREACHABLE);
    cr_assert_eq(route_hidden_by(t, 19), 18u);
    route_table_destroy(t);
}

Test(route, refusals) {
    struct route_table *t = table(2);
    struct route r = route_make("10.0.0.0/24", "10.0.0.1", 1, 0, ROUTE_UNICAST), bad = r;
    cr_assert_eq(route_add(t, &r), 0);
    cr_assert_eq(route_add(t, &r), -EEXIST);
    bad.prefix.addr.v4 = addr("10.0.0.1");
    cr_assert_eq(route_add(t, &bad), -EINVAL, "host bits");
    bad = r;
    bad.prefix.len = 33;
    cr_assert_eq(route_add(t, &bad), -EINVAL);
    bad = r;
    bad.kind = ROUTE_PROHIBIT + 1;
    cr_assert_eq(route_add(t, &bad), -EINVAL);
    bad = route_make("10.0.1.0/24", NULL, 1, 0, ROUTE_BLACKHOLE);
    cr_assert_eq(route_add(t, &bad), -EINVAL, "a port that cannot be");
    bad = route_make("10.0.1.0/24", NULL, PORT_NONE, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &bad), -EINVAL, "no port");
    bad = route_make("2001:db8::/32", NULL, 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &bad), -EAFNOSUPPORT);
    bad = route_make("10.0.1.0/24", "2001:db8::1", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &bad), -EAFNOSUPPORT);
    cr_assert_eq(take(t, "10.0.0.0/24", "10.0.0.1", 1, 7, ROUTE_UNICAST), -ENOENT);
    cr_assert_eq(take(t, "10.0.0.0/23", "10.0.0.1", 1, 0, ROUTE_UNICAST), -ENOENT);
    cr_assert_eq(add(t, "10.0.1.0/24", NULL, 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "10.0.2.0/24", NULL, 1, 0, ROUTE_UNICAST), -ENOSPC, "two prefixes are the limit");
    cr_assert_eq(add(t, "10.0.1.0/24", NULL, 2, 0, ROUTE_UNICAST), 0, "another route of a known prefix is not");
    size_t n;
    route_table_routes(t, &n);
    cr_assert_eq(n, 3u, "what was refused left nothing behind");
    route_table_destroy(t);
}

Test(route, hash_is_symmetric_and_spreads) {
    struct random r;
    random_seed(&r, 5);
    struct route_table *t = table(10);
    for (uint16_t port = 0; port < 3; port++)
        cr_assert_eq(add(t, "0.0.0.0/0", NULL, port, 0, ROUTE_UNICAST), 0);
    const struct route_path *path = find(t, "192.0.2.1");
    unsigned taken[3] = {0}, n = 30000;
    for (unsigned i = 0; i < n; i++) {
        be32 src = htonl(0x0a000000 + random_below(&r, 256)), dst = htonl(0xc0000200 + i % 7);
        be16 sport = htons((uint16_t)(32768 + i)), dport = htons(443);
        uint32_t h = route_hash(src, dst, sport, dport, PROTO_TCP);
        cr_assert_eq(h, route_hash(dst, src, dport, sport, PROTO_TCP));
        taken[route_pick(path, h)]++;
    }
    for (unsigned k = 0; k < 3; k++)
        cr_assert(taken[k] > n * 0.31 && taken[k] < n * 0.36, "choice %u: %u of %u", k, taken[k], n);
    route_table_destroy(t);
}

/* Quadratic work anywhere would take hours. */
Test(route, a_million_routes_come_and_go, .timeout = 60) {
    enum { N = 1 << 20 };
    struct route_table *t = table(N);
    struct route r = route_make("0.0.0.0/0", NULL, 1, 0, ROUTE_UNICAST);
    r.prefix.len = 24;
    for (uint32_t i = 0; i < N; i++) {
        r.prefix.addr.v4 = htonl((i * 2654435761u & (N - 1)) << 8);
        cr_assert_eq(route_add(t, &r), 0);
    }
    cr_assert_eq(find(t, "0.16.1.7")->kind, ROUTE_UNICAST);
    for (uint32_t i = 0; i < N; i++) {
        r.prefix.addr.v4 = htonl(i << 8);
        cr_assert_eq(route_remove(t, &r), 0);
    }
    size_t n;
    route_table_routes(t, &n);
    cr_assert(n == 0 && !find(t, "0.16.1.7"));
    route_table_destroy(t);
}
