/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab size: which host, how many, with what headroom, from measured results and a catalogue of hosts. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/inject/traffic.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include <fwdlab/scenario/plan.h>
#include <fwdlab/size/size.h>
#include "cli.h"

struct request {
    const char *hosts, *rate, *scenario, *trace, *trace_used, *node, *out;
    bool json, hash, force, guests;
    struct size_question question;
    char name[64];            /* of the scenario, whose results are used */
};

/* Options whose text is a number with a unit: where it goes, and what reads it. */
static int quantity(struct request *r, int c, const char *text, struct err *e) {
    double *x = r->question.x;
    switch (c) {
    case 'P': return size_time_parse(text, &r->question.p99_ns, e);
    case 'H': return size_share_parse(text, &r->question.headroom, e);
    case 's': return size_count_parse(text, &x[SIZE_SESSIONS], e);
    case 'r': return size_count_parse(text, &x[SIZE_ROUTES], e);
    case 'b': return size_count_parse(text, &x[SIZE_BYTES], e);
    case 'w': return size_count_parse(text, &x[SIZE_WORKERS], e);
    case 'C': return size_share_parse(text, &x[SIZE_CHURN], e);
    case 'E': return size_share_parse(text, &x[SIZE_ENCRYPTED], e);
    default: return size_count_parse(text, &r->question.system_cores, e);
    }
}

static const struct option options[] = {
    {"json", no_argument, NULL, 'j'},           {"output", required_argument, NULL, 'o'},
    {"hosts", required_argument, NULL, 'c'},    {"rate", required_argument, NULL, 'R'},
    {"p99", required_argument, NULL, 'P'},      {"headroom", required_argument, NULL, 'H'},
    {"sessions", required_argument, NULL, 's'}, {"routes", required_argument, NULL, 'r'},
    {"packet-bytes", required_argument, NULL, 'b'}, {"churn", required_argument, NULL, 'C'},
    {"encrypted", required_argument, NULL, 'E'}, {"workers", required_argument, NULL, 'w'},
    {"nat", required_argument, NULL, 'n'},      {"system-cores", required_argument, NULL, 'y'},
    {"scenario", required_argument, NULL, 'S'}, {"trace", required_argument, NULL, 't'},
    {"node", required_argument, NULL, 'N'},     {"guests", no_argument, NULL, 'g'},
    {"force", no_argument, NULL, 'F'},          {"hash", no_argument, NULL, 'h'}, {0}};

static int parse_nat(struct request *r, const char *text) {
    if (strcmp(text, "yes") && strcmp(text, "no"))
        return cli_usage("--nat is yes or no, not `%s`", text);
    r->question.x[SIZE_NAT] = !strcmp(text, "yes");
    return 0;
}

static int parse_options(int argc, char **argv, struct request *r) {
    struct err e = {0};
    int code = 0;
    *r = (struct request){.question = {.headroom = 0.3, .system_cores = 1}};
    for (unsigned v = 0; v < SIZE_VARIABLES; v++)
        r->question.x[v] = NAN;
    for (int c, at; !code && (c = getopt_long(argc, argv, "o:", options, &at)) != -1;) {
        switch (c) {
        case 'j': r->json = true; break;
        case 'o': r->out = optarg; break;
        case 'h': r->hash = true; break;
        case 'F': r->force = true; break;
        case 'g': r->guests = true; break;
        case 'c': r->hosts = optarg; break;
        case 'R': r->rate = optarg; break;
        case 'S': r->scenario = optarg; break;
        case 't': r->trace = optarg; break;
        case 'N': r->node = optarg; break;
        case 'n': code = parse_nat(r, optarg); break;
        case '?': fputs("  --help tells the options\n", stderr); return EXIT_BAD_INPUT;
        default:
            if (quantity(r, c, optarg, &e)) {
                err_where(&e, "--%s", options[at].name);
                code = cli_fail(&e);
            }
        }
    }
    if (code)
        return code;
    if (optind == argc)
        return cli_usage("size takes at least one result of bench or replay");
    if (!r->hosts || !r->rate)
        return cli_usage(r->hosts ? "size takes a rate, such as --rate 2Mpps"
                                  : "size takes a catalogue of hosts, such as --hosts traces/hosts.yaml");
    if (!r->scenario && (r->trace || r->node || r->guests || r->force))
        return cli_usage("--trace, --node, --guests and --force need --scenario");
    if (r->question.headroom >= 1)
        return cli_usage("--headroom leaves nothing: it is less than 100%%");
    return 0;
}

