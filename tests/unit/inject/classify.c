/* SPDX-License-Identifier: BSD-3-Clause */
/* What a captured packet is to the node, and which interface is which NIC. */
#include "capture.h"

#define UNKNOWN TRACE_DIRECTION_UNKNOWN

static struct frame *udp(struct capture *c, uint32_t interface, uint8_t dir) {
    return capture_add(c, interface, dir, 64, PROTO_UDP, "10.0.2.2", 1000, "203.0.113.10", 53, "hello");
}

Test(classify, by_the_captures_own_flag) {
    struct capture c = capture_make();
    udp(&c, SWITCH, TRACE_INBOUND);
    udp(&c, NIC1, TRACE_OUTBOUND);
    memcpy(udp(&c, NIC2, TRACE_INBOUND)->data, "\2\2\2\2\2\2", 6); /* overheard: another station's */
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[0].kind, INJECT_ARRIVED);
    cr_expect_eq(b.in->packets[0].port, SWITCH);
    cr_expect_eq(b.in->packets[1].kind, INJECT_OWN);
    cr_expect_eq(b.in->packets[2].kind, INJECT_IGNORED);
    cr_expect_eq(b.in->packets[2].reason, DROP_NOT_FOR_US);
    cr_expect(b.in->arrived == 1 && b.in->own == 1 && b.in->ignored == 1 && b.in->by_reason[DROP_NOT_FOR_US] == 1);
    bench_end(&b);
}

Test(classify, by_mac_where_the_flag_is_missing) {
    struct capture c = capture_make();
    udp(&c, SWITCH, UNKNOWN);                          /* to hyperv */
    struct frame *f = udp(&c, NIC1, TRACE_OUTBOUND); /* from hyperv */
    f->direction = UNKNOWN;
    f = udp(&c, NIC1, UNKNOWN);
    memset(f->data, 0xff, 6); /* a broadcast arrives */
    f = udp(&c, NIC1, UNKNOWN);
    f->data[5] = 77; /* between two others */
    struct bench b = bench_make(&c);
    static const uint8_t kind[] = {INJECT_ARRIVED, INJECT_OWN, INJECT_ARRIVED, INJECT_IGNORED};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(b.in->packets[i].kind, kind[i], "packet %d is %d", i, b.in->packets[i].kind);
    cr_expect(b.in->packets[2].flags & PACKET_L2_BROADCAST);
    bench_end(&b);
}

Test(classify, malformed_and_ignored) {
    struct capture c = capture_make();
    frame_ip(udp(&c, SWITCH, TRACE_INBOUND))->checksum ^= 1;
    memcpy(udp(&c, SWITCH, TRACE_INBOUND)->data + 12, "\x08\x06", 2);
    memcpy(udp(&c, SWITCH, TRACE_INBOUND)->data + 12, "\x86\xdd", 2);
    udp(&c, SWITCH, TRACE_INBOUND)->len = 20;
    frame_ip(udp(&c, NIC1, TRACE_OUTBOUND))->checksum = 0; /* offloaded: the card will fill it in */
    struct bench b = bench_make(&c);
    static const uint8_t kind[] = {INJECT_MALFORMED, INJECT_IGNORED, INJECT_MALFORMED, INJECT_MALFORMED, INJECT_OWN};
    static const uint8_t reason[] = {DROP_BAD_CHECKSUM, DROP_ARP, DROP_SHORT_HEADER, DROP_SHORT_HEADER, 0};
    for (int i = 0; i < 5; i++)
        cr_expect(b.in->packets[i].kind == kind[i] && b.in->packets[i].reason == reason[i], "packet %d: %d, %s", i,
                  b.in->packets[i].kind, drop_name(b.in->packets[i].reason));
    cr_expect(b.in->malformed == 3 && b.in->ignored == 1);
    bench_end(&b);
}

Test(classify, interfaces_that_are_no_nic) {
    struct capture c = capture_make();
    c.names[NIC2] = "docker0";
    udp(&c, SWITCH, TRACE_INBOUND);
    udp(&c, NIC2, TRACE_INBOUND);
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[0].kind, INJECT_ARRIVED);
    cr_expect_eq(b.in->packets[1].kind, INJECT_ELSEWHERE);
    cr_expect_eq(b.in->elsewhere, 1u);
    bench_end(&b);
}

