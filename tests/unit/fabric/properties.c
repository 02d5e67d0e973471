/* SPDX-License-Identifier: BSD-3-Clause */
/* Random topologies and flows: what must hold whatever they are. A failure prints its seed. */
#include "world.h"
#include <fwdlab/base/random.h>

/*
 * A network of random subnets with random machines, and a router with guests on a switch behind it; every subnet's
 * route table leads to the guests. All of it in both families. `stray`: the router has a second NIC, and the route of
 * one subnet leaves by it.
 */
struct topology {
    unsigned subnets, machines, guests, stray;
    char address[2][40][24]; /* IPv4, IPv6 */
    unsigned subnet[40];     /* of each machine */
};

static void address_set(struct topology *t, unsigned i, unsigned subnet, unsigned host) {
    snprintf(t->address[0][i], sizeof t->address[0][i], "10.0.%u.%u", subnet, host);
    snprintf(t->address[1][i], sizeof t->address[1][i], "fd00:0:0:%u::%u", subnet, host);
}

static struct world topology_make(uint64_t seed, bool stray, struct topology *t) {
    static char text[16000];
    char *at = text, *end = text + sizeof text;
    struct random r;
    random_seed(&r, seed);
    *t = (struct topology){
        .subnets = 2 + random_below(&r, 6), .machines = 2 + random_below(&r, 12), .guests = 1 + random_below(&r, 4)};
    t->stray = 3 + random_below(&r, t->subnets);
    at += snprintf(
        at, (size_t)(end - at),
        "fwdlab: 1\nname: random\nnode: router\nswitches: {inside: {}}\n"
        "networks: {net: {space: [10.0.0.0/16, \"fd00::/48\"], subnets: {\n"
        "lan: {prefix: 10.0.1.0/24, prefix6: \"fd00:0:0:1::/64\"},\n"
        "second: {prefix: 10.0.2.0/24, prefix6: \"fd00:0:0:2::/64\"},\n"
        "guests: {prefix: 10.0.200.0/24, prefix6: \"fd00:0:0:200::/64\", floating: true}");
    for (unsigned i = 0; i < t->subnets; i++)
        at += snprintf(at, (size_t)(end - at),
                       ",\n s%u: {prefix: 10.0.%u.0/24, prefix6: \"fd00:0:0:%u::/64\", route_table: t}", i, 3 + i,
                       3 + i);
    at += snprintf(at, (size_t)(end - at),
                   "}}}\nroute_tables: {t: {to-guests: {prefix: 10.0.200.0/24, next_hop: 10.0.1.4},\n"
                   "  to-guests-6: {prefix: \"fd00:0:0:200::/64\", next_hop: \"fd00:0:0:1::4\"}}}\nmachines:\n"
                   "  router:\n    router: true\n    nics:\n"
                   "      inside: {switch: inside, address: 10.0.200.1/24, address6: \"fd00:0:0:200::1/64\"}\n"
                   "      lan: {subnet: net/lan, address: 10.0.1.4/24, address6: \"fd00:0:0:1::4/64\","
                   " ip_forwarding: true}\n");
    if (stray)
        at += snprintf(at, (size_t)(end - at),
                       "      second: {subnet: net/second, address: 10.0.2.4/24, gateway: none, ip_forwarding: true,\n"
                       "        address6: \"fd00:0:0:2::4/64\", gateway6: none}\n"
                       "    routes: {Stray: {prefix: 10.0.%u.0/24, via: 10.0.2.1, nic: second, metric: 9},\n"
                       "      Stray 6: {prefix: \"fd00:0:0:%u::/64\", via: \"fd00:0:0:2::1\", nic: second,"
                       " metric: 9}}\n",
                       t->stray, t->stray);
    for (unsigned i = 0; i < t->machines; i++) {
        t->subnet[i] = 3 + random_below(&r, t->subnets);
        address_set(t, i, t->subnet[i], 10 + i);
        at += snprintf(at, (size_t)(end - at),
                       "  m%u: {nics: {e: {subnet: net/s%u, address: %s/24, address6: \"%s/64\"}}}\n", i,
                       t->subnet[i] - 3, t->address[0][i], t->address[1][i]);
    }
    for (unsigned g = 0; g < t->guests; g++) {
        unsigned i = t->machines + g;
        address_set(t, i, 200, 10 + g);
        at += snprintf(at, (size_t)(end - at),
                       "  g%u: {nics: {e: {switch: inside, address: %s/24, gateway: 10.0.200.1, address6: \"%s/64\","
                       " gateway6: \"fd00:0:0:200::1\"}}}\n",
                       g, t->address[0][i], t->address[1][i]);
    }
    return world_text(text);
}

