/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trial from its start to its end: memory, threads, the common moment at which all begin, the drain, and who judges
 * what came out (account.c).
 */
#include <errno.h>
#include <math.h>
#include <fwdlab/base/vec.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "crew.h"
#include "run.h"

#define START_DELAY_NS 200000ull
#define LATENCY_MAX_NS (1000 * SECOND_NS)
#define DEFAULT_BURST 64
#define FIFO_MAX_S 0.9
#define PATIENCE_FIFO_NS 50000000ull
#define PATIENCE_NS SECOND_NS
#define IDLE_NS 20000000ull
#define QUIET_NS 100000000ull   /* nothing arrives any more: what may get lost on its way is lost */
#define STUCK_NS SECOND_NS      /* of rings everything comes; unless nobody works */

bool trial_wait(struct trial *t) {
    uint64_t start;
    const uint64_t since = clock_tsc();
    atomic_fetch_add(&t->ready, 1);
    while (!(start = atomic_load(&t->start)))
        trial_idle(t, clock_tsc() - since);
    while (start != UINT64_MAX && clock_tsc() < start)
        trial_idle(t, 0);
    return start != UINT64_MAX;
}

/* ---- memory ---- */

static int make_histogram(struct histogram *h, struct err *e) {
    if (histogram_init(h, LATENCY_MAX_NS))
        return err_set(e, -ENOMEM, "no memory for a trial's histograms");
    histogram_reset(h); /* touches its pages */
    return 0;
}

static int make_generator(struct run *r, unsigned i, uint64_t lap, struct err *e) {
    struct generator *g = &r->generators[i];
    *g = (struct generator){.trial = &r->trial, .id = i, .link = r->trial.topology->in[i], .origin = UINT64_MAX};
    g->due_span.first = g->sent_span.first = UINT64_MAX;
    schedule_init(&g->schedule, &r->trial.o->pace);
    reader_begin(&g->reader, &r->trial.feed, i, lap, r->trial.limit_ns == 0);
    int rc = make_histogram(&g->slip, e);
    return rc ? rc : make_histogram(&g->gap_error, e);
}

