/* SPDX-License-Identifier: BSD-3-Clause */
/* Trials over rings: nothing is lost from the books, and whoever stands still is told. */
#include "traffic.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/replay.h>
#include <fwdlab/replay/trial.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS 1000000ull

/* What a trial needs. */
struct rig {
    struct inject *in;
    struct traffic *t;
    struct trial_device d;
    struct topology topology;
    struct trial_options o;
    struct trial_result r;
};

static void rig_make(struct rig *rig, unsigned packets, uint64_t seed, bool nat, unsigned generators, unsigned depth) {
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 256}, &e), 0, "%s", e.what);
    *rig = (struct rig){.in = traffic_trace(packets, seed)};
    rig->t = traffic_create(rig->in, &(struct traffic_options){0}, &e);
    cr_assert(rig->t, "%s", e.what);
    rig->d.node = traffic_node(NULL, nat, 0);
    rig->d.slots = xzalloc(rig->t->n_slots, sizeof *rig->d.slots);
    rig->o.core_cpu = 1 % cpus;
    cr_assert_eq(topology_rings(&rig->topology, generators, depth, &e), 0, "%s", e.what);
}

static void rig_free(struct rig *rig) {
    trial_result_fini(&rig->r);
    topology_fini(&rig->topology);
    traffic_node_free(rig->d.node);
    traffic_destroy(rig->t);
    traffic_trace_free(rig->in);
    free(rig->d.slots);
}

static void rig_pace(struct rig *rig, const char *text, double seconds) {
    struct err e = {0};
    cr_assert_eq(pace_parse(text, &rig->o.pace, &e), 0, "%s", e.what);
    rig->o.seconds = seconds;
}

static uint64_t drops(const struct trial_result *r) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        sum += r->drops[i];
    return sum;
}

/* What holds for every trial over rings. */
static void check_books(const struct rig *rig) {
    const struct trial_result *r = &rig->r;
    uint64_t unexpected = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        unexpected += rig->d.expected[i] ? 0 : r->drops[i];
    cr_assert_gt(r->sent, 0);
    cr_assert_eq(r->intended, r->sent + r->pushed_back);
    cr_assert_eq(r->sent, r->forwarded + r->delivered + drops(r));
    cr_assert_eq(r->lost, r->pushed_back + unexpected + (r->sent - r->received - drops(r)));
    cr_assert_eq(r->reordered, 0);
    cr_assert_eq(r->bytes, 64 * r->sent);
    cr_assert_gt(r->packets_a_burst, 0);
    cr_assert_eq(r->n_workers, rig->topology.generators + 1);
    cr_assert((r->why[0] != 0) == (r->late || r->noisy), "%s", r->why);
    if (rig->o.pace.kind == PACE_MAX) {
        cr_assert(!r->latency.bucket && !r->slip.bucket && !r->late);
        return;
    }
    cr_assert_eq(r->latency.count, r->received);
    cr_assert_eq(r->pdv.count, r->received);
    cr_assert_eq(r->pdv.min, 0);
    cr_assert_eq(r->slip.count, r->intended);
    cr_assert_eq(r->gap_error.count, r->sent - rig->topology.generators);
    cr_assert_lt(r->ipdv.count, r->received);
    cr_assert_leq(r->ipdv.max, r->latency.max);
}

static void run(struct rig *rig) {
    struct err e = {0};
    trial_result_fini(&rig->r);
    cr_assert_eq(trial_run(&rig->d, &rig->topology, rig->t, &rig->o, NULL, &rig->r, &e), 0, "%s", e.what);
    check_books(rig);
}

