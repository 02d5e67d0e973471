/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of any traffic meet the worker that has their session: N workers, each with a NAT of its own. */
#include "wire.h"

#include <fwdlab/base/random.h>
#include <fwdlab/core/dispatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS 400
#define MAPS 6
#define ADDRESSES 3

static const unsigned crew_sizes[] = {1, 2, 3, 4, 8};

struct crew {
    unsigned workers;
    struct dispatch *d;
    struct dispatch_fragments *f;
    struct nat *nat[8];
    be32 addresses[ADDRESSES];
    struct nat_port_map maps[MAPS];
    uint64_t seed;
};

static void add_route(struct route_table *t, const char *prefix, uint16_t port) {
    struct route r = {.port = port};
    cr_assert_eq(prefix_parse(prefix, &r.prefix), 0);
    cr_assert_eq(route_add(t, &r), 0, "%s", prefix);
}

/* 10/8 is inside but for 10.0.0/24; inside of that, 10.0.0.128/25 is again. */
static struct route_table *routes_make(void) {
    struct route_table *t = route_table_create(&route_trie, 16);
    add_route(t, "0.0.0.0/0", OUTSIDE);
    add_route(t, "10.0.0.0/8", INSIDE);
    add_route(t, "10.0.0.0/24", OUTSIDE);
    add_route(t, "10.0.0.128/25", LAN);
    return t;
}

static void crew_init(struct crew *c, unsigned workers, struct nat_config *whole, uint64_t seed) {
    *c = (struct crew){.workers = workers, .seed = seed, .f = calloc(1, sizeof *c->f)};
    for (unsigned i = 0; i < ADDRESSES; i++) {
        char text[20];
        snprintf(text, sizeof text, "10.0.0.%u", 4 + i);
        c->addresses[i] = addr(text);
    }
    for (unsigned i = 0; i < MAPS; i++) /* in the range and below it; the last one is hidden by the one before */
        c->maps[i] = (struct nat_port_map){.proto = i & 1 ? PROTO_TCP : PROTO_UDP,
                                           .outside_addr = i < 2 ? 0 : c->addresses[i % ADDRESSES],
                                           .outside_port = htons(i == 0 ? 22 : (uint16_t)(5000 + 37 * i)),
                                           .inside_addr = htonl(0x0a000300 + i * 5),
                                           .inside_port = htons((uint16_t)(80 + i))};
    c->maps[MAPS - 1] = c->maps[MAPS - 2];
    c->maps[MAPS - 1].inside_addr = htonl(0x0a0003ee);
    whole->n_addresses = ADDRESSES;
    whole->addresses = c->addresses;
    whole->n_port_maps = MAPS;
    whole->port_maps = c->maps;
    struct route_table *routes = routes_make();
    c->d = dispatch_create(workers, whole, routes);
    cr_assert(c->d && c->f);
    route_table_destroy(routes);
    for (unsigned w = 0; w < workers; w++) {
        const struct nat_config part = dispatch_nat(whole, workers, w);
        cr_assert(c->nat[w] = nat_create(&part), "worker %u: %u..%u", w, part.port_min, part.port_max);
    }
}

static void crew_fini(struct crew *c) {
    for (unsigned w = 0; w < c->workers; w++)
        nat_destroy(c->nat[w]);
    dispatch_destroy(c->d);
    free(c->f);
}

/* As a bare IP packet, in an Ethernet frame and in a tagged one, each in a buffer of its exact size: all the same. */
static unsigned worker_of_bytes(const struct dispatch *d, struct dispatch_fragments *f, const uint8_t *ip,
                                uint32_t len) {
    static const uint8_t headers[2][18] = {{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2},
                                           {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7}};
    const uint8_t type[2] = {ip[0] >> 4 == 6 ? 0x86 : 8, ip[0] >> 4 == 6 ? 0xdd : 0};
    struct packet p[3], *pkts[3];
    uint8_t worker[3];
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t l2 = i ? 10 + 4 * i : 0;
        pkts[i] = &p[i];
        p[i] = (struct packet){.data = malloc(l2 + len), .len = l2 + len, .wire_len = l2 + len,
                               .flags = i ? 0 : PACKET_RAW_IP};
        memcpy(p[i].data + l2, ip, len);
        if (i) {
            memcpy(p[i].data, headers[i - 1], l2 - 2);
            memcpy(p[i].data + l2 - 2, type, 2);
        }
    }
    dispatch(d, f, pkts, 3, worker);
    for (unsigned i = 0; i < 3; i++)
        free(p[i].data);
    cr_assert(worker[0] == worker[1] && worker[0] == worker[2], "%u %u %u", worker[0], worker[1], worker[2]);
    return worker[0];
}