static int make_sink(struct run *r, struct err *e) {
    struct sink *s = &r->sink;
    *s = (struct sink){.trial = &r->trial, .link = r->trial.topology->out, .span.first = UINT64_MAX};
    s->notes = r->trial.o->capture ? &r->notes[1] : NULL;
    r->tracks_size = 2 * sizeof *s->tracks * ((size_t)r->trial.feed.chunk->n_slots + 1);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE; /* no page fault in a trial */
    void *tracks = mmap(NULL, r->tracks_size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (tracks == MAP_FAILED)
        return err_set(e, -ENOMEM, "no memory to follow %u flows", r->trial.feed.chunk->n_slots);
    s->tracks = tracks;
    int rc = make_histogram(&s->latency, e);
    return rc ? rc : make_histogram(&s->ipdv, e);
}

static int make_core(struct run *r, unsigned worker, const struct trial_device *d, struct err *e) {
    struct core *c = &r->cores[worker];
    const struct topology *topology = r->trial.topology;
    r->devices[worker] = *d;
    if (d->crew) {
        r->devices[worker].node = crew_node(d->crew, worker);
        r->devices[worker].worker = worker;
    }
    *c = (struct core){.trial = &r->trial, .device = &r->devices[worker], .pool = topology->pool, .shard = r->shard};
    c->out = r->shard ? topology->outs[worker] : topology->out;
    c->delivered_span.first = UINT64_MAX;
    c->burst = r->trial.o->burst ? r->trial.o->burst : DEFAULT_BURST;
    c->ticks = r->trial.o->stages ? &r->ticks[worker] : NULL;
    c->notes = r->trial.o->capture ? &r->notes[0] : NULL;
    if (!r->shard) {
        memcpy(c->in, r->inputs.from, sizeof c->in);
        c->n_in = r->inputs.n;
    }
    return make_histogram(&c->latency, e);
}

static unsigned take_inputs(void *arg, struct packet **pkts, unsigned n) {
    struct inputs *in = arg;
    struct rte_mbuf *m[BURST_MAX];
    unsigned got = 0;
    in->turn++;
    for (unsigned k = 0; k < in->n && got < n; k++) {
        struct link *l = in->from[(in->turn + k) % in->n]; /* each is first in turn */
        got += l->receive(l, m + got, n - got);
    }
    for (unsigned i = 0; i < got; i++) {
        struct carrier *c = link_carrier(m[i]);
        pkts[i] = &c->packet;
        __builtin_prefetch(&c->packet);
        __builtin_prefetch(&c->probe);
        __builtin_prefetch(link_data(m[i]));
    }
    return got;
}

static int make_cores(struct run *r, const struct trial_device *d, struct err *e) {
    const struct topology *topology = r->trial.topology;
    r->n_cores = d->crew ? crew_workers(d->crew) : 1;
    r->cores = aligned_alloc(64, r->n_cores * sizeof *r->cores);
    r->devices = xzalloc(r->n_cores, sizeof *r->devices);
    if (!r->cores)
        return err_set(e, -ENOMEM, "no memory for %u core workers", r->n_cores);
    memset(r->cores, 0, r->n_cores * sizeof *r->cores);
    for (unsigned i = 0; i < topology->generators; i++)
        if (!i || topology->in[i] != topology->in[0])
            r->inputs.from[r->inputs.n++] = topology->in[i];
    if (r->n_cores > 1) {
        const struct shard_input input = {take_inputs, crew_assign, &r->inputs, d->crew};
        if (!(r->shard = shard_create(r->n_cores, LINK_UNDER_WAY, &input, e)))
            return -ENOMEM;
    }
    int rc = 0;
    for (unsigned w = 0; w < r->n_cores && !rc; w++)
        rc = make_core(r, w, d, e);
    return rc;
}

static int make(struct run *r, struct trial_device *d, struct err *e) {
    const unsigned n = r->trial.topology->generators;
    r->generators = xzalloc(n, sizeof *r->generators);
    if (r->trial.o->capture) {
        r->notes = xzalloc(2, sizeof *r->notes);
        random_seed(&r->notes[0].random, d->lap + 1);
        random_seed(&r->notes[1].random, d->lap + 2);
    }
    int rc = make_cores(r, d, e);
    for (unsigned i = 0; i < n && !rc; i++)
        rc = make_generator(r, i, d->lap, e);
    return rc ? rc : make_sink(r, e);
}

static void unmake(struct run *r) {
    for (unsigned i = 0; r->generators && i < r->trial.topology->generators; i++) {
        histogram_fini(&r->generators[i].slip);
        histogram_fini(&r->generators[i].gap_error);
    }
    if (r->sink.tracks)
        munmap(r->sink.tracks, r->tracks_size);
    histogram_fini(&r->sink.latency);
    histogram_fini(&r->sink.ipdv);
    for (unsigned w = 0; r->cores && w < r->n_cores; w++)
        histogram_fini(&r->cores[w].latency);
    shard_destroy(r->shard);
    free(r->cores);
    vec_release(r->devices);
    vec_release(r->generators);
    vec_release(r->notes);
}

/* ---- threads ---- */

static void *core_thread(void *arg) {
    struct core *c = arg;
    rte_thread_register(); /* for caches of the pool; without them it is slower, that is all */
    if (trial_wait(c->trial))
        core_run(c);
    rte_thread_unregister();
    return NULL;
}

static void *generator_thread(void *arg) {
    struct generator *g = arg;
    rte_thread_register();
    if (trial_wait(g->trial))
        generator_run(g, NULL);
    atomic_fetch_sub(&g->trial->sending, 1);
    rte_thread_unregister();
    return NULL;
}

static int spawn(struct run *r, void *(*main)(void *), void *arg, unsigned cpu, struct err *e) {
    pthread_attr_t attr;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_attr_init(&attr); /* inherits the caller's policy */
    int rc = pthread_attr_setaffinity_np(&attr, sizeof one, &one);
    rc = rc ? rc : pthread_create(&r->threads[r->n_threads], &attr, main, arg);
    pthread_attr_destroy(&attr);
    if (rc)
        return err_set(e, -rc, "no worker can run on CPU %u: %s", cpu, strerror(rc));
    r->n_threads++;
    return 0;
}

static unsigned core_cpu(const struct trial_options *o, unsigned worker) {
    return worker ? o->more_cpu[worker - 1] : o->core_cpu;
}

static int spawn_all(struct run *r, struct err *e) {
    const struct trial *t = &r->trial;
    int rc = 0;
    for (unsigned w = 0; w < r->n_cores && t->topology->out && !rc; w++)
        rc = spawn(r, core_thread, &r->cores[w], core_cpu(t->o, w), e);
    for (unsigned i = 1; i < t->topology->generators && !rc; i++)
        rc = spawn(r, generator_thread, &r->generators[i], t->o->generator_cpu[i], e);
    return rc;
}

/* ---- the calling thread's part ---- */

static uint64_t at_cores(const struct run *r) {
    uint64_t received = 0;
    for (unsigned w = 0; w < r->n_cores; w++)
        received += atomic_load_explicit(&r->cores[w].received, memory_order_acquire);
    return received;
}

static bool all_arrived(const struct run *r) {
    uint64_t sent = 0, passed_on = 0;
    for (unsigned i = 0; i < r->trial.topology->generators; i++)
        sent += r->generators[i].sent;
    const bool all = at_cores(r) == sent;
    for (unsigned w = 0; w < r->n_cores; w++)
        passed_on += r->cores[w].passed_on;
    return all && passed_on == r->sink.received;
}

/* Until the other generators are done, the links empty and quiet. */
static void drain(struct run *r) {
    struct trial *t = &r->trial;
    bool exact = t->topology->out->exact;
    for (unsigned i = 0; i < r->inputs.n; i++)
        exact = exact && r->inputs.from[i]->exact;
    const uint64_t patience = to_ticks(&t->time, exact ? STUCK_NS : QUIET_NS);
    uint64_t last = clock_tsc(), received = 0;
    while (!*t->stop) {
        const bool sending = atomic_load_explicit(&t->sending, memory_order_acquire) > 1;
        const uint64_t at_core = at_cores(r);
        if (!sending && all_arrived(r))
            break;
        if (sink_poll(&r->sink, GENERATOR_BULK) || sending || at_core != received)
            last = clock_tsc();
        else if (clock_tsc() - last > patience)
            break;
        else
            trial_idle(t, clock_tsc() - last);
        received = at_core;
    }
}

/* Starts everybody at one moment, sends, drains, ends. */
static int conduct(struct run *r, struct err *e) {
    struct trial *t = &r->trial;
    const bool core = t->topology->out != NULL;
    t->sending = t->topology->generators;
    int rc = spawn_all(r, e);
    if (!rc) {
        while (atomic_load(&t->ready) < r->n_threads)
            sched_yield();
        atomic_store(&t->start, clock_tsc() + to_ticks(&t->time, START_DELAY_NS));
        trial_wait(t);
        generator_run(&r->generators[0], core ? &r->sink : NULL);
        if (core)
            drain(r);
    } else {
        atomic_store(&t->start, UINT64_MAX);
    }
    atomic_store_explicit(&t->finished, true, memory_order_release);
    for (unsigned i = 0; i < r->n_threads; i++)
        pthread_join(r->threads[i], NULL);
    return rc ? rc : t->feed.rc;
}

/* The calling thread as a worker: its CPU and policy, for as long as the trial runs. */
static int conduct_here(struct run *r, struct err *e) {
    const struct trial_options *o = r->trial.o;
    cpu_set_t before, one;
    struct sched_param param_before, param = {.sched_priority = 1};
    int policy, rc;
    CPU_ZERO(&one);
    CPU_SET(o->generator_cpu[0], &one);
    if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
        return err_set(e, -errno, "no worker can run on CPU %u: %s", o->generator_cpu[0], strerror(errno));
    pthread_getschedparam(pthread_self(), &policy, &param_before);
    r->fifo = r->fifo && !pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    rc = conduct(r, e);
    if (r->fifo)
        pthread_setschedparam(pthread_self(), policy, &param_before);
    sched_setaffinity(0, sizeof before, &before);
    return rc;
}

/* ---- the whole ---- */

static bool share_a_cpu(const struct trial_options *o, const struct topology *topology, const struct trial_device *d) {
    unsigned cpu[TRIAL_GENERATORS_MAX + TRIAL_CORES_MAX], n = 0;
    for (unsigned i = 0; i < topology->generators; i++)
        cpu[n++] = o->generator_cpu[i];
    for (unsigned w = 0; topology->out && w < (d->crew ? crew_workers(d->crew) : 1); w++)
        cpu[n++] = core_cpu(o, w);
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < i; k++)
            if (cpu[i] == cpu[k])
                return true;
    return false;
}

