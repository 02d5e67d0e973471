/* SPDX-License-Identifier: BSD-3-Clause */
/* What dispatch looks at: whose a port, an address or a port map is. Made once (dispatch_table.c), then only read. */
#ifndef CORE_DISPATCH_TABLE_H
#define CORE_DISPATCH_TABLE_H

#include <fwdlab/base/vec.h>
#include <fwdlab/core/dispatch.h>

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

static inline uint64_t map_key(uint8_t proto, be32 addr, be16 port) {
    return (uint64_t)addr << 32 | (uint64_t)port << 16 | proto;
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

static inline bool is_inside(const struct dispatch *d, be32 addr) {
    const uint8_t *octet = (const uint8_t *)&addr;
    uint32_t cell = d->inside.v[0].cell[*octet];
    while (cell > INSIDE)
        cell = d->inside.v[cell - 1].cell[*++octet];
    return cell;
}

#endif
