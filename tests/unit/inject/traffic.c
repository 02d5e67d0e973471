/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic: its packets, sizes, copies and generations. */
#include "steps.h"
#include <errno.h>
#include <math.h>

TestSuite(traffic, .timeout = 120);

/* One lap after the other, every step's bytes in a buffer of their exact size. */
static void walk(const struct traffic *t, unsigned laps,
                 void (*look)(const struct traffic *, const struct traffic_step *, struct packet *, void *),
                 void *arg) {
    struct traffic_cursor c;
    struct traffic_step s;
    traffic_begin(&c, t);
    for (traffic_next(&c, &s); s.lap < laps; traffic_next(&c, &s)) {
        uint8_t *exact = malloc(t->packets[s.packet].len);
        traffic_write(t, &s, exact);
        struct packet p = step_packet(t, &s, exact);
        parse(&p);
        look(t, &s, &p, arg);
        free(exact);
    }
}

static void expect_good(const struct traffic *t, const struct traffic_step *s, struct packet *p, void *arg) {
    (void)arg;
    cr_assert_neq(p->verdict, VERDICT_DROP, "frame %lu copy %u lap %lu: %s", t->packets[s->packet].frame,
                  s->copy, s->lap, drop_name(p->reason));
    cr_assert(ip_sum_right(p), "frame %lu copy %u lap %lu", t->packets[s->packet].frame, s->copy, s->lap);
    cr_assert(l4_sum_right(p), "frame %lu copy %u lap %lu", t->packets[s->packet].frame, s->copy, s->lap);
}

Test(traffic, as_captured) {
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        struct traffic *t = traffic_of(&b, &(struct traffic_options){0});
        uint64_t bytes = 0;
        uint32_t i = 0;
        cr_assert_eq(t->n, b.in->arrived);
        for (uint32_t k = 0; k < b.in->n; k++) {
            const struct inject_packet *from = &b.in->packets[k];
            if (from->kind != INJECT_ARRIVED)
                continue;
            const struct traffic_packet *p = &t->packets[i++];
            cr_assert(p->frame == from->raw->frame && p->len == from->raw->len && p->wire_len == from->raw->wire_len);
            cr_assert(!memcmp(p->data, from->raw->data, p->len) && p->in_port == from->port);
            cr_assert_eq(p->answer, from->answer != INJECT_NONE);
            cr_assert(from->after == INJECT_NONE ? p->after == INJECT_NONE
                                                 : t->packets[p->after].frame == b.in->packets[from->after].raw->frame);
            cr_assert(p->after == INJECT_NONE || p->flow == t->packets[p->after].flow);
            cr_assert_lt(p->flow, t->n_flows);
            bytes += p->wire_len + 4 < 64 ? 64 : p->wire_len + 4;
        }
        cr_expect(t->bytes == bytes && t->copies == 1 && t->n_slots == t->n_flows && !t->cut && !t->left_out);
        cr_expect_eq(t->packets[0].time_ns, 0u);
        cr_expect_eq(t->lap_ns, t->packets[t->n - 1].time_ns + 1000 * MS);
        walk(t, 2, expect_good, NULL);
        traffic_destroy(t);
        bench_end(&b);
    }
}

/* ---- flows ---- */

static void question(struct capture *c, uint8_t proto, uint16_t port) {
    bool icmp = proto == PROTO_ICMP;
    capture_add(c, SWITCH, TRACE_INBOUND, 64, proto, "10.0.2.2", port, "203.0.113.10", icmp ? ICMP_ECHO : 443,
                "question");
    capture_left(c, NIC1, "10.0.0.4", 62000, NULL, 0);
    capture_add(c, NIC1, TRACE_INBOUND, 50, proto, "203.0.113.10", icmp ? 62000 : 443, "10.0.0.4",
                icmp ? ICMP_ECHO_REPLY : 62000, "answer");
}

