/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a new session gets: outside address, outside port. NAT_CONNTRACK needs the tuple of the answers to be unique and no
 * more, so that flows to different ends share an outside port; NAT_INTERFACE gives an inside port one outside port
 * for all ends (RFC 4787 REQ-1) and lets every end use it (endpoint-independent filtering, REQ-8).
 */
#include "nat_internal.h"

/* A search that found nothing in so many places gives up, as Linux does after some hundred. */
#define PROBES_MAX 4096u

bool nat_is_outside(const struct nat *n, be32 addr) {
    for (unsigned i = 0; i < n->config.n_addresses; i++)
        if (n->config.addresses[i] == addr)
            return true;
    return false;
}

/* Paired pooling (RFC 4787 REQ-2): an inside address always gets the same outside address. */
static be32 pool_address(const struct nat *n, be32 inside) {
    struct nat_key key = nat_key(NAT_KEY_NOTHING, 0, (struct nat_tuple){.src = inside});
    return n->config.addresses[(nat_hash(&key) >> 32) % n->config.n_addresses];
}

/* Where a port is looked for that cannot keep its number; Linux has classes when it was given no range. */
static void port_range(const struct nat *n, uint8_t proto, uint16_t own, uint32_t *low, uint32_t *high) {
    *low = n->config.port_min;
    *high = n->config.port_max;
    if (!n->any_port)
        return;
    if (proto == PROTO_ICMP) {
        *low = 0;
    } else if (n->config.personality == NAT_CONNTRACK && own < 1024) {
        *low = own < 512 ? 1 : 600;
        *high = own < 512 ? 511 : 1023;
    }
}

/*
 * Completes the key of an outside end with a port that makes it unique: `own` when it may be kept, else the first free one
 * upwards from a place that depends on the flow alone. A port that may not move (`moves` false) is kept or refused.
 */
static bool choose_port(struct nat *n, struct nat_key *key, be16 own, bool moves, uint64_t now) {
    uint32_t low, high, host = ntohs(own);
    port_range(n, key->proto, (uint16_t)host, &low, &high);
    bool keep = !moves || (host >= low && host <= high) || (n->any_port && n->config.personality == NAT_CONNTRACK);
    key->tuple.dport = own;
    if (keep && nat_find_live(n, key, now) == NAT_NONE)
        return true;
    if (!moves)
        return false;
    uint32_t size = high - low + 1, start = (uint32_t)(nat_hash(key) >> 32) % size;
    for (uint32_t i = 0; i < size && i < PROBES_MAX; i++) {
        key->tuple.dport = htons((uint16_t)(low + (start + i) % size));
        if (nat_find_live(n, key, now) == NAT_NONE)
            return true;
    }
    return false;
}

/* The key of the answers to a packet whose destination is already what it will be. */
static struct nat_key reply_key(const struct packet *p, be32 outside, be16 port) {
    struct nat_tuple t = nat_packet_tuple(p);
    t = (struct nat_tuple){.src = t.dst, .dst = outside, .sport = t.dport, .dport = port};
    return nat_key(NAT_KEY_SESSION, p->proto, t);
}

static bool choose_conntrack(struct nat *n, const struct packet *p, struct nat_key *reply, uint64_t now) {
    bool masquerade = p->out_port == n->config.outside_port && !nat_is_outside(n, p->src);
    be16 own = nat_packet_tuple(p).sport;
    *reply = reply_key(p, masquerade ? pool_address(n, p->src) : p->src, own);
    return choose_port(n, reply, own, nat_moves_port(p, true), now);
}

/* From outside through a mapping: the source stays. */
static bool choose_inward(struct nat *n, const struct packet *p, struct nat_key *reply, uint64_t now) {
    *reply = reply_key(p, p->src, nat_packet_tuple(p).sport);
    return nat_find_live(n, reply, now) == NAT_NONE;
}

static bool choose_outward(struct nat *n, const struct packet *p, struct nat_key *reply, uint32_t *mapping, uint64_t now) {
    be16 own = nat_packet_tuple(p).sport;
    *reply = reply_key(p, pool_address(n, p->src), own);
    if (!nat_moves_port(p, true))
        return choose_port(n, reply, own, false, now);
    *mapping = nat_mapping_inside(n, p->proto, p->src, own, now);
    struct nat_key end = nat_key(NAT_KEY_MAPPING, p->proto, (struct nat_tuple){.dst = reply->tuple.dst});
    if (*mapping != NAT_NONE)
        end.tuple = n->records[*mapping].reply;
    else if (!choose_port(n, &end, own, true, now))
        return false;
    reply->tuple.dst = end.tuple.dst;
    reply->tuple.dport = end.tuple.dport;
    if (nat_find_live(n, reply, now) != NAT_NONE)
        return false;
    if (*mapping == NAT_NONE)
        *mapping = nat_mapping_create(n, p->proto, p->src, own, end.tuple.dst, end.tuple.dport, 0);
    return true;
}

static void create(struct nat *n, struct packet *p, const struct nat_key *original, uint32_t via, uint64_t now) {
    if (!nat_session_room(n, now)) {
        n->stats.refused_full++;
        packet_drop(p, DROP_NAT_TABLE_FULL);
        return;
    }
    struct nat_key reply;
    uint32_t mapping = via;
    bool found = n->config.personality == NAT_CONNTRACK ? choose_conntrack(n, p, &reply, now)
                 : via != NAT_NONE                      ? choose_inward(n, p, &reply, now)
                                                        : choose_outward(n, p, &reply, &mapping, now);
    if (!found) {
        n->stats.refused_port++;
        packet_drop(p, DROP_NAT_NO_PORT);
        return;
    }
    uint32_t session = nat_session_create(n, original, &reply.tuple, mapping, now);
    n->records[session].flags = via != NAT_NONE ? NAT_FROM_OUTSIDE : 0;
    p->session = session + 1;
    nat_apply_source(n, p);
    nat_track(n, p, now);
}

void nat_begin(struct nat *n, struct packet *p, uint64_t now) {
    bool conntrack = n->config.personality == NAT_CONNTRACK;
    struct nat_key original = nat_key(NAT_KEY_SESSION, p->proto, nat_packet_tuple(p));
    uint32_t via = NAT_NONE;
    if (nat_via_mapping(p)) {
        const struct nat_record *m = nat_packet_mapping(n, p);
        via = (uint32_t)(m - n->records);
        original.tuple.dst = m->reply.dst;
        original.tuple.dport = m->reply.dport;
    }
    nat_forget_session(p);
    if (!conntrack && via == NAT_NONE && (p->out_port != n->config.outside_port || nat_is_outside(n, p->src)))
        return;
    uint32_t value = nat_find_live(n, &original, now);
    if (value != NAT_NONE) { /* made in this burst */
        const struct nat_record *r = &n->records[value >> 1];
        struct nat_tuple t = nat_packet_tuple(p), after = nat_after(r, value & 1);
        if (after.dst != t.dst || after.dport != t.dport)
            return; /* an answer in the burst of its question: the caller was told not to */
        nat_meet(n, p, value);
        if (nat_has_session(p) && nat_apply_source(n, p))
            nat_track(n, p, now);
        return;
    }
    if (!conntrack || nat_may_begin(p))
        create(n, p, &original, via, now);
}
