/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait until it is their turn, smallest key first, equal keys as they came. What comes in order stands in
 * a ring, for a constant and small price; the rest in a heap.
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
    struct waiting *ring, *end;   /* its room */
    struct waiting *first, *next; /* the oldest; where the next one in order goes */
    size_t n_ring;
    uint64_t last;                /* key of the ring's last */
    VEC(struct waiting) heap;
    uint64_t sequence;
};

/* For those below, where it is not the ring alone. */
struct waiting *reorder_make_room(struct reorder *r, uint64_t key);
const struct waiting *reorder_first_of_both(const struct reorder *r);
void reorder_pop_heap(struct reorder *r);

static inline size_t reorder_count(const struct reorder *r) {
    return r->n_ring + r->heap.n;
}

static inline struct waiting *reorder_step(const struct reorder *r, struct waiting *w) {
    return w + 1 == r->end ? r->ring : w + 1;
}

/* The place for one more, whose other fields are the caller's to fill at once. */
static inline struct waiting *reorder_add(struct reorder *r, uint64_t key) {
    struct waiting *w = r->next;
    if (r->n_ring < (size_t)(r->end - r->ring) && (key >= r->last || !r->n_ring)) {
        r->next = reorder_step(r, w);
        r->last = key;
        r->n_ring++;
    } else {
        w = reorder_make_room(r, key);
    }
    w->key = key;
    w->sequence = r->sequence++;
    return w;
}

/* NULL: none waits. Valid until the next add or pop. */
static inline const struct waiting *reorder_first(const struct reorder *r) {
    if (__builtin_expect(r->heap.n != 0, false))
        return reorder_first_of_both(r);
    return r->n_ring ? r->first : NULL;
}

/* That came first; one waits. What is in the heap came behind, and leaves before, something in the ring. */
static inline const struct waiting *reorder_oldest(const struct reorder *r) {
    return r->first;
}

/* Takes away the first; one waits. */
static inline void reorder_pop(struct reorder *r) {
    if (__builtin_expect(r->heap.n && reorder_first_of_both(r) == r->heap.v, false)) {
        reorder_pop_heap(r);
    } else {
        r->first = reorder_step(r, r->first);
        r->n_ring--;
    }
}

/* Those in the ring have waited for long: what the one `ahead` of the oldest begins with is fetched. */
static inline void reorder_fetch(const struct reorder *r, size_t ahead) {
    if (r->n_ring <= ahead)
        return;
    const size_t left = (size_t)(r->end - r->first);
    const uint8_t *data = (ahead < left ? r->first + ahead : r->ring + (ahead - left))->packet.data;
    __builtin_prefetch(data);
    __builtin_prefetch(data + 64);
}

void reorder_fini(struct reorder *r);

#endif
