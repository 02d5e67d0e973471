/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joins the two sights of a forwarded packet: as it arrived, and as it left. They agree in everything that routing and
 * NAT leave alone (length, IP id, fragment, sequence numbers, payload), differ by one in TTL or hop limit, and keep at
 * least one address; IPv6, which is not translated, keeps all. A packet that the node cut is joined with each piece.
 * Identical packets are joined in their order.
 */
#include <stdlib.h>
#include <string.h>
#include "inject.h"

#define JOIN_WINDOW_NS 5000000000ull /* longest stay in the node: reassembly, neighbour discovery */
#define DIGEST_BYTES 64
#define PIECES_WINDOW 4096           /* packets back where a fragment's whole is looked for */

static uint64_t digest(uint64_t h, const uint8_t *from, const uint8_t *end) {
    for (size_t n = 0; from < end && n < DIGEST_BYTES; from++, n++)
        h = mix(h, *from);
    return h;
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

static uint64_t fingerprint(const struct inject_packet *p) {
    if (p->key.family == FAMILY_IPV6)
        return fingerprint6(p);
    const struct ipv4_header *ip = inject_ipv4(p);
    uint32_t length = ntohs(ip->total_length), end = p->l3 + length < p->raw->len ? p->l3 + length : p->raw->len;
    uint64_t h =
        mix(0, (uint64_t)ip->total_length << 48 | (uint64_t)ip->id << 32 | (uint64_t)ip->fragment << 16 | ip->proto);
    return fingerprint_l4(h, p, p->raw->data + p->l4, p->raw->data + end);
}

static bool same_packet(const struct inject_packet *in, const struct inject_packet *out) {
    if (in->key.family != out->key.family || in->raw->time_ns > out->raw->time_ns ||
        out->raw->time_ns - in->raw->time_ns > JOIN_WINDOW_NS)
        return false;
    if (in->key.family == FAMILY_IPV6) /* the fingerprint holds the addresses */
        return inject_ipv6(in)->hop_limit == inject_ipv6(out)->hop_limit + 1;
    const struct ipv4_header *a = inject_ipv4(in), *b = inject_ipv4(out);
    bool hairpinned = a->dst == b->src && a->src != b->dst; /* both ends change: from the NAT's address back inside */
    return a->ttl == b->ttl + 1 && (a->src == b->src || a->dst == b->dst || hairpinned);
}

/* ---- what the node cut ---- */

/* Bytes of the datagram that an IPv4 packet carries: [first, end). */
static void datagram_part(const struct ipv4_header *ip, uint32_t *first, uint32_t *end) {
    *first = (ntohs(ip->fragment) & IPV4_OFFSET) * 8u;
    *end = *first + ntohs(ip->total_length) - (ip->version_ihl & 15) * 4u;
}

/* Did the node cut `piece`, which left, out of what arrived? Reassembled before (as Linux does) or not. */
static bool cut_from(const struct inject_packet *in, const struct inject_packet *piece) {
    const struct ipv4_header *a = inject_ipv4(in), *b = inject_ipv4(piece);
    uint32_t from, end, first, last;
    if (in->key.family != FAMILY_IPV4 || a->id != b->id || a->proto != b->proto || in->port == piece->port ||
        a->ttl != b->ttl + 1 || (a->src != b->src && a->dst != b->dst))
        return false;
    datagram_part(a, &from, &end);
    datagram_part(b, &first, &last);
    return from <= first && first < end && piece->raw->time_ns - in->raw->time_ns <= JOIN_WINDOW_NS;
}

/* Fragments that left and are nobody's copy: of which arrived packet they are a piece. The first piece is its copy. */
static void join_pieces(struct inject *in) {
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        if (p->kind != INJECT_OWN || p->key.family != FAMILY_IPV4 ||
            !(p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER)))
            continue;
        for (uint32_t k = i, looked = 0; k-- > 0 && looked < PIECES_WINDOW; looked++) {
            struct inject_packet *a = &in->packets[k];
            if (a->kind != INJECT_ARRIVED || !cut_from(a, p))
                continue;
            p->kind = INJECT_COPY;
            p->partner = k;
            if (a->partner == INJECT_NONE)
                a->partner = i;
            break;
        }
    }
}

/* Arrived packets that wait for their copy, by fingerprint: chains in a hash table, oldest first. */
struct waiting {
    uint32_t *head, *tail, *next; /* tail: valid where head is not INJECT_NONE */
    uint64_t *print;
    size_t mask;
};

static void wait_for_copy(struct waiting *w, uint32_t i) {
    size_t b = w->print[i] & w->mask;
    *(w->head[b] == INJECT_NONE ? &w->head[b] : &w->next[w->tail[b]]) = i;
    w->tail[b] = i;
}

/* Takes packet *at out of the chain; `before` is the one that leads to it. */
static void unchain(struct waiting *w, size_t b, uint32_t *at, uint32_t before) {
    if (w->tail[b] == *at)
        w->tail[b] = before;
    *at = w->next[*at];
}

/* Takes the packet out of its chain whose copy packet i is; packets too old to be
 * anybody's are taken out on the way. */
static uint32_t take(struct inject *in, struct waiting *w, uint32_t i) {
    const struct inject_packet *out = &in->packets[i];
    size_t b = w->print[i] & w->mask;
    uint32_t before = INJECT_NONE;
    for (uint32_t *at = &w->head[b]; *at != INJECT_NONE;) {
        uint32_t k = *at;
        const struct inject_packet *arrived = &in->packets[k];
        if (out->raw->time_ns - arrived->raw->time_ns > JOIN_WINDOW_NS) {
            unchain(w, b, at, before);
            continue;
        }
        bool other_port = out->kind != KIND_UNDECIDED || arrived->port != out->port;
        if (w->print[k] == w->print[i] && other_port && same_packet(arrived, out)) {
            unchain(w, b, at, before);
            return k;
        }
        at = &w->next[before = k];
    }
    return INJECT_NONE;
}

void join_copies(struct inject *in) {
    size_t size = 16;
    while (size < in->n)
        size *= 2;
    struct waiting w = {.head = xalloc(size * sizeof *w.head), .tail = xalloc(size * sizeof *w.tail), .mask = size - 1};
    w.next = xalloc((in->n + 1) * sizeof *w.next);
    w.print = xalloc((in->n + 1) * sizeof *w.print);
    memset(w.head, 0xff, size * sizeof *w.head);
    memset(w.next, 0xff, (in->n + 1) * sizeof *w.next);
    for (uint32_t i = 0; i < in->n; i++) {
        struct inject_packet *p = &in->packets[i];
        if (p->kind != INJECT_ARRIVED && p->kind != INJECT_OWN && p->kind != KIND_UNDECIDED)
            continue;
        w.print[i] = fingerprint(p);
        uint32_t k = p->kind == INJECT_ARRIVED ? INJECT_NONE : take(in, &w, i);
        if (k != INJECT_NONE) {
            p->kind = INJECT_COPY;
            p->partner = k;
            in->packets[k].partner = i;
        } else if (p->kind != INJECT_OWN) {
            p->kind = INJECT_ARRIVED;
            wait_for_copy(&w, i);
        }
    }
    free(w.head);
    free(w.tail);
    free(w.next);
    free(w.print);
    join_pieces(in);
}
