/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How true a trace's gaps are kept. For each of two pieces of 0.8 s, a made one and the busiest part of a capture:
 *
 *     ring   from the generator to a worker on another CPU; times are those at which the worker has the packet. Gaps
 *            are between neighbours of a flow. The ratio is to what is promised (100 ns at the median, 1 us at p99);
 *            beside it what two bare loops keep in turn with it (gap_floor): what the machine takes itself.
 *     veth   into one end of a veth pair, by our generator through DPDK's af_packet, by tcpreplay, and by a bare loop
 *            around send() (gap_floor_veth), in turn (A B C C B A), pinned to the same CPU under the same policy; the
 *            kernel's stamps at the far end tell. The ratio is ours to tcpreplay's; 0.5 is promised, and a duration
 *            within 0.01 % of the trace's.
 *
 * tcpreplay runs with its default timer and the file preloaded.
 */
#include "gaps.h"
#include "points.h"
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/replay/trial.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 20
#define ROUNDS_QUICK 8
#define REPEATS 3 /* of one trial, for lost time; and of all together as many as there are rounds */
#define REST_US 500000
#define WINDOW_S 0.85 /* covers a piece, and no second lap */
#define NOISE_NS 500000000ull
#define CAPTURE "traces/nested-host/routed.pcapng.zst"
#define SEED 1
#define PROMISED_P50 100.0
#define PROMISED_P99 1000.0
#define PROMISED_RATIO 0.5
#define PROMISED_DURATION 0.0001

static struct {
    bool json;
    const char *capture;
    unsigned rounds, cpu, core_cpu; /* who sends, who receives from a ring */
} options;

/* What is told beside the points. */
static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(options.json ? stderr : stdout, format, args);
    va_end(args);
    fflush(options.json ? stderr : stdout);
}

static void say_why(const char *what, const struct err *e) {
    fprintf(stderr, "pacing: %s: %s%s%s\n", what, e->what, e->hint[0] ? "\n        " : "", e->hint);
}

static void tell_noise(const char *part) {
    struct noise n;
    noise_measure(&n, NOISE_NS);
    tell("%s: before it an idle loop lost %.2f %% of its time (longest gap %.0f us): the machine is %s\n", part,
         n.lost_share * 100, (double)n.gap_max_ns / 1e3, n.quiet ? "quiet" : "not quiet");
}

static void tell_promise(const char *what, double value, double limit, const char *unit) {
    tell("    %-44s %8.4g %s, at most %g: %s\n", what, value, unit, limit, value <= limit ? "holds" : "DOES NOT HOLD");
}

/* ---- our generator ---- */

/* The receiving worker has a packet, that is all. */
static unsigned take(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    for (unsigned i = 0; i < n; i++)
        pkts[i]->verdict = VERDICT_FORWARD;
    return 0;
}

static int send_piece(const struct piece *p, const struct topology *topology, struct trial_result *out,
                      struct err *e) {
    struct node node = {.n_stages = 1, .stages = {{"take", take}}};
    struct trial_device device = {.node = &node, .slots = xzalloc(p->traffic->n_slots, sizeof *device.slots)};
    const struct trial_options o = {.pace = {.kind = PACE_TRACE, .factor = 1},
                                    .seconds = WINDOW_S,
                                    .core_cpu = options.core_cpu,
                                    .generator_cpu = {options.cpu},
                                    .fifo = true};
    int rc = trial_run(&device, topology, p->traffic, &o, NULL, out, e);
    if (!rc && out->sent != p->n) {
        rc = err_set(e, -EIO, "%lu of %u packets were sent", (unsigned long)out->sent, p->n);
        trial_result_fini(out);
    }
    vec_release(device.slots);
    return rc;
}

static double lost_share(const struct trial_result *r) {
    double most = 0;
    for (unsigned i = 0; i < r->n_workers; i++) {
        const struct trial_worker *w = &r->workers[i];
        most = fmax(most, w->run_ns ? (double)w->lost_ns / (double)w->run_ns : 0);
    }
    return most;
}

/* ---- over a ring ---- */

