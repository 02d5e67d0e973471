/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments (RFC 4787, 11). The first one has the ports; what became of it is kept for the others by source,
 * destination, protocol and identification, for 30 seconds. The others get addresses alone. One that comes before the
 * first waits for it (nat_held.h), or is dropped, where a translation could be due to it; elsewhere it goes its way.
 *
 * nat_out decides what becomes of a first fragment. Until then the others get its destination and no session, whether
 * or not nat_in found one for it; nat_out gives it to them, or refuses them. Of several first ones at one moment it is
 * the first that counts. So it makes no difference which of them share a burst.
 */
#include "nat_held.h"
#include "nat_internal.h"

static struct nat_datagram datagram_of(const struct packet *p, be32 src, be32 dst) {
    return (struct nat_datagram){.src = src, .dst = dst, .id = packet_ipv4(p)->id, .proto = p->proto};
}

static struct nat_fragment *fragment_set(struct nat *n, const struct nat_datagram *d) {
    const struct nat_tuple datagram = {d->src, d->dst, d->id, 0};
    return n->fragments[(nat_hash(NAT_KEY_NOTHING, d->proto, &datagram) >> 32) % NAT_FRAGMENT_SETS];
}

static bool fragment_live(const struct nat_fragment *f, uint64_t now) {
    return f->state != FRAGMENT_EMPTY && now - f->time <= NAT_FRAGMENT_NS;
}

static struct nat_fragment *fragment_find(struct nat *n, const struct nat_datagram *d, uint64_t now) {
    struct nat_fragment *set = fragment_set(n, d);
    for (unsigned i = 0; i < NAT_FRAGMENT_WAYS; i++)
        if (set[i].src == d->src && set[i].dst == d->dst && set[i].id == d->id && set[i].proto == d->proto &&
            fragment_live(&set[i], now))
            return &set[i];
    return NULL;
}

/* A datagram's place, the first of its set. What stood before its old one, an unused one or the oldest moves on. */
static struct nat_fragment *fragment_place(struct nat *n, const struct nat_datagram *d, const struct nat_fragment *own,
                                           uint64_t now) {
    struct nat_fragment *set = fragment_set(n, d);
    size_t i = 0;
    while (i < NAT_FRAGMENT_WAYS - 1 && &set[i] != own && fragment_live(&set[i], now))
        i++;
    memmove(set + 1, set, i * sizeof *set);
    return set;
}

/* What has been decided for the first fragment is decided for those that wait for it. */
static void decided(struct nat *n, struct nat_fragment *f, const struct nat_datagram *d,
                    enum nat_fragment_state state) {
    f->state = (uint8_t)state;
    if (n->held)
        nat_held_release(n->held, d);
}

/* Where a first fragment goes: as packet.session of one that nat_in sent through a mapping; 0: as it came. */
static uint32_t way_in(const struct nat *n, const struct packet *p) {
    if (!nat_has_session(p))
        return p->session;
    const uint32_t receiver = nat_value(p->session - 1, !(p->flags & PACKET_REPLY));
    return nat_node_outward(n, receiver)->src == p->dst ? 0 : NAT_VIA_MAPPING | receiver;
}

void nat_fragment_first_in(struct nat *n, const struct packet *p, uint64_t now) {
    const struct nat_tuple came = nat_packet_tuple(p);
    const struct nat_datagram d = datagram_of(p, came.src, came.dst);
    const struct nat_fragment *own = fragment_find(n, &d, now);
    if (own && own->time == now)
        return;
    *fragment_place(n, &d, own, now) = (struct nat_fragment){
        .src = d.src, .dst = d.dst, .id = d.id, .proto = d.proto, .state = FRAGMENT_SEEN, .sport = came.sport,
        .dport = came.dport, .session = way_in(n, p), .time = now};
}

void nat_fragment_first_out(struct nat *n, const struct packet *p, const struct nat_tuple *came, uint64_t now) {
    const struct nat_datagram d = datagram_of(p, came->src, came->dst);
    struct nat_fragment *f = fragment_find(n, &d, now);
    if (!f || f->state != FRAGMENT_SEEN || f->sport != came->sport || f->dport != came->dport)
        return; /* not the one that counts */
    if (p->verdict == VERDICT_DROP)
        return decided(n, f, &d, FRAGMENT_REFUSED);
    f->session = p->session;
    f->reply = p->flags & PACKET_REPLY;
    decided(n, f, &d, FRAGMENT_RESOLVED);
}

