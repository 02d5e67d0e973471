/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far the paired runner's calls can be believed. Three kinds of runs in turn, each in a process of its own:
 *
 *     A/A     two equal configurations: a call of better or worse is a false one
 *     whole   a stage of the second one does nothing for 3 % of the whole packet's cost: worse must be called
 *     stage   it does nothing for 3 % of that stage's own cost: worse must be called on the stage's own figure
 *
 * The planted delay keeps an account of cycles owed and spins when enough has come together for the clock to tell, so
 * that its mean is right at any burst.
 */
#include <fwdlab/base/clock.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/control/control.h>
#include <fwdlab/core/icmp.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/document.h>
#include <fwdlab/replay/replay.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOWER 0.03
#define SPIN_CYCLES 2000.0 /* the least that is spun at once: 50 times the clock's own cost */
#define SEED 1

enum kind { KIND_AA, KIND_WHOLE, KIND_STAGE, KINDS };
static const char *const kind_names[KINDS] = {"A/A", "3 % of the whole", "3 % of the stage"};

struct request {
    const char *scenario, *stage;
    unsigned runs[KINDS];
    double seconds;
    bool json;
    struct dpdk_options dpdk;
    unsigned cpu;
};

/* What a run's process hands to its parent. */
struct outcome {
    bool ok;
    struct stats_ratio whole, stage; /* of the second configuration to the first */
    double lost_share;
};

struct subject {
    struct control *control;
    struct inject *inject;
};
struct world {
    const struct request *request;
    struct scenario *scenario;
    struct subject subjects[2];
};

/* ---- the planted delay ---- */

/* Both configurations are wrapped, so that they differ in the delay alone. */
static struct delay {
    stage_fn run;
    double owed, each; /* TSC cycles; a packet that enters the stage */
} delays[2];

static inline unsigned delay(struct delay *d, struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    unsigned left = d->run(node, pkts, n, now);
    d->owed += d->each * n;
    if (d->owed < SPIN_CYCLES)
        return left;
    uint64_t from = clock_tsc(), took;
    do
        took = clock_tsc() - from;
    while ((double)took < d->owed);
    d->owed = (double)took < 4 * d->owed ? d->owed - (double)took : 0; /* more: interrupted, which is not counted */
    return left;
}
static unsigned stage_a(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    return delay(&delays[0], node, pkts, n, now);
}
static unsigned stage_b(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    return delay(&delays[1], node, pkts, n, now);
}

static void plant(struct node *node, const char *stage, unsigned i) {
    for (unsigned k = 0; k < node->n_stages; k++)
        if (!strcmp(node->stages[k].name, stage)) {
            delays[i].run = node->stages[k].run;
            node->stages[k].run = i ? stage_b : stage_a;
        }
}

/* ---- one run ---- */

static int make(struct world *w, unsigned i, struct replay_configuration *c, struct err *e) {
    struct control_options o = {.fast = &route_direct, .fast_node = w->scenario->node};
    struct control *control = w->subjects[i].control = control_build(w->scenario, &o, e);
    if (!control)
        return -1;
    c->node = &control->nodes[w->scenario->node].node;
    c->node->icmp = icmp_limiter_create(&(struct icmp_limits){.interval_ns = SECOND_NS});
    plant(c->node, w->request->stage, i);
    return 0;
}

static int renew(struct replay_configuration *c, unsigned n, bool backwards, void *arg, struct err *e) {
    struct world *w = arg;
    int code = 0;
    for (unsigned i = 0; i < n; i++) {
        control_destroy(w->subjects[i].control);
        w->subjects[i].control = NULL;
    }
    for (unsigned k = 0; k < n && !code; k++) {
        unsigned i = backwards ? n - 1 - k : k;
        code = make(w, i, &c[i], e);
    }
    return code;
}

static int run_pair(struct world *w, double seconds, struct replay_configuration *c, struct replay_result *result,
                    struct err *e) {
    const struct replay_options o = {.seconds = seconds, .cpu = w->request->cpu, .renew = renew, .renew_arg = w};
    int code = 0;
    for (unsigned i = 0; i < 2 && !code; i++) {
        c[i] = (struct replay_configuration){.name = i ? "B" : "A", .cost = w->subjects[i].inject,
                                             .own = w->subjects[i].inject};
        code = make(w, i, &c[i], e);
    }
    if (!code)
        code = replay_run(c, 2, &o, result, e);
    for (unsigned i = 0; i < 2; i++) {
        control_destroy(w->subjects[i].control);
        w->subjects[i].control = NULL;
    }
    return code;
}

