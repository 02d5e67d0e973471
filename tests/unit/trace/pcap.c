/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap, built by hand in each of its variants and kinds of damage. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "capture.h"

TestSuite(pcap, .timeout = 60);

static const uint8_t bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

Test(pcap, both_byte_orders_and_resolutions) {
    for (int big = 0; big < 2; big++)
        for (int nano = 0; nano < 2; nano++) {
            struct capture c = {.big = big};
            put_pcap(&c, nano ? 0xa1b23c4d : 0xa1b2c3d4, LINKTYPE_ETHERNET);
            put_record(&c, 7, 8, 3, 3, bytes);
            put_record(&c, 4000000000u, 999999, 60, 1514, bytes);
            struct trace_packet p;
            cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 2);
            cr_expect_eq(p.time_ns, 4000000000u * 1000000000ull + 999999ull * (nano ? 1 : 1000));
            cr_expect_eq(p.offset, 24 + 16 + 3u);
            cr_expect_eq(p.len, 60);
            cr_expect_eq(p.wire_len, 1514);
            cr_expect_eq(p.direction, TRACE_DIRECTION_UNKNOWN);
            cr_expect_null(p.comment);
            cr_expect_arr_eq(p.data, bytes, 60);
            expect_damage(&c, 2, NULL);
        }
}

Test(pcap, modified_record_header) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2cd34, LINKTYPE_ETHERNET);
    for (int i = 0; i < 2; i++) {
        put_record(&c, 7, 8, 0, 90, NULL);
        patch_u32(&c, c.n - 8, 5);
        put_u64(&c, 0x1122334455667788);
        put(&c, bytes, 5);
    }
    struct trace_packet p;
    cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 2);
    cr_expect_eq(p.time_ns, 7000008000ull);
    cr_expect_eq(p.len, 5);
    cr_expect_eq(p.wire_len, 90);
    cr_expect_arr_eq(p.data, bytes, 5);
}

/* Up to version 2.2 always, in 2.3 sometimes, the two lengths were the other way round. */
Test(pcap, old_versions_swap_the_lengths) {
    for (uint32_t minor = 2; minor <= 3; minor++) {
        struct capture c = {0};
        put_pcap(&c, 0xa1b2c3d4, LINKTYPE_ETHERNET);
        patch_u32(&c, 4, 2 | minor << 16);
        put_record(&c, 0, 0, 0, 5, NULL);
        patch_u32(&c, c.n - 8, 90);
        put(&c, bytes, 5);
        struct trace_packet p;
        cr_assert_eq(read_capture(&c, &p, NULL, 0, NULL), 1);
        cr_expect_eq(p.len, 5);
        cr_expect_eq(p.wire_len, 90);
    }
}

Test(pcap, interface) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2c3d4, 0x40000000 | LINKTYPE_LINUX_SLL2); /* with the length of a frame check sequence */
    put_record(&c, 0, 0, 1, 0, bytes);
    struct trace *t = open_capture(&c, NULL);
    struct trace_packet p;
    cr_assert_eq(trace_read(t, &p, NULL), 1);
    cr_expect_eq(p.wire_len, 1, "a wire length below the captured one is raised to it");
    uint32_t n;
    const struct trace_interface *i = trace_interfaces(t, &n);
    cr_assert_eq(n, 1);
    cr_expect_str_empty(i->name);
    cr_expect_str_empty(i->description);
    cr_expect_eq(i->linktype, LINKTYPE_LINUX_SLL2);
    cr_expect_eq(i->snaplen, 65535);
    cr_expect_eq(i->packets, 1);
    cr_expect_eq(i->dropped, UINT64_MAX);
    trace_close(t);
}

Test(pcap, old_values_of_raw_ip) {
    for (uint32_t linktype = 12; linktype <= 14; linktype += 2) {
        struct capture c = {0};
        put_pcap(&c, 0xa1b2c3d4, linktype);
        struct trace *t = open_capture(&c, NULL);
        uint32_t n;
        cr_expect_eq(trace_interfaces(t, &n)->linktype, LINKTYPE_RAW);
        trace_close(t);
    }
}

Test(pcap, without_packets_is_fine) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2c3d4, LINKTYPE_ETHERNET);
    expect_damage(&c, 0, NULL);
}

/* Cut after every byte: whole records are read, the damage names the record that is cut. */
Test(pcap, cut_anywhere) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2c3d4, LINKTYPE_ETHERNET);
    size_t end[4] = {24};
    for (int i = 1; i < 4; i++) {
        put_record(&c, 1, 2, (uint32_t)i * 7, 60, bytes);
        end[i] = c.n;
    }
    for (int whole = 3; c.n > 24; c.n--) {
        while (end[whole] > c.n)
            whole--;
        char text[64];
        snprintf(text, sizeof text, "byte %zu: pcap record", end[whole]);
        if (end[whole] == c.n)
            expect_damage(&c, whole, NULL);
        else if (whole)
            expect_damage(&c, whole, text);
        else
            expect_error(&c, text);
    }
    for (c.n = 23; c.n >= 4; c.n--)
        expect_error(&c, "byte 0: pcap file header of 24 bytes is cut after");
    for (c.n = 3; c.n; c.n--)
        expect_error(&c, "the file ends before it says what it is");
}

Test(pcap, damage_in_a_record) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2c3d4, LINKTYPE_ETHERNET);
    put_record(&c, 0, 0, 9, 9, bytes);
    size_t at = c.n;
    put_record(&c, 0, 0, 9, 9, bytes);
    patch_u32(&c, at + 8, 262145);
    expect_damage(&c, 1, "byte 49: the record claims 262145 captured bytes, more than 262144");
    patch_u32(&c, 24 + 8, 0xffffffff);
    expect_error(&c, "byte 24: the record claims 4294967295 captured bytes");
}

Test(pcap, damage_in_the_header) {
    struct capture c = {0};
    put_pcap(&c, 0xa1b2c3d4, LINKTYPE_ETHERNET);
    patch_u32(&c, 4, 3);
    expect_error(&c, "byte 4: the pcap version is 3.0");
    patch_u32(&c, 4, 0x00040002);
    patch_u32(&c, 20, 0x00010001);
    expect_error(&c, "byte 20: the link type is 0x00010001");
    patch_u32(&c, 0, 0x706f6e73);
    expect_error(&c, "byte 0: 73 6e 6f 70 does not begin a capture");
}
