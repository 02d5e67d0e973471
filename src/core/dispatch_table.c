/* SPDX-License-Identifier: BSD-3-Clause */
#include "dispatch_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct nat_config with_range(const struct nat_config *c) {
    struct nat_config whole = *c;
    if (!whole.port_max) {
        whole.port_min = 1024;
        whole.port_max = UINT16_MAX;
    }
    return whole;
}

/* What a part is made of: an even and an odd port, or a client's block. */
static uint32_t unit(const struct nat_config *c) {
    return c->port_block ? c->port_block : 2;
}

static uint32_t units(const struct nat_config *c) {
    return (c->port_max - c->port_min + 1u) / unit(c);
}

static uint32_t part_begin(const struct nat_config *c, unsigned workers, unsigned worker) {
    return worker < workers ? c->port_min + units(c) * worker / workers * unit(c) : c->port_max + 1u;
}

struct nat_config dispatch_nat(const struct nat_config *whole, unsigned workers, unsigned worker) {
    if (workers == 1)
        return *whole;
    struct nat_config c = with_range(whole), part = c;
    part.port_min = (uint16_t)part_begin(&c, workers, worker);
    part.port_max = (uint16_t)(part_begin(&c, workers, worker + 1) - 1);
    part.max_sessions = (c.max_sessions + workers - 1) / workers;
    return part;
}

static void divide_ports(struct dispatch *d, const struct nat_config *c) {
    for (uint32_t port = 0; port <= UINT16_MAX; port++)
        d->part[htons((uint16_t)port)] = (uint8_t)(port % d->workers); /* nobody's: the node's own services */
    for (unsigned w = 0; w < d->workers; w++)
        for (uint32_t port = part_begin(c, d->workers, w); port < part_begin(c, d->workers, w + 1); port++)
            d->part[htons((uint16_t)port)] = (uint8_t)w;
    memcpy(d->owner, d->part, sizeof d->owner);
}

static int map_compare(const void *a, const void *b) {
    const struct map_end *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->order > y->order) - (x->order < y->order);
}

static bool add_port_maps(struct dispatch *d, const struct nat_config *c) {
    if (!(d->maps = calloc(c->n_port_maps + 1u, sizeof *d->maps)))
        return false;
    d->n_maps = c->n_port_maps;
    for (uint32_t i = 0; i < c->n_port_maps; i++) {
        const struct nat_port_map *m = &c->port_maps[i];
        const be32 outside = m->outside_addr ? m->outside_addr : c->addresses[0];
        d->maps[i] = (struct map_end){map_key(m->proto, outside, m->outside_port), i, by_address(d, m->inside_addr)};
        d->owner[m->outside_port] = BY_MAP;
    }
    qsort(d->maps, d->n_maps, sizeof *d->maps, map_compare);
    return true;
}

static void find_runs(struct dispatch *d) {
    for (uint32_t port = 0; port <= UINT16_MAX; port++) {
        const uint8_t owner = d->owner[htons((uint16_t)port)];
        uint8_t *run = &d->run[port >> RUN_SHIFT];
        *run = port % (1u << RUN_SHIFT) == 0 || *run == owner ? owner : MIXED;
    }
}

/* Nearly empty, so that the first slot mostly tells. */
static bool add_outside(struct dispatch *d, const struct nat_config *c) {
    unsigned bits = 4;
    while (1u << bits < 16 * c->n_addresses)
        bits++;
    d->outside_shift = 32 - bits;
    if (!(d->outside = calloc((size_t)1 << bits, sizeof *d->outside)))
        return false;
    for (uint32_t k = 0; k < c->n_addresses; k++) {
        uint32_t i = outside_slot(d, c->addresses[k]);
        while (d->outside[i])
            i = (i + 1) & ((1u << bits) - 1);
        d->outside[i] = c->addresses[k];
    }
    return true;
}

/* No longer prefix was added before. */
static void add_prefix(struct dispatch *d, const struct ip_prefix *p, uint32_t inside) {
    const uint8_t *octet = (const uint8_t *)&p->addr.v4;
    size_t page = 0;
    unsigned bits = p->len;
    for (; bits > 8; bits -= 8) {
        const uint32_t cell = d->inside.v[page].cell[*octet];
        if (cell <= INSIDE) {
            struct page below;
            for (unsigned i = 0; i < 256; i++)
                below.cell[i] = cell;
            vec_push(&d->inside, below);
            d->inside.v[page].cell[*octet] = (uint32_t)d->inside.n;
        }
        page = d->inside.v[page].cell[*octet++] - 1;
    }
    const unsigned first = *octet & (0xff00u >> bits), end = first + (256u >> bits);
    for (unsigned i = first; i < end; i++)
        d->inside.v[page].cell[i] = inside;
}

/* Where a route stands among the prefixes: the shortest first; of one with next hops by both sides, elsewhere wins. */
static unsigned rank(const struct route *r, uint16_t outside_port) {
    return 2u * r->prefix.len + (r->port == outside_port);
}

/* Prefixes by inside ports, and those by the outside port that lie within one of them. */
static bool add_inside(struct dispatch *d, const struct route_table *routes, uint16_t outside_port) {
    size_t n, at[2 * 33 + 1] = {0};
    const struct route *r = route_table_routes(routes, &n);
    uint32_t *order = malloc((n + 1) * sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < n; i++)
        at[rank(&r[i], outside_port) + 1]++;
    for (unsigned k = 1; k < 2 * 33 + 1; k++)
        at[k] += at[k - 1];
    for (size_t i = 0; i < n; i++)
        order[at[rank(&r[i], outside_port)]++] = (uint32_t)i;
    vec_push(&d->inside, (struct page){{0}});
    for (size_t k = 0; k < n; k++) {
        const struct route *route = &r[order[k]];
        const bool inside = route->port != outside_port;
        if (route->kind == ROUTE_UNICAST && (inside || is_inside(d, route->prefix.addr.v4)) &&
            route_hidden_by(routes, order[k]) == ROUTE_NONE)
            add_prefix(d, &route->prefix, inside);
    }
    free(order);
    return true;
}

struct dispatch *dispatch_create(unsigned workers, const struct nat_config *nat, const struct route_table *routes) {
    struct nat_config c = nat ? with_range(nat) : (struct nat_config){0};
    errno = EINVAL;
    if (!workers || workers > DISPATCH_WORKERS_MAX || (nat && (!routes || units(&c) < workers)))
        return NULL;
    struct dispatch *d = calloc(1, sizeof *d);
    errno = ENOMEM;
    if (!d)
        return NULL;
    d->workers = workers;
    if (!nat)
        return d;
    divide_ports(d, &c);
    if (add_port_maps(d, &c) && add_outside(d, &c) && add_inside(d, routes, c.outside_port)) {
        find_runs(d);
        return d;
    }
    dispatch_destroy(d);
    errno = ENOMEM;
    return NULL;
}

void dispatch_destroy(struct dispatch *d) {
    if (!d)
        return;
    vec_free(&d->inside);
    free(d->outside);
    free(d->maps);
    free(d);
}
