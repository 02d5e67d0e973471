/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture as it meets the node, in batches and in bounded memory: what inject.h says of a whole trace, told packet by
 * packet. Packets that belong together are told by labels, which are the caller's names for flows and their directions.
 */
#ifndef FWDLAB_INJECT_FEED_H
#define FWDLAB_INJECT_FEED_H

#include <fwdlab/inject/inject.h>
#include <fwdlab/trace/link.h>
#include <fwdlab/trace/many.h>

/* Where packets come from, in the order of time: trace_many, a trace in memory. */
struct feed_source {
    void *of;
    int (*read)(void *of, const struct trace_packet **out, struct err *e); /* as trace_many_read_run */
    const struct trace_interface *(*interfaces)(const void *of, uint32_t *n);
    const char *(*damage)(const void *of); /* as trace_damage */
    void (*progress)(const void *of, uint64_t *done, uint64_t *total); /* as in feed_counts; NULL: not known */
};
/* A whole trace, which is put into the order of time. */
struct feed_memory {
    struct trace_memory *trace;
    size_t at;
};
struct feed_source feed_memory(struct feed_memory *m);
struct feed_source feed_many(struct trace_many *m);

/*
 * A label is even for the direction in which something was first seen, and one more for the other one. Labels of a
 * batch's own packets are pending until the caller gave their names.
 */
#define LABEL_NONE UINT32_MAX
#define LABEL_PENDING 0x80000000u

static inline uint32_t label_pending(uint32_t number) {
    return LABEL_PENDING | number << 1;
}
static inline bool label_is_pending(uint32_t label) {
    return label != LABEL_NONE && label & LABEL_PENDING;
}
static inline uint32_t label_flip(uint32_t label) {
    return label == LABEL_NONE ? label : label ^ 1;
}
/* What it stands for, by the names of the batch's packets. */
static inline uint32_t label_settle(uint32_t label, const uint32_t *names) {
    if (!label_is_pending(label))
        return label;
    const uint32_t name = names[(label & ~LABEL_PENDING) >> 1];
    return label & 1 ? label_flip(name) : name;
}

struct relation {
    uint32_t same;    /* of the packet that began this conversation, in this one's direction; LABEL_NONE */
    uint32_t after;   /* of what this one answers, reports on (ICMP error) or belongs to (later fragment) */
    bool answers;     /* a translation: `inside` is what it was before */
    uint8_t proto;    /* of the translation */
    struct nat_tuple inside;
    uint32_t mapping; /* its number */
};

#define FEED_BATCH 64
#define FEED_ROOM 256 /* bytes of a packet that are kept; DHCP messages are kept whole */
#define FEED_MOST (FEED_BATCH + LINK_LAYERS_MAX)

struct feed_packet {
    struct trace_packet raw;
    struct inject_packet p; /* its `raw` is the one above; of `partner`, `answer` and `after` see below */
    uint8_t mac[12];
    uint8_t depth;          /* tunnels around it: 0 is what the node sees */
    bool first_copy;        /* COPY: whole, or the first piece */
    bool settle;            /* what came before it must have gone through the core */
    uint32_t partner;       /* COPY: label of the packet that arrived */
    struct relation relation;
    uint8_t bytes[FEED_ROOM] __attribute__((aligned(64)));
    char tunnel[64];        /* which, for the innermost ones: "vxlan 42"; with a depth only */
};

struct feed_counts {
    uint64_t read, arrived, copies, own, malformed, ignored, elsewhere, inner; /* inner: not in `read` */
    uint64_t by_reason[DROP_COUNT]; /* malformed and ignored */
    uint64_t bytes;                 /* on the wire, of those read */
    uint64_t epoch_ns;              /* time of the first packet */
    uint64_t done, total;           /* bytes of the source, so far and in all; total 0: not known */
};

struct feed;
/* `c` NULL: without a scenario. `keys` may be NULL; borrowed. Reads what it must to know the interfaces. */
struct feed *feed_create(const struct feed_source *from, const struct control *c, uint32_t node,
                         const struct link_keys *keys, struct err *e);
void feed_destroy(struct feed *f);
/*
 * From now on packets are read and classified in a thread of its own, some batches ahead; what feed_next gives is the
 * same. Until feed_destroy the source, the scenario and the keys are that thread's, too: the source must not be touched.
 * Where there is no thread to be had it stays as it was. Before the first feed_next.
 */
void feed_run_ahead(struct feed *f);
/*
 * The next packets, at most FEED_MOST: how many; 0 at the end; -errno: nothing can be read, or no interface is a NIC of
 * the node. They are valid until the next call.
 */
int feed_next(struct feed *f, struct feed_packet **out, struct err *e);
/* The names of the packets that feed_next gave: label_pending(i) was packet i. To be called before the next batch. */
void feed_name(struct feed *f, const uint32_t *names);
/* The label of a key's conversation, in the key's direction; LABEL_NONE. `inner`: inside of tunnels. */
uint32_t feed_find(const struct feed *f, const struct flow_key *key, bool inner);
/* Gives the conversation this label; forgets it. Not while labels are pending. */
void feed_put(struct feed *f, const struct flow_key *key, bool inner, uint32_t label);
void feed_forget(struct feed *f, const struct flow_key *key, bool inner);
const struct feed_counts *feed_count(const struct feed *f);
/* Those that the packets so far may name; their counts are not kept. Valid until the next call of feed_next. */
const struct trace_interface *feed_interfaces(const struct feed *f, uint32_t *n);

/* The core's packet of an arrived one, over its own bytes: sets all that forward() wants. */
void feed_fill(struct feed_packet *from, struct packet *p);
/* As inject_fit. */
int feed_fit(const struct feed_packet *from, struct packet *p, const struct nat *nat);

#endif
