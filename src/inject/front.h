/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front half of a feed: reads packets, says what each is by its own bytes and to what it belongs (tracker.h), and
 * keeps of it what the caller needs. The caller tells it nothing, so it may run ahead in a thread of its own
 * (front_thread.c), of which the caller then takes a part of the work when it is the one that has time.
 */
#ifndef INJECT_FRONT_H
#define INJECT_FRONT_H

#include <stddef.h>
#include <fwdlab/inject/feed.h>
#include "tracker.h"

#define FRONT_LONG 1600 /* bytes of a packet that are kept where FEED_ROOM is not enough */

struct batch {
    unsigned n;
    int code;                    /* 1: there may be more; 0: the end; -errno: as `err` says */
    struct err err;
    struct feed_counts counts;   /* with this one */
    bool joins;                  /* packets may be there twice */
    struct trace_interface *new_interfaces; /* since the batch before; owned, as are their names */
    uint32_t n_new;
    struct prints prints[FEED_MOST];
    struct feed_packet packets[FEED_MOST];
    uint8_t long_bytes[FEED_MOST][FRONT_LONG];
};

struct front;
/* As feed_create. */
struct front *front_create(const struct feed_source *from, const struct control *c, uint32_t node,
                           const struct link_keys *keys, size_t conversations, struct err *e);
void front_destroy(struct front *f);
/* The next FEED_BATCH packets, and what is in their tunnels; fewer at the end, and where an interface comes up. */
void front_fill(struct front *f, struct batch *b);
/* Second step: what the batch's packets belong to. In the order of batches; besides that, from whatever thread. */
void front_relate(struct front *f, struct batch *b);
/* From another thread: ends front_fill at its next packet. */
void front_stop(struct front *f);
/* Empty ones, in lines of the cache; and with what they own besides themselves. */
struct batch *batches_create(unsigned n);
void batches_destroy(struct batch *b, unsigned n);
/* What every packet has, to be written: no other CPU keeps it. (Compilers do that for certain CPUs only; where it is
 * not known nothing happens.) */
static inline void batch_claim(struct feed_packet *q) {
    for (unsigned at = 0; at < offsetof(struct feed_packet, bytes) + 64; at += 64)
#ifdef __x86_64__
        __asm__ volatile("prefetchw %0" : : "m"(((uint8_t *)q)[at]));
#else
        __builtin_prefetch((uint8_t *)q + at, 1);
#endif
}
/* Is the packet to be related to others? */
bool batch_relates(const struct feed_packet *q);

/* A front in a thread of its own, some batches ahead. Takes the front over; NULL: there is no thread to be had. */
struct front_thread;
struct front_thread *front_thread_start(struct front *f);
/* The next batch; the one before is given back by it. Not after the batch whose code is not 1. */
struct batch *front_thread_next(struct front_thread *t);
/* The one after the latest that was given, if it is there already; else NULL. */
const struct batch *front_thread_peek(const struct front_thread *t);
/* Ends the thread, wherever it is, and the front. */
void front_thread_stop(struct front_thread *t);

#endif