/* Drops that the lap before had are no loss; what was intended is what the pace says. */
Test(trial, constant_rate) {
    struct rig rig;
    struct err e = {0};
    rig_make(&rig, 2000, 1, true, 1, 8192);
    cr_assert_eq(trial_prepare(&rig.d, rig.t, &e), 0, "%s", e.what);
    cr_assert(rig.d.expected[DROP_BLACKHOLE] && rig.d.expected[DROP_TTL_EXPIRED] && !rig.d.expected[DROP_NO_ROUTE]);
    cr_assert_eq(rig.d.lap, 1);
    rig_pace(&rig, "20kpps", 0.2);
    for (unsigned k = 0; k < 3; k++) {
        uint64_t before = rig.d.now, lap = rig.d.lap;
        run(&rig);
        cr_assert_eq(rig.r.intended, 4000);
        cr_assert_eq(rig.r.pushed_back, 0);
        cr_assert_eq(rig.r.lost, 0);
        cr_assert_gt(drops(&rig.r), 0);
        cr_assert_float_eq((double)rig.r.intended_ns, 3999 * 50000.0, 100);
        cr_assert_float_eq(rig.r.offered_pps, 20000, 1);
        cr_assert(rig.d.now > before && rig.d.lap > lap, "the device's clock goes on");
    }
    rig_free(&rig);
}

Test(trial, as_fast_as_it_goes) {
    struct rig rig;
    rig_make(&rig, 2000, 2, true, 1, 0);
    rig_pace(&rig, "max", 0.1);
    run(&rig);
    cr_assert_gt(rig.r.sent, 2000);
    rig_free(&rig);
}

/* The trace's verdicts are those of the laps in memory, whoever sends it. */
static void check_verdicts(uint64_t seed, unsigned generators, const char *pace) {
    struct err e = {0};
    struct replay_result out;
    struct rig rig;
    rig_make(&rig, 3000, seed, generators == 1, generators, 4096); /* NAT's ports depend on the order of flows */
    struct replay_configuration c = {.name = "a", .node = rig.d.node, .cost = rig.in, .own = rig.in};
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 1}, &out, &e), 0, "%s", e.what);
    node_reset(rig.d.node);
    rig_pace(&rig, pace, 0);
    rig.o.burst = 32;
    run(&rig);
    cr_assert_eq(rig.r.intended, rig.in->arrived);
    cr_assert_eq(rig.r.pushed_back, 0);
    cr_assert_eq(rig.r.forwarded, c.forwarded);
    cr_assert_eq(rig.r.delivered, c.delivered);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        cr_assert_eq(rig.r.drops[i], c.drops[i], "seed %lu: %s %lu, not %lu", seed, drop_name(i), rig.r.drops[i],
                     c.drops[i]);
    if (generators == 1)
        cr_assert_eq(rig.r.answers_unmatched, c.answers_unmatched, "seed %lu", seed);
    replay_configuration_fini(&c);
    rig_free(&rig);
}

Test(trial, verdicts_at_the_traces_own_pace) {
    check_verdicts(3, 1, "trace");
}
Test(trial, verdicts_as_fast_as_it_goes) {
    check_verdicts(4, 1, "max");
}
Test(trial, two_generators_keep_the_order_of_flows) {
    check_verdicts(5, 2, "200kpps");
}

/* Spins `spin` ns for every burst, or once, at the given packet. */
static uint64_t spin, spin_at;
static unsigned stage_spin(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    static uint64_t packets;
    (void)node, (void)pkts, (void)now;
    packets += n;
    if (spin_at && (packets < spin_at || packets - n >= spin_at))
        return n;
    for (uint64_t from = clock_ns(); clock_ns() - from < spin;)
        ;
    return n;
}

static void add_stage(struct node *node, const char *name, stage_fn fn) {
    memmove(node->stages + 1, node->stages, node->n_stages * sizeof *node->stages);
    node->stages[0] = (struct stage){name, fn};
    node->n_stages++;
}

/* A core that does 64 packets a millisecond at best. */
Test(trial, overload_is_loss) {
    struct rig rig;
    rig_make(&rig, 2000, 6, false, 1, 256);
    add_stage(rig.d.node, "spin", stage_spin);
    memset(rig.d.expected, 1, sizeof rig.d.expected);
    spin = MS;
    rig_pace(&rig, "200kpps", 0.1);
    rig.o.stages = true;
    run(&rig);
    cr_assert_gt(rig.r.pushed_back, rig.r.intended / 2);
    cr_assert_eq(rig.r.lost, rig.r.pushed_back);
    cr_assert_gt(rig.r.loss_ratio, 0.5);
    cr_assert_str_eq(rig.r.stages[0].name, "spin");
    cr_assert_eq(rig.r.n_stages, rig.d.node->n_stages);
    cr_assert_eq(rig.r.stages[0].packets, rig.r.sent);
    uint64_t dropped = 0;
    for (unsigned i = 0; i < rig.r.n_stages; i++)
        dropped += rig.r.stages[i].drops;
    cr_assert_eq(dropped, drops(&rig.r));
    cr_assert_gt(rig.r.latency.max, MS);
    rig_free(&rig);
}

