/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security groups: configuration, rules, and the two stages. What the rules allow leaves a flow behind, which lets both
 * directions of it through until it is idle for too long (filter_table.h); only what has no flow is held against the
 * rules. ICMP other than queries makes no flow: nothing answers it.
 */
#include <fwdlab/core/filter.h>

#include <errno.h>
#include <stdlib.h>
#include <fwdlab/core/parse.h>
#include "filter_table.h"

#define FLOWS_DEFAULT 65536u
#define IDLE_DEFAULT_NS 240000000000u
#define FRAGMENTS 1024u /* datagrams whose first fragment is remembered, */
#define FRAGMENT_NS 30000000000u /* and how long */

struct filter {
    uint16_t n_ports;
    struct filter_port *ports;
    struct filter_group *groups;
    struct filter_rule *rules; /* of all groups */
    struct filter_table flows, fragments;
};

/* ---- configuration ---- */

static bool group_exists(const struct filter_config *c, uint16_t group) {
    return group == FILTER_NONE || group < c->n_groups;
}

static bool config_sound(const struct filter_config *c) {
    for (unsigned i = 0; i < c->n_ports; i++)
        if (!group_exists(c, c->ports[i].subnet) || !group_exists(c, c->ports[i].nic))
            return false;
    return c->max_flows <= FILTER_TABLE_MAX;
}

static void *copy(const void *from, size_t size) {
    void *to = malloc(size + 1);
    if (to && size)
        memcpy(to, from, size);
    return to;
}

/* Groups that point to the filter's own rules. */
static bool copy_groups(struct filter *f, const struct filter_config *c) {
    size_t n = 0;
    for (unsigned i = 0; i < c->n_groups; i++)
        n += (size_t)c->groups[i].n_rules[FILTER_IN] + c->groups[i].n_rules[FILTER_OUT];
    f->groups = copy(c->groups, c->n_groups * sizeof *f->groups);
    f->rules = malloc(n * sizeof *f->rules + 1);
    if (!f->groups || !f->rules)
        return false;
    struct filter_rule *to = f->rules;
    for (unsigned i = 0; i < 2u * c->n_groups; i++) {
        struct filter_group *g = &f->groups[i / 2];
        if (g->n_rules[i % 2])
            memcpy(to, g->rules[i % 2], g->n_rules[i % 2] * sizeof *to);
        g->rules[i % 2] = to;
        to += g->n_rules[i % 2];
    }
    return true;
}

struct filter *filter_create(const struct filter_config *c) {
    errno = EINVAL;
    if (!config_sound(c))
        return NULL;
    struct filter *f = calloc(1, sizeof *f);
    errno = ENOMEM;
    if (!f)
        return NULL;
    f->n_ports = c->n_ports;
    f->ports = copy(c->ports, c->n_ports * sizeof *f->ports);
    if (f->ports && copy_groups(f, c) &&
        filter_table_init(&f->flows, c->max_flows ? c->max_flows : FLOWS_DEFAULT,
                          c->idle_ns ? c->idle_ns : IDLE_DEFAULT_NS) == 0 &&
        filter_table_init(&f->fragments, FRAGMENTS, FRAGMENT_NS) == 0)
        return f;
    filter_destroy(f);
    errno = ENOMEM;
    return NULL;
}

void filter_destroy(struct filter *f) {
    if (!f)
        return;
    filter_table_fini(&f->flows);
    filter_table_fini(&f->fragments);
    free(f->rules);
    free(f->groups);
    free(f->ports);
    free(f);
}

void filter_reset(struct filter *f) {
    filter_table_clear(&f->flows);
    filter_table_clear(&f->fragments);
}

static bool port_active(const struct filter *f, uint16_t port) { /* never PORT_NONE */
    return port < f->n_ports && (f->ports[port].subnet != FILTER_NONE || f->ports[port].nic != FILTER_NONE);
}

bool filter_active(const struct filter *f) {
    for (uint16_t i = 0; i < f->n_ports; i++)
        if (port_active(f, i))
            return true;
    return false;
}

/* ---- rules ---- */

static bool address_matches(const struct ip_prefix *prefix, const struct ip *addr) {
    return prefix->addr.family == FAMILY_NONE || prefix_contains(prefix, addr);
}

static bool port_matches(uint16_t min, uint16_t max, be16 port, bool has_ports) {
    return (min == 0 && max == UINT16_MAX) || (has_ports && min <= ntohs(port) && ntohs(port) <= max);
}

