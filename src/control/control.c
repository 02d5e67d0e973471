/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes from a scenario: ports, routes, rules and filters from this module's other files, NAT, and the core's tables of
 * them. */
#include "build.h"
#include <errno.h>
#include <fwdlab/base/arena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY_ROUTES 10000 /* from here on DIR24-8 pays, which touches up to 80 MB for a default route alone */
#define ROUTES_SPARE 64 /* room in each table for routes that are tried out */

static struct place node_place(const struct scenario *s, const struct control_node *n) {
    if (n->kind == CONTROL_MACHINE)
        return s->machines.v[n->index].at;
    return n->kind == CONTROL_GATEWAY ? s->subnets.v[n->index].at : s->sites.v[n->index].at;
}

static int fail(const struct control *c, const struct control_node *n, int code, const char *what, struct err *e) {
    struct place at = node_place(c->scenario, n);
    err_set(e, code, "%s of \"%s\": %s", what, n->name, strerror(-code));
    err_where(e, "%s:%u", at.file, at.line);
    return code;
}

static void name_nodes(struct control *c) {
    const struct scenario *s = c->scenario;
    struct control_node *n = c->nodes;
    for (uint32_t i = 0; i < s->machines.n; i++)
        *n++ = (struct control_node){
            .name = s->machines.v[i].name, .kind = CONTROL_MACHINE, .index = i, .node.router = s->machines.v[i].router};
    for (uint32_t i = 0; i < s->subnets.n; i++) {
        const char *network = s->networks.v[s->subnets.v[i].network].name;
        *n++ = (struct control_node){.name = arena_printf(c->arena, "%s/%s", network, s->subnets.v[i].name),
                                     .kind = CONTROL_GATEWAY,
                                     .index = i,
                                     .node.router = true};
    }
    for (uint32_t i = 0; i < s->sites.n; i++)
        *n++ = (struct control_node){.name = s->sites.v[i].name, .kind = CONTROL_SITE, .index = i, .node.router = true};
}

int table_build(const struct route_list *list, const struct route_backend *backend, uint32_t more,
                struct route_table **out) {
    int code = 0;
    *out = route_table_create(backend, (uint32_t)list->n + ROUTES_SPARE + more);
    if (!*out)
        return -ENOMEM;
    for (size_t i = 0; i < list->n && !code; i++) {
        if (list->v[i].prefix.addr.family == backend->family)
            code = route_add(*out, &list->v[i]);
        if (code == -EEXIST) /* a static route that says again what a NIC brings */
            code = 0;
    }
    return code;
}

/* `backend` NULL: by the number of routes. */
static int build_routes(const struct control *c, struct control_node *n, const struct route_backend *backend,
                        uint32_t more, bool ipv6, struct err *e) {
    struct route_list list = {0};
    if (n->kind == CONTROL_MACHINE)
        machine_routes(c, n, 0, &list);
    else if (n->kind == CONTROL_GATEWAY)
        gateway_routes(c, n, &list);
    else
        site_routes(c, n, &list);
    if (!backend)
        backend = list.n + more < MANY_ROUTES ? &route_trie : &route_direct;
    int code = table_build(&list, backend, more, &n->node.routes);
    if (!code && ipv6)
        code = table_build(&list, &route_trie6, 0, &n->node.routes6);
    vec_free(&list);
    return code ? fail(c, n, code, "the routes", e) : 0;
}

/* Does it give anything but the Internet an address, prefix or route of IPv6? */
static bool has_ipv6(const struct scenario *s) {
    bool six = false;
    for (size_t i = 0; i < s->nics.n; i++)
        six |= s->nics.v[i].addr6.family != FAMILY_NONE;
    for (size_t i = 0; i < s->subnets.n; i++)
        six |= s->subnets.v[i].prefix6.addr.family != FAMILY_NONE;
    for (size_t i = 0; i < s->static_routes.n; i++)
        six |= s->static_routes.v[i].prefix.addr.family == FAMILY_IPV6;
    for (size_t i = 0; i < s->user_routes.n; i++)
        six |= s->user_routes.v[i].prefix.addr.family == FAMILY_IPV6;
    for (size_t i = 0; i < s->networks.n; i++)
        for (size_t k = 0; k < s->networks.v[i].space.n; k++)
            six |= s->networks.v[i].space.v[k].addr.family == FAMILY_IPV6;
    for (size_t i = 0; i < s->sites.n; i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n && s->sites.v[i].gateway_subnet != INDEX_NONE; k++)
            six |= s->sites.v[i].prefixes.v[k].addr.family == FAMILY_IPV6;
    return six;
}

