/* SPDX-License-Identifier: BSD-3-Clause */
/* Security groups: rules, flows, what is about a flow, fragments, and the stages in a node. */
#include <errno.h>
#include <fwdlab/base/random.h>
#include "../memory.h"
#include "filter_packet.h"

/* A rule for any addresses and source ports. */
#define RULE(does_allow, protocol, first, last, called)                                                                \
    {.allow = does_allow, .proto = protocol, .sport_max = UINT16_MAX, .dport_min = first, .dport_max = last,           \
     .name = called}
#define THROUGH(f, port, d, now, ...) passes(f, &(struct spec){__VA_ARGS__}, port, d, now)
#define IN(f, port, now, ...) THROUGH(f, port, FILTER_IN, now, .family = FAMILY_IPV4, __VA_ARGS__)
#define OUT(f, port, now, ...) THROUGH(f, port, FILTER_OUT, now, .family = FAMILY_IPV4, __VA_ARGS__)
#define IN6(f, port, now, ...) THROUGH(f, port, FILTER_IN, now, .family = FAMILY_IPV6, __VA_ARGS__)
#define OUT6(f, port, now, ...) THROUGH(f, port, FILTER_OUT, now, .family = FAMILY_IPV6, __VA_ARGS__)
#define UDP .proto = PROTO_UDP

static struct ip_prefix prefix(const char *text) {
    struct ip_prefix p;
    cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
    return p;
}

/* What arrives at ports 0 and 1 may be UDP to port 53, ICMP, or ESP; nothing may leave there. Port 2 has no group. */
static struct filter *filter_make(uint32_t max_flows) {
    const struct filter_rule rules[] = {RULE(true, PROTO_UDP, 53, 53, "dns"),
                                        RULE(true, PROTO_ICMP, 0, UINT16_MAX, "ping"),
                                        RULE(true, PROTO_ESP, 0, UINT16_MAX, "esp")};
    const struct filter_group group = {"group", {3, 0}, {rules, NULL}};
    const struct filter_port ports[] = {{FILTER_NONE, 0}, {0, FILTER_NONE}, {FILTER_NONE, FILTER_NONE}};
    return filter_create(&(struct filter_config){3, 1, ports, &group, max_flows, 0});
}

Test(filter, configuration) {
    const struct filter_group group = {"group", {0, 0}, {NULL, NULL}};
    struct filter_port ports[] = {{FILTER_NONE, FILTER_NONE}, {0, FILTER_NONE}};
    struct filter *f = filter_create(&(struct filter_config){2, 1, ports, &group, 0, 0});
    cr_assert(f && filter_active(f));
    cr_assert_not(IN(f, 1, 0, UDP, .src = 1, .dst = 2), "an empty group denies");
    filter_destroy(f);
    f = filter_create(&(struct filter_config){1, 1, ports, &group, 0, 0});
    cr_assert(f && !filter_active(f), "port 0 has no group");
    filter_destroy(f);
    for (int i = 0; i < 2; i++) {
        *(i ? &ports[1].nic : &ports[1].subnet) = 1;
        cr_assert(!filter_create(&(struct filter_config){2, 1, ports, &group, 0, 0}) && errno == EINVAL);
        ports[1] = ports[0];
    }
    cr_assert(!filter_create(&(struct filter_config){2, 1, ports, &group, UINT32_MAX, 0}) && errno == EINVAL);
    filter_destroy(NULL);
}

Test(filter, no_memory) {
    const struct filter_port port = {FILTER_NONE, FILTER_NONE};
    memory_limit();
    errno = 0;
    cr_assert(!filter_create(&(struct filter_config){1, 0, &port, NULL, 1u << 28, 0}) && errno == ENOMEM, "16 GB");
}