static unsigned worker_of(const struct crew *c, const struct wire *w) {
    unsigned worker = worker_of_bytes(c->d, c->f, w->bytes, w->p.len);
    cr_assert_lt(worker, c->workers);
    return worker;
}

/* Into the worker that it is given to, which must be `worker` (-1: any), and translated there. */
static unsigned through(struct crew *c, struct wire *w, bool inward, int worker, const char *what) {
    const unsigned at = worker_of(c, w);
    cr_assert(worker < 0 || (unsigned)worker == at, "seed %lu, %u workers: %s: worker %u, not %d",
              (unsigned long)c->seed, c->workers, what, at, worker);
    pass(c->nat[at], w, inward ? OUTSIDE : INSIDE, inward ? INSIDE : OUTSIDE, EPOCH);
    cr_assert_eq(w->p.verdict, VERDICT_NONE, "seed %lu, %u workers: %s: %s", (unsigned long)c->seed, c->workers, what,
                 drop_name(w->p.reason));
    cr_assert(w->p.flags & (inward ? PACKET_DST_CHANGED : PACKET_SRC_CHANGED), "seed %lu, %u workers: %s: untranslated",
              (unsigned long)c->seed, c->workers, what);
    return at;
}

static void text_of(be32 a, char *text) {
    inet_ntop(AF_INET, &a, text, 20);
}

/* An error about what left (or was let in), from somewhere on its further way. */
static void error_about(struct crew *c, const struct wire *w, bool inward, unsigned worker) {
    struct wire *e = wire_error(inward ? "198.51.100.9" : "10.0.9.9", w, 8);
    through(c, e, inward, (int)worker, inward ? "an error from outside" : "an error from inside");
    cr_assert(wire_sound(e));
    wire_free(e);
}

/* The flow's first packet, its answer, errors about both, an answer in fragments. */
static void follow_flow(struct crew *c, const struct spec *s) {
    char outside[20];
    struct wire *out = wire_make(s);
    const bool icmp = s->proto == PROTO_ICMP;
    const unsigned w = through(c, out, false, -1, "out");
    text_of(out->p.src, outside);
    const uint16_t port = ntohs(out->p.sport);
    struct spec back = {.proto = s->proto, .src = s->dst, .dst = outside, .sport = icmp ? port : s->dport,
                        .dport = port, .tcp = TCP_SYN | TCP_ACK, .type = ICMP_ECHO_REPLY, .payload = 32, .id = s->id};
    struct wire *in = wire_make(&back);
    through(c, in, true, (int)w, "an answer");
    cr_assert(in->p.dst == addr(s->src) && wire_sound(in));
    if (s->proto != PROTO_ESP)
        error_about(c, out, true, w);
    if (s->proto != PROTO_ESP && !icmp)
        error_about(c, in, false, w);
    wire_free(in);
    back.fragment = IPV4_MF;
    in = wire_make(&back);
    through(c, in, true, (int)w, "the first fragment of an answer");
    wire_free(in);
    back.fragment = 9;
    in = wire_make(&back);
    through(c, in, true, (int)w, "a later fragment of an answer");
    cr_assert_eq(in->p.dst, addr(s->src));
    wire_free(in);
    wire_free(out);
}

