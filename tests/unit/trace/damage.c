/* SPDX-License-Identifier: BSD-3-Clause */
/* Damaged pcapng: what was whole is read, the rest is named with its offset; and random damage never does worse. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include "capture.h"

TestSuite(damage, .timeout = 120);

static const uint8_t bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

enum { SECTION = 28, INTERFACE = 20, START = SECTION + INTERFACE, PACKET = 32 + 8 };

/* A section, an interface and `n` packets of 8 bytes: block i stands at START + i * PACKET. */
static void put_packets(struct capture *c, int n) {
    put_start(c);
    for (int i = 0; i < n; i++)
        put_packet(c, 0, 0, bytes, 8);
    cr_assert_eq(c->n, (size_t)(START + n * PACKET));
}

Test(damage, cut_anywhere) {
    struct capture c = {0};
    put_packets(&c, 3);
    for (; c.n > START; c.n--) {
        int whole = (int)(c.n - START) / PACKET;
        char text[64];
        snprintf(text, sizeof text, "byte %d: pcapng block", START + whole * PACKET);
        if ((c.n - START) % PACKET == 0)
            expect_damage(&c, whole, NULL);
        else if (whole)
            expect_damage(&c, whole, text);
        else
            expect_error(&c, text);
    }
    for (c.n = START - 1; c.n > SECTION; c.n--)
        expect_error(&c, "byte 28: pcapng block");
    for (c.n = SECTION - 1; c.n >= 4; c.n--)
        expect_error(&c, "byte 0: pcapng block");
}

Test(damage, lengths_of_a_block) {
    static const uint32_t bad[] = {0, 4, 8, 11, 41, 42, 43, 0x10000004, 0xfffffffc};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct capture c = {0};
        put_packets(&c, 3);
        patch_u32(&c, START + PACKET + 4, bad[i]);
        char text[120];
        snprintf(text, sizeof text,
            "byte 88: the block's length %u is not a multiple of 4 from 12 to 268435456; 40 bytes lost", bad[i]);
        expect_damage(&c, 2, text);
    }
}

Test(damage, length_beyond_the_file) {
    struct capture c = {0};
    put_packets(&c, 3);
    patch_u32(&c, START + PACKET + 4, 256u << 20);
    expect_damage(&c, 2, "byte 88: pcapng block of 268435456 bytes is cut after 80: the file ends; 40 bytes lost");
}

Test(damage, missing_trailing_length) {
    struct capture c = {0};
    put_packets(&c, 3);
    patch_u32(&c, START + 2 * PACKET - 4, 44);
    expect_damage(&c, 2, "byte 88: the block's length is 40 at its start and 44 at its end; 40 bytes lost");
}

/* The front length is wrong and leads into, or beyond, blocks that are whole. */
Test(damage, wrong_front_length) {
    for (uint32_t bad = 12; bad < 4 * PACKET; bad += 4) {
        struct capture c = {0};
        put_packets(&c, 5);
        patch_u32(&c, START + PACKET + 4, bad);
        if (bad != PACKET)
            expect_damage(&c, 4, "40 bytes lost");
    }
}

/* A piece of the file is overwritten with zeros: the packets before and behind it are read, whatever it cuts. */
Test(damage, zeroed_piece) {
    for (int from = 0; from < 2 * PACKET; from += 4)
        for (int len = 4; len < 3 * PACKET; len += 4) {
            struct capture c = {0};
            put_packets(&c, 7);
            memset(c.v + START + PACKET + from, 0, (size_t)len);
            int hit = (from + len - 1) / PACKET - from / PACKET + 1;
            char damage[512];
            int n = read_capture(&c, NULL, damage, sizeof damage, NULL);
            cr_expect(n == 7 - hit || n == 8 - hit || n == 9 - hit, "%d+%d: %d packets, %d are hit: %s", from, len, n,
                hit, damage); /* up to two are hit where no reader looks */
        }
}

/* Blocks inside a packet's data are not taken for the file's, even behind damage. */
Test(damage, a_capture_within_a_packet) {
    static struct capture inner, c;
    put_packet(&inner, 0, 0, bytes, 8);
    put_start(&c);
    put_packet(&c, 0, 0, bytes, 8);
    size_t bad = c.n;
    put_packet(&c, 0, 0, inner.v, (uint32_t)inner.n);
    put_packet(&c, 0, 0, bytes, 8);
    put_packet(&c, 0, 0, bytes, 8);
    patch_u32(&c, bad + 4, 3);
    expect_damage(&c, 3, "; 72 bytes lost");
}

