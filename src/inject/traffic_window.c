/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic_window.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS (1u << 18)          /* numbers of flows; when more were seen, the oldest ones are used again */
#define HELD_BACK 1024u           /* packets that are not sent before what follows is known */
#define CONTEXT 4096u             /* packets that stay after they were sent */
#define FOUNDERS_MAX (1u << 16)   /* packets that stay because they began something */
#define FOUNDER_BYTES 256u        /* of each */
#define BLOCK (4u << 20)

struct kept {
    struct trace_packet raw;
    uint32_t flow;  /* INJECT_NONE: not known (yet) */
    bool sent;
    bool founder;   /* began a flow, or showed how it is translated */
};

void window_init(struct window *w, const struct control *c, uint32_t node, const struct traffic_options *o) {
    *w = (struct window){.control = c, .node = node, .options = *o};
    w->last = xzalloc(FLOWS, sizeof *w->last);
}

static void blocks_free(struct window *w) {
    for (size_t i = 0; i < w->blocks.n; i++)
        free(w->blocks.v[i]);
    vec_free(&w->blocks);
    w->used = BLOCK;
}

void window_fini(struct window *w) {
    blocks_free(w);
    vec_free(&w->packets);
    free(w->last);
}

static const uint8_t *keep_bytes(struct window *w, const uint8_t *data, size_t len) {
    if (!w->blocks.n || BLOCK - w->used < len) {
        vec_push(&w->blocks, xalloc(BLOCK));
        w->used = 0;
    }
    uint8_t *to = w->blocks.v[w->blocks.n - 1] + w->used;
    w->used += len;
    return memcpy(to, data, len);
}

bool window_read(struct window *w, struct trace *t, uint32_t chunk_packets, struct err *e) {
    struct trace_packet raw;
    while (!w->ended && w->unsent < (size_t)chunk_packets + HELD_BACK) {
        w->ended = trace_read(t, &raw, e) <= 0;
        if (w->ended)
            break;
        raw.data = keep_bytes(w, raw.data, raw.len);
        raw.comment = NULL;
        vec_push(&w->packets, (struct kept){.raw = raw, .flow = INJECT_NONE});
        w->unsent++;
    }
    return !w->ended;
}

/* ---- one window as a trace ---- */

/* What the steps of inject_create find out about it. False: none of its packets is the node's; w->err says why. */
static bool look(struct window *w, struct trace *t, struct trace_memory *m, struct inject *in) {
    *m = (struct trace_memory){.n = w->packets.n};
    m->packets = xalloc((m->n + 1) * sizeof *m->packets);
    for (size_t k = 0; k < m->n; k++)
        m->packets[k] = w->packets.v[k].raw;
    m->interfaces = trace_interfaces(t, &m->n_interfaces);
    *in = (struct inject){.trace = m};
    if (classify(in, w->control, w->node, &w->err))
        return false;
    inject_track(in);
    for (uint32_t i = 0; i < in->n; i++)
        in->arrived += in->packets[i].kind == INJECT_ARRIVED;
    return true;
}

static struct kept *kept_of(struct window *w, const struct inject *in, uint32_t i) {
    return &w->packets.v[in->packets[i].raw - in->trace->packets];
}

/* It and its copy in the node's output are to stay as long as their flow. */
static void found(struct window *w, const struct inject *in, uint32_t i, uint32_t flow) {
    uint32_t partner = in->packets[i].partner;
    kept_of(w, in, i)->founder = true;
    if (partner == INJECT_NONE)
        return;
    kept_of(w, in, partner)->founder = true;
    kept_of(w, in, partner)->flow = flow;
}

/* To which flows the packets belong; marks founders. */
static struct member *find_members(struct window *w, const struct inject *in) {
    struct member *members = xalloc((in->n + 1) * sizeof *members);
    uint32_t *known = xalloc((in->n + 1) * sizeof *known);
    for (uint32_t i = 0; i < in->n; i++)
        known[i] = kept_of(w, in, i)->flow;
    traffic_members(in, known, &w->next_flow, FLOWS, members);
    for (uint32_t i = 0; i < in->n; i++) {
        if (members[i].flow == INJECT_NONE)
            continue;
        struct kept *k = kept_of(w, in, i);
        if (k->flow == INJECT_NONE)
            w->last[members[i].flow] = w->number;
        k->flow = members[i].flow;
        if (members[i].starts)
            found(w, in, i, k->flow);
        if (in->packets[i].after != INJECT_NONE)
            found(w, in, in->packets[i].after, k->flow);
    }
    for (size_t m = 0; m < in->mappings.n; m++)
        found(w, in, in->mappings.v[m].first, members[in->mappings.v[m].first].flow);
    free(known);
    return members;
}

