/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ANALYZE_DOCUMENT_H
#define ANALYZE_DOCUMENT_H

#include <jansson.h>
#include <fwdlab/control/control.h>
#include "analyze.h"

json_t *hidden_routes_json(const struct control *c);
json_t *topology_json(const struct control *c, const char *under_test);
/* { total, <reason>: n, ... }: the reasons that occurred, of one class or of all (DROP_CLASS_NONE). */
json_t *reasons_json(const uint64_t *counts, enum drop_class class);
/* Their numbers in order, at most FINDING_FRAMES; with several files "file:frame". */
json_t *frames_json(const struct analysis *a, const uint64_t *frames, unsigned n);

#endif