static const struct filter_rule *first_match(const struct filter_group *g, enum filter_direction d,
                                             const struct flow_key *key, bool has_ports) {
    const struct ip src = flow_key_src(key), dst = flow_key_dst(key);
    for (uint32_t i = 0; i < g->n_rules[d]; i++) {
        const struct filter_rule *r = &g->rules[d][i];
        if ((r->proto == 0 || r->proto == key->proto) && address_matches(&r->src, &src) &&
            address_matches(&r->dst, &dst) && port_matches(r->sport_min, r->sport_max, key->sport, has_ports) &&
            port_matches(r->dport_min, r->dport_max, key->dport, has_ports))
            return r;
    }
    return NULL;
}

static struct filter_answer judge(const struct filter *f, uint16_t port, enum filter_direction d,
                                  const struct flow_key *key, bool has_ports) {
    struct filter_answer a = {.allowed = true};
    for (unsigned i = 0; i < 2 && port < f->n_ports && a.allowed; i++) {
        bool subnet = (i == 0) == (d == FILTER_IN);
        uint16_t group = subnet ? f->ports[port].subnet : f->ports[port].nic;
        if (group == FILTER_NONE)
            continue;
        a.group = &f->groups[group];
        a.rule = first_match(a.group, d, key, has_ports);
        a.allowed = a.rule && a.rule->allow;
        a.by_subnet = subnet && !a.allowed;
    }
    return a;
}

struct filter_answer filter_judge(const struct filter *f, uint16_t port, enum filter_direction d,
                                  const struct flow_key *key) {
    return judge(f, port, d, key, (key->sport | key->dport) != 0 && !proto_is_icmp(key->proto));
}

/* ---- flows ---- */

/* The request that an ICMP query's type belongs to. */
static uint8_t icmp_request(uint8_t proto, uint8_t type) {
    if (proto == PROTO_ICMPV6)
        return ICMPV6_ECHO;
    return type == ICMP_ECHO_REPLY ? ICMP_ECHO : type == ICMP_TIMESTAMP_REPLY ? ICMP_TIMESTAMP
         : type == ICMP_INFORMATION_REPLY ? ICMP_INFORMATION : type == ICMP_MASK_REPLY ? ICMP_MASK : type;
}

/*
 * The flow of a packet that passes `port` in direction d. An ICMP request's type stands as its destination port, so
 * that only its own reply is its answer. False: the packet makes no flow.
 */
static bool flow_of(const struct packet *p, uint16_t port, enum filter_direction d, struct filter_key *key) {
    struct flow_key ends;
    packet_key(p, &ends);
    be16 sport = ends.sport, dport = ends.dport;
    if (proto_is_icmp(p->proto)) {
        if (!(p->flags & PACKET_PORTS))
            return false;
        uint8_t type = p->data[p->l4], request = icmp_request(p->proto, type);
        dport = type == request ? htons(request) : sport;
        sport = type == request ? sport : htons(request);
    }
    bool in = d == FILTER_IN;
    *key = (struct filter_key){.far_port = in ? sport : dport, .near_port = in ? dport : sport, .port = port,
                               .kind = p->family, .proto = p->proto};
    memcpy(key->far, in ? ends.src : ends.dst, sizeof key->far);
    memcpy(key->near, in ? ends.dst : ends.src, sizeof key->near);
    return true;
}

/* Where a packet ends by its IP header, or was cut: padding may follow. */
static uint32_t packet_end(const struct packet *p) {
    uint32_t length = p->family == FAMILY_IPV4 ? ntohs(packet_ipv4(p)->total_length)
                                               : sizeof(struct ipv6_header) + ntohs(packet_ipv6(p)->payload_length);
    return p->l3 + length < p->len ? p->l3 + length : p->len;
}

