/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: machines with their routes and rules; NICs, NAT and DHCP by their own files. */
#include "read.h"
#include <string.h>

#define TABLES_MAX 255u
#define RULE_PRIORITY_MAX 32765u /* below the main table's own rule */

/* The number of a table of the machine; 0, also without the key, is "main". */
static bool read_table(const struct reader *r, const struct tree *t, uint32_t *out) {
    static const char *const right = "a number, 1 to 255, or main";
    const struct tree *text = read_text(r, t, "table", OPTIONAL, right);
    *out = 0;
    if (!text || strcmp(text->text, "main") == 0)
        return !tree_get(t, "table") || text;
    if (number_parse(text->text, strlen(text->text), 1, TABLES_MAX, out))
        return true;
    read_wrong(r, text, "table", right);
    return false;
}

static void load_route(const struct reader *r, const struct tree_member *m, uint32_t machine) {
    static const char *const kinds[] = {"unicast", "blackhole", "unreachable", "prohibit", NULL};
    const struct tree *t = m->value;
    struct scenario_static_route route = {.at = m->at, .name = m->key, .machine = machine, .nic = INDEX_NONE};
    unsigned kind = 0;
    read_keys(r, t, KEYS("prefix", "via", "nic", "metric", "kind", "table"));
    bool ok = read_prefix(r, t, "prefix", REQUIRED, FAMILY_NONE, &route.prefix);
    read_uint(r, t, "metric", OPTIONAL, 0, UINT32_MAX, &route.metric);
    ok &= read_table(r, t, &route.table);
    if (tree_get(t, "kind") && !read_choice(r, t, "kind", OPTIONAL, kinds, &kind))
        return;
    route.kind = (uint8_t)kind;
    if (kind == 0) {
        const char *what = arena_printf(r->s->arena, "route \"%s\"", m->key);
        read_ip(r, t, "via", OPTIONAL, FAMILY_NONE, &route.via);
        route.nic = read_nic(r, t, "nic", REQUIRED, machine);
        ok = same_family(r, m->at, what, &route.prefix.addr, &route.via) && ok && route.nic != INDEX_NONE;
    } else if (tree_get(t, "via") || tree_get(t, "nic")) {
        complain(r->c, m->at, SEVERITY_ERROR, "a %s route leads nowhere, but has \"via\" or \"nic\"", kinds[kind]);
        complain_hint(r->c, "remove these, or \"kind\"");
    }
    if (ok)
        vec_push(&r->s->static_routes, route);
}

static void load_rule(const struct reader *r, const struct tree_member *m, uint32_t machine) {
    static const char *const kinds[] = {"blackhole", "unreachable", "prohibit", NULL};
    const struct tree *t = m->value;
    struct scenario_rule rule = {.at = m->at, .name = m->key, .machine = machine};
    unsigned kind;
    read_keys(r, t, KEYS("priority", "from", "to", "nic", "table", "kind"));
    bool ok = read_uint(r, t, "priority", REQUIRED, 1, RULE_PRIORITY_MAX, &rule.priority);
    read_prefix(r, t, "from", OPTIONAL, FAMILY_NONE, &rule.from);
    read_prefix(r, t, "to", OPTIONAL, FAMILY_NONE, &rule.to);
    rule.nic = read_nic(r, t, "nic", OPTIONAL, machine);
    if (!tree_get(t, "table") == !tree_get(t, "kind")) {
        complain(r->c, m->at, SEVERITY_ERROR, "rule \"%s\" has %s \"table\" and \"kind\"", m->key,
                 tree_get(t, "table") ? "both" : "neither");
        complain_hint(r->c, "give it \"table: NUMBER\" to look into, or \"kind: blackhole, unreachable or prohibit\"");
        return;
    }
    ok &= read_table(r, t, &rule.table);
    if (read_choice(r, t, "kind", OPTIONAL, kinds, &kind))
        rule.kind = (uint8_t)(kind + 1);
    ok &= same_family(r, m->at, arena_printf(r->s->arena, "rule \"%s\"", m->key), &rule.from.addr, &rule.to.addr);
    rule.family = rule.from.addr.family ? rule.from.addr.family : rule.to.addr.family;
    if (ok)
        vec_push(&r->s->rules, rule);
}

static void load_machine(const struct reader *r, const struct tree_member *m) {
    const struct tree *t = m->value, *nat, *dhcp;
    const struct tree_member *e;
    uint32_t index = (uint32_t)r->s->machines.n;
    read_keys(r, t, KEYS("router", "nics", "routes", "rules", "nat", "dhcp"));
    vec_push(&r->s->machines, (struct scenario_machine){.at = m->at,
                                                        .name = m->key,
                                                        .nat = INDEX_NONE,
                                                        .first_nic = (uint32_t)r->s->nics.n,
                                                        .first_route = (uint32_t)r->s->static_routes.n,
                                                        .first_rule = (uint32_t)r->s->rules.n});
    struct scenario_machine *machine = &r->s->machines.v[index];
    read_bool(r, t, "router", &machine->router);
    const struct tree *nics = read_map(r, t, "nics", REQUIRED, "NICs by name");
    for (size_t i = 0; (e = next_element(r, nics, &i, "NIC"));)
        load_nic(r, e, index);
    machine->n_nics = (uint32_t)r->s->nics.n - machine->first_nic;
    const struct tree *routes = read_map(r, t, "routes", OPTIONAL, "routes by name");
    for (size_t i = 0; (e = next_element(r, routes, &i, "route"));)
        load_route(r, e, index);
    machine->n_routes = (uint32_t)r->s->static_routes.n - machine->first_route;
    const struct tree *rules = read_map(r, t, "rules", OPTIONAL, "rules by name");
    for (size_t i = 0; (e = next_element(r, rules, &i, "rule"));)
        load_rule(r, e, index);
    machine->n_rules = (uint32_t)r->s->rules.n - machine->first_rule;
    if ((nat = read_map(r, t, "nat", OPTIONAL, "a mapping")))
        load_nat(r, nat, index);
    dhcp = read_list(r, t, "dhcp", OPTIONAL, "a list of scopes");
    for (size_t i = 0; dhcp && i < dhcp->n; i++)
        if (read_is(r, dhcp->member[i].value, TREE_MAP, "dhcp", "a list of scopes, each with nic, range, router, dns"))
            load_scope(r, dhcp->member[i].value, index);
}

void load_machines(const struct reader *r, const struct tree *machines) {
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, machines, &i, "machine"));)
        load_machine(r, m);
}
