/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DIR24-8 backend (Gupta, Lin, McKeown 1998): one memory read for a destination, two where prefixes longer than /24
 * lie; route_direct.h says what entries are. Beside each entry stands the length of the prefix that it has its value
 * from, so that a prefix is painted over shorter ones only. The prefixes themselves are in a hash table: when one goes,
 * the longest that holds it is looked for there, length by length.
 *
 * Others may look while it changes: an entry is one word, so that they find the old value or the new one. A /24 turns
 * to a group that says the same at first. A group that a /24 has left stays as it is until all have looked elsewhere.
 *
 * All memory is reserved for the worst case, and costs nothing until it is touched: an empty table is made in no time.
 * Where the machine has transparent huge pages it is in these.
 */
#include "route_direct.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLASH24S ((size_t)1 << 24)
#define GROUP 256u
#define GROUPS_MAX (1u << 20) /* /24s with longer prefixes: 1.3 GB when there are so many */
#define HAS_GROUP 255         /* beside an entry that leads to a group */

struct prefix {
    uint64_t key; /* prefix_key; 0: none */
    uint32_t value;
};

struct direct {
    uint32_t *entry;     /* of the /24s, then of the groups */
    uint8_t *length;     /* of each: 1 + its prefix' length, 0: none; or HAS_GROUP */
    uint16_t *longer;    /* of each group: its prefixes longer than /24 */
    uint32_t *group_next; /* of each free group: the next one, + 1 */
    uint32_t n_groups, groups_used, group_free; /* room; ever used; the first free one, + 1 */
    uint32_t group_left; /* the first that somebody may still look at, + 1 */
    bool shared;
    struct prefix *prefix; /* open addressing, half full at most */
    uint32_t prefix_shift; /* of a 64-bit hash, to an index */
    uint32_t prefix_mask;
    uint32_t n, max_routes;
    uint32_t n_length[33]; /* prefixes of each length */
};

const uint32_t *route_direct_entries(const void *state) {
    return ((const struct direct *)state)->entry;
}

/* Zeros, without cost until they are touched; NULL. */
static void *reserve(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_HUGEPAGE); /* refused: slower */
    return memory;
}

static void give_back(void *memory, size_t size) {
    if (memory)
        munmap(memory, size);
}

/* ---- the prefixes ---- */

static uint32_t mask_of(unsigned len) {
    return len ? UINT32_MAX << (32 - len) : 0;
}

static uint64_t prefix_key(uint32_t ip, unsigned len) {
    return (uint64_t)ip << 8 | (len + 1);
}

static uint32_t prefix_home(const struct direct *d, uint64_t key) {
    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> d->prefix_shift);
}

/* Where it stands, or would. */
static struct prefix *prefix_slot(const struct direct *d, uint64_t key) {
    uint32_t at = prefix_home(d, key);
    while (d->prefix[at].key && d->prefix[at].key != key)
        at = (at + 1) & d->prefix_mask;
    return &d->prefix[at];
}

/* Those that follow move up, unless they would stand before their home. */
static void prefix_drop(struct direct *d, struct prefix *p) {
    uint32_t hole = (uint32_t)(p - d->prefix);
    for (uint32_t at = (hole + 1) & d->prefix_mask; d->prefix[at].key; at = (at + 1) & d->prefix_mask) {
        const uint32_t home = prefix_home(d, d->prefix[at].key);
        if (((at - home) & d->prefix_mask) < ((at - hole) & d->prefix_mask))
            continue;
        d->prefix[hole] = d->prefix[at];
        hole = at;
    }
    d->prefix[hole].key = 0;
}

