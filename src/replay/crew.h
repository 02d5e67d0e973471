/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FWDLAB_SRC_REPLAY_CREW_H
#define FWDLAB_SRC_REPLAY_CREW_H

#include <fwdlab/replay/crew.h>

/* The worker of each packet, each in its carrier, of which it looks at the probe too. By one dispatcher at a time. */
void crew_assign(void *crew, struct packet *const *pkts, unsigned n, uint8_t *worker);

#endif
