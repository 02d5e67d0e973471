/* SPDX-License-Identifier: BSD-3-Clause */
/* Link layers, each built by hand; see frames.h for what else is tried with every one of them. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <stdio.h>
#include <stdlib.h>
#include "frames.h"

TestSuite(link, .timeout = 60);

Test(link, plain_ethernet) {
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x0800);
    frame_ipv4(6);
    frame_tcp();
    frame_expect("ip  " FRAME_IPV4 "6");
    struct link_view v = frame_view();
    cr_expect_eq(v.ip - v.mac, 14);
    cr_expect_eq(v.len, 40);
    cr_expect_eq(v.wire_len, 40);
    cr_expect_eq(v.direction, TRACE_DIRECTION_UNKNOWN);
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x86dd);
    frame_ipv6(6);
    frame_tcp();
    frame_expect("ip  " FRAME_IPV6 "6");
}

Test(link, bytes_that_the_wire_had) {
    uint8_t data[34] = {[12] = 8, [14] = 0x45};
    struct link_view v;
    cr_assert(link_decode(LINKTYPE_ETHERNET, data, sizeof data, 1514, &v));
    cr_expect_eq(v.len, 20);
    cr_expect_eq(v.wire_len, 1500);
    cr_assert(link_decode(LINKTYPE_ETHERNET, data, sizeof data, 3, &v), "a wire length below what is there is raised");
    cr_expect_eq(v.wire_len, 20);
    data[12] = 0x81;
    cr_assert(link_decode(LINKTYPE_ETHERNET, data, 16, 1514, &v));
    cr_expect_eq(v.fault, LINK_SHORT);
    cr_expect_eq(v.ip, data + 14);
    cr_expect_eq(v.len, 2);
    cr_expect_eq(v.wire_len, 1500);
}

Test(link, tags) {
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x88a8);
    frame_hex("6065 9100 f01e 9200 0001 8100 0fff 0800"); /* priority bits are not the VLAN's */
    frame_ipv4(17);
    frame_udp(1, 2);
    frame_expect("ip vlan:101,vlan:30,vlan:1,vlan:4095 " FRAME_IPV4 "17");
    cr_expect_eq(frame_view().ip - frame_view().mac, 30);
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8100);
    for (int i = 0; i < 20; i++)
        frame_hex("0007 8100");
    frame_hex("0008 0806 0001");
    frame_expect("arp vlan:7,vlan:7,vlan:7,vlan:7,vlan:7,vlan:7,vlan:7,vlan:7");
}

Test(link, no_ip) {
    static const struct {
        uint16_t type;
        const char *more, *text;
    } cases[] = {
        {0x0806, "0001 0800", "arp "},
        {0x88cc, "0207", "other "},
        {0x0026, "424203 0000", "llc "},
        {0x8863, "11090000 0004", "other "},
        {0x05ff, "45000014", "other "}, /* between the lengths and the types */
        {0x0040, "aaaa03 00000c 0800 45000014", "llc "}, /* Cisco's numbers, not EtherTypes */
        {0x0040, "aaaa03 000000 0040", "llc "},
        {0x8864, "2100 0000 0004 0021 4500", "other "}, /* nor the version of one */
        {0x8864, "1109 0000 0004 0021 4500", "other "}, /* not the code of a session's data */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame_start(LINKTYPE_ETHERNET);
        frame_ethernet(cases[i].type);
        frame_hex(cases[i].more);
        frame_expect(cases[i].text);
    }
}

Test(link, ip_in_snap) {
    for (int bridged = 0; bridged < 2; bridged++) {
        frame_start(LINKTYPE_ETHERNET);
        frame_ethernet(48);
        frame_hex(bridged ? "aaaa03 0000f8 8100 0005 0800" : "aaaa03 000000 8100 0005 0800");
        frame_ipv4(6);
        frame_tcp();
        frame_expect("ip vlan:5 " FRAME_IPV4 "6");
    }
}

