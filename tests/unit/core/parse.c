/* SPDX-License-Identifier: BSD-3-Clause */
/* parse: what it fills in, and every refusal. Buffers have their exact size, so that a sanitizer sees overreads. */
#include "frame6.h"
#include <fwdlab/base/random.h>

#define SEED 791

static struct packet *parsed(const struct frame *f, uint16_t flags) {
    struct packet *p = packet_make(f, flags, 0);
    parse(p);
    return p;
}

static enum drop refusal(const struct frame *f, uint16_t flags) {
    struct packet *p = parsed(f, flags);
    enum drop reason = p->reason;
    cr_assert_eq(p->verdict, reason ? VERDICT_DROP : VERDICT_NONE);
    packet_free(p);
    return reason;
}

/* The same with the frame cut to `len` bytes by the capture. */
static enum drop refusal_cut(const struct frame *f, uint32_t len) {
    struct frame cut = *f;
    cut.len = len;
    struct packet *p = packet_make(&cut, 0, 0);
    p->wire_len = f->len;
    parse(p);
    enum drop reason = p->reason;
    packet_free(p);
    return reason;
}

static void add_tag(struct frame *f, uint16_t type) {
    memmove(f->byte + 16, f->byte + 12, f->len - 12);
    memcpy(f->byte + 12, (uint8_t[]){(uint8_t)(type >> 8), (uint8_t)type, 0, 7}, 4);
    f->len += 4;
    f->l3 += 4;
}

Test(parse, fills_the_metadata) {
    struct frame f = frame_make("10.0.0.2", "192.0.2.7", PROTO_UDP, 20);
    struct packet *p = packet_make(&f, PACKET_REPLY | PACKET_PORTS | PACKET_SRC_CHANGED, 3);
    p->session = 5;
    p->verdict = VERDICT_DROP;
    p->tag = 77;
    parse(p);
    cr_assert_eq(p->verdict, VERDICT_NONE);
    cr_assert_eq(p->flags, PACKET_PORTS, "flags of an earlier run are gone");
    cr_assert(p->l3 == 14 && p->l4 == 34 && p->family == FAMILY_IPV4 && p->proto == PROTO_UDP);
    cr_assert(p->src == addr("10.0.0.2") && p->dst == addr("192.0.2.7"));
    cr_assert(p->sport == htons(1000) && p->dport == htons(2000));
    cr_assert(p->session == 0 && p->path == ROUTE_NONE && p->out_port == PORT_NONE && p->in_port == 3 && p->tag == 77);
    packet_free(p);
}

Test(parse, tags_options_padding_raw) {
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_TCP, 20);
    add_tag(&f, 0x8100);
    add_tag(&f, 0x88a8);
    add_tag(&f, 0x8100);
    f.len += 6; /* padding of a short frame */
    struct packet *p = parsed(&f, 0);
    cr_assert(p->verdict == VERDICT_NONE && p->l3 == 26 && p->l4 == 46 && p->sport == htons(1000));
    packet_free(p);

    f = frame_make("10.0.0.2", "10.0.1.2", PROTO_TCP, 60);
    frame_ip(&f)->version_ihl = 0x4f;
    memset(f.byte + ETH + 20, 1, 40);
    frame_seal(&f);
    p = parsed(&f, 0);
    cr_assert(p->verdict == VERDICT_NONE && p->l4 == 74 && p->flags == (PACKET_OPTIONS | PACKET_PORTS));
    packet_free(p);

    memmove(f.byte, f.byte + ETH, f.len -= ETH);
    p = parsed(&f, PACKET_RAW_IP);
    cr_assert(p->verdict == VERDICT_NONE && p->l3 == 0 && p->l4 == 60);
    packet_free(p);
}

