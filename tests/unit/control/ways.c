/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes that a scenario may write, as they meet packets: sixteen equal ways, tables chosen by source, refusals. */
#include "helper.h"
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>

#define HEAD "fwdlab: 1\nname: ways\nnode: r\nswitches: { a: {}, b: {} }\nmachines:\n"
#define NICS                                                                                                           \
    "  r:\n    router: true\n    nics:\n"                                                                              \
    "      a: { switch: a, address: 10.1.0.1/24, address6: \"fd00:1::1/64\" }\n"                                       \
    "      b: { switch: b, address: 10.2.0.1/24, address6: \"fd00:2::1/64\" }\n"
#define MANY 17 /* one more than share */

/* So many routes to one prefix of each family, by turns out of a and b, in a table. */
static struct built many(unsigned n, const char *table) {
    char text[8000] = HEAD NICS "    routes:\n", *at = text + strlen(text), *end = text + sizeof text;
    for (unsigned i = 0; i < n; i++)
        at += snprintf(at, (size_t)(end - at),
                       "      w%u: { prefix: 10.9.0.0/16, via: 10.%u.0.%u, nic: %c, metric: 7, table: %s }\n"
                       "      s%u: { prefix: \"fd00:9::/64\", via: \"fd00:%u::%x\", nic: %c, metric: 7, table: %s }\n",
                       i, 1 + i % 2, 10 + i, "ab"[i % 2], table, i, 1 + i % 2, 16 + i, "ab"[i % 2], table);
    snprintf(at, (size_t)(end - at), "    rules: { guests: { priority: 10, from: 10.2.0.0/24, table: 5 },\n"
                                     "             six: { priority: 10, from: \"fd00:2::/64\", table: 5 } }\n");
    return build_text(text);
}

static const struct route_path *path_to(const struct route_table *t, const char *destination) {
    struct ip dst;
    uint32_t path;
    cr_assert_eq(ip_parse(destination, &dst), 0);
    route_lookup(t, dst.v6, &path, 1);
    cr_assert_neq(path, ROUTE_NONE, "%s", destination);
    return route_path(t, path);
}

Test(ways, sixteen_share_the_traffic_and_no_more) {
    for (unsigned n = 1; n <= MANY; n++) {
        static const char *const tables[] = {"main", "5"};
        struct built b = many(n, tables[n % 2]);
        const struct control_node *r = node_of(&b, "r");
        const struct route_path *four = path_to(control_table(r, FAMILY_IPV4, n % 2), "10.9.1.1");
        const struct route_path *six = path_to(control_table(r, FAMILY_IPV6, n % 2), "fd00:9::1");
        const unsigned shared = n < ROUTE_ECMP_MAX ? n : ROUTE_ECMP_MAX;
        cr_assert(four->n == shared && six->n == shared, "%u routes: %u and %u ways", n, four->n, six->n);
        for (unsigned i = 0; i < shared; i++) {
            cr_expect(four->next[i].via == htonl(0x0a010000 + i % 2 * 0x10000 + 10 + i) && four->next[i].port == i % 2);
            cr_expect_eq(six->next[i].port, i % 2);
        }
        destroy(&b);
    }
}

Test(ways, the_seventeenth_is_told_of) {
    char text[4000] = HEAD NICS "    routes:\n", *at = text + strlen(text), *end = text + sizeof text;
    for (unsigned i = 0; i < MANY; i++)
        at += snprintf(at, (size_t)(end - at), "      w%u: { prefix: 0.0.0.0/0, via: 10.1.0.%u, nic: a }\n", i, 10 + i);
    struct complaints c = {0};
    struct scenario *s = scenario_load_text("ways.yaml", text, strlen(text), &c);
    unsigned found = 0;
    for (size_t i = 0; i < c.list.n; i++)
        found += strstr(c.list.v[i].what, "route \"w16\" to 0.0.0.0/0 is not used: 16 of the same metric") != NULL &&
                 c.list.v[i].severity == SEVERITY_WARNING;
    cr_assert_not_null(s);
    cr_expect_eq(found, 1, "%u", found);
    complaints_fini(&c);
    scenario_destroy(s);
}

