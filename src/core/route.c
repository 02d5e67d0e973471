/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The route table: all routes, the winners of each prefix as a path, and the backend that maps destinations to paths.
 *
 * Adding and removing cost the same however large the table is. A removed route leaves a hole at first; holes are
 * closed, and indexes counted anew, when somebody looks at the routes or at a path.
 */
#include <errno.h>
#include <string.h>
#include <fwdlab/core/packet.h>
#include "route_direct.h"
#include "route_table.h"

#define HOLE (ROUTE_NONE - 1)

/* A path while it is put together. */
union path_draft {
    struct route_path path;
    struct path_unit units[PATH_UNITS_MAX];
};

struct route_table *route_table_create(const struct route_backend *backend, uint32_t max_routes) {
    void *state = backend->create(max_routes);
    if (!state)
        return NULL;
    struct route_table *t = xzalloc(1, sizeof *t);
    t->backend = backend;
    t->state = state;
    t->direct = backend == &route_direct ? route_direct_entries(state) : NULL;
    t->max_prefixes = max_routes;
    t->prefix_free = ROUTE_NONE;
    t->n_hops = 1;
    memset(t->units_free, 0xff, sizeof t->units_free);
    buckets_resize(t, 0);
    return t;
}

void route_table_destroy(struct route_table *t) {
    if (!t)
        return;
    t->backend->destroy(t->state);
    vec_release(t->units);
    vec_free(&t->left);
    vec_free(&t->routes);
    vec_free(&t->next);
    vec_free(&t->prefixes);
    vec_release(t->buckets);
    vec_release(t);
}

/* ---- paths ---- */

/* The number of a plain IPv4 neighbour, a new one perhaps; 0 when it has none. */
static uint32_t hop_number(struct route_table *t, const struct route_path *path) {
    uint32_t i = 1;
    if (path->kind != ROUTE_UNICAST || path->n != 1 || t->backend->family != FAMILY_IPV4)
        return 0;
    while (i < t->n_hops && (t->hops[i].via != path->next[0].via || t->hops[i].port != path->next[0].port))
        i++;
    if (i == HOPS_MAX)
        return 0;
    if (i == t->n_hops)
        t->hops[t->n_hops++] = (struct path_hop){
            .via = path->next[0].via, .direct = path->next[0].via ? 0 : UINT32_MAX, .port = path->next[0].port};
    return i;
}

static void units_resize(struct route_table *t, uint32_t n) {
    t->units_cap = n;
    t->units = xrealloc(t->units, n, sizeof *t->units);
}

/* Room for a path with n next hops; ROUTE_NONE: there are too many. */
static uint32_t path_alloc(struct route_table *t, unsigned n) {
    uint32_t units = (uint32_t)PATH_UNITS(n), at = t->units_free[units];
    if (at != ROUTE_NONE) {
        t->units_free[units] = *(uint32_t *)path_at(t, at);
    } else if (t->units_used + units > (changes_in_place(t) ? t->units_cap : 1u << PATHS_BITS)) {
        return ROUTE_NONE;
    } else {
        if (t->units_used + units > t->units_cap)
            units_resize(t, 2 * t->units_cap + units);
        at = t->units_used;
        t->units_used += units;
    }
    return at;
}

static void path_free(struct route_table *t, uint32_t path) {
    const size_t units = PATH_UNITS(path_at(t, path)->n);
    *(uint32_t *)path_at(t, path) = t->units_free[units];
    t->units_free[units] = path;
}

/* No prefix has it any more. */
static void path_leave(struct route_table *t, uint32_t path) {
    if (changes_in_place(t))
        vec_push(&t->left, path);
    else
        path_free(t, path);
}

static void path_write(struct route_table *t, uint32_t at, const struct route_path *path) {
    memcpy(path_at(t, at), path, PATH_UNITS(path->n) * sizeof *t->units);
}

