/* SPDX-License-Identifier: BSD-3-Clause */
/* What every benchmark prints: a line a point, or with --json { "points": [ { name, ratio, interval, ... } ] }. */
#ifndef FWDLAB_BENCH_POINTS_H
#define FWDLAB_BENCH_POINTS_H

#include <fwdlab/measure/stats.h>
#include <stdbool.h>

/* Prints the table's head, or the document's. */
void points_begin(const char *title, bool json);
/*
 * `value`: what the point itself measured, in `unit` ("tsc_cycles" a packet, "pps", "ns"); `base`, `mine`: paired
 * samples, whose ratio mine/base is told with its 95 % interval.
 */
void point(const char *name, const char *unit, double value, const double *base, const double *mine, size_t n);
/* A figure without a pair, of one sample. */
void point_alone(const char *name, const char *unit, double value);
/* What no figure says. */
void point_text(const char *name, const char *text);
void points_end(void);

#endif