/* The first packet seen decides who initiates, whoever that is. */
Test(traffic, flows_and_directions) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 4000);
    question(&c, PROTO_ICMP, 9);
    capture_add(&c, NIC2, TRACE_INBOUND, 64, PROTO_UDP, "10.0.3.4", 53, "10.0.2.2", 5000, "an answer first");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 5000, "10.0.3.4", 53, "then the question");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "203.0.113.10", 443, "more");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ESP, "10.0.2.2", 1, "10.0.3.4", 2, "no ports here");
    struct bench b = bench_make(&c);
    struct traffic *t = traffic_of(&b, &(struct traffic_options){0});
    static const struct {
        uint32_t flow, after;
        bool from_initiator, answer, reported;
    } want[] = {{0, INJECT_NONE, true, false, false},  {0, 0, false, true, false},
                {1, INJECT_NONE, true, false, false},  {1, 2, false, true, false},
                {2, INJECT_NONE, true, false, false},  {2, 4, false, false, false},
                {0, INJECT_NONE, true, false, false},  {3, INJECT_NONE, true, false, true}};
    cr_assert_eq(t->n, 8u);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct traffic_packet *p = &t->packets[i];
        cr_expect(p->flow == want[i].flow && p->after == want[i].after && p->from_initiator == want[i].from_initiator &&
                  p->answer == want[i].answer && p->reported == want[i].reported, "packet %u", i);
    }
    traffic_destroy(t);
    bench_end(&b);
}

/* ---- copies and generations ---- */

/* Both ends of a step, the initiator first; ICMP has its identifier there. */
struct ends {
    struct flow_key key;
    uint32_t slot, generation;
};
struct seen {
    VEC(struct ends) v;
};

static void note(const struct traffic *t, const struct traffic_step *s, struct packet *p, void *arg) {
    struct seen *seen = arg;
    const struct traffic_packet *from = &t->packets[s->packet];
    struct ends e = {.slot = s->slot, .generation = s->generation};
    struct flow_key k;
    expect_good(t, s, p, NULL);
    if (from->answer || from->reported)
        return;
    packet_key(p, &k);
    e.key = k;
    if (!from->from_initiator) {
        memcpy(e.key.src, k.dst, 16);
        memcpy(e.key.dst, k.src, 16);
        if (!proto_is_icmp(k.proto))
            e.key.sport = k.dport, e.key.dport = k.sport;
    }
    vec_push(&seen->v, e);
}

static int by_key(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct ends));
}

/* One tuple, one slot and generation; one slot and generation of a flow, one initiator's end. */
static void expect_apart(struct seen *seen, const char *what) {
    qsort(seen->v.v, seen->v.n, sizeof *seen->v.v, by_key);
    for (size_t i = 1; i < seen->v.n; i++) {
        const struct ends *x = &seen->v.v[i - 1], *y = &seen->v.v[i];
        if (!memcmp(&x->key, &y->key, sizeof x->key))
            cr_assert(x->slot == y->slot && x->generation == y->generation,
                      "%s: slots %u and %u, generations %u and %u", what, x->slot, y->slot, x->generation,
                      y->generation);
    }
    vec_free(&seen->v);
}

Test(traffic, no_two_share_a_tuple) {
    struct random r;
    random_seed(&r, 4);
    for (unsigned round = 0; round < 6 * LABS; round++) {
        static const uint32_t routes[] = {0, 2, 300};
        const char *name = lab[round % LABS];
        struct bench b = lab_bench(name);
        struct traffic_options o = {.churn = round % 3 / 2.0, .seed = random_u64(&r),
                                    .sessions = 1 + random_below(&r, round / LABS % 2 ? 1 : 4000),
                                    .spread = routes[round / LABS / 2]};
        if (o.spread)
            o.table = routes_make(&b, o.spread, round);
        struct traffic *t = traffic_of(&b, &o);
        struct seen seen = {0};
        uint64_t sessions = 0;
        uint8_t *slot = calloc(t->n_slots, 1);
        struct traffic_cursor c;
        struct traffic_step s;
        traffic_begin(&c, t);
        for (traffic_next(&c, &s); s.lap == 0; traffic_next(&c, &s)) {
            cr_assert_eq(s.slot, t->packets[s.packet].flow * t->copies + s.copy);
            cr_assert(!s.generation && (!s.copy || !t->packets[s.packet].reported));
            sessions += !slot[s.slot];
            slot[s.slot] = 1;
        }
        cr_expect(sessions >= o.sessions && sessions < o.sessions + t->n_flows, "%s: %lu for %u", name, sessions,
                  o.sessions);
        walk(t, 3, note, &seen);
        expect_apart(&seen, name);
        free(slot);
        traffic_destroy(t);
        bench_end(&b);
    }
}

