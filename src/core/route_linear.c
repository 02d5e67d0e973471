/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear lookup backend: so plain that it is right at a glance. The oracle for the other backends. */
#include <fwdlab/core/route.h>

#include <errno.h>
#include <fwdlab/base/vec.h>

struct entry {
    be32 prefix;
    uint8_t len;
    uint32_t value;
};

struct linear {
    VEC(struct entry) entries;
    uint32_t max_routes;
};

static void *linear_create(uint32_t max_routes) {
    struct linear *l = xzalloc(1, sizeof *l);
    l->max_routes = max_routes;
    return l;
}

static void linear_destroy(void *state) {
    struct linear *l = state;
    vec_free(&l->entries);
    vec_release(l);
}

static struct entry *linear_find(struct linear *l, be32 prefix, uint8_t len) {
    for (size_t i = 0; i < l->entries.n; i++)
        if (l->entries.v[i].prefix == prefix && l->entries.v[i].len == len)
            return &l->entries.v[i];
    return NULL;
}

static int linear_add(void *state, be32 prefix, uint8_t len, uint32_t value) {
    struct linear *l = state;
    struct entry *e = linear_find(l, prefix, len);
    if (e) {
        e->value = value;
        return 0;
    }
    if (l->entries.n == l->max_routes)
        return -ENOSPC;
    vec_push(&l->entries, (struct entry){.prefix = prefix, .len = len, .value = value});
    return 0;
}

static int linear_remove(void *state, be32 prefix, uint8_t len) {
    struct linear *l = state;
    struct entry *e = linear_find(l, prefix, len);
    if (!e)
        return -ENOENT;
    *e = l->entries.v[--l->entries.n];
    return 0;
}

static void linear_lookup(const void *state, const be32 *dst, uint32_t *value, unsigned n) {
    const struct linear *l = state;
    for (unsigned i = 0; i < n; i++) {
        const struct entry *best = NULL;
        for (size_t k = 0; k < l->entries.n; k++) {
            const struct entry *e = &l->entries.v[k];
            if (((dst[i] ^ e->prefix) & ipv4_mask(e->len)) == 0 && (!best || e->len > best->len))
                best = e;
        }
        value[i] = best ? best->value : ROUTE_NONE;
    }
}

const struct route_backend route_linear = {
    .name = "linear",
    .create = linear_create,
    .destroy = linear_destroy,
    .add = linear_add,
    .remove = linear_remove,
    .lookup = linear_lookup,
};
