/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 4787 REQ-14: fragments in any order. Later ones that come before their first one wait for it; what leaves then is
 * what leaves when they come in order. REQ-14a: fragments that nobody completes are in nobody's way.
 */
#include "wire.h"

#include <fwdlab/base/random.h>
#include <fwdlab/core/checksum.h>
#include <stdlib.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define PARTS 4
#define DATAGRAMS 40

/* Frames that came out, and what became of the others. */
struct yield {
    struct wire *out[256];
    unsigned n, dropped, held;
};

static uint32_t sum_of(const struct packet *p) {
    return checksum_sum(p->data, p->len, 0);
}

static void sort_in(struct wire *w, struct yield *y) {
    if (w->p.verdict == VERDICT_NONE)
        y->out[y->n++] = w;
    else
        wire_free(w);
}

/* One packet through the NAT, then all that is due. in_port says which way; takes the packet. */
static void offer(struct nat *n, struct wire *w, uint16_t in_port, uint64_t now, struct yield *y) {
    w->p.tag = sum_of(&w->p);
    pass(n, w, in_port, in_port == INSIDE ? OUTSIDE : INSIDE, now);
    y->held += w->p.verdict == VERDICT_HELD;
    y->dropped += w->p.verdict == VERDICT_DROP;
    sort_in(w, y);
    for (;;) {
        struct wire *due = calloc(1, sizeof *due);
        due->bytes = malloc(NAT_HELD_BYTES);
        due->p = (struct packet){.data = due->bytes, .room = NAT_HELD_BYTES};
        if (!nat_take_due(n, &due->p)) {
            wire_free(due);
            return;
        }
        cr_assert_eq(due->p.room, NAT_HELD_BYTES - due->p.len);
        cr_assert_eq(due->p.tag, sum_of(&due->p), "bytes and tag are those of the packet that was held");
        parse(&due->p);
        pass(n, due, due->p.in_port, due->p.in_port == INSIDE ? OUTSIDE : INSIDE, now);
        cr_assert_neq(due->p.verdict, VERDICT_HELD, "no packet waits twice");
        y->held--;
        y->dropped += due->p.verdict == VERDICT_DROP;
        sort_in(due, y);
    }
}

static int by_bytes(const void *a, const void *b) {
    const struct packet *p = &(*(struct wire *const *)a)->p, *q = &(*(struct wire *const *)b)->p;
    return p->len != q->len ? (p->len < q->len ? -1 : 1) : memcmp(p->data, q->data, p->len);
}

static void expect_same(struct yield *a, struct yield *b, const char *what, uint64_t seed) {
    cr_assert(a->n == b->n && a->dropped == b->dropped && a->held == b->held,
              "%s %lu: %u out, %u dropped, %u held; in order %u, %u, %u", what, (unsigned long)seed, b->n, b->dropped,
              b->held, a->n, a->dropped, a->held);
    qsort(a->out, a->n, sizeof *a->out, by_bytes);
    qsort(b->out, b->n, sizeof *b->out, by_bytes);
    for (unsigned i = 0; i < a->n; i++)
        cr_assert_eq(by_bytes(&a->out[i], &b->out[i]), 0, "%s %lu: frame %u", what, (unsigned long)seed, i);
}

static void yield_free(struct yield *y) {
    for (unsigned i = 0; i < y->n; i++)
        wire_free(y->out[i]);
    *y = (struct yield){0};
}

/* Which way a datagram goes: out, back in as an answer to another one, in through a port map. */
enum way { OUT, ANSWER, MAPPED, WAYS };

static struct wire *part(enum way way, uint16_t id, uint16_t port, unsigned i) {
    struct spec s = {.proto = PROTO_UDP, .src = way == OUT ? GUEST : WEB, .dst = way == OUT ? WEB : NODE, .id = id,
                     .sport = way == OUT ? port : 53, .dport = way == OUT ? 53 : way == ANSWER ? port : 7007,
                     .payload = i ? 16 : 40, .fragment = (uint16_t)(i ? 4 + 2 * i : 0)};
    if (i + 1 < PARTS)
        s.fragment |= IPV4_MF;
    else
        s.payload = 9;
    if (i)
        s.sport = (uint16_t)(id * PARTS + i); /* tells the bytes of the parts apart */
    return wire_make(&s);
}

