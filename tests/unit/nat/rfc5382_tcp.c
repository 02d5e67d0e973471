/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5382's clauses about the states of TCP, with what RFC 7857, 2 makes clearer. REQ-1, 3, 7, 8: other files. */
#include "wire.h"

#define GUEST "10.0.2.2"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define STEPS_MAX 8

struct step {
    char from;     /* 'c': the client inside, 's': the server; 0: no more */
    uint8_t tcp;   /* flags */
    uint32_t wait; /* s before it */
};
struct row {
    const char *clause;
    struct step steps[STEPS_MAX];
    enum nat_state state;
    uint32_t idle; /* s after the last step in which it still lives */
};

static const struct nat_tuple *connection(void) {
    static struct nat_tuple t;
    t = (struct nat_tuple){addr(GUEST), addr(WEB), htons(5000), htons(80)};
    return &t;
}

/* Each packet must be translated; 12 bytes of data with those that carry SYN (RFC 7413) or nothing but ACK. */
static void step(struct nat *n, const struct step *s, uint64_t now, const char *clause) {
    const bool client = s->from == 'c';
    struct wire *w = SEND(n, client ? INSIDE : OUTSIDE, client ? OUTSIDE : INSIDE, now, .proto = PROTO_TCP,
                          .src = client ? GUEST : WEB, .dst = client ? WEB : NODE, .sport = client ? 5000 : 80,
                          .dport = client ? 80 : 5000, .tcp = s->tcp,
                          .payload = s->tcp & TCP_SYN || s->tcp == TCP_ACK ? 12 : 0);
    cr_assert(w->p.session, "%s: %c %#x", clause, s->from, s->tcp);
    if (client)
        expect(w, NODE, 5000, WEB, 80);
    else
        expect(w, WEB, 80, GUEST, 5000);
}

static void play(struct nat *n, const struct row *r) {
    uint64_t now = EPOCH;
    struct nat_session s;
    for (const struct step *k = r->steps; k < r->steps + STEPS_MAX && k->from; k++)
        step(n, k, now += k->wait * S, r->clause);
    cr_assert(nat_session_get(n, nat_find(n, PROTO_TCP, connection()), &s), "%s", r->clause);
    cr_expect_eq(s.state, r->state, "%s: state %u", r->clause, s.state);
    nat_in(n, NULL, 0, now + r->idle * S);
    cr_expect_neq(nat_find(n, PROTO_TCP, connection()), UINT32_MAX, "%s: ended before %u s", r->clause, r->idle);
    nat_in(n, NULL, 0, now + r->idle * S + S / 100);
    cr_expect_eq(nat_find(n, PROTO_TCP, connection()), UINT32_MAX, "%s: lived over %u s", r->clause, r->idle);
}

static void play_all(enum nat_personality personality, const struct row *rows, size_t n_rows) {
    for (size_t i = 0; i < n_rows; i++) {
        struct nat *n = nat_of(personality);
        play(n, &rows[i]);
        nat_destroy(n);
    }
}
#define PLAY(personality, ...)                                                                                         \
    play_all(personality, (const struct row[]){__VA_ARGS__}, sizeof((struct row[]){__VA_ARGS__}) / sizeof(struct row))

#define OPEN {'c', TCP_SYN, 0}, {'s', TCP_SYN | TCP_ACK, 0}, {'c', TCP_ACK, 0}
#define SYNACK (TCP_SYN | TCP_ACK)
#define FINACK (TCP_FIN | TCP_ACK)

