/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a new session gets: outside address, outside port, or nothing. NAT_CONNTRACK needs the tuple of the answers to
 * be unique and no more, so that flows to different ends share an outside port; NAT_INTERFACE gives what an inside end
 * sends to the same remote ends, as its mappings see them (RFC 4787 REQ-1), one outside port, and lets those use it
 * that its filter lets in (REQ-8). The filter is asked here and not by nat_in, in the order of the packets, so that a
 * packet that opens it may share the burst of those that it lets in.
 *
 * Hairpinning (RFC 4787 REQ-9): what inside sends to a mapping's outside end came in through that mapping, as if from
 * outside, and gets a mapping of its own, as if it left. Both ends see each other's outside end (REQ-9 a).
 */
#include "nat_client.h"

/* The tuple of the answers to a packet whose destination is already what it will be. */
static struct nat_tuple answers(const struct packet *p, be32 outside, be16 port) {
    struct nat_tuple t = nat_packet_tuple(p);
    return nat_tuple_of(nat_ends(t.dst, outside), nat_ports(t.dport, port));
}

static inline enum drop unique(struct nat *n, const struct packet *p, struct nat_new *new, uint64_t now) {
    new->hash[1] = nat_hash(NAT_KEY_SESSION, p->proto, &new->way[1]);
    return nat_find_live_hashed(n, new->hash[1], p->proto, &new->way[1], now) == NAT_NONE ? DROP_NONE
                                                                                          : DROP_NAT_NO_PORT;
}

/* `called` by a port map from inside: the answers must come back here. */
static enum drop choose_conntrack(struct nat *n, const struct packet *p, bool called, struct nat_new *new,
                                  uint64_t now) {
    struct nat_tuple *reply = &new->way[1];
    bool masquerade = (p->out_port == n->config.outside_port || called) && !nat_is_outside(n, p->src);
    *reply = answers(p, masquerade ? n->config.addresses[nat_home(n, p->src)] : p->src, nat_packet_tuple(p).sport);
    if (!masquerade && !unique(n, p, new, now))
        return DROP_NONE; /* the range is for what is translated */
    if (!nat_port_for_session(n, p, reply, now))
        return DROP_NAT_NO_PORT;
    new->hash[1] = nat_hash(NAT_KEY_SESSION, p->proto, reply);
    return DROP_NONE;
}

/* What comes in keeps no mapping alive, nor does the session that begins with it: it is as old as another one. */
static uint32_t idle_so_far(const struct nat *n, const struct nat_record *r, uint64_t now) {
    const uint32_t ticks = nat_tick(now) - r->last, most = n->idle[nat_first_timer(r->proto)]; /* it lives now */
    return ticks < most ? ticks : most;
}

/* From outside through a mapping: the source stays. */
static enum drop choose_inward(struct nat *n, const struct packet *p, uint32_t via, struct nat_new *new, uint64_t now) {
    const struct nat_record *m = &n->records[via >> 1];
    const be32 inside = nat_node_outward(n, via)->src;
    const struct nat_tuple end = nat_node_outside(n, via);
    new->flags = NAT_FROM_OUTSIDE;
    new->way[1] = answers(p, p->src, nat_packet_tuple(p).sport);
    if (m->kind != NAT_PORT_MAP) {
        new->flags |= NAT_MAPPED;
        if (!nat_permits(n, p->proto, &end, p->src, now))
            return DROP_NAT_FILTERED;
        if (n->config.outbound_refresh_only)
            new->last -= idle_so_far(n, m, now);
    }
    if (!nat_client_may_begin(n, inside, now))
        return DROP_NAT_CLIENT_LIMIT;
    const enum drop why = unique(n, p, new, now);
    if (!why)
        new->client = nat_client_of(n, inside, NULL);
    return why;
}

/* TCP and UDP, but for a later fragment: its ports may be translated. */
static inline bool has_ports(const struct packet *p) {
    return p->flags & PACKET_PORTS && (p->proto == PROTO_TCP || p->proto == PROTO_UDP);
}

/* From inside, to the other ends of new->way[0]. */
static inline __attribute__((always_inline)) enum drop choose_outward(struct nat *n, const struct packet *p,
                                                                      const struct nat_want *w, struct nat_new *new,
                                                                      uint64_t now) {
    const struct nat_tuple *outward = &new->way[0];
    struct nat_tuple *reply = &new->way[1];
    struct nat_place place;
    enum drop why;
    if (!nat_client_may_begin(n, p->src, now))
        return DROP_NAT_CLIENT_LIMIT;
    if (!has_ports(p) && !nat_moves_port(p, true)) {
        *reply = answers(p, 0, outward->sport);
        if (!nat_place_portless(n, p->proto, p->src, reply, now))
            return DROP_NAT_NO_PORT;
        new->hash[1] = nat_hash(NAT_KEY_SESSION, p->proto, reply);
        place = (struct nat_place){.address = nat_address_index(n, reply->dst), .block = NAT_NONE, .client = NAT_NONE};
        new->client = nat_client_of(n, p->src, &place);
        return DROP_NONE;
    }
    uint32_t mapping = NAT_NONE, cell = w->natural;
    if (!nat_place_natural(n, w, &place)) {
        mapping = nat_mapping_inside(n, w->natural, p->proto, outward, now);
        if (mapping != NAT_NONE)
            place.end = nat_node_outside(n, mapping);
        else if ((why = nat_place_mapping(n, w, &place, now)))
            return why;
        cell = mapping != NAT_NONE ? NAT_NONE : nat_port_cell_at(n, p->proto, place.address, place.end.dport);
    }
    *reply = answers(p, place.end.dst, place.end.dport);
    if ((why = unique(n, p, new, now)))
        return why;
    new->cell = cell;
    new->natural = w->natural;
    if (mapping == NAT_NONE || n->records[mapping >> 1].kind != NAT_PORT_MAP)
        new->flags |= NAT_MAPPED;
    new->client = nat_client_of(n, p->src, mapping == NAT_NONE ? &place : NULL);
    return DROP_NONE;
}

