/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow records: what is not known stays empty, messages of IPFIX hold together, files appear whole or not at all. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include "record_make.h"

static char dir[64], path[96];

static void setup(void) {
    strcpy(dir, "/tmp/fwdlab-record.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/flows", dir);
}
static void teardown(void) {
    unlink(path);
    cr_expect_eq(rmdir(dir), 0, "something else was left in %s", dir);
}
TestSuite(record, .init = setup, .fini = teardown, .timeout = 60);

static char *write_records(enum record_form form, const struct flow_record *r, size_t n, size_t *len) {
    struct err e = {0};
    struct record_writer *w = record_writer_open(path, form, &e);
    cr_assert_not_null(w, "%s", e.what);
    for (size_t i = 0; i < n; i++)
        record_write(w, &r[i]);
    cr_assert_eq(record_writer_close(w, &e), 0, "%s", e.what);
    char *data;
    cr_assert_eq(file_load(path, &data, len, &e), 0);
    return data;
}

static struct flow_key key(const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t proto) {
    struct ip a, b;
    cr_assert(!ip_parse(src, &a) && !ip_parse(dst, &b));
    struct flow_key k = {.family = a.family, .proto = proto, .sport = htons(sport), .dport = htons(dport)};
    memcpy(k.src, a.v6, a.family == FAMILY_IPV6 ? 16 : 4);
    memcpy(k.dst, b.v6, a.family == FAMILY_IPV6 ? 16 : 4);
    return k;
}

Test(record, csv_line_by_line) {
    struct flow_record r[] = {
        {.id = UINT64_MAX, .key = key("10.0.0.1", 40000, "198.51.100.2", 443, 6),
         .outside = key("203.0.113.1", 1024, "198.51.100.2", 443, 6), .first_ns = 1, .last_ns = 2000000000000000003,
         .way = {{5, 600, 2, "lan", "wan", {{0}}}, {4, 500, 18, "wan", "say \"lan\", twice", {{0}}}}, .vlan = 7,
         .tunnel = "gre 10.0.0.1 10.0.0.2", .model = "symmetric", .observed = "iface_asym", .nat = "wrong_nat",
         .finding = 4, .tcp_state = "established", .rtt_ns = 12345, .retransmissions = 1, .out_of_order = 2,
         .resets = 3, .icmp_errors = 4, .fragments = 5, .partial = true},
        {.id = 2, .key = key("2001:db8::1", 7, "ff02::1", 128, 58)},
        {.id = 3, .key = key("10.0.0.1", 0, "10.0.0.2", 0, 50), .finding = 1}};
    static const char *const want[] = {
        "18446744073709551615,tcp,10.0.0.1,40000,198.51.100.2,443,1,2000000000000000003,5,600,4,500,lan,wan,wan,"
        "\"say \"\"lan\"\", twice\",symmetric,iface_asym,wrong_nat,4,203.0.113.1,1024,198.51.100.2,443,7,"
        "gre 10.0.0.1 10.0.0.2,established,12345,1,2,3,4,5,true",
        "2,icmpv6,2001:db8::1,7,ff02::1,128,0,0,0,0,0,0,,,,,,,,,,,,,,,,,,,,0,0,false",
        "3,50,10.0.0.1,0,10.0.0.2,0,0,0,0,0,0,0,,,,,,,,1,,,,,,,,,,,,0,0,false"};
    size_t len;
    char *text = write_records(RECORD_CSV, r, 3, &len), *save = NULL;
    char *line = strtok_r(text, "\n", &save);
    cr_assert(!strncmp(line, "id,proto,src,sport,dst,dport,first_ns,", 38), "%s", line);
    for (int i = 0; i < 3; i++) {
        line = strtok_r(NULL, "\n", &save);
        cr_expect_str_eq(line, want[i]);
    }
    cr_expect_null(strtok_r(NULL, "\n", &save));
    free(text);
}

/* A text longer than any interface's name does not harm the line. */
Test(record, csv_of_endless_names) {
    char name[5000];
    memset(name, '"', sizeof name);
    name[sizeof name - 1] = 0;
    struct flow_record r = {.key = key("10.0.0.1", 1, "10.0.0.2", 2, 17),
                            .way = {{.in = name, .out = name}, {.in = name, .out = name}}};
    size_t len;
    char *text = write_records(RECORD_CSV, &r, 1, &len);
    cr_expect_eq(text[len - 1], '\n');
    cr_expect_not_null(strstr(text, ",0,0,false\n"));
    free(text);
}

static unsigned get16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

/* Every message is whole, fits a datagram and counts on; sets fill their message. */
Test(record, ipfix_messages) {
    enum { N = 5000 };
    static struct flow_record r[N];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random random;
        random_seed(&random, seed);
        for (unsigned i = 0; i < N; i++)
            r[i] = record_make(&random);
        size_t len, sets = 0, messages = 0;
        uint8_t *data = (uint8_t *)write_records(RECORD_IPFIX, r, N, &len), *m = data;
        uint32_t sequence = 0;
        for (; m < data + len; m += get16(m + 2), messages++) {
            unsigned n = get16(m + 2), at = 16;
            cr_assert(get16(m) == 10 && n > 16 && n <= 1400 && m + n <= data + len, "seed %lu", (unsigned long)seed);
            uint32_t now = (uint32_t)get16(m + 8) << 16 | get16(m + 10);
            cr_expect_geq(now, sequence);
            sequence = now;
            for (; at < n; at += get16(m + at + 2), sets++) {
                unsigned id = get16(m + at);
                cr_assert(get16(m + at + 2) > 4 && (id == 2 || id == 3 || (id >= 256 && id <= 260)));
                cr_expect(messages == 0 || id >= 256, "templates come first");
            }
            cr_assert_eq(at, n);
        }
        cr_expect_gt(sequence, N - 50u);
        cr_expect_leq(sequence, N + 5u, "records, and names of five interfaces");
        free(data);
    }
}

Test(record, same_records_same_file) {
    struct random random;
    random_seed(&random, 4);
    struct flow_record r = record_make(&random);
    size_t a_len, b_len;
    char *a = write_records(RECORD_IPFIX, &r, 1, &a_len), *b = write_records(RECORD_IPFIX, &r, 1, &b_len);
    cr_expect(a_len == b_len && !memcmp(a, b, a_len));
    free(a);
    free(b);
}

Test(record, nothing_appears_before_close) {
    struct random random;
    random_seed(&random, 5);
    for (int form = 0; form < 2; form++) {
        struct record_writer *w = record_writer_open(path, (enum record_form)form, NULL);
        struct flow_record r = record_make(&random);
        record_write(w, &r);
        cr_expect_neq(access(path, F_OK), 0);
        record_writer_abandon(w);
    }
    struct err e = {0};
    cr_expect_null(record_writer_open("/nonexistent/flows.csv", RECORD_CSV, &e));
    cr_expect_str_eq(e.where, "/nonexistent/flows.csv");
    struct record_writer *w = record_writer_open("/dev/full", RECORD_CSV, &e);
    cr_assert_not_null(w);
    cr_expect_lt(record_writer_close(w, &e), 0);
    cr_expect_str_eq(e.where, "/dev/full");
}
