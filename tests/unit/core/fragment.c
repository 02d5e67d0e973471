/* SPDX-License-Identifier: BSD-3-Clause */
/* What is too long for its way out: dropped or cut; the pieces make the packet again. */
#include "frame6.h"
#include <fwdlab/base/random.h>
#include <fwdlab/core/fragment.h>
#include <time.h>

/* The router of frame.h, whose port 1 has an MTU. */
static struct node node_with_mtu(uint16_t mtu) {
    struct node n = node_make();
    n.ports[1].mtu = mtu;
    node_prepare(&n);
    return n;
}

/* An IPv4 frame of `len` bytes from its IP header on, with `options` bytes of no-operations, by default route. */
static struct frame frame_of(unsigned len, unsigned options, uint16_t fragment) {
    struct frame f = frame_make("10.0.0.2", "192.0.2.1", PROTO_UDP, len - 20);
    struct ipv4_header *ip = frame_ip(&f);
    for (unsigned i = ETH + 20; i < f.len; i++)
        f.byte[i] = i < ETH + 20 + options ? 1 : (uint8_t)(i * 7 + i / 251);
    ip->version_ihl = (uint8_t)(0x45 + options / 4);
    ip->fragment = htons(fragment);
    ip->id = htons(0x1234);
    frame_seal(&f);
    return f;
}

static struct packet *pass(struct node *n, const struct frame *f) {
    struct packet *p = packet_make(f, 0, 0);
    forward(n, &p, 1, 0);
    return p;
}

/* Piece i in a buffer that just holds the link header and the MTU. */
static struct packet *piece_of(const struct node *n, const struct packet *p, unsigned i) {
    struct packet *out = calloc(1, sizeof *out);
    uint16_t room = (uint16_t)(p->l3 + n->ports[p->out_port].mtu);
    out->data = malloc(room);
    out->room = room;
    out->tag = 77;
    fragment_make(n, p, i, out);
    cr_assert(out->tag == 77 && out->room == room - out->len);
    return out;
}

static enum drop reason_of(struct node *n, const struct frame *f) {
    struct packet *p = pass(n, f);
    enum drop reason = p->verdict == VERDICT_DROP ? p->reason : DROP_NONE;
    packet_free(p);
    return reason;
}

Test(mtu, ipv4_by_total_length_and_df) {
    struct node n = node_with_mtu(1400);
    struct frame fits = frame_of(1400, 0, IPV4_DF), long_df = frame_of(1401, 0, IPV4_DF);
    struct frame long_cut = frame_of(1401, 0, 0);
    cr_assert_eq(reason_of(&n, &fits), DROP_NONE);
    cr_assert_eq(reason_of(&n, &long_df), DROP_TOO_BIG);
    cr_assert_eq(reason_of(&n, &long_cut), DROP_NONE);
    fits.len += 100; /* padding of the link */
    cr_assert_eq(reason_of(&n, &fits), DROP_NONE);
    frame_ip(&long_df)->ttl = 1;
    frame_seal(&long_df);
    cr_assert_eq(reason_of(&n, &long_df), DROP_TTL_EXPIRED, "the TTL comes first");
    struct frame own = frame_of(1401, 0, IPV4_DF);
    frame_ip(&own)->dst = addr("10.0.1.1");
    frame_seal(&own);
    cr_assert_eq(reason_of(&n, &own), DROP_NONE, "what is delivered has no way out");
    n.ports[1].mtu = 0;
    n.ports[0].mtu = 576; /* keeps the stage */
    node_prepare(&n);
    struct frame any = frame_of(1900, 0, IPV4_DF);
    cr_assert_eq(reason_of(&n, &any), DROP_NONE);
    node_fini(&n);
}

