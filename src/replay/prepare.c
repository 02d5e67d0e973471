/* SPDX-License-Identifier: BSD-3-Clause */
/* The lap before the trials: sessions and mappings come to be, and what the scenario drops is told from loss. */
#include <errno.h>
#include <stdio.h>
#include <fwdlab/replay/crew.h>
#include "straight.h"

static bool may_be_expected(unsigned reason) {
    return reason != DROP_NAT_NO_PORT && reason != DROP_NAT_TABLE_FULL;
}

static int refuse(const uint64_t *drops, uint64_t packets, struct err *e) {
    char reasons[256] = "";
    size_t used = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        if (drops[i] && used < sizeof reasons)
            used += (size_t)snprintf(reasons + used, sizeof reasons - used, "%s%s %lu", used ? ", " : "", drop_name(i),
                                     (unsigned long)drops[i]);
    err_set(e, -ENODATA, "all %lu packets of the trace are dropped: %s", (unsigned long)packets, reasons);
    err_hint(e, "there is no rate to be measured; `fwdlab explain` says why for one flow");
    return -ENODATA;
}

int trial_prepare(struct trial_device *d, const struct traffic *t, struct err *e) {
    const struct trial_device before = *d;
    uint64_t packets = 0, good = 0, drops[DROP_COUNT] = {0};
    for (unsigned w = 0; w < (d->crew ? crew_workers(d->crew) : 1); w++) {
        struct trial_device one = before;
        struct straight s;
        if (d->crew) {
            one.node = crew_node(d->crew, w);
            one.worker = w;
        }
        straight_init(&s, &one, t, 0, false);
        packets += straight_lap(&s);
        straight_fini(&s);
        for (unsigned i = 0; i < DROP_COUNT; i++)
            drops[i] += s.core.drops[i];
        good += s.core.forwarded + s.core.delivered;
        d->now = one.now > d->now ? one.now : d->now;
        d->lap = one.lap;
    }
    for (unsigned i = 0; i < DROP_COUNT; i++)
        d->expected[i] |= drops[i] && may_be_expected(i);
    return good ? 0 : refuse(drops, packets, e);
}
