/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and changing the index of sessions. Lookups are inline in nat_table.h. */
#include "nat_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *nat_alloc(size_t size) {
    size_t align = size < HUGE_PAGE ? 64 : HUGE_PAGE;
    void *memory = aligned_alloc(align, (size + align - 1) & ~(align - 1));
    if (memory && align == HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE); /* 1M sessions: a lookup costs a fifth. Refused: slower */
    return memory;
}

int nat_table_init(struct nat_table *t, uint32_t entries) {
    uint32_t hashed = 64;
    while (hashed < entries / 2)
        hashed *= 2;
    /* Only a chain's last bucket may have empty places: the pool needs a bucket for every three entries at most. */
    *t = (struct nat_table){.mask = hashed - 1, .n_pool = entries / NAT_BUCKET_KEYS};
    t->bucket = nat_alloc(((size_t)hashed + t->n_pool) * sizeof *t->bucket);
    if (!t->bucket)
        return -ENOMEM;
    nat_table_clear(t);
    return 0;
}

void nat_table_fini(struct nat_table *t) {
    free(t->bucket);
}

void nat_table_clear(struct nat_table *t) {
    memset(t->bucket, 0, ((size_t)t->mask + 1) * sizeof *t->bucket);
    t->pool_used = t->pool_free = 0;
}

static uint32_t pool_take(struct nat_table *t) {
    uint32_t taken = t->pool_free;
    if (taken)
        t->pool_free = t->bucket[taken - 1].next;
    else
        taken = t->mask + 1 + ++t->pool_used;
    t->bucket[taken - 1] = (struct nat_bucket){0};
    return taken;
}

static unsigned bucket_used(const struct nat_bucket *b) {
    unsigned n = 0;
    while (n < NAT_BUCKET_KEYS && b->key[n].rest)
        n++;
    return n;
}

void nat_table_insert(struct nat_table *t, const struct nat_key *key, uint32_t value) {
    struct nat_bucket *b = nat_table_bucket(t, nat_hash(key));
    while (b->next)
        b = &t->bucket[b->next - 1];
    unsigned used = bucket_used(b);
    if (used == NAT_BUCKET_KEYS) {
        b->next = pool_take(t);
        b = &t->bucket[b->next - 1];
        used = 0;
    }
    b->key[used] = *key;
    b->value[used] = value;
}

/* The last entry of the chain moves into the hole; a pool bucket that becomes empty goes back. */
void nat_table_remove(struct nat_table *t, const struct nat_key *key, uint32_t value) {
    struct nat_bucket *b = nat_table_bucket(t, nat_hash(key)), *hole = NULL, *before = NULL;
    unsigned at = 0;
    for (;; before = b, b = &t->bucket[b->next - 1]) {
        for (unsigned i = 0; i < NAT_BUCKET_KEYS && !hole; i++)
            if (b->value[i] == value && nat_key_equal(&b->key[i], key)) {
                hole = b;
                at = i;
            }
        if (!b->next)
            break;
    }
    assert(hole);
    unsigned last = bucket_used(b) - 1;
    hole->key[at] = b->key[last];
    hole->value[at] = b->value[last];
    b->key[last] = (struct nat_key){0};
    b->value[last] = 0;
    if (last == 0 && before) {
        b->next = t->pool_free;
        t->pool_free = before->next;
        before->next = 0;
    }
}
