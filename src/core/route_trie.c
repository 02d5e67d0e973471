/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The compact trie: a table over the first octet, below it tree-bitmap nodes of six bits each (Eatherton, Varghese,
 * Dittia: "Tree bitmap", 2004). A node has one bit for each prefix that ends in it (lengths 0..5 below its own depth)
 * and one for each child; values and children stand in two dense blocks, and population counts give the place in them.
 * Nothing is pushed to leaves, so that an update touches one node's blocks. Nodes begin at depths 8, 14, 20, 26, 32,
 * and so on to 128 for IPv6.
 *
 * All blocks live in one pool of 8-byte units, named by 32-bit indexes; freed blocks are kept by their size. Both
 * families share everything; lookups are compiled once for each, with the width of an address known.
 */
#include <fwdlab/core/route.h>

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <fwdlab/base/vec.h>

#define ROOT_BITS 8
#define STRIDE 6
#define DEPTHS(width) (((width) - ROOT_BITS) / STRIDE + 1) /* levels of nodes below the root */
#define DEPTHS_MAX DEPTHS(128)

/* An address of either family in host order, left-aligned. */
typedef unsigned __int128 trie_key;

struct trie_node {
    uint64_t prefixes; /* bit 1 << l | bits: the prefix of l bits, see `ancestors` */
    uint64_t children; /* bit c: there is a child for the six bits c */
    uint32_t value_block;
    uint32_t child_block;
};

#define UNIT sizeof(uint64_t)
#define NODE_UNITS (sizeof(struct trie_node) / UNIT)
#define BLOCK_UNITS_MAX (64 * NODE_UNITS)
#define DEAD 0u /* index of a node without prefixes and children: where lookups end */

struct trie {
    uint64_t *pool;
    uint32_t used, cap;                    /* units */
    uint32_t free[BLOCK_UNITS_MAX + 1];    /* first free block of each size; its first word names the next; 0: none */
    uint32_t root_child[1 << ROOT_BITS];   /* node, or DEAD */
    uint32_t root_value[1 << ROOT_BITS];   /* of the longest prefix shorter than ROOT_BITS */
    uint32_t root_prefix[1 << ROOT_BITS];  /* of the prefix of l bits at 1 << l | bits */
    uint32_t n, max_routes;
    unsigned width;                        /* bits of an address */
    void (*lookup)(const struct trie *t, const uint8_t *dst, uint32_t *value, unsigned n);
};

static inline struct trie_node *node_at(const struct trie *t, uint32_t index) {
    return (struct trie_node *)(t->pool + index);
}

static inline uint32_t *values_at(const struct trie *t, uint32_t block) {
    return (uint32_t *)(t->pool + block);
}

/* How many bits below `bit` are set. */
static inline unsigned rank(uint64_t bits, unsigned bit) {
    return (unsigned)__builtin_popcountll(bits & ((1ull << bit) - 1));
}

/* ---- pool ---- */

static uint32_t block_alloc(struct trie *t, uint32_t units) {
    if (units == 0)
        return 0;
    uint32_t block = t->free[units];
    if (block) {
        t->free[units] = *values_at(t, block);
        return block;
    }
    if (t->used + units > t->cap) {
        t->cap = 2 * t->cap + units;
        t->pool = xrealloc(t->pool, t->cap, UNIT);
    }
    block = t->used;
    t->used += units;
    return block;
}

static void block_free(struct trie *t, uint32_t block, uint32_t units) {
    if (units == 0)
        return;
    *values_at(t, block) = t->free[units];
    t->free[units] = block;
}

/* Moves a dense block of n items to one that has room for another at `at`, or that lacks the one at `at`. */
static uint32_t block_insert(struct trie *t, uint32_t block, unsigned n, unsigned at, size_t item) {
    uint32_t from = (uint32_t)((n * item + UNIT - 1) / UNIT), to = (uint32_t)(((n + 1) * item + UNIT - 1) / UNIT);
    uint32_t grown = from == to ? block : block_alloc(t, to);
    char *src = (char *)(t->pool + block), *dst = (char *)(t->pool + grown);
    memmove(dst + (at + 1) * item, src + at * item, (n - at) * item);
    memmove(dst, src, at * item);
    memset(dst + at * item, 0, item);
    if (grown != block)
        block_free(t, block, from);
    return grown;
}