Test(parse, icmp_queries_and_errors) {
    const struct {
        uint8_t type;
        uint16_t flags;
    } cases[] = {{0, PACKET_PORTS}, {8, PACKET_PORTS}, {13, PACKET_PORTS}, {14, PACKET_PORTS}, {15, PACKET_PORTS},
                 {16, PACKET_PORTS}, {17, PACKET_PORTS}, {18, PACKET_PORTS}, {3, PACKET_ICMP_ERROR},
                 {4, PACKET_ICMP_ERROR}, {5, PACKET_ICMP_ERROR}, {11, PACKET_ICMP_ERROR}, {12, PACKET_ICMP_ERROR},
                 {9, 0}, {10, 0}, {200, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_ICMP, 8);
        f.byte[34] = cases[i].type;
        f.byte[38] = 0x12;
        f.byte[39] = 0x34;
        struct packet *p = parsed(&f, 0);
        cr_assert_eq(p->flags, cases[i].flags, "type %u", cases[i].type);
        be16 id = cases[i].flags & PACKET_PORTS ? htons(0x1234) : 0;
        cr_assert(p->sport == id && p->dport == id, "type %u", cases[i].type);
        struct flow_key key;
        packet_key(p, &key);
        cr_assert(key.sport == id && key.dport == 0 && memcmp(key.src, &p->src, 4) == 0 && key.src[4] == 0);
        packet_free(p);
    }
}

Test(parse, fragments) {
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 16);
    frame_ip(&f)->fragment = htons(IPV4_MF);
    frame_seal(&f);
    struct packet *p = parsed(&f, 0);
    cr_assert_eq(p->flags, PACKET_FRAG_FIRST | PACKET_PORTS);
    packet_free(p);

    frame_ip(&f)->fragment = htons(IPV4_MF | 2);
    frame_seal(&f);
    p = parsed(&f, 0);
    cr_assert(p->flags == PACKET_FRAG_LATER && p->sport == 0 && p->dport == 0);
    packet_free(p);

    struct frame tiny = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 1); /* a last fragment needs no L4 header */
    frame_ip(&tiny)->fragment = htons(2);
    frame_seal(&tiny);
    cr_assert_eq(refusal(&tiny, 0), DROP_NONE);
    frame_ip(&tiny)->fragment = htons(IPV4_OFFSET); /* 65528 + 1 + 20 bytes */
    frame_seal(&tiny);
    cr_assert_eq(refusal(&tiny, 0), DROP_BAD_FRAGMENT);
    frame_ip(&tiny)->fragment = htons(IPV4_OFFSET - 2); /* 65512 + 1 + 20 = 65533 */
    frame_seal(&tiny);
    cr_assert_eq(refusal(&tiny, 0), DROP_NONE);
    struct frame empty = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 0);
    frame_ip(&empty)->fragment = htons(IPV4_MF | 9);
    frame_seal(&empty);
    cr_assert_eq(refusal(&empty, 0), DROP_BAD_FRAGMENT);
}

Test(parse, what_the_kernel_forwards_is_no_fault) {
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_TCP, 20);
    f.byte[34 + 12] = 0x10; /* data offset 4 bytes */
    cr_assert_eq(refusal(&f, 0), DROP_NONE);
    f = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 8);
    f.byte[34 + 4] = 0xff; /* UDP length beyond the packet */
    cr_assert_eq(refusal(&f, 0), DROP_NONE);
}

static enum drop refusal_with_type(unsigned type) {
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_UDP, 32);
    f.byte[12] = (uint8_t)(type >> 8);
    f.byte[13] = (uint8_t)type;
    return refusal(&f, 0);
}

Test(parse, other_traffic_is_ignored) {
    cr_assert_eq(refusal_with_type(0x0806), DROP_ARP);
    cr_assert_eq(refusal_with_type(0x86dd), DROP_BAD_VERSION, "IPv4 in a frame of IPv6");
    cr_assert_eq(refusal_with_type(0x88cc), DROP_OTHER_ETHERTYPE);
    cr_assert_eq(refusal_with_type(1536), DROP_OTHER_ETHERTYPE);
    cr_assert_eq(refusal_with_type(1535), DROP_LLC);
    struct frame tags = {.len = 1500, .l3 = ETH};
    for (unsigned i = 12; i < tags.len; i += 4)
        tags.byte[i] = 0x81;
    cr_assert_eq(refusal(&tags, 0), DROP_OTHER_ETHERTYPE);
}

