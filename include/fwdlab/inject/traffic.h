/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a generator sends: the packets of a capture that arrived at the node under test, ready to be copied into buffers
 * at line rate, and changed as a benchmark needs them: other frame sizes (RFC 2544, 9; IMIX as RFC 6985), more flows
 * than the capture has, and flow churn.
 *
 * A trace is sent in laps. Where more sessions are wanted than it has flows, every flow is sent in `copies` copies that
 * differ in the initiator's port (ICMP: identifier); packet by packet, so that neighbours belong to different sessions,
 * and each flow keeps its order. With churn a share of the flows gets new ports in each lap (a new `generation`), the
 * others find their sessions again; copy 0 of a flow with ICMP errors or fragments never does. Copies and generations
 * of all flows take the ports from 1024 on that nothing in the capture uses; when these are used up, all ports with
 * last bytes of addresses that nothing in the capture has. So no two of them share a tuple until some 2^24 were used
 * (less 64512 for each last byte in the capture), and from then on only with what is long gone.
 *
 * A large route table costs nothing when all traffic goes to a few destinations. So responders can be spread over
 * routes: each copy of an IPv4 flow towards the Internet then talks to an address of its own, in all generations. What
 * is never copied keeps its addresses, and so does copy 0 of a flow with ICMP errors or fragments.
 *
 * A packet's place in the sequence is a `traffic_step`: which packet, which copy of its flow, in which lap. Steps are
 * enumerated by a cursor; every sending worker has one over the same traffic and takes the steps of its own flows.
 *
 * Answers that come in through NAT are addressed to the mapping that this run's NAT chose. It is not known before; so
 * who runs the core keeps a `traffic_slot` for each copy of a flow: traffic_learn() notes the mapping when a packet
 * left translated, traffic_fit() turns an answer to it. Both are a few loads and stores.
 */
#ifndef FWDLAB_INJECT_TRAFFIC_H
#define FWDLAB_INJECT_TRAFFIC_H

#include <fwdlab/inject/inject.h>

#define TRAFFIC_SIZES_MAX 16
#define TRAFFIC_NO_SLOT UINT32_MAX

struct traffic_options {
    /* Frame sizes with FCS, 64..2048 (64: 60 bytes in a buffer), used in turn packet by packet; n_sizes 0: as captured.
     * RFC 2544: one size; IMIX: 64 x 7, 570 x 4, 1518 x 1, spread. A header that does not fit makes a frame longer. */
    uint16_t sizes[TRAFFIC_SIZES_MAX];
    unsigned n_sizes;
    uint32_t sessions;  /* flows wanted at the same time, at least; 0: the capture's */
    double churn;       /* 0..1: share of the flows that is new in each lap */
    uint64_t seed;      /* spreads which flows are new when, and the responders */
    bool first_only;    /* only the first packet of each flow: for session set-up rates (RFC 9693) */
    /* Responders are spread, uniformly and by the seed, over the last `spread` routes of `table` (in the order of their
     * adding; IPv4, none a default route); 0: not. Whose? Those that the table reaches by a default route or by one of
     * these. The table must hold them already, and is not needed after the traffic was made. */
    const struct route_table *table;
    uint32_t spread;
};

struct traffic_packet {
    const uint8_t *data; /* as generation 0, copy 0 sends it */
    uint16_t len;        /* bytes in the buffer */
    uint32_t wire_len;
    uint16_t in_port;    /* of the node */
    uint16_t flags;      /* packet.flags that the caller of forward() sets */
    uint16_t l3, l4;
    uint8_t family, proto;
    bool answer;         /* comes in through NAT: to be fitted */
    bool from_initiator; /* else the initiator is its destination */
    bool reported;       /* ICMP error, fragment, or no ports: never copied nor renewed; copy 0 of each lap only */
    uint32_t flow;       /* 0..n_flows-1 */
    uint32_t after;      /* a burst must end before this packet if it holds this one of the same copy; UINT32_MAX */
    uint64_t time_ns;    /* after the lap's first packet, in the trace */
    uint64_t frame;      /* of the capture */
};

struct traffic {
    struct traffic_packet *packets;
    uint32_t n, n_flows, copies;
    uint32_t n_slots;      /* n_flows * copies */
    uint64_t lap_ns;       /* trace time from one lap's first packet to the next lap's: duration + 1 s (LAP_GAP) */
    uint64_t bytes;        /* wire bytes of all packets, once (L2 with FCS) */
    uint64_t cut, left_out; /* longer than a buffer's 2048 bytes; not sendable in the wanted form */
    struct traffic_options options;
    void *owner;
};

