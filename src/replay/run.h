/* SPDX-License-Identifier: BSD-3-Clause */
/* A trial while it runs, and the account of it. */
#ifndef FWDLAB_SRC_REPLAY_RUN_H
#define FWDLAB_SRC_REPLAY_RUN_H

#include "worker.h"
#include <fwdlab/replay/shard.h>

struct run {
    struct trial trial;
    struct generator *generators;
    struct sink sink;
    struct core *cores;
    struct trial_device *devices; /* of each core worker, with its own node and clock */
    unsigned n_cores;
    struct inputs {               /* what the generators send */
        struct link *from[TRIAL_GENERATORS_MAX];
        unsigned n, turn;
    } inputs;
    struct shard *shard;          /* of them among several core workers; NULL: there is one */
    struct ticks ticks[TRIAL_CORES_MAX];
    struct notes *notes; /* the core's and the sink's; NULL: off */
    size_t tracks_size;
    pthread_t threads[TRIAL_GENERATORS_MAX + TRIAL_CORES_MAX];
    unsigned n_threads;
    bool fifo;
};

/* What happened, out of the workers' accounts; sets the device's next lap. -ENOMEM. */
int account(struct run *r, struct trial_device *d, struct trial_result *out, struct err *e);

#endif
