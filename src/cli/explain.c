/* SPDX-License-Identifier: BSD-3-Clause */
/* fwdlab explain: one packet hop by hop, and its answer back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/analyze/analyze.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/result/document.h>
#include "cli.h"

struct question {
    const char *scenario, *from, *to, *out;
    struct flow_key flow;
    bool json, force;
};

static uint32_t first_nic(const struct scenario *s, uint32_t machine, uint8_t family) {
    const struct scenario_machine *m = &s->machines.v[machine];
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++)
        if (control_nic_addr(&s->nics.v[i], family)->family)
            return i;
    return m->n_nics ? m->first_nic : INDEX_NONE;
}

/* A machine's name (its first address of the family counts), machine/NIC, or an address. */
static int endpoint(const struct scenario *s, const char *text, uint8_t family, uint8_t *bytes, struct err *e) {
    struct ip addr;
    if (ip_parse(text, &addr)) {
        char machine[128];
        const char *slash = strchr(text, '/');
        snprintf(machine, sizeof machine, "%.*s", slash ? (int)(slash - text) : 127, text);
        uint32_t m = scenario_machine_find(s, machine), nic = INDEX_NONE;
        if (m != INDEX_NONE)
            nic = slash ? scenario_nic_find(s, m, slash + 1) : first_nic(s, m, family);
        if (nic == INDEX_NONE) {
            err_set(e, -ENOENT, "`%s` is neither an address nor a machine of %s", text, s->file);
            err_hint(e, "name a machine, machine/NIC or an address");
            return -ENOENT;
        }
        addr = *control_nic_addr(&s->nics.v[nic], family);
    }
    if (addr.family != family) {
        err_set(e, -EAFNOSUPPORT, "`%s` has no IPv%u address", text, family);
        err_hint(e, "both ends must be of one family: --ipv6 takes the IPv6 addresses of machines");
        return -EAFNOSUPPORT;
    }
    memcpy(bytes, addr.v6, family == FAMILY_IPV6 ? 16 : 4);
    return 0;
}

static bool is_ipv6(const char *text) {
    struct ip addr;
    return ip_parse(text, &addr) == 0 && addr.family == FAMILY_IPV6;
}

static const char *action(const struct hop *h) {
    if (h->verdict == VERDICT_DROP)
        return "drop";
    if (h->verdict == VERDICT_DELIVER)
        return "deliver";
    return h->in == PORT_NONE ? "send" : h->edge ? "hand over" : "forward";
}

static void key_text(const struct flow_key *k, char *buf, size_t size) {
    struct ip a = flow_key_src(k), b = flow_key_dst(k);
    char src[IP_TEXT], dst[IP_TEXT];
    if (proto_is_icmp(k->proto))
        snprintf(buf, size, "%s → %s %s type %u", ip_format(&a, src), ip_format(&b, dst),
                 k->proto == PROTO_ICMP ? "icmp" : "icmpv6", ntohs(k->dport));
    else
        snprintf(buf, size, k->family == FAMILY_IPV6 ? "[%s]:%u → [%s]:%u" : "%s:%u → %s:%u", ip_format(&a, src),
                 ntohs(k->sport), ip_format(&b, dst), ntohs(k->dport));
}

static void print_walk(const struct control *c, const char *title, const struct walk *w) {
    printf("%s\n", title);
    for (unsigned i = 0; i < w->n; i++) {
        const struct hop *h = &w->hops[i];
        const struct control_node *n = &c->nodes[h->node];
        const struct route *r = hop_route(c, h);
        char route[200] = "", key[120];
        if (r && r->kind == ROUTE_UNICAST)
            control_route_format(n, r, route, sizeof route);
        key_text(&h->key, key, sizeof key);
        printf("  %u. %-26s %-9s %s%s%s   %s\n", i + 1, n->name, action(h),
               h->in == PORT_NONE ? "" : n->ports[h->in].name, h->in != PORT_NONE && h->out != PORT_NONE ? " → " : "",
               h->out == PORT_NONE ? "" : n->ports[h->out].name, key);
        if (*route && h->verdict != VERDICT_DELIVER)
            printf("       by %s\n", route);
        if (h->verdict == VERDICT_DROP)
            printf("       dropped, %s: %s\n", drop_name(h->reason), drop_sentence(h->reason));
    }
    if (w->mtu)
        printf("     path MTU %u\n", w->mtu);
}

