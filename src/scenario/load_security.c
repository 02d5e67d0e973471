/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: security groups and their rules. */
#include "read.h"
#include <stdlib.h>
#include <string.h>

#define ENDPOINTS "any, network, internet, platform, a prefix, or a list of these"

static bool read_endpoint(const struct reader *r, const struct tree *t, const char *key,
                          struct scenario_endpoint *out) {
    static const struct {
        const char *word;
        uint8_t kind;
    } words[] = {{"any", ENDPOINT_ANY},
                 {"network", ENDPOINT_NETWORK},
                 {"internet", ENDPOINT_INTERNET},
                 {"platform", ENDPOINT_PLATFORM}};
    *out = (struct scenario_endpoint){.kind = ENDPOINT_PREFIX};
    if (!read_is(r, t, TREE_TEXT, key, ENDPOINTS))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(t->text, words[i].word) != 0)
            continue;
        out->kind = words[i].kind;
        return true;
    }
    if (strchr(t->text, '/'))
        return text_prefix(r, t, key, FAMILY_NONE, &out->prefix);
    read_wrong(r, t, key, ENDPOINTS);
    return false;
}

/* What `key` (from, to) says, ENDPOINT_ANY without it. */
static void read_endpoints(const struct reader *r, const struct tree *map, const char *key,
                           struct scenario_security_rule *rule) {
    typeof(rule->from) *out = strcmp(key, "from") == 0 ? &rule->from : &rule->to;
    const struct tree *t = tree_get(map, key);
    struct scenario_endpoint e = {.kind = ENDPOINT_ANY};
    if (!t || t->kind != TREE_LIST) {
        if (!t || read_endpoint(r, t, key, &e))
            vec_push(out, e);
        return;
    }
    read_list(r, map, key, REQUIRED, ENDPOINTS); /* which is not empty */
    for (size_t i = 0; i < t->n; i++)
        if (read_endpoint(r, t->member[i].value, key, &e))
            vec_push(out, e);
}

/* "80", "80-90" or any. */
static bool read_ports(const struct reader *r, const struct tree *map, const char *key, struct scenario_ports *out) {
    static const char *const right = "a port, a range such as 80-90, or any";
    const struct tree *t = read_text(r, map, key, OPTIONAL, right);
    const char *first, *last;
    uint32_t min, max;
    *out = (struct scenario_ports){0, 65535};
    if (!t || strcmp(t->text, "any") == 0)
        return !tree_get(map, key) || t;
    if (!text_range(r, t, &first, &last))
        first = last = t->text;
    if (!number_parse(first, strlen(first), 0, 65535, &min) || !number_parse(last, strlen(last), min, 65535, &max)) {
        read_wrong(r, t, key, right);
        return false;
    }
    *out = (struct scenario_ports){(uint16_t)min, (uint16_t)max};
    return true;
}

static bool read_proto(const struct reader *r, const struct tree *map, uint8_t *out) {
    static const char *const right = "tcp, udp, icmp, any, or a protocol's number, 1 to 255";
    static const struct {
        const char *word;
        uint8_t proto;
    } words[] = {{"any", 0}, {"icmp", 1}, {"tcp", 6}, {"udp", 17}};
    const struct tree *t = read_text(r, map, "proto", OPTIONAL, right);
    uint32_t number;
    *out = 0;
    if (!t)
        return !tree_get(map, "proto");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(t->text, words[i].word) != 0)
            continue;
        *out = words[i].proto;
        return true;
    }
    if (!number_parse(t->text, strlen(t->text), 1, 255, &number)) {
        read_wrong(r, t, "proto", right);
        return false;
    }
    *out = (uint8_t)number;
    return true;
}

/* May packets of the protocol have ports? TCP, UDP, DCCP, SCTP, UDP-Lite; of "any" some may. */
static bool has_ports(uint8_t proto) {
    return proto == 0 || proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}