/* What r does with a datagram that comes in by b. */
static enum drop fate(const struct built *b, const char *from, const char *to, struct ip *next_hop) {
    struct {
        struct ipv4_header ip;
        be16 sport, dport, len, checksum;
    } bytes = {.ip = {.version_ihl = 0x45, .total_length = htons(28), .ttl = 9, .proto = PROTO_UDP},
               .sport = htons(7), .dport = htons(7), .len = htons(8)};
    struct ip src, dst;
    cr_assert(ip_parse(from, &src) == 0 && ip_parse(to, &dst) == 0);
    bytes.ip.src = src.v4;
    bytes.ip.dst = dst.v4;
    bytes.ip.checksum = checksum_fold(checksum_sum(&bytes.ip, sizeof bytes.ip, 0));
    struct packet p = {.data = (uint8_t *)&bytes, .len = sizeof bytes, .wire_len = sizeof bytes, .room = sizeof bytes,
                       .in_port = 1, .flags = PACKET_RAW_IP}, *pp = &p;
    struct node *node = &b->control->nodes[control_node_find(b->control, "r")].node;
    forward(node, &pp, 1, 0);
    cr_assert_neq(p.verdict, VERDICT_NONE);
    *next_hop = p.verdict == VERDICT_FORWARD ? node_next_hop(node, &p) : (struct ip){0};
    return p.verdict == VERDICT_FORWARD ? DROP_NONE : (enum drop)p.reason;
}

/* The default route, and destinations and sources that are refused, each for its reason. */
Test(ways, refusing_routes_and_rules) {
    static const struct {
        const char *from, *to, *via;
        enum drop reason;
    } cases[] = {
        {"10.2.0.9", "192.0.2.1", "10.1.0.2", DROP_NONE},       /* the default route */
        {"10.2.0.9", "198.18.1.1", "", DROP_BLACKHOLE},
        {"10.2.0.9", "198.18.2.1", "", DROP_UNREACHABLE},
        {"10.2.0.9", "198.18.3.1", "", DROP_PROHIBITED},
        {"10.2.0.9", "198.18.3.128", "10.1.0.2", DROP_NONE},    /* a longer prefix is not refused */
        {"10.2.0.66", "192.0.2.1", "10.1.0.3", DROP_NONE},      /* by its source: another table */
        {"10.2.0.66", "198.18.1.1", "", DROP_BLACKHOLE},        /* which has no route for it: the next rule */
        {"10.2.0.67", "192.0.2.1", "", DROP_PROHIBITED},        /* by its source: refused */
        {"10.2.0.68", "192.0.2.1", "", DROP_UNREACHABLE},
        {"10.2.0.69", "192.0.2.1", "", DROP_BLACKHOLE},
    };
    struct built b = build_text(HEAD NICS
                                "    routes:\n"
                                "      all: { prefix: 0.0.0.0/0, via: 10.1.0.2, nic: a }\n"
                                "      hole: { prefix: 198.18.1.0/24, kind: blackhole }\n"
                                "      un: { prefix: 198.18.2.0/24, kind: unreachable }\n"
                                "      no: { prefix: 198.18.3.0/24, kind: prohibit }\n"
                                "      but: { prefix: 198.18.3.128/25, via: 10.1.0.2, nic: a }\n"
                                "      other: { prefix: 192.0.2.0/24, via: 10.1.0.3, nic: a, table: 7 }\n"
                                "    rules:\n"
                                "      r66: { priority: 1, from: 10.2.0.66/32, table: 7 }\n"
                                "      r67: { priority: 2, from: 10.2.0.67/32, kind: prohibit }\n"
                                "      r68: { priority: 3, from: 10.2.0.68/32, kind: unreachable }\n"
                                "      r69: { priority: 4, from: 10.2.0.69/32, kind: blackhole }\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ip via;
        char text[IP_TEXT];
        enum drop reason = fate(&b, cases[i].from, cases[i].to, &via);
        cr_expect_eq(reason, cases[i].reason, "%s to %s: %s", cases[i].from, cases[i].to, drop_name(reason));
        cr_expect_str_eq(ip_format(&via, text), cases[i].via, "%s to %s by %s", cases[i].from, cases[i].to, text);
    }
    destroy(&b);
}