static uint64_t nanoseconds(uint32_t seconds) {
    return (uint64_t)seconds * 1000000000u;
}

static int build_nat(const struct control *c, struct control_node *n, uint32_t sessions, struct err *e) {
    const struct scenario_machine *m = &c->scenario->machines.v[n->index];
    const struct scenario_nat *nat = &c->scenario->nats.v[m->nat];
    struct nat_config config = {
        .personality = nat->conntrack ? NAT_CONNTRACK : NAT_INTERFACE,
        .outside_port = (uint16_t)(nat->outside - m->first_nic),
        .n_addresses = (uint32_t)nat->addresses.n,
        .port_min = nat->port_min,
        .port_max = nat->port_max,
        .max_sessions = sessions ? sessions : nat->max_sessions,
        .timers = {nanoseconds(nat->timers.tcp_established), nanoseconds(nat->timers.tcp_transitory),
                   nanoseconds(nat->timers.tcp_closing), nanoseconds(nat->timers.udp),
                   nanoseconds(nat->timers.udp_stream), nanoseconds(nat->timers.icmp), nanoseconds(nat->timers.other)},
        .hairpin = nat->hairpin,
        .hold_fragments = nat->hold_fragments,
        .mapping = nat->mapping,
        .filtering = nat->filtering,
        .port_choice = nat->random_ports ? NAT_PORT_RANDOM : NAT_PORT_PRESERVED,
        .parity = nat->parity,
        .arbitrary_pooling = nat->arbitrary_pooling,
        .outbound_refresh_only = nat->outbound_refresh_only,
        .port_block = nat->port_block,
        .client_blocks = nat->blocks_per_client,
        .client_sessions = nat->sessions_per_client,
        .client_ports = nat->ports_per_client,
        .client_rate = nat->session_rate_per_client,
        .port_rest = nanoseconds(nat->port_rest),
        .hold_syns = nat->hold_syns,
        .n_untranslated = (uint32_t)nat->untranslated.n,
        .n_port_maps = (uint32_t)nat->port_maps.n,
    };
    struct nat_port_map *maps = xzalloc(nat->port_maps.n, sizeof *maps);
    be32 *addresses = xalloc(nat->addresses.n * sizeof *addresses);
    for (size_t i = 0; i < nat->addresses.n; i++)
        addresses[i] = nat->addresses.v[i].v4;
    config.addresses = addresses;
    struct nat_net *untranslated = xalloc(nat->untranslated.n * sizeof *untranslated);
    for (size_t i = 0; i < nat->untranslated.n; i++)
        untranslated[i] = (struct nat_net){nat->untranslated.v[i].addr.v4, ipv4_mask(nat->untranslated.v[i].len)};
    config.untranslated = untranslated;
    for (size_t i = 0; i < nat->port_maps.n; i++) {
        const struct scenario_port_map *map = &nat->port_maps.v[i];
        maps[i] = (struct nat_port_map){.proto = map->proto,
                                        .outside_addr = map->address.v4,
                                        .outside_port = htons(map->port),
                                        .inside_addr = map->to.v4,
                                        .inside_port = htons(map->to_port)};
        snprintf(maps[i].name, sizeof maps[i].name, "%s", map->name);
    }
    config.port_maps = maps;
    errno = ENOMEM;
    n->node.nat = nat_create(&config);
    int code = n->node.nat ? 0 : -errno;
    free(maps);
    free(addresses);
    free(untranslated);
    return code ? fail(c, n, code, "NAT", e) : 0;
}

