/* SPDX-License-Identifier: BSD-3-Clause */
/* Links within the process: one ring for each generator, one back. What is pushed into them comes out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/replay/trial.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include "link.h"

#define DEFAULT_DEPTH 1024
#define DEPTH_MAX (1u << 20)
#define POOL_CACHE 256
#define HELD_BY_WORKER (POOL_CACHE * 3 / 2 + 2 * BURST_MAX) /* in its cache, and in its hands */

struct ring_link {
    struct link link;
    struct rte_ring *ring;
    struct rte_mempool *pool;
};

static unsigned ring_send(struct link *l, struct rte_mbuf **m, unsigned n) {
    return rte_ring_sp_enqueue_burst(((struct ring_link *)l)->ring, (void **)m, n, NULL);
}

static unsigned ring_receive(struct link *l, struct rte_mbuf **m, unsigned n) {
    return rte_ring_sc_dequeue_burst(((struct ring_link *)l)->ring, (void **)m, n, NULL);
}

static int ring_begin(struct link *l, unsigned longest, struct err *e) {
    struct rte_mbuf *m[BURST_MAX];
    (void)longest, (void)e;
    for (unsigned n; (n = ring_receive(l, m, BURST_MAX));)
        rte_mempool_put_bulk(((struct ring_link *)l)->pool, (void **)m, n);
    return 0;
}

static void ring_close(struct link *l) {
    rte_ring_free(((struct ring_link *)l)->ring);
    vec_release(l);
}

static struct link *ring_open(struct rte_mempool *pool, unsigned depth, struct err *e) {
    static unsigned serial;
    char name[RTE_RING_NAMESIZE];
    struct ring_link *l = xzalloc(1, sizeof *l);
    snprintf(name, sizeof name, "link-%u", serial++);
    l->link = (struct link){
        .send = ring_send, .receive = ring_receive, .begin = ring_begin, .close = ring_close, .exact = true};
    l->pool = pool;
    l->ring = rte_ring_create(name, depth, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
    if (l->ring)
        return &l->link;
    vec_release(l);
    err_set(e, -ENOMEM, "no memory for a ring of %u packets: %s", depth, rte_strerror(rte_errno));
    return NULL;
}

/* The bytes' pages are touched now, not in a trial. */
static void touch(struct rte_mempool *pool, void *arg, void *m, unsigned index) {
    (void)pool, (void)arg, (void)index;
    memset(link_carrier(m), 0, sizeof(struct carrier));
    memset(link_data(m), 0, LINK_ROOM);
}

struct rte_mempool *link_pool(unsigned n, unsigned workers, struct err *e) {
    static unsigned serial;
    char name[RTE_MEMPOOL_NAMESIZE];
    const unsigned size = n + workers * HELD_BY_WORKER;
    snprintf(name, sizeof name, "trial-%u", serial++);
    struct rte_mempool *pool = rte_pktmbuf_pool_create(name, size, POOL_CACHE, sizeof(struct carrier),
                                                       LINK_ROOM + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    if (!pool) {
        err_set(e, -ENOMEM, "no memory for %u packet buffers: %s", size, rte_strerror(rte_errno));
        err_hint(e, "give EAL more memory, or use shorter rings");
        return NULL;
    }
    rte_mempool_obj_iter(pool, touch, NULL);
    return pool;
}

/* The sink's end of several rings: each is first in turn. */
struct fan {
    struct link link;
    struct link *from[TRIAL_CORES_MAX];
    unsigned n, turn;
};

static unsigned fan_receive(struct link *l, struct rte_mbuf **m, unsigned n) {
    struct fan *f = (struct fan *)l;
    unsigned got = 0;
    f->turn++;
    for (unsigned k = 0; k < f->n && got < n; k++)
        got += ring_receive(f->from[(f->turn + k) % f->n], m + got, n - got);
    return got;
}

static int fan_begin(struct link *l, unsigned longest, struct err *e) {
    const struct fan *f = (struct fan *)l;
    for (unsigned i = 0; i < f->n; i++)
        ring_begin(f->from[i], longest, e);
    return 0;
}

static void fan_close(struct link *l) {
    const struct fan *f = (struct fan *)l;
    for (unsigned i = 0; i < f->n; i++)
        ring_close(f->from[i]);
    vec_release(l);
}

/* One ring to the sink, or one for each core worker and what receives from all. */
static bool open_out(struct topology *t, unsigned depth, struct err *e) {
    if (t->cores == 1)
        return (t->out = ring_open(t->pool, depth, e)) != NULL;
    struct fan *f = xzalloc(1, sizeof *f);
    f->link = (struct link){.receive = fan_receive, .begin = fan_begin, .close = fan_close, .exact = true};
    t->out = &f->link;
    while (f->n < t->cores && (t->outs[f->n] = f->from[f->n] = ring_open(t->pool, depth, e)))
        f->n++;
    return f->n == t->cores;
}

int topology_rings(struct topology *t, unsigned generators, unsigned depth, struct err *e) {
    return topology_rings_of_crew(t, generators, 1, depth, e);
}

int topology_rings_of_crew(struct topology *t, unsigned generators, unsigned cores, unsigned depth, struct err *e) {
    *t = (struct topology){.generators = generators, .cores = cores};
    depth = depth ? depth : DEFAULT_DEPTH;
    if (!generators || generators > TRIAL_GENERATORS_MAX)
        return err_set(e, -EINVAL, "%u generators; 1 to %d are possible", generators, TRIAL_GENERATORS_MAX);
    if (!cores || cores > TRIAL_CORES_MAX)
        return err_set(e, -EINVAL, "%u core workers; 1 to %d are possible", cores, TRIAL_CORES_MAX);
    if (depth & (depth - 1) || depth > DEPTH_MAX)
        return err_set(e, -EINVAL, "rings of %u packets; a power of two up to %u is possible", depth, DEPTH_MAX);
    const unsigned under_way = cores > 1 ? cores * (LINK_UNDER_WAY + 2 * BURST_MAX) : 0;
    t->pool = link_pool((generators + cores) * depth + under_way, generators + cores, e);
    bool ok = t->pool != NULL;
    for (unsigned i = 0; ok && i < generators; i++)
        ok = (t->in[i] = ring_open(t->pool, depth, e)) != NULL;
    ok = ok && open_out(t, depth, e);
    if (!ok)
        topology_fini(t);
    return ok ? 0 : -ENOMEM;
}

void topology_fini(struct topology *t) {
    for (unsigned i = 0; i < t->generators; i++)
        if (t->in[i] && (i == 0 || t->in[i] != t->in[0]))
            t->in[i]->close(t->in[i]);
    if (t->out)
        t->out->close(t->out);
    rte_mempool_free(t->pool);
    *t = (struct topology){0};
}
