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

/* What a test changes in a scenario before its nodes are built. */
typedef void (*alter_fn)(struct scenario *s);

static inline struct world world_altered(const char *text, alter_fn alter) {
    struct complaints c = {0};
    struct err e = {0};
    struct world w = {.scenario = scenario_load_text(NESTED "variant.yaml", text, strlen(text), &c)};
    for (size_t i = 0; !w.scenario && i < c.list.n; i++)
        fprintf(stderr, "%u: %s\n", c.list.v[i].at.line, c.list.v[i].what);
    cr_assert_not_null(w.scenario, "%s", text);
    complaints_fini(&c);
    if (alter)
        alter(w.scenario);
    w.control = control_build(w.scenario, NULL, &e);
    cr_assert_not_null(w.control, "%s", e.what);
    w.fabric = fabric_create(w.control);
    return w;
}

static inline struct world world_text(const char *text) {
    return world_altered(text, NULL);
}

/* A configuration of traces/nested-host, with something merged over it. */
static inline struct world world_nested(const char *base, const char *over) {
    char text[8192];
    snprintf(text, sizeof text, "fwdlab: 1\nbase: %s.yaml\nname: variant\n%s", base, over);
    return world_text(text);
}

/* The same with IPv6 beside IPv4: no NAT, the Internet behind NIC2, Route 1 and Route 2 with their likes. */
static inline struct world world_dual(alter_fn alter) {
    static const char dual[] =
        "networks:\n  nested-fun:\n    space: [10.0.0.0/22, 10.0.255.0/27, \"fd00:a::/48\"]\n    subnets:\n"
        "      nat: {prefix6: \"fd00:a:0:0::/64\"}\n      hyper-v-lan: {prefix6: \"fd00:a:0:1::/64\"}\n"
        "      ghosted: {prefix6: \"fd00:a:0:2::/64\"}\n      azure-vms: {prefix6: \"fd00:a:0:3::/64\"}\n"
        "      GatewaySubnet: {prefix6: \"fd00:a:0:ff::/64\"}\n"
        "route_tables: {Routes-for-nested-VMs: {six: {prefix: \"fd00:a:0:2::/64\", next_hop: \"fd00:a:0:1::4\"}}}\n"
        "sites: {on-premises: {prefixes: [172.16.0.0/22, \"fd00:ac10::/48\"]}}\n"
        "machines:\n"
        "  hyperv:\n    nics:\n"
        "      NIC1: {address6: \"fd00:a::4/64\", gateway6: none}\n"
        "      NIC2: {address6: \"fd00:a:0:1::4/64\", gateway6: \"fd00:a:0:1::1\"}\n"
        "      switch: {address6: \"fd00:a:0:2::1/64\"}\n"
        "    routes:\n"
        "      Route 1 v6: {prefix: \"fd00:a::/64\", via: \"fd00:a::1\", nic: NIC1, metric: 256}\n"
        "      Route 2 v6: {prefix: \"fd00:a::/48\", via: \"fd00:a:0:1::1\", nic: NIC2, metric: 256}\n"
        "  guest1: {nics: {eth0: {address6: \"fd00:a:0:2::2/64\", gateway6: \"fd00:a:0:2::1\"}}}\n"
        "  nat-machine: {nics: {eth0: {address6: \"fd00:a::10/64\"}}}\n"
        "  azure-vm: {nics: {eth0: {address6: \"fd00:a:0:3::4/64\"}}}\n"
        "  onprem-pc: {nics: {eth0: {address6: \"fd00:ac10::10/48\"}}}\n"
        "  web-server: {nics: {eth0: {address6: \"2001:db8:113::10/64\"}}}\n";
    char text[8192];
    snprintf(text, sizeof text, "fwdlab: 1\nbase: routed.yaml\nname: dual\n%s", dual);
    return world_altered(text, alter);
}

static inline void world_end(struct world *w) {
    fabric_destroy(w->fabric);
    control_destroy(w->control);
    scenario_destroy(w->scenario);
}

static inline struct flow_key flow(uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport) {
    struct flow_key k = {.proto = proto, .sport = htons(sport), .dport = htons(dport)};
    struct ip a, b;
    cr_assert(ip_parse(src, &a) == 0 && ip_parse(dst, &b) == 0, "%s %s", src, dst);
    k.family = a.family;
    memcpy(k.src, a.v6, a.family == FAMILY_IPV6 ? 16 : 4);
    memcpy(k.dst, b.v6, b.family == FAMILY_IPV6 ? 16 : 4);
    return k;
}

static inline struct judgement judge(struct world *w, const struct flow_key *k, struct walk *there, struct walk *back) {
    struct judgement j;
    fabric_judge(w->fabric, k, &j, there, back);
    return j;
}

static inline bool same(const struct judgement *a, const struct judgement *b) {
    return a->verdict == b->verdict && a->reason == b->reason && a->lost_on_return == b->lost_on_return &&
           a->works == b->works && a->translated == b->translated && a->probability == b->probability &&
           a->cause_node == b->cause_node && a->cause_nic == b->cause_nic &&
           prefix_equal(&a->cause_route.prefix, &b->cause_route.prefix) && a->cause_route.port == b->cause_route.port &&
           a->mend_port == b->mend_port && ip_equal(&a->mend_via, &b->mend_via) && ip_equal(&a->far, &b->far) &&
           a->nat_node == b->nat_node && a->told == b->told && a->mtu == b->mtu && a->cause_table == b->cause_table;
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
    struct ip a = flow_key_src(&walk_end(walk)->key);
    char text[IP_TEXT];
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