static unsigned stage_refuse(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)node, (void)now;
    for (unsigned i = 0; i < n; i++)
        packet_drop(pkts[i], DROP_PROHIBITED);
    return 0;
}

Test(trial, everything_dropped) {
    struct rig rig;
    struct err e = {0};
    rig_make(&rig, 100, 7, false, 1, 0);
    add_stage(rig.d.node, "refuse", stage_refuse);
    cr_assert_eq(trial_prepare(&rig.d, rig.t, &e), -ENODATA);
    cr_assert(strstr(e.what, "prohibited"), "%s", e.what);
    rig_free(&rig);
}

/* The core stands still for 50 ms: a quarter of the packets wait, and the generator is not to blame. */
Test(trial, stalled_core_is_latency) {
    struct rig rig;
    rig_make(&rig, 2000, 8, false, 1, 8192);
    add_stage(rig.d.node, "spin", stage_spin);
    spin = 50 * MS;
    rig_pace(&rig, "20kpps", 0.2);
    rig.o.late_limit_ns = 10 * MS; /* the machine may be busy with other things */
    spin_at = 1000;
    run(&rig);
    cr_assert_eq(rig.r.pushed_back, 0);
    cr_assert_gt(rig.r.latency.max, 49 * MS);
    cr_assert_gt(histogram_quantile(&rig.r.latency, 0.99), 40 * MS);
    cr_assert_gt(histogram_quantile(&rig.r.latency, 0.90), 25 * MS);
    cr_assert_gt(rig.r.workers[1].lost_ns, 49 * MS, "%s", rig.r.workers[1].name);
    if (rig.r.workers[0].lost_ns < 5 * MS)
        cr_assert(!rig.r.late, "%s", rig.r.why);
    cr_assert(rig.r.noisy);
    rig_free(&rig);
}

static void stand_still(int signal) {
    (void)signal;
    for (uint64_t from = clock_ns(); clock_ns() - from < 50 * MS;)
        ;
}

