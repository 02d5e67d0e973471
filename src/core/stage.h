/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stages share. */
#ifndef FWDLAB_SRC_CORE_STAGE_H
#define FWDLAB_SRC_CORE_STAGE_H

#include <string.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define LIMITED_BROADCAST 0xffffffffu /* 255.255.255.255 */
#define PREFETCH_AHEAD 6 /* packets whose bytes are on their way while one is worked on */

static inline bool mac_is_zero(const struct mac *m) {
    uint32_t head;
    uint16_t tail;
    memcpy(&head, m->byte, 4);
    memcpy(&tail, m->byte + 4, 2);
    return !(head | tail);
}

static inline bool mac_equal(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct mac)) == 0;
}

/* First octet of an address in network order. */
static inline uint8_t first_octet(be32 addr) {
    return *(const uint8_t *)&addr;
}

#endif
