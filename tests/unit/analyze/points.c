/* SPDX-License-Identifier: BSD-3-Clause */
/* Two capture points with a made-up NAT between, whose every translation is known. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <fwdlab/analyze/points.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>

enum { INSIDE, OUTSIDE };
enum order { SIDE_BY_SIDE, INSIDE_FIRST, OUTSIDE_FIRST, ANYHOW, ORDERS };
#define MS 1000000ull
#define SECOND 1000000000ull
#define EPOCH 1700000000000000000ull

/* What a packet is made of. */
struct spec {
    uint8_t proto, flags, ttl;
    const char *src, *dst;
    uint16_t sport, dport, id; /* ICMP: identifier as sport, type as dport */
    uint32_t seq, ack;
    const void *payload;
    unsigned len;
    bool no_sum, wrong_sum, partial_sum;
};
struct sight {
    uint64_t time_ns;
    uint8_t *ip;
    uint32_t len, present;
};
struct world {
    struct random r;
    uint64_t seed, now; /* true time since EPOCH */
    int64_t ahead;      /* the outside clock */
    double drift;
    uint32_t snaplen[2];
    VEC(struct sight) seen[2];
    struct points_options o;
    struct points *p;
    uint64_t frames[2];
};

static struct world world_make(uint64_t seed) {
    struct world w = {.seed = seed ? seed : (uint64_t)time(NULL), .snaplen = {65535, 65535}};
    w.o = (struct points_options){.inside = "home", .outside = "isp"};
    random_seed(&w.r, w.seed);
    return w;
}

static void world_end(struct world *w) {
    points_destroy(w->p);
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < w->seen[i].n; k++)
            free(w->seen[i].v[k].ip);
        vec_free(&w->seen[i]);
    }
}

static void put16(uint8_t *at, unsigned v) {
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}
static void put32(uint8_t *at, uint32_t v) {
    put16(at, v >> 16);
    put16(at + 2, v & 0xffff);
}

/* The packet as it is seen at a point at true time `at`. */
static void see(struct world *w, unsigned point, uint64_t at, const struct spec *s) {
    unsigned header = s->proto == PROTO_TCP ? 20 : 8, total = 20 + header + s->len;
    uint8_t *ip = xzalloc(1, total), *l4 = ip + 20;
    be32 src, dst;
    inet_pton(AF_INET, s->src, &src);
    inet_pton(AF_INET, s->dst, &dst);
    ip[0] = 0x45;
    put16(ip + 2, total);
    put16(ip + 4, s->id);
    ip[8] = s->ttl;
    ip[9] = s->proto;
    memcpy(ip + 12, &src, 4);
    memcpy(ip + 16, &dst, 4);
    be16 sum = checksum_fold(checksum_sum(ip, 20, 0));
    memcpy(ip + 10, &sum, 2);
    if (s->len)
        memcpy(l4 + header, s->payload, s->len);
    if (s->proto == PROTO_ICMP) {
        l4[0] = (uint8_t)s->dport;
        put16(l4 + 4, s->sport);
        put16(l4 + 6, s->seq);
        sum = checksum_fold(checksum_sum(l4, header + s->len, 0));
        memcpy(l4 + 2, &sum, 2);
    } else {
        put16(l4, s->sport);
        put16(l4 + 2, s->dport);
        if (s->proto == PROTO_TCP) {
            put32(l4 + 4, s->seq);
            put32(l4 + 8, s->ack);
            l4[12] = 5 << 4;
            l4[13] = s->flags;
            put16(l4 + 14, 1000);
        } else {
            put16(l4 + 4, header + s->len);
        }
        sum = s->no_sum ? 0 : checksum_l4_ipv4(src, dst, s->proto, l4, header + s->len);
        sum = s->proto == PROTO_UDP && !s->no_sum && !sum ? 0xffff : sum; /* RFC 768 */
        sum ^= s->wrong_sum ? 0x5a5a : 0;
        if (s->partial_sum) /* the card was to add the rest */
            sum = ~checksum_fold(checksum_sum(ip + 12, 8, htons(s->proto) + htons((uint16_t)(header + s->len))));
        memcpy(l4 + (s->proto == PROTO_TCP ? 16 : 6), &sum, 2);
    }
    uint32_t present = total < w->snaplen[point] ? total : w->snaplen[point];
    uint64_t clock = point == OUTSIDE ? at + (uint64_t)w->ahead + (uint64_t)(int64_t)((double)at * w->drift) : at;
    vec_push(&w->seen[point], ((struct sight){EPOCH + clock, xrealloc(ip, present, 1), total, present}));
}

