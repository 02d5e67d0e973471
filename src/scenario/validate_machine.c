/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: the routes and rules of machines. */
#include <stdlib.h>
#include <string.h>
#include "complaint.h"
#include "validate.h"

#define TABLES 256
#define TABLES_USED_MAX 15u /* with the main one as many as the core has */
#define WAYS_MAX 16u        /* that share the traffic to a prefix (ECMP), as in the core */

static bool same_route(const struct scenario_static_route *a, const struct scenario_static_route *b) {
    return a->machine == b->machine && prefix_equal(&a->prefix, &b->prefix) && a->metric == b->metric &&
           a->kind == b->kind && a->nic == b->nic && a->table == b->table && ip_equal(&a->via, &b->via);
}

static void check_via(const struct scenario *s, const struct scenario_static_route *route, struct complaints *c) {
    const struct scenario_nic *nic = &s->nics.v[route->nic];
    struct nic_side side = nic_side(nic, route->via.family);
    char via[IP_TEXT], text[PREFIX_TEXT];
    if (!route->via.family || (!nic->addr.family && !nic->addr6.family) || nic->on_index == INDEX_NONE)
        return;
    ip_format(&route->via, via);
    if (!nic_on_link(s, nic, &route->via)) {
        complain(c, route->at, SEVERITY_ERROR, "%s of route \"%s\" is not on the link of NIC \"%s\"", via, route->name,
                 nic->name);
        complain_fault_ip(c, FAULT_NEXT_HOP, &route->via);
        if (!side.addr.family)
            complain_hint(c, "NIC \"%s\" has no address of this family: give it one", nic->name);
        else if (nic->connected || nic->on == NIC_ON_SUBNET)
            complain_hint(c, "via: an address of %s", prefix_format(&side.net, text));
        else
            complain_hint(c, "NIC \"%s\" has \"connected: false\": it reaches its gateway only", nic->name);
        return;
    }
    uint32_t owner = scenario_nic_of_address(s, &route->via);
    if (owner != INDEX_NONE && s->nics.v[owner].machine == route->machine) {
        complain(c, route->at, SEVERITY_ERROR, "route \"%s\" goes via %s, the machine itself", route->name, via);
        complain_fault_ip(c, FAULT_NEXT_HOP, &route->via);
        complain_hint(c, "via: the address of a neighbour");
    } else if (nic->on == NIC_ON_SWITCH && (owner == INDEX_NONE || s->nics.v[owner].on != NIC_ON_SWITCH ||
                                            s->nics.v[owner].on_index != nic->on_index)) {
        complain(c, route->at, SEVERITY_WARNING, "nobody on NIC \"%s\"'s switch has %s, where route \"%s\" goes",
                 nic->name, via, route->name);
        complain_hint(c, "what takes it is lost: via: the address of a machine on that switch");
    }
}

static bool same_choice(const struct scenario_static_route *a, const struct scenario_static_route *b) {
    return !a->kind && !b->kind && a->table == b->table && a->metric == b->metric &&
           prefix_equal(&a->prefix, &b->prefix);
}

/* Of the routes before this one: is one the same, and how many would it share the traffic with? `marks`: of all. */
static void check_earlier(const struct scenario *s, const struct scenario_machine *m, uint32_t i, const uint32_t *marks,
                          struct complaints *c) {
    const struct scenario_static_route *route = &s->static_routes.v[i], *same = NULL;
    char text[PREFIX_TEXT];
    unsigned n = 0;
    for (uint32_t k = 0; k < i - m->first_route; k++) {
        if (marks[k] != marks[i - m->first_route])
            continue;
        const struct scenario_static_route *other = &s->static_routes.v[m->first_route + k];
        same = !same && same_route(other, route) ? other : same;
        n += same_choice(other, route);
    }
    if (same) {
        complain(c, route->at, SEVERITY_ERROR, "routes \"%s\" and \"%s\" are the same", same->name, route->name);
        complain_fault(c, FAULT_ROUTE, &route->prefix);
        complain_hint(c, "remove one of them");
    }
    if (route->kind || n < WAYS_MAX)
        return;
    complain(c, route->at, SEVERITY_WARNING, "route \"%s\" to %s is not used: %u of the same metric come before it",
             route->name, prefix_format(&route->prefix, text), n);
    complain_hint(c, "%u share the traffic to a prefix at most: remove it, or give it another metric", WAYS_MAX);
}

static bool is_host(const struct ip_prefix *p) {
    return p->len == (p->addr.family == FAMILY_IPV6 ? 128 : 32);
}

static void check_own(const struct scenario *s, const struct scenario_machine *m,
                      const struct scenario_static_route *route, struct complaints *c) {
    char text[PREFIX_TEXT];
    for (uint32_t k = m->first_nic; is_host(&route->prefix) && k < m->first_nic + m->n_nics; k++) {
        if (!ip_equal(&s->nics.v[k].addr, &route->prefix.addr) && !ip_equal(&s->nics.v[k].addr6, &route->prefix.addr))
            continue;
        complain(c, route->at, SEVERITY_ERROR, "route \"%s\" is for %s, the machine's own address", route->name,
                 prefix_format(&route->prefix, text));
        complain_fault(c, FAULT_ROUTE, &route->prefix);
        complain_hint(c, "remove it: what is addressed to the machine is delivered");
    }
}

