/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node with NAT owes: fragments that waited, ICMP errors of its own (RFC 4787 REQ-13, RFC 5382 REQ-4,
 * RFC 5508 REQ-8). */
#include "errors.h"
#include <fwdlab/core/fragment.h>

#define FAR "172.16.0.9"
#define GUEST "172.17.0.7"

/* Masquerading on port 1, whose MTU is 1400. */
static struct node nat_router(enum nat_personality personality, uint32_t max_sessions) {
    struct node n = router();
    const struct nat_config config = {.personality = personality, .outside_port = 1, .n_addresses = 1,
                                      .addresses = (const be32[]){addr("10.0.1.1")}, .max_sessions = max_sessions,
                                      .hold_fragments = true, .hold_syns = true};
    n.nat = nat_create(&config);
    node_prepare(&n);
    return n;
}

static struct frame datagram(unsigned l4_len, uint16_t fragment) {
    struct frame f = frame_make(GUEST, FAR, PROTO_UDP, l4_len);
    frame_ip(&f)->fragment = htons(fragment);
    frame_ip(&f)->id = htons(7);
    frame_seal(&f);
    return f;
}

static struct packet *pass(struct node *n, const struct frame *f, uint64_t now) {
    struct packet *p = packet_make(f, 0, 0);
    forward(n, &p, 1, now);
    return p;
}

/* DF set: the sender inside is told the MTU, about the packet as it sent it. */
static void df_set(enum nat_personality personality) {
    struct node n = nat_router(personality, 0);
    const struct frame f = datagram(1381, IPV4_DF);
    struct packet *p = dropped(&n, &f, 0, DROP_TOO_BIG, EPOCH), *e = error_about(&n, p, EPOCH);
    unsigned at = check_error(&n, e, &(struct want){3, 4, 1400, "10.0.0.1", GUEST, 0}, EPOCH);
    cr_expect_eq(memcmp(e->data + at, f.byte + ETH, e->len - at), 0);
    packet_free(e);
    packet_free(p);
    node_fini(&n);
}
Test(rfc4787, req_13_df_set_interface) {
    df_set(NAT_INTERFACE);
}
Test(rfc4787, req_13_df_set_conntrack) {
    df_set(NAT_CONNTRACK);
}

/* DF clear: in pieces, in order, all with the outside address. */
Test(rfc4787, req_13a_df_clear) {
    struct node n = nat_router(NAT_INTERFACE, 0);
    const struct frame f = datagram(1800, 0);
    struct packet *p = pass(&n, &f, EPOCH);
    unsigned next = 0;
    cr_assert_eq(fragment_count(&n, p), 2);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t data[ETH + 1400];
        struct packet piece = {.data = data, .room = sizeof data};
        fragment_make(&n, p, i, &piece);
        const struct ipv4_header *ip = packet_ipv4(&piece);
        cr_expect_eq(ip->src, addr("10.0.1.1"));
        cr_expect_eq((ntohs(ip->fragment) & IPV4_OFFSET) * 8, next);
        next += ntohs(ip->total_length) - 20u;
    }
    cr_expect_eq(next, 1800);
    packet_free(p);
    node_fini(&n);
}

/* Whom there is no room for is told, by 3/13; but Linux says nothing. */
static void no_room(enum nat_personality personality) {
    struct node n = nat_router(personality, 1);
    struct frame f = datagram(20, 0);
    packet_free(pass(&n, &f, EPOCH));
    f.byte[ETH + 20] ^= 1;
    struct packet *p = dropped(&n, &f, 0, DROP_NAT_TABLE_FULL, EPOCH);
    if (personality == NAT_CONNTRACK) {
        cr_expect_not(is_due(&n, p, EPOCH));
    } else {
        struct packet *e = error_about(&n, p, EPOCH);
        check_error(&n, e, &(struct want){3, 13, 0, "10.0.0.1", GUEST, 0}, EPOCH);
        packet_free(e);
    }
    packet_free(p);
    node_fini(&n);
}
Test(rfc5508, req_8_no_room_interface) {
    no_room(NAT_INTERFACE);
}
Test(rfc5508, req_8_no_room_conntrack) {
    no_room(NAT_CONNTRACK);
}

