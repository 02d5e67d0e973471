/* SPDX-License-Identifier: BSD-3-Clause */
/* Units, the catalogue of hosts and its complaints, what sessions and routes really take of memory. */
#include <malloc.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <fwdlab/base/file.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/core/route.h>
#include "helper.h"

Test(units, rates) {
    static const struct { const char *text; double bytes, want; } good[] = {
        {"2Mpps", 0, 2e6}, {"500kpps", 0, 5e5}, {"20000", 0, 2e4}, {"1.5e6 pps", 0, 1.5e6}, {"10Gbps", 1250, 1e6},
        {"800Mbps", 100, 1e6}};
    static const char *const bad[] = {"", "Mpps", "-2Mpps", "0", "2 mpps", "2Mppsx", "0x10", "nan", "inf", "1e999"};
    struct err e;
    double out;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert_eq(size_rate_parse(good[i].text, good[i].bytes, &out, NULL), 0, "%s", good[i].text);
        NEAR(out, good[i].want, 1e-12);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_neq(size_rate_parse(bad[i], 64, &out, &e), 0, "%s", bad[i]);
        cr_assert(strstr(e.hint, "2Mpps"));
    }
    cr_assert_neq(size_rate_parse("10Gbps", 0, &out, &e), 0);
    cr_assert(strstr(e.hint, "packet size"));
}

Test(units, times_shares_counts) {
    double out;
    cr_assert(!size_time_parse("100us", &out, NULL) && fabs(out - 1e5) < 1e-6);
    cr_assert(!size_time_parse("1.5ms", &out, NULL) && fabs(out - 1.5e6) < 1e-6);
    cr_assert(!size_time_parse("800", &out, NULL) && out == 800);
    cr_assert(size_time_parse("0us", &out, NULL) && size_time_parse("1 min", &out, NULL));
    cr_assert(!size_share_parse("30%", &out, NULL) && fabs(out - 0.3) < 1e-12);
    cr_assert(!size_share_parse("0.25", &out, NULL) && out == 0.25);
    cr_assert(size_share_parse("30", &out, NULL) && size_share_parse("101%", &out, NULL) &&
              size_share_parse("-1%", &out, NULL));
    cr_assert(!size_count_parse("10k", &out, NULL) && out == 1e4);
    cr_assert(!size_count_parse("1.5M", &out, NULL) && out == 1.5e6);
    cr_assert(size_count_parse("0", &out, NULL) && size_count_parse("10K", &out, NULL));
}

/* Loads a text as a catalogue. */
static int load(const char *text, struct size_catalogue *c, struct err *e) {
    char path[] = "/tmp/hosts-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int code = size_catalogue_load(path, c, e);
    unlink(path);
    return code;
}

#define GOOD "cores: 4, clock_ghz: 2.8, nic_gbps: 10, nic_mpps: no, memory_gb: 16, price: 0"

Test(catalogue, the_example_is_read) {
    struct size_catalogue c;
    struct err e;
    cr_assert_eq(size_catalogue_load(FWDLAB_SOURCE "/traces/hosts.yaml", &c, &e), 0, "%s: %s", e.where, e.what);
    cr_assert_geq(c.n, 4);
    for (size_t i = 0; i < c.n; i++)
        cr_assert(c.hosts[i].cores >= 1 && c.hosts[i].clock_ghz > 0 && c.hosts[i].nic_mpps > 0 && c.hosts[i].price > 0);
    cr_assert_str_eq(c.price_unit, "EUR a month");
    size_catalogue_fini(&c);
    cr_assert_eq(load("price_unit: EUR\nhosts: { a: { " GOOD " } }\n", &c, &e), 0, "%s", e.what);
    cr_assert(c.n == 1 && !strcmp(c.hosts[0].name, "a") && c.hosts[0].cores == 4 && c.hosts[0].clock_ghz == 2.8 &&
              c.hosts[0].nic_gbps == 10 && isinf(c.hosts[0].nic_mpps) && c.hosts[0].memory_gb == 16 &&
              !c.hosts[0].price);
    size_catalogue_fini(&c);
}