/* What a port map lets in, and its answer. */
static void follow_map(struct crew *c, unsigned i, const char *remote, uint16_t sport) {
    const struct nat_port_map *m = &c->maps[i];
    char outside[20], inside[20];
    text_of(m->outside_addr ? m->outside_addr : c->addresses[0], outside);
    struct spec s = {.proto = m->proto, .src = remote, .dst = outside, .sport = sport, .dport = ntohs(m->outside_port),
                     .tcp = TCP_SYN, .payload = 8};
    struct wire *in = wire_make(&s);
    const unsigned w = through(c, in, true, -1, "in by a port map");
    text_of(in->p.dst, inside);
    cr_assert_eq(in->p.dst, c->maps[i == MAPS - 1 ? i - 1 : i].inside_addr);
    struct spec back = {.proto = m->proto, .src = inside, .dst = remote, .sport = ntohs(in->p.dport), .dport = sport,
                        .tcp = TCP_SYN | TCP_ACK, .payload = 8};
    struct wire *out = wire_make(&back);
    through(c, out, false, (int)w, "an answer by a port map");
    cr_assert(out->p.sport == m->outside_port);
    error_about(c, in, false, w);
    error_about(c, out, true, w);
    wire_free(in);
    wire_free(out);
}

static void follow_any(struct crew *c, struct random *r, uint16_t id) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    char src[20], dst[20];
    snprintf(src, sizeof src, "10.0.2.%u", 1 + random_below(r, 60));
    snprintf(dst, sizeof dst, "203.0.113.%u", 1 + random_below(r, 40));
    struct spec s = {.proto = protos[random_below(r, 5)], .src = src, .dst = dst, .payload = 24, .id = id,
                     .sport = (uint16_t)(1 + random_below(r, 65535)), .dport = (uint16_t)(1 + random_below(r, 9)),
                     .tcp = TCP_SYN, .type = ICMP_ECHO};
    if (s.proto == PROTO_ESP) /* one client at a time may talk to a remote end by an outside address */
        snprintf(dst, sizeof dst, "198.18.%u.%u", id >> 8, id & 255);
    if (random_below(r, 8))
        follow_flow(c, &s);
    else
        follow_map(c, random_below(r, MAPS), dst, s.sport);
}

BOTH(dispatched_answers_meet_their_session) {
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (unsigned k = 0; k < 5; k++) {
            struct crew c;
            struct random r;
            random_seed(&r, seed);
            struct nat_config whole = config_of(personality);
            whole.max_sessions = 8 * 2 * FLOWS;
            if (seed % 2) {
                whole.port_min = (uint16_t)(4000 + random_below(&r, 1000));
                whole.port_max = (uint16_t)(whole.port_min + 8000 + random_below(&r, 9000));
            }
            crew_init(&c, crew_sizes[k], &whole, seed);
            for (unsigned i = 0; i < FLOWS; i++)
                follow_any(&c, &r, (uint16_t)i);
            crew_fini(&c);
        }
}

struct sessions_of {
    struct crew *c;
    unsigned worker;
    uint32_t n[8];
};

/* A client's sessions (with ports) are one worker's, and their outside ports lie in its part or are a port map's. */
static void look(const struct nat_session *s, void *arg) {
    struct sessions_of *all = arg;
    const struct nat_tuple *out = s->from_outside ? &s->original : &s->reply;
    const struct nat_config *part = nat_config_get(all->c->nat[all->worker]);
    const uint16_t port = ntohs(out->dport);
    bool mapped = port >= part->port_min && port <= part->port_max;
    for (unsigned i = 0; i < MAPS; i++)
        mapped |= all->c->maps[i].outside_port == out->dport;
    cr_expect(mapped || s->proto == PROTO_ESP || all->c->workers == 1, "worker %u, port %u", all->worker, port);
    all->n[all->worker]++;
}

BOTH(dispatched_sessions_lie_in_their_part) {
    for (unsigned k = 0; k < 5; k++) {
        struct crew c;
        struct random r;
        random_seed(&r, 99);
        struct nat_config whole = config_of(personality);
        whole.max_sessions = 8 * 2 * FLOWS;
        crew_init(&c, crew_sizes[k], &whole, 99);
        struct sessions_of all = {.c = &c};
        for (unsigned i = 0; i < FLOWS; i++)
            follow_any(&c, &r, (uint16_t)i);
        for (; all.worker < c.workers; all.worker++) {
            nat_each(c.nat[all.worker], look, &all);
            cr_expect_gt(all.n[all.worker], FLOWS / c.workers / 3, "%u workers, worker %u", c.workers, all.worker);
        }
        crew_fini(&c);
    }
}

