/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same packets at two capture points with a NAT between: joined on what NAT does not change, each pair proved by
 * the change of the L4 checksum, which must equal the change of the rewritten fields. Gives the clocks' offset, the
 * mapping table and the verdicts NAT_BYPASS, WRONG_NAT, DOUBLE_MAPPING, NAT_FILTERED and PORT_EXHAUSTED.
 */
#ifndef FWDLAB_ANALYZE_POINTS_H
#define FWDLAB_ANALYZE_POINTS_H

#include <jansson.h>
#include <fwdlab/base/err.h>
#include <fwdlab/core/packet.h>
#include <fwdlab/trace/many.h>

/* One packet at a point, as parsed. */
struct point_packet {
    struct flow_key key;     /* ICMP queries: identifier as sport, type as dport */
    uint64_t time_ns;        /* by the point's own clock */
    uint64_t frame;
    uint32_t wire_len;       /* from the IP header on */
    const uint8_t *ip;       /* IP header; `len` bytes from there are present */
    uint32_t len;
    uint16_t l4;             /* offset from ip */
    uint16_t flags;          /* packet.flags */
};

enum nat_verdict { NAT_VERDICT_NONE, NAT_BYPASS, NAT_WRONG, NAT_DOUBLE_MAPPING, NAT_FILTERED, NAT_PORT_EXHAUSTED,
                   NAT_VERDICT_COUNT };
const char *nat_verdict_name(enum nat_verdict v); /* nat_bypass, wrong_nat, double_mapping, nat_filtered, ... */

struct points_options {
    const char *inside, *outside;   /* names of the two points */
    const struct ip_prefix *pool;   /* outside addresses that the NAT is meant to use; n_pool 0: learned */
    size_t n_pool;
    size_t max_flows;               /* what is older is forgotten and counted; 0: 1M */
};

struct points;
struct points *points_create(const struct points_options *o);
void points_destroy(struct points *p);
/* Packets of both points (0 inside, 1 outside), each point's in its own order; the points' clocks may differ. */
void points_see(struct points *p, unsigned point, const struct point_packet *packet);
/*
 * Reads both captures (inside, outside) side by side, and finishes. -errno: one of them can't be read. `stop`: what was
 * read so far is all.
 */
int points_read(struct points *p, struct trace_many *const from[2], const volatile bool *stop, struct err *e);
/* After the last packet: settles what is joined. */
void points_finish(struct points *p);

/* A translation: proved packets say how a flow is called on both sides. */
struct point_pair {
    struct flow_key inside, outside; /* as the initiator sends it, on either side; equal: not translated */
    uint64_t first_ns, last_ns;      /* by the inside point's clock */
    uint32_t packets, proved;        /* joined; of these, by the checksum (the others have none, or it is cut off) */
    uint64_t frame_inside, frame_outside; /* of the first joined packet */
    uint8_t verdict;                 /* enum nat_verdict */
};
const struct point_pair *points_pairs(const struct points *p, size_t *n);
/* What the outside point's clock shows more than the inside one's, ns, and how sure it is (half width). */
bool points_offset(const struct points *p, int64_t *offset_ns, uint64_t *width_ns);
/*
 * { inside, outside, offset_ns, offset_width_ns, joined, proved, only_inside, only_outside, pairs: [ { proto, inside,
 * outside, remote, first, last, packets, proved, frames: [in, out], verdict } ], findings: [...] with source "nat" }
 */
json_t *points_json(const struct points *p);

#endif
