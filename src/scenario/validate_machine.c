/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: the routes, NAT and DHCP of machines. */
#include "validate.h"
#include <string.h>

static bool same_route(const struct scenario_static_route *a, const struct scenario_static_route *b) {
    return a->machine == b->machine && prefix_equal(&a->prefix, &b->prefix) && a->metric == b->metric &&
           a->kind == b->kind && a->nic == b->nic && ip_equal(&a->via, &b->via);
}

static void check_via(const struct scenario *s, const struct scenario_static_route *route, struct complaints *c) {
    const struct scenario_nic *nic = &s->nics.v[route->nic];
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    char via[IP_TEXT], text[PREFIX_TEXT];
    if (!route->via.family || !nic->addr.family || nic->on_index == INDEX_NONE)
        return;
    ip_format(&route->via, via);
    if (!nic_on_link(s, nic, &route->via)) {
        complain(c, route->at, SEVERITY_ERROR, "%s of route \"%s\" is not on the link of NIC \"%s\"", via, route->name,
                 nic->name);
        if (nic->connected || nic->on == NIC_ON_SUBNET)
            complain_hint(c, "via: an address of %s", prefix_format(&net, text));
        else
            complain_hint(c, "NIC \"%s\" has \"connected: false\": it reaches its gateway only", nic->name);
        return;
    }
    uint32_t owner = scenario_nic_of_address(s, &route->via);
    if (owner != INDEX_NONE && s->nics.v[owner].machine == route->machine) {
        complain(c, route->at, SEVERITY_ERROR, "route \"%s\" goes via %s, the machine itself", route->name, via);
        complain_hint(c, "via: the address of a neighbour");
    } else if (nic->on == NIC_ON_SWITCH && (owner == INDEX_NONE || s->nics.v[owner].on != NIC_ON_SWITCH ||
                                            s->nics.v[owner].on_index != nic->on_index)) {
        complain(c, route->at, SEVERITY_WARNING, "nobody on NIC \"%s\"'s switch has %s, where route \"%s\" goes",
                 nic->name, via, route->name);
        complain_hint(c, "what takes it is lost: via: the address of a machine on that switch");
    }
}

static void check_routes(const struct scenario *s, const struct scenario_machine *m, struct complaints *c) {
    char text[PREFIX_TEXT];
    for (uint32_t i = m->first_route; i < m->first_route + m->n_routes; i++) {
        const struct scenario_static_route *route = &s->static_routes.v[i];
        for (uint32_t k = m->first_route; k < i; k++) {
            if (!same_route(&s->static_routes.v[k], route))
                continue;
            complain(c, route->at, SEVERITY_ERROR, "routes \"%s\" and \"%s\" are the same", s->static_routes.v[k].name,
                     route->name);
            complain_hint(c, "remove one of them");
            break;
        }
        for (uint32_t k = m->first_nic; route->prefix.len == 32 && k < m->first_nic + m->n_nics; k++) {
            if (!ip_equal(&s->nics.v[k].addr, &route->prefix.addr))
                continue;
            complain(c, route->at, SEVERITY_ERROR, "route \"%s\" is for %s, the machine's own address", route->name,
                     prefix_format(&route->prefix, text));
            complain_hint(c, "remove it: what is addressed to the machine is delivered");
        }
        if (route->nic != INDEX_NONE)
            check_via(s, route, c);
    }
}

static void check_default_routes(const struct scenario *s, const struct scenario_machine *m, struct complaints *c) {
    const struct scenario_nic *first = NULL;
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        if (!nic->default_route)
            continue;
        if (first) {
            complain(c, nic->at, SEVERITY_WARNING, "NICs \"%s\" and \"%s\" of \"%s\" both bring a default route",
                     first->name, nic->name, m->name);
            complain_hint(c, "flows will be shared between them: give one of them \"gateway: none\"");
            return;
        }
        first = nic;
    }
}

static bool in_scope(const struct scenario_dhcp *d, const struct ip *addr) {
    return d->first.family && addr->family && ip_compare(&d->first, addr) <= 0 && ip_compare(addr, &d->last) <= 0;
}

/* Has a machine this address, or may a guest get it from a DHCP scope? */
static bool somebody_has(const struct scenario *s, const struct ip *addr) {
    for (size_t i = 0; i < s->dhcps.n; i++)
        if (in_scope(&s->dhcps.v[i], addr))
            return true;
    return scenario_nic_of_address(s, addr) != INDEX_NONE;
}