/* The packet that an ICMP error quotes, as far as its ports; false when it was none that makes a flow. */
static bool quoted(const struct packet *error, struct packet *inner) {
    uint32_t at = error->l4 + 8u, end = packet_end(error);
    if (at >= end)
        return false;
    *inner = (struct packet){.data = error->data + at, .len = end - at, .wire_len = UINT32_MAX,
                             .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    parse(inner);
    if (inner->reason == DROP_SHORT_L4 && inner->proto == PROTO_TCP && inner->l4 + 4u <= inner->len) {
        inner->reason = DROP_NONE; /* RFC 792: 64 bits of it will do */
        memcpy(&inner->sport, inner->data + inner->l4, sizeof inner->sport);
        memcpy(&inner->dport, inner->data + inner->l4 + 2, sizeof inner->dport);
        inner->flags |= PACKET_PORTS;
    }
    return !inner->reason && inner->family == error->family;
}

/* Is an error, sent to whom the packet inside came from, about a flow that passed here the other way? */
static bool about_flow(const struct filter *f, const struct packet *p, uint16_t port, enum filter_direction d,
                       uint64_t now) {
    struct packet inner;
    struct flow_key outer_ends, inner_ends;
    struct filter_key key;
    if (!quoted(p, &inner))
        return false;
    packet_key(p, &outer_ends);
    packet_key(&inner, &inner_ends);
    return memcmp(outer_ends.dst, inner_ends.src, sizeof inner_ends.src) == 0 &&
           flow_of(&inner, port, d == FILTER_IN ? FILTER_OUT : FILTER_IN, &key) &&
           filter_table_find(&f->flows, &key, now);
}

/* Identification of a fragment's datagram; IPv6: in the fragment header, which is there. */
static be32 fragment_id(const struct packet *p) {
    if (p->family == FAMILY_IPV4)
        return packet_ipv4(p)->id;
    const uint8_t *h = p->data + p->l3 + sizeof(struct ipv6_header);
    for (uint8_t next = packet_ipv6(p)->next_header; next != EXTENSION_FRAGMENT;) {
        unsigned length = next == EXTENSION_AUTHENTICATION ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
        next = h[0];
        h += length;
    }
    return ((const struct ipv6_fragment_header *)h)->id;
}

/* What the fragments of one datagram share (RFC 791, 3.2; RFC 8200, 4.5: not the protocol). */
static struct filter_key datagram_of(const struct packet *p, uint16_t port, enum filter_direction d) {
    struct flow_key ends;
    be32 id = fragment_id(p);
    packet_key(p, &ends);
    struct filter_key key = {.port = port, .kind = (uint8_t)(p->family | d << 7),
                             .proto = p->family == FAMILY_IPV4 ? p->proto : 0,
                             .far_port = (be16)(id >> 16), .near_port = (be16)id};
    memcpy(key.far, ends.src, sizeof key.far);
    memcpy(key.near, ends.dst, sizeof key.near);
    return key;
}

/* ---- stages ---- */

static bool by_rules(const struct filter *f, const struct packet *p, uint16_t port, enum filter_direction d) {
    struct flow_key key;
    packet_key(p, &key);
    return judge(f, port, d, &key, p->flags & PACKET_PORTS && !proto_is_icmp(p->proto)).allowed;
}

/* By its flow, or by the rules; what they allow is a flow from now on. */
static bool by_flow(struct filter *f, const struct packet *p, uint16_t port, enum filter_direction d, uint64_t now) {
    struct filter_key key;
    if (!flow_of(p, port, d, &key))
        return by_rules(f, p, port, d);
    struct filter_entry *flow = filter_table_find(&f->flows, &key, now);
    if (flow)
        filter_table_touch(&f->flows, flow, now);
    else if (by_rules(f, p, port, d))
        filter_table_put(&f->flows, &key, now);
    else
        return false;
    return true;
}

static bool passes(struct filter *f, const struct packet *p, uint16_t port, enum filter_direction d, uint64_t now) {
    if (p->flags & PACKET_FRAG_LATER) {
        struct filter_key datagram = datagram_of(p, port, d);
        return filter_table_find(&f->fragments, &datagram, now) || by_rules(f, p, port, d);
    }
    bool passed = p->flags & PACKET_ICMP_ERROR ? about_flow(f, p, port, d, now) || by_rules(f, p, port, d)
                                               : by_flow(f, p, port, d, now);
    if (passed && p->flags & PACKET_FRAG_FIRST) {
        struct filter_key datagram = datagram_of(p, port, d);
        filter_table_put(&f->fragments, &datagram, now);
    }
    return passed;
}

void filter_in(struct filter *f, struct packet **pkts, unsigned n, uint64_t now) {
    for (unsigned i = 0; i < n; i++)
        if (port_active(f, pkts[i]->in_port) && !passes(f, pkts[i], pkts[i]->in_port, FILTER_IN, now))
            packet_drop(pkts[i], DROP_DENIED_IN);
}

void filter_out(struct filter *f, struct packet **pkts, unsigned n, uint64_t now) {
    for (unsigned i = 0; i < n; i++)
        if (port_active(f, pkts[i]->out_port) && !passes(f, pkts[i], pkts[i]->out_port, FILTER_OUT, now))
            packet_drop(pkts[i], DROP_DENIED_OUT);
}
