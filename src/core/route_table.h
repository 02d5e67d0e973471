/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a route table, for the route stage, which looks at paths of whole bursts. */
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

struct route_table {
    struct path_unit *units; /* all paths; first, for lookups */
    const struct route_backend *backend;
    void *state;
    uint32_t units_used, units_cap;
    uint32_t units_free[PATH_UNITS_MAX + 1]; /* first free path of each size; its first word names the next */

    VEC(struct route) routes; /* removed ones stay as holes until somebody looks (table_settle) */
    VEC(uint32_t) next;       /* of routes: the next of the same prefix, ROUTE_NONE, or HOLE */
    size_t holes;

    VEC(struct route_prefix) prefixes;
    uint32_t prefix_free; /* first unused of prefixes */
    uint32_t n_prefixes, max_prefixes;
    uint32_t *buckets;
    uint32_t n_buckets; /* a power of two */
    uint64_t generation;
};

static inline struct route_path *path_at(const struct route_table *t, uint32_t path) {
    return (struct route_path *)(t->units + path);
}

#endif