static int ring_part(const struct piece *p, struct err *e) {
    double p50[ROUNDS_MAX], p99[ROUNDS_MAX], slip[ROUNDS_MAX], lost[ROUNDS_MAX], base50[ROUNDS_MAX], base99[ROUNDS_MAX];
    double bare50[ROUNDS_MAX], bare99[ROUNDS_MAX];
    unsigned repeated = 0, noisy = 0;
    struct topology topology;
    char name[160];
    int rc = topology_rings(&topology, 1, 0, e);
    for (unsigned i = 0; i < options.rounds && !rc; i++) {
        struct trial_result r;
        for (unsigned again = 0; !(rc = send_piece(p, &topology, &r, e)); again++) {
            usleep(REST_US);
            if (!r.noisy || again == REPEATS || repeated == options.rounds)
                break;
            trial_result_fini(&r);
            repeated++;
        }
        struct gap_errors bare;
        if (!rc && (rc = gap_floor(p, options.cpu, options.core_cpu, &bare, e)))
            trial_result_fini(&r);
        if (rc)
            break;
        usleep(REST_US);
        bare50[i] = bare.p50;
        bare99[i] = bare.p99;
        p50[i] = (double)histogram_quantile(&r.ipdv, 0.5);
        p99[i] = (double)histogram_quantile(&r.ipdv, 0.99);
        slip[i] = (double)histogram_quantile(&r.slip, 0.99);
        lost[i] = lost_share(&r);
        noisy += r.noisy;
        base50[i] = PROMISED_P50;
        base99[i] = PROMISED_P99;
        trial_result_fini(&r);
    }
    topology_fini(&topology);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "ring, %.90s: p50", p->name);
    point(name, "ns", stats_median(p50, options.rounds), base50, p50, options.rounds);
    snprintf(name, sizeof name, "ring, %.90s: p99", p->name);
    point(name, "ns", stats_median(p99, options.rounds), base99, p99, options.rounds);
    tell("    %u packets; slip p99 %.0f ns; lost time %.3f %% (median), %u trials repeated for it, %u of %u rounds "
         "noisy all the same\n",
         p->n, stats_median(slip, options.rounds), stats_median(lost, options.rounds) * 100, repeated, noisy,
         options.rounds);
    const struct stats_ratio least = stats_paired_ratio(bare99, p99, options.rounds, SEED);
    tell("    two bare loops: p50 %.0f ns, p99 %.0f ns; ours to theirs at p99: %.2f [%.2f, %.2f]\n",
         stats_median(bare50, options.rounds), stats_median(bare99, options.rounds), least.ratio, least.low,
         least.high);
    tell_promise("gap error at p50", stats_median(p50, options.rounds), PROMISED_P50, "ns");
    tell_promise("gap error at p99", stats_median(p99, options.rounds), PROMISED_P99, "ns");
    return 0;
}

/* ---- over a veth ---- */

enum sender { OURS, TCPREPLAY, BARE, SENDERS };

struct veth {
    struct topology topology;
    struct veth_receiver receiver;
    struct veth_arrival *arrivals;
    double lost[ROUNDS_MAX];
};

