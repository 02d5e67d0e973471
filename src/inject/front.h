/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front half of a feed: reads packets, says what each is by its own bytes, and keeps of it what the other half and
 * the caller need. It knows nothing of the packets before, so it may run ahead in a thread of its own (front_thread.c).
 */
#ifndef INJECT_FRONT_H
#define INJECT_FRONT_H

#include <stddef.h>
#include <fwdlab/inject/feed.h>

#define FRONT_LONG 1600 /* bytes of a packet that are kept where FEED_ROOM is not enough */

struct batch {
    unsigned n;
    int code;                    /* 1: there may be more; 0: the end; -errno: as `err` says */
    struct err err;
    uint64_t read, bytes;        /* packets of the source, without those in tunnels; on the wire */
    uint64_t done, total;        /* of the source, afterwards (feed_counts) */
    struct trace_interface *new_interfaces; /* since the batch before; owned, as are their names */
    uint32_t n_new;
    bool joins;                  /* packets may be there twice, as they came and as they left */
    struct feed_packet packets[FEED_MOST];
    struct prints {
        uint64_t key, copy;      /* book_hash, joiner_print: of those that are to be related; copy: where `joins` */
    } prints[FEED_MOST];
    uint8_t long_bytes[FEED_MOST][FRONT_LONG];
};

struct front;
/* As feed_create. */
struct front *front_create(const struct feed_source *from, const struct control *c, uint32_t node,
                           const struct link_keys *keys, struct err *e);
void front_destroy(struct front *f);
/* The next FEED_BATCH packets, and what is in their tunnels; fewer at the end, and where an interface comes up. */
void front_fill(struct front *f, struct batch *b);
/* From another thread: ends front_fill at its next packet. */
void front_stop(struct front *f);
/* Empty ones, in lines of the cache; and with what they own besides themselves. */
struct batch *batches_create(unsigned n);
void batches_destroy(struct batch *b, unsigned n);
/* What is looked at of every packet, some packets ahead: it may be in another CPU's cache. */
#define FETCH_AHEAD 4
static inline void batch_fetch(const struct feed_packet *q) {
    for (unsigned at = 0; at < offsetof(struct feed_packet, bytes) + 128; at += 64)
        __builtin_prefetch((const uint8_t *)q + at);
}
/* Is the packet to be related to others? */
bool batch_relates(const struct feed_packet *q);

/* A front in a thread of its own, some batches ahead. Takes the front over; NULL: there is no thread to be had. */
struct front_thread;
struct front_thread *front_thread_start(struct front *f);
/* The next batch; the one before is given back by it. Not after the batch whose code is not 1. */
struct batch *front_thread_next(struct front_thread *t);
/* Ends the thread, wherever it is, and the front. */
void front_thread_stop(struct front_thread *t);

#endif
