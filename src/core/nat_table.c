/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and changing the index of sessions. Searches are inline in nat_table.h. */
#include "nat_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096u
#define HUGE_PAGE ((size_t)2 << 20)
#define ENTRIES_USED 8 /* of a hashed bucket when the table is full: one in five then has a chain */

void *nat_alloc(size_t size) {
    const size_t align = size < HUGE_PAGE ? 64 : HUGE_PAGE;
    size = (size + align - 1) & ~(align - 1);
    void *memory = aligned_alloc(align, size);
    if (memory && align == HUGE_PAGE)
        nat_huge_pages(memory, size); /* 1M sessions: a lookup costs a fifth. Refused: slower */
    return memory;
}

void nat_huge_pages(void *memory, size_t size) {
    const uintptr_t from = ((uintptr_t)memory + PAGE - 1) & ~(uintptr_t)(PAGE - 1), to = (uintptr_t)memory + size;
    if (to > from)
        madvise((void *)from, to - from, MADV_HUGEPAGE);
}

int nat_table_init(struct nat_table *t, size_t usual, size_t most) {
    /* Only a chain's last bucket may have empty places: the pool needs a bucket for every ten entries at most. */
    *t = (struct nat_table){.n_hashed = (uint32_t)(usual / ENTRIES_USED) + 64,
                            .n_pool = (uint32_t)(most / NAT_BUCKET_ENTRIES)};
    t->bucket = nat_alloc(((size_t)t->n_hashed + t->n_pool) * sizeof *t->bucket);
    if (!t->bucket)
        return -ENOMEM;
    nat_table_clear(t);
    return 0;
}

void nat_table_fini(struct nat_table *t) {
    free(t->bucket);
}

void nat_table_clear(struct nat_table *t) {
    memset(t->bucket, 0, (size_t)t->n_hashed * sizeof *t->bucket);
    t->pool_used = t->pool_free = 0;
}

static uint32_t pool_take(struct nat_table *t) {
    uint32_t taken = t->pool_free;
    if (taken)
        t->pool_free = t->bucket[taken - 1].next;
    else
        taken = t->n_hashed + ++t->pool_used;
    t->bucket[taken - 1] = (struct nat_bucket){0};
    return taken;
}

/* Its first unused entry; NAT_BUCKET_ENTRIES. */
static unsigned bucket_used(const struct nat_bucket *b) {
    const uint32_t unused = nat_bucket_match(b, 0);
    return unused ? (unsigned)__builtin_ctz(unused) : NAT_BUCKET_ENTRIES;
}

/* An entry of a full bucket that is not a session's; NAT_BUCKET_ENTRIES. */
static unsigned bucket_other(const struct nat_bucket *b) {
    unsigned i = 0;
    while (i < NAT_BUCKET_ENTRIES && nat_tag_is_session(b->tag[i]))
        i++;
    return i;
}

void nat_table_insert(struct nat_table *t, uint64_t hash, uint32_t value) {
    struct nat_bucket *b = nat_table_bucket(t, hash);
    uint16_t tag = nat_tag(hash);
    unsigned used = bucket_used(b);
    if (used == NAT_BUCKET_ENTRIES) {
        const unsigned other = nat_tag_is_session(tag) ? bucket_other(b) : NAT_BUCKET_ENTRIES;
        if (other < NAT_BUCKET_ENTRIES) { /* goes into the chain instead */
            const uint16_t its_tag = b->tag[other];
            const uint32_t its_value = b->value[other];
            b->tag[other] = tag;
            b->value[other] = value;
            tag = its_tag;
            value = its_value;
        }
        while (b->next)
            b = &t->bucket[b->next - 1];
        used = bucket_used(b);
    }
    if (used == NAT_BUCKET_ENTRIES) {
        b->next = pool_take(t);
        b = &t->bucket[b->next - 1];
        used = 0;
    }
    b->tag[used] = tag;
    b->value[used] = value;
}

/* The bucket and place of a value in the chain that starts at `b`. */
static struct nat_bucket *find(const struct nat_table *t, struct nat_bucket *b, uint64_t hash, uint32_t value,
                               unsigned *at) {
    for (;; b = &t->bucket[b->next - 1]) {
        for (uint32_t match = nat_bucket_match(b, nat_tag(hash)); match; match &= match - 1) {
            *at = (unsigned)__builtin_ctz(match);
            if (b->value[*at] == value)
                return b;
        }
        assert(b->next);
    }
}

/* In a chain the last entry moves into the hole; a pool bucket that becomes empty goes back. */
void nat_table_remove(struct nat_table *t, uint64_t hash, uint32_t value) {
    struct nat_bucket *last = nat_table_bucket(t, hash), *before = NULL;
    unsigned at;
    struct nat_bucket *hole = find(t, last, hash, value, &at);
    if (!last->next) {
        last->tag[at] = 0;
        return;
    }
    for (; last->next; last = &t->bucket[last->next - 1])
        before = last;
    unsigned from = bucket_used(last) - 1;
    hole->tag[at] = last->tag[from];
    hole->value[at] = last->value[from];
    last->tag[from] = 0;
    if (from == 0) {
        last->next = t->pool_free;
        t->pool_free = before->next;
        before->next = 0;
    }
}

void nat_table_replace(struct nat_table *t, uint64_t hash, uint32_t value, uint32_t by) {
    unsigned at;
    struct nat_bucket *b = find(t, nat_table_bucket(t, hash), hash, value, &at);
    b->value[at] = by;
}
