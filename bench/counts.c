/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What bench/counts runs under callgrind: fixed, seeded packets through forward() and through each stage by itself. All
 * bursts of a case pass one stage before any passes the next, so that a stage's instructions are dumped at once, under
 * "CASE/STAGE PACKETS". The express stage is counted by itself, the others without it. Each case runs twice; the second
 * pass counts. Stages are called through the node's table, as forward() does: how the compiler inlines does not matter.
 *
 *     counts           the run; nothing to be seen without callgrind
 *     counts --build   what the counts depend on, as JSON
 */
#include "workload.h"
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>
#if COUNTS_DPDK
#include <fwdlab/dpdk/dpdk.h>
#endif

#define BURSTS 32
#define PACKETS (BURSTS * WORKLOAD_BURST)
#define ROUTES 1000

struct counts_case {
    const char *name;
    const struct route_backend *backend;
    bool nat, ipv6, fresh; /* fresh: first packets of flows, all from inside, TCP ones with SYN */
    void (*configure)(struct node *node);
};

static struct burst bursts[BURSTS];
static struct packet *live[BURSTS][WORKLOAD_BURST];
static unsigned left[BURSTS];

static _Noreturn void fail(const char *name, const char *what) {
    fprintf(stderr, "counts: %s: %s\n", name, what);
    exit(2);
}

/* ---- configurations ---- */

/* Strict reverse path checks, an MTU that everything fits, and a group of rules of which the last one matches. */
static void guard_all(struct node *node) {
    static struct filter_rule rules[8];
    for (unsigned i = 0; i < 8; i++) {
        rules[i] = (struct filter_rule){.allow = true, .sport_max = UINT16_MAX, .dport_max = UINT16_MAX};
        if (i < 7)
            rules[i].dport_min = rules[i].dport_max = (uint16_t)(8000 + i);
    }
    const struct filter_group group = {.n_rules = {8, 8}, .rules = {rules, rules}};
    const struct filter_port ports[2] = {{FILTER_NONE, 0}, {FILTER_NONE, 0}};
    const struct filter_config c = {.n_ports = 2, .n_groups = 1, .ports = ports, .groups = &group};
    for (unsigned i = 0; i < 2; i++) {
        node->ports[i].rpf = RPF_STRICT;
        node->ports[i].mtu = 1500;
    }
    if (!(node->filter = filter_create(&c)))
        fail("guards", "no memory");
}

/* A rule for each of 8 client networks, none of which matches, before the main table. */
static void route_by_rules(struct node *node) {
    node->rules = route_rules_create(node->routes);
    for (unsigned i = 0; node->rules && i < 8; i++) {
        const struct route_rule r = {.priority = 100 + i,
                                     .from = {ip_v4(htonl(0xc6120000 + (i << 8))), 24},
                                     .in_port = PORT_NONE,
                                     .kind = ROUTE_BLACKHOLE};
        if (route_rules_add(node->rules, &r))
            fail("rules", "a rule is refused");
    }
    if (!node->rules)
        fail("rules", "no memory");
}

static void as_linux(struct node *node) {
    struct nat_config c = *nat_config_get(node->nat);
    c.personality = NAT_CONNTRACK;
    struct nat *n = nat_create(&c);
    if (!n)
        fail("conntrack", "no memory");
    nat_destroy(node->nat);
    node->nat = n;
}

static struct ip v6(uint8_t net, uint8_t last) {
    return (struct ip){.family = FAMILY_IPV6, .v6 = {0x20, 0x01, 0x0d, 0xb8, net, [15] = last}};
}

static void route_v6(struct node *node) {
    node->routes6 = route_table_create(&route_trie6, 256);
    for (unsigned i = 0; node->routes6 && i < 256; i++) {
        struct ip net = v6((uint8_t)i, 0);
        const struct route r = {.prefix = prefix_of(&net, 40), .port = PORT_OUTSIDE, .via = v6(0, 1)};
        if (route_add(node->routes6, &r))
            fail("ipv6", "a route is refused");
    }
    if (!node->routes6)
        fail("ipv6", "no memory");
}

