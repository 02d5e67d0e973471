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
    const struct nat_bucket *buckets;
    uint32_t tick;
    uint16_t outside_port;
    bool conntrack;
};

static inline struct nat_hits nat_hits(const struct nat *n, uint64_t now) {
    return (struct nat_hits){n->records, n->table.bucket, nat_tick(now), n->config.outside_port,
                             n->config.personality == NAT_CONNTRACK};
}

/* Where a hash stands in the index. */
struct nat_hit_place {
    uint32_t bucket;
    uint16_t tag;
};

/* And has its bucket fetched. */
static inline struct nat_hit_place nat_hit_place(const struct nat_table *t, uint8_t proto, uint64_t ends,
                                                 uint32_t ports) {
    const uint64_t hash = nat_hash_words(NAT_KEY_SESSION, proto, ends, ports);
    const struct nat_bucket *b = nat_table_bucket(t, hash);
    __builtin_prefetch(b);
    return (struct nat_hit_place){(uint32_t)(b - t->bucket), nat_tag(hash)};
}

/* What may be the session there, and is nearly always; NAT_NONE. Its record is on its way then. */
static inline uint32_t nat_hit_guess(const struct nat_hits *h, struct nat_hit_place at) {
    const struct nat_bucket *b = &h->buckets[at.bucket];
    const uint32_t match = nat_bucket_match(b, at.tag);
    if (__builtin_expect(!match, 0))
        return NAT_NONE;
    const uint32_t value = b->value[__builtin_ctz(match)];
    __builtin_prefetch(&h->records[value >> 1], 0, 3);
    return value;
}

/* nat_find_value, for the few packets whose guess was wrong. */
uint32_t nat_find_session(const struct nat *n, uint8_t proto, const struct nat_tuple *tuple);

/* Is this direction the one that goes out? 0 or 1: who asks computes with it, as nobody can foretell the answer. */
static inline unsigned nat_hit_outward(const struct nat_record *r, unsigned reply) {
    return ((r->flags & NAT_FROM_OUTSIDE) ^ reply) ^ 1;
}

/* As nat_is_way; no port map has both ends of a packet in one of its ways. */
static inline bool nat_hit_is_way(const struct nat_record *r, unsigned reply, uint8_t proto, uint64_t ends,
                                  uint32_t ports) {
    const struct nat_tuple *way = &r->way[reply];
    return ((load64(&way->src) ^ ends) | (load32(&way->sport) ^ ports) | (uint32_t)(r->proto ^ proto)) == 0;
}

/*
 * The steady session of a TCP or UDP packet, as in the index; NAT_NONE when it goes untranslated, as long as it does
 * not leave by the outside port. 0: it is not for the express stage. `ends`: source and destination, `ports`: both, as
 * they stand in the packet.
 */
static inline unsigned nat_hit_find(struct nat *n, const struct nat_hits *h, uint32_t *value, uint8_t proto,
                                    uint64_t ends, uint32_t ports, uint16_t in_port) {
    uint32_t v = *value;
    if (__builtin_expect(v == NAT_NONE || !nat_hit_is_way(&h->records[v >> 1], v & 1, proto, ends, ports), 0)) {
        struct nat_tuple t;
        memcpy(&t.src, &ends, sizeof ends);
        memcpy(&t.sport, &ports, sizeof ports);
        *value = v = nat_find_session(n, proto, &t);
        if (v == NAT_NONE)
            return !h->conntrack && !nat_is_outside(n, t.dst);
    }
    const struct nat_record *r = &h->records[v >> 1];
    const unsigned reply = v & 1, fresh = h->tick - r->last <= n->idle[r->timer], steady = r->flags >> NAT_STEADY_SHIFT;
    return fresh & steady >> reply & (nat_hit_outward(r, reply) | h->conntrack | (in_port == h->outside_port));
}

/* Is a packet with this session, or none, not to leave by the port? */
static inline bool nat_hit_stays(const struct nat_hits *h, uint32_t value, uint16_t out_port) {
    const unsigned outside = out_port == h->outside_port;
    if (__builtin_expect(value == NAT_NONE, 0))
        return outside;
    return nat_hit_outward(&h->records[value >> 1], value & 1) > (outside | h->conntrack);
}

#endif
