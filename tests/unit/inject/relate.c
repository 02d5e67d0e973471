/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers: known by the captured NAT's mapping, rewritten to the core's, and never in the burst of what they answer. */
#include "capture.h"

#define SERVER "203.0.113.10"
#define ROOM 512

static uint8_t bytes[ROOM];

static struct packet filled(struct bench *b, uint32_t i) {
    struct packet p;
    inject_fill(b->in, i, &p, bytes, ROOM);
    return p;
}

/* Packet i through the core, as it came; its answer must be found. */
static struct packet run(struct bench *b, uint32_t i) {
    struct packet p = filled(b, i), *one = &p;
    struct node *n = &b->control->nodes[b->node].node;
    cr_assert_geq(inject_fit(b->in, i, &p, n->nat), 0);
    forward(n, &one, 1, inject_clock(b->in, i));
    return p;
}

/* Both checksums of a packet, computed in full. */
static void expect_sums(const struct packet *p, const struct inject_packet *from) {
    const struct ipv4_header *ip = (const struct ipv4_header *)(p->data + from->l3);
    const uint8_t *l4 = p->data + from->l4;
    size_t len = ntohs(ip->total_length) - 20u;
    cr_expect_eq(checksum_fold(checksum_sum(ip, 20, 0)), 0, "IP");
    if (ip->proto == PROTO_ICMP)
        cr_expect_eq(checksum_fold(checksum_sum(l4, len, 0)), 0, "ICMP");
    else if (ip->proto == PROTO_TCP || l4[6] || l4[7])
        cr_expect_eq(checksum_l4_ipv4(ip->src, ip->dst, ip->proto, l4, len), 0, "L4");
}

/* Question by the switch, translated to port or identifier 62000 in the capture, and its answer. */
static void conversation(struct capture *c, uint8_t proto, uint16_t port) {
    bool icmp = proto == PROTO_ICMP;
    if (proto == PROTO_TCP)
        capture_tcp(c, SWITCH, TRACE_INBOUND, 64, "10.0.2.2", port, SERVER, 443, TCP_SYN, 1, 0, "");
    else
        capture_add(c, SWITCH, TRACE_INBOUND, 64, proto, "10.0.2.2", port, SERVER, icmp ? ICMP_ECHO : 443, "question");
    capture_left(c, NIC1, "10.0.0.4", 62000, NULL, 0);
    if (proto == PROTO_TCP)
        capture_tcp(c, NIC1, TRACE_INBOUND, 50, SERVER, 443, "10.0.0.4", 62000, TCP_SYN | TCP_ACK, 9, 2, "");
    else
        capture_add(c, NIC1, TRACE_INBOUND, 50, proto, SERVER, icmp ? 62000 : 443, "10.0.0.4",
                    icmp ? ICMP_ECHO_REPLY : 62000, "answer");
}

static void expect_delivered_to_guest(struct bench *b, uint32_t i) {
    struct packet p = run(b, i);
    cr_expect_eq(p.verdict, VERDICT_FORWARD, "%s", drop_name(p.reason));
    cr_expect_eq(p.out_port, SWITCH);
    cr_expect_eq(p.dst, addr("10.0.2.2"));
}

Test(relate, answers_fit_the_cores_mapping) {
    static const uint8_t proto[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
    for (int k = 0; k < 3; k++) {
        struct capture c = capture_make();
        conversation(&c, proto[k], 4000);
        struct bench b = bench_make(&c);
        const struct inject_packet *answer = &b.in->packets[2];
        cr_assert_eq(b.in->mappings.n, 1u);
        const struct inject_mapping *m = &b.in->mappings.v[0];
        cr_expect(m->inside.src == addr("10.0.2.2") && m->inside.sport == htons(4000) && m->proto == proto[k] &&
                  m->first == 0);
        cr_expect(m->outside.src == addr("10.0.0.4") && m->outside.sport == htons(62000));
        cr_expect(answer->answer == 0 && answer->after == 0);
        struct packet p = filled(&b, 2);
        cr_expect_eq(inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat), -1, "the core has no such flow yet");
        run(&b, 0);
        p = filled(&b, 2);
        cr_assert_eq(inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat), 1);
        be16 port;
        memcpy(&port, p.data + answer->l4 + (proto[k] == PROTO_ICMP ? 4 : 2), 2);
        cr_expect_eq(ntohs(port), 4000, "the core keeps the guest's port: %u", ntohs(port));
        expect_sums(&p, answer);
        expect_delivered_to_guest(&b, 2);
        bench_end(&b);
    }
}

