/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet by packet: the same as of a whole trace; ports by sources; what tunnels carry. */
#include "steps.h"
#include <fwdlab/base/random.h>
#include <fwdlab/inject/feed.h>
#include <unistd.h>

static struct feed *feed_limited(struct feed_memory *m, const struct bench *b, size_t conversations) {
    struct err e = {0};
    const struct feed_source source = feed_memory(m);
    struct feed *f = feed_create(&source, b ? b->control : NULL, b ? b->node : 0, NULL, conversations, &e);
    cr_assert_not_null(f, "%s", e.what);
    return f;
}

static struct feed *feed_of(struct feed_memory *m, const struct bench *b) {
    return feed_limited(m, b, 0);
}

/* Which packet began what, by the feed so far: packets' places in the trace. */
struct begun {
    uint32_t *label;        /* of each packet */
    VEC(uint32_t) first;    /* of each conversation, that arrived */
};

static void note_begun(struct begun *g, uint32_t i, const struct feed_packet *q) {
    const struct relation *r = &q->relation;
    g->label[i] = r->label;
    while (r->label != LABEL_NONE && g->first.n <= r->label >> 1)
        vec_push(&g->first, INJECT_NONE);
    if (r->begins)
        g->first.v[r->label >> 1] = INJECT_NONE;
    if (q->p.kind == INJECT_ARRIVED && r->label != LABEL_NONE && g->first.v[r->label >> 1] == INJECT_NONE)
        g->first.v[r->label >> 1] = i;
}

static void expect_same(const struct inject *in, uint32_t i, const struct feed_packet *q, const struct begun *g) {
    const struct inject_packet *p = &in->packets[i];
    const struct relation *r = &q->relation;
    cr_assert(p->kind == q->p.kind && p->reason == q->p.reason, "packet %u: kind %u, not %u", i, q->p.kind, p->kind);
    cr_expect(!memcmp(&p->key, &q->p.key, sizeof p->key) && p->port == q->p.port && p->flags == q->p.flags, "%u", i);
    if (p->kind == INJECT_COPY)
        cr_expect_eq(r->label, in->packets[p->partner].flags & PACKET_ICMP_ERROR ? LABEL_NONE : g->label[p->partner],
                     "packet %u", i);
    if (p->kind != INJECT_ARRIVED && !(p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR))
        return;
    if (p->flags & PACKET_FRAG_LATER)
        cr_expect_eq(r->label, p->after == INJECT_NONE ? LABEL_NONE : g->label[p->after], "packet %u", i);
    else if (r->replies || (p->flags & PACKET_ICMP_ERROR && r->label != LABEL_NONE))
        cr_expect_eq(p->after, r->answers ? in->mappings.v[p->answer].first : g->first.v[r->label >> 1], "%u", i);
    else
        cr_expect_eq(p->after, INJECT_NONE, "packet %u", i);
    cr_expect_eq(r->answers, p->answer != INJECT_NONE, "packet %u", i);
    if (r->answers)
        cr_expect(!memcmp(&r->inside, &in->mappings.v[p->answer].inside, sizeof r->inside), "%u", i);
}

static uint32_t compare(struct feed *f, const struct inject *in) {
    struct begun g = {.label = xalloc((in->n + 1) * sizeof *g.label)};
    struct feed_packet *q;
    struct err e = {0};
    uint32_t at = 0;
    for (int n; (n = feed_next(f, &q, &e)) > 0; at += (uint32_t)n)
        for (int i = 0; i < n; i++) {
            note_begun(&g, at + (uint32_t)i, &q[i]);
            expect_same(in, at + (uint32_t)i, &q[i], &g);
        }
    free(g.label);
    vec_free(&g.first);
    return at;
}

Test(feed, as_of_the_whole_trace) {
    for (size_t k = 0; k < 2 * LABS; k++) {
        struct bench whole = lab_bench(lab[k / 2]), again = lab_bench(lab[k / 2]);
        struct feed_memory m = {.trace = again.in->trace};
        struct feed *f = feed_of(&m, &again);
        if (k % 2)
            feed_run_ahead(f);
        cr_expect_eq(compare(f, whole.in), whole.in->n);
        const struct feed_counts *c = feed_count(f);
        cr_expect(c->read == whole.in->n && c->arrived == whole.in->arrived && c->copies == whole.in->copies &&
                  c->own == whole.in->own && c->malformed == whole.in->malformed && c->ignored == whole.in->ignored);
        cr_expect_eq(c->epoch_ns, whole.in->epoch_ns);
        feed_destroy(f);
        bench_end(&whole);
        bench_end(&again);
    }
}

