/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait until it is their turn, smallest key first, equal keys as they came. What comes in order stands in
 * a ring, in rows that came together, for a constant and small price; the rest in a heap, one by one.
 */
#ifndef TRACE_REORDER_H
#define TRACE_REORDER_H

#include <stdbool.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/trace/trace.h>

struct source;
struct stream_block;

/* Packets of one file and one block of its bytes. The key of all but the first is their time. */
struct waiting {
    uint64_t key; /* of the first, and */
    uint64_t at;  /* where it came: more for each */
    struct source *source;
    struct stream_block *block; /* that the data lies in */
    size_t n;
};

struct loose {
    struct waiting waiting;
    struct trace_packet packet;
};

struct reorder {
    size_t room;                  /* of either ring: a power of two, or 0 */
    struct trace_packet *packets; /* `n` from `first` on, around the end */
    struct waiting *rows;         /* the same of these */
    size_t first, n, first_row, n_rows;
    uint64_t last;                /* key of the last packet in the ring */
    VEC(struct loose) heap;
};

static inline size_t reorder_count(const struct reorder *r) {
    return r->n + r->heap.n;
}

/* Would a packet with this key be the last of all? */
static inline bool reorder_is_last(const struct reorder *r, uint64_t key) {
    return key >= r->last || !r->n;
}

/*
 * `w->n` more packets wait, the last one with the key `last`: more than one only where the first would be the last of
 * all, and keys do not fall.
 */
void reorder_add(struct reorder *r, const struct waiting *w, const struct trace_packet *packets, uint64_t last);

const struct waiting *reorder_first_of_both(const struct reorder *r); /* for reorder_first alone */

/* The row that begins with the first of all; NULL: none waits. Valid until the next add or pop. */
static inline const struct waiting *reorder_first(const struct reorder *r) {
    if (__builtin_expect(r->heap.n != 0, false))
        return reorder_first_of_both(r);
    return r->n ? &r->rows[r->first_row] : NULL;
}

/* That came first; one waits. What is in the heap came behind, and leaves before, something in the ring. */
static inline const struct waiting *reorder_oldest(const struct reorder *r) {
    return &r->rows[r->first_row];
}

/* The packets of the first row that follow each other in memory and may leave together, at least one. Valid until the
 * next add or pop. */
const struct trace_packet *reorder_packets(const struct reorder *r, size_t *n);
/* Takes n of them away, and says where they stay until the next add. */
const struct trace_packet *reorder_pop(struct reorder *r, size_t n);

/* Those in the ring have waited for long: what the first n begin with is fetched. */
static inline void reorder_fetch(const struct reorder *r, size_t n) {
    for (size_t i = 0; i < n && i < r->n; i++) {
        const uint8_t *data = r->packets[(r->first + i) & (r->room - 1)].data;
        __builtin_prefetch(data);
        __builtin_prefetch(data + 64);
    }
}

void reorder_fini(struct reorder *r);

#endif
