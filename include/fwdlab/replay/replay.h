/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A preloaded trace through a DPDK worker into the core, at pace `max`: what each packet costs, stage by stage. Several
 * configurations run interleaved (A B B A ...) in one process, lap by lap, so that their costs can be compared in
 * pairs. Where tables and packets happen to lie in memory makes equal configurations differ by 1 to 2 % for as long as
 * they lie there; so a run has epochs: in each the tables are made and the packets are placed anew, in turning order,
 * and intervals are taken over epochs. Verdicts come from a lap of their own, with the core's clock at trace time (in
 * whole ticks, so that they do not depend on the burst): they are those of analyze, packet by packet.
 */
#ifndef FWDLAB_REPLAY_REPLAY_H
#define FWDLAB_REPLAY_REPLAY_H

#include <fwdlab/inject/inject.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/measure/stats.h>

struct replay_configuration {
    /* in: all borrowed */
    const char *name;
    struct node *node;          /* the node under test; it is reset before every lap that starts anew */
    const struct inject *cost;  /* the trace that is timed */
    const struct inject *own;   /* the trace whose verdicts are taken; may be the same */
    /* out */
    uint64_t delivered, forwarded, drops[DROP_COUNT]; /* of the verdict lap */
    uint64_t errors[DROP_COUNT], fragmented; /* of it: ICMP errors made, by reason; packets that left in pieces */
    uint64_t held;              /* of it: fragments that still wait for their first one */
    uint64_t answers_rewritten, answers_unmatched;
    uint64_t cut;               /* packets over 2048 captured bytes: the core got their first 2048 */
    struct inject_verdict *verdicts; /* one for each ARRIVED packet of `own`, in order */
    size_t n_verdicts;
    double *cycles;             /* TSC cycles a packet of the whole core, one sample a timed lap */
    size_t n_cycles;
    size_t *epochs;             /* how many of the samples belong to each epoch, in order; their sum is n_cycles */
    unsigned n_epochs;
    struct {
        const char *name;
        double cycles;          /* median of samples; a packet that entered the core, not the stage */
        double *samples;        /* n_cycles of them */
        uint64_t packets, drops; /* that entered the stage, and ended there: of one lap over `cost`, NAT tables fresh */
    } stages[NODE_STAGES_MAX];
    unsigned n_stages;
    uint64_t bytes;             /* on the wire, of one lap's injected packets */
    uint64_t injected;          /* packets of one timed lap */
};

struct replay_options {
    unsigned laps;      /* timed laps of each configuration; 0: as many as `seconds` allow, 20 at least */
    double seconds;     /* 0: 10, for all configurations together */
    unsigned burst;     /* 1..BURST_MAX; 0: 64 */
    unsigned cpu;       /* the worker's */
    unsigned epochs;    /* 0: 16, but fewer (and under 5: one) when there are few laps */
    /* Before each epoch but the first: gives every c[i] a new node in place of the old one, made in their order or
     * backwards, so that the same places fall to them in turn. NULL: the nodes stay where they are. 0 or -errno. */
    int (*renew)(struct replay_configuration *c, unsigned n, bool backwards, void *arg, struct err *e);
    void *renew_arg;
};

struct replay_result {
    struct noise noise; /* an idle window before the run */
    uint64_t run_ns;    /* in the timed stages of all samples */
    uint64_t lost_ns;   /* of it, in calls of over NOISE_LOST_NS: time that the machine took away; in no sample */
    unsigned laps;      /* samples of each configuration */
    uint64_t overhead_cycles; /* of timing itself, a stage and burst: already taken off */
};

/*
 * Call it on the thread that started EAL; it is moved to options.cpu meanwhile. Clears no outputs: c[] comes zeroed but
 * for its inputs. NAT sessions live on from timed lap to timed lap. -EINVAL: burst, thread, CPU; -ENODATA: nothing
 * arrives at the node (names the configuration); -ENOMEM.
 */
int replay_run(struct replay_configuration *c, unsigned n, const struct replay_options *o, struct replay_result *out,
               struct err *e);
/* Frees what replay_run allocated. */
void replay_configuration_fini(struct replay_configuration *c);

#endif
