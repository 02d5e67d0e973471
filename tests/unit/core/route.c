/* SPDX-License-Identifier: BSD-3-Clause */
/* The route table: winners, what hides what, ECMP, removal, refusals, and a table of a million. */
#include "frame6.h"
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

/* ROUTE_ECMP_MAX ways: each gets its share within five standard deviations, and both directions go the same one. */
Test(route, hash_over_sixteen_ways) {
    static const char *const traffic[] = {"one client, ports in turn", "clients in turn, one port", "random"};
    struct random r;
    struct route_table *t = table(10);
    random_seed(&r, 16);
    for (uint16_t port = 0; port < ROUTE_ECMP_MAX; port++)
        cr_assert_eq(add(t, "0.0.0.0/0", NULL, port, 0, ROUTE_UNICAST), 0);
    const struct route_path *path = find(t, "192.0.2.1");
    cr_assert_eq(path->n, ROUTE_ECMP_MAX);
    for (unsigned kind = 0; kind < 3; kind++) {
        unsigned taken[ROUTE_ECMP_MAX] = {0};
        const unsigned n = 60000, share = n / ROUTE_ECMP_MAX;
        for (unsigned i = 0; i < n; i++) {
            be32 src = kind == 2 ? (be32)random_u64(&r) : htonl(0x0a000001 + (kind == 1 ? i : 0));
            be32 dst = kind == 2 ? (be32)random_u64(&r) : htonl(0xc6336401);
            be16 sport = kind == 2 ? (be16)random_u64(&r) : htons((uint16_t)(kind == 0 ? 1024 + i : 40000));
            be16 dport = htons(443);
            unsigned way = route_pick(path, route_hash(src, dst, sport, dport, PROTO_UDP));
            cr_assert_lt(way, ROUTE_ECMP_MAX);
            cr_assert_eq(way, route_pick(path, route_hash(dst, src, dport, sport, PROTO_UDP)));
            taken[way]++;
        }
        for (unsigned k = 0; k < ROUTE_ECMP_MAX; k++) /* the standard deviation of a share is 59 */
            cr_assert(taken[k] > share - 300 && taken[k] < share + 300, "%s: way %u got %u of %u", traffic[kind], k,
                      taken[k], n);
    }
    route_table_destroy(t);
}

Test(route, replace_takes_the_place_of_the_first_of_its_metric) {
    struct route_table *t = table(2);
    struct route r = route_make("10.0.0.0/24", "10.0.0.1", 1, 5, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), 0, "there is none: added");
    cr_assert_eq(add(t, "10.0.0.0/24", "10.0.0.2", 2, 5, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "10.0.0.0/24", "10.0.0.9", 3, 9, ROUTE_UNICAST), 0);
    uint64_t generation = route_generation(t);
    r = route_make("10.0.0.0/24", "10.0.0.3", 4, 5, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), 0);
    cr_assert_eq(route_generation(t), generation + 1);
    const struct route_path *p = find(t, "10.0.0.7");
    cr_assert(p->n == 2 && p->route == 0 && p->next[0].port == 4 && p->next[1].port == 2, "the rest of the set stays");
    r = route_make("10.0.0.0/24", "10.0.0.2", 2, 5, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), -EEXIST);
    r = route_make("10.0.0.0/24", NULL, PORT_NONE, 5, ROUTE_BLACKHOLE);
    cr_assert_eq(route_replace(t, &r), 0);
    p = find(t, "10.0.0.7");
    cr_assert(p->n == 1 && p->kind == ROUTE_BLACKHOLE);
    r = route_make("10.0.0.0/24", NULL, 1, 7, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), 0, "another metric: added");
    r.prefix.addr.v4 |= htonl(1);
    cr_assert_eq(route_replace(t, &r), -EINVAL);
    r = route_make("10.0.1.0/24", NULL, 1, 7, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), 0);
    r = route_make("10.0.2.0/24", NULL, 1, 7, ROUTE_UNICAST);
    cr_assert_eq(route_replace(t, &r), -ENOSPC);
    size_t n;
    route_table_routes(t, &n);
    cr_assert_eq(n, 5u);
    route_table_destroy(t);
}

