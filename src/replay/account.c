/* SPDX-License-Identifier: BSD-3-Clause */
/* What a trial's workers counted, put together and judged. */
#include <errno.h>
#include <stdio.h>
#include "run.h"

#define LATE_LIMIT_NS 10000ull
#define STOOD_STILL_NS 10000000ull
#define LOST_LIMIT 0.001

static double rate(uint64_t n, uint64_t ns) {
    return n > 1 && ns ? (double)(n - 1) * SECOND_NS / (double)ns : 0;
}

static uint64_t span_ns(const struct run *r, const struct span *s) {
    return s->last > s->first ? to_ns(&r->trial.time, s->last - s->first) : 0;
}

static void add_generators(struct run *r, struct trial_result *out) {
    struct span due = {.first = UINT64_MAX}, sent = due;
    for (unsigned i = 0; i < r->trial.topology->generators; i++) {
        const struct generator *g = &r->generators[i];
        out->intended += g->intended;
        out->sent += g->sent;
        out->pushed_back += g->pushed_back;
        out->bytes += g->wire_bytes;
        span_add(&due, g->due_span.first, g->due_span.last);
        span_add(&sent, g->sent_span.first, g->sent_span.last);
    }
    out->intended_ns = span_ns(r, &due);
    out->sent_ns = span_ns(r, &sent);
    out->offered_pps = rate(out->intended, out->intended_ns);
    out->sent_pps = rate(out->sent, out->sent_ns);
}

static void add_core(const struct core *c, struct trial_result *out) {
    for (unsigned i = 0; i < DROP_COUNT; i++)
        out->drops[i] += c->drops[i];
    out->forwarded += c->forwarded;
    out->delivered += c->delivered;
    out->held += c->held.n;
    out->answers_unmatched += c->unmatched;
}

static void add_cores_and_sink(struct run *r, const struct trial_device *d, struct trial_result *out) {
    struct span received = r->sink.span;
    uint64_t drops = 0, unexpected = 0, passes = 0;
    for (unsigned w = 0; w < r->n_cores; w++) {
        add_core(&r->cores[w], out);
        passes += r->cores[w].passes;
        span_add(&received, r->cores[w].delivered_span.first, r->cores[w].delivered_span.last);
    }
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        drops += out->drops[i];
        unexpected += d->expected[i] ? 0 : out->drops[i];
    }
    out->received = r->sink.received + out->delivered;
    out->reordered = r->sink.reordered;
    out->packets_a_burst = passes ? (double)(out->forwarded + out->delivered + drops) / (double)passes : 0;
    out->received_ns = span_ns(r, &received);
    out->received_pps = rate(out->received, out->received_ns);
    const uint64_t known = out->received + drops + out->held, vanished = out->sent > known ? out->sent - known : 0;
    out->lost = out->pushed_back + unexpected + (r->trial.topology->out ? vanished : 0);
    out->loss_ratio = out->intended ? (double)out->lost / (double)out->intended : 0;
}

static void add_stages(const struct run *r, const struct trial_device *d, struct trial_result *out) {
    const uint64_t overhead = r->trial.o->stages ? lap_overhead() : 0;
    if (!r->trial.o->stages)
        return;
    out->n_stages = d->node->n_stages;
    for (unsigned k = 0; k < out->n_stages * r->n_cores; k++) {
        const unsigned i = k % out->n_stages;
        const struct ticks *t = &r->ticks[k / out->n_stages];
        const double net = (double)t->stage[i] - (double)overhead * (double)t->calls[i];
        out->stages[i].name = d->node->stages[i].name;
        out->stages[i].cycles += net > 0 ? net : 0;
        out->stages[i].packets += t->packets[i];
        out->stages[i].drops += t->drops[i];
    }
}

static void move(struct histogram *to, struct histogram *from) {
    *to = *from;
    *from = (struct histogram){0};
}

/* Within a bucket of the latencies, exact enough: 1/1024 of the latency. */
static int delay_variation(struct trial_result *out, struct err *e) {
    const struct histogram *h = &out->latency;
    if (histogram_init(&out->pdv, h->limit))
        return err_set(e, -ENOMEM, "no memory for a trial's histograms");
    for (uint32_t i = 0; i < h->n; i++)
        if (h->bucket[i]) {
            uint64_t low = histogram_bucket_low(h, i);
            histogram_record_n(&out->pdv, low > h->min ? low - h->min : 0, h->bucket[i]);
        }
    return 0;
}

