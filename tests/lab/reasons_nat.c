/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons that lie in what NAT makes of ICMP errors. */
#include "reasons.h"

#include <fwdlab/core/checksum.h>

/* The packet that an IPv4 ICMP error through NAT quotes, with so many bytes of it; NULL: it is none. */
static const uint8_t *quotation(const struct trial *t, uint32_t *n) {
    const uint8_t *ip = (const uint8_t *)ipv4_of(t);
    if (!ip || !t->lab->node.nat || !(t->after->flags & PACKET_ICMP_ERROR))
        return NULL;
    uint32_t at = (ip[0] & 15u) * 4 + 8, len = (uint32_t)ip[2] << 8 | ip[3];
    if (at + 20 > len || ETHERNET + len > t->in->len)
        return NULL;
    *n = len - at;
    return ip + at;
}

static bool redirect(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    uint32_t n;
    return quotation(t, &n) && ((const uint8_t *)ip)[(ip->version_ihl & 15) * 4] == ICMP_REDIRECT &&
           silent(t->kernel) && t->after->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED);
}

/* Fewer bytes of the quoted packet than Linux wants: eight; of TCP all of its header, or the checksum stays. */
static bool short_quotation(const struct trial *t) {
    uint32_t n;
    const uint8_t *q = quotation(t, &n);
    const uint32_t header = q ? (q[0] & 15u) * 4 : 0;
    if (!q || !(t->after->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED)))
        return false;
    if (n < header + 8)
        return silent(t->kernel);
    if (q[9] != PROTO_TCP || n < header + 18 || n >= header + 20 || t->kernel->n != 1 || t->core->n != 1)
        return false;
    struct frame k = t->kernel->frames[0], c = t->core->frames[0];
    const uint32_t icmp = ETHERNET + (k.byte[ETHERNET] & 15u) * 4, checksum = icmp + 8 + header + 16;
    memcpy(k.byte + icmp + 2, c.byte + icmp + 2, 2);
    memcpy(k.byte + checksum, c.byte + checksum, 2);
    return frames_equal(&k, &c);
}

static bool quoted_header(const struct trial *t) {
    uint32_t n;
    const uint8_t *q = quotation(t, &n);
    return q && (q[0] >> 4 != 4 || (q[0] & 15) < 5 || (q[0] & 15u) * 4 > n) &&
           !(t->after->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED));
}

static bool icmp_checksum(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    uint32_t n;
    if (!quotation(t, &n) || !silent(t->kernel))
        return false;
    const uint32_t header = (ip->version_ihl & 15u) * 4;
    return checksum_fold(checksum_sum((const uint8_t *)ip + header, ntohs(ip->total_length) - header, 0));
}

const struct reason reasons_nat[] = {
    {"icmp-checksum", icmp_checksum},
    {"redirect", redirect},
    {"short-quotation", short_quotation},
    {"quoted-header", quoted_header},
    {NULL, NULL},
};
