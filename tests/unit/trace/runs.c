/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that are read in runs (source.h) are those that trace_read gives one by one, whatever stands in the file. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/random.h>
#include <fwdlab/trace/many.h>
#include "capture.h"
#include "format.h"

#define SEED 20261122
#define ROUNDS 400
#define PACKETS 150
#define RUN_MAX 20

TestSuite(runs, .timeout = 120);

/* Either byte order and resolution, packets of many lengths; then a byte is changed, or the end cut off. */
static void make(struct random *r, struct capture *c) {
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};
    static uint8_t data[2000];
    c->n = 0;
    c->big = random_below(r, 2);
    put_pcap(c, magics[random_below(r, 2)], LINKTYPE_ETHERNET);
    const uint32_t longest = 1 + random_below(r, 800), n = random_below(r, PACKETS);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t len = random_below(r, longest);
        memset(data, (int)i, len);
        put_record(c, i, random_below(r, 1000000), len, len + random_below(r, 3), data);
    }
    if (random_below(r, 2) && c->n > 24)
        c->v[24 + random_below(r, (uint32_t)c->n - 24)] ^= (uint8_t)(1 + random_below(r, 255));
    if (random_below(r, 2))
        c->n = 24 + random_below(r, (uint32_t)c->n - 23);
}

static void expect_same(const struct trace_packet *a, const struct trace_packet *b, uint64_t round) {
    cr_assert(a->time_ns == b->time_ns && a->frame == b->frame && a->offset == b->offset && a->len == b->len &&
              a->wire_len == b->wire_len && a->interface == b->interface && !memcmp(a->data, b->data, a->len),
              "seed %d, round %" PRIu64 ", frame %" PRIu64, SEED, round, a->frame);
}

/* Both to the end; returns how many packets. */
static uint64_t read_both(struct trace *one, struct trace *runs, unsigned room, uint64_t round) {
    struct trace_packet p, run[RUN_MAX];
    uint64_t n = 0;
    int r, have;
    while ((have = trace_read_run(runs, run, room, NULL)) > 0) {
        cr_assert((unsigned)have <= room);
        for (int i = 0; i < have; i++, n++) {
            cr_assert(trace_read(one, &p, NULL) > 0, "seed %d, round %" PRIu64, SEED, round);
            expect_same(&p, &run[i], round);
        }
    }
    r = trace_read(one, &p, NULL);
    cr_assert(r == have, "seed %d, round %" PRIu64 ": ends with %d and %d", SEED, round, r, have);
    const char *a = trace_damage(one), *b = trace_damage(runs);
    cr_assert(!a == !b && (!a || !strcmp(a, b)), "seed %d, round %" PRIu64 ": %s, %s", SEED, round, a, b);
    return n;
}

Test(runs, give_what_one_by_one_gives) {
    static struct capture c;
    struct random r;
    uint64_t packets = 0, damaged = 0;
    random_seed(&r, SEED);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct err e;
        make(&r, &c);
        uint8_t *exact = malloc(c.n); /* the address sanitizer sees every overread */
        memcpy(exact, c.v, c.n);
        struct trace *one = trace_open_memory("one", exact, c.n, &e), *runs = trace_open_memory("runs", exact, c.n, &e);
        cr_assert(one && runs, "seed %d, round %" PRIu64, SEED, round);
        packets += read_both(one, runs, 1 + random_below(&r, RUN_MAX), round);
        damaged += trace_damage(one) != NULL;
        uint32_t n;
        const uint64_t a = trace_interfaces(one, &n)->packets, b = trace_interfaces(runs, &n)->packets;
        cr_assert(a == b, "seed %d, round %" PRIu64, SEED, round);
        trace_close(one);
        trace_close(runs);
        free(exact);
    }
    cr_expect(packets > ROUNDS * PACKETS / 8 && damaged > ROUNDS / 8 && damaged < ROUNDS);
}

