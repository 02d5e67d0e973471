/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers on the caller's clock: when a session ends, and that the sweeper's pace decides nothing. */
#include "wire.h"

#include <fwdlab/base/random.h>

#define GUEST "10.0.2.2"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"

struct step {
    bool back;     /* from the server */
    uint64_t wait; /* s before it */
    uint8_t tcp;
};

static bool alive(struct nat *n, uint8_t proto) {
    struct nat_tuple t = {addr(GUEST), addr(WEB), htons(5000), proto == PROTO_ICMP ? 0 : htons(80)};
    return nat_find(n, proto, &t) != UINT32_MAX;
}

/* Plays the steps and expects the session to end `idle` seconds after the last. */
static void ends_after(enum nat_personality personality, uint8_t proto, const struct step *steps, int count,
                       uint64_t idle,
                       enum nat_state state) {
    struct nat *n = nat_of(personality);
    uint64_t now = EPOCH;
    struct nat_session s = {0};
    for (int i = 0; i < count; i++) {
        now += steps[i].wait * S;
        bool back = steps[i].back;
        struct wire *w = SEND(n, back ? OUTSIDE : INSIDE, back ? INSIDE : OUTSIDE, now, .proto = proto,
                              .src = back ? WEB : GUEST, .dst = back ? NODE : WEB, .sport = back &&
                                  proto != PROTO_ICMP ? 80 : 5000,
                              .dport = back ? 5000 : 80, .tcp = steps[i].tcp,
                                  .type = back ? ICMP_ECHO_REPLY : ICMP_ECHO);
        cr_expect(w->p.session && nat_session_get(n, w->p.session - 1, &s), "step %d", i);
        wire_free(w);
    }
    cr_expect_eq(s.state, state);
    nat_expire(n, now + idle * S, UINT32_MAX);
    cr_expect(alive(n, proto), "%u ended before %lu s", proto, (unsigned long)idle);
    nat_expire(n, now + idle * S + S / 100, 0);
    cr_expect_not(alive(n, proto), "%u still there after %lu s", proto, (unsigned long)idle);
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    cr_expect_eq(stats.live, 1); /* not swept */
    nat_expire(n, now + idle * S + S / 100, UINT32_MAX);
    nat_stats_get(n, &stats);
    cr_expect(stats.live == 0 && stats.expired == 1 && stats.ports_live == 0);
    nat_destroy(n);
}

#define ENDS(personality, proto, idle, state, ...)                                                                     \
    ends_after(personality, proto, (struct step[]){__VA_ARGS__},                                                       \
               sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step), idle, state)
#define OPEN {0, 0, TCP_SYN}, {1, 0, TCP_SYN | TCP_ACK}, {0, 0, TCP_ACK}

Test(timers, interface) {
    ENDS(NAT_INTERFACE, PROTO_TCP, 240, NAT_STATE_TCP_SYN, {0, 0, TCP_SYN});
    ENDS(NAT_INTERFACE, PROTO_TCP, 240, NAT_STATE_TCP_SYN, {0, 0, TCP_SYN}, {1, 0, TCP_SYN | TCP_ACK});
    ENDS(NAT_INTERFACE, PROTO_TCP, 7440, NAT_STATE_TCP_ESTABLISHED, OPEN);
    ENDS(NAT_INTERFACE, PROTO_TCP, 7440, NAT_STATE_TCP_ESTABLISHED, OPEN, {0, 7000, TCP_ACK});
    ENDS(NAT_INTERFACE, PROTO_TCP, 7440, NAT_STATE_TCP_ESTABLISHED, OPEN, {0, 0, TCP_FIN | TCP_ACK}, {1, 0, TCP_ACK});
    ENDS(NAT_INTERFACE, PROTO_TCP, 240, NAT_STATE_TCP_CLOSING, OPEN, {0, 0, TCP_FIN | TCP_ACK}, {1, 0,
                                                                                                 TCP_FIN | TCP_ACK});
    ENDS(NAT_INTERFACE, PROTO_TCP, 240, NAT_STATE_TCP_CLOSING, OPEN, {1, 0, TCP_RST});
    ENDS(NAT_INTERFACE, PROTO_UDP, 300, NAT_STATE_NEW, {0, 0, 0});
    ENDS(NAT_INTERFACE, PROTO_UDP, 300, NAT_STATE_REPLIED, {0, 0, 0}, {1, 200, 0});
    ENDS(NAT_INTERFACE, PROTO_ICMP, 60, NAT_STATE_REPLIED, {0, 0, 0}, {1, 1, 0});
}

