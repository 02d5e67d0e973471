/* SPDX-License-Identifier: BSD-3-Clause */
/* The catalogue of hosts: YAML with two levels of mappings, over libyaml's documents, whose nodes know their lines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <fwdlab/base/file.h>
#include "model.h"

#define BYTES_MAX (1u << 20)
#define NAME_MAX_BYTES 39
#define NO_CAP "no"

struct reader {
    const char *path;
    yaml_document_t yaml;
    struct err *e;
};

static const struct {
    const char *key, *right;
    size_t at;
    double least;
    bool whole;
} figures[] = {
    {"cores", "a whole number from 1", offsetof(struct size_host, cores), 1, true},
    {"clock_ghz", "GHz that all cores sustain, such as 2.8", offsetof(struct size_host, clock_ghz), 0.01, false},
    {"nic_gbps", "the NIC's Gbit/s each way, such as 12.5", offsetof(struct size_host, nic_gbps), 0.001, false},
    {"nic_mpps", "the million packets a second that it lets through, such as 2.5; or no, for no such cap",
     offsetof(struct size_host, nic_mpps), 0.001, false},
    {"memory_gb", "GB, such as 16", offsetof(struct size_host, memory_gb), 0.001, false},
    {"price", "what one costs, such as 140, or 0", offsetof(struct size_host, price), 0, false},
};
#define FIGURES (sizeof figures / sizeof *figures)

static int fault(const struct reader *r, const yaml_mark_t *at, const char *hint, const char *what, const char *name) {
    err_set(r->e, -EINVAL, what, name);
    err_where(r->e, "%s:%zu", r->path, at->line + 1);
    err_hint(r->e, "%s", hint);
    return -EINVAL;
}

static const char *text(const yaml_node_t *n) {
    return n && n->type == YAML_SCALAR_NODE && strlen((char *)n->data.scalar.value) == n->data.scalar.length
               ? (const char *)n->data.scalar.value : NULL;
}

/* Key and value of a mapping's pair i; false at the end, or (*code set) after a key that is no text or there twice. */
static bool pair(struct reader *r, const yaml_node_t *map, size_t i, const char **key, yaml_node_t **value,
                 int *code) {
    const yaml_node_pair_t *v = map->data.mapping.pairs.start + i;
    if (*code || v >= map->data.mapping.pairs.top)
        return false;
    yaml_node_t *k = yaml_document_get_node(&r->yaml, v->key);
    *value = yaml_document_get_node(&r->yaml, v->value);
    *key = text(k);
    if (!*key)
        *code = fault(r, &k->start_mark, "keys are names, such as \"cores:\"", "a key that is not text%s", "");
    for (const yaml_node_pair_t *w = map->data.mapping.pairs.start; !*code && w < v; w++)
        if (!strcmp(text(yaml_document_get_node(&r->yaml, w->key)), *key))
            *code = fault(r, &k->start_mark, "keep one of them", "`%.80s` is here twice", *key);
    return !*code;
}

/* The figure f of a host. */
static int read_figure(struct reader *r, const yaml_node_t *value, size_t f, struct size_host *h) {
    const char *t = text(value), *key = figures[f].key;
    double *out = (double *)((char *)h + figures[f].at);
    char *end;
    if (t && figures[f].at == offsetof(struct size_host, nic_mpps) && !strcmp(t, NO_CAP)) {
        *out = INFINITY;
        return 0;
    }
    *out = t ? strtod(t, &end) : NAN;
    bool number = t && end != t && !*end && strspn(t, "+-.0123456789eE") == strlen(t) && isfinite(*out);
    if (number && *out >= figures[f].least && (!figures[f].whole || *out == floor(*out)))
        return 0;
    err_set(r->e, -EINVAL, "`%s` is %s%.80s%s", key, t ? "`" : "", t ? t : "no number", t ? "`" : "");
    err_where(r->e, "%s:%zu", r->path, value->start_mark.line + 1);
    err_hint(r->e, "%s: %s", key, figures[f].right);
    return -EINVAL;
}

