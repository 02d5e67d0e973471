/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait until it is their turn, smallest key first, equal keys as they came. What comes in order stands in
 * a ring, for a constant price; the rest in a heap.
 */
#ifndef TRACE_REORDER_H
#define TRACE_REORDER_H

#include <fwdlab/base/vec.h>
#include <fwdlab/trace/trace.h>

struct source;
struct stream_block;

struct waiting {
    uint64_t key; /* time */
    uint64_t sequence;
    struct source *source;
    struct stream_block *block; /* that the data lies in */
    uint64_t at;                /* the caller's */
    struct trace_packet packet;
};

struct reorder {
    struct waiting *ring;
    size_t from, n_ring, cap; /* cap: a power of two */
    VEC(struct waiting) heap;
    uint64_t sequence;
};

/* The place for one more, whose other fields are the caller's to fill at once. */
struct waiting *reorder_add(struct reorder *r, uint64_t key);
const struct waiting *reorder_first(const struct reorder *r);  /* NULL: none waits. Valid until the next add or pop */
const struct waiting *reorder_oldest(const struct reorder *r); /* that came first; one waits */
void reorder_pop(struct reorder *r);                           /* takes away the first; one waits */
void reorder_fini(struct reorder *r);

static inline size_t reorder_count(const struct reorder *r) {
    return r->n_ring + r->heap.n;
}

#endif