static struct nat *holding(enum nat_personality personality) {
    static struct nat_port_map map = {.proto = PROTO_UDP};
    map.outside_port = htons(7007);
    map.inside_addr = addr(GUEST);
    map.inside_port = htons(7);
    struct nat_config config = config_of(personality);
    config.port_maps = &map;
    config.n_port_maps = 1;
    config.hold_fragments = true;
    return nat_create(&config);
}

/* A flow for each datagram that is an answer. */
static void ask(struct nat *n, uint16_t port) {
    expect(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = port, .dport = 53),
           NODE, port, WEB, 53);
}

static struct yield of_order(enum nat_personality personality, enum way way, const unsigned order[PARTS],
                             unsigned early) {
    struct nat *n = holding(personality);
    struct yield y = {0};
    struct nat_stats stats;
    if (way == ANSWER)
        ask(n, 5000);
    for (unsigned i = 0; i < PARTS; i++)
        offer(n, part(way, 9, 5000, order[i]), way == OUT ? INSIDE : OUTSIDE, EPOCH + i, &y);
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.held, early);
    cr_expect_eq(nat_due(n), 0);
    nat_destroy(n);
    return y;
}

BOTH(rfc4787_req_14_every_order) {
    static const unsigned straight[PARTS] = {0, 1, 2, 3};
    for (enum way way = OUT; way < WAYS; way++) {
        struct yield in_order = of_order(personality, way, straight, 0);
        cr_assert_eq(in_order.n, PARTS);
        for (unsigned k = 0; k < PARTS * PARTS * PARTS * PARTS; k++) {
            const unsigned order[PARTS] = {k % 4, k / 4 % 4, k / 16 % 4, k / 64};
            unsigned seen = 0, early = 0;
            for (unsigned i = 0; i < PARTS; i++) {
                early += !(seen & 1) && order[i];
                seen |= 1u << order[i];
            }
            if (seen != 15)
                continue;
            struct yield y = of_order(personality, way, order, early);
            for (unsigned i = 1; i < early; i++) /* they leave after the first one, in their own order */
                cr_expect_eq(ntohs(packet_ipv4(&y.out[i]->p)->fragment) & IPV4_OFFSET, 4 + 2 * order[i - 1]);
            expect_same(&in_order, &y, "order", k);
            yield_free(&y);
        }
        yield_free(&in_order);
    }
}

/* Many datagrams at once, their fragments in any order, one of five never complete. */
static struct yield of_mixture(enum nat_personality personality, uint64_t seed, bool shuffled) {
    struct nat *n = holding(personality);
    struct random r;
    struct yield y = {0};
    unsigned place[DATAGRAMS * PARTS], count = 0;
    random_seed(&r, seed);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        bool incomplete = random_below(&r, 5) == 0;
        ask(n, (uint16_t)(5000 + i));
        for (unsigned k = 0; k < PARTS; k++)
            if (!incomplete || k != 0)
                place[count++] = i * PARTS + k;
    }
    for (unsigned i = count; shuffled && i > 1; i--) {
        unsigned k = (unsigned)random_below(&r, i), last = place[i - 1];
        place[i - 1] = place[k];
        place[k] = last;
    }
    for (unsigned i = 0; i < count; i++) {
        const unsigned d = place[i] / PARTS;
        const enum way way = (enum way)(d % WAYS);
        offer(n, part(way, (uint16_t)(100 + d), (uint16_t)(5000 + d), place[i] % PARTS), way == OUT ? INSIDE : OUTSIDE,
              EPOCH + i, &y);
    }
    nat_destroy(n);
    return y;
}

BOTH(rfc4787_req_14_random_orders) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct yield in_order = of_mixture(personality, seed, false), any = of_mixture(personality, seed, true);
        cr_assert(in_order.n && in_order.held && !in_order.dropped);
        expect_same(&in_order, &any, "seed", seed);
        yield_free(&in_order);
        yield_free(&any);
    }
}