static bool is_any(const struct scenario_ports *p) {
    return p->first == 0 && p->last == 65535;
}

/* Which families the endpoints have: 1 IPv4, 2 IPv6, 3 both. */
static unsigned families(const struct scenario_endpoint *e, size_t n) {
    unsigned mask = 0;
    for (size_t i = 0; i < n; i++)
        mask |= e[i].kind == ENDPOINT_PLATFORM ? 1
                : e[i].kind == ENDPOINT_PREFIX ? (e[i].prefix.addr.family == FAMILY_IPV6) + 1u
                                               : 3;
    return mask;
}

static void check_rule(const struct reader *r, const struct scenario_security_rule *rule) {
    if (!has_ports(rule->proto) && !(is_any(&rule->from_ports) && is_any(&rule->to_ports))) {
        complain(r->c, rule->at, SEVERITY_ERROR, "rule \"%s\" names ports, but its protocol has none", rule->name);
        complain_hint(r->c, "remove the ports, or set \"proto: tcp\" or \"proto: udp\"");
    }
    if (rule->from.n && rule->to.n && !(families(rule->from.v, rule->from.n) & families(rule->to.v, rule->to.n))) {
        complain(r->c, rule->at, SEVERITY_ERROR, "\"from\" and \"to\" of rule \"%s\" are of different families",
                 rule->name);
        complain_hint(r->c, "no packet has both: make them both IPv4 or both IPv6");
    }
}

static void load_rule(const struct reader *r, const struct tree_member *m) {
    static const char *const directions[] = {"in", "out", NULL}, *const accesses[] = {"allow", "deny", NULL};
    const struct tree *t = m->value;
    struct scenario_security_rule rule = {.at = m->at, .name = m->key};
    unsigned direction = 0, access = 0;
    read_keys(r, t, KEYS("priority", "direction", "access", "proto", "from", "to", "from_ports", "to_ports"));
    bool ok = read_uint(r, t, "priority", REQUIRED, 100, 4096, &rule.priority);
    ok &= read_choice(r, t, "direction", REQUIRED, directions, &direction);
    ok &= read_choice(r, t, "access", REQUIRED, accesses, &access);
    ok &= read_proto(r, t, &rule.proto);
    ok &= read_ports(r, t, "from_ports", &rule.from_ports);
    ok &= read_ports(r, t, "to_ports", &rule.to_ports);
    read_endpoints(r, t, "from", &rule);
    read_endpoints(r, t, "to", &rule);
    rule.inbound = direction == 0;
    rule.allow = access == 0;
    if (ok)
        check_rule(r, &rule);
    if (!ok)
        rule.priority = 0; /* complained about: clashes with nobody */
    vec_push(&r->s->security_rules, rule);
}

/* By priority; where both directions have it, what comes in first. */
static int by_priority(const void *a, const void *b) {
    const struct scenario_security_rule *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    if (x->inbound != y->inbound)
        return x->inbound ? -1 : 1;
    return x->at.line < y->at.line ? -1 : x->at.line > y->at.line;
}

void load_security_groups(const struct reader *r, const struct tree *groups) {
    const struct tree_member *m, *e;
    for (size_t i = 0; (m = next_element(r, groups, &i, "security group"));) {
        struct scenario_security_group group = {
            .at = m->at, .name = m->key, .first_rule = (uint32_t)r->s->security_rules.n};
        read_keys(r, m->value, KEYS("rules"));
        const struct tree *rules = read_map(r, m->value, "rules", REQUIRED, "rules by name");
        for (size_t k = 0; (e = next_element(r, rules, &k, "rule"));)
            load_rule(r, e);
        group.n_rules = (uint32_t)r->s->security_rules.n - group.first_rule;
        if (group.n_rules)
            qsort(r->s->security_rules.v + group.first_rule, group.n_rules, sizeof *r->s->security_rules.v,
                  by_priority);
        vec_push(&r->s->security_groups, group);
    }
}
