/* SPDX-License-Identifier: BSD-3-Clause */
/* One packet, node by node: the core decides at each, links say who is next. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/checksum.h>
#include "fabric.h"

#define WALK_TIME 1     /* ns: a walk takes no time */
#define PACKET_BYTES 48 /* IPv4 header and the longest L4 header that a walk needs */

static int compare_owned(const void *a, const void *b) {
    be32 x = ((const struct owned *)a)->addr, y = ((const struct owned *)b)->addr;
    return x < y ? -1 : x > y;
}

static void own(struct fabric *f, const struct ip *addr, uint32_t nic, uint32_t subnet) {
    if (addr->family == FAMILY_IPV4)
        vec_push(&f->owned, (struct owned){addr->v4, nic, subnet});
}

struct fabric *fabric_create(struct control *c) {
    struct fabric *f = xzalloc(1, sizeof *f);
    f->control = c;
    f->generation = 1;
    const struct scenario *s = c->scenario;
    for (uint32_t i = 0; i < s->nics.n; i++)
        own(f, &s->nics.v[i].addr, i, INDEX_NONE);
    for (uint32_t i = 0; i < s->subnets.n; i++)
        own(f, &s->subnets.v[i].gateway, INDEX_NONE, i);
    if (f->owned.n)
        qsort(f->owned.v, f->owned.n, sizeof *f->owned.v, compare_owned);
    return f;
}

void fabric_destroy(struct fabric *f) {
    if (!f)
        return;
    vec_free(&f->owned);
    vec_free(&f->applied);
    free(f->cache);
    free(f);
}

struct control *fabric_control(const struct fabric *f) {
    return f->control;
}

void fabric_forget(struct fabric *f) {
    for (uint32_t i = 0; i < f->control->n_nodes; i++)
        if (f->control->nodes[i].node.nat)
            nat_reset(f->control->nodes[i].node.nat);
}