static int read_host(struct reader *r, const yaml_node_t *map, const yaml_mark_t *at, struct size_host *h) {
    bool seen[FIGURES] = {false};
    yaml_node_t *value;
    const char *key;
    int code = 0;
    if (map->type != YAML_MAPPING_NODE)
        return fault(r, at, "such as NAME: { cores: 4, clock_ghz: 2.8, ... }", "host `%.80s` is no mapping", h->name);
    for (size_t i = 0; pair(r, map, i, &key, &value, &code); i++) {
        size_t f = 0;
        while (f < FIGURES && strcmp(figures[f].key, key))
            f++;
        if (f == FIGURES)
            return fault(r, &value->start_mark, "allowed are cores, clock_ghz, nic_gbps, nic_mpps, memory_gb and price",
                         "unknown key `%.80s`", key);
        seen[f] = true;
        code = read_figure(r, value, f, h);
    }
    for (size_t f = 0; f < FIGURES && !code; f++)
        if (!seen[f])
            code = fault(r, at, figures[f].right, "`%s` is missing", figures[f].key);
    return code;
}

static int read_hosts(struct reader *r, const yaml_node_t *map, struct size_catalogue *c) {
    yaml_node_t *value;
    const char *key;
    int code = 0;
    size_t room = map->type == YAML_MAPPING_NODE
                      ? (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start) : 0;
    if (!room)
        return fault(r, &map->start_mark, "hosts: by name, such as small: { cores: 4, ... }", "`hosts` names none%s",
                     "");
    c->hosts = xzalloc(room, sizeof *c->hosts);
    for (size_t i = 0; pair(r, map, i, &key, &value, &code); i++) {
        yaml_node_t *k = yaml_document_get_node(&r->yaml, map->data.mapping.pairs.start[i].key);
        if (!*key || strlen(key) > NAME_MAX_BYTES)
            return fault(r, &k->start_mark, "names have 1 to 39 bytes", "`%.80s` cannot be a host's name", key);
        c->hosts[c->n].name = xstrdup(key);
        code = read_host(r, value, &k->start_mark, &c->hosts[c->n++]);
    }
    return code;
}

static int read_root(struct reader *r, const yaml_node_t *root, struct size_catalogue *c) {
    static const char *const right = "price_unit: TEXT and hosts: { NAME: { cores: 4, ... } } are what it has";
    const yaml_mark_t top = {0};
    const yaml_node_t *hosts = NULL;
    yaml_node_t *value;
    const char *key;
    int code = 0;
    if (!root || root->type != YAML_MAPPING_NODE)
        return fault(r, root ? &root->start_mark : &top, right, "no catalogue of hosts%s", "");
    for (size_t i = 0; pair(r, root, i, &key, &value, &code); i++) {
        if (!strcmp(key, "hosts"))
            hosts = value;
        else if (strcmp(key, "price_unit"))
            code = fault(r, &value->start_mark, right, "unknown key `%.80s`", key);
        else if (text(value) && *text(value))
            c->price_unit = xstrdup(text(value));
        else
            code = fault(r, &value->start_mark, "such as price_unit: EUR a month", "`price_unit` is no text%s", "");
    }
    if (code)
        return code;
    if (!hosts || !c->price_unit)
        return fault(r, &root->start_mark, right, "`%s` is missing", hosts ? "price_unit" : "hosts");
    return read_hosts(r, hosts, c);
}

static int parse(struct reader *r, const char *data, size_t len, struct size_catalogue *c) {
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p))
        return err_set(r->e, -ENOMEM, "out of memory");
    yaml_parser_set_input_string(&p, (const unsigned char *)data, len);
    int code;
    if (!yaml_parser_load(&p, &r->yaml)) {
        code = fault(r, &p.problem_mark, "see traces/hosts.yaml", "not YAML: %s", p.problem ? p.problem : "unreadable");
    } else {
        code = read_root(r, yaml_document_get_root_node(&r->yaml), c);
        yaml_document_delete(&r->yaml);
    }
    yaml_parser_delete(&p);
    return code;
}

int size_catalogue_load(const char *path, struct size_catalogue *out, struct err *e) {
    struct reader r = {.path = path, .e = e};
    char *data;
    size_t len;
    *out = (struct size_catalogue){0};
    int code = file_load(path, &data, &len, e);
    if (code)
        return code;
    if (len > BYTES_MAX) {
        code = err_set(e, -EINVAL, "%zu bytes are too many for a catalogue of hosts", len);
        err_where(e, "%s", path);
    } else {
        code = parse(&r, data, len, out);
    }
    free(data);
    if (code)
        size_catalogue_fini(out);
    return code;
}

void size_catalogue_fini(struct size_catalogue *c) {
    for (size_t i = 0; i < c->n; i++)
        free(c->hosts[i].name);
    free(c->hosts);
    free(c->price_unit);
    *c = (struct size_catalogue){0};
}