/* Wherever its thread is by then: at the start, with the ring full, at the end. */
Test(feed, ends_early) {
    for (unsigned batches = 0; batches < 170; batches += batches < 4 ? 1 : 17) {
        struct capture c = capture_make();
        for (unsigned i = 0; i < 10000; i++)
            capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.1.0.1", (uint16_t)i, "10.2.0.1", 53, "q");
        struct feed_memory m = {.trace = capture_trace(&c)};
        struct feed *f = feed_of(&m, NULL);
        struct feed_packet *q;
        struct err e = {0};
        uint32_t n;
        feed_run_ahead(f);
        for (unsigned i = 0; i < batches && feed_next(f, &q, &e) > 0; i++)
            ;
        cr_expect_eq(feed_count(f)->read, batches < 157 ? batches * FEED_BATCH : 10000u);
        feed_interfaces(f, &n);
        cr_expect_eq(n > 0, batches > 0);
        feed_destroy(f);
        trace_memory_destroy(m.trace);
    }
}

/* Whoever relates packets: the thread, far ahead of a reader that takes its time, or a reader that is as fast. */
Test(feed, as_without_a_thread) {
    enum { PACKETS = 40000 };
    struct random r;
    struct capture c[2] = {capture_make(), capture_make()};
    random_seed(&r, 7);
    for (unsigned i = 0; i < PACKETS; i++) {
        const uint16_t sport = (uint16_t)random_below(&r, 3000);
        const bool back = random_below(&r, 2);
        for (unsigned k = 0; k < 2; k++)
            capture_add(&c[k], NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, back ? "10.2.0.1" : "10.1.0.1",
                        back ? 53 : sport, back ? "10.1.0.1" : "10.2.0.1", back ? sport : 53, "q");
    }
    struct feed_memory m[2] = {{.trace = capture_trace(&c[0])}, {.trace = capture_trace(&c[1])}};
    struct feed *f[2] = {feed_limited(&m[0], NULL, 1000), feed_limited(&m[1], NULL, 1000)};
    struct feed_packet *q[2];
    struct err e = {0};
    unsigned seen = 0, replies = 0;
    feed_run_ahead(f[1]);
    for (int n; (n = feed_next(f[0], &q[0], &e)) > 0; seen += (unsigned)n) {
        if (seen / 10000 % 2 && random_below(&r, 8) == 0)
            usleep(500);
        cr_assert_eq(feed_next(f[1], &q[1], &e), n);
        for (int i = 0; i < n; i++) {
            const struct relation *x = &q[0][i].relation, *y = &q[1][i].relation;
            replies += x->replies;
            cr_assert(x->label == y->label && x->begins == y->begins && x->replies == y->replies &&
                      x->waits == y->waits && q[0][i].p.kind == q[1][i].p.kind, "packet %u", seen + (unsigned)i);
        }
        cr_assert(!memcmp(feed_count(f[0]), feed_count(f[1]), sizeof(struct feed_counts)), "after %u", seen);
    }
    cr_expect(seen == PACKETS && replies > PACKETS / 4, "%u, %u replies", seen, replies);
    for (unsigned k = 0; k < 2; k++) {
        feed_destroy(f[k]);
        trace_memory_destroy(m[k].trace);
    }
}

/* Both ways of a conversation have its number while it goes on. With more of them than are known at the same time the
 * idle ones are forgotten, and their numbers are given again. */
Test(feed, conversations_that_are_idle_are_forgotten) {
    enum { KNOWN = 100, OTHERS = 2000 };
    struct capture c = capture_make();
    for (unsigned i = 0; i < OTHERS; i++) {
        capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.1.0.1", (uint16_t)(1000 + i), "10.2.0.1", 53,
                    "o");
        if (i % 3 == 0)
            capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.1.0.2", 7, "10.2.0.2", 53, "q");
        if (i % 3 == 1)
            capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.2.0.2", 53, "10.1.0.2", 7, "a");
    }
    capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.1.0.1", 1000, "10.2.0.1", 53, "again");
    struct feed_memory m = {.trace = capture_trace(&c)};
    struct feed *f = feed_limited(&m, NULL, KNOWN);
    struct feed_packet *q;
    struct err e = {0};
    uint32_t number = LABEL_NONE, begun = 0;
    for (int n; (n = feed_next(f, &q, &e)) > 0;)
        for (int i = 0; i < n; i++) {
            const struct relation *r = &q[i].relation;
            const bool other = ntohs(q[i].p.key.sport) >= 1000;
            cr_assert_lt(r->label >> 1, 2u * KNOWN);
            begun += r->begins;
            cr_expect_eq(r->begins, other || number == LABEL_NONE);
            if (other)
                continue;
            number = number == LABEL_NONE ? r->label >> 1 : number;
            cr_expect_eq(r->label, number << 1 | r->replies);
            cr_expect_eq(r->replies, ntohs(q[i].p.key.sport) == 53);
        }
    cr_expect_eq(begun, OTHERS + 2u, "the one that was first is another one by now");
    feed_destroy(f);
    trace_memory_destroy(m.trace);
}

