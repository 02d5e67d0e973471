/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/arena.h>
#include <fwdlab/base/vec.h>

#define CHUNK ((size_t)16 << 10)

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct chunk *chunk; /* the newest: allocations come from it */
};

struct arena *arena_create(void) {
    return xzalloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *a) {
    if (!a)
        return;
    for (struct chunk *c = a->chunk, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t size) {
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!a->chunk || a->chunk->size - a->chunk->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct chunk *c = xzalloc(1, sizeof *c + room);
        c->size = room;
        c->next = a->chunk;
        a->chunk = c;
    }
    void *p = a->chunk->data + a->chunk->used;
    a->chunk->used += size;
    return p;
}

char *arena_strdup(struct arena *a, const char *s) {
    size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) /* out of memory, see vec.h */
        abort();
    char *s = memcpy(arena_alloc(a, (size_t)n + 1), text, (size_t)n + 1);
    free(text);
    return s;
}