/* Without an interface's description the packets of its section cannot be told apart; the next section is read. */
Test(damage, the_next_section) {
    static const struct { size_t at; uint32_t value; const char *text; } cases[] = {
        {SECTION + 4, 3, "byte 28: the block's length 3 is not"},
        {SECTION + INTERFACE - 4, 3, "byte 28: the block's length is 20 at its start and 3"},
        {4, 3, "byte 0: the block's length 3 is not"},
        {8, 7, "byte 0: the section header's byte-order magic is 0x00000007"},
        {12, 9, "byte 0: the pcapng version is 9.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct capture c, second;
        c.n = second.n = 0;
        put_packets(&c, 3);
        second.big = true;
        put_start(&second);
        put_packet(&second, 0, 0, bytes, 8);
        patch_u32(&c, cases[i].at, cases[i].value);
        put(&c, second.v, second.n);
        expect_damage(&c, 1, cases[i].text);
    }
}

Test(damage, an_interface_behind_lost_blocks) {
    struct capture c = {0};
    put_packets(&c, 3);
    patch_u32(&c, START + PACKET + 4, 0);
    put_interface(&c, "b", LINKTYPE_RAW, 0);
    put_packet(&c, 1, 0, bytes, 8);
    expect_damage(&c, 2, "and 1 more after it; 108 bytes lost"); /* a packet, the interface, its packet */
}

/* Bad contents between good lengths: the block is skipped, what follows is read. */
Test(damage, contents_of_a_packet_block) {
    static const struct { size_t at; uint32_t value; const char *text; } cases[] = {
        {8, 1, "byte 88: the block names interface 1, its section has 1"},
        {8, 0xffffffff, "byte 88: the block names interface 4294967295"},
        {20, 9, "byte 88: the packet block claims 9 captured bytes and has room for 8"},
        {20, 262145, "byte 88: the packet block claims 262145 captured bytes, more than 262144"},
        {20, 0xffffffff, "byte 88: the packet block claims 4294967295 captured bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct capture c = {0};
        put_packets(&c, 3);
        patch_u32(&c, START + PACKET + cases[i].at, cases[i].value);
        expect_damage(&c, 2, cases[i].text);
    }
}

Test(damage, more_of_it_is_counted) {
    struct capture c = {0};
    put_packets(&c, 5);
    for (int i = 1; i < 4; i++)
        patch_u32(&c, (size_t)(START + i * PACKET + 8), 7);
    expect_damage(&c, 2, "interface 7, its section has 1; and 2 more after it; 120 bytes lost");
}

Test(damage, blocks_too_short_for_their_kind) {
    static const struct { uint32_t type; size_t len; int good; const char *text; } cases[] = {
        {6, 16, 2, "byte 88: the packet block holds 16 bytes, at least 20"},
        {2, 16, 2, "byte 88: the packet block holds 16 bytes, at least 20"},
        {3, 0, 2, "byte 88: the simple packet block holds 0 bytes, at least 4"},
        {5, 8, 2, "byte 88: the statistics block holds 8 bytes, at least 12"},
        {1, 4, 1, "byte 88: the interface block holds 4 bytes, at least 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct capture c = {0};
        put_packets(&c, 1);
        block_begin(&c, cases[i].type);
        put(&c, (uint8_t[32]){0}, cases[i].len);
        block_end(&c);
        put_packet(&c, 0, 0, bytes, 8);
        expect_damage(&c, cases[i].good, cases[i].text);
    }
}

Test(damage, options_beyond_the_block) {
    static const struct { uint32_t type; size_t fixed; const char *text; int good; } cases[] = {
        {6, 20, "byte 88: the options run beyond the packet block", 3},
        {1, 8, "byte 88: the options run beyond the interface block", 2},
        {5, 12, "byte 88: the options run beyond the statistics block", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint16_t len = 5; len < 9; len++) {
            struct capture c = {0};
            put_packets(&c, 1);
            block_begin(&c, cases[i].type);
            put(&c, (uint8_t[32]){0}, cases[i].fixed);
            put_u16(&c, 1);
            put_u16(&c, len);
            put_u32(&c, 0);
            block_end(&c);
            put_packet(&c, 0, 0, bytes, 8);
            expect_damage(&c, cases[i].good, cases[i].text);
        }
}

Test(damage, interface_options_too_short) {
    static const uint16_t codes[] = {9, 14};
    for (int i = 0; i < 2; i++) {
        struct capture c = {0};
        put_packets(&c, 1);
        block_begin(&c, 1);
        put_u64(&c, 0);
        put_option(&c, codes[i], "\1\1\1\1", i ? 4 : 0);
        block_end(&c);
        char text[80];
        snprintf(text, sizeof text, "byte 88: the interface's option %u has only %d bytes", codes[i], i ? 4 : 0);
        expect_damage(&c, 1, text);
    }
}

Test(damage, packets_without_an_interface) {
    struct capture c = {0};
    put_packets(&c, 1);
    size_t at = c.n;
    put_section(&c);
    put_packet(&c, 0, 0, bytes, 8); /* the first section's interface is no longer there */
    block_begin(&c, 3);
    put_u32(&c, 0);
    block_end(&c);
    char text[120];
    snprintf(text, sizeof text, "byte %zu: the block names interface 0, its section has 0; and 1 more", at + SECTION);
    expect_damage(&c, 1, text);
}

Test(damage, section_headers) {
    struct capture c = {0};
    put_packets(&c, 1);
    size_t at = c.n;
    put_section(&c);
    patch_u32(&c, at + 8, 0x12345678);
    expect_damage(&c, 1, "byte 88: the section header's byte-order magic is 0x12345678");
    patch_u32(&c, at + 8, 0x1a2b3c4d);
    patch_u32(&c, at + 12, 0x00010001);
    expect_damage(&c, 1, "byte 88: the pcapng version is 1.1");
    patch_u32(&c, at + 12, 0x00020001);
    expect_damage(&c, 1, NULL);
    c.n = at;
    block_begin(&c, 0x0a0d0d0a);
    put_u32(&c, 0x1a2b3c4d);
    block_end(&c);
    expect_damage(&c, 1, "byte 88: the section header block holds 4 bytes, at least 16");
}

/* A larger capture with every kind of block. */
static void put_everything(struct capture *c, bool big) {
    for (int s = 0; s < 2; s++) {
        c->big = s ? !big : big;
        put_section(c);
        put_interface(c, "eth0", LINKTYPE_ETHERNET, 96);
        put_interface(c, "tun0", LINKTYPE_RAW, 0);
        for (uint32_t i = 0; i < 4; i++) {
            packet_begin(c, i & 1, i, bytes, 9 * i, 9 * i);
            put_option(c, 1, "a comment", 9);
            block_end(c);
        }
        block_begin(c, 3);
        put_u32(c, 10);
        put(c, bytes, 10);
        block_end(c);
        block_begin(c, 5);
        put_u32(c, 0);
        put_u64(c, 0);
        put_option(c, 5, bytes, 8);
        block_end(c);
    }
}

/* Random changes: reading ends, with packets within bounds, and whatever is amiss has an offset. */
Test(damage, random_changes) {
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct random r;
        random_seed(&r, seed);
        struct capture c = {0};
        put_everything(&c, seed & 1);
        for (uint32_t n = 1 + random_below(&r, 4); n; n--)
            c.v[random_below(&r, (uint32_t)c.n)] = (uint8_t)random_below(&r, random_below(&r, 2) ? 256 : 8);
        if (random_below(&r, 4) == 0)
            c.n = random_below(&r, (uint32_t)c.n);
        char damage[512] = "";
        struct err e = {0};
        int n = read_capture(&c, NULL, damage, sizeof damage, &e);
        if (n < 0)
            cr_assert(strstr(e.what, "byte "), "seed %lu: '%s' names no offset", (unsigned long)seed, e.what);
        else
            cr_assert(!damage[0] || !strncmp(damage, "byte ", 5), "seed %lu: '%s'", (unsigned long)seed, damage);
        cr_assert_leq(n, 20, "seed %lu: %d packets", (unsigned long)seed, n);
    }
}
