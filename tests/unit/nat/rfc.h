/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of RFC clauses share: a NAT of 10.0.0.4 and more, guests inside, and where a flow's packets leave. */
#ifndef FWDLAB_TESTS_NAT_RFC_H
#define FWDLAB_TESTS_NAT_RFC_H

#include "wire.h"

#define GUEST "10.0.2.2"
#define GUEST2 "10.0.2.3"
#define NODE "10.0.0.4"
#define WEB "203.0.113.10"
#define WEB2 "203.0.113.11"

static const uint8_t rfc_protos[] = {PROTO_TCP, PROTO_UDP};

/* Of n outside addresses from 10.0.0.4 on. */
static inline struct nat_config rfc_config(unsigned n) {
    static be32 addresses[16];
    struct nat_config c = config_of(NAT_INTERFACE);
    for (unsigned i = 0; i < n; i++)
        addresses[i] = addr(NODE) + htonl(i);
    c.addresses = addresses;
    c.n_addresses = n;
    return c;
}

static inline struct nat *rfc_nat(struct nat_config c) {
    struct nat *n = nat_create(&c);
    cr_assert(n);
    return n;
}

/* The source that a packet leaves with; port 0: it is dropped, for `reason`. Host order. */
struct end {
    uint32_t addr;
    uint16_t port;
    enum drop reason;
};
static inline struct end rfc_out(struct nat *n, uint8_t proto, be32 src, uint16_t sport, const char *dst,
                                 uint16_t dport, uint64_t now) {
    char from[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &src, from, sizeof from);
    struct wire *w = SEND(n, INSIDE, OUTSIDE, now, .proto = proto, .src = from, .dst = dst, .sport = sport,
                          .dport = dport, .tcp = TCP_SYN, .type = 8);
    const bool dropped = w->p.verdict == VERDICT_DROP;
    struct end e = {dropped ? 0 : ntohl(w->p.src), dropped ? 0 : ntohs(w->p.sport), (enum drop)w->p.reason};
    wire_free(w);
    return e;
}
/* What comes from outside: DROP_NONE when it is let in, and then to GUEST's port 5000; DROP_COUNT: to nobody. */
static inline enum drop rfc_in(struct nat *n, uint8_t proto, const char *src, uint16_t sport, uint16_t dport,
                               uint64_t now) {
    struct wire *w = SEND(n, OUTSIDE, INSIDE, now, .proto = proto, .src = src, .dst = NODE, .sport = sport,
                          .dport = dport, .tcp = TCP_SYN);
    enum drop reason = (enum drop)w->p.reason;
    if (w->p.verdict == VERDICT_NONE)
        reason = w->p.dst == addr(GUEST) && w->p.dport == htons(5000) ? DROP_NONE : DROP_COUNT;
    wire_free(w);
    return reason;
}
static inline struct nat_stats rfc_stats(const struct nat *n) {
    struct nat_stats s;
    nat_stats_get(n, &s);
    return s;
}

#endif
