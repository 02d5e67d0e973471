/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States of TCP connections through NAT: behind a SYN that passed, both ends send segments with sequence numbers that
 * fit, sensible ones and others. After each the kernel's entry and the core's session must be there or not, in the same
 * state, and with the same time left.
 */
#include "nat_internal.h"
#include "reasons.h"
#include "states.h"
#include "traffic.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

enum { CLIENT, SERVER };
#define STEPS_MAX 14
#define SLACK 2 /* seconds: both round */

struct talk { /* a connection, as its segments enter the router */
    struct frame in;             /* the SYN, as it came */
    struct frame kernel, core;   /* and as it left */
    struct nat_tuple tuple;
    uint32_t seq[2], iss[2];     /* the next one's, and the SYN's */
    bool syn[2];                 /* sent */
    bool wild;                   /* segments need not fit */
    bool open, fin[2], closed;   /* both ends have sent ACK; FIN; and acknowledged that */
    bool reset;
    bool unruly, refused;        /* a segment did not fit; a reset was all that answered */
};

bool session_get(const struct lab *lab, uint8_t proto, const struct nat_tuple *original, uint64_t now, uint8_t *state,
                 uint32_t *left) {
    const struct nat *n = lab->node.nat;
    uint32_t i = nat_find(n, proto, original);
    if (i == UINT32_MAX)
        return false;
    const struct nat_record *r = &n->records[i];
    *state = r->state;
    *left = (uint32_t)(((uint64_t)(n->idle[r->timer] - (nat_tick(now) - r->last)) << NAT_TICK_SHIFT) / NS_PER_S);
    return true;
}

/* ---- segments ---- */

/* What comes next, most often something sensible. */
static uint8_t draw_flags(struct traffic *t, const struct talk *c, unsigned *from) {
    const uint8_t begin[] = {TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST | TCP_ACK},
                  then[] = {TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK,
                            TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST | TCP_ACK},
                  any[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST, TCP_FIN, TCP_ACK, TCP_FIN | TCP_ACK};
    *from = below(t, 2);
    if (c->wild && chance(t, 30))
        return any[below(t, sizeof any)];
    if (c->closed && chance(t, 50)) {
        *from = CLIENT;
        return TCP_SYN;
    }
    if (!c->syn[SERVER])
        return *from == CLIENT ? TCP_SYN : begin[below(t, sizeof begin)];
    return *from == SERVER && !c->open ? begin[below(t, sizeof begin)] : then[below(t, sizeof then)];
}

void segment_write(const struct frame *like, bool turn, uint16_t port, const struct lab *lab, const struct segment *s,
                   struct frame *f) {
    const uint8_t *ip = like->byte + ETHERNET, *ports = ip + (ip[0] & 15) * 4;
    const uint32_t size = (s->proto == PROTO_TCP ? 20 : 8) + s->payload;
    const be32 seq = htonl(s->seq), ack = htonl(s->flags & TCP_ACK ? s->ack : 0);
    uint8_t *to = f->byte + ETHERNET, *l4 = to + 20;
    struct draft d = {.family = FAMILY_IPV4, .proto = s->proto, .byte = to, .header = 20, .len = 20 + size};
    memset(f, 0, sizeof *f);
    f->port = port;
    f->len = ETHERNET + d.len;
    memcpy(f->byte, &lab->node.ports[port].mac, 6);
    f->byte[6] = 2;
    put16(f->byte + 12, 0x0800);
    memcpy(to, (uint8_t[]){0x45, 0, 0, 0, 0, 0, 0, 0, 64, s->proto}, 10);
    put16(to + 2, d.len);
    memcpy(to + 12, ip + (turn ? 16 : 12), 4);
    memcpy(to + 16, ip + (turn ? 12 : 16), 4);
    memcpy(&d.src.v4, to + 12, 4);
    memcpy(&d.dst.v4, to + 16, 4);
    memcpy(l4, ports + (turn ? 2 : 0), 2);
    memcpy(l4 + 2, ports + (turn ? 0 : 2), 2);
    if (s->proto == PROTO_TCP) {
        memcpy(l4 + 4, &seq, 4);
        memcpy(l4 + 8, &ack, 4);
        l4[12] = 0x50;
        l4[13] = s->flags;
        put16(l4 + 14, 8192);
    } else {
        put16(l4 + 4, size);
    }
    checksum_l4(&d, l4, size);
    seal(to, d.len);
}

