/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index of sessions: a hash table from tuples to 32-bit values. The tuples themselves stand in the records; here
 * are 16 bits of each one's hash, and who searches compares what is found. A bucket is one cache line of ten entries;
 * what does not fit goes into chained buckets of a pool that is large enough for the worst case, so that inserting
 * never fails. Every packet looks for a session, hardly any for something else: sessions push other entries out of the
 * first bucket, and are themselves nearly never chained (one in 1000 when the table is full, of all entries one in 20).
 */
#ifndef FWDLAB_CORE_NAT_TABLE_H
#define FWDLAB_CORE_NAT_TABLE_H

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <fwdlab/core/nat.h>
#include "bytes.h"

#define NAT_NONE UINT32_MAX

/* What a key stands for: a session's packets of one direction, the inside or the outside end of a mapping, nothing in
 * the table, an outside end that a remote address may use. */
enum nat_key_kind { NAT_KEY_SESSION = 1, NAT_KEY_INSIDE, NAT_KEY_OUTSIDE, NAT_KEY_NOTHING, NAT_KEY_PERMIT };

#define NAT_BUCKET_ENTRIES 10

struct nat_bucket {
    uint16_t tag[NAT_BUCKET_ENTRIES]; /* 0: no entry. Of a chain only the last bucket has such, behind all others */
    uint32_t value[NAT_BUCKET_ENTRIES];
    uint32_t next;                    /* index + 1 in `bucket`; 0: the chain ends */
};
static_assert(sizeof(struct nat_bucket) == 64, "a bucket is one cache line");

struct nat_table {
    struct nat_bucket *bucket;  /* the hashed ones, then the pool */
    uint32_t n_hashed;
    uint32_t n_pool, pool_used; /* pool buckets ever taken */
    uint32_t pool_free;         /* list of given back ones, index + 1 */
};

/*
 * One 64 x 64 -> 128 bit multiplication whose halves are folded. `ends`: source and destination, `ports`: both, as they
 * stand in memory. The lowest bit: is it for a session?
 */
static inline uint64_t nat_hash_words(enum nat_key_kind kind, uint8_t proto, uint64_t ends, uint32_t ports) {
    const uint64_t rest = (uint64_t)kind << 40 | (uint64_t)proto << 32 | ports;
    const unsigned __int128 m = (unsigned __int128)(ends ^ 0x9e3779b97f4a7c15u) * (rest ^ 0xd6e8feb86659fd93u);
    return (((uint64_t)m ^ (uint64_t)(m >> 64)) & ~UINT64_C(1)) | (kind == NAT_KEY_SESSION);
}

/* The words of a tuple: written and read as such, as no CPU takes a word of two fields from stores on their way. */
static inline uint64_t nat_ends(be32 src, be32 dst) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (uint64_t)dst << 32 | src : (uint64_t)src << 32 | dst;
}
static inline uint32_t nat_ports(be16 sport, be16 dport) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (uint32_t)dport << 16 | sport : (uint32_t)sport << 16 | dport;
}
static inline struct nat_tuple nat_tuple_of(uint64_t ends, uint32_t ports) {
    struct nat_tuple t;
    store64(&t.src, ends);
    store32(&t.sport, ports);
    return t;
}

static inline uint64_t nat_hash(enum nat_key_kind kind, uint8_t proto, const struct nat_tuple *t) {
    return nat_hash_words(kind, proto, load64(&t->src), load32(&t->sport));
}

static inline struct nat_bucket *nat_table_bucket(const struct nat_table *t, uint64_t hash) {
    return &t->bucket[(unsigned __int128)hash * t->n_hashed >> 64];
}

static inline uint16_t nat_tag(uint64_t hash) {
    return (uint16_t)(hash | 2);
}
static inline bool nat_tag_is_session(uint16_t tag) {
    return tag & 1;
}

/* Which entries of a bucket have the tag: a bit for each. */
static inline uint32_t nat_bucket_match(const struct nat_bucket *b, uint16_t tag) {
#ifdef __SSE2__
    const __m128i want = _mm_set1_epi16((short)tag);
    const __m128i low = _mm_load_si128((const __m128i *)b), high = _mm_load_si128((const __m128i *)b + 1);
    const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(low, want), _mm_cmpeq_epi16(high, want));
    return (uint32_t)_mm_movemask_epi8(equal) & ((1u << NAT_BUCKET_ENTRIES) - 1);
#else
    uint32_t match = 0;
    for (unsigned i = 0; i < NAT_BUCKET_ENTRIES; i++)
        match |= (uint32_t)(b->tag[i] == tag) << i;
    return match;
#endif
}

/*
 * A search: every value whose hash has the same bucket and tag, one after the other.
 *     for (uint32_t v = nat_search(&s, t, hash); v != NAT_NONE && !is_it(v);) v = nat_search_on(&s, t);
 */
struct nat_search {
    const struct nat_bucket *bucket;
    uint32_t match; /* what is left of it */
    uint16_t tag;
};

static inline uint32_t nat_search_on(struct nat_search *s, const struct nat_table *t) {
    while (!s->match) {
        if (!s->bucket->next)
            return NAT_NONE;
        s->bucket = &t->bucket[s->bucket->next - 1];
        s->match = nat_bucket_match(s->bucket, s->tag);
    }
    const unsigned i = (unsigned)__builtin_ctz(s->match);
    s->match &= s->match - 1;
    return s->bucket->value[i];
}

static inline uint32_t nat_search(struct nat_search *s, const struct nat_table *t, uint64_t hash) {
    s->bucket = nat_table_bucket(t, hash);
    s->tag = nat_tag(hash);
    s->match = nat_bucket_match(s->bucket, s->tag);
    return nat_search_on(s, t);
}

/* Memory for free(): on cache lines, in huge pages when it is large. Not touched: it costs nothing until it is used. */
void *nat_alloc(size_t size);
void nat_huge_pages(void *memory, size_t size); /* asks for them */
/* Room for `most` values, fast with up to `usual`. 0, or -ENOMEM. */
int nat_table_init(struct nat_table *t, size_t usual, size_t most);
void nat_table_fini(struct nat_table *t);
void nat_table_clear(struct nat_table *t);
void nat_table_insert(struct nat_table *t, uint64_t hash, uint32_t value);
/* The value must be there under this hash. */
void nat_table_remove(struct nat_table *t, uint64_t hash, uint32_t value);
void nat_table_replace(struct nat_table *t, uint64_t hash, uint32_t value, uint32_t by);

#endif