static struct flow_key random_flow(struct random *r, const char *src, const char *dst) {
    static const uint8_t proto[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    uint8_t p = proto[random_below(r, 4)];
    uint16_t sport = (uint16_t)(1 + random_below(r, 65535)), dport = (uint16_t)(1 + random_below(r, 65535));
    if (p == PROTO_ICMP && strchr(src, ':'))
        return flow(PROTO_ICMPV6, src, sport, dst, ICMPV6_ECHO);
    return flow(p, src, p == PROTO_ESP ? 0 : sport, dst, p == PROTO_ICMP ? ICMP_ECHO : p == PROTO_ESP ? 0 : dport);
}

static void expect_mirror(const struct walk *p, const struct walk *q, uint64_t seed) {
    cr_assert_eq(p->n, q->n, "seed %lu", seed);
    for (unsigned i = 0; i < p->n; i++) {
        const struct hop *a = &p->hops[i], *b = &q->hops[p->n - 1 - i];
        cr_assert(a->node == b->node && a->in == b->out && a->out == b->in, "seed %lu, hop %u", seed, i);
    }
}

Test(properties, sound_topologies_are_symmetric) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct topology t;
        struct world w = topology_make(seed, false, &t);
        struct random r;
        random_seed(&r, seed);
        unsigned all = t.machines + t.guests;
        for (unsigned a = 0; a < all; a++)
            for (unsigned b = 0; b < all; b++) {
                unsigned six = random_below(&r, 2);
                struct flow_key k = random_flow(&r, t.address[six][a], t.address[six][b]);
                struct walk p, q;
                if (a == b)
                    continue;
                struct judgement j = judge(&w, &k, &p, &q);
                cr_assert_eq(j.verdict, MODEL_SYMMETRIC, "seed %lu, %s to %s: %s", seed, t.address[six][a],
                             t.address[six][b], model_verdict_name(j.verdict));
                cr_assert(j.works && !j.translated);
                expect_mirror(&p, &q, seed);
            }
        world_end(&w);
    }
}

/* Who comes from the strayed subnet to a guest is answered by the other NIC: that route is named, and no other flow is
 * touched. */
Test(properties, one_stray_route_is_blamed) {
    unsigned blamed = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct topology t;
        struct world w = topology_make(seed, true, &t);
        struct random r;
        random_seed(&r, seed);
        for (unsigned a = 0; a < t.machines; a++)
            for (unsigned g = t.machines; g < t.machines + t.guests; g++) {
                unsigned six = random_below(&r, 2);
                struct flow_key k = random_flow(&r, t.address[six][a], t.address[six][g]);
                struct judgement j = judge(&w, &k, NULL, NULL);
                if (t.subnet[a] != t.stray) {
                    cr_assert_eq(j.verdict, MODEL_SYMMETRIC, "seed %lu", seed);
                    continue;
                }
                blamed++;
                cr_assert_eq(j.verdict, MODEL_ASYM_BENIGN, "seed %lu: %s", seed, model_verdict_name(j.verdict));
                expect_cause(&w, &j, "router", six ? "Stray 6" : "Stray");
                struct change c[16];
                unsigned n = fabric_mends(w.fabric, &j, c, 16), mended = 0;
                for (unsigned i = 0; i < n; i++) {
                    if (fabric_apply(w.fabric, &c[i]) == 0)
                        mended += judge(&w, &k, NULL, NULL).verdict == MODEL_SYMMETRIC;
                    fabric_revert(w.fabric);
                }
                cr_assert_gt(mended, 0u, "seed %lu: none of %u candidates mends it", seed, n);
            }
        world_end(&w);
    }
    cr_expect_gt(blamed, 50u);
}

