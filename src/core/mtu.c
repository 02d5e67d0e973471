/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is longer than its way out takes. IPv4 with DF clear goes on: who sends it cuts it (fragment.h). The rest is
 * dropped, and its sender told the MTU (RFC 1191, 4; RFC 8200, 5), as Linux' ip_forward and ip6_forward do.
 */
#include <fwdlab/core/fragment.h>

#include <limits.h>
#include "stage.h"

unsigned port_mtu(const struct port *port, uint8_t family) {
    const unsigned least = family == FAMILY_IPV6 ? IPV6_MTU_MIN : IPV4_MTU_MIN;
    return port->mtu == 0 ? UINT_MAX : port->mtu < least ? least : port->mtu;
}

static bool is_too_big(const struct packet *p, const struct port *out) {
    if (p->family == FAMILY_IPV6)
        return sizeof(struct ipv6_header) + ntohs(packet_ipv6(p)->payload_length) > port_mtu(out, FAMILY_IPV6);
    const struct ipv4_header *ip = packet_ipv4(p);
    return ntohs(ip->total_length) > port_mtu(out, FAMILY_IPV4) && ip->fragment & htons(IPV4_DF);
}

unsigned stage_mtu(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        if (unlikely(p->out_port != PORT_NONE && is_too_big(p, &node->ports[p->out_port])))
            packet_drop(p, DROP_TOO_BIG);
        else
            pkts[kept++] = p;
    }
    return kept;
}
