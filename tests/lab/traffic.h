/* SPDX-License-Identifier: BSD-3-Clause */
/* What draws random packets: packets.c puts together what stands in a frame, flows.c answers flows, traffic.c does the
 * rest: where packets come from and go to, and what is broken in them. */
#ifndef TESTS_LAB_TRAFFIC_H
#define TESTS_LAB_TRAFFIC_H

#include "lab.h"

#include <string.h>

struct draft { /* an IP packet while it is put together */
    uint8_t family;
    struct ip src, dst;
    uint8_t proto;
    uint8_t *byte;
    uint32_t header, len; /* `header`: IPv4 header, or IPv6 header with extensions */
};

static inline uint32_t below(struct traffic *t, uint32_t n) {
    return random_below(&t->random, n);
}

static inline bool chance(struct traffic *t, unsigned percent) {
    return below(t, 100) < percent;
}

static inline void random_bytes(struct traffic *t, uint8_t *to, size_t n) {
    while (n--)
        *to++ = (uint8_t)random_u64(&t->random);
}

static inline uint32_t one_of(struct traffic *t, const uint16_t *list, unsigned n) {
    return list[below(t, n)];
}
#define ONE_OF(t, ...)                                                                                                 \
    one_of(t, (const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static inline void put16(uint8_t *at, unsigned v) {
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static inline bool is_ipv6(const struct frame *f) {
    return f->byte[12] == 0x86 && f->byte[13] == 0xdd;
}

/* Fills a draft, whose addresses and `byte` are set, with a random packet. */
void packet_draw(struct traffic *t, struct draft *d);
/* The checksum of n bytes of layer 4, where the protocol has one. */
void checksum_l4(const struct draft *d, uint8_t *l4, uint32_t n);
/* The checksum of an IPv4 header in `len` bytes. */
void seal(uint8_t *ip, uint32_t len);

/* A packet to a port map's outside end instead of where it goes. */
void flow_aim_at_map(struct traffic *t, struct frame *f);
/* A packet that passed, as each of the two let it out. */
void flow_learn(struct traffic *t, const struct outcome *kernel, const struct outcome *core);
/* The answer to a flow that passed, or an error about it. */
void flow_answer(struct traffic *t, struct frame *kernel, struct frame *core);

/* Layer 4 of an error about a packet as it left, towards its sender; d->src is whom it seems to come from. Gives its
 * length. */
uint32_t error_draw(struct traffic *t, const struct frame *sent, struct draft *d);

/* Has the frame's sender had as many errors as the kernel sends it? */
void traffic_count_errors(struct traffic *t, const struct packet *after);
bool traffic_rests(struct traffic *t, const struct frame *f);

/* An address in a prefix that the router knows; by `port` if there is one (PORT_NONE: by any). */
struct ip traffic_known(struct traffic *t, uint8_t family, uint16_t port);

#endif
