/* SPDX-License-Identifier: BSD-3-Clause */
/* Words at any address, in the order in which they stand there. */
#ifndef FWDLAB_SRC_CORE_BYTES_H
#define FWDLAB_SRC_CORE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const void *at) {
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
static inline uint32_t load32(const void *at) {
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
static inline uint64_t load64(const void *at) {
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
static inline void store16(void *at, uint16_t v) {
    memcpy(at, &v, sizeof v);
}
static inline void store32(void *at, uint32_t v) {
    memcpy(at, &v, sizeof v);
}
static inline void store64(void *at, uint64_t v) {
    memcpy(at, &v, sizeof v);
}

#endif
