/* SPDX-License-Identifier: BSD-3-Clause */
/* The core worker: receives from all generators, passes bursts through the node, hands on what is forwarded. */
#include <string.h>
#include "worker.h"
#include <fwdlab/replay/shard.h>

/*
 * Packets of a burst have one time on the core's clock. A burst may span a tenth of a second of trace time: no timer is
 * that short, and a sparse trace sent fast still makes bursts.
 */
#define CLOCK_SPAN_NS 100000000ull

/* An answer to the mapping that this run's NAT chose. */
static __attribute__((noinline)) void fit(struct core *c, struct carrier *a) {
    struct packet *p = &a->packet;
    const struct traffic_packet as = {
        .len = (uint16_t)p->len, .l3 = p->l3, .l4 = p->l4, .family = p->family, .proto = p->proto};
    c->unmatched += !traffic_fit(&c->device->slots[a->probe.step.slot], &as, p->data);
}

static void note(struct core *c, const struct carrier *a, uint64_t latency) {
    const struct trial *t = c->trial;
    const struct trial_note n = {.step = a->probe.step,
                                 .intended_ns = to_ns(&t->time, a->probe.intended - t->start),
                                 .latency_ns = latency,
                                 .verdict = a->packet.verdict,
                                 .reason = a->packet.reason,
                                 .out_port = PORT_NONE};
    if (a->packet.verdict == VERDICT_DROP)
        notes_drop(c->notes, &n);
    else
        notes_slow_add(c->notes, &n);
}

/* A packet that ends here. */
static void end(struct core *c, struct carrier *a, uint64_t now) {
    const struct trial *t = c->trial;
    uint64_t latency = 0;
    if (a->packet.verdict == VERDICT_DROP) {
        c->drops[a->packet.reason]++;
    } else {
        c->delivered++;
        span_add(&c->delivered_span, now, now);
        if (t->paced) {
            latency = now > a->probe.intended ? to_ns(&t->time, now - a->probe.intended) : 0;
            histogram_record(&c->latency, latency);
        }
    }
    if (c->notes)
        note(c, a, latency);
}

static void hand_on(struct core *c, struct rte_mbuf **out, unsigned n) {
    if (!c->out)
        return;
    unsigned taken = n ? c->out->send(c->out, out, n) : 0;
    if (taken < n)
        rte_mempool_put_bulk(c->pool, (void **)out + taken, n - taken);
    atomic_store_explicit(&c->passed_on, c->passed_on + taken, memory_order_release);
}

/* What will be wanted of it when it passes again. */
static void hold(struct held *h, const struct carrier *a) {
    h->packets[h->n].tag = a->packet.tag;
    h->packets[h->n++].probe = a->probe;
}

static void find_held(struct held *h, struct carrier *a) {
    unsigned i = 0;
    while (h->packets[i].tag != a->packet.tag)
        i++;
    a->probe = h->packets[i].probe;
    h->packets[i] = h->packets[--h->n];
}

/* One burst: all of it at the time of its last packet. */
static void pass(struct core *c, struct carrier **carriers, unsigned n) {
    struct packet *pkts[BURST_MAX];
    struct rte_mbuf *out[BURST_MAX], *ended[BURST_MAX];
    unsigned n_out = 0, n_ended = 0;
    const uint64_t at = carriers[n - 1]->probe.step.trace_ns / INJECT_TICK_NS * INJECT_TICK_NS;
    struct trial_device *d = c->device;
    d->now = at > d->now ? at : d->now;
    for (unsigned i = 0; i < n; i++) {
        pkts[i] = &carriers[i]->packet;
        pkts[i]->tag = ++c->held.last_tag; /* what it had told core_pass was read */
        if (carriers[i]->probe.answer && !(pkts[i]->flags & PACKET_WAITED))
            fit(c, carriers[i]);
    }
    if (c->ticks)
        lap_stages(d->node, pkts, n, d->now, c->ticks, c->trial->lost_limit);
    else
        forward(d->node, pkts, n, d->now);
    c->passes++;
    const uint64_t now = clock_tsc();
    for (unsigned i = 0; i < n; i++) {
        struct carrier *a = carriers[i];
        if (__builtin_expect(a->packet.verdict == VERDICT_FORWARD, 1)) {
            traffic_learn(&d->slots[a->probe.step.slot], &a->packet);
            a->probe.done = now;
            out[n_out++] = link_mbuf(a);
        } else {
            if (a->packet.verdict == VERDICT_HELD)
                hold(&c->held, a);
            else
                end(c, a, now);
            ended[n_ended++] = link_mbuf(a);
        }
    }
    c->forwarded += n_out;
    hand_on(c, out, n_out);
    if (n_ended && c->pool)
        rte_mempool_put_bulk(c->pool, (void **)ended, n_ended);
}

