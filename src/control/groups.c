/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security groups: the rules of the scenario in the core's terms, prefix by prefix, and behind them the platform's
 * default rules. What `network` and `internet` mean depends on the network of the NIC, so each NIC has groups of its
 * own; first-match rules have no "all but", so `internet` is spelt out as the prefixes that are left.
 */
#include "build.h"
#include <errno.h>
#include <fwdlab/core/parse.h>
#include <stdio.h>
#include <string.h>

struct prefixes {
    struct ip_prefix *v;
    size_t n, cap;
};

struct rules {
    struct filter_rule *v;
    size_t n, cap;
};

/* What the words mean at one NIC. */
struct meaning {
    struct prefixes word[ENDPOINT_PLATFORM + 1];
};

/* The half of a prefix in which its next bit is `bit`. */
static struct ip_prefix half(const struct ip_prefix *p, unsigned bit) {
    struct ip_prefix h = {p->addr, (uint8_t)(p->len + 1)};
    uint8_t *bytes = h.addr.family == FAMILY_IPV6 ? h.addr.v6 : (uint8_t *)&h.addr.v4;
    bytes[p->len / 8] |= (uint8_t)(bit << (7 - p->len % 8));
    return h;
}

/* The part of `p` that is in none of the prefixes of `in`. */
static void add_rest(struct prefixes *out, const struct prefixes *in, struct ip_prefix p) {
    bool touched = false;
    for (size_t i = 0; i < in->n; i++) {
        if (prefix_covers(&in->v[i], &p))
            return;
        touched |= prefix_overlaps(&in->v[i], &p);
    }
    if (!touched) {
        vec_push(out, p);
        return;
    }
    for (unsigned bit = 0; bit < 2; bit++)
        add_rest(out, in, half(&p, bit));
}

/* All that the network reaches without the Internet: its space, joined sites, what its route tables lead to. */
static void add_network(struct prefixes *out, const struct scenario *s, uint32_t network) {
    for (size_t i = 0; i < s->networks.v[network].space.n; i++)
        vec_push(out, s->networks.v[network].space.v[i]);
    for (size_t i = 0; i < s->sites.n; i++) {
        const struct scenario_site *site = &s->sites.v[i];
        bool joined = site->gateway_subnet != INDEX_NONE && s->subnets.v[site->gateway_subnet].network == network;
        for (size_t k = 0; k < site->prefixes.n && joined; k++)
            vec_push(out, site->prefixes.v[k]);
    }
    for (size_t i = 0; i < s->subnets.n; i++) {
        if (s->subnets.v[i].network != network || s->subnets.v[i].route_table == INDEX_NONE)
            continue;
        const struct scenario_route_table *t = &s->route_tables.v[s->subnets.v[i].route_table];
        for (uint32_t k = 0; k < t->n_routes; k++)
            vec_push(out, s->user_routes.v[t->first_route + k].prefix);
    }
}

static void meaning_init(struct meaning *m, const struct scenario *s, uint32_t network) {
    struct ip_prefix platform = {.len = 32}, all = {.addr.family = FAMILY_IPV4};
    ip_parse("168.63.129.16", &platform.addr);
    memset(m, 0, sizeof *m);
    vec_push(&m->word[ENDPOINT_ANY], (struct ip_prefix){0});
    vec_push(&m->word[ENDPOINT_PLATFORM], platform);
    vec_push(&m->word[ENDPOINT_NETWORK], platform);
    if (network != INDEX_NONE)
        add_network(&m->word[ENDPOINT_NETWORK], s, network);
    add_rest(&m->word[ENDPOINT_INTERNET], &m->word[ENDPOINT_NETWORK], all);
    all.addr.family = FAMILY_IPV6;
    add_rest(&m->word[ENDPOINT_INTERNET], &m->word[ENDPOINT_NETWORK], all);
}

static void meaning_fini(struct meaning *m) {
    for (size_t i = 0; i < sizeof m->word / sizeof *m->word; i++)
        vec_free(&m->word[i]);
}

/* One rule from each prefix to each other; ICMP means that of the addresses' family, or both. */
static void add_pairs(struct rules *out, struct filter_rule rule, const struct prefixes *from,
                      const struct prefixes *to) {
    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < to->n; k++) {
            uint8_t a = from->v[i].addr.family, b = to->v[k].addr.family, family = a ? a : b;
            rule.src = from->v[i];
            rule.dst = to->v[k];
            if (a && b && a != b)
                continue;
            if (proto_is_icmp(rule.proto)) {
                rule.proto = family == FAMILY_IPV6 ? PROTO_ICMPV6 : PROTO_ICMP;
                if (!family) {
                    vec_push(out, rule);
                    rule.proto = PROTO_ICMPV6;
                }
            }
            vec_push(out, rule);
        }
}

/* The prefixes of a list of endpoints; the caller frees. */
static struct prefixes expand(const struct meaning *m, const struct scenario_endpoint *v, size_t n) {
    struct prefixes out = {0};
    for (size_t i = 0; i < n; i++) {
        if (v[i].kind == ENDPOINT_PREFIX) {
            vec_push(&out, v[i].prefix);
            continue;
        }
        const struct prefixes *word = &m->word[v[i].kind];
        for (size_t k = 0; k < word->n; k++)
            vec_push(&out, word->v[k]);
    }
    return out;
}

