/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame on its way to being anonymous. Every function takes offsets into it: `at`, where a header begins, and `end`,
 * where the bytes end that belong to it; it changes the header in place and returns where that ends which may stay.
 * What nobody knows is not kept: the frame ends before it, and is `closed`.
 */
#ifndef TRACE_ANONYMIZE_H
#define TRACE_ANONYMIZE_H

#include "cryptopan.h"
#include "layers.h"

struct frame {
    struct cryptopan *pan;
    uint8_t *d;         /* as it becomes */
    const uint8_t *was; /* as it was captured */
    bool keep_payload;
    bool closed;
    bool quoted;        /* within an ICMP error: nothing behind the L4 header stays */
    unsigned depth;     /* IP headers around this one */
};

/* What a transport's checksum covers beside it: one's complement sums of both addresses, and what does not change. */
struct pseudo {
    uint32_t was, is;
    uint32_t constant; /* protocol and length */
    uint32_t len;      /* of the transport's header and payload on the wire */
};

static inline uint32_t frame_close(struct frame *f, uint32_t at) {
    f->closed = true;
    return at;
}

/* Payload stays when it may. */
static inline uint32_t frame_payload(const struct frame *f, uint32_t at, uint32_t end) {
    return f->keep_payload && !f->quoted ? end : at;
}

uint32_t anonymize_ip(struct frame *f, uint32_t at, uint32_t end);
/* The transport after IP headers that begin at `ip`. */
uint32_t anonymize_transport(struct frame *f, uint8_t proto, uint32_t ip, uint32_t at, uint32_t end,
                             const struct pseudo *p);
/* ICMP, ICMPv6, IGMP. */
uint32_t anonymize_icmp(struct frame *f, uint32_t at, uint32_t end);
uint32_t anonymize_icmpv6(struct frame *f, uint32_t at, uint32_t end);
uint32_t anonymize_igmp(struct frame *f, uint32_t at, uint32_t end);
/* A BOOTP or DHCP message: addresses change, names and what else tells about the client is blanked. */
uint32_t anonymize_dhcp(struct frame *f, uint32_t at, uint32_t end);

/* One's complement sum of bytes as 16-bit words, folded to 16 bits. */
uint32_t frame_sum(const uint8_t *p, uint32_t len);
/*
 * The checksum at `field` follows what changed from `from` to `to` and in the pseudo header (NULL: it covers none), so
 * that it is as right or wrong as it was (RFC 1624). One that was left to the NIC stays the pseudo header's sum.
 */
void frame_checksum(struct frame *f, uint32_t field, uint32_t from, uint32_t to, const struct pseudo *p);

#endif
