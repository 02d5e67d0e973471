/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that a trial remembers: of each drop reason the first, the last and a uniform sample; and the slowest. */
#ifndef FWDLAB_SRC_REPLAY_NOTES_H
#define FWDLAB_SRC_REPLAY_NOTES_H

#include <fwdlab/replay/trial.h>

#define NOTES_SAMPLE 16
#define NOTES_SLOW 32

/* A worker's own; zeroed and seeded it is ready. */
struct notes {
    struct random random;
    struct {
        uint64_t n; /* drops so far */
        struct trial_note first, last, sample[NOTES_SAMPLE];
    } reasons[DROP_COUNT];
    struct trial_note slow[NOTES_SLOW]; /* a heap, the fastest of them on top */
    unsigned n_slow;
};

void notes_drop(struct notes *n, const struct trial_note *note);
void notes_slow_add(struct notes *n, const struct trial_note *note);
/* Worth a note? */
static inline bool notes_is_slow(const struct notes *n, uint64_t latency_ns) {
    return n->n_slow < NOTES_SLOW || latency_ns > n->slow[0].latency_ns;
}
/*
 * The drops of `core` and the slowest packets of both into `out`: by reason, then slowest first. When there are more
 * reasons than room, samples shrink, and stay uniform.
 */
void notes_collect(struct notes *core, struct notes *sink, struct trial_result *out);

#endif
