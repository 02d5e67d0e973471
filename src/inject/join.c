/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joins the two sights of a forwarded packet: as it arrived, and as it left. They agree in everything that routing and
 * NAT leave alone (length, IP id, fragment, sequence numbers, payload), differ by one in TTL or hop limit, and keep at
 * least one address; IPv6, which is not translated, keeps all. A packet that the node cut is joined with each piece.
 * Identical packets are joined in their order.
 */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/block.h>
#include "tracker.h"

#define JOIN_WINDOW_NS 5000000000ull /* longest stay in the node: reassembly, neighbour discovery */
#define DIGEST_BYTES 64
#define ROOM_FIRST 4096              /* packets; as many as wait at the same time stay in the caches */
#define PIECES_WINDOW 4096           /* arrived packets back where a fragment's whole is looked for */

static uint64_t digest(uint64_t h, const uint8_t *from, const uint8_t *end) {
    const uint8_t *stop = end - from > DIGEST_BYTES ? from + DIGEST_BYTES : end;
    uint64_t word = 0;
    for (; stop - from >= 8; from += 8) {
        memcpy(&word, from, 8);
        h = mix(h, word);
    }
    if (from >= stop)
        return h;
    word = 0;
    memcpy(&word, from, (size_t)(stop - from));
    return mix(h, word);
}

static uint64_t fingerprint_l4(uint64_t h, const struct inject_packet *p, const uint8_t *l4, const uint8_t *end) {
    if (p->flags & PACKET_FRAG_LATER || end - l4 < 8)
        return digest(h, l4, end);
    switch (p->key.proto) {
    case PROTO_TCP:
        if (end - l4 < 16)
            return h;
        return digest(digest(h, l4 + 4, l4 + 16), l4 + (l4[12] >> 4) * 4, end); /* no ports, no checksum, no options */
    case PROTO_UDP:
        return digest(h, l4 + 8, end);
    case PROTO_ICMP:
        h = mix(h, (uint64_t)l4[0] << 8 | l4[1]);
        if (p->flags & PACKET_ICMP_ERROR) /* of the packet inside: id and protocol */
            return end - l4 < 28 ? h : mix(digest(h, l4 + 12, l4 + 14), l4[17]);
        return digest(h, l4 + 6, end); /* no identifier */
    default:
        return digest(h, l4, end);
    }
}

static uint64_t fingerprint6(const struct inject_packet *p) {
    const struct ipv6_header *ip = inject_ipv6(p);
    uint32_t length = sizeof *ip + ntohs(ip->payload_length), end = p->l3 + length < p->raw->len ? p->l3 + length
                                                                                               : p->raw->len;
    uint64_t h = mix(0, (uint64_t)ip->version_class_label << 32 | (uint64_t)ip->payload_length << 16 | ip->next_header);
    h = digest(h, ip->src, ip->src + sizeof ip->src + sizeof ip->dst);
    h = digest(h, ip->dst + sizeof ip->dst, p->raw->data + p->l4);
    return digest(h, p->raw->data + p->l4, p->raw->data + end);
}

uint64_t joiner_print(const struct inject_packet *p) {
    if (p->key.family == FAMILY_IPV6)
        return fingerprint6(p);
    const struct ipv4_header *ip = inject_ipv4(p);
    uint32_t length = ntohs(ip->total_length), end = p->l3 + length < p->raw->len ? p->l3 + length : p->raw->len;
    uint64_t h =
        mix(0, (uint64_t)ip->total_length << 48 | (uint64_t)ip->id << 32 | (uint64_t)ip->fragment << 16 | ip->proto);
    return fingerprint_l4(h, p, p->raw->data + p->l4, p->raw->data + end);
}

/* ---- those that wait: a ring in the order of time, chained by fingerprint, oldest first ---- */

struct joiner {
    struct waiting *ring;
    uint64_t *head;        /* by fingerprint: number of a chain's first one, plus 1; one that was forgotten: no chain */
    size_t mask, room;     /* of ring and head; how large they may become */
    uint64_t first, end;   /* numbers of those in use: [first, end), modulo the ring's size */
};

static void make_tables(struct joiner *j, size_t size) {
    j->mask = size - 1;
    j->ring = block_grow(NULL, 0, size * sizeof *j->ring);
    j->head = xzalloc(size, sizeof *j->head);
}

static void free_tables(struct joiner *j) {
    block_free(j->ring, (j->mask + 1) * sizeof *j->ring);
    free(j->head);
}