/* From the ARRIVED packets of `in`, which may be destroyed afterwards. NULL: nothing arrives, or -EINVAL options. */
struct traffic *traffic_create(const struct inject *in, const struct traffic_options *o, struct err *e);
void traffic_destroy(struct traffic *t);
/* "64", "64,512,1518", "imix", "trace" into sizes; -EINVAL. */
int traffic_sizes_parse(const char *text, struct traffic_options *o, struct err *e);

/* One packet to send. */
struct traffic_step {
    uint32_t packet, copy;
    uint32_t slot;         /* flow * copies + copy */
    uint32_t generation;   /* of this copy of the flow in this lap */
    uint64_t lap;
    uint64_t trace_ns;     /* after the very first packet: lap * lap_ns + packet's time */
    bool opens;            /* the burst that holds it may not hold what came before it (see `after`) */
};
struct traffic_cursor {
    const struct traffic *t;
    uint64_t lap;
    uint32_t packet, copy;
};
void traffic_begin(struct traffic_cursor *c, const struct traffic *t);
/* Always gives one: laps never end. */
void traffic_next(struct traffic_cursor *c, struct traffic_step *out);
/* Which of `workers` sends it: all packets of a copy of a flow the same one. */
static inline unsigned traffic_worker(const struct traffic_step *s, unsigned workers) {
    return workers == 1 ? 0 : (unsigned)(((uint64_t)(s->slot * 2654435761u) * workers) >> 32);
}
/* The bytes of a step into a buffer of at least packets[].len bytes, addresses, ports and checksums changed. */
void traffic_write(const struct traffic *t, const struct traffic_step *s, uint8_t *buffer);

/* The mapping of one copy of a flow; an array of n_slots of them, zeroed, belongs to whoever runs the core. */
struct traffic_slot {
    be32 addr;
    be16 port;
    uint16_t known;
};
/*
 * To be called with every forwarded packet that NAT changed (PACKET_SRC_CHANGED or PACKET_DST_CHANGED: what comes in
 * through a port map gets another source only when it must), with others too if that is easier. What does not show the
 * flow's mapping is passed over: answers, errors, later fragments.
 */
static inline void traffic_learn(struct traffic_slot *slot, const struct packet *p) {
    if (!(p->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED)) ||
        p->flags & (PACKET_ICMP_ERROR | PACKET_FRAG_LATER | PACKET_REPLY))
        return;
    if (slot->known && slot->addr == p->src && slot->port == p->sport)
        return; /* nothing new: other workers' slots stand in the same cache line */
    slot->addr = p->src;
    slot->port = p->sport;
    slot->known = 1;
}
/*
 * Addresses an answer (IPv4) to the mapping: changes buffer and checksums. Of *p it looks at len, l3, l4, family and
 * proto. False: not known yet, and nothing changed.
 */
bool traffic_fit(const struct traffic_slot *slot, const struct traffic_packet *p, uint8_t *buffer);

/*
 * A trace of any length, streamed: chunks of traffic one after the other, read ahead by a thread of its own. In memory
 * are at most three (the two given last, and the next one) and what tells how packets belong together: 5000 packets
 * around the chunk, and the beginnings of the 32768 conversations seen last, at least. A chunk comes from
 * `chunk_packets` captured packets (0: 131072), the last one from up to 1024 more. Options must ask for no more
 * sessions, no churn and no spread. All chunks have the same n_slots, 2^18, which are used again in turn when
 * there are more flows. Times are those of the whole trace, in lap 0.
 */
struct traffic_stream;
struct traffic_stream *traffic_stream_open(const char *path, const struct control *c, uint32_t node,
                                           const struct traffic_options *o, uint32_t chunk_packets, struct err *e);
/*
 * The next chunk, never empty; it is valid until the next but one is asked for. NULL at the end or on an error (*e says
 * which, e->what[0] == 0: the end). Never waits for the disk unless the reader is behind (*waited_ns says how long).
 */
const struct traffic *traffic_stream_next(struct traffic_stream *s, uint64_t *waited_ns, struct err *e);
/* After the end: as trace_damage, NULL when the trace is undamaged. */
const char *traffic_stream_damage(const struct traffic_stream *s);
void traffic_stream_close(struct traffic_stream *s);

#endif