Test(catalogue, what_is_wrong_is_said_with_its_line) {
    static const struct { const char *text, *line, *what, *hint; } bad[] = {
        {"", ":1", "no catalogue", "price_unit"},
        {"- 1\n", ":1", "no catalogue", "hosts"},
        {"a: [\n", ":2", "not YAML", "hosts.yaml"},
        {"price_unit: EUR\n", ":1", "`hosts` is missing", "hosts"},
        {"hosts: { a: { " GOOD " } }\n", ":1", "`price_unit` is missing", "price_unit"},
        {"price_unit: EUR\nhosts: {}\n", ":2", "names none", "by name"},
        {"price_unit: [EUR]\nhosts: {}\n", ":1", "no text", "EUR"},
        {"price_unit: EUR\ncolour: red\n", ":2", "unknown key `colour`", "hosts"},
        {"price_unit: EUR\nhosts:\n  a: { " GOOD " }\n  b: 5\n", ":4", "`b` is no mapping", "cores"},
        {"price_unit: EUR\nhosts:\n  a: { " GOOD " }\n  a: { " GOOD " }\n", ":4", "`a` is here twice", "one of them"},
        {"price_unit: EUR\nhosts:\n  a:\n    cores: 4\n    cores: 5\n", ":5", "`cores` is here twice", "one of them"},
        {"price_unit: EUR\nhosts:\n  a: { " GOOD ",\n    ram: 4 }\n", ":4", "unknown key `ram`", "memory_gb"},
        {"price_unit: EUR\nhosts:\n  a:\n    cores: 4\n", ":3", "`clock_ghz` is missing", "GHz"},
        {"price_unit: EUR\nhosts:\n  a:\n    cores: -4\n", ":4", "`cores` is `-4`", "from 1"},
        {"price_unit: EUR\nhosts:\n  a:\n    cores: 1.5\n", ":4", "`cores` is `1.5`", "whole"},
        {"price_unit: EUR\nhosts:\n  a:\n    price: -1\n", ":4", "`price` is `-1`", "price"},
        {"price_unit: EUR\nhosts:\n  a:\n    nic_gbps: 10G\n", ":4", "`nic_gbps` is `10G`", "12.5"},
        {"price_unit: EUR\nhosts:\n  a:\n    memory_gb: .inf\n", ":4", "`memory_gb` is `.inf`", "GB"},
        {"price_unit: EUR\nhosts:\n  a:\n    memory_gb: [1]\n", ":4", "`memory_gb` is no number", "GB"},
        {"price_unit: EUR\nhosts:\n  a:\n    nic_mpps: 0\n", ":4", "`nic_mpps` is `0`", "no such cap"},
        {"price_unit: EUR\nhosts:\n  a:\n    [1]: 2\n", ":4", "not text", "names"},
        {"price_unit: EUR\nhosts:\n  \"\": { " GOOD " }\n", ":3", "cannot be a host's name", "39"},
        {"price_unit: EUR\nhosts: { a: &x { b: *x } }\n", ":2", "unknown key `b`", "cores"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct size_catalogue c;
        struct err e = {0};
        cr_assert_neq(load(bad[i].text, &c, &e), 0, "%s", bad[i].text);
        size_t n = strlen(e.where), m = strlen(bad[i].line);
        cr_assert(n > m && !strcmp(e.where + n - m, bad[i].line), "case %zu: %s, not %s: %s", i, e.where, bad[i].line,
                  e.what);
        cr_assert(strstr(e.what, bad[i].what), "case %zu: %s", i, e.what);
        cr_assert(strstr(e.hint, bad[i].hint), "case %zu: %s", i, e.hint);
    }
}

#if defined __SANITIZE_ADDRESS__
#define ALLOCATOR_COUNTS false
#elif defined __has_feature
#define ALLOCATOR_COUNTS !__has_feature(address_sanitizer)
#else
#define ALLOCATOR_COUNTS true
#endif

static double allocated(void) {
    struct mallinfo2 m = mallinfo2();
    return (double)m.uordblks + (double)m.hblkhd;
}

/* What is counted on for a session and a route is enough for the core's own, and no more than thrice that. */
Test(memory, sessions_and_routes_take_what_is_said) {
    /* sessions: just over a power of two, where the index has most room to spare */
    enum { SESSIONS = 140000, ROUTES = 100000 };
    if (!ALLOCATOR_COUNTS)
        cr_skip_test("address sanitizer");
    be32 outside = htonl(0x0a000001);
    struct nat_config config = {.personality = NAT_INTERFACE, .max_sessions = SESSIONS, .n_addresses = 1,
                                .addresses = &outside};
    double before = allocated();
    struct nat *nat = nat_create(&config);
    cr_assert(nat);
    double each = (allocated() - before) / SESSIONS;
    nat_destroy(nat);
    cr_assert(each <= SIZE_MEMORY_SESSION && SIZE_MEMORY_SESSION <= 3 * each, "%.0f bytes a session", each);

    before = allocated();
    struct route_table *t = route_table_create(&route_trie, ROUTES);
    for (uint32_t i = 0; i < ROUTES; i++) {
        struct route r = {.prefix = {ip_v4(htonl(0x0b000000 + (i << 8))), 24}, .kind = ROUTE_UNICAST};
        cr_assert_eq(route_add(t, &r), 0);
    }
    each = (allocated() - before) / ROUTES;
    route_table_destroy(t);
    cr_assert(each <= SIZE_MEMORY_ROUTE && SIZE_MEMORY_ROUTE <= 3 * each, "%.0f bytes a route", each);
}
