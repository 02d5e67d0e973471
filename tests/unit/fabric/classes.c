/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows that share a judgement: it is each one's own, and it is made once. A failure prints its seed. */
#include "world.h"
#include <fwdlab/base/random.h>

#define ROUTES 40

struct edges { /* addresses at which something may begin or end */
    unsigned n;
    uint32_t at[8 * ROUTES];
};

static void edge(struct edges *e, uint32_t first, uint32_t last) {
    e->at[e->n++] = first;
    e->at[e->n++] = last;
}

/* Of any length, most of them where the hosts are. */
static struct ip_prefix random_prefix(struct random *r) {
    static const uint32_t around[] = {0x0a010000, 0x0a020000, 0x0a090000, 0x08080000, 0xc0a80000};
    const unsigned len = 8 + random_below(r, 25);
    const struct ip addr = ip_v4(htonl(around[random_below(r, 5)] + random_below(r, 1 << 16)));
    return prefix_of(&addr, len);
}

/* Two routers in a row with a host behind each, the Internet behind the second, and random routes in both. */
static struct world routers(uint64_t seed, unsigned n_routes, struct edges *e) {
    static const char *const next[] = {"via: 10.9.0.2, nic: core", "via: 10.9.0.1, nic: core", "kind: blackhole",
                                       "kind: unreachable", "via: 10.1.0.10, nic: lan", "via: 10.2.0.10, nic: lan"};
    static const char *const urpf[] = {"off", "strict", "loose", "feasible"};
    static char text[16000], routes[2][6000], prefix[PREFIX_TEXT];
    struct random r;
    random_seed(&r, seed);
    *e = (struct edges){0};
    for (unsigned k = 0; k < 2; k++) {
        char *at = routes[k], *end = routes[k] + sizeof routes[k];
        *at = '\0';
        for (unsigned i = 0; i < n_routes; i++) {
            const struct ip_prefix p = random_prefix(&r);
            const unsigned kind = random_below(&r, 3);
            edge(e, ntohl(p.addr.v4), ntohl(p.addr.v4) | ~ntohl(ipv4_mask(p.len)));
            at += snprintf(at, (size_t)(end - at), "      r%u: {prefix: %s, %s, metric: %u}\n", i,
                           prefix_format(&p, prefix), next[2 * kind + (kind == 1 ? random_below(&r, 2) : k)], i);
        }
    }
    snprintf(text, sizeof text,
             "fwdlab: 1\nname: routers\nnode: a\nswitches: {one: {}, two: {}, core: {}}\n"
             "sites: {internet: {internet: true}}\nmachines:\n"
             "  h: {nics: {e: {switch: one, address: 10.1.0.10/24, gateway: 10.1.0.1}}}\n"
             "  g: {nics: {e: {switch: two, address: 10.2.0.10/24, gateway: 10.2.0.1}}}\n"
             "  a:\n    router: true\n    nics:\n      lan: {switch: one, address: 10.1.0.1/24, urpf: %s}\n"
             "      core: {switch: core, address: 10.9.0.1/28, gateway: 10.9.0.2, urpf: %s, mtu: %u}\n"
             "    routes:\n      some: {prefix: 10.2.0.0/23, via: 10.9.0.2, nic: core}\n"
             "      others: {prefix: 10.2.0.0/23, via: 10.1.0.10, nic: lan}\n%s"
             "  b:\n    router: true\n    nics:\n      lan: {switch: two, address: 10.2.0.1/24}\n"
             "      core: {switch: core, address: 10.9.0.2/28, mtu: %u}\n"
             "      out: {site: internet, address: 8.8.200.1/24, gateway: 8.8.200.254, urpf: %s}\n"
             "    routes:\n      lost: {prefix: 1.2.3.0/24, kind: blackhole}\n"
             "      home: {prefix: 10.1.0.0/24, via: 10.9.0.1, nic: core, metric: %u}\n%s",
             urpf[random_below(&r, 4)], urpf[random_below(&r, 4)], 1400 + random_below(&r, 2) * 100, routes[0],
             1400 + random_below(&r, 2) * 100, urpf[random_below(&r, 4)], random_below(&r, 2), routes[1]);
    return world_text(text);
}

