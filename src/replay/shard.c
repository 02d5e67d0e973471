/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring of batches, each sorted by worker: everybody goes through all of them and takes his part. With a DPDK ring for
 * each worker, which every pointer passes through, two workers carry 7 to 12 % less.
 */
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/shard.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 32u  /* packets that are fetched while those before them are dispatched */
#define TURN 4     /* batches, at most */
#define SPARSE 32u /* packets of a batch from which on there are batches enough for all that may be under way */

static inline unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}

struct batch {
    _Atomic uint32_t number; /* counted from 1, and written last */
    uint32_t before;         /* packets of all earlier ones */
    uint16_t end[1 + DISPATCH_WORKERS_MAX];   /* where the part of worker w - 1 ends and that of w begins */
    struct packet *pkts[BURST_MAX + 1] __attribute__((aligned(64))); /* the last one: room for divide() */
};

/* How far a worker is. */
struct reader {
    _Atomic uint32_t batches __attribute__((aligned(64))); /* that it is done with */
    unsigned got; /* of its part of the next one */
};

struct shard {
    struct shard_input input;
    unsigned workers;
    uint32_t depth; /* packets that may be under way */
    uint32_t n;     /* batches in the ring, a power of two */
    struct batch *batches;
    struct reader *readers; /* the workers */
    _Atomic bool token __attribute__((aligned(64))); /* taken */
    uint32_t filled, packets; /* so far; under the token */
};

struct shard *shard_create(unsigned workers, unsigned depth, const struct shard_input *input, struct err *e) {
    struct shard *s = aligned_alloc(_Alignof(struct shard), sizeof *s);
    if (!s)
        goto no_memory;
    *s = (struct shard){.input = *input, .workers = workers, .n = 1};
    s->depth = workers * (depth < BURST_MAX ? BURST_MAX : depth);
    while (s->n < s->depth / SPARSE)
        s->n *= 2;
    s->batches = aligned_alloc(_Alignof(struct batch), s->n * sizeof *s->batches);
    s->readers = aligned_alloc(_Alignof(struct reader), workers * sizeof *s->readers);
    if (!s->batches || !s->readers)
        goto no_memory;
    memset(s->batches, 0, s->n * sizeof *s->batches);
    memset(s->readers, 0, workers * sizeof *s->readers);
    return s;
no_memory:
    err_set(e, -ENOMEM, "no memory for the batches of %u workers", workers);
    shard_destroy(s);
    return NULL;
}

void shard_destroy(struct shard *s) {
    if (s) {
        free(s->batches);
        free(s->readers);
    }
    free(s);
}

static inline struct batch *batch_at(const struct shard *s, uint32_t at) {
    return &s->batches[at & (s->n - 1)];
}

/* How many packets there is room for. */
static unsigned room(const struct shard *s) {
    uint32_t kept = 0; /* batches that somebody is not done with */
    for (unsigned w = 0; w < s->workers; w++) {
        const uint32_t behind = s->filled - atomic_load_explicit(&s->readers[w].batches, memory_order_acquire);
        kept = behind > kept ? behind : kept;
    }
    if ((kept + 1) * BURST_MAX <= s->depth) /* as it mostly is: without a look at what another may have written */
        return BURST_MAX;
    return kept < s->n ? min(BURST_MAX, s->depth - (s->packets - batch_at(s, s->filled - kept)->before)) : 0;
}

/* Packets by worker, in their order. Workers are few: no branch, and no store that a load waits for. */
static void divide(struct batch *b, unsigned workers, struct packet *const *pkts, const uint8_t *whose, unsigned n) {
    unsigned k = 0;
    for (unsigned w = 0; w < workers; w++) {
        for (unsigned i = 0; i < n; i++) {
            b->pkts[k] = pkts[i];
            k += whose[i] == w;
        }
        b->end[w + 1] = (uint16_t)k;
    }
}

/* True: it is full, there may be more. */
static bool fill(struct shard *s) {
    struct batch *b = batch_at(s, s->filled);
    struct packet *pkts[BURST_MAX];
    uint8_t whose[BURST_MAX];
    const unsigned most = room(s);
    unsigned n = most ? s->input.take(s->input.input, pkts, min(PIECE, most)) : 0;
    if (!n)
        return false;
    __builtin_prefetch(b, 1);
    for (unsigned from = 0, to = n; from < to; from = to, to = n) {
        for (unsigned i = from; i < to; i += 8)
            __builtin_prefetch(&b->pkts[i], 1);
        if (n < most)
            n += s->input.take(s->input.input, pkts + n, min(PIECE, most - n));
        s->input.assign(s->input.dispatcher, pkts + from, to - from, whose + from);
    }
    divide(b, s->workers, pkts, whose, n);
    b->before = s->packets;
    s->packets += n;
    atomic_store_explicit(&b->number, ++s->filled, memory_order_release);
    return n == BURST_MAX;
}

static void take_turn(struct shard *s) {
    if (atomic_load_explicit(&s->token, memory_order_relaxed) ||
        atomic_exchange_explicit(&s->token, true, memory_order_acquire))
        return;
    for (unsigned i = 0; i < TURN && fill(s); i++)
        ;
    atomic_store_explicit(&s->token, false, memory_order_release);
}

static unsigned read_batches(struct shard *s, unsigned worker, struct packet **pkts, unsigned n) {
    struct reader *r = &s->readers[worker];
    const uint32_t begin = atomic_load_explicit(&r->batches, memory_order_relaxed);
    uint32_t at = begin;
    unsigned got = 0;
    while (got < n) {
        const struct batch *b = batch_at(s, at);
        if (atomic_load_explicit(&b->number, memory_order_acquire) != at + 1)
            break;
        const unsigned from = b->end[worker] + r->got, more = min(n - got, b->end[worker + 1] - from);
        memcpy(pkts + got, b->pkts + from, more * sizeof *pkts);
        got += more;
        r->got += more;
        if (from + more == b->end[worker + 1]) {
            r->got = 0;
            at++;
        }
    }
    if (at != begin)
        atomic_store_explicit(&r->batches, at, memory_order_release);
    return got;
}

unsigned shard_take(struct shard *s, unsigned worker, struct packet **pkts, unsigned n) {
    unsigned got = read_batches(s, worker, pkts, n);
    if (got < n) {
        take_turn(s);
        got += read_batches(s, worker, pkts + got, n - got);
    }
    return got;
}
