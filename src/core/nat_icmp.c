/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors (RFC 5508, 4; RFC 3022, 4.3). An error carries the header of the packet that caused it, as that stood
 * where the error was made. Turned round it is the tuple of an answer there, and the error goes the answer's way: what
 * the answer gets as its destination becomes the error's destination and the source inside it; what it gets as its
 * source becomes the error's source and the destination inside it. An error that no session knows is left as it is. The
 * node's own errors are about packets that may have no session yet: they quote what nat_undo makes of these.
 */
#include "nat_internal.h"

#include <fwdlab/core/checksum.h>

/* The headers inside; false when there are none, or not as far as the ports. */
static bool inner_view(const struct packet *p, struct nat_view *v) {
    uint32_t end = p->l3 + ntohs(packet_ipv4(p)->total_length), at = p->l4 + 8u; /* padding may follow the end */
    if (end > p->len)
        end = p->len;
    if (at + sizeof *v->ip > end)
        return false;
    *v = (struct nat_view){(struct ipv4_header *)(p->data + at), NULL, p->data + end};
    unsigned header = (v->ip->version_ihl & 15) * 4u;
    if (v->ip->version_ihl >> 4 != 4 || header < sizeof *v->ip || at + header > end)
        return false;
    if (v->ip->fragment & htons(IPV4_OFFSET))
        return false;
    v->l4 = p->data + at + header;
    return true;
}

/* The tuple of an answer to the packet inside. */
static struct nat_tuple answer_tuple(const struct nat_view *v) {
    struct nat_tuple t = {.src = v->ip->dst, .dst = v->ip->src};
    uint8_t proto = v->ip->proto;
    bool fixed = proto == PROTO_SCTP || proto == PROTO_DCCP || proto == PROTO_UDPLITE; /* not translated */
    const uint8_t *ports = fixed && v->l4 + 4 <= v->end ? v->l4 : NULL;
    const uint8_t *sport = ports ? ports : nat_port_field(v, true);
    const uint8_t *dport = ports ? ports + 2 : nat_port_field(v, false);
    t.sport = dport ? load16(dport) : 0;
    t.dport = sport ? load16(sport) : 0;
    return t;
}

static bool sums_up(const void *data, size_t len) {
    return checksum_fold(checksum_sum(data, len, 0)) == 0;
}

/*
 * Are the checksums of the error and of the header inside right (RFC 5508 REQ-3, a; the transport's is not looked at:
 * REQ-3 c)? The first needs all of the error. Linux looks at that one alone.
 */
static bool is_sound(const struct nat *n, const struct packet *p, const struct nat_view *v) {
    const uint32_t end = p->l3 + ntohs(packet_ipv4(p)->total_length);
    if (p->flags & PACKET_NO_CHECKSUM)
        return true;
    if (p->len >= end && !(p->flags & PACKET_FRAG_FIRST) && !sums_up(p->data + p->l4, end - p->l4))
        return false;
    return n->config.personality == NAT_CONNTRACK || sums_up(v->ip, (size_t)(v->l4 - (const uint8_t *)v->ip));
}

/*
 * The session that an error is about: it must be addressed to whom the packet inside came from. A broken one is
 * dropped; Linux sends it on as it is.
 */
static void find_session(struct nat *n, struct packet *p, uint64_t now) {
    struct nat_view v;
    if (!inner_view(p, &v) || v.ip->src != p->dst)
        return;
    struct nat_tuple answer = answer_tuple(&v);
    uint32_t value = nat_find_live(n, v.ip->proto, &answer, now);
    if (value == NAT_NONE)
        return;
    if (is_sound(n, p, &v))
        nat_meet(n, p, value);
    else if (n->config.personality == NAT_INTERFACE)
        packet_drop(p, DROP_NAT_ICMP_ERROR);
}

