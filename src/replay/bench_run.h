/* SPDX-License-Identifier: BSD-3-Clause */
/* A benchmark while it runs. */
#ifndef FWDLAB_SRC_REPLAY_BENCH_RUN_H
#define FWDLAB_SRC_REPLAY_BENCH_RUN_H

#include <fwdlab/replay/bench.h>

#define BENCH_MIN_PPS 1000.0
#define BENCH_BACK_OFF 0.97 /* of a load that the generator could not keep to */

struct bench {
    struct bench_configuration *c;
    unsigned n;
    const struct bench_options *o;
    struct err *e;
    unsigned done; /* trials, of all configurations */
};

/*
 * One trial that counts for a goal: repeated while the machine disturbs it (BENCH_REPEATS times at most), and once when
 * the generator was too slow. The last one goes into c->trials and *out, to be ended by the
 * caller. `o` lacks burst, CPUs and policy.
 */
int bench_try(struct bench *b, struct bench_configuration *c, const char *goal, struct trial_options o,
              struct trial_result *out);
/*
 * The next trial of c->search: 1 it was made, 0 the search is done, -errno. It has the goal's name unless it is given
 * another, and sends packets_max packets at most however long the search wants it (0: no limit).
 */
int bench_search(struct bench *b, struct bench_configuration *c, const char *name, double packets_max);

#endif
