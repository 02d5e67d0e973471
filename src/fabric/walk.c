/* SPDX-License-Identifier: BSD-3-Clause */
/* One packet, node by node: the core decides at each, links say who is next. */
#include <limits.h>
#include <stdlib.h>
#include "fabric.h"

struct fabric *fabric_create(struct control *c) {
    struct fabric *f = xzalloc(1, sizeof *f);
    f->control = c;
    f->generation = 1;
    owners_build(f);
    return f;
}

void fabric_destroy(struct fabric *f) {
    if (!f)
        return;
    vec_free(&f->owned);
    vec_free(&f->walked);
    vec_free(&f->applied);
    vec_free(&f->cuts);
    classes_free(f);
    free(f);
}

struct control *fabric_control(const struct fabric *f) {
    return f->control;
}

void fabric_forget(struct fabric *f) {
    for (size_t i = 0; i < f->walked.n; i++) {
        const struct node *n = &f->control->nodes[f->walked.v[i]].node;
        if (n->nat)
            nat_reset(n->nat);
        if (n->filter)
            filter_reset(n->filter);
    }
    f->walked.n = 0;
}

/* A packet comes to a node: does it look at more than addresses, and has it a memory that is to be cleared? */
static void note_walked(struct fabric *f, uint32_t node) {
    const struct node *n = &f->control->nodes[node].node;
    if (n->nat || n->filter || n->rules || n->icmp)
        f->alike = false;
    if (!n->nat && !n->filter)
        return;
    for (size_t i = 0; i < f->walked.n; i++)
        if (f->walked.v[i] == node)
            return;
    vec_push(&f->walked, node);
}

const struct route *hop_route(const struct control *c, const struct hop *h) {
    const struct route_table *t = control_table(&c->nodes[h->node], h->key.family, h->table);
    size_t n = 0;
    const struct route *routes = t ? route_table_routes(t, &n) : NULL;
    return h->route < n ? &routes[h->route] : NULL;
}

static uint16_t port_linked(const struct control_node *n, enum link_kind link, uint32_t target) {
    for (uint16_t i = 0; i < n->node.n_ports; i++)
        if (n->ports[i].link == link && (target == INDEX_NONE || n->ports[i].target == target))
            return i;
    return PORT_NONE;
}

/* The port by which a gateway sees another node: a site by its own port, other gateways by the network. */
static uint16_t port_towards(const struct control_node *gateway, uint32_t node) {
    uint16_t port = port_linked(gateway, LINK_NODE, node);
    return port != PORT_NONE ? port : port_linked(gateway, LINK_NETWORK, INDEX_NONE);
}

static uint16_t port_of_nic(const struct control_node *machine, uint32_t nic) {
    for (uint16_t i = 0; i < machine->node.n_ports; i++)
        if (machine->ports[i].nic == nic)
            return i;
    return PORT_NONE;
}

/* Where a walk stands: at a node, about to enter it. */
struct step {
    uint32_t node;
    uint16_t in;
};

/* Keys of a walk name an ICMP query's type as destination port, as flows do. */
static void walk_key(const struct packet *p, struct flow_key *key) {
    packet_key(p, key);
    if (proto_is_icmp(key->proto) && p->l4 < p->len)
        key->dport = htons(p->data[p->l4]);
}

static struct hop *add_hop(struct walk *w, uint32_t node, uint16_t in) {
    struct hop *h = &w->hops[w->n++];
    *h = (struct hop){.node = node, .in = in, .out = PORT_NONE, .nic = INDEX_NONE, .route = ROUTE_NONE};
    return h;
}

static bool lost(struct hop *h, enum drop reason) {
    h->verdict = VERDICT_DROP;
    h->reason = (uint8_t)reason;
    return false;
}

static bool arrived(struct hop *h) {
    h->verdict = VERDICT_DELIVER;
    h->reason = DROP_NONE;
    h->out = PORT_NONE;
    return false;
}

