/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies: the same packet seen as it arrived and as it left. */
#include "capture.h"

static struct frame *udp(struct capture *c, const char *payload) {
    return capture_add(c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 1000, "10.0.3.4", 53, payload);
}
static void expect_partner(const struct inject *in, uint32_t arrived, uint32_t copy) {
    cr_expect_eq(in->packets[arrived].partner, copy, "%u has %u", arrived, in->packets[arrived].partner);
    if (copy == INJECT_NONE)
        return;
    cr_expect_eq(in->packets[copy].partner, arrived);
    cr_expect_eq(in->packets[copy].kind, INJECT_COPY);
}

Test(join, routed_and_translated) {
    struct capture c = capture_make();
    udp(&c, "routed");
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    udp(&c, "translated");
    capture_left(&c, NIC1, "10.0.0.4", 62000, NULL, 0);
    capture_add(&c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, "10.0.3.4", 53, "10.0.0.4", 62000, "answer");
    capture_left(&c, SWITCH, NULL, 0, "10.0.2.2", 1000);
    struct bench b = bench_make(&c);
    for (uint32_t i = 0; i < 6; i += 2)
        expect_partner(b.in, i, i + 1);
    cr_expect(b.in->arrived == 3 && b.in->copies == 3 && !b.in->own);
    bench_end(&b);
}

/* Both ends change, and the source is then the address that was asked (RFC 4787 REQ-9); two other ends are no copy. */
Test(join, hairpinned) {
    struct capture c = capture_make();
    for (int i = 0; i < 2; i++) {
        capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.3", 1000, "10.0.0.4", 7007, "hairpin");
        capture_left(&c, SWITCH, i ? "10.0.0.9" : "10.0.0.4", 1000, "10.0.2.2", 7);
    }
    struct bench b = bench_make(&c);
    expect_partner(b.in, 0, 1);
    expect_partner(b.in, 2, INJECT_NONE);
    bench_end(&b);
}

/* Retransmissions that are identical in every byte, IP id 0 included, are joined first come, first served. */
Test(join, identical_packets_in_their_order) {
    struct capture c = capture_make();
    for (int i = 0; i < 3; i++) {
        struct frame *f = udp(&c, "same");
        frame_ip(f)->id = 0;
        frame_seal(f, 12);
    }
    for (int i = 0; i < 3; i++) {
        struct frame f = c.frames.v[i];
        f.time_ns = c.now + (uint64_t)i;
        f.interface = NIC2;
        f.direction = TRACE_OUTBOUND;
        frame_ip(&f)->ttl--;
        frame_seal(&f, 12);
        vec_push(&c.frames, f);
    }
    struct bench b = bench_make(&c);
    for (uint32_t i = 0; i < 3; i++)
        expect_partner(b.in, i, i + 3);
    bench_end(&b);
}

/* Many identical ones that wait: no matter of minutes, and the order still holds. */
Test(join, a_flood_of_identical_packets, .timeout = 30) {
    struct capture c = capture_make();
    enum { N = 20000 };
    for (int i = 0; i < N; i++) {
        struct frame *f = udp(&c, "flood");
        frame_ip(f)->id = 0;
        frame_seal(f, 13);
        f->time_ns = 1700000000ull * 1000 * MS + (uint64_t)i;
    }
    c.frames.v[N - 1].time_ns = 1700000000ull * 1000 * MS + N;
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    struct bench b = bench_make(&c);
    expect_partner(b.in, 0, N);
    bench_end(&b);
}

Test(join, what_is_no_copy) {
    struct capture c = capture_make();
    udp(&c, "ttl");
    struct frame *f = capture_left(&c, NIC2, NULL, 0, NULL, 0);
    frame_ip(f)->ttl -= 1;
    frame_seal(f, 11);
    udp(&c, "ends"); /* neither end is left */
    capture_left(&c, NIC2, "10.0.0.4", 1, "10.9.9.9", 2);
    udp(&c, "late");
    f = capture_left(&c, NIC2, NULL, 0, NULL, 0);
    f->time_ns += 6000 * MS;
    c.now = f->time_ns + MS;
    udp(&c, "payload");
    f = capture_left(&c, NIC2, NULL, 0, NULL, 0);
    frame_l4(f)[8] ^= 1;
    frame_seal(f, 15);
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->arrived, 4u);
    cr_expect_eq(b.in->own, 4u);
    for (uint32_t i = 0; i < b.in->n; i++)
        expect_partner(b.in, i, INJECT_NONE);
    bench_end(&b);
}

