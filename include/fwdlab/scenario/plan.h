/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address plan of a scenario: what its subnets have room for, what is taken, and how many nested-VM hosts and
 * guests that makes. IPv4: the scarce one.
 *
 * A host is a router with NICs in two subnets of one network, its NAT side and its LAN side, and NICs on switches,
 * where its guests are. A further host needs an address in both subnets, so the smaller one is the limit.
 */
#ifndef FWDLAB_SCENARIO_PLAN_H
#define FWDLAB_SCENARIO_PLAN_H

#include <fwdlab/scenario/scenario.h>

/* Addresses of a subnet, in the order of scenario.subnets. */
struct plan_subnet {
    uint64_t usable; /* all but the platform's: the network's, the next three, the broadcast address. On a floating
                        subnet nothing is reserved: all but the network's, the broadcast and the router's */
    uint64_t used;   /* by NICs in it; floating: by guests whose address is in it */
    uint64_t leased; /* what DHCP scopes hand out of it */
};

struct plan_host {
    uint32_t machine, pair; /* pair: index in plan.pairs */
    uint32_t nat_nic, lan_nic; /* in scenario.nics; the NAT side is where its NAT is, else where its default route is */
    uint64_t guests_max;    /* that its switches' networks have room for, or the floating subnets that carry them */
    uint64_t guests;        /* machines there now, itself not counted */
    uint64_t leased;        /* addresses that its DHCP scopes hand out there */
};

/* Two subnets that hosts have their sides in. */
struct plan_pair {
    uint32_t nat_subnet, lan_subnet;
    uint32_t limit;      /* the one of the two that limits: the smaller, the NAT side when they are equal */
    uint64_t hosts_max;  /* when nothing but hosts is in them */
    uint64_t hosts_more; /* that there is room for now */
    uint32_t hosts;      /* there now */
};

struct plan {
    VEC(struct plan_subnet) subnets;
    VEC(struct plan_host) hosts;
    VEC(struct plan_pair) pairs;
};

/* Fills *p; plan_fini frees what it holds. The scenario may have been forced: what lies outside its subnet counts where
 * it is plugged in. */
void plan_init(struct plan *p, const struct scenario *s);
void plan_fini(struct plan *p);

#endif
