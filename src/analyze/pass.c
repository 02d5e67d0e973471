/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets through the core at trace time, and each to its flow. */
#include <string.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/fragment.h>
#include "analyze.h"
#include "marks.h"
#include "natuse.h"
#include "whatif.h"

/*
 * A label (feed.h) names a flow and a direction: the flow's slot, in as many bits as all slots need, and above these
 * how often the slot was used before, by which a label outlives its flow without harm.
 */
#define LABEL_BITS 30

uint32_t flow_slot_mask(size_t max_flows) {
    return max_flows && max_flows < 1u << LABEL_BITS ? UINT32_MAX >> __builtin_clz((uint32_t)max_flows | 1)
                                                     : (1u << LABEL_BITS) - 1;
}

uint32_t flow_label(const struct analysis *a, uint32_t flow, uint32_t before) {
    const uint32_t mask = a->slot_mask, times = before >> 1 & ~mask;
    return ((times + mask + 1) % (1u << LABEL_BITS) + flow) << 1;
}

static uint32_t label_of(const struct analysis *a, uint32_t flow, unsigned way) {
    return a->flows.v[flow].label | way;
}

static struct flow *flow_of(const struct analysis *a, uint32_t label) {
    return &a->flows.v[label >> 1 & a->slot_mask];
}

/* Of a flow that ended: the one that its ports serve now. LABEL_NONE: the flow that it names is done with. */
static uint32_t living(const struct analysis *a, uint32_t label) {
    while (label != LABEL_NONE && flow_of(a, label)->label == (label & ~1u) && flow_of(a, label)->ended)
        label = flow_of(a, label)->successor ^ (label & 1);
    return label == LABEL_NONE || flow_of(a, label)->label != (label & ~1u) ? LABEL_NONE : label;
}

/* ---- conversations (feed.h) and their flows ---- */

static uint32_t *name_of(const struct analysis *a, const struct feed_packet *q) {
    return &a->names[q->depth > 0].v[q->relation.label >> 1];
}

/* The label of the flow that the packet's conversation is, in the packet's direction; LABEL_NONE. */
static uint32_t named(const struct analysis *a, const struct feed_packet *q) {
    const uint32_t label = q->relation.label == LABEL_NONE ? LABEL_NONE : living(a, *name_of(a, q));
    return q->relation.label & 1 ? label_flip(label) : label;
}

static void name(const struct analysis *a, const struct feed_packet *q, uint32_t label) {
    *name_of(a, q) = q->relation.label & 1 ? label_flip(label) : label;
}

/* Its number was another one's, or nobody's. */
static void begin_conversation(struct analysis *a, const struct feed_packet *q) {
    struct labels *names = &a->names[q->depth > 0];
    while (names->n <= q->relation.label >> 1)
        vec_push(names, LABEL_NONE);
    *name_of(a, q) = LABEL_NONE;
}

static bool is_icmp_error(const struct inject_packet *p) {
    return proto_is_icmp(p->key.proto) && p->flags & PACKET_ICMP_ERROR;
}

/* ---- the core ---- */

/* Keeps the verdict of a packet, whose tag is its place among them (or its frame, when they are not kept). */
static void settle(struct analysis *a, const struct packet *p, uint64_t now) {
    if (p->verdict == VERDICT_FORWARD && !a->o.keep_verdicts) { /* most are */
        a->forwarded++;
        a->held -= (p->flags & PACKET_WAITED) != 0;
        a->fragmented += fragment_count(&a->node->node, p) > 1;
        return;
    }
    struct inject_verdict once = {0}, *v = a->o.keep_verdicts ? &a->verdicts.v[p->tag] : &once;
    const uint64_t frame = a->o.keep_verdicts ? v->frame : p->tag;
    a->held -= a->o.keep_verdicts ? v->verdict == VERDICT_HELD : (p->flags & PACKET_WAITED) != 0;
    inject_settle(&a->node->node, p, frame, now, v);
    a->delivered += v->verdict == VERDICT_DELIVER;
    a->forwarded += v->verdict == VERDICT_FORWARD;
    a->held += v->verdict == VERDICT_HELD;
    a->fragmented += v->fragments > 1;
    if (v->verdict == VERDICT_DROP)
        a->drops[v->reason]++;
    if (v->verdict == VERDICT_DROP && a->nat_use)
        natuse_dropped(a->nat_use, p, now);
    if (v->error)
        a->errors[v->reason]++;
}

