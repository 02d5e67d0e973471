/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One trial: traffic at a given pace through a node, for a given time, with an account of everything.
 *
 *     generator worker(s) ── link ──► core worker ── link ──► sink (on the first generator's thread)
 *
 * Open loop: every packet has an intended send time (schedule.h); latency is measured from there to the moment when the
 * core hands the packet to the outward link (over ports: to its arrival at the sink), so that a late generator or a
 * stalled core appears as latency and never disappears. What the device pushes back (its link is full) is not sent
 * again: it is loss. A generator that is itself late makes the trial invalid.
 *
 * Several core workers (a crew) share what comes in: each takes bursts of it in its turn, keeps what is its own and
 * hands the rest over (shard.h). Each has a ring to the sink, and forwards with the sessions of its own node.
 *
 * Workers are threads, pinned to a CPU each, under SCHED_FIFO where that is allowed and wanted. The calling thread,
 * which must be the one that started EAL, is the first generator (and sink). The core worker forms bursts from what has
 * arrived, at most `burst` packets, and splits them where the core's contract asks for it: before an answer to a packet
 * of the same burst, and after a tenth of a second of trace time, for a burst has one time on the core's clock. The
 * node makes no ICMP errors and no fragments here. When sending is over, a trial waits until all has come out: over
 * rings until nothing is missing (1 s without any progress at most), over ports until nothing came for 0.1 s.
 *
 * Workers that share a CPU yield to each other, never under SCHED_FIFO: all is counted, but late, and noisy.
 */
#ifndef FWDLAB_REPLAY_TRIAL_H
#define FWDLAB_REPLAY_TRIAL_H

#include <fwdlab/inject/traffic.h>
#include <fwdlab/measure/histogram.h>
#include <fwdlab/replay/crew.h>
#include <fwdlab/trace/schedule.h>

#define TRIAL_GENERATORS_MAX 8
#define TRIAL_CORES_MAX CREW_MAX
#define TRIAL_CAPTURE_MAX 256

/* How the workers are joined. */
struct link; /* one way; src/replay/link.h */
struct rte_mempool;
struct topology {
    struct rte_mempool *pool;              /* of everything that travels */
    struct link *in[TRIAL_GENERATORS_MAX]; /* generator i to the core */
    struct link *out;                      /* core to sink; NULL with no core */
    struct link *outs[TRIAL_CORES_MAX];    /* of several core workers: each one's part of `out` */
    unsigned generators, cores;
};
/*
 * Rings of `depth` packets (a power of 2; 0: 1024), one for each generator, one back. All memory that trials need is
 * taken here, from EAL.
 */
int topology_rings(struct topology *t, unsigned generators, unsigned depth, struct err *e);
/* The same for up to so many core workers. */
int topology_rings_of_crew(struct topology *t, unsigned generators, unsigned cores, unsigned depth, struct err *e);
/*
 * DPDK ports: generator sends on device in_tx, core receives on in_rx, sends on out_tx, the sink receives on out_rx.
 * Each is what EAL's --vdev takes, such as "net_af_packet0,iface=veth0", "net_memif0,role=server,...", "net_tap0", or a
 * PCI address. out_* NULL: back over the ring of the memory. in_rx and out_* NULL: only sent; nobody receives.
 * One generator. What travels with a packet (intended time, sequence, port of the node) stands in its last bytes.
 */
struct topology_ports {
    const char *in_tx, *in_rx, *out_tx, *out_rx;
};
int topology_ports(struct topology *t, const struct topology_ports *p, struct err *e);
void topology_fini(struct topology *t);

struct trial_options {
    struct pace pace;
    double seconds;           /* sending time; 0: once through the traffic (one lap). A generator that can't send so
                                 fast gives up 1 s (SCHED_FIFO: 50 ms) after it: late */
    unsigned burst;           /* of the core worker, 1..BURST_MAX; 0: 64 */
    unsigned core_cpu, generator_cpu[TRIAL_GENERATORS_MAX];
    unsigned more_cpu[TRIAL_CORES_MAX - 1]; /* of a crew's second core worker and the others */
    bool fifo;                /* SCHED_FIFO while it runs: where that is allowed and will not last over 0.9 s (real-time
                                 throttling; the caller rests between trials). Else without: trial_result.fifo */
    bool stages;              /* time each stage (costs a stamp a stage and burst) */
    bool capture;             /* note dropped and slowest packets; not of a stream, nor of a crew */
    uint64_t late_limit_ns;   /* late when p99 of slip is above (0: 10 us), or any packet's slip above 10 ms */
    double lost_limit;        /* and "noisy" above this share of time lost; 0: 0.001 */
};

/* The device: a node, ready (sessions as they are), and what belongs to it from trial to trial. Each begins a lap. */
struct trial_device {
    struct node *node;
    struct traffic_slot *slots; /* traffic->n_slots (of a stream: as its chunks say), zeroed once */
    uint64_t now;               /* the core's clock at the end of the last trial: the next one goes on from there */
    uint64_t lap;               /* the first lap of the next trial */
    bool expected[DROP_COUNT];  /* drops for these reasons are the scenario's will, not loss: see trial_expect */
    struct crew *crew;          /* the core workers and their nodes; NULL: one, with `node` */
    unsigned worker;            /* of the crew: on whom what is done for one worker is done; `node` is then his */
};

/* A packet that was dropped, or slow. */
struct trial_note {
    struct traffic_step step;
    uint64_t intended_ns;   /* after the trial's start */
    uint64_t latency_ns;    /* 0: dropped */
    uint8_t verdict, reason;
    uint16_t out_port;
};

struct trial_worker {
    char name[24];          /* "generator 0", "core", of a crew "core 0" */
    uint64_t run_ns, lost_ns; /* lost: gaps in its loop over 50 us, time that the machine (or a stall) took */
};

struct trial_result {
    /* what was asked, what happened; packets */
    uint64_t intended;      /* due within the time; sent + pushed_back */
    uint64_t sent;          /* handed to the device */
    uint64_t pushed_back;   /* intended, but the device's link was full: loss */
    uint64_t forwarded, delivered, drops[DROP_COUNT]; /* by the core; forwarded: whether or not the sink got it */
    uint64_t held;          /* fragments that waited for their first one when it ended: not lost */
    uint64_t received;      /* at the sink, or delivered to the node itself */
    uint64_t lost;          /* pushed_back + vanished in a link + drops that are not expected */
    double loss_ratio;      /* lost / intended */
    uint64_t answers_unmatched; /* answers whose flow had no mapping yet */
    uint64_t reordered;     /* arrived at the sink after a later packet of the same flow, direction and generator */
    uint64_t bytes;         /* of sent packets, L2 with FCS */
    uint64_t intended_ns, sent_ns, received_ns; /* from the first to the last packet */
    double offered_pps, sent_pps, received_pps;
    /* distributions, ns; NULL bucket where there is none (pace max) */
    struct histogram latency;
    struct histogram slip;      /* actual minus intended send time */
    struct histogram gap_error; /* |actual gap - intended gap| of neighbours sent by one generator */
    struct histogram pdv;       /* RFC 5481, 4.2: latency minus the smallest one of the trial; from latency's buckets,
                                   so right within 1/1024 of the latency */
    struct histogram ipdv;      /* RFC 5481, 4.1: |difference of latency| of neighbours at the sink in a flow's
                                   direction */
    /* cost of stages, when asked for: TSC cycles over all packets */
    struct { const char *name; double cycles; uint64_t packets, drops; } stages[NODE_STAGES_MAX];
    unsigned n_stages;
    double packets_a_burst;     /* mean of the core worker's */
    struct trial_worker workers[TRIAL_GENERATORS_MAX + TRIAL_CORES_MAX];
    unsigned n_workers;
    uint64_t lost_time_ns;      /* the largest of the workers' */
    bool fifo;                  /* ran under SCHED_FIFO: asked for, allowed, short enough, a CPU for each worker */
    bool late, noisy;           /* the generator's slip; the machine's lost time */
    char why[160];              /* the reason in words, when late or noisy */
    struct trial_note notes[TRIAL_CAPTURE_MAX]; /* by reason: first, last, a uniform sample (16); then the 32 slowest */
    unsigned n_notes;
};

/*
 * Passes one lap through the node (of a crew: through each one's, what is his) on the calling thread, so that sessions
 * and slots exist, and marks the drop reasons that the scenario itself causes as expected. All reasons but nat-no-port
 * and nat-table-full can be. -ENODATA when every single packet is dropped (the message says by which reasons).
 */
int trial_prepare(struct trial_device *d, const struct traffic *t, struct err *e);
/*
 * Runs one. *out is initialised here; end it with trial_result_fini. 0 also for trials that are late or noisy. -EINTR
 * when *stop became true (Ctrl-C). Errors: CPUs that cannot be used, links that do not work, no memory.
 */
int trial_run(struct trial_device *d, const struct topology *topology, const struct traffic *t,
              const struct trial_options *o, const volatile bool *stop, struct trial_result *out, struct err *e);
/* The same with a stream: until its end. -ENODATA: it is at its end; -EIO: as traffic_stream_next says. */
int trial_run_stream(struct trial_device *d, const struct topology *topology, struct traffic_stream *s,
                     const struct trial_options *o, const volatile bool *stop, struct trial_result *out, struct err *e);
void trial_result_fini(struct trial_result *r);

/*
 * The noted packets as pcapng: the frame as it was sent, the intended time (after `epoch_ns`), and in the comment what
 * became of it: "dropped: no-route (no route to the destination); frame 17, lap 3" or "slow: 812 us, ...".
 */
int trial_capture_save(const struct trial_result *r, const struct traffic *t, const struct node *node,
                       uint64_t epoch_ns, const char *path, struct err *e);

#endif
