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
#include "observed.h"

#define STEP 4096 /* flows: how often the one who judges says how far he is */

struct observer {
    struct analysis *a;
    struct findings findings; /* a->findings as they were, and those that came */
    uint32_t paired;          /* flows whose pairs are proved, from the first one on */
    _Atomic uint32_t judged;  /* flows, from the first one on */
    pthread_t thread;
};

/* Who was idle longest is evicted first: the latest is still there. Beyond INT64_MAX: before the first packet. */
static void note_span(uint64_t *span_ns, const struct flow *f) {
    if (f->last > *span_ns && f->last <= INT64_MAX)
        *span_ns = f->last;
}

/* Pairs are few and soon known: only a flow of none that is proved so far has the flows behind it looked at. */
static void observe(struct observer *o, uint32_t flow) {
    struct analysis *a = o->a;
    struct flow *f = &a->flows.v[flow];
    for (; o->paired < a->flows.n && observe_wants_pairs(a, f); o->paired++)
        if (a->flows.v[o->paired].used)
            observe_pairs(a, &a->flows.v[o->paired]);
    observe_flow(a, &o->findings, f);
}

/* `alone`: nobody else looks at them. */
static void judge_all(struct analysis *a, struct observer *o, bool alone) {
    uint64_t span_ns = a->span_ns; /* not there: the other thread reads what is beside it */
    for (uint32_t i = 0; i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        if (i % STEP == 0)
            atomic_store_explicit(&o->judged, i, memory_order_release);
        if (!a->flows.v[i].used)
            continue;
        note_span(&span_ns, &a->flows.v[i]);
        if (a->flows.v[i].translated)
            vec_push(&a->translated, i);
        judge_flow(a, i);
        if (alone)
            observe(o, i);
    }
    a->span_ns = span_ns;
    atomic_store_explicit(&o->judged, (uint32_t)a->flows.n, memory_order_release);
    if (a->fabric)
        mend_findings(a);
}

static void *observe_all(void *arg) {
    struct observer *o = arg;
    struct analysis *a = o->a;
    uint32_t judged = 0;
    for (uint32_t i = 0; i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        while (i >= judged && (judged = atomic_load_explicit(&o->judged, memory_order_acquire)) <= i)
            sched_yield();
        if (a->flows.v[i].used)
            observe(o, i);
    }
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
    const bool beside = a->o.workers > 1 && !thread_start(&o.thread, observe_all, &o);
    judge_all(a, &o, !beside);
    if (beside)
        pthread_join(o.thread, NULL);
    merge(&a->findings, &o.findings, before);
    vec_free(&o.findings);
    for (uint32_t i = 0; (a->marks || a->o.record) && i < a->flows.n; i++) {
        flow_fetch_ahead(a, i);
        if (a->flows.v[i].used)
            flow_tell(a, i);
    }
}
