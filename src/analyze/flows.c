/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flows: slots in one array. Which packet belongs to which is found by feed.h; here is what each flow remembers.
 * When there is no slot left, the flow that was idle longest, of some that are looked at, is done with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/block.h>
#include <fwdlab/base/random.h>
#include "analyze.h"
#include "marks.h"

#define FLOWS_AT_FIRST 64
#define LOOKED_AT 32 /* flows, to find an idle one */

/* ---- slots ---- */

/* Done with: both verdicts are known as far as they can be by now. */
static void evict(struct analysis *a, uint32_t flow) {
    struct flow *f = &a->flows.v[flow];
    observe_pairs(a, f);
    judge_flow(a, flow);
    observe_flow(a, &a->findings, f);
    flow_tell(a, flow);
    f->used = false;
    a->evicted++;
}

static uint32_t find_idle(struct analysis *a) {
    uint32_t best = FLOW_NONE;
    for (unsigned i = 0; i < LOOKED_AT; i++) {
        const uint32_t k = a->hand = a->hand + 1 < a->flows.n ? a->hand + 1 : 0;
        const struct flow *f = &a->flows.v[k];
        if (best == FLOW_NONE || f->ended > a->flows.v[best].ended ||
            (f->ended == a->flows.v[best].ended && f->last < a->flows.v[best].last))
            best = k;
    }
    return best;
}

static void grow(struct analysis *a) {
    const size_t old = a->flows.cap, cap = old ? 2 * old : FLOWS_AT_FIRST;
    a->flows.v = block_grow(a->flows.v, old * sizeof *a->flows.v, cap * sizeof *a->flows.v);
    a->flows.cap = cap;
}

/* A slot, and *before: the label of the flow that was there. */
static uint32_t slot(struct analysis *a, uint32_t *before) {
    uint32_t i = (uint32_t)a->flows.n;
    *before = 0;
    if (a->o.max_flows && i >= a->o.max_flows) {
        i = find_idle(a);
        *before = a->flows.v[i].label;
        evict(a, i);
    } else {
        if (a->flows.n == a->flows.cap)
            grow(a);
        a->flows.n++;
    }
    return i;
}

static uint16_t vlan_of(const struct feed_packet *q) {
    uint16_t tag;
    if (q->p.flags & PACKET_RAW_IP || q->p.l3 < 18 || q->raw.len < 16)
        return 0;
    memcpy(&tag, q->raw.data + 14, 2);
    return ntohs(tag) & 0xfff;
}

static uint32_t tunnel_of(struct analysis *a, const char *name) {
    size_t i = 0;
    if (!*name)
        return FLOW_NONE;
    while (i < a->tunnels.n && strcmp(a->tunnels.v[i], name))
        i++;
    if (i == a->tunnels.n)
        vec_push(&a->tunnels, xstrdup(name));
    return (uint32_t)i;
}

uint32_t flow_new(struct analysis *a, const struct feed_packet *q, const struct flow_key *key, bool answer) {
    uint32_t before;
    const uint32_t i = slot(a, &before);
    struct flow *f = &a->flows.v[i];
    memset(f, 0, sizeof *f);
    f->label = flow_label(a, i, before);
    f->key = answer ? flow_key_reverse(key) : *key;
    f->first = f->last = packet_time(a, q);
    f->finding = FLOW_NONE;
    f->tunnel = tunnel_of(a, q->depth ? q->tunnel : "");
    f->depth = q->depth;
    f->vlan = vlan_of(q);
    f->used = true;
    f->id = ++a->seen_flows;
    return i;
}

/* ---- packets ---- */

static uint64_t port_bit(uint16_t port) {
    return 1ull << (port < 63 ? port : 62);
}

static bool mac_at(const struct feed_packet *q, unsigned offset, struct mac *out) {
    if (!q->p.mac)
        return false;
    memcpy(out, q->p.mac + offset, sizeof *out);
    return true;
}

static void keep_rtt(struct analysis *a, uint64_t rtt) {
    struct random r;
    if (a->rtt_ns.n < RTT_SAMPLES) {
        vec_push(&a->rtt_ns, (double)rtt);
        return;
    }
    random_seed(&r, a->handshakes); /* each of all is kept with the same chance */
    const uint64_t at = random_below(&r, a->handshakes);
    if (at < RTT_SAMPLES)
        a->rtt_ns.v[at] = (double)rtt;
}

