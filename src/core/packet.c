/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow key of a packet. */
#include <fwdlab/core/packet.h>

#include <string.h>
#include <fwdlab/core/parse.h>

void packet_key(const struct packet *p, struct flow_key *key) {
    memset(key, 0, sizeof *key);
    key->family = p->family;
    key->proto = p->proto;
    if (p->flags & PACKET_PORTS) {
        key->sport = p->sport;
        key->dport = p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6 ? 0 : p->dport;
    }
    if (p->family == FAMILY_IPV4) {
        memcpy(key->src, &p->src, 4);
        memcpy(key->dst, &p->dst, 4);
    } else if (p->family == FAMILY_IPV6) {
        memcpy(key->src, packet_ipv6(p)->src, 16);
        memcpy(key->dst, packet_ipv6(p)->dst, 16);
    }
}
