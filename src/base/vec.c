/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/vec.h>

static void *whole(void *p, size_t size) {
    if (!p && size) {
        fprintf(stderr, "fwdlab: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

void *xalloc(size_t size) {
    return whole(malloc(size), size);
}

void *xzalloc(size_t count, size_t size) {
    return whole(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *xrealloc(void *p, size_t count, size_t size) {
    return whole(reallocarray(p, count ? count : 1, size), count * size);
}

char *xstrdup(const char *s) {
    return whole(strdup(s), strlen(s) + 1);
}

void *vec_grow(void *v, size_t *cap, size_t item) {
    *cap = *cap ? *cap * 2 : 8;
    return xrealloc(v, *cap, item);
}

void vec_release(void *v) {
    free(v);
}
