/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab analyze: every flow of a capture, its way there and back, who is to blame and what mends it. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include <fwdlab/trace/rewrite.h>
#include "cli.h"
#include "points.h"

#define MEMORY_DEFAULT ((size_t)1 << 30)
#define MEMORY_LEAST 1000000

struct request {
    const char *scenario, *node, *out, *packets, *flows, *fail_on, *filter, *keys, *what_if, *annotate;
    const char **traces;
    size_t n_traces, memory;
    unsigned workers;
    bool json, no_scenario, hash, force;
    struct analysis_what_if variant;
    struct point_pairs points;
    const struct control_node *nat_node; /* whose addresses the points' NAT is meant to use; NULL */
    struct link_keys *esp;
    struct record_writer *records;
    const volatile bool *interrupted;
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
    if (!strcmp(word, "broken"))
        return json_integer_value(json_object_get(json_object_get(doc, "what_if"), "broken"));
    if (!strcmp(word, "drift"))
        return json_integer_value(json_object_get(json_object_get(doc, "flows"), "drift"));
    return json_integer_value(json_object_get(model, word)) ||
           json_integer_value(json_object_get(json_object_get(json_object_get(doc, "flows"), "observed"), word));
}

static bool known_word(const char *word) {
    static const char *const words[] = {"asymmetry", "drops", "drift", "broken", "asym_benign", "asym_possible",
        "asym_breaks", "no_return_route", "rpf_drop", "dropped", "unmodelled", "iface_asym", "nexthop_asym",
        "reverse_elsewhere", "unanswered", "one_way_capture", "unobservable"};
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
    cli_usage("--fail-on: `%s` is neither asymmetry, drops, drift, broken nor a verdict", word);
    return true;
}

/* "500M", "2G", "800000000" bytes; 0: not a size. */
static size_t parse_size(const char *text) {
    char *end;
    double v = strtod(text, &end);
    const char *unit = strchr("kMG", *end);
    if (end == text || v <= 0 || (*end && (!unit || end[1])))
        return 0;
    return (size_t)(v * (*end == 'k' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : 1));
}

static int check_options(struct request *r) {
    if (r->no_scenario && (r->node || r->packets || r->force || r->what_if))
        return cli_usage("--node, --packets, --force and --what-if need a scenario");
    if (r->fail_on && any_word(r->fail_on, NULL, unknown_word))
        return EXIT_BAD_INPUT;
    if (r->memory < MEMORY_LEAST)
        return cli_usage("--memory takes a size such as 500M or 2G, at least 1M");
    if (!r->workers)
        return cli_usage("--workers takes 1 or 2: one that does all, or one that reads and one that judges");
    for (size_t i = 0; r->annotate && i < r->n_traces; i++)
        if (!strcmp(r->traces[i], "-"))
            return cli_usage("--annotate reads the captures twice: stdin cannot be");
    return EXIT_DONE;
}

/* That this process may run on. */
static int cpus(void) {
    cpu_set_t mine;
    return sched_getaffinity(0, sizeof mine, &mine) ? 1 : CPU_COUNT(&mine);
}

