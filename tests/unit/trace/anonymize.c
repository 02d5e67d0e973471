/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses that change as Crypto-PAn says, and frames in which nothing else is left of the old ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/random.h>
#include <fwdlab/trace/rewrite.h>
#include "capture.h"
#include "cryptopan.h"

/* The sample of the published implementation: its key, and what it makes of addresses. */
static const uint8_t sample_key[32] = {21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
                                       216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2};

Test(cryptopan, published_sample) {
    static const char *const pairs[][2] = {
        {"128.11.68.132", "135.242.180.132"}, {"129.118.74.4", "134.136.186.123"},
        {"130.132.252.244", "133.68.164.234"}, {"141.223.7.43", "141.167.8.160"},
        {"141.233.145.108", "141.129.237.235"}, {"152.163.225.39", "151.140.114.167"},
        {"156.29.3.236", "147.225.12.42"}, {"165.247.96.84", "162.9.99.234"},
        {"166.107.77.190", "160.132.178.185"}, {"192.102.249.13", "252.138.62.131"}};
    struct cryptopan *c = cryptopan_create(sample_key);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct ip is, want;
        cr_assert(!ip_parse(pairs[i][0], &is) && !ip_parse(pairs[i][1], &want));
        cryptopan_bits(c, is.v6, 0, 32);
        char text[IP_TEXT];
        cr_expect(ip_equal(&is, &want), "%s: %s, not %s", pairs[i][0], ip_format(&is, text), pairs[i][1]);
    }
    cryptopan_destroy(c);
}

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned max) {
    unsigned n = 0;
    while (n < max && !((a[n / 8] ^ b[n / 8]) & (0x80 >> n % 8)))
        n++;
    return n;
}

static void random_bytes(struct random *r, uint8_t *p, size_t len) {
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)random_u64(r);
}

/* Two addresses that have a random number of first bits in common. */
static void random_pair(struct random *r, uint8_t *a, uint8_t *b, unsigned bits) {
    random_bytes(r, a, bits / 8);
    memcpy(b, a, bits / 8);
    for (unsigned i = random_below(r, bits + 1); i < bits; i++)
        if (random_below(r, 2))
            b[i / 8] ^= (uint8_t)(0x80 >> i % 8);
}

static bool is_special(const uint8_t *a) {
    return a[0] == 0 || a[0] == 127 || (a[0] == 169 && a[1] == 254) || a[0] >= 224;
}

/* Between special ranges and others, too; so it is a bijection, in which ranges keep their meaning. */
Test(cryptopan, prefixes_are_preserved) {
    struct cryptopan *c = cryptopan_create(sample_key);
    struct random r;
    random_seed(&r, 1);
    unsigned changed = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t a[4], b[4], was[4];
        random_pair(&r, a, b, 32);
        memcpy(was, a, 4);
        unsigned same = common_bits(a, b, 32);
        bool special = is_special(a);
        cryptopan_ipv4(c, a);
        cryptopan_ipv4(c, b);
        cr_assert_eq(common_bits(a, b, 32), same, "round %u", i);
        cr_assert_eq(is_special(a), special);
        cr_assert(!special || !memcmp(a, was, 4));
        changed += memcmp(a, was, 4) != 0;
    }
    cr_expect_gt(changed, 16000u);
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t a[16], b[16];
        random_pair(&r, a, b, 128);
        a[0] = b[0] = 0x20 | (a[0] & 0x1f);
        unsigned same = common_bits(a, b, 128);
        cryptopan_ipv6(c, a);
        cryptopan_ipv6(c, b);
        cr_assert_eq(common_bits(a, b, 128), same, "round %u", i);
        cr_assert_eq(a[0] >> 5, 1, "unicast stays unicast");
    }
    cryptopan_destroy(c);
}

Test(cryptopan, the_key_decides) {
    uint8_t other_key[32];
    memcpy(other_key, sample_key, 32);
    other_key[31] ^= 1; /* of the padding */
    struct cryptopan *c[3] = {cryptopan_create(sample_key), cryptopan_create(sample_key), cryptopan_create(other_key)};
    uint8_t a[3][4];
    for (int i = 0; i < 3; i++) {
        memcpy(a[i], "\xc6\x33\x64\x07", 4);
        cryptopan_ipv4(c[i], a[i]);
        cryptopan_destroy(c[i]);
    }
    cr_expect_not(memcmp(a[0], a[1], 4));
    cr_expect(memcmp(a[0], a[2], 4));
}

