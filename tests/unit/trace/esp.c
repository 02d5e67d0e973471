/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP: packets that Scapy sealed with each cipher, and packets sealed here with AES-GCM in every surrounding. What may
 * stand in a key file, and what may not.
 */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "frames.h"

TestSuite(esp, .timeout = 120);

#define GCM "\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x000102030405060708090a0b0c0d0e0f10111213\",\"NULL\",\"\""
#define GCM4 "\"IPv4\",\"*\",\"*\",\"0x1234\"," GCM "\n"
#define SPI "esp:4660"

static struct link_keys *load(const char *text, struct err *e) {
    char path[] = "/tmp/fwdlab-keys-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct link_keys *k = link_keys_load(path, e);
    unlink(path);
    return k;
}

static struct link_keys *keys(const char *text) {
    struct err e = {0};
    struct link_keys *k = load(text, &e);
    cr_assert_not_null(k, "%s: %s", e.where, e.what);
    return k;
}

static void expect(const char *text, const struct link_keys *k) {
    frame_expect_keys(text, k, __FILE__, __LINE__);
}

/* What stands from `at` on becomes an ESP packet of SPI 0x1234 under GCM's key, with `pad` more blocks of padding. */
static void seal(uint32_t at, uint8_t next, uint32_t pad) {
    static const uint8_t key[20] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    uint8_t text[4096], sealed[4096], tag[16], nonce[12] = {16, 17, 18, 19, [11] = 42};
    uint32_t len = frame_take(at, text);
    pad = (2 - len) % 4 + 4 * pad;
    for (uint32_t i = 0; i < pad; i++)
        text[len++] = (uint8_t)(i + 1);
    text[len++] = (uint8_t)pad;
    text[len++] = next;
    frame_hex("00001234 00000001");
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    cr_assert(EVP_EncryptInit(c, EVP_aes_128_gcm(), key, nonce) &&
              EVP_EncryptUpdate(c, NULL, &n, (const uint8_t[]){0, 0, 0x12, 0x34, 0, 0, 0, 1}, 8) &&
              EVP_EncryptUpdate(c, sealed, &n, text, (int)len) && EVP_EncryptFinal(c, sealed + n, &n) &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag));
    EVP_CIPHER_CTX_free(c);
    frame_add(nonce + 4, 8);
    frame_add(sealed, len);
    frame_add(tag, sizeof tag);
}

static void tunnel(void) {
    frame_start(LINKTYPE_RAW);
    frame_ipv4(50);
    frame_ipv4(6);
    frame_tcp();
    seal(20, 4, 0);
}

