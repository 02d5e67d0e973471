/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written again: with comments, or without what must not leave the house. */
#ifndef FWDLAB_TRACE_REWRITE_H
#define FWDLAB_TRACE_REWRITE_H

#include <fwdlab/trace/many.h>

/*
 * Copies all packets of `o` (in file order) into one pcapng, interfaces and comments kept. comment(arg, p) gives what
 * is to be added to a packet's comment, or NULL. The file appears whole or not at all.
 */
int trace_annotate(const struct trace_many_options *o, const char *out,
                   const char *(*comment)(void *arg, const struct trace_packet *p), void *arg, struct err *e);

struct anonymize_options {
    const uint8_t *key;        /* 32 bytes: the same key gives the same addresses */
    bool keep_payload;         /* else what stands behind the L4 header is cut off (wire_len stays) */
    bool keep_mac;             /* else the last three bytes are replaced, the vendor's stay; group bits are kept */
};
struct anonymize_stats {
    uint64_t packets, cut, closed; /* closed: something unknown inside, of which only the length is kept */
    uint64_t filtered;             /* not written: refused by the filter */
    char damage[512];              /* as trace_many_damage; empty: undamaged */
};
/*
 * Addresses change so that prefixes of equal length stay equal (Crypto-PAn, as described by Xu, Fan, Ammar and Moon,
 * 2002); special ranges (0/8, 127/8, 169.254/16, 224/3, ::1, fe80::/10, ff00::/8) keep their meaning. Everywhere: ARP,
 * DHCP, headers that ICMP errors quote, tunnels; checksums that were right are right, wrong ones stay wrong.
 */
int trace_anonymize(const struct trace_many_options *o, const char *out, const struct anonymize_options *a,
                    struct anonymize_stats *stats, struct err *e);

#endif