Test(timers, conntrack) {
    ENDS(NAT_CONNTRACK, PROTO_TCP, 120, NAT_STATE_TCP_SYN, {0, 0, TCP_SYN});
    ENDS(NAT_CONNTRACK, PROTO_TCP, 432000, NAT_STATE_TCP_ESTABLISHED, OPEN);
    ENDS(NAT_CONNTRACK, PROTO_TCP, 120, NAT_STATE_TCP_CLOSING, OPEN, {1, 40000, TCP_FIN | TCP_ACK});
    ENDS(NAT_CONNTRACK, PROTO_TCP, 120, NAT_STATE_TCP_CLOSING, OPEN, {0, 0, TCP_FIN | TCP_ACK}, {1, 9, TCP_ACK});
    ENDS(NAT_CONNTRACK, PROTO_TCP, 10, NAT_STATE_TCP_CLOSING, OPEN, {1, 0, TCP_RST});
    ENDS(NAT_CONNTRACK, PROTO_TCP, 120, NAT_STATE_TCP_SYN, OPEN, {1, 0, TCP_RST}, {0, 5, TCP_SYN}); /* opened again */
    ENDS(NAT_CONNTRACK, PROTO_TCP, 120, NAT_STATE_TCP_SYN, {0, 0, TCP_ACK});                        /* picked up */
    ENDS(NAT_CONNTRACK, PROTO_TCP, 432000, NAT_STATE_TCP_ESTABLISHED, {0, 0, TCP_ACK}, {1, 0, TCP_ACK});
    ENDS(NAT_CONNTRACK, PROTO_UDP, 30, NAT_STATE_NEW, {0, 0, 0}, {0, 5, 0});
    ENDS(NAT_CONNTRACK, PROTO_UDP, 30, NAT_STATE_REPLIED, {0, 0, 0}, {1, 1, 0});
    ENDS(NAT_CONNTRACK, PROTO_UDP, 120, NAT_STATE_REPLIED, {0, 0, 0}, {1, 1, 0}, {0, 5, 0});
    ENDS(NAT_CONNTRACK, PROTO_ICMP, 30, NAT_STATE_NEW, {0, 0, 0});
}

BOTH(timers_from_the_configuration) {
    struct nat_config config = config_of(personality);
    config.timers = (struct nat_timers){.udp = 7 * S, .udp_stream = 7 * S};
    struct nat *n = nat_create(&config);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                   .dport = 80));
    nat_expire(n, EPOCH + 7 * S, 0);
    cr_expect(alive(n, PROTO_UDP));
    nat_expire(n, EPOCH + 7 * S + S / 100, 0);
    cr_expect_not(alive(n, PROTO_UDP));
    nat_destroy(n);
}

/* The budget is a hard cap; several calls get there. */
Test(timers, budget) {
    struct nat *n = nat_of(NAT_CONNTRACK);
    for (uint16_t i = 0; i < 500; i++)
        wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                       .dport = (uint16_t)(i + 1)));
    struct nat_stats before, after;
    nat_stats_get(n, &before);
    unsigned calls = 0;
    do {
        nat_expire(n, EPOCH + 3600 * S, 64);
        nat_stats_get(n, &after);
        cr_assert_leq(before.live - after.live, 64);
        before = after;
    } while (after.live && ++calls < 2000);
    cr_expect_eq(after.live, 0);
    nat_destroy(n);
}

#define WRAP (UINT64_C(1) << 54) /* ns, 208 days: ticks are counted in 32 bits */
#define DAY (86400 * S)

static uint32_t live(const struct nat *n) {
    struct nat_stats s;
    nat_stats_get(n, &s);
    return s.live;
}

/* A session that begins before the wrap is used after it, and ends when it would have. */
Test(timers, over_the_wrap_of_ticks) {
    for (unsigned wraps = 1; wraps <= 3; wraps++) {
        struct nat *n = nat_of(NAT_INTERFACE);
        const uint64_t begins = wraps * WRAP - 200 * S, used = begins + 290 * S;
        struct nat_session s = {0};
        for (uint64_t now = begins; now <= used; now += used - begins) {
            struct wire *w = SEND(n, INSIDE, OUTSIDE, now, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                                  .dport = 80);
            cr_expect(w->p.session && nat_session_get(n, w->p.session - 1, &s));
            wire_free(w);
        }
        cr_expect(s.first <= begins && begins - s.first < S / 100, "first %lu", (unsigned long)s.first);
        cr_expect(s.last <= used && used - s.last < S / 100, "last %lu", (unsigned long)s.last);
        nat_expire(n, used + 300 * S, UINT32_MAX);
        cr_expect(alive(n, PROTO_UDP) && live(n) == 1);
        nat_expire(n, used + 300 * S + S / 100, UINT32_MAX);
        cr_expect(!alive(n, PROTO_UDP) && live(n) == 0);
        nat_destroy(n);
    }
}

/* However seldom and with whatever budget the caller comes by, what has ended stays ended when its tick comes again. */
Test(timers, never_young_again) {
    static const uint64_t step[] = {DAY, 20 * DAY, 51 * DAY};
    for (unsigned k = 0; k < sizeof step / sizeof *step; k++) {
        struct nat *n = nat_of(NAT_INTERFACE);
        for (uint16_t i = 0; i < 300; i++)
            wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                           .sport = (uint16_t)(5000 + i), .dport = 80));
        uint64_t now = EPOCH;
        for (; now + step[k] < EPOCH + WRAP; now += step[k]) {
            nat_expire(n, now + step[k], 0);
            cr_expect_not(alive(n, PROTO_UDP));
        }
        nat_expire(n, EPOCH + WRAP, 0); /* the tick of their last packet, to all appearances */
        cr_expect(!alive(n, PROTO_UDP) && live(n) == 0, "step %lu", (unsigned long)step[k]);
        nat_destroy(n);
    }
}