struct joiner *joiner_create(size_t room) {
    struct joiner *j = xzalloc(1, sizeof *j);
    j->room = room;
    make_tables(j, room < ROOM_FIRST ? room : ROOM_FIRST);
    return j;
}

void joiner_destroy(struct joiner *j) {
    if (!j)
        return;
    free_tables(j);
    free(j);
}

static struct waiting *entry(const struct joiner *j, uint64_t i) {
    return &j->ring[i & j->mask];
}

static uint64_t *head_of(const struct joiner *j, uint64_t print) {
    return &j->head[print & j->mask];
}

/* The first one of the chain, in the ring; INJECT_NONE. */
static uint32_t chain_first(const struct joiner *j, uint64_t print) {
    const uint64_t head = *head_of(j, print);
    return head > j->first ? (uint32_t)((head - 1) & j->mask) : INJECT_NONE;
}

/* The one behind the first one of a chain takes its place. */
static void promote(struct joiner *j, const struct waiting *w) {
    if (w->next != INJECT_NONE)
        j->ring[w->next].last = w->last;
    *head_of(j, w->print) = w->next == INJECT_NONE ? 0 : j->first + ((w->next - j->first) & j->mask) + 1;
}

/* Takes a packet out of its chain; `before` is the one that leads to it, INJECT_NONE: it is the first one. */
static void unchain(struct joiner *j, struct waiting *w, uint32_t before) {
    if (before == INJECT_NONE)
        promote(j, w);
    else if ((j->ring[before].next = w->next) == INJECT_NONE)
        j->ring[chain_first(j, w->print)].last = before;
    w->waits = false;
}

/* The oldest one of all is the first of its chain, if it still waits: alone there it is forgotten by its number. */
static void forget_oldest(struct joiner *j) {
    const struct waiting *w = entry(j, j->first);
    if (w->waits && w->next != INJECT_NONE)
        promote(j, w);
    j->first++;
}

/* At the end of its chain: the latest one of all, number i. */
static void chain(struct joiner *j, uint64_t i) {
    struct waiting *w = entry(j, i);
    const uint32_t at = (uint32_t)(i & j->mask), first = chain_first(j, w->print);
    w->next = INJECT_NONE;
    if (first == INJECT_NONE) {
        *head_of(j, w->print) = i + 1;
        w->last = at;
        return;
    }
    j->ring[j->ring[first].last].next = at;
    j->ring[first].last = at;
}

static void grow(struct joiner *j) {
    struct joiner old = *j;
    make_tables(j, 2 * (old.mask + 1));
    for (uint64_t i = j->first; i < j->end; i++) {
        *entry(j, i) = *entry(&old, i);
        if (entry(j, i)->waits)
            chain(j, i);
    }
    free_tables(&old);
}

/* Makes room for one more. */
static void forget_old(struct joiner *j, uint64_t now) {
    while (j->first < j->end && now > entry(j, j->first)->time_ns + JOIN_WINDOW_NS)
        forget_oldest(j);
    if (j->end - j->first <= j->mask)
        return;
    if (j->mask + 1 < j->room)
        grow(j);
    else
        forget_oldest(j);
}

/* Bytes of the datagram that an IPv4 packet carries: [first, end). */
static void datagram_part(const struct ipv4_header *ip, uint32_t *first, uint32_t *end) {
    *first = (ntohs(ip->fragment) & IPV4_OFFSET) * 8u;
    *end = *first + ntohs(ip->total_length) - (ip->version_ihl & 15) * 4u;
}

static uint64_t sender(const struct inject_packet *p) {
    uint32_t vendor = 0;
    uint16_t rest = 0;
    if (p->mac) {
        memcpy(&vendor, p->mac + 6, 4);
        memcpy(&rest, p->mac + 10, 2);
    }
    return (uint64_t)vendor << 16 | rest;
}

/* Sets all but the chain, field by field: what is put together first and then copied has to wait for itself. */
static void describe(struct waiting *w, const struct inject_packet *p, uint64_t print) {
    const bool v4 = p->key.family == FAMILY_IPV4;
    const struct ipv4_header *ip = inject_ipv4(p);
    w->print = print;
    w->time_ns = p->raw->time_ns;
    w->mac = sender(p);
    w->label = LABEL_NONE;
    w->port = p->port;
    w->proto = p->key.proto;
    w->family = p->key.family;
    w->ttl = v4 ? ip->ttl : inject_ipv6(p)->hop_limit;
    w->waits = true;
    w->learns = false;
    if (!v4)
        return;
    memcpy(&w->inside.src, p->key.src, 4);
    memcpy(&w->inside.dst, p->key.dst, 4);
    w->inside.sport = p->key.sport;
    w->inside.dport = p->key.dport;
    w->id = ip->id;
    datagram_part(ip, &w->from, &w->end);
}

