/* SPDX-License-Identifier: BSD-3-Clause */
/* A NAT filled by hand: what is said of its use, of its clients, and of the day when it runs out. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/core/route.h>
#include "../../../src/analyze/natuse.h"

#define SEED 4021
#define S 1000000000ull
#define OUTSIDE 1

struct use {
    struct nat *nat;
    struct natuse *of;
    uint64_t now;
    json_t *doc;
};

static struct use use_make(struct nat_config config) {
    static const be32 addresses[1] = {0x0100000a};
    config.outside_port = OUTSIDE;
    config.n_addresses = 1;
    config.addresses = addresses;
    struct nat *nat = nat_create(&config);
    cr_assert_not_null(nat);
    return (struct use){.nat = nat, .of = natuse_create(nat)};
}

static void use_end(struct use *u) {
    json_decref(u->doc);
    natuse_destroy(u->of);
    nat_destroy(u->nat);
}

/* A first packet from a client, all to one remote end; true: it was let through. */
static bool packet_from(struct use *u, uint8_t proto, uint32_t client, uint16_t port) {
    struct {
        struct ipv4_header ip;
        uint8_t l4[20];
    } bytes = {.ip = {.version_ihl = 0x45, .ttl = 9, .proto = proto, .src = htonl(0x64400000 + client),
                      .dst = htonl(0xcb007101), .total_length = htons(proto == PROTO_TCP ? 40 : 28)}};
    const be16 ports[2] = {htons(port), htons(80)};
    memcpy(bytes.l4, ports, sizeof ports);
    bytes.l4[12] = 5 << 4;
    bytes.l4[13] = TCP_SYN;
    const uint32_t len = ntohs(bytes.ip.total_length);
    struct packet p = {.data = (uint8_t *)&bytes, .len = len, .wire_len = len, .path = ROUTE_NONE,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM, .out_port = PORT_NONE}, *list = &p;
    parse(&p);
    cr_assert_eq(p.verdict, VERDICT_NONE);
    nat_expire_once(u->nat, u->now);
    nat_in(u->nat, &list, 1, u->now);
    p.out_port = OUTSIDE;
    nat_out(u->nat, &list, 1, u->now);
    if (p.verdict == VERDICT_DROP)
        natuse_dropped(u->of, &p, u->now);
    natuse_see(u->of, u->now, 1);
    return p.verdict != VERDICT_DROP;
}

static void tell(struct use *u) {
    natuse_finish(u->of);
    u->doc = natuse_json(u->of);
}

static json_int_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}
static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static json_int_t last(const json_t *o, const char *key) {
    const json_t *list = json_object_get(o, key);
    return json_integer_value(json_array_get(list, json_array_size(list) - 1));
}
static json_t *pool(const struct use *u, const char *name) {
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(u->doc, "pools"), i, p) if (!strcmp(text(p, "name"), name)) return p;
    return NULL;
}

Test(natuse, counts_what_is_in_use) {
    struct use u = use_make((struct nat_config){.port_min = 1024, .port_max = 2023});
    for (unsigned i = 0; i < 100; i++, u.now += S / 100) { /* 2 clients: 60 and 40 UDP ports, and 20 TCP ports */
        packet_from(&u, PROTO_UDP, 1 + (i >= 60), (uint16_t)(1100 + i));
        if (i < 20)
            packet_from(&u, PROTO_TCP, 1, (uint16_t)(1100 + i));
    }
    tell(&u);
    cr_expect_eq(last(u.doc, "sessions"), 120);
    cr_expect_eq(last(u.doc, "ports"), 120);
    cr_expect_eq(last(pool(&u, "udp"), "used"), 100);
    cr_expect_eq(number(pool(&u, "tcp"), "peak"), 20);
    cr_expect_eq(number(pool(&u, "tcp"), "available"), 1000);
    cr_expect_null(pool(&u, "icmp"));
    const json_t *clients = json_object_get(u.doc, "clients"), *first = json_array_get(clients, 0);
    cr_assert_eq(json_array_size(clients), 2u);
    cr_expect_str_eq(text(first, "client"), "100.64.0.1");
    cr_expect_eq(number(first, "sessions_peak"), 80);
    cr_expect_eq(number(first, "ports_peak"), 80);
    cr_expect_eq(number(json_array_get(clients, 1), "sessions_peak"), 40);
    cr_expect(json_is_null(json_object_get(u.doc, "runs_out")));
    cr_expect_neq(strstr(text(u.doc, "why"), "too short"), NULL, "%s", text(u.doc, "why"));
    use_end(&u);
}

/* As many sessions at any time as the rate of that time lasts them: `rate` a second at t seconds. */
static struct use flow_through(double first, double more_an_hour, unsigned seconds, struct nat_config config) {
    config.timers = (struct nat_timers){.udp = 20 * S, .udp_stream = 20 * S};
    struct use u = use_make(config);
    double due = 0;
    unsigned port = 0;
    for (unsigned t = 0; t < seconds; t++) {
        for (due += first + more_an_hour * t / 3600; due >= 1; due--, port++)
            packet_from(&u, PROTO_UDP, 1 + port % 50, (uint16_t)(1024 + port % 60000));
        u.now += S;
    }
    tell(&u);
    return u;
}

/* 20 s × (3 + 6 an hour): 60 and 120 more each hour of 1000; after an hour there are 180, so it
 * takes 6.8 more hours. */