static uint32_t random_address(struct random *r, const struct edges *e) {
    static const uint32_t hosts[] = {0x0a01000a, 0x0a02000a, 0x0a010001, 0x0a020001, 0x0a090001, 0x01010101};
    static const uint32_t beside[] = {0x0a01000a, 0x0a02000a, 0x0a090001, 0x0808c801, 0x0a0100ff, 0x0a09000f,
                                      0x01020304};
    static const uint32_t special[] = {0, 0x7f000001, 0xa9fe0001, 0xac100000, 0xac200000, 0xc0a80000, 0xc0a90000,
                                       0xe0000001, 0xffffffff};
    switch (random_below(r, 8)) {
    case 0: return special[random_below(r, 9)] + random_below(r, 3) - 1;
    case 1: return (uint32_t)(uint32_t)random_u64(r);
    case 2: return e->at[random_below(r, e->n)] + random_below(r, 5) - 2;
    case 3: return beside[random_below(r, 7)] + random_below(r, 7) - 3;
    default: return hosts[random_below(r, 6)];
    }
}

static struct flow_key random_key(struct random *r, const struct edges *e) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    static const uint16_t types[] = {ICMP_ECHO, ICMP_TIMESTAMP, ICMP_ECHO_REPLY, 3};
    const be32 src = htonl(random_address(r, e)), dst = htonl(random_address(r, e));
    struct flow_key k = {.family = FAMILY_IPV4, .proto = protos[random_below(r, 4)]};
    k.sport = htons((uint16_t)random_below(r, 65536));
    k.dport = htons(k.proto == PROTO_ICMP ? types[random_below(r, 4)] : (uint16_t)random_below(r, 65536));
    memcpy(k.src, &src, 4);
    memcpy(k.dst, &dst, 4);
    return k;
}

/* A route to one address of those that were alike. */
static void apply_host_route(struct world *w, struct random *r, const struct edges *e) {
    const struct ip host = ip_v4(htonl(random_address(r, e)));
    const struct change c = {.kind = CHANGE_ADD, .node = control_node_find(w->control, "b"),
                             .route = {.prefix = prefix_of(&host, 32), .port = PORT_NONE, .kind = ROUTE_BLACKHOLE}};
    fabric_apply(w->fabric, &c);
}

Test(classes, a_shared_judgement_is_each_flows_own) {
    unsigned of[MODEL_COUNT] = {0}, kinds = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct edges e;
        struct world w = routers(seed, ROUTES, &e);
        struct random r;
        random_seed(&r, seed);
        for (unsigned i = 0; i < 4000; i++) {
            if (i % 1000 == 999)
                apply_host_route(&w, &r, &e);
            const struct flow_key k = random_key(&r, &e);
            const struct judgement mine = judge(&w, &k, NULL, NULL), *shared = fabric_judge_cached(w.fabric, &k);
            struct ip src = flow_key_src(&k), dst = flow_key_dst(&k);
            char from[IP_TEXT], to[IP_TEXT];
            cr_assert(same(&mine, shared), "seed %lu, flow %u: %s > %s proto %u: %s, shared: %s", seed, i,
                      ip_format(&src, from), ip_format(&dst, to), k.proto, model_verdict_name(mine.verdict),
                      model_verdict_name(shared->verdict));
            of[mine.verdict]++;
        }
        world_end(&w);
    }
    for (unsigned v = 0; v < MODEL_COUNT; v++)
        kinds += of[v] > 20;
    cr_expect_geq(kinds, 6u, "the flows are of %u kinds", kinds);
}

struct in_common { /* of the flows of a mark */
    struct judgement judgement;
    struct ip_prefix far;
    uint32_t src_owner, dst_owner;
};