/* Takes note of how a segment fits where the connection stands. */
static void follow(struct talk *c, unsigned from, uint8_t flags) {
    const bool syn = flags & TCP_SYN, ack = flags & TCP_ACK, rst = flags & TCP_RST;
    if (from == CLIENT && flags == TCP_SYN && c->closed) {
        *c = (struct talk){.in = c->in, .kernel = c->kernel, .core = c->core, .tuple = c->tuple, .wild = c->wild,
                           .unruly = c->unruly};
        return;
    }
    c->refused |= rst && !c->syn[SERVER];
    c->unruly |= syn && (from == CLIENT ? ack || c->syn[SERVER] : !ack || c->open); /* no question, no answer */
    c->unruly |= !syn && !rst && (!ack || !c->syn[SERVER] || (from == SERVER && !c->open));
    c->open |= from == CLIENT && ack && c->syn[SERVER];
    c->reset |= rst;
    c->closed = c->fin[CLIENT] && c->fin[SERVER] && ack && !c->reset && !(flags & TCP_FIN);
    c->fin[from] |= flags & TCP_FIN;
}

/* The next segment, as each of the two routers gets it; `path` is told of it. */
static void draw_segment(struct traffic *t, struct talk *c, struct frame *kernel, struct frame *core, char *path) {
    unsigned from;
    const uint8_t flags = draw_flags(t, c, &from);
    snprintf(path + strlen(path), STATES_PATH - strlen(path), " %s%02x", from == CLIENT ? "c" : "s", flags);
    follow(c, from, flags);
    const uint32_t n = flags & TCP_PSH ? 1 + below(t, 30) : 0;
    if (flags & TCP_SYN && !c->syn[from])
        c->iss[from] = c->seq[from] = (uint32_t)random_u64(&t->random);
    const uint32_t seq = flags & TCP_SYN ? c->iss[from] : c->seq[from];
    const uint16_t port = from == CLIENT ? c->in.port : c->kernel.port;
    const struct segment what = {PROTO_TCP, flags, seq, c->seq[!from], n};
    segment_write(from == CLIENT ? &c->in : &c->kernel, from == SERVER, port, t->lab, &what, kernel);
    segment_write(from == CLIENT ? &c->in : &c->core, from == SERVER, port, t->lab, &what, core);
    if (flags & TCP_SYN && c->syn[from])
        return; /* sent again */
    c->syn[from] |= flags & TCP_SYN;
    c->seq[from] += n + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

/* ---- the comparison ---- */

const char *const state_reasons[] = {"reset-unanswered", "dropped-segment", NULL};

static uint8_t state_of(uint8_t tcp_state) {
    switch (tcp_state) {
    case TCP_CONNTRACK_SYN_SENT:
    case TCP_CONNTRACK_SYN_RECV:
    case TCP_CONNTRACK_SYN_SENT2:
        return NAT_STATE_TCP_SYN;
    case TCP_CONNTRACK_ESTABLISHED:
        return NAT_STATE_TCP_ESTABLISHED;
    default:
        return NAT_STATE_TCP_CLOSING;
    }
}

static bool states_equal(const struct lab *lab, const struct nat_tuple *tuple, uint64_t now, char *text, size_t size) {
    struct tracked k = {0};
    uint8_t state = 0;
    uint32_t left = 0;
    bool in_kernel = conntrack_get(PROTO_TCP, tuple, &k);
    bool in_core = session_get(lab, PROTO_TCP, tuple, now, &state, &left);
    snprintf(text, size, "kernel: %s state %u, %u s left; core: %s state %u, %u s left",
             in_kernel ? "has it," : "none,", k.tcp_state, k.left, in_core ? "has it," : "none,", state, left);
    if (!in_kernel || !in_core)
        return in_kernel == in_core;
    return state_of(k.tcp_state) == state && k.left <= left + SLACK && left <= k.left + SLACK;
}

bool states_possible(const struct trial *t, const struct frame *to_kernel) {
    const uint8_t *ip = t->in->byte + ETHERNET;
    return t->lab->node.nat && t->after->family == FAMILY_IPV4 && t->after->proto == PROTO_TCP && ip[0] == 0x45 &&
           t->after->verdict == VERDICT_FORWARD && t->kernel->n == 1 && t->core->n == 1 && ip[20 + 13] == TCP_SYN &&
           !(t->after->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER)) && ip[20 + 12] == 0x50 &&
           memcmp(ip + 12, ip + 16, 4) && /* to itself: reasons.tsv */
           ((uint32_t)ip[2] << 8 | ip[3]) >= 40 && !memcmp(to_kernel->byte, t->in->byte, t->in->len) &&
           t->kernel->frames[0].port == t->core->frames[0].port;
}