/* A burst may hold them all: the held ones are due after it. */
BOTH(rfc4787_req_14_in_one_burst) {
    struct nat *n = holding(personality);
    struct yield y = {0};
    struct wire *w[PARTS];
    struct packet *p[PARTS];
    for (unsigned i = 0; i < PARTS; i++) {
        w[i] = part(OUT, 9, 5000, PARTS - 1 - i);
        p[i] = &w[i]->p;
        p[i]->in_port = INSIDE;
        p[i]->tag = sum_of(p[i]);
    }
    nat_in(n, p, PARTS, EPOCH);
    for (unsigned i = 0; i < PARTS; i++)
        p[i]->out_port = OUTSIDE;
    nat_out(n, p, PARTS, EPOCH);
    for (unsigned i = 0; i < PARTS; i++) {
        cr_expect_eq(p[i]->verdict, i + 1 < PARTS ? VERDICT_HELD : VERDICT_NONE);
        y.held += p[i]->verdict == VERDICT_HELD;
        sort_in(w[i], &y);
    }
    cr_expect_eq(nat_due(n), PARTS - 1);
    offer(n, wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5001, .dport = 53}),
          INSIDE, EPOCH, &y);
    cr_expect(y.n == PARTS + 1 && y.held == 0 && y.dropped == 0);
    yield_free(&y);
    nat_destroy(n);
}

/* 30 s, and no longer; then they are dropped, and count as what they are. */
BOTH(rfc4787_req_14_waits_for_30_seconds) {
    struct nat *n = holding(personality);
    struct yield y = {0};
    offer(n, part(OUT, 9, 5000, 1), INSIDE, EPOCH, &y);
    offer(n, part(OUT, 10, 5000, 1), INSIDE, EPOCH + 1, &y);
    nat_in(n, NULL, 0, EPOCH + 30 * S);
    cr_expect_eq(nat_due(n), 0);
    offer(n, part(OUT, 10, 5000, 0), INSIDE, EPOCH + 30 * S, &y);
    cr_expect(y.n == 2 && y.held == 1);
    nat_in(n, NULL, 0, EPOCH + 30 * S + 1);
    cr_expect_eq(nat_due(n), 1);
    offer(n, part(OUT, 11, 5000, 0), INSIDE, EPOCH + 30 * S + 1, &y);
    cr_expect(y.n == 3 && y.held == 0 && y.dropped == 1);
    yield_free(&y);
    nat_destroy(n);
}

/* 128 wait; the oldest makes room. 16 of a datagram. */
BOTH(rfc4787_req_14a_bounded) {
    struct nat *n = holding(personality);
    struct yield y = {0};
    for (uint16_t i = 0; i < 130; i++)
        offer(n, part(OUT, (uint16_t)(1000 + i), 5000, 1), INSIDE, EPOCH, &y);
    cr_expect(y.n == 0 && y.held == 128 && y.dropped == 2);
    offer(n, part(OUT, 1001, 5000, 0), INSIDE, EPOCH, &y); /* the second one is gone */
    cr_expect(y.n == 1 && y.held == 128);
    offer(n, part(OUT, 1002, 5000, 0), INSIDE, EPOCH, &y);
    cr_expect(y.n == 3 && y.held == 127);
    nat_reset(n);
    yield_free(&y);
    for (uint16_t i = 0; i < 17; i++)
        offer(n, wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .id = 5, .payload = 8,
                                          .fragment = (uint16_t)(IPV4_MF | (1 + i))}), INSIDE, EPOCH, &y);
    cr_expect(y.n == 0 && y.held == 16 && y.dropped == 1);
    nat_destroy(n);
}

/* Under a flood of fragments that nobody completes: fragments in order and whole packets pass, and order is no matter
 * to who comes after them. */
BOTH(rfc4787_req_14a_flood) {
    struct nat *n = holding(personality);
    struct yield y = {0};
    for (unsigned i = 0; i < 2000; i++) {
        const uint64_t now = EPOCH + i * (S / 1000);
        offer(n, part(i % 2 ? OUT : ANSWER, (uint16_t)(1000 + i), 5000, 1 + i % 3), i % 2 ? INSIDE : OUTSIDE, now, &y);
        if (i % 100)
            continue;
        cr_assert_eq(y.n, i / 100 * 9);
        const uint16_t id = (uint16_t)(i / 100);
        for (unsigned k = 0; k < PARTS; k++)
            offer(n, part(OUT, id, 5000, k), INSIDE, now, &y);
        for (unsigned k = PARTS; k-- > 0;)
            offer(n, part(ANSWER, id, 5000, k), OUTSIDE, now, &y);
        offer(n, wire_make(&(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 6, .dport = 7}),
              INSIDE, now, &y);
        cr_assert_eq(y.n, i / 100 * 9 + 9);
    }
    cr_expect(y.held == 128 && y.dropped == 2000 - 128);
    yield_free(&y);
    nat_destroy(n);
}

