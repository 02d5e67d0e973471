/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <fwdlab/core/checksum.h>
#include <stdlib.h>
#include <string.h>

be32 addr(const char *text) {
    struct ip ip;
    cr_assert_eq(ip_parse(text, &ip), 0, "%s", text);
    return ip.v4;
}

static unsigned l4_size(const struct spec *s) {
    if (s->fragment & IPV4_OFFSET)
        return 0;
    return s->proto == PROTO_TCP ? 20 : s->proto == PROTO_UDP ||
        s->proto == PROTO_ICMP ? 8 : s->proto == PROTO_SCTP ? 12 : 0;
}

static void put16(uint8_t *at, uint16_t host) {
    at[0] = (uint8_t)(host >> 8);
    at[1] = (uint8_t)host;
}

static void l4_checksum(uint8_t *l4, const struct spec *s, unsigned len) {
    be16 sum;
    unsigned at = s->proto == PROTO_TCP ? 16 : s->proto == PROTO_UDP ? 6 : 2;
    if (s->proto == PROTO_ICMP)
        sum = checksum_fold(checksum_sum(l4, len, 0));
    else
        sum = checksum_l4_ipv4(addr(s->src), addr(s->dst), s->proto, l4, len);
    if (s->proto == PROTO_UDP && !sum)
        sum = 0xffff;
    if (s->proto == PROTO_UDP && s->no_checksum)
        sum = 0;
    memcpy(l4 + at, &sum, 2);
}

static struct wire *wire_of(uint8_t *bytes, uint32_t len) {
    struct wire *w = calloc(1, sizeof *w);
    w->bytes = bytes;
    w->p = (struct packet){.data = bytes, .len = len, .wire_len = len, .flags = PACKET_RAW_IP};
    parse(&w->p);
    cr_assert_eq(w->p.verdict, VERDICT_NONE, "%s", drop_name(w->p.reason));
    return w;
}

static uint8_t *ip_make(uint8_t proto, be32 src, be32 dst, uint16_t id, uint16_t fragment, unsigned len) {
    uint8_t *bytes = calloc(1, len);
    struct ipv4_header ip = {.version_ihl = 0x45, .total_length = htons((uint16_t)len), .id = htons(id), .ttl = 64,
                             .fragment = htons(fragment), .proto = proto, .src = src, .dst = dst};
    ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
    memcpy(bytes, &ip, sizeof ip);
    return bytes;
}

struct wire *wire_make(const struct spec *s) {
    unsigned header = l4_size(s), len = 20 + header + s->payload;
    uint8_t *bytes = ip_make(s->proto, addr(s->src), addr(s->dst), s->id, s->fragment, len), *l4 = bytes + 20;
    for (unsigned i = 20 + header; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + s->sport);
    if (s->proto == PROTO_ICMP && header) {
        l4[0] = s->type;
        put16(l4 + 4, s->sport);
    } else if (header) {
        put16(l4, s->sport);
        put16(l4 + 2, s->dport);
    }
    if (s->proto == PROTO_TCP && header) {
        l4[12] = 5 << 4;
        l4[13] = s->tcp;
    }
    if (s->proto == PROTO_UDP && header)
        put16(l4 + 4, (uint16_t)(8 + s->payload));
    if (header && s->proto != PROTO_SCTP)
        l4_checksum(l4, s, len - 20);
    return wire_of(bytes, len);
}

struct wire *wire_error_of(uint8_t type, uint8_t code, const char *from, const struct wire *about, uint16_t quoted) {
    unsigned inner = 20u + quoted < about->p.len ? 20u + quoted : about->p.len, len = 28 + inner;
    uint8_t *bytes = ip_make(PROTO_ICMP, addr(from), about->p.src, 7, 0, len), *l4 = bytes + 20;
    l4[0] = type;
    l4[1] = code;
    memcpy(l4 + 8, about->bytes, inner);
    be16 sum = checksum_fold(checksum_sum(l4, len - 20, 0));
    memcpy(l4 + 2, &sum, 2);
    return wire_of(bytes, len);
}