/* It crosses outwards (`there`: as it leaves) or inwards (`there`: as it arrived outside). */
static void cross(struct world *w, bool out, const struct spec *inner, const struct spec *outer) {
    uint64_t delay = 200000 + random_below(&w->r, 300000);
    see(w, out ? INSIDE : OUTSIDE, w->now, out ? inner : outer);
    see(w, out ? OUTSIDE : INSIDE, w->now + delay, out ? outer : inner);
}

static int by_time(const void *a, const void *b) {
    const struct sight *x = a, *y = b;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

static void feed(struct world *w, unsigned point, const struct sight *s) {
    struct packet p = {.data = s->ip, .len = s->present, .wire_len = s->len,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    parse(&p);
    struct point_packet q = {.time_ns = s->time_ns, .frame = ++w->frames[point], .wire_len = s->len, .ip = s->ip,
                             .len = s->present, .l4 = p.l4, .flags = p.flags};
    packet_key(&p, &q.key);
    if (p.verdict != VERDICT_DROP)
        points_see(w->p, point, &q);
}

static json_t *run(struct world *w, enum order order) {
    size_t at[2] = {0};
    w->p = points_create(&w->o);
    for (unsigned i = 0; i < 2; i++)
        if (w->seen[i].n)
            qsort(w->seen[i].v, w->seen[i].n, sizeof *w->seen[i].v, by_time);
    while (at[0] < w->seen[0].n || at[1] < w->seen[1].n) {
        unsigned point = order == INSIDE_FIRST    ? at[0] == w->seen[0].n
                         : order == OUTSIDE_FIRST ? at[1] < w->seen[1].n
                         : order == ANYHOW        ? random_below(&w->r, 2)
                                                  : at[0] * w->seen[1].n > at[1] * w->seen[0].n;
        point = at[point] < w->seen[point].n ? point : !point;
        feed(w, point, &w->seen[point].v[at[point]++]);
    }
    points_finish(w->p);
    return points_json(w->p);
}

static json_int_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}
static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
/* Flows of findings with a verdict (NULL: any). */
static json_int_t found(const json_t *doc, const char *verdict) {
    json_int_t n = 0;
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(doc, "findings"), i, f)
        n += !verdict || !strcmp(text(f, "verdict"), verdict) ? number(f, "count") : 0;
    return n;
}
static const json_t *finding(const json_t *doc, const char *verdict) {
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(doc, "findings"), i, f)
        if (!strcmp(text(f, "verdict"), verdict))
            return f;
    return NULL;
}
static const json_t *pair(const json_t *doc, const char *inside, const char *outside, const char *remote) {
    size_t i;
    json_t *q;
    json_array_foreach(json_object_get(doc, "pairs"), i, q)
        if (!strcmp(text(q, "inside"), inside) && !strcmp(text(q, "outside"), outside) &&
            (!remote || !strcmp(text(q, "remote"), remote)))
            return q;
    return NULL;
}
#define expect_nobody(w, doc)                                                                                          \
    cr_expect_eq(found(doc, NULL), 0, "seed %llu: %s", (unsigned long long)(w)->seed,                                  \
                 json_dumps(json_object_get(doc, "findings"), 0))

/* ---- flows ---- */

struct flow {
    uint8_t proto;
    char in[20], out[20], remote[20];
    uint16_t iport, oport, rport;
    uint32_t seq, ack;
};

static struct flow flow_make(struct world *w, uint8_t proto, const char *in, const char *out, const char *remote) {
    struct flow f = {.proto = proto, .iport = (uint16_t)(1024 + random_below(&w->r, 60000)),
                     .oport = (uint16_t)(1024 + random_below(&w->r, 60000)), .seq = (uint32_t)random_u64(&w->r),
                     .ack = (uint32_t)random_u64(&w->r), .rport = proto == PROTO_TCP ? 443 : 53};
    snprintf(f.in, sizeof f.in, "%s", in);
    snprintf(f.out, sizeof f.out, "%s", out);
    snprintf(f.remote, sizeof f.remote, "%s", remote);
    return f;
}

enum { OUT = 1, LOST = 2, NO_SUM = 4, WRONG_INSIDE = 8, STAYS = 16, FIXED = 32, SHIFTED = 64, PARTIAL = 128 };

