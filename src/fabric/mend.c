/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of the model's tables: candidates that may mend a flow, applied and undone. */
#include <errno.h>
#include <stdio.h>
#include "fabric.h"

#define TABLE_ROUTES_MAX 64

const char *change_kind_name(enum change_kind k) {
    static const char *const name[] = {"add", "remove", "replace", "associate"};
    return name[k];
}

/* One add or remove in a table of a node. */
static int alter(const struct fabric *f, enum change_kind kind, uint32_t node, uint32_t table, const struct route *r) {
    struct route_table *t = control_table(&f->control->nodes[node], r->prefix.addr.family, table);
    if (!t)
        return -EAFNOSUPPORT;
    return kind == CHANGE_ADD ? route_add(t, r) : route_remove(t, r);
}

/* The same, remembered for the way back. */
static int apply(struct fabric *f, enum change_kind kind, uint32_t node, uint32_t table, const struct route *r) {
    int code = alter(f, kind, node, table, r);
    if (!code)
        vec_push(&f->applied, (struct change){.kind = (uint8_t)kind, .node = node, .table = table, .route = *r});
    return code;
}

/* A subnet has one route table: the new one takes the place of the old. */
static int associate(struct fabric *f, const struct change *c) {
    struct route routes[TABLE_ROUTES_MAX];
    uint32_t subnet = f->control->nodes[c->node].index, old = fabric_scenario(f)->subnets.v[subnet].route_table;
    unsigned n = old == INDEX_NONE ? 0 : control_table_routes(f->control, subnet, old, routes, TABLE_ROUTES_MAX);
    for (unsigned i = 0; i < n; i++)
        apply(f, CHANGE_REMOVE, c->node, 0, &routes[i]);
    n = control_table_routes(f->control, subnet, c->table, routes, TABLE_ROUTES_MAX);
    int code = n ? 0 : -ENOENT;
    for (unsigned i = 0; i < n && !code; i++)
        if ((code = apply(f, CHANGE_ADD, c->node, 0, &routes[i])) == -EEXIST)
            code = 0;
    return code;
}

int fabric_apply(struct fabric *f, const struct change *c) {
    int code = -EINVAL;
    f->applied.n = 0;
    switch ((enum change_kind)c->kind) {
    case CHANGE_ADD:
    case CHANGE_REMOVE:
        code = apply(f, c->kind, c->node, c->table, &c->route);
        break;
    case CHANGE_REPLACE:
        code = apply(f, CHANGE_REMOVE, c->node, c->table, &c->old);
        if (!code)
            code = apply(f, CHANGE_ADD, c->node, c->table, &c->route);
        break;
    case CHANGE_ASSOCIATE:
        code = associate(f, c);
        break;
    }
    if (code)
        fabric_revert(f);
    f->generation++;
    return code;
}

void fabric_revert(struct fabric *f) {
    while (f->applied.n) {
        const struct change *c = &f->applied.v[--f->applied.n];
        alter(f, c->kind == CHANGE_ADD ? CHANGE_REMOVE : CHANGE_ADD, c->node, c->table, &c->route);
    }
    f->generation++;
}

static void route_to(const struct fabric *f, const struct judgement *j, const struct ip_prefix *prefix,
                     struct route *r) {
    bool gateway = f->control->nodes[j->cause_node].kind == CONTROL_GATEWAY;
    *r = (struct route){.prefix = *prefix, .via = j->mend_via, .port = j->mend_port, .kind = ROUTE_UNICAST,
                        .origin = gateway ? ORIGIN_USER : ORIGIN_STATIC,
                        .metric = gateway ? 0 : j->cause_route.metric};
    struct declared d = declared_find(f, &j->far);
    snprintf(r->name, sizeof r->name, "%s", prefix_equal(&d.prefix, prefix) ? d.name : "");
}

/* Route tables that are not associated with a gateway's subnet and hold a route for the answer. */
static unsigned associations(const struct fabric *f, const struct judgement *j, struct change *out, unsigned cap) {
    const struct scenario *s = fabric_scenario(f);
    uint32_t subnet = f->control->nodes[j->cause_node].index;
    unsigned n = 0;
    for (uint32_t t = 0; t < s->route_tables.n && n < cap; t++) {
        struct route routes[TABLE_ROUTES_MAX];
        unsigned routes_n = control_table_routes(f->control, subnet, t, routes, TABLE_ROUTES_MAX);
        if (s->subnets.v[subnet].route_table == t)
            continue;
        for (unsigned i = 0; i < routes_n; i++) {
            if (!prefix_contains(&routes[i].prefix, &j->far))
                continue;
            out[n++] = (struct change){.kind = CHANGE_ASSOCIATE, .node = j->cause_node, .table = t, .route = routes[i]};
            break;
        }
    }
    return n;
}

unsigned fabric_mends(const struct fabric *f, const struct judgement *j, struct change *out, unsigned cap) {
    unsigned n = 0;
    if (j->cause_node == INDEX_NONE || j->mend_port == PORT_NONE || j->far.family == FAMILY_NONE || cap < 8)
        return 0;
    const struct control_node *node = &f->control->nodes[j->cause_node];
    if (node->kind == CONTROL_GATEWAY)
        n = associations(f, j, out, cap - 4);
    struct change add = {.kind = CHANGE_ADD, .node = j->cause_node, .table = j->cause_table};
    struct ip_prefix declared = fabric_declared(f, &j->far);
    struct ip_prefix host = prefix_of(&j->far, j->far.family == FAMILY_IPV6 ? 128 : 32);
    if (!ip_is_none(&declared.addr)) {
        route_to(f, j, &declared, &add.route);
        out[n++] = add;
    }
    bool routed = j->cause_route.prefix.addr.family == j->far.family && j->cause_route.kind == ROUTE_UNICAST;
    if (routed && j->cause_route.origin != ORIGIN_SYSTEM && j->cause_route.origin != ORIGIN_CONNECTED) {
        struct change replace = add;
        replace.kind = CHANGE_REPLACE;
        replace.old = j->cause_route;
        route_to(f, j, &j->cause_route.prefix, &replace.route);
        out[n++] = replace;
        out[n++] = (struct change){
            .kind = CHANGE_REMOVE, .node = j->cause_node, .table = j->cause_table, .route = j->cause_route};
    }
    if (!prefix_equal(&declared, &host)) {
        route_to(f, j, &host, &add.route);
        out[n++] = add;
    }
    return n;
}