static uint32_t block_remove(struct trie *t, uint32_t block, unsigned n, unsigned at, size_t item) {
    uint32_t from = (uint32_t)((n * item + UNIT - 1) / UNIT), to = (uint32_t)(((n - 1) * item + UNIT - 1) / UNIT);
    uint32_t shrunk = from == to ? block : block_alloc(t, to);
    char *src = (char *)(t->pool + block), *dst = (char *)(t->pool + shrunk);
    memmove(dst, src, at * item);
    memmove(dst + at * item, src + (at + 1) * item, (n - 1 - at) * item);
    if (shrunk != block)
        block_free(t, block, from);
    return shrunk;
}

/* ---- updates ---- */

static trie_key key_load(const struct trie *t, const void *addr) {
    uint64_t word[2] = {0};
    memcpy(word, addr, t->width / 8);
    return (trie_key)be64toh(word[0]) << 64 | be64toh(word[1]);
}

/* The first `len` bits of a key, fewer than 64. */
static uint32_t key_head(trie_key key, unsigned len) {
    return (uint32_t)((uint64_t)(key >> 64) >> 1 >> (63 - len));
}

/* The six bits of a key that a node at `depth` looks at; beyond the end there are zeros. */
static unsigned chunk_at(trie_key key, unsigned depth) {
    return depth < 128 ? (unsigned)(key << depth >> (128 - STRIDE)) : 0;
}

/* Where the prefix of len bits stands in the bitmap of the node at `depth`. */
static unsigned prefix_bit(trie_key key, unsigned depth, unsigned len) {
    unsigned l = len - depth;
    return 1u << l | chunk_at(key, depth) >> (STRIDE - l);
}

static uint32_t *root_prefix(struct trie *t, trie_key key, unsigned len) {
    return &t->root_prefix[1u << len | key_head(key, len)];
}

/* Every root slot under a short prefix gets the value of its longest short prefix anew. */
static void root_set(struct trie *t, trie_key key, unsigned len, uint32_t value) {
    *root_prefix(t, key, len) = value;
    uint32_t first = key_head(key, ROOT_BITS), count = 1u << (ROOT_BITS - len);
    for (uint32_t slot = first; slot < first + count; slot++) {
        uint32_t i = (1u << ROOT_BITS | slot) >> 1;
        while (i > 1 && t->root_prefix[i] == ROUTE_NONE)
            i >>= 1;
        t->root_value[slot] = t->root_prefix[i];
    }
}

/* The nodes that a prefix passes; node[levels - 1] is the last that exists. */
struct trail {
    uint32_t node[DEPTHS_MAX];
    unsigned levels;
};

/* The value of a prefix of at least ROOT_BITS, or NULL. */
static uint32_t *trie_find(const struct trie *t, trie_key key, unsigned len, struct trail *trail) {
    uint32_t index = t->root_child[key_head(key, ROOT_BITS)];
    unsigned depth = ROOT_BITS;
    trail->levels = 0;
    for (; index != DEAD; depth += STRIDE) {
        const struct trie_node *n = node_at(t, index);
        trail->node[trail->levels++] = index;
        if (depth + STRIDE > len) {
            unsigned bit = prefix_bit(key, depth, len);
            return n->prefixes >> bit & 1 ? &values_at(t, n->value_block)[rank(n->prefixes, bit)] : NULL;
        }
        unsigned c = chunk_at(key, depth);
        index = n->children >> c & 1 ? n->child_block + rank(n->children, c) * (uint32_t)NODE_UNITS : DEAD;
    }
    return NULL;
}

static uint32_t node_child_add(struct trie *t, uint32_t parent, unsigned c) {
    uint64_t children = node_at(t, parent)->children;
    unsigned at = rank(children, c);
    if (!(children >> c & 1)) {
        uint32_t block = block_insert(t, node_at(t, parent)->child_block, (unsigned)__builtin_popcountll(children), at,
                                      sizeof(struct trie_node));
        node_at(t, parent)->child_block = block; /* the pool may have moved */
        node_at(t, parent)->children = children | 1ull << c;
    }
    return node_at(t, parent)->child_block + at * (uint32_t)NODE_UNITS;
}

static void trie_insert(struct trie *t, trie_key key, unsigned len, uint32_t value) {
    uint32_t *slot = &t->root_child[key_head(key, ROOT_BITS)];
    if (*slot == DEAD)
        *slot = block_insert(t, 0, 0, 0, sizeof(struct trie_node));
    uint32_t index = *slot;
    unsigned depth = ROOT_BITS;
    for (; depth + STRIDE <= len; depth += STRIDE)
        index = node_child_add(t, index, chunk_at(key, depth));
    uint64_t prefixes = node_at(t, index)->prefixes;
    unsigned bit = prefix_bit(key, depth, len), at = rank(prefixes, bit);
    uint32_t block = block_insert(t, node_at(t, index)->value_block, (unsigned)__builtin_popcountll(prefixes), at,
                                  sizeof value);
    values_at(t, block)[at] = value;
    node_at(t, index)->value_block = block;
    node_at(t, index)->prefixes = prefixes | 1ull << bit;
}

