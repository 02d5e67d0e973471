/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index of sessions: a hash table from tuples to 32-bit values. A bucket is one cache line with three keys; what
 * does not fit goes into chained buckets of a pool that is large enough for the worst case, so that inserting never
 * fails. Keys are unique.
 */
#ifndef FWDLAB_CORE_NAT_TABLE_H
#define FWDLAB_CORE_NAT_TABLE_H

#include <string.h>
#include <fwdlab/core/nat.h>

#define NAT_NONE UINT32_MAX

/* NAT_KEY_NOTHING is in no table. */
enum nat_key_kind { NAT_KEY_SESSION = 1, NAT_KEY_MAPPING, NAT_KEY_NOTHING };

/* Two words, written and read as such: narrower stores would stall the loads that follow. */
struct nat_key {
    uint64_t ends; /* source, destination */
    uint64_t rest; /* ports, protocol, kind; 0: no key */
};

#define NAT_BUCKET_KEYS 3

struct nat_bucket {
    struct nat_key key[NAT_BUCKET_KEYS]; /* filled from the front, in the chain's last bucket too */
    uint32_t value[NAT_BUCKET_KEYS];
    uint32_t next;                       /* index + 1 in `bucket`; 0: the chain ends */
};
static_assert(sizeof(struct nat_bucket) == 64, "a bucket is one cache line");

struct nat_table {
    struct nat_bucket *bucket; /* the hashed ones, then the pool */
    uint32_t mask;             /* hashed buckets - 1 */
    uint32_t n_pool, pool_used; /* pool buckets ever taken */
    uint32_t pool_free;        /* list of given back ones, index + 1 */
};

static inline struct nat_key nat_key(enum nat_key_kind kind, uint8_t proto, struct nat_tuple tuple) {
    uint32_t ports = (uint32_t)tuple.dport << 16 | tuple.sport;
    return (struct nat_key){.ends = (uint64_t)tuple.dst << 32 | tuple.src,
                            .rest = (uint64_t)kind << 40 | (uint64_t)proto << 32 | ports};
}

static inline bool nat_key_equal(const struct nat_key *a, const struct nat_key *b) {
    return ((a->ends ^ b->ends) | (a->rest ^ b->rest)) == 0;
}

/* One 64 x 64 -> 128 bit multiplication whose halves are folded. */
static inline uint64_t nat_hash(const struct nat_key *key) {
    unsigned __int128 m = (unsigned __int128)(key->ends ^ 0x9e3779b97f4a7c15u) * (key->rest ^ 0xd6e8feb86659fd93u);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline struct nat_bucket *nat_table_bucket(const struct nat_table *t, uint64_t hash) {
    return &t->bucket[hash & t->mask];
}

/* The value of a key in the chain that starts at `b`; NAT_NONE. */
static inline uint32_t nat_bucket_find(const struct nat_table *t, const struct nat_bucket *b,
                                       const struct nat_key *key) {
    for (;; b = &t->bucket[b->next - 1]) {
        for (unsigned i = 0; i < NAT_BUCKET_KEYS; i++)
            if (nat_key_equal(&b->key[i], key))
                return b->value[i];
        if (!b->next)
            return NAT_NONE;
    }
}

static inline uint32_t nat_table_find(const struct nat_table *t, const struct nat_key *key) {
    return nat_bucket_find(t, nat_table_bucket(t, nat_hash(key)), key);
}

/* Memory for free(): on cache lines, in huge pages when it is large. */
void *nat_alloc(size_t size);
/* Room for `entries` keys. 0, or -ENOMEM. */
int nat_table_init(struct nat_table *t, uint32_t entries);
void nat_table_fini(struct nat_table *t);
void nat_table_clear(struct nat_table *t);
void nat_table_insert(struct nat_table *t, const struct nat_key *key, uint32_t value);
/* The pair must be there. */
void nat_table_remove(struct nat_table *t, const struct nat_key *key, uint32_t value);

#endif
