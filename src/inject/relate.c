/* SPDX-License-Identifier: BSD-3-Clause */
/* Which arrived packets belong together: translations of the captured NAT, answers to
 * them, first packets and the rest. */
#include <stdlib.h>
#include <string.h>
#include "inject.h"

/* Conversations by the key of one direction; the newest entry of a key is found first. */
struct entry {
    struct flow_key key;
    uint32_t first;   /* packet that began it */
    uint32_t mapping; /* INJECT_NONE: not translated */
    uint32_t next;    /* chain */
};
struct book {
    VEC(struct entry) entries;
    uint32_t *head;
    size_t mask;
};

static size_t bucket(const struct book *b, const struct flow_key *k) {
    uint64_t word[(sizeof *k + 7) / 8] = {0}, h = 0;
    static_assert(sizeof *k == 38, "no padding is hashed");
    memcpy(word, k, sizeof *k);
    for (unsigned i = 0; i < sizeof word / sizeof *word; i++)
        h = mix(h, word[i]);
    return h & b->mask;
}

static struct entry *find(struct book *b, const struct flow_key *k) {
    for (uint32_t i = b->head[bucket(b, k)]; i != INJECT_NONE; i = b->entries.v[i].next)
        if (!memcmp(&b->entries.v[i].key, k, sizeof *k))
            return &b->entries.v[i];
    return NULL;
}

static void enter(struct book *b, const struct flow_key *k, uint32_t first, uint32_t mapping) {
    uint32_t *head = &b->head[bucket(b, k)];
    vec_push(&b->entries, (struct entry){*k, first, mapping, *head});
    *head = (uint32_t)b->entries.n - 1;
}

static struct flow_key reversed(const struct flow_key *k) {
    struct flow_key r = *k;
    memcpy(r.src, k->dst, sizeof r.src);
    memcpy(r.dst, k->src, sizeof r.dst);
    if (!proto_is_icmp(k->proto)) { /* there: identifier and 0, both ways */
        r.sport = k->dport;
        r.dport = k->sport;
    }
    return r;
}

bool inject_inner(const struct inject_packet *p, struct flow_key *key, uint32_t *l3, uint32_t *l4) {
    struct packet inner = {.flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    uint32_t at = p->l4 + 8u;
    if (p->raw->len < at + 1)
        return false;
    inner.data = (uint8_t *)p->raw->data + at;
    inner.len = p->raw->len - at;
    inner.wire_len = UINT16_MAX + sizeof(struct ipv6_header); /* its own length says more than there is here */
    parse(&inner);
    if (inner.reason == DROP_SHORT_L4 && inner.proto == PROTO_TCP && inner.len >= inner.l4 + 8u) {
        inner.verdict = VERDICT_NONE; /* RFC 792 asks for 64 bits of it: the ports */
        memcpy(&inner.sport, inner.data + inner.l4, 2);
        memcpy(&inner.dport, inner.data + inner.l4 + 2, 2);
        inner.flags |= PACKET_PORTS;
    }
    if (inner.verdict != VERDICT_NONE || inner.family != p->key.family || inner.flags & PACKET_FRAG_LATER ||
        inner.len < inner.l4 + 8u)
        return false;
    packet_key(&inner, key);
    *l3 = at;
    *l4 = at + inner.l4;
    return true;
}

/* What the fragments of one IPv6 datagram share: the fragment header's identification stands before the L4 header. */
static be32 fragment_id6(const struct inject_packet *p) {
    be32 id;
    memcpy(&id, p->raw->data + p->l4 - sizeof id, sizeof id);
    return id;
}

static bool same_datagram(const struct inject_packet *a, const struct inject_packet *b) {
    if (a->key.family != b->key.family || memcmp(a->key.src, b->key.src, sizeof a->key.src + sizeof a->key.dst))
        return false;
    if (a->key.family == FAMILY_IPV6)
        return fragment_id6(a) == fragment_id6(b);
    return inject_ipv4(a)->id == inject_ipv4(b)->id && a->key.proto == b->key.proto;
}

/* A later fragment waits for its first one. */
static uint32_t first_fragment(const struct inject *in, uint32_t i) {
    for (uint32_t k = i, looked = 0; k-- > 0 && looked < 4096; looked++) {
        const struct inject_packet *p = &in->packets[k];
        if (p->kind != INJECT_ARRIVED || !(p->flags & PACKET_FRAG_FIRST))
            continue;
        if (same_datagram(p, &in->packets[i]))
            return k;
    }
    return INJECT_NONE;
}

static void relate_error(struct book *b, struct inject_packet *p) {
    struct flow_key key;
    uint32_t l3, l4;
    struct entry *e = inject_inner(p, &key, &l3, &l4) ? find(b, &key) : NULL;
    if (!e)
        return;
    p->after = e->first;
    p->answer = e->mapping;
}

/* Learns how the captured NAT changed the packet's source, and enters the conversation as it goes on beyond it. */
static void learn(struct inject *in, struct book *b, uint32_t i) {
    const struct inject_packet *p = &in->packets[i];
    if (p->key.family != FAMILY_IPV4 || p->partner == INJECT_NONE || in->packets[p->partner].key.proto != p->key.proto)
        return;
    const struct flow_key *left = &in->packets[p->partner].key;
    struct nat_tuple inside = inject_tuple(&p->key), outside = inject_tuple(left);
    if (!memcmp(&outside, &inside, sizeof outside))
        return;
    const struct entry *e = find(b, left); /* a port that serves another flow now gets a new entry */
    if (e && (e->mapping == INJECT_NONE || !memcmp(&in->mappings.v[e->mapping].inside, &inside, sizeof inside)))
        return;
    uint32_t mapping = INJECT_NONE;
    if (outside.src != inside.src || outside.sport != inside.sport) {
        mapping = (uint32_t)in->mappings.n;
        vec_push(&in->mappings, (struct inject_mapping){p->key.proto, inside, outside, i});
    }
    enter(b, left, i, mapping);
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
    struct flow_key back = reversed(&p->key);
    struct entry *e = find(b, &back);
    if (e) { /* against the direction in which it began */
        p->after = e->first;
        p->answer = e->mapping;
        return;
    }
    if (!find(b, &p->key))
        enter(b, &p->key, i, INJECT_NONE);
    learn(in, b, i);
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
