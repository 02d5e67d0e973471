/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab bench: highest rates, latency by load and cost of several configurations, measured in turn in one process. */
#include "bench.h"
#include "cli.h"
#include <ctype.h>
#include <errno.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/document.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOISE_WINDOW_NS 200000000ull
#define NAME_MAX_BYTES 200
#define FIRSTS_MAX (1u << 20) /* flows at a time when sessions are made and ended */

struct subject {
    struct setup setup;
    struct bench_workload workload;
    struct traffic *traffic, *firsts;
    const char *trace_path;
    char name[NAME_MAX_BYTES], file[NAME_MAX_BYTES];
    uint64_t epoch_ns;
    bool damaged;
};

struct bench_run {
    const struct bench_request *r;
    struct subject *s;
    struct bench_configuration *c;
    unsigned n;
    struct topology topology;
    struct noise noise;
    struct bench_result result;
};

/* ---- names ---- */

static void add_text(char *name, const char *format, const char *text) {
    size_t used = strlen(name);
    snprintf(name + used, NAME_MAX_BYTES - used, format, text);
}

static const char *count_text(uint32_t n, char *buf, size_t size) {
    if (n >= 1000000 && n % 100000 == 0)
        snprintf(buf, size, "%gM", n / 1e6);
    else if (n >= 1000 && n % 100 == 0)
        snprintf(buf, size, "%gk", n / 1e3);
    else
        snprintf(buf, size, "%u", n);
    return buf;
}

/* The scenario's name, and what of the workload was asked for; unique among those before it. */
static void name_subject(struct subject *all, unsigned i, double churn) {
    struct subject *s = &all[i];
    char text[32];
    snprintf(s->name, sizeof s->name, "%s", s->setup.scenario->name);
    if (s->workload.sessions)
        add_text(s->name, ", %s sessions", count_text(s->workload.sessions, text, sizeof text));
    if (s->workload.routes)
        add_text(s->name, ", %s routes", count_text(s->workload.routes, text, sizeof text));
    if (s->workload.sizes)
        add_text(s->name, isdigit((unsigned char)s->workload.sizes[0]) ? ", %s B" : ", %s", s->workload.sizes);
    if (churn > 0) {
        snprintf(text, sizeof text, "%g", churn);
        add_text(s->name, ", churn %s", text);
    }
    const size_t own = strlen(s->name);
    for (unsigned k = 0, copy = 2; k < i; k++)
        if (!strcmp(all[k].name, s->name)) {
            s->name[own] = '\0';
            snprintf(text, sizeof text, "%u", copy++);
            add_text(s->name, " (%s)", text);
        }
    size_t n = 0;
    for (const char *p = s->name; *p; p++)
        if (isalnum((unsigned char)*p) || strchr("._-", *p))
            s->file[n++] = *p;
        else if (n && s->file[n - 1] != '-')
            s->file[n++] = '-';
    while (n && s->file[n - 1] == '-')
        n--;
    s->file[n] = '\0';
}

/* ---- loading ---- */

static struct node *node_of(const struct subject *s) {
    return &s->setup.control->nodes[s->setup.node].node;
}

/* NAT tables hold twice the wanted sessions, at least: what the trace's flows need beside those that are translated. */
static int make_room(struct subject *s, struct control_options *sizes, struct err *e) {
    const struct nat *nat = node_of(s)->nat;
    const uint32_t want = 2 * s->workload.sessions;
    if (!nat || nat_config_get(nat)->max_sessions >= want)
        return 0;
    sizes->nat_sessions = want;
    control_destroy(s->setup.control);
    s->setup.control = NULL;
    return cli_setup_build(&s->setup, sizes, e);
}

static int make_traffic(struct subject *s, const struct bench_request *r, struct err *e) {
    struct traffic_options o = {.sessions = s->workload.sessions, .churn = r->churn, .seed = 1,
                                .table = node_of(s)->routes, .spread = s->workload.routes};
    if (s->workload.sizes && traffic_sizes_parse(s->workload.sizes, &o, e))
        return -EINVAL;
    struct inject *in = cli_inject(&s->setup, r->trace, &s->trace_path, e);
    if (!in)
        return -EINVAL;
    s->epoch_ns = in->epoch_ns;
    s->damaged = in->trace->damage != NULL;
    if (s->damaged)
        fprintf(stderr, "fwdlab: %s: %s; what was read before is used\n", s->trace_path, in->trace->damage);
    s->traffic = traffic_create(in, &o, e);
    const struct nat *nat = node_of(s)->nat;
    if (s->traffic && r->options.nat && nat) {
        const uint32_t room = nat_config_get(nat)->max_sessions;
        o.sessions = room < FIRSTS_MAX ? room : FIRSTS_MAX;
        o.churn = 1;
        o.first_only = true;
        s->firsts = traffic_create(in, &o, e);
    }
    inject_destroy(in);
    if (!s->traffic || (r->options.nat && nat && !s->firsts)) {
        err_where(e, "%s", s->trace_path);
        return -EINVAL;
    }
    return 0;
}

