/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP of a connection: each segment is looked at once, and nothing but numbers is kept of it. */
#include "tcp.h"

#include <assert.h>
#include <string.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/core/parse.h>

#define FAST_NS 20000000u   /* a fast retransmission comes sooner after the duplicate ACKs */
#define REORDER_NS 3000000u /* what was reordered comes sooner after its successor, where no round trip is known */
#define MANY UINT32_MAX     /* duplicate ACKs: as many as it takes, none of them seen */

/* tcp_way.seen */
enum { SEEN_BASE = 1, SEEN_SEGMENT = 2, SEEN_SYN = 4, SEEN_SYN_ACK = 8, SEEN_FIN = 16,
       LAST_KEEP_ALIVE = 32 }; /* so was the latest segment */

static_assert(sizeof(struct tcp_flow) <= 128, "two cache lines");

const char *tcp_state_name(enum tcp_state s) {
    static const char *const names[] = {"none", "syn sent", "syn received", "established", "closing", "closed",
                                        "aborted"};
    return names[s];
}

static inline uint32_t read32(const uint8_t *p) {
    be32 v;
    memcpy(&v, p, sizeof v);
    return ntohl(v);
}

bool tcp_segment_read(const uint8_t *header, uint32_t present, uint32_t total, uint64_t time_ns,
                      struct tcp_segment *out) {
    if (present < 16)
        return false;
    uint32_t length = (header[12] >> 4) * 4u;
    if (length < 20 || length > total)
        return false;
    *out = (struct tcp_segment){.time_ns = time_ns, .seq = read32(header + 4), .ack = read32(header + 8),
                                .len = total - length, .window = (uint16_t)(header[14] << 8 | header[15]),
                                .flags = header[13]};
    return true;
}

/* a stands before b, modulo 2^32 */
static inline bool before(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}

