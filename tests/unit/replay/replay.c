/* SPDX-License-Identifier: BSD-3-Clause */
/* Replay against the core called packet by packet; and the costs it tells against stages whose cost is known. */
#include "traffic.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/replay.h>
#include <pthread.h>
#include <string.h>

static void start(void) {
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 256}, &e), 0, "%s", e.what);
}

/* What analyze does: each packet by itself, at its own time (in steps of step_ns), with no more than its headers. */
static struct inject_verdict *one_by_one(struct node *node, const struct inject *in, uint64_t step_ns) {
    struct inject_verdict *v = xzalloc(in->arrived, sizeof *v);
    size_t n = 0;
    for (uint32_t i = 0; i < in->n; i++) {
        uint8_t data[128];
        struct packet p, *pkts[1] = {&p};
        if (in->packets[i].kind != INJECT_ARRIVED)
            continue;
        inject_fill(in, i, &p, data, sizeof data);
        inject_fit(in, i, &p, node->nat);
        uint64_t now = inject_time(in, i) / step_ns * step_ns;
        forward(node, pkts, 1, now);
        inject_settle(node, &p, in->packets[i].raw->frame, now, &v[n++]);
    }
    return v;
}

static bool same_verdict(const struct inject_verdict *a, const struct inject_verdict *b) {
    return a->frame == b->frame && a->verdict == b->verdict && a->reason == b->reason && a->in_port == b->in_port &&
           a->out_port == b->out_port && a->fragments == b->fragments && a->error == b->error &&
           a->error_type == b->error_type && a->error_code == b->error_code && a->error_port == b->error_port &&
           memcmp(&a->key, &b->key, sizeof a->key) == 0;
}

static void check_verdicts(const struct inject *in, bool nat, uint64_t udp_ns, unsigned burst, uint64_t seed) {
    struct err e = {0};
    struct replay_result out;
    struct node *node = traffic_node(&route_dir24_8, nat, udp_ns), *other = traffic_node(&route_linear, nat, udp_ns);
    struct replay_configuration c = {.name = "a", .node = node, .cost = in, .own = in};
    struct inject_verdict *expected = one_by_one(other, in, udp_ns ? INJECT_TICK_NS : 1);
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 1, .burst = burst}, &out, &e), 0, "%s", e.what);
    cr_assert_eq(c.n_verdicts, in->arrived);
    uint64_t drops = 0, stage_drops = 0, delivered = 0, forwarded = 0, by_reason[DROP_COUNT] = {0};
    for (size_t i = 0; i < c.n_verdicts; i++) {
        delivered += expected[i].verdict == VERDICT_DELIVER;
        forwarded += expected[i].verdict == VERDICT_FORWARD;
        by_reason[expected[i].reason] += expected[i].verdict == VERDICT_DROP;
        cr_assert(same_verdict(&c.verdicts[i], &expected[i]), "seed %lu burst %u: frame %lu: verdict %u %s, not %u %s",
                  seed, burst, c.verdicts[i].frame, c.verdicts[i].verdict, drop_name(c.verdicts[i].reason),
                  expected[i].verdict, drop_name(expected[i].reason));
    }
    cr_assert_eq(c.delivered, delivered);
    cr_assert_eq(c.forwarded, forwarded);
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        cr_assert_eq(c.drops[i], by_reason[i], "%s", drop_name(i));
        drops += c.drops[i];
    }
    for (unsigned i = 0; i < c.n_stages; i++)
        stage_drops += c.stages[i].drops;
    cr_assert_eq(c.delivered + c.forwarded + drops, in->arrived);
    cr_assert_eq(stage_drops, drops);
    if (nat) {
        cr_assert_gt(c.answers_rewritten, in->arrived / 20);
        cr_assert_gt(c.answers_unmatched, 0, "some sessions must have been refused or have ended");
        cr_assert(c.drops[DROP_NAT_NO_PORT] && c.delivered, "the trace does not test enough");
    }
    free(expected);
    replay_configuration_fini(&c);
    traffic_node_free(node);
    traffic_node_free(other);
}

Test(replay, verdicts_are_those_of_single_packets) {
    start();
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct inject *in = traffic_trace(20000, seed);
        for (unsigned i = 0; i < 4; i++)
            check_verdicts(in, true, 0, (unsigned[]){1, 7, 64, BURST_MAX}[i], seed);
        check_verdicts(in, false, 0, 64, seed);
        traffic_trace_free(in);
    }
}

