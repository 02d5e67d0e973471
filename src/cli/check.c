/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab check: is the scenario sound, which routes does every node end up with, and what is there room for? */
#include <stdio.h>
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/result/document.h>
#include <fwdlab/scenario/plan.h>
#include "cli.h"

static const char *why_hidden(const struct route *r, const struct route *by) {
    if (by->metric < r->metric)
        return "its metric is lower";
    return "it was there first";
}

static void print_routes(const struct control_node *n, const struct route_table *t) {
    size_t count;
    const struct route *routes = route_table_routes(t, &count);
    for (uint32_t i = 0; i < count; i++) {
        char text[200], by[200];
        uint32_t hidden = route_hidden_by(t, i);
        if (routes[i].kind == ROUTE_LOCAL || routes[i].kind == ROUTE_BROADCAST)
            continue;
        printf("  %s %s\n", hidden == ROUTE_NONE ? " " : "-", control_route_format(n, &routes[i], text, sizeof text));
        if (hidden != ROUTE_NONE)
            printf("      hidden by %s: %s\n", control_route_format(n, &routes[hidden], by, sizeof by),
                   why_hidden(&routes[i], &routes[hidden]));
    }
}

/* The tables that policy rules lead to, after the main one. */
static void print_tables(const struct control_node *n, const struct route_rules *rules) {
    for (unsigned t = 1; rules && t < route_rules_tables(rules); t++) {
        printf("  table %u\n", t);
        print_routes(n, route_rules_table(rules, t));
    }
}

static const struct scenario_nat *nat_of(const struct control *c, const struct control_node *n) {
    const uint32_t nat = n->kind == CONTROL_MACHINE ? c->scenario->machines.v[n->index].nat : INDEX_NONE;
    return nat == INDEX_NONE ? NULL : &c->scenario->nats.v[nat];
}

static void print_node(const struct control *c, const struct control_node *n) {
    printf("%s%s\n", n->name, n->node.router ? " (router)" : "");
    print_routes(n, n->node.routes);
    if (n->node.routes6)
        print_routes(n, n->node.routes6);
    print_tables(n, n->node.rules);
    print_tables(n, n->node.rules6);
    if (nat_of(c, n))
        cli_nat_print(c->scenario, nat_of(c, n));
}

static void routes_json(const struct control_node *n, const struct route_table *t, unsigned table, json_t *list) {
    size_t count;
    const struct route *routes = route_table_routes(t, &count);
    for (uint32_t r = 0; r < count; r++) {
        uint32_t by = route_hidden_by(t, r);
        json_t *o = route_json(n, &routes[r]);
        json_object_set_new(o, "hidden_by", by == ROUTE_NONE ? json_null() : route_json(n, &routes[by]));
        if (table)
            json_object_set_new(o, "table", json_integer(table));
        json_array_append_new(list, o);
    }
}

static void tables_json(const struct control_node *n, const struct route_rules *rules, json_t *list) {
    for (unsigned t = 1; rules && t < route_rules_tables(rules); t++)
        routes_json(n, route_rules_table(rules, t), t, list);
}

static json_t *nodes_json(const struct control *c) {
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        const struct control_node *n = &c->nodes[i];
        json_t *list = json_array();
        routes_json(n, n->node.routes, 0, list);
        if (n->node.routes6)
            routes_json(n, n->node.routes6, 0, list);
        tables_json(n, n->node.rules, list);
        tables_json(n, n->node.rules6, list);
        const struct scenario_nat *nat = nat_of(c, n);
        json_array_append_new(nodes, json_pack("{s:s, s:o, s:o?}", "name", n->name, "routes", list, "nat",
                              nat ? cli_nat_json(c->scenario, nat) : NULL));
    }
    return nodes;
}

/* ---- the address plan ---- */

static const char *subnet_name(const struct scenario *s, uint32_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s/%s", s->networks.v[s->subnets.v[i].network].name, s->subnets.v[i].name);
    return buf;
}

static void print_plan(const struct scenario *s, const struct plan *p) {
    char name[96], other[96];
    if (p->subnets.n)
        printf("address plan\n");
    for (uint32_t i = 0; i < p->subnets.n; i++) {
        const struct plan_subnet *n = &p->subnets.v[i];
        bool floating = s->subnets.v[i].floating;
        printf("    %-32s %5llu %s, %llu used%s", subnet_name(s, i, name, sizeof name), (unsigned long long)n->usable,
               floating ? "guests" : "machines", (unsigned long long)n->used, n->leased ? "" : "\n");
        if (n->leased)
            printf(", %llu handed out by DHCP\n", (unsigned long long)n->leased);
    }
    for (size_t i = 0; i < p->hosts.n; i++)
        printf("    %-32s %5llu guests at most, %llu there now\n", s->machines.v[p->hosts.v[i].machine].name,
               (unsigned long long)p->hosts.v[i].guests_max, (unsigned long long)p->hosts.v[i].guests);
    for (size_t i = 0; i < p->pairs.n; i++) {
        const struct plan_pair *q = &p->pairs.v[i];
        printf("    hosts like these: %llu at most, %llu more now; %s limits them (sides in %s and %s)\n",
               (unsigned long long)q->hosts_max, (unsigned long long)q->hosts_more, s->subnets.v[q->limit].name,
               subnet_name(s, q->nat_subnet, name, sizeof name), subnet_name(s, q->lan_subnet, other, sizeof other));
    }
}