bool route_table_share(struct route_table *t) {
    const uint64_t most = (uint64_t)t->units_used + 2 * PATH_UNITS_MAX * (uint64_t)t->max_prefixes;
    t->shared = true;
    if (!changes_in_place(t))
        return false;
    units_resize(t, most < 1u << PATHS_BITS ? (uint32_t)most : 1u << PATHS_BITS); /* untouched, it takes no memory */
    route_table_reclaim(t);
    return true;
}

void route_table_reclaim(struct route_table *t) {
    for (size_t i = 0; i < t->left.n; i++)
        path_free(t, t->left.v[i]);
    t->left.n = 0;
    t->backend->reclaim(t->state);
}

/* Does r take a share of what `best` gets? */
static bool route_shares(const struct route *r, const struct route *best) {
    return r == best || (r->metric == best->metric && r->kind == ROUTE_UNICAST && best->kind == ROUTE_UNICAST);
}

/* Among the routes of a prefix: the lowest metric wins; unicast routes that share it share the traffic. */
static void path_draft(const struct route_table *t, const struct route_prefix *p, union path_draft *out) {
    const struct route *routes = t->routes.v, *best = &routes[p->first];
    for (uint32_t i = p->first; i != ROUTE_NONE; i = t->next.v[i])
        if (routes[i].metric < best->metric)
            best = &routes[i];
    memset(out, 0, sizeof *out);
    out->path.kind = best->kind;
    out->path.route = (uint32_t)(best - routes);
    for (uint32_t i = out->path.route; i != ROUTE_NONE && out->path.n < ROUTE_ECMP_MAX; i = t->next.v[i]) {
        const struct route *r = &routes[i];
        if (!route_shares(r, best))
            continue;
        out->path.next[out->path.n].via = t->backend->family == FAMILY_IPV6 ? i : r->via.family ? r->via.v4 : 0;
        out->path.next[out->path.n++].port = r->port;
    }
}

/* Brings the path of a prefix, and what the backend says of it, up to its routes; changes nothing when that fails. */
static int path_update(struct route_table *t, struct route_prefix *p) {
    const uint32_t old = value_path(p->value);
    union path_draft draft;
    path_draft(t, p, &draft);
    const struct route_path *path = &draft.path;
    const bool stays = old != ROUTE_NONE && path_at(t, old)->n == path->n && !changes_in_place(t);
    const uint32_t at = stays ? old : path_alloc(t, path->n);
    if (at == ROUTE_NONE)
        return -ENOSPC;
    if (!stays)
        path_write(t, at, path);
    const uint32_t value = hop_number(t, path) << PATHS_BITS | at;
    const int code = value == p->value ? 0 : t->backend->add(t->state, p->addr, p->len, value);
    if (code && !stays)
        path_free(t, at);
    if (code)
        return code;
    if (stays)
        path_write(t, at, path);
    else if (old != ROUTE_NONE)
        path_leave(t, old);
    p->value = value;
    return 0;
}

/* ---- routes ---- */

static bool is_unspecified(const struct ip *a) {
    static const uint8_t zeros[16];
    return a->family == FAMILY_IPV6 ? memcmp(a->v6, zeros, 16) == 0 : a->v4 == 0;
}

static int route_check(const struct route_table *t, const struct route *r) {
    const uint8_t family = t->backend->family;
    if (r->prefix.addr.family != family || (r->via.family != FAMILY_NONE && r->via.family != family))
        return -EAFNOSUPPORT;
    if (r->prefix.len > (family == FAMILY_IPV6 ? 128 : 32) || r->kind > ROUTE_PROHIBIT)
        return -EINVAL;
    if (family == FAMILY_IPV6 && r->kind == ROUTE_BROADCAST) /* there is none (RFC 4291, 2) */
        return -EINVAL;
    if (!prefix_contains(&r->prefix, &r->prefix.addr)) /* host bits */
        return -EINVAL;
    if (r->via.family && (is_unspecified(&r->via) || r->kind != ROUTE_UNICAST))
        return -EINVAL;
    return (r->kind == ROUTE_UNICAST) == (r->port != PORT_NONE) ? 0 : -EINVAL;
}

