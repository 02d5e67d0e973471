/* SPDX-License-Identifier: BSD-3-Clause */
/* For any traffic: out and back is the identity, bursts change nothing, sessions are as a list has them. */
#include "wire.h"

#include <fwdlab/base/random.h>
#include <stdio.h>
#include <string.h>

#define PACKETS 512

static void random_addr(struct random *r, char *text, const char *net, uint32_t hosts) {
    snprintf(text, 20, "%s.%u", net, 1 + random_below(r, hosts));
}

/* Whatever leaves, its answer (ends swapped) comes back to the very inside end, with right checksums all the way. */
BOTH(out_and_back_is_the_identity) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random r;
        random_seed(&r, seed);
        struct nat *n = nat_of(personality);
        for (int i = 0; i < 600; i++) {
            static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
            char src[20], dst[20], out[2][20];
            random_addr(&r, src, "10.0.2", 20);
            random_addr(&r, dst, "203.0.113", 2);
            uint16_t sport = (uint16_t)(1024 + random_below(&r, 40)), dport = (uint16_t)(1 + random_below(&r, 3));
            struct spec s = {.proto = protos[random_below(&r, 3)], .src = src, .dst = dst, .sport = sport,
                             .dport = dport,
                             .tcp = TCP_SYN, .type = ICMP_ECHO, .payload = (uint16_t)random_below(&r, 60)};
            struct wire *w = wire_send(n, INSIDE, OUTSIDE, EPOCH, &s);
            cr_assert_eq(w->p.verdict, VERDICT_NONE, "seed %lu: %s", (unsigned long)seed, drop_name(w->p.reason));
            uint16_t port = ntohs(w->p.sport);
            inet_ntop(AF_INET, &w->p.src, out[0], sizeof out[0]);
            inet_ntop(AF_INET, &w->p.dst, out[1], sizeof out[1]);
            expect(w, "10.0.0.4", port, dst, dport);
            bool icmp = s.proto == PROTO_ICMP;
            struct spec back = {.proto = s.proto, .src = out[1], .dst = out[0], .sport = icmp ? port : dport,
                                .dport = port,
                                .tcp = TCP_SYN | TCP_ACK, .type = ICMP_ECHO_REPLY, .payload = s.payload};
            expect(wire_send(n, OUTSIDE, INSIDE, EPOCH, &back), dst, icmp ? sport : dport, src, sport);
        }
        nat_destroy(n);
    }
}

static struct wire *random_packet(struct random *r, bool back) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    static const uint8_t flags[] = {TCP_SYN, TCP_SYN, TCP_ACK, TCP_ACK, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST};
    char in[20], out[20];
    random_addr(r, in, back ? "10.0.0" : "10.0.2", 5);
    random_addr(r, out, "203.0.113", 2);
    struct spec s = {.proto = protos[random_below(r, 5)], .src = back ? out : in, .dst = back ? in : out,
                     .sport = (uint16_t)(5000 + random_below(r, 6)), .dport = (uint16_t)(5000 + random_below(r, 6)),
                     .tcp = flags[random_below(r, 7)], .type = random_below(r, 4) ? ICMP_ECHO : ICMP_ECHO_REPLY,
                     .id = (uint16_t)random_below(r, 8), .payload = 24};
    uint32_t fragment = random_below(r, 8);
    s.fragment = s.proto == PROTO_UDP && fragment < 2 ? (fragment ? IPV4_MF : 4) : 0;
    struct wire *w = wire_make(&s);
    if (random_below(r, 16) == 0) {
        struct wire *e = wire_error(back ? "203.0.113.1" : "10.0.2.1", w, 8);
        wire_free(w);
        w = e;
    }
    return w;
}

/* Half a second of packets of one direction, the next half of the other: answers are in later bursts. */
static void run(enum nat_personality personality, uint64_t seed, unsigned burst, struct wire **w,
                struct nat_stats *stats) {
    struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(5001), .inside_addr = addr("10.0.2.3"),
                               .inside_port = htons(5002)};
    struct nat_config config = config_of(personality);
    config.max_sessions = 40;
    config.port_min = 5000;
    config.port_max = 5005;
    config.port_maps = &map;
    config.n_port_maps = 1;
    struct nat *n = nat_create(&config);
    struct random r;
    random_seed(&r, seed);
    struct packet *p[64];
    for (unsigned i = 0; i < PACKETS;) {
        bool back = i / 64 % 2;
        uint64_t now = EPOCH + i / 64 * 20 * S;
        unsigned count = 0;
        for (; count < burst && (!count || i % 64); i++, count++) {
            w[i] = random_packet(&r, back);
            p[count] = &w[i]->p;
            p[count]->in_port = back ? OUTSIDE : INSIDE;
        }
        nat_in(n, p, count, now);
        unsigned kept = 0;
        for (unsigned k = 0; k < count; k++)
            if (!p[k]->verdict) {
                p[kept++] = p[k];
                p[k]->out_port = back ? INSIDE : p[k]->dport == htons(5003) ? LAN : OUTSIDE;
            }
        nat_out(n, p, kept, now);
        nat_expire(n, now, burst);
    }
    nat_stats_get(n, stats);
    nat_destroy(n);
}

