/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that change in place while packets flow (DIR24-8): what a reader has found stays until it has moved on, and
 * readers in threads of their own get from each lookup what one of the versions says that were there meanwhile.
 */
#include "frame6.h"
#include <errno.h>
#include <fwdlab/core/route_live.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- one reader, one thread ---- */

static int change(struct route_live *l, int op, const char *prefix, const char *via) {
    struct route_change c = {.op = (uint8_t)op, .route = route_make(prefix, via, 1, 0, ROUTE_UNICAST)};
    const int rc = route_live_update(l, &c, 1);
    return rc ? rc : c.code;
}

static uint32_t path_to(const struct route_table *t, const char *dst) {
    const be32 key = addr(dst);
    uint32_t path;
    route_lookup(t, &key, &path, 1);
    cr_assert_neq(path, ROUTE_NONE);
    return path;
}

static be32 next_hop(const struct route_table *t, const char *dst) {
    return route_path(t, path_to(t, dst))->next[0].via;
}

static struct route_live *live_make(void) {
    const struct route r = route_make("10.0.0.0/8", "192.0.2.1", 1, 0, ROUTE_UNICAST);
    struct route_live *l = route_live_create(&route_direct, 1000, 1, &r, 1, NULL);
    cr_assert(l);
    return l;
}

Test(route_in_place, what_a_reader_has_found_stays) {
    struct route_live *l = live_make();
    const struct route_table *t = route_live_enter(l, 0);
    const uint32_t path = path_to(t, "10.0.0.1");
    cr_assert_eq(change(l, ROUTE_OP_REPLACE, "10.0.0.0/8", "192.0.2.2"), 0);
    cr_assert_eq(next_hop(t, "10.0.0.1"), addr("192.0.2.2"), "a change shows at once");
    cr_assert_eq(route_path(t, path)->next[0].via, addr("192.0.2.1"));
    cr_assert_eq(change(l, ROUTE_OP_ADD, "11.0.0.0/8", "192.0.2.3"), -EBUSY);
    cr_assert_eq(route_path(t, path)->next[0].via, addr("192.0.2.1"));
    cr_assert_eq(route_live_enter(l, 0), t);
    cr_assert_eq(change(l, ROUTE_OP_ADD, "11.0.0.0/8", "192.0.2.3"), 0);
    cr_assert_eq(path_to(t, "11.0.0.1"), path, "its room is used again");
    route_live_destroy(l);
}

/* More often than there are groups. */
Test(route_in_place, prefixes_longer_than_24_come_and_go) {
    struct route_live *l = live_make();
    for (unsigned i = 0; i < 2500; i++) {
        const struct route_table *t = route_live_enter(l, 0);
        cr_assert_eq(change(l, ROUTE_OP_ADD, "10.0.0.128/25", "192.0.2.4"), 0, "round %u", i);
        cr_assert(next_hop(t, "10.0.0.129") == addr("192.0.2.4") && next_hop(t, "10.0.0.1") == addr("192.0.2.1"));
        route_live_enter(l, 0);
        cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.128/25", "192.0.2.4"), 0, "round %u", i);
        cr_assert_eq(next_hop(t, "10.0.0.129"), addr("192.0.2.1"));
    }
    route_live_destroy(l);
}

/* ---- threads ---- */

#define PREFIXES 64u
#define READERS 3u
#define VERSIONS 3000u

/* Version v of the routes: prefix i, a /24 or a part of one, is there unless (v + i) % 5 is 0, by neighbour v. */
struct race {
    struct route_live *live;
    _Atomic uint32_t begun, made; /* versions */
    _Atomic bool over;
};
struct racer {
    struct race *race;
    unsigned number;
    uint64_t bursts, versions, changes; /* seen; bursts that a change came into */
    const char *wrong;
};

static bool present(uint32_t version, uint32_t i) {
    return (version + i) % 5 != 0;
}

static bool may_say(uint32_t version, uint32_t last, uint32_t i, uint32_t said) {
    while (version <= last && said != (present(version, i) ? version : 0))
        version++;
    return version <= last;
}

static void racer_burst(struct racer *r, uint32_t *version) {
    be32 dst[PREFIXES];
    uint32_t path[PREFIXES], said[PREFIXES];
    const struct route_table *t = route_live_enter(r->race->live, r->number);
    const uint32_t made = atomic_load(&r->race->made);
    for (uint32_t i = 0; i < PREFIXES; i++)
        dst[i] = htonl(0x0a000001 + (i << 8));
    route_lookup(t, dst, path, PREFIXES);
    for (uint32_t i = 0; i < PREFIXES; i++)
        said[i] = path[i] == ROUTE_NONE ? 0 : ntohl(route_path(t, path[i])->next[0].via);
    const uint32_t begun = atomic_load(&r->race->begun);
    for (uint32_t i = 0; i < PREFIXES; i++)
        if (!may_say(made, begun, i, said[i]))
            r->wrong = "what no version says that was there";
    if (begun - made > 2) /* one that is published, but not yet told; the next */
        r->wrong = "the writer did not wait";
    r->changes += begun != made;
    r->versions += made != *version;
    *version = made;
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
    (void)arg;
    sched_yield();
}

/* Version 0 has no routes. */
static void publish(struct race *r, uint32_t version) {
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
    route_live_wait(r->live, yield, NULL);
}

Test(route_in_place, readers_in_threads, .timeout = 120) {
    struct race race = {.live = route_live_create(&route_direct, PREFIXES, READERS, NULL, 0, NULL)};
    struct racer racers[READERS] = {{0}};
    pthread_t threads[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        racers[i] = (struct racer){.race = &race, .number = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, racer_run, &racers[i]), 0);
    }
    for (uint32_t version = 1; version <= VERSIONS; version++)
        publish(&race, version);
    atomic_store(&race.over, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_null(racers[i].wrong, "reader %u: %s", i, racers[i].wrong);
        cr_assert_gt(racers[i].versions, 10u, "reader %u saw %lu versions", i, (unsigned long)racers[i].versions);
        cr_log_info("reader %u: %lu bursts, %lu versions, changes in %lu bursts", i, (unsigned long)racers[i].bursts,
                    (unsigned long)racers[i].versions, (unsigned long)racers[i].changes);
    }
    route_live_destroy(race.live);
}
