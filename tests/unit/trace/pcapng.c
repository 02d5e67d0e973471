/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng, built by hand: every block and option that is read, in both byte orders. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"

TestSuite(pcapng, .timeout = 60);

static const uint8_t bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

Test(pcapng, sections_of_both_byte_orders) {
    struct capture c = {0};
    for (int i = 0; i < 4; i++) {
        c.big = i & 1;
        put_section(&c);
        put_interface(&c, i & 1 ? "big" : "little", (uint16_t)(LINKTYPE_RAW + i), 96);
        put_interface(&c, NULL, LINKTYPE_ETHERNET, 0);
        put_packet(&c, 1, 1000000u * (unsigned)i, bytes, 13);
        put_packet(&c, 0, 1000000u * (unsigned)i, bytes, 14);
    }
    struct trace *t = open_capture(&c, NULL);
    for (uint32_t i = 0; i < 8; i++) {
        struct trace_packet p;
        cr_assert_eq(trace_read(t, &p, NULL), 1);
        cr_expect_eq(p.interface, i ^ 1);
        cr_expect_eq(p.len, 13 + (i & 1));
        cr_expect_eq(p.time_ns, i / 2 * 1000000000ull);
        cr_expect_arr_eq(p.data, bytes, p.len);
    }
    uint32_t n;
    const struct trace_interface *f = trace_interfaces(t, &n);
    cr_assert_eq(n, 8);
    for (uint32_t i = 0; i < 8; i += 2) {
        cr_expect_str_eq(f[i].name, i & 2 ? "big" : "little");
        cr_expect_eq(f[i].linktype, LINKTYPE_RAW + i / 2);
        cr_expect_eq(f[i].snaplen, 96);
        cr_expect_eq(f[i].section, i / 2);
        cr_expect_eq(f[i].packets, 1);
        cr_expect_str_empty(f[i + 1].name);
    }
    trace_close(t);
}

/* if_tsresol, if_tsoffset and a time in the interface's units → nanoseconds. */
static uint64_t time_of(int resolution, int64_t offset, uint64_t units) {
    struct capture c = {0};
    put_section(&c);
    block_begin(&c, 1);
    put_u64(&c, LINKTYPE_ETHERNET);
    put_option(&c, 14, &offset, 8);
    uint8_t r = (uint8_t)resolution;
    if (resolution >= 0)
        put_option(&c, 9, &r, 1);
    block_end(&c);
    put_packet(&c, 0, units, bytes, 1);
    struct trace_packet p;
    cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 1);
    return p.time_ns;
}

Test(pcapng, times) {
    const uint64_t s = 1000000000;
    cr_expect_eq(time_of(-1, 0, 1700000000123456), 1700000000123456000);
    cr_expect_eq(time_of(6, 5, 1700000000123456), 1700000005123456000);
    cr_expect_eq(time_of(9, 0, 1700000000123456789), 1700000000123456789);
    cr_expect_eq(time_of(9, -1700000000, 1700000000123456789), 123456789);
    cr_expect_eq(time_of(0, 0, 1700000000), 1700000000 * s);
    cr_expect_eq(time_of(3, 1, 1700000000123), 1700000001123000000);
    cr_expect_eq(time_of(12, 0, 1700000000123456789), 1700000000123456);
    cr_expect_eq(time_of(12, 1700000000, 999999999999), 1700000000999999999);
    cr_expect_eq(time_of(19, 0, UINT64_MAX), 1844674407);
    cr_expect_eq(time_of(28, 0, UINT64_MAX), 1);
    cr_expect_eq(time_of(29, 0, UINT64_MAX), 0);
    cr_expect_eq(time_of(127, 0, UINT64_MAX), 0);
    cr_expect_eq(time_of(0x80 | 1, 0, 3400000001), 1700000000 * s + s / 2);
    cr_expect_eq(time_of(0x80 | 10, 0, 1700000000ull << 10 | 512), 1700000000 * s + s / 2);
    cr_expect_eq(time_of(0x80 | 32, 0, 1700000000ull << 32 | 1u << 31), 1700000000 * s + s / 2);
    cr_expect_eq(time_of(0x80 | 64, 0, 1ull << 63), s / 2);
    cr_expect_eq(time_of(0x80 | 127, 0, UINT64_MAX), 0);
    /* what does not fit is clamped */
    cr_expect_eq(time_of(0, 0, UINT64_MAX), UINT64_MAX);
    cr_expect_eq(time_of(0, INT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_expect_eq(time_of(9, INT64_MIN, UINT64_MAX), 0);
    cr_expect_eq(time_of(9, -1, s - 1), 0);
}

Test(pcapng, packet_options) {
    static const uint8_t directions[4] = {[1] = TRACE_INBOUND, [2] = TRACE_OUTBOUND}; /* else unknown */
    for (uint32_t i = 0; i < 8; i++) {
        struct capture c = {.big = i & 4};
        put_start(&c);
        packet_begin(&c, 0, 0, bytes, 5, 77);
        put_option(&c, 1, "first", 5);
        put_option(&c, 2988, "custom\0\0\0", 9);
        put_u32(&c, c.big ? 0x00020004 : 0x00040002); /* epb_flags, with the length of a checksum in higher bits */
        put_u32(&c, 0xfffe0060 | (i & 3));
        put_option(&c, 1, "second\0hidden", 13);
        put_option(&c, 0, NULL, 0);
        put_option(&c, 1, "behind the end", 14);
        block_end(&c);
        struct trace_packet p;
        cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 1);
        cr_expect_eq(p.direction, directions[i & 3]);
        cr_expect_str_eq(p.comment, "first\nsecond");
        cr_expect_eq(p.len, 5);
        cr_expect_eq(p.wire_len, 77);
        expect_damage(&c, 1, NULL);
    }
}

Test(pcapng, comments_do_not_stick) {
    struct capture c = {0};
    put_start(&c);
    packet_begin(&c, 0, 0, bytes, 5, 5);
    put_option(&c, 1, "one", 3);
    block_end(&c);
    put_packet(&c, 0, 0, bytes, 5);
    struct trace_packet p;
    cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 2);
    cr_expect_null(p.comment);
}

