/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Documents of replay and bench, compared figure by figure: cost, cost by stage, NDR, PDR, MRR, latency by load, share
 * delivered. How, depends on what the documents are:
 *
 *     paired  the configurations ran interleaved in one run (one document, or the same `pair` id): by samples; those
 *             without paired samples by their bounds
 *     runs    several pairs of documents from runs that took turns (A B B A): a ratio for each pair, bootstrap over
 *             pairs
 *     single  one pair of documents from runs of their own: spread and bounds of both, and what equal runs drift apart;
 *             unclear unless clearly beyond
 *     change  a history of runs: change detection (measure/change.h)
 */
#ifndef FWDLAB_RESULT_COMPARE_H
#define FWDLAB_RESULT_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <fwdlab/base/err.h>

struct compare_document {
    const char *path; /* told in messages */
    json_t *doc;
};
struct compare_options {
    double tolerance; /* relative, what counts as no difference: 0.01 */
    bool strict;      /* other machines or inputs are an error, not a warning */
};

/*
 * Adds kind, base, new, figures, warnings, regressions, conclusion to `out`. One document: its configurations with the
 * first one; an even number: base, new, base, new ... -EINVAL names file and key.
 */
int compare_documents(const struct compare_document *docs, unsigned n, const struct compare_options *o, json_t *out,
                      struct err *e);
/*
 * The same for a history, oldest run first, with changes and series. A figure is a regression when its newest level is
 * worse than the level before it, beyond the tolerance. A newest run far off its level may be an outlier: unclear.
 * Runs of other CPUs than the newest are left out, with a warning; the newest CHANGE_VALUES_MAX are looked at.
 */
int compare_history(const char *path, const json_t *runs, const struct compare_options *o, json_t *out, struct err *e);

/* A history: JSON lines, one run each. A new reference to an array of runs; a file that is missing is an empty one. */
json_t *history_load(const char *path, struct err *e);
/* { date, commit, cpu, noise, figures } of a document; `commit` NULL: the one that its program was built from. */
json_t *history_run(const struct compare_document *d, const char *date, const char *commit, struct err *e);
int history_save(const char *path, const json_t *runs, struct err *e);

/* How many figures have the verdict (same, better, worse, unclear). */
unsigned compare_count(const json_t *comparison, const char *verdict);
/* JUnit XML: a test case for each figure; worse: failed, unclear: skipped, both with the reason. */
int compare_junit_save(const json_t *comparison, const char *path, struct err *e);

#endif
