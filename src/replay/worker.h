/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers of a trial: generators that send, the core worker that forwards, the sink that counts (on the first
 * generator's thread). Each writes its own account; they share what stands in struct trial, and meet in its atomics.
 */
#ifndef FWDLAB_SRC_REPLAY_WORKER_H
#define FWDLAB_SRC_REPLAY_WORKER_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/replay/trial.h>
#include "feed.h"
#include "lap.h"
#include "link.h"
#include "notes.h"

#define GENERATOR_READY 64 /* packets that are written before they are due; a power of 2 */
#define GENERATOR_BULK 32  /* that are sent at once */

/* Ticks of the time-stamp counter and nanoseconds, both ways, in 2^-32. */
struct timebase {
    uint64_t ns_a_tick, ticks_a_ns;
};
static inline uint64_t to_ns(const struct timebase *t, uint64_t ticks) {
    return (uint64_t)(((unsigned __int128)ticks * t->ns_a_tick) >> 32);
}
static inline uint64_t to_ticks(const struct timebase *t, uint64_t ns) {
    return (uint64_t)(((unsigned __int128)ns * t->ticks_a_ns) >> 32);
}

/* Time that a worker's loop lost: feed it the TSC once a turn. */
struct turns {
    uint64_t first, last, lost, limit; /* ticks */
};
static inline void turns_begin(struct turns *t, uint64_t now, uint64_t limit) {
    *t = (struct turns){.first = now, .last = now, .limit = limit};
}
static inline void turns_next(struct turns *t, uint64_t now) {
    if (__builtin_expect(now - t->last > t->limit, 0))
        t->lost += now - t->last;
    t->last = now;
}

/* First and last of something, TSC. */
struct span {
    uint64_t first, last; /* first: UINT64_MAX, nothing yet */
};
static inline void span_add(struct span *s, uint64_t from, uint64_t to) {
    s->first = from < s->first ? from : s->first;
    s->last = to > s->last ? to : s->last;
}

struct trial {
    const struct trial_options *o;
    const struct topology *topology;
    struct timebase time;
    struct feed feed;
    const volatile bool *stop;
    bool paced;             /* there are intended times */
    bool crowded;           /* workers share a CPU: those that have nothing to do give it away */
    uint64_t limit_ns;      /* sending time; 0: one lap, or to the stream's end */
    uint64_t patience_ns;   /* after that a generator that can't send so fast gives up */
    uint64_t lost_limit;    /* ticks */
    uint64_t idle_limit;    /* ticks */
    _Atomic unsigned ready; /* workers that wait for the start */
    _Atomic uint64_t start; /* TSC; 0: not yet, UINT64_MAX: it was called off */
    _Atomic unsigned sending; /* generators at work */
    _Atomic bool finished;  /* nothing will come any more */
};
/* True: now. False: the trial was called off. */
bool trial_wait(struct trial *t);
/*
 * For a worker that has had nothing to do for so many ticks. After some time it may be that who should send or start has
 * no CPU, because another program's real-time threads wait in the same way as we do: then one of the two has to yield.
 */
static inline void trial_idle(const struct trial *t, uint64_t ticks) {
    if (t->crowded || ticks > t->idle_limit)
        sched_yield();
    else
        __builtin_ia32_pause();
}

/* The packet of a step, into `data` of LINK_ROOM bytes, its tag what it waits for; of the probe what the step says. */
static inline void carrier_write(struct carrier *c, uint8_t *data, const struct traffic *t,
                                 const struct traffic_step *step) {
    const struct traffic_packet *from = &t->packets[step->packet];
    struct packet *p = &c->packet;
    traffic_write(t, step, data);
    p->data = data;
    p->len = from->len;
    p->wire_len = from->wire_len;
    p->room = (uint16_t)(LINK_ROOM - from->len);
    p->l3 = from->l3;
    p->l4 = from->l4;
    p->flags = from->flags;
    p->in_port = from->in_port;
    p->family = from->family;
    p->proto = from->proto;
    p->tag = from->after;
    c->probe.step = *step;
    c->probe.from_initiator = from->from_initiator;
    c->probe.answer = from->answer;
}

struct generator {
    struct trial *trial;
    unsigned id;
    struct link *link;
    struct reader reader;
    struct schedule schedule;
    uint64_t origin;                  /* trace time of the trial's first packet */
    unsigned head, count, n_fresh;
    struct rte_mbuf *ready[GENERATOR_READY]; /* NULL: no buffer was free */
    uint64_t due[GENERATOR_READY];    /* intended times, TSC */
    uint32_t bytes[GENERATOR_READY];  /* on the wire */
    struct rte_mbuf *fresh[GENERATOR_BULK];
    uint32_t sequence;
    uint64_t last_due, last_sent;     /* of the latest packet sent; 0: none */
    bool ended, abandoned;
    /* its account */
    uint64_t intended, sent, pushed_back, wire_bytes;
    struct span due_span, sent_span;
    struct turns turns;
    struct histogram slip, gap_error;
};
struct sink;
/* Until everything that is due was sent; polls the sink (NULL: none) in between. */
void generator_run(struct generator *g, struct sink *sink);

/* The latest packet of a flow's direction. */
struct track {
    uint32_t sequence;   /* 0: none */
    uint32_t latency_ns; /* 4.29 s at most */
};
struct sink {
    struct trial *trial;
    struct link *link;
    struct track *tracks; /* 2 for each slot */
    uint64_t received, reordered;
    struct span span;
    struct histogram latency, ipdv;
    struct notes *notes;  /* NULL: off */
};
/* Takes what has arrived, at most GENERATOR_BULK packets. How many? */
unsigned sink_poll(struct sink *s, unsigned n);

/*
 * Packets that the node holds (VERDICT_HELD): their probes, found again by the tag that each packet has from the core
 * worker. The carriers are not kept.
 */
struct held {
    uint64_t last_tag;
    unsigned n;
    struct {
        uint64_t tag;
        struct probe probe;
    } packets[NAT_HELD_MAX];
};

struct core {
    struct trial *trial;
    struct trial_device *device;
    struct link *in[TRIAL_GENERATORS_MAX], *out; /* out NULL: forwarded packets end here */
    struct shard *shard;     /* instead of `in`; NULL: it has all to itself */
    struct rte_mempool *pool;
    unsigned n_in, burst;
    uint64_t forwarded, delivered, drops[DROP_COUNT], unmatched, passes;
    struct ticks *ticks;     /* NULL: stages are not timed */
    struct notes *notes;     /* NULL: off */
    struct span delivered_span;
    struct turns turns;
    struct histogram latency; /* of delivered packets */
    struct held held;
    _Alignas(64) _Atomic uint64_t received, passed_on; /* packets so far, for those who wait for the end */
};
/* Before the first packet: what the node held for others is forgotten. */
void core_begin(struct core *c);
/* Until trial.finished. */
void core_run(struct core *c);
/*
 * Passes packets that arrived together through the node, in as many bursts as the core's contract asks for. Forwarded
 * ones go to the outward link, all others back to the pool.
 */
void core_pass(struct core *c, struct carrier **carriers, unsigned n);

#endif