/* All valid sequences, the simultaneous open of both ends among them. */
Test(rfc5382, req_2_valid_sequences) {
    PLAY(NAT_INTERFACE, {"three-way", {OPEN}, NAT_STATE_TCP_ESTABLISHED, 7440},
         {"simultaneous, SYN ACK", {{'c', TCP_SYN, 0}, {'s', TCP_SYN, 0}, {'c', SYNACK, 0}, {'s', SYNACK, 0}},
          NAT_STATE_TCP_ESTABLISHED, 7440},
         {"simultaneous, ACK", {{'c', TCP_SYN, 0}, {'s', TCP_SYN, 0}, {'c', TCP_ACK, 0}, {'s', TCP_ACK, 0}},
          NAT_STATE_TCP_ESTABLISHED, 7440},
         {"simultaneous, half", {{'c', TCP_SYN, 0}, {'s', TCP_SYN, 0}, {'c', SYNACK, 0}}, NAT_STATE_TCP_SYN, 240},
         {"SYN again", {{'c', TCP_SYN, 0}, {'c', TCP_SYN, 1}, {'s', SYNACK, 1}, {'s', SYNACK, 1}, {'c', TCP_ACK, 0}},
          NAT_STATE_TCP_ESTABLISHED, 7440},
         {"ports used again", {OPEN, {'c', FINACK, 0}, {'s', FINACK, 0}, {'c', TCP_ACK, 0}, {'c', TCP_SYN, 200}},
          NAT_STATE_TCP_SYN, 240},
         {"simultaneous close", {OPEN, {'c', FINACK, 0}, {'s', FINACK, 0}, {'c', TCP_ACK, 0}, {'s', TCP_ACK, 0}},
          NAT_STATE_TCP_CLOSING, 240});
}

/* A SYN from outside that nobody asked for is not answered, and the connection may still be opened from inside. */
Test(rfc5382, req_4_unsolicited_syn) {
    struct nat *n = nat_of(NAT_INTERFACE);
    struct nat_stats stats;
    struct wire *w = SEND(n, OUTSIDE, PORT_NONE, EPOCH, .proto = PROTO_TCP, .src = WEB, .dst = NODE, .sport = 80,
                          .dport = 5000, .tcp = TCP_SYN);
    cr_expect_eq(w->p.session, 0);
    expect(w, WEB, 80, NODE, 5000); /* the node's own affair, as any packet to its address */
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.created, 0);
    play(n, &(struct row){"after it", {OPEN}, NAT_STATE_TCP_ESTABLISHED, 7440});
    nat_destroy(n);
}

/* Established: 2 h 4 min, until both ends sent FIN; partially open and closing: 4 min. */
Test(rfc5382, req_5_timers) {
    PLAY(NAT_INTERFACE, {"SYN", {{'c', TCP_SYN, 0}}, NAT_STATE_TCP_SYN, 240},
         {"SYN, SYN ACK", {{'c', TCP_SYN, 0}, {'s', SYNACK, 200}}, NAT_STATE_TCP_SYN, 240},
         {"after data", {OPEN, {'s', TCP_ACK, 7439}, {'c', TCP_ACK, 7439}}, NAT_STATE_TCP_ESTABLISHED, 7440},
         {"half closed", {OPEN, {'s', FINACK, 7439}, {'c', TCP_ACK, 7439}}, NAT_STATE_TCP_ESTABLISHED, 7440},
         {"closing", {OPEN, {'s', FINACK, 0}, {'c', FINACK, 7439}, {'s', TCP_ACK, 239}}, NAT_STATE_TCP_CLOSING, 240},
         {"picked up", {{'c', TCP_ACK, 0}, {'s', TCP_ACK, 239}}, NAT_STATE_TCP_ESTABLISHED, 7440});
}

/* REQ-5 a, and RFC 7857, 2.1: open and closing ones by themselves. */
Test(rfc5382, req_5a_timers_from_the_configuration) {
    const struct row rows[] = {{"open", {{'c', TCP_SYN, 0}}, NAT_STATE_TCP_SYN, 300},
                               {"established", {OPEN}, NAT_STATE_TCP_ESTABLISHED, 8000},
                               {"closing", {OPEN, {'c', FINACK, 0}, {'s', FINACK, 0}}, NAT_STATE_TCP_CLOSING, 250},
                               {"reset", {OPEN, {'c', TCP_RST, 0}}, NAT_STATE_TCP_CLOSING, 250}};
    struct nat_config config = config_of(NAT_INTERFACE);
    config.timers =
        (struct nat_timers){.tcp_established = 8000 * S, .tcp_transitory = 300 * S, .tcp_closing = 250 * S};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nat *n = nat_create(&config);
        play(n, &rows[i]);
        nat_destroy(n);
    }
}