Test(classify, no_interface_at_all) {
    struct capture c = capture_make();
    struct err e = {0};
    c.names[0] = "eth7", c.names[1] = "eth8", c.names[2] = "eth9";
    udp(&c, SWITCH, TRACE_INBOUND);
    struct bench b = bench_over("routed", capture_trace(&c), &e);
    cr_assert_null(b.in);
    cr_expect_not_null(strstr(e.what, "eth7, eth8, eth9"), "%s", e.what);
    cr_expect_not_null(strstr(e.what, "hyperv"), "%s", e.what);
    cr_expect_not_null(strstr(e.hint, "NIC1: nic1"), "%s", e.hint);
    bench_end(&b);
}

Test(classify, a_link_type_that_is_not_read) {
    struct capture c = capture_make();
    struct err e = {0};
    udp(&c, SWITCH, TRACE_INBOUND);
    c.linktype = 105; /* IEEE 802.11 */
    struct bench b = bench_over("routed", capture_trace(&c), &e);
    cr_assert_null(b.in);
    cr_expect_not_null(strstr(e.what, "link type 105"), "%s", e.what);
    cr_expect_not_null(strstr(e.hint, "Linux cooked (113, 276)"), "%s", e.hint);
    bench_end(&b);
}

/* A pcap file has no names: the NIC whose MAC is seen on it is meant. */
Test(classify, nameless_by_mac) {
    struct capture c = capture_make();
    char path[64] = "/tmp/fwdlab-pcap.XXXXXX";
    uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, LINKTYPE_ETHERNET};
    FILE *out = fdopen(mkstemp(path), "wb");
    fwrite(head, sizeof head, 1, out);
    udp(&c, NIC2, UNKNOWN);
    udp(&c, NIC2, TRACE_OUTBOUND);
    for (size_t i = 0; i < 2; i++) {
        struct frame *f = &c.frames.v[i];
        uint32_t record[4] = {1700000000, (uint32_t)i, f->len, f->len};
        fwrite(record, sizeof record, 1, out);
        fwrite(f->data, f->len, 1, out);
    }
    fclose(out);
    vec_free(&c.frames);
    struct err e = {0};
    struct trace_memory *t = trace_preload(path, 0, &e);
    cr_assert_not_null(t, "%s", e.what);
    unlink(path);
    struct bench b = bench_over("routed", t, &e);
    cr_assert_not_null(b.in, "%s", e.what);
    cr_expect_eq(b.in->packets[0].port, NIC2);
    cr_expect_eq(b.in->packets[0].kind, INJECT_ARRIVED);
    cr_expect_eq(b.in->packets[1].kind, INJECT_OWN);
    bench_end(&b);
}

/* Without a scenario every interface is a port, the first sight arrives, the next one with a TTL less is its copy. */
Test(classify, without_a_scenario) {
    struct capture c = capture_make();
    udp(&c, SWITCH, UNKNOWN);
    capture_left(&c, NIC1, "10.0.0.4", 1000, NULL, 0)->direction = UNKNOWN;
    udp(&c, SWITCH, UNKNOWN);
    struct inject *in = inject_create(capture_trace(&c), NULL, 0, NULL);
    cr_assert_not_null(in);
    cr_expect(in->arrived == 2 && in->copies == 1 && !in->own);
    cr_expect(in->packets[1].kind == INJECT_COPY && in->packets[1].partner == 0 && in->packets[0].partner == 1);
    cr_expect(in->packets[0].port == SWITCH && in->packets[1].port == NIC1);
    inject_destroy(in);
}

Test(classify, sorted_by_time_stably) {
    struct capture c = capture_make();
    static const uint64_t at[] = {50, 10, 30, 10, 50, 10};
    static const uint64_t frame[] = {2, 4, 6, 3, 1, 5};
    for (int i = 0; i < 6; i++)
        udp(&c, SWITCH, TRACE_INBOUND)->time_ns = 1700000000ull * 1000 * MS + at[i] * MS;
    struct bench b = bench_make(&c);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(b.in->packets[i].raw->frame, frame[i], "place %d has frame %lu", i, b.in->packets[i].raw->frame);
    cr_expect_eq(inject_time(b.in, 0), 0u);
    cr_expect_eq(inject_time(b.in, 5), 40 * MS);
    cr_expect_eq(b.in->epoch_ns, 1700000000ull * 1000 * MS + 10 * MS);
    bench_end(&b);
}

Test(classify, nothing_in_it) {
    struct capture c = capture_make();
    struct trace_memory *t = capture_trace(&c);
    struct inject *in = inject_create(t, NULL, 0, NULL);
    cr_assert_not_null(in);
    cr_expect_eq(in->n, 0u);
    inject_destroy(in);
}
