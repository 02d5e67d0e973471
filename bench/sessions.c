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

/*
 * Bursts of the flows that go on, in turn through a NAT whose other sessions end and through one whose sessions stay.
 * What holds a burst for HOLD_NS longer than usual is the machine, mostly: a tick of its timer, or another one's work.
 * That comes so many times a second, whatever a burst does; what ending holds up would come on top of it.
 */
struct holds {
    struct nat *nat;
    double usual;            /* TSC cycles: the round before's median */
    struct histogram bursts; /* TSC cycles */
    uint64_t over, lost;     /* that took over HOLD_NS; and over NOISE_LOST_NS */
    uint64_t held;           /* HOLD_NS longer than usual */
    uint64_t most;           /* sessions that ended in one */
};

static void hold_some(struct holds *h) {
    const uint64_t limit = clock_tsc_hz() / (SECOND_NS / HOLD_NS);
    struct nat_stats s;
    w.node.nat = h->nat;
    nat_stats_get(h->nat, &s);
    for (unsigned i = 0; i < SAMPLE; i++, w.now += FINE_NS) {
        const uint64_t expired = s.expired, took = pass(i * WORKLOAD_BURST % STAYING, true);
        nat_stats_get(h->nat, &s);
        histogram_record(&h->bursts, took);
        h->over += took > limit;
        h->lost += took > lost_limit;
        h->held += (double)took > h->usual + (double)limit;
        h->most = s.expired - expired > h->most ? s.expired - expired : h->most;
    }
}

static void hold_pair(struct holds *none, struct holds *some, unsigned turn) {
    hold_some(turn % 2 ? some : none);
    hold_some(turn % 2 ? none : some);
    w.node.nat = some->nat;
}

static void go_on(uint64_t ns) {
    for (unsigned i = 0; i < STAYING; i += WORKLOAD_BURST)
        pass(i, true);
    w.now += ns;
}

static void holds_init(struct holds *h, struct nat *nat) {
    *h = (struct holds){.nat = nat};
    if (histogram_init(&h->bursts, SECOND_NS))
        fail("no memory for a histogram");
}

static void holds_clear(struct holds *h) {
    histogram_reset(&h->bursts);
    h->over = h->lost = h->held = h->most = 0;
}

static void make_all(struct nat *nat, uint32_t sessions) {
    w.node.nat = nat;
    for (uint32_t i = 0; i < sessions; i += WORKLOAD_BURST)
        pass(STAYING + i, false);
    w.now++;
    for (unsigned i = 0; i < STAYING; i += WORKLOAD_BURST)
        pass(i, false);
}

/* All of `some` made at once, and so they end: what it took from the first to the last. */
static void round_of_ends(uint32_t sessions, struct holds *none, struct holds *some) {
    make_all(some->nat, sessions);
    const uint64_t made = w.now;
    const uint32_t all = live();
    while (live() >= all) {
        if (w.now < made + IDLE_NS * 9 / 10)
            go_on(IDLE_NS / 10);
        else
            hold_pair(none, some, 0);
    }
    holds_clear(none);
    holds_clear(some);
    for (unsigned turn = 0; live() > STAYING; turn++)
        hold_pair(none, some, turn);
    w.now += 4 * IDLE_NS;
    nat_reset(some->nat);
}

/* Of a second of bursts. */
static double per_second(uint64_t n, const struct holds *h) {
    return (double)n / (to_ns(h->bursts.sum) / SECOND_NS);
}

static void print_holds(const char *when, const struct holds *h) {
    char name[96];
    snprintf(name, sizeof name, "%s: bursts", when);
    point_alone(name, "n", (double)h->bursts.count);
    snprintf(name, sizeof name, "%s: most that ended in a burst", when);
    point_alone(name, "n", (double)h->most);
    snprintf(name, sizeof name, "%s: 99.9 %%", when);
    point_alone(name, "ns", to_ns((double)histogram_quantile(&h->bursts, 0.999)));
    snprintf(name, sizeof name, "%s: longest", when);
    point_alone(name, "ns", to_ns((double)h->bursts.max));
    snprintf(name, sizeof name, "%s: over 20 us, of a second", when);
    point_alone(name, "n", per_second(h->over, h));
    snprintf(name, sizeof name, "%s: of these lost time", when);
    point_alone(name, "n", per_second(h->lost, h));
}

static void add(struct holds *to, const struct holds *h) {
    histogram_merge(&to->bursts, &h->bursts);
    to->over += h->over;
    to->lost += h->lost;
    to->most = h->most > to->most ? h->most : to->most;
}

static void ends(uint32_t sessions) {
    static double half[2][ROUNDS_MAX], held[2][ROUNDS_MAX];
    const uint32_t n_addresses = sessions / 32768 + 1;
    struct holds now[2], all[2]; /* while none end, while all do */
    char name[96], when[64];
    for (unsigned k = 0; k < 2; k++) {
        give_nat(sessions + STAYING, n_addresses, k ? IDLE_NS : 3600 * SECOND_NS);
        holds_init(&now[k], w.node.nat);
        holds_init(&all[k], w.node.nat);
    }
    make_all(now[0].nat, sessions);
    for (unsigned i = 0; i < rounds; i++) {
        round_of_ends(sessions, &now[0], &now[1]);
        for (unsigned k = 0; k < 2; k++) {
            now[k].usual = half[k][i] = (double)histogram_quantile(&now[k].bursts, 0.5);
            held[k][i] = per_second(now[k].held, &now[k]);
            add(&all[k], &now[k]);
        }
    }
    snprintf(when, sizeof when, "while %uk sessions end", sessions / 1000);
    snprintf(name, sizeof name, "%s: burst (to none ending)", when);
    point(name, "ns", to_ns(stats_median(half[1], rounds)), half[0], half[1], rounds);
    snprintf(name, sizeof name, "%s: held 20 us, of a second", when);
    point(name, "n", stats_median(held[1], rounds), held[0], held[1], rounds);
    print_holds(when, &all[1]);
    print_holds("while none end", &all[0]);
    for (unsigned k = 0; k < 2; k++) {
        histogram_fini(&now[k].bursts);
        histogram_fini(&all[k].bursts);
        w.node.nat = now[k].nat;
        take_nat();
    }
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
