/* SPDX-License-Identifier: BSD-3-Clause */
/* See feed.h: the front half (front.h), here or in a thread of its own, and what the caller wants of its packets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "front.h"
#include "tracker.h"

struct feed {
    struct front *front;          /* NULL: a thread has it */
    struct front_thread *thread;  /* NULL: none */
    struct batch *batch;          /* the front's own, or the thread's */
    VEC(struct trace_interface) interfaces; /* their names are owned */
    struct feed_counts counts;
};

struct feed *feed_create(const struct feed_source *from, const struct control *c, uint32_t node,
                         const struct link_keys *keys, size_t conversations, struct err *e) {
    struct front *front = front_create(from, c, node, keys, conversations, e);
    if (!front)
        return NULL;
    struct feed *f = xzalloc(1, sizeof *f);
    f->front = front;
    return f;
}

void feed_run_ahead(struct feed *f) {
    f->thread = front_thread_start(f->front);
    if (f->thread)
        f->front = NULL;
}

void feed_destroy(struct feed *f) {
    if (!f)
        return;
    if (f->batch && !f->thread)
        batches_destroy(f->batch, 1);
    front_thread_stop(f->thread);
    front_destroy(f->front);
    for (size_t i = 0; i < f->interfaces.n; i++)
        free((char *)f->interfaces.v[i].name);
    vec_free(&f->interfaces);
    free(f);
}

static void take_over(struct feed *f, struct batch *b) {
    for (uint32_t i = 0; b->new_interfaces && i < b->n_new; i++)
        vec_push(&f->interfaces, b->new_interfaces[i]);
    free(b->new_interfaces);
    b->new_interfaces = NULL;
    f->counts = b->counts;
}

static struct batch *next_batch(struct feed *f) {
    if (f->thread)
        return front_thread_next(f->thread);
    if (!f->batch)
        f->batch = batches_create(1);
    front_fill(f->front, f->batch);
    front_relate(f->front, f->batch);
    return f->batch;
}

int feed_next(struct feed *f, struct feed_packet **out, struct err *e) {
    if (!f->batch || f->batch->code > 0) {
        f->batch = next_batch(f);
        take_over(f, f->batch);
        *out = f->batch->packets;
        if (f->batch->n)
            return (int)f->batch->n;
    }
    if (f->batch->code < 0 && e)
        *e = f->batch->err;
    return f->batch->code;
}

const struct feed_packet *feed_peek(const struct feed *f) {
    const struct batch *b = f->thread ? front_thread_peek(f->thread) : NULL;
    return b ? b->packets : NULL;
}

const struct feed_counts *feed_count(const struct feed *f) {
    return &f->counts;
}

const struct trace_interface *feed_interfaces(const struct feed *f, uint32_t *n) {
    *n = (uint32_t)f->interfaces.n;
    return f->interfaces.v;
}

void feed_fill(struct feed_packet *from, struct packet *p) {
    *p = (struct packet){.data = (uint8_t *)from->raw.data, .len = from->raw.len, .wire_len = from->raw.wire_len,
                         .in_port = from->p.port, .out_port = PORT_NONE, .path = ROUTE_NONE};
    p->room = from->raw.data == from->bytes ? (uint16_t)(FEED_ROOM - from->raw.len) : 0;
    p->flags = from->p.flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM);
}

int feed_fit(const struct feed_packet *from, struct packet *p, const struct nat *nat) {
    if (!from->relation.answers || !nat)
        return 0;
    return inject_fit_inside(&from->p, from->relation.proto, &from->relation.inside, p, nat);
}
