/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See front.h: a ring of batches, of which the thread fills those that the reader gave back. What is in the ring is
 * related by the side that has time: by the thread as long as it is far ahead, else by the reader.
 */
#include "front.h"

#include <sched.h>
#include <stdatomic.h>
#include <fwdlab/base/block.h>
#include <fwdlab/base/thread.h>

#define BATCHES 128  /* for both sides' unevenness; what is used of them fits a cache of third level */
#define FAR_AHEAD 96 /* room for fewer batches than that: the reader is the one that has no time */
#define AT_ONCE 2    /* batches that the thread relates at a time: the reader may wait for the first of them */
#define PATIENCE 64  /* looks before a side goes to sleep: to be woken takes as long as several batches */

struct front_thread {
    struct front *front;
    pthread_t thread;
    pthread_mutex_t lock; /* for sleeping */
    pthread_cond_t changed;
    atomic_uint sleeping;
    atomic_bool stop;
    _Alignas(64) atomic_flag relating; /* one side is at it */
    atomic_ulong related;             /* batches, ever */
    _Alignas(64) atomic_ulong filled;
    _Alignas(64) atomic_ulong taken;  /* and given back */
    bool out;                         /* the reader has one */
    struct batch *ring;
};

static bool has_room(struct front_thread *t, unsigned batches) {
    return atomic_load(&t->filled) - atomic_load(&t->taken) <= BATCHES - batches || atomic_load(&t->stop);
}

/* After the ring was full: with room for more than one, for which it is not worth to be woken. */
static bool may_go_on(struct front_thread *t) {
    return has_room(t, BATCHES / 2);
}

static bool may_take(struct front_thread *t) {
    return atomic_load(&t->filled) != atomic_load(&t->taken);
}

static void wait_until(struct front_thread *t, bool (*ready)(struct front_thread *)) {
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (ready(t))
            return;
        sched_yield();
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleeping, 1);
    while (!ready(t))
        pthread_cond_wait(&t->changed, &t->lock);
    atomic_fetch_sub(&t->sleeping, 1);
    pthread_mutex_unlock(&t->lock);
}

/* What the other side may wait for has changed. */
static void wake(struct front_thread *t) {
    if (!atomic_load(&t->sleeping))
        return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* Relates batches before `end` that are not yet, at most so many; how many. 0 also where the other side is at it. */
static unsigned relate(struct front_thread *t, unsigned long end, unsigned most) {
    unsigned n = 0;
    if (atomic_flag_test_and_set(&t->relating))
        return 0;
    for (unsigned long next; n < most && (next = atomic_load(&t->related)) < end; n++) {
        front_relate(t->front, &t->ring[next % BATCHES]);
        atomic_store(&t->related, next + 1);
    }
    atomic_flag_clear(&t->relating);
    return n;
}

static void *run(void *arg) {
    struct front_thread *t = arg;
    for (int code = 1; code > 0;) {
        while (!has_room(t, 1) && relate(t, atomic_load(&t->filled), AT_ONCE))
            ;
        if (!has_room(t, 1))
            wait_until(t, may_go_on);
        if (atomic_load(&t->stop))
            break;
        struct batch *b = &t->ring[atomic_load(&t->filled) % BATCHES];
        front_fill(t->front, b);
        code = b->code;
        atomic_fetch_add(&t->filled, 1);
        wake(t);
        if (!has_room(t, FAR_AHEAD))
            relate(t, atomic_load(&t->filled), AT_ONCE);
    }
    return NULL;
}

static void give_back(struct front_thread *t) {
    if (!t->out)
        return;
    t->out = false;
    atomic_fetch_add(&t->taken, 1);
    if (may_go_on(t))
        wake(t);
}

struct batch *front_thread_next(struct front_thread *t) {
    give_back(t);
    wait_until(t, may_take);
    t->out = true;
    const unsigned long next = atomic_load(&t->taken);
    while (atomic_load(&t->related) <= next)
        relate(t, next + 1, 1);
    return &t->ring[next % BATCHES];
}

const struct batch *front_thread_peek(const struct front_thread *t) {
    const unsigned long next = atomic_load(&t->taken) + t->out;
    return next == atomic_load(&t->filled) ? NULL : &t->ring[next % BATCHES];
}

static void destroy(struct front_thread *t) {
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    batches_destroy(t->ring, BATCHES);
    block_free(t, sizeof *t);
}

struct front_thread *front_thread_start(struct front *f) {
    struct front_thread *t = block_grow(NULL, 0, sizeof *t);
    *t = (struct front_thread){.front = f, .ring = batches_create(BATCHES)};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    if (!thread_start(&t->thread, run, t))
        return t;
    destroy(t);
    return NULL;
}

void front_thread_stop(struct front_thread *t) {
    if (!t)
        return;
    atomic_store(&t->stop, true);
    front_stop(t->front);
    wake(t);
    pthread_join(t->thread, NULL);
    front_destroy(t->front);
    destroy(t);
}
