/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The effective routes of machines, gateways and sites. A machine has what its operating system would install; a
 * gateway what the platform makes of the network's space, of what gateways learn by BGP, and of the subnet's route
 * table.
 */
#include "build.h"
#include <fwdlab/core/packet.h>
#include <stdio.h>

static void push(struct route_list *out, struct route r, const char *name) {
    snprintf(r.name, sizeof r.name, "%s", name);
    vec_push(out, r);
}

/* Several ways to one prefix that nobody meant as a choice (no ECMP): the first one wins, as in Linux' tables. */
static void push_first_wins(struct route_list *out, struct route r, const char *name) {
    for (size_t i = 0; i < out->n; i++)
        if (out->v[i].kind == r.kind && out->v[i].origin == r.origin && prefix_equal(&out->v[i].prefix, &r.prefix))
            r.metric = out->v[i].metric + (out->v[i].port != r.port);
    push(out, r, name);
}

static struct ip_prefix host_prefix(const struct ip *addr) {
    return (struct ip_prefix){*addr, addr->family == FAMILY_IPV6 ? 128 : 32};
}

static struct route own_route(struct ip_prefix prefix, enum route_kind kind, enum route_origin origin) {
    return (struct route){.prefix = prefix, .port = PORT_NONE, .kind = (uint8_t)kind, .origin = (uint8_t)origin};
}

/* What belongs to the node beside its address: the broadcast address (RFC 919), the routers' anycast address (RFC 4291,
 * 2.6.1; none on links of two, RFC 6164). */
static void link_routes(const struct ip_prefix *net, bool router, struct route_list *out) {
    if (net->addr.family == FAMILY_IPV4 && net->len <= 30) {
        struct ip last = ip_v4(net->addr.v4 | ~ipv4_mask(net->len));
        push(out, own_route(host_prefix(&last), ROUTE_BROADCAST, ORIGIN_CONNECTED), "");
    } else if (net->addr.family == FAMILY_IPV6 && net->len < 127 && router) {
        push(out, own_route(host_prefix(&net->addr), ROUTE_LOCAL, ORIGIN_CONNECTED), "");
    }
}

/* What a NIC's address brings: itself, its network or just its gateway, the default route. */
static void nic_routes(const struct scenario_nic *nic, uint8_t family, uint16_t port, bool router,
                       struct route_list *out) {
    bool six = family == FAMILY_IPV6;
    const struct ip *addr = control_nic_addr(nic, family), *gateway = six ? &nic->gateway6 : &nic->gateway;
    if (!addr->family)
        return;
    struct ip_prefix net = prefix_of(addr, six ? nic->len6 : nic->len), host = host_prefix(addr);
    push(out, own_route(host, ROUTE_LOCAL, ORIGIN_CONNECTED), "");
    link_routes(&net, router, out);
    if (nic->connected && net.len < host.len)
        push_first_wins(out, (struct route){.prefix = net, .port = port}, "");
    else if (!nic->connected && gateway->family)
        push_first_wins(out, (struct route){.prefix = host_prefix(gateway), .port = port}, "");
    if (six ? nic->default_route6 : nic->default_route)
        push(out,
             (struct route){.prefix.addr.family = family, .via = *gateway, .port = port, .origin = ORIGIN_STATIC},
             "default");
}

void machine_routes(const struct control *c, const struct control_node *n, uint32_t table, struct route_list *out) {
    static const uint8_t kinds[] = {ROUTE_UNICAST, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT};
    const struct scenario *s = c->scenario;
    const struct scenario_machine *m = &s->machines.v[n->index];
    for (uint16_t i = 0; i < m->n_nics && !table; i++) {
        nic_routes(&s->nics.v[m->first_nic + i], FAMILY_IPV4, i, m->router, out);
        nic_routes(&s->nics.v[m->first_nic + i], FAMILY_IPV6, i, m->router, out);
    }
    for (uint32_t i = m->first_route; i < m->first_route + m->n_routes; i++) {
        const struct scenario_static_route *r = &s->static_routes.v[i];
        uint16_t port = r->nic == INDEX_NONE ? PORT_NONE : (uint16_t)(r->nic - m->first_nic);
        if (r->table != table)
            continue;
        push(out,
             (struct route){.prefix = r->prefix,
                            .via = r->via,
                            .port = port,
                            .kind = kinds[r->kind],
                            .origin = ORIGIN_STATIC,
                            .metric = r->metric},
             r->name);
    }
}