/* Takes the prefix out of the last node of its trail, and nodes that have become empty out of their parents. */
static void trie_delete(struct trie *t, trie_key key, unsigned len, const struct trail *trail) {
    unsigned level = trail->levels - 1, depth = ROOT_BITS + level * STRIDE;
    uint32_t index = trail->node[level];
    uint64_t prefixes = node_at(t, index)->prefixes;
    unsigned bit = prefix_bit(key, depth, len);
    uint32_t block = block_remove(t, node_at(t, index)->value_block, (unsigned)__builtin_popcountll(prefixes),
                                  rank(prefixes, bit), sizeof(uint32_t));
    node_at(t, index)->value_block = block;
    node_at(t, index)->prefixes = prefixes & ~(1ull << bit);
    while (!node_at(t, index)->prefixes && !node_at(t, index)->children) {
        if (level == 0) {
            t->root_child[key_head(key, ROOT_BITS)] = DEAD;
            block_free(t, index, NODE_UNITS);
            return;
        }
        index = trail->node[--level];
        depth -= STRIDE;
        uint64_t children = node_at(t, index)->children;
        unsigned c = chunk_at(key, depth);
        block = block_remove(t, node_at(t, index)->child_block, (unsigned)__builtin_popcountll(children),
                             rank(children, c), sizeof(struct trie_node));
        node_at(t, index)->child_block = block;
        node_at(t, index)->children = children & ~(1ull << c);
    }
}

/* ---- the backend ---- */

static int trie_add(void *state, const void *prefix, uint8_t len, uint32_t value) {
    struct trie *t = state;
    struct trail trail;
    trie_key key = key_load(t, prefix);
    bool is_short = len < ROOT_BITS;
    uint32_t *old = is_short ? root_prefix(t, key, len) : trie_find(t, key, len, &trail);
    bool is_new = is_short ? *old == ROUTE_NONE : !old;
    if (is_new && t->n == t->max_routes)
        return -ENOSPC;
    t->n += is_new;
    if (is_short)
        root_set(t, key, len, value);
    else if (is_new)
        trie_insert(t, key, len, value);
    else
        *old = value;
    return 0;
}

static int trie_remove(void *state, const void *prefix, uint8_t len) {
    struct trie *t = state;
    struct trail trail;
    trie_key key = key_load(t, prefix);
    if (len < ROOT_BITS) {
        if (*root_prefix(t, key, len) == ROUTE_NONE)
            return -ENOENT;
        root_set(t, key, len, ROUTE_NONE);
    } else {
        if (!trie_find(t, key, len, &trail))
            return -ENOENT;
        trie_delete(t, key, len, &trail);
    }
    t->n--;
    return 0;
}

/* The bits of the prefixes that hold the six bits c: one of each length 0..5. The highest of them is the longest. */
#define ANCESTORS(c)                                                                                                   \
    (1ull << 1 | 1ull << (2 | (c) >> 5) | 1ull << (4 | (c) >> 4) | 1ull << (8 | (c) >> 3) |                            \
     1ull << (16 | (c) >> 2) | 1ull << (32 | (c) >> 1))
#define ANCESTORS4(c) ANCESTORS(c), ANCESTORS(c + 1), ANCESTORS(c + 2), ANCESTORS(c + 3)
#define ANCESTORS16(c) ANCESTORS4(c), ANCESTORS4(c + 4), ANCESTORS4(c + 8), ANCESTORS4(c + 12)
static const uint64_t ancestors[64] = {ANCESTORS16(0), ANCESTORS16(16), ANCESTORS16(32), ANCESTORS16(48)};

#define LANES 16 /* lookups that walk down side by side, so that their cache misses overlap */

