/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a NAT leaves alone of a packet. TCP: sequence and acknowledgement numbers, flags but ECN, payload length; UDP
 * and ICMP queries: IP id, lengths, type, code, sequence number and, when the id is 0, the payload's beginning; others:
 * IP id, length, beginning. The L4 checksum less addresses, ports, ECN bits and MSS (which routers clamp) is the same at
 * both points if and only if its change is that of the rewritten fields (RFC 1624).
 */
#include <fwdlab/core/checksum.h>
#include "points.h"

#define BEGINNING 16u /* bytes of payload that tell packets apart */
#define TCP_FLAGS 0x3fu
#define TCP_ECN 0xc0u
enum { TCP_OPTION_END, TCP_OPTION_NOP, TCP_OPTION_MSS, TCP_OPTION_TIMESTAMP = 8 };

/* The bytes of a packet: what is present, and how much the wire had. */
struct bytes {
    const uint8_t *ip, *l4;
    uint32_t present;   /* from l4 on */
    uint32_t length;    /* of the datagram from l4 on */
    uint16_t id;
    bool whole;         /* all of it is present, and it is no fragment */
};

static uint16_t load16(const uint8_t *at) {
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}
static uint32_t load32(const uint8_t *at) {
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

uint64_t mix_bytes(uint64_t h, const void *data, size_t len) {
    const uint8_t *p = data;
    uint64_t v = 0;
    h = mix64(h, len);
    for (; len >= sizeof v; p += sizeof v, len -= sizeof v) {
        memcpy(&v, p, sizeof v);
        h = mix64(h, v);
    }
    v = 0;
    memcpy(&v, p, len);
    return mix64(h, v);
}

uint64_t key_hash(const struct flow_key *k) {
    struct flow_key t = key_turned(k);
    return mix_bytes(0, memcmp(k, &t, sizeof t) < 0 ? k : &t, sizeof t);
}

static bool find_bytes(const struct point_packet *p, struct bytes *b) {
    bool v6 = p->key.family == FAMILY_IPV6;
    uint32_t total;
    if (p->len < (v6 ? 40u : 20u) || p->l4 > p->len)
        return false;
    total = v6 ? 40u + ntohs(load16(p->ip + 4)) : ntohs(load16(p->ip + 2));
    if (total < p->l4 || (v6 && total == 40)) /* not filled in before segmentation (TSO), or a jumbogram */
        total = p->wire_len;
    if (total < p->l4)
        return false;
    uint32_t present = p->len < total ? p->len : total;
    *b = (struct bytes){.ip = p->ip, .l4 = p->ip + p->l4, .present = present - p->l4, .length = total - p->l4,
                        .id = v6 ? 0 : load16(p->ip + 4),
                        .whole = present == total && !(p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER))};
    return true;
}

/* sum - data, one's complement: modulo 0xffff. */
static uint32_t less(uint32_t sum, const void *data, size_t len) {
    return (sum + 0xffffu - checksum_sum(data, len, 0) % 0xffffu) % 0xffffu;
}

/* The sum that the checksum at `at` says is covered, less addresses and `ports` bytes at `from`, and `more`. */
static void take_sum(struct print *o, const struct point_packet *p, const struct bytes *b, uint32_t at, uint32_t from,
                     uint32_t ports, uint32_t more) {
    bool v6 = p->key.family == FAMILY_IPV6, pseudo = p->key.proto != PROTO_ICMP;
    if (b->present < at + 2)
        return;
    uint16_t field = load16(b->l4 + at);
    if (p->key.proto == PROTO_UDP && !field)
        return;
    uint32_t addresses = checksum_sum(b->ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0);
    uint32_t start = (addresses % 0xffffu + htons(p->key.proto) + htons((uint16_t)b->length)) % 0xffffu;
    if (pseudo && field % 0xffffu == start &&
        !(b->whole && checksum_sum(b->l4, b->length, start) % 0xffffu == 0))
        return; /* the card was to finish it */
    uint32_t sum = (uint16_t)~field;
    sum = less(sum, b->l4 + from, ports);
    if (pseudo)
        sum = less(sum, b->ip + (v6 ? 8 : 12), v6 ? 32 : 8);
    o->sum = (uint16_t)((sum + more) % 0xffffu);
    o->has_sum = true;
}

static void take_payload(struct print *o, const struct bytes *b, uint32_t from) {
    if (!b->whole || from > b->length)
        return;
    o->digest = (uint32_t)mix_bytes(0, b->l4 + from, b->length - from);
    o->has_digest = true;
}