/* The port of a gateway that leads straight to a site; PORT_NONE when it is not joined there. */
static uint16_t port_to_site(const struct control *c, uint32_t subnet, uint32_t site) {
    const struct control_node *n = &c->nodes[control_gateway_node(c, subnet)];
    for (uint16_t i = 0; i < n->node.n_ports; i++)
        if (n->ports[i].link == LINK_NODE && n->ports[i].target == control_site_node(c, site))
            return i;
    return PORT_NONE;
}

/* Towards an on-premises site: by its own port where it is joined, else through the gateway of the subnet where it is.
 */
static void set_next_hop_site(const struct control *c, uint32_t subnet, uint32_t site, struct route *r) {
    r->port = port_to_site(c, subnet, site);
    if (r->port != PORT_NONE)
        return;
    r->port = GATEWAY_PORT_NETWORK;
    r->via = *control_gateway_addr(&c->scenario->subnets.v[c->scenario->sites.v[site].gateway_subnet],
                                   r->prefix.addr.family);
}

static uint32_t internet_site(const struct scenario *s) {
    for (uint32_t i = 0; i < s->sites.n; i++)
        if (s->sites.v[i].gateway_subnet == INDEX_NONE)
            return i;
    return INDEX_NONE;
}

static bool site_of_network(const struct scenario *s, uint32_t site, uint32_t network) {
    uint32_t subnet = s->sites.v[site].gateway_subnet;
    return subnet != INDEX_NONE && s->subnets.v[subnet].network == network;
}

/* Which site a route to "gateway" means: the one with an overlapping prefix, else the network's first; INDEX_NONE. */
static uint32_t site_behind_gateway(const struct scenario *s, uint32_t network, const struct ip_prefix *prefix) {
    uint32_t first = INDEX_NONE;
    for (uint32_t i = 0; i < s->sites.n; i++) {
        if (!site_of_network(s, i, network))
            continue;
        for (size_t k = 0; k < s->sites.v[i].prefixes.n; k++)
            if (prefix_overlaps(&s->sites.v[i].prefixes.v[k], prefix))
                return i;
        if (first == INDEX_NONE)
            first = i;
    }
    return first;
}

struct route gateway_user_route(const struct control *c, uint32_t subnet, const struct scenario_user_route *u) {
    const struct scenario *s = c->scenario;
    struct route r = {.prefix = u->prefix, .port = GATEWAY_PORT_NETWORK, .origin = ORIGIN_USER, .metric = METRIC_USER};
    uint32_t site;
    switch (u->kind) {
    case NEXT_HOP_APPLIANCE:
        r.via = u->next_hop;
        break;
    case NEXT_HOP_NETWORK:
        break;
    case NEXT_HOP_INTERNET:
        site = internet_site(s);
        r.port = site == INDEX_NONE ? PORT_NONE : port_to_site(c, subnet, site);
        break;
    case NEXT_HOP_GATEWAY:
        site = site_behind_gateway(s, s->subnets.v[subnet].network, &u->prefix);
        r.port = PORT_NONE;
        if (site != INDEX_NONE)
            set_next_hop_site(c, subnet, site, &r);
        break;
    default:
        r.port = PORT_NONE;
    }
    if (r.port == PORT_NONE) /* none, or a next hop that the scenario does not have */
        r.kind = ROUTE_BLACKHOLE;
    snprintf(r.name, sizeof r.name, "%s", u->name);
    return r;
}

