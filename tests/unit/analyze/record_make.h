/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow records of all kinds; the same seed makes the same ones. */
#ifndef TEST_ANALYZE_RECORD_MAKE_H
#define TEST_ANALYZE_RECORD_MAKE_H

#include <fwdlab/analyze/record.h>
#include <fwdlab/base/random.h>

static const char *record_interface(struct random *r) {
    static const char *const names[] = {NULL, "eth0", "with, comma", "with \"quotes\"", "a name\nof two lines", "lan"};
    return names[random_below(r, 6)];
}

static void record_bytes(struct random *r, void *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)random_u64(r);
}

static struct flow_key record_key(struct random *r, uint8_t family, uint8_t proto) {
    struct flow_key k = {.family = family, .proto = proto, .sport = (be16)random_u64(r), .dport = (be16)random_u64(r)};
    record_bytes(r, k.src, family == FAMILY_IPV6 ? 16 : 4);
    record_bytes(r, k.dst, family == FAMILY_IPV6 ? 16 : 4);
    if (proto == 1 || proto == 58)
        k.dport = htons((uint16_t)random_below(r, 256)); /* a type */
    return k;
}

static inline struct flow_record record_make(struct random *r) {
    static const uint8_t protos[] = {6, 17, 1, 58, 47, 6};
    uint8_t family = random_below(r, 2) ? FAMILY_IPV4 : FAMILY_IPV6, proto = protos[random_below(r, 6)];
    bool tcp = proto == 6;
    struct flow_record f = {
        .id = random_u64(r), .key = record_key(r, family, proto),
        .first_ns = 1600000000000000000 + random_u64(r) % (1ull << 58),
        .vlan = random_below(r, 2) ? (uint16_t)random_below(r, 4096) : 0,
        .finding = random_below(r, 2) ? 1 + random_below(r, 99) : 0,
        .model = random_below(r, 2) ? "symmetric" : NULL, .observed = random_below(r, 2) ? "unanswered" : NULL,
        .nat = random_below(r, 4) ? NULL : "wrong_nat", .tcp_state = tcp ? "established" : NULL,
        .rtt_ns = tcp ? random_below(r, 1000000) : 0, .retransmissions = random_below(r, 9),
        .out_of_order = random_below(r, 9), .resets = random_below(r, 3), .icmp_errors = random_below(r, 3),
        .fragments = random_below(r, 5), .partial = random_below(r, 2)};
    f.last_ns = f.first_ns + random_u64(r) % 100000000000;
    if (random_below(r, 2))
        f.outside = record_key(r, family, proto);
    if (random_below(r, 3) == 0)
        memcpy(f.tunnel, "gre 10.0.0.1 10.0.0.2", 22);
    for (int way = 0; way < 2; way++) {
        f.way[way].packets = random_below(r, 5) ? random_u64(r) >> 32 : 0;
        f.way[way].bytes = f.way[way].packets * (20 + random_below(r, 1480));
        f.way[way].tcp_flags = tcp ? (uint8_t)random_u64(r) : 0;
        f.way[way].in = record_interface(r);
        f.way[way].out = record_interface(r);
        if (random_below(r, 2))
            record_bytes(r, &f.way[way].mac, 6);
    }
    return f;
}

#endif
