/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream keeps two chunks. The generator that needs the next one first takes it, for all: but not while another is
 * still in the one before, which would be freed. They reader by the same clock, so nobody waits long.
 */
#include "feed.h"
#include <errno.h>
#include <sched.h>

int feed_init(struct feed *f, const struct traffic *t, struct traffic_stream *s, unsigned generators, struct err *e) {
    uint64_t waited;
    *f = (struct feed){.stream = s, .chunk = t, .generators = generators};
    if (s) {
        f->chunk = traffic_stream_next(s, &waited, &f->err);
        f->n = 1;
    }
    pthread_mutex_init(&f->lock, NULL);
    if (f->chunk)
        return 0;
    if (f->err.what[0]) {
        if (e)
            *e = f->err;
        return -EIO;
    }
    err_set(e, -ENODATA, "no packet of the trace arrives at the node under test");
    err_hint(e, "is this the trace's scenario, and are its interfaces named by the NICs' `capture`?");
    return -ENODATA;
}

void feed_fini(struct feed *f) {
    pthread_mutex_destroy(&f->lock);
}

/* Called with the lock. False: not yet. */
static bool take(struct feed *f) {
    uint64_t waited;
    for (unsigned i = 0; i < f->generators; i++)
        if (f->at[i] + 1 < f->n)
            return false;
    const struct traffic *next = traffic_stream_next(f->stream, &waited, &f->err);
    if (next) {
        f->chunk = next;
        f->n++;
    } else {
        f->ended = true;
        f->rc = f->err.what[0] ? -EIO : 0;
    }
    return true;
}

static void enter(struct reader *r) {
    r->t = r->feed->chunk;
    traffic_begin(&r->cursor, r->t);
}

bool reader_chunk(struct reader *r) {
    struct feed *f = r->feed;
    const uint64_t next = f->at[r->generator] + 1;
    for (;; sched_yield()) {
        pthread_mutex_lock(&f->lock);
        bool there = next < f->n || (!f->ended && take(f) && next < f->n), ended = f->ended;
        if (there) {
            f->at[r->generator] = next;
            enter(r);
        }
        pthread_mutex_unlock(&f->lock);
        if (there || ended)
            return there;
    }
}

void reader_end(struct reader *r) {
    pthread_mutex_lock(&r->feed->lock);
    r->feed->at[r->generator] = UINT64_MAX - 1;
    pthread_mutex_unlock(&r->feed->lock);
}

void reader_begin(struct reader *r, struct feed *f, unsigned generator, uint64_t lap, bool once) {
    *r = (struct reader){.feed = f, .generator = generator, .once = once};
    enter(r);
    r->lap = r->cursor.lap = f->stream ? 0 : lap;
}