Test(parse, malformed_headers) {
    const struct frame good = frame_make("10.0.0.2", "10.0.1.2", PROTO_TCP, 20);
    struct frame f = good;
    frame_ip(&f)->checksum ^= 1;
    cr_assert_eq(refusal(&f, 0), DROP_BAD_CHECKSUM);
    cr_assert_eq(refusal(&f, PACKET_NO_CHECKSUM), DROP_NONE);

    const uint8_t version_ihl[][2] = {{0x65, DROP_BAD_VERSION}, {0x05, DROP_BAD_VERSION},
                                      {0x44, DROP_BAD_HEADER_LENGTH}, {0x40, DROP_BAD_HEADER_LENGTH},
                                      {0x4f, DROP_BAD_HEADER_LENGTH}};
    for (unsigned i = 0; i < sizeof version_ihl / sizeof *version_ihl; i++) {
        f = good;
        frame_ip(&f)->version_ihl = version_ihl[i][0];
        cr_assert_eq(refusal(&f, PACKET_NO_CHECKSUM), version_ihl[i][1], "%#x", version_ihl[i][0]);
    }
    const uint16_t totals[][2] = {{19, DROP_BAD_TOTAL_LENGTH}, {0, DROP_BAD_TOTAL_LENGTH}, {41, DROP_BAD_TOTAL_LENGTH},
                                  {40, DROP_NONE}, {34, DROP_NONE}, {33, DROP_SHORT_L4}, {20, DROP_SHORT_L4}};
    for (unsigned i = 0; i < sizeof totals / sizeof *totals; i++) {
        f = good;
        frame_ip(&f)->total_length = htons(totals[i][0]);
        frame_seal(&f);
        cr_assert_eq(refusal(&f, 0), totals[i][1], "total length %u", totals[i][0]);
    }
    f = good;
    memmove(f.byte, f.byte + ETH, f.len -= ETH);
    f.byte[0] = 0x15;
    cr_assert_eq(refusal(&f, PACKET_RAW_IP), DROP_BAD_VERSION);
    f.byte[0] = 0x65;
    cr_assert_eq(refusal(&f, PACKET_RAW_IP), DROP_BAD_TOTAL_LENGTH, "40 bytes are an IPv6 header alone");
}

Test(parse, every_cut) {
    struct frame f = frame_make("10.0.0.2", "10.0.1.2", PROTO_TCP, 100);
    frame_ip(&f)->version_ihl = 0x46;
    frame_seal(&f);
    add_tag(&f, 0x8100);
    for (uint32_t len = 0; len <= f.len; len++) { /* 18 bytes of Ethernet, 24 of IP, 14 of TCP are needed */
        enum drop want = len < 18 ? DROP_SHORT_FRAME : len < 42 ? DROP_SHORT_HEADER : DROP_SHORT_L4;
        want = len < 56 ? want : DROP_NONE;
        cr_assert_eq(refusal_cut(&f, len), want, "cut to %u: %s", len, drop_name(refusal_cut(&f, len)));
    }
    const uint8_t needs[][2] = {{PROTO_UDP, 4}, {PROTO_SCTP, 4}, {PROTO_UDPLITE, 4}, {PROTO_DCCP, 4}, {PROTO_ICMP, 8},
                                {PROTO_ESP, 0}};
    for (unsigned i = 0; i < sizeof needs / sizeof *needs; i++)
        for (unsigned l4 = 0; l4 < 12; l4++) {
            f = frame_make("10.0.0.2", "10.0.1.2", needs[i][0], l4);
            cr_assert_eq(refusal(&f, 0), l4 < needs[i][1] ? DROP_SHORT_L4 : DROP_NONE, "%u: %u", needs[i][0], l4);
        }
}