/* When the first one is refused, so are they. */
BOTH(rfc4787_req_14_of_a_refused_datagram) {
    struct nat_config config = config_of(personality);
    config.hold_fragments = true;
    config.max_sessions = 1;
    struct nat *n = nat_create(&config);
    struct yield y = {0};
    ask(n, 5000);
    offer(n, part(OUT, 9, 6000, 1), INSIDE, EPOCH, &y);
    cr_expect_eq(y.held, 1);
    offer(n, part(OUT, 9, 6000, 0), INSIDE, EPOCH, &y);
    cr_expect(y.n == 0 && y.held == 0 && y.dropped == 2);
    nat_destroy(n);
}

/* The copy is the frame as it came in, as far as the caller has room; longer ones than the store's are dropped. */
BOTH(held_frames) {
    struct nat *n = holding(personality);
    struct wire *w = part(OUT, 9, 5000, 1);
    w->p.tag = 77;
    w->p.wire_len = 1000;
    pass(n, w, INSIDE, OUTSIDE, EPOCH);
    cr_assert_eq(w->p.verdict, VERDICT_HELD);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .id = 9, .sport = 5000,
                   .dport = 53, .fragment = IPV4_MF, .payload = 40));
    w = part(OUT, 9, 5000, 1);
    uint8_t *data = malloc(30);
    struct packet p = {.data = data, .room = 30};
    cr_assert(nat_take_due(n, &p));
    cr_expect(p.data == data && p.len == 30 && p.room == 0 && p.wire_len == 1000 && p.in_port == INSIDE && p.tag == 77);
    cr_expect_eq(memcmp(p.data, w->bytes, 30), 0);
    cr_expect_eq(p.flags, PACKET_RAW_IP | PACKET_WAITED);
    cr_expect_not(nat_take_due(n, &p));
    wire_free(w);
    free(data);
    expect_drop(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .id = 10, .fragment = 6,
                     .payload = NAT_HELD_BYTES - 19), DROP_NAT_FRAGMENT);
    /* a reset forgets them */
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .id = 11, .fragment = 6,
                   .payload = 8));
    nat_reset(n);
    nat_in(n, NULL, 0, EPOCH + 100 * S);
    cr_expect_eq(nat_due(n), 0);
    nat_destroy(n);
}

/* From inside to a mapped outside end: back inside, with an outside source, in any order. */
Test(rfc4787, req_14_hairpinned) {
    struct nat_config config = config_of(NAT_INTERFACE);
    config.hold_fragments = config.hairpin = true;
    struct nat *n = nat_create(&config);
    const struct spec first = {.proto = PROTO_UDP, .src = "10.0.2.3", .dst = NODE, .id = 9, .sport = 6000,
                               .dport = 5000, .payload = 40, .fragment = IPV4_MF};
    const struct spec later = {.proto = PROTO_UDP, .src = "10.0.2.3", .dst = NODE, .id = 9, .payload = 16,
                               .fragment = 6};
    struct wire *due = wire_make(&later);
    ask(n, 5000);
    struct wire *w = wire_send(n, INSIDE, INSIDE, EPOCH, &later);
    cr_expect_eq(w->p.verdict, VERDICT_HELD);
    wire_free(w);
    expect(wire_send(n, INSIDE, INSIDE, EPOCH, &first), NODE, 6000, GUEST, 5000);
    due->p.room = (uint16_t)due->p.len;
    cr_assert(nat_take_due(n, &due->p));
    parse(&due->p);
    pass(n, due, INSIDE, INSIDE, EPOCH);
    expect(due, NODE, 0, GUEST, 0);
    expect(wire_send(n, INSIDE, INSIDE, EPOCH, &later), NODE, 0, GUEST, 0);
    nat_destroy(n);
}