Test(filter, answers_pass_where_the_flow_did) {
    struct filter *f = filter_make(0);
    cr_assert_not(OUT(f, 0, 0, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9), "no flow yet");
    cr_assert_not(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 54));
    cr_assert(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53));
    cr_assert(OUT(f, 0, 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert_not(OUT(f, 1, 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9), "each port has its own");
    cr_assert_not(OUT(f, 0, 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 8));
    cr_assert_not(OUT(f, 0, 1, UDP, .src = 2, .dst = 3, .sport = 53, .dport = 9));
    cr_assert_not(OUT(f, 0, 1, .proto = PROTO_TCP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert_not(OUT(f, 0, 1, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53), "not an answer");
    cr_assert(OUT(f, 2, 1, UDP, .src = 2, .dst = 3) && IN(f, 2, 1, UDP, .src = 2, .dst = 3), "no group: no questions");
    cr_assert(OUT(f, PORT_NONE, 1, UDP, .src = 2, .dst = 3) && IN(f, PORT_NONE, 1, UDP, .src = 2, .dst = 3));
    cr_assert(IN(f, 0, 1, .proto = PROTO_ESP, .src = 1, .dst = 2));
    cr_assert(OUT(f, 0, 1, .proto = PROTO_ESP, .src = 2, .dst = 1), "without ports: by addresses");
    filter_reset(f);
    cr_assert_not(OUT(f, 0, 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    filter_destroy(f);
}

Test(filter, families_are_apart) {
    struct filter *f = filter_make(0);
    cr_assert(IN6(f, 0, 0, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53));
    cr_assert(OUT6(f, 0, 0, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert_not(OUT(f, 0, 0, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert_not(IN6(f, 0, 0, .proto = PROTO_ICMPV6, .type = ICMPV6_ECHO, .src = 1, .dst = 2), "the rule has ICMP");
    filter_destroy(f);
}

/* 240 s from the last packet of either direction. */
Test(filter, flows_end_when_idle) {
    struct filter *f = filter_make(0);
    cr_assert(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53));
    cr_assert(OUT(f, 0, 240 * S, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert(OUT(f, 0, 480 * S, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert_not(OUT(f, 0, 720 * S + 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    cr_assert(IN(f, 0, 720 * S + 1, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53), "and may begin again");
    cr_assert(OUT(f, 0, 720 * S + 1, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9));
    filter_destroy(f);
}

Test(filter, the_one_idle_longest_is_forgotten) {
    struct filter *f = filter_make(3);
    for (uint16_t sport = 1; sport <= 3; sport++)
        cr_assert(IN(f, 0, sport, UDP, .src = 1, .dst = 2, .sport = sport, .dport = 53));
    cr_assert(OUT(f, 0, 4, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 1), "1 is used again");
    cr_assert(IN(f, 0, 5, UDP, .src = 1, .dst = 2, .sport = 4, .dport = 53));
    cr_assert_not(OUT(f, 0, 6, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 2));
    cr_assert(OUT(f, 0, 6, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 1));
    cr_assert(OUT(f, 0, 6, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 3));
    cr_assert(OUT(f, 0, 6, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 4));
    filter_destroy(f);
}

/* Each request has its reply, and that is the only thing that may answer it (RFC 792, 950). */
Test(filter, icmp_queries) {
    static const uint8_t requests[] = {ICMP_ECHO, ICMP_TIMESTAMP, ICMP_INFORMATION, ICMP_MASK};
    static const uint8_t replies[] = {ICMP_ECHO_REPLY, ICMP_TIMESTAMP_REPLY, ICMP_INFORMATION_REPLY, ICMP_MASK_REPLY};
    for (unsigned i = 0; i < 4; i++) {
        struct filter *f = filter_make(0);
        cr_assert(IN(f, 0, 0, .proto = PROTO_ICMP, .src = 1, .dst = 2, .sport = 7, .type = requests[i]));
        for (unsigned type = 0; type < 41; type++)
            cr_assert_eq(OUT(f, 0, 0, .proto = PROTO_ICMP, .src = 2, .dst = 1, .sport = 7, .type = (uint8_t)type),
                         type == replies[i], "type %u", type);
        cr_assert_not(OUT(f, 0, 0, .proto = PROTO_ICMP, .src = 2, .dst = 1, .sport = 8, .type = replies[i]));
        filter_destroy(f);
    }
}

Test(filter, which_group_denied) {
    const struct filter_rule dns = RULE(true, PROTO_UDP, 53, 53, "dns");
    struct filter_rule closed[] = {RULE(false, 0, 0, 53, "no-dns"), RULE(true, 0, 0, UINT16_MAX, "all")};
    closed[0].src = prefix("10.0.0.1/32");
    const struct filter_group groups[] = {{"open", {1, 1}, {&dns, &dns}}, {"closed", {2, 2}, {closed, closed}}};
    const struct filter_port ports[] = {{0, 1}, {FILTER_NONE, 1}, {FILTER_NONE, FILTER_NONE}};
    struct filter *f = filter_create(&(struct filter_config){3, 2, ports, groups, 0, 0});
    struct flow_key key = {FAMILY_IPV4, PROTO_UDP, htons(9), htons(53), {10, 0, 0, 1}, {10, 0, 0, 2}};
    struct filter_answer a = filter_judge(f, 0, FILTER_IN, &key);
    cr_assert(!a.allowed && !a.by_subnet && !strcmp(a.group->name, "closed") && !strcmp(a.rule->name, "no-dns"));
    key.dport = htons(54); /* both deny: what leaves passes the NIC's first */
    a = filter_judge(f, 0, FILTER_IN, &key);
    cr_assert(!a.allowed && a.by_subnet && !strcmp(a.group->name, "open") && !a.rule);
    a = filter_judge(f, 0, FILTER_OUT, &key);
    cr_assert(!a.allowed && a.by_subnet && !strcmp(a.group->name, "open"), "the NIC's allows port 54");
    key.dport = htons(52);
    a = filter_judge(f, 0, FILTER_OUT, &key);
    cr_assert(!a.allowed && !a.by_subnet && !strcmp(a.group->name, "closed"));
    key.src[3] = 3;
    a = filter_judge(f, 1, FILTER_IN, &key);
    cr_assert(a.allowed && !a.by_subnet && !strcmp(a.rule->name, "all"));
    a = filter_judge(f, 2, FILTER_IN, &key);
    cr_assert(a.allowed && !a.group && !a.rule);
    key.proto = PROTO_ICMP; /* has an identifier, no ports */
    key.src[3] = 1;
    cr_assert(filter_judge(f, 1, FILTER_IN, &key).allowed);
    filter_destroy(f);
}

Test(filter, errors_about_flows) {
    const struct spec query = {.family = FAMILY_IPV4, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53},
                      answer = {.family = FAMILY_IPV4, UDP, .src = 2, .dst = 1, .sport = 53, .dport = 9},
                      stray = {.family = FAMILY_IPV4, UDP, .src = 1, .dst = 2, .sport = 8, .dport = 53};
    struct filter *f = filter_make(0);
    cr_assert(passes(f, &query, 0, FILTER_IN, 0));
#define ERROR .proto = PROTO_ICMP, .type = ICMP_UNREACHABLE
    cr_assert(OUT(f, 0, 0, ERROR, .src = 9, .dst = 1, .about = &query, .quoted = 28), "from whomever");
    cr_assert_not(OUT(f, 0, 0, ERROR, .src = 9, .dst = 3, .about = &query, .quoted = 28), "to the wrong one");
    cr_assert_not(OUT(f, 0, 0, ERROR, .src = 9, .dst = 1, .about = &query, .quoted = 23), "no ports");
    cr_assert_not(OUT(f, 0, 0, ERROR, .src = 9, .dst = 1, .about = &stray, .quoted = 28));
    cr_assert_not(OUT(f, 0, 0, ERROR, .src = 9, .dst = 2, .about = &answer, .quoted = 28), "it left here too");
    cr_assert_not(OUT(f, 1, 0, ERROR, .src = 9, .dst = 1, .about = &query, .quoted = 28));
    cr_assert_not(OUT(f, 0, 240 * S + 1, ERROR, .src = 9, .dst = 1, .about = &query, .quoted = 28));
    struct spec later = query;
    later.piece = LATER;
    cr_assert_not(OUT(f, 0, 0, ERROR, .src = 9, .dst = 1, .about = &later, .quoted = 28));
    filter_destroy(f);
}

/* TCP without its flags will do, IPv6 with extension headers too. No quotation, however cut, is read beyond its end. */
Test(filter, quotations_of_every_length) {
    const struct filter_rule all = RULE(true, PROTO_TCP, 0, UINT16_MAX, "tcp");
    const struct filter_group group = {"tcp", {1, 0}, {&all, NULL}};
    const struct filter_port port = {0, FILTER_NONE};
    struct filter *f = filter_create(&(struct filter_config){1, 1, &port, &group, 0, 0});
    for (int i = 0; i < 4; i++) {
        const struct spec tcp = {.family = i & 1 ? FAMILY_IPV6 : FAMILY_IPV4, .proto = PROTO_TCP, .src = 1, .dst = 2,
                                 .sport = 9, .dport = 80, .options = i & 2};
        const uint16_t header = (uint16_t)((i & 1 ? 40 : 20) + (i & 2 ? (i & 1 ? 8 : 4) : 0));
        cr_assert(passes(f, &tcp, 0, FILTER_IN, 0));
        for (uint16_t quoted = 0; quoted <= header + 20; quoted++) {
            const struct spec error = {.family = tcp.family, .proto = i & 1 ? PROTO_ICMPV6 : PROTO_ICMP, .src = 9,
                                       .dst = 1, .type = i & 1 ? ICMPV6_TOO_BIG : ICMP_TIME_EXCEEDED, .about = &tcp,
                                       .quoted = quoted};
            cr_assert_eq(passes(f, &error, 0, FILTER_OUT, 0), quoted >= header + 4, "%u of %u", quoted, header);
        }
    }
    filter_destroy(f);
}

Test(filter, nonsense_inside_errors) {
    const struct spec query = {.family = FAMILY_IPV4, UDP, .src = 1, .dst = 2, .sport = 9, .dport = 53,
                               .options = true},
                      error = {.family = FAMILY_IPV4, .proto = PROTO_ICMP, .src = 9, .dst = 1,
                               .type = ICMP_UNREACHABLE, .about = &query, .quoted = 64};
    struct filter *f = filter_make(0);
    struct random r;
    random_seed(&r, 792);
    cr_assert(passes(f, &query, 0, FILTER_IN, 0));
    uint8_t good[512], bad[512];
    unsigned n = write_packet(good, &error), passed = 0;
    for (unsigned round = 0; round < 20000; round++) {
        memcpy(bad, good, n);
        for (unsigned k = random_below(&r, 3); k > 0; k--)
            bad[28 + random_below(&r, n - 28)] = (uint8_t)random_u64(&r);
        passed += passes_bytes(f, bad, n, 0, FILTER_OUT, 0);
    }
    cr_assert(passed > 6000 && passed < 18000, "%u, seed 792", passed);
    filter_destroy(f);
}

Test(filter, later_fragments_follow_the_first) {
    struct filter *f = filter_make(0);
    cr_assert_not(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER), "the rule names a port");
    cr_assert_not(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .dport = 9, .id = 5, .piece = FIRST));
    cr_assert_not(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER), "the first was denied");
    cr_assert(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .dport = 53, .id = 5, .piece = FIRST));
    cr_assert(IN(f, 0, 30 * S, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER));
    cr_assert_not(IN(f, 0, 30 * S + 1, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER));
    cr_assert_not(IN(f, 0, 0, UDP, .src = 1, .dst = 2, .id = 6, .piece = LATER));
    cr_assert_not(IN(f, 0, 0, UDP, .src = 2, .dst = 1, .id = 5, .piece = LATER));
    cr_assert_not(IN(f, 1, 0, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER));
    cr_assert_not(OUT(f, 0, 0, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER));
    cr_assert(IN(f, 0, 0, .proto = PROTO_ESP, .src = 1, .dst = 2, .id = 7, .piece = LATER), "by the rules alone");
    cr_assert_not(OUT(f, 0, 0, .proto = PROTO_ESP, .src = 2, .dst = 1), "which makes no flow");
    for (int options = 0; options < 2; options++) {
        uint16_t id = (uint16_t)(8 + options);
        cr_assert(IN6(f, 0, 0, UDP, .src = 1, .dst = 2, .dport = 53, .id = id, .piece = FIRST, .options = options));
        cr_assert(IN6(f, 0, 0, UDP, .src = 1, .dst = 2, .id = id, .piece = LATER, .options = options));
    }
    cr_assert_not(IN6(f, 0, 0, UDP, .src = 1, .dst = 2, .id = 5, .piece = LATER));
    filter_destroy(f);
}

/* In a node: what leaves is judged at the port where it leaves, what is delivered at none. */
Test(filter, stages) {
    const struct filter_rule udp = RULE(true, PROTO_UDP, 0, UINT16_MAX, "udp");
    const struct filter_group groups[] = {{"in", {1, 0}, {&udp, NULL}}, {"out", {0, 0}, {NULL, NULL}}};
    const struct filter_port ports[] = {{0, FILTER_NONE}, {1, FILTER_NONE}};
    struct node n = node_make();
    n.filter = filter_create(&(struct filter_config){2, 2, ports, groups, 0, 0});
    node_prepare(&n);
    static const struct {
        const char *dst;
        uint8_t proto, verdict, reason;
    } cases[] = {{"10.0.0.1", PROTO_UDP, VERDICT_DELIVER, DROP_NONE},
                 {"10.0.0.1", PROTO_TCP, VERDICT_DROP, DROP_DENIED_IN},
                 {"10.0.1.7", PROTO_UDP, VERDICT_DROP, DROP_DENIED_OUT},
                 {"10.0.0.7", PROTO_UDP, VERDICT_DROP, DROP_DENIED_OUT}};
    for (unsigned i = 0; i < 4; i++) {
        struct frame frame = frame_make("10.0.0.2", cases[i].dst, cases[i].proto, 20);
        struct packet *p = packet_make(&frame, 0, 0);
        forward(&n, &p, 1, i);
        cr_assert(p->verdict == cases[i].verdict && p->reason == cases[i].reason, "%u: %s", i, drop_name(p->reason));
        packet_free(p);
    }
    struct frame answer = frame_make("10.0.0.1", "10.0.0.2", PROTO_UDP, 8);
    memcpy(answer.byte + ETH + 20, (uint8_t[]){2000 >> 8, 2000 & 255, 1000 >> 8, 1000 & 255}, 4);
    struct packet *p = packet_make(&answer, 0, PORT_NONE);
    forward_own(&n, p, 4);
    cr_assert_eq(p->verdict, VERDICT_FORWARD, "the node answers what was delivered");
    packet_free(p);
    node_reset(&n);
    p = packet_make(&answer, 0, PORT_NONE);
    forward_own(&n, p, 4);
    cr_assert_eq(p->reason, DROP_DENIED_OUT);
    packet_free(p);
    node_fini(&n);
}