static void check_nat(const struct scenario *s, const struct scenario_nat *nat, struct complaints *c) {
    char addr[IP_TEXT];
    const struct scenario_machine *machine = &s->machines.v[nat->machine];
    if (!machine->router) {
        complain(c, nat->at, SEVERITY_WARNING, "\"%s\" has NAT, but is no router", machine->name);
        complain_hint(c, "set \"router: true\", or remove \"nat\"");
    }
    for (size_t i = 0; i < nat->port_maps.n; i++) {
        const struct scenario_port_map *map = &nat->port_maps.v[i];
        for (size_t k = 0; k < i; k++) {
            const struct scenario_port_map *first = &nat->port_maps.v[k];
            if (first->proto != map->proto || first->port != map->port)
                continue;
            complain(c, map->at, SEVERITY_WARNING, "port maps \"%s\" and \"%s\" both want outside port %u/%s",
                     first->name, map->name, map->port, map->proto == 6 ? "tcp" : "udp");
            complain_hint(c, "\"%s\" wins, for it comes first: give \"%s\" another port", first->name, map->name);
            break;
        }
        if (!somebody_has(s, &map->to)) {
            complain(c, map->at, SEVERITY_WARNING, "port map \"%s\" leads to %s, an address that nobody has", map->name,
                     ip_format(&map->to, addr));
            complain_hint(c, "to: the address and port of a machine behind the NAT");
        }
    }
}

/* Addresses of a scope that its own NIC, its router or a machine elsewhere has. */
static void check_scope_addresses(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    const struct scenario_nic *nic = &s->nics.v[d->nic];
    char addr[IP_TEXT];
    if (in_scope(d, &d->router) && !ip_equal(&d->router, &nic->addr)) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out its router's address %s",
                 ip_format(&d->router, addr));
        complain_hint(c, "leave it out of the range");
    }
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *x = &s->nics.v[i];
        bool same_link = x->on == nic->on && x->on_index == nic->on_index;
        if (!in_scope(d, &x->addr) || (same_link && x != nic))
            continue;
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out %s, which NIC \"%s\" of \"%s\" has",
                 ip_format(&x->addr, addr), x->name, s->machines.v[x->machine].name);
        complain_hint(c, x == nic
                             ? "leave the router's own address out of the range"
                             : "that NIC is elsewhere, so the address would be there twice: leave it out of the range");
        return;
    }
}

static void check_scope(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    if (d->nic == INDEX_NONE || !s->nics.v[d->nic].addr.family)
        return;
    const struct scenario_nic *nic = &s->nics.v[d->nic];
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    struct ip last = ip_v4(net.addr.v4 | ~ipv4_mask(net.len));
    char text[PREFIX_TEXT], addr[IP_TEXT];
    prefix_format(&net, text);
    if (nic->on == NIC_ON_SUBNET) {
        complain(c, d->at, SEVERITY_ERROR, "a DHCP scope on NIC \"%s\", which is in a network's subnet", nic->name);
        complain_hint(c, "the platform hands out addresses there: use a NIC on a switch");
    }
    if (d->router.family && !prefix_contains(&net, &d->router)) {
        complain(c, d->at, SEVERITY_ERROR, "router %s of the DHCP scope is outside %s of NIC \"%s\"",
                 ip_format(&d->router, addr), text, nic->name);
        complain_hint(c, "router: %s", ip_format(&nic->addr, addr));
    }
    if (d->first.family && (!prefix_contains(&net, &d->first) || !prefix_contains(&net, &d->last))) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope reaches outside %s of NIC \"%s\"", text, nic->name);
        complain_hint(c, "range: addresses of %s only", text);
        return;
    }
    if (in_scope(d, &net.addr) || in_scope(d, &last)) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out the %s address of %s",
                 in_scope(d, &last) ? "broadcast" : "network", text);
        complain_hint(c, "leave it out of the range");
    }
    check_scope_addresses(s, d, c);
    for (const struct scenario_dhcp *x = s->dhcps.v; x < d; x++) {
        if (!in_scope(x, &d->first) && !in_scope(d, &x->first))
            continue;
        complain(c, d->at, SEVERITY_ERROR, "two DHCP scopes hand out the same addresses");
        complain_hint(c, "make their ranges distinct (the other is in %s:%u)", x->at.file, x->at.line);
        return;
    }
}

void validate_machines(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->machines.n; i++) {
        check_routes(s, &s->machines.v[i], c);
        check_default_routes(s, &s->machines.v[i], c);
    }
    for (size_t i = 0; i < s->nats.n; i++)
        check_nat(s, &s->nats.v[i], c);
    for (size_t i = 0; i < s->dhcps.n; i++)
        check_scope(s, &s->dhcps.v[i], c);
}
