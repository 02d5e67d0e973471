/* SPDX-License-Identifier: BSD-3-Clause */
#include "samples.h"
#include <fwdlab/base/clock.h>
#include <fwdlab/measure/histogram.h>
#include <fwdlab/measure/noise.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL 4            /* bursts of buffers that are used in turn: 32 KB */
#define LATENCY_MAX (SECOND_NS / 10) /* TSC cycles */
#define NS_PER_BURST 3200 /* 20 Mpps by the core's clock: no session ends meanwhile */

static uint64_t overhead, lost_limit; /* TSC cycles */
static struct burst pool[POOL];
static struct histogram latency;

/* The bursts of a sample; those that somebody else had the CPU in are left out. */
struct account {
    uint64_t cycles, packets;
};
static uint64_t kept_cycles, lost_cycles; /* of all accounts */

static inline void account_burst(struct account *a, uint64_t took) {
    if (took > lost_limit) {
        lost_cycles += took;
        return;
    }
    a->cycles += took;
    a->packets += WORKLOAD_BURST;
}

static double account_close(const struct account *a) {
    kept_cycles += a->cycles;
    return a->packets ? (double)a->cycles / (double)a->packets : 0;
}

uint64_t samples_net(uint64_t took) {
    return took < overhead ? 0 : took - overhead;
}

void samples_init(void) {
    if (histogram_init(&latency, LATENCY_MAX)) {
        fprintf(stderr, "core: no memory for the histogram\n");
        exit(2);
    }
    for (unsigned i = 0; i < POOL; i++)
        burst_init(&pool[i]);
    overhead = UINT64_MAX;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t from = clock_tsc(), took = clock_tsc() - from;
        overhead = took < overhead ? took : overhead;
    }
    lost_limit = (uint64_t)((double)clock_tsc_hz() * NOISE_LOST_NS / SECOND_NS);
}

void samples_fini(void) {
    histogram_fini(&latency);
}

double samples_lost(void) {
    return kept_cycles ? (double)lost_cycles / (double)(lost_cycles + kept_cycles) : 0;
}

/* ---- the core and the floor ---- */

/* Where in the trace the next sample begins: none finds what the one before has just read. */
static uint32_t next_sample(struct workload *w) {
    const uint32_t at = w->at;
    w->at = at + SAMPLE_PACKETS < w->o.packets ? at + SAMPLE_PACKETS : 0;
    return at;
}

static struct burst *buffers(uint32_t at) {
    return &pool[at / WORKLOAD_BURST % POOL];
}

double sample_core(struct workload *w) {
    struct account a = {0};
    const uint32_t from = next_sample(w);
    uint64_t last = clock_tsc();
    for (uint32_t at = from; at < from + SAMPLE_PACKETS; at += WORKLOAD_BURST) {
        struct burst *b = buffers(at);
        burst_fill(b, w, at, last);
        forward(&w->node, b->pkts, WORKLOAD_BURST, w->now);
        const uint64_t stamp = clock_tsc();
        struct histogram h = latency; /* in registers */
        for (unsigned k = 0; k < WORKLOAD_BURST; k++)
            histogram_record(&h, stamp - b->packets[k].tag);
        latency = h;
        account_burst(&a, stamp - last);
        last = stamp;
        w->now += NS_PER_BURST;
    }
    return account_close(&a);
}

static void burst_for_floor(const struct burst *b, struct floor_packet *p) {
    for (unsigned k = 0; k < WORKLOAD_BURST; k++)
        p[k] = (struct floor_packet){
            .data = b->packets[k].data, .len = (uint16_t)b->packets[k].len, .in_port = b->packets[k].in_port};
}

double sample_floor(struct workload *w, struct floor *f) {
    static struct floor_packet packets[POOL * WORKLOAD_BURST];
    struct account a = {0};
    const uint32_t from = next_sample(w);
    for (unsigned i = 0; i < POOL * WORKLOAD_BURST; i++)
        packets[i].data = pool[i / WORKLOAD_BURST].data[i % WORKLOAD_BURST];
    uint64_t last = clock_tsc();
    for (uint32_t at = from; at < from + SAMPLE_PACKETS; at += WORKLOAD_BURST) {
        const struct frame_about *about = w->about + at;
        floor_run_trace(f, packets + at % (POOL * WORKLOAD_BURST), w->trace + at, about, WORKLOAD_BURST, w->now);
        const uint64_t stamp = clock_tsc();
        struct histogram h = latency;
        for (unsigned k = 0; k < WORKLOAD_BURST; k++)
            histogram_record(&h, stamp - last + about[k].early);
        latency = h;
        account_burst(&a, stamp - last);
        last = stamp;
        w->now += NS_PER_BURST;
    }
    return account_close(&a);
}