/* A packet that was too old is passed over, and those behind it still find theirs. */
Test(join, window_passes_over_the_old) {
    struct capture c = capture_make();
    for (int i = 0; i < 4; i++) {
        struct frame *f = udp(&c, "same");
        frame_ip(f)->id = 0;
        frame_seal(f, 12);
        if (i == 1)
            c.now += 6000 * MS;
    }
    for (int i = 0; i < 2; i++) {
        struct frame f = c.frames.v[2 + i];
        f.time_ns = c.now + (uint64_t)i;
        f.direction = TRACE_OUTBOUND;
        f.interface = NIC2;
        frame_ip(&f)->ttl--;
        frame_seal(&f, 12);
        vec_push(&c.frames, f);
    }
    udp(&c, "same"); /* and the chain can still be added to */
    frame_ip(&c.frames.v[6])->id = 0;
    c.frames.v[6].time_ns = c.now + MS;
    frame_seal(&c.frames.v[6], 12);
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    struct bench b = bench_make(&c);
    expect_partner(b.in, 0, INJECT_NONE);
    expect_partner(b.in, 1, INJECT_NONE);
    expect_partner(b.in, 2, 4);
    expect_partner(b.in, 3, 5);
    expect_partner(b.in, 6, 7);
    bench_end(&b);
}

Test(join, fragments) {
    struct capture c = capture_make();
    for (int i = 0; i < 2; i++) {
        struct frame *f = udp(&c, "12345678");
        frame_ip(f)->id = htons(500);
        frame_ip(f)->fragment = htons(i ? 2 : IPV4_MF);
        frame_seal(f, 16);
        capture_left(&c, NIC2, NULL, 0, NULL, 0);
    }
    struct bench b = bench_make(&c);
    expect_partner(b.in, 0, 1);
    expect_partner(b.in, 2, 3);
    cr_expect_eq(b.in->packets[2].after, 0u, "a later fragment follows its first one");
    bench_end(&b);
}

Test(join, translated_icmp_errors) {
    struct capture c = capture_make();
    udp(&c, "question");
    capture_left(&c, NIC1, "10.0.0.4", 62000, NULL, 0);
    struct frame *f = capture_error(&c, NIC1, "203.0.113.1", "10.0.0.4", ICMP_TIME_EXCEEDED, &c.frames.v[1]);
    struct frame out = *f;
    out.direction = TRACE_OUTBOUND;
    out.interface = SWITCH;
    out.time_ns += 1000;
    frame_ip(&out)->ttl--;
    frame_ip(&out)->dst = addr("10.0.2.2");
    be32 inside = addr("10.0.2.2");
    memcpy(frame_l4(&out) + 8 + 12, &inside, 4);
    frame_seal(&out, 36);
    vec_push(&c.frames, out);
    struct bench b = bench_make(&c);
    expect_partner(b.in, 2, 3);
    cr_expect(b.in->packets[2].flags & PACKET_ICMP_ERROR);
    bench_end(&b);
}

/* What the node cut is joined with its pieces (RFC 791, 3.2), and a piece of another datagram with nothing. */
Test(join, pieces_of_what_the_node_cut) {
    struct capture c = capture_make();
    char payload[1001];
    memset(payload, 'x', sizeof payload - 1);
    payload[1000] = 0;
    udp(&c, payload); /* 1008 bytes behind the IP header */
    struct frame whole = c.frames.v[0];
    static const struct { unsigned offset, len; bool foreign; } pieces[] = {
        {0, 496, false}, {496, 496, false}, {992, 16, false}, {496, 496, true}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct frame f = whole;
        struct ipv4_header *ip = frame_ip(&f);
        f.time_ns += MS + i;
        f.interface = NIC2;
        f.direction = TRACE_OUTBOUND;
        memmove(frame_l4(&f), frame_l4(&f) + pieces[i].offset, pieces[i].len);
        ip->ttl--;
        ip->id ^= pieces[i].foreign ? htons(1) : 0;
        ip->fragment = htons((uint16_t)(pieces[i].offset / 8 | (i != 2 ? IPV4_MF : 0)));
        frame_seal(&f, pieces[i].len);
        vec_push(&c.frames, f);
    }
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[0].partner, 1u);
    for (uint32_t i = 1; i <= 3; i++)
        cr_expect(b.in->packets[i].kind == INJECT_COPY && b.in->packets[i].partner == 0, "piece %u", i);
    cr_expect_eq(b.in->packets[4].kind, INJECT_OWN);
    bench_end(&b);
}
