/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A window that moves over a trace. Around the packets of a chunk it holds what is needed so that they are understood
 * as if the whole trace were there: what was sent shortly before (copies in the node's output may come late), what
 * comes shortly after (interfaces are not always written in the order of time), and of each conversation the packets
 * that began it (answers come long after). It holds a chunk and a constant number of packets more.
 */
#ifndef INJECT_TRAFFIC_WINDOW_H
#define INJECT_TRAFFIC_WINDOW_H

#include <fwdlab/base/vec.h>
#include "traffic.h"

struct kept;
struct window {
    const struct control *control;
    uint32_t node;
    struct traffic_options options;
    VEC(struct kept) packets;   /* in the order of the trace */
    VEC(uint8_t *) blocks;      /* their bytes */
    size_t used;                /* of the last block */
    size_t unsent;              /* how many of the packets were not in a chunk yet */
    bool ended;                 /* nothing more to be read */
    uint32_t next_flow;
    uint32_t *last;             /* of each flow: number of the last window with a packet of it */
    uint32_t number;            /* of this window, from 1 */
    uint64_t epoch_ns;          /* of the first packet sent */
    bool given;                 /* a chunk was made */
    struct err err;             /* why nothing was */
};

void window_init(struct window *w, const struct control *c, uint32_t node, const struct traffic_options *o);
void window_fini(struct window *w);
/* Reads until there is a chunk of packets. False: the trace ended, or *e says why it can't be read. */
bool window_read(struct window *w, struct trace *t, uint32_t chunk_packets, struct err *e);
/* Makes a chunk of it and moves on. NULL: nothing in it is to be sent. */
struct traffic *window_chunk(struct window *w, struct trace *t);

#endif
