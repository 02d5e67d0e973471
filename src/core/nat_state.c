/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States of sessions and the timer that goes with each. TCP is followed by its flags alone, without windows:
 * NAT_STATE_TCP_SYN until both ends have acknowledged something, NAT_STATE_TCP_CLOSING after a reset or FIN (of one end
 * as Linux has it, of both as RFC 5382 REQ-5 has it). A SYN opens a closing connection again. With NAT_INTERFACE a
 * reset one goes on with any packet but a reset (RFC 7857, 2): resets may be forged, or be lost.
 */
#include "nat_internal.h"

#define UDP_STREAM_NS 2000000000u /* a UDP flow that is answered and older than this is a stream, as in Linux */

static uint8_t tcp_flags(const struct packet *p) {
    return p->l4 + 14u <= p->len ? p->data[p->l4 + 13] : 0;
}

bool nat_is_reset(const struct packet *p) {
    return p->proto == PROTO_TCP && tcp_flags(p) & TCP_RST;
}

bool nat_is_syn(const struct packet *p) {
    return p->proto == PROTO_TCP && (tcp_flags(p) & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
}

/* Linux: TCP by SYN, or by ACK in the middle (nf_conntrack_tcp_loose); ICMP by a request; all else by anything. */
bool nat_may_begin(const struct packet *p) {
    if (p->proto == PROTO_TCP) {
        uint8_t flags = tcp_flags(p) & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST);
        return flags == TCP_SYN || flags == TCP_ACK;
    }
    if (p->proto == PROTO_ICMP)
        return (p->flags & PACKET_PORTS) && nat_icmp_is_request(p->data[p->l4]);
    return true;
}

static enum nat_timer tcp_track(const struct nat *n, struct nat_record *r, uint8_t flags, bool reply) {
    bool linux_like = n->config.personality == NAT_CONNTRACK;
    if (flags & TCP_RST) {
        r->state = NAT_STATE_TCP_CLOSING;
        return TIMER_TCP_RESET;
    }
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && (r->state == NAT_STATE_TCP_CLOSING || r->state == NAT_STATE_NEW)) {
        r->state = NAT_STATE_TCP_SYN;
        r->flags &= (uint16_t)~(NAT_ACK_ORIGINAL | NAT_ACK_REPLY | NAT_FIN_ORIGINAL | NAT_FIN_REPLY);
    }
    /* Of one tick, the reset counts as the last one: whatever order the express stage made of them. */
    const bool revived = !linux_like && r->timer == TIMER_TCP_RESET && r->last != nat_tick(n->now);
    if (r->state == NAT_STATE_NEW || revived)
        r->state = NAT_STATE_TCP_SYN; /* or further, as what it has seen says */
    if (flags & TCP_ACK)
        r->flags |= (uint16_t)(NAT_ACK_ORIGINAL << reply);
    if (flags & TCP_FIN)
        r->flags |= (uint16_t)(NAT_FIN_ORIGINAL << reply);
    bool acked = (r->flags & NAT_ACK_ORIGINAL) && (r->flags & NAT_ACK_REPLY);
    bool fin = r->flags & NAT_FIN_ORIGINAL, fin_reply = r->flags & NAT_FIN_REPLY;
    if (r->state == NAT_STATE_TCP_CLOSING)
        return (enum nat_timer)r->timer;
    if (linux_like ? fin || fin_reply : fin && fin_reply)
        r->state = NAT_STATE_TCP_CLOSING;
    else if (acked)
        r->state = NAT_STATE_TCP_ESTABLISHED;
    return r->state == NAT_STATE_TCP_CLOSING       ? TIMER_TCP_CLOSING
           : r->state == NAT_STATE_TCP_ESTABLISHED ? TIMER_TCP_ESTABLISHED
                                                   : TIMER_TCP_TRANSITORY;
}

static enum nat_timer udp_timer(const struct nat *n, uint32_t i, uint64_t now) {
    const struct nat_record *r = &n->records[i];
    if (r->state != NAT_STATE_REPLIED || n->idle[TIMER_UDP] == n->idle[TIMER_UDP_STREAM])
        return TIMER_UDP;
    if (r->timer == TIMER_UDP_STREAM || nat_tick(now) - n->cold[i].first > UDP_STREAM_NS >> NAT_TICK_SHIFT)
        return TIMER_UDP_STREAM;
    return TIMER_UDP;
}

/* Whose packets change nothing but when the session was last used? */
static uint16_t steady(const struct nat *n, const struct nat_record *r) {
    const uint16_t both = NAT_STEADY_ORIGINAL | NAT_STEADY_REPLY;
    if (r->proto == PROTO_TCP)
        return r->state == NAT_STATE_TCP_ESTABLISHED ? both : 0;
    if (r->proto != PROTO_UDP)
        return 0;
    if (r->state == NAT_STATE_NEW)
        return NAT_STEADY_ORIGINAL;
    return r->timer == TIMER_UDP_STREAM || n->idle[TIMER_UDP] == n->idle[TIMER_UDP_STREAM] ? both : 0;
}

void nat_track_first(struct nat *n, const struct packet *p, uint64_t now) {
    struct nat_record *r = nat_packet_session(n, p);
    if (p->proto == PROTO_UDP)
        r->flags |= NAT_STEADY_ORIGINAL;
    else if (nat_is_syn(p))
        r->state = NAT_STATE_TCP_SYN;
    else
        nat_track(n, p, now);
}

void nat_track(struct nat *n, const struct packet *p, uint64_t now) {
    struct nat_record *r = nat_packet_session(n, p);
    bool reply = p->flags & PACKET_REPLY;
    enum nat_timer timer;
    if (p->proto == PROTO_TCP) {
        timer = tcp_track(n, r, tcp_flags(p), reply);
    } else {
        if (reply)
            r->state = NAT_STATE_REPLIED;
        timer = p->proto == PROTO_ICMP ? TIMER_ICMP : TIMER_OTHER;
        if (p->proto == PROTO_UDP)
            timer = udp_timer(n, p->session - 1, now);
    }
    nat_session_touch(n, p->session - 1, timer, now);
    r->flags = (uint16_t)((r->flags & ~(NAT_STEADY_ORIGINAL | NAT_STEADY_REPLY)) | steady(n, r));
}