/* Keys are the bytes from 0 on; UDP with "fwdlab" between 10.1.0.1 and 10.2.0.2. */
Test(esp, what_scapy_sealed) {
    static const struct {
        const char *cipher;
        int cipher_key;
        const char *auth;
        int auth_key;
        const char *packet;
    } cases[] = {
        {"AES-CBC [RFC3602]", 16, "HMAC-SHA-256-128 [RFC4868]", 32,
         "00001234000000019fbb71d66557748741933ff9e54640c6db49c6ad413347ca7face2e3be36b0a234e0895cfb567c7f4a4543ac3531"
         "9936031343bb2377af204d28892f2c0ad874395de2613e243cc522899fe49cedeff7"},
        {"AES-CTR [RFC3686]", 36, "HMAC-SHA-1-96 [RFC2404]", 20,
         "0000123400000001d7f3221afb85b01c629a24a6aa4ead9fbcd0dd7a926a236fba6abbb67ab188efa9804b18d18ea1559e3c8c223929"
         "dde3c4f14994db1a50f6"},
        {"AES-GCM with 16 octet ICV [RFC4106]", 28, "NULL", 0,
         "0000123400000001d8d3fb4b762298f775b5d8f97a4e3992803c352b76dfd97d264213154237263512bc41a942718185a4bcdba94902"
         "2e4f9e7e1ef94848a7d31a870774"},
        {"AES-GCM [RFC4106]", 28, "ANY 128 bit authentication [no checking]", 0,
         "0000123400000001d8d3fb4b762298f775b5d8f97a4e3992803c352b76dfd97d264213154237263512bc41a942718185a4bcdba94902"
         "2e4f9e7e1ef94848a7d31a870774"},
        {"TripleDES-CBC [RFC2451]", 24, "HMAC-MD5-96 [RFC2403]", 16,
         "0000123400000001271d7913e7f466be4a63ac6d681311575e91cecda59fb78a0d5de0c4e8fea565c95a319ced000713756c79a54ada"
         "b108d5a357465118a145aa398235"},
        {"TripleDES-CBC [RFC2451]", 24, "ANY 96 bit authentication [no checking]", 0,
         "0000123400000001271d7913e7f466be4a63ac6d681311575e91cecda59fb78a0d5de0c4e8fea565c95a319ced000713756c79a54ada"
         "b108d5a357465118a145aa398235"},
        {"NULL", 0, "HMAC-SHA-512-256 [RFC4868]", 64,
         "00001234000000014500002200010000401166c50a0100010a02000200010002000ebf836677646c616200042adc6828e7cab4cbb7c2"
         "a897996ef07633881d2d4af517b9f6d15c6bf2841d66"},
    };
    char hex[129], line[600];
    for (int i = 0; i < 64; i++)
        snprintf(hex + 2 * i, 3, "%02x", i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line,
            "\"IPv4\",\"192.0.2.1\",\"198.51.100.9\",\"4660\",\"%s\",\"0x%.*s\",\"%s\",\"0x%.*s\"",
            cases[i].cipher, 2 * cases[i].cipher_key, hex, cases[i].auth, 2 * cases[i].auth_key, hex);
        struct link_keys *k = keys(line);
        frame_start(LINKTYPE_RAW);
        frame_ipv4(50);
        frame_hex(cases[i].packet);
        expect("ip " SPI " " FRAME_IPV4 "50 10.1.0.1>10.2.0.2:17", k);
        struct link_view in = frame_view();
        cr_expect_eq(in.len, 34);
        cr_expect_eq(in.wire_len, 34);
        cr_expect(in.len == 34 && !memcmp(in.ip + 28, "fwdlab", 6));
        expect("ip  " FRAME_IPV4 "50", NULL);
        uint32_t len;
        uint8_t *data = frame_bytes(&len);
        data[len - 1] ^= 1;
        bool checked = cases[i].auth_key || strstr(cases[i].cipher, "GCM");
        expect(checked ? "ip  " FRAME_IPV4 "50" : "ip " SPI " " FRAME_IPV4 "50 10.1.0.1>10.2.0.2:17", k);
        link_keys_free(k);
    }
}

/* Where nothing else proves a key, the padding must be right (RFC 4303, 2.4). */
Test(esp, padding_of_what_is_not_authenticated) {
    struct link_keys *k = keys("\"IPv4\",\"*\",\"*\",\"*\",\"NULL\",\"\",\"NULL\",\"\"");
    for (int good = 0; good < 2; good++) {
        frame_start(LINKTYPE_RAW);
        frame_ipv4(50);
        frame_hex("00001234 00000001");
        frame_ipv4(6);
        frame_tcp();
        frame_hex(good ? "0102 02 04" : "0103 02 04");
        expect(good ? "ip " SPI " " FRAME_IPV4 "50 " FRAME_IPV4 "6" : "ip  " FRAME_IPV4 "50", k);
    }
    link_keys_free(k);
}

