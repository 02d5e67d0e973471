/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab check: is the scenario sound, and which routes does every node end up with? */
#include <stdio.h>
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/result/document.h>
#include "cli.h"

static const char *why_hidden(const struct route *r, const struct route *by) {
    if (by->metric < r->metric)
        return "its metric is lower";
    return "it was there first";
}

static void print_node(const struct control_node *n) {
    size_t count;
    const struct route *routes = route_table_routes(n->node.routes, &count);
    printf("%s%s\n", n->name, n->node.router ? " (router)" : "");
    for (uint32_t i = 0; i < count; i++) {
        char text[200], by[200];
        uint32_t hidden = route_hidden_by(n->node.routes, i);
        if (routes[i].kind == ROUTE_LOCAL || routes[i].kind == ROUTE_BROADCAST)
            continue;
        printf("  %s %s\n", hidden == ROUTE_NONE ? " " : "-", control_route_format(n, &routes[i], text, sizeof text));
        if (hidden != ROUTE_NONE)
            printf("      hidden by %s: %s\n", control_route_format(n, &routes[hidden], by, sizeof by),
                   why_hidden(&routes[i], &routes[hidden]));
    }
}

static json_t *nodes_json(const struct control *c) {
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        const struct control_node *n = &c->nodes[i];
        size_t count;
        const struct route *routes = route_table_routes(n->node.routes, &count);
        json_t *list = json_array();
        for (uint32_t r = 0; r < count; r++) {
            uint32_t by = route_hidden_by(n->node.routes, r);
            json_t *o = route_json(n, &routes[r]);
            json_object_set_new(o, "hidden_by", by == ROUTE_NONE ? json_null() : route_json(n, &routes[by]));
            json_array_append_new(list, o);
        }
        json_array_append_new(nodes, json_pack("{s:s, s:o}", "name", n->name, "routes", list));
    }
    return nodes;
}

static int check_document(const char *path, const struct control *c, const struct complaints *complaints,
                          const char *out) {
    struct document_input input = {path, "scenario"};
    struct document_options o = {.command = "check", .inputs = &input, .n_inputs = 1};
    struct err e;
    json_t *doc = document_new(&o, &e);
    if (!doc)
        return cli_fail(&e);
    json_object_set_new(doc, "nodes", c ? nodes_json(c) : json_array());
    json_object_set_new(doc, "complaints", cli_complaints_json(complaints));
    return cli_document_done(doc, true, out);
}

static int run(int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"output", required_argument, NULL, 'o'}, {0}};
    bool json = false;
    const char *out = NULL;
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        if (c == 'j')
            json = true;
        else if (c == 'o')
            out = optarg;
        else
            return EXIT_BAD_INPUT;
    }
    if (argc - optind != 1)
        return cli_usage("check takes one scenario");
    struct complaints complaints = {0};
    struct err e = {0};
    struct scenario *s = scenario_load(argv[optind], &complaints);
    struct control *c = s ? control_build(s, NULL, &e) : NULL;
    int code = EXIT_DONE;
    if (json || out)
        code = check_document(argv[optind], c, &complaints, out);
    else
        cli_complaints_print(&complaints, SEVERITY_ADVICE);
    if (s && !c)
        code = cli_fail(&e);
    for (uint32_t i = 0; c && !json && !out && i < c->n_nodes; i++)
        print_node(&c->nodes[i]);
    if (!c)
        code = EXIT_BAD_INPUT;
    control_destroy(c);
    scenario_destroy(s);
    complaints_fini(&complaints);
    return code;
}

const struct command command_check = {
    "check", "SCENARIO", "Is the scenario sound? Prints the effective routes of every node",
    "Routes in use are listed with where they come from (connected, static, user, bgp, system); one that another\n"
    "hides is marked with `-` and followed by what hides it, and why. Complaints name file and line and what would\n"
    "be right.\n\n"
    "  --json          one JSON document on stdout\n"
    "  -o FILE         the same into a file\n\n"
    "Exit status: 0 sound (perhaps with warnings), 2 not.\n",
    run};
