/* SPDX-License-Identifier: BSD-3-Clause */
/* Typed values out of a tree. */
#include "read.h"
#include <string.h>

void read_keys(const struct reader *r, const struct tree *map, const char *const *keys) {
    size_t n = 0;
    while (keys[n])
        n++;
    for (size_t i = 0; i < map->n; i++) {
        const struct tree_member *m = &map->member[i];
        size_t k = 0;
        while (k < n && strcmp(keys[k], m->key) != 0)
            k++;
        if (k < n)
            continue;
        complain(r->c, m->at, SEVERITY_ERROR, "unknown key \"%s\"", m->key);
        complain_hint_names(r->c, m->key, "allowed", keys, n);
    }
}

bool read_is(const struct reader *r, const struct tree *value, uint8_t kind, const char *name, const char *right) {
    if (value->kind == kind)
        return true;
    complain(r->c, value->at, SEVERITY_ERROR, "\"%s\" is %s", name, tree_kind_name(value));
    complain_hint(r->c, "%s: %s", name, right);
    return false;
}

static const struct tree *read_kind(const struct reader *r, const struct tree *map, const char *key, enum need need,
                                    uint8_t kind, const char *right) {
    const struct tree *t = tree_get(map, key);
    if (t)
        return read_is(r, t, kind, key, right) ? t : NULL;
    if (need == REQUIRED) {
        complain(r->c, map->at, SEVERITY_ERROR, "\"%s\" is missing", key);
        complain_hint(r->c, "%s: %s", key, right);
    }
    return NULL;
}

const struct tree *read_list(const struct reader *r, const struct tree *map, const char *key, enum need need,
                             const char *right) {
    const struct tree *t = read_kind(r, map, key, need, TREE_LIST, right);
    if (t && !t->n && need == REQUIRED) {
        complain(r->c, t->at, SEVERITY_ERROR, "\"%s\" is an empty list", key);
        complain_hint(r->c, "%s: %s", key, right);
    }
    return t;
}

const struct tree *read_map(const struct reader *r, const struct tree *map, const char *key, enum need need,
                            const char *right) {
    return read_kind(r, map, key, need, TREE_MAP, right);
}

const struct tree *read_text(const struct reader *r, const struct tree *map, const char *key, enum need need,
                             const char *right) {
    return read_kind(r, map, key, need, TREE_TEXT, right);
}

void read_wrong(const struct reader *r, const struct tree *text, const char *key, const char *right) {
    complain(r->c, text->at, SEVERITY_ERROR, "\"%s\" is \"%s\"", key, text->text);
    complain_hint(r->c, "%s: %s", key, right);
}

bool read_name(const struct reader *r, const struct tree_member *m, const char *what) {
    size_t n = strlen(m->key);
    bool ok = n > 0 && n <= NAME_MAX_BYTES && !strchr(m->key, '/');
    for (size_t i = 0; i < n; i++)
        ok = ok && (unsigned char)m->key[i] >= ' ' && m->key[i] != 0x7f;
    if (ok)
        return true;
    complain(r->c, m->at, SEVERITY_ERROR, "\"%s\" cannot be the name of a %s", m->key, what);
    complain_hint(r->c, "names have 1 to %u bytes and neither \"/\" nor control characters", NAME_MAX_BYTES);
    return false;
}

/* The members of a map of named elements that are maps themselves, one after the other; NULL at the end. */
const struct tree_member *next_element(const struct reader *r, const struct tree *map, size_t *i, const char *what) {
    while (map && *i < map->n) {
        const struct tree_member *m = &map->member[(*i)++];
        if (read_name(r, m, what) &&
            read_is(r, m->value, TREE_MAP, m->key, "a mapping, such as { } when it has no keys"))
            return m;
    }
    return NULL;
}

bool read_bool(const struct reader *r, const struct tree *map, const char *key, bool *out) {
    static const char *const right = "true or false";
    const struct tree *t = read_text(r, map, key, OPTIONAL, right);
    if (!t)
        return false;
    bool yes = strcmp(t->text, "true") == 0;
    if (!yes && strcmp(t->text, "false") != 0) {
        read_wrong(r, t, key, right);
        return false;
    }
    *out = yes;
    return true;
}

