/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets for the tests of NAT, each in a heap buffer of its exact size: the address sanitizer sees every overread. */
#ifndef FWDLAB_TESTS_NAT_WIRE_H
#define FWDLAB_TESTS_NAT_WIRE_H

#include <criterion/criterion.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/core/parse.h>

enum { OUTSIDE, INSIDE, LAN };
#define S 1000000000ull
#define EPOCH (1700000000 * S)

/* One test for each personality. */
#define BOTH(name)                                                                                                     \
    static void name(enum nat_personality personality);                                                                \
    Test(nat, name##_interface) {                                                                                      \
        name(NAT_INTERFACE);                                                                                           \
    }                                                                                                                  \
    Test(nat, name##_conntrack) {                                                                                      \
        name(NAT_CONNTRACK);                                                                                           \
    }                                                                                                                  \
    static void name(enum nat_personality personality)

struct spec {
    uint8_t proto;
    const char *src, *dst;
    uint16_t sport, dport; /* host order; ICMP queries: identifier and 0 */
    uint8_t tcp, type;     /* TCP flags, ICMP type */
    uint16_t id, fragment; /* IP identification, flags and offset; host order */
    bool no_checksum;      /* UDP checksum 0 */
    uint16_t payload;      /* bytes */
};

struct wire {
    struct packet p;
    uint8_t *bytes;
};

be32 addr(const char *text);
struct wire *wire_make(const struct spec *spec);
/* An ICMP error from `from` about a packet, to its sender; holds `quoted` bytes of its payload beyond the IP header. */
struct wire *wire_error(const char *from, const struct wire *about, uint16_t quoted);
/* The same of any type and code. */
struct wire *wire_error_of(uint8_t type, uint8_t code, const char *from, const struct wire *about, uint16_t quoted);
struct wire *wire_copy(const struct wire *w);
void wire_free(struct wire *w);
/* All checksums of a whole packet, the UDP one being left out or never zero. */
bool wire_sound(const struct wire *w);

/* One packet through both stages, unless nat_in drops it. */
void pass(struct nat *n, struct wire *w, uint16_t in_port, uint16_t out_port, uint64_t now);
/* Makes, passes. */
struct wire *wire_send(struct nat *n, uint16_t in_port, uint16_t out_port, uint64_t now, const struct spec *spec);
#define SEND(n, in, out, now, ...) wire_send(n, in, out, now, &(struct spec){__VA_ARGS__})

/* Bytes, metadata and checksums: addresses and ports (ICMP: the identifier as sport). Frees the packet. */
void expect(struct wire *w, const char *src, uint16_t sport, const char *dst, uint16_t dport);
void expect_drop(struct wire *w, enum drop reason);

/* 10.0.0.4 outside; 1 address. */
struct nat_config config_of(enum nat_personality personality);
struct nat *nat_of(enum nat_personality personality);

#endif