/* Hairpinning: a client's packet to another's mapping is the mapping's worker's, and so is the answer. */
Test(nat, dispatched_hairpins_meet) {
    for (unsigned k = 0; k < 5; k++) {
        struct crew c;
        struct nat_config whole = config_of(NAT_INTERFACE);
        crew_init(&c, crew_sizes[k], &whole, 0);
        struct wire *out = wire_make(&(struct spec){PROTO_UDP, "10.0.2.7", "203.0.113.5", 4000, 53, .payload = 8});
        const unsigned w = through(&c, out, false, -1, "out");
        char outside[20];
        text_of(out->p.src, outside);
        for (unsigned i = 0; i < 32; i++) {
            char neighbour[20];
            snprintf(neighbour, sizeof neighbour, "10.0.2.%u", 100 + i);
            struct wire *to = wire_make(
                &(struct spec){PROTO_UDP, neighbour, outside, 5000, ntohs(out->p.sport), .payload = 8});
            cr_expect_eq(worker_of(&c, to), w);
            wire_free(to);
        }
        wire_free(out);
        crew_fini(&c);
    }
}

/* The longest prefix decides what is inside; between inside addresses, and between others, both ways are the same. */
Test(nat, dispatch_knows_inside_from_elsewhere) {
    static const struct {
        const char *a, *b;
        bool by_a; /* a is a client, and b is elsewhere */
    } pairs[] = {{"10.1.2.3", "203.0.113.1", true},
                 {"10.0.0.200", "203.0.113.1", true},
                 {"10.1.2.3", "10.0.0.9", true},
                 {"10.0.0.200", "10.0.0.9", true},
                 {"10.1.2.3", "10.2.3.4", false},
                 {"10.1.2.3", "10.0.0.201", false},
                 {"10.0.0.9", "203.0.113.1", false},
                 {"8.8.8.8", "203.0.113.1", false}};
    struct crew c;
    struct nat_config whole = config_of(NAT_INTERFACE);
    crew_init(&c, 8, &whole, 0);
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        unsigned others = 0;
        struct wire *to = wire_make(&(struct spec){PROTO_TCP, pairs[i].a, pairs[i].b, 5000, 80, .tcp = TCP_ACK});
        struct wire *fro = wire_make(&(struct spec){PROTO_TCP, pairs[i].b, pairs[i].a, 80, 5000, .tcp = TCP_ACK});
        const unsigned w = worker_of(&c, to);
        cr_expect_eq(worker_of(&c, fro), w, "%s, %s", pairs[i].a, pairs[i].b);
        wire_free(fro);
        for (unsigned host = 1; host < 64; host++) { /* the other end's last byte */
            char b[20];
            snprintf(b, sizeof b, "%.*s%u", (int)(strrchr(pairs[i].b, '.') + 1 - pairs[i].b), pairs[i].b,
                     pairs[i].b[0] == '1' && pairs[i].b[5] == '0' ? host < 60 ? 64 + host : 130 : host);
            fro = wire_make(&(struct spec){PROTO_TCP, pairs[i].a, b, 5000, 80, .tcp = TCP_ACK});
            others += worker_of(&c, fro) != w;
            wire_free(fro);
        }
        cr_expect(pairs[i].by_a ? others <= 4 : others > 30, "%s, %s: %u", pairs[i].a, pairs[i].b, others);
        wire_free(to);
    }
    crew_fini(&c);
}

/* Who it is asked of each of 16 other ends: the same worker when, and only when, `a` alone is inside. */
static bool found_inside(const struct dispatch *d, struct dispatch_fragments *f, be32 a) {
    char text[20], other[20];
    unsigned worker = 0;
    bool same = true;
    text_of(a, text);
    for (unsigned i = 0; i < 16; i++) {
        snprintf(other, sizeof other, "198.51.100.%u", 1 + i);
        struct wire *w = wire_make(&(struct spec){PROTO_TCP, text, other, 5000, 80, .tcp = TCP_ACK});
        const unsigned now = worker_of_bytes(d, f, w->bytes, w->p.len);
        worker = i ? worker : now;
        same &= now == worker;
        wire_free(w);
    }
    return same;
}

/*
 * Prefixes within prefixes, in any order, some with next hops by both sides: the longest one decides, and where a side
 * is not certain it is outside.
 */
