/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both verdicts of all flows, once all packets are read: the model's, with the mend of its findings; and what the
 * capture shows. With two workers the second is found in a thread of its own, behind the first: it needs of the model
 * the verdicts on flows alone, and files its findings apart until both are done. The result is the same.
 */
#include <sched.h>
#include <stdatomic.h>
#include <fwdlab/base/thread.h>
#include "analyze.h"

#define STEP 4096 /* flows: how often the one who judges says how far he is */

struct observer {
    struct analysis *a;
    struct findings findings; /* a->findings as they were, and those that came */
    _Atomic uint32_t judged;  /* flows, from the first one on */
    pthread_t thread;
};

/* Who was idle longest is evicted first: the latest is still there. Beyond INT64_MAX: before the first packet. */
static void note_span(struct analysis *a, const struct flow *f) {
    if (f->last > a->span_ns && f->last <= INT64_MAX)
        a->span_ns = f->last;
}

static void see(struct analysis *a, const struct flow *f) {
    note_span(a, f);
    observe_pairs(a, f);
}

/* `alone`: nobody else looks at them. */
static void judge_all(struct analysis *a, struct observer *o, bool alone) {
    for (uint32_t i = 0; i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        if (a->flows.v[i].used && alone)
            see(a, &a->flows.v[i]);
        if (a->flows.v[i].used)
            judge_flow(a, i);
        if (i % STEP == 0)
            atomic_store_explicit(&o->judged, i, memory_order_release);
    }
    atomic_store_explicit(&o->judged, (uint32_t)a->flows.n, memory_order_release);
    if (a->fabric)
        mend_findings(a);
}

static void observe_all(struct observer *o) {
    struct analysis *a = o->a;
    uint32_t judged = 0;
    for (uint32_t i = 0; i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        while (i >= judged && (judged = atomic_load_explicit(&o->judged, memory_order_acquire)) <= i)
            sched_yield();
        if (a->flows.v[i].used)
            observe_flow(a, &o->findings, &a->flows.v[i]);
    }
}

static void *run(void *arg) {
    struct observer *o = arg;
    struct analysis *a = o->a;
    for (uint32_t i = 0; i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        if (a->flows.v[i].used)
            see(a, &a->flows.v[i]);
    }
    observe_all(o);
    return NULL;
}

/* What was there before keeps its number, and so does what the model found. */
static void merge(struct findings *all, const struct findings *observed, size_t before) {
    for (size_t i = 0; i < observed->n; i++)
        if (i >= before)
            vec_push(all, observed->v[i]);
        else if (observed->v[i].observed)
            all->v[i] = observed->v[i];
}

void conclude_flows(struct analysis *a) {
    struct observer o = {.a = a};
    const size_t before = a->findings.n;
    for (size_t i = 0; i < before; i++)
        vec_push(&o.findings, a->findings.v[i]);
    const bool beside = a->o.workers > 1 && !thread_start(&o.thread, run, &o);
    judge_all(a, &o, !beside);
    if (beside)
        pthread_join(o.thread, NULL);
    else
        observe_all(&o);
    merge(&a->findings, &o.findings, before);
    vec_free(&o.findings);
    for (uint32_t i = 0; (a->marks || a->o.record) && i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        if (a->flows.v[i].used)
            flow_tell(a, i);
    }
}
