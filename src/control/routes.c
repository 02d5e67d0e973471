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

static struct ip_prefix host_prefix(struct ip addr) {
    return (struct ip_prefix){addr, 32};
}

/* What a NIC's address brings: itself, its broadcast address, its network or just its gateway, the default route. */
static void nic_routes(const struct scenario_nic *nic, uint16_t port, struct route_list *out) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    push(out, (struct route){.prefix = host_prefix(nic->addr), .port = PORT_NONE, .kind = ROUTE_LOCAL}, "");
    if (nic->len <= 30) {
        struct ip last = ip_v4(net.addr.v4 | ~ipv4_mask(net.len));
        push(out, (struct route){.prefix = host_prefix(last), .port = PORT_NONE, .kind = ROUTE_BROADCAST}, "");
    }
    if (nic->connected && nic->len < 32)
        push(out, (struct route){.prefix = net, .port = port}, "");
    else if (!nic->connected && nic->gateway.family)
        push(out, (struct route){.prefix = host_prefix(nic->gateway), .port = port}, "");
    if (nic->default_route)
        push(out,
             (struct route){.prefix = {.addr = ip_v4(0)}, .via = nic->gateway, .port = port, .origin = ORIGIN_STATIC},
             "default");
}

void machine_routes(const struct control *c, const struct control_node *n, struct route_list *out) {
    static const uint8_t kinds[] = {ROUTE_UNICAST, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT};
    const struct scenario *s = c->scenario;
    const struct scenario_machine *m = &s->machines.v[n->index];
    for (uint16_t i = 0; i < m->n_nics; i++)
        nic_routes(&s->nics.v[m->first_nic + i], i, out);
    for (uint32_t i = m->first_route; i < m->first_route + m->n_routes; i++) {
        const struct scenario_static_route *r = &s->static_routes.v[i];
        uint16_t port = r->nic == INDEX_NONE ? PORT_NONE : (uint16_t)(r->nic - m->first_nic);
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
    r->via = c->scenario->subnets.v[c->scenario->sites.v[site].gateway_subnet].gateway;
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

void gateway_routes(const struct control *c, const struct control_node *n, struct route_list *out) {
    const struct scenario *s = c->scenario;
    const struct scenario_subnet *subnet = &s->subnets.v[n->index];
    const struct scenario_network *network = &s->networks.v[subnet->network];
    struct route system = {.origin = ORIGIN_SYSTEM, .metric = METRIC_SYSTEM, .port = GATEWAY_PORT_NETWORK};
    push(out,
         (struct route){
             .prefix = host_prefix(subnet->gateway), .port = PORT_NONE, .kind = ROUTE_LOCAL, .origin = ORIGIN_SYSTEM},
         "");
    for (size_t i = 0; i < network->space.n; i++) {
        system.prefix = network->space.v[i];
        push(out, system, "");
    }
    uint32_t internet = internet_site(s);
    if (internet != INDEX_NONE) {
        system.prefix = (struct ip_prefix){.addr = ip_v4(0)};
        system.port = port_to_site(c, n->index, internet);
        push(out, system, "");
    }
    for (uint32_t i = 0; i < s->sites.n; i++) {
        for (size_t k = 0; site_of_network(s, i, subnet->network) && k < s->sites.v[i].prefixes.n; k++) {
            struct route r = {.prefix = s->sites.v[i].prefixes.v[k], .origin = ORIGIN_BGP, .metric = METRIC_BGP};
            set_next_hop_site(c, n->index, i, &r);
            push(out, r, s->sites.v[i].name);
        }
    }
    if (subnet->route_table == INDEX_NONE)
        return;
    const struct scenario_route_table *table = &s->route_tables.v[subnet->route_table];
    for (uint32_t i = 0; i < table->n_routes; i++)
        vec_push(out, gateway_user_route(c, n->index, &s->user_routes.v[table->first_route + i]));
}

/* The networks of the Internet's machines, each once. */
static void internet_lan_routes(const struct scenario *s, uint32_t site, struct route_list *out) {
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        struct route r = {.prefix = prefix_of(&nic->addr, nic->len), .port = SITE_PORT_LAN, .origin = ORIGIN_CONNECTED};
        bool known = nic->on != NIC_ON_SITE || nic->on_index != site;
        for (size_t k = 0; k < out->n && !known; k++)
            known = prefix_equal(&out->v[k].prefix, &r.prefix);
        if (!known)
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
            push(out, r, s->networks.v[i].name);
        }
    }
}
