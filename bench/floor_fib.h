/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor's own DIR24-8: an entry for each /24, and groups of 256 where longer prefixes lie. Values are ports. In one
 * piece and in huge pages where there are any, so that a lookup can be fetched ahead.
 */
#ifndef FWDLAB_BENCH_FLOOR_FIB_H
#define FWDLAB_BENCH_FLOOR_FIB_H

#include <fwdlab/core/route.h>

#define FLOOR_FIB_NONE 0x7fffffffu
#define FLOOR_FIB_GROUP 0x80000000u

struct floor_fib {
    uint32_t *entry; /* of the /24s, then the groups */
};

/* False: no memory. */
bool floor_fib_fill(struct floor_fib *f, const struct route_table *t);
void floor_fib_free(struct floor_fib *f);

/* addr: host order. */
static inline void floor_fib_prefetch(const struct floor_fib *f, uint32_t addr) {
    __builtin_prefetch(&f->entry[addr >> 8]);
}
static inline uint32_t floor_fib_lookup(const struct floor_fib *f, uint32_t addr) {
    uint32_t v = f->entry[addr >> 8];
    if (__builtin_expect(v & FLOOR_FIB_GROUP, 0))
        v = f->entry[(v & ~FLOOR_FIB_GROUP) + (addr & 0xff)];
    return v;
}

/* Memory for free(), in huge pages where the machine gives them. */
void *floor_alloc(size_t size);

#endif
