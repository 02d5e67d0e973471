/* SPDX-License-Identifier: BSD-3-Clause */
/* One input, several workers: every packet comes to its worker, once, and each flow in its order. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/shard.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PACKETS 400000u
#define FLOWS 61u
#define WORKERS 4u

static struct source {
    struct packet *packets; /* tag: place; path: flow */
    uint32_t next;
    unsigned workers, least, most; /* packets at a time, at random between these */
    bool stopped;            /* it has none for now */
    struct random random;
    bool none;               /* were taken the last time */
    _Atomic unsigned inside; /* workers that are in take or assign now */
    _Atomic bool ended;
} source;

static void enter(struct source *s) {
    cr_assert_eq(atomic_fetch_add(&s->inside, 1), 0, "one at a time");
}

static unsigned take(void *arg, struct packet **pkts, unsigned n) {
    struct source *s = arg;
    enter(s);
    unsigned took = 0, most = s->stopped ? 0 : s->least + random_below(&s->random, s->most);
    if (s->none) /* what was taken before can be had */
        atomic_store(&s->ended, s->next == PACKETS);
    while (took < n && took < most && s->next < PACKETS)
        pkts[took++] = &s->packets[s->next++];
    s->none = !took;
    atomic_fetch_sub(&s->inside, 1);
    return took;
}

static void assign(void *arg, struct packet *const *pkts, unsigned n, uint8_t *worker) {
    struct source *s = arg;
    enter(s);
    for (unsigned i = 0; i < n; i++)
        worker[i] = (uint8_t)(pkts[i]->path % s->workers);
    atomic_fetch_sub(&s->inside, 1);
}

struct taker {
    struct shard *shard;
    unsigned worker;
    uint32_t got, misplaced, disorder;
    int64_t last[FLOWS];
    pthread_t thread;
};

static void *taker_run(void *arg) {
    struct taker *t = arg;
    struct packet *pkts[BURST_MAX];
    struct random r;
    random_seed(&r, t->worker);
    for (bool ended = false;;) {
        const unsigned n = shard_take(t->shard, t->worker, pkts, 1 + random_below(&r, BURST_MAX));
        if (!n && ended)
            return NULL;
        for (unsigned i = 0; i < n; i++) {
            const uint32_t flow = pkts[i]->path;
            t->misplaced += flow % source.workers != t->worker;
            t->disorder += (int64_t)pkts[i]->tag <= t->last[flow];
            t->last[flow] = (int64_t)pkts[i]->tag;
        }
        t->got += n;
        if (!n || random_below(&r, 16) == 0)
            sched_yield(); /* CPUs may be fewer than workers */
        ended = atomic_load(&source.ended);
    }
}

static void check(unsigned workers, uint64_t seed) {
    struct err e = {0};
    struct taker takers[WORKERS];
    uint32_t got = 0;
    source = (struct source){.packets = xzalloc(PACKETS, sizeof(struct packet)), .workers = workers};
    source.least = seed & 1;
    source.most = BURST_MAX;
    random_seed(&source.random, seed);
    for (uint32_t i = 0; i < PACKETS; i++)
        source.packets[i] = (struct packet){.tag = i, .path = random_below(&source.random, FLOWS)};
    struct shard *s = shard_create(workers, 0, &(struct shard_input){take, assign, &source, &source}, &e);
    cr_assert(s, "%s", e.what);
    for (unsigned w = 0; w < workers; w++) {
        takers[w] = (struct taker){.shard = s, .worker = w};
        for (unsigned f = 0; f < FLOWS; f++)
            takers[w].last[f] = -1;
        pthread_create(&takers[w].thread, NULL, taker_run, &takers[w]);
    }
    for (unsigned w = 0; w < workers; w++) {
        pthread_join(takers[w].thread, NULL);
        cr_expect(!takers[w].misplaced && !takers[w].disorder, "%u workers, seed %lu, worker %u: %u misplaced, %u late",
                  workers, (unsigned long)seed, w, takers[w].misplaced, takers[w].disorder);
        got += takers[w].got;
    }
    cr_expect_eq(got, PACKETS);
    shard_destroy(s);
    free(source.packets);
}

Test(shard, keeps_flows_in_order) {
    for (unsigned workers = 1; workers <= WORKERS; workers++)
        for (uint64_t seed = 0; seed < 3; seed++)
            check(workers, seed);
}

/* What one worker gets, until it got nothing 16 times in a row. */
static void drain(struct taker *t, struct random *r) {
    struct packet *pkts[BURST_MAX];
    for (unsigned idle = 0; idle < 16; idle++) {
        const unsigned n = shard_take(t->shard, t->worker, pkts, 1 + random_below(r, BURST_MAX));
        for (unsigned i = 0; i < n; i++) {
            cr_assert_eq(pkts[i]->path % source.workers, t->worker);
            cr_assert_gt((int64_t)pkts[i]->tag, t->last[0], "its packets come in the input's order");
            t->last[0] = (int64_t)pkts[i]->tag;
        }
        t->got += n;
        idle = n ? 0 : idle;
    }
}

static void check_bound(unsigned workers, unsigned depth, unsigned most, uint64_t seed) {
    struct err e = {0};
    struct taker takers[WORKERS];
    struct random r;
    source = (struct source){.packets = xzalloc(PACKETS, sizeof(struct packet)), .workers = workers, .most = most};
    random_seed(&source.random, seed);
    random_seed(&r, seed + 1);
    for (uint32_t i = 0; i < PACKETS; i++)
        source.packets[i] = (struct packet){.tag = i, .path = random_below(&source.random, FLOWS)};
    struct shard *s = shard_create(workers, depth, &(struct shard_input){take, assign, &source, &source}, &e);
    cr_assert(s, "%s", e.what);
    for (unsigned w = 0; w < workers; w++)
        takers[w] = (struct taker){.shard = s, .worker = w, .last = {-1}};
    for (unsigned round = 0; round < 50; round++) {
        const unsigned away = random_below(&r, workers);
        const uint32_t before = source.next;
        for (unsigned w = 0; w < workers; w++) /* one stays away */
            if (w != away)
                drain(&takers[w], &r);
        cr_expect_leq(source.next - before, workers * depth, "seed %lu: %u", (unsigned long)seed, source.next - before);
        cr_expect_gt(source.next, before, "seed %lu: others go on for a while", (unsigned long)seed);
        for (unsigned w = 0; w < workers; w++) { /* then all are done with everything, and get no more */
            const uint32_t end = source.next;
            source.stopped = true;
            drain(&takers[w], &r);
            cr_assert_eq(source.next, end);
        }
        source.stopped = false;
        uint32_t got = 0;
        for (unsigned w = 0; w < workers; w++)
            got += takers[w].got;
        cr_assert_eq(got, source.next, "seed %lu: nothing is lost", (unsigned long)seed);
    }
    shard_destroy(s);
    free(source.packets);
}

Test(shard, bounds_what_is_under_way) {
    for (uint64_t seed = 0; seed < 4; seed++)
        for (unsigned workers = 2; workers <= WORKERS; workers++) {
            check_bound(workers, BURST_MAX, BURST_MAX, seed);
            check_bound(workers, 3 * BURST_MAX + 7, BURST_MAX, seed);
            check_bound(workers, 3 * BURST_MAX + 7, 2, seed); /* more batches than packets would ask for */
        }
}
