/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What if the node were another scenario's? The packets that arrived go through that node, too, in the same pass: over
 * bytes of their own, with answers fitted to its own NAT. Verdicts are compared packet by packet (whatif.c), and the
 * model's judgements flow by flow (whatif_flow.c). What the variant would have made other machines send is not there:
 * those packets were never captured.
 */
#ifndef ANALYZE_WHATIF_H
#define ANALYZE_WHATIF_H

#include "analyze.h"

/* What a node made of a packet. Ports are the first scenario's; those that only the variant has come behind them. */
struct outcome {
    uint8_t verdict, reason; /* enum verdict; NONE: it arrived by a NIC that the variant does not have. enum drop */
    bool translated;
    uint16_t port;           /* FORWARD */
    struct ip via;           /* FORWARD: the next hop; FAMILY_NONE: on link */
    struct ip src, dst;      /* FORWARD: as it left */
};

/* Packets whose outcome changes in the same way. */
struct packet_change {
    struct outcome from, to;
    bool readdressed;        /* leaves the same way, but with other addresses */
    uint64_t count, bytes;   /* bytes from the IP header on */
    struct flow_key flow;    /* of the first one, as it arrived */
    uint64_t frame;
};

/* Where a flow's way in the variant first differs from that in the first scenario, there or back. */
struct parting {
    const struct control_node *node; /* the variant's; NULL: nowhere */
    struct route route;      /* that won there; prefix.addr.family FAMILY_NONE: none did */
    uint8_t reason;          /* enum drop, when it is refused there: */
    uint32_t nic;            /* at the edge of this NIC of the variant's scenario; INDEX_NONE */
};

/* Flows whose judgement changes in the same way, because of the same route. */
struct flow_change {
    struct judgement from, to;
    struct parting parting;
    uint32_t count;
    uint64_t packets, bytes;
    struct flow_key flow;
    unsigned n_frames;
    uint64_t frames[FINDING_FRAMES];
};

/* A packet that a NAT holds (VERDICT_HELD): compared when both nodes have decided. */
struct undecided {
    struct packet_change is;
    uint64_t tag[2];
};
struct decided {
    unsigned side;           /* 0 the first scenario, 1 the variant */
    uint64_t tag;
    struct outcome outcome;
};

struct whatif {
    const struct control *control;
    const struct control_node *before, *node;
    struct fabric *fabric;
    uint16_t *in, *out;      /* the variant's port of one of the first scenario's, PORT_NONE; and the other way round */
    uint8_t *bytes;          /* of a batch's packets */
    struct outcome *after;   /* the variant's, of each packet of a batch */
    uint64_t tags;
    VEC(struct undecided) undecided;
    VEC(struct decided) decided;

    uint64_t same_packets, forwarded, delivered, drops[DROP_COUNT], answers_unmatched;
    VEC(struct packet_change) packets;
    size_t last;             /* the latest one of them */
    uint64_t same_flows, mended, broken, model[MODEL_COUNT];
    VEC(struct flow_change) flows;
};

struct whatif *whatif_create(const struct analysis_what_if *o, const struct control_node *before);
void whatif_destroy(struct whatif *w);
/* A batch through the variant's node; to be called before the core changes the packets' bytes. */
void whatif_run(struct analysis *a, struct feed_packet *q, unsigned n);
/* And afterwards: what the core made of the arrived ones of the same batch. */
void whatif_compare(struct analysis *a, const struct feed_packet *q, unsigned n, const struct packet *core);
/* A packet that the core held has its verdict now. */
void whatif_released(struct whatif *w, const struct node *node, const struct packet *p, unsigned side);
/* After the last packet: what is still held stays so. */
void whatif_finish(struct whatif *w);
/* A flow is done, and this is the first scenario's judgement on it. */
void whatif_flow(struct analysis *a, const struct flow *f, const struct judgement *before);
json_t *whatif_json(const struct analysis *a);
/* whatif_flow.c: { same, changed: [...], model: { verdict: n } } */
json_t *whatif_flows_json(const struct analysis *a);

#endif