/* What the node held and is due, in new carriers. When there are none it waits on. */
static __attribute__((noinline)) void pass_due(struct core *c) {
    struct {
        struct carrier carrier;
        uint8_t data[LINK_ROOM];
    } own;
    while (node_due(c->device->node)) {
        struct carrier *a = &own.carrier;
        uint8_t *data = own.data;
        void *m;
        if (c->pool) {
            if (rte_mempool_get(c->pool, &m))
                return;
            a = link_carrier(m);
            data = link_data(m);
        }
        a->packet = (struct packet){.data = data, .room = LINK_ROOM};
        node_take_due(c->device->node, &a->packet);
        find_held(&c->held, a);
        pass(c, &a, 1);
    }
}

/*
 * Must a burst that begins with `first` end before this packet? A step that opens says: perhaps. With one generator
 * the burst is a piece of the sequence, and it can be told whether it holds what the packet waits for.
 */
static inline bool opens(const struct core *c, const struct carrier *first, const struct carrier *a) {
    const struct traffic_step *s = &a->probe.step, *f = &first->probe.step;
    const uint64_t after = a->packet.tag;
    if (!s->opens)
        return false;
    if (c->n_in > 1 || after == INJECT_NONE || f->lap != s->lap)
        return true;
    return after > f->packet || (after == f->packet && s->copy >= f->copy);
}

void core_pass(struct core *c, struct carrier **carriers, unsigned n) {
    unsigned from = 0;
    uint64_t until = carriers[0]->probe.step.trace_ns + CLOCK_SPAN_NS;
    for (unsigned i = 1; i < n; i++) {
        const struct traffic_step *step = &carriers[i]->probe.step;
        if (!opens(c, carriers[from], carriers[i]) && step->trace_ns < until)
            continue;
        pass(c, carriers + from, i - from);
        from = i;
        until = step->trace_ns + CLOCK_SPAN_NS;
    }
    pass(c, carriers + from, n - from);
    if (__builtin_expect(node_due(c->device->node), 0))
        pass_due(c);
}

void core_begin(struct core *c) {
    c->held.n = 0;
    if (c->device->node->nat)
        nat_forget_held(c->device->node->nat);
}

/* Packets that have come in, and are on their way into this CPU's cache. */
struct arrived {
    struct carrier *carriers[BURST_MAX];
    unsigned n;
};

static void take(struct core *c, unsigned turn, struct arrived *a) {
    struct rte_mbuf *m[BURST_MAX];
    a->n = 0;
    if (c->shard)
        a->n = shard_take(c->shard, c->device->worker, (struct packet **)a->carriers, c->burst);
    for (unsigned k = 0; k < c->n_in && a->n < c->burst; k++) {
        struct link *l = c->in[(turn + k) % c->n_in]; /* each is first in turn */
        a->n += l->receive(l, m + a->n, c->burst - a->n);
    }
    for (unsigned i = 0; i < a->n; i++) {
        struct carrier *k = c->shard ? a->carriers[i] : link_carrier(m[i]);
        a->carriers[i] = k;
        __builtin_prefetch(&k->probe, 1);
        __builtin_prefetch(&k->packet, 1);
        __builtin_prefetch(link_data(link_mbuf(k)), 1);
    }
}

/* By now the probes are there, and tell which slots will be wanted. */
static void fetch_slots(const struct core *c, const struct arrived *a) {
    for (unsigned i = 0; c->device->node->nat && i < a->n; i++)
        __builtin_prefetch(&c->device->slots[a->carriers[i]->probe.step.slot], 1);
}

/* One burst ahead: while one is passed through the node, the caches fetch the next one. */
void core_run(struct core *c) {
    struct arrived bursts[2] = {{.n = 0}};
    struct trial *t = c->trial;
    core_begin(c);
    turns_begin(&c->turns, clock_tsc(), t->lost_limit);
    uint64_t busy = c->turns.last;
    for (unsigned turn = 0;; turn++) {
        struct arrived *now = &bursts[turn % 2], *next = &bursts[(turn + 1) % 2];
        turns_next(&c->turns, clock_tsc());
        take(c, turn, next);
        if (now->n) {
            fetch_slots(c, now);
            core_pass(c, now->carriers, now->n);
            atomic_store_explicit(&c->received, c->received + now->n, memory_order_release);
            busy = c->turns.last;
        } else if (!next->n) {
            if (atomic_load_explicit(&t->finished, memory_order_acquire))
                return;
            trial_idle(t, c->turns.last - busy);
        }
    }
}