static inline bool is_syn(const struct tcp_segment *s) {
    return (s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

bool tcp_begins_anew(const struct tcp_flow *f, unsigned way, const struct tcp_segment *s) {
    return is_syn(s) && f->way[way].seen & SEEN_BASE && f->way[way].base != s->seq;
}

/* Where the numbers begin, and what a SYN of known number does: it takes back what a reset had set as next. */
static void begin(struct tcp_way *me, struct tcp_way *you, const struct tcp_segment *s) {
    if (!(me->seen & SEEN_BASE))
        me->base = s->flags & TCP_SYN ? s->seq : s->seq - 1;
    else if (is_syn(s))
        me->next = me->contiguous;
    else if (s->flags & TCP_SYN)
        me->base = s->seq;
    me->seen |= SEEN_BASE;
    if (!(you->seen & SEEN_BASE) && s->flags & TCP_ACK) {
        you->base = s->ack - 1;
        you->seen |= SEEN_BASE;
    }
}

/* What the header alone says, before payload is looked at. */
static inline unsigned judge_header(struct tcp_way *me, const struct tcp_way *you, const struct tcp_segment *s) {
    unsigned events = 0;
    const bool control = s->flags & (TCP_SYN | TCP_FIN | TCP_RST);
    if (s->window == 0 && !control)
        events |= TCP_ZERO_WINDOW;
    if (s->seq == me->next) {
        if (s->len == 0 && !control && s->window && s->window == me->window && s->ack == me->last_ack &&
            me->seen & SEEN_SEGMENT && !(you->seen & LAST_KEEP_ALIVE)) {
            me->duplicates = me->duplicates == MANY ? 1 : me->duplicates + 1;
            events |= TCP_DUPLICATE_ACK;
        }
    } else if (me->next && before(me->next, s->seq)) {
        events |= s->flags & TCP_RST ? 0 : TCP_LOST_SEGMENT;
    } else if (s->seq == me->next - 1 && s->len <= 1 && !control) {
        events |= TCP_KEEP_ALIVE;
    }
    return events;
}

/*
 * An acknowledgement beyond what was seen without a gap: the gap was filled uncaptured. Where there was none, the other
 * way is behind as a whole, and what follows is taken for asked for.
 */
static inline void note_ack(struct tcp_way *me, struct tcp_way *you, const struct tcp_segment *s) {
    if (s->ack != me->last_ack)
        me->duplicates = 0;
    if (s->flags & TCP_ACK && you->contiguous && before(you->contiguous, s->ack)) {
        if (before(you->contiguous, you->next))
            you->contiguous = you->next;
        else
            you->duplicates = MANY;
    }
}

/* A segment with payload, SYN or FIN that begins before next, or whose payload was acknowledged. */
static unsigned judge_again(const struct tcp_flow *f, const struct tcp_way *me, const struct tcp_way *you,
                            const struct tcp_segment *s, uint32_t end) {
    if (s->len && you->last_ack && !before(you->last_ack, s->seq + s->len))
        return TCP_RETRANSMISSION | TCP_SPURIOUS_RETRANSMISSION;
    if (!me->next || !before(s->seq, me->next) || (s->len > 1 && s->seq == me->next - 1))
        return 0;
    if (you->duplicates >= 2 && you->last_ack == s->seq && s->time_ns - you->last_ns < FAST_NS)
        return TCP_RETRANSMISSION | TCP_FAST_RETRANSMISSION;
    const uint64_t reorder_ns = f->rtt_ns ? f->rtt_ns : REORDER_NS;
    return end != me->next && s->time_ns - me->next_ns < reorder_ns ? TCP_OUT_OF_ORDER : TCP_RETRANSMISSION;
}

static unsigned advance_state(struct tcp_flow *f, struct tcp_way *me, const struct tcp_way *you,
                              const struct tcp_segment *s) {
    unsigned events = 0;
    if (s->flags & TCP_RST) {
        f->resets++;
        f->state = f->state == TCP_CLOSED ? TCP_CLOSED : TCP_ABORTED;
        return 0;
    }
    if (is_syn(s)) {
        me->seen |= SEEN_SYN;
        if (f->state == TCP_NONE || f->state == TCP_ABORTED)
            f->state = TCP_SYN_SENT;
    } else if (s->flags & TCP_SYN) {
        me->seen |= SEEN_SYN_ACK;
        if (f->state <= TCP_SYN_SENT)
            f->state = TCP_SYN_RECEIVED;
    } else if (f->state < TCP_ESTABLISHED &&
               (s->len || f->state == TCP_NONE || me->seen & SEEN_SYN || you->seen & SEEN_SYN_ACK)) {
        if (s->flags & TCP_ACK && me->seen & SEEN_SYN && you->seen & SEEN_SYN_ACK)
            events = TCP_HANDSHAKE;
        f->state = TCP_ESTABLISHED;
    }
    if (s->flags & TCP_FIN && f->state != TCP_ABORTED) {
        me->seen |= SEEN_FIN;
        f->state = you->seen & SEEN_FIN ? TCP_CLOSED : TCP_CLOSING;
    }
    return events;
}

/* Does this acknowledgement prove the other side? The number that was taken as its first may have been made up. */
static inline bool proves(const struct tcp_way *me, const struct tcp_way *you, const struct tcp_segment *s) {
    return me->seen & SEEN_SYN || s->ack != you->base + 1;
}

/* What is not Wireshark's: state, handshake, what was acknowledged; and the round trip. */
static unsigned advance(struct tcp_flow *f, unsigned way, const struct tcp_segment *s) {
    struct tcp_way *me = &f->way[way];
    const struct tcp_way *you = &f->way[!way];
    if (is_syn(s))
        f->syn_ns = s->time_ns;
    else if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_ACK && f->syn_ns && !f->rtt_ns && s->time_ns > f->syn_ns)
        f->rtt_ns = s->time_ns - f->syn_ns;
    if ((s->flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK)
        f->acked[way] |= proves(me, you, s);
    const unsigned events = advance_state(f, me, you, s);
    f->settled = f->state >= TCP_ESTABLISHED && me->seen & you->seen & SEEN_SEGMENT && (f->rtt_ns || !f->syn_ns);
    return events;
}

static __attribute__((noinline)) unsigned note_any(struct tcp_flow *f, unsigned way, const struct tcp_segment *s) {
    struct tcp_way *me = &f->way[way], *you = &f->way[!way];
    const uint32_t counted = !!(s->flags & (TCP_SYN | TCP_FIN)), end = s->seq + s->len + counted;
    if (s->flags & TCP_SYN || !(me->seen & you->seen & SEEN_BASE))
        begin(me, you, s);
    const bool probe = s->len == 1 && s->seq == me->next && you->seen & SEEN_SEGMENT && you->window == 0;
    unsigned events = probe ? 0 : judge_header(me, you, s);
    note_ack(me, you, s);
    if ((s->len || counted) && !(events & TCP_KEEP_ALIVE))
        events |= judge_again(f, me, you, s, end);
    f->retransmissions += !!(events & TCP_RETRANSMISSION);
    f->out_of_order += !!(events & TCP_OUT_OF_ORDER);

    if (!probe && (!me->next || before(me->next, end))) {
        me->next = end;
        me->next_ns = s->time_ns;
    }
    if (!probe && (!me->contiguous || s->seq == me->contiguous))
        me->contiguous = me->next;
    me->window = s->window;
    me->last_ack = s->ack;
    me->last_ns = s->time_ns;
    me->seen &= (uint8_t)~LAST_KEEP_ALIVE;
    me->seen |= SEEN_SEGMENT | (events & TCP_KEEP_ALIVE ? LAST_KEEP_ALIVE : 0);
    return events | advance(f, way, s);
}

/* Nearly all segments are in order, of a connection that stands, with nothing to be said of them. False: is another. */
static inline bool note_ordinary(struct tcp_flow *f, unsigned way, const struct tcp_segment *s) {
    struct tcp_way *me = &f->way[way];
    const struct tcp_way *you = &f->way[!way];
    const uint32_t end = s->seq + s->len;
    if (!f->settled || (s->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK || s->seq != me->next ||
        s->seq != me->contiguous || !s->seq || !s->window || !you->window || before(you->contiguous, s->ack))
        return false;
    if (s->len == 0 ? s->ack == me->last_ack && s->window == me->window : !before(you->last_ack, end))
        return false;
    if (s->ack != me->last_ack) {
        me->last_ack = s->ack;
        me->duplicates = 0;
    }
    if (!f->acked[way])
        f->acked[way] = proves(me, you, s);
    if (s->len) {
        me->next = me->contiguous = end;
        me->next_ns = s->time_ns;
    }
    me->window = s->window;
    me->last_ns = s->time_ns;
    me->seen &= (uint8_t)~LAST_KEEP_ALIVE;
    return true;
}

unsigned tcp_note(struct tcp_flow *f, unsigned way, const struct tcp_segment *s) {
    return note_ordinary(f, way, s) ? 0 : note_any(f, way, s);
}
