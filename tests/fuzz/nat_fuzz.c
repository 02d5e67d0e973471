/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole node over any packets: NAT of both personalities, filter, MTUs, IPv6, policy routing, reverse path check and
 * what follows from its verdicts: ICMP errors and fragments. Input: two bytes of configuration, then packets: what kind
 * (enum), time step in units of 4 s, length (two bytes), bytes. Each stands in a heap buffer of its size. An answer to
 * the last packet, and an error about it, are made from what became of it and have no bytes of their own.
 *
 * Whatever comes: a packet gets one verdict, checksums that were right are right afterwards, nothing changes that need
 * not, no inside source leaves (NAT_INTERFACE), an error is no error about an error and quotes what was sent, fragments
 * make up the whole, and bursts change none of it, sessions included.
 */
#include <fwdlab/core/fragment.h>
#include "router.h"

#define BURST 8
#define S 1000000000ull

/* The byte that says what kind a packet is: of its port, and whether it answers or complains about the last one. */
enum { PORT_BITS = 3, PLAUSIBLE = 1 << 2, CUT = 1 << 3, ETHERNET = 1 << 4, IS_IPV6 = 1 << 5, ANSWER = 1 << 6,
       ERROR = 1 << 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- input ---- */

struct input {
    uint8_t kind;
    uint16_t in_port;
    uint64_t now;
    uint32_t len;
    uint8_t *bytes; /* as they come in */
};

static void fill(struct input *in, const uint8_t *data) {
    uint32_t l3 = in->kind & ETHERNET ? 14 : 0;
    memcpy(in->bytes, data, in->len);
    if (!(in->kind & PLAUSIBLE) || in->len <= l3)
        return;
    if (l3)
        memcpy(in->bytes + 12, in->kind & IS_IPV6 ? "\x86\xdd" : "\x08\x00", 2);
    if (in->kind & IS_IPV6)
        make_plausible6(in->bytes + l3, in->len - l3, NULL);
    else
        make_plausible(in->bytes + l3, in->len - l3, 0);
}

/* What comes back to a packet where it left; `quoted`: bytes of it in an error at most. */
static void fill_back(struct input *in, const struct packet *about, uint32_t quoted) {
    const uint8_t *bytes = about->data + about->l3;
    const uint32_t size = about->len - about->l3;
    in->in_port = about->out_port;
    in->kind &= (uint8_t)~ETHERNET;
    quoted = quoted < size ? quoted : size;
    in->bytes = malloc(size + 48);
    if (in->kind & ERROR) {
        in->len = make_error(in->bytes, bytes, quoted, about);
    } else {
        in->len = size;
        memcpy(in->bytes, bytes, size);
        make_answer(in->bytes, size, about);
    }
    in->bytes = realloc(in->bytes, in->len); /* no byte more */
}

/* Reads one packet; how many bytes it was. `last`: the packet before, as it left; NULL. */
static size_t read_input(struct input *in, const uint8_t *data, size_t size, const struct packet *last, uint64_t now) {
    uint32_t len = data[2] | (uint32_t)data[3] << 8;
    if (len > size - 4)
        len = (uint32_t)(size - 4);
    *in = (struct input){.kind = data[0], .now = now + data[1] * 4 * S, .len = len,
                         .in_port = (data[0] & PORT_BITS) < 3 ? data[0] & PORT_BITS : PORT_NONE};
    if (in->kind & (ANSWER | ERROR) && last && last->verdict == VERDICT_FORWARD) {
        fill_back(in, last, len);
        return 4; /* the bytes that a quotation's length might have meant are the next packet's */
    }
    in->bytes = malloc(len + !len);
    fill(in, data + 4);
    return 4 + len;
}

static struct packet packet_of(const struct input *in) {
    struct packet p = {.data = malloc(in->len + !in->len), .len = in->len,
                       .wire_len = in->kind & CUT ? 65535 : in->len, .in_port = in->in_port,
                       .flags = PACKET_NO_CHECKSUM | (in->kind & ETHERNET ? 0 : PACKET_RAW_IP)};
    memcpy(p.data, in->bytes, in->len);
    return p;
}

/* ---- what must hold ---- */

/* Refused by the parser. Bad options are refused behind NAT, as Linux does it. */
static bool malformed(const struct packet *p) {
    return p->verdict == VERDICT_DROP && drop_class((enum drop)p->reason) != DROP_CLASS_DROP &&
           p->reason != DROP_BAD_OPTIONS;
}

static void check_ipv4(const struct node *node, const struct packet *p, uint8_t *before, uint32_t len) {
    uint8_t *after = p->data + p->l3;
    const struct ipv4_header *was = (const struct ipv4_header *)before, *is = (const struct ipv4_header *)after;
    bool forwarded = p->verdict == VERDICT_FORWARD && p->in_port != PORT_NONE;
    CHECK(p->src == is->src && p->dst == is->dst && is->total_length == was->total_length && is->id == was->id &&
          is->fragment == was->fragment && is->proto == was->proto && is->version_ihl == was->version_ihl);
    CHECK(is->ttl == was->ttl - forwarded);
    CHECK(!header_right(before) || header_right(after));
    if (!node->nat)
        CHECK(is->src == was->src && is->dst == was->dst && memcmp(after + (p->l4 - p->l3), before + (p->l4 - p->l3),
                                                                   p->len - p->l4) == 0);
    if (node->nat && nat_config_get(node->nat)->personality == NAT_INTERFACE && p->verdict == VERDICT_FORWARD &&
        p->in_port != OUTSIDE_PORT && p->out_port == OUTSIDE_PORT && !(p->flags & PACKET_ICMP_ERROR))
        CHECK(is_outside(node, is->src));
    const uint8_t *sum = l4_checksum(before, len), *sum_after = l4_checksum(after, len);
    if (!sum)
        return;
    bool none = is->proto == PROTO_UDP && sum[0] == 0 && sum[1] == 0;
    CHECK(none == (is->proto == PROTO_UDP && sum_after[0] == 0 && sum_after[1] == 0));
    CHECK(none || l4_sum(before) != 0 || l4_sum(after) == 0);
}

/* Of IPv6 packets only the hop limit changes. */
static void check_ipv6(const struct packet *p, const uint8_t *before, uint32_t len) {
    uint8_t *after = p->data + p->l3;
    bool forwarded = p->verdict == VERDICT_FORWARD && p->in_port != PORT_NONE;
    CHECK(after[7] == before[7] - forwarded);
    CHECK(memcmp(after, before, 7) == 0 && memcmp(after + 8, before + 8, len - 8) == 0);
}

static void check(const struct node *node, const struct packet *p, const struct input *in) {
    CHECK(p->verdict == VERDICT_DELIVER || p->verdict == VERDICT_FORWARD || p->verdict == VERDICT_DROP);
    CHECK((p->verdict == VERDICT_DROP) == (p->reason != DROP_NONE));
    CHECK(p->len == in->len && (p->verdict != VERDICT_FORWARD || p->out_port < node->n_ports));
    if (malformed(p)) {
        CHECK(memcmp(p->data, in->bytes, in->len) == 0);
        return;
    }
    CHECK(p->l3 < p->l4 && p->l4 <= p->len);
    if (p->family == FAMILY_IPV4)
        check_ipv4(node, p, in->bytes + p->l3, in->len - p->l3);
    else
        check_ipv6(p, in->bytes + p->l3, in->len - p->l3);
}

static void check_error(const struct packet *e) {
    const uint8_t *l4 = e->data + e->l4;
    CHECK(e->verdict != VERDICT_NONE && !malformed(e) && e->flags & PACKET_ICMP_ERROR);
    if (e->family == FAMILY_IPV4) {
        CHECK(header_right(e->data + e->l3) && l4_checksum(e->data + e->l3, e->len - e->l3));
        CHECK(l4_sum(e->data + e->l3) == 0);
    } else {
        const struct ipv6_header *ip = packet_ipv6(e);
        uint32_t pseudo = checksum_sum(ip->src, 32, ip->payload_length + htons(PROTO_ICMPV6));
        CHECK(ip->next_header == PROTO_ICMPV6);
        CHECK(checksum_fold(checksum_sum(l4, ntohs(ip->payload_length), pseudo)) == 0);
    }
}

/* An error names the ends that its receiver used, and of IPv6 quotes what it sent. */
static void check_quotation(const struct packet *error, const struct packet *dropped, const uint8_t *sent) {
    const uint8_t *quoted = error->data + dropped->l3 + (dropped->family == FAMILY_IPV4 ? 28 : 48);
    const uint32_t size = (uint32_t)(error->data + error->len - quoted), header = dropped->l4 - dropped->l3;
    bool ports = dropped->proto == PROTO_TCP || dropped->proto == PROTO_UDP;
    if (dropped->family == FAMILY_IPV6)
        CHECK(memcmp(quoted, sent, size) == 0);
    else
        CHECK(memcmp(quoted + 12, sent + 12, 8) == 0 &&
              (!ports || size < header + 4 || memcmp(quoted + header, sent + header, 4) == 0));
}

/* The error about a dropped packet, sent by the node; a sum over it, 0: there is none. */
static uint32_t complain(struct node *node, const struct packet *dropped, const struct input *in) {
    const uint64_t now = in->now;
    uint32_t sum = 0;
    struct packet error = {.data = malloc(ICMP_ERROR_MAX), .room = ICMP_ERROR_MAX};
    if (icmp_error(node, dropped, &error, now)) {
        CHECK(!(dropped->flags & (PACKET_ICMP_ERROR | PACKET_FRAG_LATER)) || dropped->family == FAMILY_IPV6);
        CHECK(!(dropped->flags & PACKET_ICMP_ERROR) && error.in_port == PORT_NONE);
        CHECK(error.len <= ICMP_ERROR_MAX && error.len == error.wire_len);
        check_quotation(&error, dropped, in->bytes + dropped->l3);
        forward_own(node, &error, now);
        check_error(&error);
        sum = checksum_sum(error.data, error.len, error.verdict) + 1;
        node->delivered = node->forwarded = 0; /* only the packets that came in are counted */
        memset(node->drops, 0, sizeof node->drops);
    }
    free(error.data);
    return sum;
}

/* Cuts a forwarded IPv4 packet for its way out; the pieces follow each other and are the whole. What the node itself
 * sends with DF set is as long as it is. */
static void cut(const struct node *node, const struct packet *p) {
    const uint32_t header = p->l4 - p->l3;
    const uint32_t mtu = p->in_port == PORT_NONE && fragment_count(node, p) == 1 ? 0 : node->ports[p->out_port].mtu;
    const struct ipv4_header *whole = packet_ipv4(p);
    const unsigned n = fragment_count(node, p), first = ntohs(whole->fragment) & IPV4_OFFSET;
    uint32_t total = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t room = n == 1 ? p->len : p->l3 + mtu;
        struct packet piece = {.data = malloc(room + !room), .room = (uint16_t)room};
        fragment_make(node, p, i, &piece);
        const struct ipv4_header *ip = packet_ipv4(&piece);
        uint32_t fragment = ntohs(ip->fragment), size = ntohs(ip->total_length) - header;
        CHECK(piece.len <= room && piece.len <= piece.wire_len && (!mtu || size + header <= mtu));
        CHECK(header_right(piece.data + piece.l3) || !header_right(p->data + p->l3));
        CHECK((fragment & IPV4_OFFSET) == first + total / 8 && (n == 1 || i + 1 == n || size % 8 == 0));
        CHECK(!(fragment & IPV4_MF) == (i + 1 == n && !(ntohs(whole->fragment) & IPV4_MF)));
        CHECK(memcmp(piece.data + piece.l4, p->data + p->l4 + total, piece.len < piece.l4 + size ? piece.len - piece.l4
                                                                                                : size) == 0);
        total += size;
        free(piece.data);
    }
    CHECK(total == ntohs(whole->total_length) - header && (n == 1 || !(whole->fragment & htons(IPV4_DF))));
}