/* What machines have beside ports and routes. */
static int build_machine(const struct control *c, struct control_node *n, uint32_t sessions, struct err *e) {
    int code = machine_rules(c, n);
    if (code)
        return fail(c, n, code, "the policy rules", e);
    code = machine_filter(c, n, sessions);
    if (code)
        return fail(c, n, code, "the security groups", e);
    return c->scenario->machines.v[n->index].nat == INDEX_NONE ? 0 : build_nat(c, n, sessions, e);
}

struct control *control_build(const struct scenario *s, const struct control_options *options, struct err *e) {
    static const struct control_options defaults;
    if (!options)
        options = &defaults;
    struct control *c = xzalloc(1, sizeof *c);
    c->scenario = s;
    c->arena = arena_create();
    c->n_nodes = (uint32_t)(s->machines.n + s->subnets.n + s->sites.n);
    c->nodes = xzalloc(c->n_nodes, sizeof *c->nodes);
    bool ipv6 = has_ipv6(s);
    name_nodes(c);
    for (uint32_t i = 0; i < c->n_nodes; i++)
        ports_build(c, i);
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        struct control_node *n = &c->nodes[i];
        const bool tested = options->fast_node == i;
        const uint32_t more = tested ? options->more_routes : 0;
        if (build_routes(c, n, tested ? options->fast : NULL, more, ipv6, e) ||
            (n->kind == CONTROL_MACHINE && build_machine(c, n, options->nat_sessions, e))) {
            control_destroy(c);
            return NULL;
        }
        n->node.staged = options->staged && tested;
        node_prepare(&n->node);
    }
    return c;
}

void control_destroy(struct control *c) {
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        node_fini(&c->nodes[i].node);
    free(c->nodes);
    arena_destroy(c->arena);
    free(c);
}

uint32_t control_node_find(const struct control *c, const char *name) {
    for (uint32_t i = 0; i < c->n_nodes; i++)
        if (strcmp(c->nodes[i].name, name) == 0)
            return i;
    return INDEX_NONE;
}

uint32_t control_gateway_node(const struct control *c, uint32_t subnet) {
    return (uint32_t)c->scenario->machines.n + subnet;
}

uint32_t control_site_node(const struct control *c, uint32_t site) {
    return (uint32_t)(c->scenario->machines.n + c->scenario->subnets.n) + site;
}

struct route_table *control_table(const struct control_node *n, uint8_t family, unsigned table) {
    const struct route_rules *rules = family == FAMILY_IPV6 ? n->node.rules6 : n->node.rules;
    if (table)
        return rules && table < route_rules_tables(rules) ? route_rules_table(rules, table) : NULL;
    return family == FAMILY_IPV6 ? n->node.routes6 : n->node.routes;
}

const char *control_route_format(const struct control_node *n, const struct route *r, char *buf, size_t size) {
    char prefix[PREFIX_TEXT], via[IP_TEXT], metric[24] = "";
    bool has_port = r->port < n->node.n_ports;
    if (r->metric)
        snprintf(metric, sizeof metric, " metric %u", r->metric);
    snprintf(buf, size, "%s%s%s%s%s%s%s%s (%s%s%s)", r->kind == ROUTE_UNICAST ? "" : route_kind_name(r->kind),
             r->kind == ROUTE_UNICAST ? "" : " ", prefix_format(&r->prefix, prefix), r->via.family ? " via " : "",
             ip_format(&r->via, via), has_port ? " dev " : "", has_port ? n->ports[r->port].name : "", metric,
             route_origin_name(r->origin), *r->name ? ", " : "", r->name);
    return buf;
}

unsigned control_table_routes(const struct control *c, uint32_t subnet, uint32_t table, struct route *out,
                              unsigned cap) {
    const struct scenario_route_table *t = &c->scenario->route_tables.v[table];
    unsigned n = 0;
    for (; n < t->n_routes && n < cap; n++)
        out[n] = gateway_user_route(c, subnet, &c->scenario->user_routes.v[t->first_route + n]);
    return n;
}