/* Of what two routes must have in common to be alike: there may be thousands of them. */
static uint32_t mark_of(const struct scenario_static_route *route) {
    const struct ip *addr = &route->prefix.addr;
    uint32_t w[4] = {addr->v4}, h = route->metric * 31 + route->prefix.len;
    if (addr->family == FAMILY_IPV6)
        memcpy(w, addr->v6, sizeof w);
    for (unsigned i = 0; i < 4; i++)
        h = (h ^ w[i]) * 0x9e3779b1u;
    return h;
}

static void check_routes(const struct scenario *s, const struct scenario_machine *m, struct complaints *c) {
    uint32_t *marks = xalloc(m->n_routes * sizeof *marks);
    for (uint32_t k = 0; k < m->n_routes; k++)
        marks[k] = mark_of(&s->static_routes.v[m->first_route + k]);
    for (uint32_t i = m->first_route; i < m->first_route + m->n_routes; i++) {
        const struct scenario_static_route *route = &s->static_routes.v[i];
        check_earlier(s, m, i, marks, c);
        check_own(s, m, route, c);
        if (route->nic != INDEX_NONE)
            check_via(s, route, c);
    }
    free(marks);
}

static void check_default_routes(const struct scenario *s, const struct scenario_machine *m, enum family family,
                                 struct complaints *c) {
    const struct scenario_nic *first = NULL;
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        if (!nic_side(nic, family).default_route)
            continue;
        if (first) {
            complain(c, nic->at, SEVERITY_WARNING, "NICs \"%s\" and \"%s\" of \"%s\" both bring a default route%s",
                     first->name, nic->name, m->name, family == FAMILY_IPV6 ? " of IPv6" : "");
            complain_hint(c, "flows will be shared between them: give one of them \"%s: none\"",
                          family == FAMILY_IPV6 ? "gateway6" : "gateway");
            return;
        }
        first = nic;
    }
}

static bool same_rule(const struct scenario_rule *a, const struct scenario_rule *b) {
    return a->priority == b->priority && prefix_equal(&a->from, &b->from) && prefix_equal(&a->to, &b->to) &&
           a->nic == b->nic && a->kind == b->kind && a->table == b->table;
}

static void check_rules(const struct scenario *s, const struct scenario_machine *m, struct complaints *c) {
    for (uint32_t i = m->first_rule; i < m->first_rule + m->n_rules; i++) {
        for (uint32_t k = m->first_rule; k < i; k++) {
            if (!same_rule(&s->rules.v[k], &s->rules.v[i]))
                continue;
            complain(c, s->rules.v[i].at, SEVERITY_ERROR, "rules \"%s\" and \"%s\" are the same", s->rules.v[k].name,
                     s->rules.v[i].name);
            complain_fault(c, FAULT_ROUTE, s->rules.v[i].from.addr.family ? &s->rules.v[i].from : &s->rules.v[i].to);
            complain_hint(c, "remove one of them");
            break;
        }
    }
}

/* Routes and rules of a machine meet in its tables. */
static void check_tables(const struct scenario *s, const struct scenario_machine *m, struct complaints *c) {
    const struct scenario_static_route *routes[TABLES] = {0}; /* the first one of each table */
    const struct scenario_rule *rules[TABLES] = {0};
    unsigned n = 0;
    for (uint32_t i = m->first_route + m->n_routes; i-- > m->first_route;)
        routes[s->static_routes.v[i].table] = &s->static_routes.v[i];
    for (uint32_t i = m->first_rule + m->n_rules; i-- > m->first_rule;)
        rules[s->rules.v[i].table] = &s->rules.v[i]; /* refusing ones name the main table, 0 */
    for (unsigned i = 1; i < TABLES; i++) {
        n += routes[i] || rules[i];
        if (routes[i] && !rules[i]) {
            complain(c, routes[i]->at, SEVERITY_WARNING, "route \"%s\" is in table %u, which no rule leads to",
                     routes[i]->name, i);
            complain_hint(c, "add to the machine a rule with \"table: %u\"", i);
        } else if (rules[i] && !routes[i]) {
            complain(c, rules[i]->at, SEVERITY_WARNING, "rule \"%s\" leads to table %u, which has no route",
                     rules[i]->name, i);
            complain_hint(c, "the next rule is tried: add routes with \"table: %u\"", i);
        }
    }
    if (n > TABLES_USED_MAX) {
        complain(c, m->at, SEVERITY_ERROR, "machine \"%s\" has %u route tables beside the main one", m->name, n);
        complain_hint(c, "%u at most", TABLES_USED_MAX);
    }
}

void validate_machines(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->machines.n; i++) {
        const struct scenario_machine *m = &s->machines.v[i];
        check_routes(s, m, c);
        check_default_routes(s, m, FAMILY_IPV4, c);
        check_default_routes(s, m, FAMILY_IPV6, c);
        check_rules(s, m, c);
        check_tables(s, m, c);
    }
}