/* As complain. */
static uint32_t follow(struct node *node, const struct packet *p, const struct input *in) {
    if (p->verdict == VERDICT_DROP)
        return complain(node, p, in);
    if (p->verdict == VERDICT_FORWARD && p->family == FAMILY_IPV4)
        cut(node, p);
    return 0;
}

static uint64_t counted(const struct node *node) {
    uint64_t n = node->delivered + node->forwarded;
    for (unsigned i = 0; i < DROP_COUNT; i++)
        n += node->drops[i];
    return n;
}

/* ---- one at a time, and in bursts ---- */

static void pass(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    uint64_t before = counted(node);
    if (pkts[0]->in_port == PORT_NONE)
        forward_own(node, pkts[0], now);
    else
        forward(node, pkts, n, now);
    CHECK(counted(node) == before + n);
}

/* With a session its destination may change, without one it does not (nat.h): an error, what begins no connection. */
static bool needs_session(const struct node *node, const struct packet *p) {
    if (p->flags & PACKET_ICMP_ERROR || !node->nat || p->proto != PROTO_TCP)
        return p->flags & PACKET_ICMP_ERROR;
    uint8_t flags = p->l4 + 14u <= p->len ? p->data[p->l4 + 13] & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST) : 0;
    return nat_config_get(node->nat)->personality == NAT_CONNTRACK && flags != TCP_SYN && flags != TCP_ACK;
}

