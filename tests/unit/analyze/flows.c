/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows are named as their initiator sends them; TCP is timed; NAT pairs are told. */
#include "case.h"

#define SERVER "203.0.113.10"

static void through_nat(struct capture *c, uint16_t port, uint16_t outside) {
    capture_add(c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", port, SERVER, 53, "q");
    capture_left(c, NIC1, "10.0.0.4", outside, NULL, 0);
    capture_add(c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, SERVER, 53, "10.0.0.4", outside, "a");
    capture_left(c, SWITCH, NULL, 0, "10.0.2.2", port);
}

/* What it is told as: a new reference. */
static json_t *pairs_of(const struct cas *k) {
    const struct document_rows rows = analysis_pairs(k->analysis);
    char *text = document_text_rows(k->doc, &rows);
    json_t *doc = json_loads(text, 0, NULL), *pairs = json_object_get(json_object_get(doc, "nat"), "pairs");
    json_incref(pairs);
    json_decref(doc);
    free(text);
    return pairs;
}

Test(flows, named_before_nat) {
    struct capture c = capture_make();
    through_nat(&c, 4000, 62000);
    through_nat(&c, 4001, 62000); /* the port serves another flow */
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "flows", "total", NULL), 2);
    expect_observed(&k, "symmetric", 2);
    cr_expect_eq(at(&k, "flows", "model", "symmetric"), 2);
    cr_expect_eq(at(&k, "packets", "forwarded", NULL), 4);
    cr_expect_eq(at(&k, "packets", "answers_unmatched", NULL), 0);
    json_t *pairs = pairs_of(&k), *first = json_array_get(pairs, 0);
    cr_assert_eq(json_array_size(pairs), 2u);
    cr_expect_str_eq(text(first, "inside"), "10.0.2.2:4000");
    cr_expect_str_eq(text(first, "outside"), "10.0.0.4:4000");
    json_decref(pairs);
    case_end(&k);
}

/* The answer is the initiator's flow although the capture shows no packet leaving: the core's session says so. */
Test(flows, answers_by_the_cores_session) {
    struct capture c = capture_make();
    through_nat(&c, 4000, 4000);
    struct frame answer = c.frames.v[2];
    c.frames.v[1] = answer;
    c.frames.n = 2;
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "flows", "total", NULL), 1);
    expect_observed(&k, "unanswered", 0);
    expect_observed(&k, "one_way_capture", 0);
    case_end(&k);
}

Test(flows, icmp_through_nat) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ICMP, "10.0.2.2", 7, SERVER, ICMP_ECHO, "q");
    capture_left(&c, NIC1, "10.0.0.4", 900, NULL, 0);
    capture_add(&c, NIC1, TRACE_INBOUND, 50, PROTO_ICMP, SERVER, 900, "10.0.0.4", ICMP_ECHO_REPLY, "a");
    capture_left(&c, SWITCH, NULL, 0, "10.0.2.2", 7);
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "flows", "total", NULL), 1);
    cr_expect_eq(at(&k, "packets", "forwarded", NULL), 2);
    expect_observed(&k, "symmetric", 1);
    json_t *pairs = pairs_of(&k), *first = json_array_get(pairs, 0);
    cr_expect_str_eq(text(first, "inside"), "10.0.2.2:7");
    cr_expect_str_eq(text(first, "outside"), "10.0.0.4:7");
    json_decref(pairs);
    case_end(&k);
}

Test(flows, from_the_internet_by_a_port_map) {
    struct capture c = capture_make();
    capture_add(&c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, SERVER, 999, "10.0.0.4", 7007, "q");
    capture_left(&c, SWITCH, NULL, 0, "10.0.2.2", 7);
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 7, SERVER, 999, "a");
    capture_left(&c, NIC1, "10.0.0.4", 7007, NULL, 0);
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "flows", "total", NULL), 1);
    expect_observed(&k, "symmetric", 1);
    json_t *pairs = pairs_of(&k), *first = json_array_get(pairs, 0);
    cr_expect_str_eq(text(first, "inside"), "10.0.2.2:7");
    cr_expect_str_eq(text(first, "outside"), "10.0.0.4:7007");
    json_decref(pairs);
    case_end(&k);
}

