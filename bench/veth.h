/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A veth pair in a network namespace of this process's own, and what arrives at its far end: one receiver for all who
 * send into the near end. It is a ring that the kernel fills and nobody looks at until the sending is over, so that it
 * takes no CPU time from the sender; a frame's time is the kernel's stamp as the frame enters the far end.
 */
#ifndef FWDLAB_BENCH_VETH_H
#define FWDLAB_BENCH_VETH_H

#include <fwdlab/base/err.h>
#include <stddef.h>
#include <stdint.h>

#define VETH_NEAR "fwl-near"
#define VETH_FAR "fwl-far"
#define VETH_FRAMES 16384 /* that the receiver holds at most */

/*
 * Moves the calling thread (and those that it starts) into a network namespace of its own, which ends with the process,
 * and makes the pair there: up, MTU 1500, without addresses and IPv6, so that nothing but the senders' frames is on it.
 * -EPERM without the right to do so; -ENOENT without iproute2.
 */
int veth_open(struct err *e);

struct veth_arrival {
    uint64_t time_ns; /* since the Unix epoch */
    uint32_t len;     /* bytes of the frame, without FCS */
    uint64_t digest;  /* of the frame's first bytes: veth_digest */
};
/* Which frame it is: FNV-1a over its first 128 bytes at most. */
uint64_t veth_digest(const uint8_t *frame, uint32_t len);

struct veth_receiver {
    int fd;
    uint8_t *ring;
    uint32_t next;
};
int veth_receiver_open(struct veth_receiver *r, struct err *e);
/* What arrived since the last call; at most `max`. */
size_t veth_receiver_take(struct veth_receiver *r, struct veth_arrival *out, size_t max);
/* Frames that found the ring full since the last call. */
unsigned veth_receiver_lost(struct veth_receiver *r);
void veth_receiver_close(struct veth_receiver *r);

#endif
