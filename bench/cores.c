/* SPDX-License-Identifier: BSD-3-Clause */
#include "cores.h"
#include "points.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS (1u << 20) /* of the control: under a millisecond */
#define PINGS 500
#define FREE 0.95
#define NEAR_NS 150 /* a ping of cores that share a cache, at most */
#define LOOKS 3
#define PAIRS_MAX 8192u
#define REST_NS 5000000 /* after a pair: real-time threads leave something to others */

struct pair {
    double rate[CORES];            /* by one, by two */
    uint64_t took[LOOKS][CORES];   /* the control, TSC */
    uint64_t ping[LOOKS];
};
enum kind { FREE_NEAR, FREE_FAR, ALL };

/* Of the control on both CPUs. */
struct look {
    struct cores_start start, again;
    _Atomic unsigned ball __attribute__((aligned(128))); /* whose turn it is, by parity */
    struct looker {
        struct look *look;
        unsigned id;
        uint64_t took, ping;
    } at[CORES] __attribute__((aligned(128)));
};

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(2);
}

void cores_init(struct cores *c) {
    cpu_set_t usable;
    unsigned n = 0;
    CPU_ZERO(&usable);
    sched_getaffinity(0, sizeof usable, &usable);
    for (unsigned i = 0; i < CPU_SETSIZE && n < CORES; i++)
        if (CPU_ISSET(i, &usable))
            c->cpu[n++] = i;
    c->real_time = true;
    c->best = UINT64_MAX;
    if (n < CORES)
        fail("two CPUs are needed");
}

pthread_t cores_spawn(struct cores *c, unsigned cpu, void *(*run)(void *), void *arg) {
    const struct sched_param param = {.sched_priority = 1};
    pthread_attr_t attr;
    pthread_t thread;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_attr_init(&attr);
    pthread_attr_setaffinity_np(&attr, sizeof one, &one);
    if (c->real_time) {
        pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attr, SCHED_RR);
        pthread_attr_setschedparam(&attr, &param);
    }
    const int code = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    if (!code)
        return thread;
    if (!c->real_time)
        fail("no thread can run on a CPU of ours");
    c->real_time = false;
    return cores_spawn(c, cpu, run, arg);
}

void cores_start_init(struct cores_start *s, unsigned n) {
    pthread_barrier_init(&s->barrier, NULL, n);
    atomic_init(&s->awake, 0);
    s->n = n;
}

void cores_start_fini(struct cores_start *s) {
    pthread_barrier_destroy(&s->barrier);
}

void cores_start(struct cores_start *s) {
    pthread_barrier_wait(&s->barrier);
    atomic_fetch_add(&s->awake, 1);
    while (atomic_load(&s->awake) < s->n)
        sched_yield();
}

/* Work for all integer units of a core, so that another thread on it shows; nothing in memory. */
static void *look_run(void *arg) {
    struct looker *l = arg;
    uint64_t x[6] = {1, 2, 3, 4, 5, 6};
    cores_start(&l->look->start);
    const uint64_t from = clock_tsc();
    for (unsigned i = 0; i < LOOPS; i++) {
        x[0] += x[1] + 1, x[2] += x[3] + 1, x[1] ^= x[4], x[3] ^= x[5], x[4] += x[0], x[5] += x[2];
        __asm__ volatile("" : "+r"(x[0]), "+r"(x[1]), "+r"(x[2]), "+r"(x[3]), "+r"(x[4]), "+r"(x[5]));
    }
    l->took = clock_tsc() - from;
    cores_start(&l->look->again);
    const uint64_t served = clock_tsc();
    for (unsigned i = l->id; i < CORES * PINGS; i += CORES) {
        while (atomic_load_explicit(&l->look->ball, memory_order_acquire) != i)
            ;
        atomic_store_explicit(&l->look->ball, i + 1, memory_order_release);
    }
    l->ping = (clock_tsc() - served) / PINGS;
    return NULL;
}

static void look(struct cores *c, uint64_t took[CORES], uint64_t *ping) {
    struct look l = {0};
    pthread_t thread[CORES];
    cores_start_init(&l.start, CORES);
    cores_start_init(&l.again, CORES);
    for (unsigned i = 0; i < CORES; i++) {
        l.at[i].look = &l;
        l.at[i].id = i;
        thread[i] = cores_spawn(c, c->cpu[i], look_run, &l.at[i]);
    }
    for (unsigned i = 0; i < CORES; i++) {
        pthread_join(thread[i], NULL);
        took[i] = l.at[i].took;
        c->best = took[i] < c->best ? took[i] : c->best;
        *ping = l.at[i].ping;
    }
    cores_start_fini(&l.start);
    cores_start_fini(&l.again);
}

