/* SPDX-License-Identifier: BSD-3-Clause */
/* The pass over the trace, and what is concluded after it. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/block.h>
#include "analyze.h"
#include "marks.h"
#include "natuse.h"
#include "whatif.h"

#define LOOK_EVERY 256 /* batches: how often the caller is asked whether to go on */

/* Those that came up since the last time. */
static void keep_interfaces(struct analysis *a, const struct trace_interface *list, uint32_t n) {
    for (uint32_t i = (uint32_t)a->interfaces.n; i < n; i++) {
        vec_push(&a->interfaces, list[i]);
        a->interfaces.v[i].name = xstrdup(list[i].name);
        a->interfaces.v[i].description = NULL;
        a->interfaces.v[i].packets = 0;
    }
}

static void count_packets(struct analysis *a, const struct feed_packet *q, unsigned n) {
    uint32_t n_interfaces;
    const struct trace_interface *list = feed_interfaces(a->feed, &n_interfaces);
    if (n_interfaces > a->interfaces.n)
        keep_interfaces(a, list, n_interfaces);
    for (unsigned i = 0; i < n; i++)
        if (!q[i].depth)
            a->interfaces.v[q[i].raw.interface].packets++;
}

/* What is known of interfaces at the end. */
static void finish_interfaces(struct analysis *a, const struct feed_source *from) {
    uint32_t n;
    const struct trace_interface *list = from->interfaces(from->of, &n);
    keep_interfaces(a, list, n);
    for (uint32_t i = 0; i < n; i++)
        a->interfaces.v[i].dropped = list[i].dropped;
}

static bool is_wanted(const struct analysis *a) {
    return !a->o.go_on || a->o.go_on(a->o.go_on_arg, feed_count(a->feed));
}

static int read_all(struct analysis *a, struct err *e) {
    struct feed_packet *q;
    int n = 0;
    bool wanted = true;
    for (unsigned batches = 1; wanted && (n = feed_next(a->feed, &q, e)) > 0; batches++) {
        count_packets(a, q, (unsigned)n);
        pass_batch(a, q, (unsigned)n);
        wanted = batches % LOOK_EVERY || is_wanted(a);
    }
    a->interrupted = !wanted || !is_wanted(a); /* what was waited for ended as not wanted */
    return n;
}

/* Two entries of the feed's book (inside and outside NAT) with what leads to them; arrays that grow have spare room. */
size_t analysis_flow_size(void) {
    return 2 * (sizeof(struct flow) + 2 * 80);
}

struct analysis *analyze(const struct feed_source *from, const struct analysis_options *o, struct err *e) {
    struct analysis *a = xzalloc(1, sizeof *a);
    a->o = *o;
    a->slot_mask = flow_slot_mask(o->max_flows);
    a->node = o->control ? &o->control->nodes[o->node] : NULL;
    a->fabric = o->fabric;
    a->marks = o->keep_flows ? marks_create() : NULL;
    if (a->node && o->what_if.control)
        a->what_if = whatif_create(&o->what_if, a->node);
    if (a->node && a->node->node.nat)
        a->nat_use = natuse_create(a->node->node.nat);
    a->feed = feed_create(from, o->control, o->node, o->keys, o->max_flows, e);
    if (a->feed && o->workers > 1)
        feed_run_ahead(a->feed);
    if (!a->feed || read_all(a, e) < 0) {
        analysis_destroy(a);
        return NULL;
    }
    a->counts = *feed_count(a->feed);
    feed_destroy(a->feed);
    a->feed = NULL;
    if (from->damage(from->of))
        a->damage = xstrdup(from->damage(from->of));
    finish_interfaces(a, from);
    if (a->what_if)
        whatif_finish(a->what_if);
    if (a->nat_use)
        natuse_finish(a->nat_use);
    if (a->node && a->node->node.nat)
        nat_stats_get(a->node->node.nat, &a->nat);
    conclude_flows(a);
    return a;
}

void analysis_destroy(struct analysis *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->interfaces.n; i++)
        free((char *)a->interfaces.v[i].name);
    for (size_t i = 0; i < a->tunnels.n; i++)
        free(a->tunnels.v[i]);
    whatif_destroy(a->what_if);
    natuse_destroy(a->nat_use);
    vec_free(&a->interfaces);
    vec_free(&a->tunnels);
    block_free(a->flows.v, a->flows.cap * sizeof *a->flows.v);
    vec_free(&a->translated);
    vec_free(&a->findings);
    vec_free(&a->notes);
    vec_free(&a->verdicts);
    vec_free(&a->dhcp.leases);
    vec_free(&a->dhcp.sights);
    vec_free(&a->names[0]);
    vec_free(&a->names[1]);
    vec_free(&a->sessions);
    vec_free(&a->rtt_ns);
    feed_destroy(a->feed);
    marks_destroy(a->marks);
    free(a->damage);
    free(a);
}

bool analysis_interrupted(const struct analysis *a) {
    return a->interrupted;
}

bool analysis_partial(const struct analysis *a) {
    return a->interrupted || a->damage;
}

const struct inject_verdict *analysis_verdicts(const struct analysis *a, size_t *n) {
    *n = a->verdicts.n;
    return a->verdicts.v;
}