double sample_core_alone(struct workload *w) {
    struct account a = {0};
    const uint32_t from = next_sample(w);
    for (uint32_t at = from; at < from + SAMPLE_PACKETS; at += WORKLOAD_BURST) {
        struct burst *b = buffers(at);
        burst_fill(b, w, at, 0);
        const uint64_t begin = clock_tsc();
        forward(&w->node, b->pkts, WORKLOAD_BURST, w->now);
        account_burst(&a, samples_net(clock_tsc() - begin));
        w->now += NS_PER_BURST;
    }
    return account_close(&a);
}

double sample_floor_alone(struct workload *w, struct floor *f) {
    struct floor_packet p[WORKLOAD_BURST];
    struct account a = {0};
    const uint32_t from = next_sample(w);
    for (uint32_t at = from; at < from + SAMPLE_PACKETS; at += WORKLOAD_BURST) {
        struct burst *b = buffers(at);
        burst_fill(b, w, at, 0);
        burst_for_floor(b, p);
        const uint64_t begin = clock_tsc();
        floor_run(f, p, WORKLOAD_BURST, w->now);
        account_burst(&a, samples_net(clock_tsc() - begin));
        w->now += NS_PER_BURST;
    }
    return account_close(&a);
}

void sample_stages(struct workload *w, double *each) {
    struct node *node = &w->node;
    struct account a[NODE_STAGES_MAX] = {0};
    const uint32_t from = next_sample(w);
    for (uint32_t at = from; at < from + SAMPLE_PACKETS; at += WORKLOAD_BURST) {
        struct burst *b = buffers(at);
        struct packet *live[WORKLOAD_BURST];
        unsigned left = WORKLOAD_BURST;
        burst_fill(b, w, at, 0);
        memcpy(live, b->pkts, sizeof live);
        uint64_t last = clock_tsc();
        for (unsigned i = 0; i < node->n_stages && left; i++) {
            left = node->stages[i].run(node, live, left, w->now);
            uint64_t stamp = clock_tsc();
            account_burst(&a[i], samples_net(stamp - last));
            last = stamp;
        }
        w->now += NS_PER_BURST;
    }
    for (unsigned i = 0; i < node->n_stages; i++)
        each[i] = account_close(&a[i]);
}

static _Noreturn void differ(uint32_t at, const struct packet *p, unsigned slow) {
    fprintf(stderr, "core: packet %u of the trace: core and floor differ (%u not for the floor, verdict %u %s)\n", at,
            slow, p->verdict, drop_name(p->reason));
    exit(1);
}

void samples_verify(struct workload *w, struct floor *f) {
    struct floor_packet alone[WORKLOAD_BURST], whole[WORKLOAD_BURST];
    for (uint32_t at = 0; at < w->o.packets; at += WORKLOAD_BURST) {
        for (unsigned i = 0; i < 3; i++)
            burst_fill(&pool[i], w, at, 0);
        burst_for_floor(&pool[1], alone);
        burst_for_floor(&pool[2], whole);
        memset(pool[2].data, 0xff, sizeof pool[2].data);
        forward(&w->node, pool[0].pkts, WORKLOAD_BURST, w->now);
        unsigned slow = floor_run(f, alone, WORKLOAD_BURST, w->now);
        slow += floor_run_trace(f, whole, w->trace + at, w->about + at, WORKLOAD_BURST, w->now);
        for (unsigned k = 0; k < WORKLOAD_BURST; k++) {
            const struct packet *p = &pool[0].packets[k];
            if (slow || p->verdict != VERDICT_FORWARD || p->out_port != alone[k].out_port ||
                p->out_port != whole[k].out_port || memcmp(p->data, alone[k].data, FRAME_ROOM) ||
                memcmp(p->data, whole[k].data, FRAME_ROOM))
                differ(at + k, p, slow);
        }
    }
}
