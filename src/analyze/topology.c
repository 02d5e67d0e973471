/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario as JSON: routes, routes that others hide, and what the picture of the topology is drawn from. */
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include "document.h"

json_t *route_json(const struct control_node *n, const struct route *r) {
    char prefix[PREFIX_TEXT], via[IP_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "prefix", json_string(prefix_format(&r->prefix, prefix)));
    json_object_set_new(o, "via", ip_is_none(&r->via) ? json_null() : json_string(ip_format(&r->via, via)));
    json_object_set_new(o, "dev", r->port < n->node.n_ports ? json_string(n->ports[r->port].name) : json_null());
    json_object_set_new(o, "metric", json_integer(r->metric));
    json_object_set_new(o, "origin", json_string(route_origin_name(r->origin)));
    json_object_set_new(o, "name", json_string(r->name));
    if (r->kind != ROUTE_UNICAST)
        json_object_set_new(o, "kind", json_string(route_kind_name(r->kind)));
    return o;
}

json_t *hidden_routes_json(const struct control *c) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        const struct control_node *n = &c->nodes[i];
        size_t count;
        const struct route *routes = route_table_routes(n->node.routes, &count);
        for (uint32_t r = 0; r < count; r++) {
            uint32_t by = route_hidden_by(n->node.routes, r);
            if (by != ROUTE_NONE && n->kind == CONTROL_MACHINE)
                json_array_append_new(list,
                                      json_pack("{s:s, s:o, s:o}", "node", n->name, "route", route_json(n, &routes[r]),
                                                "hidden_by", route_json(n, &routes[by])));
        }
    }
    return list;
}

static json_t *node_json(const char *name, const char *kind, bool router, bool under_test) {
    return json_pack("{s:s, s:s, s:[], s:b, s:b}", "name", name, "kind", kind, "addresses", "router", router,
                     "under_test", under_test);
}

static void link_add(json_t *links, const char *a, const char *a_port, const char *b, const char *b_port) {
    json_array_append_new(links, json_pack("{s:s, s:s, s:s, s:s}", "a", a, "a_port", a_port, "b", b, "b_port", b_port));
}

/* Each link once: from the side that names it best. */
static void links_of(const struct control *c, const struct control_node *n, json_t *links) {
    const struct scenario *s = c->scenario;
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const struct control_port *port = &n->ports[p];
        switch ((enum link_kind)port->link) {
        case LINK_SWITCH:
            link_add(links, n->name, port->name, s->switches.v[port->target].name, "");
            break;
        case LINK_GATEWAY:
            link_add(links, n->name, port->name, c->nodes[port->target].name, "");
            break;
        case LINK_LAN:
            if (n->kind == CONTROL_MACHINE)
                link_add(links, n->name, port->name, s->sites.v[port->target].name, "");
            break;
        case LINK_NETWORK:
            link_add(links, n->name, n->kind == CONTROL_SITE ? port->name : "", s->networks.v[port->target].name, "");
            break;
        case LINK_NODE: /* the Internet is linked to the network as a whole */
            if (n->kind == CONTROL_GATEWAY && s->sites.v[c->nodes[port->target].index].gateway_subnet != INDEX_NONE)
                link_add(links, n->name, "", c->nodes[port->target].name, "");
            break;
        case LINK_SUBNET:
            break;
        }
    }
}

json_t *topology_json(const struct control *c, const char *under_test) {
    static const char *const kind[] = {"machine", "gateway", "site"};
    const struct scenario *s = c->scenario;
    json_t *nodes = json_array(), *links = json_array();
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        const struct control_node *n = &c->nodes[i];
        json_t *o = node_json(n->name, kind[n->kind], n->node.router, !strcmp(n->name, under_test));
        json_t *addresses = json_object_get(o, "addresses");
        for (uint16_t p = 0; p < n->node.n_ports; p++) {
            const struct port *port = &n->node.ports[p];
            struct ip addr = ip_v4(port->addr), addr6 = {.family = FAMILY_IPV6};
            char text[IP_TEXT];
            memcpy(addr6.v6, port->addr6, sizeof port->addr6);
            if (port->addr)
                json_array_append_new(addresses, json_string(ip_format(&addr, text)));
            if (port->len6)
                json_array_append_new(addresses, json_string(ip_format(&addr6, text)));
        }
        json_array_append_new(nodes, o);
        links_of(c, n, links);
    }
    for (size_t i = 0; i < s->switches.n; i++)
        json_array_append_new(nodes, node_json(s->switches.v[i].name, "switch", false, false));
    for (size_t i = 0; i < s->networks.n; i++)
        json_array_append_new(nodes, node_json(s->networks.v[i].name, "network", true, false));
    return json_pack("{s:o, s:o}", "nodes", nodes, "links", links);
}