static int parse_options(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},          {"output", required_argument, NULL, 'o'},
        {"node", required_argument, NULL, 'n'},    {"no-scenario", no_argument, NULL, 'x'},
        {"hash", no_argument, NULL, 'h'},          {"packets", required_argument, NULL, 'p'},
        {"fail-on", required_argument, NULL, 'f'}, {"force", no_argument, NULL, 'F'},
        {"flows", required_argument, NULL, 'l'},   {"filter", required_argument, NULL, 'e'},
        {"memory", required_argument, NULL, 'm'},  {"keys", required_argument, NULL, 'k'},
        {"point", required_argument, NULL, 'P'},       {"annotate", required_argument, NULL, 'A'},
        {"what-if", required_argument, NULL, 'w'},     {"workers", required_argument, NULL, 'W'},
        {0}};
    struct err e = {0};
    *r = (struct request){.memory = MEMORY_DEFAULT, .workers = cpus() > 1 ? 2 : 1};
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
        case 'l': r->flows = optarg; break;
        case 'e': r->filter = optarg; break;
        case 'm': r->memory = parse_size(optarg); break;
        case 'k': r->keys = optarg; break;
        case 'A': r->annotate = optarg; break;
        case 'P':
            if (point_pairs_add(&r->points, optarg, &e))
                return cli_fail(&e);
            break;
        case 'w': r->what_if = optarg; break;
        case 'W': r->workers = !strcmp(optarg, "1") ? 1 : !strcmp(optarg, "2") ? 2 : 0; break;
        default: return EXIT_BAD_INPUT;
        }
    }
    if (argc - optind < 1 && !r->points.n)
        return cli_usage("analyze takes a scenario and captures");
    if (!r->no_scenario && optind < argc)
        r->scenario = argv[optind++];
    r->traces = (const char **)argv + optind;
    r->n_traces = (size_t)(argc - optind);
    if (r->points.n && (r->points.n != 2 || r->n_traces || r->packets || r->what_if))
        return cli_usage("--point stands twice and in place of captures, without --packets and --what-if");
    if (r->points.n) { /* what is told of flows is told from inside */
        r->traces = r->points.path;
        r->n_traces = 1;
    }
    return check_options(r);
}

/* ---- reading ---- */

static bool go_on(void *arg, const struct feed_counts *so_far) {
    const struct request *r = arg;
    progress_bytes("analyze", so_far->done, so_far->total);
    return !*r->interrupted;
}

static void keep_record(void *arg, const struct flow_record *record) {
    const struct request *r = arg;
    struct flow_record told = *record;
    if (r->points.n)
        point_pairs_tell(&r->points, &told);
    record_write(r->records, &told);
}

static bool ends_in(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && !strcmp(path + n - m, ending);
}

/* Opens what a run needs besides the captures. */
static int open_outputs(struct request *r, struct err *e) {
    r->interrupted = cli_interruptible();
    if (r->keys && !(r->esp = link_keys_load(r->keys, e)))
        return -EINVAL;
    if (!r->flows)
        return 0;
    r->records = record_writer_open(r->flows, ends_in(r->flows, ".ipfix") ? RECORD_IPFIX : RECORD_CSV, e);
    return r->records ? 0 : -EIO;
}

static int close_outputs(struct request *r, bool whole, struct err *e) {
    int code = 0;
    if (r->records && whole)
        code = record_writer_close(r->records, e);
    else if (r->records)
        record_writer_abandon(r->records);
    r->records = NULL;
    link_keys_free(r->esp);
    r->esp = NULL;
    return code;
}

static struct analysis *read_captures(struct request *r, const struct setup *s, struct fabric *f, struct err *e) {
    const struct trace_many_options from = {
        .paths = r->traces, .n = r->n_traces, .filter = r->filter, .in_order = true};
    struct trace_many *many = trace_many_open(&from, e);
    if (!many)
        return NULL;
    const struct analysis_options o = {.control = s->control, .node = s->node, .fabric = f, .keys = r->esp,
                                       .what_if = r->variant,
                                       .max_flows = r->memory / analysis_flow_size(), .workers = r->workers,
                                       .several = r->n_traces > 1,
                                       .keep_verdicts = r->packets != NULL, .keep_flows = r->annotate != NULL,
                                       .record = r->records ? keep_record : NULL,
                                       .record_arg = r, .go_on = go_on, .go_on_arg = r};
    const struct feed_source source = feed_many(many);
    struct analysis *a = analyze(&source, &o, e);
    progress_done();
    if (!a && r->n_traces == 1)
        err_where(e, "%s", r->traces[0]);
    trace_many_close(many);
    return a;
}

/* ---- the document ---- */