static void begin(const struct trial *t, struct talk *c) {
    const uint8_t *ip = t->in->byte + ETHERNET, *tcp = ip + 20;
    *c = (struct talk){.in = *t->in, .kernel = t->kernel->frames[0], .core = t->core->frames[0], .syn = {true}};
    memcpy(&c->tuple.src, ip + 12, 8);
    memcpy(&c->tuple.sport, tcp, 4);
    memcpy(&c->iss[CLIENT], tcp + 4, 4);
    c->iss[CLIENT] = ntohl(c->iss[CLIENT]);
    c->seq[CLIENT] = c->iss[CLIENT] + 1 + ((uint32_t)ip[2] << 8 | ip[3]) - 40;
}

/* Sends a segment through both and looks at what became of it and of the connection. False: they differ. */
static bool step(struct traffic *traffic, struct kernel *k, struct lab *lab, struct talk *c, struct states *out,
                 bool *goes_on) {
    static struct frame to_kernel, to_core;
    static struct outcome kernel, core;
    struct packet after;
    draw_segment(traffic, c, &to_kernel, &to_core, out->path);
    *goes_on = !traffic_rests(traffic, &to_core);
    if (!*goes_on)
        return true;
    const struct trial t = {lab, &to_core, &kernel, &core, &after, clock_now()};
    kernel_run(k, &to_kernel, &kernel);
    core_run(lab, &to_core, t.now, &core, &after);
    traffic_count_errors(traffic, &after);
    out->steps++;
    *goes_on = after.verdict != VERDICT_DROP;
    const bool same = agree(&t);
    const char *reason = same ? NULL : reason_of(&t);
    if (!same && !(reason && !strcmp(reason, "nat-port"))) {
        out->reason = !reason && c->unruly ? "tcp-tracking" : reason;
        snprintf(out->text, sizeof out->text, "a segment differs");
        return false;
    }
    if (states_equal(lab, &c->tuple, t.now, out->text, sizeof out->text))
        return true;
    out->reason = c->unruly    ? "tcp-tracking"
                  : c->refused ? "reset-unanswered"
                  : !*goes_on  ? "dropped-segment"
                               : NULL;
    return false;
}

bool states_compare(struct traffic *traffic, struct kernel *k, const struct trial *first, struct states *out) {
    static struct talk c;
    struct nat_session s;
    begin(first, &c);
    c.wild = chance(traffic, 40);
    *out = (struct states){0};
    const uint32_t i = nat_find(first->lab->node.nat, PROTO_TCP, &c.tuple);
    if (!nat_session_get(first->lab->node.nat, i, &s) || nat_tick(s.first) != nat_tick(first->now))
        return true; /* an older connection, whose state is anything */
    bool same = states_equal(first->lab, &c.tuple, first->now, out->text, sizeof out->text), goes_on = same;
    for (unsigned n = 2 + below(traffic, STEPS_MAX - 1); same && goes_on && n > 0; n--)
        same = step(traffic, k, first->lab, &c, out, &goes_on);
    return same;
}