static void exec_tcpreplay(const char *path) {
    const struct sched_param param = {.sched_priority = 1};
    cpu_set_t one;
    int nowhere = open("/dev/null", O_RDWR);
    CPU_ZERO(&one);
    CPU_SET(options.cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    sched_setscheduler(0, SCHED_FIFO, &param); /* as ours: where it is allowed */
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    execlp("tcpreplay", "tcpreplay", "-q", "-K", "-i", VETH_NEAR, path, (char *)NULL);
    _exit(127);
}

/* NULL: it only says whether it is there. */
static int run_tcpreplay(const char *path, struct err *e) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        exec_tcpreplay(path ? path : "/dev/null");
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_set(e, -errno, "tcpreplay does not start: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, -ENOENT, "tcpreplay is not installed");
    if (path && status)
        return err_set(e, -EIO, "tcpreplay ended with status %d", status);
    return 0;
}

static int send_ours(struct veth *v, const struct piece *p, unsigned round, struct err *e) {
    struct trial_result r;
    int rc = send_piece(p, &v->topology, &r, e);
    if (rc)
        return rc;
    v->lost[round] = lost_share(&r);
    trial_result_fini(&r);
    return 0;
}

/* One replay, and what it was like at the far end. */
static int veth_round(struct veth *v, const struct piece *p, enum sender who, unsigned round, struct gap_errors *out,
                      struct err *e) {
    veth_receiver_take(&v->receiver, v->arrivals, VETH_FRAMES);
    int rc = who == OURS        ? send_ours(v, p, round, e)
             : who == TCPREPLAY ? run_tcpreplay(p->path, e)
                                : gap_floor_veth(p, options.cpu, e);
    if (rc)
        return rc;
    usleep(REST_US);
    const size_t n = veth_receiver_take(&v->receiver, v->arrivals, VETH_FRAMES);
    return gap_errors(p, v->arrivals, n, out, e);
}

static void veth_points(const struct veth *v, const struct piece *p, struct gap_errors errors[SENDERS][ROUNDS_MAX]) {
    const size_t n = options.rounds;
    double p50[SENDERS][ROUNDS_MAX], p99[SENDERS][ROUNDS_MAX], off[SENDERS][ROUNDS_MAX];
    char name[160];
    for (unsigned who = 0; who < SENDERS; who++)
        for (size_t i = 0; i < n; i++) {
            p50[who][i] = errors[who][i].p50;
            p99[who][i] = errors[who][i].p99;
            off[who][i] = fabs(errors[who][i].duration);
        }
    snprintf(name, sizeof name, "veth, %.90s: p50", p->name);
    point(name, "ns", stats_median(p50[OURS], n), p50[TCPREPLAY], p50[OURS], n);
    snprintf(name, sizeof name, "veth, %.90s: p99", p->name);
    point(name, "ns", stats_median(p99[OURS], n), p99[TCPREPLAY], p99[OURS], n);
    tell("    %u packets; tcpreplay: p50 %.0f ns, p99 %.0f ns, duration off by %.4f %%; we lost %.3f %% of our time\n",
         p->n, stats_median(p50[TCPREPLAY], n), stats_median(p99[TCPREPLAY], n), stats_median(off[TCPREPLAY], n) * 100,
         stats_median(v->lost, n) * 100);
    const struct stats_ratio least = stats_paired_ratio(p99[BARE], p99[OURS], n, SEED),
                             lowest = stats_paired_ratio(p99[TCPREPLAY], p99[BARE], n, SEED);
    tell("    a bare loop around send(): p50 %.0f ns, p99 %.0f ns: %.2f [%.2f, %.2f] of tcpreplay's p99; ours to its\n"
         "    p99: %.2f [%.2f, %.2f]\n",
         stats_median(p50[BARE], n), stats_median(p99[BARE], n), lowest.ratio, lowest.low, lowest.high, least.ratio,
         least.low, least.high);
    tell_promise("p50, to tcpreplay's", stats_paired_ratio(p50[TCPREPLAY], p50[OURS], n, SEED).ratio, PROMISED_RATIO,
                 "");
    tell_promise("p99, to tcpreplay's", stats_paired_ratio(p99[TCPREPLAY], p99[OURS], n, SEED).ratio, PROMISED_RATIO,
                 "");
    tell_promise("duration off by", stats_median(off[OURS], n) * 100, PROMISED_DURATION * 100, "%");
}

static int veth_part(struct veth *v, const struct piece *p, struct err *e) {
    struct gap_errors errors[SENDERS][ROUNDS_MAX];
    int rc = 0;
    for (unsigned i = 0; i < options.rounds && !rc; i++)
        for (unsigned k = 0; k < SENDERS && !rc; k++) {
            const enum sender who = i % 2 ? SENDERS - 1 - k : k;
            rc = veth_round(v, p, who, i, &errors[who][i], e);
        }
    if (!rc)
        veth_points(v, p, errors);
    return rc;
}

/* 0 also when it is skipped. */
static int veth_parts(const struct piece *pieces, unsigned n, struct err *e) {
    struct veth v = {.arrivals = xalloc(VETH_FRAMES * sizeof *v.arrivals)};
    if (veth_open(e) || run_tcpreplay(NULL, e)) {
        say_why("the part over a veth is skipped", e);
        vec_release(v.arrivals);
        return 0;
    }
    tell_noise("veth");
    int rc = veth_receiver_open(&v.receiver, e);
    if (!rc) {
        rc = topology_ports(&v.topology, &(struct topology_ports){.in_tx = "net_af_packet0,iface=" VETH_NEAR}, e);
        for (unsigned i = 0; i < n && !rc; i++)
            rc = veth_part(&v, &pieces[i], e);
        topology_fini(&v.topology);
        veth_receiver_close(&v.receiver);
    }
    vec_release(v.arrivals);
    return rc;
}

/* ---- all ---- */

static int run(const struct piece *pieces, unsigned n, struct err *e) {
    int rc = 0;
    points_begin("Gap error of a trace replayed at its own pace, ns. Ratio: of a ring to what is promised, of a veth\n"
                 "to tcpreplay over the same veth in the same run.",
                 options.json);
    tell_noise("ring");
    for (unsigned i = 0; i < n && !rc; i++)
        rc = ring_part(&pieces[i], e);
    rc = rc ? rc : veth_parts(pieces, n, e);
    points_end();
    return rc;
}

static int make_and_run(const char *dir, struct err *e) {
    struct piece pieces[2] = {0};
    unsigned n = 1;
    int rc = piece_make(&pieces[0], dir, SEED, e);
    if (!rc && piece_cut(&pieces[1], dir, options.capture, e) == 0)
        n = 2;
    else if (!rc)
        say_why("the capture is left out", e);
    rc = rc ? rc : run(pieces, n, e);
    piece_fini(&pieces[0]);
    piece_fini(&pieces[1]);
    return rc;
}

static int parse_options(int argc, char **argv) {
    static const struct option long_options[] = {{"quick", no_argument, NULL, 'q'},
                                                 {"json", no_argument, NULL, 'j'},
                                                 {"trace", required_argument, NULL, 't'},
                                                 {"cpu", required_argument, NULL, 'c'},
                                                 {"core-cpu", required_argument, NULL, 'C'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {0}};
    options.capture = CAPTURE;
    options.cpu = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    options.rounds = ROUNDS_MAX;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'q': options.rounds = ROUNDS_QUICK; break;
        case 'j': options.json = true; break;
        case 't': options.capture = optarg; break;
        case 'c': options.cpu = (unsigned)atoi(optarg); break;
        case 'C': options.core_cpu = (unsigned)atoi(optarg); break;
        default:
            fprintf(c == 'h' ? stdout : stderr,
                    "usage: pacing [--quick] [--json] [--trace CAPTURE] [--cpu N] [--core-cpu N]\n"
                    "  --trace CAPTURE  whose busiest 0.8 s is the second piece (" CAPTURE ")\n"
                    "  --cpu N          who sends runs here (the last CPU)\n"
                    "  --core-cpu N     who receives from a ring runs here (0)\n"
                    "The part over a veth needs root, iproute2 and tcpreplay; it is skipped without them.\n");
            return c == 'h' ? 0 : 2;
        }
    }
    return -1;
}

int main(int argc, char **argv) {
    char dir[] = "/tmp/fwdlab-pacing-XXXXXX";
    struct err e = {0};
    int code = parse_options(argc, argv);
    if (code >= 0)
        return code;
    code = dpdk_start(&(struct dpdk_options){.main_cpu = options.core_cpu, .hugepages_mb = 64, .memory_mb = 512}, &e);
    if (!code && !mkdtemp(dir))
        code = err_set(&e, -errno, "no directory for the traces: %s", strerror(errno));
    if (!code) {
        code = make_and_run(dir, &e);
        rmdir(dir);
    }
    if (code)
        say_why("stopped", &e);
    dpdk_stop();
    return code ? 2 : 0;
}
