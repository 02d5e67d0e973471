/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading of documents. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "view.h"

const json_t *value_at(const json_t *object, const char *path) {
    while (object && *path) {
        size_t n = strcspn(path, ".");
        object = json_object_getn(object, path, n);
        path += n + (path[n] == '.');
    }
    return object;
}

const char *text_at(const json_t *object, const char *path) {
    const char *text = json_string_value(value_at(object, path));
    return text ? text : "";
}

double number_at(const json_t *object, const char *path) {
    return json_number_value(value_at(object, path));
}

double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

long long count_at(const json_t *object, const char *path) {
    return json_integer_value(value_at(object, path));
}

bool true_at(const json_t *object, const char *path) {
    return json_is_true(value_at(object, path));
}

const char *count_text(struct arena *a, long long count) {
    char digits[32], out[48], *to = out;
    int n = snprintf(digits, sizeof digits, "%lld", count);
    for (int i = 0; i < n; i++) {
        *to++ = digits[i];
        int left = n - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            *to++ = ',';
    }
    *to = 0;
    return arena_strdup(a, out);
}

const char *whole_text(struct arena *a, const json_t *number) {
    return json_is_number(number) ? count_text(a, (long long)fmax(-1e18, fmin(json_number_value(number), 1e18))) : "";
}

const char *duration_text(struct arena *a, double ns) {
    static const struct { double ns; const char *unit; } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "\xc2\xb5s"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (fabs(ns) >= units[i].ns)
            return arena_printf(a, "%.3g %s", ns / units[i].ns, units[i].unit);
    return arena_printf(a, "%.0f ns", ns);
}

const char *moment_text(struct arena *a, const char *epoch_ns, double ns) {
    const double at = ((double)(strtoll(epoch_ns, NULL, 10) / 1000) + ns / 1e3) / 1e6; /* exact to a microsecond */
    const time_t second = (time_t)floor(fmax(-9e9, fmin(at, 9e9)));
    struct tm tm;
    char text[40] = "";
    if (gmtime_r(&second, &tm))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    return arena_strdup(a, text);
}

const char *offset_text(struct arena *a, double ns) {
    const char *sign = ns < 0 ? "-" : "+";
    double s = fmin(fabs(ns), 9e18) / 1e9;
    if (s < 1000)
        return arena_printf(a, "%s%.3f s", sign, s);
    long long whole = (long long)s, days = whole / 86400;
    const char *clock = arena_printf(a, "%lld:%02lld:%02lld", whole / 3600 % 24, whole / 60 % 60, whole % 60);
    return days ? arena_printf(a, "%s%lld d %s", sign, days, clock) : arena_printf(a, "%s%s", sign, clock);
}

const char *span_text(struct arena *a, double ns) {
    return ns < 1e12 ? duration_text(a, ns) : offset_text(a, ns) + 1;
}