/*
 * May packet q share a burst with p? Not as an answer to it, or an error about it (nat.h): what goes to where p came
 * from, or to the outside address that it may have got.
 */
static bool may_share(const struct node *node, const struct packet *p, const struct packet *q) {
    uint8_t src[2][16], dst[2][16];
    const struct packet *both[] = {p, q};
    if (p->in_port == PORT_NONE || q->in_port == PORT_NONE)
        return false;
    struct packet parsed;
    for (int i = 0; i < 2; i++) {
        struct flow_key key;
        parsed = *both[i];
        parse(&parsed);
        packet_key(&parsed, &key);
        memcpy(src[i], key.src, 16);
        memcpy(dst[i], key.dst, 16);
    }
    be32 to[2];
    memcpy(&to[0], dst[0], 4);
    memcpy(&to[1], dst[1], 4);
    bool enters = is_outside(node, to[1]);
    bool alike = p->in_port == q->in_port && is_outside(node, to[0]) && !needs_session(node, &parsed);
    return memcmp(dst[1], src[0], 16) != 0 && (!enters || (q->in_port == OUTSIDE_PORT && alike));
}

/* A dropped packet may not have come as far as to a session that its own burst made. */
static void check_same(const struct packet *one, const struct packet *many) {
    CHECK(one->verdict == many->verdict && one->reason == many->reason && one->flags == many->flags);
    CHECK(one->out_port == many->out_port && one->next_hop == many->next_hop && one->path == many->path);
    CHECK(one->src == many->src && one->dst == many->dst && one->sport == many->sport && one->dport == many->dport);
    CHECK(one->verdict == VERDICT_DROP || !one->session == !many->session);
    CHECK(memcmp(one->data, many->data, one->len) == 0);
}

