/* SPDX-License-Identifier: BSD-3-Clause */
/* The lap before the trials: sessions and mappings come to be, and what the scenario drops is told from loss. */
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <stdio.h>
#include "worker.h"

#define PREPARE_BURST 64

struct buffer {
    struct carrier carrier;
    uint8_t data[LINK_ROOM];
};

/* One lap; how many packets? */
static uint64_t lap(struct core *c, const struct traffic *t, uint64_t number) {
    struct buffer *buffers = xalloc(PREPARE_BURST * sizeof *buffers);
    struct carrier *carriers[PREPARE_BURST];
    struct traffic_cursor cursor;
    struct traffic_step step;
    uint64_t passed = 0;
    unsigned n = 0;
    traffic_begin(&cursor, t);
    cursor.lap = number;
    for (traffic_next(&cursor, &step); step.lap == number; traffic_next(&cursor, &step)) {
        carriers[n] = &buffers[n].carrier;
        carrier_write(carriers[n], buffers[n].data, t, &step);
        if (++n == PREPARE_BURST) {
            core_pass(c, carriers, n);
            passed += n;
            n = 0;
        }
    }
    if (n)
        core_pass(c, carriers, n);
    vec_release(buffers);
    return passed + n;
}

static bool may_be_expected(unsigned reason) {
    return reason != DROP_NAT_NO_PORT && reason != DROP_NAT_TABLE_FULL;
}

static int refuse(const struct core *c, uint64_t packets, struct err *e) {
    char reasons[256] = "";
    size_t used = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        if (c->drops[i] && used < sizeof reasons)
            used += (size_t)snprintf(reasons + used, sizeof reasons - used, "%s%s %lu", used ? ", " : "", drop_name(i),
                                     (unsigned long)c->drops[i]);
    err_set(e, -ENODATA, "all %lu packets of the trace are dropped: %s", (unsigned long)packets, reasons);
    err_hint(e, "there is no rate to be measured; `fwdlab explain` says why for one flow");
    return -ENODATA;
}

int trial_prepare(struct trial_device *d, const struct traffic *t, struct err *e) {
    struct core c = {.device = d};
    const uint64_t packets = lap(&c, t, d->lap);
    d->lap++;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        d->expected[i] |= c.drops[i] && may_be_expected(i);
    return c.forwarded + c.delivered ? 0 : refuse(&c, packets, e);
}
