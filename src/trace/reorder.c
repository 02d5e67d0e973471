/* SPDX-License-Identifier: BSD-3-Clause */
/* See reorder.h. */
#include "reorder.h"

#include <string.h>

static bool before(const struct waiting *a, const struct waiting *b) {
    return a->key < b->key || (a->key == b->key && a->sequence < b->sequence);
}

static void ring_grow(struct reorder *r) {
    const size_t room = r->n_ring ? 2 * r->n_ring : 64; /* it is full */
    struct waiting *ring = xalloc(room * sizeof *ring);
    for (size_t i = 0; i < r->n_ring; i++, r->first = reorder_step(r, r->first))
        ring[i] = *r->first;
    vec_release(r->ring);
    r->ring = r->first = ring;
    r->end = ring + room;
    r->next = ring + r->n_ring;
}

/* The place for a new one with this key. */
static struct waiting *heap_add(struct reorder *r, uint64_t key) {
    vec_push(&r->heap, (struct waiting){0});
    struct waiting *v = r->heap.v;
    size_t i = r->heap.n - 1;
    for (size_t up; i && key < v[up = (i - 1) / 2].key; i = up)
        v[i] = v[up];
    return &v[i];
}

void reorder_pop_heap(struct reorder *r) {
    struct waiting *v = r->heap.v;
    size_t n = --r->heap.n, i = 0;
    for (size_t down; (down = 2 * i + 1) < n; i = down) {
        if (down + 1 < n && before(&v[down + 1], &v[down]))
            down++;
        if (before(&v[n], &v[down]))
            break;
        v[i] = v[down];
    }
    v[i] = v[n];
}

struct waiting *reorder_make_room(struct reorder *r, uint64_t key) {
    if (r->n_ring && key < r->last)
        return heap_add(r, key);
    ring_grow(r);
    struct waiting *w = r->next;
    r->next = reorder_step(r, w);
    r->last = key;
    r->n_ring++;
    return w;
}

const struct waiting *reorder_first_of_both(const struct reorder *r) {
    const struct waiting *heap = r->heap.v;
    return !r->n_ring || before(heap, r->first) ? heap : r->first;
}

void reorder_fini(struct reorder *r) {
    vec_release(r->ring);
    vec_free(&r->heap);
}