/* How long it will send, s; INFINITY: not known. */
static double expected_seconds(const struct trial_options *o, const struct traffic *t) {
    if (o->seconds > 0)
        return o->seconds;
    if (!t || o->pace.kind == PACE_MAX)
        return INFINITY;
    if (o->pace.kind == PACE_TRACE)
        return (double)t->lap_ns / SECOND_NS / o->pace.factor;
    return (double)t->n * t->copies / o->pace.pps;
}

static int check(const struct topology *topology, const struct trial_options *o, const struct trial_device *d,
                 struct traffic_stream *s, struct err *e) {
    const unsigned cores = d->crew ? crew_workers(d->crew) : 1;
    if (cores > 1 && (o->capture || s))
        return err_set(e, -EINVAL, "packets are captured, and traces streamed, with one core worker only");
    if (topology->out && cores > topology->cores)
        return err_set(e, -EINVAL, "%u core workers, and links for %u", cores, topology->cores);
    if (o->burst > BURST_MAX)
        return err_set(e, -EINVAL, "a burst of %u packets; 1 to %d are possible", o->burst, BURST_MAX);
    if (rte_lcore_id() == LCORE_ID_ANY)
        return err_set(e, -EINVAL, "a trial must run on the thread that started EAL");
    if (s && o->capture)
        return err_set(e, -EINVAL, "packets of a streamed trace are gone when they would be written to a capture");
    for (unsigned w = 0; topology->out && w < cores; w++)
        if (core_cpu(o, w) >= CPU_SETSIZE)
            return err_set(e, -EINVAL, "there is no CPU %u", core_cpu(o, w));
    for (unsigned i = 0; i < topology->generators; i++)
        if (o->generator_cpu[i] >= CPU_SETSIZE)
            return err_set(e, -EINVAL, "there is no CPU %u", o->generator_cpu[i]);
    return 0;
}