static struct ip mapped(struct cryptopan *c, const char *text) {
    struct ip a;
    cr_assert_eq(ip_parse(text, &a), 0);
    if (a.family == FAMILY_IPV4)
        cryptopan_ipv4(c, a.v6);
    else
        cryptopan_ipv6(c, a.v6);
    return a;
}

Test(cryptopan, special_addresses) {
    static const char *const stay[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.9.9", "224.0.0.5", "255.255.255.255",
                                       "::", "::1", "ff02::1", "ff02::1:2", "ff05::1:3"};
    struct cryptopan *c = cryptopan_create(sample_key);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
        struct ip is = mapped(c, stay[i]), was;
        cr_expect(!ip_parse(stay[i], &was) && ip_equal(&is, &was), "%s", stay[i]);
    }
    struct ip local = mapped(c, "fe80::1:2"), group = mapped(c, "ff02::1:ff12:3456");
    struct ip eui = mapped(c, "fe80::211:22ff:fe33:4455");
    cr_expect(!memcmp(local.v6, "\xfe\x80\0\0\0\0\0\0", 8) && memcmp(local.v6 + 8, "\0\0\0\0\0\1\0\2", 8));
    cr_expect(!memcmp(group.v6, "\xff\2\0\0\0\0\0\0\0\0\0\1\xff", 13) && memcmp(group.v6 + 13, "\x12\x34\x56", 3));
    uint8_t mac[6] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55}, solicited[6] = {0x33, 0x33, 0xff, 0x12, 0x34, 0x56};
    cryptopan_mac(c, mac);
    cr_expect(!memcmp(mac, "\x00\x11\x22", 3) && memcmp(mac + 3, "\x33\x44\x55", 3));
    cr_expect(!memcmp(eui.v6 + 8, "\x02\x11\x22\xff\xfe", 5) && !memcmp(eui.v6 + 13, mac + 3, 3),
              "EUI-64 follows the MAC");
    cryptopan_mac(c, solicited);
    cr_expect(!memcmp(solicited + 3, group.v6 + 13, 3), "the group's MAC follows the group");
    cryptopan_destroy(c);
    c = cryptopan_create(sample_key);
    cryptopan_keep_mac(c);
    eui = mapped(c, "fe80::211:22ff:fe33:4455");
    cr_expect(!memcmp(eui.v6 + 8, "\x02\x11\x22\xff\xfe\x33\x44\x55", 8));
    cryptopan_destroy(c);
}

/* ---- frames ---- */

static char dir[64], in[96], out[96];

