/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of laps. For each configuration: a lap for the verdicts, with fresh NAT tables. Then epochs: tables made
 * and packets placed anew; a lap that makes the sessions (in the first epoch it also counts), one that tells how long a
 * lap takes; then the timed ones, A B B A. NAT sessions live on from lap to lap as they do on a host, and the core's
 * clock goes on. A lap shorter than SAMPLE_NS is repeated within its sample.
 *
 * All runs on the calling thread, EAL's main lcore, pinned to the CPU that was asked for: one usable CPU is enough, and
 * no second lcore spins beside the measurement. A stage that takes over NOISE_LOST_NS for one burst was interrupted:
 * the machine took that time away. It is left out of the sample (with the few cycles of the stage itself) and told in
 * lost_ns.
 */
#include "lap.h"
#include <errno.h>
#include <limits.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/progress.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_NS 5000000.0
#define NOISE_WINDOW_NS 200000000ull
#define DEFAULT_SECONDS 10.0
#define DEFAULT_BURST 64
#define LAPS_MIN 20
#define EPOCHS 16
#define EPOCHS_MIN 5      /* what statistics take as clusters */
#define EPOCH_LAPS_MIN 4
#define REPEAT_MAX 100000

struct runner {
    struct replay_configuration *c;
    struct source cost;
    uint64_t offset; /* where the next lap's clock starts, ns */
    unsigned repeat; /* laps a sample */
    VEC(double) cycles;
    VEC(double) stages[NODE_STAGES_MAX];
};

static void next_lap(struct runner *r, const struct source *s) {
    r->offset += s->duration + LAP_GAP_NS;
}

static void start_anew(struct runner *r) {
    r->offset = 0;
    node_reset(r->c->node);
}

static void take_verdicts(struct runner *r, struct rte_mempool *pool, unsigned burst) {
    struct source own;
    if (r->c->node->filter) /* an answer may have to wait for any packet of its flow: one at a time */
        burst = 1;
    source_init(&own, r->c->own, pool, burst, true);
    start_anew(r);
    r->c->n_verdicts = own.n;
    r->c->verdicts = xzalloc(own.n + 1, sizeof *r->c->verdicts);
    lap_verdicts(r->c, &own, 0);
    r->c->cut = own.cut;
    source_fini(&own);
}

/* The first lap counts: its drops and packets are the configuration's. */
static void warm_up(struct runner *r, bool count) {
    struct replay_configuration *c = r->c;
    struct ticks t = {0}, first = {0};
    start_anew(r);
    if (count)
        lap_count(c, &r->cost, r->offset);
    else
        lap_time(c, &r->cost, r->offset, &first);
    next_lap(r, &r->cost);
    lap_time(c, &r->cost, r->offset, &t);
    next_lap(r, &r->cost);
    uint64_t total = t.lost;
    for (unsigned i = 0; i < c->n_stages; i++)
        total += t.stage[i];
    double laps = SAMPLE_NS * (double)clock_tsc_hz() / SECOND_NS / (double)(total + 1);
    r->repeat = laps < 1 ? 1 : laps > REPEAT_MAX ? REPEAT_MAX : (unsigned)laps + 1;
}

static struct ticks run_laps(struct runner *r) {
    struct ticks t = {0};
    for (unsigned k = 0; k < r->repeat; k++) {
        lap_time(r->c, &r->cost, r->offset, &t);
        next_lap(r, &r->cost);
    }
    return t;
}

static void take_sample(struct runner *r, struct replay_result *out) {
    const double packets = (double)r->cost.n * r->repeat;
    const struct ticks t = run_laps(r);
    double sum = 0, ns_per_tick = (double)SECOND_NS / (double)clock_tsc_hz();
    for (unsigned i = 0; i < r->c->n_stages; i++) {
        out->run_ns += (uint64_t)((double)t.stage[i] * ns_per_tick);
        double net = (double)t.stage[i] - (double)(out->overhead_cycles * t.calls[i]);
        net = net > 0 ? net / packets : 0;
        vec_push(&r->stages[i], net);
        sum += net;
    }
    vec_push(&r->cycles, sum);
    out->lost_ns += (uint64_t)((double)t.lost * ns_per_tick);
    out->run_ns += (uint64_t)((double)t.lost * ns_per_tick);
}

/*
 * One sample of each configuration, forwards and backwards in turn. Laps of the round's last one go before it,
 * uncounted: else its first one would follow itself, with its own data in the caches, and seem 1 to 2 % cheaper.
 */
static void round_of_samples(struct runner *r, unsigned n, struct replay_result *out) {
    bool back = out->laps % 2;
    if (n > 1)
        run_laps(&r[back ? 0 : n - 1]);
    for (unsigned k = 0; k < n; k++)
        take_sample(&r[back ? n - 1 - k : k], out);
    out->laps++;
}

static int begin_epoch(struct runner *r, struct replay_configuration *c, unsigned n, const struct replay_options *o,
                       struct rte_mempool *pool, unsigned epoch, struct err *e) {
    bool back = epoch % 2;
    for (unsigned i = 0; i < n; i++)
        source_fini(&r[i].cost);
    int rc = epoch && o->renew ? o->renew(c, n, back, o->renew_arg, e) : 0;
    for (unsigned k = 0; k < n && !rc; k++) {
        unsigned i = back ? n - 1 - k : k;
        source_init(&r[i].cost, c[i].cost, pool, o->burst ? o->burst : DEFAULT_BURST, false);
        warm_up(&r[i], epoch == 0);
    }
    return rc;
}