static void take_pair(struct cores *c, const struct cores_work *w, bool two_first, struct pair *p) {
    double (*const run[CORES])(void *) = {w->one, w->two};
    look(c, p->took[0], &p->ping[0]);
    p->rate[two_first] = run[two_first](w->arg);
    look(c, p->took[1], &p->ping[1]);
    p->rate[!two_first] = run[!two_first](w->arg);
    look(c, p->took[2], &p->ping[2]);
    nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
}

static double to_ns(uint64_t tsc) {
    return (double)tsc * SECOND_NS / (double)clock_tsc_hz();
}

static enum kind kind_of(const struct pair *p, uint64_t best) {
    unsigned near = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        for (unsigned k = 0; k < CORES; k++)
            if ((double)best < FREE * (double)p->took[i][k])
                return ALL;
        near += to_ns(p->ping[i]) <= NEAR_NS;
    }
    return near == LOOKS ? FREE_NEAR : near ? ALL : FREE_FAR;
}

/* How many cores the control found, in the time of its best. */
static double together(const struct pair *p, uint64_t best) {
    double sum = 0;
    for (unsigned i = 0; i < LOOKS * CORES; i++)
        sum += (double)best / (double)p->took[i / CORES][i % CORES];
    return sum / LOOKS;
}

/* What both CPUs gave the control, in what the first one did, on which `one` runs: 2 when both gave the same. */
static double given(const struct pair *p) {
    double first = 0, both = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        first += 1 / (double)p->took[i][0];
        both += 1 / (double)p->took[i][0] + 1 / (double)p->took[i][1];
    }
    return both / first;
}

/* The rates of the pairs of a kind. */
static unsigned pick(const struct pair *pairs, unsigned n, uint64_t best, enum kind kind, double *rate[CORES]) {
    unsigned picked = 0;
    for (unsigned i = 0; i < n; i++)
        if (kind == ALL || kind_of(&pairs[i], best) == kind) {
            rate[0][picked] = pairs[i].rate[0];
            rate[1][picked++] = pairs[i].rate[1];
        }
    return picked;
}

static void report(const struct cores *c, const char *name, const char *unit, const struct pair *pairs, unsigned n,
                   unsigned wanted) {
    static const char *const about[] = {"", ", caches far", ", all pairs"};
    double *rate[CORES] = {xalloc(n * sizeof(double)), xalloc(n * sizeof(double))};
    char full[128], text[128];
    for (enum kind kind = FREE_NEAR; kind <= ALL; kind++) {
        const unsigned picked = pick(pairs, n, c->best, kind, rate);
        const bool decided = picked >= wanted || kind == ALL;
        snprintf(full, sizeof full, "%s%s", name, about[kind]);
        snprintf(text, sizeof text, "%s%u of %u pairs", decided ? "" : "not decided: ", picked, n);
        if (decided)
            point(full, unit, stats_median(rate[1], picked), rate[0], rate[1], picked);
        if (kind != ALL)
            point_text(full, text);
    }
    for (unsigned i = 0; i < n; i++) {
        rate[0][i] = pairs[i].rate[0] * given(&pairs[i]);
        rate[1][i] = pairs[i].rate[1];
    }
    snprintf(full, sizeof full, "%s, share of what both gave", name);
    point(full, unit, stats_median(rate[1], n), rate[0], rate[1], n);
    for (unsigned i = 0; i < n; i++) {
        rate[0][i] = 1;
        rate[1][i] = together(&pairs[i], c->best);
    }
    snprintf(full, sizeof full, "%s, control", name);
    point(full, "ns", to_ns(c->best), rate[0], rate[1], n);
    for (unsigned i = 0; i < n; i++)
        rate[0][i] = to_ns(pairs[i].ping[1]);
    snprintf(full, sizeof full, "%s, ping", name);
    point_alone(full, "ns", stats_median(rate[0], n));
    free(rate[0]);
    free(rate[1]);
}

void cores_compare(struct cores *c, const char *name, const struct cores_work *work, const struct cores_bound *bound) {
    struct pair *pairs = xalloc(PAIRS_MAX * sizeof *pairs);
    const uint64_t until = clock_ns() + (uint64_t)(bound->seconds * SECOND_NS);
    unsigned n = 0, enough = 0;
    while (n < PAIRS_MAX && enough < bound->pairs && (n < bound->pairs || clock_ns() < until)) {
        take_pair(c, work, n & 1, &pairs[n]);
        n++;
        enough = 0;
        for (unsigned i = 0; i < n; i++)
            enough += kind_of(&pairs[i], c->best) == FREE_NEAR;
    }
    report(c, name, work->unit, pairs, n, bound->pairs);
    free(pairs);
}
