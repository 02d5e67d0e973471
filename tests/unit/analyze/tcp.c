/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP of one connection: each definition at its border, states, and what must not change what is said. */
#include <criterion/criterion.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include <fwdlab/core/parse.h>
#include "../../../src/analyze/tcp.h"

#define MS 1000000u
#define SEED 9293
enum { A = TCP_ACK, S = TCP_SYN, SA = TCP_SYN | TCP_ACK, F = TCP_FIN | TCP_ACK, R = TCP_RST };

static struct tcp_flow flow;

/* Way 0 begins at 1000, way 1 at 5000: their first bytes are 1001 and 5001. Times are ms. */
static unsigned note(unsigned way, double ms, uint32_t seq, uint32_t ack, uint8_t flags, uint32_t len) {
    const struct tcp_segment s = {.time_ns = 1000 * MS + (uint64_t)(ms * MS + 0.5), .seq = seq, .ack = ack, .len = len,
                                  .window = 500, .flags = flags};
    return tcp_note(&flow, way, &s);
}

static void handshake(double rtt_ms) {
    flow = (struct tcp_flow){0};
    cr_assert_eq(note(0, 0, 1000, 0, S, 0), 0);
    cr_assert_eq(flow.state, TCP_SYN_SENT);
    cr_assert_eq(note(1, rtt_ms / 2, 5000, 1001, SA, 0), 0);
    cr_assert_eq(flow.state, TCP_SYN_RECEIVED);
    cr_assert_eq(flow.rtt_ns, 0);
    cr_assert_eq(note(0, rtt_ms, 1001, 5001, A, 0), TCP_HANDSHAKE);
    cr_assert_eq(flow.state, TCP_ESTABLISHED);
    cr_assert_eq(flow.rtt_ns, (uint64_t)(rtt_ms * MS));
}

Test(tcp, round_trip_of_the_latest_syn) {
    handshake(10);
    flow = (struct tcp_flow){0};
    note(0, 0, 1000, 0, S, 0);
    cr_assert_eq(note(0, 1000, 1000, 0, S, 0), TCP_RETRANSMISSION);
    note(1, 1004, 5000, 1001, SA, 0);
    cr_assert_eq(note(0, 1010, 1001, 5001, A, 100), TCP_HANDSHAKE);
    cr_assert_eq(flow.rtt_ns, 10 * MS);
    cr_assert_eq(flow.retransmissions, 1);
}

Test(tcp, a_refused_connection_has_a_round_trip_and_no_handshake) {
    flow = (struct tcp_flow){0};
    note(0, 0, 1000, 0, S, 0);
    cr_assert_eq(note(1, 7, 0, 1001, TCP_RST | TCP_ACK, 0), 0);
    cr_assert_eq(flow.rtt_ns, 7 * MS);
    cr_assert_eq(flow.state, TCP_ABORTED);
    cr_assert_eq(flow.resets, 1);
}

/* Payload from 1101 on is there, 1001 is missing; then what fills the hole comes `ms` after it. */
static unsigned fill(double rtt_ms, double ms, uint32_t len) {
    if (rtt_ms > 0)
        handshake(rtt_ms);
    else {
        flow = (struct tcp_flow){0};
        note(0, 0, 1001, 5001, A, 0);
    }
    cr_assert_eq(note(0, 100, 1101, 5001, A, 100), TCP_LOST_SEGMENT);
    return note(0, 100 + ms, 1001, 5001, A, len);
}

Test(tcp, reordered_within_the_round_trip) {
    cr_assert_eq(fill(10, 9.999999, 100), TCP_OUT_OF_ORDER);
    cr_assert_eq(flow.out_of_order, 1);
    cr_assert_eq(fill(10, 10, 100), TCP_RETRANSMISSION);
    cr_assert_eq(fill(0, 2.999999, 100), TCP_OUT_OF_ORDER);
    cr_assert_eq(fill(0, 3, 100), TCP_RETRANSMISSION);
    cr_assert_eq(fill(10, 1, 200), TCP_RETRANSMISSION, "it ends where the one before ended");
}

static unsigned fast(unsigned duplicates, double ms, uint32_t seq) {
    handshake(1);
    note(0, 2, 1001, 5001, A, 100);
    note(0, 3, 1101, 5001, A, 100);
    for (unsigned i = 0; i < duplicates; i++)
        cr_assert_eq(note(1, 5, 5001, 1001, A, 0), TCP_DUPLICATE_ACK);
    return note(0, 5 + ms, seq, 5001, A, 100);
}

