/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scenarios that cannot be right, as they are analysed all the same when the user insists: networks that overlap,
 * addresses that are there twice or outside their subnets, next hops that are nowhere. The first owner has an address;
 * nothing crashes, nothing goes round for ever.
 */
#include "world.h"
#include <fwdlab/base/random.h>

TestSuite(faults);

static struct ip random_address(struct random *r, const struct scenario *s, uint8_t family) {
    const struct ip *nic = control_nic_addr(&s->nics.v[random_below(r, (uint32_t)s->nics.n)], family);
    const struct ip *gateway = control_gateway_addr(&s->subnets.v[random_below(r, (uint32_t)s->subnets.n)], family);
    struct ip a = random_below(r, 3) ? *nic : *gateway;
    if (!a.family) { /* a NIC without that family gets one of no plan */
        a = (struct ip){.family = family};
        for (int i = 0; i < 16; i++)
            a.v6[i] = (uint8_t)(1 + random_below(r, 200));
    }
    if (random_below(r, 3) == 0)
        a.v6[family == FAMILY_IPV6 ? 15 : 3] ^= (uint8_t)(1 + random_below(r, 7));
    return a;
}

static struct ip_prefix random_prefix(struct random *r, const struct scenario *s, uint8_t family) {
    struct ip a = random_address(r, s, family);
    unsigned bits = family == FAMILY_IPV6 ? 128 : 32;
    return prefix_of(&a, random_below(r, 3) ? random_below(r, bits + 1) : bits / 2 + bits / 4);
}

#define ONE_OF(r, vec) (&(vec).v[random_below((r), (uint32_t)(vec).n)])

/* One thing made wrong. */
static void break_one(struct random *r, struct scenario *s) {
    uint8_t family = random_below(r, 2) ? FAMILY_IPV4 : FAMILY_IPV6;
    bool six = family == FAMILY_IPV6;
    struct scenario_nic *nic = ONE_OF(r, s->nics);
    struct scenario_subnet *subnet = ONE_OF(r, s->subnets);
    struct scenario_network *network = ONE_OF(r, s->networks);
    struct scenario_static_route *route = ONE_OF(r, s->static_routes);
    struct scenario_user_route *user = ONE_OF(r, s->user_routes);
    switch (random_below(r, 9)) {
    case 0: /* an address twice, or outside its network */
        *(six ? &nic->addr6 : &nic->addr) = random_address(r, s, family);
        *(six ? &nic->len6 : &nic->len) = (uint8_t)(1 + random_below(r, six ? 128 : 32));
        break;
    case 1: /* a gateway that is elsewhere, or the machine itself */
        *(six ? &nic->gateway6 : &nic->gateway) = random_address(r, s, family);
        *(six ? &nic->default_route6 : &nic->default_route) = true;
        break;
    case 2: /* in a subnet with its neighbour NIC, or on a floating one */
        if (nic->on == NIC_ON_SUBNET)
            nic->on_index = random_below(r, (uint32_t)s->subnets.n);
        break;
    case 3: /* subnets and networks that overlap */
        *(six ? &subnet->prefix6 : &subnet->prefix) = random_prefix(r, s, family);
        break;
    case 4:
        *(six ? &subnet->gateway6 : &subnet->gateway) =
            random_below(r, 4) ? random_address(r, s, family) : (struct ip){0};
        break;
    case 5:
        *ONE_OF(r, network->space) = random_prefix(r, s, family);
        break;
    case 6:
        *ONE_OF(r, s->sites.v[1].prefixes) = random_prefix(r, s, family);
        break;
    case 7: /* next hops that are nowhere */
        if (!route->kind && route->prefix.addr.family == family)
            route->via = random_address(r, s, family);
        break;
    default:
        if (user->kind == NEXT_HOP_APPLIANCE && user->prefix.addr.family == family)
            user->next_hop = random_address(r, s, family);
        else
            subnet->route_table = random_below(r, 2) ? 0 : INDEX_NONE;
    }
}

static uint64_t seed_now;

static void break_many(struct scenario *s) {
    struct random r;
    random_seed(&r, seed_now);
    for (unsigned i = 1 + random_below(&r, 12); i; i--)
        break_one(&r, s);
}

static void check_walk(const struct world *w, const struct walk *walk) {
    cr_assert_leq(walk->n, (unsigned)WALK_HOPS_MAX, "seed %lu", seed_now);
    for (unsigned i = 0; i < walk->n; i++) {
        const struct hop *h = &walk->hops[i];
        cr_assert_lt(h->node, w->control->n_nodes, "seed %lu", seed_now);
        const struct control_node *n = &w->control->nodes[h->node];
        cr_assert(h->out == PORT_NONE || h->out < n->node.n_ports, "seed %lu", seed_now);
        cr_assert(h->nic == INDEX_NONE || h->nic < w->scenario->nics.n, "seed %lu", seed_now);
        cr_assert(h->route == ROUTE_NONE || hop_route(w->control, h), "seed %lu", seed_now);
    }
}

