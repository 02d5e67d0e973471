/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A benchmark: several configurations on one machine, in one process, trial by trial in turn (A B B A ...), so that
 * what the machine does to one it does to all of them. In this order:
 *
 *     cost         in memory, laps of the configuration's traffic on one CPU (bench_cost, before the trials)
 *     warm-up      one trial each at the generator's full rate; tells what it can send, and is thrown away
 *     search       NDR, PDR or other goals (measure/search.h): one trial of each configuration in turn
 *     mrr          short trials at the generator's full rate: paired, for ratios between configurations
 *     load         latency and cost by stage at no load and at 10, 50 and 90 % of PDR
 *     back-to-back RFC 9004
 *     NAT rates    RFC 9693 (bench_nat, after the trials)
 *
 * A trial that the machine disturbed (it took too much time away, or made the generator late) is repeated,
 * BENCH_REPEATS times at most, and counted. A load that the generator did not offer is no evidence, however noisy the
 * machine: it was late and never caught up, and the search does not go there again.
 */
#ifndef FWDLAB_REPLAY_BENCH_H
#define FWDLAB_REPLAY_BENCH_H

#include <jansson.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/search.h>
#include <fwdlab/replay/trial.h>

#define BENCH_REPEATS 3
#define BENCH_LOADS 4
#define BENCH_TOLERANCE 0.02 /* what counts as no difference when configurations are compared */
extern const unsigned bench_shares[BENCH_LOADS]; /* 0, 10, 50, 90 per cent of PDR; 0: 1000 packets a second */

struct bench_samples {
    double *v; /* as VEC(double) */
    size_t n, cap;
};

struct bench_cost {
    struct bench_samples cycles; /* TSC cycles a packet of the whole core, stamps taken off; one sample about 5 ms */
    struct {
        const char *name;
        struct bench_samples cycles;
        uint64_t packets, drops; /* that entered the stage, and ended there: of one lap */
    } stages[NODE_STAGES_MAX];
    unsigned n_stages;
    double bytes;         /* a packet, L2 with FCS */
    uint64_t run_ns, lost_ns;
};

struct bench_nat {
    double setup_low, setup_high; /* new sessions a second: fastest without loss, slowest with; 0, INFINITY: unknown */
    double teardown;              /* ended sessions a second that the core frees */
    uint64_t capacity;            /* sessions when the first new one was refused; of `offered` at most */
    uint64_t offered;
    bool full;                    /* one was refused */
};

struct bench_configuration {
    /* in, borrowed */
    const char *name;
    struct node *node;
    const struct traffic *traffic;
    const struct traffic *firsts; /* first packets of flows alone, all new in each lap; NULL: no NAT rates */
    uint64_t epoch_ns;            /* of the capture, for the packets that are saved */
    const char *file;             /* the name in names of files */
    /*
     * One trial on the device. bench_device_trial, or a pretended device in tests: everything but costs and NAT rates
     * knows the device through it alone.
     */
    int (*trial)(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stop,
                 struct trial_result *out, struct err *e);
    const struct topology *topology;
    void *pretended;
    double rest_s;                /* after each trial */
    unsigned workers;             /* core workers in trials; 0: 1. Costs and NAT rates are one worker's, the former's of
                                     what is its own of the traffic */
    /* between trials */
    struct trial_device device;
    struct search *search;
    double generator_pps;         /* what the generator can send; 0: not known yet */
    /* out */
    struct bench_cost cost;
    struct search_bounds bounds[SEARCH_GOALS_MAX];
    bool limited;                 /* the generator was too slow for an upper bound */
    struct bench_samples mrr;            /* received packets a second */
    json_t *trials;               /* array, in order */
    uint64_t total, repeated, invalid, kept; /* trials: all; disturbed and repeated; late; of the search */
    uint64_t doubtful;            /* of those kept: late or noisy even so */
    double seconds;               /* of trials */
    json_t *load;                 /* object */
    char *hgrm[BENCH_LOADS];      /* latency in HdrHistogram's percentile format, us; NULL: not measured */
    struct bench_samples bursts;         /* back-to-back: packets of the longest burst without loss, a test each */
    double burst_pps;             /* at this rate */
    bool bursts_endless;          /* no burst was long enough to lose anything */
    struct bench_nat nat;
    bool has_nat;
};

struct bench_options {
    struct search_goal goals[SEARCH_GOALS_MAX];
    unsigned n_goals;
    double max_pps;               /* no trial offers more; 0: no limit */
    double max_total_s;           /* of each search's trials; 0: no limit */
    struct trial_options trial;   /* burst, CPUs, SCHED_FIFO; seconds of a load's trial */
    double cost_s;                /* of in-memory laps, all configurations together */
    unsigned mrr;                 /* trials of each configuration; 0: none */
    double mrr_s;                 /* seconds of each */
    bool loads, nat;
    unsigned burst_tests;         /* back-to-back: tests of each; 0: none */
    const char *capture;          /* folder for dropped and slowest packets of each load; NULL: none */
    const volatile bool *stop;    /* Ctrl-C */
};

struct bench_result {
    bool partial;   /* stopped before the end */
    bool valid;     /* every configuration has an answer that rests on valid trials in its larger part */
};

/*
 * Adds n made-up prefixes (base/prefixes.h; the same ones each time) to the node's main table, with the next hop of its
 * default route; none overlaps what the table routes otherwise. -ENOENT: no IPv4 default route; -ENOSPC.
 */
int bench_add_routes(struct node *node, uint32_t n, struct err *e);
/* Everything but cost and NAT rates. 0 also when stopped with something measured; -EINTR before that. */
int bench_trials(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct bench_result *out,
                 struct err *e);
/* Sessions made, expected drops learnt, clock at the start: as before the first trial. Errors: trial_prepare's and
 * crew_create's. */
int bench_prepare(struct bench_configuration *c, struct err *e);
/* On the calling thread, moved to options.trial.core_cpu meanwhile. -EINTR when stopped before any sample. */
int bench_costs(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct err *e);
/* RFC 9693, one configuration after the other; those without NAT or `firsts` are left out. */
int bench_nat_rates(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct err *e);
/* trial_run on the topology, and the rest. */
int bench_device_trial(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stop,
                       struct trial_result *out, struct err *e);
void bench_configuration_fini(struct bench_configuration *c);

/* Which of n configurations has its k-th turn in a round: forwards and backwards, A B B A. */
static inline unsigned bench_turn(unsigned round, unsigned k, unsigned n) {
    return round % 2 ? n - 1 - k : k;
}

/*
 * The longest burst (1..max packets) of which nothing is lost, by doubling and halving to within 1 % (RFC 9004). `lost`
 * says whether a burst of this length loses packets (1), does not (0), or -errno.
 */
int bench_longest_burst(uint64_t max, int (*lost)(void *arg, uint64_t packets), void *arg, uint64_t *out);
/*
 * RFC 9004: frames that the device's buffers hold, when `throughput` of the burst's `rate` left them meanwhile.
 * All of them packets, or packets a second.
 */
double bench_burst_corrected(double packets, double throughput, double rate);

/*
 * JSON of one configuration (contract of fwdlab.bench/1), but for its name, scenario, workload and topology, and what
 * the configurations have to each other: [ { name, base, figure, ratio, interval, verdict, pairs } ] for cost and mrr.
 */
void bench_document(const struct bench_configuration *c, const struct bench_options *o, const char *pair, json_t *doc);
json_t *bench_comparison(const struct bench_configuration *c, unsigned n);

#endif