/* A hundred thousand sessions of two flows: ports run out, addresses go on. */
Test(traffic, addresses_when_ports_are_used_up) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "10.0.3.4", 53, "question");
    capture_add(&c, NIC2, TRACE_INBOUND, 64, PROTO_UDP, "10.0.3.4", 53, "10.0.2.2", 4000, "answer");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.3", 4000, "10.0.3.4", 53, "another");
    struct bench b = bench_make(&c);
    struct traffic *t = traffic_of(&b, &(struct traffic_options){.sessions = 100000, .churn = 1});
    struct seen seen = {0};
    walk(t, 2, note, &seen);
    bool other = false;
    for (size_t i = 0; i < seen.v.n; i++)
        other |= seen.v.v[i].key.src[3] > 3;
    cr_expect(other);
    expect_apart(&seen, "two flows");
    traffic_destroy(t);
    struct err e = {0};
    cr_expect_null(traffic_create(b.in, &(struct traffic_options){.sessions = 1u << 24}, &e));
    cr_expect(strstr(e.what, "16777216 sessions"), "%s", e.what);
    bench_end(&b);
}

/* The share of slots that is renewed in each lap, and none twice in a lap. */
Test(traffic, churn_is_a_share) {
    static const double churns[] = {0, 0.01, 0.3, 0.5, 0.999, 1};
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "10.0.3.4", 53, "question");
    struct bench b = bench_make(&c);
    for (size_t k = 0; k < sizeof churns / sizeof *churns; k++) {
        enum { SLOTS = 1000 };
        uint32_t before[SLOTS] = {0}, renewed = 0;
        struct traffic *t = traffic_of(&b, &(struct traffic_options){.sessions = SLOTS, .churn = churns[k], .seed = k});
        struct traffic_cursor cursor;
        struct traffic_step s;
        traffic_begin(&cursor, t);
        for (traffic_next(&cursor, &s); s.lap <= 200; traffic_next(&cursor, &s)) {
            cr_assert(s.generation == before[s.slot] || s.generation == before[s.slot] + 1);
            renewed += s.generation - before[s.slot];
            before[s.slot] = s.generation;
            if (s.slot != SLOTS - 1 || !s.lap)
                continue;
            cr_assert(renewed >= churns[k] * SLOTS - 4 && renewed <= churns[k] * SLOTS + 4, "churn %g, lap %lu: %u",
                      churns[k], s.lap, renewed);
            renewed = 0;
        }
        traffic_destroy(t);
    }
    bench_end(&b);
}

/* ---- workers, order ---- */

Test(traffic, workers_share_the_steps) {
    struct bench b = lab_bench("routed");
    struct traffic *t = traffic_of(&b, &(struct traffic_options){.sessions = 3000, .churn = 0.5});
    for (unsigned workers = 1; workers <= 8; workers++) {
        uint32_t *of_slot = xzalloc(t->n_slots, sizeof *of_slot), *latest = xzalloc(t->n_slots, sizeof *latest);
        uint64_t share[8] = {0}, all = 0;
        struct traffic_cursor c;
        struct traffic_step s;
        traffic_begin(&c, t);
        uint64_t time = 0;
        for (traffic_next(&c, &s); s.lap < 2; traffic_next(&c, &s), all++) {
            unsigned w = traffic_worker(&s, workers);
            cr_assert_lt(w, workers);
            cr_assert(!of_slot[s.slot] || of_slot[s.slot] == w + 1, "a flow stays with its worker");
            of_slot[s.slot] = w + 1;
            cr_assert(s.lap || s.packet + 1 > latest[s.slot] || !latest[s.slot], "in order");
            latest[s.slot] = s.packet + 1;
            cr_assert(s.trace_ns >= time);
            time = s.trace_ns;
            share[w]++;
        }
        for (unsigned w = 0; w < workers; w++)
            cr_expect(share[w] > all / workers / 2 && share[w] < all / workers * 2, "%u of %u: %lu of %lu", w, workers,
                      share[w], all);
        free(of_slot);
        free(latest);
    }
    traffic_destroy(t);
    bench_end(&b);
}

