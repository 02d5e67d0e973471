/* SPDX-License-Identifier: BSD-3-Clause */
/* A history file and what changed in it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/measure/change.h>
#include "figures.h"
#include "judge.h"

#define RUNS_MIN 4 /* fewer say nothing of the noise */
#define OFF 4      /* standard deviations: the newest run is an outlier, or the first one of a new level */

/* ---- the file ---- */

static int check_run(const json_t *run, const char *path, unsigned line, struct err *e) {
    static const char *const texts[] = {"date", "commit", "cpu"};
    const json_t *figures = json_object_get(run, "figures");
    const char *bad = json_is_object(figures) ? NULL : "figures", *key;
    json_t *v;
    for (unsigned i = 0; i < 3; i++)
        if (!json_is_string(json_object_get(run, texts[i])))
            bad = texts[i];
    json_object_foreach((json_t *)figures, key, v)
        if (!json_is_number(v) || !(json_number_value(v) > 0))
            bad = key;
    if (!bad)
        return 0;
    err_set(e, -EINVAL, "\"%.200s\" is missing or not as a run of a history has it", bad);
    err_where(e, "%s:%u", path, line);
    err_hint(e, "each line is one run: { date, commit, cpu, noise, figures: { \"configuration/figure\": number } }");
    return -EINVAL;
}

static int read_lines(char *text, const char *path, json_t *runs, struct err *e) {
    unsigned number = 1;
    for (char *line = text, *end; *line; line = end, number++) {
        json_error_t fault;
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = 0;
        if (!line[strspn(line, " \t\r")])
            continue;
        json_t *run = json_loads(line, JSON_REJECT_DUPLICATES, &fault);
        if (!run) {
            err_set(e, -EINVAL, "not JSON: %s (column %d)", fault.text, fault.column);
            err_where(e, "%s:%u", path, number);
            return -EINVAL;
        }
        json_array_append_new(runs, run);
        if (check_run(run, path, number, e))
            return -EINVAL;
    }
    return 0;
}

json_t *history_load(const char *path, struct err *e) {
    json_t *runs = json_array();
    char *text;
    size_t len;
    if (access(path, F_OK) && errno == ENOENT)
        return runs;
    int code = file_load(path, &text, &len, e);
    if (!code) {
        if (strlen(text) != len) {
            code = err_set(e, -EINVAL, "holds a NUL byte: not JSON lines");
            err_where(e, "%s", path);
        } else {
            code = read_lines(text, path, runs, e);
        }
        free(text);
    }
    if (!code)
        return runs;
    json_decref(runs);
    return NULL;
}

int history_save(const char *path, const json_t *runs, struct err *e) {
    char *text = NULL;
    size_t len, i;
    json_t *run;
    FILE *f = open_memstream(&text, &len);
    json_array_foreach(runs, i, run) {
        json_dumpf(run, f, JSON_COMPACT | JSON_REAL_PRECISION(12));
        fputc('\n', f);
    }
    fclose(f);
    int code = file_save(path, text, len, e);
    free(text);
    return code;
}

json_t *history_run(const struct compare_document *d, const char *date, const char *commit, struct err *e) {
    const json_t *environment = json_object_get(d->doc, "environment"), *cpu = json_object_get(environment, "cpu");
    const json_t *noise = json_object_get(environment, "noise");
    const char *built = json_string_value(json_object_get(environment, "commit"));
    struct figures f;
    if (figures_read(d, &f, e))
        return NULL;
    json_t *figures = json_object();
    for (size_t i = 0; i < f.list.n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%.400s/%s", f.list.v[i].configuration, f.list.v[i].name);
        json_object_set_new(figures, name, json_real(f.list.v[i].value));
    }
    figures_free(&f);
    return json_pack("{s:s, s:s, s:s, s:O*, s:o}", "date", date, "commit", commit ? commit : built ? built : "unknown",
                     "cpu", json_is_string(cpu) ? json_string_value(cpu) : "", "noise", noise, "figures", figures);
}

/* ---- what changed ---- */

struct track {
    const char *configuration, *figure;
    double v[CHANGE_VALUES_MAX];
    const json_t *runs[CHANGE_VALUES_MAX]; /* where each value comes from */
    size_t n;
    struct change_segment g[CHANGE_SEGMENTS_MAX];
    unsigned k;
};

/* Standard deviation of the values around their levels, as far as outliers let it be known. */
static double spread(const struct track *t) {
    double off[CHANGE_VALUES_MAX];
    for (unsigned i = 0; i < t->k; i++)
        for (size_t at = t->g[i].from; at <= t->g[i].to; at++)
            off[at] = fabs(t->v[at] - t->g[i].level);
    return 1.4826 * stats_median(off, t->n);
}

/* Newest level to the one before it, with the normal interval of two medians. */
static struct stats_ratio newest_ratio(const struct track *t) {
    const struct change_segment *new = &t->g[t->k - 1], *old = t->k > 1 ? new - 1 : new;
    double n = (double)(new->to - new->from + 1), m = (double)(old->to - old->from + 1);
    double half = 1.96 * 1.2533 * spread(t) * sqrt(1 / n + (t->k > 1 ? 1 / m : 0)) / old->level;
    double ratio = new->level / old->level;
    return (struct stats_ratio){.ratio = ratio, .low = fmax(0, ratio - half), .high = ratio + half, .pairs = t->n};
}

