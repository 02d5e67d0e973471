/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports of each node and what is at their other ends. */
#include "build.h"
#include <fwdlab/base/arena.h>
#include <string.h>

struct port_list {
    struct control_port *v;
    size_t n, cap;
};

static void machine_ports(const struct control *c, uint32_t machine, struct port_list *out) {
    const struct scenario *s = c->scenario;
    const struct scenario_machine *m = &s->machines.v[machine];
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        struct control_port port = {.name = nic->name, .target = nic->on_index, .nic = i};
        if (nic->on == NIC_ON_SUBNET) {
            port.link = LINK_GATEWAY;
            port.target = control_gateway_node(c, nic->on_index);
        } else {
            port.link = nic->on == NIC_ON_SWITCH ? LINK_SWITCH : LINK_LAN;
        }
        vec_push(out, port);
    }
}

static void gateway_ports(const struct control *c, uint32_t subnet, struct port_list *out) {
    const struct scenario *s = c->scenario;
    vec_push(out, (struct control_port){"subnet", LINK_SUBNET, subnet, INDEX_NONE});
    vec_push(out, (struct control_port){"network", LINK_NETWORK, s->subnets.v[subnet].network, INDEX_NONE});
    for (uint32_t i = 0; i < s->sites.n; i++)
        if (s->sites.v[i].gateway_subnet == subnet || s->sites.v[i].gateway_subnet == INDEX_NONE)
            vec_push(out, (struct control_port){s->sites.v[i].name, LINK_NODE, control_site_node(c, i), INDEX_NONE});
}

static void site_ports(const struct control *c, uint32_t site, struct port_list *out) {
    const struct scenario *s = c->scenario;
    uint32_t subnet = s->sites.v[site].gateway_subnet;
    vec_push(out, (struct control_port){"lan", LINK_LAN, site, INDEX_NONE});
    if (subnet != INDEX_NONE) {
        const char *network = s->networks.v[s->subnets.v[subnet].network].name;
        vec_push(out, (struct control_port){network, LINK_NODE, control_gateway_node(c, subnet), INDEX_NONE});
        return;
    }
    for (uint32_t i = 0; i < s->networks.n; i++)
        vec_push(out, (struct control_port){s->networks.v[i].name, LINK_NETWORK, i, INDEX_NONE});
}

static void set_addresses(struct port *port, const struct ip *four, uint8_t len, const struct ip *six, uint8_t len6) {
    if (four->family) {
        port->addr = four->v4;
        port->len = len;
    }
    if (six->family) {
        memcpy(port->addr6, six->v6, sizeof port->addr6);
        port->len6 = len6;
    }
}

/* What the core knows of a port. */
static struct port core_port(const struct control *c, const struct control_port *p) {
    const struct scenario *s = c->scenario;
    struct port port = {0};
    if (p->nic != INDEX_NONE) {
        const struct scenario_nic *nic = &s->nics.v[p->nic];
        port = (struct port){.mac = nic->mac, .has_mac = nic->has_mac, .rpf = nic->rpf, .mtu = nic->mtu};
        set_addresses(&port, &nic->addr, nic->len, &nic->addr6, nic->len6);
    } else if (p->link == LINK_SUBNET) {
        const struct scenario_subnet *subnet = &s->subnets.v[p->target];
        set_addresses(&port, &subnet->gateway, subnet->prefix.len, &subnet->gateway6, subnet->prefix6.len);
    }
    return port;
}

void ports_build(struct control *c, uint32_t index) {
    struct control_node *n = &c->nodes[index];
    struct port_list list = {0};
    if (n->kind == CONTROL_MACHINE)
        machine_ports(c, n->index, &list);
    else if (n->kind == CONTROL_GATEWAY)
        gateway_ports(c, n->index, &list);
    else
        site_ports(c, n->index, &list);
    n->node.n_ports = (uint16_t)list.n;
    n->node.ports = xzalloc(list.n, sizeof *n->node.ports);
    n->ports = arena_alloc(c->arena, (list.n + 1) * sizeof *n->ports);
    for (size_t i = 0; i < list.n; i++) {
        n->ports[i] = list.v[i];
        n->node.ports[i] = core_port(c, &list.v[i]);
    }
    vec_free(&list);
}