/* The first owner of an address; the next ones, if any, follow it in the array. */
static const struct owned *find_owned(const struct fabric *f, be32 addr) {
    size_t low = 0, high = f->owned.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (f->owned.v[mid].addr < addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->owned.n && f->owned.v[low].addr == addr ? &f->owned.v[low] : NULL;
}

/* The NIC with this address on a switch, or at a site; INDEX_NONE. */
static uint32_t nic_on(const struct fabric *f, be32 addr, enum nic_on on, uint32_t index) {
    const struct scenario *s = fabric_scenario(f);
    const struct owned *end = f->owned.v + f->owned.n;
    for (const struct owned *o = find_owned(f, addr); o && o < end && o->addr == addr; o++)
        if (o->nic != INDEX_NONE && s->nics.v[o->nic].on == on && s->nics.v[o->nic].on_index == index)
            return o->nic;
    return INDEX_NONE;
}

/* A NIC or gateway of a network that has this address; NULL. */
static const struct owned *in_network(const struct fabric *f, be32 addr, uint32_t network) {
    const struct scenario *s = fabric_scenario(f);
    const struct owned *end = f->owned.v + f->owned.n;
    for (const struct owned *o = find_owned(f, addr); o && o < end && o->addr == addr; o++) {
        uint32_t subnet = o->subnet;
        if (o->nic != INDEX_NONE)
            subnet = s->nics.v[o->nic].on == NIC_ON_SUBNET ? s->nics.v[o->nic].on_index : INDEX_NONE;
        if (subnet != INDEX_NONE && s->subnets.v[subnet].network == network)
            return o;
    }
    return NULL;
}

static bool in_site(const struct scenario_site *site, const struct ip *addr) {
    for (size_t i = 0; i < site->prefixes.n; i++)
        if (prefix_contains(&site->prefixes.v[i], addr))
            return true;
    return false;
}

/* Addresses that the Internet may have: global unicast outside everything that the scenario declares. */
static bool may_be_internet(const struct fabric *f, const struct ip *addr) {
    uint32_t a = ntohl(addr->v4);
    bool local = a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 ||
                 a >> 16 == 0xa9fe || a >= 0xe0000000;
    struct ip_prefix declared = fabric_declared(f, addr);
    return !local && ip_is_none(&declared.addr);
}

uint32_t fabric_owner(const struct fabric *f, const struct ip *addr) {
    const struct scenario *s = fabric_scenario(f);
    if (addr->family != FAMILY_IPV4)
        return INDEX_NONE;
    const struct owned *o = find_owned(f, addr->v4);
    if (o)
        return o->nic == INDEX_NONE ? control_gateway_node(f->control, o->subnet) : s->nics.v[o->nic].machine;
    for (uint32_t i = 0; i < s->sites.n; i++) {
        bool internet = s->sites.v[i].gateway_subnet == INDEX_NONE;
        if (internet ? may_be_internet(f, addr) : in_site(&s->sites.v[i], addr))
            return control_site_node(f->control, i);
    }
    return INDEX_NONE;
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
    if (key->proto == PROTO_ICMP && p->l4 < p->len)
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
static bool cross_into_gateway(struct fabric *f, struct walk *w, const struct packet *p,
                               const struct control_port *from, struct step *next) {
    const struct scenario_nic *nic = &fabric_scenario(f)->nics.v[from->nic];
    *next = (struct step){from->target, port_linked(&f->control->nodes[from->target], LINK_SUBNET, INDEX_NONE)};
    if (nic->ip_forwarding || p->src == nic->addr.v4)
        return true;
    struct hop *h = add_hop(w, next->node, next->in);
    walk_key(p, &h->key);
    h->nic = from->nic;
    return lost(h, DROP_FORWARDING_OFF);
}

/* Out of the platform, at the gateway of the NIC's subnet: the same for its destination. */
static bool cross_to_nic(struct fabric *f, struct walk *w, const struct packet *p, uint32_t nic_index,
                         struct step *next) {
    const struct scenario_nic *nic = &fabric_scenario(f)->nics.v[nic_index];
    uint32_t gateway = control_gateway_node(f->control, nic->on_index);
    const struct control_node *g = &f->control->nodes[gateway];
    struct hop *h = &w->hops[w->n - 1];
    if (h->node != gateway) {
        uint32_t from = h->node;
        h = add_hop(w, gateway, port_towards(g, from));
        h->edge = true;
        h->verdict = VERDICT_FORWARD;
        walk_key(p, &h->key);
    }
    h->out = port_linked(g, LINK_SUBNET, INDEX_NONE);
    if (!nic->ip_forwarding && p->dst != nic->addr.v4) {
        h->nic = nic_index;
        return lost(h, DROP_FORWARDING_OFF);
    }
    return enter_nic(f, nic_index, next);
}

static bool cross_network(struct fabric *f, struct walk *w, const struct packet *p, uint32_t network,
                          struct step *next) {
    const struct owned *o = in_network(f, p->next_hop, network);
    struct hop *h = &w->hops[w->n - 1];
    if (!o)
        return lost(h, DROP_NO_HOST);
    if (o->nic != INDEX_NONE)
        return cross_to_nic(f, w, p, o->nic, next);
    uint32_t gateway = control_gateway_node(f->control, o->subnet);
    if (gateway == h->node)
        return arrived(h);
    *next = (struct step){gateway, port_towards(&f->control->nodes[gateway], h->node)};
    return true;
}

static bool cross_lan(struct fabric *f, struct walk *w, const struct packet *p, uint32_t site, struct step *next) {
    struct hop *h = &w->hops[w->n - 1];
    uint32_t nic = nic_on(f, p->next_hop, NIC_ON_SITE, site), node = control_site_node(f->control, site);
    if (nic != INDEX_NONE)
        return enter_nic(f, nic, next);
    if (h->node == node) /* a site stands for all of its hosts */
        return arrived(h);
    *next = (struct step){node, port_linked(&f->control->nodes[node], LINK_LAN, INDEX_NONE)};
    return true;
}

/* From the node of the last hop over its outgoing port to the next one; false when the walk ends between them. */
static bool cross(struct fabric *f, struct walk *w, const struct packet *p, struct step *next) {
    struct hop *h = &w->hops[w->n - 1];
    const struct control_node *from = &f->control->nodes[h->node];
    const struct control_port *port = &from->ports[h->out];
    switch ((enum link_kind)port->link) {
    case LINK_SWITCH: {
        uint32_t nic = nic_on(f, p->next_hop, NIC_ON_SWITCH, port->target);
        return nic == INDEX_NONE ? lost(h, DROP_NO_NEIGHBOUR) : enter_nic(f, nic, next);
    }
    case LINK_GATEWAY:
        return cross_into_gateway(f, w, p, port, next);
    case LINK_NETWORK:
        return cross_network(f, w, p, port->target, next);
    case LINK_SUBNET:
        return cross_network(f, w, p, fabric_scenario(f)->subnets.v[from->index].network, next);
    case LINK_LAN:
        return cross_lan(f, w, p, port->target, next);
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

/* A packet of the walk's own making: headers only. */
static void build(uint8_t *data, const struct flow_key *key, bool answer, struct packet *p) {
    memset(data, 0, PACKET_BYTES);
    struct ipv4_header *ip = (struct ipv4_header *)data;
    uint8_t *l4 = data + sizeof *ip;
    unsigned len = sizeof *ip + (key->proto == PROTO_TCP ? 20 : 8);
    *ip = (struct ipv4_header){
        .version_ihl = 0x45, .total_length = htons((uint16_t)len), .ttl = 64, .proto = key->proto};
    memcpy(&ip->src, key->src, 4);
    memcpy(&ip->dst, key->dst, 4);
    ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
    if (key->proto == PROTO_ICMP) {
        l4[0] = (uint8_t)ntohs(key->dport);
        memcpy(l4 + 4, &key->sport, 2);
        be16 sum = checksum_fold(checksum_sum(l4, 8, 0));
        memcpy(l4 + 2, &sum, 2);
    } else {
        memcpy(l4, &key->sport, 2);
        memcpy(l4 + 2, &key->dport, 2);
        if (key->proto == PROTO_TCP) {
            l4[12] = 5 << 4;
            l4[13] = answer ? TCP_SYN | TCP_ACK : TCP_SYN;
        } else if (key->proto == PROTO_UDP) {
            l4[5] = 8;
        }
    }
    *p = (struct packet){.data = data, .len = len, .wire_len = len, .flags = PACKET_RAW_IP};
}

/* How many combinations the forks so far have. */
static unsigned choices(const struct forks *forks) {
    unsigned n = 1;
    for (unsigned i = 0; i < forks->n; i++)
        n *= forks->of[i];
    return n;
}

void walk_run(struct fabric *f, uint32_t node, uint16_t in_port, const struct flow_key *key, bool answer,
              struct walk *w) {
    uint8_t data[PACKET_BYTES];
    struct packet p, *one = &p;
    build(data, key, answer, &p);
    struct step at = {node, in_port};
    w->n = 0;
    for (;;) {
        struct control_node *n = &f->control->nodes[at.node];
        struct hop *h = add_hop(w, at.node, at.in);
        struct forks *forks = &f->forks;
        p.in_port = at.in;
        p.flags = PACKET_RAW_IP;
        n->node.hash_fixed = true;
        n->node.hash = forks->n < FORKS_MAX ? forks->choice[forks->n] : 0;
        if (at.in == PORT_NONE)
            forward_own(&n->node, &p, WALK_TIME);
        else
            forward(&n->node, &one, 1, WALK_TIME);
        walk_key(&p, &h->key);
        h->verdict = p.verdict;
        h->reason = p.reason;
        h->out = p.verdict == VERDICT_FORWARD ? p.out_port : PORT_NONE;
        const struct route_path *path = p.path == ROUTE_NONE ? NULL : route_path(n->node.routes, p.path);
        if (path)
            h->route = path->route;
        if (path && path->n > 1 && forks->n < FORKS_MAX && choices(forks) * path->n <= CHOICES_MAX)
            forks->of[forks->n++] = path->n;
        struct ip dst = ip_v4(p.dst);
        if (p.verdict == VERDICT_DROP && p.reason == DROP_NO_ROUTE && is_internet(f, at.node) &&
            may_be_internet(f, &dst))
            arrived(h);
        if (h->verdict != VERDICT_FORWARD || !cross(f, w, &p, &at))
            break;
        if (w->n + 2 > WALK_HOPS_MAX) {
            lost(&w->hops[w->n - 1], DROP_LOOP);
            break;
        }
    }
}

void fabric_walk(struct fabric *f, uint32_t node, uint16_t in_port, const struct flow_key *key, struct walk *out) {
    f->forks = (struct forks){0};
    walk_run(f, node, in_port, key, false, out);
}

struct ip_prefix fabric_declared(const struct fabric *f, const struct ip *addr) {
    const struct scenario *s = fabric_scenario(f);
    struct ip_prefix best = {0};
    for (size_t i = 0; i < s->subnets.n; i++)
        if (prefix_contains(&s->subnets.v[i].prefix, addr) && s->subnets.v[i].prefix.len >= best.len)
            best = s->subnets.v[i].prefix;
    for (size_t i = 0; i < s->sites.n && ip_is_none(&best.addr); i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n && s->sites.v[i].gateway_subnet != INDEX_NONE; k++)
            if (prefix_contains(&s->sites.v[i].prefixes.v[k], addr) && s->sites.v[i].prefixes.v[k].len >= best.len)
                best = s->sites.v[i].prefixes.v[k];
    return best;
}
