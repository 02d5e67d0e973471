/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Change detection in a series of runs, by minimum description length: a piecewise constant level with noise, the
 * segmentation that takes the fewest bits to write down. No threshold to tune.
 *
 * The noise is Laplace's (levels are medians), of one unknown scale; levels and scale are integrated out, so that short
 * series are not cut up. A value far out (five times the typical step between neighbours) counts as just far out, and a
 * segment has two values at least: a lone outlier is no change, and the newest run alone is none yet.
 */
#ifndef FWDLAB_MEASURE_CHANGE_H
#define FWDLAB_MEASURE_CHANGE_H

#include <stddef.h>

#define CHANGE_SEGMENTS_MAX 32
#define CHANGE_VALUES_MAX 400 /* time grows with its cube: 0.05 s */

struct change_segment {
    size_t from, to; /* first and last index */
    double level;    /* median */
    double bits;     /* what the change at `from` saves; 0 for the first one */
};
/* v: finite; n <= CHANGE_VALUES_MAX. How many segments there are: 1 without a change, 0 for n = 0. */
unsigned change_detect(const double *v, size_t n, struct change_segment out[CHANGE_SEGMENTS_MAX]);

#endif
