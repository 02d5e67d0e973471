/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a capture to a node's ports. Says of each captured packet whether it arrived at the node, is the node's own
 * output (a copy of something that arrived, or sent by the node itself), or is not the node's business; joins the
 * copies; and learns the translation that the captured NAT used, so that an answer can be rewritten to the one that the
 * core chose in this run.
 */
#ifndef FWDLAB_INJECT_INJECT_H
#define FWDLAB_INJECT_INJECT_H

#include <fwdlab/fabric/fabric.h>
#include <fwdlab/trace/trace.h>

enum inject_kind {
    INJECT_ARRIVED,   /* goes into the core */
    INJECT_COPY,      /* the node's output: an arrived packet, seen again as it left */
    INJECT_OWN,       /* the node's output that did not arrive before: it sent this itself */
    INJECT_MALFORMED, /* refused by parse: `reason` */
    INJECT_IGNORED,   /* `reason` (arp, ipv6, ...) */
    INJECT_ELSEWHERE, /* on an interface that is no NIC of this node, or a link type that is not handled */
    INJECT_INNER,     /* feed.h: inside of a tunnel */
};

#define INJECT_NONE UINT32_MAX

struct inject_packet {
    const struct trace_packet *raw;
    const uint8_t *mac;  /* Ethernet addresses, destination and source; NULL: none */
    uint8_t kind;        /* enum inject_kind */
    uint8_t reason;      /* enum drop */
    uint16_t port;       /* of the node; without a scenario: the capture's interface */
    uint32_t partner;    /* ARRIVED: its copy; COPY: the packet that arrived; index in `packets`, INJECT_NONE */
    uint32_t answer;     /* ARRIVED: index in `mappings` whose translation this one answers; INJECT_NONE */
    uint32_t after;      /* first packet (with NAT: that was translated) of the conversation that this one answers or
                            reports on (ICMP error), or first fragment of its datagram; a burst must end before this
                            one if it holds that one; INJECT_NONE */
    uint16_t l3, l4;     /* offsets */
    uint16_t flags;      /* packet.flags as parsed, caller's flags included */
    struct flow_key key; /* as captured */
};

/* A translation that the captured NAT used. */
struct inject_mapping {
    uint8_t proto;
    struct nat_tuple inside;  /* as it arrived */
    struct nat_tuple outside; /* as it left */
    uint32_t first;           /* index of the packet that arrived */
};

struct inject {
    struct trace_memory *trace; /* owned */
    struct inject_packet *packets; /* one for each of the trace, in time order (stable) */
    uint32_t n;
    VEC(struct inject_mapping) mappings;
    uint64_t arrived, copies, own, malformed, ignored, elsewhere;
    uint64_t by_reason[DROP_COUNT]; /* malformed and ignored */
    uint64_t epoch_ns;              /* time of the first packet */
};

/*
 * Takes the trace over. `c` NULL: without a scenario (every interface is a port, the first sight of a packet is its
 * arrival). An error when a scenario maps none of the capture's interfaces to a NIC of the node: says which there are.
 */
struct inject *inject_create(struct trace_memory *trace, const struct control *c, uint32_t node, struct err *e);
void inject_destroy(struct inject *in);

/*
 * Makes the core's packet of an arrived one in the caller's memory: copies min(len, room) bytes to `data` and sets all
 * that forward() wants; wire_len is the captured packet's.
 */
void inject_fill(const struct inject *in, uint32_t i, struct packet *p, uint8_t *data, uint32_t room);
/*
 * If packet i answers a translation, rewrites its destination to the mapping that `nat` holds now for the same flow.
 * 1: rewritten (or the same already), 0: no answer, -1: an answer whose flow `nat` does not know.
 */
int inject_fit(const struct inject *in, uint32_t i, struct packet *p, const struct nat *nat);

/* What became of one arrived packet. */
struct inject_verdict {
    uint64_t frame;
    uint8_t verdict, reason;   /* enum verdict, enum drop */
    uint16_t in_port, out_port;
    struct flow_key key;       /* as it left, or ended */
    uint8_t fragments;         /* FORWARD: in how many pieces it left; 1: whole */
    bool error;                /* DROP: the node told the sender, by this ICMP or ICMPv6 error: */
    uint8_t error_type, error_code;
    uint16_t error_port;       /* PORT_NONE: it found no way */
};
/*
 * Notes what forward() made of a packet, and does what else the node owes: the ICMP error about a dropped one, sent as
 * the node's own. Call it for each packet of a burst, in their order, before the bytes are used again.
 */
void inject_settle(struct node *node, const struct packet *p, uint64_t frame, uint64_t now, struct inject_verdict *v);

/*
 * Takes the next packet that the node held and that is due into `data` (node_take_due), and passes it through forward();
 * it is settled like any other, and its verdict takes the place of VERDICT_HELD. False: there is none. To be called
 * until then, after each burst.
 */
bool inject_pass_due(struct node *node, struct packet *p, uint8_t *data, uint16_t room, uint64_t now);

/* Source and destination swapped; ICMP: identifier and type stay. */
struct flow_key flow_key_reverse(const struct flow_key *k);

/* Nanoseconds since the first packet. */
static inline uint64_t inject_time(const struct inject *in, uint32_t i) {
    return in->packets[i].raw->time_ns - in->epoch_ns;
}
/*
 * The core's clock: trace time in whole ticks, so that a burst within one has one time, whoever forms it. What has a
 * time is a tick off at most: a session may end that much before its idle time was over (RFC 4787 REQ-5, RFC 5382
 * REQ-5), or after it, and rates of ICMP errors are those of whole ticks.
 */
#define INJECT_TICK_NS 10000000ull
static inline uint64_t inject_clock(const struct inject *in, uint32_t i) {
    return inject_time(in, i) / INJECT_TICK_NS * INJECT_TICK_NS;
}

#endif