Test(parse, random_damage_is_judged_within_bounds) {
    struct random r;
    random_seed(&r, SEED);
    unsigned seen[DROP_COUNT] = {0};
    for (unsigned round = 0; round < 200000; round++) {
        struct frame f = frame_make("10.0.0.2", "10.0.1.2", round & 1 ? PROTO_TCP : PROTO_ICMP, random_below(&r, 40));
        for (unsigned hits = random_below(&r, 4); hits; hits--)
            f.byte[random_below(&r, f.len)] ^= (uint8_t)(1u << random_below(&r, 8));
        uint32_t wire_len = f.len;
        f.len -= random_below(&r, 4) ? 0 : random_below(&r, f.len);
        struct packet *p = packet_make(&f, random_below(&r, 4) ? PACKET_NO_CHECKSUM : 0, 0);
        p->wire_len = wire_len;
        parse(p);
        seen[p->reason]++;
        if (p->verdict == VERDICT_NONE)
            cr_assert(p->l3 + 20 <= p->l4 && p->l4 <= p->len && p->l3 + ntohs(packet_ipv4(p)->total_length) <= wire_len,
                      "round %u, seed %d", round, SEED);
        packet_free(p);
    }
    for (enum drop d = DROP_SHORT_FRAME; d <= DROP_BAD_FRAGMENT; d++)
        cr_assert(seen[d] > 0, "%s never came, seed %d", drop_name(d), SEED);
    cr_assert(seen[DROP_SHORT_L4] > 0 && seen[DROP_NONE] > 10000u);
}

/* ---- IPv6 ---- */

#define A6 "2001:db8::2"
#define B6 "2001:db8:1::2"

Test(parse6, fills_the_metadata) {
    struct frame f = frame6_make(A6, B6, PROTO_UDP, 20);
    struct packet *p = parsed(&f, 0);
    struct flow_key key;
    packet_key(p, &key);
    cr_assert(p->verdict == VERDICT_NONE && p->flags == PACKET_PORTS && p->l3 == 14 && p->l4 == 54);
    cr_assert(p->family == FAMILY_IPV6 && p->proto == PROTO_UDP && p->src == 0 && p->dst == 0);
    cr_assert(p->sport == htons(1000) && p->dport == htons(2000));
    cr_assert(key.family == FAMILY_IPV6 && key.sport == p->sport && key.dport == p->dport);
    cr_assert(memcmp(key.src, addr6(A6).v6, 16) == 0 && memcmp(key.dst, addr6(B6).v6, 16) == 0);
    packet_free(p);
    add_tag(&f, 0x8100);
    cr_assert_eq(refusal(&f, 0), DROP_NONE);
    f = frame6_make(A6, B6, PROTO_TCP, 20);
    memmove(f.byte, f.byte + ETH, f.len -= ETH);
    p = parsed(&f, PACKET_RAW_IP);
    cr_assert(p->verdict == VERDICT_NONE && p->l3 == 0 && p->l4 == 40);
    packet_free(p);
}