/* Timestamp value; and what the MSS adds to the sum, to be taken away (0xffff - it). */
static uint32_t tcp_options(struct print *o, const struct bytes *b, uint32_t header) {
    uint32_t more = 0, end = header < b->present ? header : b->present;
    for (uint32_t at = 20; at + 1 < end;) {
        uint8_t kind = b->l4[at], len = b->l4[at + 1];
        if (kind == TCP_OPTION_END)
            break;
        if (kind == TCP_OPTION_NOP) {
            at++;
            continue;
        }
        if (len < 2 || at + len > end)
            break;
        if (kind == TCP_OPTION_MSS && len == 4) {
            uint8_t aligned[6] = {0};
            memcpy(aligned + (at & 1), b->l4 + at + 2, 2);
            more = less(0, aligned, sizeof aligned);
        }
        if (kind == TCP_OPTION_TIMESTAMP && len == 10) {
            o->stamp = load32(b->l4 + at + 2);
            o->has_stamp = true;
        }
        at += len;
    }
    return more;
}

static uint64_t print_tcp(struct print *o, const struct point_packet *p, const struct bytes *b, uint64_t h) {
    if (b->present < 14)
        return 0;
    uint8_t flags = b->l4[13] & TCP_FLAGS, ecn[2] = {b->l4[12] & 1, b->l4[13] & TCP_ECN};
    uint32_t header = (b->l4[12] >> 4) * 4u;
    if (header < 20 || header > b->length)
        return 0;
    o->initial = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    o->answer = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
    uint32_t more = tcp_options(o, b, header);
    take_sum(o, p, b, 16, 0, 4, (flags & TCP_SYN ? more : 0) + less(0, ecn, sizeof ecn));
    take_payload(o, b, header);
    h = mix64(h, (uint64_t)load32(b->l4 + 4) << 32 | (flags & TCP_ACK ? load32(b->l4 + 8) : 0));
    return mix64(h, (uint64_t)flags << 32 | (b->length - header));
}

/* IP id, or the payload's beginning where there is none; 0: that is cut off. */
static uint64_t take_identity(uint64_t h, const struct bytes *b, uint32_t from) {
    uint32_t n = b->length < from ? 0 : b->length - from < BEGINNING ? b->length - from : BEGINNING;
    if (b->id)
        return mix64(h, b->id);
    return b->present < from + n ? 0 : mix_bytes(h, b->l4 + from, n);
}

static uint64_t print_udp(struct print *o, const struct point_packet *p, const struct bytes *b, uint64_t h) {
    bool udp = p->key.proto == PROTO_UDP;
    uint32_t from = p->key.proto == PROTO_SCTP ? 12 : 8; /* behind ports and checksum */
    if (b->present < 8)
        return 0;
    if (udp || p->key.proto == PROTO_UDPLITE)
        take_sum(o, p, b, 6, 0, 4, 0);
    take_payload(o, b, from);
    return take_identity(mix64(h, udp ? load16(b->l4 + 4) : b->length), b, from);
}

/* Which type asks what this one answers; the same for a question; 0xff: it is no query. */
static uint8_t icmp_question(uint8_t proto, uint8_t type) {
    if (proto == PROTO_ICMPV6)
        return type == ICMPV6_ECHO || type == ICMPV6_ECHO_REPLY ? ICMPV6_ECHO : 0xff;
    switch (type) {
    case ICMP_ECHO_REPLY:
        return ICMP_ECHO;
    case ICMP_TIMESTAMP_REPLY:
    case ICMP_INFORMATION_REPLY:
    case ICMP_MASK_REPLY:
        return type - 1;
    case ICMP_ECHO:
    case ICMP_TIMESTAMP:
    case ICMP_INFORMATION:
    case ICMP_MASK:
        return type;
    }
    return 0xff;
}

static uint64_t print_icmp(struct print *o, const struct point_packet *p, const struct bytes *b, uint64_t h) {
    if (b->present < 8)
        return 0;
    uint8_t question = icmp_question(p->key.proto, b->l4[0]);
    if (question != 0xff) {
        o->key.sport = load16(b->l4 + 4);
        o->key.dport = htons(question);
        o->initial = b->l4[0] == question;
        o->answer = !o->initial;
    }
    take_sum(o, p, b, 2, 4, question == 0xff ? 0 : 2, 0);
    take_payload(o, b, 8);
    h = mix64(h, (uint64_t)load16(b->l4) << 32 | (uint64_t)load16(b->l4 + 6) << 16 | (b->length & 0xffff));
    return take_identity(h, b, 8);
}

static uint64_t print_other(struct print *o, const struct bytes *b, uint64_t h) {
    take_payload(o, b, 0);
    return take_identity(mix64(h, b->length), b, 0);
}

/* The end that stays is part of the hash; of ICMP its address alone. */
static void take_hashes(struct print *o, uint64_t h) {
    struct end ends[2] = {key_source(&o->key), key_target(&o->key)};
    for (unsigned w = 0; w < 2; w++) {
        if (proto_is_icmp(o->key.proto))
            ends[w].port = 0;
        o->hash[w] = mix_bytes(h, &ends[w], sizeof ends[w]);
    }
    o->joinable = true;
}