static unsigned choose_epochs(const struct replay_options *o) {
    unsigned laps = o->laps ? o->laps : UINT_MAX, epochs = o->epochs ? o->epochs : EPOCHS;
    if (laps / EPOCH_LAPS_MIN < epochs)
        epochs = laps / EPOCH_LAPS_MIN;
    return epochs < EPOCHS_MIN ? 1 : epochs;
}

/* Each epoch ends when its share of the laps or of the time is used up. */
static int interleave(struct runner *r, struct replay_configuration *c, unsigned n, const struct replay_options *o,
                      struct rte_mempool *pool, struct replay_result *out, struct err *e) {
    const double ns = (o->seconds > 0 ? o->seconds : DEFAULT_SECONDS) * SECOND_NS;
    const unsigned epochs = choose_epochs(o), least = (LAPS_MIN + epochs - 1) / epochs;
    const uint64_t start = clock_ns();
    int rc = 0;
    for (unsigned k = 0; k < epochs && !rc; k++) {
        const unsigned before = out->laps, until = (unsigned)((uint64_t)o->laps * (k + 1) / epochs);
        const uint64_t end = start + (uint64_t)(ns * (k + 1) / epochs);
        rc = begin_epoch(r, c, n, o, pool, k, e);
        while (!rc && (o->laps ? out->laps < until : out->laps - before < least || clock_ns() < end)) {
            round_of_samples(r, n, out);
            progress("replay", o->laps ? out->laps : clock_ns() - start, o->laps ? o->laps : (uint64_t)ns);
        }
        for (unsigned i = 0; i < n; i++)
            c[i].epochs[c[i].n_epochs++] = out->laps - before;
    }
    progress_done();
    return rc;
}

static void finish(struct runner *r) {
    struct replay_configuration *c = r->c;
    for (unsigned i = 0; i < c->n_stages; i++) {
        c->stages[i].cycles = stats_median(r->stages[i].v, r->stages[i].n);
        c->stages[i].samples = r->stages[i].v; /* handed over, as those of the whole */
    }
    c->cycles = r->cycles.v;
    c->n_cycles = r->cycles.n;
    c->bytes = r->cost.bytes;
    c->injected = r->cost.n;
    source_fini(&r->cost);
}

static int check(const struct replay_configuration *c, unsigned n, const struct replay_options *o, struct err *e) {
    if (o->burst > BURST_MAX)
        return err_set(e, -EINVAL, "a burst of %u packets; 1 to %d are possible", o->burst, BURST_MAX);
    if (o->cpu >= CPU_SETSIZE)
        return err_set(e, -EINVAL, "there is no CPU %u", o->cpu);
    if (rte_lcore_id() == LCORE_ID_ANY)
        return err_set(e, -EINVAL, "replay must run on the thread that started EAL");
    for (unsigned i = 0; i < n; i++)
        if (c[i].cost->arrived == 0) {
            err_set(e, -ENODATA, "%s: no packet of the trace arrives at the node under test", c[i].name);
            err_hint(e, "is this the trace's scenario, and are its interfaces named by the NICs' `capture`?");
            return -ENODATA;
        }
    return 0;
}

static int run(struct replay_configuration *c, unsigned n, const struct replay_options *o, struct rte_mempool *pool,
               struct replay_result *out, struct err *e) {
    struct runner *r = xzalloc(n, sizeof *r);
    noise_measure(&out->noise, NOISE_WINDOW_NS);
    out->overhead_cycles = lap_overhead();
    for (unsigned i = 0; i < n; i++) {
        r[i].c = &c[i];
        take_verdicts(&r[i], pool, o->burst ? o->burst : DEFAULT_BURST);
        c[i].epochs = xzalloc(choose_epochs(o), sizeof *c[i].epochs);
        c[i].n_stages = c[i].node->n_stages;
        for (unsigned k = 0; k < c[i].n_stages; k++)
            c[i].stages[k].name = c[i].node->stages[k].name;
    }
    int rc = interleave(r, c, n, o, pool, out, e);
    for (unsigned i = 0; i < n; i++)
        finish(&r[i]);
    free(r);
    return rc;
}

int replay_run(struct replay_configuration *c, unsigned n, const struct replay_options *o, struct replay_result *out,
               struct err *e) {
    cpu_set_t before, one;
    *out = (struct replay_result){0};
    int rc = check(c, n, o, e);
    if (rc)
        return rc;
    CPU_ZERO(&one);
    CPU_SET(o->cpu, &one);
    if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
        return err_set(e, -errno, "cannot run on CPU %u: %s", o->cpu, strerror(errno));
    struct rte_mempool *pool = source_pool(e);
    rc = pool ? run(c, n, o, pool, out, e) : -ENOMEM;
    source_pool_free(pool);
    sched_setaffinity(0, sizeof before, &before);
    return rc;
}

void replay_configuration_fini(struct replay_configuration *c) {
    free(c->verdicts);
    free(c->cycles);
    free(c->epochs);
    for (unsigned i = 0; i < c->n_stages; i++) {
        free(c->stages[i].samples);
        c->stages[i].samples = NULL;
    }
    c->verdicts = NULL;
    c->cycles = NULL;
    c->epochs = NULL;
    c->n_verdicts = c->n_cycles = 0;
    c->n_epochs = 0;
}