/* From inside to inside. The called mapping's filter looks at the caller's outside end. */
static __attribute__((noinline)) enum drop choose_hairpin(struct nat *n, const struct packet *p, uint32_t via,
                                                          const struct nat_want *w, struct nat_new *new, uint64_t now) {
    const bool mapped = n->records[via >> 1].kind != NAT_PORT_MAP;
    const struct nat_tuple end = nat_node_outside(n, via);
    const be32 called = nat_node_outward(n, via)->src;
    const enum drop why = choose_outward(n, p, w, new, now);
    if (why)
        return why;
    new->flags |= NAT_HAIRPIN;
    new->far_flags = mapped ? NAT_MAPPED : 0;
    new->far_client = mapped ? nat_client_find(n, called) : NAT_NONE;
    if (mapped && !nat_permits(n, p->proto, &end, new->way[1].dst, now))
        new->flags |= NAT_UNCALLED;
    return DROP_NONE;
}

static void refuse(struct nat *n, struct packet *p, enum drop why) {
    n->stats.refused_full += why == DROP_NAT_TABLE_FULL;
    n->stats.refused_port += why == DROP_NAT_NO_PORT;
    n->stats.refused_client += why == DROP_NAT_CLIENT_LIMIT;
    packet_drop(p, why);
}

/* via: the node of the mapping that the packet came in through; NAT_NONE. */
static void create(struct nat *n, struct packet *p, const struct nat_want *w, uint32_t via, uint64_t now) {
    struct nat_new new = {.way = {w->outward}, .hash = {w->hash}, .proto = p->proto, .cell = NAT_NONE,
                          .client = NAT_NONE, .far_client = NAT_NONE, .last = nat_tick(now)};
    const bool inside = p->in_port != n->config.outside_port;
    enum drop why;
    if (!nat_session_room(n, now))
        why = DROP_NAT_TABLE_FULL;
    else if (n->config.personality == NAT_CONNTRACK)
        why = choose_conntrack(n, p, via != NAT_NONE && inside, &new, now);
    else if (via == NAT_NONE)
        why = choose_outward(n, p, w, &new, now);
    else if (inside)
        why = choose_hairpin(n, p, via, w, &new, now);
    else
        why = choose_inward(n, p, via, &new, now);
    if (why) {
        if (why == DROP_NAT_FILTERED && nat_syn_filtered(n, p, &w->outward, now))
            return;
        p->session = via == NAT_NONE ? 0 : NAT_VIA_MAPPING | via; /* its sender is told of what it was (nat_undo) */
        return refuse(n, p, why);
    }
    if (n->config.personality == NAT_CONNTRACK && via != NAT_NONE && !inside)
        new.flags = NAT_FROM_OUTSIDE;
    p->session = nat_session_create(n, &new, now) + 1;
    if (new.cell != NAT_NONE && !(new.flags & NAT_HAIRPIN) && !n->config.outbound_refresh_only) {
        nat_set_source(p, new.way[1].dst, new.way[1].dport);
        nat_track_first(n, p, now);
    } else {
        nat_apply_source(n, p);
        nat_use(n, p, now);
    }
}

/* One was made in this burst. */
static void meet(struct nat *n, struct packet *p, uint32_t value, uint64_t now) {
    const struct nat_tuple t = nat_packet_tuple(p), after = nat_after(&n->records[value >> 1], value & 1);
    if (after.dst != t.dst || after.dport != t.dport)
        return; /* an answer in the burst of its question: the caller was told not to */
    nat_meet(n, p, value);
    if (nat_has_session(p) && nat_apply_source(n, p))
        nat_use(n, p, now);
}

/* What it asks for that came in through a mapping, if any. */
static struct nat_want want_of(const struct nat *n, const struct packet *p, uint32_t via) {
    struct nat_tuple original = nat_packet_tuple(p);
    if (via != NAT_NONE) {
        const struct nat_tuple end = nat_node_outside(n, via);
        original.dst = end.dst;
        original.dport = end.dport;
    }
    return nat_want_of(n, p->proto, &original);
}

__attribute__((cold)) bool nat_is_named(const struct nat *n, be32 dst) {
    for (uint32_t i = 0; i < n->config.n_untranslated; i++)
        if ((dst & n->config.untranslated[i].mask) == n->config.untranslated[i].addr)
            return true;
    return false;
}

void nat_begin(struct nat *n, struct packet *p, const struct nat_want *want, uint64_t now) {
    const bool conntrack = n->config.personality == NAT_CONNTRACK;
    const uint32_t via = nat_via_mapping(p) ? nat_via_node(p) : NAT_NONE;
    struct nat_want own;
    nat_forget_session(p);
    if (!conntrack && via == NAT_NONE && (p->out_port != n->config.outside_port || nat_is_outside(n, p->src) ||
                                          nat_is_untranslated(n, p->dst)))
        return;
    if (!want) {
        own = want_of(n, p, via);
        want = &own;
    }
    const uint32_t value = nat_find_live_hashed(n, want->hash, p->proto, &want->outward, now);
    if (value != NAT_NONE)
        meet(n, p, value, now);
    else if (!conntrack || nat_may_begin(p))
        create(n, p, want, via, now);
}
