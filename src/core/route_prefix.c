/* SPDX-License-Identifier: BSD-3-Clause */
/* The distinct prefixes of a route table: a hash table with chains. An unused prefix has no first route. */
#include "route_table.h"
#include <string.h>

#define BUCKETS_MIN 16

static struct route_prefix prefix_make(const struct ip_prefix *prefix) {
    struct route_prefix p = {.len = prefix->len, .first = ROUTE_NONE, .last = ROUTE_NONE, .value = ROUTE_NONE};
    memcpy(p.addr, prefix->addr.v6, prefix->addr.family == FAMILY_IPV6 ? 16 : 4);
    return p;
}

static uint32_t *bucket_of(const struct route_table *t, const struct route_prefix *p) {
    uint64_t h = (p->addr[0] ^ p->addr[1] * 0xff51afd7ed558ccdull ^ (uint64_t)p->len << 32) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53ull;
    return &t->buckets[h >> 32 & (t->n_buckets - 1)];
}

/* The link in the bucket's chain that names the same prefix, or the chain's end. */
static uint32_t *prefix_link(const struct route_table *t, const struct route_prefix *p) {
    uint32_t *link = bucket_of(t, p);
    for (; *link != ROUTE_NONE; link = &t->prefixes.v[*link].chain) {
        const struct route_prefix *q = &t->prefixes.v[*link];
        if (q->addr[0] == p->addr[0] && q->addr[1] == p->addr[1] && q->len == p->len)
            break;
    }
    return link;
}

struct route_prefix *prefix_find(const struct route_table *t, const struct ip_prefix *prefix) {
    const struct route_prefix wanted = prefix_make(prefix);
    uint32_t i = *prefix_link(t, &wanted);
    return i == ROUTE_NONE ? NULL : &t->prefixes.v[i];
}

void prefix_prefetch(const struct route_table *t, const struct ip_prefix *near, const struct ip_prefix *far) {
    const struct route_prefix n = prefix_make(near), f = prefix_make(far);
    uint32_t i = *bucket_of(t, &n);
    if (i != ROUTE_NONE)
        __builtin_prefetch(&t->prefixes.v[i]);
    __builtin_prefetch(bucket_of(t, &f));
}

void buckets_resize(struct route_table *t, size_t prefixes) {
    uint32_t n = t->n_buckets ? t->n_buckets : BUCKETS_MIN;
    while (n < prefixes && n < 1u << 31)
        n *= 2;
    if (n == t->n_buckets)
        return;
    t->n_buckets = n;
    t->buckets = xrealloc(t->buckets, n, sizeof *t->buckets);
    memset(t->buckets, 0xff, n * sizeof *t->buckets);
    for (uint32_t i = 0; i < t->prefixes.n; i++) {
        struct route_prefix *p = &t->prefixes.v[i];
        uint32_t *bucket = bucket_of(t, p);
        if (p->first == ROUTE_NONE)
            continue;
        p->chain = *bucket;
        *bucket = i;
    }
}

struct route_prefix *prefix_add(struct route_table *t, const struct ip_prefix *prefix) {
    struct route_prefix fresh = prefix_make(prefix);
    uint32_t i = t->prefix_free;
    buckets_resize(t, t->n_prefixes + 1);
    uint32_t *bucket = bucket_of(t, &fresh);
    fresh.chain = *bucket;
    if (i == ROUTE_NONE) {
        i = (uint32_t)t->prefixes.n;
        vec_push(&t->prefixes, fresh);
    } else {
        t->prefix_free = t->prefixes.v[i].chain;
        t->prefixes.v[i] = fresh;
    }
    *bucket = i;
    t->n_prefixes++;
    return &t->prefixes.v[i];
}

void prefix_remove(struct route_table *t, struct route_prefix *p) {
    uint32_t *link = prefix_link(t, p);
    uint32_t i = *link;
    *link = p->chain;
    p->first = ROUTE_NONE;
    p->chain = t->prefix_free;
    t->prefix_free = i;
    t->n_prefixes--;
}
