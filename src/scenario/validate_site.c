/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: sites, what they are told of, and who leads to them. */
#include "complaint.h"
#include "validate.h"
#include <fwdlab/base/arena.h>
#include <string.h>

#define UNTOLD_MAX 6 /* named in one complaint */

static void check_site_name(const struct scenario *s, const struct scenario_site *site, struct complaints *c) {
    uint32_t machine = scenario_machine_find(s, site->name);
    if (strcmp(site->name, "subnet") == 0 || strcmp(site->name, "network") == 0) {
        complain(c, site->at, SEVERITY_ERROR, "a site cannot be called \"%s\"", site->name);
        complain_hint(c, "gateways call ports of their own so: choose another name");
    }
    if (machine != INDEX_NONE) {
        complain(c, site->at, SEVERITY_ERROR, "site \"%s\" has the name of a machine", site->name);
        complain_hint(c, "both are nodes: choose another name for one of them (the machine is in %s:%u)",
                      s->machines.v[machine].at.file, s->machines.v[machine].at.line);
    }
}

static bool is_internet(const struct scenario_site *site) {
    return site->gateway_subnet == INDEX_NONE && site->prefixes.n && site->prefixes.v[0].len == 0;
}

/* May two sites not be there together? There is one Internet, and a network has one gateway. */
static bool sites_clash(const struct scenario *s, const struct scenario_site *a, const struct scenario_site *b) {
    uint32_t x = a->gateway_subnet, y = b->gateway_subnet;
    if (x == INDEX_NONE || y == INDEX_NONE)
        return is_internet(a) && is_internet(b);
    return x != y && s->subnets.v[x].network == s->subnets.v[y].network;
}

static void check_site_pairs(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->sites.n; i++) {
        const struct scenario_site *site = &s->sites.v[i], *other = s->sites.v;
        while (other < site && !sites_clash(s, site, other))
            other++;
        if (other == site)
            continue;
        if (is_internet(site)) {
            complain(c, site->at, SEVERITY_ERROR, "\"%s\" is a second Internet", site->name);
            complain_hint(c, "put its machines on \"%s\"", other->name);
        } else {
            complain(c, site->at, SEVERITY_ERROR, "sites \"%s\" and \"%s\" are joined at two subnets of one network",
                     other->name, site->name);
            complain_hint(c, "a network has one gateway: join \"%s\" at \"%s\" too", site->name,
                          s->subnets.v[other->gateway_subnet].name);
        }
    }
}

static const struct ip_prefix *covered_by(const struct ip_prefix *prefixes, size_t n, const struct ip_prefix *p) {
    for (size_t i = 0; i < n; i++)
        if (prefix_covers(&prefixes[i], p))
            return &prefixes[i];
    return NULL;
}

/* The static routes of a site's router, which lead to its gateway. */
static void check_site_routes(const struct scenario *s, const struct scenario_site *site, struct complaints *c) {
    const struct scenario_network *network =
        site->gateway_subnet == INDEX_NONE ? NULL : &s->networks.v[s->subnets.v[site->gateway_subnet].network];
    const struct ip_prefix *space;
    char text[PREFIX_TEXT];
    for (size_t k = 0; k < site->routes.n; k++) {
        const struct scenario_site_route *r = &site->routes.v[k], *other = site->routes.v;
        const char *name = NULL; /* who has the same prefix */
        while (other < r && !prefix_equal(&other->prefix, &r->prefix))
            other++;
        for (size_t i = 0; i < site->prefixes.n; i++)
            if (prefix_equal(&site->prefixes.v[i], &r->prefix))
                name = site->name;
        if (other < r)
            name = other->name;
        if (name) {
            complain(c, r->at, SEVERITY_ERROR, "route \"%s\" is for %s, as is \"%s\"", r->name,
                     prefix_format(&r->prefix, text), name);
            complain_fault(c, FAULT_ROUTE, &r->prefix);
            complain_hint(c, "remove it: a site has one route for a prefix, and needs none for its own");
        } else if (network && (space = covered_by(network->space.v, network->space.n, &r->prefix))) {
            complain(c, r->at, SEVERITY_ADVICE, "route \"%s\" of site \"%s\" is not needed", r->name, site->name);
            complain_hint(c, "the gateway announces %s, the space of network \"%s\"", prefix_format(space, text),
                          network->name);
        }
    }
}

