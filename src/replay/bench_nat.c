/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 9693: how many sessions the table takes, how fast they are made without loss, how fast they end. Each test begins
 * with an empty table. Sessions are those of the trace's flows, in as many copies as are needed, all of them new; the
 * core's clock moves by no more than a lap, so that none ends of itself.
 */
#include "bench_run.h"
#include "straight.h"
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/stats.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LATER_NS (1ull << 60) /* no timer is that long */
#define FILLED 0.9            /* of the table, by a trial of the set-up rate */
#define TEARDOWNS 5
#define OFFERED_MAX (1u << 22)

static void empty(struct bench_configuration *f) {
    node_reset(f->node);
    memset(f->device.slots, 0, f->firsts->n_slots * sizeof *f->device.slots);
    f->device.now = f->device.lap = 0;
}

static uint32_t live(const struct bench_configuration *f) {
    struct nat_stats stats;
    nat_stats_get(f->node->nat, &stats);
    return stats.live;
}

/* Until a session is refused, or `most` are there. How many packets went in. */
static uint64_t fill(struct bench_configuration *f, uint32_t most, const volatile bool *stop) {
    struct straight s;
    uint64_t packets = 0;
    empty(f);
    straight_init(&s, &f->device, f->firsts, 1, false);
    s.frozen = true;
    while (packets < OFFERED_MAX && live(f) < most && !*stop) {
        packets += straight_burst(&s);
        if (s.core.drops[DROP_NAT_NO_PORT] || s.core.drops[DROP_NAT_TABLE_FULL]) {
            f->nat.full = true;
            break;
        }
    }
    straight_fini(&s);
    return packets;
}

/* Median of several rounds: sessions a second that are freed when the clock has passed all of their timers. */
static double teardown(struct bench_configuration *f, const volatile bool *stop) {
    double rates[TEARDOWNS];
    unsigned n = 0;
    for (; n < TEARDOWNS && !*stop; n++) {
        fill(f, (uint32_t)f->nat.capacity, stop);
        const uint32_t before = live(f);
        const uint64_t start = clock_tsc();
        nat_expire(f->node->nat, f->device.now + LATER_NS, UINT32_MAX);
        const uint64_t took = clock_tsc() - start;
        rates[n] = took ? (double)(before - live(f)) * (double)clock_tsc_hz() / (double)took : 0;
    }
    return stats_median(rates, n);
}

static int fresh_trial(struct bench_configuration *f, const struct trial_options *o, const volatile bool *stop,
                       struct trial_result *out, struct err *e) {
    empty(f);
    return bench_device_trial(f, o, stop, out, e);
}

/* `share`: sessions that a packet makes; `packets`: so many fill the table. */
static int setup(struct bench *b, struct bench_configuration *f, double share, double packets) {
    const struct bench_options *o = b->o;
    struct search_options s = {.min_load = BENCH_MIN_PPS,
                               .max_load = f->generator_pps,
                               .n_goals = 1,
                               .goals = {o->goals[0]},
                               .max_total_s = o->max_total_s};
    const double lap = (double)f->firsts->n_slots, most = fmin(packets * FILLED, lap);
    struct search_bounds bounds;
    int code = 1;
    s.goals[0].loss_ratio = 0;
    if (!(f->search = search_create(&s, b->e)))
        return -EINVAL;
    while (code > 0)
        code = bench_search(b, f, "nat set-up", most);
    search_bounds(f->search, 0, &bounds);
    f->nat.setup_low = bounds.lower * share;
    f->nat.setup_high = bounds.upper * share;
    search_destroy(f->search);
    return code;
}

static int rates(struct bench *b, struct bench_configuration *c) {
    static const volatile bool never;
    const volatile bool *stop = b->o->stop ? b->o->stop : &never;
    struct bench_configuration f = *c;
    f.traffic = c->firsts;
    f.trial = fresh_trial;
    f.trials = json_array();
    f.limited = false;
    f.device.slots = xzalloc(c->firsts->n_slots, sizeof *f.device.slots);
    f.nat = (struct bench_nat){.setup_high = INFINITY};
    node_reset(c->node);
    f.device.node = c->node; /* of a crew too: one worker */
    f.device.crew = NULL;
    f.device.now = f.device.lap = 0;
    int code = trial_prepare(&f.device, c->firsts, b->e);
    if (!code) {
        f.nat.offered = fill(&f, UINT32_MAX, stop);
        f.nat.capacity = live(&f);
        f.nat.teardown = f.nat.capacity ? teardown(&f, stop) : 0;
        const double share = (double)f.nat.capacity / (double)f.nat.offered;
        if (f.nat.capacity && !*stop)
            code = setup(b, &f, share, (double)f.nat.offered);
        c->has_nat = f.nat.capacity > 0 && !code && !*stop;
        c->nat = f.nat;
        c->total = f.total;
        c->repeated = f.repeated;
        c->invalid = f.invalid;
        c->seconds = f.seconds;
    }
    vec_release(f.device.slots);
    json_decref(f.trials);
    return *stop ? -EINTR : code == -ENODATA ? 0 : code;
}

int bench_nat_rates(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct err *e) {
    struct bench b = {.c = c, .n = n, .o = o, .e = e};
    int code = 0;
    for (unsigned i = 0; i < n && !code; i++)
        if (c[i].node->nat && c[i].firsts && c[i].generator_pps > 0)
            code = rates(&b, &c[i]);
    return code;
}