Test(relate, udp_without_checksum_stays_without) {
    struct capture c = capture_make();
    conversation(&c, PROTO_UDP, 4000);
    memset(frame_l4(&c.frames.v[2]) + 6, 0, 2);
    struct bench b = bench_make(&c);
    run(&b, 0);
    struct packet p = filled(&b, 2);
    cr_assert_eq(inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat), 1);
    const uint8_t *sum = p.data + b.in->packets[2].l4 + 6;
    cr_expect(sum[0] == 0 && sum[1] == 0);
    expect_delivered_to_guest(&b, 2);
    bench_end(&b);
}

/* An error about the translated packet: it and the header inside it name the core's mapping, all four checksums right.
 */
Test(relate, icmp_errors) {
    static const uint8_t proto[] = {PROTO_UDP, PROTO_ICMP, PROTO_TCP};
    for (int k = 0; k < 3; k++) {
        struct capture c = capture_make();
        conversation(&c, proto[k], 4000);
        c.frames.n = 2;
        struct frame *f = capture_error(&c, NIC1, "198.51.100.1", "10.0.0.4", ICMP_TIME_EXCEEDED, &c.frames.v[1]);
        (void)f;
        struct bench b = bench_make(&c);
        const struct inject_packet *error = &b.in->packets[2];
        cr_expect(error->answer == 0 && error->after == 0);
        struct packet first = run(&b, 0);
        uint8_t sent[28];
        memcpy(sent, first.data + 14, sizeof sent); /* what the core sent */
        struct packet p = filled(&b, 2);
        cr_assert_eq(inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat), 1);
        expect_sums(&p, error);
        const uint8_t *inner = p.data + error->l4 + 8;
        cr_expect_eq(checksum_fold(checksum_sum(inner, 20, 0)), 0, "the header inside");
        cr_expect(!memcmp(inner + 12, sent + 12, proto[k] == PROTO_TCP ? 12 : 16), "looks as the core sent it");
        expect_delivered_to_guest(&b, 2);
        bench_end(&b);
    }
}

/* An error about a protocol without ports: nothing behind the header inside is touched. */
Test(relate, icmp_error_about_esp) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ESP, "10.0.2.2", 0x1234, SERVER, 0x5678, "ciphertext");
    struct frame out = c.frames.v[0];
    frame_ip(&out)->src = addr("10.0.0.4");
    frame_ip(&out)->ttl--;
    out.interface = NIC1, out.direction = TRACE_OUTBOUND, out.time_ns += 1000;
    frame_seal(&out, out.len - 34);
    vec_push(&c.frames, out);
    capture_error(&c, NIC1, "198.51.100.1", "10.0.0.4", ICMP_TIME_EXCEEDED, &c.frames.v[1]);
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[2].answer, 0u);
    run(&b, 0);
    struct packet p = filled(&b, 2);
    cr_expect_eq(inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat), 1);
    cr_expect(!memcmp(p.data + b.in->packets[2].l4 + 8 + 20, "\x12\x34\x56\x78", 4), "the SPI");
    expect_sums(&p, &b.in->packets[2]);
    bench_end(&b);
}

