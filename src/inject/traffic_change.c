/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of a step: copies and generations differ in the initiator's port and address, copies in the responder's address
 * where it is spread; answers go to a mapping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/checksum.h>
#include "traffic.h"

static be16 get16(const uint8_t *at) {
    be16 v;
    memcpy(&v, at, 2);
    return v;
}
static void set16(uint8_t *at, be16 value) {
    memcpy(at, &value, 2);
}
/* How much a field's change from `from` to `to` adds to a sum. */
static uint32_t difference(be16 from, be16 to) {
    return (uint32_t)(uint16_t)~from + to;
}
/* Carries differences over to a checksum (RFC 1624, 3). */
static void mend(uint8_t *sum, uint32_t differences, bool udp) {
    be16 s = checksum_fold((uint32_t)(uint16_t)~get16(sum) + differences);
    set16(sum, udp && s == 0 ? 0xffff : s);
}

/* The variant's port, and the last byte of its address: -1 as captured. */
static be16 variant(const struct traffic_plan *plan, uint64_t v, int *host) {
    if (__builtin_expect(v >= plan->variants, 0))
        v %= plan->variants;
    *host = -1;
    if (v < plan->n_ports)
        return plan->ports[v];
    uint32_t beyond = (uint32_t)(v - plan->n_ports);
    *host = plan->hosts[beyond / PORTS];
    return htons((uint16_t)(PORT_FIRST + beyond % PORTS));
}

/* The initiator's end; adds the differences that it makes to the IP addresses, and to the ports. */
static void vary(const struct traffic_plan *plan, const struct edit *c, const struct traffic_step *s,
                 uint8_t *buffer, uint32_t *ip, uint32_t *l4) {
    int host;
    be16 port = variant(plan, (uint64_t)s->generation * plan->traffic.n_slots + s->slot, &host);
    *l4 += difference(get16(buffer + c->port), port);
    set16(buffer + c->port, port);
    if (host >= 0) {
        be16 before = get16(buffer + c->addr);
        buffer[c->addr + 1] = (uint8_t)host;
        *ip += difference(before, get16(buffer + c->addr));
    }
}

static uint32_t address_difference(be32 from, be32 to) {
    return difference((be16)from, (be16)to) + difference((be16)(from >> 16), (be16)(to >> 16));
}

/* The responder's address; returns the difference that it makes. */
static uint32_t respond(uint8_t *at, be32 to) {
    be32 from;
    memcpy(&from, at, sizeof from);
    memcpy(at, &to, sizeof to);
    return address_difference(from, to);
}

void traffic_write(const struct traffic *t, const struct traffic_step *s, uint8_t *buffer) {
    const struct traffic_packet *p = &t->packets[s->packet];
    const struct traffic_plan *plan = traffic_plan(t);
    uint32_t ip = 0, l4 = 0;
    memcpy(buffer, p->data, p->len);
    if (!(s->copy | s->generation) && !plan->responders)
        return;
    const struct edit *c = &plan->edits[s->packet];
    if (c->port && (s->copy | s->generation))
        vary(plan, c, s, buffer, &ip, &l4);
    if (c->responder && plan->responders && plan->responders[s->slot])
        ip += respond(buffer + c->responder, plan->responders[s->slot]);
    if (ip && c->ip_sum)
        mend(buffer + c->ip_sum, ip, false);
    l4 += c->pseudo ? ip : 0;
    if (l4 && c->l4_sum)
        mend(buffer + c->l4_sum, l4, c->udp);
}

/* ---- which variants there are ---- */

/* Ports, and last bytes of addresses, that nothing in the capture has; nor are 0, 1, 254 and 255 hosts. */
static void find_free(struct traffic_plan *plan, const struct inject *in) {
    bool *port = xzalloc(65536, sizeof *port), host[256] = {[0] = true, [1] = true, [254] = true, [255] = true};
    for (uint32_t i = 0; i < in->n; i++) {
        const struct flow_key *k = &in->packets[i].key;
        unsigned last = k->family == FAMILY_IPV4 ? 3 : 15;
        if (in->packets[i].kind != INJECT_ARRIVED)
            continue;
        port[ntohs(k->sport)] = port[ntohs(k->dport)] = true;
        host[k->src[last]] = host[k->dst[last]] = true;
    }
    plan->ports = xalloc(PORTS * sizeof *plan->ports);
    for (uint32_t p = PORT_FIRST; p < 65536; p++)
        if (!port[p])
            plan->ports[plan->n_ports++] = htons((uint16_t)p);
    for (unsigned h = 0; h < 256; h++)
        if (!host[h])
            plan->hosts[plan->n_hosts++] = (uint8_t)h;
    plan->variants = plan->n_ports + (uint64_t)plan->n_hosts * PORTS;
    free(port);
}

/* Numbers the flows anew that are sent at all; says of each whether it has packets that can be copied, and others. */
static void count_flows(struct traffic *t, bool *copied, bool *reported) {
    uint32_t *number = xalloc((t->n_flows + 1) * sizeof *number);
    memset(number, 0xff, t->n_flows * sizeof *number);
    t->n_flows = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        struct traffic_packet *p = &t->packets[i];
        if (number[p->flow] == INJECT_NONE)
            number[p->flow] = t->n_flows++;
        p->flow = number[p->flow];
        *(p->reported ? &reported[p->flow] : &copied[p->flow]) = true;
    }
    free(number);
}

