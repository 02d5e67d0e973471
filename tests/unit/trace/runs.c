/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that are read in runs (source.h) are those that trace_read gives one by one, whatever stands in the file. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
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
