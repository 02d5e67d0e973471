/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Documents as a report looks at them: one configuration with its analysis and its replay; configurations of
 * benchmarks (a scenario may have several); comparisons; sizings; curves of cost against size. Nothing in a document is
 * taken for granted: a key that is missing or of another type reads as absent, empty or 0.
 */
#ifndef FWDLAB_REPORT_VIEW_H
#define FWDLAB_REPORT_VIEW_H

#include <stdbool.h>
#include <fwdlab/base/arena.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/report/report.h>

struct configuration {
    const char *name, *title;
    const json_t *analyze, *replay; /* borrowed; NULL when there is no such document */
};
struct bench {
    const char *name;          /* unique on the page */
    const json_t *doc;         /* the configuration */
    const json_t *whole;       /* the document that it stands in: environment, comparison, partial */
};
struct view {
    struct arena *arena;
    VEC(struct configuration) list;
    VEC(struct bench) benches;
    VEC(const json_t *) compares, sizes, curves;
    VEC(json_t *) owned;            /* references of our own */
    const struct report_document *docs;
    unsigned n_docs;
};

/* Puts documents of one configuration together. -EINVAL: a document that no report is drawn from. */
int view_init(struct view *v, const struct report_document *docs, unsigned n, struct err *e);
void view_fini(struct view *v);

/* The value at a path of keys joined by dots; NULL. */
const json_t *value_at(const json_t *object, const char *path);
/* Its text, "" when absent; its number, 0 when absent. */
const char *text_at(const json_t *object, const char *path);
double number_at(const json_t *object, const char *path);
double number_or_nan(const json_t *value);
long long count_at(const json_t *object, const char *path);
bool true_at(const json_t *object, const char *path);

/* "7.92 Mpps"; "0.5 %" of a ratio of 0.005. */
const char *rate_text(struct arena *a, double pps);
const char *percent_text(struct arena *a, double ratio);
/* "1,234,567"; "1.2 us"; "10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256 (static, Route 1)"; "tcp a:1 -> b:2". */
const char *count_text(struct arena *a, long long count);
const char *whole_text(struct arena *a, const json_t *number); /* rounded; "" when it is none */
const char *duration_text(struct arena *a, double ns);
/* "2026-11-22 06:22:33 UTC" of ns after an epoch (text of ns since 1970); "+6.043 s", "+1:02:03", "+3 d 1:02:03";
 * "22 s", "3 d 1:02:03". */
const char *moment_text(struct arena *a, const char *epoch_ns, double ns);
const char *offset_text(struct arena *a, double ns);
const char *span_text(struct arena *a, double ns);
const char *route_text(struct arena *a, const json_t *route);
const char *flow_text(struct arena *a, const json_t *flow);

/* The stage of this name in a cost; NULL. */
const json_t *stage_find(const json_t *cost, const char *name);

/* What a verdict is called among people; the name itself when it is unknown. */
const char *verdict_label(const char *name);
const char *verdict_meaning(const char *name);
/* The names of a group ("model", "observed", "nat") in the order of the contract; NULL ends them. */
const char *const *verdict_names(const char *group);
/* Does a verdict by itself accuse nobody? */
bool verdict_harmless(const char *name);

/* How the cost of a configuration compares with its base's; NULL when it was not compared. */
const json_t *comparison_of(const struct configuration *c);
/* Are others compared with it? */
bool is_base(const struct configuration *c);
/* "1.040 [1.012, 1.071]"; "1.040" when there is no interval. */
const char *ratio_text(struct arena *a, const json_t *comparison);

#endif