static bool segment_of(const struct analysis *a, const struct feed_packet *q, struct tcp_segment *s) {
    const uint8_t *ip = q->raw.data + q->p.l3;
    uint32_t total;
    if (q->p.key.proto != PROTO_TCP || q->p.flags & (PACKET_FRAG_LATER | PACKET_FRAG_FIRST) || q->raw.len < q->p.l4)
        return false;
    if (q->p.key.family == FAMILY_IPV6) {
        uint16_t length;
        memcpy(&length, ip + 4, 2);
        total = ntohs(length) + (uint32_t)sizeof(struct ipv6_header);
    } else {
        uint16_t length;
        memcpy(&length, ip + 2, 2);
        total = ntohs(length);
    }
    const uint32_t wire = q->raw.wire_len > q->p.l3 ? q->raw.wire_len - q->p.l3 : 0;
    if (!total || total < (uint32_t)(q->p.l4 - q->p.l3) || total > wire) /* TSO leaves it out */
        total = wire;
    return tcp_segment_read(q->raw.data + q->p.l4, q->raw.len - q->p.l4, total - (uint32_t)(q->p.l4 - q->p.l3),
                            q->raw.time_ns, s);
}

/* False: it begins another connection. */
static bool see_tcp(struct analysis *a, const struct feed_packet *q, struct flow *f, unsigned way) {
    struct tcp_segment s;
    if (!segment_of(a, q, &s))
        return true;
    if (tcp_begins_anew(&f->tcp, way, &s) && f->way[0].packets + f->way[1].packets)
        return false;
    const unsigned what = tcp_note(&f->tcp, way, &s);
    a->segments++;
    f->way[way].tcp_flags |= s.flags;
    if (!what)
        return true;
    a->gaps += (what & TCP_LOST_SEGMENT) != 0;
    f->gaps += (what & TCP_LOST_SEGMENT) != 0;
    a->retransmissions += (what & TCP_RETRANSMISSION) != 0;
    a->out_of_order += (what & TCP_OUT_OF_ORDER) != 0;
    if (what & TCP_HANDSHAKE) {
        a->handshakes++;
        keep_rtt(a, f->tcp.rtt_ns);
    }
    return true;
}

/* By whose address it is; without a scenario by its TTL, which is still what senders begin with. */
bool flow_forwarded(const struct analysis *a, const struct feed_packet *q) {
    const struct flow_key *k = &q->p.key;
    if (a->node) {
        for (uint16_t i = 0; i < a->node->node.n_ports; i++) {
            const struct port *p = &a->node->node.ports[i];
            if (k->family == FAMILY_IPV4 ? !memcmp(&p->addr, k->src, 4) : !memcmp(p->addr6, k->src, 16))
                return false;
        }
        return k->src[0] != 0 && !(k->family == FAMILY_IPV6 && k->src[0] == 0xfe);
    }
    const uint32_t at = q->p.l3 + (k->family == FAMILY_IPV6 ? 7u : 8u);
    const uint8_t ttl = at < q->raw.len ? q->raw.data[at] : 0; /* behind dozens of tags */
    return ttl != 1 && ttl != 32 && ttl != 64 && ttl != 128 && ttl != 255;
}

bool flow_see(struct analysis *a, const struct feed_packet *q, struct flow *f, unsigned way) {
    struct direction *d = &f->way[way];
    if (q->p.key.proto == PROTO_TCP && !see_tcp(a, q, f, way))
        return false;
    f->last = packet_time(a, q);
    d->packets++;
    d->bytes += q->raw.wire_len > q->p.l3 ? q->raw.wire_len - q->p.l3 : 0;
    f->fragments += (q->p.flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER)) != 0;
    if (f->n_frames < FLOW_FRAMES)
        f->frames[f->n_frames++] = frame_of(&q->raw);
    if (q->p.kind == INJECT_OWN) {
        d->in |= flow_forwarded(a, q) ? 0 : LOCAL_BIT;
        d->out |= port_bit(q->p.port);
        if (!d->has_to)
            d->has_to = mac_at(q, 0, &f->ends[way].to);
    } else {
        d->in |= port_bit(q->p.port);
        d->has_macs = q->p.mac != NULL;
        if (q->p.mac)
            memcpy(d->macs, q->p.mac, sizeof d->macs);
        if (!d->has_from)
            d->has_from = mac_at(q, 6, &f->ends[way].from);
    }
    return true;
}

