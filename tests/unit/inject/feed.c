/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet by packet: the same as of a whole trace; ports by sources; what tunnels carry. */
#include "steps.h"
#include <fwdlab/inject/feed.h>

static struct feed *feed_of(struct feed_memory *m, const struct bench *b) {
    struct err e = {0};
    const struct feed_source source = feed_memory(m);
    struct feed *f = feed_create(&source, b ? b->control : NULL, b ? b->node : 0, NULL, &e);
    cr_assert_not_null(f, "%s", e.what);
    return f;
}

static void expect_same(const struct inject *in, uint32_t i, const struct feed_packet *q, const uint32_t *names) {
    const struct inject_packet *p = &in->packets[i];
    cr_assert(p->kind == q->p.kind && p->reason == q->p.reason, "packet %u: kind %u, not %u", i, q->p.kind, p->kind);
    cr_expect(!memcmp(&p->key, &q->p.key, sizeof p->key) && p->port == q->p.port && p->flags == q->p.flags, "%u", i);
    if (p->kind == INJECT_COPY)
        cr_expect_eq(label_settle(q->partner, names), p->partner << 1, "packet %u", i);
    if (p->kind != INJECT_ARRIVED && !(p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR))
        return;
    const uint32_t after = label_settle(q->relation.after, names);
    cr_expect_eq(after, p->after == INJECT_NONE ? LABEL_NONE : p->after << 1, "packet %u", i);
    cr_expect_eq(q->relation.answers, p->answer != INJECT_NONE, "packet %u", i);
    if (q->relation.answers)
        cr_expect(!memcmp(&q->relation.inside, &in->mappings.v[p->answer].inside, sizeof q->relation.inside), "%u", i);
}

/* Labels are the packets' places in the trace. */
static uint32_t compare(struct feed *f, const struct inject *in) {
    struct feed_packet *q;
    struct err e = {0};
    uint32_t at = 0;
    for (int n; (n = feed_next(f, &q, &e)) > 0;) {
        uint32_t names[FEED_MOST];
        for (int i = 0; i < n; i++)
            names[i] = (at + (uint32_t)i) << 1;
        for (int i = 0; i < n; i++)
            expect_same(in, at + (uint32_t)i, &q[i], names);
        feed_name(f, names);
        at += (uint32_t)n;
    }
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
    for (unsigned batches = 0; batches < 90; batches += batches < 4 ? 1 : 17) {
        struct capture c = capture_make();
        for (unsigned i = 0; i < 5000; i++)
            capture_add(&c, NIC1, TRACE_DIRECTION_UNKNOWN, 64, PROTO_UDP, "10.1.0.1", (uint16_t)i, "10.2.0.1", 53, "q");
        struct feed_memory m = {.trace = capture_trace(&c)};
        struct feed *f = feed_of(&m, NULL);
        struct feed_packet *q;
        struct err e = {0};
        uint32_t n, names[FEED_MOST] = {0};
        feed_run_ahead(f);
        for (unsigned i = 0; i < batches && feed_next(f, &q, &e) > 0; i++)
            feed_name(f, names);
        cr_expect_eq(feed_count(f)->read, batches < 79 ? batches * FEED_BATCH : 5000u);
        feed_interfaces(f, &n);
        cr_expect_eq(n > 0, batches > 0);
        feed_destroy(f);
        trace_memory_destroy(m.trace);
    }
}

/* A conversation that has another name by now, and one that is forgotten. */
Test(feed, labels_can_be_changed) {
    struct capture c = capture_make();
    for (unsigned i = 0; i < 200; i++) { /* several batches of one flow */
        capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "10.0.3.4", 53, "q");
        capture_add(&c, NIC2, TRACE_INBOUND, 64, PROTO_UDP, "10.0.3.4", 53, "10.0.2.2", 4000, "a");
    }
    struct bench b = bench_make(&c);
    struct feed_memory m = {.trace = b.in->trace};
    struct feed *f = feed_of(&m, &b);
    struct feed_packet *q;
    struct err e = {0};
    uint32_t batches = 0, names[FEED_MOST];
    for (int n; (n = feed_next(f, &q, &e)) > 0; batches++) {
        const uint32_t forward = q[0].relation.same;
        const struct flow_key key = q[0].p.key, back = flow_key_reverse(&key);
        cr_expect_eq(forward, batches == 0 || batches == 3 ? LABEL_NONE : batches == 2 ? 71u : 40u, "%u", batches);
        for (int i = 0; i < n; i++)
            names[i] = 40 | (uint32_t)(i & 1);
        feed_name(f, names);
        cr_expect_eq(feed_find(f, &back, false), label_flip(feed_find(f, &key, false)));
        if (batches == 1)
            feed_put(f, &back, false, 70);
        if (batches == 2)
            feed_forget(f, &back, false);
        cr_expect_eq(feed_find(f, &key, true), LABEL_NONE);
    }
    cr_expect_gt(batches, 4u);
    feed_destroy(f);
    bench_end(&b);
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
    cr_expect_eq(q[3].relation.after, label_pending(1));
    cr_expect_eq(feed_count(f)->inner, 2u);
    feed_destroy(f);
    trace_memory_destroy(m.trace);
}
