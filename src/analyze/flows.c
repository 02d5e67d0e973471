/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table: both directions of a conversation under the key that its initiator uses. */
#include <stdlib.h>
#include <string.h>
#include "analyze.h"

#define FLOWS_AT_FIRST 4096

struct flow_key flow_reverse(const struct flow_key *k) {
    struct flow_key r = *k;
    memcpy(r.src, k->dst, sizeof r.src);
    memcpy(r.dst, k->src, sizeof r.dst);
    if (!proto_is_icmp(k->proto)) {
        r.sport = k->dport;
        r.dport = k->sport;
    }
    return r;
}

/* ICMP types differ between the directions: in the table only the identifier counts. */
static struct flow_key table_key(const struct flow_key *k) {
    struct flow_key t = *k;
    if (proto_is_icmp(k->proto))
        t.dport = 0;
    return t;
}

/* The same for both directions. */
static uint64_t hash_key(const struct flow_key *k) {
    uint64_t a = 0, b = 0;
    for (int i = 0; i < 16; i++) {
        a = (a ^ k->src[i]) * 0x100000001b3ull;
        b = (b ^ k->dst[i]) * 0x100000001b3ull;
    }
    a += k->sport * 0x9e3779b97f4a7c15ull;
    b += (proto_is_icmp(k->proto) ? k->sport : k->dport) * 0x9e3779b97f4a7c15ull;
    uint64_t h = (a ^ b) * 0x9e3779b97f4a7c15ull + (a + b) + k->proto;
    return h ^ h >> 31;
}

static void table_grow(struct analysis *a) {
    size_t size = a->mask ? (a->mask + 1) * 2 : FLOWS_AT_FIRST;
    a->heads = xrealloc(a->heads, size, sizeof *a->heads);
    memset(a->heads, 0xff, size * sizeof *a->heads);
    a->mask = size - 1;
    for (uint32_t i = 0; i < a->flows.n; i++) {
        struct flow_key k = table_key(&a->flows.v[i].key);
        uint32_t *head = &a->heads[hash_key(&k) & a->mask];
        a->flows.v[i].next = *head;
        *head = i;
    }
}

uint32_t flow_find(struct analysis *a, const struct flow_key *key, unsigned *way) {
    if (!a->mask)
        return FLOW_NONE;
    struct flow_key there = table_key(key), back = flow_reverse(&there);
    for (uint32_t i = a->heads[hash_key(&there) & a->mask]; i != FLOW_NONE; i = a->flows.v[i].next) {
        struct flow_key k = table_key(&a->flows.v[i].key);
        if (!memcmp(&k, &there, sizeof k)) {
            *way = 0;
            return i;
        }
        if (!memcmp(&k, &back, sizeof k)) {
            *way = 1;
            return i;
        }
    }
    return FLOW_NONE;
}

uint32_t flow_get(struct analysis *a, const struct flow_key *key, bool answer, uint64_t now, unsigned *way) {
    uint32_t i = flow_find(a, key, way);
    if (i != FLOW_NONE)
        return i;
    if (a->flows.n >= a->mask)
        table_grow(a);
    struct flow_key k = table_key(key);
    uint32_t *head = &a->heads[hash_key(&k) & a->mask];
    i = (uint32_t)a->flows.n;
    vec_push(
        &a->flows,
        (struct flow){
            .key = answer ? flow_reverse(key) : *key, .first = now, .last = now, .finding = FLOW_NONE, .next = *head});
    *head = i;
    *way = answer;
    return i;
}

static bool mac_at(const struct inject_packet *p, unsigned offset, struct mac *out) {
    if (p->flags & PACKET_RAW_IP || p->raw->len < 14)
        return false;
    memcpy(out, p->raw->data + offset, sizeof *out);
    return true;
}

static uint64_t port_bit(uint16_t port) {
    return 1ull << (port < 63 ? port : 62);
}

void flow_see(struct analysis *a, uint32_t packet, uint32_t flow, unsigned way) {
    const struct inject_packet *p = &a->in->packets[packet];
    struct flow *f = &a->flows.v[flow];
    struct direction *d = &f->way[way];
    a->flow_of[packet] = flow;
    a->way_of[packet] = (uint8_t)way;
    f->last = inject_time(a->in, packet);
    d->packets++;
    d->bytes += p->raw->wire_len;
    if (f->n_frames < FLOW_FRAMES)
        f->frames[f->n_frames++] = p->raw->frame;
    if (p->kind == INJECT_OWN) {
        d->in |= LOCAL_BIT;
        d->out |= port_bit(p->port);
        d->has_to = d->has_to || mac_at(p, 0, &d->to);
    } else {
        d->in |= port_bit(p->port);
        d->has_from = d->has_from || mac_at(p, 6, &d->from);
    }
    if (f->key.proto == PROTO_TCP)
        tcp_see(a, packet, f, way);
}

void flow_left(struct analysis *a, uint32_t copy, uint32_t flow, unsigned way) {
    const struct inject_packet *p = &a->in->packets[copy];
    struct direction *d = &a->flows.v[flow].way[way];
    a->flow_of[copy] = flow;
    a->way_of[copy] = (uint8_t)way;
    d->out |= port_bit(p->port);
    d->has_to = d->has_to || mac_at(p, 0, &d->to);
}