/* What NAT made of a conversation leads to it as long as it is known, and never to the one that has its number then. */
Test(feed, translations_are_forgotten_with_their_conversation) {
    unsigned known = 0, forgotten = 0;
    for (unsigned others = 0; others < 120; others += 5) {
        struct capture c = capture_make();
        capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "203.0.113.10", 443, "question");
        capture_left(&c, NIC1, "10.0.0.4", 62000, NULL, 0);
        for (unsigned i = 0; i < others * 20; i++)
            capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.3", (uint16_t)(1000 + i), "10.0.3.4", 53,
                        "o");
        capture_add(&c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, "203.0.113.10", 443, "10.0.0.4", 62000, "answer");
        struct bench b = bench_make(&c);
        struct feed_memory m = {.trace = b.in->trace};
        struct feed *f = feed_limited(&m, &b, 400);
        struct feed_packet *q;
        struct err e = {0};
        uint32_t number = LABEL_NONE;
        struct relation last = {0};
        for (int n; (n = feed_next(f, &q, &e)) > 0; last = q[n - 1].relation)
            for (int i = 0; i < n; i++)
                if (ntohs(q[i].p.key.sport) == 4000 && q[i].p.kind == INJECT_ARRIVED)
                    number = q[i].relation.label >> 1;
                else if (q[i].relation.begins && q[i].relation.label >> 1 == number)
                    number = LABEL_NONE; /* another one's */
        if (last.replies)
            cr_expect(number != LABEL_NONE && last.label == (number << 1 | 1) && last.answers, "%u others", others);
        else
            cr_expect(last.begins && !last.answers, "%u others", others);
        known += last.replies;
        forgotten += last.begins;
        feed_destroy(f);
        bench_end(&b);
    }
    cr_expect(known > 4 && forgotten > 4, "%u known, %u forgotten", known, forgotten);
}

Test(feed, a_port_mirror_tells_ports_by_sources) {
    struct complaints complaints = {0};
    struct err e = {0};
    struct bench b = {.scenario = scenario_load(FWDLAB_SOURCE "/bench/mirror.yaml", &complaints)};
    cr_assert_not_null(b.scenario);
    complaints_fini(&complaints);
    b.control = control_build(b.scenario, NULL, &e);
    cr_assert_not_null(b.control, "%s", e.what);
    b.node = control_node_find(b.control, "router");
    struct capture c = capture_make();
    static const char *const inside[] = {"10.1.2.3", "192.168.7.7", "172.31.0.1"};
    for (unsigned i = 0; i < 3; i++) {
        capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, inside[i], 1000, "8.8.8.8", 53, "q");
        capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "8.8.8.8", 53, inside[i], 1000, "a");
    }
    struct feed_memory m = {.trace = capture_trace(&c)};
    struct feed *f = feed_of(&m, &b);
    struct feed_packet *q;
    cr_assert_eq(feed_next(f, &q, &e), 6);
    for (unsigned i = 0; i < 6; i++)
        cr_expect(q[i].p.kind == INJECT_ARRIVED && q[i].p.port == i % 2, "packet %u: port %u", i, q[i].p.port);
    feed_destroy(f);
    trace_memory_destroy(m.trace);
    control_destroy(b.control);
    scenario_destroy(b.scenario);
}

/* A whole frame, of which `depth` are around it. */
static void wrap(struct frame *f, uint16_t sport) {
    struct frame inner = *f;
    uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 42, 0};
    struct ipv4_header *ip = frame_ip(f);
    *ip = (struct ipv4_header){.version_ihl = 0x45, .ttl = 64, .proto = PROTO_UDP, .src = addr("10.9.0.1"),
                               .dst = addr("10.9.0.2"), .id = 7};
    be16 ports[2] = {htons(sport), htons(4789)};
    memcpy(frame_l4(f), ports, 4);
    memcpy(frame_l4(f) + 8, vxlan, 8);
    memcpy(frame_l4(f) + 16, inner.data, inner.len);
    frame_seal(f, 16 + inner.len);
}

Test(feed, tunnels_are_followed) {
    struct capture c = capture_make();
    for (uint16_t i = 0; i < 2; i++) {
        const char *a = "10.1.0.1", *z = "10.2.0.1";
        wrap(capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, i ? z : a, i ? 53 : 1000, i ? a : z,
                         i ? 1000 : 53, "x"), 5000);
    }
    struct feed_memory m = {.trace = capture_trace(&c)};
    struct feed *f = feed_of(&m, NULL);
    struct feed_packet *q;
    struct err e = {0};
    cr_assert_eq(feed_next(f, &q, &e), 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq(q[i].p.kind, i % 2 ? INJECT_INNER : INJECT_ARRIVED);
        cr_expect_eq(q[i].depth, i % 2);
        cr_expect_eq(ntohs(q[i].p.key.dport), i % 2 == 0 ? 4789 : i == 1 ? 53 : 1000);
    }
    cr_expect_str_eq(q[1].tunnel, "vxlan 42");
    cr_expect(q[1].relation.begins && q[3].relation.replies && q[3].relation.label == (q[1].relation.label | 1));
    cr_expect(q[3].relation.waits, "its question is in the same batch");
    cr_expect_eq(feed_count(f)->inner, 2u);
    feed_destroy(f);
    trace_memory_destroy(m.trace);
}