/* When sessions end and ports come free all the time, it is the step of the clock that makes bursts not matter. */
Test(replay, verdicts_under_short_timers) {
    start();
    for (uint64_t seed = 11; seed <= 12; seed++) {
        struct inject *in = traffic_trace(20000, seed);
        for (unsigned i = 0; i < 4; i++)
            check_verdicts(in, true, 50000000, (unsigned[]){1, 7, 64, BURST_MAX}[i], seed);
        traffic_trace_free(in);
    }
}

/* Spins as long as its name says and lets everything through; `spin` TSC cycles a call. */
static uint64_t spin;
static unsigned stage_spin(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)node, (void)pkts, (void)now;
    for (uint64_t from = clock_tsc(); clock_tsc() - from < spin;)
        ;
    return n;
}

static struct node *spinning_node(void) {
    struct node *node = traffic_node(NULL, false, 0);
    memmove(node->stages + 1, node->stages, node->n_stages * sizeof *node->stages);
    node->stages[0] = (struct stage){"spin", stage_spin};
    node->n_stages++;
    return node;
}

Test(replay, costs) {
    start();
    struct err e = {0};
    struct replay_result out;
    struct inject *in = traffic_trace(5000, 5);
    struct replay_configuration c[2] = {
        {.name = "plain", .node = traffic_node(NULL, false, 0), .cost = in, .own = in},
        {.name = "spin", .node = spinning_node(), .cost = in, .own = in},
    };
    spin = 64 * 500; /* bursts are shorter than 64 where time or an answer ends them: 500 a packet at least */
    cr_assert_eq(replay_run(c, 2, &(struct replay_options){.laps = 15}, &out, &e), 0, "%s", e.what);
    cr_assert_eq(out.laps, 15);
    for (unsigned k = 0; k < 2; k++) {
        double sum = 0, cycles = stats_median(c[k].cycles, c[k].n_cycles);
        cr_assert_eq(c[k].n_cycles, 15);
        cr_assert_eq(c[k].injected, in->arrived);
        cr_assert_eq(c[k].bytes, in->arrived * 60);
        cr_assert_eq(c[k].cut, 0);
        cr_assert_eq(c[k].stages[0].packets, in->arrived);
        for (unsigned i = 0; i < c[k].n_stages; i++)
            sum += c[k].stages[i].cycles;
        cr_assert(sum > cycles * 0.7 && sum < cycles * 1.4, "stages %f, all %f", sum, cycles);
    }
    cr_assert_str_eq(c[0].stages[0].name, "express");
    cr_assert_str_eq(c[1].stages[0].name, "spin");
    struct stats_ratio r = stats_paired_ratio(c[0].cycles, c[1].cycles, 15, 1);
    double more = stats_median(c[1].cycles, 15) - stats_median(c[0].cycles, 15);
    cr_assert_gt(r.low, 1.05, "%f %f %f; %f %f", r.ratio, r.low, r.high, c[0].cycles[0], c[1].cycles[0]);
    cr_assert_gt(more, 450);
    cr_assert(more > c[1].stages[0].cycles * 0.7 && more < c[1].stages[0].cycles * 1.4, "%f more, stage %f", more,
              c[1].stages[0].cycles);
    cr_assert(out.overhead_cycles > 0 && out.overhead_cycles < 2000, "%lu", out.overhead_cycles);
    for (unsigned k = 0; k < 2; k++) {
        traffic_node_free(c[k].node);
        replay_configuration_fini(&c[k]);
    }
    traffic_trace_free(in);
}

static unsigned renewed, backwards_seen;
static int renew(struct replay_configuration *c, unsigned n, bool backwards, void *arg, struct err *e) {
    if (renewed == *(unsigned *)arg)
        return err_set(e, -ENOMEM, "no more");
    renewed++;
    backwards_seen += backwards;
    for (unsigned i = 0; i < n; i++) {
        traffic_node_free(c[i].node);
        c[i].node = traffic_node(NULL, true, 0);
    }
    return 0;
}

