/* SPDX-License-Identifier: BSD-3-Clause */
/* Any traffic through any security groups, against a plain list of flows and datagrams. */
#include <fwdlab/base/random.h>
#include "filter_packet.h"

#define PORTS 3
#define GROUPS 4
#define RULES 5
#define FLOWS 5
#define IDLE (60 * S)
#define FRAGMENT_LIFE (30 * S)
#define STEPS 4000
#define RECENT 16

/* ---- the oracle: nothing forgotten but by time, searched from end to end ---- */

struct seen { /* a flow as its first packet was, or a first fragment */
    struct spec spec;
    uint16_t port;
    enum filter_direction direction;
    uint64_t last, order; /* order: of the last use */
    bool evicted;
};

struct oracle {
    const struct filter_config *config;
    struct seen flows[STEPS], fragments[STEPS];
    unsigned n_flows, n_fragments;
    uint64_t order;
    unsigned by_flow, by_error, by_fragment, evictions; /* what the rules alone would not have let through */
};

static bool is_reply(const struct spec *s) {
    return s->type == ICMP_ECHO_REPLY || s->type == ICMP_TIMESTAMP_REPLY || s->type == ICMPV6_ECHO_REPLY;
}

/* ICMP: a query and its reply have one kind. */
static unsigned kind_of(const struct spec *s) {
    if (!proto_is_icmp(s->proto))
        return 0;
    return s->type == ICMP_TIMESTAMP || s->type == ICMP_TIMESTAMP_REPLY ? 2 : 1;
}

static bool same_flow(const struct spec *a, const struct spec *b, bool turned) {
    bool icmp = proto_is_icmp(a->proto);
    if (a->family != b->family || a->proto != b->proto || kind_of(a) != kind_of(b) ||
        (icmp && (is_reply(a) != is_reply(b)) != turned))
        return false;
    if (turned)
        return a->src == b->dst && a->dst == b->src && a->sport == (icmp ? b->sport : b->dport) &&
               (icmp || a->dport == b->sport);
    return a->src == b->src && a->dst == b->dst && a->sport == b->sport && (icmp || a->dport == b->dport);
}

static struct seen *live_flow(struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d,
                              uint64_t now) {
    for (unsigned i = 0; i < o->n_flows; i++) {
        struct seen *f = &o->flows[i];
        if (!f->evicted && f->port == port && now <= f->last + IDLE && same_flow(s, &f->spec, f->direction != d))
            return f;
    }
    return NULL;
}

static bool known_fragment(const struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d,
                           uint64_t now) {
    for (unsigned i = 0; i < o->n_fragments; i++) {
        const struct seen *f = &o->fragments[i];
        if (f->port == port && f->direction == d && now <= f->last + FRAGMENT_LIFE && f->spec.family == s->family &&
            f->spec.src == s->src && f->spec.dst == s->dst && f->spec.id == s->id &&
            (s->family == FAMILY_IPV6 || f->spec.proto == s->proto))
            return true;
    }
    return false;
}

