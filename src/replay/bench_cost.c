/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In memory: what a packet of a configuration's own traffic costs (sizes, sessions, churn included), stage by stage. As
 * in replay, samples of whole laps, A B B A; but all packets of a burst have one time, as in trials, so that a sparse
 * trace makes full bursts here too.
 */
#include "straight.h"
#include <errno.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/replay/bench.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_NS 5000000.0
#define SAMPLES_MIN 5
#define REPEAT_MAX 100000.0

struct runner {
    struct bench_configuration *c;
    struct straight lane;
    unsigned repeat;   /* laps a sample */
    uint64_t overhead; /* of a stamp, TSC cycles */
};

static bool stopped(const struct bench_options *o) {
    return o->stop && *o->stop;
}

static uint64_t laps(struct runner *r, unsigned n, const struct bench_options *o) {
    uint64_t sum = 0;
    r->lane.ticks = (struct ticks){0};
    for (unsigned i = 0; i < n && !stopped(o); i++)
        straight_lap(&r->lane);
    for (unsigned i = 0; i < r->c->cost.n_stages; i++)
        sum += r->lane.ticks.stage[i];
    return sum;
}

static void begin(struct runner *r, struct bench_configuration *c, const struct bench_options *o) {
    const struct traffic *t = c->traffic;
    struct bench_cost *cost = &c->cost;
    *r = (struct runner){.c = c, .overhead = lap_overhead()};
    straight_init(&r->lane, &c->device, t, o->trial.burst, true);
    cost->n_stages = c->node->n_stages;
    laps(r, 1, o);
    for (unsigned i = 0; i < cost->n_stages; i++) {
        cost->stages[i].name = c->node->stages[i].name;
        cost->stages[i].packets = r->lane.ticks.packets[i];
        cost->stages[i].drops = r->lane.ticks.drops[i];
    }
    cost->bytes = (double)t->bytes / t->n;
    double n = SAMPLE_NS * (double)clock_tsc_hz() / SECOND_NS / (double)(laps(r, 1, o) + 1);
    r->repeat = n < 1 ? 1 : n > REPEAT_MAX ? (unsigned)REPEAT_MAX : (unsigned)n + 1;
}

static void sample(struct runner *r, const struct bench_options *o) {
    struct bench_cost *cost = &r->c->cost;
    const uint64_t sum = laps(r, r->repeat, o);
    const struct ticks *t = &r->lane.ticks;
    const double packets = (double)t->packets[0], ns = (double)SECOND_NS / (double)clock_tsc_hz();
    double total = 0;
    if (stopped(o) || packets == 0)
        return;
    for (unsigned i = 0; i < cost->n_stages; i++) {
        double net = (double)t->stage[i] - (double)(r->overhead * t->calls[i]);
        net = net > 0 ? net / packets : 0;
        vec_push(&cost->stages[i].cycles, net);
        total += net;
    }
    vec_push(&cost->cycles, total);
    cost->run_ns += (uint64_t)((double)(sum + t->lost) * ns);
    cost->lost_ns += (uint64_t)((double)t->lost * ns);
}

/* The round's last one goes before it, uncounted: else its first one would follow itself, with warm caches. */
static void interleave(struct runner *r, unsigned n, const struct bench_options *o) {
    const uint64_t start = clock_ns(), end = start + (uint64_t)(o->cost_s * SECOND_NS);
    for (unsigned round = 0; !stopped(o) && (round < SAMPLES_MIN || clock_ns() < end); round++) {
        if (n > 1)
            laps(&r[bench_turn(round, n - 1, n)], r[bench_turn(round, n - 1, n)].repeat, o);
        for (unsigned k = 0; k < n; k++)
            sample(&r[bench_turn(round, k, n)], o);
        uint64_t now = clock_ns();
        progress("bench: cost in memory", (now < end ? now : end) - start, end - start);
    }
    progress_done();
}

int bench_costs(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct err *e) {
    cpu_set_t before, one;
    CPU_ZERO(&one);
    CPU_SET(o->trial.core_cpu, &one);
    if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
        return err_set(e, -errno, "cannot run on CPU %u: %s", o->trial.core_cpu, strerror(errno));
    struct runner *r = xzalloc(n, sizeof *r);
    for (unsigned i = 0; i < n; i++)
        begin(&r[i], &c[i], o);
    interleave(r, n, o);
    for (unsigned i = 0; i < n; i++)
        straight_fini(&r[i].lane);
    free(r);
    sched_setaffinity(0, sizeof before, &before);
    return stopped(o) && !c[0].cost.cycles.n ? err_set(e, -EINTR, "interrupted before anything was measured") : 0;
}
