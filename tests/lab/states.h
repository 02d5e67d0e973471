/* SPDX-License-Identifier: BSD-3-Clause */
/* What each of the two remembers of a connection (conntrack.c, states.c). */
#ifndef TESTS_LAB_STATES_H
#define TESTS_LAB_STATES_H

#include "lab.h"

struct tracked {
    uint8_t tcp_state; /* enum tcp_conntrack; 0: another protocol */
    uint32_t left;     /* seconds until it ends if nothing more is seen */
};

/* The kernel's connection that began with this tuple. False: there is none. Ends the program when nobody answers. */
bool conntrack_get(uint8_t proto, const struct nat_tuple *original, struct tracked *out);

/* Seconds and enum nat_state of the core's. */
bool session_get(const struct lab *lab, uint8_t proto, const struct nat_tuple *original, uint64_t now,
                 uint8_t *state, uint32_t *left);

struct segment {
    uint8_t proto, flags;  /* PROTO_TCP, or PROTO_UDP, which has none of the rest */
    uint32_t seq, ack;     /* ack: written if flags has TCP_ACK */
    uint32_t payload;      /* bytes */
};
/* A packet that enters by `port`, of the flow of the frame `like`; `turn`: an answer to that. */
void segment_write(const struct frame *like, bool turn, uint16_t port, const struct lab *lab, const struct segment *s,
                   struct frame *f);

#endif
