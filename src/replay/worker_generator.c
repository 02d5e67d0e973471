/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generator: packets are written before they are due, so that at their moment nothing is left but to send them. One
 * reading of the time-stamp counter a turn; what is due by it is sent with it. In the time between, the next packet is
 * written and the sink polled, unless the next one is due before that would be done.
 */
#include <string.h>
#include "worker.h"

#define WRITE_NS 150       /* what writing a packet may take, with a cache miss or two */
#define POLL_NS 600        /* what the sink may take for SINK_BURST packets */
#define SINK_BURST 16
#define SINK_EVERY 8       /* with no time to spare: a poll for so many packets sent */

static bool take_buffers(struct generator *g) {
    if (rte_mempool_get_bulk(g->trial->topology->pool, (void **)g->fresh, GENERATOR_BULK))
        return false;
    g->n_fresh = GENERATOR_BULK;
    for (unsigned i = 0; i < GENERATOR_BULK; i++) {
        __builtin_prefetch(link_carrier(g->fresh[i]), 1);
        __builtin_prefetch(&link_carrier(g->fresh[i])->probe, 1);
        __builtin_prefetch(link_data(g->fresh[i]), 1);
    }
    return true;
}

/* This generator's next step and its time after the start, ns; false: the end. */
static inline bool next_step(struct generator *g, struct traffic_step *step, uint64_t *at) {
    do {
        if (!reader_next(&g->reader, step))
            return false;
        if (g->origin == UINT64_MAX)
            g->origin = step->trace_ns;
        *at = schedule_next(&g->schedule, step->trace_ns - g->origin);
    } while (traffic_worker(step, g->trial->topology->generators) != g->id);
    return true;
}

/* L2 with FCS. */
static uint32_t frame_bytes(const struct traffic_packet *p) {
    uint32_t l2 = p->wire_len + (p->flags & PACKET_RAW_IP ? 14 : 0) + 4;
    return l2 < 64 ? 64 : l2;
}

/* Writes the next packet. `now` is its time when there is no pace. */
static void prepare(struct generator *g, uint64_t now) {
    const struct trial *t = g->trial;
    struct traffic_step step;
    uint64_t at;
    if (!next_step(g, &step, &at)) {
        g->ended = true;
        return;
    }
    if (!t->paced)
        at = to_ns(&t->time, now - t->start);
    if (t->limit_ns && at >= t->limit_ns) {
        g->ended = true;
        return;
    }
    const unsigned place = (g->head + g->count++) % GENERATOR_READY;
    struct rte_mbuf *m = g->n_fresh || take_buffers(g) ? g->fresh[--g->n_fresh] : NULL;
    g->sequence++;
    g->due[place] = t->paced ? t->start + to_ticks(&t->time, at) : now;
    g->bytes[place] = frame_bytes(&g->reader.t->packets[step.packet]);
    g->ready[place] = m;
    if (m) {
        struct carrier *c = link_carrier(m);
        carrier_write(c, link_data(m), g->reader.t, &step);
        if (t->feed.stream)
            c->packet.tag = INJECT_NONE; /* numbers begin anew in each chunk */
        c->probe.intended = g->due[place];
        c->probe.sequence = g->sequence;
    }
}

/* As many as are due in time with `now`; what has no time is due now. */
static void prepare_due(struct generator *g, uint64_t now) {
    const unsigned most = g->trial->paced ? GENERATOR_READY : GENERATOR_BULK;
    while (!g->ended && g->count < most &&
           (!g->count || g->due[(g->head + g->count - 1) % GENERATOR_READY] <= now))
        prepare(g, now);
}

static inline uint64_t distance(uint64_t a, uint64_t b) {
    return a > b ? a - b : b - a;
}

