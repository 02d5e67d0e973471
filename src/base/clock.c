/* SPDX-License-Identifier: BSD-3-Clause */
#include <fwdlab/base/clock.h>

uint64_t clock_tsc_hz(void) {
    static uint64_t hz;
    if (!hz) {
        uint64_t ns0 = clock_ns(), tsc0 = clock_tsc(), ns1;
        while ((ns1 = clock_ns()) - ns0 < 20000000)
            ;
        hz = (uint64_t)((double)(clock_tsc() - tsc0) * SECOND_NS / (double)(ns1 - ns0));
    }
    return hz;
}
