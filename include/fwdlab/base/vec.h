/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A growing array: VEC(struct hop) hops = {0}; vec_push(&hops, h); hops.v[i], hops.n; vec_free(&hops).
 * Out of memory ends the program: cold paths have nothing better to do, hot paths do not grow anything.
 */
#ifndef FWDLAB_BASE_VEC_H
#define FWDLAB_BASE_VEC_H

#include <stddef.h>

#define VEC(type)                                                                                                      \
    struct {                                                                                                           \
        type *v;                                                                                                       \
        size_t n, cap;                                                                                                 \
    }

#define vec_push(vec, ...)                                                                                             \
    do {                                                                                                               \
        if ((vec)->n == (vec)->cap)                                                                                    \
            (vec)->v = vec_grow((vec)->v, &(vec)->cap, sizeof *(vec)->v);                                              \
        (vec)->v[(vec)->n++] = (__VA_ARGS__);                                                                          \
    } while (0)

#define vec_free(vec)                                                                                                  \
    do {                                                                                                               \
        vec_release((vec)->v);                                                                                         \
        (vec)->v = NULL;                                                                                               \
        (vec)->n = (vec)->cap = 0;                                                                                     \
    } while (0)

void *vec_grow(void *v, size_t *cap, size_t item);
void vec_release(void *v);

/* malloc, calloc, realloc and strdup that end the program when memory is out. */
void *xalloc(size_t size);
void *xzalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t count, size_t size);
char *xstrdup(const char *s);

#endif