/* ---- many.h ---- */

#define IN_FILE 400
#define WINDOW 1000 /* ns */

struct order {
    uint64_t id[IN_FILE], late;
};

/* Mostly one behind the other; some back by up to three windows, some at the same time, some without one. */
static uint32_t make_times(struct random *r, uint64_t *times) {
    const uint32_t n = random_below(r, IN_FILE), step = 1 + random_below(r, 300), back = random_below(r, 3);
    uint64_t at = 4 * WINDOW;
    for (uint32_t i = 0; i < n; i++) {
        at += random_below(r, 4) ? random_below(r, step) : 0;
        times[i] = back && !random_below(r, 8 * back) ? at - random_below(r, 3 * WINDOW) : at;
        times[i] = random_below(r, 40) ? times[i] : 0;
    }
    return n;
}

/* What the contract says, packet by packet: after each the earliest go that are a window behind it. */
static void by_contract(const uint64_t *times, uint32_t n, struct order *o) {
    uint64_t keys[IN_FILE], last = 0, key = 0;
    bool gone[IN_FILE] = {false};
    uint32_t given = 0;
    o->late = 0;
    for (uint32_t i = 0; i < n || given < n; i++) {
        if (i < n)
            keys[i] = key = times[i] ? times[i] : key;
        for (;;) {
            uint32_t first = n;
            for (uint32_t k = 0; k < n && k <= i; k++)
                if (!gone[k] && (first == n || keys[k] < keys[first]))
                    first = k;
            if (first == n || (i < n && (key < keys[first] || key - keys[first] < WINDOW)))
                break;
            gone[first] = true;
            o->id[given++] = first;
            o->late += keys[first] < last;
            last = keys[first] > last ? keys[first] : last;
        }
    }
}

static void expect_order(struct random *r, const char *path, uint32_t n, const struct order *o, uint64_t round) {
    const struct trace_many_options options = {.paths = &path, .n = 1, .window_ns = WINDOW, .in_order = true};
    const struct trace_packet *p;
    struct trace_packet one;
    struct trace_many_stats stats;
    struct trace_many *m = trace_many_open(&options, NULL);
    cr_assert(m);
    uint32_t at = 0;
    for (int have = 1; have > 0;) {
        const bool run = random_below(r, 2);
        have = run ? trace_many_read_run(m, &p, NULL) : trace_many_read(m, &one, NULL);
        for (int i = 0; i < have; i++, at++) {
            const struct trace_packet *q = run ? &p[i] : &one;
            cr_assert(at < n && q->frame == o->id[at] + 1 && q->data[0] == (uint8_t)o->id[at],
                      "seed %d, round %" PRIu64 ", packet %u", SEED, round, at);
        }
    }
    trace_many_stats(m, &stats);
    cr_assert(at == n && stats.late == o->late, "seed %d, round %" PRIu64, SEED, round);
    trace_many_close(m);
}

Test(runs, of_packets_put_into_order) {
    static struct capture c;
    char path[] = "/tmp/fwdlab-runs.XXXXXX";
    struct random r;
    uint64_t late = 0;
    close(mkstemp(path));
    random_seed(&r, SEED);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t times[IN_FILE];
        struct order o;
        const uint32_t n = make_times(&r, times);
        c.n = 0;
        put_pcap(&c, 0xa1b23c4d, LINKTYPE_ETHERNET);
        for (uint32_t i = 0; i < n; i++)
            put_record(&c, 0, (uint32_t)times[i], 60, 60, (uint8_t[60]){(uint8_t)i});
        FILE *f = fopen(path, "w");
        cr_assert(f && fwrite(c.v, 1, c.n, f) == c.n && !fclose(f));
        by_contract(times, n, &o);
        expect_order(&r, path, n, &o, round);
        late += o.late;
    }
    unlink(path);
    cr_expect(late > 100, "%" PRIu64, late);
}
