/* SPDX-License-Identifier: BSD-3-Clause */
/* A scenario with its nodes, and their routes as text. */
#ifndef TESTS_CONTROL_HELPER_H
#define TESTS_CONTROL_HELPER_H

#include <criterion/criterion.h>
#include <fwdlab/control/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTED FWDLAB_SOURCE "/traces/nested-host/"
#define VARIANT "fwdlab: 1\nbase: routed.yaml\nname: variant\n"

struct built {
    struct scenario *scenario;
    struct control *control;
};

static inline struct built build(struct scenario *s, struct complaints *c, const struct control_options *options) {
    struct err e = {0};
    for (size_t i = 0; !s && i < c->list.n; i++)
        fprintf(stderr, "%s:%u: %s\n", c->list.v[i].at.file, c->list.v[i].at.line, c->list.v[i].what);
    cr_assert_not_null(s);
    complaints_fini(c);
    struct built b = {s, control_build(s, options, &e)};
    cr_assert_not_null(b.control, "%s: %s", e.where, e.what);
    return b;
}

static inline struct built build_file(const char *name) {
    struct complaints c = {0};
    char path[512];
    snprintf(path, sizeof path, NESTED "%s.yaml", name);
    return build(scenario_load(path, &c), &c, NULL);
}

static inline struct built build_text(const char *text) {
    struct complaints c = {0};
    return build(scenario_load_text(NESTED "variant.yaml", text, strlen(text), &c), &c, NULL);
}

static inline void destroy(struct built *b) {
    control_destroy(b->control);
    scenario_destroy(b->scenario);
}

static inline const struct control_node *node_of(const struct built *b, const char *name) {
    uint32_t i = control_node_find(b->control, name);
    cr_assert_neq(i, INDEX_NONE, "%s", name);
    return &b->control->nodes[i];
}

/* One line a route, in the order of one of the node's tables. */
static inline void expect_table(const struct built *b, const char *name, uint8_t family, unsigned table,
                                const char *expected) {
    const struct control_node *n = node_of(b, name);
    const struct route_table *t = control_table(n, family, table);
    size_t count;
    cr_assert_not_null(t, "%s", name);
    const struct route *routes = route_table_routes(t, &count);
    char text[8192] = "", line[160];
    for (size_t i = 0; i < count; i++) {
        strcat(text, control_route_format(n, &routes[i], line, sizeof line));
        strcat(text, "\n");
    }
    cr_expect_str_eq(text, expected, "%s has\n%sand not\n%s", name, text, expected);
}

static inline void expect_routes(const struct built *b, const char *name, const char *expected) {
    expect_table(b, name, FAMILY_IPV4, 0, expected);
}

/* The route that wins for a destination in the main table, as text; "none". */
static inline void expect_winner(const struct built *b, const char *name, const char *destination,
                                 const char *expected) {
    const struct control_node *n = node_of(b, name);
    struct ip dst;
    uint32_t path;
    size_t count;
    char line[160] = "none";
    cr_assert_eq(ip_parse(destination, &dst), 0);
    const struct route_table *t = control_table(n, dst.family, 0);
    cr_assert_not_null(t, "%s", name);
    route_lookup(t, dst.v6, &path, 1);
    const struct route *routes = route_table_routes(t, &count);
    if (path != ROUTE_NONE)
        control_route_format(n, &routes[route_path(t, path)->route], line, sizeof line);
    cr_expect_str_eq(line, expected, "%s to %s: %s", name, destination, line);
}

#endif
