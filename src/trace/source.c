/* SPDX-License-Identifier: BSD-3-Clause */
/* See source.h. */
#include "source.h"

#include <errno.h>
#include <stdio.h>

void source_set_damage(struct source *s, const char *text) {
    vec_release(s->damage);
    if (asprintf(&s->damage, "%s: %s", strcmp(s->path, "-") ? s->path : "stdin", text) < 0)
        s->damage = NULL;
}

static uint64_t moved(uint64_t time_ns, int64_t by) {
    uint64_t to;
    if (!time_ns) /* it has none */
        return 0;
    if (__builtin_add_overflow(time_ns, by, &to))
        to = by < 0 ? 0 : UINT64_MAX;
    return to;
}

/* Takes what trace_read said. */
static void take(struct source *s, int r) {
    s->ended = r <= 0;
    s->block = r > 0 ? stream_hold(s->trace->stream) : NULL;
    if (r <= 0)
        return;
    s->head.file = s->file;
    s->head.time_ns = moved(s->head.time_ns, s->offset_ns);
    if (s->head.time_ns) /* without one it stays beside the packet before it */
        s->key = s->head.time_ns;
    if (s->key > s->last)
        s->last = s->key;
}

int source_open(struct source *s, struct err *e) {
    s->trace = trace_open(s->path, e);
    if (!s->trace)
        return -errno;
    s->size = stream_size(s->trace->stream);
    int r = trace_read(s->trace, &s->head, e);
    take(s, r);
    s->first = s->key;
    if (r >= 0)
        return 0;
    source_close(s);
    return r;
}

bool source_advance(struct source *s) {
    take(s, trace_read(s->trace, &s->head, NULL));
    if (s->trace->faults == s->faults)
        return false;
    s->faults = s->trace->faults;
    source_set_damage(s, trace_damage(s->trace));
    return true;
}

void source_done(struct source *s) {
    if (s->ended && !s->waiting && s->trace)
        source_close(s);
}

void source_close(struct source *s) {
    if (!s->trace)
        return;
    stream_drop(s->trace->stream, s->block);
    s->block = NULL;
    s->position = s->ended ? stream_position(s->trace->stream) : 0;
    trace_close(s->trace);
    s->trace = NULL;
}