/* One packet of a flow: out or in; `STAYS`: only where it is sent, `SHIFTED`: an ALG moved its sequence number. */
static void packet(struct world *w, struct flow *f, unsigned how, uint8_t flags) {
    uint8_t data[64];
    bool out = how & OUT, icmp = f->proto == PROTO_ICMP;
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = how & FIXED ? 7 : (uint8_t)random_u64(&w->r);
    unsigned len = flags & TCP_SYN ? 0 : how & FIXED ? 20 : random_below(&w->r, sizeof data);
    struct spec i = {.proto = f->proto, .flags = flags, .ttl = 64, .src = f->in, .dst = f->remote, .sport = f->iport,
                     .dport = f->rport, .seq = f->seq, .ack = f->ack, .payload = data, .len = len,
                     .id = how & FIXED || f->proto == PROTO_TCP ? 0 : (uint16_t)random_u64(&w->r),
                     .no_sum = how & NO_SUM, .partial_sum = how & PARTIAL};
    struct spec o = i;
    o.src = f->out;
    o.sport = f->oport;
    o.seq += how & SHIFTED ? 17 : 0;
    if (icmp)
        i.dport = o.dport = out ? ICMP_ECHO : ICMP_ECHO_REPLY;
    if (!out) {
        i.src = o.src = f->remote;
        i.dst = f->in;
        o.dst = f->out;
        if (!icmp) {
            i.sport = o.sport = f->rport;
            i.dport = f->iport;
            o.dport = f->oport;
        }
        uint32_t seq = i.seq;
        i.seq = i.ack;
        i.ack = seq;
        o.seq = o.ack;
        o.ack = seq;
        f->ack += len;
    } else {
        f->seq += len ? len : 1;
    }
    *(out ? &o.ttl : &i.ttl) -= 1;
    i.wrong_sum = how & WRONG_INSIDE;
    w->now += 1 + random_below(&w->r, 3 * MS);
    if (how & STAYS)
        see(w, out ? INSIDE : OUTSIDE, w->now, out ? &i : &o);
    else
        cross(w, out, &i, &o);
}

static void talk(struct world *w, struct flow *f, unsigned rounds, unsigned how) {
    packet(w, f, OUT | how, f->proto == PROTO_TCP ? TCP_SYN : 0);
    packet(w, f, how, TCP_SYN | TCP_ACK);
    for (unsigned i = 0; i < rounds; i++) {
        packet(w, f, OUT | how, TCP_ACK);
        packet(w, f, how, TCP_ACK);
    }
}

static void name(char *buf, const char *addr, unsigned port) {
    sprintf(buf, "%s:%u", addr, port);
}

static const json_t *pair_of(const json_t *doc, const struct flow *f) {
    char in[32], out[32], remote[32];
    name(in, f->in, f->iport);
    name(out, f->out, f->oport);
    name(remote, f->remote, f->rport);
    if (f->proto == PROTO_ICMP)
        strcpy(remote, f->remote);
    return pair(doc, in, out, remote);
}

#define POOL "203.0.113.1"

static void any_flows(struct world *w, struct flow *flows, unsigned n, unsigned rounds) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
    for (unsigned i = 0; i < n; i++) {
        char in[20], remote[20];
        sprintf(in, "192.168.1.%u", 2 + random_below(&w->r, 50));
        sprintf(remote, "8.8.%u.%u", random_below(&w->r, 4), 1 + random_below(&w->r, 200));
        flows[i] = flow_make(w, protos[random_below(&w->r, 3)], in, POOL, remote);
        talk(w, &flows[i], rounds, 0);
    }
}

/* ---- joining ---- */

Test(points, random_flows_at_any_clock_in_any_order) {
    for (unsigned order = 0; order < ORDERS; order++) {
        struct world w = world_make((uint64_t)time(NULL) * ORDERS + order);
        struct flow flows[100];
        w.ahead = (int64_t)(random_u64(&w.r) % (4 * 3600 * SECOND)) - (int64_t)(2 * 3600 * SECOND);
        w.drift = (random_unit(&w.r) - 0.5) * 200e-6;
        any_flows(&w, flows, 50, 10);
        w.now += 1200 * SECOND;
        any_flows(&w, flows + 50, 50, 10);
        json_t *doc = run(&w, order);
        json_int_t n = (json_int_t)w.seen[INSIDE].n;
        cr_expect_eq(number(doc, "joined"), n, "seed %llu order %u: %lld of %lld", (unsigned long long)w.seed, order,
                     number(doc, "joined"), n);
        cr_expect_eq(number(doc, "proved"), n, "seed %llu order %u: %lld of %lld", (unsigned long long)w.seed, order,
                     number(doc, "proved"), n);
        cr_expect_eq(json_array_size(json_object_get(doc, "pairs")), 100u);
        for (unsigned i = 0; i < 100; i++)
            cr_expect_eq(number(pair_of(doc, &flows[i]), "packets"), 22, "seed %llu: flow %u",
                         (unsigned long long)w.seed, i);
        int64_t offset, error;
        uint64_t width;
        cr_expect(points_offset(w.p, &offset, &width));
        error = offset - w.ahead; /* at the first of the samples, which may be a thousandth of the drift later */
        cr_expect_lt((uint64_t)llabs(error), width + 200 * MS, "seed %llu: %lld off, %llu wide",
                     (unsigned long long)w.seed, (long long)error, (unsigned long long)width);
        cr_expect_lt(width, 2 * MS);
        expect_nobody(&w, doc);
        json_decref(doc);
        world_end(&w);
    }
}

