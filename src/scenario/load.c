/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: networks, route tables, switches, sites. What is referred to is read first. */
#include "read.h"
#include "validate.h"
#include <string.h>

static void load_user_route(const struct reader *r, const struct tree_member *m, uint32_t table) {
    static const char *const words[] = {"network", "internet", "gateway", "none"}; /* from NEXT_HOP_NETWORK on */
    const struct tree *t = m->value;
    struct scenario_user_route route = {.at = m->at, .name = m->key, .table = table};
    read_keys(r, t, KEYS("prefix", "next_hop"));
    bool ok = read_prefix(r, t, "prefix", REQUIRED, FAMILY_NONE, &route.prefix);
    const char *right = "an appliance's address, or network, internet, gateway, none";
    const struct tree *hop = read_text(r, t, "next_hop", REQUIRED, right);
    if (!hop)
        return;
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(hop->text, words[i]) == 0)
            route.kind = (uint8_t)(NEXT_HOP_NETWORK + i);
    if (route.kind == NEXT_HOP_APPLIANCE && ip_parse(hop->text, &route.next_hop)) {
        read_wrong(r, hop, "next_hop", right);
        return;
    }
    const char *what = arena_printf(r->s->arena, "route \"%s\"", m->key);
    if (ok && same_family(r, m->at, what, &route.prefix.addr, &route.next_hop))
        vec_push(&r->s->user_routes, route);
}

static void load_route_tables(const struct reader *r, const struct tree *tables) {
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, tables, &i, "route table"));) {
        struct scenario_route_table table = {.at = m->at, .name = m->key, .first_route = (uint32_t)r->s->user_routes.n};
        const struct tree_member *route;
        for (size_t k = 0; (route = next_element(r, m->value, &k, "route"));)
            load_user_route(r, route, (uint32_t)r->s->route_tables.n);
        table.n_routes = (uint32_t)r->s->user_routes.n - table.first_route;
        vec_push(&r->s->route_tables, table);
    }
}

/* A prefix of a subnet and its gateway; both stay empty when it is too small. */
static void load_subnet_prefix(const struct reader *r, const struct tree *t, const struct scenario_subnet *subnet,
                               enum family family, struct ip_prefix *prefix, struct ip *gateway) {
    const char *key = family == FAMILY_IPV4 ? "prefix" : "prefix6";
    uint8_t longest = (uint8_t)((family == FAMILY_IPV4 ? 32 : 128) - (subnet->floating ? 2 : 3));
    if (!read_prefix(r, t, key, family == FAMILY_IPV4 ? REQUIRED : OPTIONAL, family, prefix))
        return;
    if (prefix->len > longest) {
        complain(r->c, t->at, SEVERITY_ERROR, "subnet \"%s\" of length /%u is too small", subnet->name, prefix->len);
        complain_hint(r->c, "/%u or larger: %s", longest,
                      subnet->floating ? "it needs a gateway and a guest" : "the platform reserves five addresses");
        *prefix = (struct ip_prefix){0};
        return;
    }
    *gateway = prefix_nth(prefix, 1);
    if (family == FAMILY_IPV6 && prefix->len != 64) {
        complain(r->c, tree_get(t, key)->at, SEVERITY_ADVICE, "\"prefix6\" of subnet \"%s\" has length /%u",
                 subnet->name, prefix->len);
        complain_hint(r->c, "IPv6 subnets are /64 (RFC 4291, 2.5.4): hosts that make their own address need it");
    }
}

static void load_subnet(const struct reader *r, const struct tree_member *m, uint32_t network) {
    const struct tree *t = m->value;
    struct scenario_subnet subnet = {.at = m->at, .name = m->key, .network = network};
    read_keys(r, t, KEYS("prefix", "prefix6", "route_table", "security_group", "floating"));
    read_bool(r, t, "floating", &subnet.floating);
    subnet.route_table = read_ref(r, t, "route_table", OPTIONAL, "route table", r->s->route_tables);
    subnet.security_group = read_ref(r, t, "security_group", OPTIONAL, "security group", r->s->security_groups);
    load_subnet_prefix(r, t, &subnet, FAMILY_IPV4, &subnet.prefix, &subnet.gateway);
    load_subnet_prefix(r, t, &subnet, FAMILY_IPV6, &subnet.prefix6, &subnet.gateway6);
    vec_push(&r->s->subnets, subnet); /* also without a prefix, so that nobody is told that it does not exist */
}