/* `width` is known when this is compiled: IPv4 has no `low`. bits, low: what is not used yet of a key, left-aligned. */
static inline __attribute__((always_inline)) void lookup_lanes(const struct trie *t, const uint8_t *dst,
                                                              uint32_t *value, unsigned n, unsigned width) {
    uint64_t bits[LANES], low[LANES], match[LANES];
    uint32_t node[LANES], best[LANES];
    for (unsigned i = 0; i < n; i++) {
        uint64_t word[2] = {0};
        memcpy(word, dst + i * (width / 8), width / 8);
        uint64_t key = be64toh(word[0]), slot = key >> (64 - ROOT_BITS);
        bits[i] = key << ROOT_BITS;
        if (width > 64) {
            bits[i] |= be64toh(word[1]) >> (64 - ROOT_BITS);
            low[i] = be64toh(word[1]) << ROOT_BITS;
        }
        node[i] = t->root_child[slot];
        value[i] = t->root_value[slot];
        match[i] = 0;
        best[i] = DEAD;
    }
    uint32_t alive = ~DEAD;
    for (unsigned level = 0; level < DEPTHS(width) && alive != DEAD; level++) {
        alive = DEAD;
        for (unsigned i = 0; i < n; i++) {
            const struct trie_node *at = node_at(t, node[i]);
            unsigned c = (unsigned)(bits[i] >> (64 - STRIDE));
            uint64_t m = at->prefixes & ancestors[c];
            match[i] = m ? m : match[i];
            best[i] = m ? node[i] : best[i];
            uint32_t child = at->child_block + rank(at->children, c) * (uint32_t)NODE_UNITS;
            node[i] = at->children >> c & 1 ? child : DEAD;
            bits[i] <<= STRIDE;
            if (width > 64) {
                bits[i] |= low[i] >> (64 - STRIDE);
                low[i] <<= STRIDE;
            }
            alive |= node[i];
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (match[i]) {
            const struct trie_node *at = node_at(t, best[i]);
            value[i] = values_at(t, at->value_block)[rank(at->prefixes, 63u - (unsigned)__builtin_clzll(match[i]))];
        }
    }
}

static inline __attribute__((always_inline)) void lookup_bulk(const struct trie *t, const uint8_t *dst,
                                                             uint32_t *value, unsigned n, unsigned width) {
    for (; n >= LANES; n -= LANES, dst += LANES * (width / 8), value += LANES)
        lookup_lanes(t, dst, value, LANES, width);
    lookup_lanes(t, dst, value, n, width);
}

/* One function for each family, and for processors with and without the instructions that count bits. */
#define LOOKUP(name, width)                                                                                            \
    static void name(const struct trie *t, const uint8_t *dst, uint32_t *value, unsigned n) {                          \
        lookup_bulk(t, dst, value, n, width);                                                                          \
    }
LOOKUP(lookup4, 32)
LOOKUP(lookup6, 128)
#if defined(__x86_64__)
__attribute__((target("popcnt,bmi,bmi2"))) LOOKUP(lookup4_bmi, 32)
__attribute__((target("popcnt,bmi,bmi2"))) LOOKUP(lookup6_bmi, 128)
#endif

static void trie_lookup(const void *state, const void *dst, uint32_t *value, unsigned n) {
    const struct trie *t = state;
    t->lookup(t, dst, value, n);
}

static struct trie *trie_create(uint32_t max_routes, unsigned width) {
    struct trie *t = xzalloc(1, sizeof *t);
    t->max_routes = max_routes;
    t->width = width;
    t->pool = xzalloc(NODE_UNITS, UNIT); /* the dead node */
    t->used = t->cap = NODE_UNITS;
    memset(t->root_value, 0xff, sizeof t->root_value);
    memset(t->root_prefix, 0xff, sizeof t->root_prefix);
    t->lookup = width == 32 ? lookup4 : lookup6;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2"))
        t->lookup = width == 32 ? lookup4_bmi : lookup6_bmi;
#endif
    return t;
}

static void *trie_create4(uint32_t max_routes) {
    return trie_create(max_routes, 32);
}

static void *trie_create6(uint32_t max_routes) {
    return trie_create(max_routes, 128);
}

static void trie_destroy(void *state) {
    struct trie *t = state;
    vec_release(t->pool);
    vec_release(t);
}

const struct route_backend route_trie = {
    .name = "trie",
    .family = FAMILY_IPV4,
    .create = trie_create4,
    .destroy = trie_destroy,
    .add = trie_add,
    .remove = trie_remove,
    .lookup = trie_lookup,
};

const struct route_backend route_trie6 = {
    .name = "trie6",
    .family = FAMILY_IPV6,
    .create = trie_create6,
    .destroy = trie_destroy,
    .add = trie_add,
    .remove = trie_remove,
    .lookup = trie_lookup,
};