static void add_rule(struct rules *out, const struct meaning *m, const struct scenario_security_rule *r) {
    struct filter_rule rule = {.allow = r->allow,
                               .proto = r->proto,
                               .sport_min = r->from_ports.first,
                               .sport_max = r->from_ports.last,
                               .dport_min = r->to_ports.first,
                               .dport_max = r->to_ports.last};
    struct prefixes from = expand(m, r->from.v, r->from.n), to = expand(m, r->to.v, r->to.n);
    snprintf(rule.name, sizeof rule.name, "%s", r->name);
    add_pairs(out, rule, &from, &to);
    vec_free(&from);
    vec_free(&to);
}

/* What the platform says when nothing else did, by direction. */
static void add_defaults(struct rules *out, const struct meaning *m, enum filter_direction d) {
    static const struct {
        const char *name;
        bool allow;
        uint8_t from, to; /* enum endpoint_kind */
    } defaults[2][3] = {
        [FILTER_IN] = {{"AllowVnetInBound", true, ENDPOINT_NETWORK, ENDPOINT_NETWORK},
                       {"AllowAzureLoadBalancerInBound", true, ENDPOINT_PLATFORM, ENDPOINT_ANY},
                       {"DenyAllInBound", false, ENDPOINT_ANY, ENDPOINT_ANY}},
        [FILTER_OUT] = {{"AllowVnetOutBound", true, ENDPOINT_NETWORK, ENDPOINT_NETWORK},
                        {"AllowInternetOutBound", true, ENDPOINT_ANY, ENDPOINT_INTERNET},
                        {"DenyAllOutBound", false, ENDPOINT_ANY, ENDPOINT_ANY}},
    };
    for (int i = 0; i < 3; i++) {
        struct filter_rule rule = {.allow = defaults[d][i].allow, .sport_max = 65535, .dport_max = 65535};
        snprintf(rule.name, sizeof rule.name, "%s", defaults[d][i].name);
        add_pairs(out, rule, &m->word[defaults[d][i].from], &m->word[defaults[d][i].to]);
    }
}

static void group_make(const struct scenario *s, uint32_t group, const struct meaning *m, struct filter_group *out) {
    const struct scenario_security_group *g = &s->security_groups.v[group];
    snprintf(out->name, sizeof out->name, "%s", g->name);
    for (int d = 0; d < 2; d++) {
        struct rules rules = {0};
        for (uint32_t i = g->first_rule; i < g->first_rule + g->n_rules; i++)
            if (s->security_rules.v[i].inbound == (d == FILTER_IN))
                add_rule(&rules, m, &s->security_rules.v[i]);
        add_defaults(&rules, m, (enum filter_direction)d);
        out->rules[d] = rules.v;
        out->n_rules[d] = (uint32_t)rules.n;
    }
}

/* The groups of a NIC, appended to `groups`. */
static void nic_groups(const struct scenario *s, const struct scenario_nic *nic, struct filter_port *port,
                       struct filter_group *groups, uint16_t *n) {
    const struct scenario_subnet *subnet = nic->on == NIC_ON_SUBNET ? &s->subnets.v[nic->on_index] : NULL;
    const uint32_t index[2] = {subnet ? subnet->security_group : INDEX_NONE, nic->security_group};
    uint16_t *place[2] = {&port->subnet, &port->nic};
    struct meaning m;
    *port = (struct filter_port){FILTER_NONE, FILTER_NONE};
    if (index[0] == INDEX_NONE && index[1] == INDEX_NONE)
        return;
    meaning_init(&m, s, subnet ? subnet->network : INDEX_NONE);
    for (int i = 0; i < 2; i++) {
        if (index[i] == INDEX_NONE)
            continue;
        *place[i] = *n;
        group_make(s, index[i], &m, &groups[(*n)++]);
    }
    meaning_fini(&m);
}

int machine_filter(const struct control *c, struct control_node *n, uint32_t flows) {
    const struct scenario *s = c->scenario;
    const struct scenario_machine *m = &s->machines.v[n->index];
    struct filter_port *ports = xzalloc(m->n_nics, sizeof *ports);
    struct filter_group *groups = xzalloc(2u * m->n_nics, sizeof *groups);
    struct filter_config config = {.n_ports = m->n_nics, .ports = ports, .groups = groups, .max_flows = flows};
    for (uint16_t i = 0; i < m->n_nics; i++)
        nic_groups(s, &s->nics.v[m->first_nic + i], &ports[i], groups, &config.n_groups);
    errno = ENOMEM;
    if (config.n_groups)
        n->node.filter = filter_create(&config);
    int code = config.n_groups && !n->node.filter ? -errno : 0;
    for (uint16_t i = 0; i < 2 * config.n_groups; i++)
        vec_release((void *)groups[i / 2].rules[i % 2]);
    vec_release(ports);
    vec_release(groups);
    return code;
}