static struct in_common in_common(const struct world *w, const struct flow_key *k, const struct judgement *j) {
    const struct ip src = flow_key_src(k), dst = flow_key_dst(k);
    return (struct in_common){.judgement = *j, .far = fabric_declared(w->fabric, &j->far),
                              .src_owner = fabric_owner(w->fabric, &src), .dst_owner = fabric_owner(w->fabric, &dst)};
}

Test(classes, flows_of_a_mark_have_all_else_in_common) {
    unsigned again = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct edges e;
        struct world w = routers(seed, ROUTES, &e);
        VEC(struct in_common) seen = {0};
        struct random r;
        random_seed(&r, seed);
        for (unsigned i = 0; i < 4000; i++) {
            const struct flow_key k = random_key(&r, &e);
            uint32_t *mark;
            const struct judgement *j = fabric_judge_marked(w.fabric, &k, &mark);
            const struct in_common now = in_common(&w, &k, j);
            if (!mark)
                continue;
            if (!*mark) {
                vec_push(&seen, now);
                *mark = (uint32_t)seen.n;
                continue;
            }
            struct in_common first = seen.v[*mark - 1];
            first.judgement.far = j->far; /* their own */
            cr_assert(same(&first.judgement, j), "seed %lu, flow %u", seed, i);
            cr_assert(prefix_equal(&first.far, &now.far), "seed %lu, flow %u", seed, i);
            cr_assert_eq(first.src_owner, now.src_owner, "seed %lu, flow %u", seed, i);
            cr_assert_eq(first.dst_owner, now.dst_owner, "seed %lu, flow %u", seed, i);
            again++;
        }
        vec_free(&seen);
        world_end(&w);
    }
    cr_expect_gt(again, 3000u, "%u flows", again);
}

/* Addresses within a prefix and at its ends. */
struct addresses {
    unsigned n;
    struct ip at[1000];
};
static void around(struct addresses *a, const struct ip_prefix *p) {
    static const int32_t steps[] = {-1, 0, 1, 2, 4, 10, 16};
    for (unsigned i = 0; i < 7 && a->n < 998; i++) {
        struct ip *to = &a->at[a->n++];
        *to = p->addr;
        if (p->addr.family == FAMILY_IPV4)
            to->v4 = htonl(ntohl(p->addr.v4) + (uint32_t)steps[i]);
        else
            to->v6[15] = (uint8_t)(to->v6[15] + steps[i]);
    }
    const uint32_t last = ntohl(p->addr.v4) | ~ntohl(ipv4_mask(p->addr.family == FAMILY_IPV4 ? p->len : 32));
    for (uint32_t i = 0; i < 2 && p->addr.family == FAMILY_IPV4; i++)
        a->at[a->n++] = ip_v4(htonl(last + i));
}

static void addresses_of(const struct world *w, struct addresses *a) {
    const struct scenario *s = w->scenario;
    a->n = 0;
    for (size_t i = 0; i < s->subnets.n; i++) {
        around(a, &s->subnets.v[i].prefix);
        if (s->subnets.v[i].prefix6.addr.family == FAMILY_IPV6)
            around(a, &s->subnets.v[i].prefix6);
    }
    for (size_t i = 0; i < s->sites.n; i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n; k++)
            around(a, &s->sites.v[i].prefixes.v[k]);
    for (size_t i = 0; i < s->user_routes.n; i++)
        around(a, &s->user_routes.v[i].prefix);
    for (size_t i = 0; i < s->nics.n; i++)
        if (s->nics.v[i].addr.family == FAMILY_IPV4) {
            const struct ip_prefix host = prefix_of(&s->nics.v[i].addr, 32);
            around(a, &host);
        }
}

