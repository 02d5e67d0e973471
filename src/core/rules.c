/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy routing: a list of rules over a few route tables. The number of a path that was found is the table's in the
 * upper bits and the path's own in the lower ones, so that paths of the main table have the numbers that they have
 * without rules. The highest numbers of all stand for rules that refuse by themselves.
 */
#include <fwdlab/core/rules.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <fwdlab/core/packet.h>
#include "route_table.h"
#include "stage.h"

#define TABLE_SHIFT 28 /* ROUTE_TABLES_MAX tables, each of so many paths that 4 GB hold them */
static_assert(ROUTE_TABLES_MAX <= 1u << (32 - TABLE_SHIFT), "a table's number fits above TABLE_SHIFT");
#define REFUSED_BY_RULE (ROUTE_NONE - 1 - ROUTE_PROHIBIT) /* and the route kind */

struct route_rules {
    struct route_table *tables[ROUTE_TABLES_MAX];
    unsigned n_tables;
    VEC(struct route_rule) rules; /* by priority, then in the order of adding */
};

struct route_rules *route_rules_create(struct route_table *main) {
    struct route_rules *r = xzalloc(1, sizeof *r);
    r->tables[r->n_tables++] = main;
    vec_push(&r->rules, (struct route_rule){.priority = RULE_PRIORITY_MAIN, .in_port = PORT_NONE, .name = "main"});
    return r;
}

void route_rules_destroy(struct route_rules *r) {
    if (!r)
        return;
    for (unsigned i = 1; i < r->n_tables; i++)
        route_table_destroy(r->tables[i]);
    vec_free(&r->rules);
    vec_release(r);
}

static uint8_t family_of(const struct route_table *t) {
    return route_table_backend(t)->family;
}

int route_rules_table_add(struct route_rules *r, struct route_table *t) {
    if (family_of(t) != family_of(r->tables[0]))
        return -EAFNOSUPPORT;
    if (r->n_tables == ROUTE_TABLES_MAX)
        return -ENOSPC;
    r->tables[r->n_tables] = t;
    return (int)r->n_tables++;
}

/* ---- the list ---- */

static bool prefix_ok(const struct ip_prefix *p, uint8_t family) {
    if (p->addr.family == FAMILY_NONE)
        return true;
    if (p->addr.family != family || p->len > (family == FAMILY_IPV6 ? 128 : 32))
        return false;
    const struct ip_prefix masked = prefix_of(&p->addr, p->len);
    return ip_equal(&masked.addr, &p->addr);
}

static bool prefix_same(const struct ip_prefix *a, const struct ip_prefix *b) {
    return a->addr.family == FAMILY_NONE ? b->addr.family == FAMILY_NONE : prefix_equal(a, b);
}

static bool rule_same(const struct route_rule *a, const struct route_rule *b) {
    return a->priority == b->priority && a->in_port == b->in_port && a->kind == b->kind &&
           (a->kind != ROUTE_UNICAST || a->table == b->table) && prefix_same(&a->from, &b->from) &&
           prefix_same(&a->to, &b->to);
}

static size_t rule_find(const struct route_rules *r, const struct route_rule *rule) {
    size_t i = 0;
    while (i < r->rules.n && !rule_same(&r->rules.v[i], rule))
        i++;
    return i;
}

int route_rules_add(struct route_rules *r, const struct route_rule *rule) {
    const uint8_t family = family_of(r->tables[0]);
    bool known = rule->kind == ROUTE_UNICAST ? rule->table < r->n_tables
                                             : rule->kind >= ROUTE_BLACKHOLE && rule->kind <= ROUTE_PROHIBIT;
    if (!known || !prefix_ok(&rule->from, family) || !prefix_ok(&rule->to, family))
        return -EINVAL;
    if (rule_find(r, rule) < r->rules.n)
        return -EEXIST;
    vec_push(&r->rules, *rule);
    size_t i = r->rules.n - 1;
    for (; i > 0 && r->rules.v[i - 1].priority > rule->priority; i--)
        r->rules.v[i] = r->rules.v[i - 1];
    r->rules.v[i] = *rule;
    return 0;
}

