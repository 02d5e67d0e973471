/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking things up in a scenario, and its end. */
#include "read.h"
#include <stdlib.h>
#include <string.h>

void scenario_destroy(struct scenario *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->networks.n; i++)
        vec_free(&s->networks.v[i].space);
    for (size_t i = 0; i < s->sites.n; i++) {
        vec_free(&s->sites.v[i].prefixes);
        vec_free(&s->sites.v[i].routes);
    }
    for (size_t i = 0; i < s->security_rules.n; i++) {
        vec_free(&s->security_rules.v[i].from);
        vec_free(&s->security_rules.v[i].to);
    }
    for (size_t i = 0; i < s->nats.n; i++) {
        vec_free(&s->nats.v[i].addresses);
        vec_free(&s->nats.v[i].untranslated);
        vec_free(&s->nats.v[i].port_maps);
    }
    for (size_t i = 0; i < s->dhcps.n; i++)
        vec_free(&s->dhcps.v[i].dns);
    vec_free(&s->networks);
    vec_free(&s->subnets);
    vec_free(&s->route_tables);
    vec_free(&s->user_routes);
    vec_free(&s->switches);
    vec_free(&s->sites);
    vec_free(&s->machines);
    vec_free(&s->nics);
    vec_free(&s->sources);
    vec_free(&s->static_routes);
    vec_free(&s->rules);
    vec_free(&s->security_groups);
    vec_free(&s->security_rules);
    vec_free(&s->nats);
    vec_free(&s->dhcps);
    arena_destroy(s->arena);
    free(s);
}

uint32_t scenario_machine_find(const struct scenario *s, const char *name) {
    return element_find(s->machines.v, s->machines.n, sizeof *s->machines.v, name);
}

uint32_t scenario_subnet_find(const struct scenario *s, const char *name) {
    const char *slash = strchr(name, '/');
    for (uint32_t i = 0; slash && i < s->subnets.n; i++) {
        const char *network =
            s->networks.n > s->subnets.v[i].network ? s->networks.v[s->subnets.v[i].network].name : "";
        size_t n = strlen(network);
        if (n == (size_t)(slash - name) && memcmp(network, name, n) == 0 &&
            strcmp(s->subnets.v[i].name, slash + 1) == 0)
            return i;
    }
    return INDEX_NONE;
}

uint32_t scenario_nic_find(const struct scenario *s, uint32_t machine, const char *name) {
    const struct scenario_machine *m = &s->machines.v[machine];
    if (!m->n_nics)
        return INDEX_NONE;
    uint32_t i = element_find(s->nics.v + m->first_nic, m->n_nics, sizeof *s->nics.v, name);
    return i == INDEX_NONE ? INDEX_NONE : m->first_nic + i;
}

uint32_t scenario_nic_of_address(const struct scenario *s, const struct ip *addr) {
    for (uint32_t i = 0; i < s->nics.n && !ip_is_none(addr); i++)
        if (ip_equal(&s->nics.v[i].addr, addr) || ip_equal(&s->nics.v[i].addr6, addr))
            return i;
    return INDEX_NONE;
}
