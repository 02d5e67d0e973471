/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of `fwdlab bench`. */
#include "bench.h"
#include "cli.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define QUICK_TRIAL_S 0.2
#define LONG_TRIAL_S 1.0 /* without SCHED_FIFO nothing throttles */

/* Options that only make sense together, kept until all are read. */
struct asked {
    VEC(const char *) sizes;
    struct counts {
        uint32_t *v;
        size_t n, cap;
    } sessions, routes;
    double trial_s, rest_s, width, cost_s;
    bool fifo, quick, cpu, nat, own_goals;
    unsigned n_generator_cpus;
};

/* "0.5", "10k", "1.5M". */
static int real(const char *option, const char *text, double low, double high, double *out) {
    char *end;
    double v = strtod(text, &end);
    const char *unit = end;
    if (*unit == 'k' || *unit == 'M')
        v *= *unit++ == 'k' ? 1e3 : 1e6;
    if (end == text || *unit || !(v >= low && v <= high))
        return cli_usage("--%s: `%s` is not a number from %g to %g (10k, 1.5M)", option, text, low, high);
    *out = v;
    return 0;
}

static int count(const char *option, const char *text, double high, uint32_t *out) {
    double v = 0;
    int code = real(option, text, 0, high, &v);
    if (!code && v != (double)(uint32_t)v)
        return cli_usage("--%s: `%s` is not a whole number", option, text);
    *out = (uint32_t)v;
    return code;
}

/* Cuts off what stands before the next separator; NULL at the end. */
static const char *next_part(char **text, const char *separator) {
    return *text && **text ? strsep(text, separator) : NULL;
}

static int counts(const char *option, char *text, struct counts *list) {
    for (const char *part; (part = next_part(&text, ";"));) {
        uint32_t v = 0;
        int code = count(option, part, 1 << 24, &v);
        if (code)
            return code;
        vec_push(list, v);
    }
    return 0;
}

static int sizes(char *text, struct asked *a) {
    struct traffic_options unused;
    struct err e = {0};
    for (const char *part; (part = next_part(&text, ";"));) {
        if (traffic_sizes_parse(part, &unused, &e))
            return cli_fail(&e);
        vec_push(&a->sizes, part);
    }
    return 0;
}

static int goal(struct bench_options *o, struct asked *a, char *text) {
    char *ratio = strchr(text, '=');
    if (!ratio || ratio == text)
        return cli_usage("--loss: `%s`; NAME=RATIO such as ndr=0", text);
    *ratio++ = '\0';
    if (!a->own_goals)
        o->n_goals = 0;
    a->own_goals = true;
    if (o->n_goals == SEARCH_GOALS_MAX)
        return cli_usage("--loss: %d goals at most", SEARCH_GOALS_MAX);
    unsigned at = o->n_goals;
    double loss = 0;
    int code = real("loss", ratio, 0, 0.99, &loss);
    for (; at && o->goals[at - 1].loss_ratio > loss; at--)
        o->goals[at] = o->goals[at - 1];
    o->goals[at] = (struct search_goal){.name = text, .loss_ratio = loss, .exceed_ratio = 0.5};
    o->n_goals++;
    return code;
}

/* "TX;RX": devices have commas in their own texts. */
static int ports(const char *option, char *text, const char **tx, const char **rx) {
    *tx = next_part(&text, ";");
    *rx = next_part(&text, ";");
    return *tx && *rx && !text ? 0 : cli_usage("--%s: two devices are needed: \"TX;RX\"", option);
}

static int generator_cpus(char *text, struct bench_request *r, struct asked *a) {
    for (const char *part; (part = next_part(&text, ","));) {
        uint32_t cpu = 0;
        int code = count("generator-cpu", part, 1023, &cpu);
        if (code)
            return code;
        if (a->n_generator_cpus == TRIAL_GENERATORS_MAX)
            return cli_usage("--generator-cpu: %d at most", TRIAL_GENERATORS_MAX);
        r->options.trial.generator_cpu[a->n_generator_cpus++] = cpu;
    }
    return 0;
}