static int add_distributions(struct run *r, struct trial_result *out, struct err *e) {
    if (!r->trial.paced)
        return 0;
    for (unsigned i = 1; i < r->trial.topology->generators; i++) {
        histogram_merge(&r->generators[0].slip, &r->generators[i].slip);
        histogram_merge(&r->generators[0].gap_error, &r->generators[i].gap_error);
    }
    move(&out->slip, &r->generators[0].slip);
    move(&out->gap_error, &r->generators[0].gap_error);
    if (!r->trial.topology->out)
        return 0;
    for (unsigned w = 0; w < r->n_cores; w++)
        histogram_merge(&r->sink.latency, &r->cores[w].latency);
    move(&out->latency, &r->sink.latency);
    move(&out->ipdv, &r->sink.ipdv);
    return delay_variation(out, e);
}

static void add_worker(const struct run *r, const struct turns *t, struct trial_result *out) {
    struct trial_worker *w = &out->workers[out->n_workers++];
    w->run_ns = to_ns(&r->trial.time, t->last - t->first);
    w->lost_ns = to_ns(&r->trial.time, t->lost);
    out->lost_time_ns = w->lost_ns > out->lost_time_ns ? w->lost_ns : out->lost_time_ns;
}

static void add_workers(const struct run *r, struct trial_result *out) {
    const unsigned n = r->trial.topology->generators;
    for (unsigned i = 0; i < n; i++) {
        snprintf(out->workers[i].name, sizeof out->workers[i].name, "generator %u", i);
        add_worker(r, &r->generators[i].turns, out);
    }
    if (!r->trial.topology->out)
        return;
    for (unsigned w = 0; w < r->n_cores; w++) {
        char *name = out->workers[n + w].name;
        snprintf(name, sizeof out->workers->name, r->n_cores == 1 ? "core" : "core %u", w);
        add_worker(r, &r->cores[w].turns, out);
    }
}

/* Late, by its own account: one percent of the packets, or all of them for a while. */
static void judge_generators(const struct run *r, struct trial_result *out) {
    const uint64_t limit = r->trial.o->late_limit_ns ? r->trial.o->late_limit_ns : LATE_LIMIT_NS;
    const uint64_t p99 = out->slip.count ? histogram_quantile(&out->slip, 0.99) : 0;
    bool abandoned = false;
    for (unsigned i = 0; i < r->trial.topology->generators; i++)
        abandoned |= r->generators[i].abandoned && r->trial.paced;
    out->late = abandoned || p99 > limit || out->slip.max > STOOD_STILL_NS;
    if (abandoned)
        snprintf(out->why, sizeof out->why, "the generator cannot send so fast: %.0f of %.0f packets a second",
                 out->sent_pps, out->offered_pps);
    else if (p99 > limit)
        snprintf(out->why, sizeof out->why, "the generator was late: 1 %% of the packets by %.1f us and more",
                 (double)p99 / 1e3);
    else if (out->late)
        snprintf(out->why, sizeof out->why, "the generator stood still for %.1f ms", (double)out->slip.max / 1e6);
}

static void judge_machine(const struct run *r, struct trial_result *out) {
    const double limit = r->trial.o->lost_limit > 0 ? r->trial.o->lost_limit : LOST_LIMIT;
    for (unsigned i = 0; i < out->n_workers && !out->noisy; i++) {
        const struct trial_worker *w = &out->workers[i];
        const double share = w->run_ns ? (double)w->lost_ns / (double)w->run_ns : 0;
        out->noisy = share > limit;
        if (out->noisy && !out->late)
            snprintf(out->why, sizeof out->why, "%s lost %.2f %% of its time to the machine", w->name, share * 100);
    }
}

static void go_on(const struct run *r, struct trial_device *d) {
    uint64_t last = d->lap;
    for (unsigned i = 0; i < r->trial.topology->generators; i++)
        last = r->generators[i].reader.lap > last ? r->generators[i].reader.lap : last;
    d->lap = last + 1;
    for (unsigned w = 0; w < r->n_cores; w++)
        d->now = r->devices[w].now > d->now ? r->devices[w].now : d->now;
}

int account(struct run *r, struct trial_device *d, struct trial_result *out, struct err *e) {
    go_on(r, d);
    add_generators(r, out);
    add_cores_and_sink(r, d, out);
    add_stages(r, d, out);
    int rc = add_distributions(r, out, e);
    add_workers(r, out);
    judge_generators(r, out);
    judge_machine(r, out);
    out->fifo = r->fifo;
    if (r->notes)
        notes_collect(&r->notes[0], &r->notes[1], out);
    if (rc)
        trial_result_fini(out);
    return rc;
}

void trial_result_fini(struct trial_result *r) {
    histogram_fini(&r->latency);
    histogram_fini(&r->slip);
    histogram_fini(&r->gap_error);
    histogram_fini(&r->pdv);
    histogram_fini(&r->ipdv);
    *r = (struct trial_result){0};
}
