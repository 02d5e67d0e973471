/* SPDX-License-Identifier: BSD-3-Clause */
/* From a pcapng interface's time units to nanoseconds since the Unix epoch. */
#ifndef TRACE_TIMESCALE_H
#define TRACE_TIMESCALE_H

#include <stdint.h>

struct timescale {
    uint64_t mul;     /* ns = (units * mul >> shift) / div + offset */
    uint64_t div;     /* 0: a unit is so short that 2^64 of them are less than a nanosecond */
    uint8_t shift;
    int64_t offset_s; /* if_tsoffset */
};

/*
 * if_tsresol (pcapng, section 4.2): the power of 10, or with the top bit set of 2, that a second is divided by;
 * default 6. Leaves the offset alone.
 */
void timescale_set(struct timescale *scale, uint8_t resolution);
/* Clamped to 0..UINT64_MAX. */
uint64_t timescale_ns(const struct timescale *scale, uint64_t units);

#endif