/* The longest prefix that holds this one and is shorter: what an entry gets, and its length. */
static uint32_t cover_of(const struct direct *d, uint32_t ip, unsigned len, uint8_t *length) {
    for (unsigned l = len; l--;)
        if (d->n_length[l])
            __builtin_prefetch(&d->prefix[prefix_home(d, prefix_key(ip & mask_of(l), l))]);
    for (unsigned l = len; l--;) {
        const struct prefix *p = d->n_length[l] ? prefix_slot(d, prefix_key(ip & mask_of(l), l)) : NULL;
        if (p && p->key) {
            *length = (uint8_t)(l + 1);
            return ~p->value;
        }
    }
    *length = 0;
    return DIRECT_NONE;
}

/* ---- the entries ---- */

/* What a range of addresses gets: an entry and its length, in place of those of prefixes up to `limit`. */
struct paint {
    uint32_t entry;
    uint8_t length, limit;
};

static void entry_write(struct direct *d, size_t at, uint32_t entry) {
    __atomic_store_n(&d->entry[at], entry, __ATOMIC_RELEASE);
}

static void paint_entries(struct direct *d, size_t at, size_t n, const struct paint *with) {
    const struct paint p = *with;
    for (size_t i = at; i < at + n; i++)
        if (d->length[i] <= p.limit) {
            entry_write(d, i, p.entry);
            d->length[i] = p.length;
        }
}

/* A prefix up to /24, in the groups that lie in it too. */
static void paint_slash24s(struct direct *d, uint32_t ip, unsigned len, const struct paint *p) {
    const size_t from = ip >> 8, n = (size_t)1 << (24 - len);
    const uint8_t *end = d->length + from + n, *at = d->length + from;
    paint_entries(d, from, n, p);
    for (; at < end && (at = memchr(at, HAS_GROUP, (size_t)(end - at))); at++)
        paint_entries(d, d->entry[at - d->length], GROUP, p);
}

static uint32_t group_number(uint32_t entry) {
    return (uint32_t)((entry - SLASH24S) / GROUP);
}

/* The number of the group at a /24, a new one perhaps; GROUPS_MAX: there is no room. */
static uint32_t group_take(struct direct *d, uint32_t slash24) {
    uint32_t g = d->group_free - 1;
    if (d->length[slash24] == HAS_GROUP)
        return group_number(d->entry[slash24]);
    if (d->group_free)
        d->group_free = d->group_next[g];
    else if (d->groups_used < d->n_groups)
        g = d->groups_used++;
    else
        return GROUPS_MAX;
    const uint32_t first = (uint32_t)SLASH24S + g * GROUP;
    for (unsigned i = 0; i < GROUP; i++)
        d->entry[first + i] = d->entry[slash24];
    memset(d->length + first, d->length[slash24], GROUP);
    entry_write(d, slash24, first);
    d->length[slash24] = HAS_GROUP;
    d->longer[g] = 0;
    return g;
}

/* When no longer prefix is left in it, all its entries are equal. */
static void group_leave(struct direct *d, uint32_t slash24) {
    const uint32_t first = d->entry[slash24], g = group_number(first);
    if (d->longer[g])
        return;
    entry_write(d, slash24, d->entry[first]);
    d->length[slash24] = d->length[first];
    uint32_t *list = d->shared ? &d->group_left : &d->group_free;
    d->group_next[g] = *list;
    *list = g + 1;
}

static void direct_reclaim(void *state) {
    struct direct *d = state;
    d->shared = true;
    while (d->group_left) {
        const uint32_t g = d->group_left - 1;
        d->group_left = d->group_next[g];
        d->group_next[g] = d->group_free;
        d->group_free = g + 1;
    }
}

static void paint_prefix(struct direct *d, uint32_t ip, unsigned len, const struct paint *p) {
    if (len <= 24)
        paint_slash24s(d, ip, len, p);
    else
        paint_entries(d, d->entry[ip >> 8] + (ip & 0xff), (size_t)1 << (32 - len), p);
}

/* ---- the backend ---- */

static size_t entries_of(const struct direct *d) {
    return SLASH24S + (size_t)d->n_groups * GROUP;
}

