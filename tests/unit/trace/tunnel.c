/* SPDX-License-Identifier: BSD-3-Clause */
/* Tunnels, each built by hand; see frames.h for what else is tried with every one of them. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frames.h"

TestSuite(tunnel, .timeout = 120);

static void carried(void) {
    frame_ipv4(6);
    frame_tcp();
}

static void raw(uint8_t proto) {
    frame_start(LINKTYPE_RAW);
    frame_ipv4(proto);
}

Test(tunnel, ip_in_ip) {
    raw(4);
    frame_ipv4(41);
    frame_ipv6(4);
    frame_ipv4(17);
    frame_udp(1, 2);
    frame_expect("ip ipip:0,ipip:0,ipip:0 " FRAME_IPV4 "4 " FRAME_IPV4 "41 " FRAME_IPV6 "4 " FRAME_IPV4 "17");
    cr_expect_eq(frame_view().depth, 3);
    cr_expect_eq(frame_view().len, 28);
    raw(41); /* says IPv6, is not */
    carried();
    frame_expect("ip  " FRAME_IPV4 "41");
}

Test(tunnel, only_the_first_fragment) {
    raw(4);
    carried();
    uint32_t len;
    uint8_t *data = frame_bytes(&len);
    data[6] = 0x20;
    frame_expect("ip ipip:0 " FRAME_IPV4 "4 " FRAME_IPV4 "6");
    data[7] = 1;
    frame_expect("ip  " FRAME_IPV4 "4");
    frame_start(LINKTYPE_RAW);
    frame_ipv6(44);
    frame_hex("29 00 0001 00000007"); /* the first of several */
    frame_ipv6(6);
    frame_expect("ip ipip:0 " FRAME_IPV6 "44 " FRAME_IPV6 "6");
    frame_bytes(&len)[43] = 8; /* at byte 8 of the whole */
    frame_expect("ip  " FRAME_IPV6 "44");
}

Test(tunnel, behind_extension_headers) {
    frame_start(LINKTYPE_RAW);
    frame_ipv6(0);
    frame_hex("2b00 000000000000"             /* hop by hop */
              "3c02 0400 00000000 20010db8000000000000000000000001" /* routing */
              "8700 000000000000"             /* destination options */
              "8b00 000000000000"             /* mobility */
              "8c00 000000000000"             /* HIP */
              "3300 000000000000"             /* shim6 */
              "2c01 0000 00000001 00000002"   /* authentication: in words of four bytes */
              "0400 0000 00000007");          /* an atomic fragment */
    carried();
    frame_expect("ip ipip:0 " FRAME_IPV6 "0 " FRAME_IPV4 "6");
    raw(51);
    frame_hex("0404 0000 00000001 00000002 000000000000000000000000");
    carried();
    frame_expect("ip ipip:0 " FRAME_IPV4 "51 " FRAME_IPV4 "6");
    raw(0); /* not IPv6's */
    frame_hex("0400 000000000000");
    carried();
    frame_expect("ip  " FRAME_IPV4 "0");
}

Test(tunnel, header_with_options) {
    raw(4);
    frame_hex("01010101");
    carried();
    uint32_t len;
    uint8_t *data = frame_bytes(&len);
    data[0] = 0x46;
    frame_expect("ip ipip:0 " FRAME_IPV4 "4 " FRAME_IPV4 "6");
    data[0] = 0x44; /* shorter than any */
    frame_expect("ip  " FRAME_IPV4 "4");
    data[0] = 0x4f; /* longer than what is there of it */
    frame_expect("ip  " FRAME_IPV4 "4");
}

