/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors of a router about packets that its NAT had changed: they are about what the sender sent. */
#include "errors.h"

/* Masquerading on port 1, UDP 7007 of any of the router's addresses there to 172.17.0.5:7. */
static struct node nat_router(enum nat_personality personality, const char *outside) {
    struct node n = router();
    const struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr("172.17.0.5"),
                                     .inside_port = htons(7)};
    const struct nat_config config = {.personality = personality, .outside_port = 1, .n_addresses = 1, .n_port_maps = 1,
                                      .addresses = (const be32[]){addr(outside)}, .port_maps = &map};
    n.nat = nat_create(&config);
    node_prepare(&n);
    return n;
}

static struct frame udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t ttl) {
    struct frame f = ipv4(src, dst, ttl, 10);
    uint8_t *l4 = f.byte + ETH + 20;
    memcpy(l4, (be16[]){htons(sport), htons(dport), htons(10), 0}, 8);
    be16 sum = checksum_l4_ipv4(addr(src), addr(dst), PROTO_UDP, l4, 10);
    memcpy(l4 + 6, &sum, 2);
    return f;
}

/* The error about a frame is about what its sender sent, but for the TTL that it now has. */
static void expect_unchanged(struct node *n, const struct packet *p, const struct frame *sent, const struct want *w) {
    struct frame want = *sent;
    frame_ip(&want)->ttl = packet_ipv4(p)->ttl;
    frame_seal(&want);
    struct packet *e = error_about(n, p, EPOCH);
    unsigned at = check_error(n, e, w, EPOCH);
    cr_expect_eq(e->len - at, sent->len - ETH);
    cr_expect_eq(memcmp(e->data + at, want.byte + ETH, e->len - at), 0);
    packet_free(e);
}

static void nat_errors(enum nat_personality personality) {
    struct node n = nat_router(personality, "10.0.1.1");
    struct frame f = udp("10.0.1.2", 9, "10.0.1.1", 7007, 1); /* its connection is never made */
    struct packet *p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, EPOCH);
    cr_assert(p->flags & PACKET_DST_CHANGED);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.1.1", "10.0.1.2", 1});
    packet_free(p);
    f = udp("172.17.0.7", 5009, "172.16.0.9", 53, 1);
    p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.0.1", "172.17.0.7", 0});
    packet_free(p);
    f = udp("172.17.0.7", 5009, "172.16.0.9", 53, 5);
    p = packet_make(&f, 0, 0);
    forward(&n, &p, 1, EPOCH);
    cr_assert(p->verdict == VERDICT_FORWARD && p->src == addr("10.0.1.1"));
    packet_drop(p, DROP_NO_NEIGHBOUR); /* after everything else: TTL 4 inside */
    expect_unchanged(&n, p, &f, &(struct want){3, 1, 0, "10.0.1.1", "172.17.0.7", 0});
    packet_free(p);
    frame_ip(&f)->ttl = 1;
    frame_seal(&f);
    p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.0.1", "172.17.0.7", 0});
    packet_free(p);
    f = udp("172.16.0.9", 53, "10.0.1.1", 5009, 1);
    p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, EPOCH);
    cr_assert(p->flags & PACKET_DST_CHANGED && p->flags & PACKET_REPLY);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.1.1", "172.16.0.9", 1});
    packet_free(p);
    f = udp("172.16.0.9", 53, "172.17.0.7", 5009, 1); /* past NAT: the session that looks like it has no say */
    p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, EPOCH);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.1.1", "172.16.0.9", 1});
    packet_free(p);
    node_fini(&n);
}

Test(icmp, nat_interface) {
    nat_errors(NAT_INTERFACE);
}

Test(icmp, nat_conntrack) {
    nat_errors(NAT_CONNTRACK);
}

/* Whom the packet was sent to answers, by whatever port. A packet straight to the inside address is no mapped one. */
Test(icmp, nat_source_is_whom_it_was_sent_to) {
    struct node n = nat_router(NAT_CONNTRACK, "10.0.0.1");
    struct frame f = udp("10.0.1.2", 9, "10.0.0.1", 7007, 1);
    struct packet *p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, EPOCH);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.0.1", "10.0.1.2", 1});
    packet_free(p);
    f = udp("10.0.1.2", 9, "172.17.0.5", 7, 1);
    p = dropped(&n, &f, 1, DROP_TTL_EXPIRED, EPOCH);
    expect_unchanged(&n, p, &f, &(struct want){11, 0, 0, "10.0.1.1", "10.0.1.2", 1});
    packet_free(p);
    node_fini(&n);
}
