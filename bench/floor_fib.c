/* SPDX-License-Identifier: BSD-3-Clause */
#include "floor_fib.h"
#include <fwdlab/base/vec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SLASH24 (1u << 24)

void *floor_alloc(size_t size) {
    void *memory = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    if (memory)
        madvise(memory, size, MADV_HUGEPAGE); /* refused: slower */
    return memory;
}

static void fill(uint32_t *entry, size_t n, uint32_t value) {
    for (size_t i = 0; i < n; i++)
        entry[i] = value;
}

/* How many /24s hold longer prefixes, at most. */
static size_t count_longer(const struct route *r, size_t n) {
    size_t longer = 0;
    for (size_t i = 0; i < n; i++)
        longer += r[i].prefix.len > 24;
    return longer;
}

bool floor_fib_fill(struct floor_fib *f, const struct route_table *t) {
    size_t n;
    const struct route *r = route_table_routes(t, &n);
    uint32_t next = SLASH24;
    if (!(f->entry = floor_alloc((SLASH24 + count_longer(r, n) * 256) * sizeof *f->entry)))
        return false;
    fill(f->entry, SLASH24, FLOOR_FIB_NONE);
    for (unsigned len = 0; len <= 32; len++) /* longer ones over shorter ones */
        for (size_t i = 0; i < n; i++) {
            const uint32_t addr = ntohl(r[i].prefix.addr.v4);
            uint32_t *at = &f->entry[addr >> 8];
            const uint32_t value = r[i].kind == ROUTE_UNICAST ? r[i].port : FLOOR_FIB_NONE;
            if (r[i].prefix.len != len)
                continue;
            if (len <= 24) {
                fill(at, (size_t)1 << (24 - len), value);
                continue;
            }
            if (!(*at & FLOOR_FIB_GROUP)) {
                fill(&f->entry[next], 256, *at);
                *at = FLOOR_FIB_GROUP | next;
                next += 256;
            }
            fill(&f->entry[(*at & ~FLOOR_FIB_GROUP) + (addr & 0xff)], (size_t)1 << (32 - len), value);
        }
    return true;
}

void floor_fib_free(struct floor_fib *f) {
    free(f->entry);
}
