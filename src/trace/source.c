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
    if (!time_ns || !by) /* it has none */
        return time_ns;
    if (__builtin_add_overflow(time_ns, by, &to))
        to = by < 0 ? 0 : UINT64_MAX;
    return to;
}

/* The next ones. */
static int read_run(struct source *s, struct err *e) {
    const int r = trace_read_run(s->trace, s->run, SOURCE_RUN, e);
    s->ended = r <= 0;
    s->head = s->run;
    s->run_end = s->run + (r > 0 ? r : 0);
    for (struct trace_packet *p = s->run; p < s->run_end; p++) {
        p->file = s->file;
        p->time_ns = moved(p->time_ns, s->offset_ns);
    }
    return r;
}

/* The key of `head`, when there is one. */
static void see_head(struct source *s) {
    if (!s->ended && s->head->time_ns) /* without one it stays beside the packet before it */
        s->key = s->head->time_ns;
    if (s->key > s->last)
        s->last = s->key;
}

int source_open(struct source *s, struct err *e) {
    s->trace = trace_open(s->path, e);
    if (!s->trace)
        return -errno;
    s->size = stream_size(s->trace->stream);
    int r = read_run(s, e);
    see_head(s);
    s->first = s->key;
    if (r >= 0)
        return 0;
    source_close(s);
    return r;
}

bool source_advance(struct source *s, unsigned n) {
    if (n > 1)
        s->key = s->head[n - 1].time_ns;
    if (s->key > s->last)
        s->last = s->key;
    s->head += n;
    if (s->head == s->run_end)
        read_run(s, NULL);
    see_head(s);
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
    s->head = s->run_end = NULL;
    s->position = s->ended ? stream_position(s->trace->stream) : 0;
    trace_close(s->trace);
    s->trace = NULL;
}
