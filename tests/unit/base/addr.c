/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and prefixes: text and arithmetic of both families. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/base/random.h>
#include <string.h>

static struct ip ip(const char *text) {
    struct ip a;
    cr_assert_eq(ip_parse(text, &a), 0, "%s", text);
    return a;
}
static struct ip_prefix prefix(const char *text) {
    struct ip_prefix p;
    cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
    return p;
}

Test(addr, text_there_and_back) {
    static const char *const same[] = {
        "0.0.0.0", "10.0.0.4", "255.255.255.255", "::", "::1", "2001:db8::ff", "fe80::1:2"};
    char buf[IP_TEXT];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct ip a = ip(same[i]);
        cr_expect_str_eq(ip_format(&a, buf), same[i]);
    }
    struct ip none = {0};
    cr_expect_str_eq(ip_format(&none, buf), "");
    cr_expect(ip_is_none(&none));
}

Test(addr, refused_and_left_alone) {
    static const char *const bad[] = {"",          "10.0.0",      "10.0.0.256", "10.0.0.1 ",
                                      " 10.0.0.1", "10.0.0.1/24", "1:2:3",      "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ip a = ip_v4(7);
        cr_expect_eq(ip_parse(bad[i], &a), -EINVAL, "%s", bad[i]);
        cr_expect(a.family == FAMILY_IPV4 && a.v4 == 7);
    }
}

Test(addr, prefixes) {
    char buf[PREFIX_TEXT];
    struct ip_prefix p = prefix("10.0.0.0/22"), host = prefix("10.0.0.4"), all = prefix("0.0.0.0/0"),
                     six = prefix("2001:db8::/33");
    cr_expect_str_eq(prefix_format(&p, buf), "10.0.0.0/22");
    cr_expect_str_eq(prefix_format(&host, buf), "10.0.0.4/32");
    cr_expect_str_eq(prefix_format(&all, buf), "0.0.0.0/0");
    cr_expect_str_eq(prefix_format(&six, buf), "2001:db8::/33");
    cr_expect_eq(prefix_parse("10.0.0.4/22", &p), -ERANGE);
    cr_expect_eq(prefix_parse("2001:db8::/16", &p), -ERANGE);
    static const char *const bad[] = {"10.0.0.0/33",   "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8",
                                      "10.0.0.0/0008", "::/129",    "/8",          "10.0.0.0/8x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(prefix_parse(bad[i], &p), -EINVAL, "%s", bad[i]);
    cr_expect_str_eq(prefix_format(&p, buf), "10.0.0.0/22", "left alone by refusals");
}

Test(addr, address_with_the_length_of_its_network) {
    struct ip a;
    uint8_t len;
    char buf[IP_TEXT];
    cr_expect_eq(ip_parse_with_len("10.0.0.4/24", &a, &len), 0);
    cr_expect(len == 24 && !strcmp(ip_format(&a, buf), "10.0.0.4"));
    cr_expect_eq(ip_parse_with_len("::1", &a, &len), 0);
    cr_expect_eq(len, 128);
}

Test(addr, macs) {
    struct mac m;
    char buf[MAC_TEXT];
    cr_assert_eq(mac_parse("02:0A:ff:00:01:04", &m), 0);
    cr_expect_str_eq(mac_format(&m, buf), "02:0a:ff:00:01:04");
    static const char *const bad[] = {
        "", "02", "02:0a:ff:00:01", "02:0a:ff:00:01:04:05", "02-0a-ff-00-01-04", "2:0a:ff:00:01:04"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(mac_parse(bad[i], &m), -EINVAL, "%s", bad[i]);
}

Test(addr, contains_covers_overlaps) {
    struct ip_prefix big = prefix("10.0.0.0/22"), small = prefix("10.0.2.0/24"), other = prefix("10.0.4.0/24");
    struct ip_prefix all = prefix("0.0.0.0/0"), six = prefix("::/0");
    struct ip in = ip("10.0.3.255"), out = ip("10.0.4.0"), none = {0};
    cr_expect(prefix_contains(&big, &in) && !prefix_contains(&big, &out));
    cr_expect(prefix_contains(&all, &out) && !prefix_contains(&six, &out) && !prefix_contains(&all, &none));
    cr_expect(prefix_covers(&big, &small) && !prefix_covers(&small, &big) && prefix_covers(&big, &big));
    cr_expect(prefix_overlaps(&big, &small) && prefix_overlaps(&small, &big) && !prefix_overlaps(&big, &other));
    cr_expect(!prefix_overlaps(&all, &six));
}

Test(addr, nth) {
    struct ip_prefix p = prefix("10.0.0.0/22"), host = prefix("10.0.0.9/32"), all = prefix("0.0.0.0/0"),
                     six = prefix("2001:db8::fff0/124");
    char buf[IP_TEXT];
    struct ip a = prefix_nth(&p, 1023);
    cr_expect_str_eq(ip_format(&a, buf), "10.0.3.255");
    a = prefix_nth(&p, 1024);
    cr_expect(ip_is_none(&a));
    a = prefix_nth(&host, 0);
    cr_expect_str_eq(ip_format(&a, buf), "10.0.0.9");
    a = prefix_nth(&host, 1);
    cr_expect(ip_is_none(&a));
    a = prefix_nth(&all, UINT32_MAX);
    cr_expect_str_eq(ip_format(&a, buf), "255.255.255.255");
    a = prefix_nth(&six, 15);
    cr_expect_str_eq(ip_format(&a, buf), "2001:db8::ffff");
    struct ip_prefix wide = prefix("2001:db8::/32");
    a = prefix_nth(&wide, UINT32_MAX);
    cr_expect_str_eq(ip_format(&a, buf), "2001:db8::ffff:ffff");
}

Test(addr, order_is_numerical) {
    struct ip a = ip("9.255.0.0"), b = ip("10.0.0.1"), six = ip("::"), none = {0};
    cr_expect(ip_compare(&a, &b) < 0 && ip_compare(&b, &a) > 0 && ip_compare(&a, &a) == 0);
    cr_expect(ip_compare(&b, &six) < 0 && ip_compare(&none, &a) < 0 && ip_equal(&none, &none));
}

/* prefix_of masks as a bit-by-bit reading of the address does, whatever its family. */
Test(addr, prefix_of_agrees_with_bits) {
    struct random r;
    random_seed(&r, 20);
    for (int i = 0; i < 20000; i++) {
        struct ip a = {.family = i & 1 ? FAMILY_IPV6 : FAMILY_IPV4}, b;
        unsigned bits = i & 1 ? 128 : 32, len = random_below(&r, bits + 1);
        uint64_t half[2] = {random_u64(&r), random_u64(&r)};
        memcpy(a.v6, half, i & 1 ? 16 : 4);
        b = a;
        unsigned flip = random_below(&r, bits);
        ((uint8_t *)(i & 1 ? b.v6 : (uint8_t *)&b.v4))[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
        struct ip_prefix p = prefix_of(&a, len), q = prefix_of(&b, len);
        cr_assert_eq(prefix_contains(&p, &b), flip >= len, "round %d, length %u, bit %u", i, len, flip);
        cr_assert_eq(prefix_equal(&p, &q), flip >= len, "round %d", i);
        cr_assert(prefix_contains(&p, &a));
    }
}