/* `errors`: what follow() said of each. */
static void run_bursts(struct node *node, const struct input *in, const struct packet *ones, const uint32_t *errors,
                       unsigned n) {
    for (unsigned first = 0, count; first < n; first += count) {
        struct packet packets[BURST], *pkts[BURST];
        for (count = 0; count < BURST && first + count < n; count++) {
            bool share = in[first + count].now == in[first].now;
            packets[count] = packet_of(&in[first + count]);
            for (unsigned k = 0; k < count && share; k++)
                share = may_share(node, &packets[k], &packets[count]);
            if (!share) {
                free(packets[count].data);
                break;
            }
            pkts[count] = &packets[count];
        }
        pass(node, pkts, count, in[first].now);
        for (unsigned k = 0; k < count; k++) {
            check_same(&ones[first + k], &packets[k]);
            CHECK(follow(node, &packets[k], &in[first + k]) == errors[first + k]);
            free(packets[k].data);
        }
    }
}

static void is_there_too(const struct nat_session *s, void *other) {
    struct nat_session t;
    uint32_t i = nat_find(other, s->proto, &s->original);
    CHECK(i != UINT32_MAX && nat_session_get(other, i, &t));
    CHECK(memcmp(&s->reply, &t.reply, sizeof t.reply) == 0 && s->state == t.state && s->translated == t.translated &&
          s->from_outside == t.from_outside && s->first == t.first && s->last == t.last);
}

static void check_sessions(struct nat *nat, struct nat *burst, uint64_t now) {
    struct nat_stats stats;
    nat_stats_get(nat, &stats);
    CHECK(stats.live <= SESSIONS && stats.created - stats.expired == stats.live);
    nat_expire(burst, now, 0);
    nat_each(nat, is_there_too, burst);
    nat_each(burst, is_there_too, nat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct twin single, burst;
    static struct input inputs[PACKETS];
    static struct packet packets[PACKETS];
    static uint32_t errors[PACKETS];
    if (size < 2)
        return 0;
    if (!single.filter) {
        twin_make(&single);
        twin_make(&burst);
        single.node.staged = true; /* and the other one has its express stage */
    }
    twin_configure(&single, data[0], data[1] >> VARIANT_SHIFT);
    twin_configure(&burst, data[0], data[1] >> VARIANT_SHIFT);
    unsigned n = 0;
    for (size_t at = 2; n < PACKETS && size - at >= 4; n++) {
        const unsigned i = n;
        struct packet *p = &packets[i];
        at += read_input(&inputs[i], data + at, size - at, i ? p - 1 : NULL, i ? inputs[i - 1].now : 1);
        *p = packet_of(&inputs[i]);
        pass(&single.node, &p, 1, inputs[i].now);
        check(&single.node, p, &inputs[i]);
        errors[i] = follow(&single.node, p, &inputs[i]);
        if (single.node.nat)
            nat_expire(single.node.nat, inputs[i].now, data[1] & EXPIRE_BITS);
    }
    run_bursts(&burst.node, inputs, packets, errors, n);
    for (unsigned i = 0; i < n; i++) {
        free(packets[i].data);
        free(inputs[i].bytes);
    }
    if (single.node.nat && n)
        check_sessions(single.node.nat, burst.node.nat, inputs[n - 1].now);
    return 0;
}