Test(tcp, fast_after_two_duplicate_acks_and_within_20_ms) {
    cr_assert_eq(fast(2, 19.999999, 1001), TCP_RETRANSMISSION | TCP_FAST_RETRANSMISSION);
    cr_assert_eq(flow.retransmissions, 1);
    cr_assert_eq(fast(2, 20, 1001), TCP_RETRANSMISSION);
    cr_assert_eq(fast(1, 1, 1001), TCP_RETRANSMISSION);
    cr_assert_eq(fast(2, 1, 1101), TCP_RETRANSMISSION, "not what is asked for");
}

Test(tcp, spurious_where_all_of_it_was_acknowledged) {
    handshake(1);
    note(0, 2, 1001, 5001, A, 100);
    note(1, 3, 5001, 1101, A, 0);
    cr_assert_eq(note(0, 300, 1001, 5001, A, 100), TCP_RETRANSMISSION | TCP_SPURIOUS_RETRANSMISSION);
    cr_assert_eq(note(0, 301, 1001, 5001, A, 101), TCP_RETRANSMISSION, "one byte was not");
}

Test(tcp, keep_alives_and_their_answers) {
    handshake(1);
    note(0, 2, 1001, 5001, A, 100);
    note(1, 3, 5001, 1101, A, 0);
    for (unsigned len = 0; len < 2; len++) {
        cr_assert_eq(note(0, 1000, 1100, 5001, A, len), TCP_KEEP_ALIVE);
        cr_assert_eq(note(1, 1001, 5001, 1101, A, 0), 0, "its answer is no duplicate");
    }
    cr_assert_eq(note(0, 1002, 1101, 5001, A, 100), 0);
    cr_assert_eq(note(1, 1003, 5001, 1101, A, 0), TCP_DUPLICATE_ACK);
    cr_assert_eq(note(0, 1004, 1200, 5001, F, 1), TCP_RETRANSMISSION, "a FIN is none");
}

Test(tcp, zero_window_and_its_probe) {
    handshake(1);
    struct tcp_segment full = {.time_ns = 1100 * MS, .seq = 5001, .ack = 1001, .flags = A},
                       probe = {.time_ns = 1200 * MS, .seq = 1001, .ack = 5001, .len = 1, .window = 500, .flags = A};
    cr_assert_eq(tcp_note(&flow, 1, &full), TCP_ZERO_WINDOW);
    cr_assert_eq(tcp_note(&flow, 0, &probe), 0);
    cr_assert_eq(tcp_note(&flow, 0, &probe), 0, "a probe does not move next: its like is not a retransmission");
    probe.len = 100;
    cr_assert_eq(tcp_note(&flow, 0, &probe), 0);
    full.flags = R;
    cr_assert_eq(tcp_note(&flow, 1, &full), 0);
}

Test(tcp, a_reset_loses_nothing) {
    handshake(1);
    cr_assert_eq(note(0, 2, 1501, 5001, R, 0), 0);
    handshake(1);
    cr_assert_eq(note(0, 2, 1501, 5001, A, 0), TCP_LOST_SEGMENT);
}

static bool anew(unsigned way, uint32_t seq, uint8_t flags) {
    const struct tcp_segment s = {.time_ns = 1, .seq = seq, .flags = flags};
    return tcp_begins_anew(&flow, way, &s);
}

Test(tcp, a_syn_of_another_number_begins_anew) {
    flow = (struct tcp_flow){0};
    cr_assert(!anew(0, 7, S));
    handshake(1);
    cr_assert(!anew(0, 1000, S), "the same SYN again");
    cr_assert(anew(0, 999, S) && anew(0, 1001, S) && anew(1, 5001, S));
    cr_assert(!anew(0, 7, SA) && !anew(0, 7, A));
    flow = (struct tcp_flow){0};
    note(0, 0, 1001, 5001, A, 100);
    cr_assert(!anew(0, 1000, S) && anew(0, 1001, S), "the middle of a connection: its SYN came just before");
    cr_assert(!anew(1, 5000, S) && anew(1, 5001, S), "what is acknowledged tells the other way's number");
}

Test(tcp, ends) {
    handshake(1);
    note(0, 2, 1001, 5001, F, 0);
    cr_assert_eq(flow.state, TCP_CLOSING);
    cr_assert_eq(note(0, 500, 1001, 5001, F, 0), TCP_RETRANSMISSION);
    cr_assert_eq(flow.state, TCP_CLOSING);
    note(1, 501, 5001, 1002, F, 0);
    cr_assert_eq(flow.state, TCP_CLOSED);
    note(0, 502, 1002, 5002, R, 0);
    cr_assert_eq(flow.state, TCP_CLOSED);
    cr_assert_str_eq(tcp_state_name(flow.state), "closed");
    handshake(1);
    note(1, 2, 5001, 1001, R, 0);
    note(0, 3, 1001, 5001, F, 0);
    cr_assert_eq(flow.state, TCP_ABORTED);
}