/* ---- IPv6 ---- */

static const struct route_path *find6(const struct route_table *t, const char *dst) {
    const struct ip key = addr6(dst);
    uint32_t path;
    route_lookup(t, key.v6, &path, 1);
    return path == ROUTE_NONE ? NULL : route_path(t, path);
}

/* Which neighbour a path leads to: `via` names the route that does. */
static const char *via6(const struct route_table *t, const struct route_path *p, unsigned k, char text[IP_TEXT]) {
    size_t n;
    const struct route *routes = route_table_routes(t, &n);
    cr_assert_lt(p->next[k].via, n);
    return ip_format(&routes[p->next[k].via].via, text);
}

Test(route6, longest_prefix_then_metric) {
    struct route_table *t = route_table_create(&route_trie6, 100);
    cr_assert_null(find6(t, "2001:db8::1"));
    cr_assert_eq(add(t, "::/0", "fe80::1", 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "2001:db8::/32", "fe80::2", 2, 256, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "2001:db8::/64", "fe80::1", 1, 256, ROUTE_UNICAST), 0);
    cr_assert_eq(find6(t, "2001:db8::9")->route, 2u);
    cr_assert_eq(find6(t, "2001:db8:0:1::9")->route, 1u);
    cr_assert_eq(find6(t, "2001:db9::9")->route, 0u);
    cr_assert_eq(add(t, "2001:db8::/64", NULL, 1, 0, ROUTE_UNICAST), 0);
    cr_assert(find6(t, "2001:db8::9")->route == 3 && route_hidden_by(t, 2) == 3);
    cr_assert_eq(take(t, "2001:db8::/64", NULL, 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(find6(t, "2001:db8::9")->route, 2u);
    route_table_destroy(t);
}

/* Prefixes that differ in their last bits only, or in nothing but their length, are told apart. */
Test(route6, all_bits_count) {
    struct route_table *t = route_table_create(&route_trie6, 100);
    const char *prefixes[] = {"2001:db8::/128", "2001:db8::1/128", "2001:db8::/127", "2001:db8:0:0:1::/128",
                              "2001:db8::/64", "2001:db8::/32"};
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(add(t, prefixes[i], NULL, (uint16_t)i, 0, ROUTE_UNICAST), 0, "%s", prefixes[i]);
    cr_assert(find6(t, "2001:db8::")->route == 0 && find6(t, "2001:db8::1")->route == 1);
    cr_assert(find6(t, "2001:db8::1:0:0:0")->route == 3 && find6(t, "2001:db8::2")->route == 4);
    cr_assert_eq(find6(t, "2001:db8:1::")->route, 5u);
    struct route r = route_make("2001:db8:2::/128", NULL, 1, 0, ROUTE_UNICAST);
    struct ip key = r.prefix.addr;
    uint32_t path;
    for (unsigned i = 0; i < 90; i++) { /* so many that they share hash buckets */
        r.prefix.addr.v6[8 + i % 8] = (uint8_t)(i + 1);
        cr_assert_eq(route_add(t, &r), 0, "%u", i);
    }
    route_lookup(t, key.v6, &path, 1);
    cr_assert_eq(route_path(t, path)->route, 5u);
    for (unsigned i = 0; i < 90; i++) {
        key.v6[8 + i % 8] = (uint8_t)(i + 1);
        route_lookup(t, key.v6, &path, 1);
        cr_assert_eq(route_path(t, path)->route, 6 + i);
    }
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(take(t, prefixes[i], NULL, (uint16_t)i, 0, ROUTE_UNICAST), 0, "%s", prefixes[i]);
    route_table_destroy(t);
}

/* The routes that a path names stay the right ones when others before them go. */
Test(route6, next_hops_when_holes_are_closed) {
    struct route_table *t = route_table_create(&route_trie6, 100);
    char text[IP_TEXT];
    cr_assert_eq(add(t, "2001:db8:1::/48", NULL, 5, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "::/0", "fe80::1", 1, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "2001:db8:2::/48", NULL, 5, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "::/0", "fe80::2", 2, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(add(t, "::/0", NULL, 3, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(take(t, "2001:db8:1::/48", NULL, 5, 0, ROUTE_UNICAST), 0);
    cr_assert_eq(take(t, "2001:db8:2::/48", NULL, 5, 0, ROUTE_UNICAST), 0);
    const struct route_path *p = find6(t, "2001:db9::1");
    cr_assert(p->n == 3 && p->route == 0 && p->next[0].port == 1 && p->next[1].port == 2 && p->next[2].port == 3);
    cr_assert_str_eq(via6(t, p, 0, text), "fe80::1");
    cr_assert_str_eq(via6(t, p, 1, text), "fe80::2");
    cr_assert_str_eq(via6(t, p, 2, text), "", "on link");
    cr_assert_eq(take(t, "::/0", "fe80::1", 1, 0, ROUTE_UNICAST), 0);
    p = find6(t, "2001:db9::1");
    cr_assert(p->n == 2 && p->route == 0 && p->next[0].port == 2);
    cr_assert_str_eq(via6(t, p, 0, text), "fe80::2");
    route_table_destroy(t);
}

Test(route6, refusals) {
    struct route_table *t = route_table_create(&route_trie6, 100);
    struct route r = route_make("2001:db8::/64", "fe80::1", 1, 0, ROUTE_UNICAST), bad = r;
    cr_assert_eq(route_add(t, &r), 0);
    cr_assert_eq(route_add(t, &r), -EEXIST);
    bad.prefix.addr.v6[15] = 1;
    cr_assert_eq(route_add(t, &bad), -EINVAL, "host bits");
    bad = r;
    bad.prefix.len = 129;
    cr_assert_eq(route_add(t, &bad), -EINVAL);
    bad = r;
    memset(bad.via.v6, 0, 16);
    cr_assert_eq(route_add(t, &bad), -EINVAL, "nobody has ::");
    bad = route_make("2001:db8::/64", NULL, PORT_NONE, 0, ROUTE_BROADCAST);
    cr_assert_eq(route_add(t, &bad), -EINVAL, "IPv6 has no broadcasts");
    bad = route_make("10.0.0.0/8", NULL, 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &bad), -EAFNOSUPPORT);
    bad = route_make("2001:db8::/64", "10.0.0.1", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(t, &bad), -EAFNOSUPPORT);
    route_table_destroy(t);
}

Test(route6, hash_is_symmetric_and_spreads) {
    struct random r;
    random_seed(&r, 6);
    for (unsigned varied = 0; varied < 4; varied++) { /* an interface identifier, a network, ports, all of them */
        unsigned taken[3] = {0}, n = 30000;
        union path_of_three {
            struct route_path path;
            char room[sizeof(struct route_path) + 3 * 8];
        } u = {.path.n = 3};
        for (unsigned i = 0; i < n; i++) {
            struct ip src = addr6("2001:db8::1"), dst = addr6("2001:db8:1::1");
            if (varied == 0 || varied == 3)
                memcpy(src.v6 + 14, &(be16){htons((uint16_t)i)}, 2);
            if (varied == 1 || varied == 3)
                memcpy(dst.v6 + 4, &(be16){htons((uint16_t)i)}, 2);
            be16 sport = htons(varied >= 2 ? (uint16_t)random_u64(&r) : 7), dport = htons(443);
            uint32_t h = route_hash6(src.v6, dst.v6, sport, dport, PROTO_TCP);
            cr_assert_eq(h, route_hash6(dst.v6, src.v6, dport, sport, PROTO_TCP));
            taken[route_pick(&u.path, h)]++;
        }
        for (unsigned k = 0; k < 3; k++)
            cr_assert(taken[k] > n * 0.31 && taken[k] < n * 0.36, "%u, choice %u: %u of %u", varied, k, taken[k], n);
    }
}