Test(natuse, foretells_a_growing_use) {
    struct use u = flow_through(3, 6, 3600, (struct nat_config){.port_min = 1024, .port_max = 2023});
    const json_t *runs_out = json_object_get(u.doc, "runs_out");
    cr_assert(json_is_object(runs_out), "%s", text(u.doc, "why"));
    const double hours = number(runs_out, "at_ns") / 3.6e12, growth = json_real_value(json_object_get(u.doc, "growth"));
    cr_expect(growth > 110 && growth < 130, "%f", growth);
    cr_expect(hours > 7.2 && hours < 8.5, "%f", hours);
    cr_expect_str_eq(text(runs_out, "pool"), "udp");
    cr_expect(json_is_false(json_object_get(runs_out, "happened")));
    use_end(&u);
}

Test(natuse, says_nothing_of_a_steady_use) {
    struct use u = flow_through(6, 0, 3600, (struct nat_config){.port_min = 1024, .port_max = 2023});
    cr_expect(json_is_null(json_object_get(u.doc, "runs_out")));
    cr_expect_str_eq(text(u.doc, "why"), "its use does not grow");
    use_end(&u);
    u = flow_through(6, 0.5, 3600, (struct nat_config){.port_min = 1024, .port_max = 65535}); /* 10 an hour of 64512 */
    cr_expect(json_is_null(json_object_get(u.doc, "runs_out")));
    cr_expect_neq(strstr(text(u.doc, "why"), "ten times"), NULL, "%s", text(u.doc, "why"));
    use_end(&u);
}

/* What fills because nothing had time to end is no growth, however steep. */
Test(natuse, says_nothing_before_sessions_end) {
    struct use u = use_make((struct nat_config){.port_min = 1024, .port_max = 2023});
    for (unsigned i = 0; i < 500; i++, u.now += S / 4) /* 125 s of 300 */
        packet_from(&u, PROTO_UDP, 1, (uint16_t)(1100 + i));
    tell(&u);
    cr_expect(json_is_null(json_object_get(u.doc, "runs_out")));
    cr_expect(json_is_null(json_object_get(u.doc, "growth")));
    use_end(&u);
}

Test(natuse, says_when_it_has_happened) {
    struct use u = use_make((struct nat_config){.port_min = 2000, .port_max = 2099});
    unsigned refused = 0;
    for (unsigned i = 0; i < 150; i++, u.now += S)
        refused += !packet_from(&u, PROTO_UDP, 1 + i % 3, (uint16_t)(3000 + i));
    cr_assert_eq(refused, 50);
    tell(&u);
    const json_t *runs_out = json_object_get(u.doc, "runs_out");
    cr_expect_eq(number(runs_out, "at_ns"), (json_int_t)(100 * S));
    cr_expect(json_is_true(json_object_get(runs_out, "happened")));
    cr_expect_eq(number(json_object_get(u.doc, "refused"), "port"), 50);
    json_int_t theirs = 0;
    for (size_t i = 0; i < 3; i++)
        theirs += number(json_array_get(json_object_get(u.doc, "clients"), i), "refused");
    cr_expect_eq(theirs, 50);
    use_end(&u);
}

/* Blocks of 10 in a pool of 100: the sixth client's ports are few, and yet more than half the blocks are gone. */
Test(natuse, counts_blocks) {
    struct use u = use_make(
        (struct nat_config){.port_min = 2000, .port_max = 2099, .port_block = 10, .client_blocks = 2});
    for (unsigned c = 1; c <= 6; c++)
        for (unsigned i = 0; i < (c == 1 ? 11 : 1); i++)
            packet_from(&u, PROTO_UDP, c, (uint16_t)(3000 + i));
    tell(&u);
    cr_expect_eq(number(pool(&u, "blocks"), "peak"), 7);
    cr_expect_eq(number(pool(&u, "blocks"), "available"), 10);
    cr_expect_eq(number(pool(&u, "udp"), "peak"), 16);
    use_end(&u);
}

/* However long and uneven: no more samples than there is room for, none lost, the most is kept, but for
 * what came within the 64 packets between two looks. */
Test(natuse, keeps_the_most_of_every_interval) {
    for (unsigned seed = SEED; seed < SEED + 20; seed++) {
        struct use u = use_make((struct nat_config){.port_min = 1024, .port_max = 2023,
                                                    .timers = {.udp = 3 * S, .udp_stream = 3 * S}});
        struct random r;
        uint32_t most = 0;
        random_seed(&r, seed);
        for (unsigned i = 0; i < 800; i++) {
            struct nat_stats s;
            packet_from(&u, PROTO_UDP, 1 + random_below(&r, 9), (uint16_t)(1024 + i));
            nat_stats_get(u.nat, &s);
            most = s.peak;
            u.now += random_below(&r, 50) ? random_below(&r, S / 20) : random_below(&r, 1000) * S;
        }
        tell(&u);
        const json_t *list = json_object_get(u.doc, "sessions");
        const uint64_t n = json_array_size(list), interval = (uint64_t)number(u.doc, "interval_ns");
        cr_expect(n <= NATUSE_SAMPLES && n * interval + 1000 * S > u.now, "seed %u: %lu of %lu ns", seed, n, interval);
        json_int_t seen = 0;
        for (size_t i = 0; i < n; i++) {
            const json_int_t v = json_integer_value(json_array_get(list, i));
            seen = v > seen ? v : seen;
        }
        cr_expect(seen <= most && seen + 64 >= most, "seed %u: %lld of %u", seed, seen, most);
        use_end(&u);
    }
}
