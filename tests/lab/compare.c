/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Do kernel and core do the same to a packet: as many frames, in the same order, each by the same port to the same
 * neighbour with the same bytes; delivered with the same bytes. Two things are chosen by the kernel at random and are
 * looked through: the identification of packets that the router makes itself (its ICMP errors), and the port of a
 * translated flow whose own was taken (reasons.c).
 */
#include "lab.h"

#include <fwdlab/core/checksum.h>
#include <string.h>

static bool is_own_error(const struct frame *f) {
    const struct ipv4_header *ip = (const struct ipv4_header *)(f->byte + ETHERNET);
    return f->byte[12] == 8 && f->len > ETHERNET + 28 && ip->proto == PROTO_ICMP && (ip->tos & 0xe0) == 0xc0 &&
           ((const uint8_t *)ip)[(ip->version_ihl & 15) * 4] != ICMP_ECHO;
}

static bool header_sum_good(const struct frame *f) {
    const uint8_t *ip = f->byte + ETHERNET;
    return checksum_fold(checksum_sum(ip, (ip[0] & 15) * 4u, 0)) == 0;
}

/* Without identification and header checksum, which must be right in both. */
static bool errors_equal(const struct frame *kernel, const struct frame *core) {
    enum { ID = ETHERNET + 4, CHECKSUM = ETHERNET + 10 };
    return header_sum_good(kernel) && header_sum_good(core) && !memcmp(kernel->byte, core->byte, ID) &&
           !memcmp(kernel->byte + ID + 2, core->byte + ID + 2, CHECKSUM - ID - 2) &&
           !memcmp(kernel->byte + CHECKSUM + 2, core->byte + CHECKSUM + 2, kernel->len - CHECKSUM - 2);
}

bool frames_equal(const struct frame *kernel, const struct frame *core) {
    if (kernel->port != core->port || kernel->len != core->len)
        return false;
    return !memcmp(kernel->byte, core->byte, kernel->len) || (is_own_error(kernel) && errors_equal(kernel, core));
}

bool agree(const struct trial *t) {
    const struct outcome *k = t->kernel, *c = t->core;
    if (k->n != c->n || k->delivered != c->delivered)
        return false;
    for (unsigned i = 0; i < k->n; i++)
        if (!frames_equal(&k->frames[i], &c->frames[i]))
            return false;
    return !k->delivered ||
           (k->at_stack.len == c->at_stack.len && !memcmp(k->at_stack.byte, c->at_stack.byte, k->at_stack.len));
}