/* ---- moving on ---- */

static int latest_first(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x > y ? -1 : x < y;
}

/* Founders of flows that were not seen since this window are forgotten, so that only so many stay. */
static uint32_t forgotten_before(const struct window *w) {
    uint32_t *seen = xalloc((w->packets.n + 1) * sizeof *seen), n = 0, limit = 0;
    for (size_t k = 0; k < w->packets.n; k++)
        if (w->packets.v[k].founder)
            seen[n++] = w->last[w->packets.v[k].flow];
    if (n > FOUNDERS_MAX) {
        qsort(seen, n, sizeof *seen, latest_first);
        limit = seen[FOUNDERS_MAX] + 1;
    }
    free(seen);
    return limit;
}

/* Forgets the packets that nothing needs any more; the others get new memory. */
static void move_on(struct window *w) {
    const uint32_t limit = forgotten_before(w);
    struct window old = *w;
    size_t sent = old.packets.n - old.unsent, context = 0;
    memset(&w->packets, 0, sizeof w->packets);
    memset(&w->blocks, 0, sizeof w->blocks);
    for (size_t i = 0; i < old.packets.n; i++) {
        struct kept k = old.packets.v[i];
        bool near = !k.sent || sent - context++ <= CONTEXT;
        if (!near && !(k.founder && old.last[k.flow] >= limit))
            continue;
        if (!near && k.raw.len > FOUNDER_BYTES)
            k.raw.len = FOUNDER_BYTES;
        k.raw.data = keep_bytes(w, k.raw.data, k.raw.len);
        vec_push(&w->packets, k);
    }
    vec_free(&old.packets);
    blocks_free(&old);
}

/* The packets whose turn it is, in their order; `which` gets those that arrived. Without `in` none did. */
static uint32_t choose(struct window *w, const struct inject *in, uint32_t *which) {
    size_t due = w->ended ? w->unsent : w->unsent > HELD_BACK ? w->unsent - HELD_BACK : 0;
    uint32_t n = 0;
    w->unsent -= due;
    for (uint32_t i = 0; due > 0; i++) {
        struct kept *k = in ? kept_of(w, in, i) : &w->packets.v[i];
        if (k->sent)
            continue;
        k->sent = true;
        due--;
        if (in && in->packets[i].kind == INJECT_ARRIVED)
            which[n++] = i;
    }
    return n;
}

static struct traffic *make(struct window *w, const struct inject *in) {
    struct member *members = find_members(w, in);
    uint32_t *which = xalloc((in->n + 1) * sizeof *which), n = choose(w, in, which);
    struct traffic_plan *plan = traffic_plan_create(in, members, which, n, FLOWS, w->epoch_ns, &w->options);
    struct traffic *t = &plan->traffic;
    free(which);
    free(members);
    if (!t->n) {
        traffic_destroy(t);
        return NULL;
    }
    const uint64_t first = w->given ? 0 : t->packets[0].time_ns; /* the very first packet's time is 0 */
    for (uint32_t i = 0; i < t->n; i++)
        t->packets[i].time_ns -= t->packets[i].time_ns < first ? t->packets[i].time_ns : first;
    t->lap_ns = t->packets[t->n - 1].time_ns + LAP_GAP_NS;
    w->epoch_ns += first;
    w->given = true;
    traffic_openings(plan);
    return t;
}

struct traffic *window_chunk(struct window *w, struct trace *trace) {
    struct trace_memory m;
    struct inject in;
    struct traffic *t = NULL;
    w->number++;
    if (look(w, trace, &m, &in))
        t = make(w, &in);
    else
        choose(w, NULL, NULL);
    vec_free(&in.mappings);
    free(in.packets);
    free(m.packets);
    move_on(w);
    return t;
}
