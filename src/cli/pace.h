/* SPDX-License-Identifier: BSD-3-Clause */
/* A replay at a pace: one trial over rings, or sent by a device. */
#ifndef CLI_PACE_H
#define CLI_PACE_H

#include "cli.h"
#include <fwdlab/replay/trial.h>

struct paced {
    struct trial_options options; /* pace, seconds (0: once through the trace), burst, CPUs */
    unsigned generators;
    const char *to; /* only sent, by this device; NULL: through the node over rings */
};
/*
 * The capture as it meets the node; at the trace's own pace through a node that knows nothing yet, as the captured one
 * did, else through one that has seen a lap. -EINTR after Ctrl-C (cli_interruptible).
 */
int paced_run(const struct paced *p, const struct setup *s, const struct inject *in, struct trial_result *out,
              struct err *e);
/*
 * The same for a capture of any length, which is read while it is sent. Drops count as the scenario's will. `damaged`:
 * it ended early.
 */
int paced_stream(const struct paced *p, const struct setup *s, const char *path, struct trial_result *out,
                 bool *damaged, struct err *e);

#endif
