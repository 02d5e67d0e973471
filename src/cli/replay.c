/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab replay: a trace through the core at full speed; several configurations interleaved in one process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/replay/document.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include "cli.h"
#include "pace.h"

#define NOISE_WINDOW_NS 200000000ull

struct request {
    const char *trace, *node, *out, *dir, *packets, *verdicts;
    const struct route_backend *backend; /* of the node under test */
    struct replay_options options;
    struct dpdk_options dpdk;
    struct paced paced;
    double duration; /* s; 0: once through the trace at its own pace, else 5 */
    bool json, hash, force, stream, staged;
};

/* One configuration: its own tables for the node, the trace that is timed and the one whose verdicts are taken. */
struct subject {
    struct setup setup;
    struct inject *cost, *own; /* own == cost unless --verdicts own */
    const char *cost_path, *own_path;
    struct trial_result *trial; /* at a pace; NULL: none */
    bool damaged, interrupted;
};

static int number(const char *text, unsigned low, unsigned high, unsigned *out) {
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (!*text || *end || v < low || v > high)
        return cli_usage("`%s` is not a number from %u to %u", text, low, high);
    *out = (unsigned)v;
    return 0;
}

/* What only a pace has; generators beyond the first take the CPUs after it, but the core's. */
static int check_pace(struct request *r) {
    struct trial_options *t = &r->paced.options;
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (t->pace.kind == PACE_MAX && (r->duration > 0 || r->paced.to || r->stream || r->paced.generators > 1))
        return cli_usage("--duration, --generators, --to and --stream need a --pace");
    if (r->paced.to && r->paced.generators > 1)
        return cli_usage("--to: one generator sends");
    if (r->stream && (r->packets || r->duration > 0 || !strcmp(r->verdicts, "own")))
        return cli_usage("--stream sends the trace once, and has no verdicts of single packets");
    t->seconds = r->duration > 0 ? r->duration : t->pace.kind == PACE_TRACE || r->stream ? 0 : 5;
    t->burst = r->options.burst;
    t->core_cpu = r->options.cpu;
    t->fifo = true; /* where it is allowed, and short enough */
    for (unsigned i = 1, next = t->generator_cpu[0]; i < r->paced.generators; i++) {
        do
            next = (next + 1) % cpus;
        while (cpus > 1 && next == t->core_cpu);
        t->generator_cpu[i] = next;
    }
    r->dpdk.pci = r->paced.to != NULL;
    return 0;
}

