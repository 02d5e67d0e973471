/* SPDX-License-Identifier: BSD-3-Clause */
/* A replay as JSON. */
#ifndef FWDLAB_REPLAY_DOCUMENT_H
#define FWDLAB_REPLAY_DOCUMENT_H

#include <jansson.h>
#include <fwdlab/replay/replay.h>

/* What counts as no difference when configurations are compared. */
#define REPLAY_TOLERANCE 0.02

/* Adds packets, cost, latency_ns, generator, fidelity, answers, laps of one configuration to a document. */
void replay_document(const struct replay_configuration *c, const struct replay_result *r, const char *pair,
                     json_t *doc);
/* [ { name, base, ratio, interval, verdict, pairs } ]: every configuration against the first one. */
json_t *replay_comparison(const struct replay_configuration *c, unsigned n);

#endif