static json_t *document(const struct request *r, const struct setup *s, const struct analysis *a, struct err *e) {
    struct document_input *inputs = xzalloc(r->points.n + r->n_traces + 2, sizeof *inputs);
    unsigned n = 0;
    if (r->scenario)
        inputs[n++] = (struct document_input){r->scenario, "scenario"};
    if (r->what_if)
        inputs[n++] = (struct document_input){r->what_if, "variant"};
    for (size_t i = 0; i < r->n_traces; i++)
        inputs[n++] = (struct document_input){r->traces[i], "trace"};
    if (r->points.n)
        inputs[n++] = (struct document_input){r->points.path[1], "trace"};
    struct document_options o = {.command = "analyze", .inputs = inputs, .n_inputs = n, .full_hash = r->hash,
                                 .partial = analysis_partial(a)};
    json_t *doc = document_new(&o, e);
    free(inputs);
    if (!doc)
        return NULL;
    if (s->control)
        json_object_set_new(doc, "scenario", cli_scenario_json(s));
    analysis_document(a, doc);
    if (r->points.n)
        point_pairs_document(&r->points, doc);
    if (s->control)
        json_object_set_new(doc, "complaints", cli_complaints_json(&s->complaints));
    return doc;
}

static int finish(const struct request *r, const struct analysis *a, json_t *doc) {
    const struct document_rows pairs = analysis_pairs(a);
    bool found = r->fail_on && any_word(r->fail_on, doc, fails);
    if (!r->json && !r->out)
        report_analyze_text(doc, stdout);
    int code = cli_document_rows_done(doc, r->points.n ? NULL : &pairs, r->json, r->out);
    return code ? code : found ? EXIT_FINDING : EXIT_DONE;
}

static const char *comment_of(void *arg, const struct trace_packet *p) {
    static char text[2400];
    return analysis_comment(arg, p, text, sizeof text);
}

/* The captures once more, with what was found in the packets' comments. */
static int annotate(const struct request *r, struct analysis *a, struct err *e) {
    const struct trace_many_options from = {.paths = r->traces, .n = r->n_traces, .filter = r->filter};
    return r->annotate ? trace_annotate(&from, r->annotate, comment_of, a, e) : 0;
}

/* Everything that was asked for is written, or nothing is. */
static int tell(struct request *r, const struct setup *s, struct analysis *a, struct err *e) {
    size_t n;
    const struct inject_verdict *v = analysis_verdicts(a, &n);
    json_t *doc = document(r, s, a, e);
    if (!doc || annotate(r, a, e) || close_outputs(r, true, e) ||
        (r->packets && cli_packets_save(r->packets, v, n, &s->control->nodes[s->node], e))) {
        json_decref(doc);
        return cli_fail(e);
    }
    int code = finish(r, a, doc);
    return analysis_interrupted(a) ? EXIT_INTERRUPTED : code;
}

static int over(struct request *r, const struct setup *s, struct fabric *f) {
    struct err e = {0};
    struct analysis *a = NULL;
    if (!open_outputs(r, &e) &&
        !(r->points.n && point_pairs_read(&r->points, r->filter, r->nat_node, r->interrupted, &e)))
        a = read_captures(r, s, f, &e);
    if (a && s->control)
        analysis_faults(a, &s->complaints);
    int code = a ? tell(r, s, a, &e) : cli_fail(&e);
    close_outputs(r, false, &e);
    analysis_destroy(a);
    return code;
}

/* Another scenario's node of the same name beside it. */
static int with_variant(struct request *r, const struct setup *s, struct fabric *f) {
    struct setup v;
    struct err e = {0};
    if (cli_setup(&v, r->what_if, s->control->nodes[s->node].name, r->force, &e))
        return cli_fail(&e);
    struct control_options small = {.fast_node = INDEX_NONE, .nat_sessions = 64};
    struct control *model = control_build(v.scenario, &small, &e);
    int code = EXIT_BAD_INPUT;
    if (model) {
        r->variant = (struct analysis_what_if){v.control, v.node, fabric_create(model)};
        code = over(r, s, f);
        fabric_destroy(r->variant.fabric);
    } else {
        cli_fail(&e);
    }
    control_destroy(model);
    cli_setup_fini(&v);
    return code;
}

