/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups in a DIR24-8 table (route_direct.c), for who looks up packet by packet and fetches ahead.
 *
 * An entry for each /24, then groups of 256 for those /24s that hold longer prefixes. An entry is the complement of its
 * value, so that memory that was never touched says ROUTE_NONE; or the index of the group's first entry, which has not
 * the highest bit. Each is written by one store, what it leads to before it, while others may be looking.
 */
#ifndef FWDLAB_SRC_CORE_ROUTE_DIRECT_H
#define FWDLAB_SRC_CORE_ROUTE_DIRECT_H

#include <fwdlab/core/route.h>

#define DIRECT_NONE 0u
#define DIRECT_VALUE 0x80000000u /* values have this bit, groups and DIRECT_NONE do not */

/* The entries of a table's backend state; they stay where they are. */
const uint32_t *route_direct_entries(const void *state);

static inline void route_direct_fetch(const uint32_t *entry, be32 dst) {
    __builtin_prefetch(&entry[ntohl(dst) >> 8]);
}

static inline uint32_t route_direct_lookup(const uint32_t *entry, be32 dst) {
    uint32_t e = __atomic_load_n(&entry[ntohl(dst) >> 8], __ATOMIC_ACQUIRE);
    if (__builtin_expect(!(e & DIRECT_VALUE), 0) && e != DIRECT_NONE)
        e = __atomic_load_n(&entry[e + (ntohl(dst) & 0xff)], __ATOMIC_ACQUIRE);
    return ~e;
}

#endif
