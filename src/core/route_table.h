/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a route table, for the files that make it up and for stages, which look at paths of whole bursts. */
#ifndef FWDLAB_SRC_CORE_ROUTE_TABLE_H
#define FWDLAB_SRC_CORE_ROUTE_TABLE_H

#include <fwdlab/core/route.h>
#include <fwdlab/base/vec.h>

/*
 * A path takes as many 16-byte units as its next hops need: one, nearly always, so that a cache line holds four. Its
 * index is that of its first unit.
 */
struct path_unit {
    uint64_t word[2];
};
#define PATH_UNITS(n) ((sizeof(struct route_path) + (n) * sizeof(((struct route_path *)0)->next[0]) + 15) / 16)
#define PATH_UNITS_MAX PATH_UNITS(ROUTE_ECMP_MAX)

/* A distinct prefix with its routes (linked in the order of adding) and the path of the winners. */
struct route_prefix {
    uint64_t addr[2]; /* 4 or 16 bytes in network order, the rest is zero */
    uint8_t len;
    uint32_t first, last; /* index of routes */
    uint32_t value;       /* what the backend has of it; ROUTE_NONE: nothing yet */
    uint32_t chain; /* next of the same hash bucket; next free one */
};

/*
 * Nearly all paths are one of a few neighbours. These are numbered. What the backend says of a destination is the index
 * of its path and, in the bits above, the number of the path's neighbour: a packet finds its next hop without reading
 * the path.
 */
#define PATHS_BITS 24 /* of indexes: 16 million paths of one next hop */
#define HOPS_MAX 127  /* numbers are below; 0: look at the path */
struct path_hop {
    be32 via;      /* as in route_path */
    be32 direct;   /* all ones: on link, the neighbour is the destination; else 0 */
    uint16_t port;
    uint32_t unused; /* 16 bytes are found by a shift */
};

struct route_table {
    struct path_unit *units; /* all paths */
    const struct route_backend *backend;
    void *state;
    const uint32_t *direct;  /* of route_direct (route_direct.h): lookups need not go through `backend`; or NULL */
    bool shared;             /* others may be reading it (route_live.h): a look at it closes no holes */
    struct path_hop hops[HOPS_MAX];

    unsigned n_hops;         /* 0 included; they keep their numbers; from here on of no use to lookups */
    uint32_t units_used, units_cap;
    uint32_t units_free[PATH_UNITS_MAX + 1]; /* first free path of each size; its first word names the next */
    VEC(uint32_t) left;      /* paths that somebody may still look at */

    VEC(struct route) routes; /* removed ones stay as holes until somebody looks (route_table_settle) */
    VEC(uint32_t) next;       /* of routes: the next of the same prefix, ROUTE_NONE, or HOLE */
    size_t holes;

    VEC(struct route_prefix) prefixes;
    uint32_t prefix_free; /* first unused of prefixes */
    uint32_t n_prefixes, max_prefixes;
    uint32_t *buckets;
    uint32_t n_buckets; /* a power of two */
    uint64_t generation;
};

/* The index of a value's path, or ROUTE_NONE. */
static inline uint32_t value_path(uint32_t value) {
    return value == ROUTE_NONE ? ROUTE_NONE : value & ((1u << PATHS_BITS) - 1);
}
/* Its next hop, or NULL: there is none, or it takes a look at the path. */
static inline const struct path_hop *value_hop(const struct route_table *t, uint32_t value) {
    const uint32_t number = value >> PATHS_BITS;
    return number - 1 < HOPS_MAX - 1 ? &t->hops[number] : NULL;
}

static inline struct route_path *path_at(const struct route_table *t, uint32_t path) {
    return (struct route_path *)(t->units + path);
}

/*
 * From now on others read it. If its backend lets them look while it changes (true), so do the paths: they stay as they
 * are until route_table_reclaim, as backend.reclaim says. Then -ENOSPC may also mean that there are too many paths.
 */
bool route_table_share(struct route_table *t);
void route_table_reclaim(struct route_table *t);

/* Do others look while it changes? Then what they may have found stays as it is, and where it is. */
static inline bool changes_in_place(const struct route_table *t) {
    return t->shared && t->backend->reclaim;
}

/* Closes the holes that removed routes have left, and counts the indexes anew. */
void route_table_settle(struct route_table *t);

/* Prefixes (route_prefix.c). Pointers to them are valid until the next one is added. */
struct route_prefix *prefix_find(const struct route_table *t, const struct ip_prefix *prefix);
struct route_prefix *prefix_add(struct route_table *t, const struct ip_prefix *prefix); /* that is not there */
void prefix_remove(struct route_table *t, struct route_prefix *p);
/* What prefix_find needs: all but the chain's end for `near`, the bucket for `far`. */
void prefix_prefetch(const struct route_table *t, const struct ip_prefix *near, const struct ip_prefix *far);
/* Makes the hash table large enough for so many. */
void buckets_resize(struct route_table *t, size_t prefixes);

/* The order that routes are best added in (route_load.c): indexes, vec_release them. Equal prefixes stay as given. */
uint32_t *route_order(const struct route *routes, size_t n);
/* route_add_many in that order. */
int route_add_ordered(struct route_table *t, const struct route *routes, const uint32_t *order, size_t n);

#endif