static void prepare(struct analysis *a, struct feed_packet *q, struct packet *p) {
    feed_fill(q, p);
    if (feed_fit(q, p, a->node->node.nat) < 0)
        a->answers_unmatched++;
    p->tag = frame_of(&q->raw);
    if (a->o.keep_verdicts) {
        p->tag = a->verdicts.n;
        vec_push(&a->verdicts, (struct inject_verdict){.frame = frame_of(&q->raw)});
    }
}

static void run_burst(struct analysis *a, struct packet **pkts, unsigned n, uint64_t now) {
    struct node *node = &a->node->node;
    struct packet due;
    uint8_t held[NAT_HELD_BYTES];
    if (!n)
        return;
    forward(node, pkts, n, now);
    for (unsigned i = 0; i < n; i++)
        settle(a, pkts[i], now);
    while (inject_pass_due(node, &due, held, sizeof held, now)) {
        settle(a, &due, now);
        if (a->what_if)
            whatif_released(a->what_if, node, &due, 0);
    }
    if (a->nat_use)
        natuse_see(a->nat_use, now, n);
}

/*
 * In bursts that end where the clock goes on, or where a packet answers one of the same burst; with filters one by one,
 * for there an answer may have to wait for any packet of its flow.
 */
static void run_core(struct analysis *a, struct feed_packet *q, unsigned n, struct packet *core) {
    struct packet *burst[FEED_MOST];
    unsigned m = 0;
    uint64_t now = a->clock;
    for (unsigned i = 0; i < n; i++) {
        if (q[i].p.kind != INJECT_ARRIVED)
            continue;
        const uint64_t clock = core_clock(a, &q[i]);
        if (m && (clock > now || q[i].relation.waits || a->node->node.filter)) {
            run_burst(a, burst, m, now);
            m = 0;
        }
        now = clock > now ? clock : now;
        prepare(a, &q[i], &core[i]);
        burst[m++] = &core[i];
    }
    run_burst(a, burst, m, now);
    a->clock = now;
}

/* ---- flows ---- */

/* What became of a packet of a flow, by the core. */
static void count_verdict(struct direction *d, const struct packet *core) {
    d->forwarded += core->verdict == VERDICT_FORWARD;
    d->delivered += core->verdict == VERDICT_DELIVER;
}

/* The query that an ICMP message of this type answers; -1: it answers none. */
static int icmp_query(uint8_t proto, uint8_t type) {
    if (proto == PROTO_ICMPV6)
        return type == ICMPV6_ECHO_REPLY ? ICMPV6_ECHO : -1;
    switch (type) {
    case ICMP_ECHO_REPLY: return ICMP_ECHO;
    case ICMP_TIMESTAMP_REPLY: case ICMP_INFORMATION_REPLY: case ICMP_MASK_REPLY: return type - 1;
    default: return -1;
    }
}

static int query_of(const struct feed_packet *q) {
    bool typed = proto_is_icmp(q->p.key.proto) && q->p.l4 < q->raw.len;
    return typed ? icmp_query(q->p.key.proto, q->raw.data[q->p.l4]) : -1;
}

/* Flows name an ICMP query's type as destination port. */
static struct flow_key key_of(const struct feed_packet *q) {
    struct flow_key key = q->p.key;
    if (proto_is_icmp(key.proto) && q->p.l4 < q->raw.len)
        key.dport = htons(query_of(q) < 0 ? q->raw.data[q->p.l4] : (uint16_t)query_of(q));
    return key;
}

