/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last stage: whatever came this far is forwarded, or delivered when it leaves by no port. TTL and header checksum
 * (RFC 1812, 5.3.1; RFC 1624), and the MAC addresses that are known.
 */
#include <fwdlab/core/checksum.h>
#include "stage.h"

static inline void decrease_ttl(struct ipv4_header *ip) {
    be16 from; /* TTL and protocol are one 16-bit word of the checksum; written as one, and never read back */
    memcpy(&from, &ip->ttl, sizeof from);
    be16 to = (be16)(from - htons(0x0100));
    memcpy(&ip->ttl, &to, sizeof to);
    ip->checksum = checksum_update16(ip->checksum, from, to);
}

unsigned stage_rewrite(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    (void)now;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        if (unlikely(p->out_port == PORT_NONE)) {
            p->verdict = VERDICT_DELIVER;
            continue;
        }
        if (likely(p->in_port != PORT_NONE)) /* the node's own packets leave with the TTL they were given */
            decrease_ttl(packet_ipv4(p));
        if (!(p->flags & PACKET_RAW_IP))
            set_macs(p, &node->ports[p->out_port]);
        p->verdict = VERDICT_FORWARD;
    }
    return n;
}