/* Both modes, all lengths of padding; transport mode gets back the packet as it was before. */
Test(esp, tunnel_and_transport) {
    struct link_keys *k = keys(GCM4 "\"IPv6\",\"2001:db8::/32\",\"*\",\"*\"," GCM "\n");
    for (uint32_t size = 0; size < 12; size++) {
        frame_start(LINKTYPE_RAW);
        frame_ipv4(50);
        frame_ipv6(6);
        frame_tcp();
        frame_add("data of eleven", size);
        seal(20, 41, size);
        expect("ip " SPI " " FRAME_IPV4 "50 " FRAME_IPV6 "6", k);
        cr_expect_eq(frame_view().len, 60 + size);
        for (int v6 = 0; v6 < 2; v6++) {
            uint8_t before[128];
            frame_start(LINKTYPE_RAW);
            (v6 ? frame_ipv6 : frame_ipv4)(6);
            frame_tcp();
            frame_add("data of eleven", size);
            uint32_t len, header = v6 ? 40 : 20;
            memcpy(before, frame_bytes(&len), 128);
            frame_bytes(&len)[v6 ? 6 : 9] = 50;
            seal(header, 6, size);
            expect(v6 ? "ip " SPI " " FRAME_IPV6 "50 " FRAME_IPV6 "6"
                      : "ip " SPI " " FRAME_IPV4 "50 " FRAME_IPV4 "6", k);
            struct link_view in = frame_view();
            cr_assert_eq(in.len, len);
            uint32_t sum = 0;
            for (int i = 0; !v6 && i < 20; i += 2)
                sum += (uint32_t)in.ip[i] << 8 | in.ip[i + 1];
            cr_expect(v6 || (sum & 0xffff) + (sum >> 16) == 0xffff, "the header's checksum is right");
            for (uint32_t i = 0; i < len; i++)
                cr_expect(in.ip[i] == before[i] || (!v6 && (i == 10 || i == 11)), "byte %u", i);
        }
    }
    link_keys_free(k);
}

Test(esp, in_udp) {
    struct link_keys *k = keys(GCM4 "\"IPv6\",\"*\",\"*\",\"*\"," GCM "\n");
    static const uint16_t ports[][2] = {{4500, 4500}, {61000, 4500}, {4500, 61000}};
    for (int i = 0; i < 3; i++)
        for (int v6 = 0; v6 < 2; v6++) {
            frame_start(LINKTYPE_RAW);
            (v6 ? frame_ipv6 : frame_ipv4)(17);
            frame_udp(ports[i][0], ports[i][1]);
            frame_ipv4(6);
            frame_tcp();
            seal(v6 ? 48 : 28, 4, 0);
            expect(v6 ? "ip " SPI " " FRAME_IPV6 "17 " FRAME_IPV4 "6"
                      : "ip " SPI " " FRAME_IPV4 "17 " FRAME_IPV4 "6", k);
        }
    frame_start(LINKTYPE_RAW); /* transport mode: UDP is gone with ESP */
    frame_ipv4(17);
    frame_udp(4500, 4500);
    frame_tcp();
    seal(28, 6, 1);
    expect("ip " SPI " " FRAME_IPV4 "17 " FRAME_IPV4 "6", k);
    cr_expect_eq(frame_view().len, 40);
    link_keys_free(k);
}

/* Behind AH, with GRE and once more ESP inside: the second one opens behind the first, which stays as it is. */
Test(esp, in_esp) {
    struct link_keys *k = keys(GCM4);
    frame_start(LINKTYPE_RAW);
    frame_ipv4(51);
    frame_hex("3204 0000 00000001 00000002 000000000000000000000000");
    frame_ipv4(47);
    frame_hex("0000 0800");
    frame_ipv4(50);
    frame_tcp();
    seal(44 + 20 + 4 + 20, 6, 0);
    seal(44, 4, 0);
    expect("ip " SPI ",gre:0," SPI " " FRAME_IPV4 "51 " FRAME_IPV4 "47 " FRAME_IPV4 "50 " FRAME_IPV4 "6", k);
    cr_expect_eq(frame_view().depth, 3);
    link_keys_free(k);
}

