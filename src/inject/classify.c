/* SPDX-License-Identifier: BSD-3-Clause */
/* What a captured packet is to the node, as far as it tells by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inject.h"

/* The port whose NIC is this interface of the capture: by its name, else (a nameless one)
 * by the MAC seen most on it. */
static uint16_t port_by_name(const struct control *c, const struct control_node *n, const struct trace_interface *i) {
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const char *name = c->scenario->nics.v[n->ports[p].nic].capture;
        if (name && i->name[0] && !strcmp(name, i->name))
            return p;
    }
    return PORT_NONE;
}

static uint16_t port_by_mac(const struct control_node *n, const struct trace_memory *t, uint32_t interface) {
    uint16_t best = PORT_NONE;
    size_t most = 0;
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        size_t seen = 0;
        for (size_t i = 0; i < t->n && n->node.ports[p].has_mac; i++) {
            const struct trace_packet *raw = &t->packets[i];
            if (raw->interface == interface && raw->len >= 14)
                seen += !memcmp(raw->data, &n->node.ports[p].mac, 6) ||
                        !memcmp(raw->data + 6, &n->node.ports[p].mac, 6);
        }
        if (seen > most) {
            most = seen;
            best = p;
        }
    }
    return best;
}

static int map_interfaces(const struct inject *in, const struct control *c, uint32_t node, uint16_t *port,
                          struct err *e) {
    const struct trace_memory *t = in->trace;
    const struct control_node *n = c ? &c->nodes[node] : NULL;
    bool any = false;
    for (uint32_t i = 0; i < t->n_interfaces; i++) {
        port[i] = n ? port_by_name(c, n, &t->interfaces[i]) : (uint16_t)i;
        if (n && !t->interfaces[i].name[0])
            port[i] = port_by_mac(n, t, i);
        any |= port[i] != PORT_NONE;
    }
    if (any || !t->n)
        return 0;
    char have[200] = "", want[200] = "";
    for (uint32_t i = 0; i < t->n_interfaces && strlen(have) < 150; i++)
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%.30s", i ? ", " : "",
                 t->interfaces[i].name[0] ? t->interfaces[i].name : "(nameless)");
    for (uint16_t p = 0; p < n->node.n_ports && strlen(want) < 150; p++) {
        const char *name = c->scenario->nics.v[n->ports[p].nic].capture;
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%.30s: %.30s", p ? ", " : "", n->ports[p].name,
                 name ? name : "none");
    }
    err_set(e, -EINVAL, "no interface of the capture (%s) is a NIC of %s", have, n->name);
    err_hint(e, "name them in the scenario with `capture:` (now %s), or the NICs' `mac:` for captures without names",
             want);
    return -EINVAL;
}

enum side { SIDE_UNKNOWN, SIDE_IN, SIDE_OUT, SIDE_OTHERS };

/* Did it arrive or leave? The capture's own flag first, else MAC addresses. */
static enum side side_of(const struct trace_packet *raw, const struct port *port, bool ethernet) {
    bool known = port && port->has_mac && ethernet && raw->len >= 14;
    if (raw->direction == TRACE_OUTBOUND || (known && !raw->direction && !memcmp(raw->data + 6, &port->mac, 6)))
        return SIDE_OUT;
    if (known && !(raw->data[0] & 1) && memcmp(raw->data, &port->mac, 6))
        return SIDE_OTHERS;
    return raw->direction == TRACE_INBOUND || known ? SIDE_IN : SIDE_UNKNOWN;
}

/* What IPv6 has in place of ARP (RFC 4861), and multicast listener reports (RFC 3810): a link's own business. */
static bool is_neighbour_discovery(const struct packet *p) {
    if (p->proto != PROTO_ICMPV6 || p->flags & PACKET_FRAG_LATER || p->l4 >= p->len)
        return false;
    uint8_t type = p->data[p->l4], hops = packet_ipv6(p)->hop_limit;
    return (type >= 133 && type <= 137 && hops == 255) || (((type >= 130 && type <= 132) || type == 143) && hops == 1);
}

