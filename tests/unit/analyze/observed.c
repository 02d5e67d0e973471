/* SPDX-License-Identifier: BSD-3-Clause */
/* What a capture alone shows, and what it must not be made to show. */
#include "case.h"

Test(observed, symmetric) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC2);
    question(&c, PROTO_ICMP, 7, NIC2);
    tcp_handshake(&c, NIC2, "10.0.3.4", 5000, "10.0.1.4", 22, NIC2); /* with the node itself */
    struct cas k = case_make(&c);
    expect_observed(&k, "symmetric", 3);
    cr_expect_eq(at(&k, "flows", "total", NULL), 3);
    cr_expect_eq(at(&k, "flows", "drift", NULL), 0);
    case_end(&k);
}

Test(observed, another_interface_back) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC1);
    struct cas k = case_make(&c);
    expect_observed(&k, "iface_asym", 1);
    json_t *g = finding(&k, "observed", "iface_asym");
    cr_assert_not_null(g);
    char name[100];
    cr_expect_str_eq(flow_of(g, name, sizeof name), "udp 10.0.2.2:1000 > 10.0.3.4:53");
    cr_expect_eq(at(&k, "flows", "drift", NULL), 1, "the model calls it symmetric");
    case_end(&k);
}

Test(observed, another_neighbour_back) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC2);
    c.frames.v[2].data[11] ^= 1; /* who sends the answer is not whom the question went to */
    struct cas k = case_make(&c);
    expect_observed(&k, "nexthop_asym", 1);
    case_end(&k);
}

/* Two routers share an address: packets go to its virtual MAC, and come from the MAC of the router that serves it. */
Test(observed, virtual_neighbours) {
    static const uint8_t shared[][6] = {
        {0, 0, 0x5e, 0, 1, 7},       /* VRRP, IPv4 */
        {0, 0, 0x5e, 0, 2, 7},       /* VRRP, IPv6 */
        {0, 0, 0x0c, 7, 0xac, 7},    /* HSRP */
        {0, 0, 0x0c, 0x9f, 0xf0, 7}, /* HSRP version 2 */
    };
    struct capture c = capture_make();
    for (int i = 0; i < 4; i++) {
        question(&c, PROTO_UDP, (uint16_t)(1000 + i), NIC2);
        memcpy(c.frames.v[8 * i + 1].data, shared[i], 6); /* leaves to the shared MAC; the answer from a real one */
        question(&c, PROTO_UDP, (uint16_t)(2000 + i), NIC2);
        memcpy(c.frames.v[8 * i + 6].data + 6, shared[i], 6);
    }
    struct cas k = case_make(&c);
    expect_observed(&k, "symmetric", 8);
    expect_observed(&k, "nexthop_asym", 0);
    case_end(&k);
}

/* One flow answered makes the pair of interfaces two-way; only then silence says something. */
Test(observed, unanswered) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC2);
    question(&c, PROTO_UDP, 2000, -1);
    question(&c, PROTO_UDP, 2001, -1);
    struct cas k = case_make(&c);
    expect_observed(&k, "unanswered", 2);
    json_t *g = finding(&k, "observed", "unanswered");
    cr_assert_not_null(g);
    cr_expect_eq(count(g, "count"), 2, "one finding for both");
    cr_expect(json_is_true(json_object_get(g, "benign")), "a datagram needs no answer");
    cr_expect_eq(at(&k, "flows", "drift", NULL), 0);
    case_end(&k);
}

Test(observed, one_way_capture_accuses_nobody) {
    struct capture c = capture_make();
    for (uint16_t port = 2000; port < 2010; port++)
        question(&c, PROTO_UDP, port, -1);
    struct cas k = case_make(&c);
    expect_observed(&k, "one_way_capture", 10);
    case_end(&k);
}

static void half_connection(struct capture *c, bool acknowledges) {
    question(c, PROTO_UDP, 1000, NIC2);
    capture_tcp(c, SWITCH, TRACE_INBOUND, 64, "10.0.2.2", 4000, "10.0.3.4", 80, TCP_SYN, 100, 0, "");
    capture_left(c, NIC2, NULL, 0, NULL, 0);
    if (!acknowledges)
        return;
    capture_tcp(c, SWITCH, TRACE_INBOUND, 64, "10.0.2.2", 4000, "10.0.3.4", 80, TCP_ACK, 101, 9001, "");
    capture_left(c, NIC2, NULL, 0, NULL, 0);
}

Test(observed, acknowledged_answers_went_elsewhere) {
    struct capture c = capture_make();
    half_connection(&c, true);
    struct cas k = case_make(&c);
    expect_observed(&k, "reverse_elsewhere", 1);
    cr_expect(json_is_false(json_object_get(finding(&k, "observed", "reverse_elsewhere"), "benign")));
    case_end(&k);
}

Test(observed, a_syn_alone_proves_nothing) {
    struct capture c = capture_make();
    half_connection(&c, false);
    struct cas k = case_make(&c);
    expect_observed(&k, "unanswered", 1);
    expect_observed(&k, "reverse_elsewhere", 0);
    case_end(&k);
}

/* A connection that began before the capture: one ACK says nothing, for what it acknowledges was perhaps seen by nobody
 * here. */
Test(observed, cut_at_the_beginning) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC2);
    capture_tcp(&c, SWITCH, TRACE_INBOUND, 64, "10.0.2.2", 4000, "10.0.3.4", 80, TCP_ACK, 101, 9001, "data");
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    struct cas k = case_make(&c);
    expect_observed(&k, "reverse_elsewhere", 0);
    expect_observed(&k, "unanswered", 1);
    case_end(&k);
}

Test(observed, multicast_broadcast_and_esp_are_unobservable) {
    struct capture c = capture_make();
    question(&c, PROTO_UDP, 1000, NIC2);
    capture_add(&c, SWITCH, TRACE_INBOUND, 1, PROTO_UDP, "10.0.2.2", 5353, "224.0.0.251", 5353, "mdns");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "0.0.0.0", 68, "255.255.255.255", 67, "dhcp");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ESP, "10.0.2.2", 1, "10.0.3.4", 2, "sealed");
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    struct cas k = case_make(&c);
    expect_observed(&k, "unobservable", 3);
    expect_observed(&k, "unanswered", 0);
    case_end(&k);
}

/* Frames cut to their headers are joined and judged as whole ones are. */
Test(observed, truncated_packets) {
    struct capture c = capture_make();
    tcp_handshake(&c, NIC2, "10.0.3.4", 5000, "10.0.1.4", 22, NIC2);
    question(&c, PROTO_UDP, 1000, NIC2);
    for (size_t i = 0; i < c.frames.n; i++)
        if (c.frames.v[i].len > 54)
            c.frames.v[i].len = 54;
        else if (i >= 3)
            c.frames.v[i].len = 42;
    struct cas k = case_make(&c);
    expect_observed(&k, "symmetric", 2);
    cr_expect_eq(at(&k, "packets", "malformed", NULL), 0);
    cr_expect_eq(at(&k, "packets", "copies", NULL), 3);
    case_end(&k);
}
