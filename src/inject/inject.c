/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/fragment.h>
#include <fwdlab/core/icmp.h>
#include <fwdlab/inject/traffic.h>
#include "tracker.h"

/* Copies, translations, answers, and which packet must wait for which. Labels are indexes. */
static void learn(struct inject *in, struct book *b, const struct waiting *w, const struct flow_key *left) {
    struct nat_tuple outside;
    uint32_t number;
    if (book_learn(b, w, left, &outside, &number))
        vec_push(&in->mappings, (struct inject_mapping){w->proto, w->inside, outside, w->label >> 1});
}

static void relate(struct inject *in, struct joiner *j, struct book *b, uint32_t i) {
    struct inject_packet *p = &in->packets[i];
    struct relation r;
    if (p->kind != INJECT_ARRIVED && !(p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR))
        return;
    book_see(b, p, book_hash(&p->key), i << 1, &r);
    const bool apart = p->flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR);
    if (r.label != LABEL_NONE && (apart || r.replies))
        p->after = r.first >> 1;
    p->answer = r.answers ? r.mapping : INJECT_NONE;
    if (p->kind == INJECT_ARRIVED)
        joiner_name(j, i << 1, !apart && !r.replies);
}

void inject_track(struct inject *in) {
    size_t room = 16;
    while (room <= in->n)
        room *= 2;
    struct joiner *j = joiner_create(room);
    struct book *b = book_create(0);
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        uint32_t of;
        if (p->kind != INJECT_ARRIVED && p->kind != INJECT_OWN && p->kind != KIND_UNDECIDED)
            continue;
        const struct waiting *w = joiner_see(j, p, joiner_print(p), &of);
        if (of != LABEL_NONE)
            p->partner = of >> 1;
        if (w) {
            in->packets[p->partner].partner = i;
            learn(in, b, w, &p->key);
        }
        relate(in, j, b, i);
    }
    joiner_destroy(j);
    book_destroy(b);
}

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
    inject_track(in);
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

bool inject_pass_due(struct node *node, struct packet *p, uint8_t *data, uint16_t room, uint64_t now) {
    *p = (struct packet){.data = data, .room = room};
    if (!node_take_due(node, p))
        return false;
    forward(node, &p, 1, now);
    return true;
}

/* By the same code as a benchmark's answers (traffic.h). */
int inject_fit_inside(const struct inject_packet *from, uint8_t proto, const struct nat_tuple *inside,
                      struct packet *p, const struct nat *nat) {
    struct nat_session s;
    uint32_t session = nat_find(nat, proto, inside);
    if (session == UINT32_MAX || !nat_session_get(nat, session, &s))
        return -1;
    const struct traffic_slot slot = {.addr = s.reply.dst, .port = s.reply.dport, .known = 1};
    const struct traffic_packet as = {.len = (uint16_t)(p->len < UINT16_MAX ? p->len : UINT16_MAX), .l3 = from->l3,
                                      .l4 = from->l4, .family = from->key.family, .proto = from->key.proto};
    if (p->len >= from->l4) /* else the caller's room ends before the headers: the core will refuse it */
        traffic_fit(&slot, &as, p->data);
    return 1;
}

int inject_fit(const struct inject *in, uint32_t i, struct packet *p, const struct nat *nat) {
    const struct inject_packet *from = &in->packets[i];
    if (from->answer == INJECT_NONE || !nat)
        return 0;
    const struct inject_mapping *m = &in->mappings.v[from->answer];
    return inject_fit_inside(from, m->proto, &m->inside, p, nat);
}
