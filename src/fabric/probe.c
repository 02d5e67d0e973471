/* SPDX-License-Identifier: BSD-3-Clause */
/* The packets that walks are made with: headers only; a longer one is like a capture that was cut behind them. */
#include "fabric.h"
#include <fwdlab/core/checksum.h>
#include <string.h>

#define HOPS 64 /* TTL, hop limit */

static unsigned build_ipv4(uint8_t *data, const struct flow_key *key, unsigned l4_len, uint16_t size) {
    struct ipv4_header *ip = (struct ipv4_header *)data;
    unsigned len = sizeof *ip + l4_len;
    *ip = (struct ipv4_header){.version_ihl = 0x45,
                               .total_length = htons((uint16_t)(size ? size : len)),
                               .fragment = htons(size ? IPV4_DF : 0),
                               .ttl = HOPS,
                               .proto = key->proto};
    memcpy(&ip->src, key->src, 4);
    memcpy(&ip->dst, key->dst, 4);
    ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
    return sizeof *ip;
}

static unsigned build_ipv6(uint8_t *data, const struct flow_key *key, unsigned l4_len, uint16_t size) {
    struct ipv6_header *ip = (struct ipv6_header *)data;
    *ip = (struct ipv6_header){.version_class_label = htonl(6u << 28),
                               .payload_length = htons((uint16_t)(size ? size - sizeof *ip : l4_len)),
                               .next_header = key->proto,
                               .hop_limit = HOPS};
    memcpy(ip->src, key->src, sizeof ip->src);
    memcpy(ip->dst, key->dst, sizeof ip->dst);
    return sizeof *ip;
}

static void build_l4(uint8_t *l4, const struct flow_key *key, bool answer) {
    if (proto_is_icmp(key->proto)) {
        l4[0] = (uint8_t)ntohs(key->dport);
        memcpy(l4 + 4, &key->sport, 2);
        be16 sum = checksum_fold(checksum_sum(l4, 8, 0));
        memcpy(l4 + 2, &sum, 2);
        return;
    }
    memcpy(l4, &key->sport, 2);
    memcpy(l4 + 2, &key->dport, 2);
    if (key->proto == PROTO_TCP) {
        l4[12] = 5 << 4;
        l4[13] = answer ? TCP_SYN | TCP_ACK : TCP_SYN;
    } else if (key->proto == PROTO_UDP) {
        l4[5] = 8;
    }
}

void probe_build(struct probe *probe, const struct flow_key *key, bool answer, uint16_t size) {
    unsigned l4_len = key->proto == PROTO_TCP ? 20 : 8, l3_len;
    memset(probe->data, 0, sizeof(struct ipv6_header) + l4_len);
    l3_len = key->family == FAMILY_IPV6 ? build_ipv6(probe->data, key, l4_len, size)
                                        : build_ipv4(probe->data, key, l4_len, size);
    build_l4(probe->data + l3_len, key, answer);
    unsigned len = l3_len + l4_len;
    probe->p = (struct packet){.data = probe->data,
                               .len = len,
                               .wire_len = size ? size : len,
                               .room = (uint16_t)(sizeof probe->data - len),
                               .flags = PACKET_RAW_IP};
}
