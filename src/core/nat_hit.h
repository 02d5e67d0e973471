/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sessions of plain packets, for the express stage: found in bulk, and used without a change but of their time.
 *
 * A steady session (nat_record.flags) takes whole TCP packets without SYN, FIN or RST, or UDP packets, without any
 * other effect. In a burst it makes no difference whether such a packet comes before or after one that is not plain.
 */
#ifndef FWDLAB_CORE_NAT_HIT_H
#define FWDLAB_CORE_NAT_HIT_H

#include "nat_internal.h"

/* What all packets of a burst need. */
struct nat_hits {
    struct nat_record *records;
    struct nat_table table;
    uint32_t tick;
    uint32_t idle; /* ticks: no steady session ends earlier; one that was idle for longer goes through the stages */
    uint16_t outside_port;
    bool conntrack;
};

static inline struct nat_hits nat_hits(const struct nat *n, uint64_t now) {
    uint32_t idle = n->idle[TIMER_TCP_ESTABLISHED];
    idle = n->idle[TIMER_UDP] < idle ? n->idle[TIMER_UDP] : idle;
    idle = n->idle[TIMER_UDP_STREAM] < idle ? n->idle[TIMER_UDP_STREAM] : idle;
    return (struct nat_hits){n->records, n->table, nat_tick(now), idle, n->config.outside_port,
                             n->config.personality == NAT_CONNTRACK};
}

/* A session of a packet: its value in the index, and its record; NULL: none. */
struct nat_hit {
    struct nat_record *record;
    uint32_t value;
};

/* What may be the session in a bucket, and is nearly always. Its record is on its way then. */
static inline struct nat_hit nat_hit_guess(const struct nat_hits *h, const struct nat_bucket *b, uint16_t tag) {
    const uint32_t match = nat_bucket_match(b, tag);
    if (__builtin_expect(!match, 0))
        return (struct nat_hit){NULL, NAT_NONE};
    const uint32_t value = b->value[(unsigned)__builtin_ctz(match)];
    struct nat_record *r = &h->records[value >> 1];
    __builtin_prefetch(r, 0, 2);
    return (struct nat_hit){r, value};
}

/* nat_find_value, for the few packets whose guess was wrong. */
__attribute__((noinline, cold)) uint32_t nat_find_session(const struct nat *n, uint8_t proto,
                                                         const struct nat_tuple *tuple);

/* Is this direction the one that goes out? 0 or 1: who asks computes with it, as nobody can foretell the answer. */
static inline unsigned nat_hit_outward(const struct nat_record *r, unsigned reply) {
    return ((r->flags & NAT_FROM_OUTSIDE) ^ reply) ^ 1;
}

/* As nat_is_way; no port map has both ends of a packet in one of its ways. */
static inline bool nat_hit_is_way(const struct nat_record *r, unsigned reply, uint8_t proto, uint64_t ends,
                                  uint32_t ports) {
    const struct nat_tuple *way = &r->way[reply];
    return load64(&way->src) == ends && load32(&way->sport) == ports && r->proto == proto;
}

/* The session after a wrong guess. `ends`: source and destination, `ports`: both, as they stand in the packet. */
static inline struct nat_hit nat_hit_search(const struct nat *n, const struct nat_hits *h, uint8_t proto, uint64_t ends,
                                            uint32_t ports) {
    struct nat_tuple t;
    memcpy(&t.src, &ends, sizeof ends);
    memcpy(&t.sport, &ports, sizeof ports);
    const uint32_t value = nat_find_session(n, proto, &t);
    return (struct nat_hit){value == NAT_NONE ? NULL : &h->records[value >> 1], value};
}

/* Does the session take a plain packet as it is? */
static inline bool nat_hit_is_steady(const struct nat_hits *h, struct nat_hit hit) {
    return h->tick - hit.record->last <= h->idle && hit.record->flags >> (NAT_STEADY_SHIFT + (hit.value & 1)) & 1;
}

/* May a packet without a session go untranslated, as long as it does not leave by the outside port? */
static inline bool nat_hit_spares(const struct nat *n, const struct nat_hits *h, be32 dst) {
    return !h->conntrack && !nat_is_outside(n, dst);
}

/*
 * May a packet with this session, or none, come in and leave by these ports? With NAT_INTERFACE what a session sends
 * out leaves by the outside port, and what comes to it from there comes in by it.
 */
static inline bool nat_hit_passes(const struct nat_hits *h, const struct nat_hit *hit, uint16_t in_port,
                                  uint16_t out_port) {
    if (__builtin_expect(!hit->record, 0))
        return out_port != h->outside_port;
    const uint16_t port = nat_hit_outward(hit->record, hit->value & 1) ? out_port : in_port;
    return port == h->outside_port || h->conntrack;
}

#endif
