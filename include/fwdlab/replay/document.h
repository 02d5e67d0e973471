/* SPDX-License-Identifier: BSD-3-Clause */
/* A replay as JSON. */
#ifndef FWDLAB_REPLAY_DOCUMENT_H
#define FWDLAB_REPLAY_DOCUMENT_H

#include <jansson.h>
#include <fwdlab/replay/replay.h>
#include <fwdlab/replay/trial.h>

/* What counts as no difference when configurations are compared. */
#define REPLAY_TOLERANCE 0.01

/* Adds packets, cost, latency_ns, generator, fidelity, answers, laps of one configuration to a document. */
void replay_document(const struct replay_configuration *c, const struct replay_result *r, const char *pair,
                     json_t *doc);
/* Of a trial at a pace: latency_ns, generator, fidelity, trial, delay_variation (RFC 5481) take the place of nulls. */
void replay_trial_document(const struct trial_result *r, const struct trial_options *o, json_t *doc);
/* [ { name, base, figure, ratio, interval, verdict, pairs } ]: every configuration against the first one. */
json_t *replay_comparison(const struct replay_configuration *c, unsigned n);

#endif
