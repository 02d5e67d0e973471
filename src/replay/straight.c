/* SPDX-License-Identifier: BSD-3-Clause */
#include "straight.h"
#include "crew.h"
#include <fwdlab/base/vec.h>

#define DEFAULT_BURST 64

struct buffer {
    struct carrier carrier;
    uint8_t data[LINK_ROOM];
} __attribute__((aligned(64)));

void straight_init(struct straight *s, struct trial_device *d, const struct traffic *t, unsigned burst, bool timed) {
    *s = (struct straight){.traffic = t, .buffers = xzalloc(BURST_MAX, sizeof(struct buffer))};
    traffic_begin(&s->cursor, t);
    s->cursor.lap = d->lap;
    traffic_next(&s->cursor, &s->next);
    s->trial.lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
    s->core = (struct core){.trial = &s->trial, .device = d, .burst = burst ? burst : DEFAULT_BURST};
    s->core.ticks = timed ? &s->ticks : NULL;
    core_begin(&s->core);
}

void straight_fini(struct straight *s) {
    s->core.device->lap = s->next.lap + (s->next.packet || s->next.copy); /* the next whole one */
    vec_release(s->buffers);
}

static bool is_mine(const struct trial_device *d, const struct carrier *c) {
    const struct packet *p = &c->packet;
    uint8_t worker = 0;
    if (d->crew)
        crew_assign(d->crew, (struct packet *const *)&p, 1, &worker);
    return worker == d->worker;
}

unsigned straight_burst(struct straight *s) {
    struct carrier *carriers[BURST_MAX];
    struct buffer *buffers = s->buffers;
    const uint64_t lap = s->next.lap;
    unsigned n = 0;
    while (n < s->core.burst && s->next.lap == lap) {
        carriers[n] = &buffers[n].carrier;
        carrier_write(carriers[n], buffers[n].data, s->traffic, &s->next);
        if (s->frozen)
            carriers[n]->probe.step.trace_ns = s->core.device->now;
        traffic_next(&s->cursor, &s->next);
        n += is_mine(s->core.device, carriers[n]);
    }
    if (n)
        core_pass(&s->core, carriers, n);
    return n;
}

uint64_t straight_lap(struct straight *s) {
    uint64_t packets = 0;
    for (const uint64_t lap = s->next.lap; s->next.lap == lap;)
        packets += straight_burst(s);
    return packets;
}