static int load(struct subject *s, const struct bench_request *r, const char *path, struct err *e) {
    struct control_options sizes = {.fast = r->backend,
                                    .more_routes = s->workload.routes,
                                    .staged = r->staged};
    int code = cli_setup_sized(&s->setup, path, r->node, r->force, &sizes, e);
    code = code ? code : make_room(s, &sizes, e);
    if (!code && s->workload.routes && (code = bench_add_routes(node_of(s), s->workload.routes, e)))
        err_where(e, "%s", path);
    return code ? code : make_traffic(s, r, e);
}

static int load_all(struct bench_run *b, char **scenarios, struct err *e) {
    const size_t n_workloads = b->r->workloads.n;
    int code = 0;
    for (unsigned i = 0; i < b->n && !code; i++) {
        struct subject *s = &b->s[i];
        s->workload = b->r->workloads.v[i % n_workloads];
        progress("bench: loading", i, b->n);
        code = load(s, b->r, scenarios[i / n_workloads], e);
        if (code)
            break;
        name_subject(b->s, i, b->r->churn);
        b->c[i] = (struct bench_configuration){.name = s->name,
                                               .file = s->file,
                                               .node = node_of(s),
                                               .traffic = s->traffic,
                                               .firsts = s->firsts,
                                               .epoch_ns = s->epoch_ns,
                                               .trial = bench_device_trial,
                                               .topology = &b->topology,
                                               .rest_s = b->r->rest_s,
                                               .workers = b->r->workers};
    }
    progress_done();
    return code;
}

/* ---- documents ---- */

static json_t *workload_json(const struct subject *s, double churn, unsigned workers) {
    size_t routes;
    const struct node *node = node_of(s);
    route_table_routes(node->routes, &routes);
    return json_pack("{s:I, s:I, s:f, s:s, s:f, s:f, s:i, s:b}", "sessions", (json_int_t)s->traffic->n_slots, "routes",
                     (json_int_t)routes, "packet_bytes", (double)s->traffic->bytes / s->traffic->n, "sizes",
                     s->workload.sizes ? s->workload.sizes : "trace", "churn", churn, "encrypted_share", 0.0, "workers",
                     (int)workers, "nat", node->nat != NULL);
}

static json_t *topology_json(const struct bench_request *r) {
    if (!r->ports.in_tx)
        return json_string("rings");
    return json_sprintf("ports: %s to %s, %s to %s", r->ports.in_tx, r->ports.in_rx, r->ports.out_tx, r->ports.out_rx);
}

static json_t *new_document(const struct bench_run *b, unsigned i, const char *pair, struct err *e) {
    const struct subject *s = &b->s[i];
    struct document_input inputs[] = {{s->setup.scenario->file, "scenario"}, {s->trace_path, "trace"}};
    struct document_options o = {.command = "bench",
                                 .inputs = inputs,
                                 .n_inputs = 2,
                                 .full_hash = b->r->hash,
                                 .dpdk = dpdk_version(),
                                 .hugepages = dpdk_hugepages(),
                                 .noise = &b->noise,
                                 .partial = s->damaged || b->result.partial};
    json_t *doc = document_new(&o, e);
    if (!doc)
        return NULL;
    json_object_set_new(doc, "name", document_string(s->name));
    json_object_set_new(doc, "scenario", cli_scenario_json(&s->setup));
    json_object_set_new(doc, "workload", workload_json(s, b->r->churn, b->r->workers));
    json_object_set_new(doc, "topology", topology_json(b->r));
    bench_document(&b->c[i], &b->r->options, pair, doc);
    json_t *options = json_object_get(doc, "options");
    json_object_set_new(options, "generators", json_integer(b->r->generators));
    json_object_set_new(options, "ring_depth", json_integer(b->r->depth ? b->r->depth : 1024));
    return doc;
}

/* Latency by percentile, for HdrHistogram's plotters, beside the document. */
static int save_percentiles(const struct bench_configuration *c, const char *dir, struct err *e) {
    int code = 0;
    for (unsigned i = 0; i < BENCH_LOADS && !code; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.load-%u.hgrm", dir, c->file, bench_shares[i]);
        code = c->hgrm[i] ? file_save(path, c->hgrm[i], strlen(c->hgrm[i]), e) : 0;
    }
    return code;
}

static int save(const struct bench_run *b, json_t *const *docs, struct err *e) {
    const struct bench_request *r = b->r;
    char *copy = r->out ? xstrdup(r->out) : NULL, path[4096];
    const char *dir = r->dir ? r->dir : copy && strcmp(copy, "-") ? dirname(copy) : NULL;
    int code = 0;
    for (unsigned i = 0; i < b->n && dir && !code; i++) {
        code = save_percentiles(&b->c[i], dir, e);
        snprintf(path, sizeof path, "%s/%s.bench.json", dir, b->c[i].file);
        if (!code && r->dir)
            code = document_save(docs[i], path, e);
    }
    free(copy);
    return code;
}

