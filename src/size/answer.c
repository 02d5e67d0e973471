/* SPDX-License-Identifier: BSD-3-Clause */
/* The answer as JSON: every host of the catalogue, the best one, the knee, guests, and what was not measured. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

#define SAME_CLOCK 0.1 /* clocks that differ by less are taken for the same */

static json_t *number_or_null(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static void say(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(json_t *list, const char *format, ...) {
    char line[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    json_array_append_new(list, json_string(line));
}

/* ---- the question ---- */

/* What is left open is taken as measured, when that leaves no choice. */
static int complete(const struct model *m, struct size_question *q, struct err *e) {
    static const char *const options[SIZE_VARIABLES] = {"--sessions N", "--routes N", "--packet-bytes N", "--churn X",
                                                        "--encrypted X", "--workers N", "--nat yes or no"};
    char low[SIZE_TEXT], high[SIZE_TEXT];
    for (unsigned v = 0; v < SIZE_VARIABLES; v++) {
        if (v == SIZE_WORKERS || !isnan(q->x[v]))
            continue;
        if (m->low[v] < m->high[v]) {
            err_set(e, -EINVAL, "the results were measured with %s from %s to %s", size_variable_name(v),
                    size_text(m->low[v], low), size_text(m->high[v], high));
            err_hint(e, "say which it is to be: %s", options[v]);
            return -EINVAL;
        }
        q->x[v] = m->low[v];
    }
    return 0;
}

static json_t *question_json(const struct size_question *q) {
    json_t *o = json_pack("{s:f, s:o, s:f}", "rate_pps", q->rate_pps, "p99_ns",
                          q->p99_ns > 0 ? json_real(q->p99_ns) : json_null(), "headroom", q->headroom);
    for (unsigned v = 0; v < SIZE_NAT; v++)
        json_object_set_new(o, size_variable_name(v), number_or_null(q->x[v]));
    json_object_set_new(o, "nat", json_boolean(q->x[SIZE_NAT] > 0));
    json_object_set_new(o, "system_cores", json_real(q->system_cores));
    if (q->guests > 0)
        json_object_set_new(o, "guests", json_real(q->guests));
    return o;
}

/* ---- one host ---- */

static void outside(json_t *list, const struct model *m, const double *x, enum size_variable v) {
    char asked[SIZE_TEXT], low[SIZE_TEXT], high[SIZE_TEXT];
    if (x[v] >= m->low[v] * (1 - 1e-9) && x[v] <= m->high[v] * (1 + 1e-9))
        return;
    size_text(x[v], asked);
    size_text(m->low[v], low);
    if (m->low[v] == m->high[v])
        say(list, "%s: %s asked, only %s measured: what they cost is not known", size_variable_name(v), asked, low);
    else
        say(list, "%s: %s asked, %s to %s measured", size_variable_name(v), asked, low, size_text(m->high[v], high));
}

static json_t *extrapolates(const struct sizing *s, const struct answer *a) {
    json_t *list = json_array();
    for (unsigned v = 0; v < SIZE_VARIABLES; v++)
        if (v != SIZE_SESSIONS || a->x[SIZE_NAT] > 0)
            outside(list, s->model, a->x, v);
    double hz = s->measured->hz / 1e9;
    if (fabs(a->host->clock_ghz / hz - 1) > SAME_CLOCK)
        say(list, "clock: %.3g GHz, %.3g measured: cycles are taken for the same, though memory does not follow it",
            a->host->clock_ghz, hz);
    if (!s->model->overhead_known)
        say(list, "rate: no NDR measured: input and output cost nothing here");
    if (s->curve && isnan(a->p99_ns) && a->capacity > 0)
        say(list, "p99: load %.2f, measured up to %.2f", a->load, s->curve->curve.v[s->curve->curve.n - 1].load);
    return list;
}

/* What of a host is used up first. */
static const char *const first_full[LIMITS] = {
    [LIMIT_CPU] = "its cores", [LIMIT_NIC] = "its NIC's bit rate", [LIMIT_PACKETS] = "its packet-rate cap",
    [LIMIT_LATENCY] = "what p99 leaves of its cores", [LIMIT_MEMORY] = "its memory"};

/* Why so many, or why none. */
static void why(const struct sizing *s, const struct answer *a, char *out, size_t size) {
    const struct size_host *h = a->host;
    if (a->count)
        snprintf(out, size, "%s would be full first; %.2g %% of its cores' capacity is used", first_full[a->limit],
                 100 * a->load);
    else if (a->workers < 1)
        snprintf(out, size, "%g of its %g cores are the system's: none is left", s->q->system_cores, h->cores);
    else if (a->limit == LIMIT_MEMORY)
        snprintf(out, size, "sessions and routes need %.3g GB of memory, it has %.3g", a->memory / 1e9, h->memory_gb);
    else if (a->limit == LIMIT_LATENCY)
        snprintf(out, size, "p99 is %.3g us with hardly any load, %.3g us are asked", a->p99_ns / 1e3,
                 s->q->p99_ns / 1e3);
    else
        snprintf(out, size, "%u of them are not enough: %s", SIZE_COUNT_MAX, limit_names[a->limit]);
}

static json_t *answer_json(const struct sizing *s, const struct answer *a) {
    char text[200];
    why(s, a, text, sizeof text);
    json_t *most = a->most ? json_integer(a->most) : json_null();
    json_t *price = a->count ? json_real(a->host->price * a->count) : json_null();
    return json_pack("{s:s, s:i, s:[i, o], s:f, s:f, s:{s:f, s:[f, f]}, s:s, s:f, s:o, s:o, s:f, s:o, s:b, s:s, s:o}",
                     "host", a->host->name, "count", (int)a->count, "count_interval", (int)a->least, most, "cores",
                     a->host->cores, "workers", a->workers, "pps", "value", a->pps.value, "interval", a->pps.low,
                     a->pps.high, "limit", limit_names[a->limit], "headroom", a->headroom, "load",
                     number_or_null(a->load), "p99_ns", number_or_null(a->p99_ns), "memory_gb", a->memory / 1e9,
                     "price", price, "fits", a->count > 0, "why", text, "extrapolates", extrapolates(s, a));
}

/* Those that fit first, the cheapest of them first; then as few as possible. */
static int better_first(const void *a, const void *b) {
    const struct answer *x = a, *y = b;
    double px = x->host->price * x->count, py = y->host->price * y->count;
    if (!x->count != !y->count)
        return x->count ? -1 : 1;
    if (px != py)
        return px < py ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return x->host < y->host ? -1 : x->host > y->host;
}

/* ---- beside the hosts ---- */

static json_t *knee_json(const struct sizing *s, const struct answer *best) {
    if (!s->curve)
        return json_null();
    const struct size_point *p = s->curve;
    double twice = 2 * p->curve.v[0].p99_ns, load = curve_load(p, twice);
    bool reached = false;
    for (size_t i = 0; i < p->curve.n; i++)
        reached |= p->curve.v[i].p99_ns > twice;
    if (!reached)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:s}", "pps", load * (best ? best->capacity : p->ndr), "load", load, "p99_ns",
                     twice, "measured", p->name);
}

static json_t *guests_json(const struct sizing *s, const struct answer *best) {
    const struct size_question *q = s->q;
    enum limit limit = LIMIT_CPU;
    if (!(q->guests > 0) || !best)
        return json_null();
    double by_rate = host_guests(s, best->host, &limit), host = by_rate;
    const char *limits = limit_names[limit];
    if (q->guests_max > 0 && q->guests_max < by_rate) {
        host = q->guests_max;
        limits = "addresses";
    }
    double all = q->hosts_max > 0 ? host * q->hosts_max : NAN;
    return json_pack("{s:f, s:f, s:f, s:f, s:o, s:s, s:o, s:o}", "asked", q->guests, "pps_each",
                     q->rate_pps / q->guests, "per_host", host, "by_rate", by_rate, "by_addresses",
                     q->guests_max > 0 ? json_real(q->guests_max) : json_null(), "limit", limits, "hosts_max",
                     q->hosts_max > 0 ? json_real(q->hosts_max) : json_null(), "in_all", number_or_null(all));
}

static json_t *notes_json(const struct sizing *s) {
    json_t *notes = json_array();
    if (s->measured->scenarios.n > 1)
        say(notes, "results of %zu scenarios make one model: --scenario picks those of one", s->measured->scenarios.n);
    if (!s->model->fit.freedom)
        say(notes, "no more results than terms (%zu): the model meets them all, and nothing tests it",
            s->model->fit.points);
    else if (s->model->fit.residual > 0.1)
        say(notes, "results lie %.0f %% off the model: intervals are wide for it", 100 * s->model->fit.residual);
    if (s->curve)
        say(notes, "p99 is that of %s, the nearest that was measured under load", s->curve->name);
    else
        say(notes, "no latency under load was measured: p99 and the knee are not known");
    return notes;
}

static void conclude(const struct sizing *s, const struct size_catalogue *c, const struct answer *best,
                     const json_t *told, json_t *doc) {
    char rate[SIZE_TEXT], line[600], p99[60] = "", more[60] = "";
    size_text(s->q->rate_pps, rate);
    if (!best) {
        snprintf(line, sizeof line, "No host of the catalogue carries %spps as asked.", rate);
    } else {
        if (isfinite(best->p99_ns))
            snprintf(p99, sizeof p99, ", p99 %.3g us", best->p99_ns / 1e3);
        if (best->most != best->least) {
            if (best->most)
                snprintf(more, sizeof more, " (%u to %u, as costs are known)", best->least, best->most);
            else
                snprintf(more, sizeof more, " (%u or more, as costs are known)", best->least);
        }
        snprintf(line, sizeof line,
                 "%u x %s%s for %.6g %s: %spps at %.0f %% headroom%s; %s would be full first.%s", best->count,
                 best->host->name, more, best->host->price * best->count, c->price_unit, rate, 100 * best->headroom,
                 p99, first_full[best->limit], json_array_size(told) ? " It goes beyond what was measured." : "");
    }
    json_object_set_new(doc, "conclusion", json_string(line));
}

int size_answer(const struct size_measured *m, const struct size_catalogue *c, const struct size_question *asked,
                json_t *doc, struct err *e) {
    struct model model;
    struct size_question q = *asked;
    model_make(m, &model);
    if (complete(&model, &q, e))
        return -EINVAL;
    struct sizing s = {m, &model, &q, model_nearest(m, q.x)};
    if (q.p99_ns > 0 && !s.curve) {
        err_set(e, -EINVAL, "no result has latency under load: whether p99 is kept cannot be told");
        err_hint(e, "give a document of `fwdlab bench`, or leave --p99 out");
        return -EINVAL;
    }
    struct answer *a = xzalloc(c->n + 1, sizeof *a);
    for (size_t i = 0; i < c->n; i++)
        host_answer(&s, &c->hosts[i], &a[i]);
    qsort(a, c->n, sizeof *a, better_first);
    const struct answer *best = c->n && a[0].count ? a : NULL;
    json_t *answers = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(answers, answer_json(&s, &a[i]));

    double x[SIZE_VARIABLES];
    memcpy(x, best ? best->x : q.x, sizeof x);
    x[SIZE_WORKERS] = isnan(x[SIZE_WORKERS]) ? model.low[SIZE_WORKERS] : x[SIZE_WORKERS];
    json_object_set_new(doc, "model", model_json(m, &model));
    json_object_set_new(doc, "question", question_json(&q));
    json_object_set_new(doc, "price_unit", json_string(c->price_unit));
    conclude(&s, c, best, json_object_get(json_array_get(answers, 0), "extrapolates"), doc);
    json_object_set_new(doc, "answers", answers);
    json_object_set_new(doc, "best", best ? json_string(best->host->name) : json_null());
    json_object_set_new(doc, "knee", knee_json(&s, best));
    json_object_set_new(doc, "guests", guests_json(&s, best));
    json_object_set_new(doc, "curve", model_curves(m, &model, x));
    json_object_set_new(doc, "notes", notes_json(&s));
    free(a);
    return 0;
}
