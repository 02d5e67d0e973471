/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents side by side: which figures belong together, and how far each pair can be believed. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"
#include "judge.h"

#define SEED 1
/* What equal runs of one program drift apart on a shared machine from one hour to the next; bench/README.md. */
#define DRIFT 1.3

struct comparison {
    const struct compare_document *docs;
    struct figures *figures; /* of each document */
    unsigned n;
    const struct compare_options *options;
    json_t *rows, *warnings;
};

static double *values(const json_t *list) {
    size_t n = json_array_size(list);
    double *v = xzalloc(n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = json_number_value(json_array_get(list, i));
    return v;
}

static struct stats_ratio paired(const struct figure *a, const struct figure *b) {
    const json_t *epochs = json_equal(a->epochs, b->epochs) ? a->epochs : NULL;
    size_t n = json_array_size(a->samples), clusters = epochs ? json_array_size(epochs) : 1;
    size_t *sizes = xzalloc(clusters, sizeof *sizes);
    double *x = values(a->samples), *y = values(b->samples);
    sizes[0] = n;
    for (size_t i = 0; epochs && i < clusters; i++)
        sizes[i] = (size_t)json_number_value(json_array_get(epochs, i));
    struct stats_ratio r = stats_clustered_ratio(x, y, sizes, clusters, SEED);
    free(sizes);
    free(x);
    free(y);
    return r;
}

/* Interval arithmetic over what each knows of itself. */
static struct stats_ratio single(const struct figure *a, const struct figure *b, bool same_run) {
    const double doubt = same_run && !a->drifts ? 1 : DRIFT;
    return (struct stats_ratio){.ratio = b->value / a->value, .low = b->low / a->high / doubt,
                                .high = a->low > 0 ? b->high / a->low * doubt : INFINITY, .pairs = 1};
}

static bool same_run(const struct figure *a, const struct figure *b, bool same_document) {
    return same_document || (a->pair && b->pair && !strcmp(a->pair, b->pair));
}

static void compare_pair(struct comparison *c, const struct figure *a, const struct figure *b, bool same_document) {
    bool together = same_run(a, b, same_document), by_samples = together && a->samples && b->samples &&
                    json_array_size(a->samples) == json_array_size(b->samples) && json_array_size(a->samples) > 1;
    struct row r = {.configuration = b->configuration, .figure = b->name, .method = by_samples ? "paired" : "single",
                    .base = a->value, .new = b->value, .tolerance = c->options->tolerance};
    r.ratio = by_samples ? paired(a, b) : single(a, b, together);
    r.verdict = judge(&r.ratio, a->more, r.tolerance);
    row_add(c->rows, &r);
}

/*
 * The figure of that name; configurations are matched by name (of several with one name: by place), or taken as they
 * are when each document has one.
 */
static const struct figure *find(const struct figures *in, const struct figure *like, bool any) {
    const struct figure *found = NULL;
    for (size_t i = 0; i < in->list.n; i++) {
        const struct figure *f = &in->list.v[i];
        if (!strcmp(f->name, like->name) && (any || !strcmp(f->configuration, like->configuration)) &&
            (!found || f->index == like->index))
            found = f;
    }
    return found;
}

static bool one_each(const struct comparison *c) {
    for (unsigned i = 0; i < c->n; i++)
        if (c->figures[i].configurations != 1)
            return false;
    return true;
}

/* A document by itself: every configuration with the first one. */
static void compare_own(struct comparison *c) {
    const struct figures *f = &c->figures[0];
    for (size_t i = 0; i < f->list.n; i++)
        for (size_t k = 0; f->list.v[i].index && k < f->list.n; k++)
            if (f->list.v[k].index == 0 && !strcmp(f->list.v[k].name, f->list.v[i].name))
                compare_pair(c, &f->list.v[k], &f->list.v[i], true);
}

/* Several pairs of documents: one ratio a pair. */
static void compare_runs(struct comparison *c, const struct figure *first, bool any) {
    double *a = xzalloc(c->n, sizeof *a), *b = xzalloc(c->n, sizeof *b);
    const struct figure *last = first;
    size_t n = 0;
    for (unsigned i = 0; i < c->n; i += 2) {
        const struct figure *x = find(&c->figures[i], first, any), *y = find(&c->figures[i + 1], first, any);
        if (!x || !y)
            continue;
        a[n] = x->value;
        b[n++] = y->value;
        last = y;
    }
    struct row r = {.configuration = last->configuration, .figure = first->name, .method = "runs",
                    .base = stats_median(a, n), .new = stats_median(b, n), .tolerance = c->options->tolerance,
                    .ratio = stats_paired_ratio(a, b, n, SEED)};
    r.verdict = judge(&r.ratio, first->more, r.tolerance);
    if (n)
        row_add(c->rows, &r);
    free(a);
    free(b);
}

static const char *compare_all(struct comparison *c) {
    const bool any = one_each(c);
    const char *kind = c->n > 2 ? "runs" : c->n == 1 ? "paired" : "single";
    if (c->n == 1)
        compare_own(c);
    for (size_t i = 0; c->n > 1 && i < c->figures[0].list.n; i++) {
        const struct figure *a = &c->figures[0].list.v[i], *b = find(&c->figures[1], a, any);
        if (c->n > 2)
            compare_runs(c, a, any);
        else if (b)
            compare_pair(c, a, b, false);
        if (c->n == 2 && b && same_run(a, b, false))
            kind = "paired";
    }
    return kind;
}

/* ---- may they be compared? ---- */

static int warn(struct comparison *c, const char *path, const char *what, struct err *e) {
    if (c->options->strict) {
        err_set(e, -EINVAL, "%s", what);
        err_where(e, "%s", path);
        err_hint(e, "without --strict it is a warning");
        return -EINVAL;
    }
    json_array_append_new(c->warnings, json_sprintf("%s: %s", path, what));
    return 0;
}

static const json_t *environment(const struct compare_document *d, const char *key) {
    return json_object_get(json_object_get(d->doc, "environment"), key);
}

/* The digests of the inputs of a role, in order. */
static json_t *digests(const struct compare_document *d, const char *role) {
    json_t *list = json_array(), *input;
    size_t i;
    json_array_foreach(json_object_get(d->doc, "inputs"), i, input) {
        const char *own = json_string_value(json_object_get(input, "role"));
        if (own && !strcmp(own, role))
            json_array_append(list, json_object_get(input, "digest"));
    }
    return list;
}

static bool same_inputs(const struct compare_document *a, const struct compare_document *b, const char *role) {
    json_t *x = digests(a, role), *y = digests(b, role);
    bool same = json_equal(x, y) || (!json_array_size(x) && !json_array_size(y));
    json_decref(x);
    json_decref(y);
    return same;
}

static int check(struct comparison *c, struct err *e) {
    const struct compare_document *first = &c->docs[0];
    int code = 0;
    for (unsigned i = 1; i < c->n && !code; i++) {
        const struct compare_document *d = &c->docs[i];
        if (!json_equal(environment(first, "cpu"), environment(d, "cpu")))
            code = warn(c, d->path, "from another CPU than the first document: its figures say nothing of a change", e);
        else if (!json_equal(environment(first, "flags"), environment(d, "flags")))
            code = warn(c, d->path, "from a machine with other CPU flags than the first document's", e);
        if (!code && !same_inputs(first, d, "trace"))
            code = warn(c, d->path, "measured with another trace than the first document", e);
        if (!code && i % 2 && !one_each(c) && !same_inputs(first, d, "scenario"))
            code = warn(c, d->path, "its scenarios are not those of the first document", e);
    }
    for (unsigned i = 0; i < c->n && !code; i++)
        if (json_is_true(json_object_get(c->docs[i].doc, "partial")))
            code = warn(c, c->docs[i].path, "its input was cut or damaged (partial)", e);
    return code;
}

static int nothing(const struct comparison *c, struct err *e) {
    if (c->n == 1)
        err_set(e, -EINVAL, "has one configuration: nothing to compare it with");
    else
        err_set(e, -EINVAL, "has no figure in common with %s", c->docs[1].path);
    err_where(e, "%s", c->docs[0].path);
    err_hint(e, "BASE.json NEW.json of the same configurations, or one document of several");
    return -EINVAL;
}

static json_t *paths(const struct comparison *c, unsigned from) {
    json_t *list = json_array();
    for (unsigned i = c->n == 1 ? 0 : from; i < c->n; i += 2)
        json_array_append_new(list, json_string(c->docs[i].path));
    return list;
}

int compare_documents(const struct compare_document *docs, unsigned n, const struct compare_options *o, json_t *out,
                      struct err *e) {
    struct comparison c = {.docs = docs, .n = n, .options = o};
    int code = 0;
    unsigned read = 0;
    c.figures = xzalloc(n, sizeof *c.figures);
    c.rows = json_array();
    c.warnings = json_array();
    while (read < n && !(code = figures_read(&docs[read], &c.figures[read], e)))
        read++;
    if (!code)
        code = check(&c, e);
    const char *kind = code ? NULL : compare_all(&c);
    if (!code && !json_array_size(c.rows))
        code = nothing(&c, e);
    if (!code) {
        json_object_set_new(out, "base", paths(&c, 0));
        json_object_set_new(out, "new", paths(&c, 1));
        comparison_finish(out, kind, json_incref(c.rows), json_incref(c.warnings), o->tolerance);
    }
    for (unsigned i = 0; i < read; i++)
        figures_free(&c.figures[i]);
    free(c.figures);
    json_decref(c.rows);
    json_decref(c.warnings);
    return code;
}