static bool in_prefix(const struct ip_prefix *p, uint8_t family, uint8_t n) {
    uint8_t addr[16];
    host(addr, family, n);
    if (p->addr.family == FAMILY_NONE)
        return true;
    for (unsigned bit = 0; bit < p->len && p->addr.family == family; bit++)
        if ((addr[bit / 8] ^ p->addr.v6[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    return p->addr.family == family;
}

static bool in_range(unsigned min, unsigned max, unsigned port, bool has_ports) {
    return max - min == UINT16_MAX || (has_ports && port >= min && port <= max);
}

static bool group_allows(const struct filter_group *g, const struct spec *s, enum filter_direction d) {
    bool has_ports = s->piece != LATER && (s->proto == PROTO_TCP || s->proto == PROTO_UDP);
    bool hidden = s->family == FAMILY_IPV6 && s->piece == LATER && s->options; /* only the first one tells */
    uint8_t proto = hidden ? EXTENSION_DESTINATION : s->proto;
    for (unsigned i = 0; i < g->n_rules[d]; i++) {
        const struct filter_rule *r = &g->rules[d][i];
        if ((!r->proto || r->proto == proto) && in_prefix(&r->src, s->family, s->src) &&
            in_prefix(&r->dst, s->family, s->dst) && in_range(r->sport_min, r->sport_max, s->sport, has_ports) &&
            in_range(r->dport_min, r->dport_max, s->dport, has_ports))
            return r->allow;
    }
    return false;
}

static bool rules_allow(const struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d) {
    const struct filter_port *p = &o->config->ports[port];
    return (p->subnet == FILTER_NONE || group_allows(&o->config->groups[p->subnet], s, d)) &&
           (p->nic == FILTER_NONE || group_allows(&o->config->groups[p->nic], s, d));
}

/* The oldest of those that were not forgotten yet goes, dead or not. */
static void remember(struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d, uint64_t now) {
    struct seen *oldest = NULL;
    unsigned kept = 0;
    for (unsigned i = 0; i < o->n_flows; i++) {
        struct seen *f = &o->flows[i];
        if (!f->evicted && f->port == port && same_flow(s, &f->spec, f->direction != d))
            f->evicted = true; /* a dead one of the same name makes room for it */
        kept += !f->evicted;
        if (!f->evicted && (!oldest || f->order < oldest->order))
            oldest = f;
    }
    if (kept == FLOWS) {
        oldest->evicted = true;
        o->evictions += now <= oldest->last + IDLE;
    }
    o->flows[o->n_flows++] = (struct seen){*s, port, d, now, o->order++, false};
}

static bool oracle_whole(struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d, uint64_t now) {
    bool allowed = rules_allow(o, s, port, d);
    if (s->about) {
        unsigned need = s->about->proto == PROTO_ESP ? 0 : proto_is_icmp(s->about->proto) ? 8 : 4;
        need += s->family == FAMILY_IPV4 ? 20 : s->about->piece == FIRST ? 48 : 40;
        bool about = s->dst == s->about->src && s->quoted >= need &&
                     live_flow(o, s->about, port, d == FILTER_IN ? FILTER_OUT : FILTER_IN, now);
        o->by_error += about && !allowed;
        return about || allowed;
    }
    struct seen *flow = live_flow(o, s, port, d, now);
    if (flow) {
        flow->last = now;
        flow->order = o->order++;
        o->by_flow += !allowed;
    } else if (allowed) {
        remember(o, s, port, d, now);
    }
    return flow || allowed;
}

static bool oracle_passes(struct oracle *o, const struct spec *s, uint16_t port, enum filter_direction d,
                          uint64_t now) {
    if (o->config->ports[port].subnet == FILTER_NONE && o->config->ports[port].nic == FILTER_NONE)
        return true;
    if (s->piece == LATER) {
        bool known = known_fragment(o, s, port, d, now), allowed = rules_allow(o, s, port, d);
        o->by_fragment += known && !allowed;
        return known || allowed;
    }
    bool passed = oracle_whole(o, s, port, d, now);
    if (passed && s->piece == FIRST)
        o->fragments[o->n_fragments++] = (struct seen){*s, port, d, now, 0, false};
    return passed;
}

/* ---- made-up rules and traffic ---- */

static struct ip_prefix random_prefix(struct random *r) {
    struct ip_prefix p = {.len = 0};
    uint8_t family = random_below(r, 2) ? FAMILY_IPV4 : FAMILY_IPV6;
    if (random_below(r, 2))
        return p;
    p.addr.family = family;
    host(p.addr.v6, family, (uint8_t)(1 + random_below(r, 3)));
    return prefix_of(&p.addr, (family == FAMILY_IPV4 ? 31 : 127) + random_below(r, 2));
}

static struct filter_rule random_rule(struct random *r) {
    static const uint8_t protos[] = {0, PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMPV6, PROTO_ESP};
    static const uint16_t ranges[][2] = {{0, UINT16_MAX}, {0, UINT16_MAX}, {0, 10}, {10, 20}, {20, UINT16_MAX}};
    const uint16_t *s = ranges[random_below(r, 5)], *d = ranges[random_below(r, 5)];
    return (struct filter_rule){.allow = random_below(r, 3) > 0, .proto = protos[random_below(r, 6)],
                                .src = random_prefix(r), .dst = random_prefix(r), .sport_min = s[0],
                                .sport_max = s[1], .dport_min = d[0], .dport_max = d[1]};
}

static struct spec random_spec(struct random *r) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    static const uint8_t types[] = {ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_TIMESTAMP, ICMP_TIMESTAMP_REPLY};
    struct spec s = {.family = random_below(r, 2) ? FAMILY_IPV4 : FAMILY_IPV6, .proto = protos[random_below(r, 4)],
                     .src = (uint8_t)(1 + random_below(r, 3)), .dst = (uint8_t)(1 + random_below(r, 3)),
                     .sport = (uint16_t)(10 * (1 + random_below(r, 2))),
                     .dport = (uint16_t)(10 * (1 + random_below(r, 2))), .options = random_below(r, 2),
                     .piece = (uint8_t)(random_below(r, 2) ? WHOLE : random_below(r, 3)),
                     .id = (uint16_t)random_below(r, 2)};
    if (s.proto == PROTO_ESP)
        s.sport = s.dport = 0;
    if (s.proto != PROTO_ICMP)
        return s;
    s.type = types[random_below(r, 4)];
    if (s.family == FAMILY_IPV6) {
        s.proto = PROTO_ICMPV6;
        s.type = random_below(r, 2) ? ICMPV6_ECHO : ICMPV6_ECHO_REPLY;
    }
    return s;
}

/* One packet at one side of a port. */
struct event {
    struct spec spec;
    uint16_t port;
    enum filter_direction direction;
};

static struct event fresh(struct random *r) {
    struct event e = {.spec = random_spec(r)};
    e.port = (uint16_t)random_below(r, PORTS);
    e.direction = random_below(r, 2) ? FILTER_IN : FILTER_OUT;
    return e;
}

static void turn(struct event *e, const struct event *before) {
    const struct spec *s = &before->spec;
    bool icmp = proto_is_icmp(s->proto);
    *e = *before;
    e->direction = before->direction == FILTER_IN ? FILTER_OUT : FILTER_IN;
    e->spec.src = s->dst;
    e->spec.dst = s->src;
    e->spec.sport = icmp ? s->sport : s->dport;
    e->spec.dport = icmp ? s->dport : s->sport;
    e->spec.type = s->type == ICMP_ECHO ? ICMP_ECHO_REPLY : s->type == ICMP_TIMESTAMP ? ICMP_TIMESTAMP_REPLY
                 : s->type == ICMPV6_ECHO ? ICMPV6_ECHO_REPLY : s->type;
}

static void complain(struct event *e, struct random *r, const struct event *before) {
    const struct spec *s = &before->spec;
    e->direction = before->direction == FILTER_IN ? FILTER_OUT : FILTER_IN;
    e->port = before->port;
    e->spec = (struct spec){.family = s->family, .about = s, .src = (uint8_t)(1 + random_below(r, 3)),
                            .dst = random_below(r, 4) ? s->src : (uint8_t)(1 + random_below(r, 3)),
                            .proto = s->family == FAMILY_IPV4 ? PROTO_ICMP : PROTO_ICMPV6,
                            .type = s->family == FAMILY_IPV4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE,
                            .quoted = (uint16_t)(10 + random_below(r, 60))};
}

/* Something new, or what answers, goes on or complains about a packet of late; now and then at another port. */
static struct event random_event(struct random *r, const struct event *recent) {
    const struct event *before = &recent[random_below(r, RECENT)];
    struct event e = fresh(r);
    switch (random_below(r, 5)) {
    case 1:
        e = *before;
        e.spec.piece = (uint8_t)random_below(r, 3);
        break;
    case 2:
        turn(&e, before);
        break;
    case 3:
        if (before->spec.piece != LATER && !before->spec.options)
            complain(&e, r, before);
        break;
    }
    if (random_below(r, 8) == 0)
        e.port = (uint16_t)random_below(r, PORTS);
    return e;
}

static struct filter *random_filter(struct random *r, struct filter_config *config, struct filter_port *ports,
                                    struct filter_group *groups, struct filter_rule (*rules)[RULES]) {
    for (unsigned i = 0; i < 2 * GROUPS; i++) {
        unsigned n = 1 + random_below(r, RULES);
        for (unsigned k = 0; k < n; k++)
            rules[i][k] = random_rule(r);
        groups[i / 2].n_rules[i % 2] = n;
        groups[i / 2].rules[i % 2] = rules[i];
    }
    for (unsigned i = 0; i < PORTS; i++)
        ports[i] = (struct filter_port){(uint16_t)random_below(r, GROUPS),
                                        random_below(r, 2) ? FILTER_NONE : (uint16_t)random_below(r, GROUPS)};
    ports[PORTS - 1].subnet = FILTER_NONE; /* and with luck no other either */
    *config = (struct filter_config){PORTS, GROUPS, ports, groups, FLOWS, IDLE};
    return filter_create(config);
}

static void run(uint64_t seed, struct oracle *o) {
    struct filter_config config;
    struct filter_port ports[PORTS];
    struct filter_group groups[GROUPS] = {{.name = "0"}};
    struct filter_rule rules[2 * GROUPS][RULES];
    struct event recent[RECENT];
    struct random r;
    random_seed(&r, seed);
    struct filter *f = random_filter(&r, &config, ports, groups, rules);
    o->config = &config;
    for (unsigned i = 0; i < RECENT; i++)
        recent[i] = fresh(&r);
    uint64_t now = 1;
    for (unsigned i = 0; i < STEPS; i++) {
        struct event e = random_event(&r, recent);
        now += random_below(&r, 50) ? random_below(&r, 4) * S : IDLE - 2 * S;
        bool want = oracle_passes(o, &e.spec, e.port, e.direction, now);
        cr_assert_eq(passes(f, &e.spec, e.port, e.direction, now), want, "seed %lu, packet %u: %spassed",
                     (unsigned long)seed, i, want ? "not " : "");
        if (!e.spec.about)
            recent[i % RECENT] = e;
    }
    filter_destroy(f);
}

Test(filter, any_traffic_as_a_list_has_it) {
    unsigned by_flow = 0, by_error = 0, by_fragment = 0, evictions = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct oracle *o = calloc(1, sizeof *o);
        run(seed, o);
        by_flow += o->by_flow;
        by_error += o->by_error;
        by_fragment += o->by_fragment;
        evictions += o->evictions;
        free(o);
    }
    cr_assert(by_flow > 500 && by_error > 100 && by_fragment > 50 && evictions > 300, "%u %u %u %u", by_flow,
              by_error, by_fragment, evictions);
}