Test(pcapng, texts_become_clean_utf8) {
    static const struct { const char *in, *out; } cases[] = {
        {"eth\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "eth\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\x1b[31mb\tc\nd\x7f", "a?[31mb\tc\nd?"},
        {"\xff\xc0\x80\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80\xc3", "??" "?" "???" "???" "????" "?"},
        {"x\xe2\x82", "x??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct capture c = {0};
        put_section(&c);
        put_interface(&c, cases[i].in, LINKTYPE_ETHERNET, 0);
        put_packet(&c, 0, 0, bytes, 5);
        struct trace *t = open_capture(&c, NULL);
        struct trace_packet p;
        cr_assert_eq(trace_read(t, &p, NULL), 1);
        uint32_t n;
        cr_expect_str_eq(trace_interfaces(t, &n)->name, cases[i].out);
        trace_close(t);
    }
}

Test(pcapng, simple_packets_take_the_snap_length) {
    for (uint32_t snaplen = 0; snaplen <= 40; snaplen += 20) {
        struct capture c = {0};
        put_section(&c);
        put_interface(&c, NULL, LINKTYPE_ETHERNET, snaplen);
        uint32_t len = snaplen == 20 ? 20 : 33;
        block_begin(&c, 3);
        put_u32(&c, 33);
        put(&c, bytes, len);
        block_end(&c);
        struct trace_packet p;
        cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 1);
        cr_expect_eq(p.len, len);
        cr_expect_eq(p.wire_len, 33);
        cr_expect_eq(p.time_ns, 0);
        expect_damage(&c, 1, NULL);
    }
}

Test(pcapng, obsolete_packet_block) {
    struct capture c = {.big = true};
    put_start(&c);
    put_interface(&c, NULL, LINKTYPE_RAW, 0);
    block_begin(&c, 2);
    put_u16(&c, 1);
    put_u16(&c, 77); /* drops */
    put_u32(&c, 1);
    put_u32(&c, 5);
    put_u32(&c, 6);
    put_u32(&c, 60);
    put(&c, bytes, 6);
    put_u16(&c, 0);
    put_option(&c, 2, "\0\0\0\2", 4);
    block_end(&c);
    struct trace_packet p;
    cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 1);
    cr_expect_eq(p.interface, 1);
    cr_expect_eq(p.time_ns, (0x100000005ull) * 1000);
    cr_expect_eq(p.len, 6);
    cr_expect_eq(p.wire_len, 60);
    cr_expect_eq(p.direction, TRACE_OUTBOUND);
}

static void put_statistics(struct capture *c, uint32_t interface, uint64_t ifdrop, uint64_t osdrop) {
    block_begin(c, 5);
    put_u32(c, interface);
    put_u64(c, 0);
    put_option(c, 4, "receivd", 8);
    put_option(c, 5, &ifdrop, 8);
    put_option(c, 7, &osdrop, 8);
    block_end(c);
}

Test(pcapng, drop_counts_of_the_last_statistics) {
    struct capture c = {0};
    put_start(&c);
    put_interface(&c, NULL, LINKTYPE_ETHERNET, 0);
    put_packet(&c, 0, 0, bytes, 5);
    put_statistics(&c, 0, 2, 1);
    put_statistics(&c, 0, 1ull << 40, 5);
    block_begin(&c, 5); /* one that knows no drops */
    put_u32(&c, 1);
    put_u64(&c, 0);
    block_end(&c);
    struct trace *t = open_capture(&c, NULL);
    struct trace_packet p;
    cr_assert_eq(trace_read(t, &p, NULL), 1);
    cr_assert_eq(trace_read(t, &p, NULL), 0);
    uint32_t n;
    const struct trace_interface *f = trace_interfaces(t, &n);
    cr_expect_eq(f[0].dropped, (1ull << 40) + 5);
    cr_expect_eq(f[1].dropped, UINT64_MAX);
    cr_expect_null(trace_damage(t));
    trace_close(t);
}

Test(pcapng, unknown_blocks_are_skipped) {
    struct capture c = {0};
    put_start(&c);
    for (uint32_t type = 0x80000000; type < 0x80000003; type++) {
        block_begin(&c, type);
        put(&c, bytes, 4 * (type & 3));
        block_end(&c);
        put_packet(&c, 0, 0, bytes, 5);
    }
    expect_damage(&c, 3, NULL);
}

/* Wireshark numbers custom blocks, journal entries and system calls as well. */
Test(pcapng, frame_numbers) {
    static const uint32_t types[] = {0xbad, 0x40000bad, 9, 0x204, 4, 7, 10};
    struct capture c = {0};
    put_start(&c);
    put_packet(&c, 0, 0, bytes, 5);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        block_begin(&c, types[i]);
        put_u32(&c, 32473);
        block_end(&c);
    }
    put_packet(&c, 0, 0, bytes, 5);
    struct trace_packet p;
    cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 2);
    cr_expect_eq(p.frame, 6);
}

Test(pcapng, without_packets_is_fine) {
    struct capture c = {0};
    put_section(&c);
    expect_damage(&c, 0, NULL);
    put_interface(&c, "eth0", LINKTYPE_ETHERNET, 0);
    expect_damage(&c, 0, NULL);
}