/*
 * Is what the first fragment left still good? Its session may have ended, and its record be another's; so may a mapping
 * that it came in by, when it did not go on to get a session.
 */
static bool usable(const struct nat *n, const struct nat_fragment *f, uint64_t now) {
    if (!f->session)
        return true;
    if (f->session & NAT_VIA_MAPPING)
        return f->time == now;
    const struct nat_record *r = &n->records[f->session - 1];
    struct nat_tuple before = r->way[f->reply];
    return nat_session_fresh(n, r, now) && r->proto == f->proto && before.src == f->src && before.dst == f->dst;
}

/* By a port that may take the first one's way: with NAT_INTERFACE the outside port leads in, others when hairpinned. */
static void follow(struct nat *n, struct packet *p, const struct nat_fragment *f) {
    if (f->session && !(f->session & NAT_VIA_MAPPING))
        nat_meet(n, p, nat_value(f->session - 1, f->reply));
    else if (n->config.personality == NAT_CONNTRACK || p->in_port == n->config.outside_port || n->config.hairpin)
        p->session = f->session;
}

/* Nothing is known of the first fragment. The node's own packets do not wait: they have no way in to come back by. */
static void wait_for_first(struct nat *n, struct packet *p, const struct nat_datagram *d, uint64_t now) {
    if (!n->held || p->flags & PACKET_WAITED || p->in_port == PORT_NONE ||
        !nat_held_add(n->held, d, p, NAT_HELD_DATAGRAM, now)) {
        packet_drop(p, DROP_NAT_FRAGMENT);
        return;
    }
    p->verdict = VERDICT_HELD;
    n->stats.held++;
}

void nat_fragment_in(struct nat *n, struct packet *p, uint64_t now) {
    nat_forget_session(p);
    const struct nat_datagram d = datagram_of(p, p->src, p->dst);
    const struct nat_fragment *f = fragment_find(n, &d, now);
    if (f && f->state == FRAGMENT_REFUSED && f->time != now) {
        packet_drop(p, DROP_NAT_FRAGMENT);
    } else if (f && usable(n, f, now)) {
        follow(n, p, f);
        nat_apply_destination(n, p);
    } else if ((p->in_port == n->config.outside_port || n->config.hairpin) && nat_is_outside(n, p->dst)) {
        wait_for_first(n, p, &d, now);
    }
}

/* As nat_in, had it known what became of the first one. */
static void refuse(struct packet *p, be32 dst) {
    nat_set_destination(p, dst, 0);
    p->flags &= (uint16_t)~PACKET_DST_CHANGED;
    packet_drop(p, DROP_NAT_FRAGMENT);
}

/* It has no session. The first one may have got one at this moment. */
static void find_way_out(struct nat *n, struct packet *p, uint64_t now) {
    const bool via = nat_via_mapping(p);
    const struct nat_datagram d = datagram_of(p, p->src, via ? nat_node_outside(n, nat_via_node(p)).dst : p->dst);
    const struct nat_fragment *f = fragment_find(n, &d, now);
    nat_forget_session(p);
    if (f && f->state == FRAGMENT_RESOLVED && usable(n, f, now))
        follow(n, p, f);
    else if (via || (f && f->state == FRAGMENT_REFUSED)) /* via: its first one was dropped after nat_in */
        refuse(p, d.dst);
    else if (p->out_port == n->config.outside_port && !nat_is_outside(n, p->src) && !nat_is_untranslated(n, p->dst))
        wait_for_first(n, p, &d, now);
}

void nat_fragment_out(struct nat *n, struct packet *p, uint64_t now) {
    if (!nat_has_session(p))
        find_way_out(n, p, now);
    if (nat_has_session(p))
        nat_apply_source(n, p);
}

unsigned nat_fragments_due(struct nat *n) {
    return nat_held_due(n->held, n->now > NAT_FRAGMENT_NS ? n->now - NAT_FRAGMENT_NS : 0);
}
