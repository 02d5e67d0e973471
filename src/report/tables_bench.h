/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of benchmarks, comparisons and sizings. One without rows writes nothing. */
#ifndef FWDLAB_REPORT_TABLES_BENCH_H
#define FWDLAB_REPORT_TABLES_BENCH_H

#include "bench.h"
#include "emit.h"

/* Over all benchmarks. */
void table_rates(const struct view *v, struct out *o);
void table_goals(const struct view *v, struct out *o);
void table_latency(const struct view *v, struct out *o);
void table_variation(const struct view *v, struct out *o);
void table_bench_drops(const struct view *v, struct out *o);
void table_capacity(const struct view *v, struct out *o);
void table_workload(const struct view *v, struct out *o);
void table_bench_ratios(const struct view *v, struct out *o);
/* Of one: stages in memory and at each load; its trials in their order. */
void table_load_cost(const struct view *v, const struct bench *b, struct out *o);
void table_trials(const struct view *v, const struct bench *b, struct out *o);

/* Of one document; figures that got worse come first, `limit` at most (0: all). */
void table_figures(struct arena *a, const json_t *compare, size_t limit, struct out *o);
void table_changes(struct arena *a, const json_t *compare, struct out *o);
void table_answers(struct arena *a, const json_t *size, struct out *o);
void table_extrapolations(struct arena *a, const json_t *size, struct out *o);
void table_model(struct arena *a, const json_t *size, struct out *o);
void table_guests(struct arena *a, const json_t *size, struct out *o);
void table_curves(struct arena *a, const json_t *curves, struct out *o);

/* Trials of replays at a pace. */
void table_paced(const struct view *v, struct out *o);

#endif
