/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where generators take their steps from: one traffic in laps, or a stream of chunks. All reader the same steps; each
 * takes its own (traffic_worker).
 */
#ifndef FWDLAB_SRC_REPLAY_FEED_H
#define FWDLAB_SRC_REPLAY_FEED_H

#include <pthread.h>
#include <fwdlab/inject/traffic.h>
#include <fwdlab/replay/trial.h>

struct feed {
    struct traffic_stream *stream; /* NULL: laps */
    const struct traffic *chunk;   /* laps: the traffic; stream: the latest */
    uint64_t n;                    /* chunks so far */
    uint64_t at[TRIAL_GENERATORS_MAX]; /* chunk that each generator is in */
    unsigned generators;
    bool ended;                    /* no chunk after the latest */
    int rc;                        /* why, and the words for it */
    struct err err;
    pthread_mutex_t lock;
};
/* Takes the first chunk of a stream, else `t`. -ENODATA: the stream is empty. */
int feed_init(struct feed *f, const struct traffic *t, struct traffic_stream *s, unsigned generators, struct err *e);
void feed_fini(struct feed *f);

struct reader {
    struct feed *feed;
    unsigned generator;
    const struct traffic *t;  /* what the latest step is of */
    struct traffic_cursor cursor;
    uint64_t lap;             /* of the latest step */
    bool once;                /* one lap */
};
void reader_begin(struct reader *r, struct feed *f, unsigned generator, uint64_t lap, bool once);
/* Nobody has to wait for this one any more. */
void reader_end(struct reader *r);
/* Waits for the next chunk; false: there is none. */
bool reader_chunk(struct reader *r);
/* The next step, whoever's it is; false: the end. */
static inline bool reader_next(struct reader *r, struct traffic_step *out) {
    traffic_next(&r->cursor, out);
    if (__builtin_expect(out->lap != r->lap, 0)) {
        if (r->feed->stream) {
            if (!reader_chunk(r))
                return false;
            traffic_next(&r->cursor, out);
        } else if (r->once) {
            return false;
        } else {
            r->lap = out->lap;
        }
    }
    return true;
}

#endif
