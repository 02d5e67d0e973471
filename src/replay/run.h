/* SPDX-License-Identifier: BSD-3-Clause */
/* A trial while it runs, and the account of it. */
#ifndef FWDLAB_SRC_REPLAY_RUN_H
#define FWDLAB_SRC_REPLAY_RUN_H

#include "worker.h"

struct run {
    struct trial trial;
    struct generator *generators;
    struct sink sink;
    struct core core;
    struct ticks ticks;
    struct notes *notes; /* the core's and the sink's; NULL: off */
    size_t tracks_size;
    pthread_t threads[TRIAL_GENERATORS_MAX + 1];
    unsigned n_threads;
    bool fifo;
};

/* What happened, out of the workers' accounts; sets the device's next lap. -ENOMEM. */
int account(struct run *r, struct trial_device *d, struct trial_result *out, struct err *e);

#endif