Test(nat, dispatch_finds_inside_among_nested_routes) {
    enum { ROUTES = 40, LOOKS = 60 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct route routes[ROUTES];
        struct random r;
        random_seed(&r, seed);
        struct route_table *t = route_table_create(&route_trie, ROUTES + 1);
        add_route(t, "0.0.0.0/0", OUTSIDE);
        for (unsigned i = 0; i < ROUTES; i++) {
            const uint8_t len = (uint8_t)(8 + random_below(&r, 25));
            const uint32_t ip = 0x0a000000 | (random_below(&r, 1u << 10) * 0x4101 & 0xffffff);
            routes[i] = (struct route){.prefix = {.addr = ip_v4(htonl(ip & UINT32_MAX << (32 - len))), .len = len},
                                       .port = random_below(&r, 2) ? INSIDE : OUTSIDE};
            if (route_add(t, &routes[i]))
                i--;
        }
        const be32 own = addr("203.0.113.200");
        struct nat_config c = config_of(NAT_INTERFACE);
        c.addresses = &own;
        c.n_addresses = 1;
        struct dispatch *d = dispatch_create(8, &c, t);
        struct dispatch_fragments *f = calloc(1, sizeof *f);
        cr_assert(d && f);
        for (unsigned k = 0; k < LOOKS; k++) {
            const struct route *near = &routes[random_below(&r, ROUTES)];
            const uint32_t a = ntohl(near->prefix.addr.v4) + random_below(&r, 1u << random_below(&r, 24));
            int longest = -1;
            bool inside = false;
            for (unsigned i = 0; i < ROUTES; i++) {
                const struct route *o = &routes[i];
                const int len = o->prefix.len;
                if ((a ^ ntohl(o->prefix.addr.v4)) & UINT32_MAX << (32 - len) || len < longest)
                    continue;
                inside = o->port == INSIDE && (len > longest || inside);
                longest = len;
            }
            cr_expect_eq(found_inside(d, f, htonl(a)), inside, "seed %lu: %08x", (unsigned long)seed, a);
        }
        dispatch_destroy(d);
        route_table_destroy(t);
        free(f);
    }
}

static void ipv6_packet(uint8_t *b, uint8_t next, const uint8_t *src, const uint8_t *dst, unsigned payload) {
    memset(b, 0, 40 + payload);
    b[0] = 0x60;
    b[5] = (uint8_t)payload;
    b[6] = next;
    b[7] = 64;
    memcpy(b + 8, src, 16);
    memcpy(b + 24, dst, 16);
}

/* Without NAT, and of IPv6 always: both ways the same worker, ICMP errors and fragments too; all workers alike. */
Test(nat, dispatch_is_symmetric) {
    struct random r;
    random_seed(&r, 5);
    for (unsigned k = 0; k < 5; k++) {
        struct crew c = {.workers = crew_sizes[k], .d = dispatch_create(crew_sizes[k], NULL, NULL)};
        unsigned n[2][8] = {{0}};
        for (unsigned i = 0; i < 2000; i++) {
            char a[20], b[20];
            uint8_t v6[3][128], end[2][16];
            snprintf(a, sizeof a, "10.0.%u.%u", i >> 6 & 3, i & 63);
            snprintf(b, sizeof b, "10.1.%u.%u", i >> 6 & 3, i & 63); /* alike: no cheap mix would do */
            struct wire *to = wire_make(&(struct spec){PROTO_UDP, a, b, (uint16_t)i, 53, .payload = 64});
            struct wire *fro = wire_make(&(struct spec){PROTO_UDP, b, a, 53, (uint16_t)i, .fragment = 8, .payload = 9});
            struct wire *error = wire_error("192.0.2.1", to, 8);
            const unsigned w = worker_of(&c, to);
            cr_assert(worker_of(&c, fro) == w && worker_of(&c, error) == w, "%s to %s", a, b);
            n[0][w]++;
            wire_free(to);
            wire_free(fro);
            wire_free(error);
            for (unsigned x = 0; x < 32; x++)
                end[x >> 4][x & 15] = (uint8_t)random_below(&r, 256);
            ipv6_packet(v6[0], PROTO_UDP, end[0], end[1], 8);
            ipv6_packet(v6[1], PROTO_TCP, end[1], end[0], 20);
            ipv6_packet(v6[2], PROTO_ICMPV6, end[1], end[0], 56);
            v6[2][40] = 1;
            memcpy(v6[2] + 48, v6[0], 48);
            v6[2][23] ^= 1; /* from a router */
            const unsigned w6 = worker_of_bytes(c.d, c.f, v6[0], 48);
            cr_assert(worker_of_bytes(c.d, c.f, v6[1], 60) == w6 && worker_of_bytes(c.d, c.f, v6[2], 96) == w6);
            n[1][w6]++;
        }
        for (unsigned w = 0; w < c.workers; w++)
            cr_expect(n[0][w] > 1400 / c.workers && n[1][w] > 1400 / c.workers, "%u of %u: %u %u", w, c.workers,
                      n[0][w], n[1][w]);
        dispatch_destroy(c.d);
    }
}