/*
 * An ICMP error goes by the flow of the packet that it quotes, named as the error travels: towards that one's sender.
 * NAT rewrites the quotation's addresses, ports and checksums (RFC 5508, 4.2). False: it quotes too little.
 */
static bool print_error(struct print *o, const struct point_packet *p, const struct bytes *b) {
    if (b->present < 8 + 20)
        return false;
    const uint8_t *ip = b->l4 + 8;
    bool v6 = ip[0] >> 4 == 6;
    uint32_t header = v6 ? 40 : (ip[0] & 15) * 4u, addresses = v6 ? 8 : 12, size = v6 ? 16 : 4;
    const uint8_t *l4 = ip + header;
    struct flow_key k = {.family = ip[0] >> 4};
    if (k.family != p->key.family || header < 20 || b->present < 8 + header + 8 ||
        (!v6 && ntohs(load16(ip + 6)) & IPV4_OFFSET))
        return false;
    k.proto = v6 ? ip[6] : ip[9];
    memcpy(k.src, ip + addresses, size);
    memcpy(k.dst, ip + addresses + size, size);
    bool icmp = proto_is_icmp(k.proto), tcp = k.proto == PROTO_TCP;
    if (icmp) {
        k.sport = load16(l4 + 4);
        k.dport = htons(icmp_question(k.proto, l4[0]));
    } else if (tcp || k.proto == PROTO_UDP || k.proto == PROTO_UDPLITE || k.proto == PROTO_SCTP ||
               k.proto == PROTO_DCCP) {
        k.sport = load16(l4);
        k.dport = load16(l4 + 2);
    }
    o->key = key_turned(&k);
    uint32_t at = icmp ? 2 : tcp ? 16 : 6, more = less(0, ip + addresses, 2 * size);
    more = v6 ? more : less(more, ip + 10, 2);
    more = icmp ? less(more, l4 + 4, 2) : k.sport ? less(more, l4, 4) : more;
    if (b->present >= 8 + header + at + 2 && (icmp || k.sport))
        more = less(more, l4 + at, 2);
    take_sum(o, p, b, 2, 4, 0, more);
    uint64_t h = mix64((uint64_t)load16(b->l4) << 32 | b->length, k.proto);
    take_hashes(o, mix64(mix64(h, load32(ip + (v6 ? 4 : 2))), tcp ? load32(l4 + 4) : 0));
    return true;
}

bool print_make(const struct point_packet *p, struct print *o) {
    struct bytes b;
    *o = (struct print){.key = p->key, .time_ns = p->time_ns, .frame = p->frame};
    if (p->flags & PACKET_FRAG_LATER || !find_bytes(p, &b))
        return false;
    o->ttl = p->ip[p->key.family == FAMILY_IPV6 ? 7 : 8];
    if (p->flags & PACKET_ICMP_ERROR) {
        o->kind = PRINT_ERROR;
        return print_error(o, p, &b);
    }
    uint64_t h = mix64(p->key.family, p->key.proto);
    if (p->key.proto == PROTO_TCP)
        h = print_tcp(o, p, &b, h);
    else if (proto_is_icmp(p->key.proto))
        h = print_icmp(o, p, &b, h);
    else
        h = p->flags & PACKET_PORTS ? print_udp(o, p, &b, h) : print_other(o, &b, h);
    if (h)
        take_hashes(o, h);
    return true;
}

enum print_match print_compare(const struct print *a, const struct print *b) {
    bool like = a->has_digest && b->has_digest;
    if ((like && a->digest != b->digest) || (a->has_stamp && b->has_stamp && a->stamp != b->stamp))
        return PRINT_OTHER;
    if (a->has_sum && b->has_sum)
        return a->sum == b->sum ? PRINT_PROVED : PRINT_OTHER;
    return like ? PRINT_LIKE : PRINT_OTHER;
}

unsigned print_way(const struct print *in, const struct print *out) {
    struct end a = key_source(&in->key), b = key_source(&out->key), c = key_target(&in->key), d = key_target(&out->key);
    bool source = end_compare(&a, &b) != 0, target = end_compare(&c, &d) != 0;
    if (proto_is_icmp(in->key.proto)) { /* the identifier is at both ends */
        source = memcmp(a.addr, b.addr, sizeof a.addr) != 0;
        target = memcmp(c.addr, d.addr, sizeof c.addr) != 0;
    }
    if (source != target)
        return source ? OUTBOUND : INBOUND;
    return in->ttl == out->ttl ? WAY_UNKNOWN : in->ttl > out->ttl ? OUTBOUND : INBOUND;
}