static int begin_links(const struct topology *topology, const struct traffic *t, struct err *e) {
    unsigned longest = 0;
    int rc = 0;
    for (uint32_t i = 0; i < t->n; i++)
        longest = t->packets[i].len > longest ? t->packets[i].len : longest;
    for (unsigned i = 0; i < topology->generators && !rc; i++)
        if (topology->in[i]->begin)
            rc = topology->in[i]->begin(topology->in[i], longest, e);
    return rc || !topology->out || !topology->out->begin ? rc : topology->out->begin(topology->out, longest, e);
}

static int run(struct trial_device *d, const struct topology *topology, const struct traffic *traffic,
               struct traffic_stream *stream, const struct trial_options *o, const volatile bool *stop,
               struct trial_result *out, struct err *e) {
    static const volatile bool never;
    const double hz = (double)clock_tsc_hz(), scale = 4294967296.0;
    struct run *r = xzalloc(1, sizeof *r);
    struct trial *t = &r->trial;
    t->o = o;
    t->topology = topology;
    t->stop = stop ? stop : &never;
    t->time = (struct timebase){(uint64_t)(SECOND_NS / hz * scale), (uint64_t)(hz / SECOND_NS * scale)};
    t->paced = o->pace.kind != PACE_MAX;
    t->crowded = share_a_cpu(o, topology, d);
    t->limit_ns = (uint64_t)llround(o->seconds * SECOND_NS);
    t->lost_limit = to_ticks(&t->time, NOISE_LOST_NS);
    t->idle_limit = to_ticks(&t->time, IDLE_NS);
    r->fifo = o->fifo && !t->crowded && expected_seconds(o, traffic) <= FIFO_MAX_S;
    t->patience_ns = r->fifo ? PATIENCE_FIFO_NS : PATIENCE_NS;

    *out = (struct trial_result){0};
    int rc = check(topology, o, d, stream, e);
    rc = rc ? rc : feed_init(&t->feed, traffic, stream, topology->generators, e);
    if (!rc) {
        rc = begin_links(topology, t->feed.chunk, e);
        rc = rc ? rc : make(r, d, e);
        rc = rc ? rc : conduct_here(r, e);
        if (!rc && *t->stop)
            rc = err_set(e, -EINTR, "interrupted");
        if (t->feed.rc && e)
            *e = t->feed.err;
        rc = rc ? rc : account(r, d, out, e);
        unmake(r);
        feed_fini(&t->feed);
    }
    vec_release(r);
    return rc;
}

int trial_run(struct trial_device *d, const struct topology *topology, const struct traffic *t,
              const struct trial_options *o, const volatile bool *stop, struct trial_result *out, struct err *e) {
    return run(d, topology, t, NULL, o, stop, out, e);
}

int trial_run_stream(struct trial_device *d, const struct topology *topology, struct traffic_stream *s,
                     const struct trial_options *o, const volatile bool *stop, struct trial_result *out,
                     struct err *e) {
    return run(d, topology, NULL, s, o, stop, out, e);
}
