/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traffic of a trace of any length. A thread reads it window by window (traffic_window.c) into chunks, one ahead of the
 * one that was given last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/thread.h>
#include "traffic_window.h"

#define CHUNK_PACKETS (1u << 17)

struct traffic_stream {
    struct trace *trace;
    struct window window;
    uint32_t chunk_packets;
    struct traffic *before, *current; /* given */
    pthread_t reader;
    bool started;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct traffic *ready;
    bool ended, stop;
    struct err err; /* why it ended; empty: the trace's end */
};

/* Reads windows until one holds something to send. NULL: the end; e->what says why it is no good one. */
static struct traffic *read_chunk(struct traffic_stream *s, struct err *e) {
    struct traffic *t = NULL;
    for (bool more = true; !t && more;) {
        int cancel;
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel); /* a pipe may stay silent for ever */
        more = window_read(&s->window, s->trace, s->chunk_packets, e);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        if (!e->what[0])
            t = window_chunk(&s->window, s->trace);
    }
    if (!t && !e->what[0] && !s->window.given) /* nothing at all: the window knows why */
        *e = s->window.err;
    return t;
}

/* Waits until the chunk that was read ahead is taken; false: nobody wants more. */
static bool wait_for_room(struct traffic_stream *s) {
    pthread_mutex_lock(&s->lock);
    while (s->ready && !s->stop)
        pthread_cond_wait(&s->changed, &s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return !stop;
}

static void *reader(void *arg) {
    struct traffic_stream *s = arg;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    for (bool ended = false; !ended && wait_for_room(s);) {
        struct err e = {0};
        struct traffic *t = read_chunk(s, &e);
        pthread_mutex_lock(&s->lock);
        s->ready = t;
        s->ended = ended = !t;
        s->err = e;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static int check(const struct traffic_options *o, struct err *e) {
    int code = traffic_check(o, e);
    if (!code && (o->sessions || o->churn > 0 || o->spread))
        code = err_set(e, -EINVAL, "a streamed trace is sent as it is: no more sessions, no churn, no other addresses");
    return code;
}

static int start(struct traffic_stream *s, struct err *e) {
    const int code = thread_start(&s->reader, reader, s);
    s->started = !code;
    return code ? err_set(e, -code, "no thread to read the trace: %s", strerror(code)) : 0;
}

struct traffic_stream *traffic_stream_open(const char *path, const struct control *c, uint32_t node,
                                           const struct traffic_options *o, uint32_t chunk_packets, struct err *e) {
    if (check(o, e))
        return NULL;
    struct traffic_stream *s = xzalloc(1, sizeof *s);
    s->chunk_packets = chunk_packets ? chunk_packets : CHUNK_PACKETS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    window_init(&s->window, c, node, o);
    s->trace = trace_open(path, e);
    if (s->trace && !start(s, e))
        return s;
    traffic_stream_close(s);
    return NULL;
}

const struct traffic *traffic_stream_next(struct traffic_stream *s, uint64_t *waited_ns, struct err *e) {
    const uint64_t start_ns = clock_ns();
    pthread_mutex_lock(&s->lock);
    while (!s->ready && !s->ended)
        pthread_cond_wait(&s->changed, &s->lock);
    struct traffic *t = s->ready;
    s->ready = NULL;
    if (e)
        *e = t ? (struct err){0} : s->err;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    *waited_ns = clock_ns() - start_ns;
    if (!t)
        return NULL;
    traffic_destroy(s->before);
    s->before = s->current;
    s->current = t;
    return t;
}

const char *traffic_stream_damage(const struct traffic_stream *s) {
    return s->ended ? trace_damage(s->trace) : NULL;
}

void traffic_stream_close(struct traffic_stream *s) {
    if (!s)
        return;
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_cancel(s->reader);
        pthread_join(s->reader, NULL);
    }
    traffic_destroy(s->before);
    traffic_destroy(s->current);
    traffic_destroy(s->ready);
    window_fini(&s->window);
    trace_close(s->trace);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
