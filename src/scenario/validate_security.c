/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: security groups, their priorities and who uses them. */
#include "complaint.h"
#include "validate.h"

static void check_priorities(const struct scenario *s, const struct scenario_security_group *g, struct complaints *c) {
    for (uint32_t i = g->first_rule + 1; i < g->first_rule + g->n_rules; i++) {
        const struct scenario_security_rule *a = &s->security_rules.v[i - 1], *b = a + 1; /* sorted by priority */
        if (!b->priority || a->priority != b->priority || a->inbound != b->inbound)
            continue;
        complain(c, b->at, SEVERITY_ERROR, "rules \"%s\" and \"%s\" of group \"%s\" both have priority %u %s", a->name,
                 b->name, g->name, b->priority, b->inbound ? "in" : "out");
        complain_hint(c, "the lowest decides, so they must differ: change one of them (the other is in %s:%u)",
                      a->at.file, a->at.line);
    }
}

static bool is_used(const struct scenario *s, uint32_t group) {
    for (size_t i = 0; i < s->subnets.n; i++)
        if (s->subnets.v[i].security_group == group)
            return true;
    for (size_t i = 0; i < s->nics.n; i++)
        if (s->nics.v[i].security_group == group)
            return true;
    return false;
}

/* Where a site's gateway lives, nothing may be filtered. */
static void check_gateway_subnet(const struct scenario *s, const struct scenario_site *site, struct complaints *c) {
    if (site->gateway_subnet == INDEX_NONE)
        return;
    const struct scenario_subnet *subnet = &s->subnets.v[site->gateway_subnet];
    if (subnet->security_group == INDEX_NONE)
        return;
    complain(c, subnet->at, SEVERITY_WARNING,
             "subnet \"%s\" has a security group, but the gateway of site \"%s\" is there", subnet->name, site->name);
    complain_hint(c, "the gateway may stop working: remove \"security_group\" and filter at the other subnets");
}

void validate_security(const struct scenario *s, struct complaints *c) {
    for (uint32_t i = 0; i < s->security_groups.n; i++) {
        const struct scenario_security_group *group = &s->security_groups.v[i];
        check_priorities(s, group, c);
        if (is_used(s, i))
            continue;
        complain(c, group->at, SEVERITY_WARNING, "nobody uses security group \"%s\"", group->name);
        complain_hint(c, "give a subnet or a NIC \"security_group: %s\", or remove it", group->name);
    }
    for (size_t i = 0; i < s->sites.n; i++)
        check_gateway_subnet(s, &s->sites.v[i], c);
}