static bool route_same(const struct route *a, const struct route *b) {
    return a->metric == b->metric && a->port == b->port && a->kind == b->kind && ip_equal(&a->via, &b->via);
}

/* Finds the very same route of a prefix, and the one before it in the list. */
static uint32_t route_find(const struct route_table *t, const struct route_prefix *p, const struct route *r,
                           uint32_t *before) {
    uint32_t i = p->first;
    *before = ROUTE_NONE;
    while (i != ROUTE_NONE && !route_same(&t->routes.v[i], r)) {
        *before = i;
        i = t->next.v[i];
    }
    return i;
}

static void route_link(struct route_table *t, struct route_prefix *p, uint32_t i, uint32_t before, uint32_t after) {
    *(before == ROUTE_NONE ? &p->first : &t->next.v[before]) = i;
    t->next.v[i] = after;
    if (after == ROUTE_NONE)
        p->last = i;
}

static void route_unlink(struct route_table *t, struct route_prefix *p, uint32_t i, uint32_t before) {
    *(before == ROUTE_NONE ? &p->first : &t->next.v[before]) = t->next.v[i];
    if (p->last == i)
        p->last = before;
    t->next.v[i] = HOLE;
}

static void changed(struct route_table *t) {
    __atomic_store_n(&t->generation, t->generation + 1, __ATOMIC_RELEASE);
}

int route_add(struct route_table *t, const struct route *r) {
    uint32_t before;
    int code = route_check(t, r);
    if (code)
        return code;
    struct route_prefix *p = prefix_find(t, &r->prefix);
    if (p && route_find(t, p, r, &before) != ROUTE_NONE)
        return -EEXIST;
    if (t->routes.n == HOLE || (!p && t->n_prefixes == t->max_prefixes))
        return -ENOSPC;
    if (!p)
        p = prefix_add(t, &r->prefix);
    uint32_t i = (uint32_t)t->routes.n;
    vec_push(&t->routes, *r);
    vec_push(&t->next, ROUTE_NONE);
    before = p->last;
    route_link(t, p, i, before, ROUTE_NONE);
    code = path_update(t, p);
    if (code) { /* the backend refuses: as if nothing had been */
        route_unlink(t, p, i, before);
        t->routes.n--;
        t->next.n--;
        if (p->first == ROUTE_NONE)
            prefix_remove(t, p);
        return code;
    }
    changed(t);
    return 0;
}

int route_remove(struct route_table *t, const struct route *r) {
    uint32_t before;
    int code = route_check(t, r);
    if (code)
        return code;
    struct route_prefix *p = prefix_find(t, &r->prefix);
    uint32_t i = p ? route_find(t, p, r, &before) : ROUTE_NONE;
    if (i == ROUTE_NONE)
        return -ENOENT;
    uint32_t after = t->next.v[i];
    route_unlink(t, p, i, before);
    bool last = p->first == ROUTE_NONE;
    code = last ? t->backend->remove(t->state, p->addr, p->len) : path_update(t, p);
    if (code) {
        route_link(t, p, i, before, after);
        return code;
    }
    if (last) {
        path_leave(t, value_path(p->value));
        prefix_remove(t, p);
    }
    t->holes++;
    changed(t);
    return 0;
}

int route_replace(struct route_table *t, const struct route *r) {
    uint32_t before, i;
    int code = route_check(t, r);
    if (code)
        return code;
    struct route_prefix *p = prefix_find(t, &r->prefix);
    for (i = p ? p->first : ROUTE_NONE; i != ROUTE_NONE && t->routes.v[i].metric != r->metric;)
        i = t->next.v[i];
    if (i == ROUTE_NONE)
        return route_add(t, r);
    uint32_t same = route_find(t, p, r, &before);
    if (same != ROUTE_NONE && same != i)
        return -EEXIST;
    const struct route old = t->routes.v[i];
    t->routes.v[i] = *r;
    code = path_update(t, p);
    if (code)
        t->routes.v[i] = old;
    else
        changed(t);
    return code;
}