/* ---- what a scenario and a trace say of the question ---- */

static void unless_said(double *x, double value) {
    if (isnan(*x))
        *x = value;
}

static int ask_guests(const struct setup *s, struct request *r, struct err *e) {
    struct plan p = {0};
    plan_init(&p, s->scenario);
    for (size_t i = 0; i < p.hosts.n; i++)
        if (p.hosts.v[i].machine == s->node) {
            r->question.guests = (double)p.hosts.v[i].guests;
            r->question.guests_max = (double)p.hosts.v[i].guests_max;
            r->question.hosts_max = (double)p.pairs.v[p.hosts.v[i].pair].hosts_max;
        }
    plan_fini(&p);
    if (r->question.guests > 0)
        return 0;
    err_set(e, -EINVAL, "the machine under test is no host with guests: nobody to count");
    err_where(e, "%s", s->scenario->file);
    err_hint(e, "a host has NICs in two subnets and on a switch, where its guests are");
    return -EINVAL;
}

static int ask_trace(const struct setup *s, struct request *r, struct err *e) {
    struct inject *in = cli_inject(s, r->trace, &r->trace_used, e);
    struct traffic *t = in ? traffic_create(in, &(struct traffic_options){0}, e) : NULL;
    if (t) {
        unless_said(&r->question.x[SIZE_SESSIONS], t->n_flows);
        unless_said(&r->question.x[SIZE_BYTES], (double)t->bytes / t->n);
    }
    traffic_destroy(t);
    inject_destroy(in);
    return t ? 0 : -EINVAL;
}

static int ask_scenario(struct request *r, struct err *e) {
    struct setup s = {0};
    if (!r->scenario)
        return 0;
    int code = cli_setup(&s, r->scenario, r->node, r->force, e);
    if (code)
        return code;
    const struct node *node = &s.control->nodes[s.node].node;
    size_t routes;
    route_table_routes(node->routes, &routes);
    snprintf(r->name, sizeof r->name, "%s", s.scenario->name);
    unless_said(&r->question.x[SIZE_ROUTES], (double)routes);
    unless_said(&r->question.x[SIZE_NAT], node->nat != NULL);
    const double *x = r->question.x;
    if (r->trace || (s.scenario->trace && (isnan(x[SIZE_SESSIONS]) || isnan(x[SIZE_BYTES]))))
        code = ask_trace(&s, r, e);
    if (!code && r->guests)
        code = ask_guests(&s, r, e);
    cli_setup_fini(&s);
    return code;
}

/* ---- from the files to the answer ---- */

static json_t *new_document(const struct request *r, char **results, size_t n, struct err *e) {
    struct document_input *inputs = calloc(n + 3, sizeof *inputs);
    unsigned k = 0;
    for (size_t i = 0; i < n; i++)
        inputs[k++] = (struct document_input){results[i], "result"};
    inputs[k++] = (struct document_input){r->hosts, "hosts"};
    if (r->scenario)
        inputs[k++] = (struct document_input){r->scenario, "scenario"};
    if (r->trace)
        inputs[k++] = (struct document_input){r->trace, "trace"};
    struct document_options o = {.command = "size", .inputs = inputs, .n_inputs = k, .full_hash = r->hash};
    json_t *doc = document_new(&o, e);
    free(inputs);
    return doc;
}

