/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of natuse: what is counted (natuse.c) and told (natuse_document.c). */
#ifndef ANALYZE_NATUSE_BOOK_H
#define ANALYZE_NATUSE_BOOK_H

#include "natuse.h"

struct client {
    be32 addr;                     /* 0: the slot is free */
    uint32_t census;               /* to which these belong: */
    uint32_t sessions, ports[3], blocks;
    uint32_t peak, ports_peak;     /* ports of all protocols */
    uint64_t peak_at;
    uint64_t refused, first_refused;
};

struct natuse {
    const struct nat *nat;
    const struct nat_config *config;
    struct nat_stats stats;        /* latest */
    struct natuse_samples samples;
    uint64_t now, peak_at;
    uint64_t until;                /* end of the latest sample */
    unsigned unseen;               /* packets since the NAT was looked at */
    uint64_t refused[DROP_COUNT], first_refused; /* first_refused: for want of a port in the whole pool */

    uint64_t packets;              /* since the last census */
    unsigned counted;              /* samples, by then */
    uint32_t census;               /* its number */
    uint32_t pool[POOL_COUNT];     /* what it found */
    uint64_t *ends;                /* outside ends that it saw, with the lowest bits of its number on top */
    size_t ends_mask;
    struct client *clients;
    size_t clients_mask, n_clients;
    uint64_t more_clients;         /* sightings of those for which there is no room */
};

#endif