static void direct_destroy(void *state) {
    struct direct *d = state;
    if (!d)
        return;
    give_back(d->entry, entries_of(d) * sizeof *d->entry);
    give_back(d->length, entries_of(d));
    give_back(d->longer, d->n_groups * sizeof *d->longer);
    give_back(d->group_next, d->n_groups * sizeof *d->group_next);
    give_back(d->prefix, ((size_t)d->prefix_mask + 1) * sizeof *d->prefix);
    free(d);
}

static void *direct_create(uint32_t max_routes) {
    struct direct *d = max_routes && max_routes < 1u << 30 ? calloc(1, sizeof *d) : NULL;
    unsigned bits = 1;
    if (!d)
        return NULL;
    while (1u << bits < 2 * max_routes)
        bits++;
    d->max_routes = max_routes;
    d->prefix_shift = 64 - bits;
    d->prefix_mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    d->n_groups = max_routes < GROUPS_MAX ? max_routes : GROUPS_MAX;
    d->entry = reserve(entries_of(d) * sizeof *d->entry);
    d->length = reserve(entries_of(d));
    d->longer = reserve(d->n_groups * sizeof *d->longer);
    d->group_next = reserve(d->n_groups * sizeof *d->group_next);
    d->prefix = reserve(((size_t)d->prefix_mask + 1) * sizeof *d->prefix);
    if (!d->entry || !d->length || !d->longer || !d->group_next || !d->prefix) {
        direct_destroy(d);
        return NULL;
    }
    return d;
}

static int direct_add(void *state, const void *addr, uint8_t len, uint32_t value) {
    struct direct *d = state;
    const uint32_t ip = ntohl(*(const be32 *)addr);
    if (len > 32)
        return -EINVAL;
    if (value != ROUTE_NONE && value & DIRECT_VALUE)
        return -ERANGE;
    struct prefix *p = prefix_slot(d, prefix_key(ip, len));
    const bool new = !p->key;
    if (new && d->n == d->max_routes)
        return -ENOSPC;
    if (new && len > 24) {
        const uint32_t g = group_take(d, ip >> 8);
        if (g == GROUPS_MAX)
            return -ENOSPC;
        d->longer[g]++;
    }
    p->key = prefix_key(ip, len);
    p->value = value;
    d->n += new;
    d->n_length[len] += new;
    paint_prefix(d, ip, len, &(struct paint){~value, (uint8_t)(len + 1), (uint8_t)(len + 1)});
    return 0;
}

static int direct_remove(void *state, const void *addr, uint8_t len) {
    struct direct *d = state;
    const uint32_t ip = ntohl(*(const be32 *)addr);
    struct paint cover = {.limit = (uint8_t)(len + 1)};
    if (len > 32)
        return -EINVAL;
    struct prefix *p = prefix_slot(d, prefix_key(ip, len));
    if (!p->key)
        return -ENOENT;
    prefix_drop(d, p);
    d->n--;
    d->n_length[len]--;
    cover.entry = cover_of(d, ip, len, &cover.length);
    paint_prefix(d, ip, len, &cover);
    if (len > 24) {
        d->longer[group_number(d->entry[ip >> 8])]--;
        group_leave(d, ip >> 8);
    }
    return 0;
}

static void direct_lookup(const void *state, const void *keys, uint32_t *value, unsigned n) {
    const uint32_t *entry = route_direct_entries(state);
    const be32 *dst = keys;
    for (unsigned i = 0; i < n; i++)
        route_direct_fetch(entry, dst[i]);
    for (unsigned i = 0; i < n; i++)
        value[i] = route_direct_lookup(entry, dst[i]);
}

const struct route_backend route_direct = {
    .name = "direct",
    .family = FAMILY_IPV4,
    .create = direct_create,
    .destroy = direct_destroy,
    .add = direct_add,
    .remove = direct_remove,
    .lookup = direct_lookup,
    .reclaim = direct_reclaim,
};