/* The core on the last usable CPU, generators on the others from the first one. */
static void place_workers(struct bench_request *r, const struct asked *a) {
    cpu_set_t usable;
    unsigned cpus[CPU_SETSIZE], n = 0;
    struct trial_options *t = &r->options.trial;
    CPU_ZERO(&usable);
    sched_getaffinity(0, sizeof usable, &usable);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &usable) && !(a->cpu && i == t->core_cpu))
            cpus[n++] = i;
    if (!a->cpu)
        t->core_cpu = n ? cpus[n > 1 ? --n : 0] : 0;
    for (unsigned w = 1; w < r->workers; w++)
        t->more_cpu[w - 1] = n ? cpus[n > 1 ? --n : 0] : t->core_cpu;
    for (unsigned i = a->n_generator_cpus; i < r->generators; i++)
        t->generator_cpu[i] = n ? cpus[(i - a->n_generator_cpus) % n] : t->core_cpu;
    r->dpdk.main_cpu = t->generator_cpu[0];
}

static void set_times(struct bench_request *r, const struct asked *a) {
    struct bench_options *o = &r->options;
    const double trial = a->trial_s > 0 ? a->trial_s
                         : a->quick     ? QUICK_TRIAL_S
                         : a->fifo      ? o->goals[0].trial_s
                                        : LONG_TRIAL_S;
    const double width = a->width > 0 ? a->width : a->quick ? 0.02 : 0.005;
    r->rest_s = !a->fifo ? 0 : a->rest_s >= 0 ? a->rest_s : 0.5;
    for (unsigned i = 0; i < o->n_goals; i++) {
        struct search_goal *g = &o->goals[i];
        g->width = width;
        g->trial_s = trial;
        g->initial_s = trial / 4;
        g->sum_s = (a->quick ? 1 : 2) * trial;
        g->exceed_ratio = a->quick ? 0 : 0.5;
    }
    o->trial.seconds = trial;
    o->trial.fifo = a->fifo;
    o->cost_s = a->cost_s >= 0 ? a->cost_s : a->quick ? 1 : 5;
    o->mrr_s = trial / 4;
    o->max_total_s = a->quick ? 8 : 60;
}

static void make_workloads(struct bench_request *r, struct asked *a) {
    if (!a->sizes.n)
        vec_push(&a->sizes, NULL);
    if (!a->sessions.n)
        vec_push(&a->sessions, 0);
    if (!a->routes.n)
        vec_push(&a->routes, 0);
    for (size_t i = 0; i < a->sizes.n; i++)
        for (size_t k = 0; k < a->sessions.n; k++)
            for (size_t l = 0; l < a->routes.n; l++)
                vec_push(&r->workloads, (struct bench_workload){a->sizes.v[i], a->sessions.v[k], a->routes.v[l]});
}

static int read_option(int c, struct bench_request *r, struct asked *a) {
    struct bench_options *o = &r->options;
    uint32_t n = 0;
    int code = 0;
    switch (c) {
    case 'j':
        r->json = true;
        break;
    case 'o':
        r->out = optarg;
        break;
    case 't':
        r->trace = optarg;
        break;
    case 'n':
        r->node = optarg;
        break;
    case 'h':
        r->hash = true;
        break;
    case 'F':
        r->force = true;
        break;
    case 'd':
        r->dir = optarg;
        break;
    case 'z':
        return sizes(optarg, a);
    case 'S':
        return counts("sessions", optarg, &a->sessions);
    case 'R':
        return counts("routes", optarg, &a->routes);
    case 'x':
        return real("churn", optarg, 0, 1, &r->churn);
    case 'I':
        return ports("in", optarg, &r->ports.in_tx, &r->ports.in_rx);
    case 'O':
        return ports("out", optarg, &r->ports.out_tx, &r->ports.out_rx);
    case 'T':
        return strcmp(optarg, "rings") ? cli_usage("--topology is rings; for ports use --in and --out") : 0;
    case 'D':
        return count("depth", optarg, 1 << 20, &r->depth);
    case 's':
        return real("seconds", optarg, 0, 86400, &a->cost_s);
    case 'r':
        return real("trial", optarg, 0.01, 3600, &a->trial_s);
    case 'e':
        return real("rest", optarg, 0, 60, &a->rest_s);
    case 'f':
        a->fifo = false;
        break;
    case 'l':
        return goal(o, a, optarg);
    case 'w':
        return real("width", optarg, 0.0001, 0.5, &a->width);
    case 'm':
        return real("max-pps", optarg, 1001, 1e10, &o->max_pps);
    case 'N':
        o->nat = true;
        break;
    case 'B':
        o->burst_tests = 3;
        break;
    case 'C':
        o->capture = optarg;
        break;
    case 'q':
        a->quick = true;
        break;
    case 'H':
        r->dpdk.no_huge = true;
        break;
    case 'L':
        code = cli_lookup(optarg, &r->backend);
        break;
    case 'g':
        code = count("generators", optarg, TRIAL_GENERATORS_MAX, &n);
        r->generators = n;
        break;
    case 'b':
        code = count("burst", optarg, BURST_MAX, &n);
        o->trial.burst = n;
        break;
    case 'c':
        code = count("cpu", optarg, 1023, &n);
        o->trial.core_cpu = n;
        a->cpu = true;
        break;
    case 'G':
        return generator_cpus(optarg, r, a);
    case 'X':
        r->staged = true;
        break;
    case 'W':
        code = count("workers", optarg, TRIAL_CORES_MAX, &n);
        r->workers = n;
        break;
    default:
        code = EXIT_BAD_INPUT;
    }
    return code;
}

