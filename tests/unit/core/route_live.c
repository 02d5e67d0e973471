/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that change while packets flow: versions as readers see them, the grace period, batches of changes against a
 * plain table (also of one that changes in place), a backend that fails. Readers in threads: route_race.c.
 */
#include "frame6.h"
#include <errno.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/route_live.h>
#include <stdio.h>
#include <stdlib.h>

static struct route_live *live_make(unsigned readers) {
    const struct route r = route_make("10.0.0.0/8", "192.0.2.1", 1, 0, ROUTE_UNICAST);
    int code = 1;
    struct route_live *l = route_live_create(&route_trie, 1000, readers, &r, 1, &code);
    cr_assert(l && code == 0);
    return l;
}

static int change(struct route_live *l, int op, const char *prefix, const char *via, int *code) {
    struct route_change c = {.op = (uint8_t)op, .route = route_make(prefix, via, 1, 0, ROUTE_UNICAST)};
    int rc = route_live_update(l, &c, 1);
    if (code)
        *code = c.code;
    return rc;
}

static be32 next_hop(const struct route_table *t, const char *dst) {
    be32 key = addr(dst);
    uint32_t path;
    route_lookup(t, &key, &path, 1);
    return path == ROUTE_NONE ? 0 : route_path(t, path)->next[0].via;
}

Test(route_live, a_reader_keeps_its_table_until_it_enters_again) {
    struct route_live *l = live_make(2);
    struct route_table *a = route_live_enter(l, 0), *b = route_live_enter(l, 1);
    cr_assert_eq(a, b);
    cr_assert_eq(change(l, ROUTE_OP_REPLACE, "10.0.0.0/8", "192.0.2.2", NULL), 0);
    cr_assert_eq(next_hop(a, "10.0.0.1"), addr("192.0.2.1"));
    cr_assert_not(route_live_settled(l));
    cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.0/8", "192.0.2.2", NULL), -EBUSY);
    a = route_live_enter(l, 0);
    cr_assert_eq(next_hop(a, "10.0.0.1"), addr("192.0.2.2"));
    cr_assert_not(route_live_settled(l), "one has moved on, the other not");
    cr_assert_eq(next_hop(b, "10.0.0.1"), addr("192.0.2.1"));
    route_live_leave(l, 1);
    cr_assert(route_live_settled(l), "nobody waits for one that is away");
    cr_assert_eq(next_hop(a, "10.0.0.1"), addr("192.0.2.2"));
    cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.0/8", "192.0.2.2", NULL), 0);
    cr_assert_eq(next_hop(a, "10.0.0.1"), addr("192.0.2.2"));
    cr_assert_eq(next_hop(route_live_enter(l, 1), "10.0.0.1"), 0u, "who comes back gets the latest");
    cr_assert_eq(next_hop(route_live_enter(l, 0), "10.0.0.1"), 0u);
    route_live_destroy(l);
}

Test(route_live, what_is_refused_leaves_no_trace) {
    struct route_live *l = live_make(1);
    struct route_table *t = route_live_enter(l, 0);
    int code;
    cr_assert_eq(change(l, ROUTE_OP_ADD, "10.0.0.0/8", "192.0.2.1", &code), 0);
    cr_assert_eq(code, -EEXIST);
    cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.0/9", "192.0.2.1", &code), 0);
    cr_assert_eq(code, -ENOENT);
    cr_assert_eq(change(l, 7, "10.0.0.0/9", "192.0.2.1", &code), 0);
    cr_assert_eq(code, -EINVAL);
    cr_assert(route_live_settled(l), "nothing was published");
    cr_assert_eq(route_live_enter(l, 0), t);
    route_live_destroy(l);
}

Test(route_live, creation_says_why_not) {
    const struct route r[2] = {route_make("10.0.0.0/8", NULL, 1, 0, ROUTE_UNICAST),
                               route_make("10.0.0.0/9", NULL, PORT_NONE, 0, ROUTE_UNICAST)};
    int code;
    cr_assert_null(route_live_create(&route_trie, 10, 1, r, 2, &code));
    cr_assert_eq(code, -EINVAL);
    cr_assert_null(route_live_create(&route_trie, 0, 1, r, 1, NULL));
    struct route_live *l = route_live_create(&route_trie6, 10, 0, NULL, 0, &code);
    cr_assert(l && code == 0);
    route_live_destroy(l);
}

