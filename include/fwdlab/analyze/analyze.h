/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happened, and what would happen: every flow of a capture with the model's verdict and the capture's own, drops
 * by reason, NAT in use, and for every flow that is not symmetric the route to blame and the change that mends it.
 */
#ifndef FWDLAB_ANALYZE_ANALYZE_H
#define FWDLAB_ANALYZE_ANALYZE_H

#include <jansson.h>
#include <fwdlab/inject/inject.h>

struct analysis;

/*
 * `in`: the trace as it meets the node. `node`: the node under test with its own NAT, in tables of its own; `f`: the
 * model. Both NULL without a scenario. All borrowed; `f` is unchanged afterwards.
 */
struct analysis *analyze(const struct inject *in, struct control_node *node, struct fabric *f);
void analysis_destroy(struct analysis *a);

/* Adds the faults of a scenario that was loaded all the same (scenario_load_forced) to the findings. */
void analysis_faults(struct analysis *a, const struct complaints *complaints);

/* What became of the arrived packets, one each, in order: the same as replay's. */
const struct inject_verdict *analysis_verdicts(const struct analysis *a, size_t *n);

/* Adds packets, flows, findings, nat, tcp, topology, hidden_routes, reachability, epoch_ns to a document. */
void analysis_document(const struct analysis *a, json_t *doc);

/* { prefix, via, dev, metric, origin, name } of a node's route. */
json_t *route_json(const struct control_node *n, const struct route *r);
/* { proto, src, sport, dst, dport } */
json_t *flow_json(const struct flow_key *k);

#endif
