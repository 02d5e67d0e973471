/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole trace in memory: packets' bytes lie one after the other in large chunks that never move. */
#include <errno.h>
#include "format.h"

#define CHUNK (8u << 20)
#define ALIGN 8

struct preload {
    struct trace_memory memory;
    struct trace *trace;
    VEC(struct trace_packet) packets;
    VEC(uint8_t *) chunks;
    size_t used; /* of the last chunk */
};

static void *keep(struct preload *p, const void *data, size_t len) {
    size_t room = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!p->chunks.n || CHUNK - p->used < room) {
        vec_push(&p->chunks, xalloc(CHUNK));
        p->used = 0;
    }
    uint8_t *to = p->chunks.v[p->chunks.n - 1] + p->used;
    p->used += room;
    return memcpy(to, data, len);
}

static int load(struct preload *p, uint64_t max_bytes, struct err *e) {
    struct trace_packet packet;
    int r;
    while ((r = trace_read(p->trace, &packet, e)) > 0) {
        p->memory.bytes += packet.len;
        if (max_bytes && p->memory.bytes > max_bytes) {
            r = err_set(e, -EFBIG, "the packets up to frame %llu take more than %llu bytes",
                (unsigned long long)packet.frame, (unsigned long long)max_bytes);
            err_where(e, "%s", p->trace->name);
            break;
        }
        packet.data = keep(p, packet.data, packet.len);
        if (packet.comment)
            packet.comment = keep(p, packet.comment, strlen(packet.comment) + 1);
        vec_push(&p->packets, packet);
    }
    return r;
}

struct trace_memory *trace_preload(const char *path, uint64_t max_bytes, struct err *e) {
    struct trace *t = trace_open(path, e);
    if (!t)
        return NULL;
    struct preload *p = xzalloc(1, sizeof *p);
    struct trace_memory *m = &p->memory;
    p->trace = t;
    m->owner = p;
    int r = load(p, max_bytes, e);
    if (r < 0) {
        trace_memory_destroy(m);
        errno = -r;
        return NULL;
    }
    m->packets = p->packets.v;
    m->n = p->packets.n;
    m->interfaces = trace_interfaces(t, &m->n_interfaces);
    m->damage = trace_damage(t);
    stream_close(t->stream);
    t->stream = NULL;
    return m;
}

void trace_memory_destroy(struct trace_memory *m) {
    if (!m)
        return;
    struct preload *p = m->owner;
    for (size_t i = 0; i < p->chunks.n; i++)
        vec_release(p->chunks.v[i]);
    vec_free(&p->chunks);
    vec_free(&p->packets);
    trace_close(p->trace);
    vec_release(p);
}