static bool enter_nic(const struct fabric *f, uint32_t nic, struct step *next) {
    next->node = fabric_scenario(f)->nics.v[nic].machine;
    next->in = port_of_nic(&f->control->nodes[next->node], nic);
    return true;
}

/* Into the platform: its edge refuses a source that is not the NIC's own, unless the NIC may forward. */
static bool cross_into_gateway(struct fabric *f, struct walk *w, const struct control_port *from, struct step *next) {
    const struct scenario_nic *nic = &fabric_scenario(f)->nics.v[from->nic];
    const struct flow_key *key = &w->hops[w->n - 1].key;
    struct ip src = flow_key_src(key);
    *next = (struct step){from->target, port_linked(&f->control->nodes[from->target], LINK_SUBNET, INDEX_NONE)};
    if (nic->ip_forwarding || ip_equal(&src, control_nic_addr(nic, src.family)))
        return true;
    struct hop *h = add_hop(w, next->node, next->in);
    h->key = *key;
    h->nic = from->nic;
    return lost(h, DROP_FORWARDING_OFF);
}

/* Out of the platform, at the gateway of the NIC's subnet: the same for its destination. */
static bool cross_to_nic(struct fabric *f, struct walk *w, uint32_t nic_index, struct step *next) {
    const struct scenario_nic *nic = &fabric_scenario(f)->nics.v[nic_index];
    uint32_t gateway = control_gateway_node(f->control, nic->on_index);
    const struct control_node *g = &f->control->nodes[gateway];
    struct hop *h = &w->hops[w->n - 1];
    if (h->node != gateway) {
        const struct hop *from = h;
        h = add_hop(w, gateway, port_towards(g, from->node));
        h->edge = true;
        h->verdict = VERDICT_FORWARD;
        h->key = from->key;
    }
    h->out = port_linked(g, LINK_SUBNET, INDEX_NONE);
    struct ip dst = flow_key_dst(&h->key);
    if (!nic->ip_forwarding && !ip_equal(&dst, control_nic_addr(nic, dst.family))) {
        h->nic = nic_index;
        return lost(h, DROP_FORWARDING_OFF);
    }
    return enter_nic(f, nic_index, next);
}

static bool cross_network(struct fabric *f, struct walk *w, const struct ip *via, uint32_t network,
                          struct step *next) {
    const struct owned *o = owner_in_network(f, via, network);
    struct hop *h = &w->hops[w->n - 1];
    if (!o)
        return lost(h, DROP_NO_HOST);
    if (o->nic != INDEX_NONE)
        return cross_to_nic(f, w, o->nic, next);
    uint32_t gateway = control_gateway_node(f->control, o->subnet);
    if (gateway == h->node)
        return arrived(h);
    *next = (struct step){gateway, port_towards(&f->control->nodes[gateway], h->node)};
    return true;
}

static bool cross_lan(struct fabric *f, struct walk *w, const struct ip *via, uint32_t site, struct step *next) {
    struct hop *h = &w->hops[w->n - 1];
    uint32_t nic = owner_on(f, via, NIC_ON_SITE, site), node = control_site_node(f->control, site);
    if (nic != INDEX_NONE)
        return enter_nic(f, nic, next);
    if (h->node == node) /* a site stands for all of its hosts */
        return arrived(h);
    *next = (struct step){node, port_linked(&f->control->nodes[node], LINK_LAN, INDEX_NONE)};
    return true;
}

/* From the node of the last hop over its outgoing port to the next one; false when the walk ends between them. `via`:
 * the neighbour's address. */