static enum stats_verdict newest_verdict(const struct track *t, const struct stats_ratio *r, double tolerance) {
    const struct stats_ratio level = {.ratio = r->ratio, .low = r->ratio, .high = r->ratio};
    const double newest = t->v[t->n - 1], off = fabs(newest - t->g[t->k - 1].level);
    if (t->n < RUNS_MIN || off > fmax(OFF * spread(t), tolerance * newest))
        return STATS_UNCLEAR;
    return judge(&level, figure_more(t->figure), tolerance);
}

static json_t *changes_of(const struct track *t, json_t *changes) {
    json_t *segments = json_array();
    for (unsigned i = 0; i < t->k; i++) {
        const struct change_segment *g = &t->g[i];
        json_array_append_new(segments, json_pack("{s:I, s:I, s:f}", "from", (json_int_t)g->from, "to",
                                                  (json_int_t)g->to, "level", g->level));
        if (i)
            json_array_append_new(
                changes, json_pack("{s:s, s:s, s:I, s:O, s:O, s:f, s:f, s:f, s:f}", "configuration", t->configuration,
                                   "figure", t->figure, "at", (json_int_t)g->from, "commit",
                                   json_object_get(t->runs[g->from], "commit"), "date",
                                   json_object_get(t->runs[g->from], "date"), "before", g[-1].level, "after", g->level,
                                   "ratio", g->level / g[-1].level, "bits", g->bits));
    }
    return segments;
}

static void judge_track(struct track *t, const struct compare_options *o, json_t *rows, json_t *changes,
                        json_t *series) {
    json_t *values = json_array(), *commits = json_array();
    t->k = change_detect(t->v, t->n, t->g);
    struct row r = {.configuration = t->configuration, .figure = t->figure, .method = "change",
                    .base = t->g[t->k > 1 ? t->k - 2 : 0].level, .new = t->g[t->k - 1].level,
                    .tolerance = o->tolerance, .ratio = newest_ratio(t)};
    r.verdict = newest_verdict(t, &r.ratio, o->tolerance);
    row_add(rows, &r);
    for (size_t i = 0; i < t->n; i++) {
        json_array_append_new(values, json_real(t->v[i]));
        json_array_append(commits, json_object_get(t->runs[i], "commit"));
    }
    json_array_append_new(series, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "configuration", t->configuration,
                                            "figure", t->figure, "unit", figure_unit(t->figure), "values", values,
                                            "commits", commits, "segments", changes_of(t, changes)));
}

/* The runs of the newest one's CPU, the newest CHANGE_VALUES_MAX of them. */
static json_t *comparable(const char *path, const json_t *runs, const struct compare_options *o, json_t *warnings,
                          struct err *e) {
    json_t *kept = json_array(), *run;
    const json_t *cpu = json_object_get(json_array_get(runs, json_array_size(runs) - 1), "cpu");
    size_t i, left_out;
    json_array_foreach(runs, i, run)
        if (json_equal(json_object_get(run, "cpu"), cpu))
            json_array_append(kept, run);
    left_out = json_array_size(runs) - json_array_size(kept);
    while (json_array_size(kept) > CHANGE_VALUES_MAX)
        json_array_remove(kept, 0);
    if (!left_out)
        return kept;
    json_array_append_new(warnings, json_sprintf("%s: %zu runs of another CPU are left out", path, left_out));
    if (!o->strict)
        return kept;
    err_set(e, -EINVAL, "%zu runs are of another CPU than the newest", left_out);
    err_where(e, "%s", path);
    err_hint(e, "keep a history for each machine; without --strict they are left out");
    json_decref(kept);
    return NULL;
}

static void track_figure(const json_t *runs, const char *name, const struct compare_options *o, json_t *rows,
                         json_t *changes, json_t *series) {
    struct track *t = xzalloc(1, sizeof *t);
    char *configuration = xstrdup(name), *slash = strrchr(configuration, '/');
    const json_t *run;
    size_t i;
    json_array_foreach(runs, i, run) {
        const json_t *v = json_object_get(json_object_get(run, "figures"), name);
        if (v) {
            t->runs[t->n] = run;
            t->v[t->n++] = json_number_value(v);
        }
    }
    t->configuration = slash ? configuration : "";
    t->figure = slash ? slash + 1 : configuration;
    if (slash)
        *slash = 0;
    judge_track(t, o, rows, changes, series);
    free(configuration);
    free(t);
}

int compare_history(const char *path, const json_t *runs, const struct compare_options *o, json_t *out, struct err *e) {
    json_t *rows = json_array(), *warnings = json_array(), *changes = json_array(), *series = json_array(), *v;
    json_t *kept = json_array_size(runs) ? comparable(path, runs, o, warnings, e) : NULL;
    const char *name;
    if (!json_array_size(runs)) {
        err_set(e, -ENODATA, "holds no run");
        err_where(e, "%s", path);
        err_hint(e, "add some: compare --history FILE --append RESULT.json");
    }
    json_object_foreach(json_object_get(json_array_get(kept, json_array_size(kept) - 1), "figures"), name, v)
        track_figure(kept, name, o, rows, changes, series);
    if (kept) {
        json_object_set_new(out, "base", json_pack("[s]", path));
        json_object_set_new(out, "new", json_array());
        comparison_finish(out, "history", json_incref(rows), json_incref(warnings), o->tolerance);
        json_object_set(out, "changes", changes);
        json_object_set(out, "series", series);
    }
    json_decref(rows);
    json_decref(warnings);
    json_decref(changes);
    json_decref(series);
    json_decref(kept);
    return kept ? 0 : -EINVAL;
}