/* Does the site lack the way to what this route leads to an appliance? Its own addresses need none. */
static bool is_untold(const struct scenario_network *network, const struct scenario_site *site,
                      const struct scenario_user_route *u) {
    if (u->kind != NEXT_HOP_APPLIANCE || !u->prefix.len || covered_by(network->space.v, network->space.n, &u->prefix))
        return false;
    for (size_t i = 0; i < site->prefixes.n; i++)
        if (prefix_overlaps(&site->prefixes.v[i], &u->prefix))
            return false;
    for (size_t i = 0; i < site->routes.n; i++)
        if (prefix_covers(&site->routes.v[i].prefix, &u->prefix))
            return false;
    return true;
}

/* The routes of a table that the site lacks; each prefix once, UNTOLD_MAX of them at most. Returns how many there are.
 */
static size_t collect_untold(const struct scenario *s, const struct scenario_site *site, uint32_t index,
                             const struct scenario_user_route **out, size_t n) {
    const struct scenario_network *network = &s->networks.v[s->subnets.v[site->gateway_subnet].network];
    const struct scenario_route_table *table = &s->route_tables.v[index];
    for (uint32_t i = table->first_route; i < table->first_route + table->n_routes && n < UNTOLD_MAX; i++) {
        const struct scenario_user_route *u = &s->user_routes.v[i];
        size_t k = 0;
        while (k < n && !prefix_covers(&out[k]->prefix, &u->prefix))
            k++;
        if (k == n && is_untold(network, site, u))
            out[n++] = u;
    }
    return n;
}

/*
 * What a network leads to an appliance and has outside its space: a gateway announces the space alone, so a site that
 * is joined there has to be told by a static route. `seen` (zeroed here) marks the route tables that were looked at.
 */
static void check_announced(const struct scenario *s, const struct scenario_site *site, bool *seen,
                            struct complaints *c) {
    const struct scenario_network *network = &s->networks.v[s->subnets.v[site->gateway_subnet].network];
    const struct scenario_user_route *untold[UNTOLD_MAX];
    size_t n = 0, used = 0;
    char list[UNTOLD_MAX * (PREFIX_TEXT + 2)] = "", text[PREFIX_TEXT];
    memset(seen, 0, s->route_tables.n * sizeof *seen);
    for (uint32_t i = 0; i < network->n_subnets; i++) {
        uint32_t table = s->subnets.v[network->first_subnet + i].route_table;
        if (table != INDEX_NONE && !seen[table])
            n = collect_untold(s, site, table, untold, n);
        if (table != INDEX_NONE)
            seen[table] = true;
    }
    if (!n)
        return;
    for (size_t i = 0; i < n; i++)
        used += (size_t)sprintf(list + used, "%s%s", i ? ", " : "", prefix_format(&untold[i]->prefix, text));
    complain(c, site->at, SEVERITY_WARNING,
             "\"%s\" is not told of %s: the gateway announces the space of the network only", site->name, list);
    complain_hint(c, "route \"%s\" (%s:%u) leads there: add to the site: routes: { %s: { prefix: \"%s\" } }",
                  untold[0]->name, untold[0]->at.file, untold[0]->at.line, untold[0]->name,
                  prefix_format(&untold[0]->prefix, text));
}

/* Routes to "gateway" and "internet" need one. */
static void check_route_targets(const struct scenario *s, struct complaints *c) {
    bool internet = false, gateway = false;
    for (size_t i = 0; i < s->sites.n; i++) {
        internet = internet || is_internet(&s->sites.v[i]);
        gateway = gateway || s->sites.v[i].gateway_subnet != INDEX_NONE;
    }
    for (size_t i = 0; i < s->user_routes.n; i++) {
        const struct scenario_user_route *route = &s->user_routes.v[i];
        if ((route->kind != NEXT_HOP_INTERNET || internet) && (route->kind != NEXT_HOP_GATEWAY || gateway))
            continue;
        bool to_gateway = route->kind == NEXT_HOP_GATEWAY;
        complain(c, route->at, SEVERITY_WARNING, "route \"%s\" leads to %s, but the scenario has none", route->name,
                 to_gateway ? "a gateway" : "the Internet");
        complain_hint(c, "what takes it is lost: add a site with \"%s\"",
                      to_gateway ? "gateway: network/subnet" : "internet: true");
    }
}

void validate_sites(const struct scenario *s, struct complaints *c) {
    bool *seen = arena_alloc(s->arena, s->route_tables.n + 1);
    check_site_pairs(s, c);
    check_route_targets(s, c);
    for (size_t i = 0; i < s->sites.n; i++) {
        check_site_name(s, &s->sites.v[i], c);
        check_site_routes(s, &s->sites.v[i], c);
        if (s->sites.v[i].gateway_subnet != INDEX_NONE)
            check_announced(s, &s->sites.v[i], seen, c);
    }
}
