/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP of a flow: handshake and its round trip, retransmissions, segments out of order.
 * Each packet is looked at once. */
#include <string.h>
#include <fwdlab/base/clock.h>
#include "analyze.h"

#define REORDER_NS 3000000ull /* a hole filled sooner than this was reordered, later: retransmitted */

static uint32_t get32(const uint8_t *p) {
    be32 v;
    memcpy(&v, p, 4);
    return ntohl(v);
}

static void see_handshake(struct analysis *a, struct flow *f, unsigned way, uint8_t flags, uint32_t seq, uint64_t now) {
    bool syn = way == 0 && (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    if (syn && (!(f->handshake & TCP_SEEN_SYN) || f->syn_seq != seq)) { /* another number: the ports are used again */
        f->handshake = TCP_SEEN_SYN;
        f->syn_time = now;
        f->syn_seq = seq;
        f->way[0].seq_valid = f->way[1].seq_valid = false;
    } else if (way == 1 && (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && f->handshake == TCP_SEEN_SYN) {
        f->handshake |= TCP_SEEN_SYN_ACK;
    } else if (way == 0 && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK &&
               f->handshake == (TCP_SEEN_SYN | TCP_SEEN_SYN_ACK)) {
        f->handshake |= TCP_SEEN_ACK;
        a->handshakes++;
        vec_push(&a->rtt_ns, (double)(now - f->syn_time));
    }
}

bool tcp_answers(const struct inject_packet *p) {
    if (p->key.proto != PROTO_TCP || p->flags & PACKET_FRAG_LATER || p->raw->len < p->l4 + 14u)
        return false;
    return (p->raw->data[p->l4 + 13] & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

void tcp_see(struct analysis *a, uint32_t packet, struct flow *f, unsigned way) {
    const struct inject_packet *p = &a->in->packets[packet];
    if (p->flags & PACKET_FRAG_LATER || p->raw->len < p->l4 + 14u)
        return;
    const struct ipv4_header *ip = (const struct ipv4_header *)(p->raw->data + p->l3);
    const uint8_t *tcp = p->raw->data + p->l4;
    uint8_t flags = tcp[13];
    uint32_t header = (unsigned)(p->l4 - p->l3) + (tcp[12] >> 4) * 4u, total = ntohs(ip->total_length);
    uint32_t seq = get32(tcp + 4),
             len = (total > header ? total - header : 0) + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
    uint64_t now = inject_time(a->in, packet);
    struct direction *d = &f->way[way];
    see_handshake(a, f, way, flags, seq, now);
    if (flags & TCP_ACK && !(flags & TCP_RST)) {
        uint32_t ack = get32(tcp + 8);
        d->acked |= !(flags & TCP_SYN) && (f->handshake & TCP_SEEN_SYN || (d->ack_valid && ack != d->first_ack));
        if (!d->ack_valid)
            d->first_ack = ack;
        d->ack_valid = true;
    }
    if (!len || flags & TCP_RST)
        return;
    if (!d->seq_valid || (int32_t)(seq + len - d->seq_end) > 0) {
        d->seq_valid = true;
        d->seq_end = seq + len;
        d->seq_time = now;
    } else if (now - d->seq_time < REORDER_NS && seq + len != d->seq_end) {
        a->out_of_order++;
    } else {
        a->retransmissions++;
    }
}
