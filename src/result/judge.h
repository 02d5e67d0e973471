/* SPDX-License-Identifier: BSD-3-Clause */
/* What comparison and history share: a figure's row, and what all rows say together. */
#ifndef FWDLAB_SRC_RESULT_JUDGE_H
#define FWDLAB_SRC_RESULT_JUDGE_H

#include <fwdlab/measure/stats.h>
#include <fwdlab/result/compare.h>

struct row {
    const char *configuration, *figure, *method;
    double base, new;
    struct stats_ratio ratio;
    enum stats_verdict verdict;
    double tolerance;
};
/* For a figure where more or less is better. */
enum stats_verdict judge(const struct stats_ratio *r, bool more, double tolerance);
void row_add(json_t *figures, const struct row *r);
/* Sets kind, figures (both taken over), warnings, regressions, conclusion. */
void comparison_finish(json_t *out, const char *kind, json_t *figures, json_t *warnings, double tolerance);

#endif
