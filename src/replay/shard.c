/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/shard.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TAKE 128u /* packets at a time for each worker */

static inline unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* A ring of one worker's packets. Both ends only grow. */
struct inbox {
    _Atomic uint32_t head __attribute__((aligned(64))); /* its worker's */
    _Atomic uint32_t tail __attribute__((aligned(64))); /* under the token */
    struct packet **ring;
};

/* What a worker took from the input, on its way into that CPU's cache. */
struct batch {
    unsigned n;
    struct packet *pkts[BURST_MAX];
} __attribute__((aligned(64)));

struct shard {
    struct shard_input input;
    unsigned workers;
    uint32_t depth;        /* of an inbox, a power of two */
    struct inbox *inboxes; /* one for each worker */
    struct batch *batches;
    _Atomic bool token __attribute__((aligned(64))); /* taken */
    /* under the token */
    unsigned pending;      /* packets of batches that were not dispatched yet */
    unsigned first, n;     /* of these batches, oldest first: */
    uint8_t queue[DISPATCH_WORKERS_MAX];
};

struct shard *shard_create(unsigned workers, unsigned depth, const struct shard_input *input, struct err *e) {
    struct shard *s = aligned_alloc(_Alignof(struct shard), sizeof *s);
    if (!s)
        goto no_memory;
    *s = (struct shard){.input = *input, .workers = workers, .depth = BURST_MAX};
    while (s->depth < depth)
        s->depth *= 2;
    s->inboxes = aligned_alloc(_Alignof(struct inbox), workers * sizeof *s->inboxes);
    s->batches = aligned_alloc(_Alignof(struct batch), workers * sizeof *s->batches);
    if (!s->inboxes || !s->batches)
        goto no_memory;
    memset(s->inboxes, 0, workers * sizeof *s->inboxes);
    memset(s->batches, 0, workers * sizeof *s->batches);
    for (unsigned w = 0; w < workers; w++)
        if (!(s->inboxes[w].ring = calloc(s->depth, sizeof *s->inboxes[w].ring)))
            goto no_memory;
    return s;
no_memory:
    err_set(e, -ENOMEM, "no memory for the inboxes of %u workers", workers);
    shard_destroy(s);
    return NULL;
}

void shard_destroy(struct shard *s) {
    for (unsigned w = 0; s && s->inboxes && w < s->workers; w++)
        free(s->inboxes[w].ring);
    if (s) {
        free(s->inboxes);
        free(s->batches);
    }
    free(s);
}

/* How many packets there is room for, wherever they and those that are pending go. */
static unsigned room(const struct shard *s) {
    unsigned least = s->depth;
    for (unsigned w = 0; w < s->workers; w++) {
        const struct inbox *in = &s->inboxes[w];
        const uint32_t held = atomic_load_explicit(&in->tail, memory_order_relaxed) -
                              atomic_load_explicit(&in->head, memory_order_acquire);
        least = min(least, s->depth - held);
    }
    return min(min(TAKE * s->workers, BURST_MAX), least - s->pending);
}

/* The oldest batch to the inboxes. */
static void dispatch_oldest(struct shard *s) {
    struct batch *b = &s->batches[s->queue[s->first]];
    uint32_t tail[DISPATCH_WORKERS_MAX];
    uint8_t whose[BURST_MAX];
    s->input.assign(s->input.dispatcher, b->pkts, b->n, whose);
    for (unsigned w = 0; w < s->workers; w++)
        tail[w] = atomic_load_explicit(&s->inboxes[w].tail, memory_order_relaxed);
    for (unsigned i = 0; i < b->n; i++)
        s->inboxes[whose[i]].ring[tail[whose[i]]++ & (s->depth - 1)] = b->pkts[i];
    for (unsigned w = 0; w < s->workers; w++)
        atomic_store_explicit(&s->inboxes[w].tail, tail[w], memory_order_release);
    s->pending -= b->n;
    b->n = 0;
    s->first = (s->first + 1) % s->workers;
    s->n--;
}

/* Dispatches what this worker took last, after all that was taken before, and takes more. */
static void take_turn(struct shard *s, unsigned worker) {
    struct batch *own = &s->batches[worker];
    if (atomic_load_explicit(&s->token, memory_order_relaxed) ||
        atomic_exchange_explicit(&s->token, true, memory_order_acquire))
        return;
    while (own->n)
        dispatch_oldest(s);
    const unsigned most = room(s);
    if (most)
        own->n = s->input.take(s->input.input, own->pkts, most);
    if (own->n) {
        s->queue[(s->first + s->n++) % s->workers] = (uint8_t)worker;
        s->pending += own->n;
    }
    while (!own->n && s->n)
        dispatch_oldest(s);
    atomic_store_explicit(&s->token, false, memory_order_release);
}

unsigned shard_take(struct shard *s, unsigned worker, struct packet **pkts, unsigned n) {
    struct inbox *in = &s->inboxes[worker];
    const uint32_t head = atomic_load_explicit(&in->head, memory_order_relaxed);
    if (atomic_load_explicit(&in->tail, memory_order_acquire) - head < n)
        take_turn(s, worker);
    const unsigned got = min(n, atomic_load_explicit(&in->tail, memory_order_acquire) - head);
    for (unsigned i = 0; i < got; i++)
        pkts[i] = in->ring[(head + i) & (s->depth - 1)];
    atomic_store_explicit(&in->head, head + got, memory_order_release);
    return got;
}
