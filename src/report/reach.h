/* SPDX-License-Identifier: BSD-3-Clause */
/* Who reaches whom by his own address, and how that differs from the first configuration. */
#ifndef FWDLAB_REPORT_REACH_H
#define FWDLAB_REPORT_REACH_H

#include "emit.h"
#include "view.h"

enum reach { REACH_NONE, REACH_NAT, REACH_DIRECT, REACH_KINDS };
/* Pairs of each kind. */
void reach_count(const struct configuration *c, long long count[REACH_KINDS]);

enum reach_change { REACH_SAME, REACH_LOST, REACH_GAINED, REACH_TRANSLATED, REACH_UNTRANSLATED };
/* "Unlike in routed, a and b cannot reach c by its own address (no-host at x)."; "" when there is no such pair. */
const char *reach_changes(const struct view *v, const struct configuration *c, enum reach_change change);

/* The configurations that share the matrix of the i-th, if it is the first of them; else "". */
const char *reach_sharers(const struct view *v, size_t i);
void table_reach(const struct view *v, const struct configuration *c, struct out *o);

#endif