static int parse_options(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},          {"output", required_argument, NULL, 'o'},
        {"trace", required_argument, NULL, 't'},   {"node", required_argument, NULL, 'n'},
        {"hash", no_argument, NULL, 'h'},          {"split", required_argument, NULL, 'd'},
        {"packets", required_argument, NULL, 'p'}, {"verdicts", required_argument, NULL, 'v'},
        {"laps", required_argument, NULL, 'l'},    {"seconds", required_argument, NULL, 's'},
        {"burst", required_argument, NULL, 'b'},   {"cpu", required_argument, NULL, 'c'},
        {"no-huge", no_argument, NULL, 'H'},       {"lookup", required_argument, NULL, 'L'},
        {"pace", required_argument, NULL, 'P'},    {"force", no_argument, NULL, 'F'},
        {"duration", required_argument, NULL, 'D'}, {"generators", required_argument, NULL, 'g'},
        {"generator-cpu", required_argument, NULL, 'G'}, {"to", required_argument, NULL, 'T'},
        {"stream", no_argument, NULL, 'S'},        {"staged", no_argument, NULL, 'X'},
        {0}};
    struct err e = {0};
    char *end;
    unsigned seconds = 0;
    int code = 0;
    *r = (struct request){.verdicts = "trace", .backend = &route_direct, .paced.generators = 1};
    r->options.cpu = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    for (int c; !code && (c = cli_option(argc, argv, options)) != -1;) {
        switch (c) {
        case 'j': r->json = true; break;
        case 'o': r->out = optarg; break;
        case 't': r->trace = optarg; break;
        case 'n': r->node = optarg; break;
        case 'h': r->hash = true; break;
        case 'F': r->force = true; break;
        case 'd': r->dir = optarg; break;
        case 'p': r->packets = optarg; break;
        case 'v': r->verdicts = optarg; break;
        case 'l': code = number(optarg, 1, 1000000, &r->options.laps); break;
        case 's': code = number(optarg, 1, 86400, &seconds); break;
        case 'b': code = number(optarg, 1, BURST_MAX, &r->options.burst); break;
        case 'c': code = number(optarg, 0, 1023, &r->options.cpu); break;
        case 'H': r->dpdk.no_huge = true; break;
        case 'L': code = cli_lookup(optarg, &r->backend); break;
        case 'P':
            if (pace_parse(optarg, &r->paced.options.pace, &e))
                code = cli_fail(&e);
            break;
        case 'D':
            r->duration = strtod(optarg, &end);
            if (!*optarg || *end || !(r->duration > 0 && r->duration <= 86400))
                code = cli_usage("--duration: `%s` is not a number of seconds", optarg);
            break;
        case 'g': code = number(optarg, 1, TRIAL_GENERATORS_MAX, &r->paced.generators); break;
        case 'G': code = number(optarg, 0, 1023, &r->paced.options.generator_cpu[0]); break;
        case 'T': r->paced.to = optarg; break;
        case 'S': r->stream = true; break;
        case 'X': r->staged = true; break;
        default: return EXIT_BAD_INPUT;
        }
    }
    r->options.seconds = seconds;
    if (code)
        return code;
    if (optind == argc)
        return cli_usage("replay takes at least one scenario");
    if (strcmp(r->verdicts, "trace") && strcmp(r->verdicts, "own"))
        return cli_usage("--verdicts is trace or own, not `%s`", r->verdicts);
    if (r->packets && argc - optind > 1)
        return cli_usage("--packets takes one scenario");
    return check_pace(r);
}

/* How the node under test is built. */
static struct control_options tables(const struct request *r) {
    return (struct control_options){.fast = r->backend, .staged = r->staged};
}

static int load(struct subject *s, const struct request *r, const char *path, struct err *e) {
    const struct control_options sizes = tables(r);
    int code = cli_setup_sized(&s->setup, path, r->node, r->force, &sizes, e);
    if (code)
        return code;
    if (r->stream) {
        s->cost_path = r->trace ? r->trace : s->setup.scenario->trace;
        return s->cost_path ? 0 : err_set(e, -EINVAL, "--stream needs a --trace");
    }
    s->cost = cli_inject(&s->setup, r->trace, &s->cost_path, e);
    s->own = s->cost;
    s->own_path = s->cost_path;
    if (s->cost && !strcmp(r->verdicts, "own") && s->setup.scenario->trace)
        s->own = cli_inject(&s->setup, NULL, &s->own_path, e);
    if (!s->cost || !s->own)
        return -EINVAL;
    const char *damage = s->cost->trace->damage ? s->cost->trace->damage : s->own->trace->damage;
    if (damage)
        fprintf(stderr, "fwdlab: %s: %s; what was read before is used\n", s->cost_path, damage);
    s->damaged = damage != NULL;
    return 0;
}

static void unload(struct subject *s) {
    if (s->own != s->cost)
        inject_destroy(s->own);
    inject_destroy(s->cost);
    if (s->trial)
        trial_result_fini(s->trial);
    free(s->trial);
    cli_setup_fini(&s->setup);
}

static json_t *new_document(const struct subject *s, const struct request *r, const struct replay_result *result,
                            struct err *e) {
    struct document_input inputs[] = {
        {s->setup.scenario->file, "scenario"}, {s->cost_path, "trace"}, {s->own_path, "trace"}};
    struct document_options o = {.command = "replay", .inputs = inputs, .n_inputs = s->own == s->cost ? 2 : 3,
                                 .full_hash = r->hash, .dpdk = dpdk_version(), .hugepages = dpdk_hugepages(),
                                 .noise = &result->noise,
                                 .partial = s->damaged || s->interrupted};
    json_t *doc = document_new(&o, e);
    if (doc)
        json_object_set_new(doc, "scenario", cli_scenario_json(&s->setup));
    return doc;
}

