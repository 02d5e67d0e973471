/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets in their own memory, in the wanted sizes, with all that is known beforehand about changing them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "traffic.h"

#define LINE 64 /* packets begin at cache lines */

static uint64_t room(uint32_t len) {
    return (len + LINE - 1u) & ~(uint64_t)(LINE - 1);
}

/* Bytes in the buffer; 0: the packet can't be sent in this form. */
static uint32_t sent_length(const struct inject_packet *p, const struct traffic_options *o, uint32_t i) {
    if (o->n_sizes)
        return traffic_resized(p, o->sizes[i % o->n_sizes]);
    return p->raw->len < BUFFER_BYTES ? p->raw->len : BUFFER_BYTES;
}

static uint64_t frame_bytes(const struct traffic_packet *p) {
    uint64_t l2 = p->wire_len + (p->flags & PACKET_RAW_IP ? 14u : 0u) + FCS_BYTES;
    return l2 < 64 ? 64 : l2;
}

/* Where both ends stand in a packet of their flow. */
static struct edit edit_of(const struct inject_packet *p, const struct traffic_packet *t) {
    struct edit c = {0};
    bool source = t->from_initiator, v4 = t->family == FAMILY_IPV4, icmp = proto_is_icmp(t->proto);
    unsigned sum = t->proto == PROTO_TCP ? 16 : icmp ? 2 : t->proto == PROTO_SCTP ? 0 : 6;
    static const be16 none;
    if (t->reported)
        return c;
    if (!t->answer) {
        c.port = (uint16_t)(p->l4 + (icmp ? 4 : source ? 0 : 2));
        c.addr = (uint16_t)(p->l3 + (v4 ? (source ? 14 : 18) : (source ? 22 : 38)));
    }
    c.responder = v4 ? (uint16_t)(p->l3 + (source ? 16 : 12)) : 0;
    c.ip_sum = v4 ? (uint16_t)(p->l3 + 10) : 0;
    c.udp = t->proto == PROTO_UDP;
    c.pseudo = t->proto != PROTO_ICMP;
    if (sum && p->l4 + sum + 2 <= t->len && !(c.udp && !memcmp(t->data + p->l4 + sum, &none, 2)))
        c.l4_sum = (uint16_t)(p->l4 + sum);
    return c;
}

static struct traffic_packet packet_of(const struct inject_packet *p, const struct member *member, uint64_t epoch_ns) {
    return (struct traffic_packet){
        .in_port = p->port, .flags = p->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM), .l3 = p->l3, .l4 = p->l4,
        .family = p->key.family, .proto = p->key.proto, .answer = p->answer != INJECT_NONE,
        .from_initiator = member->from_initiator, .reported = member->reported, .flow = member->flow,
        .after = INJECT_NONE, .time_ns = p->raw->time_ns > epoch_ns ? p->raw->time_ns - epoch_ns : 0,
        .frame = p->raw->frame};
}

static bool wanted(const struct member *member, const struct traffic_options *o) {
    return !o->first_only || (member->starts && !member->reported);
}

/* Chooses the packets that can be sent, and their lengths; `from`: which one of `in` each is. Returns bytes to keep. */
static uint64_t choose(struct traffic *t, const struct inject *in, const struct member *members, const uint32_t *which,
                       uint32_t n, uint64_t epoch_ns, uint32_t *from) {
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < n; k++) {
        const struct inject_packet *p = &in->packets[which[k]];
        const struct member *member = &members[which[k]];
        if (!wanted(member, &t->options)) {
            t->left_out += member->starts;
            continue;
        }
        uint32_t len = sent_length(p, &t->options, t->n);
        if (!len) {
            t->left_out++;
            continue;
        }
        struct traffic_packet *out = &t->packets[t->n];
        *out = packet_of(p, member, epoch_ns);
        out->len = (uint16_t)len;
        out->wire_len = t->options.n_sizes ? len : p->raw->wire_len;
        t->cut += !t->options.n_sizes && p->raw->len > len;
        t->bytes += frame_bytes(out);
        bytes += room(len);
        from[t->n++] = which[k];
    }
    return bytes;
}

static void copy_bytes(struct traffic_plan *plan, const struct inject *in, const uint32_t *from, uint64_t bytes) {
    struct traffic *t = &plan->traffic;
    plan->memory = xalloc(bytes + LINE);
    uint8_t *to = plan->memory + LINE - (uintptr_t)plan->memory % LINE;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct inject_packet *p = &in->packets[from[i]];
        if (t->options.n_sizes)
            traffic_resize(p, t->packets[i].len, to);
        else
            memcpy(to, p->raw->data, t->packets[i].len);
        t->packets[i].data = to;
        plan->edits[i] = edit_of(p, &t->packets[i]);
        to += room(t->packets[i].len);
    }
}

/* Which packet waits for which. One that is not here may just have been sent: see traffic_openings. */
static void link_packets(struct traffic_plan *plan, const struct inject *in, const uint32_t *from) {
    struct traffic *t = &plan->traffic;
    uint32_t *index = xalloc((in->n + 1) * sizeof *index);
    memset(index, 0xff, in->n * sizeof *index);
    for (uint32_t i = 0; i < t->n; i++)
        index[from[i]] = i;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t after = in->packets[from[i]].after;
        t->packets[i].after = after == INJECT_NONE ? INJECT_NONE : index[after];
        plan->edits[i].opens = after != INJECT_NONE;
    }
    free(index);
}

void traffic_openings(struct traffic_plan *plan) {
    const struct traffic *t = &plan->traffic;
    uint64_t *step = xalloc((t->n + 1) * sizeof *step), steps = 0; /* of copy 0 */
    for (uint32_t i = 0; i < t->n; i++) {
        const struct traffic_packet *p = &t->packets[i];
        step[i] = steps;
        steps += p->reported ? 1 : t->copies;
        plan->edits[i].opens &= step[i] - (p->after == INJECT_NONE ? 0 : step[p->after]) < BURST_MAX;
    }
    free(step);
}

struct traffic_plan *traffic_plan_create(const struct inject *in, const struct member *members, const uint32_t *which,
                                         uint32_t n, uint32_t n_flows, uint64_t epoch_ns,
                                         const struct traffic_options *o) {
    struct traffic_plan *plan = xzalloc(1, sizeof *plan);
    struct traffic *t = &plan->traffic;
    uint32_t *from = xalloc((n + 1) * sizeof *from);
    *t = (struct traffic){.options = *o, .n_flows = n_flows, .copies = 1, .n_slots = n_flows, .owner = plan};
    t->packets = xzalloc(n + 1, sizeof *t->packets);
    uint64_t bytes = choose(t, in, members, which, n, epoch_ns, from);
    plan->edits = xzalloc(t->n + 1, sizeof *plan->edits);
    copy_bytes(plan, in, from, bytes);
    link_packets(plan, in, from);
    free(from);
    return plan;
}
