/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fwdlab/base/file.h>
#include <fwdlab/core/icmp.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/result/document.h>
#include <fwdlab/trace/trace.h>
#include "cli.h"

int cli_fail(const struct err *e) {
    fprintf(stderr, "fwdlab: %s%s%s\n", e->where, e->where[0] ? ": " : "", e->what);
    if (e->hint[0])
        fprintf(stderr, "  %s\n", e->hint);
    return EXIT_BAD_INPUT;
}

int cli_usage(const char *what, ...) {
    va_list ap;
    va_start(ap, what);
    fputs("fwdlab: ", stderr);
    vfprintf(stderr, what, ap);
    fputs(" (--help tells more)\n", stderr);
    va_end(ap);
    return EXIT_BAD_INPUT;
}

int cli_option(int argc, char **argv, const struct option *options) {
    int c = getopt_long(argc, argv, "o:", options, NULL); /* complains about what it does not know */
    if (c == '?')
        fputs("  --help tells the options\n", stderr);
    return c;
}

void cli_complaints_print(const struct complaints *c, enum severity least) {
    for (size_t i = 0; i < c->list.n; i++) {
        const struct complaint *k = &c->list.v[i];
        if (k->severity > least)
            continue;
        fprintf(stderr, "%s:%u: %s: %s\n", k->at.file, k->at.line, severity_name(k->severity), k->what);
        if (k->hint[0])
            fprintf(stderr, "    %s\n", k->hint);
    }
}

json_t *cli_complaints_json(const struct complaints *c) {
    json_t *list = json_array();
    for (size_t i = 0; i < c->list.n; i++) {
        const struct complaint *k = &c->list.v[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:s, s:s?, s:s, s:s}", "file", k->at.file, "line",
                                        (int)k->at.line, "severity", severity_name(k->severity), "fault",
                                        k->fault ? fault_name(k->fault) : NULL, "what", k->what, "hint", k->hint));
    }
    return list;
}

/* A capture where a scenario should stand? (What cannot be read twice is not looked at.) */
static bool is_capture(const char *path) {
    struct stat st;
    struct err ignored;
    struct trace *t = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? trace_open(path, &ignored) : NULL;
    trace_close(t);
    return t != NULL;
}

int cli_load(struct setup *s, const char *path, bool force, struct err *e) {
    *s = (struct setup){0};
    if (is_capture(path)) {
        err_set(e, -EINVAL, "this is a capture, and a scenario is to come first");
        err_where(e, "%s", path);
        err_hint(e, "without one `fwdlab analyze --no-scenario %s` tells what the capture shows by itself", path);
        return -EINVAL;
    }
    s->scenario = force ? scenario_load_forced(path, &s->complaints) : scenario_load(path, &s->complaints);
    cli_complaints_print(&s->complaints, SEVERITY_ERROR);
    if (s->scenario)
        return 0;
    bool design = s->complaints.errors == s->complaints.faults;
    err_set(e, -EINVAL, "the scenario has errors");
    err_where(e, "%s", path);
    err_hint(e, "`fwdlab check %s` tells all of them%s", path,
             design ? "; they are faults of the design: --force goes on in spite of them" : "");
    complaints_fini(&s->complaints);
    return -EINVAL;
}

static int pick_node(struct setup *s, const char *name, struct err *e) {
    s->node = name ? scenario_machine_find(s->scenario, name) : s->scenario->node;
    if (s->node != INDEX_NONE)
        return 0;
    err_set(e, -ENOENT, name ? "no machine is called `%s`" : "the scenario does not say which machine is under test",
            name);
    err_where(e, "%s", s->scenario->file);
    err_hint(e, "use --node NAME, or `node:` in the scenario");
    return -ENOENT;
}

int cli_setup_build(struct setup *s, const struct control_options *sizes, struct err *e) {
    struct control_options options = *sizes;
    options.fast_node = s->node;
    if (!(s->control = control_build(s->scenario, &options, e)))
        return -EINVAL;
    s->control->nodes[s->node].node.icmp = icmp_limiter_create(&(struct icmp_limits){.interval_ns = 1000000000});
    return 0;
}

