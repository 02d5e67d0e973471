/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of traces with times of their own, and how well what arrived keeps their gaps. */
#ifndef FWDLAB_BENCH_GAPS_H
#define FWDLAB_BENCH_GAPS_H

#include "veth.h"
#include <fwdlab/inject/traffic.h>

#define PIECE_NS 800000000ull /* how long a piece lasts: a SCHED_FIFO window */

/*
 * A piece as file (for other programs) and as traffic (for ours). Times are whole microseconds, because other programs
 * know no finer ones. Frames are 60 to 1514 bytes, none the same as another of the piece.
 */
struct piece {
    char name[96], path[128];
    uint32_t n;
    uint64_t *at;     /* ns after the first */
    uint64_t *digest; /* veth_digest of each */
    struct traffic *traffic;
};
/* UDP packets of one flow, random lengths, gaps log-uniform from 1 us to 1 ms: 5,500 packets a second. */
int piece_make(struct piece *p, const char *dir, uint64_t seed, struct err *e);
/* The busiest PIECE_NS of a capture. */
int piece_cut(struct piece *p, const char *dir, const char *capture, struct err *e);
void piece_fini(struct piece *p);

struct gap_errors {
    double p50, p99, max; /* ns: |gap as it arrived - gap of the trace| */
    double duration;      /* relative: 0.1 took 10 % longer than the trace */
};
/* -EBADMSG when what arrived is not the piece, packet by packet. */
int gap_errors(const struct piece *p, const struct veth_arrival *a, size_t n, struct gap_errors *out, struct err *e);
/*
 * What the machine itself leaves of the gaps: one bare loop waits for each packet's time and writes a number, another
 * one, on the other CPU, waits for the number and reads the clock. Both under SCHED_FIFO where that is allowed. The
 * caller runs on `to_cpu` from then on.
 */
int gap_floor(const struct piece *p, unsigned from_cpu, unsigned to_cpu, struct gap_errors *out, struct err *e);
/* The same loop on `cpu`, that sends each packet into VETH_NEAR by a socket. -EIO: the kernel did not take one. */
int gap_floor_veth(const struct piece *p, unsigned cpu, struct err *e);

#endif