/* Parts of ports: disjoint, complete, of whole blocks, even at the low end. */
Test(nat, dispatch_divides_ports) {
    struct random r;
    random_seed(&r, 3);
    for (unsigned i = 0; i < 2000; i++) {
        const unsigned workers = 1 + random_below(&r, 16);
        const uint32_t blocks = workers + random_below(&r, 40), block = 1 + random_below(&r, 500);
        struct nat_config whole = config_of(NAT_INTERFACE);
        whole.port_min = (uint16_t)(2 * random_below(&r, 2000));
        whole.port_max = (uint16_t)(whole.port_min + blocks * block - 1);
        whole.port_block = i % 2 ? block : 0;
        const uint32_t unit = i % 2 ? block : 2;
        uint32_t next = whole.port_min;
        if (blocks * block / unit < workers)
            continue;
        for (unsigned w = 0; w < workers; w++) {
            const struct nat_config part = dispatch_nat(&whole, workers, w);
            cr_assert(part.port_min == next && part.port_max >= part.port_min, "%u: %u..%u", w, part.port_min,
                      part.port_max);
            cr_assert(!(i % 2) || (part.port_max - part.port_min + 1u) % block == 0);
            cr_assert(i % 2 || part.port_min % 2 == 0);
            next = part.port_max + 1u;
        }
        cr_assert_eq(next, whole.port_max + 1u);
    }
    struct nat_config few = config_of(NAT_INTERFACE);
    few.port_min = 5000;
    few.port_max = 5005;
    struct route_table *routes = routes_make();
    cr_expect_null(dispatch_create(4, &few, routes));
    cr_expect_null(dispatch_create(0, &few, routes));
    cr_expect_null(dispatch_create(DISPATCH_WORKERS_MAX + 1, NULL, NULL));
    route_table_destroy(routes);
}

/* Any bytes: no read beyond them, and some worker. */
Test(nat, dispatch_takes_any_bytes) {
    struct random r;
    random_seed(&r, 11);
    struct crew c;
    struct nat_config whole = config_of(NAT_INTERFACE);
    crew_init(&c, 3, &whole, 0);
    for (unsigned i = 0; i < 60000; i++) {
        struct wire *w = wire_make(&(struct spec){PROTO_UDP, "203.0.113.7", "10.0.0.4", 53, 5000, .payload = 20,
                                                  .fragment = random_below(&r, 4) ? 0 : IPV4_MF});
        struct wire *e = wire_error("198.51.100.9", w, 8);
        const struct wire *from = i % 2 ? w : e;
        const uint32_t len = random_below(&r, from->p.len + 1);
        uint8_t *bytes = malloc(len ? len : 1), worker;
        memcpy(bytes, from->bytes, len);
        for (unsigned k = random_below(&r, 4); k && len; k--)
            bytes[random_below(&r, len)] = (uint8_t)random_below(&r, 256);
        struct packet p = {.data = bytes, .len = len, .wire_len = from->p.len}, *pkt = &p;
        p.flags = i % 5 ? PACKET_RAW_IP | PACKET_NO_CHECKSUM : 0;
        dispatch(c.d, c.f, &pkt, 1, &worker);
        cr_assert_lt(worker, 3);
        free(bytes);
        wire_free(w);
        wire_free(e);
    }
    crew_fini(&c);
}