/* Flows between places of a whole scenario, one in ten to itself. */
static void compare_shared(struct world *w, const char *name) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ESP};
    static struct addresses a;
    struct random r;
    addresses_of(w, &a);
    random_seed(&r, a.n);
    for (unsigned i = 0; i < 4000;) {
        const struct ip src = a.at[random_below(&r, a.n)], other = a.at[random_below(&r, a.n)];
        const struct ip dst = random_below(&r, 10) ? other : src;
        char from[IP_TEXT], to[IP_TEXT];
        if (src.family != dst.family)
            continue;
        const struct flow_key k = flow(protos[random_below(&r, 3)], ip_format(&src, from), 1000,
                                       ip_format(&dst, to), 80);
        const struct judgement mine = judge(w, &k, NULL, NULL), *shared = fabric_judge_cached(w->fabric, &k);
        cr_assert(same(&mine, shared), "%s, flow %u: %s > %s proto %u: %s, shared: %s", name, i, from, to, k.proto,
                  model_verdict_name(mine.verdict), model_verdict_name(shared->verdict));
        i++;
    }
}

Test(classes, as_each_flows_own_in_whole_scenarios) {
    static const char *const bases[] = {"routed", "without-route-1", "urpf-strict", "small-mtu", "two-hosts",
                                        "onprem-gateway-without-static", "forwarding-off", "connected"};
    for (unsigned i = 0; i < sizeof bases / sizeof *bases; i++) {
        struct world w = world_nested(bases[i], "");
        compare_shared(&w, bases[i]);
        world_end(&w);
    }
    struct world w = world_dual(NULL);
    compare_shared(&w, "both families");
    world_end(&w);
}

/* Packets that all nodes saw. */
static uint64_t walked(const struct world *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->control->n_nodes; i++) {
        const struct node *node = &w->control->nodes[i].node;
        n += node->delivered + node->forwarded;
        for (unsigned d = 0; d < DROP_COUNT; d++)
            n += node->drops[d];
    }
    return n;
}

Test(classes, flows_alike_are_judged_once) {
    struct edges e;
    struct world w = routers(1, 0, &e);
    struct flow_key k = flow(PROTO_TCP, "1.2.3.4", 1000, "10.2.0.10", 80);
    fabric_judge_cached(w.fabric, &k);
    const uint64_t once = walked(&w);
    for (unsigned i = 0; i < 250; i++) {
        k.src[3]++;
        k.sport++;
        fabric_judge_cached(w.fabric, &k);
    }
    cr_expect_eq(walked(&w), once);
    k.dst[3]++; /* the host's neighbour is not the host */
    fabric_judge_cached(w.fabric, &k);
    cr_expect_gt(walked(&w), once);
    world_end(&w);
}

/* Whom the lost answer was for is each flow's own. */
Test(classes, the_far_end_is_not_shared) {
    struct world w = world_text("fwdlab: 1\nname: lost\nnode: b\nsites: {internet: {internet: true}}\nmachines:\n"
                                "  b:\n    nics:\n      out: {site: internet, address: 8.8.200.1/24}\n"
                                "    routes: {lost: {prefix: 1.2.3.0/24, kind: blackhole}}\n");
    for (unsigned i = 0; i < 3; i++) {
        struct flow_key k = flow(PROTO_TCP, "1.2.3.4", 1000, "8.8.200.1", 80);
        k.src[3] = (uint8_t)(k.src[3] + i);
        const struct judgement *j = fabric_judge_cached(w.fabric, &k);
        const struct ip src = flow_key_src(&k);
        cr_expect_eq(j->verdict, MODEL_NO_RETURN_ROUTE, "%s: %s", model_verdict_name(j->verdict),
                     drop_name((enum drop)j->reason));
        cr_expect(ip_equal(&j->far, &src));
    }
    world_end(&w);
}

/* What passes NAT may depend on ports and on the exact address. */
Test(classes, what_passes_nat_is_judged_by_itself) {
    struct world w = world_nested("nat-only", "");
    struct flow_key k = flow(PROTO_TCP, "10.0.2.2", 1000, "8.8.8.8", 80);
    fabric_judge_cached(w.fabric, &k);
    const uint64_t once = walked(&w);
    k.dst[3]++;
    k.sport++;
    cr_expect(fabric_judge_cached(w.fabric, &k)->translated);
    cr_expect_gt(walked(&w), once);
    world_end(&w);
}