Test(mtu, ipv6_by_payload_length) {
    struct node n = node_with_mtu(1400);
    n.routes6 = route_table_create(&route_trie6, 10);
    node_prepare(&n);
    struct route r = route_make("2001:db8:99::/48", "2001:db8:1::2", 1, 0, ROUTE_UNICAST);
    cr_assert_eq(route_add(n.routes6, &r), 0);
    struct frame fits = frame6_make("2001:db8::2", "2001:db8:99::9", PROTO_UDP, 1360);
    struct frame too_long = frame6_make("2001:db8::2", "2001:db8:99::9", PROTO_UDP, 1361);
    cr_assert_eq(reason_of(&n, &fits), DROP_NONE);
    cr_assert_eq(reason_of(&n, &too_long), DROP_TOO_BIG);
    n.ports[1].mtu = 600; /* RFC 8200, 5: every link takes 1280 */
    struct frame least = frame6_make("2001:db8::2", "2001:db8:99::9", PROTO_UDP, 1240);
    cr_assert_eq(reason_of(&n, &least), DROP_NONE);
    cr_assert_eq(reason_of(&n, &fits), DROP_TOO_BIG);
    struct packet *p = pass(&n, &least);
    cr_assert_eq(fragment_count(&n, p), 1u, "a router does not cut IPv6");
    packet_free(p);
    node_fini(&n);
}

Test(fragment, what_stays_whole) {
    struct node n = node_with_mtu(1400);
    struct frame f = frame_of(1400, 0, 0);
    struct packet *p = pass(&n, &f), *piece;
    cr_assert_eq(fragment_count(&n, p), 1u);
    piece = piece_of(&n, p, 0);
    cr_assert(piece->len == p->len && memcmp(piece->data, p->data, p->len) == 0 && piece->flags == p->flags);
    packet_free(piece);
    packet_free(p);
    f = frame_of(1900, 0, 0);
    n.ports[1].mtu = 0;
    p = pass(&n, &f);
    cr_assert_eq(fragment_count(&n, p), 1u);
    packet_free(p);
    f = frame_of(1900, 0, IPV4_DF); /* the node's own: no stage keeps it back */
    n.ports[1].mtu = 1400;
    p = packet_make(&f, 0, PORT_NONE);
    forward_own(&n, p, 0);
    cr_assert(p->verdict == VERDICT_FORWARD && fragment_count(&n, p) == 1);
    packet_free(p);
    f = frame_of(1900, 0, 0);
    frame_ip(&f)->ttl = 1;
    frame_seal(&f);
    p = pass(&n, &f);
    cr_assert(p->verdict == VERDICT_DROP && fragment_count(&n, p) == 1);
    packet_free(p);
    node_fini(&n);
}

/* RFC 791, 3.1. A stream identifier (136) is copied, an unknown option 30 is not; Linux puts no-operations. */
Test(fragment, options_that_are_not_copied) {
    static const uint8_t options[12] = {30, 5, 'a', 'b', 'c', 136, 4, 1, 2, 0};
    static const uint8_t later[10] = {1, 1, 1, 1, 1, 136, 4, 1, 2, 0};
    struct node n = node_with_mtu(1400);
    for (unsigned k = 0; k < 2; k++) { /* a whole datagram; a later fragment, whose options are what they should be */
        struct frame f = frame_of(1470, 12, k ? 100 : 0);
        memcpy(f.byte + ETH + 20, options, sizeof options);
        frame_seal(&f);
        struct packet *p = pass(&n, &f);
        const unsigned sizes[2] = {1400, 102}; /* as Linux cuts it */
        cr_assert_eq(fragment_count(&n, p), 2u);
        for (unsigned i = 0; i < 2; i++) {
            struct packet *piece = piece_of(&n, p, i);
            cr_assert_eq(piece->len, ETH + sizes[i]);
            cr_assert_eq(memcmp(piece->data + ETH + 20, i && !k ? later : options, 10), 0, "case %u, piece %u", k, i);
            cr_assert_eq(checksum_fold(checksum_sum(piece->data + ETH, 32, 0)), 0);
            packet_free(piece);
        }
        packet_free(p);
    }
    node_fini(&n);
}

