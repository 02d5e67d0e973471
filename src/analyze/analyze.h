/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of analyze: flows, findings and what the files share. */
#ifndef ANALYZE_ANALYZE_PRIVATE_H
#define ANALYZE_ANALYZE_PRIVATE_H

#include <assert.h>
#include <stddef.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/core/parse.h>
#include "dhcp.h"
#include "hosts.h"
#include "tcp.h"

enum observed { OBSERVED_SYMMETRIC, OBSERVED_IFACE_ASYM, OBSERVED_NEXTHOP_ASYM, OBSERVED_REVERSE_ELSEWHERE,
                OBSERVED_UNANSWERED, OBSERVED_ONE_WAY_CAPTURE, OBSERVED_UNOBSERVABLE, OBSERVED_COUNT };
const char *observed_name(enum observed v);

#define FLOW_FRAMES 6
#define FLOW_NONE UINT32_MAX

/* A frame's number, and in the upper bits which of several files it is in. */
#define FRAME_FILE_SHIFT 48
static inline uint64_t frame_of(const struct trace_packet *raw) {
    return raw->frame | (uint64_t)raw->file << FRAME_FILE_SHIFT;
}

/* One direction of a flow at the node. Ports are bits; bit 63 stands for the node itself. */
#define LOCAL_BIT (1ull << 63)
struct direction {
    uint64_t in, out;        /* ports it was seen to arrive by and to leave by */
    uint64_t packets, bytes; /* bytes from the IP header on */
    uint64_t forwarded;      /* by the core */
    uint32_t delivered, copies; /* by the core, to the node itself; seen to leave */
    struct mac macs[2];      /* has_macs: destination and source of the latest frame, as it arrived */
    uint16_t session;        /* the core's, its lower bits: when it is another one, analysis.sessions is told */
    uint8_t tcp_flags;       /* all of them */
    bool has_from : 1, has_to : 1; /* flow.ends */
    bool has_macs : 1;
};

/* Neighbours of a direction: source as it arrived, destination as it left; the first ones seen. */
struct ends {
    struct mac from, to;
};

/* What the core's NAT made of it (struct nat_session). */
struct flow_nat {
    struct nat_tuple original, reply;
};

/*
 * In lines of the cache: what every packet looks at, its direction, TCP's two, and two for the first packets and the
 * report. flow_fetch gets them ahead.
 */
struct flow {
    uint64_t first, last;    /* ns since the first packet of the trace */
    uint64_t id;             /* in the order of first packets, from 1 */
    uint32_t label;          /* see pass.c: of way 0 */
    uint32_t gaps;           /* TCP: segments before which something was not captured */
    struct flow_nat nat;     /* translated: its mapping */
    uint32_t successor;      /* ended: label of the connection that has its ports now, in way 0's direction */
    uint8_t observed : 4, model : 4; /* enum observed, enum model_verdict */
    uint8_t depth;           /* tunnels around it */
    uint8_t n_frames;
    bool used : 1;           /* the slot */
    bool ended : 1;          /* its ports serve a later connection */
    bool translated : 1;     /* by the core: */
    bool from_outside : 1;   /* began there */

    struct direction way[2]; /* from the initiator, to the initiator */

    struct tcp_flow tcp;
    uint32_t finding;        /* index of the model's finding; FLOW_NONE */
    uint32_t tunnel;         /* index in analysis.tunnels; FLOW_NONE */
    uint32_t errors, fragments; /* ICMP errors about it; its fragments */

    uint64_t frames[FLOW_FRAMES];
    struct flow_key key;     /* as its initiator sends it; ICMP: id as sport, type as dport */
    struct nat_tuple outside; /* IPv4, has_outside: as it is beyond NAT, by the capture or by the core */
    bool has_outside;
    bool works : 1, into_nat : 1; /* by the model */
    uint16_t vlan;
    struct ends ends[2];     /* of each way */
} __attribute__((aligned(64)));
static_assert(sizeof(struct direction) == 64 && offsetof(struct flow, way) == 64 && offsetof(struct flow, tcp) == 192 &&
              offsetof(struct flow, frames) == 320 && sizeof(struct flow) == 448, "lines of the cache");