/* The prefixes of a list, one after the other. */
bool next_prefix(const struct reader *r, const struct tree *list, size_t *i, const char *key, struct ip_prefix *out) {
    while (list && *i < list->n) {
        const struct tree *t = list->member[(*i)++].value;
        if (read_is(r, t, TREE_TEXT, key, "a list of prefixes, such as [10.0.0.0/22]") &&
            text_prefix(r, t, key, FAMILY_NONE, out))
            return true;
    }
    return false;
}

static void load_networks(const struct reader *r, const struct tree *networks) {
    static const char *const right = "a list of prefixes, such as [10.0.0.0/22]";
    const struct tree_member *m, *sub;
    for (size_t i = 0; (m = next_element(r, networks, &i, "network"));) {
        struct scenario_network network = {.at = m->at, .name = m->key, .first_subnet = (uint32_t)r->s->subnets.n};
        uint32_t index = (uint32_t)r->s->networks.n;
        read_keys(r, m->value, KEYS("space", "subnets"));
        const struct tree *space = read_list(r, m->value, "space", REQUIRED, right);
        struct ip_prefix prefix;
        for (size_t k = 0; next_prefix(r, space, &k, "space", &prefix);)
            vec_push(&network.space, prefix);
        const struct tree *subnets = read_map(r, m->value, "subnets", REQUIRED, "subnets by name");
        for (size_t k = 0; (sub = next_element(r, subnets, &k, "subnet"));)
            load_subnet(r, sub, index);
        network.n_subnets = (uint32_t)r->s->subnets.n - network.first_subnet;
        vec_push(&r->s->networks, network);
    }
}

static void load_switches(const struct reader *r, const struct tree *switches) {
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, switches, &i, "switch"));) {
        for (size_t k = 0; k < m->value->n; k++) {
            complain(r->c, m->value->member[k].at, SEVERITY_ERROR, "unknown key \"%s\"", m->value->member[k].key);
            complain_hint(r->c, "a switch has no keys: %s: {}", m->key);
        }
        vec_push(&r->s->switches, (struct scenario_switch){m->at, m->key});
    }
}

static void load_site_routes(const struct reader *r, const struct tree *t, struct scenario_site *site) {
    const struct tree *routes = read_map(r, t, "routes", OPTIONAL, "routes by name");
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, routes, &i, "route"));) {
        struct scenario_site_route route = {.at = m->at, .name = m->key};
        read_keys(r, m->value, KEYS("prefix"));
        if (read_prefix(r, m->value, "prefix", REQUIRED, FAMILY_NONE, &route.prefix))
            vec_push(&site->routes, route);
    }
}

static void load_site(const struct reader *r, const struct tree_member *m) {
    static const char *const not_internet[] = {"prefixes", "gateway", "routes"};
    const struct tree *t = m->value;
    struct scenario_site site = {.at = m->at, .name = m->key, .gateway_subnet = INDEX_NONE};
    bool internet = false;
    read_keys(r, t, KEYS("prefixes", "gateway", "routes", "internet"));
    read_bool(r, t, "internet", &internet);
    if (internet) {
        for (size_t i = 0; i < sizeof not_internet / sizeof *not_internet; i++) {
            if (!tree_get(t, not_internet[i]))
                continue;
            complain(r->c, tree_get(t, not_internet[i])->at, SEVERITY_ERROR, "the Internet has no \"%s\"",
                     not_internet[i]);
            complain_hint(r->c, "remove it, or \"internet\"");
        }
        vec_push(&site.prefixes, (struct ip_prefix){.addr.family = FAMILY_IPV4});
        vec_push(&site.prefixes, (struct ip_prefix){.addr.family = FAMILY_IPV6});
    } else {
        const struct tree *list = read_list(r, t, "prefixes", REQUIRED, "a list of prefixes, such as [172.16.0.0/22]");
        struct ip_prefix prefix;
        for (size_t i = 0; next_prefix(r, list, &i, "prefixes", &prefix);)
            vec_push(&site.prefixes, prefix);
        site.gateway_subnet = read_subnet(r, t, "gateway", REQUIRED);
        load_site_routes(r, t, &site);
    }
    vec_push(&r->s->sites, site);
}

