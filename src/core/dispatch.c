/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets to workers. Plain TCP and UDP in IPv4 are read by hand, everything else by parse() on a copy. */
#include <fwdlab/core/dispatch.h>

#include <errno.h>
#include <stdlib.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include "stage.h"

#define CHUNK 64u
#define BY_MAP UINT8_MAX /* a port of port maps: who owns it depends on address and protocol */
#define MIXED UINT8_MAX  /* not all of these ports are one worker's */
#define RUN_SHIFT 4      /* ports that are looked up as one, so that the table stays in the first cache */
#define INSIDE 1u

/* The outside end of a port map. */
struct map_end {
    uint64_t key;
    uint32_t order; /* the first of several wins */
    uint8_t worker;
};

/* One octet of an address: INSIDE, 0: not, or the place of the next octet's page, plus one. */
struct page {
    uint32_t cell[256];
};

struct dispatch {
    unsigned workers;
    VEC(struct page) inside;   /* the first octet's page comes first; none: no NAT */
    be32 *outside;             /* hash table of outside addresses, 0: empty */
    unsigned outside_shift;
    struct map_end *maps;      /* sorted */
    size_t n_maps;
    uint8_t part[1 << 16];     /* of each port (be16): the worker whose part it is in */
    uint8_t owner[1 << 16];    /* the same, or BY_MAP */
    uint8_t run[1 << (16 - RUN_SHIFT)]; /* of ports in a row, by host order: the owner of all, or MIXED */
};

/* What decides, in the header as it stands or as it would stand in an answer. */
struct ends {
    be32 src, dst;
    be16 dport;    /* ICMP queries: identifier */
    uint8_t proto;
    bool ports;    /* TCP, UDP or an ICMP query; later fragments: may be */
    uint8_t place; /* in the burst */
};

