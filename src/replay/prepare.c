/* SPDX-License-Identifier: BSD-3-Clause */
/* The lap before the trials: sessions and mappings come to be, and what the scenario drops is told from loss. */
#include <errno.h>
#include <stdio.h>
#include "straight.h"

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
    struct straight s;
    straight_init(&s, d, t, 0, false);
    const uint64_t packets = straight_lap(&s);
    straight_fini(&s);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        d->expected[i] |= s.core.drops[i] && may_be_expected(i);
    return s.core.forwarded + s.core.delivered ? 0 : refuse(&s.core, packets, e);
}