static void add_measured(const struct replay_configuration *c, const struct subject *s,
                         const struct replay_result *result, const struct request *r, const char *pair, json_t *doc) {
    if (s->cost) {
        replay_document(c, result, pair, doc);
    } else {
        json_object_set_new(doc, "packets", json_null());
        json_object_set_new(doc, "cost", json_null());
    }
    if (s->trial)
        replay_trial_document(s->trial, &r->paced.options, doc);
}

/* One document for all configurations (the first one's, with the others under
 * `configurations`), or one each in a folder. */
static int finish(struct subject *s, struct replay_configuration *c, unsigned n, const struct request *r,
                  const struct replay_result *result, struct err *e) {
    json_t *comparison = replay_comparison(c, n), *first = NULL, *list = json_array();
    char pair[40];
    snprintf(pair, sizeof pair, "%d-%u", (int)getpid(), n);
    int code = r->dir ? dir_make(r->dir, e) : 0;
    for (unsigned i = 0; i < n && !code; i++) {
        json_t *doc = new_document(&s[i], r, result, e);
        if (!doc)
            code = -EINVAL;
        else
            add_measured(&c[i], &s[i], result, r, pair, doc);
        if (doc && n > 1 && !r->stream)
            json_object_set(doc, "comparison", comparison);
        if (doc && r->dir) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s.replay.json", r->dir, c[i].name);
            code = document_save(doc, path, e);
        }
        if (i == 0)
            first = json_copy(doc);
        json_array_append_new(list, doc);
    }
    if (!code && n > 1)
        json_object_set(first, "configurations", list);
    json_decref(list);
    json_decref(comparison);
    if (code) {
        json_decref(first);
        return cli_fail(e);
    }
    if (!r->json && !r->out && !r->dir)
        report_replay_text(first, stdout);
    return cli_document_done(first, r->json, r->out);
}

struct renewal {
    struct subject *subjects;
    const struct request *request;
};

/* Tables made anew for an epoch: all are gone before the first is made, so that they can change places. */
static int renew(struct replay_configuration *c, unsigned n, bool backwards, void *arg, struct err *e) {
    const struct renewal *r = arg;
    const struct control_options sizes = tables(r->request);
    for (unsigned i = 0; i < n; i++) {
        control_destroy(r->subjects[i].setup.control);
        r->subjects[i].setup.control = NULL;
    }
    for (unsigned k = 0; k < n; k++) {
        unsigned i = backwards ? n - 1 - k : k;
        struct setup *s = &r->subjects[i].setup;
        int code = cli_setup_build(s, &sizes, e);
        if (code)
            return code;
        c[i].node = &s->control->nodes[s->node].node;
    }
    return 0;
}

/* At a pace, one after the other. */
static int run_paced(struct subject *s, unsigned n, const struct request *r, struct err *e) {
    for (unsigned i = 0; i < n && r->paced.options.pace.kind != PACE_MAX; i++) {
        struct trial_result *out = s[i].trial = xzalloc(1, sizeof *out);
        int code = r->stream ? paced_stream(&r->paced, &s[i].setup, s[i].cost_path, out, &s[i].damaged, e)
                             : paced_run(&r->paced, &s[i].setup, s[i].cost, out, e);
        if (code) {
            free(out);
            s[i].trial = NULL;
        }
        if (code == -EINTR && s[i].cost) { /* verdicts and costs are there */
            for (; i < n; i++)
                s[i].interrupted = true;
            return 0;
        }
        if (code)
            return code;
    }
    return 0;
}

/* A late generator's result is written, and is none. */
static int judge(const struct subject *s, unsigned n) {
    int code = EXIT_DONE;
    for (unsigned i = 0; i < n; i++)
        if (s[i].trial && s[i].trial->late) {
            fprintf(stderr, "fwdlab: %s: the trial is not valid: %s\n", s[i].setup.scenario->name, s[i].trial->why);
            code = EXIT_INVALID;
        }
    return code;
}

