/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab analyze: every flow of a capture, its way there and back, who is to blame and what mends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include "cli.h"

struct request {
    const char *scenario, *trace, *node, *out, *packets, *fail_on;
    bool json, no_scenario, hash, force;
};

/* Does one of the words of --fail-on apply to the document? */
static bool fails(const json_t *doc, const char *word) {
    const json_t *model = json_object_get(json_object_get(doc, "flows"), "model");
    const json_t *packets = json_object_get(doc, "packets");
    if (!strcmp(word, "asymmetry")) {
        static const char *const bad[] = {"asym_benign", "asym_possible", "asym_breaks", "no_return_route", "rpf_drop"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            if (json_integer_value(json_object_get(model, bad[i])))
                return true;
        return false;
    }
    if (!strcmp(word, "drops"))
        return json_integer_value(json_object_get(json_object_get(packets, "dropped"), "total")) ||
               json_integer_value(json_object_get(json_object_get(packets, "dropped_elsewhere"), "total"));
    if (!strcmp(word, "drift"))
        return json_integer_value(json_object_get(json_object_get(doc, "flows"), "drift"));
    return json_integer_value(json_object_get(model, word)) ||
           json_integer_value(json_object_get(json_object_get(json_object_get(doc, "flows"), "observed"), word));
}

static bool known_word(const char *word) {
    static const char *const words[] = {"asymmetry", "drops", "drift", "asym_benign", "asym_possible", "asym_breaks",
        "no_return_route", "rpf_drop", "dropped", "unmodelled", "iface_asym", "nexthop_asym", "reverse_elsewhere",
        "unanswered", "one_way_capture", "unobservable"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i]))
            return true;
    return false;
}

/* Calls for each word of the list; stops when fn says so. */
static bool any_word(const char *list, const json_t *doc, bool (*fn)(const json_t *, const char *)) {
    char *copy = strdup(list), *save = NULL;
    bool found = false;
    for (char *w = strtok_r(copy, ",", &save); w && !found; w = strtok_r(NULL, ",", &save))
        found = fn(doc, w);
    free(copy);
    return found;
}

static bool unknown_word(const json_t *doc, const char *word) {
    if (known_word(word))
        return false;
    cli_usage("--fail-on: `%s` is neither asymmetry, drops, drift nor a verdict", word);
    return true;
}

static int parse_options(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},          {"output", required_argument, NULL, 'o'},
        {"node", required_argument, NULL, 'n'},    {"no-scenario", no_argument, NULL, 'x'},
        {"hash", no_argument, NULL, 'h'},          {"packets", required_argument, NULL, 'p'},
        {"fail-on", required_argument, NULL, 'f'}, {"force", no_argument, NULL, 'F'}, {0}};
    *r = (struct request){0};
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        switch (c) {
        case 'j': r->json = true; break;
        case 'o': r->out = optarg; break;
        case 'n': r->node = optarg; break;
        case 'x': r->no_scenario = true; break;
        case 'h': r->hash = true; break;
        case 'p': r->packets = optarg; break;
        case 'f': r->fail_on = optarg; break;
        case 'F': r->force = true; break;
        default: return EXIT_BAD_INPUT;
        }
    }
    int left = argc - optind, want = r->no_scenario ? 1 : 2;
    if (r->no_scenario && (r->node || r->packets || r->force))
        return cli_usage("--node, --packets and --force need a scenario");
    if (left < 1 || left > want)
        return cli_usage(left < 1 ? "analyze takes a scenario and a capture"
                                  : "analyze takes one capture at a time; join several with mergecap first");
    if (!r->no_scenario)
        r->scenario = argv[optind++];
    r->trace = optind < argc ? argv[optind] : NULL;
    if (r->fail_on && any_word(r->fail_on, NULL, unknown_word))
        return EXIT_BAD_INPUT;
    return EXIT_DONE;
}

