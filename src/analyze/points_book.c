/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of records found by a hash. When all are in use, the hand goes round: what was not looked at since it passed
 * is forgotten. */
#include <stdlib.h>
#include "points.h"

#define BOOK_FIRST 1024

void key_book_init(struct book *b, size_t limit) {
    *b = (struct book){.limit = limit < NONE - 1 ? (uint32_t)limit : NONE - 1};
}

void key_book_fini(struct book *b) {
    free(b->head);
    free(b->next);
    free(b->hash);
    free(b->recent);
}

static uint32_t *slot(const struct book *b, uint64_t hash) {
    return &b->head[hash % b->cap];
}

static void grow(struct book *b) {
    b->cap = !b->cap ? BOOK_FIRST : b->cap * 2ull < b->limit ? b->cap * 2 : b->limit;
    b->cap = b->cap < b->limit ? b->cap : b->limit;
    b->head = xrealloc(b->head, b->cap, sizeof *b->head);
    b->next = xrealloc(b->next, b->cap, sizeof *b->next);
    b->hash = xrealloc(b->hash, b->cap, sizeof *b->hash);
    b->recent = xrealloc(b->recent, b->cap, sizeof *b->recent);
    memset(b->head, 0xff, b->cap * sizeof *b->head);
    for (uint32_t i = 0; i < b->n; i++) {
        b->next[i] = *slot(b, b->hash[i]);
        *slot(b, b->hash[i]) = i;
    }
}

uint32_t key_book_find(const struct book *b, uint64_t hash, uint32_t after) {
    if (!b->cap)
        return NONE;
    uint32_t i = after == NONE ? *slot(b, hash) : b->next[after];
    while (i != NONE && b->hash[i] != hash)
        i = b->next[i];
    if (i != NONE)
        b->recent[i] = true;
    return i;
}

/* The next one that nobody looked at for a round. */
static uint32_t forget(struct book *b) {
    for (;; b->hand++) {
        b->hand %= b->n;
        if (!b->recent[b->hand])
            break;
        b->recent[b->hand] = false;
    }
    uint32_t i = b->hand++, *at = slot(b, b->hash[i]);
    while (*at != i)
        at = &b->next[*at];
    *at = b->next[i];
    b->forgotten++;
    return i;
}

uint32_t book_take(struct book *b, uint64_t hash) {
    if (b->n == b->cap && b->cap < b->limit)
        grow(b);
    uint32_t i = b->n < b->cap ? b->n++ : forget(b);
    b->hash[i] = hash;
    b->recent[i] = true;
    b->next[i] = *slot(b, hash);
    *slot(b, hash) = i;
    return i;
}
