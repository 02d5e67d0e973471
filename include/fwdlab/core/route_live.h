/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that change while packets flow. A writer makes a batch of changes, publishes it, and waits until each reader
 * has moved on (the grace period).
 *
 * DIR24-8 (route_direct) changes in place: each lookup gives what the table said before a change or after it, and each
 * change shows as soon as it is made. So a route that is to give way to another is replaced, not removed and added.
 * What changes took away keeps its place through the grace period. One table stays in the readers' caches, where a
 * second one would have to be fetched anew after each batch.
 *
 * Other backends have two tables with the same routes. Readers look into one of them; a batch goes into the other,
 * which is published, and after the grace period into the first. No table changes under a reader, whatever its backend
 * does meanwhile, and a batch shows as a whole or not at all.
 *
 * One writer, and readers with numbers of their own, each in a thread of its own or not. Nothing here waits or knows a
 * thread: whoever waits brings the means to. A reader writes to a cache line of its own, and only after a change.
 *
 *     reader, each burst                                  writer
 *     node.routes = route_live_enter(live, me);           route_live_update(live, changes, n);
 *     forward(&node, pkts, n, now);                       route_live_wait(live, pause, arg);
 *     ...                                                 ...
 *     route_live_leave(live, me); node.routes = NULL;     route_live_destroy(live);
 *
 * No node owns these tables: before node_fini, its `routes` are set to NULL, as above. With rules, the table that a
 * reader enters goes into its own rules by route_rules_swap, which leaves NULL behind in the same way.
 */
#ifndef FWDLAB_CORE_ROUTE_LIVE_H
#define FWDLAB_CORE_ROUTE_LIVE_H

#include <fwdlab/core/route.h>

enum route_op { ROUTE_OP_ADD, ROUTE_OP_REMOVE, ROUTE_OP_REPLACE };

struct route_change {
    uint8_t op; /* enum route_op: route_add, route_remove, route_replace */
    int code;   /* what that said: 0 or -errno; set by route_live_update */
    struct route route;
};

struct route_live;

/*
 * `routes` (n of them, in any order) are in it from the start; as route_table_create and route_add_many.
 * *code, when not NULL, says why it gave NULL: -ENOMEM, or what a route was refused with.
 */
struct route_live *route_live_create(const struct route_backend *backend, uint32_t max_routes, unsigned readers,
                                     const struct route *routes, size_t n, int *code);
/* No reader is in it any more. */
void route_live_destroy(struct route_live *l);

/*
 * The reader's table from now on, until it enters again or leaves: at the start of each burst. Path indexes and paths
 * of before are not to be used any more. To be looked into only; what route.h says of indexes of routes holds where
 * there are two tables, but for removed routes, which may still stand in route_table_routes; of one table only its
 * writer looks at routes and their indexes. A reader that does not enter for long (it waits for packets) leaves, for
 * the writer waits for it.
 */
struct route_table *route_live_enter(struct route_live *l, unsigned reader);
void route_live_leave(struct route_live *l, unsigned reader);

/*
 * The writer's. Applies the changes in their order, as far as each can be (`code`), and publishes them. -EBUSY: the
 * grace period of the batch before lasts, nothing was done. -EIO: once, a backend took a change in one table and not
 * in the other; readers go on with the table that they have, and nothing can be changed any more.
 */
int route_live_update(struct route_live *l, struct route_change *changes, size_t n);
/* Is the grace period over? Then a second table gets the batch too, in about the time that update took. */
bool route_live_settled(struct route_live *l);
/* Calls pause(arg) until it is; a reader's own thread must enter or leave in it. */
void route_live_wait(struct route_live *l, void (*pause)(void *arg), void *arg);
/* Every route in the order of adding, valid until the next update; NULL while a grace period lasts. */
const struct route *route_live_routes(struct route_live *l, size_t *n);

#endif
