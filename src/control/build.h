/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this module share while nodes are built. */
#ifndef FWDLAB_CONTROL_BUILD_H
#define FWDLAB_CONTROL_BUILD_H

#include <fwdlab/control/control.h>

/* The first two ports of a gateway, the first one of a site. */
enum { GATEWAY_PORT_SUBNET, GATEWAY_PORT_NETWORK };
enum { SITE_PORT_LAN, SITE_PORT_UPLINK };

/* What decides between equal prefixes on the platform: user before BGP before system. */
enum { METRIC_USER, METRIC_BGP, METRIC_SYSTEM };

struct route_list {
    struct route *v;
    size_t n, cap;
};

/* Every port of the node at `index`: names, links, and what the core knows of it. */
void ports_build(struct control *c, uint32_t index);

/* The effective routes of a node, both families, in the order in which it is told of them. Ports must be there. A
 * machine's have the number of their table in the scenario; 0 is the main one. */
void machine_routes(const struct control *c, const struct control_node *n, uint32_t table, struct route_list *out);
void gateway_routes(const struct control *c, const struct control_node *n, struct route_list *out);
void site_routes(const struct control *c, const struct control_node *n, struct route_list *out);
/* A user-defined route as the gateway of `subnet` applies it. */
struct route gateway_user_route(const struct control *c, uint32_t subnet, const struct scenario_user_route *u);

/* A table of those routes of the list that have the backend's family; -errno. */
int table_build(const struct route_list *list, const struct route_backend *backend, uint32_t more,
                struct route_table **out);
/* The policy rules of a machine's node over its main tables, and the tables that they name; -errno. */
int machine_rules(const struct control *c, struct control_node *n);
/* The filter of a machine's node; stays NULL when none of its NICs has a security group. `flows`: 0 the filter's
 * default. -errno. */
int machine_filter(const struct control *c, struct control_node *n, uint32_t flows);

#endif
