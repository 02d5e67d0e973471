/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that work beside the program's own. */
#ifndef FWDLAB_BASE_THREAD_H
#define FWDLAB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* As pthread_create, without signals: these are for the program's own threads. 0, or an errno: there is none. */
static inline int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

#endif
