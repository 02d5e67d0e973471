/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter's memory. */
#include "filter_table.h"

#include <errno.h>
#include <stdlib.h>

int filter_table_init(struct filter_table *t, uint32_t max, uint64_t idle) {
    uint32_t chains = 64;
    while (chains < max)
        chains *= 2;
    *t = (struct filter_table){.mask = chains - 1, .max = max, .idle = idle,
                               .entries = malloc(((size_t)max + 1) * sizeof *t->entries),
                               .chains = malloc(chains * sizeof *t->chains)};
    if (!t->entries || !t->chains)
        return -ENOMEM;
    filter_table_clear(t);
    return 0;
}

void filter_table_fini(struct filter_table *t) {
    free(t->entries);
    free(t->chains);
}

void filter_table_clear(struct filter_table *t) {
    memset(t->chains, 0, ((size_t)t->mask + 1) * sizeof *t->chains);
    t->used = 0;
    t->entries[t->max].older = t->entries[t->max].newer = t->max;
}

/* Word by word, a 64 x 64 -> 128 bit multiplication whose halves are folded. */
static uint32_t *chain_of(const struct filter_table *t, const struct filter_key *key) {
    uint64_t word[sizeof *key / 8], hash = 0;
    memcpy(word, key, sizeof word);
    for (unsigned i = 0; i < sizeof word / sizeof *word; i++) {
        unsigned __int128 m = (unsigned __int128)(hash ^ word[i] ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
        hash = (uint64_t)m ^ (uint64_t)(m >> 64);
    }
    return &t->chains[hash & t->mask];
}

/* Where the index of a key's entry stands; where it would be written when there is none. */
static uint32_t *link_of(const struct filter_table *t, const struct filter_key *key) {
    uint32_t *link = chain_of(t, key);
    while (*link && memcmp(&t->entries[*link - 1].key, key, sizeof *key) != 0)
        link = &t->entries[*link - 1].next;
    return link;
}

static void ring_remove(struct filter_table *t, const struct filter_entry *e) {
    t->entries[e->older].newer = e->newer;
    t->entries[e->newer].older = e->older;
}

static void ring_add_newest(struct filter_table *t, struct filter_entry *e) {
    struct filter_entry *head = &t->entries[t->max];
    uint32_t i = (uint32_t)(e - t->entries);
    e->older = head->older;
    e->newer = t->max;
    t->entries[head->older].newer = i;
    head->older = i;
}

void filter_table_touch(struct filter_table *t, struct filter_entry *e, uint64_t now) {
    ring_remove(t, e);
    ring_add_newest(t, e);
    e->last = now;
}

struct filter_entry *filter_table_find(const struct filter_table *t, const struct filter_key *key, uint64_t now) {
    uint32_t i = *link_of(t, key);
    return i && now - t->entries[i - 1].last <= t->idle ? &t->entries[i - 1] : NULL;
}

/* An entry that was never used, or the one idle longest. */
static struct filter_entry *take(struct filter_table *t) {
    if (t->used < t->max)
        return &t->entries[t->used++];
    struct filter_entry *oldest = &t->entries[t->entries[t->max].newer];
    *link_of(t, &oldest->key) = oldest->next;
    ring_remove(t, oldest);
    return oldest;
}

void filter_table_put(struct filter_table *t, const struct filter_key *key, uint64_t now) {
    uint32_t *link = link_of(t, key);
    if (*link) {
        filter_table_touch(t, &t->entries[*link - 1], now);
        return;
    }
    struct filter_entry *e = take(t);
    uint32_t *chain = chain_of(t, key); /* the end found above may be gone with the oldest */
    e->key = *key;
    e->next = *chain;
    e->last = now;
    *chain = (uint32_t)(e - t->entries) + 1;
    ring_add_newest(t, e);
}