static int too_many(const struct traffic_plan *plan, uint32_t most, struct err *e) {
    const struct traffic *t = &plan->traffic;
    err_set(e, -EINVAL, "%u sessions cannot be made of %u flows", t->options.sessions, t->n_flows);
    if (most)
        err_hint(e, "the ports and addresses that the capture leaves free are enough for %llu%s",
                 (unsigned long long)plan->variants / (plan->churn ? 2 : 1), plan->churn ? " with churn" : "");
    else
        err_hint(e, "only flows with ports or ICMP identifiers can be copied, and this capture has none");
    return -EINVAL;
}

int traffic_vary(struct traffic_plan *plan, const struct inject *in, struct err *e) {
    struct traffic *t = &plan->traffic;
    const struct traffic_options *o = &t->options;
    bool *copied = xzalloc(t->n_flows + 1, sizeof *copied), *reported = xzalloc(t->n_flows + 1, sizeof *reported);
    uint32_t live = 0;
    count_flows(t, copied, reported);
    for (uint32_t f = 0; f < t->n_flows; f++)
        live += copied[f];
    for (uint32_t i = 0; i < t->n; i++)
        plan->edits[i].fixed = reported[t->packets[i].flow];
    free(copied);
    free(reported);
    plan->churn = (uint64_t)(o->churn * 0x1p32 + 0.5);
    uint64_t copies = o->sessions > t->n_flows && live ? (o->sessions - t->n_flows + live - 1) / live + 1 : 1;
    if (copies > 1 || plan->churn)
        find_free(plan, in);
    bool fits = copies * t->n_flows * (plan->churn ? 2 : 1) <= plan->variants;
    if ((o->sessions > t->n_flows && !live) || ((copies > 1 || plan->churn) && !fits))
        return too_many(plan, live, e);
    t->copies = (uint32_t)copies;
    t->n_slots = t->n_flows * t->copies;
    return 0;
}

/* ---- answers ---- */

static bool has_ports(uint8_t proto) {
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP || proto == PROTO_SCTP ||
           proto == PROTO_DCCP || proto == PROTO_UDPLITE;
}

/* Offset of the L4 checksum; 0: none that a router keeps. */
static unsigned checksum_offset(uint8_t proto) {
    switch (proto) {
    case PROTO_TCP: return 16;
    case PROTO_UDP: case PROTO_UDPLITE: case PROTO_DCCP: return 6;
    case PROTO_ICMP: return 2;
    default: return 0;
    }
}

/* Another source or destination of an IP header; returns the difference that it makes to a pseudo header. */
static uint32_t set_address(struct ipv4_header *ip, bool source, be32 to) {
    be32 from = source ? ip->src : ip->dst;
    uint32_t d = address_difference(from, to);
    mend((uint8_t *)&ip->checksum, d, false);
    if (source)
        ip->src = to;
    else
        ip->dst = to;
    return d;
}

/* Another port or identifier at l4 + offset of what ends at `end`, where there is one. */
static void set_port(const struct ipv4_header *ip, uint8_t *l4, const uint8_t *end, unsigned offset, be16 port,
                     uint32_t pseudo) {
    bool udp = ip->proto == PROTO_UDP;
    uint8_t *sum = l4 + checksum_offset(ip->proto);
    if (!has_ports(ip->proto) || ntohs(ip->fragment) & IPV4_OFFSET || l4 + offset + 2 > end)
        return;
    uint32_t d = difference(get16(l4 + offset), port) + (ip->proto == PROTO_ICMP ? 0 : pseudo);
    set16(l4 + offset, port);
    if (sum != l4 && sum + 2 <= end && !(udp && get16(sum) == 0))
        mend(sum, d, udp);
}

/* The packet inside an ICMP error must look as the core sent it; the error's own checksum covers it. */
static void fit_error(const struct traffic_slot *slot, struct ipv4_header *outer, uint8_t *icmp, uint8_t *end) {
    struct ipv4_header *ip = (struct ipv4_header *)(icmp + 8);
    uint8_t *first = icmp + 8, *l4 = end;
    if (first + sizeof *ip <= end)
        l4 = first + (ip->version_ihl & 15) * 4;
    if (l4 + 8 > end)
        return;
    size_t covered = (size_t)((l4 + 18 < end ? l4 + 18 : end) - first); /* as far as a TCP checksum */
    be16 before = (be16)~checksum_fold(checksum_sum(first, covered, 0));
    set_address(outer, false, slot->addr);
    uint32_t pseudo = set_address(ip, true, slot->addr);
    set_port(ip, l4, end, ip->proto == PROTO_ICMP ? 4 : 0, slot->port, pseudo);
    mend(icmp + 2, difference(before, (be16)~checksum_fold(checksum_sum(first, covered, 0))), false);
}

static bool is_error(const struct ipv4_header *ip, const uint8_t *l4, const uint8_t *end) {
    return ip->proto == PROTO_ICMP && !(ntohs(ip->fragment) & IPV4_OFFSET) && l4 < end && l4[0] != ICMP_ECHO_REPLY &&
           l4[0] != ICMP_ECHO && l4[0] < ICMP_TIMESTAMP;
}

bool traffic_fit(const struct traffic_slot *slot, const struct traffic_packet *p, uint8_t *buffer) {
    struct ipv4_header *ip = (struct ipv4_header *)(buffer + p->l3);
    uint8_t *l4 = buffer + p->l4, *end = buffer + p->len;
    if (!slot->known || p->family != FAMILY_IPV4)
        return false;
    if (p->l3 + ntohs(ip->total_length) < p->len) /* padding follows */
        end = buffer + p->l3 + ntohs(ip->total_length);
    if (is_error(ip, l4, end))
        fit_error(slot, ip, l4, end);
    else
        set_port(ip, l4, end, p->proto == PROTO_ICMP ? 4 : 2, slot->port,
                 set_address(ip, false, slot->addr));
    return true;
}