/* Puts the pieces together by what their own headers say, and compares. */
static void check_pieces(const struct node *n, const struct packet *p, uint64_t seed) {
    const struct ipv4_header *whole = packet_ipv4(p);
    const unsigned header = p->l4 - p->l3, payload = ntohs(whole->total_length) - header, mtu = n->ports[1].mtu;
    const unsigned base = (ntohs(whole->fragment) & IPV4_OFFSET) * 8, count = fragment_count(n, p);
    uint8_t again[2048];
    unsigned end = 0, there = 0;
    cr_assert_eq(count == 1, header + payload <= mtu, "seed %#lx", seed);
    for (unsigned i = 0; i < count; i++) {
        struct packet *piece = piece_of(n, p, i), parsed = *piece;
        const struct ipv4_header *ip = packet_ipv4(piece);
        const unsigned size = ntohs(ip->total_length) - header, offset = (ntohs(ip->fragment) & IPV4_OFFSET) * 8 - base;
        bool more = ntohs(ip->fragment) & IPV4_MF, last = i + 1 == count;
        cr_assert(header + size <= mtu && piece->wire_len == p->l4 + size, "seed %#lx", seed);
        cr_assert(last || mtu - header - size < 8, "all but the last are full; seed %#lx", seed);
        cr_assert_eq(more, !last || (ntohs(whole->fragment) & IPV4_MF), "seed %#lx", seed);
        cr_assert(offset == end && !(ntohs(ip->fragment) & IPV4_DF), "seed %#lx", seed);
        cr_assert_eq(memcmp(piece->data, p->data, p->l3), 0);
        memcpy(again + offset, piece->data + p->l4, piece->len - p->l4);
        parse(&parsed);
        cr_assert_eq(parsed.verdict, VERDICT_NONE, "%s, seed %#lx", drop_name(parsed.reason), seed);
        cr_assert(parsed.flags == piece->flags && parsed.sport == piece->sport && parsed.dport == piece->dport,
                  "flags %#x, %#x, seed %#lx", parsed.flags, piece->flags, seed);
        end = offset + size;
        there += piece->len - p->l4;
        packet_free(piece);
    }
    unsigned present = p->len - p->l4 < payload ? p->len - p->l4 : payload;
    cr_assert(end == payload && there == present, "seed %#lx", seed);
    cr_assert_eq(memcmp(again, p->data + p->l4, present), 0, "seed %#lx", seed);
}

Test(fragment, pieces_make_the_packet_again) {
    const uint64_t seed = (uint64_t)time(NULL);
    struct random r;
    random_seed(&r, seed);
    struct node n = node_with_mtu(1500);
    for (unsigned round = 0; round < 20000; round++) {
        static const uint16_t at[] = {0, 0, IPV4_MF, IPV4_MF | 100, 3000};
        const unsigned options = random_below(&r, 3) ? 0 : 4 * random_below(&r, 11);
        const unsigned len = 20 + options + 16 + random_below(&r, 1900 - 20 - options);
        n.ports[1].mtu = (uint16_t)(68 + random_below(&r, random_below(&r, 2) ? 60 : 1500));
        uint16_t fragment = at[random_below(&r, 5)];
        struct frame f = frame_of(fragment & IPV4_MF ? len - (len - 20 - options) % 8 : len, options, fragment);
        struct packet *p = packet_make(&f, 0, 0);
        if (random_below(&r, 4) == 0) { /* cut by the capture */
            p->len = ETH + 20 + options + 8 + random_below(&r, p->len - ETH - 20 - options - 8);
            p->data = realloc(p->data, p->len);
        }
        forward(&n, &p, 1, 0);
        cr_assert_eq(p->verdict, VERDICT_FORWARD, "%s, seed %#lx", drop_name(p->reason), seed);
        check_pieces(&n, p, seed);
        packet_free(p);
    }
    node_fini(&n);
}