static int check(int argc, const struct bench_request *r, const struct asked *a) {
    if (optind == argc)
        return cli_usage("bench takes at least one scenario");
    if (!r->ports.in_tx != !r->ports.out_tx)
        return cli_usage("--in and --out belong together");
    if (!r->generators || (r->ports.in_tx && r->generators > 1))
        return cli_usage("--generators: 1 to %d over rings, 1 over ports", TRIAL_GENERATORS_MAX);
    if (!r->workers || (r->workers > 1 && (r->ports.in_tx || r->options.capture || r->options.nat)))
        return cli_usage("--workers: 1 to %d over rings; 1 over ports, with --capture and with --nat-rates",
                         TRIAL_CORES_MAX);
    if (a->fifo && a->trial_s > 0.9)
        return cli_usage("--trial: over 0.9 s the kernel throttles real-time workers; use --no-fifo");
    return 0;
}

int bench_request_parse(int argc, char **argv, struct bench_request *r) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"trace", required_argument, NULL, 't'},
                                            {"node", required_argument, NULL, 'n'},
                                            {"hash", no_argument, NULL, 'h'},
                                            {"split", required_argument, NULL, 'd'},
                                            {"force", no_argument, NULL, 'F'},
                                            {"sizes", required_argument, NULL, 'z'},
                                            {"sessions", required_argument, NULL, 'S'},
                                            {"routes", required_argument, NULL, 'R'},
                                            {"churn", required_argument, NULL, 'x'},
                                            {"in", required_argument, NULL, 'I'},
                                            {"out", required_argument, NULL, 'O'},
                                            {"topology", required_argument, NULL, 'T'},
                                            {"depth", required_argument, NULL, 'D'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"trial", required_argument, NULL, 'r'},
                                            {"rest", required_argument, NULL, 'e'},
                                            {"no-fifo", no_argument, NULL, 'f'},
                                            {"loss", required_argument, NULL, 'l'},
                                            {"width", required_argument, NULL, 'w'},
                                            {"max-pps", required_argument, NULL, 'm'},
                                            {"nat-rates", no_argument, NULL, 'N'},
                                            {"back-to-back", no_argument, NULL, 'B'},
                                            {"capture", required_argument, NULL, 'C'},
                                            {"quick", no_argument, NULL, 'q'},
                                            {"no-huge", no_argument, NULL, 'H'},
                                            {"lookup", required_argument, NULL, 'L'},
                                            {"generators", required_argument, NULL, 'g'},
                                            {"burst", required_argument, NULL, 'b'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"generator-cpu", required_argument, NULL, 'G'},
                                            {"workers", required_argument, NULL, 'W'},
                                            {"staged", no_argument, NULL, 'X'},
                                            {0}};
    const struct search_options defaults = search_defaults(1, 2);
    struct asked a = {.fifo = true, .rest_s = -1, .cost_s = -1};
    *r = (struct bench_request){.backend = &route_direct, .generators = 1, .workers = 1, .options.loads = true};
    memcpy(r->options.goals, defaults.goals, sizeof defaults.goals);
    r->options.n_goals = defaults.n_goals;
    int code = 0;
    for (int c; !code && (c = cli_option(argc, argv, options)) != -1;)
        code = read_option(c, r, &a);
    code = code ? code : check(argc, r, &a);
    if (!code) {
        make_workloads(r, &a);
        set_times(r, &a);
        place_workers(r, &a);
        r->options.mrr = a.quick ? 3 : 5;
        if ((unsigned)(argc - optind) * r->workloads.n > 1)
            r->options.mrr = 10; /* pairs */
    }
    vec_free(&a.sizes);
    vec_free(&a.sessions);
    vec_free(&a.routes);
    return code;
}