/* The network's space, and the Internet for the families that it has. */
static void system_routes(const struct control *c, uint32_t subnet, struct route_list *out) {
    const struct scenario *s = c->scenario;
    const struct scenario_network *network = &s->networks.v[s->subnets.v[subnet].network];
    struct route r = {.origin = ORIGIN_SYSTEM, .metric = METRIC_SYSTEM, .port = GATEWAY_PORT_NETWORK};
    bool has[2] = {true, false};
    for (size_t i = 0; i < network->space.n; i++) {
        r.prefix = network->space.v[i];
        has[1] |= r.prefix.addr.family == FAMILY_IPV6;
        push(out, r, "");
    }
    uint32_t internet = internet_site(s);
    for (int i = 0; i < 2 && internet != INDEX_NONE; i++) {
        r.prefix = (struct ip_prefix){.addr.family = i ? FAMILY_IPV6 : FAMILY_IPV4};
        r.port = port_to_site(c, subnet, internet);
        if (has[i])
            push(out, r, "");
    }
}

void gateway_routes(const struct control *c, const struct control_node *n, struct route_list *out) {
    const struct scenario *s = c->scenario;
    const struct scenario_subnet *subnet = &s->subnets.v[n->index];
    if (subnet->gateway.family)
        push(out, own_route(host_prefix(&subnet->gateway), ROUTE_LOCAL, ORIGIN_SYSTEM), "");
    if (subnet->gateway6.family)
        push(out, own_route(host_prefix(&subnet->gateway6), ROUTE_LOCAL, ORIGIN_SYSTEM), "");
    system_routes(c, n->index, out);
    for (uint32_t i = 0; i < s->sites.n; i++) {
        for (size_t k = 0; site_of_network(s, i, subnet->network) && k < s->sites.v[i].prefixes.n; k++) {
            struct route r = {.prefix = s->sites.v[i].prefixes.v[k], .origin = ORIGIN_BGP, .metric = METRIC_BGP};
            set_next_hop_site(c, n->index, i, &r);
            push_first_wins(out, r, s->sites.v[i].name);
        }
    }
    if (subnet->route_table == INDEX_NONE)
        return;
    const struct scenario_route_table *table = &s->route_tables.v[subnet->route_table];
    for (uint32_t i = 0; i < table->n_routes; i++)
        vec_push(out, gateway_user_route(c, n->index, &s->user_routes.v[table->first_route + i]));
}

/* The networks of the Internet's machines; equal ones become one route. */
static void internet_lan_routes(const struct scenario *s, uint32_t site, struct route_list *out) {
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        struct route r = {.port = SITE_PORT_LAN, .origin = ORIGIN_CONNECTED};
        if (nic->on != NIC_ON_SITE || nic->on_index != site)
            continue;
        r.prefix = prefix_of(&nic->addr, nic->len);
        if (nic->addr.family)
            push(out, r, "");
        r.prefix = prefix_of(&nic->addr6, nic->len6);
        if (nic->addr6.family)
            push(out, r, "");
    }
}

void site_routes(const struct control *c, const struct control_node *n, struct route_list *out) {
    const struct scenario *s = c->scenario;
    const struct scenario_site *site = &s->sites.v[n->index];
    bool internet = site->gateway_subnet == INDEX_NONE;
    if (internet)
        internet_lan_routes(s, n->index, out);
    for (size_t i = 0; !internet && i < site->prefixes.n; i++)
        push(out, (struct route){.prefix = site->prefixes.v[i], .port = SITE_PORT_LAN, .origin = ORIGIN_CONNECTED}, "");
    for (uint32_t i = 0; i < s->networks.n; i++) {
        if (!internet && !site_of_network(s, n->index, i))
            continue;
        struct route r = {.port = (uint16_t)(internet ? SITE_PORT_UPLINK + i : SITE_PORT_UPLINK),
                          .origin = internet ? ORIGIN_STATIC : ORIGIN_BGP,
                          .metric = internet ? 0 : METRIC_BGP};
        for (size_t k = 0; k < s->networks.v[i].space.n; k++) {
            r.prefix = s->networks.v[i].space.v[k];
            push_first_wins(out, r, s->networks.v[i].name);
        }
    }
    for (size_t i = 0; !internet && i < site->routes.n; i++)
        push(out,
             (struct route){.prefix = site->routes.v[i].prefix, .port = SITE_PORT_UPLINK, .origin = ORIGIN_STATIC},
             site->routes.v[i].name);
}