static json_t *document(const struct request *r, const char *trace, const struct setup *s, const struct analysis *a,
                        bool partial, struct err *e) {
    struct document_input inputs[] = {{r->scenario, "scenario"}, {trace, "trace"}};
    struct document_options o = {.command = "analyze", .inputs = inputs + !r->scenario, .n_inputs = r->scenario ? 2 : 1,
                                 .full_hash = r->hash, .partial = partial};
    json_t *doc = document_new(&o, e);
    if (!doc)
        return NULL;
    if (s->control)
        json_object_set_new(doc, "scenario", cli_scenario_json(s));
    analysis_document(a, doc);
    if (s->control)
        json_object_set_new(doc, "complaints", cli_complaints_json(&s->complaints));
    return doc;
}

static int finish(const struct request *r, json_t *doc) {
    bool found = r->fail_on && any_word(r->fail_on, doc, fails);
    if (!r->json && !r->out)
        report_analyze_text(doc, stdout);
    int code = cli_document_done(doc, r->json, r->out);
    return code ? code : found ? EXIT_FINDING : EXIT_DONE;
}

static int with_scenario(const struct request *r) {
    struct setup s;
    struct err e = {0};
    if (cli_setup(&s, r->scenario, r->node, r->force, &e))
        return cli_fail(&e);
    const char *trace;
    struct control_options small = {.fast_node = INDEX_NONE, .nat_sessions = 64};
    struct control *model = control_build(s.scenario, &small, &e);
    struct inject *in = model ? cli_inject(&s, r->trace, &trace, &e) : NULL;
    int code = EXIT_BAD_INPUT;
    if (in) {
        struct fabric *f = fabric_create(model);
        struct analysis *a = analyze(in, &s.control->nodes[s.node], f);
        analysis_faults(a, &s.complaints);
        size_t n;
        const struct inject_verdict *v = analysis_verdicts(a, &n);
        json_t *doc = document(r, trace, &s, a, in->trace->damage != NULL, &e);
        if (!doc || (r->packets && cli_packets_save(r->packets, v, n, &s.control->nodes[s.node], &e)))
            code = cli_fail(&e);
        else
            code = finish(r, json_incref(doc));
        json_decref(doc);
        analysis_destroy(a);
        fabric_destroy(f);
        inject_destroy(in);
    } else {
        cli_fail(&e);
    }
    control_destroy(model);
    cli_setup_fini(&s);
    return code;
}

static int without_scenario(const struct request *r) {
    struct setup none = {0};
    struct err e = {0};
    struct trace_memory *t = trace_preload(r->trace, 0, &e);
    struct inject *in = t ? inject_create(t, NULL, 0, &e) : NULL;
    if (!in) {
        err_where(&e, "%s", r->trace);
        return cli_fail(&e);
    }
    struct analysis *a = analyze(in, NULL, NULL);
    json_t *doc = document(r, r->trace, &none, a, in->trace->damage != NULL, &e);
    int code = doc ? finish(r, doc) : cli_fail(&e);
    analysis_destroy(a);
    inject_destroy(in);
    return code;
}

static int run(int argc, char **argv) {
    struct request r;
    int code = parse_options(argc, argv, &r);
    if (code)
        return code;
    return r.no_scenario ? without_scenario(&r) : with_scenario(&r);
}

const struct command command_analyze = {
    "analyze", "SCENARIO TRACE", "Every flow's way there and back, drops by reason, NAT, asymmetry with cause and mend",
    "TRACE is pcap or pcapng, plain or compressed (gz, zst, lz4, xz), `-` for stdin; left out, it is the scenario's "
    "own.\n\n"
    "  --node NAME        the machine under test (default: as the scenario says)\n"
    "  --force            go on in spite of faults of the scenario's design (overlaps, duplicates): they are findings\n"
    "  --no-scenario      TRACE alone: what the capture can show by itself\n"
    "  --fail-on LIST     exit 1 if one occurs: asymmetry, drops, drift, or verdicts (asym_breaks, unanswered, ...)\n"
    "  --packets FILE     what became of every packet that arrived, as CSV\n"
    "  --hash             the full SHA-256 of every input\n"
    "  --json             one JSON document on stdout\n"
    "  -o FILE            the same into a file, whole or not at all\n\n"
    "Exit status: 0 done, 1 a finding of --fail-on, 2 bad usage or input.\n",
    run};
