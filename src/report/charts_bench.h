/* SPDX-License-Identifier: BSD-3-Clause */
/* What the charts of benchmarks share. */
#ifndef FWDLAB_REPORT_CHARTS_BENCH_H
#define FWDLAB_REPORT_CHARTS_BENCH_H

#include "bench.h"
#include "chart.h"

#define BENCH_PICTURES_MAX 12 /* configurations that get pictures of their own */

void charts_cost_draw(struct view *v, struct pictures *out);
/* The caption, what is left out of the picture, and the noise; of one configuration, or (NULL) all. */
const char *bench_caption(const struct view *v, const struct bench *one, const char *caption);
/* Configurations in one picture: the first ones. */
size_t bench_drawn(const struct view *v);

#endif
