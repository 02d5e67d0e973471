/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 in captures: copies, conversations, errors, fragments, and what is a link's own business. */
#include "capture.h"

#define GUEST "fd00:a:0:2::2"
#define MACHINE "fd00:a:0:3::4"

static void seal6(struct frame *f, unsigned payload) {
    struct ipv6_header *ip = (struct ipv6_header *)(f->data + 14);
    ip->payload_length = htons((uint16_t)payload);
    f->len = f->wire_len = 54 + payload;
}

static struct frame *add6(struct capture *c, uint32_t interface, uint8_t dir, uint8_t hops, uint8_t next,
                          const char *src, const char *dst, const void *payload, unsigned len) {
    struct frame f = {.time_ns = c->now, .interface = interface, .direction = dir};
    struct ip a, b;
    cr_assert(ip_parse(src, &a) == 0 && ip_parse(dst, &b) == 0);
    c->now += 10 * MS;
    memcpy(f.data, dir == TRACE_OUTBOUND ? &neighbour_mac : &port_mac[interface], 6);
    memcpy(f.data + 6, dir == TRACE_OUTBOUND ? &port_mac[interface] : &neighbour_mac, 6);
    f.data[12] = 0x86;
    f.data[13] = 0xdd;
    struct ipv6_header *ip = (struct ipv6_header *)(f.data + 14);
    *ip = (struct ipv6_header){.version_class_label = htonl(6u << 28), .next_header = next, .hop_limit = hops};
    memcpy(ip->src, a.v6, 16);
    memcpy(ip->dst, b.v6, 16);
    memcpy(f.data + 54, payload, len);
    seal6(&f, len);
    vec_push(&c->frames, f);
    return &c->frames.v[c->frames.n - 1];
}

static struct frame *left6(struct capture *c, uint32_t interface) {
    struct frame f = c->frames.v[c->frames.n - 1];
    f.time_ns += MS / 10;
    f.interface = interface;
    f.direction = TRACE_OUTBOUND;
    f.data[14 + 7]--;
    vec_push(&c->frames, f);
    return &c->frames.v[c->frames.n - 1];
}

static void udp6(struct capture *c, const char *src, const char *dst, uint16_t sport, uint16_t dport) {
    uint8_t l4[12] = {(uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport, 0, 12, 1, 2, 'd'};
    add6(c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, src, dst, l4, sizeof l4);
}

static struct inject *read6(struct capture *c) {
    struct err e = {0};
    struct inject *in = inject_create(capture_trace(c), NULL, 0, &e);
    cr_assert_not_null(in, "%s", e.what);
    return in;
}

Test(ipv6, copies_are_joined_by_all_but_the_hop_limit) {
    struct capture c = capture_make();
    udp6(&c, GUEST, MACHINE, 1000, 53);
    left6(&c, NIC2);
    udp6(&c, GUEST, MACHINE, 1001, 53);
    left6(&c, NIC2)->data[14 + 8] ^= 1; /* another source: IPv6 is not translated */
    struct inject *in = read6(&c);
    cr_expect_eq(in->packets[0].partner, 1u);
    cr_expect_eq(in->packets[1].kind, INJECT_COPY);
    cr_expect_eq(in->packets[2].partner, INJECT_NONE);
    cr_expect_eq(in->packets[3].kind, INJECT_OWN);
    cr_expect_eq(in->mappings.n, 0u);
    inject_destroy(in);
}

Test(ipv6, answers_and_errors_know_their_conversation) {
    struct capture c = capture_make();
    udp6(&c, GUEST, MACHINE, 1000, 53);
    udp6(&c, MACHINE, GUEST, 53, 1000);
    uint8_t error[8 + 52] = {ICMPV6_UNREACHABLE, 4};
    memcpy(error + 8, c.frames.v[0].data + 14, 52);
    add6(&c, NIC2, TRACE_INBOUND, 64, PROTO_ICMPV6, MACHINE, GUEST, error, sizeof error);
    error[8] = 0x10; /* no IP version */
    add6(&c, NIC2, TRACE_INBOUND, 64, PROTO_ICMPV6, MACHINE, GUEST, error, sizeof error);
    struct inject *in = read6(&c);
    cr_expect_eq(in->packets[0].after, INJECT_NONE);
    cr_expect_eq(in->packets[1].after, 0u);
    cr_expect(in->packets[2].flags & PACKET_ICMP_ERROR);
    cr_expect_eq(in->packets[2].after, 0u);
    cr_expect_eq(in->packets[3].after, INJECT_NONE);
    inject_destroy(in);
}

Test(ipv6, later_fragments_follow_the_first_of_their_datagram) {
    struct capture c = capture_make();
    uint8_t first[16 + 8] = {PROTO_UDP, 0, 0, IPV6_MORE, 0, 0, 0, 7, 3, 232, 0, 53, 0, 40},
            later[8 + 8] = {PROTO_UDP, 0, 0, 16, 0, 0, 0, 7};
    add6(&c, SWITCH, TRACE_INBOUND, 64, EXTENSION_FRAGMENT, GUEST, MACHINE, first, sizeof first);
    add6(&c, SWITCH, TRACE_INBOUND, 64, EXTENSION_FRAGMENT, GUEST, MACHINE, later, sizeof later);
    later[7] = 8; /* of another datagram */
    add6(&c, SWITCH, TRACE_INBOUND, 64, EXTENSION_FRAGMENT, GUEST, MACHINE, later, sizeof later);
    struct inject *in = read6(&c);
    cr_expect(in->packets[0].flags & PACKET_FRAG_FIRST);
    cr_expect(in->packets[1].flags & PACKET_FRAG_LATER);
    cr_expect_eq(in->packets[1].after, 0u);
    cr_expect_eq(in->packets[2].after, INJECT_NONE);
    inject_destroy(in);
}

Test(ipv6, neighbour_discovery_is_not_the_routers_traffic) {
    static const struct { uint8_t type, hops; bool ignored; } is[] = {
        {135, 255, true}, {136, 255, true}, {133, 255, true}, {143, 1, true}, {130, 1, true},
        {135, 64, false}, /* came over a router: no neighbour's (RFC 4861, 7.1) */
        {ICMPV6_ECHO, 255, false}, {128, 1, false}};
    struct capture c = capture_make();
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        uint8_t l4[32] = {is[i].type};
        add6(&c, SWITCH, TRACE_INBOUND, is[i].hops, PROTO_ICMPV6, GUEST, MACHINE, l4, sizeof l4);
    }
    struct inject *in = read6(&c);
    for (size_t i = 0; i < sizeof is / sizeof *is; i++)
        cr_expect_eq(in->packets[i].kind, is[i].ignored ? INJECT_IGNORED : INJECT_ARRIVED, "type %u", is[i].type);
    cr_expect_eq(in->by_reason[DROP_NEIGHBOUR_DISCOVERY], 5u);
    inject_destroy(in);
}