void bench_request_fini(struct bench_request *r) {
    vec_free(&r->workloads);
}

const char bench_help[] =
    "One configuration is measured for each scenario and each combination of --sizes, --sessions and --routes: trials\n"
    "run in turn (A B B A), so that what the machine does to one it does to all; the first one is what the others are\n"
    "compared with. A trial that the machine disturbed is repeated; a late generator makes it invalid.\n\n"
    "  --trace TRACE        what is sent (default: each scenario's own capture)\n"
    "  --sizes SIZES        trace (default), 64 or 64,512,1518 (in turn; RFC 2544), imix; several: \"64;512;imix\"\n"
    "  --sessions N         so many flows at a time, at least; several: \"1k;100k\". NAT tables hold twice as many\n"
    "  --routes N           so many made-up prefixes more in the main table, by the default route's next hop;\n"
    "                       what goes there by the default route is spread over them\n"
    "  --churn X            share of the flows that is new in each lap of the trace, 0 to 1 (0)\n"
    "  --loss NAME=RATIO    a goal of the search; repeat it (ndr=0 and pdr=0.005)\n"
    "  --width W            how near a goal's bounds get, relative (0.005)\n"
    "  --max-pps N          offer no more than this\n"
    "  --trial S, --rest S  a full trial's length (0.8) and the rest after it (0.5)\n"
    "  --no-fifo            trials of 1 s without SCHED_FIFO and rest\n"
    "  --seconds S          for the cost in memory, all configurations together (5)\n"
    "  --back-to-back       longest burst without loss (RFC 9004)\n"
    "  --nat-rates          session set-up and tear-down rates, table capacity (RFC 9693)\n"
    "  --capture DIR        dropped and slowest packets of each load as pcapng, with the reason\n"
    "  --quick              a few seconds for each part: rough bounds\n"
    "  --topology rings     rings between the workers (default), of --depth N packets (1024); or\n"
    "  --in \"TX;RX\" --out \"TX;RX\"  DPDK devices, as EAL's --vdev takes them: the generator sends on the first TX, "
    "the core\n"
    "                       receives on its RX, sends on the second TX; the sink receives on its RX\n"
    "  --generators N       sending workers (1)\n"
    "  --workers N          core workers (1), who share what is sent; each one's sessions and outside ports are its "
    "own\n"
    "  --staged             plain packets too pass all stages one by one, to see what each costs\n"
    "  --cpu N              where the core worker runs (the last one); --generator-cpu N,...: the generators (the "
    "others)\n"
    "  --burst N            packets a burst of the core worker, at most (64)\n"
    "  --node NAME          the machine under test\n"
    "  --force              go on in spite of faults of a scenario's design\n"
    "  --lookup BACKEND     dir24-8 (default), rte_fib (DPDK's DIR24-8) or trie\n"
    "  --no-huge            leave hugepages alone\n"
    "  --split DIR          one document a configuration: DIR/NAME.bench.json, latency percentiles beside it (.hgrm)\n"
    "  --hash               the full SHA-256 of every input\n"
    "  --json, -o FILE      one JSON document on stdout, or into a file; then percentiles beside it\n";