Test(link, mpls) {
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8847);
    frame_hex("00012040 fffff1ff"); /* the bottom's bit, not the label's */
    frame_ipv6(6);
    frame_tcp();
    frame_expect("ip mpls:18,mpls:1048575 " FRAME_IPV6 "6");
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8848);
    frame_hex("000101ff 10000007");
    frame_expect("unknown mpls:16");
}

Test(link, ethernet_in_mpls) {
    for (int control = 0; control < 2; control++) {
        frame_start(LINKTYPE_ETHERNET);
        frame_ethernet(0x8847);
        frame_hex(control ? "000101ff 00000001" : "000101ff");
        frame_ethernet(0x8100);
        frame_hex("0009 0800");
        frame_ipv4(6);
        frame_tcp();
        frame_expect("ip mpls:16,vlan:9 " FRAME_IPV4 "6");
        cr_expect_eq(frame_view().ip - frame_view().mac, 18, "the inner Ethernet's addresses");
    }
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8847);
    frame_hex("000101ff 00000001");
    frame_ethernet(0x0800);
    frame_hex("60000000"); /* what follows is no IPv4 */
    frame_expect("unknown mpls:16");
}

Test(link, pppoe) {
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8864);
    frame_hex("1100 0011 002a 0057");
    frame_ipv6(58);
    frame_expect("ip pppoe:17 " FRAME_IPV6 "58");
    frame_start(LINKTYPE_ETHERNET);
    frame_ethernet(0x8100);
    frame_hex("0003 8864 1100 0002 000c c021 0101");
    frame_expect("other vlan:3,pppoe:2");
}

Test(link, ppp) {
    static const char *const starts[] = {"0021", "21", "ff030021", "ff0321"};
    static const uint16_t types[] = {LINKTYPE_PPP, LINKTYPE_PPP_HDLC};
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 4; i++) {
            frame_start(types[t]);
            frame_hex(starts[i]);
            frame_ipv4(17);
            frame_udp(1, 2);
            frame_expect("ip  " FRAME_IPV4 "17");
            cr_expect_null(frame_view().mac);
        }
    frame_start(LINKTYPE_PPP);
    frame_hex("ff03 0281 000131ff");
    frame_ipv4(17);
    frame_udp(1, 2);
    frame_expect("ip mpls:19 " FRAME_IPV4 "17");
    frame_start(LINKTYPE_PPP_HDLC);
    frame_hex("0f00 86dd");
    frame_ipv6(17);
    frame_expect("ip  " FRAME_IPV6 "17");
    frame_start(LINKTYPE_PPP);
    frame_hex("ff03 c021 0101");
    frame_expect("other ");
}

Test(link, null_and_loop) {
    static const struct {
        const char *family;
        bool v6;
    } families[] = {{"02000000", false}, {"00000002", false}, {"0a000000", true}, {"00000018", true},
                    {"18000000", true}, {"1c000000", true}, {"0000001c", true}, {"1e000000", true}, {"0000001e", true}};
    static const uint16_t types[] = {LINKTYPE_NULL, LINKTYPE_LOOP};
    for (int t = 0; t < 2; t++) {
        for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
            frame_start(types[t]);
            frame_hex(families[i].family);
            (families[i].v6 ? frame_ipv6 : frame_ipv4)(6);
            frame_tcp();
            frame_expect(families[i].v6 ? "ip  " FRAME_IPV6 "6" : "ip  " FRAME_IPV4 "6");
        }
        frame_start(types[t]);
        frame_hex("07000000 45");
        frame_expect("other ");
    }
}

Test(link, raw) {
    static const uint16_t types[] = {LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_RAW, LINKTYPE_IPV6};
    for (int i = 0; i < 4; i++) {
        frame_start(types[i]);
        (i < 2 ? frame_ipv4 : frame_ipv6)(6);
        frame_tcp();
        frame_expect(i < 2 ? "ip  " FRAME_IPV4 "6" : "ip  " FRAME_IPV6 "6");
    }
    frame_start(LINKTYPE_RAW);
    frame_hex("50");
    frame_expect("unknown ");
}

