/* SPDX-License-Identifier: BSD-3-Clause */
/* A scenario with its fabric, flows by text, and walks as text. */
#ifndef TESTS_FABRIC_WORLD_H
#define TESTS_FABRIC_WORLD_H

#include <criterion/criterion.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/fabric/fabric.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTED FWDLAB_SOURCE "/traces/nested-host/"

struct world {
    struct scenario *scenario;
    struct control *control;
    struct fabric *fabric;
};

static inline struct world world_text(const char *text) {
    struct complaints c = {0};
    struct err e = {0};
    struct world w = {.scenario = scenario_load_text(NESTED "variant.yaml", text, strlen(text), &c)};
    for (size_t i = 0; !w.scenario && i < c.list.n; i++)
        fprintf(stderr, "%u: %s\n", c.list.v[i].at.line, c.list.v[i].what);
    cr_assert_not_null(w.scenario, "%s", text);
    complaints_fini(&c);
    w.control = control_build(w.scenario, NULL, &e);
    cr_assert_not_null(w.control, "%s", e.what);
    w.fabric = fabric_create(w.control);
    return w;
}

/* A configuration of traces/nested-host, with something merged over it. */
static inline struct world world_nested(const char *base, const char *over) {
    char text[4096];
    snprintf(text, sizeof text, "fwdlab: 1\nbase: %s.yaml\nname: variant\n%s", base, over);
    return world_text(text);
}

static inline void world_end(struct world *w) {
    fabric_destroy(w->fabric);
    control_destroy(w->control);
    scenario_destroy(w->scenario);
}

static inline struct flow_key flow(uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport) {
    struct flow_key k = {.family = FAMILY_IPV4, .proto = proto, .sport = htons(sport), .dport = htons(dport)};
    struct ip a, b;
    cr_assert(ip_parse(src, &a) == 0 && ip_parse(dst, &b) == 0, "%s %s", src, dst);
    memcpy(k.src, &a.v4, 4);
    memcpy(k.dst, &b.v4, 4);
    return k;
}

static inline struct judgement judge(struct world *w, const struct flow_key *k, struct walk *there, struct walk *back) {
    struct judgement j;
    fabric_judge(w->fabric, k, &j, there, back);
    return j;
}

/* "guest1 hyperv[NIC1] nested-fun/nat ...": each node with the port it is left by, if a machine routes there. */
static inline const char *path(const struct world *w, const struct walk *walk, char *buf, size_t size) {
    buf[0] = '\0';
    for (unsigned i = 0; i < walk->n; i++) {
        const struct hop *h = &walk->hops[i];
        const struct control_node *n = &w->control->nodes[h->node];
        size_t used = strlen(buf);
        snprintf(buf + used, size - used, "%s%s", i ? " " : "", n->name);
        used = strlen(buf);
        if (n->node.router && n->kind == CONTROL_MACHINE && h->out != PORT_NONE)
            snprintf(buf + used, size - used, "[%s]", n->ports[h->out].name);
        used = strlen(buf);
        if (h->verdict == VERDICT_DROP)
            snprintf(buf + used, size - used, " !%s", drop_name((enum drop)h->reason));
    }
    return buf;
}

static inline void expect_path(const struct world *w, const struct walk *walk, const char *expected) {
    char text[1000];
    cr_expect_str_eq(path(w, walk, text, sizeof text), expected, "went %s and not %s", text, expected);
}

/* Whose source a packet has at the end of its walk. */
static inline void expect_source(const struct walk *walk, const char *expected) {
    struct ip a = {.family = FAMILY_IPV4};
    char text[IP_TEXT];
    memcpy(&a.v4, walk_end(walk)->key.src, 4);
    cr_expect_str_eq(ip_format(&a, text), expected);
}

static inline void expect_verdict(const struct judgement *j, enum model_verdict v) {
    cr_expect_eq(j->verdict, v, "%s (%s) and not %s", model_verdict_name(j->verdict), drop_name((enum drop)j->reason),
                 model_verdict_name(v));
}

static inline void expect_cause(const struct world *w, const struct judgement *j, const char *node, const char *route) {
    cr_assert_neq(j->cause_node, INDEX_NONE);
    cr_expect_str_eq(w->control->nodes[j->cause_node].name, node);
    cr_expect_str_eq(j->cause_route.name, route);
}

#endif