/* Ethernet's padding is not the tunnel's. */
Test(tunnel, ends_where_its_packet_ends) {
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x0800);
    frame_ipv4(4);
    frame_ipv4(59);
    uint32_t len;
    frame_bytes(&len);
    frame_hex("000000000000");
    uint8_t *data = frame_bytes(&len), copy[60];
    data[17] = 40;
    data[37] = 20;
    cr_assert_eq(len, sizeof copy);
    memcpy(copy, data, len);
    struct link_view views[FRAME_VIEWS];
    cr_assert_eq(frame_walk(LINKTYPE_ETHERNET, copy, len, len, NULL, NULL, views), 2);
    cr_expect_eq(views[0].len, 46);
    cr_expect_eq(views[1].len, 20);
    cr_expect_eq(views[1].wire_len, 20);
    cr_expect_eq(views[1].mac, copy);
    copy[16] = copy[17] = 0; /* offloaded segmentation: the frame's length holds */
    cr_assert_eq(frame_walk(LINKTYPE_ETHERNET, copy, len, len + 1000, NULL, NULL, views), 2);
    cr_expect_eq(views[1].len, 26);
    cr_expect_eq(views[1].wire_len, 1026);
}

Test(tunnel, gre) {
    static const struct {
        const char *header, *layer;
    } cases[] = {
        {"0000 0800", "gre:0"},
        {"8000 0800 1234 0000", "gre:0"},
        {"2000 0800 00000457", "gre:1111"},
        {"1000 0800 00000457", "gre:0"},
        {"b000 0800 1234 0000 80000001 00000007", "gre:2147483649"},
        {"2000 6558 00045701 020000000003 020000000004 8100 0005 0800", "gre:284417,vlan:5"}, /* NVGRE */
        {"0000 8847 000101ff", "gre:0,mpls:16"},
        {"0000 88be 020000000003 020000000004 0800", "gre:0"}, /* ERSPAN I */
        {"1000 88be 00000001 10050064 00000001 020000000003 020000000004 0800", "gre:0"},
        {"1000 22eb 00000001 20050064 00000001 00000000 020000000003 020000000004 0800", "gre:0"},
        {"1000 22eb 00000001 20050064 00000001 00000001 0000000000000000 020000000003 020000000004 0800", "gre:0"},
        {"3001 880b 0030 0011 00000001 21", "gre:17"}, /* PPTP */
        {"3081 880b 0030 0011 00000001 00000002 ff03 0021", "gre:17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        raw(47);
        frame_hex(cases[i].header);
        carried();
        snprintf(text, sizeof text, "ip %s " FRAME_IPV4 "47 " FRAME_IPV4 "6", cases[i].layer);
        frame_expect(text);
    }
}

Test(tunnel, gre_that_is_none) {
    static const char *const headers[] = {
        "0000 0806", "0000 2001", "4000 0800", "0002 0800", /* ARP, NHRP, routing, version 2 */
        "2001 880b 0000 0011", "1001 880b 0030 0011 00000001 21", "3001 0800 0030 0011 00000001", /* RFC 2637's own */
        "0000 0040", /* a length, LLC */
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        raw(47);
        frame_hex(headers[i]);
        carried();
        frame_expect("ip  " FRAME_IPV4 "47");
    }
}

Test(tunnel, gre_in_gre) {
    raw(47);
    frame_hex("0000 86dd");
    frame_ipv6(47);
    frame_hex("0000 0800");
    carried();
    frame_expect("ip gre:0,gre:0 " FRAME_IPV4 "47 " FRAME_IPV6 "47 " FRAME_IPV4 "6");
}

Test(tunnel, in_udp) {
    static const struct {
        uint16_t port;
        const char *header, *layer;
    } cases[] = {
        {4789, "08000000 00115c00 020000000003 020000000004 0800", "vxlan:4444"},
        {8472, "88000007 00115c00 020000000003 020000000004 8100 0005 0800", "vxlan:4444,vlan:5"}, /* a group policy */
        {6081, "0000 6558 00000a00 020000000003 020000000004 0800", "geneve:10"},
        {6081, "0240 0800 00000a00 0102800100000000", "geneve:10"},
        {6635, "000101ff", "mpls:16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        frame_start(LINKTYPE_RAW);
        frame_ipv6(17);
        frame_udp(50000, cases[i].port);
        frame_hex(cases[i].header);
        carried();
        snprintf(text, sizeof text, "ip %s " FRAME_IPV6 "17 " FRAME_IPV4 "6", cases[i].layer);
        frame_expect(text);
    }
}

Test(tunnel, udp_that_is_none) {
    static const struct {
        uint16_t from, to;
        const char *header;
    } cases[] = {
        {4789, 50000, "08000000 00115c00 020000000003 020000000004 0800"}, /* the port is the receiver's */
        {50000, 4789, "00000000 00115c00 020000000003 020000000004 0800"}, /* no VNI */
        {50000, 4789, "08000000 00115c00 020000000003 020000000004 0806"},
        {50000, 6081, "4000 0800 00000a00"}, /* version 1 */
        {50000, 4500, "00000000"},           /* IKE */
        {50000, 4500, "12345678 00000001"},  /* ESP without a key */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw(17);
        frame_udp(cases[i].from, cases[i].to);
        frame_hex(cases[i].header);
        carried();
        frame_expect("ip  " FRAME_IPV4 "17");
    }
}

Test(tunnel, mpls_in_ip) {
    raw(137);
    frame_hex("000101ff");
    frame_ipv6(6);
    frame_expect("ip mpls:16 " FRAME_IPV4 "137 " FRAME_IPV6 "6");
}

Test(tunnel, nothing_in_what_is_no_ip) {
    struct link_view v, in;
    cr_assert(link_decode(LINKTYPE_ETHERNET, (const uint8_t[]){[12] = 8, 6, 0x45}, 15, 15, &v));
    cr_expect_not(link_inner(&v, NULL, NULL, &in));
    cr_assert(link_decode(LINKTYPE_IPV4, NULL, 0, 0, &v));
    cr_expect_not(link_inner(&v, NULL, NULL, &in));
}

/* Nested frames with some bytes changed: whatever is found lies within. */
Test(tunnel, changed_bytes) {
    struct random r;
    random_seed(&r, 20261122);
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8100);
    frame_hex("0005 0800");
    frame_ipv4(47);
    frame_hex("b000 86dd 1234 0000 80000001 00000007");
    frame_ipv6(44);
    frame_hex("1100 0001 00000007");
    frame_udp(50000, 6081);
    frame_hex("0240 6558 00000a00 0102800100000000");
    frame_ethernet(0x8847);
    frame_hex("000101ff");
    frame_ipv4(4);
    frame_ipv4(17);
    frame_udp(50000, 4789);
    frame_hex("08000000 00115c00");
    frame_ethernet(0x8864);
    frame_hex("1100 0011 0028 0021");
    carried();
    frame_expect("ip vlan:5,gre:2147483649,geneve:10,mpls:16,ipip:0,vxlan:4444,pppoe:17 " FRAME_IPV4 "47 " FRAME_IPV6
                 "44 " FRAME_IPV4 "4 " FRAME_IPV4 "17 " FRAME_IPV4 "6");
    uint32_t whole;
    const uint8_t *data = frame_bytes(&whole);
    unsigned deep[FRAME_VIEWS + 1] = {0};
    for (int i = 0; i < 200000; i++) {
        uint32_t len = whole - (random_below(&r, 2) ? random_below(&r, whole) : 0);
        uint8_t *copy = malloc(len);
        memcpy(copy, data, len);
        for (uint32_t n = random_below(&r, 6); n > 0; n--)
            copy[random_below(&r, len)] ^= (uint8_t)(1u << random_below(&r, 8));
        struct link_view views[FRAME_VIEWS];
        int n = frame_walk(LINKTYPE_ETHERNET, copy, len, whole, NULL, NULL, views);
        frame_within(views, n, copy, len, NULL);
        deep[n]++;
        free(copy);
    }
    for (int n = 1; n <= 5; n++)
        cr_expect_gt(deep[n], 1000, "%u were %d deep, seed 20261122", deep[n], n);
}
