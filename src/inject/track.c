/* SPDX-License-Identifier: BSD-3-Clause */
/* See tracker.h: copies are joined, and what is left is put to its conversation. */
#include <stdlib.h>
#include "front.h"
#include "tracker.h"

#define WAITING (1u << 19)   /* packets that wait for their copies */

struct tracker {
    struct joiner *joiner;       /* NULL as long as there is nothing to join */
    struct book *book, *inner;   /* inner: inside of tunnels */
};

struct tracker *tracker_create(size_t conversations) {
    struct tracker *t = xzalloc(1, sizeof *t);
    t->book = book_create(2 * conversations);
    t->inner = book_create(2 * conversations);
    return t;
}

void tracker_destroy(struct tracker *t) {
    if (!t)
        return;
    joiner_destroy(t->joiner);
    book_destroy(t->book);
    book_destroy(t->inner);
    free(t);
}

/* ---- one packet ---- */

static bool is_forward(const struct feed_packet *q) {
    return !q->relation.replies && !(q->p.flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR));
}

static void relate(struct tracker *t, struct feed_packet *q, const struct prints *prints) {
    struct inject_packet *p = &q->p;
    const struct waiting *w = NULL;
    struct nat_tuple outside;
    uint32_t of = LABEL_NONE, mapping;
    if (t->joiner)
        w = joiner_see(t->joiner, p, prints->copy, &of);
    else if (p->kind == KIND_UNDECIDED)
        p->kind = INJECT_ARRIVED;
    if (w) {
        q->first_copy = true;
        book_learn(t->book, w, &p->key, &outside, &mapping);
    }
    const uint32_t label = book_next(t->book) << 1;
    if (p->kind == INJECT_ARRIVED || (p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR))
        book_see(t->book, p, prints->key, label, &q->relation);
    else if (p->kind == INJECT_OWN && !(p->flags & PACKET_FRAG_LATER))
        book_see_own(t->book, p, prints->key, label, &q->relation);
    else
        q->relation.label = of;
    if (t->joiner && p->kind == INJECT_ARRIVED) /* an error is no packet of the conversation that it is about */
        joiner_name(t->joiner, p->flags & PACKET_ICMP_ERROR ? LABEL_NONE : q->relation.label, is_forward(q));
}

/* Inside of a tunnel; a copy's is what the packet's own was. */
static void relate_inner(struct tracker *t, struct feed_packet *q, const struct prints *prints, bool copied) {
    q->p.kind = INJECT_ARRIVED;
    if (!copied)
        book_see(t->inner, &q->p, prints->key, book_next(t->inner) << 1, &q->relation);
    q->p.kind = copied ? INJECT_ELSEWHERE : INJECT_INNER;
}

/* ---- batches ---- */

/* What is looked at, in two steps. */
static void fetch(const struct tracker *t, const struct batch *b) {
    const struct prints *prints = b->prints;
    for (unsigned i = 0; i < b->n; i++) {
        if (!batch_relates(&b->packets[i]))
            continue;
        book_fetch(t->book, prints[i].key);
        if (t->joiner)
            joiner_fetch(t->joiner, prints[i].copy);
    }
    for (unsigned i = 0; i < b->n; i++) {
        if (!batch_relates(&b->packets[i]))
            continue;
        book_fetch_more(t->book, prints[i].key);
        if (t->joiner)
            joiner_fetch_more(t->joiner, prints[i].copy);
    }
}

void tracker_relate(struct tracker *t, struct batch *b) {
    const struct feed_packet *outer = NULL;
    if (b->joins && !t->joiner)
        t->joiner = joiner_create(WAITING);
    book_batch(t->book);
    book_batch(t->inner);
    fetch(t, b);
    for (unsigned i = 0; i < b->n; i++) {
        struct feed_packet *q = &b->packets[i];
        outer = q->depth ? outer : q;
        q->relation = (struct relation){.label = LABEL_NONE};
        q->first_copy = false;
        if (q->p.kind == INJECT_INNER)
            relate_inner(t, q, &b->prints[i], outer->p.kind == INJECT_COPY);
        else if (batch_relates(q))
            relate(t, q, &b->prints[i]);
    }
}