/* The account of n packets that were due, of which `taken` went. */
static inline void account(struct generator *g, unsigned n, unsigned taken, uint64_t now) {
    const struct timebase *time = &g->trial->time;
    const uint64_t *due = &g->due[g->head];
    g->intended += n;
    g->sent += taken;
    g->pushed_back += n - taken;
    span_add(&g->due_span, due[0], due[n - 1]);
    for (unsigned i = 0; i < taken; i++)
        g->wire_bytes += g->bytes[g->head + i];
    if (taken)
        span_add(&g->sent_span, now, now);
    if (!g->trial->paced)
        return;
    for (unsigned i = 0; i < n; i++)
        histogram_record(&g->slip, to_ns(time, now - due[i]));
    for (unsigned i = 0; i < taken; i++) {
        if (g->last_due)
            histogram_record(&g->gap_error, to_ns(time, distance(now - g->last_sent, due[i] - g->last_due)));
        g->last_due = due[i];
        g->last_sent = now;
    }
}

/* Sends what is due, up to GENERATOR_BULK packets: how many were? */
static unsigned send_due(struct generator *g, uint64_t now) {
    const unsigned room = RTE_MIN(RTE_MIN(g->count, GENERATOR_BULK), GENERATOR_READY - g->head);
    struct rte_mbuf **m = &g->ready[g->head];
    unsigned n = 0, taken = 0;
    while (n < room && g->due[g->head + n] <= now && m[n])
        n++;
    if (n) {
        taken = g->link->send(g->link, m, n);
        if (taken < n)
            rte_mempool_put_bulk(g->trial->topology->pool, (void **)m + taken, n - taken);
    } else if (room && g->due[g->head] <= now) {
        n = 1; /* there was no buffer for it */
    } else {
        return 0;
    }
    account(g, n, taken, now);
    g->head = (g->head + n) % GENERATOR_READY;
    g->count -= n;
    return n;
}

static uint64_t slack(const struct generator *g, uint64_t now) {
    if (!g->count)
        return g->ended ? UINT64_MAX : 0;
    return g->due[g->head] > now ? g->due[g->head] - now : 0;
}

/* With time to spare one poll, else as many as keep up with what is sent. */
static void poll(struct sink *s, unsigned *unpolled, bool time) {
    while (time || *unpolled >= SINK_EVERY) {
        unsigned n = sink_poll(s, SINK_BURST);
        *unpolled = n < SINK_BURST || *unpolled < SINK_EVERY ? 0 : *unpolled - SINK_EVERY;
        time = false;
    }
}

static void give_back(struct generator *g) {
    struct rte_mempool *pool = g->trial->topology->pool;
    for (; g->count; g->count--, g->head = (g->head + 1) % GENERATOR_READY)
        if (g->ready[g->head])
            rte_mempool_put(pool, g->ready[g->head]);
    if (g->n_fresh)
        rte_mempool_put_bulk(pool, (void **)g->fresh, g->n_fresh);
    g->n_fresh = 0;
    reader_end(&g->reader);
}

void generator_run(struct generator *g, struct sink *sink) {
    const struct trial *t = g->trial;
    const uint64_t write = to_ticks(&t->time, WRITE_NS), poll_time = to_ticks(&t->time, POLL_NS);
    const uint64_t end = t->limit_ns ? t->start + to_ticks(&t->time, t->limit_ns + t->patience_ns) : UINT64_MAX;
    unsigned unpolled = 0;
    turns_begin(&g->turns, t->start, t->lost_limit);
    while ((!g->ended || g->count) && !*t->stop) {
        const uint64_t now = clock_tsc();
        turns_next(&g->turns, now);
        if (now > end) {
            g->abandoned = true;
            break;
        }
        const unsigned n = send_due(g, now);
        prepare_due(g, now);
        if (!n && !g->ended && g->count < GENERATOR_READY && slack(g, now) > write)
            prepare(g, now);
        unpolled += n;
        if (sink)
            poll(sink, &unpolled, slack(g, now) > poll_time);
        if (!n && t->crowded)
            sched_yield();
    }
    give_back(g);
}