Test(link, cooked) {
    for (unsigned kind = 0; kind < 5; kind++)
        for (int v2 = 0; v2 < 2; v2++) {
            char header[128];
            snprintf(header, sizeof header, v2 ? "8100 0000 00000003 0001 %02x 06 020000000001 0000" :
                     "%04x 0001 0006 020000000001 0000 8100", kind);
            frame_start(v2 ? LINKTYPE_LINUX_SLL2 : LINKTYPE_LINUX_SLL);
            frame_hex(header);
            frame_hex("0005 8864 1100 0011 0016 0021");
            frame_ipv4(6);
            frame_tcp();
            frame_expect("ip vlan:5,pppoe:17 " FRAME_IPV4 "6");
            cr_expect_eq(frame_view().direction, kind == 4 ? TRACE_OUTBOUND : TRACE_INBOUND);
            cr_expect_null(frame_view().mac);
        }
    frame_start(LINKTYPE_LINUX_SLL);
    frame_hex("0000 0001 0006 020000000001 0000 0004 424203");
    frame_expect("llc ");
    frame_start(LINKTYPE_LINUX_SLL);
    frame_hex("0004 0338 0000 0000000000000000 0010 aaaa0300000008004500"); /* netlink: its own numbers */
    frame_expect("other ");
    frame_start(LINKTYPE_LINUX_SLL2);
    frame_hex("0806 0000 00000003 0001 00 06 020000000001 0000 0001");
    frame_expect("arp ");
}

Test(link, types) {
    static const uint16_t known[] = {0, 1, 9, 50, 101, 104, 108, 113, 228, 229, 276};
    size_t n = 0;
    for (unsigned t = 0; t <= UINT16_MAX; t++)
        if (link_type_known((uint16_t)t)) {
            cr_assert_lt(n, sizeof known / sizeof *known);
            cr_expect_eq(t, known[n++]);
        }
    cr_expect_eq(n, sizeof known / sizeof *known);
    struct link_view v;
    cr_expect_not(link_decode(147, (const uint8_t[]){0x45}, 1, 1, &v));
    cr_expect_eq(v.fault, LINK_UNKNOWN);
}

Test(link, names) {
    cr_expect_str_eq(link_layer_name(LINK_VLAN), "vlan");
    cr_expect_str_eq(link_layer_name(LINK_ESP), "esp");
    cr_expect_str_eq(link_layer_name((enum link_layer)0), "unknown");
    cr_expect_str_eq(link_layer_name((enum link_layer)99), "unknown");
}

/* Random bytes that begin like headers which lead on, so that much is found by chance. */
Test(link, random_bytes) {
    static const uint16_t types[] = {0, 1, 9, 50, 101, 104, 108, 113, 228, 229, 276, 147};
    static const uint8_t words[][2] = {{8, 0}, {0x86, 0xdd}, {0x81, 0}, {0x88, 0x47}, {0x88, 0x64}, {0x65, 0x58},
                                       {0x45, 0}, {0x60, 0}, {0x11, 0}, {0, 0x21}, {0xff, 3}, {0xaa, 0xaa}, {0, 47},
                                       {64, 17}, {64, 4}, {41, 64}, {0x12, 0xb5}, {0x17, 0xc1}, {0, 0}, {8, 0}};
    struct random r;
    random_seed(&r, 20261122);
    unsigned inner = 0;
    for (int i = 0; i < 200000; i++) {
        uint32_t len = random_below(&r, 160);
        uint8_t *data = malloc(len ? len : 1);
        for (uint32_t at = 0; at < len; at++)
            data[at] = (uint8_t)random_u64(&r);
        for (uint32_t at = 0; at + 1 < len; at += 2)
            if (random_below(&r, 3)) {
                const uint8_t *w = words[random_below(&r, sizeof words / sizeof *words)];
                data[at] = w[0];
                data[at + 1] = w[1];
            }
        struct link_view views[FRAME_VIEWS];
        int n = frame_walk(types[random_below(&r, 12)], data, len, len + random_below(&r, 3), NULL, NULL, views);
        frame_within(views, n, data, len, NULL);
        inner += n > 1;
        free(data);
    }
    cr_expect_gt(inner, 0, "only %u had something inside, seed 20261122", inner);
}
