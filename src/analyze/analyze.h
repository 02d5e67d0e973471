/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of analyze: flows, findings and what the files share. */
#ifndef ANALYZE_ANALYZE_PRIVATE_H
#define ANALYZE_ANALYZE_PRIVATE_H

#include <fwdlab/analyze/analyze.h>
#include <fwdlab/core/parse.h>
#include "dhcp.h"

enum observed { OBSERVED_SYMMETRIC, OBSERVED_IFACE_ASYM, OBSERVED_NEXTHOP_ASYM, OBSERVED_REVERSE_ELSEWHERE,
                OBSERVED_UNANSWERED, OBSERVED_ONE_WAY_CAPTURE, OBSERVED_UNOBSERVABLE, OBSERVED_COUNT };
const char *observed_name(enum observed v);

#define FLOW_FRAMES 6
#define FLOW_NONE UINT32_MAX

/* One direction of a flow at the node. Ports are bits; bit 63 stands for the node itself. */
#define LOCAL_BIT (1ull << 63)
struct direction {
    uint64_t in, out;        /* ports it was seen to arrive by and to leave by */
    struct mac from, to;     /* neighbours: source as it arrived, destination as it left; the first ones seen */
    bool has_from, has_to;
    uint64_t packets, bytes, forwarded;
    uint32_t seq_end;        /* TCP: highest sequence number seen + 1 */
    uint32_t first_ack;
    uint64_t seq_time;
    bool seq_valid, ack_valid, acked; /* acked: acknowledges something that the other side must have sent */
};

enum { TCP_SEEN_SYN = 1, TCP_SEEN_SYN_ACK = 2, TCP_SEEN_ACK = 4 };
struct flow {
    struct flow_key key;     /* as its initiator sends it; ICMP: id as sport, type as dport */
    struct direction way[2]; /* from the initiator, to the initiator */
    uint64_t first, last;    /* ns since the first packet of the trace */
    uint64_t syn_time;
    uint32_t syn_seq;        /* of the SYN at syn_time */
    uint8_t handshake;
    uint8_t observed;        /* enum observed */
    bool drift;
    bool translated;         /* by the core */
    uint8_t n_frames;
    uint64_t frames[FLOW_FRAMES];
    struct nat_session session; /* translated: its mapping */
    uint32_t errors;         /* ICMP errors about it */
    uint32_t finding;        /* index of the model's finding; FLOW_NONE */
    uint32_t next;           /* chain in the table */
};

struct finding {
    bool observed;           /* source: the capture, else the model */
    uint8_t verdict;         /* enum model_verdict or enum observed */
    uint32_t count;          /* flows */
    uint32_t example;        /* flow */
    uint64_t in, out, back;  /* observed: ports there, and back */
    struct ip_prefix far;    /* declared prefix of the far end */
    uint8_t reason;
    bool benign;
    bool errors;             /* unanswered, but for ICMP errors */
    bool has_mend;
    struct change mend;
    bool proven;
    char refused[400];       /* why the mend is not offered; empty */
};

/* A finding that is about no verdict on a flow: an address that is there twice, a fault of the scenario. */
struct note {
    const char *source, *verdict;
    char text[400], hint[300];
    uint32_t count;              /* flows; DHCP: 1 */
    bool benign, has_flow;
    struct flow_key flow;
    unsigned n_frames;
    uint64_t frames[FLOW_FRAMES];
};

struct analysis {
    const struct inject *in;
    struct control_node *node; /* NULL without a scenario */
    struct fabric *fabric;     /* NULL without a scenario */
    VEC(struct flow) flows;
    uint32_t *heads;
    size_t mask;
    uint32_t *flow_of;         /* of each packet of `in`; FLOW_NONE */
    uint8_t *way_of;
    struct inject_verdict *verdicts;
    size_t n_verdicts;
    struct judgement *judgements; /* one a flow */
    VEC(struct finding) findings;
    VEC(struct note) notes;
    struct dhcp dhcp;
    uint64_t delivered, forwarded, drops[DROP_COUNT], elsewhere[DROP_COUNT];
    uint64_t errors[DROP_COUNT]; /* ICMP errors that the core made, by what they are about */
    uint64_t fragmented;         /* packets that left in pieces */
    uint64_t held;               /* that still wait for their first fragment */
    uint64_t answers_unmatched;
    uint64_t handshakes, retransmissions, out_of_order;
    VEC(double) rtt_ns;
    struct nat_stats nat;
};

/* flows.c */
struct flow_key flow_reverse(const struct flow_key *k); /* ICMP: identifier and type stay */
uint32_t flow_find(struct analysis *a, const struct flow_key *key, unsigned *way); /* FLOW_NONE */
/* Made when new; `answer`: a packet of this key cannot be its initiator's, so a new flow
 * is named the other way round. */
uint32_t flow_get(struct analysis *a, const struct flow_key *key, bool answer, uint64_t now, unsigned *way);
void flow_see(struct analysis *a, uint32_t packet, uint32_t flow, unsigned way);
void flow_left(struct analysis *a, uint32_t copy, uint32_t flow, unsigned way);
/* notes.c: files it under its verdict and text, with a frame that shows it (0: none); a count of 0 means: one more */
void note_add(struct analysis *a, const struct note *n, uint64_t frame);
/* observed.c */
void observe(struct analysis *a);
void file_observed(struct analysis *a); /* findings of the capture alone */
bool observed_like(const struct flow *f, const struct finding *g); /* is it one of the finding's flows? */
/* judge.c */
void judge_flows(struct analysis *a);
/* mend.c */
void mend_findings(struct analysis *a);
/* reach.c: [ { from, to, verdict, works, translated, reason, at } ], by the machines' own addresses */
json_t *reachability_json(struct fabric *f, uint8_t family);
/* text.c: what a finding says in a sentence; buf is returned */
const char *finding_text(const struct analysis *a, const struct finding *g, char *buf, size_t size);
const char *mend_text(const struct analysis *a, const struct finding *g, char *buf, size_t size);
const char *ports_text(const struct analysis *a, uint64_t ports, char *buf, size_t size); /* names of a set of ports */
/* tcp.c */
bool tcp_answers(const struct inject_packet *p); /* SYN and ACK: not its initiator's */
void tcp_see(struct analysis *a, uint32_t packet, struct flow *f, unsigned way);

#endif