static inline uint64_t mix(uint64_t x) {
    const unsigned __int128 m = (unsigned __int128)(x ^ 0xa0761d6478bd642fu) * 0xe7037ed1a0b428dbu;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint8_t choose(const struct dispatch *d, uint64_t hash) {
    return (uint8_t)((hash >> 32) * d->workers >> 32);
}

static inline uint8_t by_address(const struct dispatch *d, be32 addr) {
    return choose(d, mix(addr));
}

static inline uint8_t by_both(const struct dispatch *d, uint64_t a, uint64_t b) {
    return choose(d, mix(mix(a) + mix(b)));
}

/* ---- configuration ---- */

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

static uint64_t map_key(uint8_t proto, be32 addr, be16 port) {
    return (uint64_t)addr << 32 | (uint64_t)port << 16 | proto;
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

static inline uint32_t outside_slot(const struct dispatch *d, be32 addr) {
    return addr * 0x9e3779b1u >> d->outside_shift;
}

static inline bool is_outside(const struct dispatch *d, be32 addr) {
    const uint32_t mask = UINT32_MAX >> d->outside_shift;
    for (uint32_t i = outside_slot(d, addr);; i = (i + 1) & mask)
        if (!d->outside[i] || d->outside[i] == addr)
            return d->outside[i];
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

static inline bool is_inside(const struct dispatch *d, be32 addr) {
    const uint8_t *octet = (const uint8_t *)&addr;
    uint32_t cell = d->inside.v[0].cell[*octet];
    while (cell > INSIDE)
        cell = d->inside.v[cell - 1].cell[*++octet];
    return cell;
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

/* ---- what a packet says ---- */

/* The commonest packet: Ethernet, 20 bytes of IPv4 header, TCP or UDP, whole. */
static inline bool read_plain(const struct packet *p, struct ends *e) {
    uint16_t type, fragment;
    if (unlikely(p->len < 38 || p->flags & PACKET_RAW_IP))
        return false;
    memcpy(&type, p->data + 12, 2);
    memcpy(&fragment, p->data + 20, 2);
    e->proto = p->data[23];
    memcpy(&e->src, p->data + 26, 4);
    memcpy(&e->dst, p->data + 30, 4);
    memcpy(&e->dport, p->data + 36, 2);
    e->ports = true;
    const int proto = (e->proto == PROTO_TCP) + (e->proto == PROTO_UDP); /* no branch on which of them */
    return likely(type == htons(0x0800) && p->data[14] == 0x45 && !(fragment & htons(IPV4_MF | IPV4_OFFSET)) && proto);
}

static be16 read16(const uint8_t *at) {
    be16 v;
    memcpy(&v, at, sizeof v);
    return v;
}

static bool ported(uint8_t proto) {
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP;
}

/* The answer to the packet that an ICMP error quotes, of which 8 bytes after the IP header are there (RFC 792). */
static void read_quoted(const struct packet *p, struct ends *e) {
    const uint32_t at = p->l4 + 8u;
    struct ipv4_header ip;
    if (at + sizeof ip > p->len)
        return;
    memcpy(&ip, p->data + at, sizeof ip);
    const uint32_t l4 = at + (ip.version_ihl & 15) * 4u;
    if (ip.version_ihl >> 4 != 4 || ip.fragment & htons(IPV4_OFFSET) || l4 + 8 > p->len)
        return;
    *e = (struct ends){.src = ip.dst, .dst = ip.src, .proto = ip.proto, .ports = ported(ip.proto)};
    e->dport = read16(p->data + l4 + (ip.proto == PROTO_ICMP ? 4 : 0));
}

/* IPv6 knows addresses alone; errors those that they quote. */
static uint8_t by_addresses6(const struct dispatch *d, const struct packet *p) {
    const uint32_t quoted = p->l4 + 8u;
    const bool error = p->flags & PACKET_ICMP_ERROR && quoted + sizeof(struct ipv6_header) <= p->len;
    const struct ipv6_header *ip = error ? (const void *)(p->data + quoted) : packet_ipv6(p);
    uint64_t word[4];
    memcpy(word, ip->src, sizeof word);
    return by_both(d, mix(word[0]) + word[1], mix(word[2]) + word[3]);
}

/* ---- decisions ---- */

static __attribute__((noinline)) uint8_t by_map(const struct dispatch *d, const struct ends *e) {
    const uint64_t key = map_key(e->proto, e->dst, e->dport);
    size_t low = 0, high = d->n_maps;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (d->maps[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low < d->n_maps && d->maps[low].key == key ? d->maps[low].worker : d->part[e->dport];
}

static inline uint8_t to_outside(const struct dispatch *d, const struct ends *e) {
    if (unlikely(!e->ports))
        return by_address(d, e->src);
    return likely(d->owner[e->dport] != BY_MAP) ? d->owner[e->dport] : by_map(d, e);
}

/* Between addresses that are not outside ones. */
static inline uint8_t between(const struct dispatch *d, const struct ends *e) {
    const bool src = is_inside(d, e->src);
    if (unlikely(src == is_inside(d, e->dst)))
        return by_both(d, e->src, e->dst);
    return by_address(d, src == e->ports ? e->src : e->dst);
}

/* The worker of a fragment to an outside address; `worker`: who has it by its port, or by nothing. */
static uint8_t follow(struct dispatch_fragments *f, const struct packet *p, uint8_t worker) {
    const be16 id = packet_ipv4(p)->id;
    const unsigned set = mix((uint64_t)(p->src ^ id) << 32 | p->dst) % DISPATCH_FRAGMENT_SETS;
    unsigned way = 0;
    while (way < DISPATCH_FRAGMENT_WAYS && (f->seen[set][way].src != p->src || f->seen[set][way].dst != p->dst ||
                                            f->seen[set][way].id != id || f->seen[set][way].proto != p->proto))
        way++;
    if (p->flags & PACKET_FRAG_LATER)
        return way < DISPATCH_FRAGMENT_WAYS ? f->seen[set][way].worker : worker;
    if (way == DISPATCH_FRAGMENT_WAYS)
        way = f->oldest[set]++ % DISPATCH_FRAGMENT_WAYS;
    f->seen[set][way].src = p->src;
    f->seen[set][way].dst = p->dst;
    f->seen[set][way].id = id;
    f->seen[set][way].proto = p->proto;
    f->seen[set][way].worker = worker;
    return worker;
}

/* All others, one by one. */
static __attribute__((noinline)) uint8_t by_parse(const struct dispatch *d, struct dispatch_fragments *f,
                                                  const struct packet *packet) {
    struct packet p = *packet;
    parse(&p);
    if (p.verdict == VERDICT_DROP)
        return 0;
    if (p.family == FAMILY_IPV6)
        return by_addresses6(d, &p);
    struct ends e = {.src = p.src, .dst = p.dst, .dport = p.dport, .proto = p.proto};
    e.ports = ported(p.proto) && p.flags & (PACKET_PORTS | PACKET_FRAG_LATER);
    if (p.flags & PACKET_ICMP_ERROR)
        read_quoted(&p, &e);
    if (!d->inside.n)
        return by_both(d, e.src, e.dst);
    if (is_outside(d, e.dst)) {
        const uint8_t worker = to_outside(d, &e);
        return p.flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER) ? follow(f, &p, worker) : worker;
    }
    return between(d, &e);
}

/*
 * With NAT: those to outside addresses at once, the others afterwards. Which they are changes from packet to
 * packet, and no branch depends on it.
 */
static void by_nat(const struct dispatch *d, struct dispatch_fragments *f, struct packet *const *pkts, unsigned n,
                   uint8_t *worker) {
    struct ends e, rest[CHUNK];
    unsigned n_rest = 0;
    for (unsigned i = 0; i < n; i++) {
        if (unlikely(!read_plain(pkts[i], &e))) {
            worker[i] = by_parse(d, f, pkts[i]);
            continue;
        }
        const be32 at = d->outside[outside_slot(d, e.dst)];
        unsigned outside = (unsigned)(at == e.dst) & (unsigned)(at != 0);
        if (unlikely(at != 0 && at != e.dst))
            outside = is_outside(d, e.dst);
        uint8_t owner = d->run[ntohs(e.dport) >> RUN_SHIFT];
        if (unlikely((unsigned)(owner == MIXED) & outside))
            owner = to_outside(d, &e);
        worker[i] = owner;
        e.place = (uint8_t)i;
        rest[n_rest] = e;
        n_rest += !outside;
    }
    for (unsigned k = 0; k < n_rest; k++)
        worker[rest[k].place] = between(d, &rest[k]);
}

void dispatch(const struct dispatch *d, struct dispatch_fragments *f, struct packet *const *pkts, unsigned n,
              uint8_t *worker) {
    struct ends e;
    if (d->workers == 1) {
        memset(worker, 0, n);
        return;
    }
    for (unsigned i = 0; d->inside.n && i < n; i += CHUNK)
        by_nat(d, f, pkts + i, n - i < CHUNK ? n - i : CHUNK, worker + i);
    for (unsigned i = 0; !d->inside.n && i < n; i++)
        worker[i] = read_plain(pkts[i], &e) ? by_both(d, e.src, e.dst) : by_parse(d, f, pkts[i]);
}