const char *rate_text(struct arena *a, double pps) {
    static const struct { double pps; const char *unit; } units[] = {{1e9, "Gpps"}, {1e6, "Mpps"}, {1e3, "kpps"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (fabs(pps) >= units[i].pps)
            return arena_printf(a, "%.3g %s", pps / units[i].pps, units[i].unit);
    return arena_printf(a, "%.3g pps", pps);
}

const char *percent_text(struct arena *a, double ratio) {
    return arena_printf(a, "%.2g %%", 100 * ratio);
}

const char *route_text(struct arena *a, const json_t *route) {
    if (!json_is_object(route))
        return "";
    const char *via = text_at(route, "via"), *dev = text_at(route, "dev"), *name = text_at(route, "name");
    const char *origin = text_at(route, "origin");
    const json_t *metric = value_at(route, "metric");
    char *out = arena_printf(a, "%s%s%s%s%s", text_at(route, "prefix"), *via ? " via " : "", via, *dev ? " dev " : "",
                             dev);
    if (json_is_integer(metric))
        out = arena_printf(a, "%s metric %lld", out, json_integer_value(metric));
    if (*origin || *name)
        out = arena_printf(a, "%s (%s%s%s)", out, origin, *origin && *name ? ", " : "", name);
    return out;
}

static const char *endpoint_text(struct arena *a, const json_t *flow, const char *addr, const char *port) {
    const json_t *number = value_at(flow, port);
    const char *text = text_at(flow, addr);
    if (!json_is_integer(number))
        return text;
    return arena_printf(a, strchr(text, ':') ? "[%s]:%lld" : "%s:%lld", text, json_integer_value(number));
}

const char *flow_text(struct arena *a, const json_t *flow) {
    const json_t *proto = value_at(flow, "proto");
    if (!json_is_object(flow))
        return "";
    const char *name = json_is_integer(proto) ? arena_printf(a, "protocol %lld", json_integer_value(proto))
                                              : text_at(flow, "proto");
    if (strncmp(name, "icmp", 4))
        return arena_printf(a, "%s %s \xe2\x86\x92 %s", name, endpoint_text(a, flow, "src", "sport"),
                            endpoint_text(a, flow, "dst", "dport"));
    return arena_printf(a, "%s %s \xe2\x86\x92 %s id %lld type %lld", name, text_at(flow, "src"), text_at(flow, "dst"),
                        count_at(flow, "sport"), count_at(flow, "dport"));
}

const json_t *comparison_of(const struct configuration *c) {
    size_t i;
    json_t *entry;
    json_array_foreach(value_at(c->replay, "comparison"), i, entry)
        if (!strcmp(text_at(entry, "name"), c->name))
            return entry;
    return NULL;
}

bool is_base(const struct configuration *c) {
    size_t i;
    json_t *entry;
    json_array_foreach(value_at(c->replay, "comparison"), i, entry)
        if (!strcmp(text_at(entry, "base"), c->name))
            return true;
    return false;
}

const char *ratio_text(struct arena *a, const json_t *comparison) {
    const json_t *interval = value_at(comparison, "interval");
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    if (!json_is_number(value_at(comparison, "ratio")))
        return "";
    double ratio = number_at(comparison, "ratio");
    if (!json_is_number(low) || !json_is_number(high))
        return arena_printf(a, "%.3f", ratio);
    return arena_printf(a, "%.3f [%.3f, %.3f]", ratio, json_number_value(low), json_number_value(high));
}

const json_t *stage_find(const json_t *cost, const char *name) {
    size_t i;
    json_t *stage;
    json_array_foreach(value_at(cost, "stages"), i, stage)
        if (!strcmp(text_at(stage, "name"), name))
            return stage;
    return NULL;
}

static struct configuration *view_configuration(struct view *v, const json_t *doc, const char *path) {
    const char *name = text_at(doc, "scenario.name"), *title = text_at(doc, "scenario.title");
    if (!*name)
        name = path; /* analysed without a scenario: the file tells it from others */
    for (size_t i = 0; i < v->list.n; i++)
        if (!strcmp(v->list.v[i].name, name))
            return &v->list.v[i];
    vec_push(&v->list, (struct configuration){.name = name, .title = *title ? title : name});
    return &v->list.v[v->list.n - 1];
}

static void view_add_replay(struct view *v, const json_t *doc, const char *path) {
    const json_t *many = value_at(doc, "configurations");
    size_t i;
    json_t *one;
    if (!json_is_array(many))
        view_configuration(v, doc, path)->replay = doc;
    json_array_foreach(many, i, one) {
        if (!json_is_array(value_at(one, "comparison")) && value_at(doc, "comparison")) {
            one = json_copy(one); /* said once for all of them */
            json_object_set(one, "comparison", json_object_get(doc, "comparison"));
            vec_push(&v->owned, one);
        }
        view_configuration(v, one, path)->replay = one;
    }
}

static void view_add_bench(struct view *v, const json_t *doc, const json_t *whole, const char *path) {
    const char *name = text_at(doc, "name");
    name = *name ? name : *text_at(doc, "scenario.name") ? text_at(doc, "scenario.name") : path;
    for (size_t i = 0; i < v->benches.n; i++)
        if (!strcmp(v->benches.v[i].name, name)) { /* another run of it */
            name = arena_printf(v->arena, "%s (%s)", name, path);
            break;
        }
    vec_push(&v->benches, (struct bench){name, doc, whole});
}

static void view_add_benches(struct view *v, const json_t *doc, const char *path) {
    const json_t *many = value_at(doc, "configurations");
    size_t i;
    json_t *one;
    if (!json_array_size(many))
        view_add_bench(v, doc, doc, path);
    json_array_foreach(many, i, one)
        view_add_bench(v, one, doc, path);
}

int view_init(struct view *v, const struct report_document *docs, unsigned n, struct err *e) {
    *v = (struct view){.arena = arena_create(), .docs = docs, .n_docs = n};
    for (unsigned i = 0; i < n; i++) {
        const char *schema = text_at(docs[i].doc, "schema");
        if (!strncmp(schema, "fwdlab.analyze/", 15)) {
            view_configuration(v, docs[i].doc, docs[i].path)->analyze = docs[i].doc;
        } else if (!strncmp(schema, "fwdlab.replay/", 14)) {
            view_add_replay(v, docs[i].doc, docs[i].path);
        } else if (!strncmp(schema, "fwdlab.bench/", 13)) {
            view_add_benches(v, docs[i].doc, docs[i].path);
        } else if (!strncmp(schema, "fwdlab.compare/", 15)) {
            vec_push(&v->compares, docs[i].doc);
        } else if (!strncmp(schema, "fwdlab.size/", 12)) {
            vec_push(&v->sizes, docs[i].doc);
        } else if (!strncmp(schema, "fwdlab.curves/", 14)) {
            vec_push(&v->curves, docs[i].doc);
        } else {
            err_set(e, -EINVAL, "no report can be drawn from a document of schema \"%.80s\"", schema);
            err_where(e, "%s", docs[i].path);
            err_hint(e, "reports are drawn from documents of analyze, replay, bench, compare, size and bench/sizes");
            view_fini(v);
            return -EINVAL;
        }
    }
    return 0;
}

void view_fini(struct view *v) {
    for (size_t i = 0; i < v->owned.n; i++)
        json_decref(v->owned.v[i]);
    vec_free(&v->owned);
    vec_free(&v->list);
    vec_free(&v->benches);
    vec_free(&v->compares);
    vec_free(&v->sizes);
    vec_free(&v->curves);
    arena_destroy(v->arena);
}