/* Fetches what a packet of a flow looks at. */
static inline void flow_fetch(const struct flow *f, unsigned way) {
    __builtin_prefetch(f, 1);
    __builtin_prefetch(&f->way[way], 1);
    __builtin_prefetch(&f->tcp, 1);
    __builtin_prefetch((const uint8_t *)&f->tcp + 64, 1);
    __builtin_prefetch(f->frames, 1);
}

#define FINDING_FRAMES 20
struct finding {
    bool observed;           /* source: the capture, else the model */
    uint8_t verdict;         /* enum model_verdict or enum observed */
    uint32_t count;          /* flows */
    uint64_t first, last;    /* ns, of all its flows */
    uint64_t packets, bytes;
    struct flow_key example; /* of one of its flows */
    struct hosts hosts;      /* that began them */
    struct judgement judgement; /* the model's: of the example */
    uint64_t in, out, back;  /* observed: ports there, and back */
    struct ip_prefix far;    /* declared prefix of the far end */
    uint8_t reason;
    bool benign;
    bool errors;             /* unanswered, but for ICMP errors */
    bool has_mend;
    struct change mend;
    bool proven;
    char refused[400];       /* why the mend is not offered; empty */
    unsigned n_frames;
    uint64_t frames[FINDING_FRAMES];
};

struct findings { /* as VEC */
    struct finding *v;
    size_t n, cap;
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

/* Interface pairs that some flow used in both directions: 64 bits of outgoing for each incoming port. */
struct pairs {
    uint64_t out[64];
    uint64_t in; /* all ports by which they came in */
};

/* Where the model and the capture contradict each other. */
struct drift {
    uint64_t count;
    struct flow_key example;
};

struct analysis {
    struct analysis_options o;
    struct feed *feed;         /* while packets are read */
    struct feed_counts counts; /* afterwards */
    struct control_node *node; /* NULL without a scenario */
    struct fabric *fabric;     /* NULL without a scenario */
    struct whatif *what_if;    /* NULL: not asked */
    VEC(struct trace_interface) interfaces; /* their names are owned, descriptions are none */
    VEC(char *) tunnels;
    char *damage;
    bool interrupted;
    uint64_t clock;            /* the core's, of the batches so far */
    uint64_t span_ns;          /* to the latest packet of a flow; known at the end */

    /* Labels of flows (pass.c): by the number of their conversation (feed.h), and of those inside of tunnels; by the
     * core's session of NAT, as it began. */
    struct labels {
        uint32_t *v;
        size_t n, cap;
    } names[2], sessions;
    VEC(struct flow) flows;    /* slots: a block (block.h) */
    VEC(uint32_t) translated;  /* flows with a mapping; known at the end */
    uint32_t slot_mask;        /* of labels (pass.c) */
    uint32_t hand;             /* where the search for an idle one goes on */
    uint64_t seen_flows, evicted;
    struct findings findings;
    VEC(struct note) notes;
    uint64_t model[MODEL_COUNT];
    struct pairs pairs;        /* from here on: what the capture shows, apart from the line of what the model says */
    uint64_t observed[OBSERVED_COUNT];
    struct drift drifts[MODEL_COUNT][OBSERVED_COUNT];

