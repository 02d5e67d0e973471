/* SPDX-License-Identifier: BSD-3-Clause */
/* Time units of pcapng, in 128-bit arithmetic: no resolution or offset overflows. See timescale.h. */
#include "timescale.h"

#include <stdbool.h>
#include <fwdlab/base/clock.h>

static uint64_t power_of_10(unsigned exponent) {
    uint64_t p = 1;
    while (exponent--)
        p *= 10;
    return p;
}

void timescale_set(struct timescale *scale, uint8_t resolution) {
    unsigned exponent = resolution & 0x7f;
    bool binary = resolution & 0x80;
    scale->shift = binary ? (uint8_t)exponent : 0;
    scale->mul = binary ? SECOND_NS : exponent <= 9 ? power_of_10(9 - exponent) : 1;
    scale->div = binary || exponent <= 9 ? 1 : exponent - 9 <= 19 ? power_of_10(exponent - 9) : 0;
}

uint64_t timescale_ns(const struct timescale *scale, uint64_t units) {
    unsigned __int128 scaled = ((unsigned __int128)units * scale->mul) >> scale->shift;
    if (scale->div != 1)
        scaled = scale->div ? (uint64_t)scaled / scale->div : 0; /* mul is 1 then */
    __int128 ns = (__int128)scaled + (__int128)scale->offset_s * (__int128)SECOND_NS;
    if (ns < 0)
        return 0;
    return ns > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}
