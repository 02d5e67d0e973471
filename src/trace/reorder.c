/* SPDX-License-Identifier: BSD-3-Clause */
/* See reorder.h. */
#include "reorder.h"

#include <string.h>

/* In the heap. */
static bool before(const struct waiting *a, const struct waiting *b) {
    return a->key < b->key || (a->key == b->key && a->at < b->at);
}

/* Copies n items from `first` on, around the end of a ring, to the beginning of a larger one, which is returned. */
static void *unroll(void *ring, size_t item, size_t room, size_t first, size_t n, size_t larger) {
    const size_t end = room - first < n ? room - first : n;
    uint8_t *to = xalloc(larger * item);
    if (n) {
        memcpy(to, (uint8_t *)ring + first * item, end * item);
        memcpy(to + end * item, ring, (n - end) * item);
    }
    vec_release(ring);
    return to;
}

static void grow(struct reorder *r) {
    const size_t room = r->room ? 2 * r->room : 256;
    r->packets = unroll(r->packets, sizeof *r->packets, r->room, r->first, r->n, room);
    r->rows = unroll(r->rows, sizeof *r->rows, r->room, r->first_row, r->n_rows, room);
    r->first = r->first_row = 0;
    r->room = room;
}

static void heap_add(struct reorder *r, const struct waiting *w, const struct trace_packet *packet) {
    vec_push(&r->heap, (struct loose){0});
    struct loose *v = r->heap.v;
    size_t i = r->heap.n - 1;
    for (size_t up; i && w->key < v[up = (i - 1) / 2].waiting.key; i = up)
        v[i] = v[up];
    v[i] = (struct loose){*w, *packet};
}

/* The one at the top stays behind the others until the next add. */
static const struct trace_packet *heap_pop(struct reorder *r) {
    struct loose *v = r->heap.v, top = v[0];
    size_t n = --r->heap.n, i = 0;
    for (size_t down; (down = 2 * i + 1) < n; i = down) {
        if (down + 1 < n && before(&v[down + 1].waiting, &v[down].waiting))
            down++;
        if (before(&v[n].waiting, &v[down].waiting))
            break;
        v[i] = v[down];
    }
    v[i] = v[n];
    v[n] = top;
    return &v[n].packet;
}

void reorder_add(struct reorder *r, const struct waiting *w, const struct trace_packet *packets, uint64_t last) {
    if (!reorder_is_last(r, w->key)) {
        heap_add(r, w, packets);
        return;
    }
    while (r->n + w->n > r->room)
        grow(r);
    const size_t at = (r->first + r->n) & (r->room - 1), end = r->room - at < w->n ? r->room - at : w->n;
    memcpy(r->packets + at, packets, end * sizeof *packets);
    memcpy(r->packets, packets + end, (w->n - end) * sizeof *packets);
    r->rows[(r->first_row + r->n_rows++) & (r->room - 1)] = *w;
    r->n += w->n;
    r->last = last;
}

/* Of equal keys the ring's came first: what is behind something in the heap has a greater one. */
const struct waiting *reorder_first_of_both(const struct reorder *r) {
    const struct waiting *heap = &r->heap.v->waiting;
    return !r->n || heap->key < r->rows[r->first_row].key ? heap : &r->rows[r->first_row];
}

static bool heap_is_first(const struct reorder *r) {
    return r->heap.n && reorder_first_of_both(r) == &r->heap.v->waiting;
}

const struct trace_packet *reorder_packets(const struct reorder *r, size_t *n) {
    *n = 1;
    if (heap_is_first(r))
        return &r->heap.v->packet;
    const size_t row = r->rows[r->first_row].n, end = r->room - r->first;
    if (!r->heap.n)
        *n = row < end ? row : end;
    return &r->packets[r->first];
}

const struct trace_packet *reorder_pop(struct reorder *r, size_t n) {
    if (heap_is_first(r))
        return heap_pop(r);
    struct waiting *row = &r->rows[r->first_row];
    const struct trace_packet *gone = &r->packets[r->first];
    r->first = (r->first + n) & (r->room - 1);
    r->n -= n;
    row->n -= n;
    if (row->n) {
        row->key = r->packets[r->first].time_ns;
        row->at += r->packets[r->first].offset - gone->offset;
    } else {
        r->first_row = (r->first_row + 1) & (r->room - 1);
        r->n_rows--;
    }
    return gone;
}

void reorder_fini(struct reorder *r) {
    vec_release(r->packets);
    vec_release(r->rows);
    vec_free(&r->heap);
}
