/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NAT sessions as they come and go: how many are made in a second while as many end and a million live, how long a
 * burst is held while a million end at once, and how much memory one takes. Bursts of 64 packets of 64 bytes, TCP and
 * UDP in turn, 1000 routes. What is timed is forward(); packets are written between.
 */
#include "points.h"
#include "workload.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/histogram.h>
#include <fwdlab/measure/noise.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define L4 34
#define PAIRS_MAX 40
#define TEMPLATES 512u      /* destinations */
#define FLOWS_PER_HOST 8
#define OUTSIDE 0xcb007101u /* 203.0.113.1 and so on */
#define SAMPLE 256u         /* bursts */
#define IDLE_NS (SECOND_NS / 4)
#define NEW_NS 250u         /* the core's clock: 4 M new sessions a second */
#define FINE_NS 3200u       /* a burst at 20 Mpps */
#define ROUNDS_MAX 20
#define HOLD_NS 20000u
#define STAYING 1024u       /* flows that go on while the others end */

static unsigned pairs, rounds;
static uint64_t lost_limit;
static struct workload w;
static struct burst burst;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "sessions: %s\n", what);
    exit(2);
}

static double to_ns(double cycles) {
    return cycles / (double)clock_tsc_hz() * SECOND_NS;
}

/* ---- packets ---- */

static void put16(uint8_t *field, be16 to, be16 *sum) {
    be16 from;
    memcpy(&from, field, sizeof from);
    *sum = checksum_update16(*sum, from, to);
    memcpy(field, &to, sizeof to);
}

/* The first packet of flow i, or (`again`) a later one. No two of 2^27 flows are the same. */
static void write_frame(uint8_t *frame, uint32_t i, bool again) {
    const bool tcp = frame[23] == PROTO_TCP;
    const be32 src = htonl(0x0a000100 + i / FLOWS_PER_HOST % 0xfffe00);
    const uint16_t sport = (uint16_t)(1024 + i % FLOWS_PER_HOST * 8000 + i * 2654435761u % 7919);
    uint8_t *l4_sum = frame + L4 + (tcp ? 16 : 6);
    be16 sum, ip_sum, half[2];
    be32 old;
    memcpy(&sum, l4_sum, sizeof sum);
    memcpy(&ip_sum, frame + 24, sizeof ip_sum);
    memcpy(&old, frame + 26, sizeof old);
    ip_sum = checksum_update32(ip_sum, old, src);
    memcpy(frame + 24, &ip_sum, sizeof ip_sum);
    memcpy(half, &src, sizeof half);
    put16(frame + 26, half[0], &sum);
    put16(frame + 28, half[1], &sum);
    put16(frame + L4, htons(sport), &sum);
    if (tcp)
        put16(frame + L4 + 12, htons(0x5000 | (again ? TCP_ACK : TCP_SYN)), &sum);
    memcpy(l4_sum, &sum, sizeof sum);
}

/* Passes a burst of flows from `first` on and returns how long that took; every packet must go on. */
static uint64_t pass(uint32_t first, bool again) {
    const struct frame_about about = {.len = FRAME_LEN, .in_port = PORT_INSIDE};
    for (unsigned k = 0; k < WORKLOAD_BURST; k++) {
        packet_set(&burst, k, w.frames[(first + k) % TEMPLATES][0], &about, 0);
        write_frame(burst.data[k], first + k, again);
    }
    const uint64_t from = clock_tsc();
    forward(&w.node, burst.pkts, WORKLOAD_BURST, w.now);
    const uint64_t took = clock_tsc() - from;
    for (unsigned k = 0; k < WORKLOAD_BURST; k++)
        if (burst.packets[k].verdict != VERDICT_FORWARD)
            fail(drop_sentence(burst.packets[k].reason));
    return took;
}

static uint32_t live(void) {
    struct nat_stats s;
    nat_stats_get(w.node.nat, &s);
    return s.live;
}

static void give_nat(uint32_t sessions, uint32_t n_addresses, uint64_t idle_ns) {
    be32 addresses[NAT_ADDRESSES_MAX];
    for (uint32_t i = 0; i < n_addresses; i++)
        addresses[i] = htonl(OUTSIDE + i);
    const struct nat_config c = {
        .outside_port = PORT_OUTSIDE,
        .n_addresses = n_addresses,
        .addresses = addresses,
        .max_sessions = sessions,
        .timers = {.tcp_established = idle_ns, .tcp_transitory = idle_ns, .tcp_closing = idle_ns, .udp = idle_ns}};
    if (!(w.node.nat = nat_create(&c)))
        fail("no memory for NAT");
    node_prepare(&w.node);
}

