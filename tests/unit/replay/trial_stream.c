/* SPDX-License-Identifier: BSD-3-Clause */
/* A streamed trial against a preloaded one, over a capture of the lab. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/trial.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NESTED FWDLAB_SOURCE "/traces/nested-host/"
#define CAPTURE NESTED "routed.pcapng.zst"
#define SLOTS (1u << 18) /* of a stream */

struct world {
    struct scenario *scenario;
    struct control *control;
    uint32_t id;
    struct trial_device d;
    struct trial_options o;
};

static struct world world_make(void) {
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    struct complaints complaints = {0};
    struct err e = {0};
    struct world w = {.scenario = scenario_load(NESTED "routed.yaml", &complaints)};
    cr_assert(w.scenario);
    complaints_fini(&complaints);
    cr_assert(w.control = control_build(w.scenario, NULL, &e), "%s", e.what);
    w.id = control_node_find(w.control, "hyperv");
    w.d = (struct trial_device){.node = &w.control->nodes[w.id].node, .slots = xzalloc(SLOTS, sizeof *w.d.slots)};
    w.o.core_cpu = 1 % cpus;
    cr_assert_eq(pace_parse("50kpps", &w.o.pace, &e), 0);
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 256}, &e), 0, "%s", e.what);
    return w;
}

static void world_free(struct world *w) {
    free(w->d.slots);
    control_destroy(w->control);
    scenario_destroy(w->scenario);
}

static void start_anew(struct world *w) {
    node_reset(w->d.node);
    memset(w->d.slots, 0, SLOTS * sizeof *w->d.slots);
    w->d.now = w->d.lap = 0;
}

/* One lap from memory. */
static struct trial_result preloaded(struct world *w, const struct topology *topology, uint64_t *packets) {
    struct err e = {0};
    struct trial_result r;
    struct inject *in = inject_create(trace_preload(CAPTURE, 0, &e), w->control, w->id, &e);
    cr_assert(in, "%s", e.what);
    struct traffic *t = traffic_create(in, &(struct traffic_options){0}, &e);
    cr_assert(t && t->n_slots <= SLOTS, "%s", e.what);
    *packets = t->n;
    start_anew(w);
    cr_assert_eq(trial_run(&w->d, topology, t, &w->o, NULL, &r, &e), 0, "%s", e.what);
    traffic_destroy(t);
    inject_destroy(in);
    return r;
}

static struct trial_result streamed(struct world *w, const struct topology *topology, uint32_t chunk) {
    struct err e = {0};
    struct trial_result r;
    struct traffic_stream *s = traffic_stream_open(CAPTURE, w->control, w->id, &(struct traffic_options){0}, chunk, &e);
    cr_assert(s, "%s", e.what);
    start_anew(w);
    cr_assert_eq(trial_run_stream(&w->d, topology, s, &w->o, NULL, &r, &e), 0, "%s", e.what);
    traffic_stream_close(s);
    return r;
}

static void check_same(unsigned generators, uint32_t chunk) {
    struct err e = {0};
    struct topology topology;
    struct world w = world_make();
    uint64_t packets, drops = 0;
    cr_assert_eq(topology_rings(&topology, generators, 16384, &e), 0, "%s", e.what);
    struct trial_result a = preloaded(&w, &topology, &packets), b = streamed(&w, &topology, chunk);
    cr_assert_gt(packets, 3u * chunk);
    cr_assert_eq(a.intended, packets);
    cr_assert_eq(b.intended, packets);
    cr_assert_eq(a.pushed_back + b.pushed_back, 0);
    cr_assert_eq(b.forwarded, a.forwarded, "%lu, not %lu", b.forwarded, a.forwarded);
    cr_assert_eq(b.delivered, a.delivered);
    cr_assert_eq(b.received, a.received);
    cr_assert_eq(b.answers_unmatched, a.answers_unmatched);
    cr_assert_eq(b.bytes, a.bytes);
    cr_assert_eq(b.reordered, 0);
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        cr_assert_eq(b.drops[i], a.drops[i], "%s", drop_name(i));
        drops += b.drops[i];
    }
    cr_assert_eq(drops + b.received, b.sent);
    trial_result_fini(&a);
    trial_result_fini(&b);
    topology_fini(&topology);
    world_free(&w);
}

Test(trial_stream, as_from_memory) {
    check_same(1, 200);
}
Test(trial_stream, two_generators) {
    check_same(2, 100);
}

/* A trace that is nothing, and a capture that could not be written. */
Test(trial_stream, refusals) {
    struct err e = {0};
    struct topology topology;
    struct trial_result r;
    struct world w = world_make();
    cr_assert_eq(topology_rings(&topology, 1, 0, &e), 0, "%s", e.what);
    struct traffic_stream *s = traffic_stream_open(CAPTURE, w.control, w.id, &(struct traffic_options){0}, 100, &e);
    cr_assert(s, "%s", e.what);
    w.o.capture = true;
    cr_assert_eq(trial_run_stream(&w.d, &topology, s, &w.o, NULL, &r, &e), -EINVAL);
    cr_assert(strstr(e.what, "streamed"), "%s", e.what);
    w.o.capture = false;
    cr_assert_eq(trial_run_stream(&w.d, &topology, s, &w.o, NULL, &r, &e), 0, "%s", e.what);
    trial_result_fini(&r);
    cr_assert_eq(trial_run_stream(&w.d, &topology, s, &w.o, NULL, &r, &e), -ENODATA, "it is at its end");
    traffic_stream_close(s);
    topology_fini(&topology);
    world_free(&w);
}
