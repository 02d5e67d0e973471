/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of variants of routed.yaml, each with the complaint that it must bring, and no others. */
#ifndef TESTS_SCENARIO_EXPECT_H
#define TESTS_SCENARIO_EXPECT_H

#include "helper.h"
#include <fwdlab/base/file.h>

struct expected {
    const char *text; /* from line 4 of a variant of routed.yaml */
    const char *line; /* its number; or how the last such line of routed.yaml begins */
    enum severity severity;
    enum fault fault;
    const char *what, *hint; /* parts of them */
};

#define E SEVERITY_ERROR, FAULT_NONE
#define F(fault) SEVERITY_ERROR, FAULT_##fault
#define W SEVERITY_WARNING, FAULT_NONE
#define A SEVERITY_ADVICE, FAULT_NONE
#define HOST(text) "machines: { hyperv: { " text " } }\n"
#define NIC1(text) HOST("nics: { NIC1: { " text " } }")
#define PC(text) "machines: { pc: { nics: { eth0: { " text " } } } }\n"
#define SUBNET(text) "networks: { nested-fun: { subnets: { " text " } } }\n"
#define ROUTE(text) HOST("routes: { new: { " text " } }")
#define MAP(text) HOST("nat: { port_maps: { new: { " text " } } }")
#define SCOPE(text) HOST("dhcp: [ { " text " } ]")
#define TABLE(text) "route_tables: { Routes-for-nested-VMs: { new: { " text " } } }\n"
#define TABLES_OFF                                                                                                     \
    SUBNET("azure-vms: { route_table: null }, GatewaySubnet: { route_table: null }") "route_tables: null\n"

/* The last line of routed.yaml that begins with `start`, after its indentation. */
static inline unsigned line_of(const char *start) {
    char *text, *rest;
    size_t len;
    unsigned found = 0, n = 0;
    cr_assert_eq(file_load(NESTED "routed.yaml", &text, &len, NULL), 0);
    rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        n++;
        if (strncmp(line + strspn(line, " "), start, strlen(start)) == 0)
            found = n;
    }
    free(text);
    cr_assert_neq(found, 0, "%s", start);
    return found;
}

/* Loads it, not forced or forced; counts the complaints that are the expected one. */
static inline void expect_load(const struct expected *e, const char *text, bool force) {
    unsigned line = *e->line >= '0' && *e->line <= '9' ? (unsigned)atoi(e->line) : line_of(e->line);
    unsigned found = 0, errors = e->severity == SEVERITY_ERROR, faults = errors && e->fault;
    struct complaints c = {0};
    struct scenario *s =
        (force ? scenario_load_text_forced : scenario_load_text)(NESTED "variant.yaml", text, strlen(text), &c);
    for (size_t i = 0; i < c.list.n; i++) {
        const struct complaint *x = &c.list.v[i];
        found += x->severity == e->severity && x->fault == e->fault && x->at.line == line && strstr(x->what, e->what) &&
                 strstr(x->hint, e->hint);
    }
    bool right = found == 1 && c.errors == errors && c.faults == faults;
    if (!right)
        print_complaints(&c);
    cr_expect(right, "%u such complaints, %u errors, %u faults: %s", found, c.errors, c.faults, e->text);
    cr_expect((s != NULL) == (!errors || (force && faults)), "%s scenario%s: %s", s ? "a" : "no",
              force ? ", forced" : "", e->text);
    cr_expect(!s || s->forced == (faults > 0), "forced: %s", e->text);
    scenario_destroy(s);
    complaints_fini(&c);
}

static inline void expect_all(const struct expected *e, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char *text;
        cr_assert_gt(asprintf(&text, "%s%s", VARIANT, e[i].text), 0);
        expect_load(&e[i], text, false);
        expect_load(&e[i], text, true);
        free(text);
    }
}

#endif
