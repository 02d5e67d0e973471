/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outside ports: which are in use, and which one a session or a mapping gets. A port keeps its number where it may
 * (RFC 4787 REQ-3); Linux without a range lets any port keep it, also a low one.
 */
#include "nat_internal.h"

/* A search among tuples that found nothing in so many places gives up, as Linux does after some hundred. */
#define PROBES_MAX 512u

/* The counts of one protocol's ports at an outside address; NULL for protocols whose ports are not translated. */
static uint32_t *users_of(const struct nat *n, uint8_t proto, be32 outside) {
    unsigned class = proto == PROTO_TCP ? 0 : proto == PROTO_UDP ? 1 : proto == PROTO_ICMP ? 2 : 3;
    for (unsigned a = 0; class < 3 && a < n->config.n_addresses; a++)
        if (n->config.addresses[a] == outside)
            return &n->port_users[((size_t)a * 3 + class) << 16];
    return NULL;
}

void nat_port_take(struct nat *n, uint8_t proto, be32 outside, be16 port) {
    uint32_t *users = users_of(n, proto, outside);
    if (users && ++users[ntohs(port)] == 1 && ++n->stats.ports_live > n->stats.ports_peak)
        n->stats.ports_peak = n->stats.ports_live;
}

void nat_port_give_back(struct nat *n, uint8_t proto, be32 outside, be16 port) {
    uint32_t *users = users_of(n, proto, outside);
    if (users && --users[ntohs(port)] == 0)
        n->stats.ports_live--;
}

struct range {
    uint32_t low, high;
};

/* Where a port is looked for that cannot keep its number; Linux has classes when it was given no range. */
static struct range port_range(const struct nat *n, uint8_t proto, uint16_t own) {
    if (n->any_port && proto == PROTO_ICMP)
        return (struct range){0, UINT16_MAX};
    if (n->any_port && n->config.personality == NAT_CONNTRACK && own < 1024)
        return own < 512 ? (struct range){1, 511} : (struct range){600, 1023};
    return (struct range){n->config.port_min, n->config.port_max};
}

static bool in_range(struct range r, uint16_t port) {
    return port >= r.low && port <= r.high;
}

static uint32_t common_divisor(uint32_t a, uint32_t b) {
    return b ? common_divisor(b, a % b) : a;
}

/* Ports are tried in an order of the flow's own, so that flows do not queue up behind one another. */
bool nat_port_for_session(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now) {
    uint8_t proto = p->proto;
    be16 own = nat_packet_tuple(p).sport;
    bool moves = nat_moves_port(p, true);
    struct range r = port_range(n, proto, ntohs(own));
    reply->dport = own;
    if ((!moves || n->any_port || in_range(r, ntohs(own))) &&
        nat_find_live(n, proto, reply, now) == NAT_NONE)
        return true;
    if (!moves)
        return false;
    const struct nat_tuple flow = nat_packet_tuple(p);
    uint64_t hash = nat_hash(NAT_KEY_NOTHING, proto, &flow) >> 16;
    uint32_t size = r.high - r.low + 1, at = (uint32_t)(hash >> 24) % size, step = (uint32_t)(hash & 0xffffff) % size;
    while (common_divisor(step, size) != 1) /* then every port has its turn */
        step++;
    for (uint32_t i = 0; i < size && i < PROBES_MAX; i++, at = (at + step) % size) {
        reply->dport = htons((uint16_t)(r.low + at));
        if (nat_find_live(n, proto, reply, now) == NAT_NONE)
            return true;
    }
    return false;
}

/* The port's own number, else the next one up that is free. */
bool nat_port_for_mapping(struct nat *n, uint8_t proto, struct nat_tuple *end, be16 own, uint64_t now) {
    struct range r = port_range(n, proto, ntohs(own));
    uint32_t size = r.high - r.low + 1, first = in_range(r, ntohs(own)) ? ntohs(own) - r.low : ntohs(own) % size;
    end->dport = htons((uint16_t)(r.low + first));
    if (nat_mapping_outside(n, proto, end->dst, end->dport, now) == NAT_NONE)
        return true;
    nat_settle(n, now); /* then the counts are exact */
    const uint32_t *users = users_of(n, proto, end->dst);
    for (uint32_t i = 1; i < size; i++) {
        uint32_t port = r.low + (first + i) % size;
        if (!users[port]) {
            end->dport = htons((uint16_t)port);
            return true;
        }
    }
    return false;
}
