/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy routing of a machine: its rules, one set a family, and the tables that they name. The scenario numbers tables
 * as it likes; the core counts them. A table that rules name and that has no routes is there, and empty.
 */
#include "build.h"
#include <errno.h>
#include <stdio.h>

/* The scenario's number of each table of one set of rules; [0] is the main one, 0. */
struct tables {
    unsigned n;
    uint32_t number[ROUTE_TABLES_MAX];
};

static unsigned table_find(const struct tables *t, uint32_t number) {
    unsigned i = 0;
    while (i < t->n && t->number[i] != number)
        i++;
    return i;
}

/* Builds the table of that number unless it is there already. */
static int table_make(const struct control *c, const struct control_node *n, const struct route_backend *backend,
                      uint32_t number, struct route_rules *rules, struct tables *t) {
    struct route_list list = {0};
    struct route_table *table;
    if (table_find(t, number) < t->n)
        return 0;
    if (t->n == ROUTE_TABLES_MAX)
        return -ENOSPC;
    machine_routes(c, n, number, &list);
    int code = table_build(&list, backend, 0, &table);
    vec_free(&list);
    if (!code && (code = route_rules_table_add(rules, table)) >= 0) {
        t->number[t->n++] = number;
        return 0;
    }
    route_table_destroy(table);
    return code;
}

static int rule_make(const struct scenario_rule *r, uint32_t first_nic, const struct tables *t,
                     struct route_rules *rules) {
    static const uint8_t kinds[] = {ROUTE_UNICAST, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT};
    struct route_rule rule = {.priority = r->priority,
                              .from = r->from,
                              .to = r->to,
                              .in_port = r->nic == INDEX_NONE ? PORT_NONE : (uint16_t)(r->nic - first_nic),
                              .kind = kinds[r->kind],
                              .table = r->kind ? 0 : (uint8_t)table_find(t, r->table)};
    snprintf(rule.name, sizeof rule.name, "%s", r->name);
    int code = route_rules_add(rules, &rule);
    return code == -EEXIST ? 0 : code;
}

static bool concerns(const struct scenario_rule *r, uint8_t family) {
    return r->family == FAMILY_NONE || r->family == family;
}

static int rules_make(const struct control *c, const struct control_node *n, const struct route_backend *backend,
                      struct route_table *main, struct route_rules **out) {
    const struct scenario *s = c->scenario;
    const struct scenario_machine *m = &s->machines.v[n->index];
    struct tables tables = {.n = 1};
    int code = 0;
    for (uint32_t i = m->first_rule; i < m->first_rule + m->n_rules && !code; i++) {
        const struct scenario_rule *rule = &s->rules.v[i];
        if (!concerns(rule, backend->family))
            continue;
        if (!*out && !(*out = route_rules_create(main)))
            return -ENOMEM;
        if (!rule->kind)
            code = table_make(c, n, backend, rule->table, *out, &tables);
        if (!code)
            code = rule_make(rule, m->first_nic, &tables, *out);
    }
    return code;
}

int machine_rules(const struct control *c, struct control_node *n) {
    int code = rules_make(c, n, &route_trie, n->node.routes, &n->node.rules);
    if (!code && n->node.routes6)
        code = rules_make(c, n, &route_trie6, n->node.routes6, &n->node.rules6);
    return code;
}
