/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors that are translated by addresses alone or not at all, fragments beyond their memory, and no memory. */
#include "../memory.h"
#include "wire.h"

#include <errno.h>
#include <fwdlab/core/checksum.h>
#include <string.h>

#define GUEST "10.0.2.2"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define HOP "192.0.2.1"

/* SCTP keeps its ports (RFC 4960, its checksum has no pseudo header): the session is found by them all the same. */
BOTH(errors_of_protocols_that_keep_their_ports) {
    struct nat *n = nat_of(personality);
    struct wire *left = SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_SCTP, .src = GUEST, .dst = WEB, .sport = 5000,
                             .dport = 80);
    cr_assert(left->p.src == addr(NODE) && left->p.sport == htons(5000));
    struct wire *e = wire_error(HOP, left, 12);
    pass(n, e, OUTSIDE, INSIDE, EPOCH);
    struct ipv4_header inner;
    memcpy(&inner, e->bytes + 28, sizeof inner);
    cr_expect(inner.src == addr(GUEST) && inner.dst == addr(WEB));
    cr_expect_eq(checksum_fold(checksum_sum(&inner, sizeof inner, 0)), 0);
    cr_expect_eq(memcmp(e->bytes + 48, left->bytes + 20, 12), 0, "ports and all");
    expect(e, HOP, 0, GUEST, 0);
    e = wire_error(HOP, left, 2); /* without ports: about no session */
    pass(n, e, OUTSIDE, PORT_NONE, EPOCH);
    cr_expect_eq(e->p.session, 0);
    expect(e, HOP, 0, NODE, 0);
    wire_free(left);
    nat_destroy(n);
}

/* NAT_INTERFACE translates what leaves by the outside port; an error about an answer may leave by another. */
Test(errors, that_leave_elsewhere) {
    struct nat *n = nat_of(NAT_INTERFACE);
    wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH, .proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                   .dport = 53));
    struct wire *answer = SEND(n, OUTSIDE, INSIDE, EPOCH, .proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 53,
                               .dport = 5000);
    struct wire *e = wire_error(GUEST, answer, 8), *before = wire_copy(e);
    pass(n, e, INSIDE, LAN, EPOCH);
    cr_expect(e->p.session == 0 && !(e->p.flags & PACKET_REPLY));
    cr_expect_eq(memcmp(e->bytes, before->bytes, e->p.len), 0);
    expect(e, GUEST, 0, WEB, 0);
    wire_free(before);
    wire_free(answer);
    nat_destroy(n);
}

/* Dropped after nat_in, in the burst that makes its session or in a later one: undone, it is what its sender sent. */
static void drop_between(struct nat *n, bool together, const struct spec *spec) {
    struct wire *first = wire_make(spec), *w = wire_copy(first), *before = wire_copy(first);
    struct packet *p[] = {&first->p, &w->p};
    uint16_t in_port = first->p.src == addr(GUEST) ? INSIDE : OUTSIDE;
    first->p.in_port = w->p.in_port = in_port;
    first->p.out_port = in_port == INSIDE ? OUTSIDE : INSIDE;
    nat_in(n, p, together ? 2 : 1, EPOCH);
    nat_out(n, p, 1, EPOCH);
    if (!together)
        nat_in(n, p + 1, 1, EPOCH);
    packet_drop(&w->p, DROP_TTL_EXPIRED);
    cr_expect_neq(first->p.session, 0);
    cr_expect_eq(memcmp(w->bytes, before->bytes, w->p.len) == 0, in_port == INSIDE, "the destination is the map's");
    nat_undo(n, &w->p, (struct ipv4_header *)w->bytes, w->p.len);
    cr_expect_eq(memcmp(w->bytes, before->bytes, w->p.len), 0);
    wire_free(first);
    wire_free(w);
    wire_free(before);
}

BOTH(dropped_between_the_stages) {
    const struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                                     .inside_port = htons(7)};
    struct nat_config config = config_of(personality);
    config.n_port_maps = 1;
    config.port_maps = &map;
    for (int together = 0; together < 2; together++) {
        struct nat *n = nat_create(&config);
        drop_between(n, together, &(struct spec){.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000,
                                                 .dport = 53, .payload = 20});
        drop_between(n, together, &(struct spec){.proto = PROTO_UDP, .src = WEB, .dst = NODE, .sport = 5000,
                                                 .dport = 7007, .payload = 20});
        nat_destroy(n);
    }
}

/* 1024 datagrams are remembered, 8 of each hash: of more the oldest are forgotten first, also of one moment. */
static void fragments_beyond_memory(enum nat_personality personality, uint64_t step) {
    struct nat *n = nat_of(personality);
    const uint16_t count = 8192;
    unsigned followed = 0;
    for (uint16_t id = 0; id < count; id++)
        wire_free(SEND(n, INSIDE, OUTSIDE, EPOCH + id * step, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                       .sport = 5000, .dport = 53, .id = id, .fragment = IPV4_MF, .payload = 16));
    for (uint16_t id = 0; id < count; id++) {
        struct wire *w = SEND(n, INSIDE, OUTSIDE, EPOCH + count, .proto = PROTO_UDP, .src = GUEST, .dst = WEB,
                              .id = id, .fragment = 3, .payload = 16);
        bool follows = w->p.verdict == VERDICT_NONE;
        cr_expect(follows || id < count - 8, "the last 8 are there, whatever their hash");
        cr_expect(!follows || id >= count / 2, "there are more than 8 of each hash behind it");
        cr_expect(follows ? w->p.src == addr(NODE) : w->p.reason == DROP_NAT_FRAGMENT);
        followed += follows;
        wire_free(w);
    }
    cr_expect_eq(followed, 1024u);
    nat_destroy(n);
}

BOTH(fragments_beyond_memory_in_time) {
    fragments_beyond_memory(personality, 1);
}

BOTH(fragments_beyond_memory_at_once) {
    fragments_beyond_memory(personality, 0);
}

Test(nat, no_memory) {
    struct nat_config config = config_of(NAT_INTERFACE);
    memory_limit();
    config.max_sessions = 1u << 28; /* 32 GB */
    errno = 0;
    cr_assert(!nat_create(&config) && errno == ENOMEM);
}
