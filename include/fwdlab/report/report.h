/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports drawn from result documents, and from nothing else. */
#ifndef FWDLAB_REPORT_REPORT_H
#define FWDLAB_REPORT_REPORT_H

#include <jansson.h>
#include <stdio.h>
#include <fwdlab/base/err.h>

struct report_document {
    const char *path; /* told in the report */
    json_t *doc;
};

/*
 * Writes DIR/report.html (self-contained: pictures inline), DIR/NAME.svg and DIR/summary.md, from documents of analyze,
 * replay, bench, compare and size, in any mixture. Those of analyze and replay of the same configuration (key
 * "scenario.name") are put together; the order of the configurations is that of the documents.
 * Without gnuplot the pictures are left out and the page says so.
 */
int report_html(const struct report_document *docs, unsigned n, const char *dir, struct err *e);

/* Terminal tables. */
void report_analyze_text(const json_t *doc, FILE *out);
void report_replay_text(const json_t *doc, FILE *out);
void report_bench_text(const json_t *doc, FILE *out);
void report_compare_text(const json_t *doc, FILE *out);
void report_compare_markdown(const json_t *doc, FILE *out); /* for a pull request */
void report_size_text(const json_t *doc, FILE *out);
/* The comparison of several configurations, from their analyze, replay and bench documents. */
void report_comparison_text(const struct report_document *docs, unsigned n, FILE *out);

#endif