static json_t *walk_json(const struct control *c, const struct walk *w) {
    json_t *list = json_array();
    for (unsigned i = 0; i < w->n; i++) {
        const struct hop *h = &w->hops[i];
        const struct control_node *n = &c->nodes[h->node];
        const struct route *r = hop_route(c, h);
        json_t *o = json_object();
        json_object_set_new(o, "node", json_string(n->name));
        json_object_set_new(o, "in", h->in == PORT_NONE ? json_null() : json_string(n->ports[h->in].name));
        json_object_set_new(o, "out", h->out == PORT_NONE ? json_null() : json_string(n->ports[h->out].name));
        json_object_set_new(o, "route", r ? route_json(n, r) : json_null());
        json_object_set_new(o, "action", json_string(action(h)));
        json_object_set_new(o, "reason", h->verdict == VERDICT_DROP ? json_string(drop_name(h->reason)) : json_null());
        json_object_set_new(o, "packet", flow_json(&h->key));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_verdict(const struct control *c, const struct judgement *j) {
    printf("verdict: %s\n", model_verdict_name(j->verdict));
    if (j->cause_node == INDEX_NONE)
        return;
    char route[200] = "";
    const struct control_node *n = &c->nodes[j->cause_node];
    if (j->cause_route.prefix.addr.family != FAMILY_NONE)
        control_route_format(n, &j->cause_route, route, sizeof route);
    printf("cause:   %s%s%s\n", n->name, *route ? ", " : "", route);
    if (!j->works && j->reason)
        printf("sender:  %s\n", j->told ? "is told so by an ICMP error" : "is told nothing");
}

static int explain(const struct question *q, const struct setup *s, struct fabric *f) {
    struct judgement j;
    struct walk there, back;
    fabric_judge(f, &q->flow, &j, &there, &back);
    if (!q->json && !q->out) {
        print_walk(s->control, "there", &there);
        print_walk(s->control, "and back", &back);
        print_verdict(s->control, &j);
        return EXIT_DONE;
    }
    struct document_input input = {q->scenario, "scenario"};
    struct document_options o = {.command = "explain", .inputs = &input, .n_inputs = 1};
    struct err e;
    json_t *doc = document_new(&o, &e);
    if (!doc)
        return cli_fail(&e);
    json_object_set_new(doc, "flow", flow_json(&q->flow));
    json_object_set_new(doc, "forward", walk_json(s->control, &there));
    json_object_set_new(doc, "reverse", walk_json(s->control, &back));
    json_object_set_new(doc, "verdict", json_string(model_verdict_name(j.verdict)));
    json_object_set_new(doc, "works", json_boolean(j.works));
    json_object_set_new(doc, "translated", json_boolean(j.translated));
    json_object_set_new(doc, "told", json_boolean(j.told));
    json_object_set_new(doc, "mtu", json_pack("{s:i, s:i}", "forward", there.mtu, "reverse", back.mtu));
    if (j.cause_node != INDEX_NONE) {
        const struct control_node *n = &s->control->nodes[j.cause_node];
        json_object_set_new(doc, "cause", json_pack("{s:s, s:o}", "node", n->name, "route",
                            j.cause_route.prefix.addr.family ? route_json(n, &j.cause_route) : json_null()));
    }
    return cli_document_done(doc, true, q->out);
}

static int parse_port(const char *text, be16 *out) {
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || !*text || v > 65535)
        return -EINVAL;
    *out = htons((uint16_t)v);
    return 0;
}

static int parse_options(int argc, char **argv, struct question *q) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},        {"output", required_argument, NULL, 'o'},
        {"from", required_argument, NULL, 'f'},  {"to", required_argument, NULL, 't'},
        {"proto", required_argument, NULL, 'p'}, {"sport", required_argument, NULL, 's'},
        {"dport", required_argument, NULL, 'd'}, {"ipv6", no_argument, NULL, '6'},
        {"force", no_argument, NULL, 'F'},       {0}};
    *q = (struct question){
        .flow = {.family = FAMILY_IPV4, .proto = PROTO_TCP, .sport = htons(40000), .dport = htons(80)}};
    bool ports = false;
    for (int c; (c = cli_option(argc, argv, options)) != -1;) {
        switch (c) {
        case 'j': q->json = true; break;
        case 'o': q->out = optarg; break;
        case 'f': q->from = optarg; break;
        case 't': q->to = optarg; break;
        case '6': q->flow.family = FAMILY_IPV6; break;
        case 'F': q->force = true; break;
        case 'p':
            q->flow.proto = !strcmp(optarg, "tcp") ? PROTO_TCP : !strcmp(optarg, "udp") ? PROTO_UDP
                          : !strcmp(optarg, "icmp") ? PROTO_ICMP : 0;
            if (!q->flow.proto)
                return cli_usage("--proto is tcp, udp or icmp, not `%s`", optarg);
            break;
        case 's':
        case 'd':
            ports = true;
            if (parse_port(optarg, c == 's' ? &q->flow.sport : &q->flow.dport))
                return cli_usage("`%s` is no port (0 to 65535)", optarg);
            break;
        default: return EXIT_BAD_INPUT;
        }
    }
    if (argc - optind != 1 || !q->from || !q->to)
        return cli_usage("explain takes one scenario, --from and --to");
    if (is_ipv6(q->from) || is_ipv6(q->to))
        q->flow.family = FAMILY_IPV6;
    if (q->flow.proto == PROTO_ICMP && q->flow.family == FAMILY_IPV6)
        q->flow.proto = PROTO_ICMPV6;
    if (proto_is_icmp(q->flow.proto) && !ports) {
        q->flow.sport = htons(1);
        q->flow.dport = htons(q->flow.family == FAMILY_IPV6 ? ICMPV6_ECHO : ICMP_ECHO);
    }
    q->scenario = argv[optind];
    return EXIT_DONE;
}