/* `ipv6`: the node handles IPv6 at all. */
static void classify_one(struct inject_packet *p, const struct port *port, uint16_t linktype, bool ipv6) {
    bool ethernet = linktype == LINKTYPE_ETHERNET;
    enum side side = side_of(p->raw, port, ethernet);
    struct packet k = {.data = (uint8_t *)p->raw->data, .len = p->raw->len, .wire_len = p->raw->wire_len};
    k.flags = (uint16_t)((ethernet ? 0 : PACKET_RAW_IP) | (side == SIDE_OUT ? PACKET_NO_CHECKSUM : 0));
    parse(&k);
    if (k.verdict == VERDICT_DROP) {
        p->kind = drop_class((enum drop)k.reason) == DROP_CLASS_MALFORMED ? INJECT_MALFORMED : INJECT_IGNORED;
        p->reason = k.reason;
        return;
    }
    if (k.family == FAMILY_IPV6 && (!ipv6 || is_neighbour_discovery(&k))) {
        p->kind = INJECT_IGNORED;
        p->reason = ipv6 ? DROP_NEIGHBOUR_DISCOVERY : DROP_IPV6;
        return;
    }
    p->l3 = k.l3;
    p->l4 = k.l4;
    p->flags = k.flags;
    packet_key(&k, &p->key);
    if (side == SIDE_OTHERS) {
        p->kind = INJECT_IGNORED;
        p->reason = DROP_NOT_FOR_US;
    } else {
        p->kind = side == SIDE_IN ? INJECT_ARRIVED : side == SIDE_OUT ? INJECT_OWN : KIND_UNDECIDED;
    }
}

static int by_time(const void *a, const void *b) {
    const struct inject_packet *x = a, *y = b;
    if (x->raw->time_ns != y->raw->time_ns)
        return x->raw->time_ns < y->raw->time_ns ? -1 : 1;
    return x->raw->frame < y->raw->frame ? -1 : x->raw->frame > y->raw->frame;
}

int classify(struct inject *in, const struct control *c, uint32_t node, struct err *e) {
    const struct trace_memory *t = in->trace;
    const struct node *n = c ? &c->nodes[node].node : NULL;
    uint16_t *port = xzalloc(t->n_interfaces, sizeof *port);
    int code = map_interfaces(in, c, node, port, e);
    if (code) {
        free(port);
        return code;
    }
    in->n = (uint32_t)t->n;
    in->packets = xzalloc(t->n, sizeof *in->packets);
    for (uint32_t i = 0; i < in->n; i++)
        in->packets[i] = (struct inject_packet){.raw = &t->packets[i], .port = port[t->packets[i].interface],
                                                .partner = INJECT_NONE, .answer = INJECT_NONE, .after = INJECT_NONE};
    qsort(in->packets, in->n, sizeof *in->packets, by_time);
    in->epoch_ns = in->n ? in->packets[0].raw->time_ns : 0;
    bool any = false;
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        uint16_t linktype = t->interfaces[p->raw->interface].linktype;
        bool readable = linktype == LINKTYPE_ETHERNET || linktype == LINKTYPE_RAW || linktype == LINKTYPE_IPV4 ||
                        linktype == LINKTYPE_IPV6;
        any |= readable;
        if (p->port == PORT_NONE || !readable)
            p->kind = INJECT_ELSEWHERE;
        else
            classify_one(p, n ? &n->ports[p->port] : NULL, linktype, !n || n->routes6);
    }
    free(port);
    if (in->n && !any) {
        code = err_set(e, -EPROTONOSUPPORT, "packets of link type %u only", t->interfaces[0].linktype);
        err_hint(e, "Ethernet (1), raw IP (101), IPv4 (228) and IPv6 (229) are read");
    }
    return code;
}
