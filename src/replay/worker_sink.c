/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink: takes what the core forwarded, and keeps the account of latency and order. */
#include "worker.h"

static void note(struct sink *s, const struct carrier *c, uint64_t latency) {
    const struct trial *t = s->trial;
    if (notes_is_slow(s->notes, latency))
        notes_slow_add(s->notes, &(struct trial_note){.step = c->probe.step,
                                                      .intended_ns = to_ns(&t->time, c->probe.intended - t->start),
                                                      .latency_ns = latency,
                                                      .verdict = VERDICT_FORWARD,
                                                      .out_port = c->packet.out_port});
}

/* Order and delay variation within a flow's direction (RFC 5481, 4.1). */
static inline void follow(struct sink *s, const struct probe *p, uint64_t latency) {
    struct track *track = &s->tracks[2 * (size_t)p->step.slot + p->from_initiator];
    const uint32_t now = latency > UINT32_MAX ? UINT32_MAX : (uint32_t)latency, before = track->latency_ns;
    if (track->sequence && (int32_t)(p->sequence - track->sequence) < 0) {
        s->reordered++;
        return;
    }
    if (track->sequence && s->trial->paced)
        histogram_record(&s->ipdv, now > before ? now - before : before - now);
    track->sequence = p->sequence;
    track->latency_ns = now;
}

static inline void take(struct sink *s, struct carrier *c, uint64_t now) {
    struct probe *p = &c->probe;
    const uint64_t done = s->link->measures ? now : p->done;
    const uint64_t latency = done > p->intended ? to_ns(&s->trial->time, done - p->intended) : 0;
    span_add(&s->span, done, done);
    follow(s, p, latency);
    if (!s->trial->paced)
        return;
    histogram_record(&s->latency, latency);
    if (s->notes)
        note(s, c, latency);
}

unsigned sink_poll(struct sink *s, unsigned n) {
    struct rte_mbuf *m[GENERATOR_BULK];
    n = s->link->receive(s->link, m, n);
    if (!n)
        return 0;
    const uint64_t now = s->link->measures ? clock_tsc() : 0;
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(&link_carrier(m[i])->probe);
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(&s->tracks[2 * (size_t)link_carrier(m[i])->probe.step.slot], 1);
    for (unsigned i = 0; i < n; i++)
        take(s, link_carrier(m[i]), now);
    s->received += n;
    rte_mempool_put_bulk(s->trial->topology->pool, (void **)m, n);
    return n;
}