static void take_nat(void) {
    nat_destroy(w.node.nat);
    w.node.nat = NULL;
}

/* ---- set-up ---- */

/* New sessions, and each burst once more with the sessions found. */
static void make_some(uint32_t *flow, double *new, double *found) {
    uint64_t cycles[2] = {0}, counted[2] = {0};
    for (unsigned i = 0; i < SAMPLE; i++, *flow += WORKLOAD_BURST, w.now += WORKLOAD_BURST * NEW_NS)
        for (unsigned again = 0; again < 2; again++) {
            const uint64_t took = pass(*flow, again);
            cycles[again] += took < lost_limit ? took : 0;
            counted[again] += took < lost_limit ? WORKLOAD_BURST : 0;
        }
    *new = (double)cycles[0] / (double)(counted[0] ? counted[0] : 1);
    *found = (double)cycles[1] / (double)(counted[1] ? counted[1] : 1);
}

static void set_up(uint32_t sessions) {
    static double new[PAIRS_MAX], found[PAIRS_MAX];
    char name[96];
    uint32_t flow = 0;
    give_nat(sessions + sessions / 2, sessions / 32768 + 1, (uint64_t)sessions * NEW_NS);
    for (; flow < 2 * sessions; flow += WORKLOAD_BURST, w.now += WORKLOAD_BURST * NEW_NS)
        pass(flow, false);
    for (unsigned i = 0; i < pairs; i++)
        make_some(&flow, &new[i], &found[i]);
    if (live() < sessions || live() > sessions + sessions / 2) /* they end up to 8.4 ms late */
        fail("sessions do not end as others begin");
    snprintf(name, sizeof name, "new sessions, %uk live (to found ones)", sessions / 1000);
    point(name, "pps", (double)clock_tsc_hz() / stats_median(new, pairs), found, new, pairs);
    take_nat();
}

/* ---- a million end ---- */

struct holds {
    struct histogram bursts; /* TSC cycles */
    uint64_t over, gaps_over; /* bursts that took over HOLD_NS; gaps of an idle loop */
};

/* An idle loop of this many TSC cycles. */
static void idle(uint64_t cycles, uint64_t limit, uint64_t *over) {
    const uint64_t start = clock_tsc();
    for (uint64_t last = start, now; last - start < cycles; last = now) {
        now = clock_tsc();
        *over += now - last > limit;
    }
}

/* A sample of bursts of the flows that stay, and as long of doing nothing. */
static void hold_some(struct holds *h) {
    const uint64_t limit = clock_tsc_hz() / (SECOND_NS / HOLD_NS);
    uint64_t sum = 0;
    for (unsigned i = 0; i < SAMPLE; i++, w.now += FINE_NS) {
        const uint64_t took = pass(i * WORKLOAD_BURST % STAYING, true);
        histogram_record(&h->bursts, took);
        h->over += took > limit;
        sum += took;
    }
    idle(sum, limit, &h->gaps_over);
}

static void go_on(uint64_t ns) {
    for (unsigned i = 0; i < STAYING; i += WORKLOAD_BURST)
        pass(i, true);
    w.now += ns;
}

static void holds_init(struct holds *h) {
    *h = (struct holds){0};
    if (histogram_init(&h->bursts, SECOND_NS))
        fail("no memory for a histogram");
}

/* All made at once, and so they end; `before`, `during`: bursts while none ends, and from the first to the last. */
static void round_of_ends(uint32_t sessions, struct holds *before, struct holds *during) {
    const uint64_t made = w.now;
    for (uint32_t i = 0; i < sessions; i += WORKLOAD_BURST)
        pass(STAYING + i, false);
    const uint32_t all = live();
    w.now++;
    for (unsigned i = 0; i < STAYING; i += WORKLOAD_BURST)
        pass(i, false);
    for (unsigned i = 0; i < sessions / (2 * WORKLOAD_BURST) / SAMPLE; i++)
        hold_some(before);
    while (live() >= all) {
        if (w.now < made + IDLE_NS * 9 / 10)
            go_on(IDLE_NS / 10);
        else
            hold_some(during);
    }
    histogram_reset(&during->bursts);
    during->over = during->gaps_over = 0;
    while (live() > STAYING)
        hold_some(during);
    w.now += 4 * IDLE_NS;
    nat_reset(w.node.nat);
}