struct wire *wire_error(const char *from, const struct wire *about, uint16_t quoted) {
    return wire_error_of(ICMP_TIME_EXCEEDED, 0, from, about, quoted);
}

struct wire *wire_copy(const struct wire *w) {
    uint8_t *bytes = malloc(w->p.len);
    memcpy(bytes, w->bytes, w->p.len);
    return wire_of(bytes, w->p.len);
}

void wire_free(struct wire *w) {
    free(w->bytes);
    free(w);
}

/* The sum over data with its right checksum in it is zero. */
bool wire_sound(const struct wire *w) {
    const struct ipv4_header *ip = packet_ipv4(&w->p);
    const uint8_t *l4 = w->bytes + 20;
    size_t len = w->p.len - 20;
    if (checksum_fold(checksum_sum(ip, 20, 0)) != 0)
        return false;
    if (w->p.flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER))
        return true;
    if (ip->proto == PROTO_ICMP)
        return checksum_fold(checksum_sum(l4, len, 0)) == 0;
    if (ip->proto == PROTO_UDP && (l4[6] | l4[7]) == 0)
        return true;
    if (ip->proto != PROTO_TCP && ip->proto != PROTO_UDP)
        return true;
    return checksum_l4_ipv4(ip->src, ip->dst, ip->proto, l4, len) == 0;
}

void pass(struct nat *n, struct wire *w, uint16_t in_port, uint16_t out_port, uint64_t now) {
    struct packet *p = &w->p;
    p->in_port = in_port;
    nat_in(n, &p, 1, now);
    if (p->verdict)
        return;
    p->out_port = out_port;
    nat_out(n, &p, 1, now);
}

struct wire *wire_send(struct nat *n, uint16_t in_port, uint16_t out_port, uint64_t now, const struct spec *spec) {
    struct wire *w = wire_make(spec);
    pass(n, w, in_port, out_port, now);
    return w;
}

void expect(struct wire *w, const char *src, uint16_t sport, const char *dst, uint16_t dport) {
    struct packet *p = &w->p;
    const struct ipv4_header *ip = packet_ipv4(p);
    const uint8_t *l4 = w->bytes + 20;
    char text[2][INET_ADDRSTRLEN];
    cr_assert_eq(p->verdict, VERDICT_NONE, "dropped: %s", drop_name(p->reason));
    inet_ntop(AF_INET, &ip->src, text[0], sizeof text[0]);
    inet_ntop(AF_INET, &ip->dst, text[1], sizeof text[1]);
    cr_expect_str_eq(text[0], src);
    cr_expect_str_eq(text[1], dst);
    cr_expect(p->src == ip->src && p->dst == ip->dst);
    if (p->flags & PACKET_PORTS) {
        unsigned at = p->proto == PROTO_ICMP ? 4 : 0;
        unsigned port[2] = {(unsigned)l4[at] << 8 | l4[at + 1], (unsigned)l4[2] << 8 | l4[3]};
        cr_expect_eq(port[0], sport, "source port %u, not %u", port[0], sport);
        cr_expect_eq(ntohs(p->sport), sport);
        if (p->proto != PROTO_ICMP)
            cr_expect_eq(port[1], dport, "destination port %u, not %u", port[1], dport);
        cr_expect_eq(ntohs(p->dport), p->proto == PROTO_ICMP ? sport : dport);
    }
    cr_expect(wire_sound(w), "checksums");
    wire_free(w);
}

void expect_drop(struct wire *w, enum drop reason) {
    cr_expect_eq(w->p.verdict, VERDICT_DROP);
    cr_expect_str_eq(drop_name(w->p.reason), drop_name(reason));
    wire_free(w);
}

struct nat_config config_of(enum nat_personality personality) {
    static be32 outside;
    outside = addr("10.0.0.4");
    return (struct nat_config){.personality = personality, .outside_port = OUTSIDE, .n_addresses = 1,
                               .addresses = &outside, .max_sessions = 1000};
}

struct nat *nat_of(enum nat_personality personality) {
    struct nat_config config = config_of(personality);
    struct nat *n = nat_create(&config);
    cr_assert(n);
    return n;
}