static void account(const struct node *n, uint64_t forwarded, uint64_t dropped, unsigned due) {
    cr_expect(n->forwarded == forwarded && n->drops[DROP_NAT_FRAGMENT] == dropped && node_due(n) == due,
              "%lu forwarded, %lu dropped, %u due", n->forwarded, n->drops[DROP_NAT_FRAGMENT], node_due(n));
}

/* Through all stages: the held frame comes back with its link header, and leaves like the first one. */
Test(rfc4787, req_14_through_the_node) {
    struct node n = nat_router(NAT_INTERFACE, 0);
    const struct frame later = datagram(64, 8), first = datagram(64, IPV4_MF);
    uint8_t data[NAT_HELD_BYTES];
    struct packet due = {.data = data, .room = sizeof data}, *one = &due, *p = packet_make(&later, 0, 0);
    p->tag = 3;
    forward(&n, &p, 1, EPOCH);
    cr_expect_eq(p->verdict, VERDICT_HELD);
    account(&n, 0, 0, 0);
    packet_free(p);
    cr_expect_not(node_take_due(&n, &due));
    packet_free(pass(&n, &first, EPOCH + 1));
    account(&n, 1, 0, 1);
    cr_assert(node_take_due(&n, &due));
    cr_expect(due.len == later.len && due.tag == 3 && memcmp(data, later.byte, later.len) == 0);
    forward(&n, &one, 1, EPOCH + 1);
    cr_expect(due.verdict == VERDICT_FORWARD && due.out_port == 1 && due.src == addr("10.0.1.1"));
    cr_expect_eq(packet_ipv4(&due)->ttl, 63);
    account(&n, 2, 0, 0);
    /* in vain: a drop like any other */
    const uint64_t late = EPOCH + 100 * S;
    packet_free(pass(&n, &later, late));
    const struct frame other = ipv4(GUEST, FAR, 9, 20);
    packet_free(pass(&n, &other, late + 31 * S));
    account(&n, 3, 0, 1);
    due = (struct packet){.data = data, .room = sizeof data};
    cr_assert(node_take_due(&n, &due));
    forward(&n, &one, 1, late + 31 * S);
    account(&n, 3, 1, 0);
    node_reset(&n);
    node_fini(&n);
}

/* A SYN from outside that nobody asked for: after six seconds its sender is told, about the packet as it sent it; but
 * not when a guest has opened the same connection. */
Test(rfc5382, req_4_through_the_node) {
    for (int met = 0; met < 2; met++) {
        struct node n = nat_router(NAT_INTERFACE, 0);
        struct frame syn = frame_make(FAR, "10.0.1.1", PROTO_TCP, 20), out = frame_make(GUEST, FAR, PROTO_TCP, 20);
        const uint8_t ports[] = {0, 80, 0x13, 0x88, 0x13, 0x88, 0, 80};
        memcpy(syn.byte + ETH + 20, ports, 4);
        memcpy(out.byte + ETH + 20, ports + 4, 4);
        syn.byte[ETH + 33] = out.byte[ETH + 33] = TCP_SYN;
        struct packet *p = packet_make(&syn, 0, 1);
        forward(&n, &p, 1, EPOCH);
        cr_expect_eq(p->verdict, VERDICT_HELD);
        packet_free(p);
        if (met)
            packet_free(pass(&n, &out, EPOCH + S));
        cr_expect_eq(n.forwarded, (uint64_t)met);
        const struct frame other = ipv4(GUEST, FAR, 9, 20);
        packet_free(pass(&n, &other, EPOCH + 7 * S));
        cr_assert_eq(node_due(&n), 1);
        uint8_t data[NAT_HELD_BYTES];
        struct packet due = {.data = data, .room = sizeof data}, *one = &due;
        cr_assert(node_take_due(&n, &due));
        forward(&n, &one, 1, EPOCH + 7 * S);
        cr_expect(due.verdict == VERDICT_DROP && due.reason == (met ? DROP_NAT_FILTERED : DROP_NAT_UNSOLICITED));
        struct packet *e = error_about(&n, &due, EPOCH + 7 * S);
        cr_expect_eq(!e, met);
        if (e) {
            unsigned at = check_error(&n, e, &(struct want){3, 3, 0, "10.0.1.1", FAR, 1}, EPOCH + 7 * S);
            cr_expect_eq(memcmp(e->data + at, syn.byte + ETH, e->len - at), 0);
            packet_free(e);
        }
        cr_expect(node_due(&n) == 0 && n.delivered == 0);
        node_fini(&n);
    }
}
