/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab compare: result documents against each other, or the newest runs of a history against those before. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fwdlab/base/file.h>
#include <fwdlab/report/report.h>
#include <fwdlab/result/compare.h>
#include <fwdlab/result/document.h>
#include "cli.h"

#define TOLERANCE 0.01

struct request {
    const char *history, *commit, *junit, *markdown, *out, *fail_on;
    struct compare_options options;
    bool append, json;
    struct compare_document *docs;
    unsigned n;
};

/* "2%", "0.02": a share from 0 to below 1. */
static int parse_tolerance(const char *text, double *out) {
    char *end;
    double v = strtod(text, &end);
    bool percent = *end == '%';
    v = percent ? v / 100 : v;
    if (end == text || end[percent] || !isfinite(v) || v < 0 || v >= 1)
        return cli_usage("--tolerance: `%s` is not a share such as 2%% or 0.02", text);
    *out = v;
    return 0;
}

static int parse_options(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},           {"output", required_argument, NULL, 'o'},
        {"tolerance", required_argument, NULL, 't'}, {"fail-on", required_argument, NULL, 'f'},
        {"history", required_argument, NULL, 'h'},  {"append", no_argument, NULL, 'a'},
        {"commit", required_argument, NULL, 'c'},   {"junit", required_argument, NULL, 'u'},
        {"markdown", required_argument, NULL, 'm'}, {"strict", no_argument, NULL, 's'},
        {0}};
    *r = (struct request){.fail_on = "worse", .options = {.tolerance = TOLERANCE}};
    int code = 0;
    for (int c; !code && (c = cli_option(argc, argv, options)) != -1;) {
        switch (c) {
        case 'j': r->json = true; break;
        case 'o': r->out = optarg; break;
        case 't': code = parse_tolerance(optarg, &r->options.tolerance); break;
        case 'f': r->fail_on = optarg; break;
        case 'h': r->history = optarg; break;
        case 'a': r->append = true; break;
        case 'c': r->commit = optarg; break;
        case 'u': r->junit = optarg; break;
        case 'm': r->markdown = optarg; break;
        case 's': r->options.strict = true; break;
        default: return EXIT_BAD_INPUT;
        }
    }
    r->n = (unsigned)(argc - optind);
    if (code)
        return code;
    if (strcmp(r->fail_on, "worse") && strcmp(r->fail_on, "unclear") && strcmp(r->fail_on, "never"))
        return cli_usage("--fail-on is worse, unclear or never, not `%s`", r->fail_on);
    if (r->append && (!r->history || !r->n))
        return cli_usage("--append needs --history FILE and a result document");
    if (!r->history && (!r->n || (r->n > 1 && r->n % 2)))
        return cli_usage("compare takes BASE.json NEW.json (and more such pairs), or one document of several "
                         "configurations");
    return 0;
}

static int check_command(const struct compare_document *d, struct err *e) {
    const char *schema = json_string_value(json_object_get(d->doc, "schema"));
    if (!strcmp(schema, "fwdlab.replay/1") || !strcmp(schema, "fwdlab.bench/1"))
        return 0;
    err_set(e, -1, "\"schema\" is %s: not a document of replay or bench", schema);
    err_where(e, "%s", d->path);
    err_hint(e, "fwdlab replay SCENARIO... -o FILE and fwdlab bench SCENARIO... -o FILE write such documents");
    return -1;
}

static int load(struct request *r, char **paths, struct err *e) {
    r->docs = calloc(r->n + 1, sizeof *r->docs);
    for (unsigned i = 0; i < r->n; i++) {
        r->docs[i] = (struct compare_document){paths[i], document_load(paths[i], NULL, e)};
        if (!r->docs[i].doc || check_command(&r->docs[i], e))
            return -1;
    }
    return 0;
}