Test(points, nothing_is_translated_by_a_router) {
    struct world w = world_make(0);
    for (unsigned i = 0; i < 40; i++) {
        struct flow f = flow_make(&w, i & 1 ? PROTO_UDP : PROTO_TCP, "192.168.1.2", "192.168.1.2", "8.8.8.8");
        f.oport = f.iport;
        talk(&w, &f, 4, 0);
    }
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(number(doc, "only_inside"), 0);
    cr_expect_eq(number(doc, "proved"), 400);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

/* What no checksum proves follows a proved flow, and makes none. */
Test(points, without_a_checksum) {
    struct world w = world_make(0);
    struct flow a = flow_make(&w, PROTO_UDP, "10.0.0.1", POOL, "8.8.8.8"), b = a, c = a;
    a.iport = 1;
    b.iport = 2;
    c.iport = 3;
    b.oport++;
    c.oport += 2;
    talk(&w, &a, 10, 0);
    for (unsigned i = 0; i < 10; i++) {
        packet(&w, &a, OUT | WRONG_INSIDE, 0);
        packet(&w, &b, OUT | WRONG_INSIDE, 0);
        packet(&w, &c, OUT | NO_SUM, 0);
    }
    json_t *doc = run(&w, ANYHOW);
    cr_expect_eq(number(pair_of(doc, &a), "packets"), 32);
    cr_expect_eq(number(pair_of(doc, &a), "proved"), 22);
    cr_expect_null(pair_of(doc, &b));
    cr_expect_eq(number(pair_of(doc, &c), "proved"), 0);
    cr_expect_eq(number(doc, "only_inside"), 10);
    json_decref(doc);
    world_end(&w);
}

/* Captured on machines whose cards make the checksums: names are found, nothing is proved, nobody is accused. */
Test(points, offloaded_checksums) {
    struct world w = world_make(0);
    for (unsigned i = 0; i < 40; i++) {
        const char *out = i % 5 ? POOL : "192.168.1.2";
        struct flow f = flow_make(&w, i & 1 ? PROTO_UDP : PROTO_TCP, "192.168.1.2", out, "8.8.8.8");
        f.iport = (uint16_t)(2000 + i);
        f.oport = i % 5 ? (uint16_t)(3000 + i) : f.iport;
        talk(&w, &f, 4, PARTIAL);
    }
    json_t *doc = run(&w, ANYHOW);
    cr_expect_eq(number(doc, "joined"), 400);
    cr_expect_eq(number(doc, "proved"), 0);
    cr_expect_eq(json_array_size(json_object_get(doc, "pairs")), 40u);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

Test(points, an_alg_moves_sequence_numbers) {
    struct world w = world_make(0);
    struct flow f = flow_make(&w, PROTO_TCP, "10.0.0.1", POOL, "8.8.8.8");
    talk(&w, &f, 5, 0);
    for (unsigned i = 0; i < 5; i++)
        packet(&w, &f, OUT | SHIFTED, TCP_ACK);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(number(pair_of(doc, &f), "packets"), 17);
    cr_expect_eq(number(pair_of(doc, &f), "proved"), 12);
    json_decref(doc);
    world_end(&w);
}

/* The same payload from many at once: none is taken for another, and none is accused. */
Test(points, equal_packets_of_many_are_not_confused) {
    struct world w = world_make(0);
    struct flow flows[30];
    for (unsigned i = 0; i < 30; i++) {
        char in[20];
        sprintf(in, "10.0.0.%u", i + 1);
        flows[i] = flow_make(&w, PROTO_UDP, in, POOL, "8.8.8.8");
    }
    for (unsigned k = 0; k < 50; k++)
        for (unsigned i = 0; i < 30; i++)
            packet(&w, &flows[(i * 7 + k) % 30], OUT | FIXED, 0);
    for (unsigned i = 0; i < 30; i += 2)
        packet(&w, &flows[i], OUT, 0);
    json_t *doc = run(&w, ANYHOW);
    size_t i;
    json_t *q;
    json_array_foreach(json_object_get(doc, "pairs"), i, q) {
        bool true_one = false;
        for (unsigned k = 0; k < 30; k++)
            true_one |= pair_of(doc, &flows[k]) == q;
        cr_expect(true_one, "seed %llu: %s", (unsigned long long)w.seed, json_dumps(q, 0));
    }
    for (unsigned k = 0; k < 30; k += 2)
        cr_expect_eq(number(pair_of(doc, &flows[k]), "packets"), 51, "seed %llu: %lld", (unsigned long long)w.seed,
                     number(pair_of(doc, &flows[k]), "packets"));
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

/* Repeated in one flow: as many as both have, in their order. */
Test(points, repeated_packets_join_one_to_one) {
    struct world w = world_make(0);
    struct flow other = flow_make(&w, PROTO_TCP, "10.0.0.2", POOL, "8.8.8.8");
    struct flow f = flow_make(&w, PROTO_UDP, "10.0.0.1", POOL, "8.8.8.8");
    talk(&w, &other, 20, 0);
    packet(&w, &f, OUT | FIXED | STAYS, 0);
    w.now += SECOND / 2;
    packet(&w, &f, OUT | FIXED, 0);
    for (unsigned i = 0; i < 20; i++)
        packet(&w, &f, OUT | FIXED, 0);
    talk(&w, &other, 20, 0);
    json_t *doc = run(&w, INSIDE_FIRST);
    const json_t *q = pair_of(doc, &f), *frames = json_object_get(q, "frames");
    cr_expect_eq(number(q, "packets"), 21);
    cr_expect_eq(number(doc, "only_inside"), 1);
    cr_expect_eq(json_integer_value(json_array_get(frames, 0)), 44); /* the one that stayed inside is frame 43 */
    cr_expect_eq(json_integer_value(json_array_get(frames, 1)), 43);
    json_decref(doc);
    world_end(&w);
}

Test(points, truncated_to_any_length) {
    for (uint32_t snap = 20; snap < 80; snap++) {
        struct world w = world_make(snap);
        struct flow flows[20];
        w.snaplen[snap & 1] = snap;
        any_flows(&w, flows, 20, 5);
        json_t *doc = run(&w, SIDE_BY_SIDE);
        if (snap >= 64) /* all headers, and enough of the payload */
            cr_expect_eq(number(doc, "proved"), 240, "%u: %lld", snap, number(doc, "proved"));
        cr_expect_leq(json_array_size(json_object_get(doc, "pairs")), 20u);
        expect_nobody(&w, doc);
        json_decref(doc);
        world_end(&w);
    }
}

/* Any bytes behind an IP header, in a buffer that ends where they end. */
Test(points, damaged_packets_do_no_harm) {
    struct world w = world_make(0);
    struct flow flows[200];
    any_flows(&w, flows, 200, 5);
    for (unsigned point = 0; point < 2; point++)
        for (size_t i = 0; i < w.seen[point].n; i++) {
            struct sight *s = &w.seen[point].v[i];
            for (unsigned n = random_below(&w.r, 4); n; n--)
                s->ip[random_below(&w.r, s->present)] ^= (uint8_t)random_u64(&w.r);
            s->present -= random_below(&w.r, 2) ? random_below(&w.r, s->present) : 0;
            s->ip = xrealloc(s->ip, s->present, 1);
        }
    json_t *doc = run(&w, ANYHOW);
    cr_expect_gt(number(doc, "joined"), 200);
    json_decref(doc);
    world_end(&w);
}

Test(points, bounded_memory_forgets_and_says_so) {
    struct world w = world_make(0);
    struct flow *flows = xzalloc(3000, sizeof *flows);
    w.o.max_flows = 100;
    any_flows(&w, flows, 3000, 1);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_leq(json_array_size(json_object_get(doc, "pairs")), 100u);
    cr_expect_gt(number(doc, "forgotten"), 2000);
    cr_expect_gt(number(doc, "proved"), 8000);
    expect_nobody(&w, doc);
    json_decref(doc);
    free(flows);
    world_end(&w);
}

/* An error about a translated flow is counted to it. */
Test(points, icmp_errors_belong_to_the_flow_they_quote) {
    struct world w = world_make(0);
    struct flow f = flow_make(&w, PROTO_UDP, "10.0.0.1", POOL, "8.8.8.8");
    uint8_t in[28] = {0x45, [3] = 40, [8] = 60, [9] = PROTO_UDP, [26] = 1, [27] = 2}, out[28];
    be32 a, b, c;
    inet_pton(AF_INET, f.in, &a);
    inet_pton(AF_INET, f.remote, &b);
    inet_pton(AF_INET, f.out, &c);
    memcpy(in + 12, &a, 4);
    memcpy(in + 16, &b, 4);
    put16(in + 20, f.iport);
    put16(in + 22, f.rport);
    memcpy(out, in, sizeof in);
    memcpy(out + 12, &c, 4);
    put16(out + 20, f.oport);
    put16(out + 26, 0x777); /* its checksum, and the header's, are others, too */
    put16(out + 10, 0x1234);
    talk(&w, &f, 5, 0);
    struct spec i = {.proto = PROTO_ICMP, .ttl = 50, .src = "9.9.9.9", .dst = f.in, .dport = ICMP_UNREACHABLE,
                     .payload = in, .len = sizeof in}, o = i;
    o.dst = f.out;
    o.payload = out;
    o.ttl = 51;
    w.now += MS;
    cross(&w, false, &i, &o);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(number(pair_of(doc, &f), "packets"), 13);
    cr_expect_eq(number(pair_of(doc, &f), "proved"), 13);
    cr_expect_eq(number(doc, "only_outside"), 0);
    json_decref(doc);
    world_end(&w);
}

/* ---- verdicts ---- */

Test(points, a_flow_that_bypasses_the_nat) {
    struct world w = world_make(0);
    struct flow flows[20];
    any_flows(&w, flows, 20, 5);
    struct flow f = flow_make(&w, PROTO_UDP, "192.168.1.9", "192.168.1.9", "8.8.4.4"), site = f;
    f.oport = f.iport;
    talk(&w, &f, 3, 0);
    strcpy(site.remote, "10.20.0.1"); /* another site: private, and nobody is translated towards it */
    site.oport = site.iport;
    talk(&w, &site, 3, 0);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(found(doc, "nat_bypass"), 1);
    cr_expect_eq(found(doc, NULL), 1);
    cr_expect_str_eq(text(pair_of(doc, &f), "verdict"), "nat_bypass");
    cr_expect_str_eq(text(json_object_get(finding(doc, "nat_bypass"), "flow"), "src"), "192.168.1.9");
    json_decref(doc);
    world_end(&w);
}

Test(points, public_sources_and_dmz_are_no_bypass) {
    struct world w = world_make(0);
    struct flow flows[20];
    any_flows(&w, flows, 20, 5);
    struct flow own = flow_make(&w, PROTO_UDP, "198.51.100.7", "198.51.100.7", "8.8.4.4");
    struct flow net = flow_make(&w, PROTO_UDP, "192.168.77.7", "192.168.77.7", "8.8.4.4");
    own.oport = own.iport;
    net.oport = net.iport; /* none of its network is translated */
    talk(&w, &own, 3, 0);
    talk(&w, &net, 3, 0);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

Test(points, an_address_that_is_not_of_the_pool) {
    struct world w = world_make(0);
    struct flow flows[20];
    struct ip_prefix pool;
    prefix_parse(POOL "/32", &pool);
    w.o.pool = &pool;
    w.o.n_pool = 1;
    any_flows(&w, flows, 20, 5);
    struct flow f = flow_make(&w, PROTO_TCP, "192.168.1.9", "203.0.113.99", "8.8.4.4");
    talk(&w, &f, 3, 0);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(found(doc, "wrong_nat"), 1);
    cr_expect_eq(found(doc, NULL), 1);
    cr_expect_str_eq(text(pair_of(doc, &f), "verdict"), "wrong_nat");
    json_decref(doc);
    world_end(&w);
}

/* Learned: only who usually has the usual address is accused of another. */
Test(points, an_address_that_nobody_else_has) {
    struct world w = world_make(0);
    struct flow flows[300];
    any_flows(&w, flows, 150, 1);
    struct flow f = flow_make(&w, PROTO_TCP, flows[0].in, "203.0.113.99", flows[1].remote);
    struct flow server = flow_make(&w, PROTO_TCP, "192.168.1.250", "203.0.113.50", flows[1].remote);
    struct flow partner = flow_make(&w, PROTO_TCP, flows[0].in, "203.0.113.60", "5.5.5.5");
    talk(&w, &f, 3, 0);
    talk(&w, &server, 3, 0);
    talk(&w, &partner, 3, 0);
    any_flows(&w, flows + 150, 150, 1);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(found(doc, NULL), 1, "seed %llu", (unsigned long long)w.seed);
    cr_expect_str_eq(text(pair_of(doc, &f), "verdict"), "wrong_nat");
    json_decref(doc);
    world_end(&w);
}

Test(points, several_outside_addresses_are_no_wrong_ones) {
    struct world w = world_make(0);
    for (unsigned i = 0; i < 300; i++) {
        char in[20], out[20];
        sprintf(in, "192.168.1.%u", 2 + i % 50);
        sprintf(out, "203.0.113.%u", 1 + random_below(&w.r, 4));
        struct flow f = flow_make(&w, PROTO_TCP, in, out, "8.8.8.8");
        talk(&w, &f, 1, 0);
    }
    json_t *doc = run(&w, SIDE_BY_SIDE);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

Test(points, two_flows_share_one_outside_end) {
    struct world w = world_make(0);
    struct flow flows[20];
    any_flows(&w, flows, 20, 5);
    struct flow a = flow_make(&w, PROTO_UDP, "192.168.1.9", POOL, "8.8.4.4"), b = a;
    strcpy(b.in, "192.168.1.10");
    for (unsigned i = 0; i < 5; i++) {
        packet(&w, &a, OUT, 0);
        packet(&w, &b, OUT, 0);
    }
    json_t *doc = run(&w, ANYHOW);
    cr_expect_eq(found(doc, "double_mapping"), 2);
    cr_expect_eq(found(doc, NULL), 2);
    cr_expect_str_eq(text(pair_of(doc, &a), "verdict"), "double_mapping");
    cr_expect_str_eq(text(pair_of(doc, &b), "verdict"), "double_mapping");
    json_decref(doc);
    world_end(&w);
}

/* One after the other, and back again after a pause: a port that was free again. */
Test(points, a_port_used_again_is_no_double_mapping) {
    struct world w = world_make(0);
    struct flow a = flow_make(&w, PROTO_UDP, "192.168.1.9", POOL, "8.8.4.4"), b = a;
    strcpy(b.in, "192.168.1.10");
    for (unsigned i = 0; i < 5; i++) {
        talk(&w, &a, 3, 0);
        w.now += 40 * SECOND;
        talk(&w, &b, 3, 0);
        w.now += 40 * SECOND;
    }
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(number(pair_of(doc, &a), "packets"), 40);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

/* Each inside end has one outside end for all destinations; or keeps its port, as Linux does, where it can. */
static json_t *two_outsides(struct world *w, bool keeps, struct flow *odd) {
    for (unsigned i = 0; i < 150; i++) {
        char in[20];
        sprintf(in, "192.168.1.%u", 2 + i % 50);
        struct flow a = flow_make(w, PROTO_UDP, in, POOL, "8.8.8.8"), b = a;
        if (keeps)
            a.oport = b.oport = a.iport;
        strcpy(b.remote, "9.9.9.9");
        *odd = b;
        odd->oport += 7;
        talk(w, &a, 2, 0);
        talk(w, i < 149 ? &b : odd, 2, 0);
        talk(w, &a, 2, 0);
        talk(w, i < 149 ? &b : odd, 2, 0);
    }
    return run(w, SIDE_BY_SIDE);
}

Test(points, one_inside_end_with_two_outside_ends) {
    struct world w = world_make(0);
    struct flow odd;
    json_t *doc = two_outsides(&w, false, &odd);
    cr_expect_eq(found(doc, NULL), 1, "seed %llu: %s", (unsigned long long)w.seed,
                 json_dumps(json_object_get(doc, "findings"), 0));
    cr_expect_str_eq(text(pair_of(doc, &odd), "verdict"), "double_mapping");
    json_decref(doc);
    world_end(&w);
    w = world_make(0);
    doc = two_outsides(&w, true, &odd);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

Test(points, filtered_on_the_way_in) {
    struct world w = world_make(0);
    struct flow flows[40];
    any_flows(&w, flows, 20, 5);
    struct flow f = flow_make(&w, PROTO_UDP, "192.168.1.9", POOL, "8.8.4.4"), stranger = f, dead = f;
    strcpy(stranger.remote, "9.9.9.9");
    dead.oport++; /* there is no such mapping */
    for (unsigned i = 0; i < 5; i++) {
        packet(&w, &f, OUT, 0);
        packet(&w, &f, 0, 0);
        packet(&w, &stranger, STAYS, 0);
        packet(&w, &dead, STAYS, 0);
    }
    any_flows(&w, flows + 20, 20, 5);
    json_t *doc = run(&w, ANYHOW);
    cr_expect_eq(found(doc, "nat_filtered"), 1, "seed %llu", (unsigned long long)w.seed);
    cr_expect_eq(found(doc, NULL), 1);
    cr_expect_str_eq(text(json_object_get(finding(doc, "nat_filtered"), "flow"), "src"), "9.9.9.9");
    json_decref(doc);
    world_end(&w);
}

/* A sampled capture, one that ended sooner, and losses do not mean that the NAT filters. */
Test(points, what_the_inside_point_missed_is_not_filtered) {
    struct world w = world_make(0);
    struct flow flows[60];
    any_flows(&w, flows, 60, 10);
    size_t kept = 0;
    for (size_t i = 0; i < w.seen[INSIDE].n; i++)
        if (i < 200 || (random_below(&w.r, 10) == 0 && i < w.seen[INSIDE].n * 2 / 3))
            w.seen[INSIDE].v[kept++] = w.seen[INSIDE].v[i];
        else
            free(w.seen[INSIDE].v[i].ip);
    w.seen[INSIDE].n = kept;
    json_t *doc = run(&w, SIDE_BY_SIDE);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

/* `ports` outside ones; what comes then is left inside. */
static void exhaust(struct world *w, unsigned ports, unsigned more, unsigned lost) {
    struct flow old[16];
    for (unsigned i = 0; i < ports; i++) {
        old[i] = flow_make(w, PROTO_TCP, "192.168.1.201", POOL, "8.8.8.8");
        old[i].oport = (uint16_t)(5000 + i);
        talk(w, &old[i], 3, 0);
    }
    for (unsigned i = 0; i < more; i++) {
        struct flow f = flow_make(w, PROTO_TCP, "192.168.1.200", POOL, "8.8.8.8");
        f.iport = (uint16_t)(40000 + i);
        f.oport = (uint16_t)(6000 + i);
        packet(w, &f, OUT | (i < lost ? STAYS : 0), TCP_SYN);
        w->now += SECOND / 4;
        packet(w, &f, OUT | (i < lost ? STAYS : 0), TCP_SYN);
        packet(w, &old[i % ports], OUT, TCP_ACK);
        packet(w, &old[i % ports], 0, TCP_ACK);
    }
}

Test(points, ports_run_out) {
    struct world w = world_make(0);
    exhaust(&w, 8, 12, 12);
    w.now += SECOND;
    struct flow f = flow_make(&w, PROTO_UDP, "192.168.1.9", POOL, "8.8.8.8");
    talk(&w, &f, 2, 0);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(found(doc, "port_exhausted"), 12, "seed %llu", (unsigned long long)w.seed);
    cr_expect_eq(found(doc, NULL), 12);
    cr_expect_not_null(strstr(text(finding(doc, "port_exhausted"), "text"), "8 outside ports"));
    json_decref(doc);
    world_end(&w);
}

/* One customer's ports run out, those of others do not. */
Test(points, ports_of_one_pool_run_out) {
    struct world w = world_make(0);
    struct flow flows[40];
    for (unsigned i = 0; i < 2; i++) {
        struct flow f = flow_make(&w, PROTO_TCP, "192.168.1.200", "203.0.113.77", "8.8.8.8");
        f.oport = (uint16_t)(7000 + i);
        talk(&w, &f, 3, 0);
        flows[i] = f;
    }
    exhaust(&w, 8, 12, 12);
    for (unsigned i = 0; i < 2; i++)
        packet(&w, &flows[i], OUT, TCP_ACK);
    any_flows(&w, flows, 40, 2);
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_eq(found(doc, "port_exhausted"), 12, "seed %llu", (unsigned long long)w.seed);
    cr_expect_not_null(strstr(text(finding(doc, "port_exhausted"), "text"), "2 outside ports"));
    json_decref(doc);
    world_end(&w);
}

/* Flows that are lost while others begin; and flows to what the NAT never serves. */
Test(points, losses_and_blocked_flows_are_no_exhaustion) {
    struct world w = world_make(0);
    exhaust(&w, 8, 12, 6);
    for (unsigned i = 0; i < 6; i++) {
        struct flow f = flow_make(&w, PROTO_TCP, "192.168.1.9", POOL, "192.168.1.1");
        packet(&w, &f, OUT | STAYS, TCP_SYN);
        f = flow_make(&w, PROTO_TCP, "192.168.1.9", POOL, "8.8.9.9");
        f.rport = 25;
        packet(&w, &f, OUT | STAYS, TCP_SYN);
        f = flow_make(&w, PROTO_TCP, "192.168.1.9", POOL, "8.8.8.8");
        talk(&w, &f, 1, 0);
    }
    json_t *doc = run(&w, SIDE_BY_SIDE);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}

/* Two captures with nothing in common join nothing and accuse nobody. */
Test(points, nothing_in_common) {
    struct world w = world_make(0);
    struct flow flows[40];
    any_flows(&w, flows, 40, 5);
    for (unsigned point = 0; point < 2; point++) {
        size_t kept = 0, n = w.seen[point].n;
        for (size_t i = 0; i < n; i++)
            if ((i < n / 2) == (point == INSIDE))
                w.seen[point].v[kept++] = w.seen[point].v[i];
            else
                free(w.seen[point].v[i].ip);
        w.seen[point].n = kept;
    }
    json_t *doc = run(&w, SIDE_BY_SIDE);
    cr_expect_leq(number(doc, "joined"), 2);
    expect_nobody(&w, doc);
    json_decref(doc);
    world_end(&w);
}
