/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a feed's packets come from. */
#include <stdlib.h>
#include <fwdlab/inject/feed.h>

static int memory_read(void *of, const struct trace_packet **out, struct err *e) {
    struct feed_memory *m = of;
    if (m->at == m->trace->n)
        return 0;
    *out = &m->trace->packets[m->at++];
    return 1;
}

static const struct trace_interface *memory_interfaces(const void *of, uint32_t *n) {
    const struct feed_memory *m = of;
    *n = m->trace->n_interfaces;
    return m->trace->interfaces;
}

static int by_time(const void *a, const void *b) {
    const struct trace_packet *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static const char *memory_damage(const void *of) {
    const struct feed_memory *m = of;
    return m->trace->damage;
}

struct feed_source feed_memory(struct feed_memory *m) {
    qsort(m->trace->packets, m->trace->n, sizeof *m->trace->packets, by_time);
    m->at = 0;
    return (struct feed_source){m, memory_read, memory_interfaces, memory_damage, NULL};
}

/* ---- many files ---- */

static int many_read(void *of, const struct trace_packet **out, struct err *e) {
    return trace_many_read_run(of, out, e);
}

static const struct trace_interface *many_interfaces(const void *of, uint32_t *n) {
    return trace_many_interfaces(of, n);
}

static const char *many_damage(const void *of) {
    return trace_many_damage(of);
}

static void many_progress(const void *of, uint64_t *done, uint64_t *total) {
    struct trace_many_stats s;
    trace_many_stats(of, &s);
    *done = s.done;
    *total = s.total;
}

struct feed_source feed_many(struct trace_many *m) {
    return (struct feed_source){m, many_read, many_interfaces, many_damage, many_progress};
}
