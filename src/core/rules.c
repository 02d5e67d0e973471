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

/* An address as two words, IPv4 in the first; a prefix of any length, or any address at all, by its mask. */
struct words {
    uint64_t word[2];
};
struct match {
    struct words from, from_mask, to, to_mask;
};

struct route_rules {
    struct route_table *tables[ROUTE_TABLES_MAX];
    unsigned n_tables;
    VEC(struct route_rule) rules; /* by priority, then in the order of adding */
    VEC(struct match) matches;    /* of each rule */
};

struct route_rules *route_rules_create(struct route_table *main) {
    struct route_rules *r = xzalloc(1, sizeof *r);
    r->tables[r->n_tables++] = main;
    vec_push(&r->rules, (struct route_rule){.priority = RULE_PRIORITY_MAIN, .in_port = PORT_NONE, .name = "main"});
    vec_push(&r->matches, (struct match){0});
    return r;
}

void route_rules_destroy(struct route_rules *r) {
    if (!r)
        return;
    for (unsigned i = 1; i < r->n_tables; i++)
        route_table_destroy(r->tables[i]);
    vec_free(&r->rules);
    vec_free(&r->matches);
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

static struct words words(const void *bytes, size_t width) {
    struct words w = {{0}};
    memcpy(w.word, bytes, width);
    return w;
}

static struct words mask_words(const struct ip_prefix *p) {
    struct ip ones = {.family = p->addr.family};
    if (p->addr.family == FAMILY_NONE)
        return (struct words){{0}};
    memset(ones.v6, 0xff, sizeof ones.v6);
    const struct ip_prefix mask = prefix_of(&ones, p->len);
    return words(mask.addr.v6, p->addr.family == FAMILY_IPV6 ? 16 : 4);
}

static struct match match_make(const struct route_rule *rule) {
    struct match m = {.from_mask = mask_words(&rule->from), .to_mask = mask_words(&rule->to)};
    if (rule->from.addr.family)
        m.from = words(rule->from.addr.v6, rule->from.addr.family == FAMILY_IPV6 ? 16 : 4);
    if (rule->to.addr.family)
        m.to = words(rule->to.addr.v6, rule->to.addr.family == FAMILY_IPV6 ? 16 : 4);
    return m;
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
    vec_push(&r->matches, (struct match){0});
    size_t i = r->rules.n - 1;
    for (; i > 0 && r->rules.v[i - 1].priority > rule->priority; i--) {
        r->rules.v[i] = r->rules.v[i - 1];
        r->matches.v[i] = r->matches.v[i - 1];
    }
    r->rules.v[i] = *rule;
    r->matches.v[i] = match_make(rule);
    return 0;
}

int route_rules_remove(struct route_rules *r, const struct route_rule *rule) {
    size_t i = rule_find(r, rule);
    if (i == r->rules.n)
        return -ENOENT;
    r->rules.n--;
    memmove(&r->rules.v[i], &r->rules.v[i + 1], (r->rules.n - i) * sizeof *r->rules.v);
    r->matches.n--;
    memmove(&r->matches.v[i], &r->matches.v[i + 1], (r->matches.n - i) * sizeof *r->matches.v);
    return 0;
}

unsigned route_rules_tables(const struct route_rules *r) {
    return r->n_tables;
}

struct route_table *route_rules_swap(struct route_rules *r, unsigned table, struct route_table *t) {
    struct route_table *former = r->tables[table];
    r->tables[table] = t;
    return former;
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

static inline bool word_matches(const struct words *a, const struct words *prefix, const struct words *mask) {
    return !(((a->word[0] ^ prefix->word[0]) & mask->word[0]) | ((a->word[1] ^ prefix->word[1]) & mask->word[1]));
}

/* Packets that no rule has decided yet: what the rules look at. */
struct undecided {
    unsigned n;
    uint16_t at[BURST_MAX]; /* their places in the burst */
    struct words src[BURST_MAX], dst[BURST_MAX];
};

/* What stands in the main table for all of them; local and broadcast addresses are decided by that. */
static void look_into_main(const struct route_rules *r, const uint8_t *src, const uint8_t *dst, size_t width,
                           uint32_t *in_main, uint32_t *path, unsigned n, struct undecided *u) {
    route_lookup(r->tables[0], dst, in_main, n);
    u->n = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t kind = in_main[i] == ROUTE_NONE ? ROUTE_UNICAST : path_at(r->tables[0], in_main[i])->kind;
        path[i] = kind == ROUTE_LOCAL || kind == ROUTE_BROADCAST ? in_main[i] : ROUTE_NONE;
        if (path[i] != ROUTE_NONE)
            continue;
        u->src[u->n] = words(src + i * width, width);
        u->dst[u->n] = words(dst + i * width, width);
        u->at[u->n++] = (uint16_t)i;
    }
}

/* What a rule's table says for those of the undecided that match it (`hit`: their places among these). */
static void look_into_table(const struct route_rules *r, const struct route_rule *rule, const struct undecided *u,
                            const uint16_t *hit, unsigned hits, size_t width, const uint32_t *in_main, uint32_t *path) {
    uint8_t dst[BURST_MAX * 16];
    uint32_t found[BURST_MAX];
    for (unsigned k = 0; k < hits; k++) {
        memcpy(dst + k * width, u->dst[hit[k]].word, width);
        found[k] = in_main[u->at[hit[k]]];
    }
    if (rule->table)
        route_lookup(r->tables[rule->table], dst, found, hits);
    for (unsigned k = 0; k < hits; k++)
        if (found[k] != ROUTE_NONE)
            path[u->at[hit[k]]] = (uint32_t)rule->table << TABLE_SHIFT | found[k];
}

void route_rules_lookup_bulk(const struct route_rules *r, const void *src, const void *dst, const uint16_t *in_port,
                             uint32_t *path, uint32_t *rule, unsigned n) {
    const size_t width = family_of(r->tables[0]) == FAMILY_IPV6 ? 16 : 4;
    struct undecided u;
    uint32_t in_main[BURST_MAX];
    look_into_main(r, src, dst, width, in_main, path, n, &u);
    for (unsigned i = 0; rule && i < n; i++)
        rule[i] = ROUTE_NONE;
    for (uint32_t i = 0; i < r->rules.n && u.n; i++) {
        const struct route_rule *asked = &r->rules.v[i];
        const struct match *m = &r->matches.v[i];
        uint16_t hit[BURST_MAX];
        unsigned hits = 0, left = 0;
        for (unsigned k = 0; k < u.n; k++) {
            hit[hits] = (uint16_t)k;
            hits += (asked->in_port == PORT_NONE || asked->in_port == in_port[u.at[k]]) &&
                    word_matches(&u.src[k], &m->from, &m->from_mask) && word_matches(&u.dst[k], &m->to, &m->to_mask);
        }
        if (!hits)
            continue;
        if (asked->kind == ROUTE_UNICAST)
            look_into_table(r, asked, &u, hit, hits, width, in_main, path);
        for (unsigned k = 0; k < hits && asked->kind != ROUTE_UNICAST; k++)
            path[u.at[hit[k]]] = REFUSED_BY_RULE + asked->kind;
        for (unsigned k = 0; k < u.n; k++) {
            const uint16_t at = u.at[k];
            if (path[at] != ROUTE_NONE && rule)
                rule[at] = i;
            u.src[left] = u.src[k];
            u.dst[left] = u.dst[k];
            u.at[left] = at;
            left += path[at] == ROUTE_NONE;
        }
        u.n = left;
    }
}

uint32_t route_rules_lookup(const struct route_rules *r, const void *src, const void *dst, uint16_t in_port,
                            uint32_t *rule) {
    uint32_t path;
    route_rules_lookup_bulk(r, src, dst, &in_port, &path, rule, 1);
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