static void wait_for_copy(struct joiner *j, const struct inject_packet *p, uint64_t print) {
    describe(entry(j, j->end), p, print);
    chain(j, j->end++);
}

static bool same_packet(const struct waiting *in, const struct inject_packet *out) {
    if (in->family != out->key.family || in->time_ns > out->raw->time_ns ||
        out->raw->time_ns - in->time_ns > JOIN_WINDOW_NS)
        return false;
    if (in->family == FAMILY_IPV6) /* the fingerprint holds the addresses */
        return in->ttl == inject_ipv6(out)->hop_limit + 1;
    const struct ipv4_header *b = inject_ipv4(out);
    const be32 src = in->inside.src, dst = in->inside.dst;
    bool hairpinned = dst == b->src && src != b->dst; /* both ends change: from the NAT's address back inside */
    return in->ttl == b->ttl + 1 && (src == b->src || dst == b->dst || hairpinned);
}

/* Takes the packet out of its chain whose copy p is. */
static struct waiting *take(struct joiner *j, const struct inject_packet *p, uint64_t print) {
    for (uint32_t at = chain_first(j, print), before = INJECT_NONE; at != INJECT_NONE; at = j->ring[before = at].next) {
        struct waiting *w = &j->ring[at];
        bool moved = p->kind != KIND_UNDECIDED || w->port != p->port || w->mac != sender(p);
        if (w->print == print && moved && same_packet(w, p)) {
            unchain(j, w, before);
            return w;
        }
    }
    return NULL;
}

/* ---- what the node cut ---- */

/* Did the node cut `piece`, which left, out of what arrived? Reassembled before (as Linux does) or not. */
static bool cut_from(const struct waiting *in, const struct inject_packet *piece) {
    const struct ipv4_header *b = inject_ipv4(piece);
    uint32_t first, last;
    if (in->family != FAMILY_IPV4 || in->id != b->id || in->proto != b->proto || in->port == piece->port ||
        in->ttl != b->ttl + 1 || (in->inside.src != b->src && in->inside.dst != b->dst))
        return false;
    datagram_part(b, &first, &last);
    return in->from <= first && first < in->end && piece->raw->time_ns - in->time_ns <= JOIN_WINDOW_NS;
}

/* A fragment that left and is nobody's copy: of which arrived packet it is a piece. */
static struct waiting *take_whole(struct joiner *j, const struct inject_packet *p) {
    if (p->kind != INJECT_OWN || p->key.family != FAMILY_IPV4 || !(p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER)))
        return NULL;
    for (uint64_t i = j->end; i-- > j->first && j->end - i <= PIECES_WINDOW;)
        if (cut_from(entry(j, i), p))
            return entry(j, i);
    return NULL;
}

/* It waits no longer. */
static void take_out(struct joiner *j, struct waiting *w) {
    uint32_t before = INJECT_NONE;
    for (uint32_t at = chain_first(j, w->print); &j->ring[at] != w; at = j->ring[at].next)
        before = at;
    unchain(j, w, before);
}

void joiner_fetch(const struct joiner *j, uint64_t print) {
    __builtin_prefetch(head_of(j, print), 1);
}

void joiner_fetch_more(const struct joiner *j, uint64_t print) {
    const uint32_t at = chain_first(j, print);
    if (at != INJECT_NONE)
        __builtin_prefetch(&j->ring[at]);
}

const struct waiting *joiner_see(struct joiner *j, struct inject_packet *p, uint64_t print, uint32_t *of) {
    struct waiting *w = NULL;
    bool first = true;
    *of = LABEL_NONE;
    forget_old(j, p->raw->time_ns);
    if (p->kind != INJECT_ARRIVED && !(w = take(j, p, print)) && (w = take_whole(j, p))) {
        first = w->waits; /* the first piece is its copy */
        if (first)
            take_out(j, w);
    }
    if (w) {
        p->kind = INJECT_COPY;
        *of = w->label;
        return first ? w : NULL;
    }
    if (p->kind != INJECT_OWN) {
        p->kind = INJECT_ARRIVED;
        wait_for_copy(j, p, print);
    }
    return NULL;
}

void joiner_name(struct joiner *j, uint32_t label, bool learns) {
    struct waiting *w = entry(j, j->end - 1);
    w->label = label;
    w->learns = learns;
}