/* A node over live tables: its `routes` are the reader's from burst to burst and nothing of its own. */
Test(route_live, under_a_node) {
    struct route_live *l = live_make(1);
    struct node n = node_make();
    route_table_destroy(n.routes);
    for (unsigned i = 0; i < 3; i++) {
        struct frame f = frame_make("10.0.0.2", "10.9.9.9", PROTO_UDP, 8);
        struct packet *p = packet_make(&f, 0, 0);
        n.routes = route_live_enter(l, 0);
        cr_assert_eq(change(l, i ? ROUTE_OP_ADD : ROUTE_OP_REMOVE, "10.0.0.0/8", i ? "192.0.2.7" : "192.0.2.1", NULL),
                     0);
        forward(&n, &p, 1, 0);
        cr_assert_eq(p->verdict, i == 1 ? VERDICT_DROP : VERDICT_FORWARD, "round %u", i);
        cr_assert(i == 1 || p->next_hop == addr(i ? "192.0.2.7" : "192.0.2.1"));
        packet_free(p);
    }
    route_live_leave(l, 0);
    n.routes = NULL;
    node_fini(&n);
    route_live_destroy(l);
}

/* ---- random batches ---- */

static struct route random_route(struct random *r, uint8_t family, unsigned shortest) {
    struct route route = {.port = (uint16_t)random_below(r, 3), .metric = random_below(r, 2)};
    struct ip a = {.family = family};
    for (unsigned i = 0; i < 4; i++)
        a.v6[i] = (uint8_t)random_below(r, 2);
    route.prefix = prefix_of(&a, shortest + random_below(r, 33 - shortest));
    if (random_below(r, 4) == 0) {
        route.kind = ROUTE_BLACKHOLE;
        route.port = PORT_NONE;
    } else if (random_below(r, 2)) {
        route.via = (struct ip){.family = family};
        memset(route.via.v6, 1 + (int)random_below(r, 3), family == FAMILY_IPV6 ? 16 : 4);
    }
    return route;
}

static int apply(struct route_table *t, const struct route_change *c) {
    return c->op == ROUTE_OP_ADD      ? route_add(t, &c->route)
           : c->op == ROUTE_OP_REMOVE ? route_remove(t, &c->route)
                                      : route_replace(t, &c->route);
}

/* Paths of one address by both tables: the same kind, next hops and route to blame. */
static void compare_path(const struct route_table *a, const struct route_table *b, const struct ip *dst,
                         const char *where) {
    uint32_t x, y;
    size_t n;
    route_lookup(a, dst->v6, &x, 1);
    route_lookup(b, dst->v6, &y, 1);
    cr_assert_eq(x == ROUTE_NONE, y == ROUTE_NONE, "%s", where);
    if (x == ROUTE_NONE)
        return;
    const struct route_path *p = route_path(a, x), *q = route_path(b, y);
    const struct route *ra = &route_table_routes(a, &n)[p->route], *rb = &route_table_routes(b, &n)[q->route];
    cr_assert(p->n == q->n && p->kind == q->kind, "%s", where);
    cr_assert(prefix_equal(&ra->prefix, &rb->prefix) && ip_equal(&ra->via, &rb->via) && ra->port == rb->port &&
                  ra->metric == rb->metric && ra->kind == rb->kind, "%s", where);
    for (unsigned k = 0; k < p->n; k++)
        cr_assert(p->next[k].port == q->next[k].port && (dst->family == FAMILY_IPV6 ||
                                                         p->next[k].via == q->next[k].via), "%s", where);
}

static void compare_lists(struct route_live *l, const struct route_table *plain, const char *where) {
    size_t n = SIZE_MAX, m;
    const struct route *b = route_table_routes(plain, &m), *a = route_live_routes(l, &n);
    cr_assert(n == m, "%s: %zu routes, not %zu", where, n, m);
    for (size_t i = 0; i < n; i++)
        cr_assert(prefix_equal(&a[i].prefix, &b[i].prefix) && ip_equal(&a[i].via, &b[i].via) &&
                  a[i].port == b[i].port && a[i].metric == b[i].metric, "%s, route %zu", where, i);
}

