/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One input for several workers. Each of them takes bursts from it and dispatches them inline (core/dispatch.h) to the
 * workers' inboxes, rings of pointers.
 *
 * The order of a flow holds. One worker takes and dispatches at a time, under a token, so that packets get into inboxes
 * in the input's order. What it takes it dispatches at its next turn: while it works off its inbox, the caches
 * fetch them (the input says what, in `take`). Others don't wait for that: who takes a turn also dispatches what
 * was taken before its own. The token and the inboxes are all that workers share: a few writes for a burst, none
 * for a packet. Nothing is lost: while an inbox is full, nobody takes, but all work off their own.
 */
#ifndef FWDLAB_REPLAY_SHARD_H
#define FWDLAB_REPLAY_SHARD_H

#include <fwdlab/core/dispatch.h>
#include <fwdlab/core/forward.h>

/*
 * Both are called by one worker at a time, and in the same order. Once nothing was there to take, all that was taken is
 * in the inboxes before more is asked for.
 */
struct shard_input {
    unsigned (*take)(void *input, struct packet **pkts, unsigned n); /* the next ones, at most n <= BURST_MAX */
    void (*assign)(void *dispatcher, struct packet *const *pkts, unsigned n, uint8_t *worker); /* whose each is */
    void *input, *dispatcher;
};

struct shard;

/* 1..DISPATCH_WORKERS_MAX workers; inboxes of `depth` packets, BURST_MAX at least. NULL and *e: no memory. */
struct shard *shard_create(unsigned workers, unsigned depth, const struct shard_input *input, struct err *e);
/* What was not taken yet stays the input's. */
void shard_destroy(struct shard *s);
/* The worker's next packets, at most n, in the input's order. Never waits; 0: nothing is there for it now. */
unsigned shard_take(struct shard *s, unsigned worker, struct packet **pkts, unsigned n);

#endif