Test(replay, epochs_renew_the_tables_and_count_the_samples) {
    start();
    struct err e = {0};
    struct replay_result out;
    struct inject *in = traffic_trace(500, 9);
    for (unsigned k = 0; k < 2; k++) {
        unsigned most = k ? 3 : 100, sum = 0;
        struct replay_configuration c[2] = {{.name = "a", .node = traffic_node(NULL, true, 0), .cost = in, .own = in},
                                            {.name = "b", .node = traffic_node(NULL, true, 0), .cost = in, .own = in}};
        struct replay_options o = {.laps = 26, .epochs = 6, .renew = renew, .renew_arg = &most};
        renewed = backwards_seen = 0;
        cr_assert_eq(replay_run(c, 2, &o, &out, &e), k ? -ENOMEM : 0, "%s", e.what);
        if (!k) {
            cr_assert(renewed == 5 && backwards_seen == 3 && c[0].n_epochs == 6);
            cr_assert_eq(c[0].stages[0].packets, in->arrived, "counted in one lap, not in each epoch");
            for (unsigned i = 0; i < c[1].n_epochs; i++) {
                cr_assert(c[1].epochs[i] >= 4 && c[1].epochs[i] <= 5);
                sum += (unsigned)c[1].epochs[i];
            }
            cr_assert(sum == 26 && c[1].n_cycles == 26);
            double all = 0;
            for (unsigned i = 0; i < c[1].n_stages; i++)
                all += c[1].stages[i].samples[25];
            cr_assert_float_eq(all, c[1].cycles[25], 1e-6);
        }
        for (unsigned i = 0; i < 2; i++) {
            traffic_node_free(c[i].node);
            replay_configuration_fini(&c[i]);
        }
    }
    traffic_trace_free(in);
}

Test(replay, lost_time_is_told) {
    start();
    struct err e = {0};
    struct replay_result out;
    struct inject *in = traffic_trace(500, 6);
    struct replay_configuration c = {.name = "slow", .node = spinning_node(), .cost = in, .own = in};
    spin = clock_tsc_hz() / 10000; /* 100 us */
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 3}, &out, &e), 0, "%s", e.what);
    cr_assert_lt(stats_median(c.cycles, c.n_cycles), (double)spin / BURST_MAX, "it must not count as the core's");
    cr_assert(out.lost_ns > out.run_ns / 2 && out.lost_ns <= out.run_ns, "%lu of %lu", out.lost_ns, out.run_ns);
    traffic_node_free(c.node);
    replay_configuration_fini(&c);
    traffic_trace_free(in);
}

/* A packet that no mbuf holds: its headers count, and it is told. */
Test(replay, long_packets_are_cut) {
    start();
    struct err e = {0};
    struct replay_result out;
    struct inject *in = traffic_trace(10, 7);
    uint8_t *data = xzalloc(1, 9000);
    struct trace_packet *raw = in->trace->packets;
    memcpy(data, raw[3].data, 60);
    raw[3].data = data;
    raw[3].len = raw[3].wire_len = 9000;
    struct replay_configuration c = {.name = "a", .node = traffic_node(NULL, true, 0), .cost = in, .own = in};
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 1}, &out, &e), 0, "%s", e.what);
    cr_assert_eq(c.cut, 1);
    cr_assert_eq(c.forwarded, 10);
    cr_assert_eq(c.bytes, 9 * 60 + 9000);
    traffic_node_free(c.node);
    replay_configuration_fini(&c);
    traffic_trace_free(in);
    free(data);
}

static void *run_elsewhere(void *arg) {
    struct replay_result out;
    struct err e = {0};
    static int rc;
    rc = replay_run(arg, 1, &(struct replay_options){.laps = 1}, &out, &e);
    return &rc;
}

Test(replay, refusals) {
    struct err e = {0};
    struct replay_result out;
    struct inject *in = traffic_trace(10, 8), nothing = {0};
    struct replay_configuration c = {.name = "first", .node = traffic_node(NULL, true, 0), .cost = in, .own = in};
    pthread_t thread;
    void *rc;
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 1}, &out, &e), -EINVAL);
    cr_assert(strstr(e.what, "started EAL"), "%s", e.what);
    start();
    cr_assert_eq(pthread_create(&thread, NULL, run_elsewhere, &c), 0);
    pthread_join(thread, &rc);
    cr_assert_eq(*(int *)rc, -EINVAL);
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.burst = BURST_MAX + 1}, &out, &e), -EINVAL);
    cr_assert(strstr(e.what, "257"), "%s", e.what);
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.cpu = 1000}, &out, &e), -EINVAL);
    cr_assert(strstr(e.what, "CPU 1000"), "%s", e.what);
    c.cost = &nothing;
    cr_assert_eq(replay_run(&c, 1, &(struct replay_options){.laps = 1}, &out, &e), -ENODATA);
    cr_assert(strstr(e.what, "first: no packet"), "%s", e.what);
    traffic_node_free(c.node);
    traffic_trace_free(in);
}
