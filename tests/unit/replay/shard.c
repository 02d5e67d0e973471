/* SPDX-License-Identifier: BSD-3-Clause */
/* One input, several workers: every packet comes to its worker, once, and each flow in its order. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
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
    unsigned workers, least; /* packets at a time, at random from here on */
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
    unsigned took = 0, most = s->least + random_below(&s->random, BURST_MAX);
    if (s->none) /* what was taken before is in the inboxes */
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
    source = (struct source){.packets = xzalloc(PACKETS, sizeof(struct packet)), .workers = workers, .least = seed & 1};
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
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 64}, &e), 0, "%s", e.what);
    for (unsigned workers = 1; workers <= WORKERS; workers++)
        for (uint64_t seed = 0; seed < 3; seed++)
            check(workers, seed);
}