/* RFC 8200, 4.1: the recommended order, with each header that may stand there. */
Test(parse6, extension_headers) {
    struct frame f = frame6_make(A6, B6, PROTO_TCP, 20);
    frame6_extend(&f, EXTENSION_DESTINATION, 16);
    frame6_extend(&f, EXTENSION_MOBILITY, 8);
    frame6_extend(&f, EXTENSION_AUTHENTICATION, 12);
    frame6_fragment(&f, 0, false);
    frame6_extend(&f, EXTENSION_ROUTING, 24);
    frame6_extend(&f, EXTENSION_DESTINATION, 8);
    frame6_extend(&f, EXTENSION_HOP_BY_HOP, 8);
    struct packet *p = parsed(&f, 0);
    cr_assert(p->verdict == VERDICT_NONE && p->flags == (PACKET_OPTIONS | PACKET_PORTS), "RFC 6946: no fragment");
    cr_assert(p->proto == PROTO_TCP && p->l4 == ETH + 40 + 84 && p->sport == htons(1000));
    packet_free(p);
    for (uint32_t len = ETH; len < f.len; len++) /* the chain ends after 138 bytes, the TCP flags after 152 */
        cr_assert_eq(refusal_cut(&f, len), len < 138 ? DROP_SHORT_HEADER : len < 152 ? DROP_SHORT_L4 : DROP_NONE, "%u",
                     len);
    for (unsigned payload = 0; payload <= 104; payload++) { /* the same by the packet's own word */
        frame_ip6(&f)->payload_length = htons((uint16_t)payload);
        enum drop want = payload == 0 ? DROP_BAD_TOTAL_LENGTH : payload < 84 ? DROP_BAD_EXTENSION : DROP_SHORT_L4;
        want = payload < 98 ? want : DROP_NONE;
        want = payload >= 40 && payload < 48 ? DROP_BAD_EXTENSION : want;
        cr_assert_eq(refusal(&f, 0), want, "%u: %s", payload, drop_name(refusal(&f, 0)));
    }
}

Test(parse6, what_ends_the_chain) {
    const uint8_t ends[] = {EXTENSION_NONE, PROTO_ESP, 4, 41, 47, PROTO_ICMP, 253};
    for (unsigned i = 0; i < sizeof ends; i++) {
        struct frame f = frame6_make(A6, B6, ends[i], 0);
        struct packet *p = parsed(&f, 0);
        cr_assert(p->verdict == VERDICT_NONE && p->proto == ends[i] && p->flags == 0 && p->l4 == ETH + 40);
        packet_free(p);
    }
    struct frame f = frame6_make(A6, B6, PROTO_UDP, 8); /* hop-by-hop options come first or not at all */
    frame6_extend(&f, EXTENSION_HOP_BY_HOP, 8);
    frame6_extend(&f, EXTENSION_DESTINATION, 8);
    struct packet *p = parsed(&f, 0);
    cr_assert(p->verdict == VERDICT_NONE && p->proto == EXTENSION_HOP_BY_HOP && p->flags == PACKET_OPTIONS);
    packet_free(p);
    f = frame6_make(A6, B6, PROTO_UDP, 8); /* nor is there a fragment of a fragment */
    frame6_fragment(&f, 8, true);
    frame6_fragment(&f, 0, false);
    p = parsed(&f, 0);
    cr_assert(p->verdict == VERDICT_NONE && p->proto == EXTENSION_FRAGMENT && p->flags == PACKET_OPTIONS);
    packet_free(p);
}

/* RFC 8200, 4.5 */
Test(parse6, fragments) {
    struct frame f = frame6_make(A6, B6, PROTO_UDP, 16);
    frame6_fragment(&f, 0, true);
    struct packet *p = parsed(&f, 0);
    cr_assert(p->flags == (PACKET_FRAG_FIRST | PACKET_OPTIONS | PACKET_PORTS) && p->l4 == ETH + 48);
    packet_free(p);
    f = frame6_make(A6, B6, EXTENSION_DESTINATION, 1); /* what looks like an extension header is payload */
    frame6_fragment(&f, 16, false);
    p = parsed(&f, 0);
    cr_assert(p->flags == (PACKET_FRAG_LATER | PACKET_OPTIONS) && p->proto == EXTENSION_DESTINATION);
    cr_assert(p->sport == 0 && p->dport == 0 && p->l4 == ETH + 48);
    packet_free(p);

    const struct {
        unsigned before, offset, payload;
        enum drop reason;
    } cases[] = {{0, 65528, 7, DROP_NONE}, {0, 65528, 8, DROP_BAD_FRAGMENT}, {8, 65528, 1, DROP_BAD_FRAGMENT},
                 {8, 65520, 7, DROP_NONE}, {8, 65520, 8, DROP_BAD_FRAGMENT}, {0, 8, 0, DROP_BAD_FRAGMENT}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        f = frame6_make(A6, B6, 253, cases[i].payload);
        frame6_fragment(&f, cases[i].offset, false);
        if (cases[i].before)
            frame6_extend(&f, EXTENSION_ROUTING, cases[i].before);
        cr_assert_eq(refusal(&f, 0), cases[i].reason, "case %u: %s", i, drop_name(refusal(&f, 0)));
    }
    f = frame6_make(A6, B6, 253, 0);
    frame6_fragment(&f, 0, true);
    cr_assert_eq(refusal(&f, 0), DROP_BAD_FRAGMENT);
}