static int with_scenario(struct request *r) {
    struct setup s;
    struct err e = {0};
    if (cli_setup(&s, r->scenario, r->node, r->force, &e))
        return cli_fail(&e);
    if (r->points.n) { /* it says which addresses the NAT has */
        const struct setup none = {0};
        r->nat_node = &s.control->nodes[s.node];
        int told = over(r, &none, NULL);
        cli_setup_fini(&s);
        return told;
    }
    struct control_options small = {.fast_node = INDEX_NONE, .nat_sessions = 64};
    struct control *model = control_build(s.scenario, &small, &e);
    int code = EXIT_BAD_INPUT;
    if (!r->n_traces && s.scenario->trace) {
        r->traces = (const char **)&s.scenario->trace;
        r->n_traces = 1;
    }
    if (!model) {
        cli_fail(&e);
    } else if (!r->n_traces) {
        cli_no_trace(&s, &e);
        cli_fail(&e);
    } else {
        struct fabric *f = fabric_create(model);
        code = r->what_if ? with_variant(r, &s, f) : over(r, &s, f);
        fabric_destroy(f);
    }
    control_destroy(model);
    cli_setup_fini(&s);
    return code;
}

static int run(int argc, char **argv) {
    struct request r;
    const struct setup none = {0};
    int code = parse_options(argc, argv, &r);
    if (!code)
        code = r.scenario ? with_scenario(&r) : over(&r, &none, NULL);
    point_pairs_fini(&r.points);
    return code;
}

const struct command command_analyze = {
    "analyze", "SCENARIO TRACE...",
    "Every flow's way there and back, drops by reason, NAT, asymmetry with cause and mend",
    "TRACE is pcap or pcapng, plain or compressed (gz, zst, lz4, xz), `-` for stdin; left out, it is the scenario's "
    "own. Several are read as one, in the order of time.\n\n"
    "  --node NAME        the machine under test (default: as the scenario says)\n"
    "  --force            go on in spite of faults of the scenario's design (overlaps, duplicates): they are findings\n"
    "  --no-scenario      TRACE alone: what the capture can show by itself\n"
    "  --fail-on LIST     exit 1 if one occurs: asymmetry, drops, drift, broken (with --what-if: a flow that works\n"
    "                     and no longer would), or verdicts (asym_breaks, unanswered, ...)\n"
    "  --what-if VARIANT  what another scenario would change: packets, and flows by the route that makes the\n"
    "                     difference\n"
    "  --point NAME=FILE  twice, in place of captures: before a NAT and beyond it. Joins their packets, tells the\n"
    "                     mapping table with proof, and what went past the NAT or was translated wrongly; a scenario\n"
    "                     says which addresses the NAT has\n"
    "  --filter EXPR      only packets that match (pcap-filter(7))\n"
    "  --keys FILE        keys of ESP tunnels, each line as in Wireshark's esp_sa table\n"
    "  --memory SIZE      at most so much for flows (default 1G): those that were idle longest go first, and are\n"
    "                     counted\n"
    "  --workers N        1, or 2: another thread reads and classifies (default: 2 where there are as many CPUs). The\n"
    "                     result is the same\n"
    "  --flows FILE       every flow with its verdicts, as CSV, or as IPFIX when FILE ends in .ipfix\n"
    "  --annotate FILE    the captures again as one pcapng, each packet's finding in its comment (Wireshark shows it)\n"
    "  --packets FILE     what became of every packet that arrived, as CSV\n"
    "  --hash             the full SHA-256 of every input\n"
    "  --json             one JSON document on stdout\n"
    "  -o FILE            the same into a file, whole or not at all\n\n"
    "Exit status: 0 done, 1 a finding of --fail-on, 2 bad usage or input. Ctrl-C ends the reading: what was found so "
    "far is told, marked as partial (exit status 130).\n",
    run};