static json_t *plan_json(const struct scenario *s, const struct plan *p) {
    json_t *subnets = json_array(), *hosts = json_array(), *pairs = json_array();
    char nat[96], lan[96], limit[96];
    for (uint32_t i = 0; i < p->subnets.n; i++)
        json_array_append_new(subnets,
                              json_pack("{s:s, s:b, s:I, s:I, s:I}", "name", subnet_name(s, i, nat, sizeof nat),
                              "floating", s->subnets.v[i].floating, "usable", (json_int_t)p->subnets.v[i].usable,
                              "used", (json_int_t)p->subnets.v[i].used, "leased", (json_int_t)p->subnets.v[i].leased));
    for (size_t i = 0; i < p->hosts.n; i++)
        json_array_append_new(hosts, json_pack("{s:s, s:I, s:I, s:I}", "name",
                              s->machines.v[p->hosts.v[i].machine].name, "guests_max",
                              (json_int_t)p->hosts.v[i].guests_max, "guests", (json_int_t)p->hosts.v[i].guests,
                              "leased", (json_int_t)p->hosts.v[i].leased));
    for (size_t i = 0; i < p->pairs.n; i++) {
        const struct plan_pair *q = &p->pairs.v[i];
        json_array_append_new(pairs, json_pack("{s:s, s:s, s:s, s:I, s:I, s:i}", "nat_subnet",
                              subnet_name(s, q->nat_subnet, nat, sizeof nat), "lan_subnet",
                              subnet_name(s, q->lan_subnet, lan, sizeof lan), "limit",
                              subnet_name(s, q->limit, limit, sizeof limit), "hosts_max", (json_int_t)q->hosts_max,
                              "hosts_more", (json_int_t)q->hosts_more, "hosts", (int)q->hosts));
    }
    return json_pack("{s:o, s:o, s:o}", "subnets", subnets, "hosts", hosts, "pairs", pairs);
}

static int check_document(const char *path, const struct control *c, const struct complaints *complaints,
                          const struct plan *plan, const char *out) {
    struct document_input input = {path, "scenario"};
    struct document_options o = {.command = "check", .inputs = &input, .n_inputs = 1};
    struct err e;
    json_t *doc = document_new(&o, &e);
    if (!doc)
        return cli_fail(&e);
    json_object_set_new(doc, "nodes", c ? nodes_json(c) : json_array());
    json_object_set_new(doc, "complaints", cli_complaints_json(complaints));
    json_object_set_new(doc, "plan", c ? plan_json(c->scenario, plan) : json_null());
    return cli_document_done(doc, true, out);
}

static int run(int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"output", required_argument, NULL, 'o'}, {"force", no_argument, NULL, 'F'},
        {0}};
    bool json = false, force = false;
    const char *out = NULL;
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        if (c == 'j')
            json = true;
        else if (c == 'o')
            out = optarg;
        else if (c == 'F')
            force = true;
        else
            return EXIT_BAD_INPUT;
    }
    if (argc - optind != 1)
        return cli_usage("check takes one scenario");
    struct complaints complaints = {0};
    struct err e = {0};
    struct scenario *s = force ? scenario_load_forced(argv[optind], &complaints)
                               : scenario_load(argv[optind], &complaints);
    struct plan plan = {0};
    if (s)
        plan_init(&plan, s);
    struct control *c = s ? control_build(s, NULL, &e) : NULL;
    int code = EXIT_DONE;
    if (json || out)
        code = check_document(argv[optind], c, &complaints, &plan, out);
    else
        cli_complaints_print(&complaints, SEVERITY_ADVICE);
    if (s && !c)
        code = cli_fail(&e);
    for (uint32_t i = 0; c && !json && !out && i < c->n_nodes; i++)
        print_node(c, &c->nodes[i]);
    if (c && !json && !out)
        print_plan(s, &plan);
    plan_fini(&plan);
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
    "be right. What a NAT does is told after its node's routes. The address plan tells how many machines, hosts and\n"
    "guests there is room for.\n\n"
    "  --force         go on in spite of faults of the design (overlaps, duplicates)\n"
    "  --json          one JSON document on stdout\n"
    "  -o FILE         the same into a file\n\n"
    "Exit status: 0 sound (perhaps with warnings), 2 not.\n",
    run};
