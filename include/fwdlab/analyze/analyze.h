/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happened, and what would happen: every flow of a capture with the model's verdict and the capture's own, drops
 * by reason, NAT in use, and for every flow that is not symmetric the route to blame and the change that mends it.
 * Packets are looked at once, in the order of time; what is kept is a table of flows whose size has a limit.
 */
#ifndef FWDLAB_ANALYZE_ANALYZE_H
#define FWDLAB_ANALYZE_ANALYZE_H

#include <jansson.h>
#include <fwdlab/analyze/record.h>
#include <fwdlab/inject/feed.h>
#include <fwdlab/result/document.h>

struct analysis;

/* Another scenario, whose node of the same name gets the same packets; all is borrowed, as in analysis_options. */
struct analysis_what_if {
    const struct control *control; /* NULL: not asked */
    uint32_t node;
    struct fabric *fabric;
};

struct analysis_options {
    const struct control *control; /* the node under test with its own NAT, in tables of its own; NULL: no scenario */
    uint32_t node;                 /* which of its nodes */
    struct fabric *fabric;         /* the model, over tables of its own; unchanged afterwards. NULL: no scenario */
    struct analysis_what_if what_if; /* with a scenario */
    const struct link_keys *keys;  /* of ESP; NULL */
    size_t max_flows;              /* at the same time: the one that was idle longest goes first; 0: no limit */
    unsigned workers;              /* 2: the capture is read, and at the end observed, in threads beside; with the same
                                      result as by one */
    bool several;                  /* files: frames are told with their file's number */
    bool keep_verdicts;            /* of every packet: analysis_verdicts */
    bool keep_flows;               /* which packet belongs to which flow: analysis_comment */
    /* Called with each flow when it is done with, in no particular order; NULL: not. */
    void (*record)(void *arg, const struct flow_record *r);
    void *record_arg;
    /* Called now and then, and at the end; false ends the reading: what was found so far is kept, as partial. NULL: not.
     */
    bool (*go_on)(void *arg, const struct feed_counts *so_far);
    void *go_on_arg;
};

/* Bytes of memory that a flow takes, with all by which it is found. */
size_t analysis_flow_size(void);

/* Reads all packets. NULL: nothing could be read, or no interface is a NIC of the node. All options are borrowed. */
struct analysis *analyze(const struct feed_source *from, const struct analysis_options *o, struct err *e);
void analysis_destroy(struct analysis *a);
/* Was the reading ended by go_on? And was something not looked at: damage, an interruption? */
bool analysis_interrupted(const struct analysis *a);
bool analysis_partial(const struct analysis *a);

/* Adds the faults of a scenario that was loaded all the same (scenario_load_forced) to the findings. */
void analysis_faults(struct analysis *a, const struct complaints *complaints);

/* What became of the arrived packets, one each, in order: the same as replay's. With keep_verdicts. */
const struct inject_verdict *analysis_verdicts(const struct analysis *a, size_t *n);

/*
 * What there is to say of a packet, by its file and frame: the finding of its flow, in a sentence at the flow's first
 * packet. NULL: nothing. With keep_flows.
 */
const char *analysis_comment(const struct analysis *a, const struct trace_packet *raw, char *buf, size_t size);

/* Adds packets, flows, findings, nat, tcp, topology, hidden_routes, reachability, epoch_ns to a document. */
void analysis_document(const struct analysis *a, json_t *doc);
/* nat.pairs of that document: there may be one of every flow. */
struct document_rows analysis_pairs(const struct analysis *a);

/* { prefix, via, dev, metric, origin, name } of a node's route. */
json_t *route_json(const struct control_node *n, const struct route *r);
/* { proto, src, sport, dst, dport } */
json_t *flow_json(const struct flow_key *k);

#endif
