/* SPDX-License-Identifier: BSD-3-Clause */
/* For any traffic: out and back is the identity, bursts change nothing, sessions are as a list has them. */
#include "nat_client.h"
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
    random_addr(r, in, back ? "10.0.0" : "10.0.2", back ? 7 : 5);
    if (!back && random_below(r, 4) == 0)
        random_addr(r, out, "10.0.0", 7); /* to an outside address: perhaps a hairpin */
    else
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

/* Of each seed another; the first is the plainest. */
static struct nat_config random_config(enum nat_personality personality, uint64_t seed) {
    static be32 addresses[3];
    static struct nat_port_map map;
    static struct nat_net net;
    struct random r;
    random_seed(&r, seed * 1000);
    struct nat_config c = config_of(personality);
    map = (struct nat_port_map){.proto = PROTO_UDP, .outside_port = htons(5001), .inside_addr = addr("10.0.2.3"),
                                .inside_port = htons(5002)};
    for (int i = 0; i < 3; i++)
        addresses[i] = addr((const char *[]){"10.0.0.4", "10.0.0.5", "10.0.0.6"}[i]);
    net = (struct nat_net){addr("203.0.113.2"), ~0u};
    c.max_sessions = 40;
    c.port_min = 5000;
    c.port_max = 5005;
    c.port_maps = &map;
    c.n_port_maps = 1;
    if (seed == 1)
        return c;
    c.addresses = addresses;
    c.n_addresses = 1 + random_below(&r, 3);
    c.hairpin = random_below(&r, 2);
    if (personality == NAT_CONNTRACK)
        return c;
    c.mapping = (uint8_t)random_below(&r, 3);
    c.filtering = (uint8_t)random_below(&r, 3);
    c.port_choice = (uint8_t)random_below(&r, 2);
    c.parity = random_below(&r, 2);
    c.arbitrary_pooling = random_below(&r, 2);
    c.outbound_refresh_only = random_below(&r, 2);
    c.port_block = (uint32_t[]){0, 0, 1, 2, 3, 6}[random_below(&r, 6)];
    c.client_blocks = random_below(&r, 3);
    c.client_sessions = (uint32_t[]){0, 3, 12}[random_below(&r, 3)];
    c.client_ports = (uint32_t[]){0, 1, 4}[random_below(&r, 3)];
    c.client_rate = (uint32_t[]){0, 0, 5}[random_below(&r, 3)];
    c.port_rest = (uint64_t[]){0, 0, 30 * S}[random_below(&r, 3)];
    c.hold_syns = random_below(&r, 2);
    c.untranslated = &net;
    c.n_untranslated = random_below(&r, 8) == 0;
    return c;
}

/* Nothing is left behind in the index, of ports and of clients when all is idle. A port map has a key there for its
 * inside end, and one for its outside end where that has no cell; its port is not counted. */
static void expect_empty(struct nat *n) {
    const unsigned keys = n->config.personality == NAT_CONNTRACK ? 2 : 1;
    unsigned entries = 0;
    nat_settle(n, EPOCH + 500000 * S);
    for (uint32_t i = 0; i < n->table.n_hashed; i++)
        for (unsigned k = 0; k < NAT_BUCKET_ENTRIES; k++)
            entries += n->table.bucket[i].tag[k] != 0;
    cr_assert(entries == keys && n->stats.live == 0 && n->stats.ports_live == 0);
    for (uint32_t guest = 1; guest < 8; guest++)
        cr_assert_eq(nat_client_find(n, addr("10.0.2.0") + htonl(guest)), NAT_NONE);
}

/*
 * Half a second of packets of one direction, the next half of the other: answers are in later bursts. What goes from
 * inside to an outside address has a burst of its own. `lazy`: nothing idle is freed unless it is in the way.
 */
static void run(const struct nat_config *config, uint64_t seed, unsigned burst, bool lazy, struct wire **w,
                struct nat_stats *stats) {
    struct nat *n = nat_create(config);
    struct random r;
    cr_assert(n);
    random_seed(&r, seed);
    struct packet *p[64];
    for (unsigned i = 0; i < PACKETS;) {
        bool back = i / 64 % 2;
        uint64_t now = EPOCH + i / 64 * 20 * S;
        unsigned count = 0;
        for (bool alone = false; !alone && count < burst && (!count || i % 64); i++, count++) {
            struct random before = r;
            w[i] = random_packet(&r, back);
            p[count] = &w[i]->p;
            p[count]->in_port = back ? OUTSIDE : INSIDE;
            alone = !back && (w[i]->p.dst & htonl(0xffffff00)) == addr("10.0.0.0");
            if (alone && count) { /* in the next one */
                wire_free(w[i]);
                r = before;
                break;
            }
        }
        nat_in(n, p, count, now);
        unsigned kept = 0;
        for (unsigned k = 0; k < count; k++)
            if (!p[k]->verdict) {
                p[kept++] = p[k];
                p[k]->out_port = back || (p[k]->dst & htonl(0xffffff00)) == addr("10.0.2.0") ? INSIDE
                                 : p[k]->dport == htons(5003)                                ? LAN
                                                                                            : OUTSIDE;
            }
        nat_out(n, p, kept, now);
        if (!lazy)
            nat_expire(n, now, burst);
    }
    nat_stats_get(n, stats);
    expect_empty(n);
    nat_destroy(n);
}

BOTH(bursts_change_nothing) {
    static struct wire *one[PACKETS], *many[PACKETS];
    unsigned reasons[DROP_COUNT] = {0};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct nat_stats a, b;
        const struct nat_config config = random_config(personality, seed);
        run(&config, seed, 1, false, one, &a);
        for (unsigned i = 0; i < PACKETS; i++)
            reasons[one[i]->p.reason]++;
        for (unsigned burst = 7; burst <= 64; burst += 57) {
            run(&config, seed, burst, burst == 64, many, &b);
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
            cr_expect(a.created == b.created && a.refused_full == b.refused_full &&
                      a.refused_port == b.refused_port && a.refused_client == b.refused_client);
        }
        cr_expect_gt(a.created, config.client_sessions || config.client_ports || config.port_block ? 8 : 40);
        for (unsigned i = 0; i < PACKETS; i++)
            wire_free(one[i]);
    }
    cr_expect_gt(reasons[DROP_NAT_NO_PORT], 100);
    if (personality == NAT_INTERFACE)
        cr_expect(reasons[DROP_NAT_FILTERED] > 100 && reasons[DROP_NAT_CLIENT_LIMIT] > 100);
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
