/* SPDX-License-Identifier: BSD-3-Clause */
#include "points.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/result/document.h>

int point_pairs_add(struct point_pairs *p, const char *text, struct err *e) {
    const char *path = strchr(text, '=');
    if (p->n == 2 || !path || path == text || !path[1]) {
        err_set(e, -EINVAL, p->n == 2 ? "--point is given more than twice" : "--point `%s` names no capture", text);
        err_hint(e, "--point inside=FILE --point outside=FILE: before the NAT and beyond it, by any names");
        return -EINVAL;
    }
    p->name[p->n] = xstrdup(text);
    p->name[p->n][path - text] = '\0';
    p->path[p->n++] = path + 1;
    return 0;
}

static int by_inside(const void *a, const void *b) {
    const struct point_pair *x = *(const struct point_pair *const *)a, *y = *(const struct point_pair *const *)b;
    return memcmp(&x->inside, &y->inside, sizeof x->inside);
}

static void sort_pairs(struct point_pairs *p) {
    const struct point_pair *pairs = points_pairs(p->points, &p->n_pairs);
    p->sorted = xalloc((p->n_pairs + 1) * sizeof *p->sorted);
    for (size_t i = 0; i < p->n_pairs; i++)
        p->sorted[i] = &pairs[i];
    qsort(p->sorted, p->n_pairs, sizeof *p->sorted, by_inside);
}

int point_pairs_read(struct point_pairs *p, const char *filter, const struct control_node *node,
                     const volatile bool *stop, struct err *e) {
    const struct nat_config *nat = node && node->node.nat ? nat_config_get(node->node.nat) : NULL;
    struct trace_many *from[2] = {0};
    struct points_options o = {.inside = p->name[0], .outside = p->name[1], .n_pool = nat ? nat->n_addresses : 0};
    struct ip_prefix *pool = xzalloc(o.n_pool + 1, sizeof *pool);
    int code = 0;
    for (size_t i = 0; i < o.n_pool; i++)
        pool[i] = (struct ip_prefix){.addr = ip_v4(nat->addresses[i]), .len = 32};
    o.pool = pool;
    for (unsigned i = 0; i < 2 && !code; i++) {
        const struct trace_many_options one = {.paths = &p->path[i], .n = 1, .filter = filter, .in_order = true};
        from[i] = trace_many_open(&one, e);
        code = from[i] ? 0 : -EINVAL;
    }
    p->points = points_create(&o);
    if (!code)
        code = points_read(p->points, from, stop, e);
    if (!code)
        sort_pairs(p);
    for (unsigned i = 0; i < 2; i++)
        trace_many_close(from[i]);
    free(pool);
    return code;
}

void point_pairs_tell(const struct point_pairs *p, struct flow_record *r) {
    const struct point_pair mine = {.inside = r->key}, *key = &mine;
    const struct point_pair *const *found = bsearch(&key, p->sorted, p->n_pairs, sizeof *p->sorted, by_inside);
    if (!found)
        return;
    if (memcmp(&(*found)->inside, &(*found)->outside, sizeof r->outside))
        r->outside = (*found)->outside;
    if ((*found)->verdict)
        r->nat = nat_verdict_name((*found)->verdict);
}

/* flows.nat counts what the findings say. */
static void count_verdicts(const json_t *findings, json_t *doc) {
    json_t *counts = json_object_get(json_object_get(doc, "flows"), "nat"), *f;
    size_t i;
    for (int v = NAT_BYPASS; v < NAT_VERDICT_COUNT; v++)
        document_count(counts, nat_verdict_name(v), 0);
    json_array_foreach(findings, i, f) {
        const char *verdict = json_string_value(json_object_get(f, "verdict"));
        const json_int_t more = json_integer_value(json_object_get(f, "count"));
        document_count(counts, verdict,
                       (unsigned long long)(json_integer_value(json_object_get(counts, verdict)) + more));
    }
}

void point_pairs_document(const struct point_pairs *p, json_t *doc) {
    json_t *points = points_json(p->points), *findings = json_object_get(points, "findings"), *pair;
    json_t *all = json_copy(findings), *table = json_array();
    size_t i;
    json_array_extend(all, json_object_get(doc, "findings"));
    json_object_set_new(doc, "findings", all);
    count_verdicts(findings, doc);
    json_array_foreach(json_object_get(points, "pairs"), i, pair) {
        if (json_equal(json_object_get(pair, "inside"), json_object_get(pair, "outside")))
            continue;
        json_array_append(table, pair);
    }
    json_object_set_new(json_object_get(doc, "nat"), "pairs", table);
    json_object_del(points, "findings");
    json_object_set_new(doc, "points", points);
}

void point_pairs_fini(struct point_pairs *p) {
    points_destroy(p->points);
    free(p->sorted);
    free(p->name[0]);
    free(p->name[1]);
    *p = (struct point_pairs){0};
}
