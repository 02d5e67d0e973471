/* SPDX-License-Identifier: BSD-3-Clause */
#include "lap.h"
#include <fwdlab/base/clock.h>
#include <stdlib.h>
#include <string.h>

#define OVERHEAD_ROUNDS 10001

/* Keeps the verdict of a packet, whose tag is its place among them. */
static void settle(struct replay_configuration *c, const struct source *s, const struct packet *p, uint64_t now) {
    struct inject_verdict *v = &c->verdicts[p->tag];
    c->held -= v->verdict == VERDICT_HELD;
    inject_settle(c->node, p, s->in->packets[s->arrived[p->tag]].raw->frame, now, v);
    c->delivered += p->verdict == VERDICT_DELIVER;
    c->forwarded += p->verdict == VERDICT_FORWARD;
    c->held += p->verdict == VERDICT_HELD;
    c->fragmented += v->fragments > 1;
    if (p->verdict == VERDICT_DROP)
        c->drops[p->reason]++;
    if (v->error)
        c->errors[p->reason]++;
}

void lap_verdicts(struct replay_configuration *c, const struct source *s, uint64_t offset) {
    struct flight f = {0};
    for (size_t b = 0; b < s->bursts.n; b++) {
        const uint64_t now = offset + s->bursts.v[b].now;
        source_take(s, &s->bursts.v[b], c->node->nat, &f);
        for (unsigned k = 0; k < f.n; k++)
            f.pkts[k]->tag = s->bursts.v[b].first + k;
        forward(c->node, f.pkts, f.n, now);
        for (unsigned k = 0; k < f.n; k++)
            settle(c, s, f.pkts[k], now);
        source_give_back(&f);
        struct packet due;
        uint8_t held[NAT_HELD_BYTES];
        while (inject_pass_due(c->node, &due, held, sizeof held, now))
            settle(c, s, &due, now);
    }
    c->answers_rewritten = f.rewritten;
    c->answers_unmatched = f.unmatched;
}

static unsigned count_drops(struct packet *const *pkts, unsigned n) {
    unsigned drops = 0;
    for (unsigned k = 0; k < n; k++)
        drops += pkts[k]->verdict == VERDICT_DROP;
    return drops;
}

__attribute__((noinline)) void lap_stages(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now,
                                          struct ticks *t, uint64_t lost_limit) {
    struct packet *live[BURST_MAX];
    unsigned left = n, dropped = 0;
    memcpy(live, pkts, n * sizeof *live);
    uint64_t last = clock_tsc();
    for (unsigned i = 0; i < node->n_stages && left; i++) {
        unsigned entered = left;
        left = node->stages[i].run(node, live, left, now);
        uint64_t stamp = clock_tsc(), took = stamp - last;
        if (__builtin_expect(took > lost_limit, 0)) {
            t->lost += took;
        } else {
            t->stage[i] += took;
            t->calls[i]++;
        }
        t->packets[i] += entered;
        last = stamp;
        if (left == entered)
            continue;
        unsigned drops = count_drops(pkts, n); /* nobody's time */
        t->drops[i] += drops - dropped;
        dropped = drops;
        last = clock_tsc();
    }
}

/* What the node held and is due passes like any other burst. */
static void lap_due(struct node *node, uint64_t now, struct ticks *t, uint64_t lost_limit) {
    uint8_t data[NAT_HELD_BYTES];
    for (;;) {
        struct packet p = {.data = data, .room = sizeof data}, *one = &p;
        if (!node_take_due(node, &p))
            return;
        lap_stages(node, &one, 1, now, t, lost_limit);
    }
}

void lap_count(struct replay_configuration *c, const struct source *s, uint64_t offset) {
    struct ticks t = {0};
    lap_time(c, s, offset, &t);
    for (unsigned i = 0; i < c->n_stages; i++) {
        c->stages[i].packets = t.packets[i];
        c->stages[i].drops = t.drops[i];
    }
}

void lap_time(const struct replay_configuration *c, const struct source *s, uint64_t offset, struct ticks *t) {
    const uint64_t lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
    struct flight f = {0};
    for (size_t b = 0; b < s->bursts.n; b++) {
        source_take(s, &s->bursts.v[b], c->node->nat, &f);
        lap_stages(c->node, f.pkts, f.n, offset + s->bursts.v[b].now, t, lost_limit);
        source_give_back(&f);
        if (__builtin_expect(node_due(c->node), 0))
            lap_due(c->node, offset + s->bursts.v[b].now, t, lost_limit);
    }
}

static unsigned stage_nothing(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    return n;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t lap_overhead(void) {
    uint64_t rounds[OVERHEAD_ROUNDS] = {0};
    struct node node = {.n_stages = NODE_STAGES_MAX};
    struct packet p = {0}, *pkts[1] = {&p};
    for (unsigned i = 0; i < NODE_STAGES_MAX; i++)
        node.stages[i] = (struct stage){"nothing", stage_nothing};
    for (unsigned r = 0; r < OVERHEAD_ROUNDS; r++) {
        struct ticks t = {0};
        lap_stages(&node, pkts, 1, 0, &t, UINT64_MAX);
        for (unsigned i = 0; i < NODE_STAGES_MAX; i++)
            rounds[r] += t.stage[i];
    }
    qsort(rounds, OVERHEAD_ROUNDS, sizeof *rounds, by_value);
    return rounds[OVERHEAD_ROUNDS / 2] / NODE_STAGES_MAX;
}