bool number_parse(const char *text, size_t len, uint32_t min, uint32_t max, uint32_t *out) {
    uint64_t v = 0;
    if (!len || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    if (v < min || v > max)
        return false;
    *out = (uint32_t)v;
    return true;
}

bool read_uint(const struct reader *r, const struct tree *map, const char *key, enum need need, uint32_t min,
               uint32_t max, uint32_t *out) {
    char right[64];
    snprintf(right, sizeof right, "a whole number, %u to %u", min, max);
    const struct tree *t = read_text(r, map, key, need, right);
    if (!t)
        return false;
    if (number_parse(t->text, strlen(t->text), min, max, out))
        return true;
    read_wrong(r, t, key, right);
    return false;
}

static const char *right_ip(enum family family) {
    return family == FAMILY_IPV4   ? "an IPv4 address, such as 10.0.0.4"
           : family == FAMILY_IPV6 ? "an IPv6 address, such as fd00:a::4"
                                   : "an address, such as 10.0.0.4 or fd00:a::4";
}

static const char *right_prefix(enum family family) {
    return family == FAMILY_IPV4   ? "an IPv4 prefix, such as 10.0.0.0/24"
           : family == FAMILY_IPV6 ? "an IPv6 prefix, such as fd00:a::/64"
                                   : "a prefix, such as 10.0.0.0/24 or fd00:a::/64";
}

bool text_ip(const struct reader *r, const struct tree *text, const char *key, enum family family, struct ip *out) {
    struct ip ip;
    if (ip_parse(text->text, &ip) || (family && ip.family != family)) {
        read_wrong(r, text, key, right_ip(family));
        return false;
    }
    *out = ip;
    return true;
}

bool read_ip(const struct reader *r, const struct tree *map, const char *key, enum need need, enum family family,
             struct ip *out) {
    const struct tree *t = read_text(r, map, key, need, right_ip(family));
    return t && text_ip(r, t, key, family, out);
}

bool text_prefix(const struct reader *r, const struct tree *text, const char *key, enum family family,
                 struct ip_prefix *out) {
    struct ip addr;
    uint8_t len;
    char meant[PREFIX_TEXT];
    if (!strchr(text->text, '/') || ip_parse_with_len(text->text, &addr, &len) || (family && addr.family != family)) {
        read_wrong(r, text, key, right_prefix(family));
        return false;
    }
    struct ip_prefix prefix = prefix_of(&addr, len);
    if (!ip_equal(&prefix.addr, &addr)) {
        complain(r->c, text->at, SEVERITY_ERROR, "\"%s\" is \"%s\", which has host bits set", key, text->text);
        complain_hint(r->c, "%s is probably meant", prefix_format(&prefix, meant));
        return false;
    }
    *out = prefix;
    return true;
}

bool read_prefix(const struct reader *r, const struct tree *map, const char *key, enum need need, enum family family,
                 struct ip_prefix *out) {
    const struct tree *t = read_text(r, map, key, need, right_prefix(family));
    return t && text_prefix(r, t, key, family, out);
}

bool text_range(const struct reader *r, const struct tree *text, const char **first, const char **last) {
    const char *dash = strchr(text->text, '-');
    if (!dash)
        return false;
    *first = arena_printf(r->s->arena, "%.*s", (int)(dash - text->text), text->text);
    *last = dash + 1;
    return true;
}

bool same_family(const struct reader *r, struct place at, const char *what, const struct ip *a, const struct ip *b) {
    char x[IP_TEXT], y[IP_TEXT];
    if (!a->family || !b->family || a->family == b->family)
        return true;
    complain(r->c, at, SEVERITY_ERROR, "%s has %s and %s, of different families", what, ip_format(a, x),
             ip_format(b, y));
    complain_hint(r->c, "both must be IPv4 or both IPv6: make two of it");
    return false;
}

bool read_mac(const struct reader *r, const struct tree *map, const char *key, struct mac *out) {
    static const char *const right = "a unicast MAC address in quotes, such as \"02:00:00:00:00:01\"";
    struct mac mac;
    const struct tree *t = read_text(r, map, key, OPTIONAL, right);
    if (!t)
        return false;
    static const struct mac zero;
    if (mac_parse(t->text, &mac) || (mac.byte[0] & 1) || memcmp(&mac, &zero, sizeof mac) == 0) {
        read_wrong(r, t, key, right);
        return false;
    }
    *out = mac;
    return true;
}

bool read_choice(const struct reader *r, const struct tree *map, const char *key, enum need need,
                 const char *const *choices, unsigned *out) {
    char right[160] = "";
    size_t used = 0, n = 0;
    for (; choices[n] && used < sizeof right; n++)
        used += (size_t)snprintf(right + used, sizeof right - used, "%s%s", n ? ", " : "one of ", choices[n]);
    const struct tree *t = read_text(r, map, key, need, right);
    if (!t)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(choices[i], t->text) != 0)
            continue;
        *out = i;
        return true;
    }
    complain(r->c, t->at, SEVERITY_ERROR, "\"%s\" is \"%s\"", key, t->text);
    complain_hint_names(r->c, t->text, "allowed", choices, n);
    return false;
}