int route_rules_remove(struct route_rules *r, const struct route_rule *rule) {
    size_t i = rule_find(r, rule);
    if (i == r->rules.n)
        return -ENOENT;
    r->rules.n--;
    memmove(&r->rules.v[i], &r->rules.v[i + 1], (r->rules.n - i) * sizeof *r->rules.v);
    return 0;
}

unsigned route_rules_tables(const struct route_rules *r) {
    return r->n_tables;
}

struct route_table *route_rules_table(const struct route_rules *r, unsigned table) {
    return r->tables[table];
}

const struct route_rule *route_rules_list(const struct route_rules *r, size_t *n) {
    *n = r->rules.n;
    return r->rules.v;
}

/* ---- lookups ---- */

#define REFUSAL(k) {.kind = (k), .n = 1, .route = ROUTE_NONE, .next = {{.port = PORT_NONE}}}
static const struct route_path blackhole = REFUSAL(ROUTE_BLACKHOLE), unreachable = REFUSAL(ROUTE_UNREACHABLE),
                               prohibit = REFUSAL(ROUTE_PROHIBIT);
static const struct route_path *const refusals[] = {&blackhole, &unreachable, &prohibit};

static struct ip address(uint8_t family, const void *bytes) {
    struct ip a = {.family = family};
    memcpy(a.v6, bytes, family == FAMILY_IPV6 ? 16 : 4);
    return a;
}

static bool rule_matches(const struct route_rule *rule, const struct ip *src, const struct ip *dst, uint16_t in_port) {
    return (rule->in_port == PORT_NONE || rule->in_port == in_port) &&
           (rule->from.addr.family == FAMILY_NONE || prefix_contains(&rule->from, src)) &&
           (rule->to.addr.family == FAMILY_NONE || prefix_contains(&rule->to, dst));
}

/* What a rule that matches says: a path's number, or ROUTE_NONE when the next one is to be asked. */
static uint32_t rule_lookup(const struct route_rules *r, const struct route_rule *rule, const struct ip *dst) {
    uint32_t path;
    if (rule->kind != ROUTE_UNICAST)
        return REFUSED_BY_RULE + rule->kind;
    route_lookup(r->tables[rule->table], dst->v6, &path, 1);
    return path == ROUTE_NONE ? ROUTE_NONE : (uint32_t)rule->table << TABLE_SHIFT | path;
}

uint32_t route_rules_lookup(const struct route_rules *r, const void *src, const void *dst, uint16_t in_port,
                            uint32_t *rule) {
    const uint8_t family = family_of(r->tables[0]);
    const struct ip from = address(family, src), to = address(family, dst);
    uint32_t path, decided = ROUTE_NONE;
    route_lookup(r->tables[0], to.v6, &path, 1);
    if (path != ROUTE_NONE) {
        uint8_t kind = path_at(r->tables[0], path)->kind;
        if (kind != ROUTE_LOCAL && kind != ROUTE_BROADCAST)
            path = ROUTE_NONE;
    }
    for (uint32_t i = 0; path == ROUTE_NONE && i < r->rules.n; i++) {
        if (rule_matches(&r->rules.v[i], &from, &to, in_port))
            path = rule_lookup(r, &r->rules.v[i], &to);
        decided = i;
    }
    if (rule)
        *rule = path == ROUTE_NONE ? ROUTE_NONE : decided;
    return path;
}

const struct route_path *rules_path_at(const struct route_rules *r, uint32_t path) {
    if (path == ROUTE_NONE)
        return NULL;
    if (path >= REFUSED_BY_RULE)
        return refusals[path - REFUSED_BY_RULE - ROUTE_BLACKHOLE];
    return path_at(r->tables[path >> TABLE_SHIFT], path & ((1u << TABLE_SHIFT) - 1));
}

const struct route_path *route_rules_path(const struct route_rules *r, uint32_t path, unsigned *table) {
    bool none = path == ROUTE_NONE || path >= REFUSED_BY_RULE;
    if (table)
        *table = none ? UINT_MAX : path >> TABLE_SHIFT;
    return none ? rules_path_at(r, path)
                : route_path(r->tables[path >> TABLE_SHIFT], path & ((1u << TABLE_SHIFT) - 1));
}
