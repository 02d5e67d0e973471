/* SPDX-License-Identifier: BSD-3-Clause */
#include "updates.h"
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/prefixes.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS 20000
#define NEIGHBOUR_NET 0x0a0b0000u /* 10.11.0.0 */
#define OUT 1 /* the port that all routes lead out by */

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "updates: %s\n", what);
    exit(2);
}

/* ---- the routes ---- */

static int by_prefix(const void *a, const void *b) {
    const struct ip_prefix *x = a, *y = b;
    int d = ip_compare(&x->addr, &y->addr);
    return d ? d : x->len - y->len;
}

/* IPv4 prefixes at the start of a file's lines, each once, without the default route. */
static uint32_t read_prefixes(const char *name, struct ip_prefix *out) {
    char line[128];
    uint32_t n = 0, kept = 0;
    FILE *f = fopen(name, "r");
    if (!f)
        fail(strerror(errno));
    while (n < PREFIXES_MAX && fgets(line, sizeof line, f)) {
        line[strcspn(line, " \t\r\n")] = '\0';
        n += !prefix_parse(line, &out[n]) && out[n].addr.family == FAMILY_IPV4 && out[n].len;
    }
    fclose(f);
    qsort(out, n, sizeof *out, by_prefix);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || !prefix_equal(&out[i], &out[kept - 1]))
            out[kept++] = out[i];
    return kept;
}

static be32 neighbour(const struct subject *s, uint32_t prefix, uint32_t serial) {
    return htonl(s->neighbours ? NEIGHBOUR_NET + (prefix + serial) % s->neighbours : serial * PREFIXES_MAX | prefix);
}

static struct route route_of(const struct subject *s, uint32_t i, uint32_t serial) {
    struct route r = s->routes[i];
    r.via = ip_v4(neighbour(s, i, serial));
    return r;
}

static void find_covers(struct subject *s) {
    uint32_t open[33], depth = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        while (depth && !prefix_covers(&s->routes[open[depth - 1]].prefix, &s->routes[i].prefix))
            depth--;
        s->cover[i] = depth ? open[depth - 1] : s->n;
        open[depth++] = i;
    }
}

void subject_init(struct subject *s, const char *file, uint32_t n, uint32_t neighbours, struct random *r) {
    struct ip_prefix *prefixes = xzalloc(PREFIXES_MAX, sizeof *prefixes);
    if (file)
        n = read_prefixes(file, prefixes);
    if (n == 0 || n >= PREFIXES_MAX)
        fail("there must be 1 to 1048575 prefixes");
    if (!file && prefixes_make(prefixes, n, NULL, 0, r))
        fail("no room for so many prefixes");
    *s = (struct subject){.n = n, .neighbours = neighbours, .routes = xzalloc(n + 1, sizeof *s->routes)};
    s->cover = xalloc(n * sizeof *s->cover);
    s->said = xalloc((n + 1) * sizeof *s->said);
    for (uint32_t i = 0; i <= n; i++) {
        s->routes[i] = (struct route){.port = OUT, .via = ip_v4(neighbour(s, i, 1))};
        s->routes[i].prefix = i < n ? prefixes[i] : (struct ip_prefix){.addr = ip_v4(0)};
        atomic_init(&s->said[i], 1u);
    }
    find_covers(s);
    free(prefixes);
}

struct route_live *subject_live(const struct subject *s, unsigned readers) {
    int code;
    struct route_live *l = route_live_create(&route_direct, s->n + 1, readers, s->routes, s->n + 1, &code);
    if (!l)
        fail(strerror(-code));
    return l;
}

void subject_fini(struct subject *s) {
    route_live_destroy(s->live);
    free(s->routes);
    free(s->cover);
    free(s->said);
}

static uint32_t serial_in(const struct subject *s, uint32_t i, uint64_t generation) {
    uint64_t said = atomic_load_explicit(&s->said[i], memory_order_acquire);
    return said >> 32 <= generation ? said & 0xffff : said >> 16 & 0xffff;
}

be32 subject_answer(const struct subject *s, uint32_t prefix, uint64_t generation) {
    uint32_t serial = serial_in(s, prefix, generation);
    while (!serial) {
        prefix = s->cover[prefix];
        serial = serial_in(s, prefix, generation);
    }
    return neighbour(s, prefix, serial);
}

