/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that change while readers in threads of their own look them up. They know what each version has to say: of a
 * table of two copies a burst is of one version, and none older than one seen before; of one that changes in place
 * (DIR24-8) each lookup is of a version that was there meanwhile.
 */
#include "frame6.h"
#include <fwdlab/core/route_live.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PREFIXES 64u
#define READERS 3u
#define VERSIONS 3000u

/*
 * Version v of the routes: prefix i, a /24 or a part of one, is there unless (v + i) % 5 is 0, by neighbour v. Version
 * 0 has none.
 */
struct race {
    struct route_live *live;
    _Atomic uint32_t begun, made; /* versions */
    _Atomic bool over;
    /* What is wrong (NULL: nothing) with what one burst found: each prefix's neighbour, 0 for none. `made` was there
     * when it began, `begun` is the last that may have been. Tells the version that it saw; in: the one before. */
    const char *(*judge)(const uint32_t *said, uint32_t made, uint32_t begun, uint32_t *version);
};
struct racer {
    struct race *race;
    unsigned number;
    uint64_t bursts, versions; /* seen */
    const char *wrong;
};

static bool present(uint32_t version, uint32_t i) {
    return version && (version + i) % 5 != 0;
}

static const char *one_version(const uint32_t *said, uint32_t made, uint32_t begun, uint32_t *version) {
    uint32_t seen = 0;
    (void)made, (void)begun;
    for (uint32_t i = 0; i < PREFIXES && !seen; i++)
        seen = said[i];
    for (uint32_t i = 0; i < PREFIXES; i++)
        if (said[i] != (present(seen, i) ? seen : 0))
            return "two versions in one burst";
    const bool older = seen < *version;
    *version = seen;
    return older ? "an older version than before" : NULL;
}

static const char *each_of_its_time(const uint32_t *said, uint32_t made, uint32_t begun, uint32_t *version) {
    for (uint32_t i = 0; i < PREFIXES; i++) {
        uint32_t v = made;
        while (v <= begun && said[i] != (present(v, i) ? v : 0))
            v++;
        if (v > begun)
            return "what no version says that was there";
    }
    *version = made;
    return begun - made > 2 ? "the writer did not wait" : NULL; /* one published, but not yet told; the next */
}

static void racer_burst(struct racer *r, uint32_t *version) {
    be32 dst[PREFIXES];
    uint32_t path[PREFIXES], said[PREFIXES];
    const struct route_table *t = route_live_enter(r->race->live, r->number);
    const uint32_t made = atomic_load(&r->race->made), last = *version;
    for (uint32_t i = 0; i < PREFIXES; i++)
        dst[i] = htonl(0x0a000001 + (i << 8));
    route_lookup(t, dst, path, PREFIXES);
    for (uint32_t i = 0; i < PREFIXES; i++)
        said[i] = path[i] == ROUTE_NONE ? 0 : ntohl(route_path(t, path[i])->next[0].via);
    const char *wrong = r->race->judge(said, made, atomic_load(&r->race->begun), version);
    if (wrong)
        r->wrong = wrong;
    r->versions += *version != last;
}

static void *racer_run(void *arg) {
    struct racer *r = arg;
    uint32_t version = 0;
    while (!atomic_load(&r->race->over) && !r->wrong) {
        racer_burst(r, &version);
        if (++r->bursts % (16 + r->number) == 0)
            route_live_leave(r->race->live, r->number);
        if (r->bursts % 64 == 0)
            sched_yield();
    }
    route_live_leave(r->race->live, r->number);
    return NULL;
}

static void yield(void *arg) {
    ++*(uint64_t *)arg;
    sched_yield();
}

static void publish(struct race *r, uint32_t version, uint64_t *waited) {
    struct route_change c[PREFIXES];
    unsigned n = 0;
    for (uint32_t i = 0; i < PREFIXES; i++) {
        const struct ip a = ip_v4(htonl(0x0a000000 + (i << 8)));
        const bool now = present(version, i);
        struct route route = {.prefix = prefix_of(&a, i % 2 ? 24 : 28), .port = 1};
        route.via = ip_v4(htonl(now ? version : version - 1));
        if (now || version > 1)
            c[n++] = (struct route_change){.op = now ? ROUTE_OP_REPLACE : ROUTE_OP_REMOVE, .route = route};
    }
    atomic_store(&r->begun, version);
    cr_assert_eq(route_live_update(r->live, c, n), 0);
    atomic_store(&r->made, version);
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(c[i].code, 0, "version %u, change %u", version, i);
    route_live_wait(r->live, yield, waited);
}

static void run(struct race *race, const struct route_backend *backend) {
    struct racer racers[READERS] = {{0}};
    pthread_t threads[READERS];
    uint64_t waited = 0;
    race->live = route_live_create(backend, PREFIXES, READERS, NULL, 0, NULL);
    for (unsigned i = 0; i < READERS; i++) {
        racers[i] = (struct racer){.race = race, .number = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, racer_run, &racers[i]), 0);
    }
    for (uint32_t version = 1; version <= VERSIONS; version++)
        publish(race, version, &waited);
    atomic_store(&race->over, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_null(racers[i].wrong, "reader %u: %s", i, racers[i].wrong);
        cr_assert_gt(racers[i].versions, 10u, "reader %u saw %lu versions", i, (unsigned long)racers[i].versions);
    }
    cr_assert_gt(waited, 0u, "there was a grace period");
    route_live_destroy(race->live);
}

Test(route_race, two_copies, .timeout = 120) {
    struct race race = {.judge = one_version};
    run(&race, &route_trie);
}

Test(route_race, in_place, .timeout = 120) {
    struct race race = {.judge = each_of_its_time};
    run(&race, &route_direct);
}