/* Later fragments of an answer go where the first one goes. */
Test(relate, fragments_of_answers) {
    struct capture c = capture_make();
    conversation(&c, PROTO_UDP, 4000);
    frame_ip(&c.frames.v[2])->fragment = htons(IPV4_MF);
    frame_seal(&c.frames.v[2], 16);
    struct frame later = c.frames.v[2];
    later.time_ns += 1000;
    frame_ip(&later)->fragment = htons(2);
    frame_seal(&later, 16);
    vec_push(&c.frames, later);
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[3].after, 2u);
    cr_expect_eq(b.in->packets[3].answer, 0u);
    run(&b, 0);
    struct packet p = filled(&b, 3);
    cr_expect_eq(inject_fit(b.in, 3, &p, b.control->nodes[b.node].node.nat), 1);
    cr_expect(!memcmp(p.data + 34, later.data + 34, 16), "no ports there to change");
    cr_expect_eq(checksum_fold(checksum_sum(p.data + 14, 20, 0)), 0);
    bench_end(&b);
}

/* Outside port 62000 serves one flow, then another: each answer belongs to the flow that had it then. */
Test(relate, a_port_is_used_again) {
    struct capture c = capture_make();
    conversation(&c, PROTO_UDP, 4000);
    conversation(&c, PROTO_UDP, 5000);
    capture_add(&c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, SERVER, 443, "10.0.0.4", 62000, "more");
    struct bench b = bench_make(&c);
    cr_assert_eq(b.in->mappings.n, 2u);
    cr_expect_eq(b.in->packets[2].answer, 0u);
    cr_expect_eq(b.in->packets[5].answer, 1u);
    cr_expect_eq(b.in->packets[6].answer, 1u);
    cr_expect_eq(b.in->packets[5].after, 3u);
    bench_end(&b);
}

/* NAT has no session of a question whose hops ended in the node: the answer is after the one that went through. */
Test(relate, answers_wait_for_what_was_translated) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 1, PROTO_UDP, "10.0.2.2", 4000, SERVER, 443, "question");
    conversation(&c, PROTO_UDP, 4000);
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->packets[0].partner, INJECT_NONE);
    cr_expect_eq(b.in->packets[1].partner, 2u);
    cr_expect(b.in->packets[3].answer == 0 && b.in->packets[3].after == 1, "after %u", b.in->packets[3].after);
    bench_end(&b);
}

Test(relate, untranslated_answers_wait_too) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ICMP, "10.0.2.2", 7, "10.0.3.4", ICMP_ECHO, "ping");
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_ICMP, "10.0.2.2", 7, "10.0.3.4", ICMP_ECHO, "again");
    capture_add(&c, NIC2, TRACE_INBOUND, 64, PROTO_ICMP, "10.0.3.4", 7, "10.0.2.2", ICMP_ECHO_REPLY, "pong");
    struct bench b = bench_make(&c);
    cr_expect_eq(b.in->mappings.n, 0u);
    cr_expect_eq(b.in->packets[2].after, INJECT_NONE, "the same direction needs not wait");
    cr_expect_eq(b.in->packets[3].after, 0u);
    cr_expect_eq(b.in->packets[3].answer, INJECT_NONE);
    bench_end(&b);
}

/* VLAN tags push the headers beyond the caller's room: nothing is written there. */
Test(relate, headers_beyond_the_room) {
    struct capture c = capture_make();
    conversation(&c, PROTO_UDP, 4000);
    struct frame *f = &c.frames.v[2];
    enum { TAGS = 60 };
    memmove(f->data + 12 + 4 * TAGS, f->data + 12, f->len - 12);
    for (int i = 0; i < TAGS; i++)
        memcpy(f->data + 12 + 4 * i, (uint8_t[]){0x81, 0, 0, 5}, 4);
    f->len = f->wire_len = f->len + 4 * TAGS;
    struct bench b = bench_make(&c);
    cr_assert_eq(b.in->packets[2].answer, 0u);
    run(&b, 0);
    for (uint32_t room = 200; room < 330; room++) {
        uint8_t *exact = malloc(room);
        struct packet p;
        inject_fill(b.in, 2, &p, exact, room);
        cr_assert_leq(p.len, room);
        inject_fit(b.in, 2, &p, b.control->nodes[b.node].node.nat); /* the sanitizer sees a byte too far */
        free(exact);
    }
    bench_end(&b);
}