static void print_holds(const char *when, const struct holds *h) {
    char name[96];
    snprintf(name, sizeof name, "%s: bursts", when);
    point_alone(name, "n", (double)h->bursts.count);
    snprintf(name, sizeof name, "%s: 99.9 %%", when);
    point_alone(name, "ns", to_ns((double)histogram_quantile(&h->bursts, 0.999)));
    snprintf(name, sizeof name, "%s: longest", when);
    point_alone(name, "ns", to_ns((double)h->bursts.max));
    snprintf(name, sizeof name, "%s: over 20 us", when);
    point_alone(name, "n", (double)h->over);
    snprintf(name, sizeof name, "%s: gaps over 20 us of an idle loop", when);
    point_alone(name, "n", (double)h->gaps_over);
}

static void add(struct holds *to, const struct holds *h) {
    histogram_merge(&to->bursts, &h->bursts);
    to->over += h->over;
    to->gaps_over += h->gaps_over;
}

static void ends(uint32_t sessions) {
    static double none[ROUNDS_MAX], some[ROUNDS_MAX];
    struct holds before, during, all_before, all_during;
    char name[96], when[64];
    holds_init(&all_before);
    holds_init(&all_during);
    give_nat(sessions + STAYING, sessions / 32768 + 1, IDLE_NS);
    for (unsigned i = 0; i < rounds; i++) {
        holds_init(&before);
        holds_init(&during);
        round_of_ends(sessions, &before, &during);
        none[i] = (double)histogram_quantile(&before.bursts, 0.5);
        some[i] = (double)histogram_quantile(&during.bursts, 0.5);
        add(&all_before, &before);
        add(&all_during, &during);
        histogram_fini(&before.bursts);
        histogram_fini(&during.bursts);
    }
    snprintf(when, sizeof when, "while %uk sessions end", sessions / 1000);
    snprintf(name, sizeof name, "%s: burst (to none ending)", when);
    point(name, "ns", to_ns(stats_median(some, rounds)), none, some, rounds);
    print_holds(when, &all_during);
    print_holds("while none end", &all_before);
    histogram_fini(&all_before.bursts);
    histogram_fini(&all_during.bursts);
    take_nat();
}

/* ---- memory ---- */

static uint64_t resident(void) {
    unsigned long total, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &total, &pages) != 2)
        fail("cannot tell how much memory is resident");
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* NAT and all that it holds, with every session there; as many outside addresses as their ports need. */
static void memory(uint32_t sessions) {
    char name[96];
    const uint64_t before = resident();
    give_nat(sessions, sessions / 2 / 60000 + 1, 3600 * SECOND_NS); /* each port serves TCP and UDP */
    for (uint32_t i = 0; i < sessions; i += WORKLOAD_BURST)
        pass(i, false);
    if (live() != sessions)
        fail("not all sessions were made");
    snprintf(name, sizeof name, "memory of a session, %uk", sessions / 1000);
    point_alone(name, "bytes", (double)(resident() - before) / sessions);
    take_nat();
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"part", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const struct workload_options o = {
        .backend = &route_direct, .flows = TEMPLATES, .routes = 1000, .packets = WORKLOAD_BURST};
    struct dpdk_options dpdk = {.memory_mb = 512};
    struct err e = {0};
    bool quick = false, json = false;
    const char *part = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        if (c == 'c')
            dpdk.main_cpu = (unsigned)atoi(optarg);
        if (c == 'p')
            part = optarg;
        if (c == 'h' || c == '?') {
            fprintf(c == 'h' ? stdout : stderr,
                    "usage: sessions [--quick] [--json] [--cpu N] [--part memory|set-up|ends]\n");
            return c == 'h' ? 0 : 2;
        }
    }
    pairs = quick ? 20 : PAIRS_MAX;
    rounds = quick ? 5 : ROUNDS_MAX;
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "sessions: %s\n      %s\n", e.what, e.hint);
        return 2;
    }
    lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
    burst_init(&burst);
    points_begin("NAT sessions: made while as many end, a burst's time while all end, memory.", json);
    workload_init(&w, &o);
    if (!part || !strcmp(part, "memory"))
        memory(quick ? 1000000 : 4000000);
    if (!part || !strcmp(part, "set-up")) {
        set_up(100000);
        set_up(1000000);
    }
    if (!part || !strcmp(part, "ends"))
        ends(1000000);
    workload_fini(&w);
    points_end();
    dpdk_stop();
    return 0;
}