/* The history with the documents as its newest runs; written back when asked for. */
static json_t *history(const struct request *r, struct err *e) {
    json_t *runs = history_load(r->history, e);
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    for (unsigned i = 0; i < r->n && runs; i++) {
        json_t *run = history_run(&r->docs[i], date, r->commit, e);
        if (run) {
            json_array_append_new(runs, run);
        } else {
            json_decref(runs);
            runs = NULL;
        }
    }
    if (runs && r->append && history_save(r->history, runs, e)) {
        json_decref(runs);
        runs = NULL;
    }
    return runs;
}

static json_t *compare(const struct request *r, struct err *e) {
    struct document_input *inputs = calloc(r->n + 1, sizeof *inputs);
    for (unsigned i = 0; i < r->n; i++)
        inputs[i] = (struct document_input){r->docs[i].path, "result"};
    json_t *runs = r->history ? history(r, e) : NULL;
    if (runs)
        inputs[r->n] = (struct document_input){r->history, "history"};
    bool saved = runs && (r->append || !r->n); /* else the file may not exist yet */
    struct document_options o = {.command = "compare", .inputs = inputs, .n_inputs = r->n + saved};
    json_t *doc = r->history && !runs ? NULL : document_new(&o, e);
    int code = !doc ? -1
               : runs ? compare_history(r->history, runs, &r->options, doc, e)
                      : compare_documents(r->docs, r->n, &r->options, doc, e);
    free(inputs);
    json_decref(runs);
    if (!code)
        return doc;
    json_decref(doc);
    return NULL;
}

static int save_markdown(const json_t *doc, const char *path, struct err *e) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    report_compare_markdown(doc, f);
    fclose(f);
    int code = file_save(path, text, len, e);
    free(text);
    return code;
}

static int finish(const struct request *r, json_t *doc, struct err *e) {
    json_t *warning;
    size_t i;
    bool failed = strcmp(r->fail_on, "never") && compare_count(doc, "worse");
    failed |= !strcmp(r->fail_on, "unclear") && compare_count(doc, "unclear");
    json_array_foreach(json_object_get(doc, "warnings"), i, warning)
        fprintf(stderr, "fwdlab: warning: %s\n", json_string_value(warning));
    int code = r->junit ? compare_junit_save(doc, r->junit, e) : 0;
    if (!code && r->markdown)
        code = save_markdown(doc, r->markdown, e);
    if (code) {
        json_decref(doc);
        return cli_fail(e);
    }
    if (!r->json && !r->out)
        report_compare_text(doc, stdout);
    code = cli_document_done(doc, r->json, r->out);
    return code ? code : failed ? EXIT_FINDING : EXIT_DONE;
}

static int run(int argc, char **argv) {
    struct request r;
    struct err e = {0};
    int code = parse_options(argc, argv, &r);
    if (code)
        return code;
    json_t *doc = load(&r, argv + optind, &e) ? NULL : compare(&r, &e);
    code = doc ? finish(&r, doc, &e) : cli_fail(&e);
    for (unsigned i = 0; i < r.n; i++)
        json_decref(r.docs[i].doc);
    free(r.docs);
    return code;
}

const struct command command_compare = {
    "compare", "BASE.json NEW.json",
    "Ratio, interval and verdict of every figure: replay or bench documents, a history",
    "One document compares its configurations with its first one. Two documents are compared in pairs of samples when\n"
    "they come from one interleaved run, else by what is known of their spread. More pairs (BASE NEW BASE NEW ...),\n"
    "from runs that took turns, are compared run by run; at least 5 pairs make an interval.\n\n"
    "  --tolerance SHARE  what counts as no difference: 2% or 0.02 (1%)\n"
    "  --fail-on WHAT     exit 1 on: worse (default); unclear (or worse); never\n"
    "  --strict           documents of other machines, traces or scenarios are an error, not a warning\n"
    "  --history FILE     changes in a history (JSON lines, one run each); documents are its newest runs\n"
    "  --append           add them to it; a change for the worse that is wanted: begin a new file\n"
    "  --commit NAME      what --history calls the documents' commit (what their program was built from)\n"
    "  --junit FILE       JUnit XML, a test case for each figure\n"
    "  --markdown FILE    the table in Markdown\n"
    "  --json, -o FILE    one JSON document on stdout, or into a file\n",
    run};