BOTH(bursts_change_nothing) {
    static struct wire *one[PACKETS], *many[PACKETS];
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct nat_stats a, b;
        run(personality, seed, 1, one, &a);
        for (unsigned burst = 7; burst <= 64; burst += 57) {
            run(personality, seed, burst, many, &b);
            for (unsigned i = 0; i < PACKETS; i++) {
                const struct packet *p = &one[i]->p, *q = &many[i]->p;
                cr_assert(p->len == q->len && memcmp(one[i]->bytes, many[i]->bytes, p->len) == 0 &&
                              p->verdict == q->verdict && p->reason == q->reason && p->flags == q->flags &&
                                  p->src == q->src &&
                              p->dst == q->dst && p->sport == q->sport && p->dport == q->dport &&
                              !p->session == !q->session,
                          "seed %lu, bursts of %u: packet %u", (unsigned long)seed, burst, i);
                wire_free(many[i]);
            }
            cr_expect(a.created == b.created && a.refused_full == b.refused_full && a.refused_port == b.refused_port);
        }
        cr_expect_gt(a.created, 40);
        for (unsigned i = 0; i < PACKETS; i++)
            wire_free(one[i]);
    }
}

/* ---- sessions against a list ---- */

struct listed {
    struct nat_tuple original;
    uint64_t last;
};
struct count {
    const struct listed *list;
    size_t n, found;
    uint64_t now;
};

static void is_listed(const struct nat_session *s, void *arg) {
    struct count *c = arg;
    for (size_t i = 0; i < c->n; i++)
        if (memcmp(&s->original, &c->list[i].original, sizeof s->original) == 0) {
            cr_assert_eq(s->last, c->list[i].last >> 22 << 22);
            c->found++;
            return;
        }
    cr_assert_fail("a session that nobody made");
}

/* UDP of 30 s: each flow is alive exactly as long as the list says, and no more than `max_sessions` are. */
Test(nat, sessions_are_as_a_list_has_them) {
    static struct listed list[1 << 12];
    const uint64_t tick = 1u << 22, idle = 30 * S;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct nat_config config = config_of(NAT_CONNTRACK);
        config.max_sessions = 80;
        config.timers.udp = idle;
        struct nat *n = nat_create(&config);
        struct random r;
        random_seed(&r, seed);
        size_t listed = 0;
        uint64_t now = EPOCH;
        for (int i = 0; i < 6000; i++) {
            now += random_below(&r, 10) ? random_below(&r, 200000000) : random_below(&r, 2000000000);
            for (size_t k = 0; k < listed;) /* ends with its tick */
                if (now / tick > list[k].last / tick + idle / tick + 1)
                    list[k] = list[--listed];
                else
                    k++;
            uint16_t sport = (uint16_t)(1000 + random_below(&r, 500));
            struct nat_tuple t = {addr("10.0.2.2"), addr("203.0.113.1"), htons(sport), htons(9)};
            size_t k = 0;
            while (k < listed && memcmp(&list[k].original, &t, sizeof t) != 0)
                k++;
            struct wire *w = SEND(n, INSIDE, OUTSIDE, now, .proto = PROTO_UDP, .src = "10.0.2.2", .dst = "203.0.113.1",
                                  .sport = sport, .dport = 9);
            if (k == listed && listed == config.max_sessions) {
                cr_assert_eq(w->p.reason, DROP_NAT_TABLE_FULL, "seed %lu", (unsigned long)seed);
            } else {
                cr_assert_eq(w->p.verdict, VERDICT_NONE, "seed %lu", (unsigned long)seed);
                listed += k == listed;
                list[k] = (struct listed){t, now};
            }
            wire_free(w);
            nat_expire(n, now, random_below(&r, 3));
            if (i % 50 == 0) {
                struct count c = {list, listed, 0, now};
                nat_each(n, is_listed, &c);
                cr_assert_eq(c.found, listed, "seed %lu", (unsigned long)seed);
            }
        }
        struct nat_stats stats;
        nat_stats_get(n, &stats);
        cr_expect_gt(stats.refused_full, 0);
        nat_destroy(n);
    }
}