/* Does it by itself answer something? Then its sender is not the initiator. */
static bool is_answer(const struct feed_packet *q) {
    if (proto_is_icmp(q->p.key.proto))
        return query_of(q) >= 0;
    if (q->p.key.proto != PROTO_TCP || q->p.flags & PACKET_FRAG_LATER || q->raw.len < q->p.l4 + 14u)
        return false;
    return (q->raw.data[q->p.l4 + 13] & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* The core's session of a packet, when it translates. */
static bool core_session(const struct analysis *a, const struct packet *core, struct nat_session *s) {
    return core && core->session && a->node->node.nat && nat_session_get(a->node->node.nat, core->session - 1, s) &&
           s->translated;
}

/* An ICMP error belongs to the flow that it is about, and is no packet of it: it goes against what it quotes. */
static void see_error(struct analysis *a, uint32_t about, const struct packet *core) {
    if (about == LABEL_NONE)
        return;
    struct flow *f = flow_of(a, about);
    f->errors++;
    f->way[!(about & 1)].forwarded += core && core->verdict == VERDICT_FORWARD;
}

static bool same_session(const struct nat_session *a, const struct flow_nat *b) {
    return !memcmp(&a->original, &b->original, sizeof a->original) &&
           !memcmp(&a->reply, &b->reply, sizeof a->reply);
}

/* The label of the flow that has a session of the core's, as the session began; LABEL_NONE: not known. */
static uint32_t *name_of_session(struct analysis *a, const struct packet *core) {
    while (a->sessions.n < core->session)
        vec_push(&a->sessions, LABEL_NONE);
    return &a->sessions.v[core->session - 1];
}

/* By the core's session the packet is an answer, although the capture shows nothing that it answers. */
static uint32_t find_by_session(struct analysis *a, const struct feed_packet *q, const struct packet *core,
                                const struct nat_session *s) {
    struct flow_key initiator = q->p.key;
    uint32_t *of = name_of_session(a, core);
    *of = living(a, *of);
    if (*of == LABEL_NONE) {
        memcpy(initiator.src, &s->original.src, 4);
        memcpy(initiator.dst, &s->original.dst, 4);
        initiator.sport = s->original.sport;
        initiator.dport = initiator.proto == PROTO_ICMP ? key_of(q).dport : s->original.dport;
        *of = label_of(a, flow_new(a, q, &initiator, false), 0);
    }
    struct flow *f = flow_of(a, *of);
    f->outside = flow_outside(&s->reply, q->p.key.proto);
    f->has_outside = true;
    return label_flip(*of);
}

static uint32_t begin_flow(struct analysis *a, const struct feed_packet *q, const struct packet *core) {
    const struct flow_key key = key_of(q);
    struct nat_session s;
    if (core && core->flags & PACKET_REPLY && core_session(a, core, &s))
        return find_by_session(a, q, core, &s);
    bool answer = is_answer(q);
    return label_of(a, flow_new(a, q, &key, answer), answer);
}

/* A connection whose ports were another one's before: all that the old one was found by is the new one's. Who sends a
 * SYN is the new one's initiator. */
static uint32_t begin_anew(struct analysis *a, const struct feed_packet *q, uint32_t label) {
    const struct flow old = *flow_of(a, label);
    const bool turned = (label & 1) != is_answer(q);
    const struct flow_key key = turned ? flow_key_reverse(&old.key) : old.key;
    flow_of(a, label)->ended = true;
    const uint32_t flow = flow_new(a, q, &key, false), now = label_of(a, flow, turned);
    if (flow_of(a, label)->label == (label & ~1u)) /* else it was in the slot that was made free */
        flow_of(a, label)->successor = now;
    a->flows.v[flow].outside = old.outside;
    a->flows.v[flow].has_outside = old.has_outside;
    return now ^ (label & 1);
}

static void note_session(struct analysis *a, struct flow *f, unsigned way, const struct packet *core) {
    struct nat_session s;
    if (!core->session || !(core->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED)))
        return;
    if (f->way[way].session != (uint16_t)core->session) {
        f->way[way].session = (uint16_t)core->session;
        *name_of_session(a, core) = f->label | (way ^ (core->flags & PACKET_REPLY ? 1 : 0));
    }
    const struct nat_tuple *reply = &f->nat.reply;
    if ((f->translated && (way || (reply->dst == core->src && reply->dport == core->sport))) ||
        !core_session(a, core, &s))
        return;
    f->translated = true;
    f->from_outside = s.from_outside;
    f->nat = (struct flow_nat){.original = s.original, .reply = s.reply};
}

/* Has the core another session by now than the one that this label was given for? */
static bool is_stale(const struct analysis *a, uint32_t label, const struct packet *core, struct nat_session *s) {
    const struct flow *f = flow_of(a, label);
    return core && core->flags & PACKET_REPLY && f->translated && core_session(a, core, s) &&
           !same_session(s, &f->nat);
}

static uint32_t arrived(struct analysis *a, const struct feed_packet *q, const struct packet *core) {
    const uint32_t known = named(a, q);
    const bool later = q->p.flags & PACKET_FRAG_LATER; /* goes with its first fragment */
    struct nat_session s;
    uint32_t label = known;
    if (is_icmp_error(&q->p)) {
        see_error(a, known, core);
        return LABEL_NONE;
    }
    if (later && known == LABEL_NONE)
        return LABEL_NONE;
    if (known == LABEL_NONE)
        label = begin_flow(a, q, core);
    else if (!later && !q->relation.replies && is_stale(a, known, core, &s))
        label = find_by_session(a, q, core, &s);
    if (!flow_see(a, q, flow_of(a, label), label & 1)) {
        label = begin_anew(a, q, label);
        flow_see(a, q, flow_of(a, label), label & 1);
    }
    if (label != known)
        name(a, q, label);
    if (core) {
        struct flow *f = flow_of(a, label);
        note_session(a, f, label & 1, core);
        count_verdict(&f->way[label & 1], core);
    }
    return label;
}

static uint32_t own(struct analysis *a, const struct feed_packet *q) {
    uint32_t label = named(a, q);
    if (is_icmp_error(&q->p)) {
        see_error(a, label, NULL);
        return LABEL_NONE;
    }
    if (q->p.flags & PACKET_FRAG_LATER)
        return LABEL_NONE;
    if (label == LABEL_NONE)
        name(a, q, label = begin_flow(a, q, NULL));
    if (flow_of(a, label)->way[label & 1].in & ~LOCAL_BIT && flow_forwarded(a, q))
        flow_left(q, flow_of(a, label), label & 1); /* a piece of what arrived, or its arrival was not captured */
    else
        flow_see(a, q, flow_of(a, label), label & 1);
    return label;
}

/* The label of its flow; LABEL_NONE. */
static uint32_t to_flow(struct analysis *a, const struct feed_packet *q, const struct packet *core) {
    if (q->relation.begins)
        begin_conversation(a, q);
    switch (q->p.kind) {
    case INJECT_ARRIVED:
        return arrived(a, q, a->node ? core : NULL);
    case INJECT_INNER:
        return arrived(a, q, NULL);
    case INJECT_OWN:
        return own(a, q);
    case INJECT_COPY: {
        const uint32_t label = named(a, q);
        if (label != LABEL_NONE)
            flow_left(q, flow_of(a, label), label & 1);
        return label;
    }
    default:
        return LABEL_NONE;
    }
}

/* What is known of a packet's conversation before the batch. */
static bool has_name(const struct analysis *a, const struct feed_packet *q) {
    return q->relation.label != LABEL_NONE && q->relation.label >> 1 < a->names[q->depth > 0].n;
}

/* The flows of those packets that belong to one already, in two steps. */
static void fetch_names(const struct analysis *a, const struct feed_packet *q, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (has_name(a, &q[i]))
            __builtin_prefetch(name_of(a, &q[i]));
}

static void fetch_flows(const struct analysis *a, const struct feed_packet *q, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        if (!has_name(a, &q[i]) || *name_of(a, &q[i]) == LABEL_NONE)
            continue;
        const uint32_t label = *name_of(a, &q[i]) ^ (q[i].relation.label & 1);
        flow_fetch(flow_of(a, label), label & 1);
    }
}

void pass_batch(struct analysis *a, struct feed_packet *q, unsigned n) {
    struct packet core[FEED_MOST];
    const struct feed_packet *next = feed_peek(a->feed);
    fetch_names(a, q, n);
    for (unsigned i = 0; i < n; i++)
        dhcp_see(a, &q[i]);
    fetch_flows(a, q, n);
    if (a->what_if)
        whatif_run(a, q, n);
    if (a->node) {
        run_core(a, q, n, core);
        if (a->what_if)
            whatif_compare(a, q, n, core);
    }
    for (unsigned i = 0; i < n; i++) {
        if (next)
            feed_fetch(&next[i]);
        const uint32_t label = to_flow(a, &q[i], &core[i]);
        if (a->marks && label != LABEL_NONE)
            marks_packet(a->marks, &q[i].raw, flow_of(a, label)->id);
    }
}