/* Indexes change only here, and in nobody's hand: every removal has ended their validity. */
void route_table_settle(struct route_table *t) {
    if (!t->holes)
        return;
    uint32_t *moved = xalloc(t->routes.n * sizeof *moved), n = 0;
    for (size_t i = 0; i < t->routes.n; i++)
        moved[i] = t->next.v[i] == HOLE ? ROUTE_NONE : n++;
    for (size_t i = 0; i < t->routes.n; i++) {
        if (moved[i] == ROUTE_NONE)
            continue;
        t->routes.v[moved[i]] = t->routes.v[i];
        t->next.v[moved[i]] = t->next.v[i] == ROUTE_NONE ? ROUTE_NONE : moved[t->next.v[i]];
    }
    for (struct route_prefix *p = t->prefixes.v; p < t->prefixes.v + t->prefixes.n; p++) {
        if (p->first == ROUTE_NONE)
            continue;
        p->first = moved[p->first];
        p->last = moved[p->last];
        struct route_path *path = path_at(t, value_path(p->value));
        path->route = moved[path->route];
        for (unsigned k = 0; k < path->n && t->backend->family == FAMILY_IPV6; k++)
            path->next[k].via = moved[path->next[k].via];
    }
    t->routes.n = t->next.n = n;
    t->holes = 0;
    vec_release(moved);
}

/* Whoever looks at indexes has the holes closed first; of a shared table only its writer may. */
static void table_look(const struct route_table *t) {
    if (!t->shared)
        route_table_settle((struct route_table *)t);
}

const struct route *route_table_routes(const struct route_table *t, size_t *n) {
    table_look(t);
    *n = t->routes.n;
    return t->routes.v;
}

uint32_t route_hidden_by(const struct route_table *t, uint32_t i) {
    table_look(t);
    const struct route *r = &t->routes.v[i];
    const struct route_path *path = path_at(t, value_path(prefix_find(t, &r->prefix)->value));
    uint32_t winner = path->route;
    for (unsigned left = path->n; left; winner = t->next.v[winner]) {
        if (!route_shares(&t->routes.v[winner], &t->routes.v[path->route]))
            continue;
        if (winner == i)
            return ROUTE_NONE;
        left--;
    }
    return path->route;
}

bool route_leads_to(const struct route_table *t, const struct ip_prefix *prefix, uint16_t port) {
    const struct route_prefix *p = prefix_find(t, prefix);
    for (uint32_t i = p ? p->first : ROUTE_NONE; i != ROUTE_NONE; i = t->next.v[i])
        if (t->routes.v[i].kind == ROUTE_UNICAST && t->routes.v[i].port == port)
            return true;
    return false;
}

/* ---- lookups ---- */

void route_lookup(const struct route_table *t, const void *dst, uint32_t *path, unsigned n) {
    t->backend->lookup(t->state, dst, path, n);
    for (unsigned i = 0; i < n; i++)
        path[i] = value_path(path[i]);
}

const struct route_path *route_path(const struct route_table *t, uint32_t path) {
    table_look(t);
    return path_at(t, path);
}

uint64_t route_generation(const struct route_table *t) {
    return __atomic_load_n(&t->generation, __ATOMIC_ACQUIRE);
}

const struct route_backend *route_table_backend(const struct route_table *t) {
    return t->backend;
}

const char *route_kind_name(enum route_kind kind) {
    static const char *const names[] = {"unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit"};
    return names[kind];
}

const char *route_origin_name(enum route_origin origin) {
    static const char *const names[] = {"connected", "static", "user", "bgp", "system"};
    return names[origin];
}
