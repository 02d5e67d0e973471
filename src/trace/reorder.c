/* SPDX-License-Identifier: BSD-3-Clause */
/* See reorder.h. */
#include "reorder.h"

#include <string.h>

static struct waiting *slot(const struct reorder *r, size_t i) {
    return &r->ring[(r->from + i) & (r->cap - 1)];
}

static bool before(const struct waiting *a, const struct waiting *b) {
    return a->key < b->key || (a->key == b->key && a->sequence < b->sequence);
}

static void ring_grow(struct reorder *r) {
    size_t cap = r->cap ? 2 * r->cap : 64;
    struct waiting *ring = xalloc(cap * sizeof *ring);
    for (size_t i = 0; i < r->n_ring; i++)
        ring[i] = *slot(r, i);
    vec_release(r->ring);
    r->ring = ring;
    r->from = 0;
    r->cap = cap;
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

static void heap_pop(struct reorder *r) {
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

struct waiting *reorder_add(struct reorder *r, uint64_t key) {
    bool in_order = !r->n_ring || slot(r, r->n_ring - 1)->key <= key;
    if (in_order && r->n_ring == r->cap)
        ring_grow(r);
    struct waiting *w = in_order ? slot(r, r->n_ring++) : heap_add(r, key);
    w->key = key;
    w->sequence = r->sequence++;
    return w;
}

const struct waiting *reorder_first(const struct reorder *r) {
    const struct waiting *ring = r->n_ring ? slot(r, 0) : NULL, *heap = r->heap.n ? r->heap.v : NULL;
    return !ring || (heap && before(heap, ring)) ? heap : ring;
}

/* What is in the heap came behind, and leaves before, something in the ring. */
const struct waiting *reorder_oldest(const struct reorder *r) {
    return slot(r, 0);
}

void reorder_pop(struct reorder *r) {
    if (reorder_first(r) == r->heap.v) {
        heap_pop(r);
    } else {
        r->from = (r->from + 1) & (r->cap - 1);
        r->n_ring--;
    }
}

void reorder_fini(struct reorder *r) {
    vec_release(r->ring);
    vec_free(&r->heap);
}
