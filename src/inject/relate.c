/* SPDX-License-Identifier: BSD-3-Clause */
/* Which arrived packets belong together: translations of the captured NAT, answers to
 * them, first packets and the rest. */
#include <stdlib.h>
#include <string.h>
#include "inject.h"

/* Conversations by the tuple of one direction; the newest entry of a tuple is found first. */
struct entry {
    struct nat_tuple tuple;
    uint8_t proto;
    uint32_t first;   /* packet that began it */
    uint32_t mapping; /* INJECT_NONE: not translated */
    uint32_t next;    /* chain */
};
struct book {
    VEC(struct entry) entries;
    uint32_t *head;
    size_t mask;
};

static size_t bucket(const struct book *b, uint8_t proto, const struct nat_tuple *t) {
    uint64_t h = mix(proto, (uint64_t)t->src << 32 | t->dst);
    return mix(h, (uint64_t)t->sport << 16 | t->dport) & b->mask;
}

static struct entry *find(struct book *b, uint8_t proto, const struct nat_tuple *t) {
    for (uint32_t i = b->head[bucket(b, proto, t)]; i != INJECT_NONE; i = b->entries.v[i].next)
        if (b->entries.v[i].proto == proto && !memcmp(&b->entries.v[i].tuple, t, sizeof *t))
            return &b->entries.v[i];
    return NULL;
}

static void enter(struct book *b, uint8_t proto, const struct nat_tuple *t, uint32_t first, uint32_t mapping) {
    uint32_t *head = &b->head[bucket(b, proto, t)];
    vec_push(&b->entries, (struct entry){*t, proto, first, mapping, *head});
    *head = (uint32_t)b->entries.n - 1;
}

static struct nat_tuple reversed(const struct nat_tuple *t, uint8_t proto) {
    bool icmp = proto == PROTO_ICMP; /* identifier and 0, both ways */
    return (struct nat_tuple){t->dst, t->src, icmp ? t->sport : t->dport, icmp ? t->dport : t->sport};
}

bool inject_inner(const struct inject_packet *p, uint8_t *proto, struct nat_tuple *t, uint32_t *l3, uint32_t *l4) {
    uint32_t at = p->l4 + 8u;
    if (p->raw->len < at + sizeof(struct ipv4_header))
        return false;
    const struct ipv4_header *ip = (const struct ipv4_header *)(p->raw->data + at);
    uint32_t l4_at = at + (ip->version_ihl & 15) * 4u;
    if (ip->version_ihl >> 4 != 4 || p->raw->len < l4_at + 8 || ntohs(ip->fragment) & IPV4_OFFSET)
        return false;
    *t = (struct nat_tuple){.src = ip->src, .dst = ip->dst};
    if (ip->proto == PROTO_ICMP) {
        memcpy(&t->sport, p->raw->data + l4_at + 4, 2);
    } else if (ip->proto == PROTO_TCP || ip->proto == PROTO_UDP) {
        memcpy(&t->sport, p->raw->data + l4_at, 2);
        memcpy(&t->dport, p->raw->data + l4_at + 2, 2);
    }
    *proto = ip->proto;
    *l3 = at;
    *l4 = l4_at;
    return true;
}

/* A later fragment waits for its first one. */
static uint32_t first_fragment(const struct inject *in, uint32_t i) {
    const struct ipv4_header *ip = inject_ipv4(&in->packets[i]);
    for (uint32_t k = i, looked = 0; k-- > 0 && looked < 4096; looked++) {
        const struct inject_packet *p = &in->packets[k];
        if (p->kind != INJECT_ARRIVED || !(p->flags & PACKET_FRAG_FIRST))
            continue;
        const struct ipv4_header *first = inject_ipv4(p);
        if (first->id == ip->id && first->src == ip->src && first->dst == ip->dst && first->proto == ip->proto)
            return k;
    }
    return INJECT_NONE;
}

static void relate_error(struct book *b, struct inject_packet *p) {
    uint8_t proto;
    struct nat_tuple t;
    uint32_t l3, l4;
    struct entry *e = inject_inner(p, &proto, &t, &l3, &l4) ? find(b, proto, &t) : NULL;
    if (!e)
        return;
    p->after = e->first;
    p->answer = e->mapping;
}

/* Learns how the captured NAT changed the packet's source, and enters the conversation as it goes on beyond it. */
static void learn(struct inject *in, struct book *b, uint32_t i, const struct nat_tuple *inside) {
    const struct inject_packet *p = &in->packets[i];
    if (p->partner == INJECT_NONE || in->packets[p->partner].key.proto != p->key.proto)
        return;
    struct nat_tuple outside = inject_tuple(&in->packets[p->partner].key);
    uint8_t proto = p->key.proto;
    if (!memcmp(&outside, inside, sizeof outside))
        return;
    const struct entry *e = find(b, proto, &outside); /* a port that serves another flow now gets a new entry */
    if (e && (e->mapping == INJECT_NONE || !memcmp(&in->mappings.v[e->mapping].inside, inside, sizeof *inside)))
        return;
    uint32_t mapping = INJECT_NONE;
    if (outside.src != inside->src || outside.sport != inside->sport) {
        mapping = (uint32_t)in->mappings.n;
        vec_push(&in->mappings, (struct inject_mapping){proto, *inside, outside, i});
    }
    enter(b, proto, &outside, i, mapping);
}

static void relate_one(struct inject *in, struct book *b, uint32_t i) {
    struct inject_packet *p = &in->packets[i];
    if (p->flags & PACKET_FRAG_LATER) {
        p->after = first_fragment(in, i);
        if (p->after != INJECT_NONE)
            p->answer = in->packets[p->after].answer;
        return;
    }
    if (p->flags & PACKET_ICMP_ERROR) {
        relate_error(b, p);
        return;
    }
    struct nat_tuple t = inject_tuple(&p->key), back = reversed(&t, p->key.proto);
    struct entry *e = find(b, p->key.proto, &back);
    if (e) { /* against the direction in which it began */
        p->after = e->first;
        p->answer = e->mapping;
        return;
    }
    if (!find(b, p->key.proto, &t))
        enter(b, p->key.proto, &t, i, INJECT_NONE);
    learn(in, b, i, &t);
}

void relate(struct inject *in) {
    size_t size = 1024;
    while (size < in->n)
        size *= 2;
    struct book b = {.head = xalloc(size * sizeof *b.head), .mask = size - 1};
    memset(b.head, 0xff, size * sizeof *b.head);
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        if (p->kind == INJECT_ARRIVED)
            relate_one(in, &b, i);
        else if (p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR)
            relate_error(&b, p);
    }
    vec_free(&b.entries);
    free(b.head);
}