static unsigned stage_find(const struct replay_configuration *c, const char *name, struct err *e) {
    for (unsigned i = 0; i < c->n_stages; i++)
        if (!strcmp(c->stages[i].name, name))
            return i;
    err_set(e, -1, "the node has no stage `%s`", name);
    return NODE_STAGES_MAX;
}

/* How many cycles a packet that enters the stage shall lose: from a short run of two equal configurations. */
static int calibrate(struct world *w, enum kind kind, struct err *e) {
    struct replay_configuration c[2];
    struct replay_result result;
    int code = run_pair(w, 1, c, &result, e);
    if (code)
        return code;
    unsigned i = stage_find(c, w->request->stage, e);
    if (i < NODE_STAGES_MAX && c->stages[i].packets) {
        double of = kind == KIND_WHOLE ? stats_median(c->cycles, c->n_cycles) : c->stages[i].cycles;
        delays[1].each = SLOWER * of * (double)c->injected / (double)c->stages[i].packets;
    }
    replay_configuration_fini(&c[0]);
    replay_configuration_fini(&c[1]);
    return i < NODE_STAGES_MAX ? 0 : -1;
}

static int measure(struct world *w, enum kind kind, struct outcome *out, struct err *e) {
    struct replay_configuration c[2];
    struct replay_result result;
    int code = kind == KIND_AA ? 0 : calibrate(w, kind, e);
    if (!code)
        code = run_pair(w, w->request->seconds, c, &result, e);
    unsigned i = code ? NODE_STAGES_MAX : stage_find(c, w->request->stage, e);
    if (i == NODE_STAGES_MAX)
        return -1;
    out->whole = stats_clustered_ratio(c[0].cycles, c[1].cycles, c[0].epochs, c[0].n_epochs, SEED);
    out->stage =
        stats_clustered_ratio(c[0].stages[i].samples, c[1].stages[i].samples, c[0].epochs, c[0].n_epochs, SEED);
    out->lost_share = result.run_ns ? (double)result.lost_ns / (double)result.run_ns : 0;
    out->ok = true;
    return 0;
}

static int load(struct world *w, struct err *e) {
    struct complaints complaints = {0};
    w->scenario = scenario_load(w->request->scenario, &complaints);
    if (!w->scenario || !w->scenario->trace || w->scenario->node == INDEX_NONE)
        return err_set(e, -1, "%s: no sound scenario with a trace and a node", w->request->scenario);
    for (unsigned i = 0; i < 2; i++) {
        struct trace_memory *trace = trace_preload(w->scenario->trace, 0, e);
        struct control *c = trace ? control_build(w->scenario, &(struct control_options){0}, e) : NULL;
        w->subjects[i].inject = c ? inject_create(trace, c, w->scenario->node, e) : NULL;
        control_destroy(c);
        if (!w->subjects[i].inject)
            return -1;
    }
    return 0;
}

static int child(const struct request *r, enum kind kind, int to) {
    struct world w = {.request = r};
    struct outcome out = {0};
    struct err e = {0};
    if (dpdk_start(&r->dpdk, &e) || load(&w, &e) || measure(&w, kind, &out, &e))
        fprintf(stderr, "aa: %s\n", e.what);
    return write(to, &out, sizeof out) == sizeof out && out.ok ? 0 : 2;
}

/* ---- all runs ---- */

static struct outcome run_once(const struct request *r, enum kind kind) {
    struct outcome out = {0};
    int ends[2], status;
    if (pipe(ends))
        exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(child(r, kind, ends[1]));
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], &out, sizeof out) != sizeof out || !out.ok) {
        fputs("aa: a run failed\n", stderr);
        exit(2);
    }
    close(ends[0]);
    waitpid(pid, &status, 0);
    return out;
}

