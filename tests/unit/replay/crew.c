/* SPDX-License-Identifier: BSD-3-Clause */
/* Several core workers come to the verdicts of one. */
#include "traffic.h"
#include "crew.h"
#include "worker.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/dispatch.h>
#include <fwdlab/dpdk/dpdk.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct inject *in;
static struct traffic *traffic;

static void begin(uint64_t seed) {
    struct err e = {0};
    in = traffic_trace(2500, seed);
    traffic = traffic_create(in, &(struct traffic_options){0}, &e);
    cr_assert(traffic, "%s", e.what);
}

static void end(void) {
    traffic_destroy(traffic);
    traffic_trace_free(in);
}

/* As traffic_node has it, but for the number of ports: a worker must not run out of its part. */
static struct node *roomy_node(bool nat) {
    struct node *node = traffic_node(NULL, nat, 0);
    if (nat) {
        struct nat_config c = *nat_config_get(node->nat);
        c.port_min = 20000;
        c.port_max = 39999;
        c.max_sessions = 40000;
        struct nat *roomy = nat_create(&c);
        cr_assert(roomy);
        nat_destroy(node->nat);
        node->nat = roomy;
        node_prepare(node);
    }
    return node;
}

struct outcome {
    uint8_t verdict, reason;
    uint16_t out_port;
};

/* One lap, packet by packet. An answer, once it is fitted, must tell by its bytes whose it is. */
static void lap(const struct node *node, unsigned workers, struct outcome *out) {
    struct err e = {0};
    struct crew *crew = crew_create(node, workers, traffic->n_slots, &e);
    cr_assert(crew, "%s", e.what);
    struct dispatch *d =
        dispatch_create(workers, node->nat ? nat_config_get(node->nat) : NULL, node->routes);
    struct dispatch_fragments *f = calloc(1, sizeof *f);
    struct traffic_slot *slots = xzalloc(traffic->n_slots, sizeof *slots);
    struct traffic_cursor cursor;
    static struct carrier c;
    static uint8_t data[LINK_ROOM];
    traffic_begin(&cursor, traffic);
    for (uint32_t i = 0; i < traffic->n; i++) {
        struct traffic_step step;
        struct packet *p = &c.packet;
        uint8_t worker, told;
        traffic_next(&cursor, &step);
        carrier_write(&c, data, traffic, &step);
        crew_assign(crew, &p, 1, &worker);
        cr_assert_lt(worker, workers);
        bool fitted = !c.probe.answer || traffic_fit(&slots[step.slot], &traffic->packets[step.packet], data);
        dispatch(d, f, &p, 1, &told);
        cr_assert(!fitted || told == worker || traffic->packets[step.packet].reported, "packet %u: %u, not %u", i, told,
                  worker);
        forward(crew_node(crew, worker), &p, 1, step.trace_ns);
        if (p->verdict == VERDICT_FORWARD)
            traffic_learn(&slots[step.slot], p);
        out[i] = (struct outcome){p->verdict, p->reason, p->verdict == VERDICT_FORWARD ? p->out_port : 0};
    }
    free(slots);
    free(f);
    dispatch_destroy(d);
    crew_destroy(crew);
}

static void check_laps(bool nat) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        begin(seed);
        struct node *node = roomy_node(nat);
        struct outcome *one = xzalloc(traffic->n, sizeof *one), *many = xzalloc(traffic->n, sizeof *many);
        lap(node, 1, one);
        for (unsigned workers = 2; workers <= CREW_MAX; workers++) {
            lap(node, workers, many);
            for (uint32_t i = 0; i < traffic->n; i++)
                cr_assert(memcmp(&one[i], &many[i], sizeof *one) == 0,
                          "seed %lu, %u workers, packet %u: verdict %u (%s), not %u (%s)", (unsigned long)seed, workers,
                          i, many[i].verdict, drop_name(many[i].reason), one[i].verdict, drop_name(one[i].reason));
        }
        free(one);
        free(many);
        traffic_node_free(node);
        end();
    }
}

Test(crew, verdicts_are_those_of_one_worker) {
    check_laps(false);
}
Test(crew, verdicts_are_those_of_one_worker_with_nat) {
    check_laps(true);
}

