/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes joined by links: the walk of a packet from its sender to where it ends, the walk of its answer, and the model's
 * verdict on the two. Every node is the core's; the fabric adds what happens between nodes: whose address a next hop
 * is, and what the platform refuses at the edge of a NIC whose IP forwarding is off. Both families.
 *
 * Each judgement starts with empty NAT and flow tables: the fabric's nodes are a model, not the node that a trace is
 * injected into.
 */
#ifndef FWDLAB_FABRIC_FABRIC_H
#define FWDLAB_FABRIC_FABRIC_H

#include <fwdlab/control/control.h>

#define WALK_HOPS_MAX 32

struct hop {
    uint32_t node;         /* index in control.nodes */
    uint16_t in, out;      /* ports of that node; PORT_NONE: began or ended here. denied-out: where it was to leave */
    uint8_t verdict;       /* enum verdict: DELIVER ends the walk well, DROP ends it */
    uint8_t reason;        /* enum drop */
    bool edge;             /* the platform's delivery at the NIC's own subnet: no routing decision */
    uint32_t nic;          /* the NIC at whose edge the platform or a security group refused it; INDEX_NONE */
    uint32_t route;        /* index in the routes of the node's table: the winner; ROUTE_NONE */
    uint32_t table;        /* which table (control_table); 0: the main one */
    struct flow_key key;   /* the packet's, as it left this node */
};
struct walk {
    unsigned n;
    uint16_t mtu;          /* the smallest of the ports by which it left nodes, bytes of an IP packet; 0: none */
    struct hop hops[WALK_HOPS_MAX];
};
static inline const struct hop *walk_end(const struct walk *w) { return &w->hops[w->n - 1]; }
/* The route that won at a hop, in the table of its family; NULL when none did. Valid until the node's routes change. */
const struct route *hop_route(const struct control *c, const struct hop *h);

enum model_verdict { MODEL_SYMMETRIC, MODEL_ASYM_BENIGN, MODEL_ASYM_POSSIBLE, MODEL_ASYM_BREAKS, MODEL_NO_RETURN_ROUTE,
                     MODEL_RPF_DROP, MODEL_DROPPED, MODEL_UNMODELLED, MODEL_COUNT };
const char *model_verdict_name(enum model_verdict v); /* symmetric, asym_benign, ... */

struct judgement {
    enum model_verdict verdict;
    uint8_t reason;          /* enum drop of what was lost, there or back; DROP_NONE */
    bool lost_on_return;     /* the packet arrived, its answer was lost */
    bool works;              /* the initiator gets an answer that he takes for one */
    bool translated;         /* some node changed addresses or ports on the way there: nat_node */
    uint32_t cause_node;     /* where the answer leaves the mirror of the way there; DROPPED: where; INDEX_NONE */
    uint32_t cause_nic;      /* scenario NIC whose edge refused it (IP forwarding off, denied); INDEX_NONE */
    uint32_t nat_node;       /* the first that translated; INDEX_NONE */
    struct route nat_route;  /* and the route that led there: who meant to be untranslated has to change it */
    bool told;               /* who sent what is lost, there or back, or else what is longer than `mtu`, is told so: an
                                ICMP error is made and reaches him, or his own host says it */
    uint16_t mtu;            /* the smallest MTU on the way there or back that is under its sender's own; 0: none. Works
                                and is not told: a path MTU black hole */
    double probability;      /* ASYM_POSSIBLE: share of ECMP choices that break the flow or bend its way back */
    struct route cause_route; /* the route that won there; prefix.addr.family FAMILY_NONE: none did */
    uint32_t cause_table;    /* in which of the node's tables (control_table) */
    uint16_t mend_port;      /* port of cause_node that the answer should have left by; PORT_NONE: unknown */
    struct ip mend_via;      /* and the neighbour it should have gone to */
    struct ip far;           /* the answer's destination as cause_node saw it */
};

struct fabric;

/* The control (and through it the scenario) must outlive the fabric and is changed by fabric_apply. */
struct fabric *fabric_create(struct control *c);
void fabric_destroy(struct fabric *f);
struct control *fabric_control(const struct fabric *f);

/*
 * Walks one packet from `node`: it is sent by the node itself, or, with in_port not PORT_NONE, arrives there.
 * NAT sessions and flows of filters are kept from earlier walks until fabric_forget.
 */
void fabric_walk(struct fabric *f, uint32_t node, uint16_t in_port, const struct flow_key *key, struct walk *out);
void fabric_forget(struct fabric *f);

/* The node that owns an address as a machine or gateway; INDEX_NONE. */
uint32_t fabric_owner(const struct fabric *f, const struct ip *addr);

/*
 * The model's verdict on a flow, named as its initiator sends it (ICMP: id as sport, type as dport). `there` and `back`
 * may be NULL; for ASYM_POSSIBLE they are those of a choice that differs. An answer that a security group denies where
 * it would leave the mirror of the way there is ASYM_BREAKS: the group would have known the flow at the other NIC, the
 * route is to blame. UNMODELLED: nobody's source, multicast, IPv6 in a scenario that has none.
 */
void fabric_judge(struct fabric *f, const struct flow_key *flow, struct judgement *out, struct walk *there,
                  struct walk *back);
/*
 * The same for many flows: those that nothing on their way can tell apart are judged once, until tables change. Valid
 * until the next call.
 */
const struct judgement *fabric_judge_cached(struct fabric *f, const struct flow_key *flow);
/*
 * The same; *mark: a word of the caller's that all flows judged together share, 0 at first; NULL: this one is judged
 * alone. They have in common all of the judgement but for `far`, which declared place that is in, and who owns their
 * ends.
 */
const struct judgement *fabric_judge_marked(struct fabric *f, const struct flow_key *flow, uint32_t **mark);

enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_REPLACE, CHANGE_ASSOCIATE };
const char *change_kind_name(enum change_kind k);
struct change {
    uint8_t kind;
    uint32_t node;
    struct route route;  /* what is added, removed, or put in place of `old` */
    struct route old;    /* REPLACE */
    uint32_t table;      /* the node's (control_table). ASSOCIATE: the scenario's route table; the node is a gateway */
};
/* Changes the model's tables; -errno when it cannot be done (then nothing changed).
 * fabric_revert undoes the last apply. */
int fabric_apply(struct fabric *f, const struct change *c);
void fabric_revert(struct fabric *f);

/* Candidate mends of a judgement in the order in which they are to be tried; returns how many (cap at most). */
unsigned fabric_mends(const struct fabric *f, const struct judgement *j, struct change *out, unsigned cap);

/*
 * The longest declared prefix that holds an address, among subnets; else among sites; else among the networks of
 * switches; else among what route tables lead to appliances. FAMILY_NONE when none does.
 */
struct ip_prefix fabric_declared(const struct fabric *f, const struct ip *addr);

#endif