/* Changes one end of the packet inside, and the outer checksum with it. */
static void inner_set(struct packet *p, bool source, be32 addr, be16 port) {
    struct nat_view v;
    if (!inner_view(p, &v))
        return;
    const uint8_t *from = (const uint8_t *)v.ip;
    size_t size = (size_t)(v.l4 - from) + 18; /* as far as a TCP checksum */
    if (size > (size_t)(v.end - from))
        size = (size_t)(v.end - from);
    be16 before = (be16)~checksum_fold(checksum_sum(from, size, 0));
    nat_view_set(&v, source, addr, port);
    be16 after = (be16)~checksum_fold(checksum_sum(from, size, 0));
    uint8_t *outer = p->data + p->l4 + 2;
    store16(outer, checksum_update16(load16(outer), before, after));
}

void nat_icmp_in(struct nat *n, struct packet *p, uint64_t now) {
    nat_forget_session(p);
    find_session(n, p, now);
    if (!nat_has_session(p))
        return;
    const struct nat_record *r = nat_packet_session(n, p);
    bool reply = p->flags & PACKET_REPLY;
    struct nat_tuple before = r->way[reply], after = nat_after(r, reply);
    if (before.dst == after.dst && before.dport == after.dport)
        return;
    inner_set(p, true, after.dst, after.dport);
    nat_set_destination(p, after.dst, 0);
}

/*
 * About no session: from inside it must not leave (RFC 5508 REQ-5); from outside, to an outside address, it must go no
 * further than to the node itself (REQ-4).
 */
static bool is_stray(const struct nat *n, const struct packet *p) {
    if (p->in_port == PORT_NONE || p->out_port == PORT_NONE)
        return false;
    return (p->out_port == n->config.outside_port && !nat_is_outside(n, p->src) && !nat_is_untranslated(n, p->dst)) ||
           (p->in_port == n->config.outside_port && nat_is_outside(n, p->dst));
}

void nat_icmp_out(struct nat *n, struct packet *p, uint64_t now) {
    if (!nat_has_session(p))
        find_session(n, p, now); /* made in this burst */
    bool conntrack = n->config.personality == NAT_CONNTRACK;
    if (!nat_has_session(p)) {
        if (!conntrack && p->verdict == VERDICT_NONE && is_stray(n, p))
            packet_drop(p, DROP_NAT_ICMP_ERROR);
        return;
    }
    const struct nat_record *r = nat_packet_session(n, p);
    bool reply = p->flags & PACKET_REPLY;
    struct nat_tuple before = r->way[reply], after = nat_after(r, reply);
    bool outward = reply == !!(r->flags & NAT_FROM_OUTSIDE);
    if (!conntrack && outward && p->out_port != n->config.outside_port && !(r->flags & NAT_HAIRPIN))
        return nat_forget_session(p);
    if (before.src == after.src && before.sport == after.sport)
        return;
    inner_set(p, false, after.src, after.sport);
    nat_set_source(p, after.src, 0);
}

/* How a packet came in, by its session or by the mapping that let it in. */
static bool came_in(const struct nat *n, const struct packet *p, struct nat_tuple *t) {
    if (nat_via_mapping(p)) {
        const uint32_t node = nat_via_node(p);
        *t = nat_node_outside(n, node); /* the source was not changed */
        return n->records[node >> 1].kind != NAT_FREE && nat_node_outward(n, node)->src == p->dst;
    }
    if (!nat_has_session(p))
        return false;
    const struct nat_record *r = nat_packet_session(n, p);
    bool reply = p->flags & PACKET_REPLY;
    *t = r->way[reply];
    return r->kind == NAT_SESSION && r->proto == p->proto && nat_after(r, reply).dst == p->dst;
}

void nat_undo(const struct nat *n, const struct packet *dropped, struct ipv4_header *ip, size_t len) {
    struct nat_tuple before;
    if (!(dropped->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED)) || !came_in(n, dropped, &before))
        return;
    struct nat_view v = {ip, (uint8_t *)ip + (ip->version_ihl & 15) * 4u, (const uint8_t *)ip + len};
    if (dropped->flags & PACKET_SRC_CHANGED)
        nat_view_set(&v, true, before.src, before.sport);
    if (dropped->flags & PACKET_DST_CHANGED)
        nat_view_set(&v, false, before.dst, before.dport);
}