/* No burst of steps holds a packet and what it waits for. */
Test(traffic, opens) {
    struct bench b = lab_bench("nat-only");
    for (uint32_t sessions = 0; sessions <= 1000; sessions += 500) {
        struct traffic *t = traffic_of(&b, &(struct traffic_options){.sessions = sessions});
        uint64_t *at = xzalloc(t->n * (size_t)t->copies, sizeof *at), step = 0, begin = 0, opened = 0;
        struct traffic_cursor c;
        struct traffic_step s;
        traffic_begin(&c, t);
        for (traffic_next(&c, &s); s.lap == 0; traffic_next(&c, &s)) {
            uint32_t after = t->packets[s.packet].after;
            at[(size_t)s.packet * t->copies + s.copy] = ++step;
            if (s.opens || step - begin == BURST_MAX)
                begin = step;
            opened += s.opens;
            if (after != INJECT_NONE)
                cr_assert_lt(at[(size_t)after * t->copies + s.copy], begin);
        }
        cr_expect(opened > 0 && opened < step / 2, "%lu of %lu", opened, step);
        free(at);
        traffic_destroy(t);
    }
    bench_end(&b);
}

/* ---- sizes ---- */

static void expect_size(const struct traffic *t, const struct traffic_step *s, struct packet *p, void *arg) {
    const struct traffic_packet *from = &t->packets[s->packet];
    uint32_t want = t->options.sizes[s->packet % t->options.n_sizes] - 4u;
    uint32_t least = p->l4 + (p->proto == PROTO_TCP ? 20 : p->proto == PROTO_UDP || proto_is_icmp(p->proto) ? 8 : 0);
    expect_good(t, s, p, arg);
    cr_assert_eq(p->len, want < least ? least : want);
    cr_assert_eq(from->wire_len, p->len);
    const uint8_t *l3 = p->data + p->l3;
    cr_assert_eq(p->l3 + (p->family == FAMILY_IPV4 ? l3[2] * 256u + l3[3] : 40 + l3[4] * 256u + l3[5]), p->len);
    if (p->proto == PROTO_TCP) {
        unsigned header = (p->data[p->l4 + 12] >> 4) * 4u;
        cr_assert(header >= 20 && p->l4 + header <= p->len);
    } else if (p->proto == PROTO_UDP) {
        cr_assert_eq(p->data[p->l4 + 4] * 256u + p->data[p->l4 + 5], p->len - p->l4);
    }
}

Test(traffic, frame_sizes) {
    static const char *const sizes[] = {"64", "65", "128", "256", "512", "1024", "1280", "1518", "2048", "imix",
                                        "64,1518,99"};
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct traffic_options o = {.sessions = 300, .churn = 1};
            cr_assert_eq(traffic_sizes_parse(sizes[i], &o, NULL), 0);
            struct traffic *t = traffic_of(&b, &o), *again = traffic_of(&b, &o);
            cr_assert(t->n + t->left_out == b.in->arrived && t->n > t->left_out);
            for (uint32_t k = 0; k < t->n; k++)
                cr_assert(!memcmp(t->packets[k].data, again->packets[k].data, t->packets[k].len), "same every time");
            walk(t, 2, expect_size, NULL);
            traffic_destroy(again);
            traffic_destroy(t);
        }
        bench_end(&b);
    }
}

Test(traffic, sizes_as_text) {
    struct traffic_options o = {.churn = 0.5};
    cr_expect_eq(traffic_sizes_parse("64,512,1518", &o, NULL), 0);
    cr_expect(o.n_sizes == 3 && o.sizes[0] == 64 && o.sizes[1] == 512 && o.sizes[2] == 1518 && o.churn == 0.5);
    cr_expect_eq(traffic_sizes_parse("imix", &o, NULL), 0);
    unsigned of[3] = {0}, sum = 0;
    for (unsigned i = 0; i < o.n_sizes; i++) {
        of[o.sizes[i] == 64 ? 0 : o.sizes[i] == 570 ? 1 : 2]++;
        sum += o.sizes[i];
    }
    cr_expect(o.n_sizes == 12 && of[0] == 7 && of[1] == 4 && of[2] == 1 && sum == 7 * 64 + 4 * 570 + 1518);
    cr_expect_eq(traffic_sizes_parse("trace", &o, NULL), 0);
    cr_expect_eq(o.n_sizes, 0u);
    cr_expect_eq(traffic_sizes_parse("64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64", &o, NULL), 0);
    static const char *const wrong[] = {"", "63", "2049", "64,", ",64", "64 512", "x", "64,x", "-64", "1e3", "64,,64",
        "99999999999999999999", "64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        cr_expect_eq(traffic_sizes_parse(wrong[i], &o, &e), -EINVAL, "%s", wrong[i]);
        cr_expect(o.n_sizes == 16 && strstr(e.hint, "imix"));
    }
}