static int finish(const struct bench_run *b, struct err *e) {
    json_t *comparison = bench_comparison(b->c, b->n), *list = json_array(), *first = NULL;
    json_t **docs = xzalloc(b->n, sizeof *docs);
    char pair[40];
    int code = 0;
    snprintf(pair, sizeof pair, "%d-%u", (int)getpid(), b->n);
    for (unsigned i = 0; i < b->n && !code; i++) {
        docs[i] = new_document(b, i, pair, e);
        code = docs[i] ? 0 : -EINVAL;
        if (!code && b->n > 1)
            json_object_set(docs[i], "comparison", comparison);
        json_array_append_new(list, docs[i]);
    }
    code = code ? code : save(b, docs, e);
    if (!code) {
        first = json_copy(docs[0]);
        json_object_set(first, "configurations", list);
        if (!b->r->json && !b->r->out && !b->r->dir)
            report_bench_text(first, stdout);
    }
    json_decref(list);
    json_decref(comparison);
    free(docs);
    return code ? cli_fail(e) : cli_document_done(first, b->r->json, b->r->out);
}

/* ---- the run ---- */

static int measure(struct bench_run *b, struct err *e) {
    const struct bench_options *o = &b->r->options;
    int code = b->r->ports.in_tx ? topology_ports(&b->topology, &b->r->ports, e)
                                 : topology_rings_of_crew(&b->topology, b->r->generators, b->r->workers, b->r->depth,
                                                          e);
    if (code)
        return code;
    for (unsigned i = 0; i < b->n && !code; i++)
        code = bench_prepare(&b->c[i], e);
    if (!code) {
        noise_measure(&b->noise, NOISE_WINDOW_NS);
        code = bench_costs(b->c, b->n, o, e);
        code = code ? code : bench_trials(b->c, b->n, o, &b->result, e);
        if (!code && !b->result.partial && o->nat && bench_nat_rates(b->c, b->n, o, e) == -EINTR)
            b->result.partial = true;
    }
    topology_fini(&b->topology);
    return code;
}

static int conclude(const struct bench_run *b, struct err *e) {
    int code = finish(b, e);
    if (code || b->result.partial || b->result.valid)
        return code;
    fputs("fwdlab: no valid answer: too many trials were disturbed by the machine, or the generator was too slow\n",
          stderr);
    return EXIT_INVALID;
}

/* A long run must not end with nowhere to put its result. */
static int check_places(const struct bench_request *r, struct err *e) {
    char *copy = r->out ? xstrdup(r->out) : NULL;
    int code = r->dir ? dir_make(r->dir, e) : 0;
    if (!code && r->options.capture)
        code = dir_make(r->options.capture, e);
    if (!code && copy && strcmp(copy, "-") && access(dirname(copy), W_OK)) {
        code = err_set(e, -errno, "cannot write there: %s", strerror(errno));
        err_where(e, "%s", r->out);
    }
    free(copy);
    return code;
}

static unsigned memory_mb(const struct bench_request *r, unsigned n) {
    double mb = 512;
    for (unsigned i = 0; i < n; i++)
        mb += 160 + r->workloads.v[i % r->workloads.n].routes / 1000.0;
    return (unsigned)mb;
}

static int run(int argc, char **argv) {
    struct bench_request r;
    struct err e = {0};
    if (bench_request_parse(argc, argv, &r)) {
        bench_request_fini(&r);
        return EXIT_BAD_INPUT;
    }
    struct bench_run b = {.r = &r, .n = (unsigned)(argc - optind) * (unsigned)r.workloads.n};
    b.s = xzalloc(b.n, sizeof *b.s);
    b.c = xzalloc(b.n, sizeof *b.c);
    r.dpdk.hugepages_mb = memory_mb(&r, b.n);
    r.dpdk.memory_mb = r.dpdk.hugepages_mb > 2048 ? r.dpdk.hugepages_mb : 2048;
    r.dpdk.pci = r.ports.in_tx != NULL;
    r.options.stop = cli_interruptible();
    int code = check_places(&r, &e);
    code = code ? code : dpdk_start(&r.dpdk, &e);
    code = code ? code : load_all(&b, argv + optind, &e);
    code = code ? code : measure(&b, &e);
    if (code == -EINTR) {
        fputs("fwdlab: interrupted before anything was measured\n", stderr);
        code = EXIT_INTERRUPTED;
    } else {
        code = code ? cli_fail(&e) : conclude(&b, &e);
    }
    for (unsigned i = 0; i < b.n; i++) {
        bench_configuration_fini(&b.c[i]);
        traffic_destroy(b.s[i].firsts);
        traffic_destroy(b.s[i].traffic);
        cli_setup_fini(&b.s[i].setup);
    }
    free(b.s);
    free(b.c);
    bench_request_fini(&r);
    dpdk_stop();
    return code;
}

const struct command command_bench = {"bench", "SCENARIO... --trace TRACE",
                                      "Highest rate without loss (NDR), with partial loss (PDR), latency by load",
                                      bench_help, run};
