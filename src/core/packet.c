/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow key of a packet. */
#include <fwdlab/core/packet.h>

#include <string.h>
#include <fwdlab/core/parse.h>

#define IPV6_SRC 8 /* offsets of the addresses in an IPv6 header */
#define IPV6_DST 24

void packet_key(const struct packet *p, struct flow_key *key) {
    memset(key, 0, sizeof *key);
    key->family = p->family;
    key->proto = p->proto;
    if (p->flags & PACKET_PORTS) {
        key->sport = p->sport;
        key->dport = p->proto == PROTO_ICMP ? 0 : p->dport;
    }
    if (p->family == FAMILY_IPV4) {
        memcpy(key->src, &p->src, 4);
        memcpy(key->dst, &p->dst, 4);
    } else if (p->family == FAMILY_IPV6) {
        memcpy(key->src, p->data + p->l3 + IPV6_SRC, 16);
        memcpy(key->dst, p->data + p->l3 + IPV6_DST, 16);
    }
}