    VEC(struct inject_verdict) verdicts;
    struct marks *marks;       /* NULL: nobody wants them */
    struct dhcp dhcp;
    uint64_t delivered, forwarded, drops[DROP_COUNT], elsewhere[DROP_COUNT];
    uint64_t errors[DROP_COUNT]; /* ICMP errors that the core made, by what they are about */
    uint64_t fragmented;         /* packets that left in pieces */
    uint64_t held;               /* that still wait for their first fragment */
    uint64_t answers_unmatched;
    uint64_t handshakes, retransmissions, out_of_order;
    uint64_t segments, gaps;     /* TCP: with payload or flags; after something that was not captured */
    VEC(double) rtt_ns;          /* all, or a sample of RTT_SAMPLES */
    struct nat_stats nat;
    struct natuse *nat_use;      /* NULL: the node has no NAT */
};
#define RTT_SAMPLES (1u << 20)

/* When all flows are looked at in turn: fetches one of the next ones. */
static inline void flow_fetch_ahead(const struct analysis *a, uint32_t flow) {
    const uint8_t *f = (const uint8_t *)&a->flows.v[flow + 8];
    for (unsigned at = 0; at < sizeof(struct flow); at += 64)
        __builtin_prefetch(f + at);
}

/* ns after the first packet; what was too late to be put into order and claims to be older: 0. */
static inline uint64_t packet_time(const struct analysis *a, const struct feed_packet *q) {
    const uint64_t epoch = feed_count(a->feed)->epoch_ns;
    return q->raw.time_ns < epoch ? 0 : q->raw.time_ns - epoch;
}
/* The core's: in ticks, and never backwards. */
static inline uint64_t core_clock(const struct analysis *a, const struct feed_packet *q) {
    const uint64_t now = packet_time(a, q) / INJECT_TICK_NS * INJECT_TICK_NS;
    return now < a->clock ? a->clock : now;
}

/* flows.c */
/* A new flow, or the slot of the one that was idle longest: its number. `answer`: a packet of this key cannot be its
 * initiator's, so it is named the other way round. */
uint32_t flow_new(struct analysis *a, const struct feed_packet *q, const struct flow_key *key, bool answer);
/* Counts a packet to a flow. False: it begins another connection with the same ports, and was not counted. */
bool flow_see(struct analysis *a, const struct feed_packet *q, struct flow *f, unsigned way);
void flow_left(const struct feed_packet *copy, struct flow *f, unsigned way);
/* As it leaves NAT, by what its answer comes in with. */
struct nat_tuple flow_outside(const struct nat_tuple *reply, uint8_t proto);
/* The key of a tuple of the flow's. */
struct flow_key flow_key_of(const struct flow *f, const struct nat_tuple *t);
/* The node's output, whose arrival was not found: did the node forward it all the same? */
bool flow_forwarded(const struct analysis *a, const struct feed_packet *q);
/* Both verdicts are filed: tells the caller. */
void flow_tell(struct analysis *a, uint32_t flow);
/* pass.c: a batch of packets through the core and to their flows. The label of a slot's next flow. */
uint32_t flow_slot_mask(size_t max_flows);
uint32_t flow_label(const struct analysis *a, uint32_t flow, uint32_t before);
void pass_batch(struct analysis *a, struct feed_packet *q, unsigned n);
/* notes.c: files it under its verdict and text, with a frame that shows it (0: none); a count of 0 means: one more */
void note_add(struct analysis *a, const struct note *n, uint64_t frame);
/* observed.c */
void observe_pairs(struct analysis *a, const struct flow *f); /* both ways: what is proved to be observable */
/* The model has judged it: what was observed, and where the two contradict each other, filed among `findings`. */
void observe_flow(struct analysis *a, struct findings *findings, struct flow *f);
uint32_t find_observed(const struct findings *findings, const struct flow *f); /* findings.n: there is none */
/* conclude.c: both verdicts of all flows, and what follows from them */
void conclude_flows(struct analysis *a);
/* judge.c: one more flow of a finding; the model's verdict on a flow, and what follows from it */
void finding_count(struct finding *g, const struct flow *f);
void judge_flow(struct analysis *a, uint32_t flow);
bool contradict(const struct flow *f); /* do the two verdicts? */
bool same_route(const struct route *a, const struct route *b);
/* mend.c */
void mend_findings(struct analysis *a);
/* reach.c: [ { from, to, verdict, works, translated, reason, at } ], by the machines' own addresses */
json_t *reachability_json(struct fabric *f, uint8_t family);
/* text.c: what a finding says in a sentence; buf is returned */
const char *finding_text(const struct analysis *a, const struct finding *g, char *buf, size_t size);
const char *mend_text(const struct analysis *a, const struct finding *g, char *buf, size_t size);
const char *ports_text(const struct analysis *a, uint64_t ports, char *buf, size_t size); /* names of a set of ports */
const char *port_text(const struct analysis *a, unsigned port); /* "": it has no name */

#endif