/* ---- packets ---- */

/* UDP over IPv6, to each of the routes. */
static void write_v6(uint8_t *f, uint32_t i) {
    const unsigned payload = FRAME_ROOM - 14 - sizeof(struct ipv6_header);
    struct ipv6_header ip = {.version_class_label = htonl(6u << 28),
                             .payload_length = htons(payload),
                             .next_header = PROTO_UDP,
                             .hop_limit = 64};
    const struct ip src = v6(255, (uint8_t)i), dst = v6((uint8_t)(i % 255), 9);
    memset(f, 0, FRAME_ROOM);
    memcpy(f, "\2\0\0\0\0\1\2\0\0\0\1\1\x86\xdd", 14);
    memcpy(ip.src, src.v6, sizeof ip.src);
    memcpy(ip.dst, dst.v6, sizeof ip.dst);
    memcpy(f + 14, &ip, sizeof ip);
    f[14 + sizeof ip + 5] = (uint8_t)payload;
}

/* A TCP segment of the workload (ACK, no options) becomes the first of its connection. */
static void make_syn(uint8_t *f) {
    const uint8_t *proto = f + 23, syn[2] = {0x50, TCP_SYN};
    be16 from, to, sum;
    if (*proto != PROTO_TCP)
        return;
    memcpy(&from, f + 46, 2);
    memcpy(&to, syn, 2);
    memcpy(&sum, f + 50, 2);
    sum = checksum_update16(sum, from, to);
    memcpy(f + 46, syn, 2);
    memcpy(f + 50, &sum, 2);
}

static void write_packet(const struct counts_case *c, const struct workload *w, struct burst *b, unsigned k,
                         uint32_t i) {
    const uint32_t s = c->fresh ? i << 1 : w->sequence[i];
    struct packet *p = b->pkts[k] = &b->packets[k];
    if (c->ipv6)
        write_v6(b->data[k], i);
    else
        memcpy(b->data[k], w->frames[s >> 1][s & 1], FRAME_ROOM);
    if (c->fresh)
        make_syn(b->data[k]);
    *p = (struct packet){.data = b->data[k],
                         .len = c->ipv6 ? FRAME_ROOM : FRAME_LEN,
                         .wire_len = c->ipv6 ? FRAME_ROOM : FRAME_LEN,
                         .in_port = !c->ipv6 && s & 1 ? PORT_OUTSIDE : PORT_INSIDE};
}

static void fill(const struct counts_case *c, const struct workload *w) {
    for (uint32_t i = 0; i < PACKETS; i++)
        write_packet(c, w, &bursts[i / WORKLOAD_BURST], i % WORKLOAD_BURST, i);
    for (unsigned b = 0; b < BURSTS; b++) {
        memcpy(live[b], bursts[b].pkts, sizeof live[b]);
        left[b] = WORKLOAD_BURST;
    }
}

/* ---- counting ---- */

static void dump(const char *name, const char *stage, unsigned packets) {
    char text[96];
    snprintf(text, sizeof text, "%s/%s %u", name, stage, packets);
    CALLGRIND_DUMP_STATS_AT(text);
}

/* All bursts through one stage. */
static void run_stage(const char *name, const struct stage *s, struct node *node, uint64_t now) {
    unsigned packets = 0;
    for (unsigned b = 0; b < BURSTS; b++)
        packets += left[b];
    if (!packets)
        return;
    CALLGRIND_TOGGLE_COLLECT;
    for (unsigned b = 0; b < BURSTS; b++)
        left[b] = s->run(node, live[b], left[b], now);
    CALLGRIND_TOGGLE_COLLECT;
    dump(name, s->name, packets);
}

static void run_whole(const char *name, const char *what, struct node *node, uint64_t now) {
    CALLGRIND_TOGGLE_COLLECT;
    for (unsigned b = 0; b < BURSTS; b++)
        forward(node, bursts[b].pkts, WORKLOAD_BURST, now);
    CALLGRIND_TOGGLE_COLLECT;
    dump(name, what, PACKETS);
}

