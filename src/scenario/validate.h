/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell. Values that were complained about have no address (FAMILY_NONE) or INDEX_NONE
 * here. */
#ifndef FWDLAB_SCENARIO_VALIDATE_H
#define FWDLAB_SCENARIO_VALIDATE_H

#include <fwdlab/scenario/scenario.h>

void validate_networks(const struct scenario *s, struct complaints *c);
void validate_sites(const struct scenario *s, struct complaints *c);
void validate_security(const struct scenario *s, struct complaints *c);
void validate_nics(const struct scenario *s, struct complaints *c);
void validate_machines(const struct scenario *s, struct complaints *c); /* their routes and rules */
void validate_nats(const struct scenario *s, struct complaints *c);
void validate_scopes(const struct scenario *s, struct complaints *c);

/* What a NIC has of one family; `addr` FAMILY_NONE: nothing. */
struct nic_side {
    struct ip addr, gateway;
    struct ip_prefix net; /* that `addr` is in */
    bool default_route;
};
struct nic_side nic_side(const struct scenario_nic *nic, enum family family);
const struct ip_prefix *subnet_prefix(const struct scenario_subnet *subnet, enum family family);
/* May a NIC send straight to `addr`? On a subnet to all of it: the gateway answers for everyone. */
bool nic_on_link(const struct scenario *s, const struct scenario_nic *nic, const struct ip *addr);
struct ip prefix_last(const struct ip_prefix *p);
/* May the scope hand out this address? */
bool in_scope(const struct scenario_dhcp *d, const struct ip *addr);

#endif