static struct flow_key nested_flow(struct random *r) {
    static const char *const ends[] = {"10.0.2.2",        "10.0.2.3",       "10.0.0.4",   "10.0.1.4",     "10.0.0.10",
                                       "10.0.3.4",        "172.16.0.10",    "172.16.2.2", "203.0.113.10", "8.8.8.8",
                                       "168.63.129.16",   "10.0.3.99",      "10.99.0.1",  "224.0.0.1",    "10.0.0.1",
                                       "255.255.255.255", "169.254.169.254"};
    unsigned n = sizeof ends / sizeof *ends;
    return random_flow(r, ends[random_below(r, n)], ends[random_below(r, n)]);
}

static int compare_text(const void *a, const void *b) {
    return strcmp(a, b);
}

/* All routes of all nodes as sorted text. */
static char *routes_text(const struct world *w) {
    char(*line)[256] = malloc(4096 * sizeof *line);
    size_t n = 0;
    for (uint32_t i = 0; i < w->control->n_nodes; i++) {
        size_t count;
        const struct route *routes = route_table_routes(w->control->nodes[i].node.routes, &count);
        for (size_t k = 0; k < count; k++) {
            char text[200];
            snprintf(line[n++], sizeof *line, "%u %s\n", i,
                     control_route_format(&w->control->nodes[i], &routes[k], text, sizeof text));
        }
    }
    qsort(line, n, sizeof *line, compare_text);
    char *out = calloc(n + 1, sizeof *line);
    for (size_t i = 0; i < n; i++)
        strcat(out, line[i]);
    free(line);
    return out;
}

/* A cached judgement is what a fresh one is, before, under and after every change; and a revert leaves nothing behind.
 */
Test(properties, cached_is_uncached_and_reverts_leave_nothing) {
    static const char *const base[] = {
        "routed",   "without-route-1", "without-onprem-route", "without-onprem-route-interface", "forwarding-off",
        "nat-only", "connected"};
    unsigned applied = 0;
    for (uint64_t seed = 0; seed < sizeof base / sizeof *base; seed++) {
        struct world w = world_nested(base[seed], "");
        struct random r;
        random_seed(&r, seed);
        char *before = routes_text(&w);
        for (int i = 0; i < 500; i++) {
            struct flow_key k = nested_flow(&r), other = nested_flow(&r);
            struct judgement j = judge(&w, &k, NULL, NULL), o = judge(&w, &other, NULL, NULL);
            cr_assert(same(&j, fabric_judge_cached(w.fabric, &k)), "%s, round %d", base[seed], i);
            cr_assert(same(&o, fabric_judge_cached(w.fabric, &other)), "%s, round %d", base[seed], i);
            struct change c[16];
            unsigned n = fabric_mends(w.fabric, &j, c, 16);
            if (!n)
                continue;
            applied += fabric_apply(w.fabric, &c[random_below(&r, n)]) == 0;
            struct judgement under = judge(&w, &other, NULL, NULL);
            cr_assert(same(&under, fabric_judge_cached(w.fabric, &other)), "%s, round %d, changed", base[seed], i);
            fabric_revert(w.fabric);
            cr_assert(same(&j, fabric_judge_cached(w.fabric, &k)), "%s, round %d, reverted", base[seed], i);
            cr_assert(same(&o, fabric_judge_cached(w.fabric, &other)), "%s, round %d, reverted", base[seed], i);
        }
        char *after = routes_text(&w);
        cr_expect_str_eq(before, after, "%s", base[seed]);
        free(before);
        free(after);
        world_end(&w);
    }
    cr_expect_gt(applied, 50u, "%u", applied);
}