/* Threads, rings and all. */
static void run(struct node *node, unsigned workers, unsigned generators, const char *pace, struct trial_result *r) {
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    struct err e = {0};
    struct topology topology;
    struct trial_options o = {.core_cpu = 1 % cpus, .burst = 32};
    struct trial_device d = {.node = node, .slots = xzalloc(traffic->n_slots, sizeof *d.slots)};
    for (unsigned i = 0; i < TRIAL_CORES_MAX - 1; i++)
        o.more_cpu[i] = i % cpus;
    cr_assert(d.crew = crew_create(node, workers, traffic->n_slots, &e), "%s", e.what);
    cr_assert_eq(topology_rings_of_crew(&topology, generators, workers, 4096, &e), 0, "%s", e.what);
    cr_assert_eq(pace_parse(pace, &o.pace, &e), 0);
    cr_assert_eq(trial_run(&d, &topology, traffic, &o, NULL, r, &e), 0, "%s", e.what);
    cr_assert_eq(r->pushed_back, 0);
    cr_assert_eq(r->reordered, 0);
    cr_assert_eq(r->n_workers, workers + generators);
    topology_fini(&topology);
    crew_destroy(d.crew);
    free(d.slots);
}

static void check_trials(bool nat, unsigned generators, const char *pace) {
    struct trial_result one, many;
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0, "%s", e.what);
    begin(7);
    struct node *node = roomy_node(nat);
    run(node, 1, generators, pace, &one);
    cr_assert_gt(one.forwarded, 500);
    for (unsigned workers = 2; workers <= 4; workers++) {
        run(node, workers, generators, pace, &many);
        cr_assert_eq(many.sent, one.sent);
        cr_expect_eq(many.forwarded, one.forwarded, "%u workers: %lu, not %lu", workers, many.forwarded, one.forwarded);
        cr_expect_eq(many.delivered, one.delivered);
        cr_expect_eq(many.received, one.received);
        cr_expect_eq(many.answers_unmatched, one.answers_unmatched);
        for (unsigned i = 0; i < DROP_COUNT; i++)
            cr_expect_eq(many.drops[i], one.drops[i], "%u workers: %s %lu, not %lu", workers, drop_name(i),
                         many.drops[i], one.drops[i]);
        trial_result_fini(&many);
    }
    trial_result_fini(&one);
    traffic_node_free(node);
    end();
}

Test(crew, trials_over_rings) {
    check_trials(false, 2, "200kpps");
}
Test(crew, trials_over_rings_with_nat) {
    check_trials(true, 1, "max");
}

/* A lap for each worker, before the trials: sessions stand, and what is dropped there is no loss. */
Test(crew, prepares_all_workers) {
    struct err e = {0};
    begin(9);
    struct node *node = roomy_node(true);
    struct trial_device one = {.node = node, .slots = xzalloc(traffic->n_slots, sizeof *one.slots)};
    cr_assert_eq(trial_prepare(&one, traffic, &e), 0, "%s", e.what);
    struct trial_device many = {.node = node, .slots = xzalloc(traffic->n_slots, sizeof *many.slots)};
    cr_assert(many.crew = crew_create(node, 3, traffic->n_slots, &e));
    cr_assert_eq(trial_prepare(&many, traffic, &e), 0, "%s", e.what);
    struct nat_stats whole, part;
    uint32_t live = 0;
    nat_stats_get(node->nat, &whole);
    for (unsigned w = 0; w < 3; w++) {
        nat_stats_get(crew_node(many.crew, w)->nat, &part);
        cr_expect_gt(part.live, 0);
        live += part.live;
    }
    cr_expect_eq(live, whole.live);
    cr_expect(many.lap == one.lap && many.now == one.now);
    cr_expect(memcmp(many.expected, one.expected, sizeof one.expected) == 0);
    crew_destroy(many.crew);
    free(one.slots);
    free(many.slots);
    traffic_node_free(node);
    end();
}

Test(crew, refuses) {
    struct err e = {0};
    struct node *node = traffic_node(NULL, true, 0);
    cr_expect_null(crew_create(node, 0, 1, &e));
    cr_expect_null(crew_create(node, CREW_MAX + 1, 1, &e));
    node->filter = filter_create(&(struct filter_config){0});
    cr_expect_null(crew_create(node, 2, 1, &e));
    traffic_node_free(node);
    struct topology t;
    cr_expect_eq(topology_rings_of_crew(&t, 1, 0, 0, &e), -EINVAL);
    cr_expect_eq(topology_rings_of_crew(&t, 1, TRIAL_CORES_MAX + 1, 0, &e), -EINVAL);
}
