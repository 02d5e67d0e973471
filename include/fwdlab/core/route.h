/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes of one node. The table keeps every route that was ever added and not removed (so that it can say what hides
 * what) and puts the winners into a lookup backend: longest prefix, then lowest metric; winners of equal metric form
 * one ECMP path. Backends are exchangeable tables of functions: the compact trie, DIR24-8 and the linear oracle are
 * built in, DPDK's DIR24-8 comes from src/dpdk. A table has the family of its backend; routes of another are refused
 * with -EAFNOSUPPORT.
 */
#ifndef FWDLAB_CORE_ROUTE_H
#define FWDLAB_CORE_ROUTE_H

#include <fwdlab/base/addr.h>
#include <fwdlab/base/err.h>

#define ROUTE_NONE UINT32_MAX
#define ROUTE_ECMP_MAX 16
#define ROUTE_NAME 40

enum route_kind { ROUTE_UNICAST, ROUTE_LOCAL, ROUTE_BROADCAST, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT };
enum route_origin { ORIGIN_CONNECTED, ORIGIN_STATIC, ORIGIN_USER, ORIGIN_BGP, ORIGIN_SYSTEM };

struct route {
    struct ip_prefix prefix;
    struct ip via;      /* FAMILY_NONE: on link, the destination itself is the neighbour */
    uint16_t port;      /* outgoing port of the node; PORT_NONE for LOCAL, BROADCAST and the refusing kinds */
    uint8_t kind;       /* enum route_kind */
    uint8_t origin;     /* enum route_origin: only told, never compared; who ranks origins sets metrics (control) */
    uint32_t metric;    /* the lowest wins among equal prefixes */
    char name[ROUTE_NAME]; /* as the scenario calls it, may be empty */
};

/* What a lookup leads to: one next hop, or several of equal cost. Not to be copied: it ends where its next hops end. */
struct route_path {
    uint8_t kind;        /* enum route_kind */
    uint8_t n;           /* 1..ROUTE_ECMP_MAX */
    uint32_t route;      /* index of the first winner in route_table_routes(): the route to blame */
    struct {
        be32 via;        /* IPv4 address, 0: on link; IPv6: index of its route in route_table_routes() */
        uint16_t port;
    } next[];
};

/*
 * A lookup backend. `value` is a path index, or ROUTE_NONE for no route. `add` replaces the value of a prefix that
 * exists. add and remove return 0 or -errno (-ENOSPC: the backend is full). lookup never fails. Keys are addresses in
 * network order, 4 or 16 bytes each by the backend's family; `dst` is an array of them.
 *
 * `reclaim`, where there is one, lets others look while one thread adds and removes: each lookup gives what was there
 * before the change or what is there after it. The first call asks for that; each later one says that whoever was
 * looking has been elsewhere meanwhile, so that the room of what was taken away before can be used again.
 */
struct route_backend {
    const char *name;
    uint8_t family;      /* enum family */
    void *(*create)(uint32_t max_routes);
    void (*destroy)(void *state);
    int (*add)(void *state, const void *prefix, uint8_t len, uint32_t value);
    int (*remove)(void *state, const void *prefix, uint8_t len);
    void (*lookup)(const void *state, const void *dst, uint32_t *value, unsigned n);
    void (*reclaim)(void *state); /* NULL: nobody may look while it changes */
};
extern const struct route_backend route_trie;
extern const struct route_backend route_direct; /* DIR24-8, IPv4 */
extern const struct route_backend route_linear;
extern const struct route_backend route_trie6;
extern const struct route_backend route_linear6;

struct route_table;

/* max_routes bounds the distinct prefixes in the backend. NULL when memory or the backend refuses. */
struct route_table *route_table_create(const struct route_backend *backend, uint32_t max_routes);
void route_table_destroy(struct route_table *t);

/* -EEXIST: the very same route (prefix, via, port, kind, metric) is there; -EINVAL: host
 * bits, lengths, port/kind clash. */
int route_add(struct route_table *t, const struct route *r);
/*
 * Many at once, in the order of their prefixes, which is faster; routes of one prefix are added in their order. All or
 * none: the error is that of the first route that is refused.
 */
int route_add_many(struct route_table *t, const struct route *routes, size_t n);
/* Removes the route equal in prefix, via, port, kind and metric; -ENOENT. */
int route_remove(struct route_table *t, const struct route *r);
/*
 * r takes the place of the first route of its prefix and metric, as `ip route replace` does; without one it is added.
 * -EEXIST: the very same route is there, but is not the first.
 */
int route_replace(struct route_table *t, const struct route *r);

/* Path index of each destination, ROUTE_NONE without one. `dst`: addresses of 4 or 16 bytes, by the table's family. */
void route_lookup(const struct route_table *t, const void *dst, uint32_t *path, unsigned n);
const struct route_path *route_path(const struct route_table *t, uint32_t path);
/* Which next hop of a path a flow takes. Symmetric: both directions of a flow give the same hash. */
unsigned route_pick(const struct route_path *path, uint32_t hash);
uint32_t route_hash(be32 src, be32 dst, be16 sport, be16 dport, uint8_t proto);
uint32_t route_hash6(const uint8_t src[16], const uint8_t dst[16], be16 sport, be16 dport, uint8_t proto);

/* Every route in the order of its adding; removed ones leave no hole, so indexes are valid until the next change. */
const struct route *route_table_routes(const struct route_table *t, size_t *n);
/* Index of the route of the same prefix that wins over route i; ROUTE_NONE when i is in use. */
uint32_t route_hidden_by(const struct route_table *t, uint32_t i);
/* Has this very prefix a unicast route by the port, whether or not it wins? */
bool route_leads_to(const struct route_table *t, const struct ip_prefix *prefix, uint16_t port);
/* Changes with every add and remove. */
uint64_t route_generation(const struct route_table *t);
const struct route_backend *route_table_backend(const struct route_table *t);

const char *route_kind_name(enum route_kind kind);
const char *route_origin_name(enum route_origin origin); /* connected, static, user, bgp, system */

#endif