/* The first generation after this one in which the answer may be another. */
static uint64_t next_answer(const struct subject *s, uint32_t prefix, uint64_t generation) {
    uint64_t next = UINT64_MAX;
    for (; prefix < s->n; prefix = s->cover[prefix]) {
        const uint64_t since = atomic_load_explicit(&s->said[prefix], memory_order_acquire) >> 32;
        next = since > generation && since < next ? since : next;
    }
    return next;
}

bool subject_said(const struct subject *s, uint32_t prefix, uint64_t from, uint64_t to, be32 neighbour) {
    uint64_t generation = from;
    while (generation <= to && subject_answer(s, prefix, generation) != neighbour)
        generation = next_answer(s, prefix, generation);
    return generation <= to;
}

/* ---- the updater ---- */

/*
 * A change of a prefix that the batch has not changed yet, one in four withdraws it; and what it says then: to be known
 * before the change is seen. `published`: the generation that the batch began with.
 */
static struct route_change next_change(struct updater *u, uint64_t published, uint64_t generation) {
    struct subject *s = u->subject;
    uint64_t said;
    uint32_t i;
    do {
        i = random_below(&u->random, s->n);
        said = atomic_load_explicit(&s->said[i], memory_order_relaxed);
    } while (said >> 32 > published);
    const uint32_t now = said & 0xffff;
    const bool withdraw = now && random_below(&u->random, 4) == 0;
    const uint32_t serial = withdraw ? 0 : 1 + random_below(&u->random, SERIALS - 1);
    struct route_change c = {.op = withdraw ? ROUTE_OP_REMOVE : now ? ROUTE_OP_REPLACE : ROUTE_OP_ADD};
    c.route = route_of(s, i, withdraw ? now : serial);
    atomic_store_explicit(&s->said[i], generation << 32 | now << 16 | serial, memory_order_release);
    return c;
}

static void pause_briefly(void *arg) {
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

/* What the thread has had of its CPU: waiting costs hardly any. */
static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void run_batch(struct updater *u, uint64_t *generation, struct route_change *changes, size_t n) {
    const uint64_t published = *generation, from = cpu_ns();
    for (size_t k = 0; k < n; k++)
        changes[k] = next_change(u, published, ++*generation);
    if (route_live_update(u->subject->live, changes, n))
        fail("the tables came to differ");
    for (size_t k = 0; k < n; k++)
        if (changes[k].code)
            fail(strerror(-changes[k].code));
    route_live_wait(u->subject->live, pause_briefly, NULL);
    u->busy_ns += cpu_ns() - from;
    atomic_fetch_add(&u->done, n);
    atomic_fetch_add(&u->batches, 1);
}

static void *updater_run(void *arg) {
    struct updater *u = arg;
    const uint64_t wanted = u->rate / UPDATES_BATCHES;
    const size_t n = wanted < u->subject->n ? wanted : u->subject->n;
    struct route_change *changes = xzalloc(n, sizeof *changes);
    uint64_t generation = u->subject->n + 1, due = clock_ns();
    while (!atomic_load(&u->over)) {
        if (!atomic_load(&u->on))
            due = clock_ns();
        if (!atomic_load(&u->on) || clock_ns() < due) {
            pause_briefly(NULL);
            continue;
        }
        run_batch(u, &generation, changes, n);
        due += SECOND_NS / UPDATES_BATCHES;
    }
    vec_release(changes);
    return NULL;
}

void updater_start(struct updater *u) {
    cpu_set_t one;
    pthread_attr_t attr;
    CPU_ZERO(&one);
    CPU_SET(u->cpu, &one);
    random_seed(&u->random, 7);
    if (pthread_attr_init(&attr) || pthread_attr_setaffinity_np(&attr, sizeof one, &one) ||
        pthread_create(&u->thread, &attr, updater_run, u))
        fail("no thread for updates");
    pthread_attr_destroy(&attr);
}

void updater_stop(struct updater *u) {
    atomic_store(&u->over, true);
    pthread_join(u->thread, NULL);
}