static void batches(const struct route_backend *backend, const struct route_backend *other, uint64_t seed) {
    struct random r;
    struct route_live *l = route_live_create(backend, 200, 2, NULL, 0, NULL);
    struct route_table *plain = route_table_create(other, 200);
    const bool in_place = backend->reclaim;
    const unsigned shortest = in_place ? 8 : 0; /* DIR24-8 takes its time for shorter ones */
    unsigned done[3] = {0}, refused = 0;
    random_seed(&r, seed);
    for (unsigned round = 0; round < 600; round++) {
        struct route_change c[20];
        char where[64];
        unsigned n = random_below(&r, 20);
        snprintf(where, sizeof where, "seed %lu, round %u", (unsigned long)seed, round);
        struct route_table *before = route_live_enter(l, 0);
        const uint64_t generation = route_generation(before);
        for (unsigned i = 0; i < n; i++)
            c[i] = (struct route_change){.op = (uint8_t)random_below(&r, 3),
                                         .route = random_route(&r, backend->family, shortest)};
        cr_assert_eq(route_live_update(l, c, n), 0, "%s", where);
        for (unsigned i = 0; i < n; i++) {
            cr_assert_eq(apply(plain, &c[i]), c[i].code, "%s, change %u", where, i);
            done[c[i].op] += c[i].code == 0;
            refused += c[i].code != 0;
        }
        cr_assert_eq(route_generation(before), in_place ? route_generation(plain) : generation, "%s", where);
        struct route_table *now = route_live_enter(l, 0);
        cr_assert_eq(route_generation(now), route_generation(plain), "%s", where);
        for (unsigned i = 0; i < 30; i++) {
            struct ip dst = random_route(&r, backend->family, shortest).prefix.addr;
            compare_path(now, plain, &dst, where);
        }
        cr_assert(route_live_settled(l));
        if (round % 7 == 0)
            compare_lists(l, plain, where);
    }
    for (unsigned op = 0; op < 3; op++)
        cr_assert_gt(done[op], 300u, "operation %u", op);
    cr_assert_gt(refused, 300u);
    route_live_destroy(l);
    route_table_destroy(plain);
}

Test(route_live, as_a_plain_table) {
    for (uint64_t seed = 1; seed <= 4; seed++)
        batches(&route_trie, &route_linear, seed);
}

Test(route_live, in_place_as_a_plain_table) {
    for (uint64_t seed = 21; seed <= 24; seed++)
        batches(&route_direct, &route_linear, seed);
}

Test(route_live, as_a_plain_table_ipv6) {
    for (uint64_t seed = 11; seed <= 14; seed++)
        batches(&route_trie6, &route_linear6, seed);
}

/* ---- a backend that fails ---- */

static unsigned adds_left;

static int failing_add(void *state, const void *prefix, uint8_t len, uint32_t value) {
    return adds_left-- ? route_trie.add(state, prefix, len, value) : -ENOSPC;
}

Test(route_live, tables_that_came_to_differ_change_no_more) {
    struct route_backend failing = route_trie;
    failing.add = failing_add;
    adds_left = 3; /* one in each table, then in one of them only */
    struct route_live *l = route_live_create(&failing, 10, 1, NULL, 0, NULL);
    cr_assert_eq(change(l, ROUTE_OP_ADD, "10.0.0.0/8", "192.0.2.1", NULL), 0);
    cr_assert(route_live_settled(l));
    cr_assert_eq(change(l, ROUTE_OP_ADD, "11.0.0.0/8", "192.0.2.1", NULL), 0);
    cr_assert_not(route_live_settled(l));
    cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.0/8", "192.0.2.1", NULL), -EIO);
    route_live_wait(l, NULL, NULL);
    struct route_table *t = route_live_enter(l, 0);
    cr_assert(next_hop(t, "10.0.0.1") == addr("192.0.2.1") && next_hop(t, "11.0.0.1") == addr("192.0.2.1"));
    route_live_destroy(l);
}
