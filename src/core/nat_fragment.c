/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments (RFC 4787, 11). The first one has the ports; what became of it is kept for the others by source,
 * destination, protocol and identification, for 30 seconds. The others get addresses alone. One that comes before the
 * first is dropped where a translation could be due to it, and goes its way elsewhere.
 */
#include "nat_internal.h"

static struct nat_fragment *fragment_set(struct nat *n, be32 src, be32 dst, uint8_t proto, be16 id) {
    const struct nat_tuple datagram = {src, dst, id, 0};
    return n->fragments[(nat_hash(NAT_KEY_NOTHING, proto, &datagram) >> 32) % NAT_FRAGMENT_SETS];
}

static bool fragment_live(const struct nat_fragment *f, uint64_t now) {
    return f->state != FRAGMENT_EMPTY && now - f->time <= NAT_FRAGMENT_NS;
}

static struct nat_fragment *fragment_find(struct nat *n, const struct packet *p, be32 src, be32 dst, uint64_t now) {
    be16 id = packet_ipv4(p)->id;
    struct nat_fragment *set = fragment_set(n, src, dst, p->proto, id);
    for (unsigned i = 0; i < NAT_FRAGMENT_WAYS; i++)
        if (set[i].src == src && set[i].dst == dst && set[i].id == id && set[i].proto == p->proto &&
            fragment_live(&set[i], now))
            return &set[i];
    return NULL;
}

/* A datagram's place, the first of its set. What stood before its old one, an unused one or the oldest moves on. */
static struct nat_fragment *fragment_place(struct nat *n, const struct packet *p, uint64_t now) {
    struct nat_fragment *set = fragment_set(n, p->src, p->dst, p->proto, packet_ipv4(p)->id);
    const struct nat_fragment *own = fragment_find(n, p, p->src, p->dst, now);
    size_t i = 0;
    while (i < NAT_FRAGMENT_WAYS - 1 && &set[i] != own && fragment_live(&set[i], now))
        i++;
    memmove(set + 1, set, i * sizeof *set);
    return set;
}

void nat_fragment_first_in(struct nat *n, const struct packet *p, uint64_t now) {
    *fragment_place(n, p, now) = (struct nat_fragment){
        .src = p->src, .dst = p->dst, .id = packet_ipv4(p)->id, .proto = p->proto, .state = FRAGMENT_SEEN,
        .reply = p->flags & PACKET_REPLY, .session = p->session, .time = now};
}

void nat_fragment_first_out(struct nat *n, const struct packet *p, be32 src, be32 dst, uint64_t now) {
    struct nat_fragment *f = fragment_find(n, p, src, dst, now);
    if (!f)
        return;
    if (p->verdict == VERDICT_DROP) {
        f->state = FRAGMENT_REFUSED;
        return;
    }
    f->state = FRAGMENT_RESOLVED;
    f->session = p->session;
    f->reply = p->flags & PACKET_REPLY;
}

/* Is what the first fragment left still good? Its session may have ended, and its record be another's. */
static bool usable(const struct nat *n, const struct nat_fragment *f, uint64_t now) {
    if (!f->session || f->session & NAT_VIA_MAPPING)
        return true;
    const struct nat_record *r = &n->records[f->session - 1];
    struct nat_tuple before = r->way[f->reply];
    return nat_session_fresh(n, r, now) && r->proto == f->proto && before.src == f->src && before.dst == f->dst;
}

/* By a port that may take the first one's way: with NAT_INTERFACE only the outside port leads in. */
static void follow(struct nat *n, struct packet *p, const struct nat_fragment *f) {
    if (f->session && !(f->session & NAT_VIA_MAPPING))
        nat_meet(n, p, nat_value(f->session - 1, f->reply));
    else if (n->config.personality == NAT_CONNTRACK || p->in_port == n->config.outside_port)
        p->session = f->session;
}

void nat_fragment_in(struct nat *n, struct packet *p, uint64_t now) {
    nat_forget_session(p);
    const struct nat_fragment *f = fragment_find(n, p, p->src, p->dst, now);
    if (f && usable(n, f, now)) {
        follow(n, p, f);
        nat_apply_destination(n, p);
    } else if (p->in_port == n->config.outside_port && nat_is_outside(n, p->dst)) {
        packet_drop(p, DROP_NAT_FRAGMENT);
    }
}

void nat_fragment_out(struct nat *n, struct packet *p, uint64_t now) {
    if (!nat_has_session(p)) { /* the first may have got one in this burst */
        be32 dst = nat_via_mapping(p) ? nat_outside_end(nat_packet_mapping(n, p)).dst : p->dst;
        bool due = nat_via_mapping(p) || (p->out_port == n->config.outside_port && !nat_is_outside(n, p->src));
        const struct nat_fragment *f = fragment_find(n, p, p->src, dst, now);
        nat_forget_session(p);
        if (f && f->state == FRAGMENT_RESOLVED && usable(n, f, now))
            follow(n, p, f);
        else if (due || (f && f->state == FRAGMENT_REFUSED))
            packet_drop(p, DROP_NAT_FRAGMENT);
    }
    if (nat_has_session(p))
        nat_apply_source(n, p);
}