/* ---- checksums as captured ---- */

/* No UDP checksum stays none; a wrong one stays as wrong as it was, in every copy. */
Test(traffic, checksums_stay_what_they_are) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "10.0.3.4", 53, "none");
    memset(frame_l4(&c.frames.v[0]) + 6, 0, 2);
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4001, "10.0.3.4", 53, "wrong");
    frame_l4(&c.frames.v[1])[6] ^= 0x55;
    capture_tcp(&c, SWITCH, TRACE_INBOUND, 64, "10.0.2.2", 4002, "10.0.3.4", 80, TCP_SYN, 1, 0, "wrong");
    frame_l4(&c.frames.v[2])[16] ^= 0x55;
    struct bench b = bench_make(&c);
    struct traffic *t = traffic_of(&b, &(struct traffic_options){.sessions = 100000, .churn = 1});
    struct traffic_cursor cursor;
    struct traffic_step s;
    uint8_t bytes[2048];
    traffic_begin(&cursor, t);
    for (traffic_next(&cursor, &s); s.lap < 2; traffic_next(&cursor, &s)) {
        traffic_write(t, &s, bytes);
        struct packet p = step_packet(t, &s, bytes);
        parse(&p);
        cr_assert(ip_sum_right(&p));
        if (s.packet == 0)
            cr_assert(!bytes[40] && !bytes[41]);
        else
            cr_assert(!l4_sum_right(&p));
    }
    traffic_destroy(t);
    bench_end(&b);
}

/* ---- first packets; nothing to send ---- */

Test(traffic, first_packets_only) {
    struct bench b = lab_bench("nat-only");
    struct traffic *all = traffic_of(&b, &(struct traffic_options){0});
    struct traffic *t = traffic_of(&b, &(struct traffic_options){.first_only = true});
    uint8_t *flow = calloc(all->n_flows, 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        const struct traffic_packet *p = &all->packets[i];
        if (flow[p->flow]++ == 0 && !p->reported)
            cr_assert_eq(t->packets[n++].frame, p->frame);
        flow[p->flow] |= 1;
    }
    cr_expect(t->n == n && t->n_flows == n && t->left_out == all->n_flows - n);
    for (uint32_t i = 0; i < t->n; i++)
        cr_expect(t->packets[i].from_initiator && !t->packets[i].answer && t->packets[i].flow == i);
    free(flow);
    traffic_destroy(t);
    traffic_destroy(all);
    bench_end(&b);
}

Test(traffic, wrong_options) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ESP, "10.0.2.2", 1, "10.0.3.4", 2, "no ports here");
    struct bench b = bench_make(&c);
    static const struct {
        struct traffic_options o;
        const char *says;
    } rows[] = {{{.churn = 1.01}, "churn"}, {{.churn = -0.1}, "churn"}, {{.churn = NAN}, "churn"},
                {{.n_sizes = 1, .sizes = {63}}, "63 bytes"}, {{.n_sizes = 17, .sizes = {64}}, "bytes"},
                {{.sessions = 2}, "2 sessions"}, {{.spread = 1}, "1 routes"}, {{.first_only = true}, "wanted form"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {0};
        cr_expect_null(traffic_create(b.in, &rows[i].o, &e), "row %zu", i);
        cr_expect(strstr(e.what, rows[i].says), "row %zu: %s", i, e.what);
    }
    b.in->packets[0].kind = INJECT_OWN;
    b.in->arrived = 0;
    struct err e = {0};
    cr_expect_null(traffic_create(b.in, &(struct traffic_options){0}, &e));
    cr_expect(strstr(e.what, "arrives"), "%s", e.what);
    bench_end(&b);
}