void flow_left(const struct feed_packet *q, struct flow *f, unsigned way) {
    struct direction *d = &f->way[way];
    d->out |= port_bit(q->p.port);
    d->copies += q->first_copy;
    if (!d->has_to)
        d->has_to = mac_at(q, 0, &f->ends[way].to);
    if (way || q->p.flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR) || q->p.key.family != FAMILY_IPV4)
        return;
    if (!memcmp(q->p.key.src, f->key.src, 4) && !memcmp(q->p.key.dst, f->key.dst, 4) && q->p.key.sport == f->key.sport)
        return;
    f->outside = (struct nat_tuple){.sport = q->p.key.sport, .dport = q->p.key.dport};
    memcpy(&f->outside.src, q->p.key.src, 4);
    memcpy(&f->outside.dst, q->p.key.dst, 4);
    f->has_outside = true;
}

struct nat_tuple flow_outside(const struct nat_tuple *reply, uint8_t proto) {
    return (struct nat_tuple){.src = reply->dst, .dst = reply->src, .sport = reply->dport,
                              .dport = proto == PROTO_ICMP ? 0 : reply->sport};
}

struct flow_key flow_key_of(const struct flow *f, const struct nat_tuple *t) {
    struct flow_key k = {.family = FAMILY_IPV4, .proto = f->key.proto, .sport = t->sport, .dport = t->dport};
    memcpy(k.src, &t->src, 4);
    memcpy(k.dst, &t->dst, 4);
    return k;
}

/* ---- as a record ---- */

static uint8_t lowest(uint64_t ports) {
    return (uint8_t)__builtin_ctzll(ports);
}

static const char *interface_of(const struct analysis *a, uint64_t ports) {
    return ports ? port_text(a, lowest(ports)) : NULL;
}

static void make_record(const struct analysis *a, const struct flow *f, struct flow_record *r) {
    const uint64_t epoch = a->feed ? feed_count(a->feed)->epoch_ns : a->counts.epoch_ns;
    *r = (struct flow_record){.id = f->id, .key = f->key, .first_ns = epoch + f->first,
                              .last_ns = epoch + f->last, .vlan = f->vlan, .observed = observed_name(f->observed),
                              .model = a->fabric ? model_verdict_name(f->model) : NULL, .icmp_errors = f->errors,
                              .fragments = f->fragments};
    for (unsigned w = 0; w < 2; w++) {
        const struct direction *d = &f->way[w];
        r->way[w].packets = d->packets;
        r->way[w].bytes = d->bytes;
        r->way[w].tcp_flags = d->tcp_flags;
        r->way[w].in = interface_of(a, d->in);
        r->way[w].out = interface_of(a, d->out);
        r->way[w].mac = f->ends[w].from;
    }
    if (f->has_outside) {
        r->outside = flow_key_of(f, &f->outside);
    } else if (f->translated) {
        const struct nat_tuple outside = flow_outside(&f->nat.reply, f->key.proto);
        r->outside = flow_key_of(f, &outside);
        r->outside.dport = f->key.proto == PROTO_ICMP ? f->key.dport : outside.dport;
    }
    if (f->tunnel != FLOW_NONE)
        snprintf(r->tunnel, sizeof r->tunnel, "%s", a->tunnels.v[f->tunnel]);
    if (f->key.proto != PROTO_TCP)
        return;
    r->tcp_state = tcp_state_name(f->tcp.state);
    r->rtt_ns = f->tcp.rtt_ns;
    r->retransmissions = f->tcp.retransmissions;
    r->out_of_order = f->tcp.out_of_order;
    r->resets = f->tcp.resets;
    const bool open = f->tcp.state != TCP_CLOSED && f->tcp.state != TCP_ABORTED;
    r->partial = open || !((f->way[0].tcp_flags | f->way[1].tcp_flags) & TCP_SYN);
}

void flow_tell(struct analysis *a, uint32_t flow) {
    const struct flow *f = &a->flows.v[flow];
    const uint32_t finding = f->finding != FLOW_NONE ? f->finding : find_observed(&a->findings, f);
    const uint32_t id = finding < a->findings.n ? finding + 1 : 0;
    struct flow_record r;
    if (a->marks)
        marks_flow(a->marks, f->id, id);
    if (!a->o.record)
        return;
    make_record(a, f, &r);
    r.finding = id;
    a->o.record(a->o.record_arg, &r);
}
