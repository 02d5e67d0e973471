/* SPDX-License-Identifier: BSD-3-Clause */
/* See ahead.h: two chunks, of which one is filled while the other is read. */
#include "ahead.h"

#include <stdbool.h>
#include <string.h>
#include <fwdlab/base/thread.h>
#include <fwdlab/base/vec.h>

#define CHUNK (1u << 18)
#define CHUNKS 4

struct chunk {
    bool full; /* the reader's; else the thread's */
    size_t len, taken;
    uint64_t position;
    uint8_t *bytes;
};

struct ahead {
    pthread_t thread;
    pthread_mutex_t lock; /* over `full` and `stop` */
    pthread_cond_t changed;
    bool stop;
    unsigned at; /* the reader's chunk */
    uint64_t position;
    ahead_produce *produce;
    void *from;
    struct chunk chunks[CHUNKS];
};

/* False: the reader wants no more. */
static bool wait_for(struct ahead *a, const struct chunk *c, bool full) {
    pthread_mutex_lock(&a->lock);
    while (c->full != full && !a->stop)
        pthread_cond_wait(&a->changed, &a->lock);
    bool go_on = !a->stop;
    pthread_mutex_unlock(&a->lock);
    return go_on;
}

static void hand_over(struct ahead *a, struct chunk *c, bool full) {
    pthread_mutex_lock(&a->lock);
    c->full = full;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void *run(void *ahead) {
    struct ahead *a = ahead;
    bool more = true;
    for (unsigned i = 0; more && wait_for(a, &a->chunks[i], false); i = (i + 1) % CHUNKS) {
        struct chunk *c = &a->chunks[i];
        c->taken = 0;
        c->len = a->produce(a->from, c->bytes, CHUNK, &c->position);
        more = c->len > 0;
        hand_over(a, c, true);
    }
    return NULL;
}

struct ahead *ahead_create(ahead_produce *produce, void *from) {
    struct ahead *a = xzalloc(1, sizeof *a);
    a->produce = produce;
    a->from = from;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    for (unsigned i = 0; i < CHUNKS; i++)
        a->chunks[i].bytes = xalloc(CHUNK);
    if (!thread_start(&a->thread, run, a))
        return a;
    a->stop = true;
    ahead_destroy(a);
    return NULL;
}

void ahead_destroy(struct ahead *a) {
    if (!a)
        return;
    if (!a->stop) {
        pthread_mutex_lock(&a->lock);
        a->stop = true;
        pthread_cond_signal(&a->changed);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    for (unsigned i = 0; i < CHUNKS; i++)
        vec_release(a->chunks[i].bytes);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    vec_release(a);
}

size_t ahead_read(struct ahead *a, uint8_t *to, size_t room) {
    struct chunk *c = &a->chunks[a->at];
    wait_for(a, c, true);
    a->position = c->position;
    size_t n = c->len - c->taken < room ? c->len - c->taken : room;
    memcpy(to, c->bytes + c->taken, n);
    c->taken += n;
    if (n && c->taken == c->len) { /* the empty chunk at the end stays */
        hand_over(a, c, false);
        a->at = (a->at + 1) % CHUNKS;
    }
    return n;
}

uint64_t ahead_position(const struct ahead *a) {
    return a->position;
}