/* RFC 4443, 2.1: types below 128 are errors; echoes have identifiers; neighbour discovery is neither. */
Test(parse6, icmp_queries_and_errors) {
    for (unsigned type = 0; type < 256; type++) {
        struct frame f = frame6_make(A6, B6, PROTO_ICMPV6, 8);
        f.byte[ETH + 40] = (uint8_t)type;
        memcpy(f.byte + ETH + 44, (uint8_t[]){0x12, 0x34}, 2);
        bool query = type == 128 || type == 129;
        struct packet *p = parsed(&f, 0);
        struct flow_key key;
        packet_key(p, &key);
        cr_assert_eq(p->flags, type < 128 ? PACKET_ICMP_ERROR : query ? PACKET_PORTS : 0, "type %u", type);
        be16 id = query ? htons(0x1234) : 0;
        cr_assert(p->sport == id && p->dport == id && key.sport == id && key.dport == 0, "type %u", type);
        packet_free(p);
    }
    for (unsigned len = 0; len < 12; len++) {
        struct frame f = frame6_make(A6, B6, PROTO_ICMPV6, len);
        cr_assert_eq(refusal(&f, 0), len == 0 ? DROP_BAD_TOTAL_LENGTH : len < 8 ? DROP_SHORT_L4 : DROP_NONE, "%u", len);
    }
}

Test(parse6, malformed_headers) {
    const struct frame good = frame6_make(A6, B6, PROTO_TCP, 20);
    struct frame f = good;
    f.byte[ETH] = 0x45;
    cr_assert_eq(refusal(&f, 0), DROP_BAD_VERSION);
    const uint16_t payloads[][2] = {{0, DROP_BAD_TOTAL_LENGTH}, {21, DROP_BAD_TOTAL_LENGTH}, {20, DROP_NONE},
                                    {14, DROP_NONE}, {13, DROP_SHORT_L4}, {1, DROP_SHORT_L4}};
    for (unsigned i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        f = good;
        frame_ip6(&f)->payload_length = htons(payloads[i][0]);
        cr_assert_eq(refusal(&f, 0), payloads[i][1], "payload length %u", payloads[i][0]);
    }
    for (uint32_t len = ETH; len <= good.len; len++) {
        enum drop want = len < 54 ? DROP_SHORT_HEADER : len < 68 ? DROP_SHORT_L4 : DROP_NONE;
        cr_assert_eq(refusal_cut(&good, len), want, "cut to %u", len);
    }
    f = frame6_make(A6, B6, EXTENSION_NONE, 0); /* RFC 2675: a jumbogram's length stands in a hop-by-hop option */
    frame6_extend(&f, EXTENSION_HOP_BY_HOP, 8);
    frame_ip6(&f)->payload_length = 0;
    cr_assert_eq(refusal(&f, 0), DROP_BAD_TOTAL_LENGTH);
    f = good; /* too short for a flow key: nothing is read */
    f.len = ETH + 39;
    struct packet *p = parsed(&f, 0);
    struct flow_key key;
    packet_key(p, &key);
    cr_assert(p->reason == DROP_SHORT_HEADER && key.family == FAMILY_NONE);
    packet_free(p);
}

