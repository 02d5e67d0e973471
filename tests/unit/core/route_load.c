/* SPDX-License-Identifier: BSD-3-Clause */
/* Many routes: added at once, all or none, and a million that come and go. */
#include "frame.h"
#include <errno.h>
#include <fwdlab/base/random.h>

static const struct route_path *find(const struct route_table *t, const char *dst) {
    be32 key = addr(dst);
    uint32_t path;
    route_lookup(t, &key, &path, 1);
    return path == ROUTE_NONE ? NULL : route_path(t, path);
}

/* In no order, as one by one: the same answers; routes of one prefix keep their order. */
Test(route_load, many_at_once) {
    enum { N = 5000 };
    struct random r;
    struct route *routes = calloc(N, sizeof *routes);
    struct route_table *many = route_table_create(&route_trie, N), *single = route_table_create(&route_trie, N);
    random_seed(&r, 77);
    for (unsigned i = 0; i < N; i++) {
        struct ip a = ip_v4(htonl(random_below(&r, 1u << 14) << 12));
        routes[i] = (struct route){.prefix = prefix_of(&a, 8 + random_below(&r, 13)), .port = (uint16_t)i};
        cr_assert_eq(route_add(single, &routes[i]), 0);
    }
    cr_assert_eq(route_add_many(many, routes, N), 0);
    for (unsigned i = 0; i < 20000; i++) {
        be32 dst = htonl(random_below(&r, 1u << 26));
        uint32_t a, b;
        route_lookup(many, &dst, &a, 1);
        route_lookup(single, &dst, &b, 1);
        cr_assert_eq(a == ROUTE_NONE, b == ROUTE_NONE);
        if (a == ROUTE_NONE)
            continue;
        const struct route_path *p = route_path(many, a), *q = route_path(single, b);
        cr_assert_eq(p->n, q->n);
        for (unsigned k = 0; k < p->n; k++)
            cr_assert_eq(p->next[k].port, q->next[k].port);
    }
    free(routes);
    route_table_destroy(many);
    route_table_destroy(single);
}

Test(route_load, many_or_none) {
    struct route_table *t = route_table_create(&route_trie, 3);
    const struct route r[] = {route_make("10.0.3.0/24", NULL, 1, 0, ROUTE_UNICAST),
                              route_make("10.0.1.0/24", NULL, 1, 0, ROUTE_UNICAST),
                              route_make("10.0.2.0/24", NULL, 1, 0, ROUTE_UNICAST),
                              route_make("10.0.2.0/24", NULL, 1, 0, ROUTE_UNICAST)};
    size_t n;
    const struct route before = route_make("10.9.0.0/24", NULL, 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &before), 0);
    cr_assert_eq(route_add_many(t, r, 3), -ENOSPC);
    cr_assert_eq(route_add_many(t, r + 2, 2), -EEXIST);
    cr_assert_eq(route_add_many(t, NULL, 0), 0);
    route_table_routes(t, &n);
    cr_assert(n == 1 && find(t, "10.9.0.1") && !find(t, "10.0.1.1") && !find(t, "10.0.2.1"));
    cr_assert_eq(route_add_many(t, r, 2), 0);
    cr_assert_eq(find(t, "10.0.3.1")->route, 2u);
    route_table_destroy(t);
}

/* Quadratic work anywhere would take hours. */
Test(route_load, a_million_routes_come_and_go, .timeout = 60) {
    enum { N = 1 << 20 };
    struct route_table *t = route_table_create(&route_trie, N);
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
