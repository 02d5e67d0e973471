/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: networks, their subnets and route tables. */
#include "validate.h"
#include "complaint.h"
#include <string.h>

/* A prefix that somebody claims, for the search for overlaps. */
struct claim {
    struct place at;
    const char *kind, *owner;
    struct ip_prefix prefix;
};

static void check_spaces(const struct scenario *s, struct complaints *c) {
    VEC(struct claim) claims = {0};
    char a[PREFIX_TEXT], b[PREFIX_TEXT];
    for (size_t i = 0; i < s->networks.n; i++)
        for (size_t k = 0; k < s->networks.v[i].space.n; k++)
            vec_push(&claims, (struct claim){s->networks.v[i].at, "network", s->networks.v[i].name,
                                             s->networks.v[i].space.v[k]});
    for (size_t i = 0; i < s->sites.n; i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n; k++)
            if (s->sites.v[i].prefixes.v[k].len) /* not the Internet's */
                vec_push(&claims,
                         (struct claim){s->sites.v[i].at, "site", s->sites.v[i].name, s->sites.v[i].prefixes.v[k]});
    for (size_t i = 0; i < claims.n; i++) {
        const struct claim *x = &claims.v[i];
        for (size_t k = 0; k < i; k++) {
            const struct claim *y = &claims.v[k];
            if (!prefix_overlaps(&x->prefix, &y->prefix))
                continue;
            complain(c, x->at, SEVERITY_ERROR, "%s of %s \"%s\" overlaps %s of %s \"%s\"", prefix_format(&x->prefix, a),
                     x->kind, x->owner, prefix_format(&y->prefix, b), y->kind, y->owner);
            complain_fault(c, FAULT_OVERLAP, &x->prefix);
            complain_hint(c, "address spaces must not share an address: change one of them (the other is in %s:%u)",
                          y->at.file, y->at.line);
            break;
        }
    }
    vec_free(&claims);
}

static void check_subnet_space(const struct scenario *s, const struct scenario_subnet *subnet,
                               const struct ip_prefix *prefix, struct complaints *c) {
    const struct scenario_network *network = &s->networks.v[subnet->network];
    char text[PREFIX_TEXT], list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < network->space.n; i++) {
        if (prefix_covers(&network->space.v[i], prefix))
            return;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                     prefix_format(&network->space.v[i], text));
    }
    complain(c, subnet->at, SEVERITY_ERROR, "subnet \"%s\" %s is outside the space of network \"%s\"", subnet->name,
             prefix_format(prefix, text), network->name);
    complain_fault(c, FAULT_OUTSIDE, prefix);
    complain_hint(c, "its space is %s: choose a prefix in it, or add to it", list);
}

static void check_subnet(const struct scenario *s, const struct scenario_subnet *subnet, enum family family,
                         struct complaints *c) {
    const struct ip_prefix *prefix = subnet_prefix(subnet, family);
    const struct scenario_network *network = &s->networks.v[subnet->network];
    char a[PREFIX_TEXT], b[PREFIX_TEXT];
    if (!prefix->addr.family || !network->space.n)
        return;
    check_subnet_space(s, subnet, prefix, c);
    for (const struct scenario_subnet *other = &s->subnets.v[network->first_subnet]; other < subnet; other++) {
        if (!prefix_overlaps(prefix, subnet_prefix(other, family)))
            continue;
        complain(c, subnet->at, SEVERITY_ERROR, "subnet \"%s\" %s overlaps subnet \"%s\" %s", subnet->name,
                 prefix_format(prefix, a), other->name, prefix_format(subnet_prefix(other, family), b));
        complain_fault(c, FAULT_OVERLAP, prefix);
        complain_hint(c, "subnets of a network must not share an address: change one of them (\"%s\" is in %s:%u)",
                      other->name, other->at.file, other->at.line);
        return;
    }
}

/* Will the platform hand packets to the appliance of this route, and will it forward them? */
static void check_appliance(const struct scenario *s, const struct scenario_user_route *route, struct complaints *c) {
    char addr[IP_TEXT];
    uint32_t i = scenario_nic_of_address(s, &route->next_hop);
    ip_format(&route->next_hop, addr);
    if (i == INDEX_NONE || s->nics.v[i].on != NIC_ON_SUBNET) {
        complain(c, route->at, SEVERITY_WARNING, "the next hop %s of route \"%s\" is no NIC of a network", addr,
                 route->name);
        complain_hint(c, "what takes this route is lost: give the address of the appliance's NIC in a subnet");
        return;
    }
    const struct scenario_nic *nic = &s->nics.v[i];
    const struct scenario_machine *machine = &s->machines.v[nic->machine];
    if (!nic->ip_forwarding) {
        complain(c, route->at, SEVERITY_WARNING,
                 "route \"%s\" leads to %s, but NIC \"%s\" of \"%s\" has IP forwarding off", route->name, addr,
                 nic->name, machine->name);
        complain_hint(c, "the platform will drop what is routed to it: set \"ip_forwarding: true\" there (%s:%u)",
                      nic->at.file, nic->at.line);
    }
    if (!machine->router) {
        complain(c, route->at, SEVERITY_WARNING, "route \"%s\" leads to \"%s\", which is no router", route->name,
                 machine->name);
        complain_hint(c, "it will drop what is not its own: set \"router: true\" there (%s:%u)", machine->at.file,
                      machine->at.line);
    }
}

static void check_user_routes(const struct scenario *s, struct complaints *c) {
    char text[PREFIX_TEXT];
    for (size_t i = 0; i < s->user_routes.n; i++) {
        const struct scenario_user_route *route = &s->user_routes.v[i];
        const struct scenario_route_table *table = &s->route_tables.v[route->table];
        for (size_t k = table->first_route; k < i; k++) {
            if (!prefix_equal(&s->user_routes.v[k].prefix, &route->prefix))
                continue;
            complain(c, route->at, SEVERITY_ERROR, "routes \"%s\" and \"%s\" of table \"%s\" are both for %s",
                     s->user_routes.v[k].name, route->name, table->name, prefix_format(&route->prefix, text));
            complain_fault(c, FAULT_ROUTE, &route->prefix);
            complain_hint(c, "a route table has one route for a prefix: remove one of them");
            break;
        }
        if (route->kind == NEXT_HOP_APPLIANCE)
            check_appliance(s, route, c);
    }
}

void validate_networks(const struct scenario *s, struct complaints *c) {
    check_spaces(s, c);
    for (size_t i = 0; i < s->subnets.n; i++) {
        check_subnet(s, &s->subnets.v[i], FAMILY_IPV4, c);
        check_subnet(s, &s->subnets.v[i], FAMILY_IPV6, c);
    }
    check_user_routes(s, c);
    for (size_t i = 0; i < s->networks.n; i++) {
        if (strcmp(s->networks.v[i].name, "lan") != 0)
            continue;
        complain(c, s->networks.v[i].at, SEVERITY_ERROR, "a network cannot be called \"lan\"");
        complain_hint(c, "sites call a port of their own so: choose another name");
    }
}
