/* SPDX-License-Identifier: BSD-3-Clause */
/* Responders spread over routes: whose, over which, and nothing else changed. Their way through NAT: traffic_fit.c. */
#include "steps.h"

TestSuite(traffic_spread, .timeout = 120);

#define ROUTES 100

/* The responder's address in a step's bytes, IPv4. */
static uint8_t *responder(const struct traffic_packet *p, uint8_t *bytes) {
    return bytes + p->l3 + (p->from_initiator ? 16 : 12);
}

static bool inside(const struct route_table *table, const uint8_t *address, uint32_t *made_up) {
    be32 a;
    uint32_t path;
    size_t n;
    memcpy(&a, address, 4);
    route_table_routes(table, &n);
    route_lookup(table, &a, &path, 1);
    cr_assert_neq(path, ROUTE_NONE);
    *made_up = route_path(table, path)->route - (uint32_t)(n - ROUTES); /* large: none of them */
    return *made_up < ROUTES;
}

/* Whether the table without them reaches the responder of each flow by its default route. */
static bool *find_internet(const struct bench *b, const struct traffic *t) {
    const struct route_table *table = b->control->nodes[b->node].node.routes;
    const struct route *routes = route_table_routes(table, &(size_t){0});
    bool *internet = xzalloc(t->n_flows, sizeof *internet);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct traffic_packet *p = &t->packets[i];
        uint32_t path;
        be32 a;
        if (p->family != FAMILY_IPV4 || !p->from_initiator || p->reported)
            continue;
        memcpy(&a, p->data + p->l3 + 16, 4);
        route_lookup(table, &a, &path, 1);
        internet[p->flow] = ntohl(a) < 0xe0000000 && path != ROUTE_NONE &&
                            !routes[route_path(table, path)->route].prefix.len;
    }
    return internet;
}

/* The same bytes but for the responder's address and what covers it. */
static void expect_same_rest(const struct traffic_packet *p, uint8_t *spread, uint8_t *plain) {
    unsigned sum = p->proto == PROTO_TCP ? 16 : p->proto == PROTO_UDP ? 6 : 0;
    memcpy(responder(p, spread), responder(p, plain), 4);
    memcpy(spread + p->l3 + 10, plain + p->l3 + 10, 2);
    if (sum)
        memcpy(spread + p->l4 + sum, plain + p->l4 + sum, 2);
    cr_assert(!memcmp(spread, plain, p->len), "frame %lu", p->frame);
}

struct count {
    uint32_t slots, routes[ROUTES];
};

/* Three laps beside those without; counts where each slot's responder is. */
static void compare(const struct traffic *t, const struct traffic *plain, const struct route_table *table,
                    const bool *internet, struct count *out) {
    be32 *of_slot = xzalloc(t->n_slots, sizeof *of_slot);
    bool *reported = xzalloc(t->n_flows, sizeof *reported);
    static uint8_t bytes[2048], before[2048];
    struct traffic_cursor c;
    struct traffic_step s;
    for (uint32_t i = 0; i < t->n; i++)
        reported[t->packets[i].flow] |= t->packets[i].reported;
    traffic_begin(&c, t);
    for (traffic_next(&c, &s); s.lap < 3; traffic_next(&c, &s)) {
        const struct traffic_packet *p = &t->packets[s.packet];
        uint32_t route;
        traffic_write(t, &s, bytes);
        traffic_write(plain, &s, before);
        struct packet parsed = step_packet(t, &s, bytes);
        parse(&parsed);
        cr_assert(parsed.verdict != VERDICT_DROP && ip_sum_right(&parsed) && l4_sum_right(&parsed), "frame %lu copy %u",
                  p->frame, s.copy);
        if (!internet[p->flow] || p->reported || (!s.copy && reported[p->flow])) {
            cr_assert(!memcmp(bytes, before, p->len), "frame %lu copy %u", p->frame, s.copy);
            continue;
        }
        const uint8_t *to = responder(p, bytes);
        cr_assert(inside(table, to, &route), "frame %lu copy %u: not in the routes", p->frame, s.copy);
        out->slots += !of_slot[s.slot];
        out->routes[route] += !of_slot[s.slot];
        cr_assert(!of_slot[s.slot] || !memcmp(&of_slot[s.slot], to, 4), "slot %u: two addresses", s.slot);
        memcpy(&of_slot[s.slot], to, 4);
        expect_same_rest(p, bytes, before);
    }
    free(of_slot);
    free(reported);
}

/* Every route gets its share: Pearson's statistic of n - 1 degrees of freedom, seven standard deviations allowed, and
 * the few that a longer one of them hides in part. */
static void expect_uniform(const struct count *c, const char *what) {
    double mean = (double)c->slots / ROUTES, chi = 0;
    unsigned empty = 0;
    for (unsigned i = 0; i < ROUTES; i++) {
        chi += (c->routes[i] - mean) * (c->routes[i] - mean) / mean;
        empty += !c->routes[i];
    }
    cr_expect(mean > 2 && empty < ROUTES / 5 && chi < 2 * ROUTES, "%s: %u slots, %u routes without, chi2 %.0f",
              what, c->slots, empty, chi);
}

Test(traffic_spread, only_responders_behind_the_default_route) {
    static const char *const sizes[] = {"trace", "64", "imix"};
    for (unsigned round = 0; round < 3 * LABS; round++) {
        const char *name = lab[round % LABS];
        struct bench b = lab_bench(name);
        struct traffic_options o = {.sessions = round < LABS ? 0 : 20000, .churn = round % 2 / 2.0, .seed = round};
        struct count count = {0};
        traffic_sizes_parse(sizes[round / LABS], &o, NULL);
        struct traffic *plain = traffic_of(&b, &o);
        bool *internet = find_internet(&b, plain);
        o.table = routes_make(&b, ROUTES, round);
        o.spread = ROUTES;
        struct traffic *t = traffic_of(&b, &o);
        cr_assert(t->n == plain->n && t->n_slots == plain->n_slots);
        compare(t, plain, o.table, internet, &count);
        cr_expect(count.slots > 0, "%s", name);
        if (o.sessions)
            expect_uniform(&count, name);
        traffic_destroy(plain);
        traffic_destroy(t);
        free(internet);
        bench_end(&b);
    }
}

/* What the captured responders lie in is not a reason to leave them there; and no two conversations become one. */
Test(traffic_spread, no_address_for_two) {
    struct capture c = capture_make();
    struct ip_prefix prefixes[] = {{ip_v4(addr("203.0.113.0")), 24}, {ip_v4(addr("192.0.2.1")), 32}};
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "203.0.113.10", 53, "one");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "198.51.100.20", 53, "two");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4001, "198.51.100.20", 53, "another port");
    struct bench b = bench_make(&c);
    for (unsigned first = 0; first < 2; first++) { /* both routes; only the one address */
        be32 to[3], host = prefixes[1].addr.v4;
        struct route_table *table = routes_add(&b, prefixes + first, 2 - first);
        struct traffic *t = traffic_of(&b, &(struct traffic_options){.table = table, .spread = 2 - first});
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t bytes[2048];
            traffic_write(t, &(struct traffic_step){.packet = i, .slot = i}, bytes);
            memcpy(&to[i], bytes + 30, 4);
        }
        if (first)
            cr_expect(to[0] == host && to[1] == addr("198.51.100.20") && to[2] == host);
        else
            cr_expect(to[0] != to[1] && to[0] != addr("203.0.113.10"));
        traffic_destroy(t);
    }
    bench_end(&b);
}
