/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/fragment.h>
#include <fwdlab/core/icmp.h>
#include "inject.h"

static void count(struct inject *in) {
    for (uint32_t i = 0; i < in->n; i++) {
        const struct inject_packet *p = &in->packets[i];
        in->arrived += p->kind == INJECT_ARRIVED;
        in->copies += p->kind == INJECT_COPY;
        in->own += p->kind == INJECT_OWN;
        in->malformed += p->kind == INJECT_MALFORMED;
        in->ignored += p->kind == INJECT_IGNORED;
        in->elsewhere += p->kind == INJECT_ELSEWHERE;
        if (p->kind == INJECT_MALFORMED || p->kind == INJECT_IGNORED)
            in->by_reason[p->reason]++;
    }
}

struct inject *inject_create(struct trace_memory *trace, const struct control *c, uint32_t node, struct err *e) {
    struct inject *in = xzalloc(1, sizeof *in);
    in->trace = trace;
    if (classify(in, c, node, e)) {
        inject_destroy(in);
        return NULL;
    }
    join_copies(in);
    relate(in);
    count(in);
    return in;
}

void inject_destroy(struct inject *in) {
    if (!in)
        return;
    trace_memory_destroy(in->trace);
    vec_free(&in->mappings);
    free(in->packets);
    free(in);
}

void inject_fill(const struct inject *in, uint32_t i, struct packet *p, uint8_t *data, uint32_t room) {
    const struct inject_packet *from = &in->packets[i];
    uint32_t len = from->raw->len < room ? from->raw->len : room;
    memcpy(data, from->raw->data, len);
    *p = (struct packet){.data = data, .len = len, .wire_len = from->raw->wire_len, .in_port = from->port,
                         .out_port = PORT_NONE, .path = ROUTE_NONE, .tag = i};
    p->room = (uint16_t)(room - len < UINT16_MAX ? room - len : UINT16_MAX);
    p->flags = from->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM);
}

/* The error that the sender of a dropped packet is told, on its own way through the node. */
static void send_error(struct node *node, const struct packet *dropped, uint64_t now, struct inject_verdict *v) {
    uint8_t data[ICMP_ERROR_MAX];
    struct packet error = {.data = data, .room = sizeof data};
    if (!icmp_error(node, dropped, &error, now))
        return;
    forward_own(node, &error, now);
    v->error = true;
    v->error_type = data[error.l4];
    v->error_code = data[error.l4 + 1];
    v->error_port = error.verdict == VERDICT_FORWARD ? error.out_port : PORT_NONE;
}

void inject_settle(struct node *node, const struct packet *p, uint64_t frame, uint64_t now, struct inject_verdict *v) {
    *v = (struct inject_verdict){.frame = frame, .verdict = p->verdict, .reason = p->reason, .in_port = p->in_port,
                                 .out_port = PORT_NONE, .error_port = PORT_NONE};
    packet_key(p, &v->key);
    if (p->verdict == VERDICT_FORWARD) {
        unsigned pieces = fragment_count(node, p);
        v->out_port = p->out_port;
        v->fragments = (uint8_t)(pieces < UINT8_MAX ? pieces : UINT8_MAX);
    } else if (p->verdict == VERDICT_DROP) {
        send_error(node, p, now, v);
    }
}

/* Offset of the L4 checksum, 0 when there is none to keep. */
static unsigned checksum_offset(uint8_t proto) {
    return proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : proto == PROTO_ICMP ? 2 : 0;
}

static void set16(uint8_t *at, be16 value) {
    memcpy(at, &value, 2);
}
static be16 get16(const uint8_t *at) {
    be16 v;
    memcpy(&v, at, 2);
    return v;
}

/* A new port or identifier, and a new address in the pseudo header, with the L4 checksum where it is there. */
static void set_port(uint8_t *l4, const uint8_t *end, uint8_t proto, unsigned offset, be32 from, be32 to, be16 port) {
    uint8_t *sum = l4 + checksum_offset(proto);
    be16 old = get16(l4 + offset);
    set16(l4 + offset, port);
    if (sum + 2 > end || sum == l4 || (proto == PROTO_UDP && get16(sum) == 0))
        return;
    be16 s = proto == PROTO_ICMP ? get16(sum) : checksum_update32(get16(sum), from, to);
    s = checksum_update16(s, old, port);
    set16(sum, proto == PROTO_UDP && s == 0 ? 0xffff : s);
}

/* A new destination for the answer: address, and port or identifier, with both checksums. */
static void redirect(const struct inject_packet *from, struct packet *p, be32 dst, be16 port) {
    struct ipv4_header *ip = (struct ipv4_header *)(p->data + from->l3);
    unsigned offset = from->key.proto == PROTO_ICMP ? 4 : 2;
    bool ports = from->flags & PACKET_PORTS;
    if (p->len < from->l4 + (ports ? offset + 2 : 0)) /* the caller's room ends before them: the core will refuse it */
        return;
    be32 old = ip->dst;
    ip->checksum = checksum_update32(ip->checksum, old, dst);
    ip->dst = dst;
    if (ports)
        set_port(p->data + from->l4, p->data + p->len, from->key.proto, offset, old, dst, port);
}

/* The same for an ICMP error: the packet inside it must look as the core sent it. */
static void redirect_error(const struct inject_packet *from, struct packet *p, be32 addr, be16 port) {
    struct flow_key inner;
    uint32_t l3, l4;
    if (!inject_inner(from, &inner, &l3, &l4) || p->len < l4 + 8)
        return;
    uint8_t proto = inner.proto;
    struct ipv4_header *outer = (struct ipv4_header *)(p->data + from->l3), *ip = (struct ipv4_header *)(p->data + l3);
    uint32_t end = from->l3 + ntohs(outer->total_length), covered = l4 + 18; /* as far as a TCP checksum */
    end = end < p->len ? end : p->len;
    covered = (covered < end ? covered : end) - l3;
    uint8_t *sum = p->data + from->l4 + 2;
    be16 before = (be16)~checksum_fold(checksum_sum(ip, covered, 0));
    be32 old = ip->src;
    outer->checksum = checksum_update32(outer->checksum, outer->dst, addr);
    outer->dst = addr;
    ip->checksum = checksum_update32(ip->checksum, old, addr);
    ip->src = addr;
    if (checksum_offset(proto))
        set_port(p->data + l4, p->data + end, proto, proto == PROTO_ICMP ? 4 : 0, old, addr, port);
    be16 after = (be16)~checksum_fold(checksum_sum(ip, covered, 0));
    set16(sum, checksum_update16(get16(sum), before, after));
}

int inject_fit(const struct inject *in, uint32_t i, struct packet *p, const struct nat *nat) {
    const struct inject_packet *from = &in->packets[i];
    if (from->answer == INJECT_NONE || !nat)
        return 0;
    const struct inject_mapping *m = &in->mappings.v[from->answer];
    struct nat_session s;
    uint32_t session = nat_find(nat, m->proto, &m->inside);
    if (session == UINT32_MAX || !nat_session_get(nat, session, &s))
        return -1;
    be16 port = s.reply.dport; /* of ICMP queries too: a tuple of the answer is the other one turned round */
    if (from->flags & PACKET_ICMP_ERROR)
        redirect_error(from, p, s.reply.dst, port);
    else
        redirect(from, p, s.reply.dst, port);
    return 1;
}
