/* SPDX-License-Identifier: BSD-3-Clause */
/* See feed.h: what the front half (front.h) read and classified is joined and related. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "front.h"
#include "tracker.h"

#define WAITING (1u << 19)   /* packets that wait for their copies */

struct feed {
    struct front *front;          /* NULL: a thread has it */
    struct front_thread *thread;  /* NULL: none */
    struct batch *batch;          /* the front's own, or the thread's */
    struct joiner *joiner;        /* NULL as long as there is nothing to join */
    struct book *book, *inner;
    VEC(struct trace_interface) interfaces; /* their names are owned */
    struct feed_counts counts;
};

struct feed *feed_create(const struct feed_source *from, const struct control *c, uint32_t node,
                         const struct link_keys *keys, struct err *e) {
    struct front *front = front_create(from, c, node, keys, e);
    if (!front)
        return NULL;
    struct feed *f = xzalloc(1, sizeof *f);
    f->front = front;
    f->book = book_create();
    f->inner = book_create();
    return f;
}

void feed_run_ahead(struct feed *f) {
    f->thread = front_thread_start(f->front);
    if (f->thread)
        f->front = NULL;
}

void feed_destroy(struct feed *f) {
    if (!f)
        return;
    if (f->batch && !f->thread)
        batches_destroy(f->batch, 1);
    front_thread_stop(f->thread);
    front_destroy(f->front);
    joiner_destroy(f->joiner);
    book_destroy(f->book);
    book_destroy(f->inner);
    for (size_t i = 0; i < f->interfaces.n; i++)
        free((char *)f->interfaces.v[i].name);
    vec_free(&f->interfaces);
    free(f);
}

/* ---- one packet ---- */

static void learn(struct feed *f, const struct waiting *w, const struct flow_key *left) {
    struct nat_tuple outside;
    uint32_t number;
    book_learn(f->book, w, left, &outside, &number);
}

/* Which packets it belongs to. */
static void relate(struct feed *f, struct feed_packet *q, const struct prints *prints, uint32_t label) {
    struct inject_packet *p = &q->p;
    const struct waiting *w = NULL;
    if (f->joiner)
        w = joiner_see(f->joiner, p, prints->copy, label, &q->partner);
    else if (p->kind == KIND_UNDECIDED)
        p->kind = INJECT_ARRIVED;
    if (w) {
        q->first_copy = true;
        learn(f, w, &p->key);
    }
    if (p->kind == INJECT_ARRIVED || (p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR)) {
        book_see(f->book, p, prints->key, label, &q->relation);
        q->settle = label_is_pending(q->relation.after);
        bool forward = q->relation.after == LABEL_NONE && !(p->flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR));
        if (forward && p->kind == INJECT_ARRIVED && f->joiner)
            joiner_learns(f->joiner);
    } else if (p->kind == INJECT_OWN && !(p->flags & PACKET_FRAG_LATER)) {
        book_see_own(f->book, p, prints->key, label, &q->relation);
    }
}

/* Inside of a tunnel; a copy's is what the packet's own was. */
static void relate_inner(struct feed *f, struct feed_packet *q, const struct prints *prints, uint32_t label,
                         const struct feed_packet *outer) {
    if (outer->p.kind == INJECT_COPY) {
        q->p.kind = INJECT_ELSEWHERE;
        return;
    }
    q->p.kind = INJECT_ARRIVED;
    book_see(f->inner, &q->p, prints->key, label, &q->relation);
    q->p.kind = INJECT_INNER;
}

static void count(struct feed_counts *c, const struct inject_packet *p) {
    c->arrived += p->kind == INJECT_ARRIVED;
    c->copies += p->kind == INJECT_COPY;
    c->own += p->kind == INJECT_OWN;
    c->malformed += p->kind == INJECT_MALFORMED;
    c->ignored += p->kind == INJECT_IGNORED;
    c->elsewhere += p->kind == INJECT_ELSEWHERE;
    c->inner += p->kind == INJECT_INNER;
    if (p->kind == INJECT_MALFORMED || p->kind == INJECT_IGNORED)
        c->by_reason[p->reason]++;
}

/* ---- batches ---- */

