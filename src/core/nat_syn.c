/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNs from outside that nothing lets in (RFC 5382 REQ-4): they wait for six seconds. When an inside host has opened
 * the same connection meanwhile, its own SYN met this one on the way (simultaneous open), and this one is dropped
 * without a word; else it is dropped and its sender is told, by ICMP port unreachable. Its repetitions are dropped
 * while it waits, and so is what comes beyond the store's bound: nobody is told early.
 */
#include "nat_held.h"
#include "nat_internal.h"

#define SYN_WAITS_NS UINT64_C(6000000000)

static unsigned syns_due(struct nat *n) {
    return nat_held_due(n->syns, n->now > SYN_WAITS_NS ? n->now - SYN_WAITS_NS : 0);
}

static bool may_wait(const struct nat *n, const struct packet *p) {
    return p->in_port == n->config.outside_port && nat_is_syn(p) && !(p->flags & (PACKET_FRAG_FIRST | PACKET_OPTIONS));
}

/* As it came in. */
static void hold(struct nat *n, struct packet *p, uint64_t now) {
    const struct nat_datagram syn = {p->src, p->dst, (uint32_t)p->sport << 16 | p->dport, PROTO_TCP};
    syns_due(n);
    if (nat_held_waiting(n->syns) == NAT_HELD_WAITING || !nat_held_add(n->syns, &syn, p, 1, now)) {
        packet_drop(p, DROP_NAT_FILTERED);
        return;
    }
    p->verdict = VERDICT_HELD;
    n->stats.held++;
}

/* Ports beyond the NAT's range are the node's own. */
__attribute__((cold)) void nat_syn_without_mapping(struct nat *n, struct packet *p, uint64_t now) {
    const uint16_t port = ntohs(p->dport);
    if (may_wait(n, p) && nat_is_outside(n, p->dst) && port >= n->config.port_min && port <= n->config.port_max)
        hold(n, p, now);
}

__attribute__((cold)) bool nat_syn_filtered(struct nat *n, struct packet *p, const struct nat_tuple *came,
                                            uint64_t now) {
    if (!n->syns || !may_wait(n, p))
        return false;
    nat_set_destination(p, came->dst, came->dport);
    p->flags &= (uint16_t)~PACKET_DST_CHANGED;
    hold(n, p, now);
    return true;
}

/* Its time is over. What began in this very tick came too late: whatever order the caller made of them. */
static void waited(struct nat *n, struct packet *p, uint64_t now) {
    const struct nat_tuple came = nat_packet_tuple(p);
    const uint32_t value = nat_find_live(n, p->proto, &came, now);
    const bool met = value != NAT_NONE && n->cold[value >> 1].first != nat_tick(now);
    nat_forget_session(p);
    packet_drop(p, met ? DROP_NAT_FILTERED : DROP_NAT_UNSOLICITED);
}

__attribute__((noinline)) void nat_held_in(struct nat *n, struct packet *p, uint64_t now) {
    if (p->flags & PACKET_FRAG_LATER)
        nat_fragment_in(n, p, now);
    else
        waited(n, p, now);
}

/* ---- whatever waits ---- */

unsigned nat_due(struct nat *n) {
    return (n->held ? nat_fragments_due(n) : 0) + (n->syns ? syns_due(n) : 0);
}

bool nat_take_due(struct nat *n, struct packet *p) {
    return (n->held && nat_fragments_due(n) && nat_held_take(n->held, p)) ||
           (n->syns && syns_due(n) && nat_held_take(n->syns, p));
}

void nat_forget_held(struct nat *n) {
    if (n->held)
        nat_held_clear(n->held);
    if (n->syns)
        nat_held_clear(n->syns);
}
