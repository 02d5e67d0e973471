/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture as it meets the node, in batches and in bounded memory: what inject.h says of a whole trace, told packet by
 * packet. Packets that belong together are told by labels of their conversations.
 */
#ifndef FWDLAB_INJECT_FEED_H
#define FWDLAB_INJECT_FEED_H

#include <stddef.h>
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
 * A conversation's label: its number, doubled, and one more in the direction that did not begin it. Numbers are given
 * again when what had them is forgotten.
 */
#define LABEL_NONE UINT32_MAX

static inline uint32_t label_flip(uint32_t label) {
    return label == LABEL_NONE ? label : label ^ 1;
}

struct relation {
    uint32_t label;   /* of its conversation, in its own direction; later fragment: as its first one; ICMP error: of
                         what it is about, in that one's direction; COPY: that of the packet that arrived, if that is
                         no ICMP error; LABEL_NONE: none */
    bool begins;      /* the conversation begins: what had its number before is forgotten */
    bool replies;     /* the other direction began it */
    bool waits;       /* what it answers, is about or belongs to is in the same batch, and goes first into the core */
    bool answers;     /* a translation: `inside` is what it was before */
    uint8_t proto;    /* of the translation */
    struct nat_tuple inside;
    uint32_t mapping; /* its number */
    uint32_t first;   /* what this one is after, by the labels that packets bring to the book (tracker.h): the packet
                         that began the conversation, or was the first that NAT changed, or the first fragment */
};

#define FEED_BATCH 64
#define FEED_ROOM 128 /* bytes of a packet that are kept: its headers; DHCP messages and ICMP errors are kept whole */
#define FEED_MOST (FEED_BATCH + LINK_LAYERS_MAX)

struct feed_packet {
    struct trace_packet raw;
    struct inject_packet p; /* its `raw` is the one above; `partner`, `answer` and `after` are told by `relation` */
    uint8_t mac[12];
    uint8_t depth;          /* tunnels around it: 0 is what the node sees */
    bool first_copy;        /* COPY: whole, or the first piece */
    struct relation relation; /* inside of tunnels numbers are those of other conversations */
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
/*
 * `c` NULL: without a scenario. `keys` may be NULL; borrowed. `conversations` are known at the same time (0: all), and
 * as many inside of tunnels. Reads what it must to know the interfaces.
 */
struct feed *feed_create(const struct feed_source *from, const struct control *c, uint32_t node,
                         const struct link_keys *keys, size_t conversations, struct err *e);
void feed_destroy(struct feed *f);
/*
 * From now on packets are read, classified and related in a thread of its own, some batches ahead; what feed_next
 * gives is the same. Until feed_destroy the source, the scenario and the keys are that thread's, too: the source must
 * not be touched. Where there is no thread to be had it stays as it was. Before the first feed_next.
 */
void feed_run_ahead(struct feed *f);
/*
 * The next packets, at most FEED_MOST: how many; 0 at the end; -errno: nothing can be read, or no interface is a NIC of
 * the node. They are valid until the next call.
 */
int feed_next(struct feed *f, struct feed_packet **out, struct err *e);
/*
 * The packets of the next batch where the thread of feed_run_ahead has them already; else NULL. Not to be looked at,
 * but to be fetched (feed_fetch) while there are others to be worked on: they are in another CPU's cache.
 */
const struct feed_packet *feed_peek(const struct feed *f);
static inline void feed_fetch(const struct feed_packet *q) {
    for (unsigned at = 0; at < offsetof(struct feed_packet, bytes) + 64; at += 64)
        __builtin_prefetch((const uint8_t *)q + at, 0, 2);
}
const struct feed_counts *feed_count(const struct feed *f);
/* Those that the packets so far may name; their counts are not kept. Valid until the next call of feed_next. */
const struct trace_interface *feed_interfaces(const struct feed *f, uint32_t *n);

/* The core's packet of an arrived one, over its own bytes: sets all that forward() wants. */
void feed_fill(struct feed_packet *from, struct packet *p);
/* As inject_fit. */
int feed_fit(const struct feed_packet *from, struct packet *p, const struct nat *nat);

#endif
