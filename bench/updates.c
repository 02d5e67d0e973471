/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that change while packets flow: how long a table takes to load, how much memory, what 100k updates a second on
 * another CPU cost the forwarding one (interleaved with none, in pairs), and with --check whether any lookup is wrong:
 * each has to give what the table said at some moment while it was made. Exit 1 on the first that differs.
 */
#include "points.h"
#include "updates.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/noise.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST 64
#define SEQUENCE (1u << 17) /* frames */
#define POOL (1u << 20)     /* addresses to look up */
#define FRAME 64
#define FRAME_LEN 60
#define LOADS 5
#define NEIGHBOURS 64
#define PAIRS 30
#define UNSAFE_NS 30000000 /* a few batches */

struct request {
    const char *file;
    uint32_t routes;
    uint64_t rate, lookups; /* lookups: to check; 0: measure */
    unsigned cpu, updates_cpu, pairs;
    double seconds; /* of a window */
    bool json, unsafe;
};

static struct node node;
static struct subject subject;
static struct updater updater;
static struct random rnd;

static be32 address_in(const struct ip_prefix *p) {
    return p->addr.v4 | ((be32)random_u64(&rnd) & ~ipv4_mask(p->len));
}

/* ---- loading ---- */

static double resident_mb(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static double ms_since(uint64_t from) {
    return (double)(clock_ns() - from) / 1e6;
}

/* How long it takes, ms. */
static double load_once(const struct route_backend *backend, const struct route *routes, size_t n, bool in_order) {
    const uint64_t from = clock_ns();
    struct route_table *t = route_table_create(backend, (uint32_t)n);
    int code = t ? in_order ? route_add_many(t, routes, n) : 0 : -1;
    for (size_t i = 0; i < n && !in_order && !code; i++)
        code = route_add(t, &routes[i]);
    const double ms = ms_since(from);
    route_table_destroy(t);
    if (code) {
        fputs("updates: the routes do not load\n", stderr);
        exit(2);
    }
    return ms;
}

/* A point that is measured once in a process. */
static void point_once(const char *name, const char *unit, double base, double mine) {
    double bases[LOADS], mines[LOADS];
    for (unsigned i = 0; i < LOADS; i++) {
        bases[i] = base;
        mines[i] = mine;
    }
    point(name, unit, mine, bases, mines, LOADS);
}

/* First in memory that was never touched, as at a start: that table stays, in the subject. Then in turn. */
static void measure_loads(void) {
    const size_t n = subject.n + 1;
    struct route *shuffled = xalloc(n * sizeof *shuffled);
    double together[LOADS], single[LOADS], fib[LOADS];
    memcpy(shuffled, subject.routes, n * sizeof *shuffled);
    for (uint32_t i = (uint32_t)n - 1; i; i--) {
        uint32_t k = random_below(&rnd, i + 1);
        struct route r = shuffled[i];
        shuffled[i] = shuffled[k];
        shuffled[k] = r;
    }
    const uint64_t from = clock_ns();
    const double before_mb = resident_mb();
    subject.live = subject_live(&subject, 1);
    const double cold = ms_since(from), mb = resident_mb() - before_mb;
    for (unsigned i = 0; i < LOADS; i++) {
        together[i] = load_once(&route_direct, shuffled, n, true);
        single[i] = load_once(&route_direct, shuffled, n, false);
        fib[i] = load_once(&route_dir24_8, shuffled, n, true);
    }
    const double ms = stats_median(together, LOADS);
    point("load, shuffled (to route by route)", "ms", ms, single, together, LOADS);
    point("load, shuffled (to rte_fib)", "ms", ms, fib, together, LOADS);
    point_once("load in a fresh process, in order (to later)", "ms", ms, cold);
    point_alone("memory", "MB", mb);
    free(shuffled);
}

/* ---- what to look up ---- */

struct target {
    be32 addr;
    uint32_t prefix; /* its longest in the whole table */
};

/* `n` of them, one in 16 outside of most prefixes. */
static struct target *make_pool(uint32_t n) {
    struct target *pool = xalloc(n * sizeof *pool);
    void *trie = route_trie.create(subject.n + 1);
    for (uint32_t i = 0; i <= subject.n; i++)
        route_trie.add(trie, &subject.routes[i].prefix.addr.v4, subject.routes[i].prefix.len, i);
    for (uint32_t i = 0; i < n; i++) {
        pool[i].addr = (be32)random_u64(&rnd);
        if (i % 16)
            pool[i].addr = address_in(&subject.routes[random_below(&rnd, subject.n)].prefix);
        route_trie.lookup(trie, &pool[i].addr, &pool[i].prefix, 1);
    }
    route_trie.destroy(trie);
    return pool;
}

/* Between these generations. Says what is wrong with it when it is. */
static bool is_right(const struct target *target, uint64_t from, uint64_t to, be32 got) {
    char a[IP_TEXT], b[IP_TEXT], c[IP_TEXT];
    if (subject_said(&subject, target->prefix, from, to, got))
        return true;
    const struct ip dst = ip_v4(target->addr), have = ip_v4(got);
    const struct ip need = ip_v4(subject_answer(&subject, target->prefix, from));
    fprintf(stderr, "updates: wrong next hop for %s in generation %lu to %lu: %s, not %s\n", ip_format(&dst, a),
            (unsigned long)from, (unsigned long)to, ip_format(&have, b), ip_format(&need, c));
    return false;
}

/* The generation that is being made, for a look at the table that is over. */
static uint64_t generation_after(const struct route_table *t) {
    return route_generation(t) + 1;
}

/* ---- forwarding ---- */

static uint8_t (*frames)[FRAME];
static struct target *targets; /* of the frames */

static void make_traffic(void) {
    frames = xzalloc(SEQUENCE, sizeof *frames);
    targets = make_pool(SEQUENCE);
    for (uint32_t i = 0; i < SEQUENCE; i++) {
        struct ipv4_header ip = {.version_ihl = 0x45, .total_length = htons(FRAME_LEN - 14), .ttl = 64};
        ip.proto = PROTO_UDP;
        ip.src = htonl(0x0a000002);
        ip.dst = targets[i].addr;
        ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
        memcpy(frames[i], (uint8_t[14]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 8, 0}, 14);
        memcpy(frames[i] + 14, &ip, sizeof ip);
    }
    node = (struct node){.n_ports = 2, .router = true, .ports = xzalloc(2, sizeof *node.ports)};
    node.routes = route_live_enter(subject.live, 0);
    for (unsigned i = 0; i < 2; i++)
        node.ports[i] = (struct port){.mac = {{2, 0, 0, 0, 0, (uint8_t)(i + 1)}}, .has_mac = true,
                                      .neighbour = {{2, 0, 0, 0, 1, (uint8_t)(i + 1)}}};
    node_prepare(&node);
}

struct buffers {
    uint8_t data[BURST][FRAME] __attribute__((aligned(64)));
    struct packet packets[BURST] __attribute__((aligned(64)));
    struct packet *pkts[BURST];
};

static void fill(struct buffers *b, uint32_t at) {
    memcpy(b->data, frames[at], sizeof b->data);
    for (unsigned k = 0; k < BURST; k++) {
        struct packet *p = b->pkts[k] = &b->packets[k];
        p->data = b->data[k];
        p->len = p->wire_len = FRAME_LEN;
        p->room = FRAME - FRAME_LEN;
        p->flags = 0;
        p->in_port = 0;
    }
}

/* Every packet that was forwarded went where the table says; some are no packets to forward. */
static void check_forwarded(const struct buffers *b, uint32_t at, uint64_t generation) {
    const uint64_t to = generation_after(node.routes);
    for (unsigned k = 0; k < BURST; k++)
        if (b->packets[k].verdict == VERDICT_FORWARD &&
            !is_right(&targets[at + k], generation, to, b->packets[k].next_hop))
            exit(1);
}

/* TSC cycles a packet over a window, without the bursts that somebody else interrupted. */
static double forward_window(double seconds) {
    static struct buffers b;
    static uint32_t at;
    const uint64_t lost = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
    const uint64_t end = clock_ns() + (uint64_t)(seconds * SECOND_NS);
    uint64_t cycles = 0, packets = 0, generation = 0, now = clock_ns();
    for (; now < end; at = (at + BURST) % SEQUENCE) {
        const bool checked = at % (64 * BURST) == 0;
        fill(&b, at);
        uint64_t from = clock_tsc();
        node.routes = route_live_enter(subject.live, 0);
        if (checked)
            generation = route_generation(node.routes);
        forward(&node, b.pkts, BURST, now);
        uint64_t took = clock_tsc() - from;
        if (took < lost) {
            cycles += took;
            packets += BURST;
        }
        if (checked) {
            now = clock_ns();
            check_forwarded(&b, at, generation);
        }
    }
    return packets ? (double)cycles / (double)packets : 0;
}

static void measure_cost(const struct request *q) {
    static double without[PAIRS], with[PAIRS], wanted[PAIRS], reached[PAIRS];
    for (unsigned i = 0; i < 2 * q->pairs; i++) {
        const unsigned pair = i / 2;
        const bool on = (i + pair) % 2; /* A B B A */
        atomic_store(&updater.on, on);
        forward_window(q->seconds / 5);
        uint64_t from = clock_ns(), done = atomic_load(&updater.done);
        *(on ? &with[pair] : &without[pair]) = forward_window(q->seconds);
        if (on)
            reached[pair] = (double)(atomic_load(&updater.done) - done) * SECOND_NS / (double)(clock_ns() - from);
        wanted[pair] = (double)q->rate;
        progress("windows", i + 1, 2 * q->pairs);
    }
    progress_done();
    route_live_leave(subject.live, 0);
    updater_stop(&updater);
    if (node.drops[DROP_NO_ROUTE] || node.forwarded == 0 || !updater.done) {
        fputs("updates: packets without a route, or no updates\n", stderr);
        exit(1);
    }
    const double each = (double)updater.busy_ns * (double)clock_tsc_hz() / SECOND_NS / (double)updater.done;
    char name[64];
    snprintf(name, sizeof name, "forwarding, %lu updates/s (to none)", (unsigned long)q->rate);
    point(name, "tsc_cycles", stats_median(with, q->pairs), without, with, q->pairs);
    point("updates a second (to those wanted)", "pps", stats_median(reached, q->pairs), wanted, reached, q->pairs);
    point_once("an update (to a packet)", "tsc_cycles", stats_median(with, q->pairs), each);
}

/* ---- checking ---- */

static bool check_burst(const struct target *target, bool unsafe) {
    be32 dst[BURST];
    uint32_t number[BURST];
    const struct route_path *path[BURST];
    const struct route_table *t = route_live_enter(subject.live, 0);
    const uint64_t from = route_generation(t);
    for (unsigned k = 0; k < BURST; k++) {
        dst[k] = target[k].addr;
        __builtin_prefetch(&subject.said[target[k].prefix]);
    }
    route_lookup(t, dst, number, BURST);
    if (unsafe) { /* says that it is away, and goes on: what the grace period is for */
        route_live_leave(subject.live, 0);
        nanosleep(&(struct timespec){.tv_nsec = UNSAFE_NS}, NULL);
    }
    for (unsigned k = 0; k < BURST; k++) {
        path[k] = number[k] == ROUTE_NONE ? NULL : route_path(t, number[k]);
        __builtin_prefetch(path[k]);
    }
    for (unsigned k = 0; k < BURST; k++) {
        const bool sound = path[k] && path[k]->kind == ROUTE_UNICAST && path[k]->n == 1;
        dst[k] = sound ? path[k]->next[0].via : 0;
    }
    const uint64_t to = generation_after(t);
    for (unsigned k = 0; k < BURST; k++)
        if (!is_right(&target[k], from, to, dst[k]))
            return false;
    return true;
}

static int check(const struct request *q) {
    struct target *pool = make_pool(POOL);
    const uint64_t from = clock_ns();
    uint64_t done = 0;
    bool right = true;
    atomic_store(&updater.on, true);
    for (; right && (done < q->lookups || !atomic_load(&updater.batches)); done += BURST) {
        right = check_burst(&pool[done % POOL], q->unsafe);
        if (done % POOL == 0)
            progress("lookups", done, q->lookups);
    }
    progress_done();
    route_live_leave(subject.live, 0);
    const double seconds = (double)(clock_ns() - from) / SECOND_NS;
    updater_stop(&updater);
    printf(q->json ? "{ \"lookups\": %lu, \"wrong\": %d, \"updates\": %lu, \"batches\": %lu, \"seconds\": %.1f }\n"
                   : "%lu lookups checked, %d wrong, %lu updates in %lu batches, %.1f s\n",
           (unsigned long)done, !right, (unsigned long)updater.done, (unsigned long)updater.batches, seconds);
    free(pool);
    return right ? 0 : 1;
}

/* ---- all ---- */

static void usage(bool asked) {
    fputs("usage: updates [--check[=LOOKUPS]] [--unsafe] [--table FILE | --routes N] [--rate UPDATES/S] [--cpu N]\n"
          "               [--updates-cpu N] [--quick] [--json]\n"
          "  --check    compare every lookup (10^9 of them) with what the table says meanwhile\n"
          "  --unsafe   without grace periods: the check must fail\n"
          "  --table    IPv4 prefixes, one a line\n",
          asked ? stdout : stderr);
    exit(asked ? 0 : 2);
}

static struct request read_request(int argc, char **argv) {
    static const struct option options[] = {
        {"check", optional_argument, NULL, 'k'}, {"unsafe", no_argument, NULL, 'u'},
        {"table", required_argument, NULL, 't'}, {"routes", required_argument, NULL, 'n'},
        {"rate", required_argument, NULL, 'r'},  {"cpu", required_argument, NULL, 'c'},
        {"quick", no_argument, NULL, 'q'},       {"updates-cpu", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},        {"help", no_argument, NULL, 'h'},
        {0}};
    struct request q = {.routes = 1000000, .rate = 100000, .pairs = PAIRS, .seconds = 0.25};
    bool quick = false;
    q.cpu = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'k': q.lookups = optarg ? strtoull(optarg, NULL, 10) : 1000000000; break;
        case 'u': q.unsafe = true; break;
        case 't': q.file = optarg; break;
        case 'n': q.routes = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'r': q.rate = strtoull(optarg, NULL, 10); break;
        case 'c': q.cpu = (unsigned)atoi(optarg); break;
        case 'w': q.updates_cpu = (unsigned)atoi(optarg); break;
        case 'q': quick = true; break;
        case 'j': q.json = true; break;
        default: usage(c == 'h');
        }
    if (quick) {
        q.routes = q.routes < 20000 ? q.routes : 20000;
        q.pairs = 5;
        q.seconds = 0.02;
        q.lookups = q.lookups > 4000000 ? 4000000 : q.lookups;
    }
    if (q.routes == 0 || q.routes >= PREFIXES_MAX || q.rate < UPDATES_BATCHES)
        usage(false);
    return q;
}

int main(int argc, char **argv) {
    const struct request q = read_request(argc, argv);
    const struct dpdk_options dpdk = {.main_cpu = q.cpu, .memory_mb = q.file || q.routes > 20000 ? 3072 : 1024};
    struct err e = {0};
    if (dpdk_start(&dpdk, &e)) {
        fprintf(stderr, "updates: %s\n         %s\n", e.what, e.hint);
        return 2;
    }
    random_seed(&rnd, 20221);
    subject_init(&subject, q.file, q.routes, q.lookups ? 0 : NEIGHBOURS, &rnd);
    updater = (struct updater){.subject = &subject, .cpu = q.updates_cpu, .rate = q.rate};
    int code = 0;
    if (!q.lookups) {
        points_begin("Routes that change while packets flow: DIR24-8, 64-byte packets, bursts of 64", q.json);
        measure_loads();
    } else {
        subject.live = subject_live(&subject, 1);
    }
    updater_start(&updater);
    if (q.lookups) {
        code = check(&q);
    } else {
        make_traffic();
        measure_cost(&q);
        points_end();
        free(frames);
        free(targets);
        node.routes = NULL; /* no node's */
        node_fini(&node);
    }
    subject_fini(&subject);
    dpdk_stop();
    return code;
}