/* The machine under test: the one named, else the only router, else the only machine that has captures. */
static uint32_t find_node(const struct reader *r, const struct tree *t) {
    if (tree_get(t, "node"))
        return read_ref(r, t, "node", OPTIONAL, "machine", r->s->machines);
    uint32_t router = INDEX_NONE, captured = INDEX_NONE;
    unsigned routers = 0, captures = 0;
    for (uint32_t i = 0; i < r->s->machines.n; i++) {
        const struct scenario_machine *m = &r->s->machines.v[i];
        bool capture = false;
        for (uint32_t k = 0; k < m->n_nics; k++)
            capture = capture || r->s->nics.v[m->first_nic + k].capture || r->s->nics.v[m->first_nic + k].n_sources;
        if (m->router)
            router = i, routers++;
        if (capture)
            captured = i, captures++;
    }
    return routers == 1 ? router : captures == 1 ? captured : INDEX_NONE;
}

static void load_head(const struct reader *r, const struct tree *t) {
    static const char *const right = "a short name of letters, digits, \"-\", \"_\" and \".\"";
    const struct tree *name = read_text(r, t, "name", REQUIRED, right),
                      *title = read_text(r, t, "title", OPTIONAL, "text");
    if (name) {
        size_t n = strlen(name->text);
        if (!n || n > 64 ||
            strspn(name->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
            read_wrong(r, name, "name", right);
        r->s->name = name->text;
        if (strcmp(name->at.file, r->s->file) != 0) {
            complain(r->c, (struct place){r->s->file, 1}, SEVERITY_WARNING,
                     "has no name of its own: \"%s\" is its base's", name->text);
            complain_hint(r->c, "name: %s", right);
        }
    }
    r->s->title = title ? title->text : r->s->name;
    const struct tree *trace = read_text(r, t, "trace", OPTIONAL, "the path of a capture, relative to this file");
    if (trace && *trace->text)
        r->s->trace = path_beside(trace->at.file, trace->text, r->s->arena);
    else if (trace)
        read_wrong(r, trace, "trace", "the path of a capture, relative to this file");
}

static void load_all(const struct reader *r, const struct tree *t) {
    read_keys(r, t,
              KEYS("fwdlab", "name", "title", "base", "trace", "node", "networks", "route_tables", "security_groups",
                   "switches", "sites", "machines"));
    load_head(r, t);
    load_route_tables(r, read_map(r, t, "route_tables", OPTIONAL, "route tables by name"));
    load_security_groups(r, read_map(r, t, "security_groups", OPTIONAL, "security groups by name"));
    load_networks(r, read_map(r, t, "networks", OPTIONAL, "networks by name"));
    load_switches(r, read_map(r, t, "switches", OPTIONAL, "switches by name"));
    const struct tree *sites = read_map(r, t, "sites", OPTIONAL, "sites by name");
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, sites, &i, "site"));)
        load_site(r, m);
    load_machines(r, read_map(r, t, "machines", REQUIRED, "machines by name"));
    r->s->node = find_node(r, t);
}

static struct scenario *load(const char *path, const char *text, size_t len, bool force, struct complaints *out) {
    struct scenario *s = xzalloc(1, sizeof *s);
    s->arena = arena_create();
    s->file = arena_strdup(s->arena, path);
    s->node = INDEX_NONE;
    const struct tree *t = tree_load(s->file, text, len, s->arena, out);
    if (t) {
        load_all(&(struct reader){s, out}, t);
        validate_networks(s, out);
        validate_sites(s, out);
        validate_security(s, out);
        validate_nics(s, out);
        validate_machines(s, out);
        validate_nats(s, out);
        validate_scopes(s, out);
    }
    complaints_sort(out);
    s->forced = out->errors > 0;
    if (!s->forced || (force && out->errors == out->faults))
        return s;
    scenario_destroy(s);
    return NULL;
}

struct scenario *scenario_load(const char *path, struct complaints *out) {
    return load(path, NULL, 0, false, out);
}

struct scenario *scenario_load_forced(const char *path, struct complaints *out) {
    return load(path, NULL, 0, true, out);
}

struct scenario *scenario_load_text(const char *path, const char *text, size_t len, struct complaints *out) {
    return load(path, text, len, false, out);
}

struct scenario *scenario_load_text_forced(const char *path, const char *text, size_t len, struct complaints *out) {
    return load(path, text, len, true, out);
}