static int replay(struct subject *s, unsigned n, const struct request *r, struct err *e) {
    struct replay_configuration *c = calloc(n, sizeof *c);
    struct replay_result result = {0};
    for (unsigned i = 0; i < n; i++)
        c[i] = (struct replay_configuration){.name = s[i].setup.scenario->name, .cost = s[i].cost, .own = s[i].own,
                                             .node = &s[i].setup.control->nodes[s[i].setup.node].node};
    struct renewal again = {s, r};
    struct replay_options options = r->options;
    options.renew = renew;
    options.renew_arg = &again;
    int code = 0;
    if (r->stream)
        noise_measure(&result.noise, NOISE_WINDOW_NS);
    else
        code = replay_run(c, n, &options, &result, e);
    progress_done();
    if (!code && r->packets)
        code = cli_packets_save(r->packets, c[0].verdicts, c[0].n_verdicts, &s[0].setup.control->nodes[s[0].setup.node],
                                e);
    code = code ? code : run_paced(s, n, r, e);
    code = code ? cli_fail(e) : finish(s, c, n, r, &result, e);
    code = code ? code : judge(s, n);
    for (unsigned i = 0; i < n; i++)
        replay_configuration_fini(&c[i]);
    free(c);
    return code;
}

static int run(int argc, char **argv) {
    struct request r;
    struct err e = {0};
    if (parse_options(argc, argv, &r))
        return EXIT_BAD_INPUT;
    unsigned n = (unsigned)(argc - optind), loaded = 0;
    struct subject *s = calloc(n, sizeof *s);
    r.dpdk.hugepages_mb = 256 + n * 160; /* an empty DIR24-8 is 67 MB; packets; room for longer prefixes */
    int code = dpdk_start(&r.dpdk, &e);
    while (!code && loaded < n) {
        code = load(&s[loaded], &r, argv[optind + (int)loaded], &e);
        loaded++;
    }
    code = code ? cli_fail(&e) : replay(s, n, &r, &e);
    for (unsigned i = 0; i < loaded; i++)
        unload(&s[i]);
    free(s);
    dpdk_stop();
    return code;
}

const struct command command_replay = {
    "replay", "SCENARIO... --trace TRACE",
    "A trace through the core at full speed: cost of each stage, verdicts, comparison",
    "Several scenarios run interleaved in one process over the same trace; the first one is what the others are "
    "compared\n"
    "with. Needs no privileges and no hugepages (without them big tables cost more: the result says which were "
    "used).\n\n"
    "  --trace TRACE      what is timed (default: each scenario's own capture)\n"
    "  --pace PACE        after that, one trial: trace, 2x, 1.5Mpps, poisson:1Mpps, bursts:32:1Mpps (max: none)\n"
    "  --duration S       of a trial (default: once through the trace, at a rate 5 s)\n"
    "  --generators N     sending workers (1), from --generator-cpu N on (0)\n"
    "  --to DEVICE        send by a DPDK device (net_af_packet0,iface=veth0), not through the node\n"
    "  --stream           read the trace while it is sent, whatever its size: no verdicts, no cost in memory\n"
    "  --verdicts WHOSE   trace (default): verdicts are those of TRACE; own: of each scenario's own capture\n"
    "  --node NAME        the machine under test\n"
    "  --force            go on in spite of faults of a scenario's design\n"
    "  --seconds N        how long to measure, all configurations together (10)\n"
    "  --laps N           or how many samples of each configuration\n"
    "  --burst N          packets a burst, 1 to 256 (64)\n"
    "  --lookup BACKEND   dir24-8 (default), rte_fib (DPDK's DIR24-8) or trie\n"
    "  --staged           plain packets too pass all stages one by one, to see what each costs: the whole costs more\n"
    "  --cpu N            where the worker runs (the last one)\n"
    "  --no-huge          leave hugepages alone\n"
    "  --packets FILE     what became of every packet that arrived, as CSV (one scenario)\n"
    "  --split DIR        one document a configuration: DIR/NAME.replay.json\n"
    "  --hash             the full SHA-256 of every input\n"
    "  --json, -o FILE    one JSON document on stdout, or into a file\n",
    run};