/* Documents of bench or replay; those read so far are counted in *loaded. */
static int load(char **paths, size_t n, json_t **docs, size_t *loaded, struct err *e) {
    for (*loaded = 0; *loaded < n; ++*loaded) {
        const char *path = paths[*loaded];
        if (!(docs[*loaded] = document_load(path, NULL, e)))
            return -EINVAL;
        const char *schema = json_string_value(json_object_get(docs[*loaded], "schema"));
        if (strncmp(schema, "fwdlab.bench/", 13) && strncmp(schema, "fwdlab.replay/", 14)) {
            err_set(e, -EINVAL, "a document of `%.40s`", schema);
            json_decref(docs[*loaded]);
            err_where(e, "%s", path);
            err_hint(e, "needed are results of `fwdlab bench` or `fwdlab replay`");
            return -EINVAL;
        }
    }
    return 0;
}

static int answer(struct request *r, const struct size_measured *m, json_t *doc, struct err *e) {
    struct size_catalogue hosts;
    int code = size_catalogue_load(r->hosts, &hosts, e);
    if (code)
        return code;
    double bytes = r->question.x[SIZE_BYTES];
    code = size_rate_parse(r->rate, isnan(bytes) ? 0 : bytes, &r->question.rate_pps, e);
    if (code)
        err_where(e, "--rate");
    else
        code = size_answer(m, &hosts, &r->question, doc, e);
    size_catalogue_fini(&hosts);
    return code;
}

static int run(int argc, char **argv) {
    struct request r;
    struct err e = {0};
    int code = parse_options(argc, argv, &r);
    if (code)
        return code;
    char **paths = argv + optind;
    size_t n = (size_t)(argc - optind), loaded = 0;
    json_t **docs = calloc(n, sizeof *docs), *doc = NULL;
    struct size_measured *m = NULL;
    code = load(paths, n, docs, &loaded, &e);
    if (!code)
        code = ask_scenario(&r, &e);
    if (!code && !(m = size_measured_create(docs, (const char *const *)paths, n, r.scenario ? r.name : NULL, &e)))
        code = -EINVAL;
    if (!code && !(doc = new_document(&r, paths, n, &e)))
        code = -EINVAL;
    if (!code)
        code = answer(&r, m, doc, &e);
    if (!code && !r.json && !r.out)
        report_size_text(doc, stdout);
    code = code ? cli_fail(&e) : cli_document_done(json_incref(doc), r.json, r.out);
    json_decref(doc);
    size_measured_destroy(m);
    while (loaded)
        json_decref(docs[--loaded]);
    free(docs);
    return code;
}

const struct command command_size = {
    "size", "RESULT.json... --hosts FILE --rate R",
    "Which host, how many, with what headroom, from measured results",
    "Fits what a packet costs to the results of bench (and replay), and says of each host of the catalogue how many\n"
    "of them carry the rate, what limits them, and what of that lies beyond what was measured. What the options\n"
    "leave open is as measured. Rate and sessions are the whole, shared evenly by the hosts.\n\n"
    "  --hosts FILE       the catalogue: traces/hosts.yaml is one, and tells the format\n"
    "  --rate R           2Mpps, 500kpps, 20000pps, or 10Gbps of frames (L2) with --packet-bytes\n"
    "  --p99 T            the most that 99 % of the packets may take: 100us, 2ms (default: any)\n"
    "  --headroom X       what stays free of cores, NIC and packet rate (30%)\n"
    "  --sessions N, --routes N, --packet-bytes B, --churn X, --encrypted X, --nat yes|no\n"
    "                     the load: 10k, 1M; bytes of a frame with FCS; shares of flows, of packets\n"
    "  --workers N        at most so many workers a host (default: every core but the system's)\n"
    "  --system-cores N   cores of each host for everything else (1)\n"
    "  --scenario FILE    only results of this scenario; its routes and NAT are asked about, and its capture's\n"
    "                     sessions and packet size, or those of\n"
    "  --trace TRACE      another one\n"
    "  --node NAME        the machine under test\n"
    "  --guests           the rate is that of the scenario's guests: how many of them a host carries, and has\n"
    "                     addresses for\n"
    "  --force            go on in spite of faults of the scenario's design\n"
    "  --hash             the full SHA-256 of every input\n"
    "  --json, -o FILE    one JSON document on stdout, or into a file\n",
    run};