int cli_setup_sized(struct setup *s, const char *path, const char *node, bool force,
                    const struct control_options *sizes, struct err *e) {
    int code = cli_load(s, path, force, e);
    if (!code)
        code = pick_node(s, node, e);
    if (!code)
        code = cli_setup_build(s, sizes, e);
    if (code)
        cli_setup_fini(s);
    return code;
}

int cli_setup(struct setup *s, const char *path, const char *node, bool force, struct err *e) {
    return cli_setup_sized(s, path, node, force, &(struct control_options){0}, e);
}

void cli_setup_fini(struct setup *s) {
    control_destroy(s->control);
    scenario_destroy(s->scenario);
    complaints_fini(&s->complaints);
    *s = (struct setup){0};
}

void cli_no_trace(const struct setup *s, struct err *e) {
    err_set(e, -EINVAL, "the scenario has no capture of its own");
    err_where(e, "%s", s->scenario->file);
    err_hint(e, "give the capture as an argument, or `trace:` in the scenario");
}

struct inject *cli_inject(const struct setup *s, const char *path, const char **used, struct err *e) {
    *used = path ? path : s->scenario->trace;
    if (!*used) {
        cli_no_trace(s, e);
        return NULL;
    }
    struct trace_memory *t = trace_preload(*used, 0, e);
    struct inject *in = t ? inject_create(t, s->control, s->node, e) : NULL;
    if (!in)
        err_where(e, "%s", *used);
    return in;
}

static volatile bool interrupted;

static void on_interrupt(int signal) {
    interrupted = true;
}

const volatile bool *cli_interruptible(void) {
    const struct sigaction once = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &once, NULL);
    sigaction(SIGTERM, &once, NULL);
    trace_interruptible(&interrupted);
    return &interrupted;
}

json_t *cli_scenario_json(const struct setup *s) {
    return json_pack("{s:s, s:s, s:s, s:s}", "name", s->scenario->name, "title",
                     s->scenario->title ? s->scenario->title : s->scenario->name, "path", s->scenario->file, "node",
                     s->control->nodes[s->node].name);
}

static const char *port_name(const struct control_node *n, uint16_t port) {
    return port < n->node.n_ports ? n->ports[port].name : "";
}

int cli_packets_save(const char *path, const struct inject_verdict *v, size_t n, const struct control_node *node,
                     struct err *e) {
    static const char *const verdict[] = {"none", "deliver", "forward", "drop", "held"};
    char *text = NULL, src[IP_TEXT], dst[IP_TEXT];
    size_t len;
    FILE *f = open_memstream(&text, &len);
    fputs("frame,verdict,reason,in,out,proto,src,sport,dst,dport,fragments,error,error_out\n", f);
    for (size_t i = 0; i < n; i++) {
        const struct flow_key *k = &v[i].key;
        struct ip a = flow_key_src(k), b = flow_key_dst(k);
        char error[8] = "";
        if (v[i].error)
            snprintf(error, sizeof error, "%u/%u", v[i].error_type, v[i].error_code);
        fprintf(f, "%llu,%s,%s,%s,%s,%u,%s,%u,%s,%u,%u,%s,%s\n", (unsigned long long)v[i].frame, verdict[v[i].verdict],
                v[i].verdict == VERDICT_DROP ? drop_name(v[i].reason) : "", port_name(node, v[i].in_port),
                port_name(node, v[i].out_port), k->proto, ip_format(&a, src), ntohs(k->sport), ip_format(&b, dst),
                ntohs(k->dport), v[i].fragments, error, port_name(node, v[i].error_port));
    }
    fclose(f);
    int code = file_save(path, text, len, e);
    free(text);
    return code;
}

int cli_document_rows_done(json_t *doc, const struct document_rows *rows, bool json, const char *out) {
    struct err e = {0};
    const char *path = out ? out : json ? "-" : NULL;
    const int code = path && document_save_rows(doc, rows, path, &e) ? cli_fail(&e) : EXIT_DONE;
    json_decref(doc);
    return code;
}

int cli_document_done(json_t *doc, bool json, const char *out) {
    return cli_document_rows_done(doc, NULL, json, out);
}
