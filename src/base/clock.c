/* SPDX-License-Identifier: BSD-3-Clause */
#include <fwdlab/base/clock.h>

/* Both clocks at one moment: of a few readings the one that took least, so that nobody interrupted it. */
static void read_both(uint64_t *ns, uint64_t *tsc) {
    for (uint64_t best = UINT64_MAX, tries = 20; tries; tries--) {
        const uint64_t from = clock_tsc(), at = clock_ns(), took = clock_tsc() - from;
        if (took >= best)
            continue;
        best = took;
        *ns = at;
        *tsc = from + took / 2;
    }
}

uint64_t clock_tsc_hz(void) {
    static uint64_t hz;
    if (!hz) {
        uint64_t ns0 = 0, tsc0 = 0, ns1 = 0, tsc1 = 0;
        read_both(&ns0, &tsc0);
        while (clock_ns() - ns0 < 20000000)
            ;
        read_both(&ns1, &tsc1);
        hz = (uint64_t)((double)(tsc1 - tsc0) * SECOND_NS / (double)(ns1 - ns0));
    }
    return hz;
}