Test(tcp, acknowledging_proves_the_other_side) {
    flow = (struct tcp_flow){0};
    note(0, 0, 1000, 0, S, 0);
    cr_assert(!flow.acked[0]);
    note(0, 1, 1001, 5001, A, 0); /* of the SYN+ACK, which went another way */
    cr_assert(flow.acked[0] && !flow.acked[1]);
    cr_assert_eq(flow.state, TCP_ESTABLISHED);
    flow = (struct tcp_flow){0};
    note(0, 0, 1001, 5001, A, 100);
    note(0, 1, 1101, 5001, A, 100);
    cr_assert(!flow.acked[0], "always the same number: may be from a flood");
    note(0, 2, 1201, 5002, A, 100);
    cr_assert(flow.acked[0]);
    flow = (struct tcp_flow){0};
    note(1, 0, 5000, 1001, SA, 0);
    cr_assert(!flow.acked[1], "the SYN may have been forged");
}

Test(tcp, reads_headers) {
    uint8_t h[24] = {0, 80, 0, 81, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, SA, 9, 10};
    struct tcp_segment s;
    cr_assert(tcp_segment_read(h, 16, 24, 77, &s));
    cr_assert(s.seq == 0x01020304 && s.ack == 0x05060708 && s.flags == SA && s.window == 0x090a && s.time_ns == 77);
    cr_assert_eq(s.len, 0);
    cr_assert(tcp_segment_read(h, 24, 1484, 0, &s) && s.len == 1460);
    cr_assert(!tcp_segment_read(h, 15, 1484, 0, &s) && !tcp_segment_read(h, 23, 23, 0, &s));
    h[12] = 0x40;
    cr_assert(!tcp_segment_read(h, 24, 24, 0, &s), "shorter than a header can be");
}

/* A made-up segment near what the flow has come to. */
static struct tcp_segment any_segment(struct random *r, uint64_t *now, uint32_t next[2], unsigned way) {
    static const uint64_t naps[] = {0, 1000, MS, 4 * MS, 19 * MS, 25 * MS};
    *now += naps[random_below(r, 6)];
    const bool ordinary = random_below(r, 10) < 7;
    struct tcp_segment s = {.time_ns = *now, .seq = next[way], .ack = next[!way], .window = 500, .flags = A,
                            .len = random_below(r, 2) * 100};
    if (!ordinary) {
        s.seq += (random_below(r, 7) - 3) * 50 - (random_below(r, 5) == 0);
        s.ack += (random_below(r, 5) - 3) * 50;
        s.len = (uint32_t[]){0, 1, 50, 100}[random_below(r, 4)];
        s.window = random_below(r, 4) ? 500 : 0;
        s.flags |= random_below(r, 40) ? 0 : TCP_RST;
    }
    if ((int32_t)(s.seq + s.len - next[way]) > 0)
        next[way] = s.seq + s.len;
    return s;
}

Test(tcp, same_events_wherever_numbers_begin_whoever_is_first_and_on_the_short_path) {
    struct random r;
    random_seed(&r, SEED);
    unsigned said = 0, settled = 0;
    for (unsigned round = 0; round < 2000; round++) {
        struct tcp_flow plain = {0}, moved = {0}, longer = {0};
        const uint32_t shift[2] = {0u - random_below(&r, 2000), (uint32_t)random_u64(&r)};
        uint32_t next[2] = {100000, 200000};
        uint64_t now = 1000 * MS;
        for (unsigned i = 0; i < 60; i++) {
            const unsigned way = random_below(&r, 2);
            const struct tcp_segment s = any_segment(&r, &now, next, way);
            struct tcp_segment m = s;
            m.seq += shift[way] - 100000;
            m.ack += shift[!way] - 100000;
            m.time_ns += 12345;
            if (m.seq + 1 <= 1 || !m.ack || !(m.seq + m.len))
                break; /* 0 stands for what is not known */
            settled += plain.settled;
            longer.settled = false;
            const unsigned events = tcp_note(&plain, way, &s);
            cr_assert_eq(tcp_note(&moved, !way, &m), events, "seed %d, round %u, segment %u: moved", SEED, round, i);
            cr_assert_eq(tcp_note(&longer, way, &s), events, "seed %d, round %u, segment %u: longer", SEED, round, i);
            cr_assert_arr_eq(&plain, &longer, sizeof plain, "seed %d, round %u, segment %u", SEED, round, i);
            said |= events;
        }
        cr_assert(plain.retransmissions == moved.retransmissions && plain.out_of_order == moved.out_of_order);
    }
    cr_assert_eq(said, TCP_HANDSHAKE - 1, "all that can be said but a handshake was said: %#x", said);
    cr_assert_gt(settled, 100000u);
}
