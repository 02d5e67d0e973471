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

/* The effective routes of a node, in the order in which it is told of them. Ports must be there. */
void machine_routes(const struct control *c, const struct control_node *n, struct route_list *out);
void gateway_routes(const struct control *c, const struct control_node *n, struct route_list *out);
void site_routes(const struct control *c, const struct control_node *n, struct route_list *out);
/* A user-defined route as the gateway of `subnet` applies it. */
struct route gateway_user_route(const struct control *c, uint32_t subnet, const struct scenario_user_route *u);

#endif
