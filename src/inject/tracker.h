/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which packets belong together, told packet by packet in the order of time, with what was seen before in bounded
 * memory: copies (join.c), and conversations with their answers, ICMP errors and fragments (relate.c).
 *
 * The caller gives what begins an even label (feed.h), and gets it back for what belongs to it.
 */
#ifndef INJECT_TRACKER_H
#define INJECT_TRACKER_H

#include <assert.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/inject/feed.h>
#include "inject.h"

/* ---- copies ---- */

/* What is kept of an arrived packet while it waits for its copy, or for pieces of it. */
struct waiting {
    uint64_t print, time_ns, mac; /* mac: of the sender; 0: not known */
    uint32_t from, end;     /* IPv4: bytes of the datagram that it carries */
    struct nat_tuple inside; /* IPv4: as inject_tuple */
    uint32_t label;
    uint32_t next, last;    /* chain (join.c); last: of the first one's */
    be16 id;
    uint16_t port;
    uint8_t ttl, proto, family;
    bool waits : 1;         /* no copy yet */
    bool learns : 1;        /* its copy shows how its conversation is translated (relate.c) */
} __attribute__((aligned(64)));
static_assert(sizeof(struct waiting) == 64, "a line of the cache");

struct joiner;
/* `room`: packets that wait at the same time (a power of two); older ones are forgotten. */
struct joiner *joiner_create(size_t room);
void joiner_destroy(struct joiner *j);
/* What a packet and its copy have in common; and fetching ahead what joiner_see will look at, in two steps. */
uint64_t joiner_print(const struct inject_packet *p);
void joiner_fetch(const struct joiner *j, uint64_t print);
void joiner_fetch_more(const struct joiner *j, uint64_t print);
/*
 * p->kind is ARRIVED, OWN or undecided before, and ARRIVED, OWN or COPY afterwards. Of a copy: what it is a copy of
 * (NULL: a further piece), valid until the next call, and *of is its label; else NULL.
 */
const struct waiting *joiner_see(struct joiner *j, struct inject_packet *p, uint64_t print, uint32_t *of);
/* The packet seen last arrived: its label, and whether its copy is to be learnt from. */
void joiner_name(struct joiner *j, uint32_t label, bool learns);

/* ---- conversations ---- */

struct book;
/* `most` entries at the same time, of which a conversation has one, or two with NAT (0: no limit); then those are
 * forgotten that were idle longest. */
struct book *book_create(size_t most);
void book_destroy(struct book *b);
/* Of a key, the same for both directions; and fetching ahead what is found by it, in two steps. */
uint64_t book_hash(const struct flow_key *k);
void book_fetch(const struct book *b, uint64_t hash);
void book_fetch_more(const struct book *b, uint64_t hash);
/* Where what begins next is entered: a number that no conversation has by now, and that it keeps until it is
 * forgotten. */
uint32_t book_next(struct book *b);
/*
 * An arrived packet, or the node's own ICMP error. Enters what begins a conversation, with this label. `hash`: of
 * p->key.
 */
void book_see(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label, struct relation *out);
/* The node's own packet that is no error: in a conversation like any other, but nothing is after it. */
void book_see_own(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label, struct relation *out);
/* What follows is another batch (relation.waits). */
void book_batch(struct book *b);
/*
 * A packet with `w->learns` left with the key `left`: the conversation goes on like that beyond NAT. True: it is a
 * translation of the source that was not known, with a number (from 0 on).
 */
bool book_learn(struct book *b, const struct waiting *w, const struct flow_key *left, struct nat_tuple *outside,
                uint32_t *mapping);

/* ---- both, batch by batch ---- */

struct batch;
struct tracker;
/* As feed_create. */
struct tracker *tracker_create(size_t conversations);
void tracker_destroy(struct tracker *t);
/* Of a packet that is related: book_hash and, where packets are joined, joiner_print. */
struct prints {
    uint64_t key, copy;
};
/* What each packet of a batch is by those before, and what it belongs to. */
void tracker_relate(struct tracker *t, struct batch *b);

#endif
