/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two tables and a version: version v is read in tables[v & 1]. A reader notes the version that it works with (`seen`)
 * when it has done with the one before; when all have noted the latest, the other table is the writer's. Of a backend
 * that can be looked into while it changes there is one table, which is both; after the grace period, what the batch
 * took away can be used again.
 *
 * A reader that comes back from outside might note a version that the writer has just left behind without seeing the
 * note. Both therefore write first and look afterwards, in one order that all agree on (seq_cst): at least one of them
 * sees the other. A reader that is inside holds the writer up by its old note, and needs no such order.
 */
#include <fwdlab/core/route_live.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "route_table.h"

#define LINE 64
#define AWAY UINT64_MAX
#define HOLES_SHARE 4 /* holes are closed when they are a quarter of all routes: a few cycles a removal */

struct reader {
    _Alignas(LINE) _Atomic uint64_t seen;
};

struct route_live {
    _Alignas(LINE) _Atomic uint64_t version; /* and what readers read with it */
    struct route_table *tables[2];
    struct reader *readers;

    _Alignas(LINE) unsigned n_readers; /* the writer's */
    bool grace;                        /* not all readers are known to have moved on since the last batch */
    VEC(struct route_change) pending;  /* published, and not yet in the other table */
    bool diverged;
};

static bool is_one(const struct route_live *l) {
    return l->tables[0] == l->tables[1];
}

static void *lines(size_t n, size_t size) {
    void *p = aligned_alloc(LINE, n * size);
    return p ? memset(p, 0, n * size) : NULL;
}

struct route_live *route_live_create(const struct route_backend *backend, uint32_t max_routes, unsigned readers,
                                     const struct route *routes, size_t n, int *code) {
    struct route_live *l = lines(1, sizeof *l);
    uint32_t *order = route_order(routes, n);
    int rc = l ? 0 : -ENOMEM;
    if (l) {
        l->n_readers = readers;
        l->readers = lines(readers + 1, sizeof *l->readers);
        for (unsigned i = 0; l->readers && i < readers; i++)
            atomic_init(&l->readers[i].seen, AWAY);
        rc = l->readers ? 0 : -ENOMEM;
    }
    for (unsigned i = 0; i < 2 && !rc && !l->tables[i]; i++) {
        l->tables[i] = route_table_create(backend, max_routes);
        rc = l->tables[i] ? route_add_ordered(l->tables[i], routes, order, n) : -ENOMEM;
        if (!rc && route_table_share(l->tables[i]))
            l->tables[1] = l->tables[0];
    }
    vec_release(order);
    if (code)
        *code = rc;
    if (rc) {
        route_live_destroy(l);
        return NULL;
    }
    return l;
}

void route_live_destroy(struct route_live *l) {
    if (!l)
        return;
    route_table_destroy(l->tables[0]);
    if (!is_one(l))
        route_table_destroy(l->tables[1]);
    vec_free(&l->pending);
    free(l->readers);
    free(l);
}

/* ---- readers ---- */

struct route_table *route_live_enter(struct route_live *l, unsigned reader) {
    _Atomic uint64_t *seen = &l->readers[reader].seen;
    uint64_t version = atomic_load_explicit(&l->version, memory_order_acquire);
    const uint64_t before = atomic_load_explicit(seen, memory_order_relaxed);
    if (before == AWAY) {
        uint64_t noted;
        do {
            noted = version;
            atomic_store(seen, noted);
            version = atomic_load(&l->version);
        } while (version != noted);
    } else if (before != version) {
        atomic_store_explicit(seen, version, memory_order_release);
    }
    return l->tables[version & 1];
}

void route_live_leave(struct route_live *l, unsigned reader) {
    atomic_store_explicit(&l->readers[reader].seen, AWAY, memory_order_release);
}

/* ---- the writer ---- */

static uint64_t published(const struct route_live *l) {
    return atomic_load_explicit(&l->version, memory_order_relaxed);
}

/* The table that is not read, outside grace periods; or the only one. */
static struct route_table *hidden(const struct route_live *l) {
    return l->tables[(published(l) + 1) & 1];
}

static int apply(struct route_table *t, const struct route_change *c) {
    switch (c->op) {
    case ROUTE_OP_ADD: return route_add(t, &c->route);
    case ROUTE_OP_REMOVE: return route_remove(t, &c->route);
    case ROUTE_OP_REPLACE: return route_replace(t, &c->route);
    default: return -EINVAL;
    }
}

static void close_holes(struct route_table *t) {
    if (t->holes > t->routes.n / HOLES_SHARE)
        route_table_settle(t);
}

int route_live_update(struct route_live *l, struct route_change *changes, size_t n) {
    if (!route_live_settled(l))
        return l->diverged ? -EIO : -EBUSY;
    for (size_t i = 0; i < n; i++) {
        changes[i].code = apply(hidden(l), &changes[i]);
        l->grace |= !changes[i].code;
        if (!changes[i].code && !is_one(l))
            vec_push(&l->pending, changes[i]);
    }
    if (!l->grace)
        return 0;
    close_holes(hidden(l));
    atomic_store(&l->version, published(l) + 1);
    return 0;
}

static void catch_up(struct route_live *l) {
    for (size_t i = 0; i < l->pending.n; i++)
        l->diverged |= apply(hidden(l), &l->pending.v[i]) != 0;
    l->pending.n = 0;
    close_holes(hidden(l));
}

bool route_live_settled(struct route_live *l) {
    for (unsigned i = 0; l->grace && i < l->n_readers; i++) {
        uint64_t seen = atomic_load(&l->readers[i].seen);
        if (seen != AWAY && seen != published(l))
            return false;
    }
    if (l->grace && is_one(l))
        route_table_reclaim(l->tables[0]);
    else if (l->grace)
        catch_up(l);
    l->grace = false;
    return !l->diverged;
}

void route_live_wait(struct route_live *l, void (*pause)(void *arg), void *arg) {
    while (!route_live_settled(l) && !l->diverged)
        pause(arg);
}

const struct route *route_live_routes(struct route_live *l, size_t *n) {
    if (!route_live_settled(l))
        return NULL;
    route_table_settle(hidden(l));
    return route_table_routes(hidden(l), n);
}