static void setup(void) {
    strcpy(dir, "/tmp/fwdlab-anonymize.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(in, sizeof in, "%s/in.pcapng", dir);
    snprintf(out, sizeof out, "%s/out.pcapng", dir);
}
static void teardown(void) {
    unlink(in);
    unlink(out);
    cr_expect_eq(rmdir(dir), 0, "something else was left in %s", dir);
}
TestSuite(anonymize, .init = setup, .fini = teardown, .timeout = 120);

#define MAC_A "\x00\x1b\x21\xa1\xb2\xc3"
#define MAC_B "\x00\x1b\x21\xd4\xe5\xf6"
#define IP_A "\xc6\x33\x64\xa7"
#define IP_B "\xcb\x71\x8d\xb9"
#define IP_C "\xc0\x77\x9e\x13"
#define IP6_A "\x20\x01\x0d\xb8\x9a\x8b\x7c\x6d\x5e\x4f\x31\x22\x13\x87\x96\xa5"
#define IP6_B "\x20\x01\x0d\xb8\x4a\x5b\x6c\x7d\x8e\x9f\xa1\xb2\xc3\xd4\xe5\xf7"
#define SECRET "\xde\xad\xbe\xef\xca\xfe"
#define ETHERNET(type) MAC_A MAC_B type
#define IPV4(len, proto) "\x45\0\0" len "\x12\x34\0\0\x40" proto "\0\0" IP_A IP_B
#define IPV6(len, next) "\x60\0\0\0\0" len next "\x40" IP6_A IP6_B
#define UDP(port, len) "\x9c\x40" port "\0" len "\0\0"
#define TCP "\x9c\x40\x01\xbb\x11\x22\x33\x44\x55\x66\x77\x88\x90\x18\x01\0\0\0\0\0\x1c\x06" IP_C "\x01\x00" SECRET "ab"
#define FRAME(...) {__VA_ARGS__, sizeof(__VA_ARGS__) - 1}

/* What holds an address, and something behind it that must not stay. */
static const struct sample {
    const char *bytes;
    size_t len;
} samples[] = {
    FRAME(ETHERNET("\x08\x00") IPV4("\x3e", "\x06") TCP SECRET),
    FRAME(ETHERNET("\x08\x00") IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x81\x00") "\0\x07\x08\x00" IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x88\x47") "\0\x06\x41\x40" IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x88\x64") "\x11\0\0\x05\0\x24\0\x21" IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x08\x06") "\0\1\x08\0\6\4\0\2" MAC_B IP_A MAC_A IP_B SECRET),
    FRAME(ETHERNET("\x08\x00") IPV4("\x44", "\x01") "\5\1\0\0" IP_C IPV4("\x22", "\x11")
          UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x08\x00") IPV4("\x36", "\x04") IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x08\x00") IPV4("\x4a", "\x2f") "\0\0\x86\xdd" IPV6("\x0e", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x08\x00") IPV4("\x54", "\x11") UDP("\x12\xb5", "\x40") "\x08\0\0\0\0\0\x07\0" ETHERNET("\x08\x00")
          IPV4("\x22", "\x11") UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x86\xdd") IPV6("\x20", "\x3a") "\x87\0\0\0\0\0\0\0" IP6_B "\1\1" MAC_A),
    FRAME(ETHERNET("\x86\xdd") IPV6("\x3e", "\x3a") "\1\0\0\0\0\0\0\0" IPV6("\x0e", "\x11")
          UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x86\xdd") IPV6("\x26", "\x2b") "\x11\2\0\1\0\0\0\0" IP6_B UDP("\x14\xe9", "\x0e") SECRET),
    FRAME(ETHERNET("\x88\xcc") "\2\7\4" MAC_A "\4\7\3" MAC_B SECRET),
};

static size_t sample_frame(size_t i, uint8_t *frame) {
    memcpy(frame, samples[i].bytes, samples[i].len);
    return samples[i].len;
}

static void write_frames(const struct trace_packet *p, size_t n, uint16_t linktype) {
    struct trace_writer *w = trace_writer_open(in, NULL);
    cr_assert_geq(trace_writer_interface_like(w, &(struct trace_interface){
        .name = "rpcap://198.51.100.167/eth0", .description = "at home", .linktype = linktype}), 0);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(trace_writer_packet(w, &p[i]), 0);
    cr_assert_eq(trace_writer_dropped(w, 0, 77), 0);
    cr_assert_eq(trace_writer_close(w, NULL), 0);
}

static struct trace_memory *anonymized(bool keep_payload, struct anonymize_stats *stats) {
    const char *paths[] = {in};
    struct trace_many_options many = {.paths = paths, .n = 1};
    struct anonymize_options o = {.key = sample_key, .keep_payload = keep_payload};
    struct err e = {0};
    cr_assert_eq(trace_anonymize(&many, out, &o, stats, &e), 0, "%s: %s", e.where, e.what);
    struct trace_memory *m = trace_preload(out, 0, &e);
    cr_assert_not_null(m, "%s", e.what);
    return m;
}

Test(anonymize, nothing_of_it_is_left) {
    static const struct { const char *bytes; size_t len; } gone[] = {
        FRAME("\xa1\xb2\xc3"), FRAME("\xd4\xe5\xf6"), FRAME(IP_A), FRAME(IP_B), FRAME(IP_C), FRAME("\x9a\x8b\x7c\x6d"),
        FRAME("\x4a\x5b\x6c\x7d"), FRAME("\x13\x87\x96\xa5"), FRAME("\xc3\xd4\xe5\xf7"), FRAME(SECRET)};
    enum { N = sizeof samples / sizeof *samples };
    static uint8_t frame[N][256];
    struct trace_packet p[N];
    for (size_t i = 0; i < N; i++) {
        uint32_t len = (uint32_t)sample_frame(i, frame[i]);
        p[i] = (struct trace_packet){.time_ns = i, .len = len, .wire_len = len, .data = frame[i], .comment = "at home"};
    }
    write_frames(p, N, LINKTYPE_ETHERNET);
    struct anonymize_stats s;
    struct trace_memory *m = anonymized(false, &s);
    cr_assert_eq(m->n, N);
    cr_expect(s.packets == N && s.cut == N - 1 && s.closed == 1);
    for (size_t i = 0; i < N; i++) {
        const struct trace_packet *q = &m->packets[i];
        cr_expect(q->time_ns == i && q->wire_len == p[i].len && !q->comment);
        cr_expect_geq(q->len, 14u);
        for (size_t k = 0; k < sizeof gone / sizeof *gone; k++)
            cr_expect_null(memmem(q->data, q->len, gone[k].bytes, gone[k].len), "sample %zu holds %zu", i, k);
    }
    cr_expect_str_eq(m->interfaces[0].name, "if0");
    cr_expect_str_eq(m->interfaces[0].description, "");
    cr_expect_eq(m->interfaces[0].dropped, 77);
    trace_memory_destroy(m);
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t s) {
    for (size_t i = 0; i < len; i++)
        s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

/* A TCP segment of random payload: its checksum right, off by something, or left to the NIC. */
static uint32_t random_segment(struct random *r, uint8_t *f, int kind, uint32_t *delta) {
    uint32_t len = (uint32_t)sample_frame(0, f), more = random_below(r, 60), l4 = 34;
    random_bytes(r, f + 26, 8);
    random_bytes(r, f + len, more);
    memset(f + 54, 1, 16); /* no option that would be taken out */
    len += more;
    f[17] = (uint8_t)(len - 14);
    *delta = kind == 1 ? 1 + random_below(r, 0xfffe) : 0;
    uint32_t h = ~sum(f + 14, 20, 0) & 0xffff, pseudo = sum(f + 26, 8, 6 + len - l4);
    f[24] = (uint8_t)(h >> 8);
    f[25] = (uint8_t)h;
    uint32_t c = kind == 2 ? pseudo : ~sum(f + l4, len - l4, pseudo + *delta) & 0xffff;
    f[l4 + 16] = (uint8_t)(c >> 8);
    f[l4 + 17] = (uint8_t)c;
    return len;
}

/* Wrong ones stay wrong by as much. */
Test(anonymize, checksums_stay_what_they_were) {
    struct random r;
    random_seed(&r, 3);
    enum { N = 3000 };
    static uint8_t frame[N][256];
    static struct trace_packet p[N];
    static uint32_t delta[N];
    for (int i = 0; i < N; i++) {
        uint32_t len = random_segment(&r, frame[i], i % 3, &delta[i]);
        p[i] = (struct trace_packet){.len = len, .wire_len = len, .data = frame[i]};
    }
    write_frames(p, N, LINKTYPE_ETHERNET);
    struct anonymize_stats s;
    struct trace_memory *m = anonymized(true, &s);
    for (int i = 0; i < N; i++) {
        const uint8_t *d = m->packets[i].data;
        uint32_t len = m->packets[i].len, pseudo = sum(d + 26, 8, 6 + len - 34);
        cr_assert_eq(len, p[i].len);
        cr_assert_eq(sum(d + 14, 20, 0), 0xffffu, "packet %d", i);
        if (i % 3 == 2)
            cr_assert_eq((uint32_t)d[50] << 8 | d[51], pseudo, "packet %d: left to the NIC", i);
        else
            cr_assert_eq(sum(d + 34, len - 34, pseudo + delta[i]), 0xffffu, "packet %d", i);
    }
    trace_memory_destroy(m);
}

/* Headers of all kinds, cut anywhere and with bytes changed: nothing beyond them is touched, lengths stay. */
Test(anonymize, survives_anything) {
    static const uint16_t linktypes[] = {LINKTYPE_ETHERNET, LINKTYPE_NULL, LINKTYPE_PPP, LINKTYPE_RAW,
                                         LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_IPV6, 147};
    enum { N = 2000 };
    static uint8_t frame[N][400];
    static struct trace_packet p[N];
    struct random r;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        random_seed(&r, seed);
        for (unsigned i = 0; i < N; i++) {
            uint8_t bytes[256];
            size_t len = sample_frame(random_below(&r, sizeof samples / sizeof *samples), bytes);
            size_t skip = seed % 8 && random_below(&r, 4) ? 14 : 0; /* other link types: from IP on */
            memcpy(frame[i], bytes + skip, len - skip);
            for (unsigned k = random_below(&r, 6); k--;)
                frame[i][random_below(&r, (uint32_t)(len - skip))] = (uint8_t)random_u64(&r);
            p[i] = (struct trace_packet){.len = i * 400 / N, .wire_len = 400, .data = frame[i]};
        }
        write_frames(p, N, linktypes[seed % 8]);
        struct anonymize_stats s;
        struct trace_memory *m = anonymized(seed & 16, &s);
        cr_assert_eq(m->n, N, "seed %lu", (unsigned long)seed);
        for (unsigned i = 0; i < N; i++)
            cr_assert(m->packets[i].len <= p[i].len && m->packets[i].wire_len == 400, "seed %lu", (unsigned long)seed);
        trace_memory_destroy(m);
    }
}
