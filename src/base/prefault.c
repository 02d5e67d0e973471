/* SPDX-License-Identifier: BSD-3-Clause */
/* See fwdlab/base/prefault.h. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fwdlab/base/prefault.h>
#include <fwdlab/base/thread.h>
#include <fwdlab/base/vec.h>

struct prefault {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    void *from; /* a page's beginning */
    size_t size; /* 0: nothing is asked for */
    bool stop;
};

/* The next range; false: there will be none. */
static bool next(struct prefault *p, void **from, size_t *size) {
    pthread_mutex_lock(&p->lock);
    while (!p->size && !p->stop)
        pthread_cond_wait(&p->asked, &p->lock);
    *from = p->from;
    *size = p->size;
    p->size = 0;
    const bool go_on = !p->stop;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static void *run(void *arg) {
    void *from;
    size_t size;
    while (next(arg, &from, &size))
        (void)madvise(from, size, MADV_POPULATE_WRITE); /* before Linux 5.14 it has no effect */
    return NULL;
}

static void destroy(struct prefault *p) {
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->asked);
    free(p);
}

struct prefault *prefault_start(void) {
    struct prefault *p = xzalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->asked, NULL);
    if (!thread_start(&p->thread, run, p))
        return p;
    destroy(p);
    return NULL;
}

void prefault_ask(struct prefault *p, void *from, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), skipped = (uintptr_t)from & (page - 1);
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->from = (char *)from - skipped;
    p->size = size + skipped;
    pthread_cond_signal(&p->asked);
    pthread_mutex_unlock(&p->lock);
}

void prefault_stop(struct prefault *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->asked);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    destroy(p);
}