Test(flows, handshakes_and_round_trips) {
    struct capture c = capture_make(); /* frames are 10 ms apart: SYN to ACK takes 20 */
    for (uint16_t port = 5000; port < 5004; port++)
        tcp_handshake(&c, NIC2, "10.0.3.4", port, "10.0.1.4", 22, NIC2);
    capture_tcp(&c, NIC2, TRACE_INBOUND, 64, "10.0.3.4", 6000, "10.0.1.4", 22, TCP_SYN, 1, 0, ""); /* never answered */
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "tcp", "handshakes", NULL), 4);
    cr_expect_eq(at(&k, "tcp", "rtt_ns", "p50"), (json_int_t)(20 * MS));
    cr_expect_eq(at(&k, "tcp", "rtt_ns", "max"), (json_int_t)(20 * MS));
    cr_expect_eq(at(&k, "tcp", "retransmissions", NULL), 0);
    case_end(&k);
}

static struct frame *data(struct capture *c, uint32_t seq, uint64_t ms) {
    struct frame *f =
        capture_tcp(c, NIC2, TRACE_INBOUND, 64, "10.0.3.4", 5000, "10.0.1.4", 22, TCP_ACK, seq, 501, "12345");
    f->time_ns = 1700000000ull * 1000 * MS + ms * MS;
    return f;
}

Test(flows, retransmissions_and_disorder) {
    struct capture c = capture_make();
    data(&c, 100, 0);
    data(&c, 110, 10);
    data(&c, 105, 11);  /* the hole is filled at once: out of order */
    data(&c, 110, 12);  /* the newest again */
    data(&c, 100, 500); /* an old one, long after */
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "tcp", "out_of_order", NULL), 1);
    cr_expect_eq(at(&k, "tcp", "retransmissions", NULL), 2);
    cr_expect_eq(at(&k, "tcp", "handshakes", NULL), 0);
    cr_expect(json_is_null(json_object_get(json_object_get(json_object_get(k.doc, "tcp"), "rtt_ns"), "p50")));
    case_end(&k);
}

/* The same ports with another initial sequence number: another connection, whose numbers begin anew. */
Test(flows, ports_used_again) {
    struct capture c = capture_make();
    for (uint32_t isn = 200000; isn; isn -= 100000) {
        capture_tcp(&c, NIC2, TRACE_INBOUND, 64, "10.0.3.4", 5000, "10.0.1.4", 22, TCP_SYN, isn, 0, "");
        capture_tcp(&c, NIC2, TRACE_OUTBOUND, 64, "10.0.1.4", 22, "10.0.3.4", 5000, TCP_SYN | TCP_ACK, isn + 50000,
                    isn + 1, "");
        capture_tcp(&c, NIC2, TRACE_INBOUND, 64, "10.0.3.4", 5000, "10.0.1.4", 22, TCP_ACK, isn + 1, isn + 50001, "");
        capture_tcp(&c, NIC2, TRACE_INBOUND, 64, "10.0.3.4", 5000, "10.0.1.4", 22, TCP_ACK, isn + 1, isn + 50001,
                    "12345");
    }
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "flows", "total", NULL), 2);
    expect_observed(&k, "symmetric", 2);
    cr_expect_eq(at(&k, "tcp", "handshakes", NULL), 2);
    cr_expect_eq(at(&k, "tcp", "retransmissions", NULL), 0);
    cr_expect_eq(at(&k, "tcp", "out_of_order", NULL), 0);
    case_end(&k);
}

/* The SYN itself is not in the capture, which begins with its answer. `own`: the answer is the node's. */
static void begins_with_an_answer(bool own, const char *name) {
    struct capture c = capture_make();
    tcp_handshake(&c, NIC2, "10.0.2.2", 4000, own ? "10.0.1.4" : "10.0.3.4", 22, NIC2);
    c.frames.v[0] = c.frames.v[1];
    c.frames.n = 1;
    if (!own) {
        c.frames.v[0].direction = TRACE_INBOUND;
        memcpy(c.frames.v[0].data, &port_mac[NIC2], 6);
        memcpy(c.frames.v[0].data + 6, &neighbour_mac, 6);
    }
    struct cas k = case_make(&c);
    char flow[100];
    cr_expect_eq(at(&k, "flows", "total", NULL), 1);
    cr_assert_not_null(finding(&k, "observed", NULL));
    cr_expect_str_eq(flow_of(finding(&k, "observed", NULL), flow, sizeof flow), name);
    case_end(&k);
}

Test(flows, named_from_an_arrived_answer) {
    begins_with_an_answer(false, "tcp 10.0.2.2:4000 > 10.0.3.4:22");
}

Test(flows, named_from_the_nodes_own_answer) {
    begins_with_an_answer(true, "tcp 10.0.2.2:4000 > 10.0.1.4:22");
}