/* REQ-9: they are translated; REQ-10: they end nothing, change nothing, and keep nothing alive. */
BOTH(rfc5382_req_10_icmp_ends_nothing) {
    static const uint8_t errors[][2] = {{ICMP_UNREACHABLE, 0}, {ICMP_UNREACHABLE, 1}, {ICMP_UNREACHABLE, 2},
                                        {ICMP_UNREACHABLE, 3}, {ICMP_UNREACHABLE, 4}, {ICMP_UNREACHABLE, 13},
                                        {ICMP_TIME_EXCEEDED, 0}, {ICMP_PARAMETER, 0}, {ICMP_SOURCE_QUENCH, 0}};
    static const struct step open[] = {OPEN};
    struct nat *n = nat_of(personality);
    struct nat_session before, after;
    for (int i = 0; i < 3; i++)
        step(n, &open[i], EPOCH, "open");
    cr_assert(nat_session_get(n, nat_find(n, PROTO_TCP, connection()), &before));
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (int back = 0; back < 2; back++) {
            struct wire *about = wire_make(&(struct spec){.proto = PROTO_TCP, .src = back ? WEB : NODE, .tcp = TCP_ACK,
                                                          .dst = back ? GUEST : WEB, .sport = back ? 80 : 5000,
                                                          .dport = back ? 5000 : 80});
            struct wire *e = wire_error_of(errors[i][0], errors[i][1], back ? GUEST : WEB, about, 20);
            pass(n, e, back ? INSIDE : OUTSIDE, back ? OUTSIDE : INSIDE, EPOCH + 100 * S);
            cr_expect(e->bytes[20] == errors[i][0] && e->bytes[21] == errors[i][1]);
            expect(e, back ? NODE : WEB, 0, back ? WEB : GUEST, 0);
            wire_free(about);
        }
    cr_assert(nat_session_get(n, nat_find(n, PROTO_TCP, connection()), &after));
    cr_expect(before.state == after.state && before.last == after.last);
    nat_destroy(n);
}

/* A reset is translated; the session waits for 4 minutes, and goes on when anything else is said in them. */
Test(rfc7857, section_2_2_resets) {
    PLAY(NAT_INTERFACE, {"by the server", {OPEN, {'s', TCP_RST, 0}}, NAT_STATE_TCP_CLOSING, 240},
         {"by the client", {OPEN, {'c', TCP_RST | TCP_ACK, 0}}, NAT_STATE_TCP_CLOSING, 240},
         {"refused", {{'c', TCP_SYN, 0}, {'s', TCP_RST | TCP_ACK, 0}}, NAT_STATE_TCP_CLOSING, 240},
         {"twice", {OPEN, {'s', TCP_RST, 0}, {'s', TCP_RST, 239}}, NAT_STATE_TCP_CLOSING, 240},
         {"forged or lost", {OPEN, {'s', TCP_RST, 0}, {'c', TCP_ACK, 239}}, NAT_STATE_TCP_ESTABLISHED, 7440},
         {"while it opens", {{'c', TCP_SYN, 0}, {'s', TCP_RST, 0}, {'s', SYNACK, 1}}, NAT_STATE_TCP_SYN, 240},
         {"and opened", {{'c', TCP_SYN, 0}, {'s', TCP_RST, 0}, {'s', SYNACK, 1}, {'c', TCP_ACK, 0}},
          NAT_STATE_TCP_ESTABLISHED, 7440},
         {"while it closes", {OPEN, {'c', FINACK, 0}, {'s', FINACK, 0}, {'s', TCP_RST, 0}, {'c', TCP_ACK, 0}},
          NAT_STATE_TCP_CLOSING, 240},
         {"a new one", {OPEN, {'s', TCP_RST, 0}, {'c', TCP_SYN, 9}, {'s', TCP_ACK, 0}}, NAT_STATE_TCP_SYN, 240});
    PLAY(NAT_CONNTRACK, {"Linux", {OPEN, {'s', TCP_RST, 0}}, NAT_STATE_TCP_CLOSING, 10},
         {"Linux, data", {OPEN, {'s', TCP_RST, 0}, {'c', TCP_ACK, 9}}, NAT_STATE_TCP_CLOSING, 10});
}
