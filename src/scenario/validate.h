/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell. Values that were complained about have no address (FAMILY_NONE) or INDEX_NONE
 * here. */
#ifndef FWDLAB_SCENARIO_VALIDATE_H
#define FWDLAB_SCENARIO_VALIDATE_H

#include <fwdlab/scenario/scenario.h>

void validate_networks(const struct scenario *s, struct complaints *c);
void validate_nics(const struct scenario *s, struct complaints *c);
void validate_machines(const struct scenario *s, struct complaints *c); /* their routes, NAT and DHCP */

/* May a NIC that has an address send straight to `addr`? On a subnet to all of it: the gateway answers for everyone. */
bool nic_on_link(const struct scenario *s, const struct scenario_nic *nic, const struct ip *addr);

#endif