/* What is looked at, in two steps. */
static void fetch(struct feed *f, const struct batch *b) {
    for (unsigned i = 0; i < b->n; i++) {
        if (i + FETCH_AHEAD < b->n)
            batch_fetch(&b->packets[i + FETCH_AHEAD]);
        if (!batch_relates(&b->packets[i]))
            continue;
        book_fetch(f->book, b->prints[i].key);
        if (f->joiner)
            joiner_fetch(f->joiner, b->prints[i].copy);
    }
    for (unsigned i = 0; i < b->n; i++) {
        if (!batch_relates(&b->packets[i]))
            continue;
        book_fetch_more(f->book, b->prints[i].key);
        if (f->joiner)
            joiner_fetch_more(f->joiner, b->prints[i].copy);
    }
}

static void relate_all(struct feed *f, struct batch *b) {
    const struct feed_packet *outer = NULL;
    for (unsigned i = 0; i < b->n; i++) {
        struct feed_packet *q = &b->packets[i];
        outer = q->depth ? outer : q;
        q->relation = (struct relation){.same = LABEL_NONE, .after = LABEL_NONE};
        q->partner = LABEL_NONE;
        q->first_copy = q->settle = false;
        if (q->p.kind == INJECT_INNER)
            relate_inner(f, q, &b->prints[i], label_pending(i), outer);
        else if (batch_relates(q))
            relate(f, q, &b->prints[i], label_pending(i));
        if (q == outer || outer->p.kind != INJECT_COPY)
            count(&f->counts, &q->p);
    }
}

static void take_over(struct feed *f, struct batch *b) {
    for (uint32_t i = 0; b->new_interfaces && i < b->n_new; i++)
        vec_push(&f->interfaces, b->new_interfaces[i]);
    free(b->new_interfaces);
    b->new_interfaces = NULL;
    if (b->joins && !f->joiner)
        f->joiner = joiner_create(WAITING);
    if (!f->counts.read && b->n)
        f->counts.epoch_ns = b->packets[0].raw.time_ns;
    f->counts.read += b->read;
    f->counts.bytes += b->bytes;
    f->counts.done = b->done;
    f->counts.total = b->total;
}

static struct batch *next_batch(struct feed *f) {
    if (f->thread)
        return front_thread_next(f->thread);
    if (!f->batch)
        f->batch = batches_create(1);
    front_fill(f->front, f->batch);
    return f->batch;
}

int feed_next(struct feed *f, struct feed_packet **out, struct err *e) {
    if (!f->batch || f->batch->code > 0) {
        f->batch = next_batch(f);
        take_over(f, f->batch);
        fetch(f, f->batch);
        relate_all(f, f->batch);
        *out = f->batch->packets;
        if (f->batch->n)
            return (int)f->batch->n;
    }
    if (f->batch->code < 0 && e)
        *e = f->batch->err;
    return f->batch->code;
}

void feed_name(struct feed *f, const uint32_t *names) {
    if (f->joiner)
        joiner_settle(f->joiner, names);
    book_settle(f->book, names);
    book_settle(f->inner, names);
}

uint32_t feed_find(const struct feed *f, const struct flow_key *key, bool inner) {
    return book_find(inner ? f->inner : f->book, key);
}

void feed_put(struct feed *f, const struct flow_key *key, bool inner, uint32_t label) {
    book_put(inner ? f->inner : f->book, key, label);
}

void feed_forget(struct feed *f, const struct flow_key *key, bool inner) {
    book_forget(inner ? f->inner : f->book, key);
}

const struct feed_counts *feed_count(const struct feed *f) {
    return &f->counts;
}

const struct trace_interface *feed_interfaces(const struct feed *f, uint32_t *n) {
    *n = (uint32_t)f->interfaces.n;
    return f->interfaces.v;
}

void feed_fill(struct feed_packet *from, struct packet *p) {
    *p = (struct packet){.data = (uint8_t *)from->raw.data, .len = from->raw.len, .wire_len = from->raw.wire_len,
                         .in_port = from->p.port, .out_port = PORT_NONE, .path = ROUTE_NONE};
    p->room = from->raw.data == from->bytes ? (uint16_t)(FEED_ROOM - from->raw.len) : 0;
    p->flags = from->p.flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM);
}

int feed_fit(const struct feed_packet *from, struct packet *p, const struct nat *nat) {
    if (!from->relation.answers || !nat)
        return 0;
    return inject_fit_inside(&from->p, from->relation.proto, &from->relation.inside, p, nat);
}