/* A changed byte, a missing one, a fragment, a packet for others: closed. */
Test(esp, stays_closed) {
    struct link_keys *k = keys(GCM4);
    static struct link_room room;
    struct link_view views[FRAME_VIEWS];
    uint32_t len;
    tunnel();
    uint8_t *data = frame_bytes(&len);
    cr_assert_eq(frame_walk(LINKTYPE_RAW, data, len, len, k, &room, views), 2);
    for (uint32_t i = 20; i < len; i++) {
        data[i] ^= 0x40;
        cr_expect_eq(frame_walk(LINKTYPE_RAW, data, len, len, k, &room, views), 1, "byte %u", i);
        data[i] ^= 0x40;
    }
    for (uint32_t i = 0; i < len; i++)
        cr_expect_eq(frame_walk(LINKTYPE_RAW, data, i, len, k, &room, views), 1, "cut at %u", i);
    cr_expect_eq(frame_walk(LINKTYPE_RAW, data, len, len, k, NULL, views), 1);
    data[6] = 0x20;
    cr_expect_eq(frame_walk(LINKTYPE_RAW, data, len, len, k, &room, views), 1);
    link_keys_free(k);
    frame_start(LINKTYPE_RAW); /* a dummy packet (RFC 4303, 2.6), and an IPv4 packet that is said to be IPv6 */
    frame_ipv4(50);
    frame_tcp();
    k = keys(GCM4);
    seal(20, 59, 0);
    expect("ip  " FRAME_IPV4 "50", k);
    frame_start(LINKTYPE_RAW);
    frame_ipv4(50);
    frame_ipv4(6);
    seal(20, 41, 0);
    expect("ip  " FRAME_IPV4 "50", k);
    link_keys_free(k);
}

Test(esp, the_association_that_fits) {
    static const struct {
        const char *file;
        bool opens;
    } cases[] = {
        {"\"IPv4\",\"192.0.2.1\",\"198.51.100.9\",\"0x00001234\"," GCM, true},
        {"# comment\r\n\n  \"IPv4\" , \"192.0.2.0/24\",\"*\",\"*\"," GCM "\r\n", true},
        {"\"IPv4\",\"192.0.2.2\",\"*\",\"*\"," GCM, false},
        {"\"IPv4\",\"*\",\"198.51.100.8\",\"*\"," GCM, false},
        {"\"IPv4\",\"*\",\"*\",\"0x1235\"," GCM, false},
        {"\"IPv6\",\"*\",\"*\",\"*\"," GCM, false},
        {"\"IPv4\",\"*\",\"*\",\"*\",\"AES-CBC [RFC3602]\",\"0123456789abcdef\",\"HMAC-SHA-1-96 [RFC2404]\",\"k\"\n"
         GCM4, true},
        {"\"IPv4\",\"*\",\"*\",\"*\",\"NULL\",\"\",\"NULL\",\"\"\n" GCM4, true}, /* a guess does not get in the way */
        {"", false},
    };
    tunnel();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link_keys *k = keys(cases[i].file);
        expect(cases[i].opens ? "ip " SPI " " FRAME_IPV4 "50 " FRAME_IPV4 "6" : "ip  " FRAME_IPV4 "50", k);
        link_keys_free(k);
    }
}

