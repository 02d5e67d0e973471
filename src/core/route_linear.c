/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear lookup backend: so plain that it is right at a glance. The oracle for the other backends. */
#include <fwdlab/core/route.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <fwdlab/base/vec.h>

struct entry {
    uint8_t addr[16];
    uint8_t len;
    uint32_t value;
};

struct linear {
    VEC(struct entry) entries;
    uint32_t max_routes;
    unsigned bytes; /* of an address */
};

static void *linear_create(uint32_t max_routes, unsigned bytes) {
    struct linear *l = xzalloc(1, sizeof *l);
    l->max_routes = max_routes;
    l->bytes = bytes;
    return l;
}

static void *linear_create4(uint32_t max_routes) {
    return linear_create(max_routes, 4);
}

static void *linear_create6(uint32_t max_routes) {
    return linear_create(max_routes, 16);
}

static void linear_destroy(void *state) {
    struct linear *l = state;
    vec_free(&l->entries);
    vec_release(l);
}

static struct entry *linear_find(struct linear *l, const void *prefix, uint8_t len) {
    for (size_t i = 0; i < l->entries.n; i++)
        if (memcmp(l->entries.v[i].addr, prefix, l->bytes) == 0 && l->entries.v[i].len == len)
            return &l->entries.v[i];
    return NULL;
}

static int linear_add(void *state, const void *prefix, uint8_t len, uint32_t value) {
    struct linear *l = state;
    struct entry *e = linear_find(l, prefix, len), fresh = {.len = len, .value = value};
    if (e) {
        e->value = value;
        return 0;
    }
    if (l->entries.n == l->max_routes)
        return -ENOSPC;
    memcpy(fresh.addr, prefix, l->bytes);
    vec_push(&l->entries, fresh);
    return 0;
}

static int linear_remove(void *state, const void *prefix, uint8_t len) {
    struct linear *l = state;
    struct entry *e = linear_find(l, prefix, len);
    if (!e)
        return -ENOENT;
    *e = l->entries.v[--l->entries.n];
    return 0;
}

/* Are the first `len` bits the same? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned len) {
    unsigned whole = len / 8, rest = len % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static void linear_lookup(const void *state, const void *dst, uint32_t *value, unsigned n) {
    const struct linear *l = state;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *key = (const uint8_t *)dst + i * l->bytes;
        const struct entry *best = NULL;
        for (size_t k = 0; k < l->entries.n; k++) {
            const struct entry *e = &l->entries.v[k];
            if (same_bits(key, e->addr, e->len) && (!best || e->len > best->len))
                best = e;
        }
        value[i] = best ? best->value : ROUTE_NONE;
    }
}

const struct route_backend route_linear = {
    .name = "linear",
    .family = FAMILY_IPV4,
    .create = linear_create4,
    .destroy = linear_destroy,
    .add = linear_add,
    .remove = linear_remove,
    .lookup = linear_lookup,
};

const struct route_backend route_linear6 = {
    .name = "linear6",
    .family = FAMILY_IPV6,
    .create = linear_create6,
    .destroy = linear_destroy,
    .add = linear_add,
    .remove = linear_remove,
    .lookup = linear_lookup,
};
