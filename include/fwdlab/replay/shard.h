/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One input for several workers. Each of them takes from it and dispatches inline (core/dispatch.h): a batch at a time,
 * whose pointers are then sorted by worker.
 *
 * The order of a flow holds. One worker takes and dispatches at a time, under a token, so that batches follow one
 * another in the input's order; every worker goes through all of them, and takes its part of each. Nobody waits for the
 * token: others go on with the batches that are there. The token and the batches are all that workers share: a few
 * writes for a batch, none for a packet. Nothing is lost: while too much is under way, nobody takes, but all go on.
 */
#ifndef FWDLAB_REPLAY_SHARD_H
#define FWDLAB_REPLAY_SHARD_H

#include <fwdlab/core/dispatch.h>
#include <fwdlab/core/forward.h>

/*
 * Both are called by one worker at a time, and in the same order. Some packets are taken before the latest ones are
 * assigned: `take` may prefetch what it takes, unless the CPU itself does. Once nothing was there to take, all that was
 * taken can be had by shard_take before more is asked for.
 */
struct shard_input {
    unsigned (*take)(void *input, struct packet **pkts, unsigned n); /* the next ones, at most n <= BURST_MAX */
    void (*assign)(void *dispatcher, struct packet *const *pkts, unsigned n, uint8_t *worker); /* whose each is */
    void *input, *dispatcher;
};

struct shard;

/*
 * 1..DISPATCH_WORKERS_MAX workers, and for each of them `depth` packets under way, BURST_MAX at least: taken, and of
 * batches that not every worker is done with. NULL and *e: no memory.
 */
struct shard *shard_create(unsigned workers, unsigned depth, const struct shard_input *input, struct err *e);
/* What was not taken yet stays the input's. */
void shard_destroy(struct shard *s);
/*
 * The worker's next packets, at most n, in the input's order. Never waits; 0: nothing is there for it now. All workers
 * have to come again and again, also when nothing was there: who stays away holds up the others.
 */
unsigned shard_take(struct shard *s, unsigned worker, struct packet **pkts, unsigned n);

#endif