/* A chain so long that what follows it has no 16-bit offset. */
Test(parse6, endless_chain) {
    const unsigned payload = 65528, len = ETH + 40 + payload;
    struct packet p = {.data = calloc(1, len), .len = len, .wire_len = len};
    struct frame f = frame6_make(A6, B6, EXTENSION_ROUTING, 0);
    frame_ip6(&f)->payload_length = htons((uint16_t)payload);
    memcpy(p.data, f.byte, ETH + 40);
    for (unsigned at = 0; at < payload; at += 8)
        p.data[ETH + 40 + at] = at + 8 < payload ? EXTENSION_ROUTING : EXTENSION_NONE;
    parse(&p);
    cr_assert_eq(p.reason, DROP_BAD_EXTENSION);
    free(p.data);
}

/* A node without IPv6 ignores it, whatever is in it, but knows its flow. */
Test(parse6, node_without_ipv6) {
    struct node n = node_make();
    for (unsigned broken = 0; broken < 2; broken++) {
        struct frame f = frame6_make(A6, B6, PROTO_UDP, 8);
        frame_ip6(&f)->payload_length = htons(broken ? 100 : 8);
        struct packet *p = packet_make(&f, 0, 0);
        struct flow_key key;
        forward(&n, &p, 1, 0);
        packet_key(p, &key);
        cr_assert(p->verdict == VERDICT_DROP && p->reason == DROP_IPV6);
        cr_assert(broken || (key.family == FAMILY_IPV6 && key.sport == htons(1000)));
        packet_free(p);
    }
    node_fini(&n);
}

static struct frame random_chain(struct random *r) {
    static const uint8_t types[] = {EXTENSION_HOP_BY_HOP, EXTENSION_ROUTING, EXTENSION_FRAGMENT, EXTENSION_DESTINATION,
                                    EXTENSION_AUTHENTICATION, EXTENSION_MOBILITY};
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMPV6, EXTENSION_NONE};
    struct frame f = frame6_make(A6, B6, protos[random_below(r, 4)], random_below(r, 40));
    for (unsigned left = random_below(r, 4); left; left--)
        frame6_extend(&f, types[random_below(r, 6)], 8 + 8 * random_below(r, 3));
    for (unsigned hits = random_below(r, 4); hits; hits--)
        f.byte[ETH + random_below(r, f.len - ETH)] ^= (uint8_t)(1u << random_below(r, 8));
    return f;
}

Test(parse6, random_damage_is_judged_within_bounds) {
    static const enum drop all[] = {DROP_SHORT_HEADER, DROP_BAD_VERSION, DROP_BAD_TOTAL_LENGTH, DROP_BAD_EXTENSION,
                                    DROP_BAD_FRAGMENT, DROP_SHORT_L4};
    struct random r;
    random_seed(&r, SEED);
    unsigned seen[DROP_COUNT] = {0};
    for (unsigned round = 0; round < 200000; round++) {
        struct frame f = random_chain(&r);
        uint32_t wire_len = f.len;
        f.len -= random_below(&r, 4) ? 0 : random_below(&r, f.len);
        struct packet *p = packet_make(&f, 0, 0);
        p->wire_len = wire_len;
        parse(p);
        seen[p->reason]++;
        if (p->verdict == VERDICT_NONE) {
            uint32_t end = ETH + 40u + ntohs(packet_ipv6(p)->payload_length);
            cr_assert(p->l3 + 40 <= p->l4 && p->l4 <= p->len && p->l4 <= end && end <= wire_len, "round %u, seed %d",
                      round, SEED);
            cr_assert_eq(p->l4 > ETH + 40, !!(p->flags & PACKET_OPTIONS), "round %u, seed %d", round, SEED);
        }
        packet_free(p);
    }
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        cr_assert(seen[all[i]] > 0, "%s never came, seed %d", drop_name(all[i]), SEED);
    cr_assert_gt(seen[DROP_NONE], 10000u);
}