static bool cross(struct fabric *f, struct walk *w, const struct ip *via, struct step *next) {
    struct hop *h = &w->hops[w->n - 1];
    const struct control_node *from = &f->control->nodes[h->node];
    const struct control_port *port = &from->ports[h->out];
    switch ((enum link_kind)port->link) {
    case LINK_SWITCH: {
        uint32_t nic = owner_on(f, via, NIC_ON_SWITCH, port->target);
        return nic == INDEX_NONE ? lost(h, DROP_NO_NEIGHBOUR) : enter_nic(f, nic, next);
    }
    case LINK_GATEWAY:
        return cross_into_gateway(f, w, port, next);
    case LINK_NETWORK:
        return cross_network(f, w, via, port->target, next);
    case LINK_SUBNET:
        return cross_network(f, w, via, fabric_scenario(f)->subnets.v[from->index].network, next);
    case LINK_LAN:
        return cross_lan(f, w, via, port->target, next);
    case LINK_NODE: {
        const struct control_node *to = &f->control->nodes[port->target];
        *next = (struct step){port->target, port_linked(to, LINK_NODE, h->node)};
        if (next->in == PORT_NONE && from->kind == CONTROL_GATEWAY) /* the Internet: one port a network */
            next->in = port_linked(to, LINK_NETWORK, fabric_scenario(f)->subnets.v[from->index].network);
        return true;
    }
    }
    return lost(h, DROP_NO_NEIGHBOUR);
}

/* How many combinations the forks so far have. */
static unsigned choices(const struct forks *forks) {
    unsigned n = 1;
    for (unsigned i = 0; i < forks->n; i++)
        n *= forks->of[i];
    return n;
}

/* The core's decision at one node, and what the walk remembers of it. */
static struct hop *decide(struct fabric *f, const struct step *at, struct packet *p, struct walk *w) {
    struct control_node *n = &f->control->nodes[at->node];
    struct hop *h = add_hop(w, at->node, at->in);
    struct forks *forks = &f->forks;
    unsigned table = 0;
    note_walked(f, at->node);
    p->in_port = at->in;
    p->flags = PACKET_RAW_IP;
    n->node.hash_fixed = true;
    n->node.hash = forks->n < FORKS_MAX ? forks->choice[forks->n] : 0;
    if (at->in == PORT_NONE)
        forward_own(&n->node, p, WALK_TIME);
    else
        forward(&n->node, &p, 1, WALK_TIME);
    walk_key(p, &h->key);
    h->verdict = p->verdict;
    h->reason = p->reason;
    const struct route_path *path = node_path(&n->node, p->family, p->path, &table);
    if (path && table != UINT_MAX) {
        h->route = path->route;
        h->table = table;
    }
    if (path && path->n > 1 && forks->n < FORKS_MAX && choices(forks) * path->n <= CHOICES_MAX)
        forks->of[forks->n++] = path->n;
    if (p->verdict == VERDICT_FORWARD || p->reason == DROP_DENIED_OUT)
        h->out = p->out_port;
    if (p->reason == DROP_DENIED_IN || p->reason == DROP_DENIED_OUT)
        h->nic = n->ports[p->reason == DROP_DENIED_IN ? h->in : h->out].nic;
    struct ip dst = flow_key_dst(&h->key);
    if (p->reason == DROP_NO_ROUTE && is_internet(f, at->node) && may_be_internet(f, &dst))
        arrived(h);
    return h;
}

void walk_probe(struct fabric *f, uint32_t node, uint16_t in_port, struct probe *probe, struct walk *w) {
    struct packet *p = &probe->p;
    struct step at = {node, in_port};
    w->n = w->mtu = 0;
    for (;;) {
        const struct hop *h = decide(f, &at, p, w);
        if (h->verdict != VERDICT_FORWARD)
            break;
        const struct node *n = &f->control->nodes[h->node].node;
        uint16_t mtu = n->ports[h->out].mtu;
        if (mtu && (!w->mtu || mtu < w->mtu))
            w->mtu = mtu;
        struct ip via = node_next_hop(n, p);
        if (!cross(f, w, &via, &at))
            break;
        if (w->n + 2 > WALK_HOPS_MAX) {
            lost(&w->hops[w->n - 1], DROP_LOOP);
            break;
        }
    }
}

void fabric_walk(struct fabric *f, uint32_t node, uint16_t in_port, const struct flow_key *key, struct walk *out) {
    struct probe probe;
    f->forks = (struct forks){0};
    probe_build(&probe, key, false, 0);
    walk_probe(f, node, in_port, &probe, out);
}
