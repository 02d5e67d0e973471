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
    uint32_t path;
    uint32_t chain; /* next of the same hash bucket; next free one */
};

/*
 * Nearly all paths are one of a few neighbours. These are numbered, and a byte a path tells which it is: of a million
 * paths the next hops are then found in a megabyte.
 */
#define HOPS_MAX 256
struct path_hop {
    be32 via;      /* as in route_path */
    be32 direct;   /* all ones: on link, the neighbour is the destination; else 0 */
    uint16_t port;
};

struct route_table {
    struct path_unit *units; /* all paths; first, for lookups */
    uint8_t *hop_of;         /* of each path, by its index: in `hops`; 0: look at the path */
    struct path_hop hops[HOPS_MAX];
    unsigned n_hops;         /* 0 included; they keep their numbers */
    const struct route_backend *backend;
    void *state;
    uint32_t units_used, units_cap;
    uint32_t units_free[PATH_UNITS_MAX + 1]; /* first free path of each size; its first word names the next */

    VEC(struct route) routes; /* removed ones stay as holes until somebody looks (route_table_settle) */
    VEC(uint32_t) next;       /* of routes: the next of the same prefix, ROUTE_NONE, or HOLE */
    size_t holes;

    VEC(struct route_prefix) prefixes;
    uint32_t prefix_free; /* first unused of prefixes */
    uint32_t n_prefixes, max_prefixes;
    uint32_t *buckets;
    uint32_t n_buckets; /* a power of two */
    uint64_t generation;
    bool shared; /* others may be reading it (route_live.h): a look at it closes no holes */
};

static inline struct route_path *path_at(const struct route_table *t, uint32_t path) {
    return (struct route_path *)(t->units + path);
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
