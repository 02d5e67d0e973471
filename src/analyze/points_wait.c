/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of one point that wait for the other one's: a ring in their order, and chains by each of two hashes. What
 * leaves does so at the front, so that it is the first of its chains, too. */
#include <stdlib.h>
#include "points.h"

#define QUEUE_FIRST 1024u

void queue_init(struct queue *q, size_t limit) {
    *q = (struct queue){.first = 1, .last = 1, .limit = limit};
}

void queue_fini(struct queue *q) {
    free(q->ring);
    for (unsigned w = 0; w < 2; w++) {
        free(q->head[w]);
        free(q->tail[w]);
    }
}

bool queue_full(const struct queue *q) {
    return q->last - q->first == q->limit;
}

static void chain(struct queue *q, uint64_t n) {
    struct waiting *w = queue_at(q, n);
    for (unsigned which = 0; which < 2; which++) {
        size_t s = w->print.hash[which] & (q->cap - 1);
        w->next[which] = 0;
        *(q->head[which][s] ? &queue_at(q, q->tail[which][s])->next[which] : &q->head[which][s]) = n;
        q->tail[which][s] = n;
    }
}

static void grow(struct queue *q) {
    struct queue old = *q;
    q->cap = q->cap ? q->cap * 2 : QUEUE_FIRST;
    q->ring = xalloc(q->cap * sizeof *q->ring);
    for (unsigned w = 0; w < 2; w++) {
        q->head[w] = xzalloc(q->cap, sizeof *q->head[w]);
        q->tail[w] = xalloc(q->cap * sizeof *q->tail[w]);
    }
    for (uint64_t n = q->first; n < q->last; n++) {
        *queue_at(q, n) = *queue_at(&old, n);
        chain(q, n);
    }
    queue_fini(&old);
}

void queue_push(struct queue *q, const struct print *p) {
    if (q->last - q->first == q->cap)
        grow(q);
    *queue_at(q, q->last) = (struct waiting){.print = *p};
    chain(q, q->last++);
}

void queue_pop(struct queue *q) {
    const struct waiting *w = queue_front(q);
    for (unsigned which = 0; which < 2; which++)
        q->head[which][w->print.hash[which] & (q->cap - 1)] = w->next[which];
    q->first++;
}

uint64_t queue_first(const struct queue *q, unsigned which, uint64_t hash) {
    return q->cap ? q->head[which][hash & (q->cap - 1)] : 0;
}
