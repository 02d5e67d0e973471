/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/shard.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAKE 64u /* packets at a time for each worker */

struct lane {
    unsigned before;       /* in the inbox, taken before what is kept */
    unsigned first, n;     /* of what is kept */
    struct packet *kept[BURST_MAX];
} __attribute__((aligned(64)));

struct shard {
    struct shard_input input;
    unsigned workers;
    struct lane *lanes;
    struct rte_ring *inbox[DISPATCH_WORKERS_MAX];
    _Atomic bool token __attribute__((aligned(64))); /* taken */
};

struct shard *shard_create(unsigned workers, unsigned depth, const struct shard_input *input, struct err *e) {
    static unsigned serial;
    struct shard *s = aligned_alloc(64, sizeof *s);
    const size_t size = workers * sizeof *s->lanes;
    if (s)
        *s = (struct shard){.input = *input, .workers = workers, .lanes = aligned_alloc(64, size)};
    bool ok = s && s->lanes;
    if (ok)
        memset(s->lanes, 0, size);
    for (unsigned w = 0; ok && w < workers; w++) {
        char name[RTE_RING_NAMESIZE];
        snprintf(name, sizeof name, "inbox-%u", serial++);
        s->inbox[w] = rte_ring_create(name, depth < BURST_MAX ? BURST_MAX : depth, SOCKET_ID_ANY,
                                            RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
        ok = s->inbox[w];
    }
    if (ok)
        return s;
    err_set(e, -ENOMEM, "no memory for the inboxes of %u workers: %s", workers, rte_strerror(rte_errno));
    shard_destroy(s);
    return NULL;
}

void shard_destroy(struct shard *s) {
    for (unsigned w = 0; s && s->lanes && w < s->workers; w++)
        rte_ring_free(s->inbox[w]);
    if (s)
        free(s->lanes);
    free(s);
}

/* How many packets there is room for, wherever they go. */
static unsigned room(const struct shard *s, unsigned worker) {
    unsigned least = RTE_MIN(TAKE * s->workers, (unsigned)BURST_MAX);
    for (unsigned w = 0; w < s->workers; w++)
        if (w != worker)
            least = RTE_MIN(least, rte_ring_free_count(s->inbox[w]));
    return least;
}

/* Packets by worker, in their order; the worker's own are kept. */
static void hand_over(struct shard *s, unsigned worker, struct packet **pkts, const uint8_t *whose, unsigned n) {
    unsigned end[DISPATCH_WORKERS_MAX] = {0}, from = 0;
    struct packet *sorted[BURST_MAX];
    for (unsigned i = 0; i < n; i++)
        end[whose[i]]++;
    for (unsigned w = 0; w < s->workers; w++) {
        const unsigned count = end[w];
        end[w] = from;
        from += count;
    }
    for (unsigned i = 0; i < n; i++)
        sorted[end[whose[i]]++] = pkts[i];
    for (unsigned w = 0; w < s->workers; w++) {
        const unsigned first = w ? end[w - 1] : 0, count = end[w] - first;
        if (w != worker) {
            rte_ring_sp_enqueue_bulk(s->inbox[w], (void **)sorted + first, count, NULL);
        } else {
            memcpy(s->lanes[w].kept, sorted + first, count * sizeof *sorted);
            s->lanes[w].first = 0;
            s->lanes[w].n = count;
        }
    }
}

static void take_turn(struct shard *s, unsigned worker) {
    struct packet *pkts[BURST_MAX];
    uint8_t whose[BURST_MAX];
    if (atomic_load_explicit(&s->token, memory_order_relaxed) ||
        atomic_exchange_explicit(&s->token, true, memory_order_acquire))
        return;
    const unsigned most = room(s, worker), n = most ? s->input.take(s->input.input, pkts, most) : 0;
    if (n) {
        s->input.assign(s->input.dispatcher, pkts, n, whose);
        hand_over(s, worker, pkts, whose, n);
        s->lanes[worker].before = rte_ring_count(s->inbox[worker]);
    }
    atomic_store_explicit(&s->token, false, memory_order_release);
}

unsigned shard_take(struct shard *s, unsigned worker, struct packet **pkts, unsigned n) {
    struct lane *l = &s->lanes[worker];
    if (!l->n)
        take_turn(s, worker);
    const unsigned most = l->n ? RTE_MIN(n, l->before) : n;
    unsigned got = rte_ring_sc_dequeue_burst(s->inbox[worker], (void **)pkts, most, NULL);
    if (!l->n)
        return got;
    l->before -= got;
    const unsigned own = l->before ? 0 : RTE_MIN(n - got, l->n);
    memcpy(pkts + got, l->kept + l->first, own * sizeof *pkts);
    l->first += own;
    l->n -= own;
    return got + own;
}