static void tell(const struct request *r, enum kind kind, const char *figure, const struct stats_ratio *v,
                 const struct outcome *runs, bool first) {
    const unsigned n = r->runs[kind];
    unsigned calls[4] = {0};
    double *ratios = xzalloc(n, sizeof *ratios), *widths = xzalloc(n, sizeof *widths);
    double *lost = xzalloc(n, sizeof *lost);
    for (unsigned i = 0; i < n; i++) {
        calls[stats_verdict(&v[i], REPLAY_TOLERANCE)]++;
        ratios[i] = v[i].ratio;
        widths[i] = v[i].high - v[i].low;
        lost[i] = runs[i].lost_share;
    }
    double low = stats_quantile(ratios, n, 0.025), high = stats_quantile(ratios, n, 0.975);
    double middle = stats_median(ratios, n), width = stats_median(widths, n);
    if (r->json)
        printf("%s  { \"name\": \"%s, %s\", \"ratio\": %.4f, \"interval\": [%.4f, %.4f], \"runs\": %u, \"worse\": %u, "
               "\"better\": %u, \"same\": %u, \"unclear\": %u, \"width\": %.4f, \"lost_share\": %.4f }",
               first ? "" : ",\n", kind_names[kind], figure, middle, low, high, n, calls[STATS_WORSE],
               calls[STATS_BETTER], calls[STATS_SAME], calls[STATS_UNCLEAR], width, stats_median(lost, n));
    else
        printf("%-18s %-12s %5u %6u %6u %6u %8u   %.4f  %.4f-%.4f  %.4f  %.2f %%\n", kind_names[kind], figure, n,
               calls[STATS_WORSE], calls[STATS_BETTER], calls[STATS_SAME], calls[STATS_UNCLEAR], middle, low, high,
               width, 100 * stats_median(lost, n));
    free(ratios);
    free(widths);
    free(lost);
}

static void run_all(const struct request *r) {
    struct outcome *runs[KINDS];
    unsigned total = 0, done = 0;
    for (unsigned k = 0; k < KINDS; k++) {
        runs[k] = xzalloc(r->runs[k] + 1, sizeof *runs[k]);
        total += r->runs[k];
    }
    for (unsigned i = 0; done < total; i++)
        for (unsigned k = 0; k < KINDS; k++) {
            if (i >= r->runs[k])
                continue;
            runs[k][i] = run_once(r, k);
            progress("runs", ++done, total);
        }
    progress_done();
    if (r->json)
        puts("{ \"points\": [");
    else
        printf("Runs of %g s, tolerance %g %%; ratio: median and 95 %% of the runs; width of intervals; time lost\n"
               "%-18s %-12s %5s %6s %6s %6s %8s   %s\n", r->seconds, 100 * REPLAY_TOLERANCE, "planted", "figure",
               "runs", "worse", "better", "same", "unclear", "ratio   of the runs    width   lost");
    bool first = true;
    for (unsigned k = 0; k < KINDS; k++) {
        struct stats_ratio *figure = xzalloc(r->runs[k] + 1, sizeof *figure);
        for (unsigned own = 0; own < 2 && r->runs[k]; own++) {
            for (unsigned i = 0; i < r->runs[k]; i++)
                figure[i] = own ? runs[k][i].stage : runs[k][i].whole;
            tell(r, k, own ? r->stage : "whole", figure, runs[k], first);
            first = false;
        }
        free(figure);
        free(runs[k]);
    }
    if (r->json)
        puts("\n] }");
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"runs", required_argument, NULL, 'r'},
                                            {"planted", required_argument, NULL, 'p'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"stage", required_argument, NULL, 'g'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct request r = {.stage = "nat-in", .runs = {200, 50, 50}, .seconds = 10};
    r.cpu = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    r.dpdk = (struct dpdk_options){.hugepages_mb = 576};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'q': r.runs[0] = r.runs[1] = r.runs[2] = 5, r.seconds = 3; break;
        case 'j': r.json = true; break;
        case 'r': r.runs[KIND_AA] = (unsigned)atoi(optarg); break;
        case 'p': r.runs[KIND_WHOLE] = r.runs[KIND_STAGE] = (unsigned)atoi(optarg); break;
        case 's': r.seconds = atof(optarg); break;
        case 'g': r.stage = optarg; break;
        case 'c': r.cpu = (unsigned)atoi(optarg); break;
        default:
            fprintf(c == 'h' ? stdout : stderr,
                    "usage: aa [SCENARIO] [--runs N] [--planted N] [--seconds S] [--stage NAME] [--cpu N] [--quick] "
                    "[--json]\n");
            return c == 'h' ? 0 : 2;
        }
    r.scenario = optind < argc ? argv[optind] : "traces/nested-host/nat-only.yaml";
    if (!(r.runs[KIND_AA] + r.runs[KIND_WHOLE]) || r.seconds <= 0) {
        fputs("aa: runs and seconds must be above 0\n", stderr);
        return 2;
    }
    run_all(&r);
    return 0;
}
