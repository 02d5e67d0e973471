/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a new session gets: outside address, outside port. NAT_CONNTRACK needs the tuple of the answers to be unique and
 * no more, so that flows to different ends share an outside port; NAT_INTERFACE gives an inside port one outside port
 * for all ends (RFC 4787 REQ-1) and lets every end use it (endpoint-independent filtering, REQ-8).
 */
#include "nat_internal.h"

bool nat_is_outside(const struct nat *n, be32 addr) {
    for (unsigned i = 0; i < n->config.n_addresses; i++)
        if (n->config.addresses[i] == addr)
            return true;
    return false;
}

/* Paired pooling (RFC 4787 REQ-2): an inside address always gets the same outside address. */
static be32 pool_address(const struct nat *n, be32 inside) {
    const struct nat_tuple who = {.src = inside};
    return n->config.addresses[(nat_hash(NAT_KEY_NOTHING, 0, &who) >> 32) % n->config.n_addresses];
}

/* The tuple of the answers to a packet whose destination is already what it will be. */
static struct nat_tuple answers(const struct packet *p, be32 outside, be16 port) {
    struct nat_tuple t = nat_packet_tuple(p);
    return (struct nat_tuple){.src = t.dst, .dst = outside, .sport = t.dport, .dport = port};
}

static bool choose_conntrack(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now) {
    bool masquerade = p->out_port == n->config.outside_port && !nat_is_outside(n, p->src);
    *reply = answers(p, masquerade ? pool_address(n, p->src) : p->src, nat_packet_tuple(p).sport);
    if (!masquerade && nat_find_live(n, p->proto, reply, now) == NAT_NONE)
        return true; /* the range is for what is translated */
    return nat_port_for_session(n, p, reply, now);
}

/* From outside through a mapping: the source stays. */
static bool choose_inward(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now) {
    *reply = answers(p, p->src, nat_packet_tuple(p).sport);
    return nat_find_live(n, p->proto, reply, now) == NAT_NONE;
}

static bool choose_outward(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint16_t *flags,
                           uint64_t now) {
    const struct nat_tuple outward = nat_packet_tuple(p);
    const be16 own = outward.sport;
    be32 outside = pool_address(n, p->src);
    if (!nat_moves_port(p, true)) {
        *reply = answers(p, outside, 0);
        return nat_port_for_session(n, p, reply, now);
    }
    struct nat_tuple end = {.dst = outside};
    const uint32_t mapping = nat_mapping_inside(n, p->proto, &outward, now);
    if (mapping != NAT_NONE)
        end = nat_outside_end(&n->records[mapping]);
    else if (!nat_port_for_mapping(n, p->proto, &end, own, now))
        return false;
    *reply = answers(p, end.dst, end.dport);
    *flags = mapping != NAT_NONE && n->records[mapping].kind == NAT_PORT_MAP ? 0 : NAT_MAPPED;
    return nat_find_live(n, p->proto, reply, now) == NAT_NONE;
}

static void create(struct nat *n, struct packet *p, const struct nat_tuple *original, const struct nat_record *via,
                   uint64_t now) {
    if (!nat_session_room(n, now)) {
        n->stats.refused_full++;
        packet_drop(p, DROP_NAT_TABLE_FULL);
        return;
    }
    struct nat_new new = {.way = {*original}, .proto = p->proto, .client = NAT_NONE};
    if (via)
        new.flags = NAT_FROM_OUTSIDE | (via->kind == NAT_PORT_MAP ? 0 : NAT_MAPPED);
    bool found = n->config.personality == NAT_CONNTRACK ? choose_conntrack(n, p, &new.way[1], now)
                 : via                                  ? choose_inward(n, p, &new.way[1], now)
                                                        : choose_outward(n, p, &new.way[1], &new.flags, now);
    if (!found) {
        n->stats.refused_port++;
        packet_drop(p, DROP_NAT_NO_PORT);
        return;
    }
    p->session = nat_session_create(n, &new, now) + 1;
    nat_apply_source(n, p);
    nat_track(n, p, now);
}

void nat_begin(struct nat *n, struct packet *p, uint64_t now) {
    bool conntrack = n->config.personality == NAT_CONNTRACK;
    struct nat_tuple original = nat_packet_tuple(p);
    const struct nat_record *via = NULL;
    if (nat_via_mapping(p)) {
        via = nat_packet_mapping(n, p);
        const struct nat_tuple end = nat_outside_end(via);
        original.dst = end.dst;
        original.dport = end.dport;
    }
    nat_forget_session(p);
    if (!conntrack && !via && (p->out_port != n->config.outside_port || nat_is_outside(n, p->src)))
        return;
    uint32_t value = nat_find_live(n, p->proto, &original, now);
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