static void judge_some(struct world *w, struct random *r) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
    for (int i = 0; i < 40; i++) {
        uint8_t family = random_below(r, 2) ? FAMILY_IPV4 : FAMILY_IPV6;
        struct ip a = random_address(r, w->scenario, family), b = random_address(r, w->scenario, family);
        char x[IP_TEXT], y[IP_TEXT];
        uint8_t proto = protos[random_below(r, 3)];
        bool ping = proto == PROTO_ICMP;
        if (ping && family == FAMILY_IPV6)
            proto = PROTO_ICMPV6;
        struct flow_key k = flow(proto, ip_format(&a, x), 40000, ip_format(&b, y),
                                 !ping                   ? 80
                                 : family == FAMILY_IPV6 ? ICMPV6_ECHO
                                                         : ICMP_ECHO);
        struct walk there, back;
        struct judgement j = judge(w, &k, &there, &back);
        struct change c[16];
        check_walk(w, &there);
        check_walk(w, &back);
        cr_assert(j.verdict < MODEL_COUNT && j.reason < DROP_COUNT, "seed %lu", seed_now);
        unsigned n = fabric_mends(w->fabric, &j, c, 16);
        if (!n)
            continue;
        if (fabric_apply(w->fabric, &c[random_below(r, n)]) == 0)
            judge(w, &k, NULL, NULL);
        fabric_revert(w->fabric);
        cr_assert_eq(judge(w, &k, NULL, NULL).verdict, j.verdict, "seed %lu: reverted", seed_now);
    }
}

Test(faults, of_any_kind, .timeout = 240) {
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct random r;
        seed_now = seed;
        random_seed(&r, ~seed);
        struct world w = world_dual(break_many);
        judge_some(&w, &r);
        world_end(&w);
    }
}

static const char twins[] = "fwdlab: 1\nname: twins\nnode: r\n"
                            "networks: {one: {space: [10.0.0.0/16], subnets: {s: {prefix: 10.0.0.0/24}}},"
                            " two: {space: [10.1.0.0/16], subnets: {s: {prefix: 10.1.0.0/24}}}}\n"
                            "sites: {internet: {internet: true}}\nmachines:\n"
                            "  r: {router: true, nics: {n: {subnet: one/s, address: 10.0.0.4/24}}}\n"
                            "  a: {nics: {n: {subnet: one/s, address: 10.0.0.5/24}}}\n"
                            "  b: {nics: {n: {subnet: two/s, address: 10.1.0.5/24}}}\n"
                            "  c: {nics: {n: {subnet: two/s, address: 10.1.0.6/24}}}\n"
                            "  w: {nics: {n: {site: internet, address: 203.0.113.9/24}}}\n";

/* The second network becomes the first one's twin: same space, and `b` has the address of `a`. */
static void overlap(struct scenario *s) {
    s->networks.v[1].space.v[0] = s->networks.v[0].space.v[0];
    s->subnets.v[1].prefix = s->subnets.v[0].prefix;
    s->subnets.v[1].gateway = s->subnets.v[0].gateway;
    for (size_t i = 2; i < 4; i++) {
        s->nics.v[i].addr.v4 = htonl(0x0a000000 | (ntohl(s->nics.v[i].addr.v4) & 0xff));
        s->nics.v[i].gateway = s->subnets.v[0].gateway;
    }
}

Test(faults, the_first_of_two_networks_has_the_space) {
    struct world w = world_altered(twins, overlap);
    struct walk there;
    struct ip a;
    ip_parse("10.0.0.5", &a);
    uint32_t owner = fabric_owner(w.fabric, &a);
    cr_assert_neq(owner, INDEX_NONE);
    cr_expect_str_eq(w.control->nodes[owner].name, "a");
    struct flow_key k = flow(PROTO_TCP, "203.0.113.9", 1, "10.0.0.5", 2);
    judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "w internet one/s a");
    k = flow(PROTO_TCP, "10.0.0.6", 1, "10.0.0.5", 2); /* of the second network, where `b` has the address */
    judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "c two/s b");
    k = flow(PROTO_TCP, "10.0.0.6", 1, "203.0.113.9", 2);
    struct judgement j = judge(&w, &k, &there, NULL);
    expect_path(&w, &there, "c two/s internet w");
    expect_verdict(&j, MODEL_NO_RETURN_ROUTE); /* answers go to the first, which has no such machine */
    world_end(&w);
}