static int run(int argc, char **argv) {
    struct question q;
    struct setup s;
    struct err e = {0};
    int code = parse_options(argc, argv, &q);
    if (code)
        return code;
    if (cli_load(&s, q.scenario, q.force, &e))
        return cli_fail(&e);
    s.control = control_build(s.scenario, NULL, &e);
    if (!s.control || endpoint(s.scenario, q.from, q.flow.family, q.flow.src, &e) ||
        endpoint(s.scenario, q.to, q.flow.family, q.flow.dst, &e)) {
        code = cli_fail(&e);
    } else {
        struct fabric *f = fabric_create(s.control);
        code = explain(&q, &s, f);
        fabric_destroy(f);
    }
    cli_setup_fini(&s);
    return code;
}

const struct command command_explain = {
    "explain", "SCENARIO --from A --to B",
    "Walks a packet hop by hop and its answer back, with the route that wins at each hop",
    "  --from A, --to B   a machine, machine/NIC or an address\n"
    "  --ipv6             between the machines' IPv6 addresses\n"
    "  --proto P          tcp (default), udp or icmp (echo)\n"
    "  --sport N          source port (40000); ICMP: identifier\n"
    "  --dport N          destination port (80); ICMP: type\n"
    "  --force            go on in spite of faults of the scenario's design\n"
    "  --json             one JSON document on stdout\n"
    "  -o FILE            the same into a file\n",
    run};