static void *disturb(void *thread) {
    usleep(100000);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

Test(trial, stalled_generator_is_invalid) {
    static const char *const paces[] = {"100pps", "1kpps", "50kpps", "poisson:10kpps", "bursts:32:10kpps"};
    struct rig rig;
    pthread_t self = pthread_self(), other;
    rig_make(&rig, 2000, 9, false, 1, 8192);
    signal(SIGUSR1, stand_still);
    for (unsigned i = 0; i < sizeof paces / sizeof *paces; i++) {
        rig_pace(&rig, paces[i], 0.3);
        cr_assert_eq(pthread_create(&other, NULL, disturb, &self), 0);
        run(&rig);
        pthread_join(other, NULL);
        cr_assert(rig.r.late && strstr(rig.r.why, "generator"), "%s: %s", paces[i], rig.r.why);
        cr_assert_gt(rig.r.workers[0].lost_ns, 49 * MS);
        cr_assert_gt(rig.r.slip.max, 35 * MS); /* at 100 pps the first packet may be due 10 ms after the stall began */
        cr_assert_gt(rig.r.latency.max, 10 * MS, "a late packet's latency counts from when it was due");
    }
    rig_free(&rig);
}

/* Another program's real-time thread on the core's CPU, and what waits for it on the generator's. */
static atomic_bool had_its_turn;
static bool in_time;
static void *wants_a_turn(void *arg) {
    usleep(150000);
    atomic_store(&had_its_turn, true);
    return arg;
}
static void wait_for_turn(int signal) {
    (void)signal;
    for (uint64_t from = clock_ns(); !atomic_load(&had_its_turn) && clock_ns() - from < 5000 * MS;)
        ;
    in_time = atomic_load(&had_its_turn);
}

/* A core that has had nothing to do for long gives its CPU to others: two benchmarks at once might wait for ever. */
Test(trial, idle_core_gives_way) {
    struct rig rig;
    struct sched_param param = {.sched_priority = 1};
    pthread_t self = pthread_self(), other, disturber;
    pthread_attr_t attr;
    cpu_set_t one;
    rig_make(&rig, 2000, 8, false, 1, 8192);
    rig_pace(&rig, "20kpps", 0.3);
    rig.o.fifo = true;
    CPU_ZERO(&one);
    CPU_SET(rig.o.core_cpu, &one);
    pthread_attr_init(&attr);
    pthread_attr_setaffinity_np(&attr, sizeof one, &one);
    pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
    pthread_attr_setschedparam(&attr, &param);
    signal(SIGUSR1, wait_for_turn);
    if (pthread_create(&other, &attr, wants_a_turn, NULL))
        cr_skip_test("SCHED_FIFO is not allowed");
    param.sched_priority = 2; /* who stops the generator need not wait */
    pthread_attr_setschedparam(&attr, &param);
    cr_assert_eq(pthread_create(&disturber, &attr, disturb, &self), 0);
    run(&rig);
    pthread_join(disturber, NULL);
    pthread_join(other, NULL);
    cr_assert(in_time || rig.o.core_cpu == rig.o.generator_cpu[0]);
    pthread_attr_destroy(&attr);
    rig_free(&rig);
}

static volatile bool stop;
static void *interrupt(void *arg) {
    (void)arg;
    usleep(50000);
    stop = true;
    return NULL;
}

/* Ctrl-C; whatever was left in the rings does not disturb the next trial. */
Test(trial, interrupted) {
    struct rig rig;
    struct err e = {0};
    pthread_t other;
    rig_make(&rig, 2000, 10, true, 2, 1024);
    rig_pace(&rig, "200kpps", 30);
    cr_assert_eq(pthread_create(&other, NULL, interrupt, NULL), 0);
    uint64_t from = clock_ns();
    cr_assert_eq(trial_run(&rig.d, &rig.topology, rig.t, &rig.o, &stop, &rig.r, &e), -EINTR);
    cr_assert_lt(clock_ns() - from, 20 * SECOND_NS);
    pthread_join(other, NULL);
    rig_pace(&rig, "10kpps", 0.1);
    run(&rig);
    cr_assert_eq(rig.r.intended, 1000);
    rig_free(&rig);
}

static const struct trial_note *noted(const struct trial_result *r, const struct traffic *t, const char *comment) {
    for (unsigned i = 0; i < r->n_notes; i++) {
        const struct trial_note *n = &r->notes[i];
        char text[64];
        snprintf(text, sizeof text, "; frame %lu, lap %lu", t->packets[n->step.packet].frame, n->step.lap);
        bool fate = n->verdict == VERDICT_DROP ? strncmp(comment, "dropped: ", 9) == 0 &&
                                                     strstr(comment, drop_name(n->reason)) != NULL
                                               : strncmp(comment, "slow: ", 6) == 0;
        if (fate && strlen(comment) > strlen(text) && !strcmp(comment + strlen(comment) - strlen(text), text))
            return n;
    }
    return NULL;
}

/* Every note is in the file, with the bytes that were sent; tshark reads the comments (where there is tshark). */
static void check_capture(const struct rig *rig, const char *path) {
    struct err e = {0};
    char command[256];
    unsigned lines = 0;
    struct trace_memory *m = trace_preload(path, 0, &e);
    cr_assert(m, "%s", e.what);
    cr_assert_eq(m->n, rig->r.n_notes);
    for (size_t i = 0; i < m->n; i++) {
        const struct trial_note *n = noted(&rig->r, rig->t, m->packets[i].comment);
        cr_assert(n, "%s", m->packets[i].comment);
        cr_assert(m->packets[i].time_ns >= 1000 && (!i || m->packets[i].time_ns >= m->packets[i - 1].time_ns));
        cr_assert_eq(memcmp(m->packets[i].data, rig->t->packets[n->step.packet].data, 60), 0);
    }
    trace_memory_destroy(m);
    if (system("tshark --version >/dev/null 2>&1"))
        return;
    snprintf(command, sizeof command, "tshark -r %s -Y 'frame.comment contains \"frame\"' 2>/dev/null", path);
    FILE *f = popen(command, "r");
    for (int c; (c = getc(f)) != EOF;)
        lines += c == '\n';
    cr_assert_eq(pclose(f), 0);
    cr_assert_eq(lines, rig->r.n_notes);
}

Test(trial, capture) {
    struct rig rig;
    struct err e = {0};
    char path[] = "/tmp/trial-XXXXXX";
    rig_make(&rig, 3000, 11, true, 1, 8192);
    rig_pace(&rig, "50kpps", 0.1);
    rig.o.capture = true;
    run(&rig);
    unsigned of_reason[DROP_COUNT] = {0}, slow = 0;
    for (unsigned i = 0; i < rig.r.n_notes; i++) {
        const struct trial_note *n = &rig.r.notes[i];
        if (n->verdict == VERDICT_DROP)
            of_reason[n->reason]++;
        else if (slow++)
            cr_assert_leq(n->latency_ns, rig.r.notes[i - 1].latency_ns);
    }
    for (unsigned i = 0; i < DROP_COUNT; i++)
        cr_assert(rig.r.drops[i] <= 16 ? of_reason[i] == rig.r.drops[i] : of_reason[i] >= 16, "%s: %u of %lu",
                  drop_name(i), of_reason[i], rig.r.drops[i]);
    cr_assert_eq(slow, 32);
    cr_assert_geq(rig.r.notes[rig.r.n_notes - 32].latency_ns, histogram_quantile(&rig.r.latency, 0.99));
    close(mkstemp(path));
    cr_assert_eq(trial_capture_save(&rig.r, rig.t, rig.d.node, 1000, path, &e), 0, "%s", e.what);
    check_capture(&rig, path);
    unlink(path);
    cr_assert_lt(trial_capture_save(&rig.r, rig.t, rig.d.node, 1000, "/nowhere/x.pcapng", &e), 0);
    rig_free(&rig);
}

Test(trial, one_cpu_for_all) {
    struct rig rig;
    rig_make(&rig, 2000, 12, true, 1, 4096);
    rig.o.core_cpu = rig.o.generator_cpu[0] = 0;
    rig.o.fifo = true;
    rig_pace(&rig, "10kpps", 0.2);
    run(&rig);
    cr_assert_eq(rig.r.intended, 2000, "%lu, %s", rig.r.intended, rig.r.why);
    cr_assert_not(rig.r.fifo, "nobody else would ever run");
    rig_free(&rig);
}

Test(trial, refusals) {
    struct rig rig;
    struct err e = {0};
    rig_make(&rig, 100, 13, false, 1, 0);
    rig_pace(&rig, "10kpps", 0.1);
    rig.o.burst = BURST_MAX + 1;
    cr_assert_eq(trial_run(&rig.d, &rig.topology, rig.t, &rig.o, NULL, &rig.r, &e), -EINVAL);
    cr_assert(strstr(e.what, "257"), "%s", e.what);
    rig.o.burst = 0;
    rig.o.core_cpu = 1000;
    cr_assert_eq(trial_run(&rig.d, &rig.topology, rig.t, &rig.o, NULL, &rig.r, &e), -EINVAL);
    cr_assert(strstr(e.what, "CPU 1000"), "%s", e.what);
    rig.o.core_cpu = 0;
    rig.o.generator_cpu[0] = 1000;
    cr_assert_lt(trial_run(&rig.d, &rig.topology, rig.t, &rig.o, NULL, &rig.r, &e), 0);
    struct topology other;
    cr_assert_eq(topology_rings(&other, 0, 0, &e), -EINVAL);
    cr_assert_eq(topology_rings(&other, 1, 1000, &e), -EINVAL);
    cr_assert_eq(topology_rings(&other, 1, 1 << 20, &e), -ENOMEM);
    cr_assert(strstr(e.what, "no memory"), "%s", e.what);
    rig_free(&rig);
}
