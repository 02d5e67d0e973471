/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ANALYZE_OBSERVED_H
#define ANALYZE_OBSERVED_H

#include "analyze.h"

/* Would it look otherwise if more pairs were proved (observe_pairs)? False: as it is observed now is how it stays. */
bool observe_wants_pairs(const struct analysis *a, const struct flow *f);

#endif
