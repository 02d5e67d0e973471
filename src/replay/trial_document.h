/* SPDX-License-Identifier: BSD-3-Clause */
/* A trial as JSON: what replay and bench tell of one alike. */
#ifndef FWDLAB_SRC_REPLAY_TRIAL_DOCUMENT_H
#define FWDLAB_SRC_REPLAY_TRIAL_DOCUMENT_H

#include <fwdlab/replay/trial.h>
#include <jansson.h>

/* The trial's account. `repeated`: how often it was tried before. */
json_t *trial_json(const struct trial_result *r, const struct trial_options *o, unsigned repeated);
/* Latency with its raw histogram: [ [lowest, highest value, count], ... ]; null where nothing was measured. */
json_t *trial_latency_json(const struct histogram *h);
/* Adds latency_ns, generator, fidelity and delay_variation. */
void trial_measured_json(const struct trial_result *r, const struct pace *pace, json_t *doc);
/* The same with cost by stage (where stages were timed) and drops by reason: one load of a benchmark. */
json_t *trial_load_json(const struct trial_result *r, const struct pace *pace);

#endif
