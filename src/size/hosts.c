/* SPDX-License-Identifier: BSD-3-Clause */
/* How many hosts of a kind carry the load, and which of their limits decides. */
#include <string.h>
#include "model.h"

#define L1_BYTES 20 /* of each frame: preamble, start of frame, gap */

const char *const limit_names[LIMITS] = {[LIMIT_CPU] = "cpu", [LIMIT_NIC] = "nic", [LIMIT_PACKETS] = "packet rate",
                                         [LIMIT_LATENCY] = "latency", [LIMIT_MEMORY] = "memory"};

/* One host's part of a load on `count` of them. */
struct part {
    double x[SIZE_VARIABLES], pps, memory;
    double capacity;        /* of its cores, pps */
    double rates[LIMITS];   /* what each limit lets through, pps; capacities whole, without headroom */
};

static double workers(const struct sizing *s, const struct size_host *h) {
    double free = fmax(0, h->cores - s->q->system_cores), asked = s->q->x[SIZE_WORKERS];
    return isnan(asked) ? free : fmin(free, asked);
}

/* p99 on a host whose packets take longer than the measured ones is stretched by that much; on a faster one it stays as
 * measured. */
static double stretch(const struct sizing *s, double workers, double capacity) {
    double here = workers / capacity, there = s->curve->x[SIZE_WORKERS] / s->curve->ndr;
    return fmax(1, here / there);
}

/* `dearer`: factor on the model's cost; `overhead`: cycles. */
static void share_out(const struct sizing *s, const struct size_host *h, double rate, double sessions, unsigned count,
                      double dearer, double overhead, struct part *p) {
    double w = workers(s, h);
    memcpy(p->x, s->q->x, sizeof p->x);
    p->x[SIZE_SESSIONS] = fmax(1, sessions / count);
    p->x[SIZE_WORKERS] = fmax(1, w);
    p->pps = rate / count;
    p->memory = SIZE_MEMORY_SYSTEM + SIZE_MEMORY_ROUTE * p->x[SIZE_ROUTES] +
                (p->x[SIZE_NAT] > 0 ? SIZE_MEMORY_SESSION * p->x[SIZE_SESSIONS] : 0);
    p->capacity = w * h->clock_ghz * 1e9 / fmax(1, dearer * model_value(s->model, p->x) + overhead);
    p->rates[LIMIT_CPU] = p->capacity;
    p->rates[LIMIT_NIC] = h->nic_gbps * 1e9 / 8 / (p->x[SIZE_BYTES] + L1_BYTES);
    p->rates[LIMIT_PACKETS] = h->nic_mpps * 1e6;
    p->rates[LIMIT_LATENCY] = INFINITY;
    if (s->q->p99_ns > 0 && p->capacity > 0)
        p->rates[LIMIT_LATENCY] = p->capacity * curve_load(s->curve, s->q->p99_ns / stretch(s, w, p->capacity));
    p->rates[LIMIT_MEMORY] = p->memory <= h->memory_gb * 1e9 ? INFINITY : 0;
}

/* What a limit leaves for packets: headroom is kept of capacities; the others are kept as they are. */
static double usable(const struct sizing *s, const struct part *p, enum limit l) {
    return p->rates[l] * (l <= LIMIT_PACKETS ? 1 - s->q->headroom : 1);
}

/* How much of the limit is used, 1: all of it. */
static double used(const struct sizing *s, const struct size_host *h, const struct part *p, enum limit l) {
    if (l == LIMIT_MEMORY)
        return p->memory / (h->memory_gb * 1e9);
    return p->pps / usable(s, p, l); /* INFINITY when nothing may pass */
}

static enum limit tightest(const struct sizing *s, const struct size_host *h, const struct part *p) {
    enum limit most = LIMIT_CPU;
    for (enum limit l = LIMIT_NIC; l < LIMITS; l++)
        if (used(s, h, p, l) > used(s, h, p, most))
            most = l;
    return most;
}

static bool fits(const struct sizing *s, const struct size_host *h, const struct part *p) {
    return used(s, h, p, tightest(s, h, p)) <= 1 + 1e-9;
}

/* The least count that fits; 0: none does. More hosts never make it worse. */
static unsigned count_needed(const struct sizing *s, const struct size_host *h, double dearer, double overhead) {
    struct part p;
    unsigned low = 0, high = SIZE_COUNT_MAX;
    share_out(s, h, s->q->rate_pps, s->q->x[SIZE_SESSIONS], high, dearer, overhead, &p);
    if (!fits(s, h, &p))
        return 0;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        share_out(s, h, s->q->rate_pps, s->q->x[SIZE_SESSIONS], middle, dearer, overhead, &p);
        if (fits(s, h, &p))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static double least_rate(const struct sizing *s, const struct part *p) {
    double least = INFINITY;
    for (enum limit l = LIMIT_CPU; l < LIMIT_MEMORY; l++)
        least = fmin(least, usable(s, p, l));
    return least;
}

void host_answer(const struct sizing *s, const struct size_host *h, struct answer *out) {
    const struct fit_value *o = &s->model->overhead;
    double rate = s->q->rate_pps, sessions = s->q->x[SIZE_SESSIONS], whole = INFINITY;
    struct part p, cheap, dear;
    *out = (struct answer){.host = h, .workers = workers(s, h), .p99_ns = NAN};
    out->count = count_needed(s, h, 1, o->value);
    unsigned n = out->count ? out->count : SIZE_COUNT_MAX;
    share_out(s, h, rate, sessions, n, 1, o->value, &p);
    struct fit_value cost = model_at(s->model, p.x);
    double less = cost.value > 0 ? cost.low / cost.value : 1, more = cost.value > 0 ? cost.high / cost.value : 1;
    out->least = count_needed(s, h, less, o->low);
    out->most = count_needed(s, h, more, o->high);
    share_out(s, h, rate, sessions, n, less, o->low, &cheap);
    share_out(s, h, rate, sessions, n, more, o->high, &dear);
    out->pps = (struct fit_value){least_rate(s, &p), least_rate(s, &dear), least_rate(s, &cheap)};
    for (enum limit l = LIMIT_CPU; l <= LIMIT_PACKETS; l++)
        whole = fmin(whole, p.rates[l]);
    out->capacity = p.capacity;
    out->load = p.capacity > 0 ? p.pps / p.capacity : INFINITY;
    out->headroom = whole > 0 ? fmax(0, 1 - p.pps / whole) : 0;
    out->limit = tightest(s, h, &p);
    out->memory = p.memory;
    memcpy(out->x, p.x, sizeof out->x);
    if (s->curve && p.capacity > 0)
        out->p99_ns = curve_p99(s->curve, out->load) * stretch(s, out->workers, p.capacity);
}

double host_guests(const struct sizing *s, const struct size_host *h, enum limit *limit) {
    double low = 0, high = 1e7; /* low fits */
    struct part p;
    while (high - low > 1) {
        double guests = floor((low + high) / 2), share = guests / s->q->guests;
        share_out(s, h, share * s->q->rate_pps, share * s->q->x[SIZE_SESSIONS], 1, 1, s->model->overhead.value, &p);
        if (fits(s, h, &p)) {
            low = guests;
        } else {
            high = guests;
            *limit = tightest(s, h, &p);
        }
    }
    return low;
}
