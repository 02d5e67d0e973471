/* SPDX-License-Identifier: BSD-3-Clause */
/* What a test asks of a link over ports. */
#ifndef FWDLAB_SRC_REPLAY_LINK_PORT_H
#define FWDLAB_SRC_REPLAY_LINK_PORT_H

#include "link.h"

/* Frames since the trial began that were none of this trial's. */
uint64_t link_port_foreign(const struct link *l);

#endif
