/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a scenario to the tables of its nodes. Each machine, each subnet's gateway (named network/subnet) and each site
 * becomes a node of the core with its effective routes. On a platform gateway the order of precedence is longest
 * prefix, then user before BGP before system; it is expressed by metrics (0, 1, 2), so that the core knows nothing of
 * it.
 *
 * Where the scenario has any IPv6, every node has tables of both families. What a machine's security groups say becomes
 * its node's filter, the platform's default rules included.
 */
#ifndef FWDLAB_CONTROL_CONTROL_H
#define FWDLAB_CONTROL_CONTROL_H

#include <fwdlab/core/forward.h>
#include <fwdlab/scenario/scenario.h>

enum control_kind { CONTROL_MACHINE, CONTROL_GATEWAY, CONTROL_SITE };

/* What is at the other end of a port. */
enum link_kind {
    LINK_SWITCH,  /* shared segment; the neighbour is who has the next hop's address. target: switch */
    LINK_GATEWAY, /* a machine's NIC in a subnet: everything goes to the gateway. target: node of the gateway */
    LINK_SUBNET,  /* a gateway's side towards the NICs of its subnet. target: subnet */
    LINK_NETWORK, /* between gateways: the next hop's address is looked up among NICs and gateways. target: network */
    LINK_NODE,    /* straight to one other node. target: node */
    LINK_LAN,     /* the machines of a site, and a machine's NIC there. target: site */
};
struct control_port {
    const char *name;  /* NIC's name; "subnet", "network", a site's name; a site's: "lan", a network's name */
    uint8_t link;      /* enum link_kind */
    uint32_t target;
    uint32_t nic;      /* scenario NIC behind a machine's port; INDEX_NONE */
};
struct control_node {
    const char *name;
    uint8_t kind;      /* enum control_kind */
    uint32_t index;    /* machine, subnet or site in the scenario */
    struct node node;
    struct control_port *ports; /* node.n_ports */
};

/* Nodes in the order machines, gateways (as scenario.subnets), sites: node = n_machines + subnet, and so on. */
struct control {
    const struct scenario *scenario;
    uint32_t n_nodes;
    struct control_node *nodes;
    struct arena *arena; /* names and ports */
};

/*
 * `fast`, when not NULL, serves the IPv4 routes (main table) of the node `fast_node`; all others use the tries, main
 * tables of many IPv4 routes DIR24-8.
 * `nat_sessions` is the size of NAT tables and of the flow tables of security groups; 0: as the scenario says, or the
 * filter's own default. `more_routes` can be added later to the main table of `fast_node`. No node has a limit on its
 * ICMP errors: who wants one sets node.icmp.
 */
struct control_options {
    const struct route_backend *fast;
    uint32_t fast_node;
    uint32_t nat_sessions;
    uint32_t more_routes;
    bool staged; /* fast_node has no express stage (forward.h): what each of the others costs can be seen */
};
struct control *control_build(const struct scenario *s, const struct control_options *options, struct err *e);
void control_destroy(struct control *c);

/* What a NIC or a subnet's gateway has of one family; family FAMILY_NONE: nothing. */
static inline const struct ip *control_nic_addr(const struct scenario_nic *nic, uint8_t family) {
    return family == FAMILY_IPV6 ? &nic->addr6 : &nic->addr;
}
static inline const struct ip *control_gateway_addr(const struct scenario_subnet *subnet, uint8_t family) {
    return family == FAMILY_IPV6 ? &subnet->gateway6 : &subnet->gateway;
}

/* A route table of a node: 0 the main one, the others those of its policy rules; NULL when it has no such table. */
struct route_table *control_table(const struct control_node *n, uint8_t family, unsigned table);

uint32_t control_node_find(const struct control *c, const char *name); /* INDEX_NONE */
uint32_t control_gateway_node(const struct control *c, uint32_t subnet);
uint32_t control_site_node(const struct control *c, uint32_t site);

/* "10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256 (static, Route 1)". */
const char *control_route_format(const struct control_node *n, const struct route *r, char *buf, size_t size);

/* The routes of both families that a route table brings to a subnet's gateway: what associating it would add. Returns
 * how many, cap at most. */
unsigned control_table_routes(const struct control *c, uint32_t subnet, uint32_t table, struct route *out,
                              unsigned cap);

#endif