static void all_forwarded(const char *name) {
    for (unsigned i = 0; i < PACKETS; i++) {
        const struct packet *p = bursts[i / WORKLOAD_BURST].pkts[i % WORKLOAD_BURST];
        if (p->verdict != VERDICT_FORWARD)
            fail(name, p->verdict == VERDICT_DROP ? drop_sentence(p->reason) : "a packet is not forwarded");
    }
}

static unsigned stage_nothing(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    return n;
}

/* The same packets again, through a node with or without its express stage. */
static void begin(const struct counts_case *c, struct workload *w, bool staged) {
    w->node.staged = staged;
    node_prepare(&w->node);
    if (c->fresh)
        node_reset(&w->node);
    fill(c, w);
}

static void run_pass(const struct counts_case *c, struct workload *w, const char *name) {
    static const struct stage nothing = {"(call)", stage_nothing};
    for (unsigned staged = 0; staged < 2; staged++) {
        begin(c, w, staged);
        run_whole(name, staged ? "forward, staged" : "forward", &w->node, w->now);
        all_forwarded(name);
    }
    begin(c, w, false);
    run_stage(name, &nothing, &w->node, w->now);
    if (w->node.stages[0].run == stage_express)
        run_stage(name, &w->node.stages[0], &w->node, w->now);
    begin(c, w, true);
    for (unsigned i = 0; i < w->node.n_stages; i++)
        run_stage(name, &w->node.stages[i], &w->node, w->now);
    all_forwarded(name);
}

static void run_case(const struct counts_case *c) {
    const struct workload_options o = {
        .backend = c->backend, .flows = PACKETS, .routes = ROUTES, .nat = c->nat, .packets = PACKETS};
    struct workload w;
    workload_init(&w, &o);
    if (c->configure)
        c->configure(&w.node);
    CALLGRIND_START_INSTRUMENTATION;
    run_pass(c, &w, "(warm-up)");
    run_pass(c, &w, c->name);
    CALLGRIND_STOP_INSTRUMENTATION;
    workload_fini(&w);
}

static const struct counts_case cases[] = {
    {.name = "routing", .backend = &route_trie},
    {.name = "nat", .backend = &route_trie, .nat = true},
    {.name = "routing, direct", .backend = &route_direct},
    {.name = "nat, direct", .backend = &route_direct, .nat = true},
    {.name = "nat, first packets", .backend = &route_trie, .nat = true, .fresh = true},
    {.name = "conntrack, first packets", .backend = &route_trie, .nat = true, .fresh = true, .configure = as_linux},
    {.name = "filter, rpf, mtu", .backend = &route_trie, .configure = guard_all},
    {.name = "rules", .backend = &route_trie, .configure = route_by_rules},
    {.name = "ipv6", .backend = &route_trie, .ipv6 = true, .configure = route_v6},
#if COUNTS_DPDK
    {.name = "routing, dir24_8", .backend = &route_dir24_8},
#endif
};

static void start_dpdk(void) {
#if COUNTS_DPDK
    const struct dpdk_options o = {.memory_mb = 512, .no_huge = true};
    struct err e = {0};
    if (dpdk_start(&o, &e))
        fail("EAL", e.what);
#endif
}

static int tell_build(void) {
#ifdef __clang__
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    const char *dpdk = NULL;
#if COUNTS_DPDK
    dpdk = dpdk_version();
#endif
    json_t *o = json_pack("{s:s, s:s, s:s?, s:s, s:s}", "compiler", compiler, "options", COUNTS_OPTIONS, "dpdk", dpdk,
                          "machine", COUNTS_MACHINE, "libc", gnu_get_libc_version());
    json_dumpf(o, stdout, JSON_INDENT(2));
    json_decref(o);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--build"))
        return tell_build();
    if (argc > 1) {
        fprintf(stderr, "usage: counts [--build]   (bench/counts runs it under callgrind)\n");
        return 2;
    }
    start_dpdk();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i]);
    return 0;
}
