/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joins the two sights of a forwarded packet: as it arrived, and as it left. They agree in everything that routing and
 * NAT leave alone (length, IP id, fragment, sequence numbers, payload), differ by one in TTL or hop limit, and keep at
 * least one address; IPv6, which is not translated, keeps all. A packet that the node cut is joined with each piece.
 * Identical packets are joined in their order.
 */
#include <stdlib.h>
#include <string.h>
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
    uint32_t *head, *tail; /* by fingerprint; tail: valid where head is not INJECT_NONE */
    size_t mask, room;     /* of ring, head and tail; how large they may become */
    uint64_t first, end;   /* entries in use: [first, end) modulo the ring's size */
    uint64_t settled;      /* labels of entries before it are final */
};

static void make_tables(struct joiner *j, size_t size) {
    j->mask = size - 1;
    j->ring = xalloc(size * sizeof *j->ring);
    j->head = xalloc(size * sizeof *j->head);
    j->tail = xalloc(size * sizeof *j->tail);
    memset(j->head, 0xff, size * sizeof *j->head);
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
    free(j->ring);
    free(j->head);
    free(j->tail);
    free(j);
}

static struct waiting *entry(const struct joiner *j, uint64_t i) {
    return &j->ring[i & j->mask];
}

/* Takes packet *at out of the chain; `before` is the one that leads to it. */
static void unchain(struct joiner *j, size_t b, uint32_t *at, uint32_t before) {
    struct waiting *w = &j->ring[*at];
    if (j->tail[b] == *at)
        j->tail[b] = before;
    w->waits = false;
    *at = w->next;
}

/* The oldest one of all is the first of its chain, if it still waits. */
static void forget_oldest(struct joiner *j) {
    struct waiting *w = entry(j, j->first++);
    if (w->waits)
        unchain(j, w->print & j->mask, &j->head[w->print & j->mask], INJECT_NONE);
}

/* At the end of its chain. */
static void chain(struct joiner *j, uint32_t at) {
    const size_t b = j->ring[at].print & j->mask;
    *(j->head[b] == INJECT_NONE ? &j->head[b] : &j->ring[j->tail[b]].next) = at;
    j->tail[b] = at;
    j->ring[at].next = INJECT_NONE;
}

static void grow(struct joiner *j) {
    const struct joiner old = *j;
    make_tables(j, 2 * (old.mask + 1));
    for (uint64_t i = j->first; i < j->end; i++) {
        *entry(j, i) = *entry(&old, i);
        if (entry(j, i)->waits)
            chain(j, (uint32_t)(i & j->mask));
    }
    free(old.ring);
    free(old.head);
    free(old.tail);
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
    uint64_t mac = 0;
    if (p->mac)
        memcpy(&mac, p->mac + 6, 6);
    return mac;
}

static struct waiting describe(const struct inject_packet *p, uint32_t label, uint64_t print) {
    struct waiting w = {.print = print, .time_ns = p->raw->time_ns, .label = label, .next = INJECT_NONE,
                        .port = p->port, .proto = p->key.proto, .family = p->key.family, .mac = sender(p)};
    if (p->key.family == FAMILY_IPV6) {
        w.ttl = inject_ipv6(p)->hop_limit;
        return w;
    }
    const struct ipv4_header *ip = inject_ipv4(p);
    w.src = ip->src;
    w.dst = ip->dst;
    w.id = ip->id;
    w.ttl = ip->ttl;
    w.inside = inject_tuple(&p->key);
    datagram_part(ip, &w.from, &w.end);
    return w;
}

static void wait_for_copy(struct joiner *j, const struct inject_packet *p, uint32_t label, uint64_t print) {
    const uint32_t at = (uint32_t)(j->end++ & j->mask);
    j->ring[at] = describe(p, label, print);
    j->ring[at].waits = true;
    chain(j, at);
}

static bool same_packet(const struct waiting *in, const struct inject_packet *out) {
    if (in->family != out->key.family || in->time_ns > out->raw->time_ns ||
        out->raw->time_ns - in->time_ns > JOIN_WINDOW_NS)
        return false;
    if (in->family == FAMILY_IPV6) /* the fingerprint holds the addresses */
        return in->ttl == inject_ipv6(out)->hop_limit + 1;
    const struct ipv4_header *b = inject_ipv4(out);
    bool hairpinned = in->dst == b->src && in->src != b->dst; /* both ends change: from the NAT's address back inside */
    return in->ttl == b->ttl + 1 && (in->src == b->src || in->dst == b->dst || hairpinned);
}

/* Takes the packet out of its chain whose copy p is. */
static struct waiting *take(struct joiner *j, const struct inject_packet *p, uint64_t print) {
    const size_t b = print & j->mask;
    uint32_t before = INJECT_NONE;
    for (uint32_t *at = &j->head[b]; *at != INJECT_NONE;) {
        struct waiting *w = &j->ring[*at];
        bool moved = p->kind != KIND_UNDECIDED || w->port != p->port || w->mac != sender(p);
        if (w->print == print && moved && same_packet(w, p)) {
            unchain(j, b, at, before);
            return w;
        }
        before = *at;
        at = &w->next;
    }
    return NULL;
}

/* ---- what the node cut ---- */

/* Did the node cut `piece`, which left, out of what arrived? Reassembled before (as Linux does) or not. */
static bool cut_from(const struct waiting *in, const struct inject_packet *piece) {
    const struct ipv4_header *b = inject_ipv4(piece);
    uint32_t first, last;
    if (in->family != FAMILY_IPV4 || in->id != b->id || in->proto != b->proto || in->port == piece->port ||
        in->ttl != b->ttl + 1 || (in->src != b->src && in->dst != b->dst))
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

void joiner_fetch(const struct joiner *j, uint64_t print) {
    __builtin_prefetch(&j->head[print & j->mask], 1);
    __builtin_prefetch(&j->tail[print & j->mask], 1);
}

void joiner_fetch_more(const struct joiner *j, uint64_t print) {
    const uint32_t at = j->head[print & j->mask];
    if (at != INJECT_NONE)
        __builtin_prefetch(&j->ring[at]);
}

const struct waiting *joiner_see(struct joiner *j, struct inject_packet *p, uint64_t print, uint32_t label,
                                 uint32_t *of) {
    struct waiting *w = NULL;
    bool first = true;
    *of = LABEL_NONE;
    forget_old(j, p->raw->time_ns);
    if (p->kind != INJECT_ARRIVED && !(w = take(j, p, print)) && (w = take_whole(j, p))) {
        first = w->waits; /* the first piece is its copy */
        if (first) {
            uint32_t before = INJECT_NONE, at = (uint32_t)(w - j->ring), *link = &j->head[w->print & j->mask];
            while (*link != at)
                link = &j->ring[before = *link].next;
            unchain(j, w->print & j->mask, link, before);
        }
    }
    if (w) {
        p->kind = INJECT_COPY;
        *of = w->label;
        return first ? w : NULL;
    }
    if (p->kind != INJECT_OWN) {
        p->kind = INJECT_ARRIVED;
        wait_for_copy(j, p, label, print);
    }
    return NULL;
}

void joiner_learns(struct joiner *j) {
    entry(j, j->end - 1)->learns = true;
}

void joiner_settle(struct joiner *j, const uint32_t *names) {
    for (uint64_t i = j->settled > j->first ? j->settled : j->first; i < j->end; i++) {
        struct waiting *w = entry(j, i);
        w->label = label_settle(w->label, names);
    }
    j->settled = j->end;
}
