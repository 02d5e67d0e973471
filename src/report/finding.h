/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings: what each one means for its configuration, which of them are one and the same, and sentences for them. */
#ifndef FWDLAB_REPORT_FINDING_H
#define FWDLAB_REPORT_FINDING_H

#include "table.h"
#include "view.h"

enum finding_kind {
    FINDING_FAULT,     /* the model (or NAT between two capture points) says that it does not work */
    FINDING_SEEN,      /* the capture alone accuses somebody; no fault where a model has judged the flow */
    FINDING_ASYMMETRY, /* works, by the model, but there and back differ */
    FINDING_HARMLESS,
};
enum finding_kind finding_kind(const json_t *finding);

/* Flows of the findings of this kind, source and verdict; NULL: any. */
long long findings_count(const json_t *analyze, enum finding_kind kind, const char *source, const char *verdict);

/* Findings of one kind with one cause and one mend, or of one kind of note (DHCP, scenario), told once. */
#define FAULT_EXAMPLES 3
struct fault {
    const json_t *finding; /* the first of them */
    const json_t *alike[FAULT_EXAMPLES]; /* notes: the first ones, in their order */
    unsigned n_alike;      /* notes: how many there are */
    enum finding_kind kind;
    long long count, packets; /* flows; what they sent */
    double first, last;    /* ns after the epoch; NAN: not told */
};
struct faults {
    struct fault *v;
    size_t n, cap;
};
/*
 * All but the harmless: by kind, then by flows and packets, the most first. Without a scenario, where no model says
 * more, flows that are seen to be bent are told, too. vec_free()
 */
void faults_collect(const json_t *analyze, struct faults *out);
struct fault fault_of(const json_t *finding);
/* Notes (DHCP, scenario) of one kind. */
bool notes_alike(const json_t *a, const json_t *b);
bool same_cause(const json_t *a, const json_t *b);
bool same_mend(const json_t *a, const json_t *b);

/* The parts of a finding as sentences; "" when there is nothing to say. */
const char *finding_what(struct arena *a, const json_t *finding);
const char *finding_cause(struct arena *a, const json_t *finding);
const char *finding_mend(struct arena *a, const json_t *finding);
/* "" for a finding that is about no flows; else "26 flows such as guest1 -> nat-machine (tcp 10.0.2.2:53206 ->
 * 10.0.0.10:80)", named by the topology. */
const char *finding_flows(struct arena *a, const json_t *analyze, const json_t *finding, long long count);
/* Whose flows they are, when they are several hosts': "guest1 (12 flows), 10.0.2.3 (4 flows), and others". */
const char *finding_hosts(struct arena *a, const json_t *analyze, const json_t *finding, size_t limit);
/* What a fault says, and the notes that it stands for: "X is there twice; Y is there twice; and 38 more (...)." */
const char *fault_what(struct arena *a, const struct fault *f);
/* "2026-11-22 06:22:33 UTC (+6.043 s, frame 11742) until +21.989 s: 37 packets."; "frame 7" alone. */
const char *fault_since(struct arena *a, const json_t *analyze, const struct fault *f);
/* "on hyperv: ip route add 10.0.0.0/24 via 10.0.0.1 dev NIC1": the mend of a machine as a command, unless refused. */
const char *finding_command(struct arena *a, const json_t *analyze, const json_t *finding);
/* The first `limit` frames. */
const char *finding_frames(struct arena *a, const json_t *finding, size_t limit);
/* "proved", "refused", "not proved" or "" without a mend; and how good that is. */
const char *mend_state(const json_t *finding, enum tone *tone);

/* With a full stop, unless it has an end of its own. */
const char *sentence(struct arena *a, const char *text);

#endif