Test(esp, files_that_are_refused) {
#define START "\"IPv4\",\"*\",\"*\",\"*\","
    static const struct {
        const char *file, *what;
        int line;
    } cases[] = {
        {"\n\nnonsense\n", "eight quoted fields", 3},
        {GCM4 "\"IPv4\",\"*\",\"*\",\"*\"", "eight quoted fields", 2},
        {START GCM ",\"more\"", "eight quoted fields", 1},
        {"\"IPv4\";\"*\",\"*\",\"*\"," GCM, "eight quoted fields", 1},
        {START "\"NULL\",\"\",\"NULL\",\"", "eight quoted fields", 1},
        {"\"IPX\",\"*\",\"*\",\"*\"," GCM, "'IPX'", 1},
        {"\"IPv4\",\"192.0.2\",\"*\",\"*\"," GCM, "'192.0.2' is not an address", 1},
        {"\"IPv4\",\"*\",\"2001:db8::1\",\"*\"," GCM, "family", 1},
        {"\"IPv4\",\"*\",\"*\",\"0x123456789\"," GCM, "'0x123456789' is not an SPI", 1},
        {"\"IPv4\",\"*\",\"*\",\"-1\"," GCM, "'-1' is not an SPI", 1},
        {"\"IPv4\",\"*\",\"*\",\"\"," GCM, "'' is not an SPI", 1},
        {START "\"DES-CBC [RFC2405]\",\"0x00\",\"NULL\",\"\"", "'DES-CBC [RFC2405]' is not known", 1},
        {START "\"AES-CBC [RFC3602]\",\"0x00\",\"NULL\",\"\"", "wrong length", 1},
        {START "\"AES-CBC [RFC3602]\",\"0x000102030405060708090a0b0c0d0e0f1\",\"NULL\",\"\"", "hexadecimal", 1},
        {START "\"AES-CBC [RFC3602]\",\"\",\"NULL\",\"\"", "wrong length", 1},
        {START "\"AES-CBC [RFC3602]\",\"0x000102030405060708090a0b0c0d0e0x\",\"NULL\",\"\"", "hexadecimal", 1},
        {START "\"AES-CTR [RFC3686]\",\"0x000102030405060708090a0b0c0d0e0f\",\"NULL\",\"\"", "wrong length", 1},
        {START "\"NULL\",\"\",\"MAC-RIPEMD-160-96 [RFC2857]\",\"0x00\"", "is not known", 1},
        {START "\"NULL\",\"\",\"HMAC-SHA-1-96 [RFC2404]\",\"0x\"", "hexadecimal", 1},
        {START "\"AES-GCM [RFC4106]\",\"0x000102030405060708090a0b0c0d0e0f10111213\",\"NULL\",\"\"", "does not go", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        char place[16];
        cr_expect_null(load(cases[i].file, &e), "%s", cases[i].file);
        snprintf(place, sizeof place, ":%d", cases[i].line);
        cr_expect(strstr(e.what, cases[i].what), "'%s' for %s", e.what, cases[i].file);
        cr_expect(strstr(e.where, place), "'%s' for %s", e.where, cases[i].file);
    }
    struct err e = {0};
    cr_expect_null(link_keys_load("/nonexistent/keys", &e));
    cr_expect(strstr(e.where, "/nonexistent/keys") || strstr(e.what, "/nonexistent/keys"), "%s %s", e.where, e.what);
    link_keys_free(NULL);
}

/* Any bytes behind an ESP header, under associations that check nothing: whatever opens lies in the room. */
Test(esp, random_bytes) {
    struct link_keys *k = keys("\"IPv4\",\"*\",\"*\",\"*\",\"NULL\",\"\",\"NULL\",\"\"\n"
        START "\"AES-CBC [RFC3602]\",\"0123456789abcdef\",\"NULL\",\"\"\n" START "\"NULL\",\"\","
        "\"ANY 96 bit authentication [no checking]\",\"\"\n");
    static struct link_room room;
    struct random r;
    unsigned opened = 0;
    random_seed(&r, 20261122);
    for (int i = 0; i < 100000; i++) {
        uint32_t len = 20 + random_below(&r, 80);
        uint8_t *data = malloc(len);
        for (uint32_t at = 0; at < len; at++)
            data[at] = (uint8_t)random_u64(&r);
        memcpy(data, (uint8_t[10]){0x45, 0, 0, 0, 0, 0, 0, 0, 64, 50}, 10);
        struct link_view views[FRAME_VIEWS];
        int n = frame_walk(LINKTYPE_RAW, data, len, len, k, &room, views);
        frame_within(views, n, data, len, &room);
        opened += n > 1;
        free(data);
    }
    cr_expect_gt(opened, 10, "%u opened, seed 20261122", opened);
    link_keys_free(k);
}