static const struct element *element(const void *elements, size_t i, size_t size) {
    return (const struct element *)((const char *)elements + i * size);
}

uint32_t element_find(const void *elements, size_t n, size_t size, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(element(elements, i, size)->name, name) == 0)
            return (uint32_t)i;
    return INDEX_NONE;
}

uint32_t read_element(const struct reader *r, const struct tree *map, const char *key, enum need need, const char *kind,
                      const void *elements, size_t n, size_t size) {
    char right[64];
    snprintf(right, sizeof right, "the name of a %s", kind);
    const struct tree *t = read_text(r, map, key, need, right);
    uint32_t found = t ? element_find(elements, n, size, t->text) : INDEX_NONE;
    if (!t || found != INDEX_NONE)
        return found;
    VEC(const char *) names = {0};
    for (size_t i = 0; i < n; i++)
        vec_push(&names, element(elements, i, size)->name);
    complain(r->c, t->at, SEVERITY_ERROR, "\"%s\" is \"%s\", but there is no such %s", key, t->text, kind);
    complain_hint_names(r->c, t->text, "there are", names.v, names.n);
    vec_free(&names);
    return INDEX_NONE;
}

uint32_t read_subnet(const struct reader *r, const struct tree *map, const char *key, enum need need) {
    const struct tree *t = read_text(r, map, key, need, "network/subnet");
    uint32_t found = t ? scenario_subnet_find(r->s, t->text) : INDEX_NONE;
    if (!t || found != INDEX_NONE)
        return found;
    VEC(const char *) names = {0};
    for (size_t i = 0; i < r->s->subnets.n; i++) {
        const struct scenario_subnet *s = &r->s->subnets.v[i];
        vec_push(&names, arena_printf(r->s->arena, "%s/%s", r->s->networks.v[s->network].name, s->name));
    }
    complain(r->c, t->at, SEVERITY_ERROR, "\"%s\" is \"%s\", but there is no such subnet", key, t->text);
    complain_hint_names(r->c, t->text, "there are", names.v, names.n);
    vec_free(&names);
    return INDEX_NONE;
}

uint32_t read_nic(const struct reader *r, const struct tree *map, const char *key, enum need need, uint32_t machine) {
    const struct scenario_machine *m = &r->s->machines.v[machine];
    const struct scenario_nic *nics = r->s->nics.v ? r->s->nics.v + m->first_nic : NULL;
    uint32_t i = read_element(r, map, key, need, "NIC of this machine", nics, m->n_nics, sizeof *nics);
    return i == INDEX_NONE ? INDEX_NONE : m->first_nic + i;
}
