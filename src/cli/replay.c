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

struct request {
    const char *trace, *node, *out, *dir, *packets, *verdicts, *backend;
    struct replay_options options;
    struct dpdk_options dpdk;
    bool json, hash, force;
};

/* One configuration: its own tables for the node, the trace that is timed and the one whose verdicts are taken. */
struct subject {
    struct setup setup;
    struct inject *cost, *own; /* own == cost unless --verdicts own */
    const char *cost_path, *own_path;
};

static int number(const char *text, unsigned low, unsigned high, unsigned *out) {
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (!*text || *end || v < low || v > high)
        return cli_usage("`%s` is not a number from %u to %u", text, low, high);
    *out = (unsigned)v;
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
        {0}};
    unsigned seconds = 0;
    int code = 0;
    *r = (struct request){.verdicts = "trace", .backend = "dir24-8"};
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
        case 'L': r->backend = optarg; break;
        case 'P':
            if (strcmp(optarg, "max"))
                code = cli_usage("--pace: `%s`; the pace is max", optarg);
            break;
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
    if (strcmp(r->backend, "dir24-8") && strcmp(r->backend, "trie"))
        return cli_usage("--lookup is dir24-8 or trie, not `%s`", r->backend);
    if (r->packets && argc - optind > 1)
        return cli_usage("--packets takes one scenario");
    return 0;
}

static int load(struct subject *s, const struct request *r, const char *path, struct err *e) {
    const struct route_backend *fast = strcmp(r->backend, "trie") ? &route_dir24_8 : NULL;
    int code = cli_setup(&s->setup, path, r->node, r->force, fast, e);
    if (code)
        return code;
    s->cost = cli_inject(&s->setup, r->trace, &s->cost_path, e);
    s->own = s->cost;
    s->own_path = s->cost_path;
    if (s->cost && !strcmp(r->verdicts, "own") && s->setup.scenario->trace)
        s->own = cli_inject(&s->setup, NULL, &s->own_path, e);
    return s->cost && s->own ? 0 : -EINVAL;
}

static void unload(struct subject *s) {
    if (s->own != s->cost)
        inject_destroy(s->own);
    inject_destroy(s->cost);
    cli_setup_fini(&s->setup);
}

static json_t *new_document(const struct subject *s, const struct request *r, const struct replay_result *result,
                            struct err *e) {
    struct document_input inputs[] = {
        {s->setup.scenario->file, "scenario"}, {s->cost_path, "trace"}, {s->own_path, "trace"}};
    struct document_options o = {.command = "replay", .inputs = inputs, .n_inputs = s->own == s->cost ? 2 : 3,
                                 .full_hash = r->hash, .dpdk = dpdk_version(), .hugepages = dpdk_hugepages(),
                                 .noise = &result->noise,
                                 .partial = s->cost->trace->damage != NULL || s->own->trace->damage != NULL};
    json_t *doc = document_new(&o, e);
    if (doc)
        json_object_set_new(doc, "scenario", cli_scenario_json(&s->setup));
    return doc;
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
            replay_document(&c[i], result, pair, doc);
        if (doc && n > 1)
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

static int replay(struct subject *s, unsigned n, const struct request *r, struct err *e) {
    struct replay_configuration *c = calloc(n, sizeof *c);
    struct replay_result result;
    for (unsigned i = 0; i < n; i++)
        c[i] = (struct replay_configuration){.name = s[i].setup.scenario->name, .cost = s[i].cost, .own = s[i].own,
                                             .node = &s[i].setup.control->nodes[s[i].setup.node].node};
    int code = replay_run(c, n, &r->options, &result, e);
    progress_done();
    if (!code && r->packets)
        code = cli_packets_save(r->packets, c[0].verdicts, c[0].n_verdicts, &s[0].setup.control->nodes[s[0].setup.node],
                                e);
    code = code ? cli_fail(e) : finish(s, c, n, r, &result, e);
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
    "  --verdicts WHOSE   trace (default): verdicts are those of TRACE; own: of each scenario's own capture\n"
    "  --node NAME        the machine under test\n"
    "  --force            go on in spite of faults of a scenario's design\n"
    "  --seconds N        how long to measure, all configurations together (10)\n"
    "  --laps N           or how many samples of each configuration\n"
    "  --burst N          packets a burst, 1 to 256 (64)\n"
    "  --lookup BACKEND   dir24-8 (default) or trie\n"
    "  --cpu N            where the worker runs (the last one)\n"
    "  --no-huge          leave hugepages alone\n"
    "  --packets FILE     what became of every packet that arrived, as CSV (one scenario)\n"
    "  --split DIR        one document a configuration: DIR/NAME.replay.json\n"
    "  --hash             the full SHA-256 of every input\n"
    "  --json, -o FILE    one JSON document on stdout, or into a file\n",
    run};
